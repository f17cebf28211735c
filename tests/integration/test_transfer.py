# SPDX-License-Identifier: Apache-2.0
"""Transfers on real stores: guards, fences against every kind of writer, a coordinator that is
killed at each step, an abort; and reconciliation: what is planted is found, what is merely in
flight is not. One stack a legacy; the tests leave the group with the legacy."""
import json
import os
import re
import threading
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from demo.clients import Form
from harness import ficus, wait_for
from harness.daemon import ROOT
from harness.stack import GROUP, Refused, Stack
from harness.workdir import Workdir
from legacy.workload import Workload

STEPS = ["holding", "sealing", "draining", "opening", "flipping", "flipped"]


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgres"])
def stack(request):
    with Workdir() as work:
        with Stack(work, request.param, rows=120, settings={"cutover.drain_ms": 15000},
                   allow=["transfer", "coordinator", "not_found"]) as running:
            yield running


def climb(stack):
    for stage in ("shadow", "canary", "new"):
        stages = {s for (s,) in stack.new("SELECT stage FROM ficus.route_state")}
        if stages == {"new"}:
            return
        stack.route_set(stage, 50 if stage == "canary" else None)


def fences(stack):
    """side -> writable; the truth is in the stores."""
    old = stack.old("SELECT writable FROM ficus_fence WHERE grp = ?", (GROUP,))
    new = stack.new("SELECT writable FROM ficus.fence WHERE grp = %s", (GROUP,))
    return {"legacy": bool(old[0][0]), "new": bool(new[0][0])}


def settle_with(stack, side):
    """Gives the group to a side if it is not there, whatever the guards say."""
    if stack.owner() != side:
        receipt = stack.cutover(force=True, kind="cutover" if side == "new" else "rollback")
        assert receipt["outcome"] == "done", receipt
    assert fences(stack) == {"legacy": side == "legacy", "new": side == "new"}


def request(stack, target, kind):
    """Asks for a transfer without watching it; its id."""
    return stack.new("INSERT INTO ficus.transfer (grp, target, kind, who, options) VALUES"
                     " (%s, %s, %s, 'test', '{\"force\": true}') RETURNING id", (GROUP, target, kind))[0][0]


def outcome(stack, transfer):
    return stack.new("SELECT coalesce(outcome, '') FROM ficus.transfer WHERE id = %s", (transfer,))[0][0]


def insert_direct(stack, side, key):
    if side == "legacy":
        stack.legacy.execute("INSERT INTO accounts (id, name, deleted) VALUES ('%s', 'direct', 0)" % key)
    else:
        stack.postgres.execute("INSERT INTO crm.account (id, name, deleted) VALUES (%s, 'direct', false)", (key,))


def test_a_dry_run_changes_nothing_and_names_what_refuses(stack):
    guards = {g["name"]: g for g in stack.guards()}
    assert not guards["stages"]["passed"] and "ficus route set" in guards["stages"]["mend"]
    assert not guards["reconcile"]["passed"] and "ficus reconcile" in guards["reconcile"]["mend"]
    assert guards["sync"]["passed"] and guards["roundtrip"]["passed"] and guards["parked"]["passed"]
    assert stack.owner() == "legacy" and fences(stack) == {"legacy": True, "new": False}
    refused = stack.cutover()
    assert refused["outcome"] == "refused" and "stages" in refused["why"]
    assert fences(stack) == {"legacy": True, "new": False}


def test_every_shipped_entity_is_compared_by_each_plan(stack):
    """Some have more columns than a function of PostgreSQL takes arguments."""
    entities = [name[:-5] for name in os.listdir(ROOT + "/migrations/maps/suitecrm") if name.endswith(".json")]
    fit = 0
    for entity in entities:
        for plan in ("stream", "pushdown"):
            done = ficus(stack.work, "reconcile", entity, "--plan", plan, "--json", "-c", stack.config,
                         env=stack.environment("ficus"), timeout=180)
            if done.returncode == 1 and not done.stdout:
                assert plan == "pushdown" and "no pushdown" in done.stderr, (entity, done.stderr)
                continue
            assert done.returncode == 0, (entity, plan, done.stdout, done.stderr)
            assert json.loads(done.stdout)["entities"][0]["plan"] == plan
            fit += plan == "pushdown"
    assert fit > 4 or stack.kind == "sqlite"


