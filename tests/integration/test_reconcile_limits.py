# SPDX-License-Identifier: Apache-2.0
"""ficus reconcile at its limits: values of 20 MB, more waiting rows than memory holds, slices that must be
right, and disks that are full for each kind of report."""
import json
import os
import subprocess

import pytest

from harness import wait_for
from harness.daemon import binary, environment
from loop import Loop
from test_reconcile_plans import hidden, run
from test_sync import Database

MB20 = 20 << 20
LOOSE = 100000  # rows; the half of them that waits does not fit in the pool's 8 MiB of memory


def entity(name, root, **fields):
    return {"entity": name, "plural": name + "s", "title": name, "key": {"fields": ["id"], "make": "uuid"},
            "legacy": {"root": root}, "new": {"root": "crm." + name},
            "fields": {"id": {"type": "id", "length": 36}, **fields}}


MAPS = (entity("doc", "docs", body={"type": "text"}),
        entity("loose", "looses", note={"type": "text", "length": 100}),
        dict(entity("visit", "visits", note={"type": "text", "length": 100},
                    modified={"type": "timestamp", "auto": "now"}, gone={"type": "boolean", "default": False}),
             deleted="gone"))
LEGACY = """
CREATE TABLE docs (id char(36) NOT NULL PRIMARY KEY, body longtext);
CREATE TABLE looses (id char(36) NOT NULL PRIMARY KEY, note varchar(100));
CREATE TABLE visits (id char(36) NOT NULL PRIMARY KEY, note varchar(100), modified datetime, gone tinyint(1));
"""
NEW = """
CREATE SCHEMA IF NOT EXISTS crm;
CREATE TABLE crm.doc (id text PRIMARY KEY, body text);
CREATE TABLE crm.loose (id text PRIMARY KEY, note text);
CREATE TABLE crm.visit (id text PRIMARY KEY, note text, modified timestamptz, gone boolean);
"""


@pytest.fixture(scope="module")
def world(session_work, mariadb, postgres, kafka):
    from harness import Workdir
    name = f"rl{os.getpid()}"
    with Workdir() as work:
        legacy = Database(mariadb, f"{name}_old")
        mariadb.script(LEGACY, database=legacy.name)
        loop = Loop(work, "mariadb", legacy, postgres, kafka, name, sync={"snapshot": "off"})
        for old in ("box", "thing", "pair"):
            os.unlink(os.path.join(work.path, f"maps/{old}.json"))
        for made in MAPS:
            work.file(f"maps/{made['entity']}.json", json.dumps(made))
        work.file("sql/0001_things.up.sql", NEW)
        work.file("sql/0001_things.down.sql", "DROP TABLE crm.doc; DROP TABLE crm.loose; DROP TABLE crm.visit;")
        loop.migrate()
        with loop.sync():
            yield loop
    postgres.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                     " WHERE slot_name = %s AND NOT active", (f"ficus_{name}_new",), database="postgres")
    postgres.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin"
                     " WHERE roname LIKE %s", (f"ficus_{name}_%",), database="postgres")


def quiet(loop, *statements):
    """Writes to the legacy that no changelog tells of: with the marks of an applier."""
    connection = loop.legacy.connect(autocommit=False)
    try:
        cursor = connection.cursor()
        cursor.execute("SET @ficus_origin = 'test'")
        for sql in statements:
            cursor.execute(sql)
        cursor.execute("SET @ficus_origin = NULL")
        connection.commit()
    finally:
        connection.close()


@pytest.mark.parametrize("plan", ["stream", "sketch", "pushdown"])
def test_values_of_20_mb(world, plan):
    """Equal is equal; one byte in the middle is one difference."""
    quiet(world, "DELETE FROM docs", "INSERT INTO docs VALUES ('small', 'x'), ('none', NULL)",
          f"INSERT INTO docs VALUES ('large', REPEAT('0123456789abcdef', {MB20 // 16}))")
    with hidden(world) as write:
        write("DELETE FROM crm.doc")
        write(f"INSERT INTO crm.doc VALUES ('small', 'x'), ('none', NULL), ('large', repeat('0123456789abcdef', {MB20 // 16}))")
    report = run(world, "doc", "--plan", plan, code=0)["entities"][0]
    assert report["plan"] == plan and report["rows_legacy"] == report["rows_new"] == 3
    with hidden(world) as write:
        write(f"UPDATE crm.doc SET body = overlay(body PLACING '!' FROM {MB20 // 2} FOR 1) WHERE id = 'large'")
    report = run(world, "doc", "--plan", plan, code=1)["entities"][0]
    assert [s["key"] for s in report["samples"]] == ["large"] and report["complete"]
    assert report["differences"] == 1 and len(report["samples"][0]["new"]) < 1000


