# SPDX-License-Identifier: Apache-2.0
"""ficus reconcile over ranges: plans, orders, slices, resumption, receipts; on each legacy."""
import json
import subprocess

import pytest

from harness import wait_for
from harness.daemon import binary, environment
from loop import BOX, LEGACY_OF, PAIR, THING, Loop
from test_sync import Database

ROWS = 3000
ODD_BOX = dict(BOX, fields=dict(BOX["fields"], label={"type": "text", "length": 100, "nocase": True}))


@pytest.fixture(scope="module")
def unique_module():
    import os
    return f"rp{os.getpid()}"


@pytest.fixture(scope="module", params=["mariadb", "postgres", "sqlite"])
def world(request, session_work, postgres, kafka, unique_module):
    """Both stores filled and equal, `ficus sync` running."""
    from harness import Sqlite, Workdir
    name = f"{unique_module}_{request.param[:2]}"
    with Workdir() as work:
        if request.param == "sqlite":
            legacy = Sqlite(work)
            legacy.start()
            legacy.script(LEGACY_OF["sqlite"])
        else:
            server = request.getfixturevalue(request.param)
            legacy = Database(server, f"{name}_old")
            server.script(LEGACY_OF[request.param], database=legacy.name)
        loop = Loop(work, request.param, legacy, postgres, kafka, name)
        work.file("ficus.json", json.dumps(dict(loop._config(), reconcile={
            "receipt_key": "k1", "reveal": ["auditor"]})))
        loop.migrate()
        fill(loop)
        with loop.sync() as daemon:
            loop.daemon = daemon
            wait_for(lambda: loop.new("SELECT count(*) FROM ficus.snapshot WHERE state = 'done'")[0][0] == 3,
                     "the snapshots", 60)
            wait_for(lambda: loop.new("SELECT (SELECT count(*) FROM crm.box) + (SELECT count(*) FROM crm.pair)")[0][0]
                     == 2 * ROWS, "the rows", 60)
            loop.write_new("ANALYZE")
            yield loop
    postgres.drop_replication(name)


def key(i):
    """Keys that collations order differently: cases, hyphens, digits, letters."""
    return ("K-" if i % 3 else "k") + f"{i * 7919 % ROWS:05d}" + ("-x" if i % 2 else "_y")


def fill(loop):
    for at in range(0, ROWS, 500):
        values = ",".join(f"('{key(i)}', 'label {i}')" for i in range(at, at + 500))
        loop.legacy.execute(f"INSERT INTO boxes (id, label) VALUES {values}")
        values = ",".join(f"('{key(i)}', '{i % 7}', 'note {i}')" for i in range(at, at + 500))
        loop.legacy.execute(f"INSERT INTO pairs (left_id, right_id, note) VALUES {values}")


def run(loop, *words, code=None, env=None):
    done = loop.ficus("reconcile", *words, "--json", **({"env": env} if env else {}))
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def plans(loop):
    return ("stream", "sketch", "pushdown") if loop.dbms != "sqlite" else ("stream", "sketch")


def test_equal_by_either_plan(world):
    for plan in plans(world):
        report = run(world, "box", "pair", "--plan", plan, code=0)
        assert report["equal"] and report["full"] and report["complete"]
        for entity in report["entities"]:
            assert entity["plan"] == plan and entity["rows_legacy"] == entity["rows_new"] == ROWS


def test_pushdown_sends_little(world):
    if world.dbms == "sqlite":
        done = world.ficus("reconcile", "box", "--plan", "pushdown")
        assert done.returncode != 0 and "MD5" in done.stderr
        return
    data = run(world, "pair", "--plan", "stream", code=0)["entities"][0]["wire_bytes"]
    pushed = run(world, "pair", "--plan", "pushdown", code=0)["entities"][0]["wire_bytes"]
    assert 0 < pushed < data / 100


def test_explain_says_why(world):
    plan = json.loads(world.ficus("reconcile", "box", "thing", "--explain", "--json").stdout)
    assert [p["entity"] for p in plan] == ["box", "thing"] and all(p["why"] for p in plan)
    assert plan[0]["plan"] in ("stream", "sketch", "pushdown")
    assert world.new("SELECT count(*) FROM ficus.reconcile_range")[0][0] == 0


def test_every_kind_of_difference_is_found_by_either_plan(world):
    """Planted where no stream tells of it: on the new side with capture's eyes shut."""
    a, b, gone = key(10), key(11), key(12)
    changes = [("UPDATE crm.box SET label = label || ' ' WHERE id = %s", a),     # a trailing blank
               ("UPDATE crm.box SET label = '' WHERE id = %s", b),
               ("DELETE FROM crm.box WHERE id = %s", gone)]
    with hidden(world) as write:
        for sql, k in changes:
            write(sql, (k,))
    for plan in plans(world):
        entity = run(world, "box", "--plan", plan, code=1)["entities"][0]
        found = {s["key"]: s["kind"] for s in entity["samples"]}
        assert found == {a: "field", b: "field", gone: "missing_new"}, plan
        assert entity["differences"] == 3 and entity["complete"]
    mend(world, "box")


