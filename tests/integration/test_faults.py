# SPDX-License-Identifier: Apache-2.0
"""Faults of docs/faults.md that need more than one change and one look: crashes, clocks, crowds."""
import glob
import json

import pytest

from harness import Proxy, wait_for
from loop import LEGACY, LEGACY_OF, THING, Loop
from test_sync import Database, copied, messages, metric, parked, small  # noqa: F401

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def on_mariadb(work, mariadb, postgres, kafka, unique, **options):
    legacy = Database(mariadb, f"{unique}_old")
    mariadb.script(LEGACY_OF["mariadb"], database=legacy.name)
    return Loop(work, "mariadb", legacy, postgres, kafka, unique, **options)


# ---- 6

def test_a_row_changed_within_its_chunk_ends_as_the_newest(small):  # noqa: F811
    """The chunk has been read, not yet handed over: a row changes, one goes, one goes and comes back."""
    with small.sync(name="before"):
        copied(small)
    small.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'x')")
    for key in ("changed", "gone", "back", "same"):
        small.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'old', 1)", (key,))
    with small.sync(name="between"):
        small.wait_equal()
    gates = small.work.folder("gates")
    env = {"FICUS_GATES": gates, "FICUS_GATE": "sync"}
    assert small.ficus("sync", "snapshot", "thing").returncode == 0
    with small.sync(variant="hooks", env=env):
        wait_for(lambda: open(gates + "/sync", encoding="utf-8").read() == "chunk", "the chunk to be read")
        small.legacy.execute("UPDATE things SET name = 'new', n = 2 WHERE id = 'changed'")
        small.legacy.execute("DELETE FROM things WHERE id IN ('gone', 'back')")
        small.legacy.execute("INSERT INTO things (id, name, n) VALUES ('back', 'again', 3)")
        small.wait_equal()  # by the stream, while the chunk waits
        small.work.file("gates/open", "")
        copied(small)
        topic = f"{small.prefix}.legacy.thing"
        wait_for(lambda: [k["id"] for k, v, _ in messages(small, topic) if v and v["op"] == "r"].count("same") > 0,
                 "the chunk")
        small.legacy.execute("INSERT INTO things (id, name, n) VALUES ('last', 'behind the chunk', 4)")
        small.wait_equal()
    # The chunk's old rows of these keys were left out, not sent and mended after.
    read = [(k["id"], v["after"]["name"]) for k, v, _ in messages(small, topic) if v and v["op"] == "r"]
    assert [r for r in read if r[0] in ("changed", "gone", "back")] == [], read


# ---- 7

@pytest.mark.parametrize("place", ["produced", "applied", "committed", "produced.new"])
def test_a_key_changes_across_a_crash(small, place):  # noqa: F811
    """A key change is a delete and a create: whatever falls between them, both keys end right."""
    with small.sync(name="before"):
        copied(small)
        for i in range(40):
            small.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'old', ?)", (f"o{i:02}", i))
            small.write_new("INSERT INTO crm.thing (id, name, n) VALUES (%s, 'new', %s)", (f"n{i:02}", i))
        small.wait_equal()
    daemon = small.sync(variant="hooks", env={"FICUS_FAILPOINT": f"{place}:3"}, allow=["."])
    daemon.start(wait=False)
    for i in range(40):
        small.legacy.execute("UPDATE things SET id = ? WHERE id = ?", (f"moved-o{i:02}", f"o{i:02}"))
        small.write_new("UPDATE crm.thing SET id = %s WHERE id = %s", (f"moved-n{i:02}", f"n{i:02}"))

    def reached():  # all of that may have gone in one batch: there is more until it is
        small.legacy.execute("UPDATE things SET n = n + 1 WHERE id = 'moved-o00'")
        small.write_new("UPDATE crm.thing SET n = n + 1 WHERE id = 'moved-n00'")
        return daemon.process.status is not None
    wait_for(reached, "the failpoint to be reached", 60)
    with small.sync(name="again"):
        small.wait_equal(60)
        assert [r[0] for r in small.new_things()] == [f"moved-{s}{i:02}" for s in "no" for i in range(40)]
        assert parked(small) == []


