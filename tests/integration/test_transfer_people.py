# SPDX-License-Identifier: Apache-2.0
"""What people do with a transfer: schedule it, approve it, wait for who holds a fence, read its
receipt, end the way back. MariaDB, whose sessions can be seen and ended; the last test ends the
group's way back, so the order matters."""
import json
import os
import pty
import subprocess
import threading

import pytest

from harness import wait_for
from harness.daemon import ROOT, binary, environment, ficus
from harness.stack import GROUP, Refused, Stack
from harness.workdir import Workdir


@pytest.fixture(scope="module")
def stack():
    with Workdir() as work:
        with Stack(work, "mariadb", rows=40, settings={"cutover.drain_ms": 3000},
                   allow=["transfer", "coordinator", "ended", "lost", "terminat"]) as running:
            for stage in ("shadow", "canary", "new"):
                running.route_set(stage, 50 if stage == "canary" else None)
            yield running


def settle_with(stack, side):
    if stack.owner() != side:
        receipt = stack.cutover(force=True, kind="cutover" if side == "new" else "rollback")
        assert receipt["outcome"] == "done", receipt


def transfers(stack):
    return stack.json("transfers", "list", GROUP)


def run_as(stack, who, *args, config=None):
    return ficus(stack.work, *args, "-c", config or stack.config, env={**stack.environment("ficus"), "FICUS_USER": who})


def test_a_receipt_says_who_why_what_and_how_long(stack):
    settle_with(stack, "legacy")
    assert stack.reconcile("--group", GROUP)["equal"]
    if not transfers(stack):
        assert "as a marker took just now" in stack.run("cutover", GROUP, "--dry-run").stdout
        assert stack.json("cutover", GROUP, "--dry-run")["expected_pause_ms"] > 0
    done = stack.run("cutover", GROUP, "--why", "the first", "--note", "ticket 7")
    assert "done; group crm, target new" in done.stdout and "ticket 7" in done.stdout
    assert "sealing" in done.stderr and "flipped" in done.stderr
    newest = transfers(stack)[0]
    assert newest["outcome"] == "done" and newest["why"] == "the first" and float(newest["pause_ms"]) > 0
    receipt = stack.json("transfers", "show", str(newest["id"]))
    assert [s["step"] for s in receipt["steps"]] == ["guards", "holding", "sealing", "draining", "opening",
                                                     "flipping", "flipped"]
    assert all(s["ms"] >= 0 for s in receipt["steps"])
    assert {g["name"] for g in receipt["guards"]} >= {"sync", "evidence", "lag", "parked", "reconcile",
                                                      "headroom", "disk", "roundtrip", "instances", "stages"}
    assert receipt["note"] == "ticket 7" and receipt["asked_why"] == "the first"
    audit = stack.new("SELECT detail FROM ficus.audit WHERE action = 'cutover' ORDER BY id DESC LIMIT 1")
    assert audit[0][0]["transfer"] == receipt["transfer"]
    shown = stack.run("transfers", "show", str(newest["id"])).stdout
    assert "headroom" in shown and "pause" in shown


def test_the_dry_run_expects_the_pause_of_those_before(stack):
    settle_with(stack, "legacy")
    plan = stack.json("cutover", GROUP, "--dry-run", good=(0, 1))
    assert plan["expected_pause_ms"] > 0 and plan["needs_approval"] is False
    assert "Pause: about" in stack.run("cutover", GROUP, "--dry-run", good=(0, 1)).stdout


def test_a_transfer_waits_for_its_time(stack):
    settle_with(stack, "legacy")
    with pytest.raises(Refused, match="is no time"):
        stack.run("cutover", GROUP, "--at", "half past")
    stack.run("cutover", GROUP, "--force", "--at", "2099-01-01T00:00:00Z")
    assert transfers(stack)[0]["outcome"].startswith("waits for 2099")
    given_up = stack.run("cutover", GROUP, "--abort")
    assert "aborted" in given_up.stdout and stack.owner() == "legacy"
    soon = stack.new("SELECT (now() + interval '1 second')::text")[0][0]
    stack.run("cutover", GROUP, "--force", "--at", soon)
    wait_for(lambda: stack.owner() == "new", "the time of the transfer", 30)
    began, asked_for = stack.new("SELECT (steps->0->>'at_ms')::bigint, (extract(epoch FROM not_before) * 1000)::bigint"
                                 " FROM ficus.transfer ORDER BY id DESC LIMIT 1")[0]
    assert began >= asked_for