def test_more_waiting_rows_than_memory(world):
    """Both sides in opposite orders and without an index: what waits goes to disk, and nothing is lost."""
    number = "SELECT {} FROM seq_1_to_" + str(LOOSE) + " ORDER BY seq"
    world.legacy.execute("ALTER TABLE looses DROP PRIMARY KEY")
    quiet(world, "INSERT INTO looses " + number.format("CONCAT('key-', LPAD(seq, 8, '0')), CONCAT('note ', seq)"))
    with hidden(world) as write:
        write(f"INSERT INTO crm.loose SELECT 'key-' || lpad(i::text, 8, '0'), 'note ' || i"
              f" FROM generate_series({LOOSE}, 1, -1) AS i")
        write("UPDATE crm.loose SET note = note || '.' WHERE id = 'key-00000007'")
        write("DELETE FROM crm.loose WHERE id = 'key-00050000'")
    words = ("loose", "--without-index", "--plan", "stream")
    report = run(world, *words, code=1)["entities"][0]
    assert {s["key"]: s["kind"] for s in report["samples"]} == {"key-00000007": "field", "key-00050000": "missing_new"}
    assert report["differences"] == 2 and report["complete"]
    assert report["rows_legacy"] == LOOSE and report["rows_new"] == LOOSE - 1
    # It did go to disk: on a full one the run ends, and is not taken for equal.
    done = subprocess.run(["prlimit", "--fsize=100000", binary(None), "reconcile", "-c", world.config, *words, "--json"],
                          env=environment(world.work, None), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode not in (0, 1) and "temporary file" in done.stderr and not done.stdout
    assert world.new("SELECT complete FROM ficus.reconcile_run ORDER BY id DESC LIMIT 1") == [(False,)]


@pytest.fixture
def visits(world):
    """Twenty old visits, ten of the last minutes, five that are soft-deleted; all equal."""
    old = [(f"old{i:02d}", "2024-01-01 00:00:00", 0) for i in range(20)]
    gone = [(f"gone{i}", "2024-01-01 00:00:00", 1) for i in range(5)]
    quiet(world, "DELETE FROM visits", *(f"INSERT INTO visits VALUES ('{k}', 'n', '{at}', {g})" for k, at, g in old + gone),
          *(f"INSERT INTO visits VALUES ('late{i}', 'n', UTC_TIMESTAMP() - INTERVAL {i} MINUTE, 0)" for i in range(10)))
    with hidden(world) as write:
        write("DELETE FROM crm.visit")
        for k, note, at, g in world.old("SELECT id, note, modified, gone FROM visits"):
            write("INSERT INTO crm.visit VALUES (%s, %s, %s::timestamp AT TIME ZONE 'UTC', %s)", (k, note, at, bool(g)))
    return world


def test_since(visits):
    """Recent rows, all of them and only them."""
    equal = run(visits, "visit", "--since", "1h", code=0)["entities"][0]
    assert equal["rows_legacy"] == equal["rows_new"] == 10 and not equal["full"]
    with hidden(visits) as write:
        write("UPDATE crm.visit SET note = 'other' WHERE id IN ('old03', 'late3')")
        write("DELETE FROM crm.visit WHERE id = 'late4'")
    found = run(visits, "visit", "--since", "1h", code=1)["entities"][0]
    assert {s["key"]: s["kind"] for s in found["samples"]} == {"late3": "field", "late4": "missing_new"}
    assert found["rows_legacy"] == 10 and found["rows_new"] == 9
    found = run(visits, "visit", "--since", "2024-01-01 00:00:00", code=1)["entities"][0]
    assert {s["key"] for s in found["samples"]} == {"old03", "late3", "late4"} and found["rows_legacy"] == 35


@pytest.mark.parametrize("plan", ["stream", "sketch", "pushdown"])
def test_skip_deleted(visits, plan):
    """A deleted row's fields do not count; that only one side has it deleted does."""
    with hidden(visits) as write:
        write("UPDATE crm.visit SET note = 'other' WHERE id = 'gone1'")
    skipping = run(visits, "visit", "--plan", plan, "--skip-deleted", code=0)["entities"][0]
    assert skipping["rows_legacy"] == skipping["rows_new"] == 30 and not skipping["full"]
    found = run(visits, "visit", "--plan", plan, code=1)["entities"][0]
    assert [s["key"] for s in found["samples"]] == ["gone1"] and found["rows_legacy"] == 35
    with hidden(visits) as write:
        write("UPDATE crm.visit SET gone = true WHERE id = 'late1'")
    found = run(visits, "visit", "--plan", plan, "--skip-deleted", code=1)["entities"][0]
    assert [s["key"] for s in found["samples"]] == ["late1"] and found["rows_new"] == 29


@pytest.mark.parametrize("kind", ["output", "junit", "html"])
@pytest.mark.parametrize("equal", [True, False])
def test_a_full_disk_for_each_report(visits, kind, equal):
    """Said so, nothing half under the report's name, and never "equal" by mistake."""
    if not equal:
        with hidden(visits) as write:
            write("UPDATE crm.visit SET note = 'other' WHERE id = 'old01'")
    file = os.path.join(visits.work.path, f"full.{kind}")
    done = subprocess.run(["prlimit", "--fsize=100", binary(None), "reconcile", "-c", visits.config, "visit",
                           f"--{kind}", file], env=environment(visits.work, None), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode not in (0, 1) and f"full.{kind}" in done.stderr
    assert not os.path.exists(file) and not os.path.exists(file + ".new")
    assert ("NOT proven equal" in done.stdout) != equal
    # An older report stays as it was.
    with open(file, "w", encoding="utf-8") as f:
        f.write("before")
    subprocess.run(["prlimit", "--fsize=100", binary(None), "reconcile", "-c", visits.config, "visit", f"--{kind}", file],
                   env=environment(visits.work, None), capture_output=True, timeout=60, check=False)
    with open(file, encoding="utf-8") as f:
        assert f.read() == "before"
    os.unlink(file)
    wait_for(lambda: visits.new("SELECT finished_at IS NOT NULL FROM ficus.reconcile_run ORDER BY id DESC LIMIT 1")
             == [(True,)], "the run's end on record", 10)
