# SPDX-License-Identifier: Apache-2.0
"""Each cause of a difference, planted and named right; rows under load; kills; bad input."""
import copy
import json
import os
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from harness import wait_for
from loop import LEGACY_OF, PAIR, THING, BOX, Loop
from test_reconcile_plans import hidden, run
from test_sync import Database

TIE = {
    "entity": "tie", "plural": "ties", "title": "Tie", "link": True,
    "key": {"fields": ["id"], "make": "uuid"}, "legacy": {"root": "ties"}, "new": {"root": "crm.tie"},
    "fields": {"id": {"type": "id", "length": 36}, "box_id": {"type": "id", "length": 36},
               "thing_id": {"type": "id", "length": 36}},
}
LINKS = {"relationships": {"things": {"kind": "link", "target": "thing", "through": "tie",
                                      "near": "box_id", "far": "thing_id"}}}


@pytest.fixture(scope="module")
def world(session_work, mariadb, postgres, kafka):
    from harness import Workdir
    name = f"rc{os.getpid()}"
    with Workdir() as work:
        legacy = Database(mariadb, f"{name}_old")
        mariadb.script(LEGACY_OF["mariadb"], database=legacy.name)
        loop = Loop(work, "mariadb", legacy, postgres, kafka, name)
        pair, box, thing = copy.deepcopy(PAIR), copy.deepcopy(BOX), copy.deepcopy(THING)
        box.update(LINKS)
        box["fields"]["label"]["nocase"] = True
        thing["fields"]["name"]["personal"] = True
        mariadb.execute("CREATE TABLE ties (id char(36) NOT NULL PRIMARY KEY, box_id char(36), thing_id char(36))",
                        database=legacy.name)
        work.file("sql/0002_ties.up.sql", "CREATE TABLE crm.tie (id text PRIMARY KEY, box_id text, thing_id text);")
        work.file("sql/0002_ties.down.sql", "DROP TABLE crm.tie;")
        for entity in (pair, box, thing, TIE):
            work.file(f"maps/{entity['entity']}.json", json.dumps(entity))
        work.file("ficus.json", json.dumps(dict(loop._config(), reconcile={"reveal": ["auditor"]})))
        loop.migrate()
        for i in range(60):
            loop.legacy.execute("INSERT INTO boxes (id, label) VALUES (?, ?)", (f"b{i:03d}", f"Label {i}"))
            loop.legacy.execute("INSERT INTO things (id, name, n, price, ok, day, made, box_id) VALUES"
                                " (?, ?, ?, 1.50, 1, '2024-02-29', '2024-01-01 00:00:00', ?)",
                                (f"t{i:03d}", f"Name {i}", i, f"b{i:03d}"))
            loop.legacy.execute("INSERT INTO ties VALUES (?, ?, ?)", (f"x{i:03d}", f"b{i:03d}", f"t{i:03d}"))
        with loop.sync() as daemon:
            loop.daemon = daemon
            wait_for(lambda: loop.new("SELECT (SELECT count(*) FROM crm.box) + (SELECT count(*) FROM crm.tie)"
                                      " + (SELECT count(*) FROM crm.thing)")[0][0] == 180, "the rows", 60)
            wait_for(lambda: loop.new("SELECT count(*) FROM ficus.snapshot WHERE state = 'done'")[0][0] == 4,
                     "the snapshots, which would mend what a test breaks", 60)
            loop.wait_equal()
            yield loop
    postgres.drop_replication(name)


def quiet(loop, statement, params):
    """A write to the legacy that no changelog tells of: with the marks of an applier."""
    connection = loop.legacy.connect(autocommit=False)
    try:
        cursor = connection.cursor()
        cursor.execute("SET @ficus_origin = 'test'")
        cursor.execute(statement, params)
        cursor.execute("SET @ficus_origin = NULL")
        connection.commit()
    finally:
        connection.close()


def causes(loop, entity, code=1):
    report = run(loop, entity, code=code)["entities"][0]
    return {s["key"]: s["cause"] for s in report["samples"]}, report


