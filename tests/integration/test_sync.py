# SPDX-License-Identifier: Apache-2.0
"""The sync engine on real stores and a real broker: both directions, snapshots, parking, kills."""
import json
import pathlib
import re
import urllib.request
import uuid
from random import Random

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions

from harness import Kafka, Postgres, free_port, wait_for
from loop import LEGACY, LEGACY_OF, THING, Loop


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def loop(request, work, postgres, kafka, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY)
    else:
        legacy = legacy_database(request, request.param, unique)
    made = Loop(work, request.param, legacy, postgres, kafka, unique)
    made.migrate()
    return made


def legacy_database(request, dbms, unique):
    """A database with the tables of loop.py on the session's server."""
    server = request.getfixturevalue(dbms)
    legacy = Database(server, f"{unique}_old")
    server.script(LEGACY_OF[dbms], database=legacy.name)
    return legacy


class Database:
    """One database of a shared MariaDB or PostgreSQL, with the verbs of Sqlite."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        server.create_database(name)

    def odbc(self):
        return self.server.odbc(database=self.name)

    def connect(self, autocommit=True):
        return self.server.connect(database=self.name, autocommit=autocommit)

    def execute(self, sql, params=()):
        self.server.execute(sql.replace("?", "%s"), params, database=self.name)

    def query(self, sql, params=()):
        return self.server.query(sql.replace("?", "%s"), params, database=self.name)


def messages(loop, topic):
    """Everything in a topic: (key, value or None, headers)."""
    c = Consumer({"bootstrap.servers": loop.kafka_address(), "group.id": str(uuid.uuid4()),
                  "enable.auto.commit": False})
    found = []
    parts = c.list_topics(topic, timeout=10).topics[topic].partitions
    for p in parts:
        low, high = c.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
        c.assign([TopicPartition(topic, p, low)])
        while low < high:
            m = c.poll(10)
            assert m is not None and m.error() is None
            low = m.offset() + 1
            found.append((json.loads(m.key()), json.loads(m.value()) if m.value() else None,
                          dict(m.headers() or [])))
    c.close()
    return found


def copied(loop):
    """The first copy is over, and the slot made: from here on only the streams bring changes."""
    wait_for(lambda: loop.new("SELECT count(*) FROM ficus.snapshot WHERE state = 'done'")[0][0] == 3
             and loop.new("SELECT published FROM ficus.capture WHERE side = 'new'")[0][0] != "", "the snapshots", 60)


def parked(loop):
    done = loop.ficus("parked", "list", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_both_directions(loop):
    loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'Société «Nord»')")
    loop.legacy.execute("INSERT INTO things (id, name, n, price, ok, day, made, box_id) VALUES"
                        " ('t1', 'one', 1, 12.5, 1, '2024-02-29', '2024-02-29 23:59:59', 'b1')")
    with loop.sync():
        loop.wait_equal()  # by snapshot or changelog, whichever comes first
        row = loop.new("SELECT ok, day::text, made::text FROM crm.thing WHERE id = 't1'")[0]
        assert row == (True, "2024-02-29", "2024-02-29 23:59:59+00")
        # legacy -> new: insert, extension, update, delete
        loop.legacy.execute("INSERT INTO things (id, name, n, price, box_id) VALUES ('t2', 'two', 2, 0.1, 'b1')")
        loop.legacy.execute("INSERT INTO things_more (id_c, color_c) VALUES ('t2', 'red')")
        loop.wait_equal()
        loop.legacy.execute("UPDATE things SET name = 'zwei' WHERE id = 't2'")
        loop.legacy.execute("UPDATE things_more SET color_c = 'blue' WHERE id_c = 't2'")
        loop.wait_equal()
        loop.legacy.execute("DELETE FROM things WHERE id = 't1'")
        loop.wait_equal()
        # new -> legacy
        loop.write_new("INSERT INTO crm.thing (id, name, n, price, box_id, color) VALUES"
                       " ('t3', 'three', 3, 99.99, 'b1', 'green')")
        loop.wait_equal()
        loop.write_new("UPDATE crm.thing SET n = 33, color = NULL WHERE id = 't3'")
        loop.wait_equal()
        loop.write_new("UPDATE crm.thing SET id = 't4' WHERE id = 't3'")  # a key change
        loop.wait_equal()
        loop.write_new("DELETE FROM crm.thing WHERE id = 't2'")
        loop.wait_equal()
        assert [r[0] for r in loop.old("SELECT id FROM things")] == ["t4"]
        assert parked(loop) == []
    # Nothing came back the way it went: what the new store's topic holds was written there.
    keys = [(k["id"], v["op"]) for k, v, _ in messages(loop, f"{loop.prefix}.new.thing") if v]
    assert keys == [("t3", "c"), ("t3", "u"), ("t3", "d"), ("t4", "c"), ("t2", "d")]
    written = [k["id"] for k, v, _ in messages(loop, f"{loop.prefix}.legacy.thing") if v]
    assert "t3" not in written and "t4" not in written


def test_snapshot_of_many_rows(loop):
    db = loop.legacy.connect()
    cur = db.cursor()
    mark = "?" if loop.dbms == "sqlite" else "%s"
    cur.execute("BEGIN")
    cur.executemany(f"INSERT INTO boxes (id, label) VALUES ({mark}, {mark})",
                    [(f"b{i}", f"box {i}") for i in range(50)])
    cur.executemany(f"INSERT INTO things (id, name, n, price, box_id) VALUES ({mark}, {mark}, {mark}, {mark}, {mark})",
                    [(f"t{i:05}", f"thing {i}", i, f"{i}.25", f"b{i % 50}") for i in range(5000)])
    cur.execute("COMMIT")
    cur.execute("DELETE FROM ficus_changelog")  # only a snapshot can find them
    db.commit()
    db.close()
    with loop.sync():
        copied(loop)
        loop.wait_equal(60)
        state = loop.new("SELECT rows, estimate FROM ficus.snapshot WHERE entity = 'thing'")[0]
        assert state == (5000, 5000)
        assert parked(loop) == []


def test_poison_row_is_parked_and_the_rest_flows(loop):
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
        # The new store's CHECK refuses n < 0.
        loop.legacy.execute("INSERT INTO things (id, name, n, box_id) VALUES ('bad', 'bad', -1, 'b1')")
        for i in range(20):
            loop.legacy.execute("INSERT INTO things (id, name, n, box_id) VALUES (?, 'good', ?, 'b1')",
                                (f"g{i:02}", i))
        wait_for(lambda: len(loop.new_things()) == 20, "the good rows")
        wait_for(lambda: len(parked(loop)) == 1, "the bad one to be parked")
        first = parked(loop)[0]
        assert (first["stream"], first["key"], first["reason"]) == ("legacy.thing", "bad", "constraint")
        assert first["sqlstate"] == "23514"
        # A later event of the key waits behind it, even a good one.
        loop.legacy.execute("UPDATE things SET n = 5 WHERE id = 'bad'")
        wait_for(lambda: [p["reason"] for p in parked(loop)] == ["constraint", "behind"], "the later event")
        shown = loop.ficus("parked", "show", first["id"])
        assert shown.returncode == 0 and '"n":-1' in shown.stdout
        loop.ficus("parked", "retry", first["id"])
        wait_for(lambda: [p["reason"] for p in parked(loop)] == ["constraint", "behind"], "still refused")
        dropped = loop.ficus("parked", "drop", first["id"], "--why", "never valid")
        assert dropped.returncode == 0, dropped.stderr
        loop.wait_equal()
        assert parked(loop) == []


def metric(loop, name, **labels):
    """One value of /metrics; 0 when it is not there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{loop.port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.split()[-1])
    return 0