def test_a_disk_that_runs_full_refuses(stack):
    def disk():
        return next(g for g in stack.guards() if g["name"] == "disk")
    free = os.statvfs(stack.work.path).f_bavail * os.statvfs(stack.work.path).f_frsize >> 20
    seen = disk()
    assert seen["passed"], seen
    told = [int(n) for n in re.findall(r"(\d+) MiB free", seen["figure"])]
    assert len(told) == 2 and all(abs(n - free) < 4096 for n in told), (seen, free)  # both here, both seen
    text = open(stack.config, encoding="utf-8").read()
    config = json.loads(text)
    config.setdefault("cutover", {})["disk_min_mib"] = free * 2
    stack.work.file(os.path.basename(stack.config), json.dumps(config))
    try:
        low = disk()
    finally:
        stack.work.file(os.path.basename(stack.config), text)
    assert not low["passed"] and "cutover.disk_min_mib" in low["mend"]


def test_guards_pass_once_mended_and_writes_move_there_and_back(stack):
    climb(stack)
    assert stack.reconcile("--group", GROUP)["equal"]
    refusing = [g for g in stack.guards() if not g["passed"]]
    assert refusing == []
    receipt = stack.cutover()
    assert receipt["outcome"] == "done" and receipt["pause_ms"] > 0
    assert fences(stack) == {"legacy": False, "new": True}
    stack.reconcile("--group", GROUP)
    assert stack.rollback()["outcome"] == "done"
    assert fences(stack) == {"legacy": True, "new": False}
    epochs = [e for (e,) in stack.new("SELECT epoch FROM ficus.transfer WHERE outcome = 'done' ORDER BY id")]
    assert epochs == sorted(set(epochs)), "an epoch was used twice"


def test_a_sealed_store_refuses_direct_writers(stack):
    settle_with(stack, "legacy")
    insert_direct(stack, "legacy", "direct-1")
    with pytest.raises(Exception, match="fence"):
        insert_direct(stack, "new", "direct-2")
    settle_with(stack, "new")
    with pytest.raises(Exception, match="fence"):
        insert_direct(stack, "legacy", "direct-3")
    insert_direct(stack, "new", "direct-4")
    stack.postgres.execute("UPDATE crm.account SET name = 'changed' WHERE id = 'direct-1'")
    # What the new side accepted is in the legacy before that is opened again.
    settle_with(stack, "legacy")
    assert stack.old("SELECT count(*) FROM accounts WHERE id IN ('direct-1', 'direct-4')")[0][0] == 2
    # What is applied leaves no row in the application's audit: the map's "also" is the facade's.
    assert stack.old("SELECT name FROM accounts WHERE id = 'direct-1'")[0][0] == "changed"
    assert stack.old("SELECT count(*) FROM accounts_audit WHERE parent_id IN ('direct-1', 'direct-4')")[0][0] == 0
    assert stack.new("SELECT count(*) FROM crm.account WHERE id IN ('direct-1', 'direct-4')")[0][0] == 2
    assert stack.old("SELECT count(*) FROM accounts WHERE id IN ('direct-2', 'direct-3')")[0][0] == 0


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_whose_snapshot_is_older_than_the_seal_is_stopped(stack, level):
    """Its snapshot shows an open fence; only the locked row tells that it was closed since."""
    settle_with(stack, "new")
    insert_direct(stack, "new", f"snapshot-{level[:3]}")
    session = stack.postgres.connect(autocommit=False)
    session.set_session(isolation_level=level)
    with session.cursor() as cursor:
        cursor.execute("SELECT writable FROM ficus.fence WHERE grp = %s", (GROUP,))
        assert cursor.fetchone() == (True,)
        settle_with(stack, "legacy")
        with pytest.raises(Exception, match="fence|could not serialize"):
            cursor.execute("UPDATE crm.account SET description = 'too late' WHERE id = %s", (f"snapshot-{level[:3]}",))
            session.commit()
    session.close()
    assert stack.new("SELECT count(*) FROM crm.account WHERE description = 'too late'") == [(0,)]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_coordinator_is_taken_over(stack, step):
    """kill -9 of ficus sync once the step is on record: one side is writable at the end, and
    it is the owner's; a write made before is in both stores."""
    settle_with(stack, "legacy")
    key = f"kill-{step}"
    insert_direct(stack, "legacy", key)
    transfer = request(stack, "new", "cutover")
    wait_for(lambda: stack.new("SELECT 1 FROM ficus.transfer WHERE id = %s AND (outcome IS NOT NULL OR"
                               " steps @> jsonb_build_array(jsonb_build_object('step', %s::text)))",
                               (transfer, step)), f"step {step}", 30, interval=0.002)
    stack.sync.kill()
    both = fences(stack)
    assert not (both["legacy"] and both["new"]), "both sides are writable"
    stack.sync.start()
    wait_for(lambda: outcome(stack, transfer), "the take-over", 60)
    owner = stack.owner()
    assert outcome(stack, transfer) in ("done", "aborted")
    assert owner == ("new" if outcome(stack, transfer) == "done" else "legacy")
    assert fences(stack) == {"legacy": owner == "legacy", "new": owner == "new"}
    wait_for(lambda: stack.new("SELECT 1 FROM crm.account WHERE id = %s", (key,)), "the write", 30)


