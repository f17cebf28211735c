# SPDX-License-Identifier: Apache-2.0
"""Messages, a slot, a store's last hours are gone: sync stops with the reason, one command goes on,
and both sides are equal afterwards. What to type is in docs/operations.md."""
import contextlib
import json
import os
import shutil

import pytest

from harness import Postgres, Sqlite, wait_for
from harness.process import give
from loop import LEGACY, Loop
from test_sync import capture_stopped, copied, parked, small, stopped  # noqa: F401

GONE = "messages that were not applied are gone"


def run(loop, *words):
    done = loop.ficus(*words)
    assert done.returncode == 0, done.stderr
    return done


def snapshot_done(loop, entity="thing"):
    def done():
        return loop.new("SELECT state FROM ficus.snapshot WHERE entity = %s", (entity,)) == [("done",)]
    wait_for(done, f"the copy of {entity}")


def repaired(loop):
    """Rows that one side alone has go as they went on the side that holds the truth: the legacy."""
    done = loop.ficus("reconcile", "thing", "--repair", "--json")
    assert done.returncode in (0, 1), done.stderr
    loop.wait_equal()
    done = loop.ficus("reconcile", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["equal"], done.stderr


def lose(loop, topic, cause):
    """Unapplied messages of a paused stream go, while sync is down."""
    if cause == "truncated":
        loop.kafka.delete_records(topic, -1)
        return
    admin = loop.kafka.admin()
    admin.delete_topics([topic])[topic].result(30)
    wait_for(lambda: topic not in loop.kafka.topics(), "the topic to go")
    loop.kafka.create_topic(topic)


def published(loop, stream, count):
    wait_for(lambda: loop.new("SELECT published FROM ficus.stream_state WHERE stream = %s", (stream,))[0][0] >= count,
             f"{count} events of {stream} in their topic")


@pytest.mark.parametrize("cause", ["made_anew", "made_anew_and_longer", "truncated"])
def test_a_topic_that_lost_messages_goes_on_by_a_new_copy(small, cause):  # noqa: F811
    topic = f"{small.prefix}.legacy.thing"
    with small.sync(name="before"):
        copied(small)
        for i in range(5):
            small.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'x', 0)", (f"t{i}",))
        small.wait_equal()
    run(small, "sync", "pause", "thing")
    with small.sync(name="paused"):  # these are published and never applied
        small.legacy.execute("UPDATE things SET name = 'lost' WHERE id = 't0'")
        small.legacy.execute("DELETE FROM things WHERE id = 't1'")
        small.legacy.execute("INSERT INTO things (id, name) VALUES ('t9', 'lost')")
        published(small, "legacy.thing", 3)
    lose(small, topic, cause)
    with small.sync(allow=["stops", "trying again"]):
        if cause == "made_anew_and_longer":  # the position lies within the new topic
            for i in range(300):
                small.legacy.execute("UPDATE things SET n = ? WHERE id = 't2'", (i,))
                small.legacy.execute("INSERT INTO things (id, name) VALUES (?, 'later')", (f"u{i}",))
            published(small, "legacy.thing", 300)
        run(small, "sync", "resume", "thing")
        stopped(small, "legacy.thing", GONE, "topic" if cause == "made_anew_and_longer" else topic)
        assert not [r for r in small.new_things() if r[1] == "later"]  # nothing of the other topic was taken
        refused = small.ficus("sync", "resume", "thing")
        assert refused.returncode != 0
        assert "legacy.thing has lost messages: ficus sync snapshot thing --from legacy" in refused.stderr
        run(small, "sync", "snapshot", "thing")
        snapshot_done(small)
        wait_for(lambda: set(small.old_things()) <= set(small.new_things()), "what the legacy has")
        assert "t1" in [r[0] for r in small.new_things()]  # its delete was lost, and is no copy's matter
        repaired(small)
        small.legacy.execute("UPDATE things SET name = 'flows again' WHERE id = 't0'")
        small.write_new("UPDATE crm.thing SET name = 'and back' WHERE id = 't2'")
        small.wait_equal()
        assert parked(small) == []
    with small.sync(name="after"):  # and it is not asked for once more
        small.legacy.execute("UPDATE things SET name = 'still' WHERE id = 't0'")
        small.wait_equal()


def test_the_way_back_goes_on_by_a_new_copy(small):  # noqa: F811
    """The same for the new store's topic; here by --anew first, which is what a connector's topic needs."""
    topic = f"{small.prefix}.new.thing"
    with small.sync(name="before"):
        copied(small)
        for i in range(5):
            small.write_new("INSERT INTO crm.thing (id, name, n) VALUES (%s, 'x', 0)", (f"t{i}",))
        small.wait_equal()
    run(small, "sync", "pause", "thing")
    with small.sync(name="paused"):
        small.write_new("UPDATE crm.thing SET name = 'lost' WHERE id = 't0'")
        small.write_new("INSERT INTO crm.thing (id, name) VALUES ('t9', 'lost')")
        published(small, "new.thing", 2)
    lose(small, topic, "made_anew")
    run(small, "sync", "resume", "thing")
    with small.sync(allow=["stops", "trying again"]):
        stopped(small, "new.thing", GONE, topic)
        run(small, "sync", "resume", "thing", "--anew")
        small.write_new("INSERT INTO crm.thing (id, name) VALUES ('t10', 'flows')")
        wait_for(lambda: "t10" in [r[0] for r in small.old_things()], "what came after")
        run(small, "sync", "snapshot", "thing", "--from", "new")
        small.wait_equal()
        assert parked(small) == []