class hidden:
    """Writes to the new store that neither fence nor capture sees: as origin of the applier."""

    def __init__(self, loop):
        self.origin = f"ficus_{loop.prefix}_hidden"
        self.connection = loop.postgres.connect(database=loop.database, autocommit=False)

    def __enter__(self):
        cursor = self.connection.cursor()
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SELECT pg_replication_origin_create(%s) WHERE pg_replication_origin_oid(%s) IS NULL",
                       (self.origin, self.origin))
        cursor.execute("SELECT pg_replication_origin_session_setup(%s)", (self.origin,))
        return cursor.execute

    def __exit__(self, *exc):
        self.connection.commit()
        cursor = self.connection.cursor()  # before the next one: a closed session ends when it likes
        cursor.execute("SELECT pg_replication_origin_session_reset()")
        self.connection.commit()
        self.connection.close()


def mend(loop, entity):
    report = run(loop, entity, "--repair", code=0)
    assert report["repair"]["mended"] == report["repair"]["found"] > 0
    assert run(loop, entity, code=0)["equal"]
    return report


def test_a_swapped_pair_and_one_byte(world):
    a, b, c = key(20), key(21), key(22)
    with hidden(world) as write:
        write("UPDATE crm.pair SET note = CASE left_id WHEN %s THEN 'note 21' ELSE 'note 20' END"
              " WHERE left_id IN (%s, %s)", (a, a, b))
        write("UPDATE crm.pair SET note = 'nose 22' WHERE left_id = %s", (c,))
    for plan in plans(world):
        samples = run(world, "pair", "--plan", plan, code=1)["entities"][0]["samples"]
        assert sorted(s["key"].split("\x1f")[0] if "\x1f" in s["key"] else s["key"] for s in samples) \
            and len(samples) == 3, samples
    dry = run(world, "pair", "--repair", "--dry-run", code=1)
    assert dry["repair"]["found"] == 3 and dry["repair"]["written"] == 0
    some = run(world, "pair", "--repair", "--limit", "1", code=1)["repair"]
    assert some["written"] == 1 and some["skipped"] == 2 and some["mended"] == 1
    report = mend(world, "pair")
    assert report["repair"]["written"] == 2
    receipt = world.new("SELECT toward, state, receipt FROM ficus.repair ORDER BY id DESC LIMIT 1")[0]
    assert receipt[:2] == ("other", "done") and receipt[2]["mended"] == 2


def test_slices(world):
    report = run(world, "box", "--where", "label=label 5", code=0)
    assert not report["full"] and report["entities"][0]["rows_legacy"] == 1
    some = run(world, "pair", "--from", "K-01000", "--to", "K-01100", code=0)["entities"][0]
    assert 0 < some["rows_legacy"] < 500 and not some["full"]
    for words in (("--where", "nothing=1"), ("--where", "label~1"), ("--since", "1h")):
        done = world.ficus("reconcile", "box", *words)
        assert done.returncode not in (0, 1) and "box" in done.stderr, done.stderr


def test_changed_keys_only(world):
    run(world, "box", "pair", code=0)
    world.legacy.execute("UPDATE boxes SET label = 'new 1' WHERE id = ?", (key(30),))
    report = run(world, "box", "--changed", code=0)
    entity = report["entities"][0]
    assert report["full"] and 1 <= entity["rows_legacy"] < 100
    with hidden(world) as write:
        write("UPDATE crm.box SET label = 'other' WHERE id = %s", (key(31),))
    world.legacy.execute("UPDATE boxes SET label = 'new 2' WHERE id = ?", (key(32),))
    wait_for(lambda: world.new("SELECT label FROM crm.box WHERE id = %s", (key(32),))[0][0] == "new 2",
             "the change", 20)
    assert run(world, "box", "--changed", code=0)["equal"]  # nothing told of key 31
    assert run(world, "box", code=1)["entities"][0]["differences"] == 1
    done = world.ficus("reconcile", "box", "--changed")
    assert done.returncode == 0, done.stderr  # from the last *clean* run
    mend(world, "box")


def test_receipt(world):
    report = run(world, "box", "pair", code=0)
    receipt = report["receipt"]
    assert receipt["signature"] and receipt["positions"]["streams"]["legacy.box"]
    file = world.work.file("receipt.json", json.dumps(receipt))
    assert world.ficus("reconcile", "verify", file).returncode == 0
    assert world.ficus("reconcile", "verify", "last").returncode == 0
    forged = dict(receipt, equal=False)
    assert world.ficus("reconcile", "verify", world.work.file("f.json", json.dumps(forged))).returncode == 1
    unsigned = dict(receipt, signature="")
    assert world.ficus("reconcile", "verify", world.work.file("u.json", json.dumps(unsigned))).returncode == 1


