# SPDX-License-Identifier: Apache-2.0
"""The sweep finds what no trigger saw, in one pass, and nothing else."""
import threading

import pytest

from harness import wait_for
from loop import LEGACY_OF, Loop
from test_sync import copied, legacy_database, parked


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def loop(request, work, postgres, kafka, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY_OF["sqlite"])
    else:
        legacy = legacy_database(request, request.param, unique)
    made = Loop(work, request.param, legacy, postgres, kafka, unique,
                sync={"sweep_rows": 100000, "sweep_share": 100})
    made.migrate()
    return made


def untold(loop, *statements):
    """Writes that the triggers do not log, in one transaction."""
    db = loop.legacy.connect()
    before, after = {
        "sqlite": (["BEGIN IMMEDIATE", "INSERT OR REPLACE INTO ficus_session (one, origin) VALUES (1, 'bulk')"],
                   ["DELETE FROM ficus_session", "COMMIT"]),
        "mariadb": (["SET @ficus_origin = 'bulk'"], []),
        "postgres": (["BEGIN", "ALTER TABLE things DISABLE TRIGGER USER"],
                     ["ALTER TABLE things ENABLE ALWAYS TRIGGER ficus_thing_0_r",
                      "ALTER TABLE things ENABLE ALWAYS TRIGGER ficus_thing_0_t", "COMMIT"]),
    }[loop.dbms]
    for statement in before + list(statements) + after:
        db.cursor().execute(statement)
    db.close()


def swept(loop):
    """(full passes, found) over all entities."""
    return loop.new("SELECT coalesce(min(passes), 0), coalesce(sum(found), 0) FROM ficus.sweep")[0]


def two_passes(loop):
    """One of them began after this was called."""
    at = swept(loop)[0]
    wait_for(lambda: swept(loop)[0] >= at + 2 and loop.new("SELECT count(*) FROM ficus.sweep")[0][0] == 3,
             "two passes of the sweep", 60)


def test_the_sweep_finds_what_no_trigger_saw(loop):
    for i in range(450):  # more than two chunks
        loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'there', ?)", (f"t{i:03}", i))
    with loop.sync():
        copied(loop)
        loop.wait_equal()
        two_passes(loop)
        assert swept(loop)[1] == 0
        untold(loop, "INSERT INTO things (id, name) VALUES ('bulk', 'loaded')",
               "UPDATE things SET name = 'changed' WHERE id = 't200'", "DELETE FROM things WHERE id = 't449'")
        two_passes(loop)
        loop.wait_equal()
        assert swept(loop)[1] == 3
        assert {r[0]: r[1] for r in loop.new_things()}["t200"] == "changed"
        assert parked(loop) == []
        status = loop.ficus("status")
        assert "SWEEP" in status.stdout


def test_the_sweep_takes_nothing_in_flight_for_missed(loop):
    for i in range(300):
        loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'there', 0)", (f"t{i:03}",))
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            loop.legacy.execute("UPDATE things SET n = ? WHERE id = ?", (n, f"t{n % 300:03}"))
            loop.legacy.execute("DELETE FROM pairs WHERE left_id = ?", (f"p{n % 7}",))
            loop.legacy.execute("INSERT INTO pairs (left_id, right_id) VALUES (?, 'r')", (f"p{n % 7}",))

    with loop.sync():
        copied(loop)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            two_passes(loop)
            two_passes(loop)
        finally:
            stop.set()
            writer.join()
        loop.wait_equal()
        assert swept(loop)[1] == 0


def test_cascades_and_truncate_are_found(loop):
    """MariaDB fires no trigger for either; PostgreSQL and SQLite fire them for cascades, PostgreSQL for TRUNCATE."""
    if loop.dbms != "sqlite":
        loop.legacy.execute("ALTER TABLE pairs ADD CONSTRAINT of_box FOREIGN KEY (left_id) REFERENCES boxes (id)"
                            " ON DELETE CASCADE")
    for key in ("b1", "b2"):
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES (?, 'x')", (key,))
        loop.legacy.execute("INSERT INTO pairs (left_id, right_id) VALUES (?, 'r')", (key,))
        loop.legacy.execute("INSERT INTO things (id, name, box_id) VALUES (?, 'x', ?)", (f"t-{key}", key))
    with loop.sync():
        copied(loop)
        loop.wait_equal()
        if loop.dbms == "sqlite":
            loop.legacy.execute("DELETE FROM pairs WHERE left_id = 'b1'")
            loop.legacy.execute("DELETE FROM things")
        else:
            loop.legacy.execute("TRUNCATE TABLE things")
        wait_for(lambda: loop.new_things() == [], "what was truncated")
        loop.legacy.execute("DELETE FROM boxes WHERE id = 'b1'")
        loop.wait_equal()
        assert loop.new("SELECT left_id FROM crm.pair") == [("b2",)]
        assert swept(loop)[1] == (3 if loop.dbms == "mariadb" else 0)