def test_an_abort_once_the_target_may_be_open_drains_its_way_back(stack):
    """kill -9 with "opening" on record, then an abort: what the target may have accepted meanwhile
    is in the legacy before that may be written again."""
    settle_with(stack, "legacy")
    transfer = request(stack, "new", "cutover")
    wait_for(lambda: stack.new("SELECT 1 FROM ficus.transfer WHERE id = %s AND steps @>"
                               " '[{\"step\": \"opening\"}]'", (transfer,)), "opening", 30, interval=0.001)
    stack.sync.kill()
    stack.new("UPDATE ficus.transfer SET options = options || '{\"abort\": true}' WHERE id = %s AND outcome IS NULL"
              " RETURNING id", (transfer,))
    flipped = stack.owner() == "new"
    accepted = fences(stack)["new"]
    if accepted:
        insert_direct(stack, "new", "accepted-in-between")
    stack.sync.start()
    wait_for(lambda: outcome(stack, transfer), "the abort", 60)
    assert outcome(stack, transfer) == ("done" if flipped else "aborted")
    assert fences(stack) == {"legacy": not flipped, "new": flipped}
    if accepted and not flipped:
        assert stack.old("SELECT name FROM accounts WHERE id = 'accepted-in-between'") in ([("direct",)], (("direct",),))


def test_an_abort_after_the_flip_comes_too_late(stack):
    """A coordinator was killed between the flip and the end, and then an abort was asked for: there is
    nothing left to give up, and the group must not be held for ever."""
    settle_with(stack, "new")
    stack.sync.stop()
    steps = json.dumps([{"step": s, "at_ms": 1, "epoch": 1} for s in STEPS[:5]])
    transfer = stack.new("INSERT INTO ficus.transfer (grp, target, kind, who, options, step, steps, epoch)"
                         " SELECT grp, 'new', 'cutover', 'test', '{\"force\": true, \"abort\": true}', 'flipping', %s,"
                         " epoch FROM ficus.owner WHERE grp = %s RETURNING id", (steps, GROUP))[0][0]
    stack.sync.start()
    wait_for(lambda: outcome(stack, transfer), "its end", 60)
    assert outcome(stack, transfer) == "done" and stack.owner() == "new"
    assert fences(stack) == {"legacy": False, "new": True}
    settle_with(stack, "legacy")


def test_a_request_for_an_unknown_group_is_refused_and_others_go_on(stack):
    settle_with(stack, "legacy")
    unknown = stack.new("INSERT INTO ficus.transfer (grp, target, kind, who) VALUES"
                        " ('nosuch', 'new', 'cutover', 'test') RETURNING id")[0][0]
    begun = stack.new("INSERT INTO ficus.transfer (grp, target, kind, who, step) VALUES"
                      " ('gone', 'new', 'cutover', 'test', 'sealing') RETURNING id")[0][0]
    wait_for(lambda: outcome(stack, unknown) == "refused", "the refusal", 30)
    settle_with(stack, "new")
    settle_with(stack, "legacy")
    assert outcome(stack, begun) == "", "what has begun is not for a stranger to end"
    stack.postgres.execute("DELETE FROM ficus.transfer WHERE id = %s", (begun,))