# ---- 9

def test_a_commit_whose_acknowledgement_is_lost_takes_effect_once(work, mariadb, postgres, kafka, unique):
    """The stores commit, the answers never arrive: each row is written once all the same, both ways."""
    with Proxy(postgres.port) as to_new, Proxy(mariadb.port) as to_legacy:
        loop = on_mariadb(work, mariadb, postgres, kafka, unique,
                          control=postgres.conninfo(unique, port=to_new.port),
                          odbc=mariadb.odbc(database=f"{unique}_old", port=to_legacy.port))
        loop.migrate()
        loop.legacy.execute("CREATE TABLE effects (id varchar(36))")
        loop.legacy.execute("CREATE TRIGGER effect AFTER INSERT ON things FOR EACH ROW"
                            " INSERT INTO effects VALUES (NEW.id)")
        loop.write_new("CREATE TABLE crm.effects (id text); CREATE FUNCTION crm.effect() RETURNS trigger LANGUAGE plpgsql AS"
                       " $$ BEGIN INSERT INTO crm.effects VALUES (NEW.id); RETURN NULL; END $$;"
                       " CREATE TRIGGER effect AFTER INSERT OR UPDATE ON crm.thing"
                       " FOR EACH ROW EXECUTE FUNCTION crm.effect()")
        with loop.sync(allow=["trying again"]):
            copied(loop)
            to_new.lose_answers(b"COMMIT", b"ficus apply.new", 3)
            to_legacy.lose_answers(b"COMMIT", b"UPDATE ficus_position", 3)
            for i in range(60):
                loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'old', ?)", (f"o{i:02}", i))
                loop.write_new("INSERT INTO crm.thing (id, name, n) VALUES (%s, 'new', %s)", (f"n{i:02}", i))
            wait_for(lambda: (to_new.lost, to_legacy.lost) == (3, 3), "the answers to be lost", 60)
            loop.legacy.execute("INSERT INTO things (id, name) VALUES ('x-old', 'last')")
            loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('x-new', 'last')")
            loop.wait_equal(60)
            assert parked(loop) == []
        everything = sorted(r[0] for r in loop.old("SELECT id FROM things"))
        assert len(everything) == 122
        assert sorted(r[0] for r in loop.new("SELECT id FROM crm.effects")) == everything
        assert sorted(r[0] for r in loop.old("SELECT id FROM effects")) == everything


# ---- 15

def test_a_unique_value_taken_on_both_sides_is_a_conflict_in_sight(small):  # noqa: F811
    small.write_new("CREATE UNIQUE INDEX thing_name ON crm.thing (name)")
    with small.sync(name="before"):
        copied(small)
    small.legacy.execute("INSERT INTO things (id, name, n) VALUES ('old', 'same', 1)")
    small.write_new("INSERT INTO crm.thing (id, name, n) VALUES ('new', 'same', 2)")
    with small.sync():
        wait_for(lambda: [(p["stream"], p["key"], p["reason"], p["sqlstate"]) for p in parked(small)]
                 == [("legacy.thing", "old", "conflict", "23505")], "the conflict")
        for i in range(10):  # the rest flows, both ways
            small.legacy.execute("INSERT INTO things (id, name) VALUES (?, ?)", (f"o{i}", f"old {i}"))
            small.write_new("INSERT INTO crm.thing (id, name) VALUES (%s, %s)", (f"n{i}", f"new {i}"))
        wait_for(lambda: len(small.new_things()) == 21 and len(small.old_things()) == 22, "the rest")
        small.legacy.execute("UPDATE things SET name = 'mended' WHERE id = 'old'")
        wait_for(lambda: [p["reason"] for p in parked(small)] == ["conflict", "behind"], "the mended one")
        assert small.ficus("parked", "drop", parked(small)[0]["id"], "--why", "mended").returncode == 0
        small.wait_equal()
        assert parked(small) == []


