# SPDX-License-Identifier: Apache-2.0
"""The checker itself: every kind of violation, planted, is found; right histories pass."""
import random

import pytest

from consistency import checker, linear
from consistency.history import History, read


class Story:
    """A history written by hand; times are milliseconds. `final` defaults to equal stores."""

    def __init__(self):
        self.lines, self.n = [], 0

    def op(self, kind, begin, end, key="k", client="a", facade=0, dialect="v4_1", outcome="ok", **more):
        self.n += 1
        self.lines.append({"op": self.n, "client": client, "facade": facade, "dialect": dialect, "kind": kind,
                           "key": key, "invoke": begin * 10**6, "return": end * 10**6, "outcome": outcome, **more})
        return self

    def create(self, value, begin, end, **more):
        return self.op("create", begin, end, value=value, **more)

    def update(self, value, begin, end, **more):
        return self.op("update", begin, end, value=value, **more)

    def read(self, value, begin, end, **more):
        return self.op("get", begin, end, read=value, **more)

    def fence(self, side, begin, end, writable, epoch):
        self.lines.append({"event": "fence", "side": side, "invoke": begin * 10**6, "return": end * 10**6,
                           "writable": writable, "epoch": epoch})
        return self

    def unguarded(self, facade, begin, end):
        self.lines.append({"event": "unguarded", "facade": facade, "from": begin * 10**6, "to": end * 10**6})
        return self

    def final(self, legacy, new=None):
        """`legacy`: key -> value, or a list of rows as the stores give them."""
        for side, values in (("legacy", legacy), ("new", legacy if new is None else new)):
            rows = {key: have if isinstance(have, list) else [[f"id of {key}", have, False, None]]
                    for key, have in values.items()}
            self.lines.append({"event": "final", "side": side, "rows": rows})
        return self

    def kinds(self):
        return sorted({v.kind for v in checker.check(self.lines)})


def base():
    return Story().create("v1", 0, 10)


def right():
    """Histories without a violation."""
    yield "one after another", base().update("v2", 20, 30).read("v2", 40, 50).final({"k": "v2"})
    yield "a read beside a write, either value", (
        base().update("v2", 20, 60).read("v1", 25, 30, client="b").read("v2", 35, 40, client="c").final({"k": "v2"}))
    yield "two writes side by side, the first to answer wins", (
        base().update("v2", 20, 60).update("v3", 20, 90, client="b").read("v2", 100, 110).final({"k": "v2"}))
    yield "unknown and done", base().update("v2", 20, 30, outcome="info").read("v2", 40, 50).final({"k": "v2"})
    yield "unknown and never done", base().update("v2", 20, 30, outcome="info").read("v1", 40, 50).final({"k": "v1"})
    yield "unknown and done much later", (
        base().update("v2", 20, 30, outcome="info").read("v1", 40, 50).read("v2", 60, 70).final({"k": "v2"}))
    yield "unknown, done later and replaced", (
        base().update("v2", 20, 30, outcome="info").update("v3", 40, 50).read("v2", 60, 70)
        .update("v4", 80, 90).final({"k": "v4"}))
    yield "an unknown create that is there", Story().create("v1", 0, 9, outcome="info").final({"k": "v1"})
    yield "an unknown create that is not", Story().create("v1", 0, 9, outcome="info").final({})
    yield "a refused write", base().update("v2", 20, 30, outcome="fail").read("v1", 40, 50).final({"k": "v1"})
    yield "deleted", (base().op("delete", 20, 30).read(None, 40, 50)
                      .final({"k": [["id of k", "v1", True, None]]}))
    yield "an unknown delete that was done late", (
        base().op("delete", 20, 30, outcome="info").read("v1", 40, 50).read(None, 60, 70)
        .final({"k": [["id of k", "v1", True, None]]}))
    yield "an update of a deleted row that v4_1 calls done", (
        base().op("delete", 20, 30).update("v2", 40, 50).read(None, 60, 70)
        .final({"k": [["id of k", "v1", True, None]]}))
    yield "a failed read says nothing", base().op("get", 20, 30, outcome="info").final({"k": "v1"})
    yield "a stale read of what another wrote while the legacy could not be asked", (
        base().update("v2", 20, 30, client="b", facade=1).read("v1", 40, 50).unguarded(0, 45, 60).final({"k": "v2"}))
    yield "direct writes to whichever side is open", (
        base().update("v2", 20, 30, dialect="sql", facade="legacy")
        .fence("legacy", 0, 1, True, 1).fence("legacy", 35, 36, True, 1).fence("new", 5, 6, False, 1)
        .fence("new", 33, 34, False, 1).fence("legacy", 40, 41, False, 2).fence("new", 45, 46, True, 2)
        .final({"k": "v2"}))
    yield "numbers of their own", (
        Story().op("create", 0, 9, key="c1", value="a", number=1).op("create", 0, 9, key="c2", value="b", number=2)
        .final({"c1": [["i1", "a", False, 1]], "c2": [["i2", "b", False, 2]]}))


