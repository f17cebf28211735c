# SPDX-License-Identifier: Apache-2.0
"""A snapshot leaves room: for the source it reads, and for the changes whose stream it shares."""
import json

import pytest

from harness import Proxy, wait_for
from loop import LEGACY, LEGACY_OF, Loop
from test_sync import Database, copied, parked

ROWS = 2000


def fill(loop):
    db = loop.legacy.connect()
    mark = "?" if loop.dbms == "sqlite" else "%s"
    cur = db.cursor()
    cur.execute("BEGIN")
    cur.executemany(f"INSERT INTO things (id, name, n) VALUES ({mark}, 'x', {mark})",
                    [(f"t{i:05}", i) for i in range(ROWS)])
    cur.execute("DELETE FROM ficus_changelog")  # only a snapshot can find them
    cur.execute("COMMIT")
    db.close()


def snapshot(loop):
    """rows, rest_ms, waits of the copy of things, and what the status says."""
    row = loop.new("SELECT rows, rest_ms, waits FROM ficus.snapshot WHERE entity = 'thing'")[0]
    status = json.loads(loop.ficus("status", "--json").stdout)
    return (*row, {s["entity"]: s["rests"] for s in status["snapshots"]}["thing"])


def test_a_copy_waits_for_its_stream(work, sqlite, postgres, kafka, unique):
    """Nobody applies: the copy stops at the bound, and what stands before it is not much."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique, sync={"snapshot_lag": 200, "batch_max": 50})
    loop.migrate()
    with loop.sync(name="before"):  # makes the slot, which would wait for the lock's transaction
        copied(loop)
    fill(loop)
    assert loop.ficus("sync", "snapshot", "thing").returncode == 0
    lock = postgres.connect(unique, autocommit=False)
    lock.cursor().execute("LOCK TABLE crm.thing IN ACCESS EXCLUSIVE MODE")
    with loop.sync():
        wait_for(lambda: loop.new("SELECT waits FROM ficus.snapshot WHERE entity = 'thing'") == [(True,)], "the wait")
        rows, _, _, said = snapshot(loop)
        assert said == "waits for the stream"
        assert 0 < rows
        lock.rollback()
        lock.close()
        copied(loop)
        loop.wait_equal()
        assert snapshot(loop)[2] is False
        assert parked(loop) == []


@pytest.mark.parametrize("how", [(), ("--direct",)], ids=["stream", "direct"])
def test_a_slow_legacy_is_given_as_much_rest(work, mariadb, postgres, kafka, unique, how):
    """Each answer takes 20 ms more: so much longer are the rests, at half of its time."""
    legacy = Database(mariadb, f"{unique}_old")
    mariadb.script(LEGACY_OF["mariadb"], database=legacy.name)
    with Proxy(mariadb.port) as slow:
        loop = Loop(work, "mariadb", legacy, postgres, kafka, unique,
                    odbc=mariadb.odbc(database=legacy.name, port=slow.port),
                    sync={"snapshot": "off", "snapshot_share": 50, "batch_max": 100, "copy_connections": 1})
        loop.migrate()
        fill(loop)
        rests = []
        with loop.sync():
            for delay in (0, 0.02):
                slow.delay(delay)
                assert loop.ficus("sync", "snapshot", "thing", *how).returncode == 0
                wait_for(lambda: loop.new("SELECT state, rows FROM ficus.snapshot WHERE entity = 'thing'")
                         == [("done", ROWS)], "the copy", 60)
                rests.append(snapshot(loop)[1])
            slow.delay(0)
            loop.wait_equal()
        chunks = ROWS // 100 if not how else 1
        assert rests[1] >= rests[0] + chunks * 20, rests