def test_toward_the_owner_needs_consent(world):
    k = key(40)
    with hidden(world) as write:
        write("UPDATE crm.box SET label = 'better' WHERE id = %s", (k,))
    asked = world.ficus("reconcile", "box", "--repair", "--toward-owner", env={"FICUS_USER": "ann"})
    assert asked.returncode == 1 and "consent" in asked.stderr
    request = str(world.new("SELECT max(id) FROM ficus.repair")[0][0])
    assert world.ficus("reconcile", "approve", request, env={"FICUS_USER": "ann"}).returncode == 1
    early = world.ficus("reconcile", "box", "--repair", "--toward-owner", "--approval", request)
    assert early.returncode == 1
    assert world.old("SELECT label FROM boxes WHERE id = ?", (k,))[0][0] == "label 40"
    assert world.ficus("reconcile", "approve", request, env={"FICUS_USER": "bob"}).returncode == 0
    report = run(world, "box", "--repair", "--toward-owner", "--approval", request, code=0,
                 env={"FICUS_USER": "ann"})
    assert report["repair"]["mended"] == 1
    assert world.old("SELECT label FROM boxes WHERE id = ?", (k,))[0][0] == "better"
    assert world.ficus("reconcile", "box", "--repair", "--toward-owner", "--approval", request).returncode == 1


def test_history_and_comparison(world):
    run(world, "box", code=0)
    with hidden(world) as write:
        write("UPDATE crm.box SET label = 'x' WHERE id = %s", (key(50),))
    run(world, "box", code=1)
    runs = json.loads(world.ficus("reconcile", "history", "box", "--json").stdout)
    second, first = str(runs[0]["RUN" if "RUN" in runs[0] else "run"]), str(runs[1]["RUN" if "RUN" in runs[1] else "run"])
    done = world.ficus("reconcile", "compare", first, second)
    assert done.returncode == 1 and "label" in done.stdout
    assert world.ficus("reconcile", "compare", second, first).returncode == 0
    mend(world, "box")


SLOW = ("box", "--jobs", "1", "--range-rows", "200", "--rows-per-s", "400", "--plan", "stream")