def wrong():
    """Histories with one violation each, and what it must be called."""
    yield "own write not read", base().update("v2", 20, 30).read("v1", 40, 50).final({"k": "v2"})
    yield "own write not read", base().read(None, 20, 30).final({"k": "v1"})
    yield "own write not read", (base().update("v2", 20, 30).read("v1", 40, 50).unguarded(0, 45, 60)
                                 .final({"k": "v2"}))
    yield "went back", (base().update("v2", 20, 30, client="b").read("v2", 40, 50, client="c")
                        .read("v1", 60, 70, client="c").final({"k": "v2"}))
    yield "stale read", base().update("v2", 20, 30, client="b").read("v1", 40, 50).final({"k": "v2"})
    yield "stale read", (base().update("v2", 20, 90, client="b").read("v2", 30, 40).read("v1", 50, 60, client="c")
                         .final({"k": "v2"}))
    yield "stale read", (base().update("v2", 20, 30, client="b", outcome="info").read("v2", 40, 50)
                         .read("v1", 60, 70, client="c").final({"k": "v2"}))
    yield "stale read", (base().op("delete", 20, 30, client="b").read("v1", 40, 50)
                         .final({"k": [["i", "v1", True, None]]}))
    yield "lost write", base().update("v2", 20, 30).final({"k": "v1"})
    yield "lost write", base().final({})
    yield "lost write", base().op("delete", 20, 30).final({"k": "v1"})
    yield "lost write", base().final({"k": [["i", "v1", True, None]]})
    yield "applied twice", base().final({"k": [["i1", "v1", False, None], ["i2", "v1", False, None]]})
    yield "applied twice", (base().update("v2", 20, 30).read("v2", 40, 50).final({"k": "v1"}))
    yield "refused write took effect", base().update("v2", 20, 30, outcome="fail").final({"k": "v2"})
    yield "refused write took effect", (base().update("v2", 20, 30, outcome="fail").read("v2", 40, 50, client="b")
                                        .final({"k": "v1"}))
    yield "value of nobody", base().read("v9", 20, 30).final({"k": "v1"})
    yield "value of nobody", base().final({"k": "v1", "other": "v1"})
    yield "value of nobody", base().read("v2", 20, 30).update("v2", 40, 50).final({"k": "v2"})
    yield "not linearizable", base().op("delete", 20, 30).update("v2", 40, 50, dialect="rest").final(
        {"k": [["i", "v1", True, None]]})
    yield "closed side wrote", (
        base().update("v2", 20, 30, dialect="sql", facade="new").fence("new", 0, 1, False, 1)
        .fence("new", 35, 36, False, 1).final({"k": "v2"}))
    yield "two sides open", (
        base().fence("legacy", 0, 1, True, 1).fence("new", 5, 6, True, 2).fence("legacy", 10, 11, True, 1)
        .final({"k": "v1"}))
    yield "number used twice", (
        Story().op("create", 0, 9, key="c1", value="a", number=1).op("create", 0, 9, key="c2", value="b", number=1)
        .final({"c1": [["i1", "a", False, 1]], "c2": [["i2", "b", False, 1]]}))
    yield "id used twice", (
        Story().op("create", 0, 9, key="c1", value="a", id="i").op("create", 20, 29, key="c2", value="b", id="i")
        .final({"c1": [["i", "a", False, None]], "c2": [["i", "b", False, None]]}))
    yield "number changed", (
        Story().op("create", 0, 9, key="c1", value="a", number=1).final({"c1": [["i1", "a", False, 7]]}))


