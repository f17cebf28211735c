# SPDX-License-Identifier: Apache-2.0
"""ficus sync snapshot --direct, and slices of a snapshot: under writes, with dirt, killed half-way."""
import json
import threading
from random import Random

import pytest

from harness import wait_for
from loop import LEGACY, Loop
from test_sync import Database

ROWS = 12000


@pytest.fixture(params=["sqlite", "mariadb"])
def loop(request, work, postgres, kafka, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY)
    else:
        server = request.getfixturevalue("mariadb")
        legacy = Database(server, unique)
        server.script(LEGACY, database=unique)
    made = Loop(work, request.param, legacy, postgres, kafka, unique, sync={"snapshot": "off"})
    made.migrate()
    return made


def fill(loop, n=ROWS):
    db = loop.legacy.connect()
    mark = "?" if loop.dbms == "sqlite" else "%s"
    cursor = db.cursor()
    cursor.executemany(f"INSERT INTO things (id, name, n, price, day) VALUES ({','.join([mark] * 5)})",
                       [(f"k{i:06}", f"Name\t{i}\\", i, f"{i}.25", "2024-02-29") for i in range(n)])
    cursor.executemany(f"INSERT INTO things_more (id_c, color_c) VALUES ({mark}, {mark})",
                       [(f"k{i:06}", "red" if i % 3 else None) for i in range(0, n, 2)])
    cursor.execute("DELETE FROM ficus_changelog")  # as if the rows were there before the triggers
    db.commit()
    db.close()


def copy(loop, *words):
    done = loop.ficus("sync", "snapshot", *words)
    assert done.returncode == 0, done.stderr


def state(loop, entity="thing"):
    return loop.new("SELECT state, coalesce(error, '') FROM ficus.snapshot WHERE entity = %s", (entity,))[0]


def wait_copied(loop, entity="thing"):
    def done():
        now = state(loop, entity)
        assert now[0] != "failed", now
        return now[0] == "done"
    wait_for(done, "the copy", 60)


def paused(loop):
    return loop.new("SELECT stream FROM ficus.stream_state WHERE paused")


class Writers:
    """Sessions that change, delete, insert again what is being copied."""

    def __init__(self, loop, n=3):
        self.loop, self.stop, self.failed = loop, threading.Event(), []
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(n)]

    def _run(self, seed):
        random = Random(seed)
        try:
            for i in range(200):
                if self.stop.is_set():
                    return
                key = f"k{random.randrange(ROWS):06}"
                what = random.randrange(4)
                if what == 0:
                    self.loop.legacy.execute("DELETE FROM things WHERE id = ?", (key,))
                elif what == 1:
                    self.loop.legacy.execute("DELETE FROM things WHERE id = ?", (key,))
                    self.loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, ?, ?)", (key, "again", i))
                else:
                    self.loop.legacy.execute("UPDATE things SET name = ? WHERE id = ?", (f"w{seed}.{i}", key))
        except Exception as error:  # pylint: disable=broad-except
            self.failed.append(error)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.failed or exc[0], self.failed


def test_direct_copy_under_writes_and_a_kill(loop):
    fill(loop)
    daemon = loop.sync(variant="hooks", env={"FICUS_FAILPOINT": "copied:3"}, name="first")
    writers = Writers(loop, 1 if loop.dbms == "sqlite" else 3)
    daemon.start()
    with writers:
        copy(loop, "thing", "--direct")
        wait_for(lambda: daemon.process.status is not None, "the failpoint in mid-copy", 60)
        assert paused(loop) == [("legacy.thing",)]
        with loop.sync(name="second"):
            wait_copied(loop)
            for t in writers.threads:
                t.join()
            loop.wait_equal(60)
            assert not paused(loop)
            assert not loop.new("SELECT 1 FROM ficus.copy_left")
            assert not json.loads(loop.ficus("parked", "list", "--json").stdout)
            # none of it comes back from the new side
            assert not loop.new("SELECT 1 FROM ficus.stream_state WHERE stream = 'new.thing' AND captured > 0")


def test_rows_that_cannot_be_copied_go_through_the_stream(loop):
    fill(loop, 3000)
    loop.legacy.execute("UPDATE things SET name = ? WHERE id = 'k000007'", ("x" * 150,))  # longer than the map's 100
    loop.legacy.execute("UPDATE things SET box_id = 'no such box' WHERE id = 'k000009'")  # a foreign key's fault
    loop.legacy.execute("UPDATE things SET n = -1 WHERE id = 'k002900'")  # a CHECK of the new store
    with loop.sync(allow=["left to the stream", "parked"]):
        copy(loop, "thing", "--direct")
        wait_copied(loop)
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.thing")[0][0] == 2997, "all but three rows", 60)
        wait_for(lambda: len(loop.new("SELECT DISTINCT k FROM ficus.parked")) == 3, "three parked rows", 60)
        assert set(loop.new("SELECT k, reason FROM ficus.parked WHERE reason <> 'behind'")) == {
            ("k000007", "type"), ("k000009", "waits"), ("k002900", "constraint")}
        assert not paused(loop)


def test_into_a_table_with_rows(loop):
    fill(loop, 2000)
    loop.write_new("INSERT INTO crm.thing (id, name, n) SELECT 'k' || lpad(i::text, 6, '0'), 'old', 0"
                   " FROM generate_series(0, 999) i")
    with loop.sync():
        copy(loop, "thing", "--direct")
        wait_copied(loop)
        loop.wait_equal(60)


def test_a_slice(loop):
    fill(loop, 300)
    with loop.sync():
        copy(loop, "thing", "--above", "k000099", "--up-to", "k000149")
        wait_copied(loop)
        wait_for(lambda: [r[0] for r in loop.new_things()] == [f"k{i:06}" for i in range(100, 150)], "the slice")
        copy(loop, "thing", "--direct", "--up-to", "k000009")
        wait_copied(loop)
        wait_for(lambda: len(loop.new_things()) == 60, "the second slice")
        status = json.loads(loop.ficus("status", "--json").stdout)
        shown = [s for s in status["snapshots"] if s["entity"] == "thing"][0]
        assert shown["state"] == "done (direct)" and int(shown["rate"]) > 0 and shown["eta"] == "-", shown
        assert {"rate", "lag_events", "lag_ms"} <= set(status["streams"][0])
    assert loop.ficus("sync", "snapshot", "--all", "--above", "x").returncode == 2
    assert loop.ficus("sync", "snapshot", "thing", "--direct", "--from", "new").returncode == 2
