# SPDX-License-Identifier: Apache-2.0
"""Where both directions stand, as a document: out, in again, and what is refused."""
import json

import pytest

from harness import ficus, wait_for
from loop import LEGACY_OF, Loop
from test_sync import legacy_database


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def loop(request, work, postgres, kafka, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY_OF["sqlite"])
    else:
        legacy = legacy_database(request, request.param, unique)
    made = Loop(work, request.param, legacy, postgres, kafka, unique)
    made.migrate()
    return made


def positions(loop, *words):
    return ficus(loop.work, "sync", "positions", "-c", loop.config, *words)


def exported(loop):
    done = positions(loop)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def put(loop, document, *words):
    path = loop.work.file("positions.json", document if isinstance(document, str) else json.dumps(document))
    return positions(loop, "--import", path, "--why", "the test", *words)


def put_when_alone(loop, document, *words):
    """A sync that has just ended counts as alive for ten seconds."""
    def tried():
        done = put(loop, document, *words)
        return None if "is alive" in done.stderr else done
    return wait_for(tried, "the last heartbeat to grow old", 30, interval=0.3)


def running_both_ways(loop):
    wait_for(lambda: loop.new("SELECT count(*) FROM ficus.capture WHERE published <> ''") == [(2,)], "both captures", 60)


def write_both(loop, name):
    loop.legacy.execute("INSERT INTO things (id, name, n) VALUES (?, ?, 1)", (f"old-{name}", name))
    loop.write_new("INSERT INTO crm.thing (id, name, n) VALUES (%s, %s, 1)", (f"new-{name}", name))


def applied(document, store):
    return {(p["stream"], p["part"]): p["next"] for p in document["applied"][store]}


def test_what_was_taken_down_is_taken_in_again(loop):
    with loop.sync():
        running_both_ways(loop)
        write_both(loop, "first")
        loop.wait_equal()
        early = exported(loop)
        busy = put(loop, early)
        assert busy.returncode != 0 and "ficus sync is alive" in busy.stderr
        for name in ("second", "third"):
            write_both(loop, name)
        loop.legacy.execute("UPDATE things SET name = 'again' WHERE id = ?", ("new-first",))
        loop.wait_equal()
        wait_for(lambda: applied(exported(loop), "new")["legacy.thing", 0] > applied(early, "new")["legacy.thing", 0],
                 "the position to move")
    late = exported(loop)
    done = put_when_alone(loop, early)
    assert done.returncode == 0, done.stderr
    assert " 0 ahead" in done.stdout and "0 back" not in done.stdout
    assert applied(exported(loop), "new") == applied(early, "new")
    assert loop.new("SELECT detail->>'why' FROM ficus.audit WHERE action = 'positions'") == [("the test",)]
    # read again, the same; and on it goes
    with loop.sync(name="again"):
        wait_for(lambda: all(applied(exported(loop), s)[k] >= n for s in ("new", "legacy")
                             for k, n in applied(late, s).items()), "everything to be read again", 60)
        write_both(loop, "fourth")
        loop.wait_equal()
        assert len(loop.new_things()) == 8
        assert loop.new("SELECT name FROM crm.thing WHERE id = 'new-first'") == [("again",)]


def test_going_ahead_needs_force(loop):
    with loop.sync():
        running_both_ways(loop)
        write_both(loop, "first")
        loop.wait_equal()
    ahead = exported(loop)
    for p in ahead["applied"]["new"]:
        if p["stream"] == "legacy.thing":
            p["next"] += 1000
    refused = put_when_alone(loop, ahead)
    assert refused.returncode != 0 and "legacy.thing part" in refused.stderr and "--force" in refused.stderr
    assert applied(exported(loop), "new") != applied(ahead, "new")
    forced = put(loop, ahead, "--force", "--json")
    assert forced.returncode == 0 and json.loads(forced.stdout)["ahead"] >= 1, forced.stderr
    assert applied(exported(loop), "new") == applied(ahead, "new")
    other = dict(ahead, capture={"new": dict(ahead["capture"]["new"], identity="another")})
    assert "of another new store" in put(loop, other).stderr
    assert put(loop, other, "--force").returncode == 0 and exported(loop)["capture"]["new"]["identity"] == ""


@pytest.mark.parametrize("loop", ["sqlite"], indirect=True)
def test_a_document_with_mistakes_changes_nothing(loop):
    good = exported(loop)
    assert good["positions"] == 1 and good["applied"] == {"legacy": [], "new": []}
    one = {"stream": "legacy.thing", "part": 0, "next": 1, "term": 0, "through": 0, "opened": 0}

    def with_one(**more):
        return dict(good, applied={"legacy": [], "new": [{**one, **more}]})

    for document, told in (
            (with_one(stream="legacy.nobody"), "/applied/new/0/stream"), (with_one(stream="new.thing"), "towards the new"),
            (with_one(next=-1), "/applied/new/0/next"), (with_one(part=999), "/applied/new/0/part"),
            (with_one(more=1), "more"), (dict(good, prefix="other"), "kafka.prefix"), (dict(good, positions=2), "positions"),
            (dict(good, capture={"new": {"published": "x"}}), "WAL position"),
            (dict(good, capture={"legacy": {"published": "x"}}), "number of the changelog"),
            (dict(good, applied=[]), "/applied"), ("{", "positions.json:1"), ("[]", "positions.json")):
        done = put(loop, document)
        assert done.returncode == 3 and told in done.stderr, (document, done.returncode, done.stderr)
    assert exported(loop) == good
    assert put(loop, good).returncode == 0
    assert positions(loop, "--import", "x.json").returncode == 2