def test_a_parked_event_is_edited_and_its_key_replayed_in_order(loop):
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('p', 'first', -1)")
        wait_for(lambda: len(parked(loop)) == 1, "the first to be parked")
        loop.legacy.execute("UPDATE things SET name = 'second', n = -2 WHERE id = 'p'")
        wait_for(lambda: len(parked(loop)) == 2, "the second behind it")
        loop.legacy.execute("UPDATE things SET name = 'third', n = 3 WHERE id = 'p'")
        wait_for(lambda: len(parked(loop)) == 3, "the third behind it")
        wait_for(lambda: metric(loop, "ficus_parked_open", entity="thing", side="legacy") == 3, "the metric")
        first, second, third = [x["id"] for x in parked(loop)]
        shown = json.loads(loop.ficus("parked", "show", first, "--json").stdout)[0]
        assert (shown["reason"], shown["sqlstate"], shown["new_now"]) == ("constraint", "23514", "none")
        assert json.loads(shown["legacy_now"])["name"] == "third"
        assert json.loads(shown["event"])["after"]["n"] == -1
        for words, said in [((first, "n:=1"), "--why is needed"), ((first, "n=x", "--why", "w"), "n:not_a_number"),
                            ((first, "nn=1", "--why", "w"), "no synced field 'nn'"),
                            ((first, "id=q", "--why", "w"), "the key is not the row's key"),
                            (("new:999999", "n:=1", "--why", "w"), "no open parked event")]:
            refused = loop.ficus("parked", "edit", *words)
            assert refused.returncode in (1, 2) and said in refused.stderr, (words, refused.stderr)
        assert loop.ficus("parked", "edit", first, "n:=1", "--why", "a sign too many").returncode == 0
        assert loop.ficus("parked", "retry", first).returncode == 0
        # The first is applied, the second refused for its own sake, the third waits behind it.
        wait_for(lambda: [(x["id"], x["reason"]) for x in parked(loop)]
                 == [(second, "constraint"), (third, "behind")], "the second to be refused")
        assert [r[1:3] for r in loop.new_things()] == [("first", "1")]
        done = json.loads(loop.ficus("parked", "show", first, "--json").stdout)[0]
        assert (done["state"], done["why"]) == ("applied", "a sign too many")
        status = json.loads(loop.ficus("status", "--json").stdout)
        wait_for(lambda: {x["stream"]: x["parked"] for x in json.loads(loop.ficus("status", "--json").stdout)
                          ["streams"]}["legacy.thing"] in (2, "2"), f"the count in the status {status['streams']}")
        assert loop.ficus("parked", "drop", second, "--why", "never valid").returncode == 0
        loop.wait_equal()  # the third follows by itself
        wait_for(lambda: metric(loop, "ficus_parked_open", entity="thing", side="legacy") == 0, "the metric")