def test_a_second_person_has_to_approve(stack):
    with open(ROOT + "/routes/tables/suitecrm.json") as f:
        routes = json.load(f)
    routes["groups"][GROUP]["approval"] = "two"
    with open(stack.config) as f:
        config = json.load(f)
    config["routes"]["path"] = stack.work.file("routes-two.json", json.dumps(routes))
    two = stack.work.file("ficus-two.json", json.dumps(config))
    settle_with(stack, "legacy")
    asked = run_as(stack, "ada", "cutover", GROUP, "--force", config=two)
    assert asked.returncode == 0 and "second person" in asked.stdout
    assert transfers(stack)[0]["outcome"] == "waits for approval"
    alone = run_as(stack, "ada", "cutover", GROUP, "--approve", config=two)
    assert alone.returncode != 0 and "someone else" in alone.stderr and stack.owner() == "legacy"
    both = run_as(stack, "grace", "cutover", GROUP, "--approve", "--json", config=two)
    receipt = json.loads(both.stdout)
    assert receipt["outcome"] == "done" and receipt["who"] == "ada" and receipt["approved_by"] == "grace"
    none = run_as(stack, "grace", "cutover", GROUP, "--approve", config=two)
    assert none.returncode != 0 and "no transfer" in none.stderr


TOKENS = "anna:approver:anna-token, ben:operator:ben-token, vera:viewer:vera-token"


def test_where_persons_are_named_each_does_what_their_role_may(stack):
    with open(stack.config) as f:
        config = json.load(f)
    config["admin"] = {"tokens": TOKENS}
    named = stack.work.file("ficus-named.json", json.dumps(config))

    def by(who, *args):
        env = {**stack.environment("ficus"), "FICUS_USER": "anna"}  # a name is no proof
        return ficus(stack.work, *args, "-c", named, env={**env, "FICUS_TOKEN": who + "-token"} if who else env)

    settle_with(stack, "legacy")
    for who, words in (("", "FICUS_TOKEN"), ("vera", "role approver"), ("ben", "role approver")):
        refused = by(who, "cutover", GROUP, "--force", "--at", "2099-01-01T00:00:00Z")
        assert words in refused.stderr and refused.returncode != 0
    assert by("vera", "cutover", GROUP, "--dry-run").returncode in (0, 1)
    assert by("anna", "cutover", GROUP, "--force", "--at", "2099-01-01T00:00:00Z").returncode == 0
    assert transfers(stack)[0]["by"] == "anna"
    assert by("vera", "cutover", GROUP, "--abort").returncode != 0
    assert by("ben", "cutover", GROUP, "--approve").returncode != 0
    assert by("ben", "cutover", GROUP, "--abort").returncode == 0
    assert "role operator" in by("vera", "complete", GROUP, "--why", "no").stderr


