# SPDX-License-Identifier: Apache-2.0
"""Walks through the model of the transfer (model/transfer.pml), stepped by the real thing.

Three `ficus sync` processes with gates compiled in (base/failpoint.h) stand before each step of the
protocol until the schedule lets one of them go on; writers are transactions at the stores; a crash
is kill -9. A walk through the protocol as it is must be possible step by step. A counterexample,
found by spin when a rule is taken away, must not be: at some step the real thing does otherwise.
Either way no two stores are ever writable, and what was acknowledged last is in both at the end.

model/schedule.py makes the schedules.
"""
import glob
import json
import os

import pytest

from harness import wait_for
from harness.stack import GROUP, Stack
from harness.workdir import Workdir

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schedules")
SCHEDULES = sorted(os.path.basename(path)[:-5] for path in glob.glob(FOLDER + "/*.json"))
SYNCS = 3
SIDES = ("legacy", "new")
KEY = "scheduled"


class Diverged(Exception):
    """The real thing did not take the step."""


class Gated(Stack):
    """Each sync writes the gate it stands at into gates/sync<i>."""

    def environment(self, name):
        env = super().environment(name)
        if name.startswith("sync"):
            self.gates = os.path.join(self.work.path, "gates")
            os.makedirs(self.gates, exist_ok=True)
            env.update(FICUS_GATES=self.gates, FICUS_GATE=name)
        return env

    def gate(self, i):
        """The gate at which a sync stands; "" while it is on its way."""
        try:
            with open(f"{self.gates}/sync{i}", encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def release(self, i):
        os.remove(f"{self.gates}/sync{i}")

    def open_gates(self):
        with open(self.gates + "/open", "w", encoding="utf-8"):
            pass

    def close_gates(self):
        """Every coordinator rests before its next look for work. Who went through open gates left
        its file behind: it would be taken for one that stands there."""
        for i in range(SYNCS):
            if self.gate(i):
                self.release(i)
        os.remove(self.gates + "/open")
        wait_for(lambda: all(self.gate(i) == "take" for i in range(SYNCS)), "the coordinators to rest", 30)


@pytest.fixture(scope="module")
def stack():
    with pytest.MonkeyPatch.context() as patch, Workdir() as work:
        patch.setenv("FICUS_VARIANT", "hooks")
        running = Gated(work, "mariadb", rows=5, syncs=SYNCS, allow=["."],
                        settings={"cutover.drain_ms": 60000, "cutover.hold_ms": 60000})
        running.open_gates()
        with running:
            running.legacy.execute("INSERT INTO contacts (id, last_name, title, deleted) VALUES (%s, 'walk', 'v0', 0)",
                                   (KEY,))
            yield running
            running.open_gates()


def fences(stack):
    old = stack.old("SELECT writable FROM ficus_fence WHERE grp = ?", (GROUP,))
    new = stack.new("SELECT writable FROM ficus.fence WHERE grp = %s", (GROUP,))
    return {"legacy": bool(old[0][0]), "new": bool(new[0][0])}


class Writer:
    """One transaction at a time in a store."""

    def __init__(self, stack, side):
        self.stack, self.side, self.db = stack, side, None

    def begin(self, value):
        self.db = (self.stack.legacy if self.side == "legacy" else self.stack.postgres).connect(autocommit=False)
        table = "contacts" if self.side == "legacy" else "crm.contact"
        try:
            cursor = self.db.cursor()
            cursor.execute(f"UPDATE {table} SET title = %s WHERE id = %s", (value, KEY))
            assert cursor.rowcount == 1, "the row is not there"
        except Exception as error:
            self.gone()
            if "fence" not in str(error):
                raise
            raise Diverged(f"the {self.side} store refused the writer") from error

    def commit(self):
        self.db.commit()
        self.gone()

    def gone(self):
        if self.db:
            self.db.close()
        self.db = None


class Walk:
    def __init__(self, stack, name=""):
        self.stack, self.name, self.writers, self.number = stack, name, [Writer(stack, side) for side in SIDES], 0
        self.pending, self.acknowledged = [None, None], None

    def step(self, who, *words):
        getattr(self, who)(*words)
        both = fences(self.stack)
        assert not (both["legacy"] and both["new"]), f"both sides are writable after {who} {words}"

    def people(self, what, target=None):
        if what == "ask":
            owner = self.stack.owner()
            if owner == SIDES[int(target)]:
                raise Diverged(f"{owner} owns the group already")
            self.stack.new("INSERT INTO ficus.transfer (grp, target, kind, who, options) VALUES"
                           " (%s, %s, 'cutover', 'walk', '{\"force\": true}') RETURNING id", (GROUP, SIDES[int(target)]))
        else:
            self.stack.new("UPDATE ficus.transfer SET options = options || '{\"abort\": true}'"
                           " WHERE outcome IS NULL RETURNING id")

    def writer(self, side, what):
        writer = self.writers[int(side)]
        if what == "begin":
            self.number += 1
            self.pending[int(side)] = f"{self.name} {self.number}"
            writer.begin(self.pending[int(side)])
        elif what == "commit":
            writer.commit()
            self.acknowledged = self.pending[int(side)]
        else:
            writer.gone()

    def coordinator(self, number, what):
        i = int(number)
        if what == "crash":
            self.stack.syncs[i].kill()
            if self.stack.gate(i):
                self.stack.release(i)
            self.stack.syncs[i].start()
            self.at(i, "take")
            return
        self.at(i, what.lower())
        if what == "take":
            self.stack.new("UPDATE ficus.transfer SET heartbeat = now() - interval '1 minute'"
                           " WHERE outcome IS NULL RETURNING id")
        self.stack.release(i)
        self.moved(i, what)

    def at(self, i, gate):
        found = wait_for(lambda: self.stack.gate(i), f"sync{i} to come to a gate", 60, interval=0.005)
        if found != gate:
            raise Diverged(f"sync{i} stands before {found}, not {gate}")

    def moved(self, i, what):
        """It has taken the step, or waits for a lock that a writer holds."""
        def state():
            if self.stack.gate(i):
                return "done"
            waiting = self.stack.new("SELECT waiting FROM ficus.transfer WHERE outcome IS NULL AND waiting <> ''")
            return "waits" if waiting and what in ("SEAL", "OPEN") else "drains" if what == "MARK" else None
        if wait_for(state, f"sync{i} to take the step {what}", 60, interval=0.005) == "waits":
            raise Diverged(f"sync{i} waits for a writer at {what}")

    def end(self):
        """Everything runs free until it is still; then what must hold is looked at."""
        self.stack.open_gates()
        for writer in self.writers:
            writer.gone()
        wait_for(lambda: not self.stack.new("SELECT 1 FROM ficus.transfer WHERE outcome IS NULL"),
                 "the last transfer to end", 90)
        owner = self.stack.owner()
        assert fences(self.stack) == {"legacy": owner == "legacy", "new": owner == "new"}
        if self.acknowledged:
            wait_for(lambda: self.held() == {self.acknowledged}, f"both stores to hold {self.acknowledged}", 60)

    def held(self):
        return {self.stack.old("SELECT title FROM contacts WHERE id = ?", (KEY,))[0][0],
                self.stack.new("SELECT title FROM crm.contact WHERE id = %s", (KEY,))[0][0]}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_real_thing_walks_as_the_model_says(stack, name):
    with open(f"{FOLDER}/{name}.json", encoding="utf-8") as f:
        schedule = json.load(f)
    if stack.owner() != "legacy":
        assert stack.cutover(force=True, kind="rollback")["outcome"] == "done"
    wait_for(lambda: len(Walk(stack).held()) == 1, "both stores to be equal", 60)
    stack.close_gates()
    walk, diverged = Walk(stack, name), None
    try:
        for line in schedule["steps"]:
            walk.step(*line.split())
    except Diverged as other:
        diverged = f"{line}: {other}"
        for sync in stack.syncs:
            print(sync.name, *[t for t in sync.text().splitlines() if ".transfer" in t][-12:], sep="\n")
    finally:
        walk.end()
    if schedule["without"]:
        assert diverged, f"the counterexample of {schedule['without']} is possible"
    else:
        assert diverged is None, diverged