def test_a_value_that_may_not_cross_is_parked(loop):
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('long', ?)", ("x" * 150,))
        wait_for(lambda: [(p["key"], p["reason"]) for p in parked(loop)] == [("long", "type")], "parking")
        loop.legacy.execute("UPDATE things SET name = 'short' WHERE id = 'long'")
        wait_for(lambda: len(parked(loop)) == 2, "the later event")
        loop.ficus("parked", "drop", parked(loop)[0]["id"], "--why", "mended at the source")
        loop.wait_equal()


def test_a_key_of_several_columns(loop):
    """Copied by pages in key order, changed, deleted and given another key, both ways."""
    db = loop.legacy.connect()
    cur = db.cursor()
    mark = "?" if loop.dbms == "sqlite" else "%s"
    cur.execute("BEGIN")
    cur.executemany(f"INSERT INTO pairs (left_id, right_id, note) VALUES ({mark}, {mark}, {mark})",
                    [(f"l{i % 7}", f"r{i:05}", f"note {i}") for i in range(3000)])
    cur.execute("COMMIT")
    db.close()
    with loop.sync():
        copied(loop)
        loop.wait_equal()
        assert len(loop.pairs()[1]) == 3000
        loop.legacy.execute("UPDATE pairs SET note = 'seen' WHERE left_id = 'l3'")
        loop.legacy.execute("UPDATE pairs SET right_id = 'moved' WHERE left_id = 'l1' AND right_id = 'r00001'")
        loop.legacy.execute("DELETE FROM pairs WHERE left_id = 'l5'")
        loop.wait_equal()
        loop.write_new("UPDATE crm.pair SET note = 'back' WHERE left_id = 'l2'")
        loop.write_new("UPDATE crm.pair SET left_id = 'other' WHERE left_id = 'l4' AND right_id = 'r00004'")
        loop.write_new("DELETE FROM crm.pair WHERE left_id = 'l6'")
        loop.wait_equal()
        assert parked(loop) == []
        done = loop.ficus("reconcile", "pair", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["equal"], done.stderr


def test_a_block_of_many_markers(loop):
    """More markers at once than any block was made for: all are sent, and what stands between."""
    with loop.sync():
        copied(loop)
        db = loop.legacy.connect()
        cur = db.cursor()
        cur.execute("BEGIN")
        mark = "?" if loop.dbms == "sqlite" else "%s"
        for i in range(700):
            cur.execute(f"INSERT INTO ficus_changelog (entity, k) VALUES ('', {mark})", (f"many-{i}",))
        cur.execute("INSERT INTO boxes (id, label) VALUES ('among', 'markers')")
        cur.execute("COMMIT")
        db.close()
        loop.wait_equal()
        wait_for(lambda: loop.new("SELECT count(DISTINCT marker) FROM ficus.marker WHERE marker LIKE 'many-%'"
                                  " AND stream = 'legacy.box'")[0][0] == 700, "the markers")


def test_a_changelog_row_that_no_event_can_carry_is_parked(loop):
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO ficus_changelog (entity, k) VALUES ('pair', ?)", ("one part",))
        loop.legacy.execute("INSERT INTO pairs (left_id, right_id, note) VALUES ('l', 'r', 'x')")
        loop.wait_equal()
        wait_for(lambda: [(p["stream"], p["key"], p["reason"]) for p in parked(loop)]
                 == [("legacy.pair", "one part", "malformed")], "the key to be parked")
        dropped = loop.ficus("parked", "drop", parked(loop)[0]["id"], "--why", "written by hand")
        assert dropped.returncode == 0, dropped.stderr
        assert parked(loop) == []


def test_a_changelog_row_without_a_map_stops_capture_until_it_is_gone(loop):
    with loop.sync(allow=["stranger"]):
        copied(loop)
        loop.legacy.execute("INSERT INTO ficus_changelog (entity, k) VALUES ('stranger', 'k1')")
        wait_for(lambda: "is of entity stranger, which has no map here" in daemon_log(loop), "the reason")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
        assert loop.new("SELECT count(*) FROM crm.box") == [(0,)]
        loop.legacy.execute("DELETE FROM ficus_changelog WHERE entity = 'stranger'")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box") == [(1,)], "the row behind it")


def test_child_before_parent_waits(loop):
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO things (id, name, box_id) VALUES ('t1', 'early', 'b9')")
        wait_for(lambda: [p["reason"] for p in parked(loop)] == ["waits"], "the child to wait")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b9', 'late')")
        loop.wait_equal()
        wait_for(lambda: parked(loop) == [], "nothing parked")


def test_pause_and_resume(loop):
    with loop.sync():
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('t1', 'one')")
        loop.wait_equal()
        assert loop.ficus("sync", "pause", "thing").returncode == 0
        def paused():
            state = loop.new("SELECT paused FROM ficus.stream_state WHERE stream = 'legacy.thing'")
            return state == [(True,)] and "legacy.thing is paused" in daemon_log(loop)
        wait_for(paused, "the pause")
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('t2', 'two')")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b2', 'y')")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box")[0][0] == 2, "boxes still flow")
        assert len(loop.new_things()) == 1
        assert loop.ficus("sync", "resume", "thing").returncode == 0
        loop.wait_equal()