def test_a_key_taken_on_both_sides_ends_as_the_owners(work, sqlite, postgres, kafka, unique):
    """The new store owns the group; a direct writer that the legacy's fence lets through is told."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique,
                groups={"g": {"entities": ["box", "thing", "pair"], "rogue": "report"}})
    loop.migrate()
    with loop.sync(name="before"):
        copied(loop)
    sqlite.execute("UPDATE ficus_fence SET writable = 0, epoch = 1 WHERE grp = 'g'")
    loop.write_new("SELECT ficus.fence_set('g', true, 1)")
    sqlite.execute("INSERT INTO things (id, name, n) VALUES ('k', 'rogue', 1)")
    loop.write_new("BEGIN; SELECT set_config('ficus.epoch', '1', true);"
                   " INSERT INTO crm.thing (id, name, n) VALUES ('k', 'owner', 2); COMMIT")
    with loop.sync():
        loop.wait_equal()
        assert [r[:2] for r in loop.new_things()] == [("k", "owner")]
        wait_for(lambda: metric(loop, "ficus_refused_total", entity="thing", side="legacy") == 1, "the refusal")
        assert loop.old("SELECT entity, k, op FROM ficus_rogue") == [("thing", "k", "i")]
        assert parked(loop) == []


# ---- 16

def test_a_hundred_thousand_events_give_no_echo(work, mariadb, postgres, kafka, unique):
    each = 50000
    loop = on_mariadb(work, mariadb, postgres, kafka, unique)
    loop.migrate()
    with loop.sync():
        copied(loop)
        loop.legacy.execute("INSERT INTO things (id, name, n) SELECT concat('o', seq), 'old', seq"
                            f" FROM seq_1_to_{each}")
        loop.write_new("INSERT INTO crm.thing (id, name, n) SELECT 'n' || i, 'new', i"
                       f" FROM generate_series(1, {each}) i")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.thing") == [(2 * each,)]
                 and loop.old("SELECT count(*) FROM things")[0][0] == 2 * each, "all rows on both sides", 120)
        # Behind everything that an echo would have come before.
        loop.legacy.execute("INSERT INTO things (id, name) VALUES ('last-old', 'x')")
        loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('last-new', 'x')")
        loop.wait_equal(60)
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b', 'x')")
        loop.write_new("INSERT INTO crm.box (id, label) VALUES ('c', 'x')")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box")[0][0] == 2
                 and loop.old("SELECT count(*) FROM boxes")[0][0] == 2, "the last ones")
        assert parked(loop) == []
    for side, letter in (("legacy", "o"), ("new", "n")):
        keys = [k["id"] for k, v, _ in messages(loop, f"{loop.prefix}.{side}.thing") if v]
        assert len(keys) == each + 1, side
        assert not [k for k in keys if k[0] not in (letter, "l")][:5]


# ---- 17

@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
@pytest.mark.parametrize("clock", [["+600"], ["+3600"], ["-3600"], ["+0", "-3600", "+3600", "-7200"]],
                         ids=["ahead", "hour_ahead", "hour_behind", "jumping"])
def test_clocks_apart_change_nothing(small, clock):  # noqa: F811
    """Sync's clock is not the stores', or jumps while it waits: all flows, and it ends when asked."""
    offset = small.work.file("clock", clock[0] + "\n")
    env = {"LD_PRELOAD": FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1",
           "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    with small.sync(env=env):
        copied(small)
        for i, now in enumerate(clock):
            small.work.file("clock", now + "\n")
            small.legacy.execute("INSERT INTO things (id, name) VALUES (?, 'a')", (f"o{i}",))
            small.write_new("INSERT INTO crm.thing (id, name) VALUES (%s, 'b')", (f"n{i}",))
            small.wait_equal()
            small.legacy.execute("UPDATE things SET name = 'c' WHERE id = ?", (f"n{i}",))
            small.write_new("UPDATE crm.thing SET name = 'd' WHERE id = %s", (f"o{i}",))
            small.wait_equal()
        assert parked(small) == []


# ---- 28

def resident(daemon):
    with open(f"/proc/{daemon.pid}/status", encoding="utf-8") as f:
        return {line.split(":")[0]: line.split()[1] for line in f if line.startswith("Vm")}


def test_a_sink_that_takes_nothing_costs_bounded_memory(work, sqlite, postgres, kafka, unique):
    """240 MB of events wait for a table that someone has locked; then all arrive."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    wide = {**THING, "fields": {**THING["fields"], "name": {"type": "text", "length": 10000}}}
    work.file("maps/thing.json", json.dumps(wide))
    loop.migrate()
    with loop.sync() as daemon:
        copied(loop)
        before = int(resident(daemon)["VmRSS"])
        lock = postgres.connect(unique, autocommit=False)
        lock.cursor().execute("LOCK TABLE crm.thing IN ACCESS EXCLUSIVE MODE")
        db = sqlite.connect()
        db.execute("BEGIN")
        db.executemany("INSERT INTO things (id, name) VALUES (?, ?)", ((f"t{i}", "x" * 8000) for i in range(30000)))
        db.execute("COMMIT")
        db.close()
        def published():
            return loop.new("SELECT published FROM ficus.stream_state WHERE stream = 'legacy.thing'")[0][0]
        wait_for(lambda: published() >= 30000, "everything to be published", 90)
        sqlite.execute("INSERT INTO boxes (id, label) VALUES ('b', 'captured all the same')")
        peak = int(resident(daemon)["VmHWM"])
        lock.rollback()
        lock.close()
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.thing") == [(30000,)]
                 and loop.new("SELECT count(*) FROM crm.box") == [(1,)], "the rows", 90)
        assert parked(loop) == []
        print(f"memory: {before} kB before, at most {peak} kB")
        if not daemon.name.endswith("san"):
            assert peak - before < 160 * 1024


