# SPDX-License-Identifier: Apache-2.0
"""ficus reconcile: what it calls a difference, what it shows of it, and what its record keeps."""
import copy
import json
import threading

import pytest

from harness import wait_for
from loop import BOX, LEGACY, Loop


@pytest.fixture
def loop(work, postgres, kafka, unique, sqlite):
    sqlite.script(LEGACY)
    made = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    box = copy.deepcopy(BOX)
    box["fields"]["id"]["personal"] = True
    box["fields"]["label"]["length"] = 1000
    work.file("maps/box.json", json.dumps(box))
    made.migrate()
    yield made


def copied(loop):
    wait_for(lambda: loop.new("SELECT count(*) FROM ficus.snapshot WHERE state = 'done'")[0][0] == 3,
             "the snapshots", 60)


def unsent(loop, statement, params=()):
    """A write to the legacy that its changelog does not tell of. Sync is down."""
    top = loop.old("SELECT coalesce(max(seq), 0) FROM ficus_changelog")[0][0]
    loop.legacy.execute(statement, params)
    loop.legacy.execute("DELETE FROM ficus_changelog WHERE seq > ?", (top,))


def markers(loop):
    return loop.old("SELECT count(*) FROM ficus_changelog WHERE entity = '' AND k LIKE 'reconcile-%'")[0][0]


def reconcile(loop, *words):
    done = loop.ficus("reconcile", *words, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_row_that_came_back_is_looked_at_again(loop):
    """A-B-A between the two reads: equal values are no proof that the row stood still."""
    loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('t1', 'A', 1)")
    with loop.sync():
        copied(loop)
        loop.wait_equal()
    unsent(loop, "UPDATE things SET n = -1 WHERE id = 't1'")  # which the new store refuses
    before, answers = markers(loop), []
    asks = threading.Thread(target=lambda: answers.append(reconcile(loop, "thing")))
    asks.start()
    wait_for(lambda: markers(loop) == before + 1, "the first marker", 30)
    loop.legacy.execute("UPDATE things SET name = 'B' WHERE id = 't1'")
    loop.legacy.execute("UPDATE things SET name = 'A' WHERE id = 't1'")
    with loop.sync():
        asks.join(60)
        assert markers(loop) == before + 2
    entity = answers[0]["entities"][0]
    assert entity["differences"] == 1 and entity["unsettled"] == 0 and entity["parked"] > 0


def test_many_differences(loop):
    """One marker for all candidates; personal keys and cut values; a cut list says so."""
    with loop.sync():
        copied(loop)
    unsent(loop, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1300)"
                 " INSERT INTO boxes (id, label) SELECT 'secret-' || i, 'x' FROM c")
    with loop.sync():
        before = markers(loop)
        page = loop.work.file("page.html", "")
        report = reconcile(loop, "box", "--html", page)
        assert markers(loop) == before + 1
    entity = report["entities"][0]
    assert entity["differences"] == 1300 and entity["complete"]
    assert len(entity["samples"]) == 1000 and entity["samples_cut"] is True
    with open(page, encoding="utf-8") as f:
        html = f.read()
    assert "of 1300" in html and "secret-" not in html and "secret-" not in json.dumps(report)
    assert loop.new("SELECT count(*) FROM ficus.difference WHERE k LIKE '%secret-%'")[0][0] == 0


def test_a_cut_value_stays_text(loop):
    loop.legacy.execute("INSERT INTO boxes (id, label) VALUES ('b1', 'short')")
    with loop.sync():
        copied(loop)
        wait_for(lambda: loop.new("SELECT 1 FROM crm.box"), "the box", 30)
    unsent(loop, "UPDATE boxes SET label = ?", ("x" + "é" * 200,))  # byte 200 is within a letter
    with loop.sync():
        sample = reconcile(loop, "box")["entities"][0]["samples"][0]
    assert sample["field"] == "label" and sample["new"] == "short"
    assert sample["legacy"] == "x" + "é" * 99
    assert sample["key"] == "(2 bytes)"


def test_a_run_that_dies_says_why(loop):
    with loop.sync():
        copied(loop)
    loop.legacy.execute("ALTER TABLE boxes RENAME TO gone")
    done = loop.ficus("reconcile", "box")
    assert done.returncode not in (0, 1)
    rows = loop.new("SELECT finished_at IS NOT NULL, complete, summary->>'error' FROM ficus.reconcile_run")
    assert rows[0][:2] == (True, False) and "boxes" in rows[0][2]
    assert "boxes" in loop.ficus("reconcile", "history").stdout


def test_keys_that_prove_nothing(loop):
    """Duplicate and NULL keys, also across the edge of a page: never 'equal'."""
    with loop.sync():
        copied(loop)
    loop.legacy.script("DROP TABLE pairs; CREATE TABLE pairs (left_id text, right_id text, note text);")
    for left, right in (("a", "1"), ("b", "1"), ("b", "1"), ("b", "1"), ("c", "1")):
        loop.legacy.execute("INSERT INTO pairs VALUES (?, ?, 'n')", (left, right))
        loop.write_new("INSERT INTO crm.pair VALUES (%s, %s, 'n') ON CONFLICT DO NOTHING", (left, right))
    done = loop.ficus("reconcile", "pair")
    assert done.returncode not in (0, 1)
    assert 'CREATE INDEX "ficus_key_order" ON "pairs" ("left_id", "right_id")' in done.stderr
    entity = reconcile(loop, "pair", "--without-index")["entities"][0]
    assert entity["bad_keys"] > 0 and not entity["complete"]
    loop.legacy.script("DELETE FROM pairs WHERE left_id = 'b'; INSERT INTO pairs VALUES ('b', '1', 'n'),"
                       " (NULL, '1', 'n'); CREATE INDEX by_key ON pairs (left_id, right_id);")
    entity = reconcile(loop, "pair")["entities"][0]
    assert entity["bad_keys"] > 0 and not entity["complete"]