def daemon_log(loop):
    with open(loop.work.path + "/sync/stderr.log", encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("place", ["produced", "applied", "committed", "produced.new"])
def test_killed_at(loop, place):
    """kill -9 between produce and saving the position, between apply and commit, after commit."""
    loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
    with loop.sync(name="first"):  # makes the slot: what is in the new store before it is not carried
        copied(loop)
    daemon = loop.sync(variant="hooks", env={"FICUS_FAILPOINT": f"{place}:3"})
    daemon.start(wait=False)
    died = False
    for i in range(200):
        loop.legacy.execute("INSERT INTO things (id, name, n, box_id) VALUES (?, 'a', ?, 'b1')", (f"o{i:03}", i))
        loop.write_new("INSERT INTO crm.thing (id, name, n) VALUES (%s, 'b', %s)", (f"n{i:03}", i))
        died = died or daemon.process.status is not None
    wait_for(lambda: daemon.process.status is not None, "the failpoint to be reached", 60)
    with loop.sync(name="again"):
        for i in range(0, 200, 2):
            loop.legacy.execute("UPDATE things SET name = 'changed' WHERE id = ?", (f"o{i:03}",))
            loop.write_new("DELETE FROM crm.thing WHERE id = %s", (f"n{i:03}",))
        loop.wait_equal(60)
        assert len(loop.new_things()) == 300
        assert parked(loop) == []


def test_late_commits_and_rollbacks(loop):
    """Eight sessions commit, roll back and linger; every committed row arrives, in its last state."""
    if loop.dbms == "sqlite":
        pytest.skip("one writer: the order of numbers is the order of commits")
    newest = ("ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = excluded.n" if loop.dbms == "postgres"
              else "ON DUPLICATE KEY UPDATE name = VALUES(name), n = VALUES(n)")
    random = Random(7)
    with loop.sync():
        copied(loop)
        lingering = loop.legacy.connect(autocommit=False)
        lingering.cursor().execute("INSERT INTO things (id, name) VALUES ('linger', 'x')")
        sessions = [loop.legacy.connect(autocommit=False) for _ in range(8)]
        for i in range(1500):
            db = sessions[random.randrange(8)]
            key = f"k{random.randrange(200)}-{sessions.index(db)}"  # no two sessions wait for each other
            with db.cursor() as cur:
                cur.execute("INSERT INTO things (id, name, n) VALUES (%s, %s, %s) " + newest, (key, f"v{i}", i))
                if random.random() < 0.1:
                    cur.execute("DELETE FROM things WHERE id = %s", (key,))
            if random.random() < 0.4:
                db.rollback() if random.random() < 0.3 else db.commit()
        for db in sessions:
            db.commit()
            db.close()
        loop.wait_equal()  # nothing is held up by the one that lingers
        assert len(loop.new_things()) > 100
        lingering.commit()
        lingering.close()
        loop.wait_equal()
        assert "linger" in [r[0] for r in loop.new_things()]
        assert parked(loop) == []


def test_broker_and_stores_go_away(work, sqlite, unique):
    """Down at the start, and again in the middle: sync says so, waits and goes on by itself."""
    sqlite.script(LEGACY)
    with Postgres(work) as postgres, Kafka(work) as kafka:
        loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
        loop.migrate()
        kafka.kill()
        with loop.sync(allow=["trying again", "Kafka"]) as daemon:
            sqlite.execute("INSERT INTO things (id, name) VALUES ('t1', 'one')")
            daemon.wait_log("trying again")
            kafka.start()
            loop.wait_equal(60)
            kafka.kill()
            sqlite.execute("INSERT INTO things (id, name) VALUES ('t2', 'two')")
            kafka.start()
            loop.wait_equal(60)
            postgres.kill()
            sqlite.execute("INSERT INTO things (id, name) VALUES ('t3', 'three')")
            daemon.wait_log("unreachable")
            postgres.start()
            loop.wait_equal(60)
            loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('t4', 'four')")
            loop.wait_equal(60)


def test_two_processes_share_and_take_over(work, sqlite, postgres, kafka, unique):
    """Apply is shared out by partitions; when one process is killed the other does it all."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique, topics={"partitions": 4})
    loop.migrate()
    one = loop.sync(name="one")
    one.start()
    copied(loop)
    loop.port = free_port()
    loop.config = work.file("two.json", json.dumps(loop._config()))
    with loop.sync(name="two") as two:
        two.wait_log("partitions taken over")
        for i in range(100):
            sqlite.execute("INSERT INTO things (id, name, n) VALUES (?, 'a', ?)", (f"t{i:03}", i))
        loop.wait_equal()
        one.freeze()  # a zombie: it wakes up again later
        for i in range(0, 100, 3):
            sqlite.execute("UPDATE things SET name = 'b' WHERE id = ?", (f"t{i:03}",))
        time_limit = 60
        loop.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                              " AND application_name LIKE 'ficus capture%%'", (unique,), database=unique)
        loop.wait_equal(time_limit)
        one.thaw()
        for i in range(0, 100, 2):
            sqlite.execute("UPDATE things SET name = 'c' WHERE id = ?", (f"t{i:03}",))
        loop.wait_equal(time_limit)
        one.allow = ["trying again"]
        one.kill()
        for i in range(0, 100, 5):
            sqlite.execute("DELETE FROM things WHERE id = ?", (f"t{i:03}",))
        loop.wait_equal(time_limit)
        assert parked(loop) == []
        two.allow = ["trying again"]


def test_malformed_messages_are_parked(work, sqlite, postgres, kafka, unique):
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    loop.migrate()
    with loop.sync():
        copied(loop)
        p = Producer({"bootstrap.servers": loop.kafka_address()})
        for key, value in [(b'{"id":"m1"}', b"nonsense"), (b"\xff\x00", b"{}"), (None, b'{"op":"c"}'),
                           (b'{"id":"m2"}', b'{"op":"c","after":{"id":"m3"}}')]:
            p.produce(f"{loop.prefix}.legacy.thing", value, key)
        p.flush(10)
        sqlite.execute("INSERT INTO things (id, name) VALUES ('t1', 'one')")
        loop.wait_equal()
        assert [x["reason"] for x in parked(loop)] == ["malformed"] * 4
        ids = [x["id"] for x in parked(loop)]
        assert loop.ficus("parked", "drop", *ids, "--why", "not ours").returncode == 0
        wait_for(lambda: parked(loop) == [], "nothing parked")


def test_copy_from_the_new_store(work, sqlite, postgres, kafka, unique):
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    loop.migrate()
    loop.write_new("INSERT INTO crm.thing (id, name, n) SELECT 'n' || i, 'x', i FROM generate_series(1, 2500) i")
    with loop.sync():
        copied(loop)
        assert loop.old_things() == []
        assert loop.ficus("sync", "snapshot", "thing", "--from", "new").returncode == 0
        for i in range(1, 100):
            loop.write_new("UPDATE crm.thing SET name = %s WHERE id = %s", (f"v{i}", f"n{i * 20}"))
        loop.wait_equal(60)
        assert len(loop.old_things()) == 2500


def stopped(loop, stream, *words):
    """The stream's reason once it is stopped and told, holding all of the words."""
    def told():
        rows = loop.new("SELECT reason FROM ficus.stream_state WHERE stream = %s AND paused", (stream,))
        return rows and all(w in rows[0][0] for w in words)
    wait_for(told, f"{stream} to stop with {words}")


def renamed(loop, side, column):
    """The map of things after RENAME COLUMN n on one side."""
    field = {"type": "integer", "bits": 32, side: {"column": column}}
    loop.work.file("maps/thing.json", json.dumps({**THING, "fields": {**THING["fields"], "n": field}}))


def test_a_legacy_column_renamed_in_mid_stream(loop):
    """That entity stops and says which edit resolves it; after it nothing is missing, nobody waited."""
    loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('t1', 'one', 1)")
    with loop.sync(allow=["stops"]):
        copied(loop)
        loop.wait_equal()
        loop.legacy.execute("ALTER TABLE things RENAME COLUMN n TO quantity")
        loop.legacy.execute("INSERT INTO things (id, name, quantity) VALUES ('t2', 'two', 2)")
        stopped(loop, "legacy.thing", "things.n (field n) is gone", 'its "legacy" column to "quantity"')
        loop.legacy.execute("UPDATE things SET quantity = 11 WHERE id = 't1'")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'flows')")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box") == [(1,)], "the others")
    renamed(loop, "legacy", "quantity")
    with loop.sync(name="again", allow=["stops"]):
        loop.legacy.execute("DELETE FROM things WHERE id = 't1'")
        loop.legacy.execute("INSERT INTO things (id, name, quantity) VALUES ('t3', 'three', 3)")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b2', 'flows')")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box") == [(2,)], "the others")
        assert loop.new("SELECT id FROM crm.thing") == [("t1",)]
        assert loop.ficus("sync", "resume", "thing").returncode == 0
        wait_for(lambda: loop.new("SELECT id, n FROM crm.thing ORDER BY id") == [("t2", 2), ("t3", 3)], "the rest")
        assert parked(loop) == [] and loop.new("SELECT count(*) FROM ficus.held") == [(0,)]