def rewind(stack, direction):
    """Every message of contacts is read again from its first, as after a restored position."""
    def position():
        if direction == "legacy":
            return stack.new("SELECT sum(next) FROM ficus.position WHERE stream = 'legacy.contact'")[0][0]
        return stack.old("SELECT sum(next) FROM ficus_position WHERE stream = 'new.contact'")[0][0]

    before, back = position(), "SET next = 0, term = 0, through = 0 WHERE stream ="
    stack.sync.stop()
    if direction == "legacy":
        stack.postgres.execute(f"UPDATE ficus.position {back} 'legacy.contact'")
    else:
        stack.legacy.execute(f"UPDATE ficus_position {back} 'new.contact'")
    stack.sync.start()
    wait_for(lambda: position() >= before, "the messages to be read again", 60)
    stack.wait_quiet()


def test_a_copy_into_the_owner_is_refused(stack):
    settle_with(stack, "new")
    stack.run("sync", "snapshot", "contact")
    told = wait_for(lambda: stack.new("SELECT error FROM ficus.snapshot WHERE entity = 'contact'"
                                      " AND state = 'failed'"), "the refusal", 30)
    assert "the new store owns group crm" in told[0][0]
    settle_with(stack, "legacy")
    stack.run("sync", "snapshot", "contact")
    wait_for(lambda: stack.new("SELECT 1 FROM ficus.snapshot WHERE entity = 'contact' AND state = 'done'"),
             "the copy", 60)


def wait_title(stack, key, title):
    def both():
        return {stack.old("SELECT title FROM contacts WHERE id = ?", (key,))[0][0],
                stack.new("SELECT title FROM crm.contact WHERE id = %s", (key,))[0][0]}
    wait_for(lambda: both() == {title}, f"both stores to hold {title!r}", 20)


def test_what_is_read_again_never_overwrites_a_store_that_is_being_given_back(stack):
    """The new store is sealed for a rollback that may yet be aborted: a legacy that has not taken
    the new store's last write sends its old row again, and that must not go over it."""
    settle_with(stack, "legacy")
    key = Form(stack.url()).set("Contacts", last_name="given back", title="by legacy")
    stack.wait_quiet()
    settle_with(stack, "new")
    stack.run("sync", "pause", "contact")
    wait_for(lambda: stack.new("SELECT bool_and(paused) FROM ficus.stream_state WHERE stream LIKE '%%.contact'")[0][0],
             "the pause", 20)
    stack.sync.stop()
    stack.postgres.execute("UPDATE crm.contact SET title = 'by new' WHERE id = %s", (key,))
    stack.postgres.execute("SELECT ficus.fence_set(%s, false, nextval('ficus.epoch'))", (GROUP,))
    stack.postgres.execute("UPDATE ficus.capture SET published = '0' WHERE side = 'legacy'")
    # Only the legacy's changes of contacts go on for now.
    stack.postgres.execute("UPDATE ficus.stream_state SET paused = false WHERE stream = 'legacy.contact'")
    stack.sync.start()
    stack.legacy.execute("INSERT INTO ficus_changelog (entity, k) VALUES ('', 'given-back')")
    wait_for(lambda: stack.new("SELECT 1 FROM ficus.marker WHERE marker = 'given-back' AND stream = 'legacy.contact'"
                               " HAVING count(*) = (SELECT count(*) FROM ficus.position"
                               " WHERE stream = 'legacy.contact')"), "all of the legacy's changes", 60)
    assert stack.old("SELECT title FROM contacts WHERE id = ?", (key,))[0][0] == "by legacy"
    assert stack.new("SELECT title FROM crm.contact WHERE id = %s", (key,))[0][0] == "by new"
    # The rollback is aborted: the new store goes on with what it had.
    stack.postgres.execute("SELECT ficus.fence_set(%s, true, nextval('ficus.epoch'))", (GROUP,))
    stack.postgres.execute("UPDATE ficus.owner SET epoch = (SELECT epoch FROM ficus.fence WHERE grp = %s)"
                           " WHERE grp = %s", (GROUP, GROUP))
    stack.run("sync", "resume", "contact")
    wait_title(stack, key, "by new")
    settle_with(stack, "legacy")
    stack.legacy.execute("UPDATE contacts SET title = 'by legacy again' WHERE id = '%s'" % key)
    wait_title(stack, key, "by legacy again")