@pytest.mark.parametrize("state", ["53100", "53200", "57P03"])
def test_a_sink_whose_disk_is_full_is_asked_again_not_parked(small, state):  # noqa: F811
    small.write_new("CREATE TABLE crm.full_now (x int); INSERT INTO crm.full_now VALUES (1);"
                    " CREATE FUNCTION crm.full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN IF EXISTS (SELECT 1 FROM crm.full_now) THEN"
                    f" RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}';"
                    " END IF; RETURN NEW; END $$; CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON crm.thing"
                    " FOR EACH ROW EXECUTE FUNCTION crm.full_disk()")
    with small.sync(allow=["could not extend file"]) as daemon:
        copied(small)
        for i in range(20):
            small.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, 'x', ?)", (f"t{i}", i))
        daemon.wait_log("could not extend file")
        assert small.new_things() == [] and parked(small) == []
        small.write_new("DELETE FROM crm.full_now")
        small.wait_equal()
        assert parked(small) == []


def test_it_ends_while_it_waits_for_its_slot(small):  # noqa: F811
    """Making a slot waits for every open transaction; SIGTERM does not, and the next start makes it."""
    open_one = small.postgres.connect(small.database, autocommit=False)
    open_one.cursor().execute("INSERT INTO crm.box (id, label) VALUES ('open', 'for long')")
    with small.sync(name="waits"):
        wait_for(lambda: small.new("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND"
                                   " backend_type = 'walsender'")[0][0] > 0, "the slot to wait")
    open_one.commit()
    open_one.close()
    with small.sync():
        copied(small)
        wait_for(lambda: small.new("SELECT published FROM ficus.capture WHERE side = 'new'")[0][0] != "", "the slot")
        small.write_new("INSERT INTO crm.box (id, label) VALUES ('next', 'x')")
        wait_for(lambda: small.old("SELECT id FROM boxes") == [("next",)], "the change")