def test_a_new_column_is_told_and_a_retyped_one_stops(loop):
    with loop.sync(allow=["stops", "does not know"]):
        copied(loop)
        loop.write_new("ALTER TABLE crm.box ADD COLUMN extra text")
        loop.write_new("INSERT INTO crm.box (id, label, extra) VALUES ('b1', 'x', 'y')")
        wait_for(lambda: "crm.box (new store) has column extra" in daemon_log(loop), "the new column to be told")
        loop.write_new("ALTER TABLE crm.thing DROP CONSTRAINT thing_n_check, ALTER COLUMN n TYPE text")
        loop.write_new("INSERT INTO crm.thing (id, name, n) VALUES ('t1', 'one', '1')")
        stopped(loop, "new.thing", "crm.thing.n was integer and is text now")
        loop.write_new("UPDATE crm.thing SET n = '2' WHERE id = 't1'")
        loop.write_new("INSERT INTO crm.box (id, label) VALUES ('b2', 'flows')")
        wait_for(lambda: len(loop.old("SELECT id FROM boxes")) == 2, "the others")
        assert loop.ficus("sync", "resume", "thing").returncode == 0
        wait_for(lambda: [tuple(r) for r in loop.old("SELECT id, n FROM things")] == [("t1", 2)], "the thing")