def repaired(loop, entity):
    assert run(loop, entity, "--repair")["repair"]["left"] == 0
    run(loop, entity, code=0)


def test_lost_unsent_and_direct(world):
    world.legacy.execute("UPDATE boxes SET label = 'Second' WHERE id = 'b001'")
    wait_for(lambda: world.new("SELECT label FROM crm.box WHERE id = 'b001'")[0][0] == "Second", "it", 20)
    with hidden(world) as write:
        write("UPDATE crm.box SET label = 'Label 1' WHERE id = 'b001'")  # as if the event was lost
        write("DELETE FROM crm.box WHERE id = 'b005'")
        write("UPDATE crm.box SET label = 'Never sent' WHERE id = 'b003'")  # direct, unseen
        write("INSERT INTO crm.box VALUES ('b999', 'Direct')")
    quiet(world, "UPDATE boxes SET label = 'Unsent' WHERE id = %s", ("b002",))
    quiet(world, "INSERT INTO boxes (id, label) VALUES (%s, 'Unsent too')", ("b998",))
    found, report = causes(world, "box")
    assert found == {"b001": "lost_event", "b005": "lost_event", "b003": "direct_write",
                     "b999": "direct_write", "b002": "unsent_event", "b998": "unsent_event"}
    lost = next(s for s in report["samples"] if s["key"] == "b001")
    assert lost["last_event"]["legacy"].startswith("update") and lost["version"]["legacy"] != lost["version"]["new"]
    counted = {(f["cause"]): f["rows"] for f in report["findings"] if f["kind"] == "field"}
    assert counted == {"lost_event": 1, "direct_write": 1, "unsent_event": 1}
    repaired(world, "box")
    assert world.new("SELECT count(*) FROM crm.box WHERE id = 'b999'")[0][0] == 0


def test_collation(world):
    with hidden(world) as write:
        write("UPDATE crm.box SET label = upper(label) WHERE id = 'b010'")
        write("UPDATE crm.box SET id = upper(id) WHERE id = 'b011'")
    found, _ = causes(world, "box")
    assert found == {"b010": "collation", "b011": "collation", "B011": "collation"}
    with hidden(world) as write:
        write("UPDATE crm.box SET id = lower(id) WHERE id = 'B011'")
    repaired(world, "box")


def test_orphan_link(world):
    with hidden(world) as write:
        write("DELETE FROM crm.tie WHERE box_id IN ('b020', 'b021')")
        write("DELETE FROM crm.box WHERE id = 'b020'")  # the ends of b021's are there
    found, _ = causes(world, "tie")
    assert found == {"x020": "orphan_link", "x021": "lost_event"}
    repaired(world, "box")
    repaired(world, "tie")


def test_parked_and_lossy(world):
    world.legacy.execute("UPDATE things SET n = -1 WHERE id = 't030'")  # which the new store refuses
    wait_for(lambda: world.new("SELECT count(*) FROM ficus.parked WHERE k = 't030'")[0][0], "parking", 20)
    quiet(world, "SET STATEMENT sql_mode = '' FOR UPDATE things SET day = '0000-00-00' WHERE id = %s", ("t031",))
    report = run(world, "thing", code=1)["entities"][0]
    found = {s["key"]: s["cause"] for s in report["samples"]}
    assert found == {"t030": "parked", "t031": "lossy_type"} and report["parked"] > 0
    world.legacy.execute("UPDATE things SET n = 30 WHERE id = 't030'")
    numbers = iter(range(100, 1000))

    def flows():  # what comes before the applier knows that nothing is parked is parked behind it
        for parked in json.loads(world.ficus("parked", "list", "--json").stdout):
            number = parked.get("id", parked.get("ID"))
            assert world.ficus("parked", "drop", str(number), "--why", "test").returncode == 0
        n = next(numbers)
        world.legacy.execute("UPDATE things SET n = ? WHERE id = 't030'", (n,))
        wait_for(lambda: world.new("SELECT n FROM crm.thing WHERE id = 't030'") == [(n,)], "the row", 2)
        return True
    wait_for(flows, "nothing to be parked", 60)
    repaired(world, "thing")