@pytest.mark.parametrize("name,story", list(right()), ids=lambda x: x if isinstance(x, str) else "")
def test_right_histories_pass(name, story):
    assert story.kinds() == [], name


@pytest.mark.parametrize("kind,story", list(wrong()), ids=lambda x: x if isinstance(x, str) else "")
def test_planted_violations_are_found(kind, story):
    assert story.kinds() == [kind]


def test_stores_that_differ():
    """The side that is wrong is accused too."""
    story = base().final({"k": "v1"}, {})
    assert story.kinds() == ["lost write", "sides differ"]
    story = base().update("v2", 20, 30, outcome="info").final({"k": "v2"}, {"k": "v1"})
    assert "sides differ" in story.kinds()


def test_the_accusation_is_small():
    """Of a long history only what matters is shown."""
    story = base()
    for i in range(2, 60):
        story.update(f"v{i}", i * 20, i * 20 + 10).read(f"v{i}", i * 20 + 12, i * 20 + 15, client="b")
    story.read("v30", 605, 608, client="c").read("v12", 620, 621, client="c").final({"k": "v59"})
    found = checker.check(story.lines)
    assert [v.kind for v in found] == ["went back"]
    assert len(found[0].ops) <= 4 and any(op.get("read") == "v12" for op in found[0].ops)


def simulate(seed, clients=6, length=300):
    """A register that is right: each operation takes effect at some instant between its call and
    its answer; some answers get lost, and some of those writes are never done or done later."""
    rng, story, now, state = random.Random(seed), base(), 20, "v1"
    pending, late = {}, []
    while now < 20 + length * 3 or pending:
        now += rng.randint(1, 3)
        client = rng.randrange(clients)
        if late and rng.random() < 0.1:
            state = late.pop()
        if client not in pending:
            if now < 20 + length * 3:
                pending[client] = [now, rng.random() < 0.5, None, False]
            continue
        op = pending[client]
        if not op[3]:  # it takes effect now
            op[2], op[3] = (f"w{now}" if op[1] else state), True
            if op[1] and rng.random() < 0.1:
                story.update(op[2], op[0], now, client=f"c{client}", outcome="info")
                if rng.random() < 0.5:
                    late.append(op[2])
                del pending[client]
            elif op[1]:
                state = op[2]
        else:
            (story.update if op[1] else story.read)(op[2], op[0], now, client=f"c{client}")
            del pending[client]
    return story.final({"k": state})


@pytest.mark.parametrize("seed", range(20))
def test_a_right_register_passes_and_a_spoilt_one_does_not(seed):
    story = simulate(seed)
    assert story.kinds() == []
    reads = [op for op in story.lines if op.get("kind") == "get"]
    rng = random.Random(seed)
    for _ in range(50):  # an answer from long ago
        late, early = rng.choice(reads), rng.choice(reads)
        if early["return"] + 200 * 10**6 < late["invoke"] and late["read"] != early["read"]:
            late["read"] = early["read"]
            break
    else:
        pytest.fail("no two reads far apart")
    assert story.kinds() != []


def test_search_is_bounded(monkeypatch):
    monkeypatch.setattr(linear, "STEPS_MAX", 3)
    assert simulate(1).kinds() == ["not linearizable"]


def test_recorder(tmp_path):
    """What is written is what is read; what never ended is unknown."""
    path = str(tmp_path / "history.jsonl")
    history = History(path)
    first = history.invoke("a", "create", "k", 0, "rest", value="v1")
    history.invoke("b", "update", "k", 1, "v4_1", value="v2")
    history.end(first, "ok", id="i")
    history.event("fault", kind="kill", target="serve0")
    history.close()
    lines = read(path)
    assert [line.get("outcome") for line in lines] == ["ok", None, "info"]
    assert lines[0]["invoke"] < lines[0]["return"] and history.outcomes["ok"] == 1