def test_a_column_of_the_sink_is_gone_and_comes_back(loop):
    with loop.sync(allow=["stops", "trying again"]):
        copied(loop)
        loop.write_new("ALTER TABLE crm.thing RENAME COLUMN n TO quantity")
        loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('t1', 'one', 1)")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
        stopped(loop, "legacy.thing", "crm.thing.n (field n) is gone", 'its "new" column to "quantity"')
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box") == [(1,)], "the others")
        loop.legacy.execute("UPDATE things SET n = 2 WHERE id = 't1'")
        loop.write_new("ALTER TABLE crm.thing RENAME COLUMN quantity TO n")
        assert loop.ficus("sync", "resume", "thing").returncode == 0
        loop.wait_equal()
        assert parked(loop) == []


def test_a_dropped_trigger_stops_its_entity(loop):
    with loop.sync(name="before"):
        copied(loop)
    name = "ficus_thing_0_" + ("r" if loop.dbms == "postgres" else "u")
    loop.legacy.execute(f"DROP TRIGGER {name}" + (" ON things" if loop.dbms == "postgres" else ""))
    with loop.sync(allow=["stops"]):
        stopped(loop, "legacy.thing", f"trigger {name} on things is gone", "ficus migrate up")
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('t1', 'held')")
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'flows')")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box") == [(1,)], "the others")
        assert loop.ficus("migrate", "up").returncode == 0
        if loop.dbms == "postgres":  # its one trigger logs inserts too: what passed it needs the copy that it asks for
            assert loop.ficus("sync", "snapshot", "thing").returncode == 0
        assert loop.ficus("sync", "resume", "thing").returncode == 0
        loop.wait_equal()


