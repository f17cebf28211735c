# SPDX-License-Identifier: Apache-2.0
"""Capture by a timestamp or version column, without triggers: what it sees, what the sweep sees for it, and
what it cannot do."""
import copy
import json

import pytest

from harness import wait_for
from loop import LEGACY_OF, THING, Loop
from test_sync import copied, legacy_database, parked

CAPTURE = {"timestamp": {"by": "column", "column": "made", "overlap": 600},
           "version": {"by": "column", "column": "n", "kind": "version", "overlap": 100}}


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def world(request, work, postgres, kafka, unique):
    """Makes a loop whose things have no triggers."""
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY_OF["sqlite"])
    else:
        legacy = legacy_database(request, request.param, unique)

    def make(kind, **sync):
        made = Loop(work, request.param, legacy, postgres, kafka, unique, sync={"column_poll_ms": 50, **sync})
        thing = copy.deepcopy(THING)
        thing["legacy"]["capture"] = CAPTURE[kind]
        work.file("maps/thing.json", json.dumps(thing))
        work.file("routes.json", json.dumps({"groups": {"all": {"entities": ["box", "thing", "pair"]}}, "routes": {},
                                             "mounts": []}))
        made.migrate()
        return made
    return make


def names(loop):
    return {r[0]: r[1] for r in loop.new_things()}


def insert(loop, key, made, name="x"):
    loop.legacy.execute("INSERT INTO things (id, name, n, made) VALUES (?, ?, 1, ?)", (key, name, made))


def triggers(loop):
    sql = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
           "mariadb": "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
           "postgres": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"}[loop.dbms]
    return [r[0] for r in loop.old(sql)]


def test_a_timestamp_column_without_triggers(world):
    loop = world("timestamp")
    insert(loop, "old", "2024-01-01 00:00:00")
    assert not [t for t in triggers(loop) if "thing" in t]
    with loop.sync():
        copied(loop)
        wait_for(lambda: "old" in names(loop), "the copy")
        insert(loop, "first", "2024-01-01 12:00:00")
        wait_for(lambda: "first" in names(loop), "a newer value")
        insert(loop, "late", "2024-01-01 11:55:00")  # committed five minutes after a younger one
        wait_for(lambda: "late" in names(loop), "a late commit within the overlap")
        # More rows of one timestamp than two pages hold, in one transaction.
        rows = ", ".join(f"('many{i:04}', 'x', 1, '2024-01-01 12:30:00')" for i in range(1200))
        loop.legacy.execute(f"INSERT INTO things (id, name, n, made) VALUES {rows}")
        wait_for(lambda: len(names(loop)) == 1203, "all of one timestamp")
        loop.legacy.execute("UPDATE things SET name = 'changed', made = '2024-01-01 12:30:01' WHERE id = 'old'")
        wait_for(lambda: names(loop)["old"] == "changed", "an update")
        insert(loop, "future", "2999-01-01 00:00:00")  # told, and the mark stays where it is
        insert(loop, "after", "2024-01-01 12:31:00")
        wait_for(lambda: {"future", "after"} <= set(names(loop)), "what comes behind a future value")
        told = loop.new("SELECT told FROM ficus.capture_column")[0][0]
        assert told <= 1210  # each once: what was told within the overlap is remembered
        assert parked(loop) == []
    with loop.sync(name="again"):
        insert(loop, "later", "2024-01-01 12:40:00")
        wait_for(lambda: "later" in names(loop), "what came after a restart")


def test_what_the_column_does_not_tell_the_sweep_finds(world):
    loop = world("timestamp", sweep_rows=100000, sweep_share=100)
    for i in range(5):
        insert(loop, f"t{i}", "2024-01-01 12:00:00")
    with loop.sync():
        copied(loop)
        wait_for(lambda: len(names(loop)) == 5, "the copy")
        loop.legacy.execute("DELETE FROM things WHERE id = 't1'")
        loop.legacy.execute("UPDATE things SET name = 'silent' WHERE id = 't2'")
        insert(loop, "very-late", "2023-06-01 00:00:00")
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('null', 'no timestamp')")
        loop.wait_equal()
        assert loop.new("SELECT found FROM ficus.sweep WHERE entity = 'thing'")[0][0] >= 4


def test_a_version_column_and_what_check_says(world):
    loop = world("version")
    said = loop.ficus("check")
    assert said.returncode == 0
    assert "thing: captured by column n: a write that sets it is seen within 50 ms" in said.stderr
    assert "100 numbers later" in said.stderr and "cannot move" in said.stderr
    with loop.sync():
        copied(loop)
        for key, n in (("a", 1000), ("b", 1001), ("late", 950)):
            loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'x', ?)", (key, n))
            wait_for(lambda k=key: k in names(loop), key)
        loop.legacy.execute("UPDATE things SET name = 'y', n = 1002 WHERE id = 'a'")
        wait_for(lambda: names(loop)["a"] == "y", "an update")
        guards = json.loads(loop.ficus("cutover", "all", "--dry-run", "--json").stdout)["guards"]
        fence = next(g for g in guards if g["name"] == "fence")
        assert not fence["passed"] and "without triggers" in fence["figure"]