def test_personal_values_are_shown_to_those_who_may(world):
    with hidden(world) as write:
        write("UPDATE crm.thing SET name = 'Secret Person' WHERE id = 't032'")
    sample = run(world, "thing", code=1)["entities"][0]["samples"][0]
    assert sample["new"] == "(13 bytes)"
    assert world.ficus("reconcile", "thing", "--reveal", env={"FICUS_USER": "someone"}).returncode == 2
    sample = run(world, "thing", "--reveal", code=1, env={"FICUS_USER": "auditor"})["entities"][0]["samples"][0]
    assert sample["new"] == "Secret Person"
    assert world.new("SELECT count(*) FROM ficus.difference WHERE new_value LIKE '%Secret%'")[0][0] == 0
    repaired(world, "thing")


def test_a_mistake_in_a_map_is_one_finding(world):
    with hidden(world) as write:
        write("UPDATE crm.thing SET price = price * 100")
        write("DELETE FROM crm.thing WHERE id = 't040'")
    report = run(world, "thing", code=1)["entities"][0]
    found = {(f["field"], f["cause"]): f["rows"] for f in report["findings"]}
    assert found == {("price", "map_error"): 59, ("", "lost_event"): 1}
    assert len([s for s in report["samples"] if s["cause"] == "map_error"]) <= 5
    repaired(world, "thing")


def test_under_load_nothing_is_reported_but_what_differs(world):
    """Writers toggle rows A, B, A on the owner all the while; one row is planted."""
    stop = threading.Event()

    def writer(at):
        connection = world.legacy.connect()
        cursor = connection.cursor()
        n = 0
        while not stop.is_set():
            n += 1
            cursor.execute("UPDATE boxes SET label = %s WHERE id = %s", ("AB"[n % 2], f"b{at + n % 10:03d}"))
        connection.close()

    with hidden(world) as write:
        write("UPDATE crm.box SET label = 'Label 59 ' WHERE id = 'b059'")
    writers = [threading.Thread(target=writer, args=(at,)) for at in (30, 40)]
    for w in writers:
        w.start()
    try:
        for plan in ("stream", "sketch", "pushdown", "sketch"):
            report = run(world, "box", "--plan", plan, code=1)["entities"][0]
            assert [s["key"] for s in report["samples"]] == ["b059"], report
            assert report["differences"] == 1
    finally:
        stop.set()
        for w in writers:
            w.join()
    repaired(world, "box")


def spoil(world):
    """What apply writes at the same time may lock the same rows in another order."""
    try:
        with hidden(world) as write:
            write("UPDATE crm.box SET label = 'spoilt' WHERE id >= 'b050' AND id < 'b055'")
    except psycopg2.errors.DeadlockDetected:
        pass  # another round will


def test_repair_does_not_undo_a_live_write(world):
    """A repair races writes of the same rows: each acknowledged write is what both stores end with."""
    last, stop = {}, threading.Event()

    def writer():
        connection = world.legacy.connect()
        cursor = connection.cursor()
        n = 0
        while not stop.is_set() or n < 10000:
            n += 1
            k = f"b{50 + n % 5:03d}"
            cursor.execute("UPDATE boxes SET label = %s WHERE id = %s", (f"v{n}", k))
            last[k] = f"v{n}"
        connection.close()

    w = threading.Thread(target=writer)
    w.start()
    try:
        while w.is_alive() and not stop.is_set():
            spoil(world)
            run(world, "box", "--from", "b049", "--to", "b058", "--repair")
            if len(last) == 5 and int(last["b050"][1:]) >= 10000:
                stop.set()
    finally:
        stop.set()
        w.join()
    wait_for(lambda: all(world.new("SELECT label FROM crm.box WHERE id = %s", (k,))[0][0] == v
                         for k, v in last.items()) or run(world, "box", "--repair") is None, "the last writes", 30)
    assert {k: world.old("SELECT label FROM boxes WHERE id = ?", (k,))[0][0] for k in last} == last
    repaired(world, "box")