@pytest.fixture
def small(work, sqlite, postgres, kafka, unique):
    """The loop on SQLite: for what does not depend on the legacy's kind."""
    sqlite.script(LEGACY)
    made = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    made.migrate()
    return made


def test_a_topic_made_anew_stops_its_stream(small):
    """Messages that were not applied are gone with it: said, not skipped; the others flow."""
    topic = f"{small.prefix}.legacy.thing"
    with small.sync(name="before"):
        copied(small)
        for i in range(5):
            small.legacy.execute("INSERT INTO things (id, name) VALUES (?, 'x')", (f"t{i}",))
        small.wait_equal()
    admin = small.kafka.admin()
    admin.delete_topics([topic])[topic].result(30)
    wait_for(lambda: topic not in small.kafka.topics(), "the topic to go")
    small.kafka.create_topic(topic)
    with small.sync(allow=["stops", "trying again"]):
        small.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'flows')")
        stopped(small, "legacy.thing", "messages that were not applied are gone", topic)
        wait_for(lambda: small.new("SELECT count(*) FROM crm.box") == [(1,)], "the others")


def test_partitions_added_are_refused_with_the_reason(small):
    topic = f"{small.prefix}.legacy.thing"
    with small.sync(name="before"):
        copied(small)
    admin = small.kafka.admin()
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    wait_for(lambda: small.kafka.topics()[topic] == 3, "the partitions")
    with small.sync(allow=["keys would move"]):
        small.legacy.execute("INSERT INTO things (id, name) VALUES ('t1', 'one')")
        wait_for(lambda: f"topic {topic} has 3 partitions, kafka.partitions says 1; keys would move"
                 in daemon_log(small), "the reason")
        assert small.new_things() == []


def capture_stopped(loop, side, words):
    wait_for(lambda: words in loop.new("SELECT stopped FROM ficus.capture WHERE side = %s", (side,))[0][0],
             f"capture of {side} to stop")
    status = json.loads(loop.ficus("status", "--json").stdout)
    assert words in {c["side"]: c["state"] for c in status["captures"]}[side]