def on_terminal(stack, *words):
    """A command on a terminal of its own: (process, the terminal's other end)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([binary(), *words, "-c", stack.config], stdin=theirs, stdout=theirs, stderr=theirs,
                               env=environment(stack.work, stack.environment("ficus")), cwd=ROOT,
                               start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))
    os.close(theirs)
    return process, ours


def read_until(terminal, word):
    text = ""
    while word not in text:
        try:
            text += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:  # the other end is gone
            break
    return text


@pytest.mark.parametrize("end", ["ctrl-c", "lost terminal"])
def test_a_watcher_that_goes_changes_nothing(stack, end):
    settle_with(stack, "legacy")
    stack.sync.freeze()
    try:
        process, terminal = on_terminal(stack, "cutover", GROUP, "--force", "--why", end)
        wait_for(lambda: stack.new("SELECT 1 FROM ficus.transfer WHERE outcome IS NULL"), "the request", 20)
        read_until(terminal, "coordinator")  # it says what it waits for
        if end == "ctrl-c":
            os.write(terminal, b"\x03")
            told = read_until(terminal, "--abort")
            assert "goes on without this terminal" in told and "ficus transfers show" in told
            assert process.wait(20) == 1
            os.close(terminal)
        else:
            os.close(terminal)
    finally:
        stack.sync.thaw()
    wait_for(lambda: stack.owner() == "new", "the transfer to end by itself", 60)
    process.wait(60)  # without a terminal it may see the end before it sees that nobody looks
    newest = transfers(stack)[0]
    assert newest["outcome"] == "done" and newest["why"] == end


def hold_legacy(stack, key):
    session = stack.legacy.connect(autocommit=False)
    session.cursor().execute("UPDATE accounts SET description = 'held' WHERE id = %s", (key,))
    return session


def hold_new(stack, key):
    session = stack.postgres.connect(autocommit=False)
    session.cursor().execute("UPDATE crm.account SET description = 'held' WHERE id = %s", (key,))
    return session


@pytest.mark.parametrize("side,kind,hold", [("legacy", "cutover", hold_legacy), ("new", "rollback", hold_new)])
def test_who_holds_a_fence_is_named_and_ended_if_told_so(stack, side, kind, hold):
    settle_with(stack, side)
    key = stack.old("SELECT id FROM accounts WHERE deleted = 0 ORDER BY id LIMIT 1")[0][0]
    session = hold(stack, key)
    seen = []

    def look():
        rows = stack.new("SELECT waiting FROM ficus.transfer WHERE outcome IS NULL")
        seen.extend(w for (w,) in rows if "session" in w)
        return seen
    asking = threading.Thread(target=lambda: stack.cutover(force=True, kind=kind))
    asking.start()
    wait_for(look, "the holder's name", 20)
    asking.join()
    newest = transfers(stack)[0]
    assert newest["outcome"] == "aborted" and "held by session" in newest["why"], newest
    assert stack.owner() == side
    receipt = stack.json(kind, GROUP, "--force", "--end-holders")
    assert receipt["outcome"] == "done" and receipt["ended_sessions"] >= 1
    with pytest.raises(Exception):
        session.commit()
        session.cursor().execute("SELECT 1")
    held = stack.new("SELECT count(*) FROM crm.account WHERE description = 'held'")[0][0]
    assert held == 0, "a transaction that was ended came through"


def test_evidence_that_differs_refuses(stack):
    def evidence():
        return next(g for g in stack.guards() if g["name"] == "evidence")
    settle_with(stack, "legacy")
    assert evidence()["passed"]
    stack.new("INSERT INTO ficus.shadow_stat (route, instance, stage_since, matched, mismatched)"
              " VALUES ('account', 'planted', '2099-01-01', 10, 1) RETURNING 1")
    refusing = evidence()
    assert not refusing["passed"] and "1 with answers that differed" in refusing["figure"]
    stack.new("DELETE FROM ficus.shadow_stat WHERE instance = 'planted' RETURNING 1")


def test_the_way_back_is_shown_and_can_be_ended(stack):
    def way_back():
        return next(w for w in stack.status()["ways_back"] if w["group"] == GROUP)
    settle_with(stack, "legacy")
    assert way_back()["lossless"] == "-"
    with pytest.raises(Refused):
        stack.run("complete", GROUP, "--force", "--why", "the legacy owns it")
    settle_with(stack, "new")
    wait_for(lambda: way_back()["lossless"] == "yes", "a lossless way back", 30)
    stack.run("sync", "pause", "account")
    wait_for(lambda: way_back()["lossless"] == "no" and "paused" in way_back()["why"], "the reason", 30)
    stack.run("sync", "resume", "account")
    with pytest.raises(Refused, match="why"):
        stack.run("complete", GROUP)
    stack.wait_quiet()
    assert stack.reconcile("--group", GROUP)["equal"]
    done = stack.run("complete", GROUP, "--why", "a year has passed")
    assert "reconcile" in done.stdout and "follows no more" in done.stderr
    assert way_back()["lossless"] == "no" and "a year has passed" in way_back()["why"]
    with pytest.raises(Refused, match="no way back"):
        stack.run("rollback", GROUP, "--force")
    stack.run("sync", "resume", "account")
    assert stack.new("SELECT paused FROM ficus.stream_state WHERE stream = 'new.account'") == [(True,)]

    def seen():
        with open(stack.sync.log, encoding="utf-8") as f:
            log = f.read()
        return log.rfind("new.account is paused") > log.rfind("new.account is resumed")
    wait_for(seen, "ficus sync to see it", 10)
    # Clients go on; the legacy stays as it was.
    stack.postgres.execute("INSERT INTO crm.account (id, name, deleted) VALUES ('after', 'after', false)", ())
    wait_for(lambda: stack.new("SELECT lag_events > 0 FROM ficus.stream_state WHERE stream = 'new.account'")
             == [(True,)], "the change in its topic", 10)
    assert stack.old("SELECT count(*) FROM accounts WHERE id = 'after'")[0][0] == 0