def test_what_is_read_again_never_overwrites_the_owner(stack):
    """A sync that was killed reads and sends again what it had not written down yet. After a
    transfer the target has moved on; its newer rows must survive what comes late."""
    settle_with(stack, "legacy")
    form = Form(stack.url())
    key = form.set("Contacts", last_name="replayed", title="by legacy")
    stack.wait_quiet()
    settle_with(stack, "new")
    form.set("Contacts", id=key, title="by new")
    stack.wait_quiet()
    rewind(stack, "legacy")
    wait_title(stack, key, "by new")
    settle_with(stack, "legacy")
    form.set("Contacts", id=key, title="by legacy again")
    stack.wait_quiet()
    rewind(stack, "new")
    wait_title(stack, key, "by legacy again")
    assert stack.parked() == []


def test_a_change_that_is_read_with_the_opening_before_it_is_carried_over(stack):
    """The legacy is opened and written within one reading of the changelog: as the opening does
    it, in the transaction that makes the change visible."""
    settle_with(stack, "new")
    settle_with(stack, "legacy")
    before, now = (stack.new("SELECT nextval('ficus.epoch')")[0][0] for _ in range(2))
    stack.new("UPDATE ficus.fence SET opened = %s WHERE grp = %s RETURNING 1", (before, GROUP))
    statements = (f"UPDATE ficus_fence SET opened = {now} WHERE grp = '{GROUP}'",
                  f"INSERT INTO ficus_changelog (entity, k) VALUES ('', 'opened-{now}-{GROUP}')",
                  "INSERT INTO accounts (id, name, deleted) VALUES ('read-with-it', 'read with it', 0)")
    if stack.kind == "sqlite":
        stack.legacy.script(";\n".join(("BEGIN IMMEDIATE",) + statements + ("COMMIT",)) + ";")
    else:
        db = stack.legacy.connect(autocommit=False)
        with db.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        db.commit()
        db.close()
    wait_for(lambda: stack.new("SELECT 1 FROM crm.account WHERE id = 'read-with-it'"), "the change", 10)


def test_an_abort_gives_the_group_back(stack):
    """Draining cannot end while apply is stopped; the abort ends it and seals the other side."""
    settle_with(stack, "legacy")
    stack.sync.freeze()
    transfer = request(stack, "new", "cutover")
    stack.new("UPDATE ficus.transfer SET options = options || '{\"abort\": true}' WHERE id = %s RETURNING 1",
              (transfer,))
    stack.sync.thaw()
    wait_for(lambda: outcome(stack, transfer), "the abort", 60)
    assert outcome(stack, transfer) == "aborted"
    assert stack.owner() == "legacy" and fences(stack) == {"legacy": True, "new": False}
    insert_direct(stack, "legacy", "after-abort")


def test_a_second_transfer_is_refused_while_one_is_under_way(stack):
    settle_with(stack, "legacy")
    stack.sync.freeze()
    try:
        transfer = request(stack, "new", "cutover")
        with pytest.raises(Refused, match="under way"):
            stack.cutover(force=True)
    finally:
        stack.sync.thaw()
    wait_for(lambda: outcome(stack, transfer), "the first transfer", 60)


def test_generated_numbers_are_never_used_twice(stack):
    seen = {n for (n,) in stack.old("SELECT case_number FROM cases")}
    for round_, side in enumerate(("legacy", "new", "legacy", "new", "legacy")):
        settle_with(stack, side)
        key = f"case-{round_}"
        if side == "legacy":
            stack.legacy.execute("INSERT INTO cases (id, name, deleted) VALUES ('%s', 'n', 0)" % key)
            number = stack.old("SELECT case_number FROM cases WHERE id = ?", (key,))[0][0]
        else:
            stack.postgres.execute('INSERT INTO crm."case" (id, name, deleted) VALUES (%s, %s, false)', (key, "n"))
            number = stack.new('SELECT case_number FROM crm."case" WHERE id = %s', (key,))[0][0]
        assert number not in seen, f"case number {number} was handed out twice"
        seen.add(number)