def test_a_lost_slot_stops_capture_until_a_new_copy(small):
    with small.sync(name="before"):
        copied(small)
    slot = f"ficus_{small.prefix}_new"
    small.postgres.execute("SELECT pg_drop_replication_slot(%s)", (slot,), database="postgres")
    small.write_new("INSERT INTO crm.thing (id, name) VALUES ('unseen', 'x')")
    with small.sync(allow=["stopped", "is gone"]):
        capture_stopped(small, "new", f"replication slot {slot} is gone")
        assert small.ficus("sync", "snapshot", "--all", "--from", "new").returncode == 0
        small.wait_equal()
        assert small.old_things()[0][0] == "unseen"


def test_a_restored_legacy_stops_capture_until_a_new_copy(loop):
    with loop.sync(allow=["stopped", "a new snapshot is due"]):
        copied(loop)
        for i in range(5):
            loop.legacy.execute("INSERT INTO things (id, name) VALUES (?, 'x')", (f"t{i}",))
        loop.wait_equal()
        # The numbers begin anew under the running capture, as after a restore.
        loop.legacy.execute("DELETE FROM ficus_changelog")
        loop.legacy.execute({"sqlite": "DELETE FROM sqlite_sequence",
                             "mariadb": "ALTER TABLE ficus_changelog AUTO_INCREMENT = 1",
                             "postgres": "ALTER SEQUENCE ficus_changelog_seq RESTART"}[loop.dbms])
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('unseen', 'x')")
        if loop.dbms == "postgres":  # read by transactions, not by numbers: there is nothing to miss
            loop.wait_equal()
            return
        capture_stopped(loop, "legacy", "a new snapshot is due")
        assert loop.ficus("sync", "snapshot", "--all").returncode == 0
        loop.wait_equal()


def test_a_changelog_shorter_than_the_position_stops_at_the_start(small):
    with small.sync(name="before"):
        copied(small)
        for i in range(5):
            small.legacy.execute("INSERT INTO things (id, name) VALUES (?, 'x')", (f"t{i}",))
        small.wait_equal()
    small.legacy.execute("DELETE FROM ficus_changelog WHERE seq > 2")
    with small.sync(allow=["stopped", "a new snapshot is due"]):
        capture_stopped(small, "legacy", "the changelog ends at 2 but")


def test_the_table_of_faults_names_tests_that_exist():
    root = pathlib.Path(__file__).resolve().parents[2]
    text = (root / "docs/faults.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(line.split("|")[1]) for line in rows] == list(range(1, 30))
    sources = "\n".join(p.read_text(encoding="utf-8") for kind in ("*.py", "*.c") for p in (root / "tests").rglob(kind))
    assert [line for line in rows if not re.search(r"`\w+`", line.split("|")[4]) or re.search(r": -|in part", line)] == []
    names = {n for line in rows for n in re.findall(r"`(\w+)`", line.split("|")[4])}
    assert len(names) > 30
    missing = [n for n in names if not re.search(rf"(def|static void) {n}\(", sources)]
    assert missing == []


def test_transactions_older_than_the_copy_and_than_each_other(work, mariadb, postgres, kafka, unique):
    """One is open before the first copy starts; then the older of two is the last to change a key."""
    mariadb_database = Database(mariadb, unique)
    mariadb.script(LEGACY, database=unique)
    loop = Loop(work, "mariadb", mariadb_database, postgres, kafka, unique)
    loop.migrate()
    loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('k', 'first', 0)")
    early, older, younger = [loop.legacy.connect() for _ in range(3)]
    for db in (early, older, younger):
        db.begin()
    early.cursor().execute("INSERT INTO things (id, name, n) VALUES ('early', 'open', 1)")
    with loop.sync():
        copied(loop)
        wait_for(lambda: [r[0] for r in loop.new_things()] == ["k"], "the copy")
        early.commit()
        loop.wait_equal()
        older.cursor().execute("INSERT INTO things (id, name) VALUES ('o', 'a low number')")
        for i in range(20):  # high numbers, seen and applied before the low one commits
            younger.cursor().execute("UPDATE things SET name = 'younger', n = %s WHERE id = 'k'", (i,))
        younger.commit()
        wait_for(lambda: [r[1:3] for r in loop.new_things() if r[0] == "k"] == [("younger", "19")], "the younger's")
        older.cursor().execute("UPDATE things SET name = 'older' WHERE id = 'k'")
        older.commit()
        loop.wait_equal()
        assert [r[1] for r in loop.new_things() if r[0] == "k"] == ["older"]
        assert parked(loop) == []
    for db in (early, older, younger):
        db.close()
