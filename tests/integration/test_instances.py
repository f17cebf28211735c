# SPDX-License-Identifier: Apache-2.0
"""A change of the route table on three facades: when each goes by it, and what a kill -9 in the middle leaves."""
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from crm import Crm, call
from harness import Daemon, Sqlite, Workdir, free_port, wait_for
from harness.daemon import binary, environment

HEAD = {"Authorization": "Bearer a-token-for-tests"}


class Three(Crm):
    """A CRM behind three facades, whose replies tell by which table they were made."""

    def __init__(self, work, store, postgres, name):
        super().__init__(work, "sqlite", store, postgres, name, loops=2, explain="always")
        self.configure(ladder={"evidence_min": 0, "rollback": "off"})
        self.fronts = [(self.ports["facade"], self.ports["admin"])]
        self.daemons = [self.serve(name="serve-0")]
        for i in (1, 2):
            port, admin = free_port(), free_port()
            self.fronts.append((port, admin))
            self.daemons.append(self.facade(f"{i}", port, admin))

    def facade(self, name, port, admin, conninfo=None, **more):
        """One more facade, with a file of its own for the last table."""
        with open(self.config, encoding="utf-8") as f:
            config = json.load(f)
        config["facade"].update(listen=f"127.0.0.1:{port}", admin_listen=f"127.0.0.1:{admin}", state_path=f"state-{name}.json")
        config["control"]["conninfo"] = conninfo or config["control"]["conninfo"]
        path = self.work.file(f"serve-{name}.json", json.dumps(config))
        more.setdefault("env", self.env)
        return Daemon(self.work, "serve", path, ready=f"http://127.0.0.1:{admin}/readyz", name=f"serve-{name}", **more)

    def _routes(self):
        table = super()._routes()
        for name in ("account", "contact"):
            table["routes"][name]["new"] = {"backend": "postgres"}
        return table

    def set(self, *words, **more):
        done = self.ficus("route", "set", *words, "--why", "a test", **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.version()

    def version(self):
        return self.new("SELECT version FROM ficus.version")[0][0]

    def stages(self):
        return dict(self.new("SELECT route, stage FROM ficus.route_state WHERE route IN ('account', 'contact')"))

    def seen(self, port, path="/contacts?fields=id&limit=1"):
        """(table, stage) of one answer."""
        reply = call("GET", f"http://127.0.0.1:{port}/api{path}", headers=HEAD)
        assert reply.status == 200, reply.body
        return told(reply.headers)


def told(headers):
    said = headers["Ficus-Route"]
    return int(re.search(r"table=(\d+)", said).group(1)), re.search(r"stage=(\w+)", said).group(1)


@pytest.fixture(scope="module")
def three(postgres):
    with Workdir() as work, Sqlite(work) as store:
        crm = Three(work, store, postgres, "instances")
        with crm.daemons[0], crm.daemons[1], crm.daemons[2]:
            yield crm


class Reader(threading.Thread):
    """Asks one facade without a pause; keeps what each answer told, and when it came."""

    def __init__(self, crm, port):
        super().__init__(daemon=True)
        self.crm, self.port, self.answers, self.broken, self.ending = crm, port, [], [], threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.answers.append((*self.crm.seen(self.port), time.monotonic()))
        except (AssertionError, OSError) as e:
            self.broken.append(e)


def test_every_instance_goes_by_a_change(three):
    readers = [Reader(three, port) for port, _ in three.fronts]
    changes, stage_of = [], {}
    for stage in ("shadow", "canary 5", "canary 60", "shadow", "legacy", "shadow", "legacy"):
        version = three.set("contact", *stage.split())
        returned = time.monotonic()
        stage_of[version] = stage.split()[0]
        for reader in readers:
            wait_for(lambda r=reader, v=version: r.broken or (r.answers and r.answers[-1][0] >= v), "the table to be in force",
                     interval=0.002)
        changes.append((version, returned))
    for reader in readers:
        reader.ending.set()
        reader.join(30)
    late = []
    for reader in readers:
        assert reader.broken == []
        tables = [table for table, _, _ in reader.answers]
        assert tables == sorted(tables), "a table went back"
        for table, stage, _ in reader.answers:
            assert stage == stage_of.get(table, stage), (table, stage)
        for version, returned in changes:
            first = next(at for table, _, at in reader.answers if table >= version)
            late.append(max(0, first - returned) * 1000)
    late.sort()
    print(f"in force after `route set` returned: median {late[len(late) // 2]:.1f} ms, worst {late[-1]:.1f} ms, of {len(late)}")


def test_a_request_in_flight_ends_by_the_table_it_began_with(three):
    key = call("POST", f"{three.url}/accounts", {"name": "begun"}, HEAD).json()["id"]
    before = three.seen(three.fronts[0][0], f"/accounts/{key}?fields=id")
    lock, got = three.legacy.connect(), []
    lock.execute("BEGIN EXCLUSIVE")

    def write():
        got.append(call("PATCH", f"{three.url}/accounts/{key}", {"industry": "Media"}, HEAD))
    thread = threading.Thread(target=write)
    try:
        thread.start()
        url = f"http://127.0.0.1:{three.fronts[0][1]}/metrics"
        # The operation is in dispatch: the legacy's worker waits for the lock.
        wait_for(lambda: re.search(r"^ficus_odbc_workers_busy [1-9]", call("GET", url).body.decode(), re.M),
                 "the write to be under way")
        version = three.set("account", "shadow")
        wait_for(lambda: three.new("SELECT count(*) FROM ficus.instance WHERE kind = 'serve' AND table_version < %s",
                                   (version,))[0][0] == 0, "the newer table to be everywhere")
        assert got == []
    finally:
        lock.execute("ROLLBACK")
        lock.close()
        thread.join(30)
    assert got[0].status == 204 and told(got[0].headers) == before
    assert three.seen(three.fronts[0][0], f"/accounts/{key}?fields=id") == (version, "shadow")
    three.set("account", "legacy")


def test_a_command_that_is_killed_changes_nothing(three):
    """kill -9 once everything is written but the audit, and so nothing is committed."""
    version, stages = three.version(), three.stages()
    lock = three.postgres.connect(three.database)
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE ficus.audit IN EXCLUSIVE MODE")
    line = [binary(), "route", "set", "account,contact", "shadow", "--why", "never", "-c", three.config]
    with subprocess.Popen(line, env=environment(three.work, three.env), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as command:
        try:
            wait_for(lambda: three.new("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'ficus.audit'::regclass")
                     [0][0] > 0, "the command to be in the middle")
        finally:
            command.send_signal(signal.SIGKILL)
            command.wait(30)
            lock.rollback()
            lock.close()
    wait_for(lambda: three.new("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
                               " wait_event_type = 'Lock'")[0][0] == 0, "its transaction to end")
    assert (three.version(), three.stages()) == (version, stages)
    assert three.new("SELECT count(*) FROM ficus.route_history WHERE why = 'never'")[0][0] == 0
    for port, _ in three.fronts:
        assert three.seen(port) == (version, stages["contact"])
    assert three.ficus("audit", "verify").returncode == 0
    three.set("account,contact", "shadow")
    assert three.stages() == {"account": "shadow", "contact": "shadow"}
    three.set("account,contact", "legacy")


@pytest.mark.parametrize("place", ["state.written", "state.renamed"])
def test_a_facade_that_is_killed_while_it_saves_a_table_has_a_whole_one(three, place):
    """It comes up by one of the two tables, without the control store."""
    port, admin, name = free_port(), free_port(), place.replace(".", "-")
    before = three.version()
    daemon = three.facade(name, port, admin, variant="hooks", env={**three.env, "FICUS_FAILPOINT": place + ":2"}).start()
    try:
        assert three.seen(port)[0] == before
        after = three.set("contact", "shadow")
        assert daemon.wait_exit() == -signal.SIGKILL
    finally:
        three.set("contact", "legacy")
    with three.facade(name, port, admin, conninfo="host=127.0.0.1 port=1", allow=["away"]):
        assert three.seen(port) == ((before, "legacy") if place == "state.written" else (after, "shadow"))