def test_a_restored_legacy_goes_on_by_a_new_copy(work, sqlite, postgres, kafka, unique):
    """The legacy's file of an hour ago: what it lost goes from the new store, too."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    loop.migrate()
    with loop.sync(name="before"):
        copied(loop)
        for i in range(5):
            sqlite.execute("INSERT INTO things (id, name) VALUES (?, 'x')", (f"t{i}",))
        loop.wait_equal()
    backup = Sqlite(work, "backup")
    source, copy = sqlite.connect(), backup.connect()
    source.backup(copy)
    source.close()
    copy.close()
    with loop.sync(name="later"):
        for i in range(50):
            sqlite.execute("INSERT INTO things (id, name) VALUES (?, 'after the backup')", (f"u{i}",))
        sqlite.execute("UPDATE things SET name = 'after the backup' WHERE id = 't0'")
        loop.wait_equal()
    source, copy = backup.connect(), sqlite.connect()
    source.backup(copy)
    source.close()
    copy.close()
    with loop.sync(allow=["stopped", "a new snapshot is due"]):
        capture_stopped(loop, "legacy", "the changelog ends at")
        run(loop, "sync", "snapshot", "--all")
        copied(loop)
        wait_for(lambda: set(loop.old_things()) <= set(loop.new_things()), "what the legacy has")
        assert len(loop.new_things()) == 55
        repaired(loop)
        assert len(loop.new_things()) == 5
        sqlite.execute("INSERT INTO things (id, name) VALUES ('v', 'flows')")
        loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('w', 'and back')")
        loop.wait_equal()
        assert parked(loop) == []


def restore(postgres):
    data = postgres.dir + "/data"
    shutil.rmtree(data)
    shutil.move(postgres.dir + "/backup", data)
    for folder, _, files in os.walk(data):
        for name in [""] + files:
            give(os.path.join(folder, name))


def ballast(loop, rows):
    loop.write_new("CREATE TABLE IF NOT EXISTS ballast (t text)")
    loop.write_new(f"INSERT INTO ballast SELECT repeat(md5(g::text), 60) FROM generate_series(1, {rows}) g")


@pytest.mark.parametrize("restarts,found", [(0, "behind"), (3, "behind"), (0, "overtaken"), (0, "running")],
                         ids=["lsn", "term", "overtaken", "running"])
def test_a_restored_new_store_goes_on_by_a_new_copy(work, sqlite, kafka, unique, restarts, found):
    """Its files of an hour ago, slot and control store with them: terms and positions in its log that the
    legacy has seen come a second time, and would be taken for known. Overtaken: its log is longer than the
    one that was lost before sync looks. Running: sync runs all the while."""
    sqlite.script(LEGACY)
    with Postgres(work) as postgres:
        loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
        loop.migrate()
        with loop.sync(name="before"):
            copied(loop)
            for i in range(5):
                sqlite.execute("INSERT INTO things (id, name) VALUES (?, 'x')", (f"o{i}",))
                loop.write_new("INSERT INTO crm.thing (id, name) VALUES (%s, 'x')", (f"n{i}",))
            loop.wait_equal()
        postgres.stop()
        shutil.copytree(postgres.dir + "/data", postgres.dir + "/backup", copy_function=shutil.copy2)
        postgres.start()
        for i in range(1 + restarts):
            with loop.sync(name=f"later{i}"):
                ballast(loop, 4000)  # log that the restored store does not write again before sync looks back
                for k in range(20):
                    sqlite.execute("INSERT INTO things (id, name) VALUES (?, 'later')", (f"o{i}-{k}",))
                    loop.write_new("INSERT INTO crm.thing (id, name) VALUES (%s, 'later')", (f"n{i}-{k}",))
                loop.wait_equal()
        after = loop.sync(allow=["stopped", "restored from a backup", "trying again", "took over"])
        with contextlib.ExitStack() as running:
            if found == "running":
                running.enter_context(after)
                loop.write_new("UPDATE crm.thing SET name = 'and more' WHERE id = 'n0'")
                loop.wait_equal()
            postgres.stop()
            restore(postgres)
            postgres.start()
            if found == "overtaken":
                ballast(loop, 12000)
            if found != "running":
                running.enter_context(after)
            capture_stopped(loop, "new", "the new store was restored from a backup")
            loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('unseen', 'while it stood')")
            run(loop, "sync", "snapshot", "--all")
            copied(loop)
            wait_for(lambda: set(loop.old_things()) <= set(loop.new_things()), "what the legacy has")
            loop.write_new("UPDATE crm.thing SET name = 'seen' WHERE id = 'unseen'")
            for i in range(20):  # in the new store's second history
                sqlite.execute("INSERT INTO things (id, name) VALUES (?, 'again')", (f"p{i}",))
                loop.write_new("INSERT INTO crm.thing (id, name) VALUES (%s, 'again')", (f"q{i}",))
            loop.wait_equal()
            assert len(loop.new_things()) == 10 + 40 * (1 + restarts) + 1 + 40
            assert parked(loop) == []