def plant(stack, *statements):
    """Changes the legacy behind the back of its triggers, as a lost event would leave it."""
    if stack.kind == "sqlite":
        marks = ("INSERT OR REPLACE INTO ficus_session (one, origin) VALUES (1, 'planted')",
                 "DELETE FROM ficus_session")
        stack.legacy.script(";\n".join(("BEGIN IMMEDIATE", marks[0]) + statements + (marks[1], "COMMIT")) + ";")
        return
    db = stack.legacy.connect()
    with db.cursor() as cursor:
        mark = "SET ficus.origin = 'planted'" if stack.kind == "postgres" else "SET @ficus_origin = 'planted'"
        for statement in (mark,) + statements:
            cursor.execute(statement)
    db.close()


def check_files(page, junit, key):
    """The page needs nothing from elsewhere and says what differs; the XML is well-formed."""
    with open(page, encoding="utf-8") as f:
        text = f.read()
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))
    Reader().feed(text)
    inside = ("data:", "#")  # a page that opens offline points at nothing but itself
    assert not [t for t in tags if t[0] in ("script", "img", "iframe") or "src" in t[1]
                or not (t[1].get("href") or "#").startswith(inside)]
    assert "url(" not in text and "Not equal" in text and key in text and "lead.status" in text
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("failures") == "1" and suite.find("testcase/failure") is not None


def test_reconcile_finds_what_is_planted(stack):
    settle_with(stack, "legacy")
    stack.wait_quiet()
    assert stack.reconcile("lead")["equal"]
    a, b, c = (k for (k,) in stack.new("SELECT id FROM crm.lead WHERE status IS NOT NULL ORDER BY id LIMIT 3"))
    plant(stack, f"UPDATE leads SET last_name = CONCAT(last_name, ' ') WHERE id = '{a}'" if stack.kind == "mariadb"
          else f"UPDATE leads SET last_name = last_name || ' ' WHERE id = '{a}'",
          f"UPDATE leads SET status = NULL WHERE id = '{b}'", f"DELETE FROM leads WHERE id = '{c}'")
    page, junit = stack.work.path + "/report.html", stack.work.path + "/report.xml"
    report = stack.reconcile("lead", "--html", page, "--junit", junit)
    found = {(s["key"], s["field"] or s["kind"]) for s in report["entities"][0]["samples"]}
    assert not report["equal"]
    assert found == {(a, "last_name"), (b, "status"), (c, "missing_legacy")}
    check_files(page, junit, b)
    runs = json.loads(stack.run("reconcile", "history", "lead", "--json").stdout)
    assert int(runs[0]["run"]) == report["run"] and int(runs[0]["differ"]) == 3 and int(runs[1]["differ"]) == 0
    shown = json.loads(stack.run("reconcile", "show", "last", "--json").stdout)
    assert {(r["key"], r["field"] or r["kind"]) for r in shown} == found
    assert all("bytes)" in r["legacy"] for r in shown if r["field"] == "last_name"), "personal data in the open"
    # A change of the legacy carries each of them over again.
    for key in (a, b):
        stack.legacy.execute("UPDATE leads SET title = 'again' WHERE id = '%s'" % key)
    stack.legacy.execute("INSERT INTO leads (id, last_name, deleted) VALUES ('%s', 'again', 0)" % c)
    wait_for(lambda: stack.reconcile("lead")["equal"], "leads to be equal again", 60, interval=0.5)


def test_reconcile_reports_nothing_that_is_in_flight(stack):
    settle_with(stack, "legacy")
    stop = threading.Event()
    load = Workload(stack.legacy.connect, seed=5)
    writer = threading.Thread(target=load.run, kwargs={"steps": 100000, "stop": stop})
    writer.start()
    try:
        for _ in range(2):
            for entity in stack.reconcile("account", "contact", "account_contact")["entities"]:
                parked = stack.new("SELECT k FROM ficus.parked WHERE entity = %s", (entity["entity"],))
                real = [s for s in entity["samples"] if (s["key"],) not in parked]
                assert not real, json.dumps(real[:3])
    finally:
        stop.set()
        writer.join()