def start_slow(loop, plan="stream"):
    """A run of some fifteen ranges that takes seconds; returns when a few are through."""
    child = subprocess.Popen([binary(None), "reconcile", "-c", loop.config, *SLOW[:-1], plan, "--json"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment(loop.work, None))
    wait_for(lambda: loop.new("SELECT count(*) FROM ficus.reconcile_range WHERE done")[0][0] >= 2, "two ranges", 30)
    return child


def resumed(loop):
    report = run(loop, *SLOW[:5], "--plan", "stream", "--resume", code=0)
    entity = report["entities"][0]
    assert report["equal"] and report["complete"] and entity["ranges_resumed"] >= 2
    assert entity["rows_legacy"] >= ROWS and entity["rows_new"] >= ROWS
    assert loop.new("SELECT count(*) FROM ficus.reconcile_range")[0][0] == 0
    return report


def test_goes_on_after_kill_9(world):
    child = start_slow(world)
    child.kill()
    child.communicate()
    report = resumed(world)
    assert world.new("SELECT max(id) FROM ficus.reconcile_run")[0][0] == report["run"]
    assert "no unfinished run" in world.ficus("reconcile", "box", "--resume").stderr


def test_a_sketch_goes_on_after_kill_9(world):
    """Ranges that are done, and the sketch that holds their rows, are kept together."""
    with hidden(world) as write:
        write("UPDATE crm.box SET label = label || '.' WHERE id IN (%s, %s)", (key(60), key(61)))
    child = start_slow(world, "sketch")
    child.kill()
    child.communicate()
    assert world.new("SELECT count(*) FROM ficus.reconcile_sketch")[0][0] == 1
    entity = run(world, *SLOW[:5], "--plan", "sketch", "--resume", code=1)["entities"][0]
    assert entity["ranges_resumed"] >= 2 and entity["plan"] == "sketch" and entity["complete"]
    assert {s["key"] for s in entity["samples"]} == {key(60), key(61)} and entity["differences"] == 2
    assert entity["rows_legacy"] == entity["rows_new"] == ROWS
    assert world.new("SELECT count(*) FROM ficus.reconcile_sketch")[0][0] == 0
    mend(world, "box")


def packed(loop):
    """The heap without room in its pages; their number."""
    loop.write_new("VACUUM FULL crm.box")
    loop.write_new("VACUUM ANALYZE crm.box")
    return loop.new("SELECT pg_relation_size('crm.box') / 8192")[0][0]


MOVE = """DO $$ BEGIN
    FOR i IN 1 .. 5000 LOOP
        UPDATE crm.box SET label = label WHERE id = 'alone';
        EXIT WHEN (SELECT ctid < '(1,0)'::tid FROM crm.box WHERE id = 'alone');
    END LOOP;
END $$"""


def test_a_row_that_moves_in_the_heap_is_not_passed_over(world):
    """Only the new side has it. It leaves the end of the heap for a page that was read before."""
    assert packed(world) > 4
    gone = world.new("SELECT id, label FROM crm.box WHERE ctid < '(1,0)'::tid")
    with hidden(world) as write:
        write("INSERT INTO crm.box (id, label) VALUES ('alone', 'nobody else')")
        write("DELETE FROM crm.box WHERE ctid < '(1,0)'::tid")
    world.write_new("VACUUM crm.box")
    child = start_slow(world, "sketch")
    with hidden(world) as write:
        write(MOVE)
    assert world.new("SELECT ctid < '(1,0)'::tid FROM crm.box WHERE id = 'alone'") == [(True,)]
    out, errors = child.communicate(timeout=60)
    with hidden(world) as write:
        write("DELETE FROM crm.box WHERE id = 'alone'")
        for row in gone:
            write("INSERT INTO crm.box (id, label) VALUES (%s, %s)", row)
    assert child.returncode == 1, errors
    entity = json.loads(out)["entities"][0]
    assert entity["plan"] == "sketch" and entity["complete"]
    assert {s["key"] for s in entity["samples"]} == {"alone"} | {k for k, _ in gone}
    assert run(world, "box", code=0)["equal"]


def test_a_heap_that_is_rewritten_is_streamed(world):
    packed(world)
    child = start_slow(world, "sketch")
    world.write_new("VACUUM FULL crm.box")
    out, errors = child.communicate(timeout=90)
    assert child.returncode == 0, errors
    entity = json.loads(out)["entities"][0]
    assert entity["plan"] == "stream" and "rewritten" in entity["why"] and entity["complete"]
    assert entity["rows_legacy"] == entity["rows_new"] == ROWS


def test_rows_of_a_table_that_inherits_are_compared(world):
    """They are the parent's to whoever reads it, and lie in pages of another heap: no sketch."""
    world.write_new("CREATE TABLE crm.box_more () INHERITS (crm.box)")
    try:
        with hidden(world) as write:
            write("INSERT INTO crm.box_more (id, label) SELECT 'more' || g, repeat('x', 90) FROM generate_series(1, 9000) g")
        world.write_new("ANALYZE")
        done = world.ficus("reconcile", "box", "--plan", "sketch", "--json")
        assert done.stdout == "" and "inherit" in done.stderr
        entity = run(world, "box", code=1)["entities"][0]
        assert entity["plan"] != "sketch" and entity["differences"] == 9000
        assert entity["rows_new"] == ROWS + 9000
    finally:
        world.write_new("DROP TABLE crm.box_more; ANALYZE")
    assert run(world, "box", code=0)["equal"]


def test_more_than_a_sketch_can_tell(world):
    with hidden(world) as write:
        write("UPDATE crm.box SET label = label || '!'")
    entity = run(world, "box", "--plan", "sketch", code=1)["entities"][0]
    assert entity["plan"] == "stream" and "sketch" in entity["why"]
    assert entity["differences"] == ROWS and entity["complete"]
    assert entity["rows_legacy"] == entity["rows_new"] == ROWS
    with hidden(world) as write:
        write("UPDATE crm.box SET label = left(label, -1)")
    assert run(world, "box", "--plan", "sketch", code=0)["entities"][0]["plan"] == "sketch"
    done = world.ficus("reconcile", "box", "--plan", "sketch", "--from", "K")
    assert done.returncode != 0 and "slice" in done.stderr


def test_a_side_that_dies_in_mid_run(world):
    child = start_slow(world)
    world.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                           " AND application_name = 'ficus reconcile'", (world.database,), database="postgres")
    out, errors = child.communicate(timeout=60)
    assert child.returncode not in (0, 1) and not out and errors
    assert world.new("SELECT complete FROM ficus.reconcile_run ORDER BY id DESC LIMIT 1") == [(False,)]
    resumed(world)


def test_ddl_in_mid_run(world):
    child = start_slow(world)
    world.write_new("ALTER TABLE crm.box RENAME COLUMN label TO tag")
    out, errors = child.communicate(timeout=60)
    world.write_new("ALTER TABLE crm.box RENAME COLUMN tag TO label")
    assert child.returncode not in (0, 1) and not out and "label" in errors, errors
    resumed(world)
