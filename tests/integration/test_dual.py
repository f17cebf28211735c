# SPDX-License-Identifier: Apache-2.0
"""Writes of a dual group on real stores: what the other side holds when the client has its answer,
read from the store itself at once; and what the answer is when the other side cannot be had."""
import contextlib
import json
import sqlite3
import threading
import urllib.error
import urllib.request

import pytest

from crm import call
from demo.clients import Form
from harness import Daemon, wait_for
from harness.daemon import ROOT
from harness.stack import GROUP, Stack
from harness.workdir import Workdir

TOKEN = "a-token-for-tests"
WRITES = 40


class DualStack(Stack):
    """The shipped routes, but that group crm is dual, and the REST dialect beside v4_1."""

    def __init__(self, work, legacy, settings=None, **more):
        with open(ROOT + "/routes/tables/suitecrm.json", encoding="utf-8") as f:
            table = json.load(f)
        table["groups"][GROUP]["writes"] = "dual"
        table["mounts"].append({"dialect": "rest", "path": "/api", "options": {
            "tokens": [{"token": TOKEN, "user_id": "1", "user_name": "admin", "admin": True}]}})
        self.routes = work.file("routes.json", json.dumps(table))
        # Wide enough that a busy machine is not a failure; what is late by design says so.
        super().__init__(work, legacy, rows=60, settings={"dual.wait_ms": 20000, **(settings or {})}, **more)

    def api(self, method, path, body=None, facade=0):
        return call(method, f"http://127.0.0.1:{self.fronts[facade][0]}/api{path}", body,
                    {"Authorization": f"Bearer {TOKEN}"})

    def metric(self, name, facade=0):
        with urllib.request.urlopen(self.admin(facade) + "/metrics", timeout=10) as reply:
            for line in reply.read().decode().splitlines():
                if line.rsplit(" ", 1)[0] == name:
                    return float(line.rsplit(" ", 1)[1])
        return 0.0

    def outcomes(self, facade=0):
        return {o: self.metric('ficus_dual_writes_total{group="crm",outcome="%s"}' % o, facade)
                for o in ("in_line", "late", "failed")}

    def status_of_dual(self, facade=0):
        """What `ficus status` says of one facade; it goes by a heartbeat a second."""
        pid = self.facades[facade].pid
        instance = self.new("SELECT id FROM ficus.instance WHERE pid = %s AND kind = 'serve'", (pid,))[0][0]
        row = next(r for r in self.status()["dual"] if r["facade"] == instance)
        return {"waits": row["state"] == "waits", "p50": row["stale_p50_ms"], "p99": row["stale_p99_ms"]}

    def account(self, side, key):
        """(name, description) as the store has them now; None: no such row."""
        rows = (self.old("SELECT name, description FROM accounts WHERE id = ? AND deleted = 0", (key,))
                if side == "legacy" else
                self.new("SELECT name, description FROM crm.account WHERE id = %s AND NOT deleted", (key,)))
        return tuple(rows[0]) if rows else None


# A trigger of each store notes what each state of an account was, in order.
TABLE = "CREATE TABLE dual_history (n %s, id varchar(36), a varchar(40), b varchar(40))"
NOTE = "INSERT INTO dual_history (id, a, b) VALUES (NEW.id, NEW.description, NEW.phone_office)"
TRIGGER = "CREATE TRIGGER dual_note AFTER UPDATE ON %s FOR EACH ROW "
FUNCTION = f"CREATE FUNCTION dual_note() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {NOTE}; RETURN NULL; END $f$"
PLPGSQL = [TABLE % "bigserial PRIMARY KEY", FUNCTION, TRIGGER + "EXECUTE FUNCTION dual_note()"]
HISTORY = {"sqlite": [TABLE % "INTEGER PRIMARY KEY", TRIGGER + f"BEGIN {NOTE}; END"],
           "mariadb": [TABLE % "bigint AUTO_INCREMENT PRIMARY KEY", TRIGGER + NOTE], "postgres": PLPGSQL}


def note_history(stack):
    for statement in HISTORY[stack.kind]:
        stack.legacy.execute(statement.replace("ON %s", "ON accounts"))
    for statement in PLPGSQL:
        stack.postgres.execute(statement.replace("ON %s", "ON crm.account"))


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgres"])
def stack(request):
    with Workdir() as work:
        # Some tests take a store or a process away, and those who need it say so.
        with DualStack(work, request.param, facades=2, allow=["."]) as running:
            wait_for(lambda: running.new('SELECT count(*) FROM crm."user"') ==
                     [tuple(running.old("SELECT count(*) FROM users")[0])], "the users to arrive")
            note_history(running)
            for stage, percent in (("shadow", None), ("canary", 50), ("new", None)):
                running.route_set(stage, percent)
            yield running


def own(stack, side):
    def given():  # not while a facade that was killed is still counted
        return stack.owner() == side or stack.cutover(force=True, kind=kind)["outcome"] == "done"
    kind = "cutover" if side == "new" else "rollback"
    wait_for(given, f"{side} to own the group", 90)
    stack.wait_followed()
    return "new" if side == "legacy" else "legacy"


@contextlib.contextmanager
def bound(stack, ms, facade=0):
    """One facade with another dual.wait_ms: what is late there is late soon."""
    daemon = stack.facades[facade]
    file = stack.work.file("serve%d.json" % facade)
    with open(file, encoding="utf-8") as f:
        text = f.read()
    config = json.loads(text)
    config["dual"]["wait_ms"] = ms
    stack.work.file("serve%d.json" % facade, json.dumps(config))
    daemon.restart()
    try:
        yield Form(stack.url(facade))
    finally:
        stack.work.file("serve%d.json" % facade, text)
        daemon.restart()


@contextlib.contextmanager
def locked(stack, side):
    """Nobody writes accounts on that side meanwhile."""
    if side == "new":
        session = stack.postgres.connect(autocommit=False)
        session.cursor().execute("LOCK TABLE crm.account IN EXCLUSIVE MODE")
    elif stack.kind == "sqlite":
        session = sqlite3.connect(stack.legacy.path, isolation_level=None)
        session.execute("BEGIN IMMEDIATE")
    else:
        session = stack.legacy.connect()
        session.cursor().execute("BEGIN")
        session.cursor().execute("SELECT id FROM accounts FOR UPDATE" if stack.kind == "mariadb"
                                 else "LOCK TABLE accounts IN EXCLUSIVE MODE")
    try:
        yield
    finally:
        session.rollback()
        session.close()


@pytest.mark.parametrize("owner", ["legacy", "new"])
def test_the_other_side_holds_a_write_when_it_is_answered(stack, owner):
    other = own(stack, owner)
    form, before = Form(stack.url()), stack.outcomes()
    for i in range(WRITES):
        key = form.set("Accounts", name=f"dual {i}", description="made")
        assert stack.account(other, key) == (f"dual {i}", "made")
        form.set("Accounts", id=key, description=f"changed {i}")
        assert stack.account(other, key) == (f"dual {i}", f"changed {i}")
        reply = stack.api("PATCH", f"/accounts/{key}", {"name": f"by rest {i}"})
        assert reply.status == 204, reply.body
        assert stack.account(other, key) == (f"by rest {i}", f"changed {i}")
        if i % 4 == 0:
            assert stack.api("DELETE", f"/accounts/{key}").status == 204
            assert stack.account(other, key) is None
    after = stack.outcomes()
    assert after["in_line"] - before["in_line"] == 3 * WRITES + WRITES / 4
    assert (after["late"], after["failed"]) == (before["late"], before["failed"])


@pytest.mark.parametrize("owner", ["legacy", "new"])
def test_links_are_there_too(stack, owner):
    """Their rows have keys that the facade does not know: it waits for all partitions."""
    other = own(stack, owner)
    form = Form(stack.url())
    account = form.set("Accounts", name="linked")
    contacts = [form.set("Contacts", last_name=f"linked {i}") for i in range(4)]

    def linked():
        sql = "SELECT contact_id FROM %s WHERE account_id = %s AND %s"
        rows = (stack.old(sql % ("accounts_contacts", "?", "deleted = 0"), (account,)) if other == "legacy" else
                stack.new(sql % ("crm.account_contact", "%s", "NOT deleted"), (account,)))
        return sorted(key for (key,) in rows)
    for n in range(1, 5):
        form.call("set_relationship", [form.session, "Accounts", account, "contacts", [contacts[n - 1]], [], 0])
        assert linked() == sorted(contacts[:n])
    form.call("set_relationship", [form.session, "Accounts", account, "contacts", contacts[:3], [], 1])
    assert linked() == contacts[3:]


def test_a_strangers_open_transaction_holds_nobody_up(stack):
    """It has taken a number of the changelog below the write's, or stands in its snapshot."""
    if stack.kind == "sqlite":
        pytest.skip("it has one writer")
    own(stack, "legacy")
    form, before = Form(stack.url()), stack.outcomes()
    session = stack.legacy.connect(autocommit=False)
    session.cursor().execute("INSERT INTO accounts (id, name, deleted) VALUES ('stranger', 'open', 0)")
    try:
        for n in range(5):
            key = form.set("Accounts", name=f"beside {n}")
            assert stack.account("new", key) == (f"beside {n}", None)
    finally:
        session.commit()
        session.close()
    assert stack.outcomes()["in_line"] - before["in_line"] == 5
    wait_for(lambda: stack.account("new", "stranger") == ("open", None), "the stranger's row to arrive")


@pytest.mark.parametrize("owner", ["legacy", "new"])
def test_a_locked_other_side_does_not_hold_up_the_answer(stack, owner):
    other = own(stack, owner)
    with bound(stack, 1000) as form:
        key = form.set("Accounts", name="locked", description="before")
        before = stack.outcomes()
        with locked(stack, other):
            for n in range(5):
                form.set("Accounts", id=key, description=f"during {n}")
            assert stack.account(owner, key) == ("locked", "during 4")
            assert stack.account(other, key)[1] != "during 4"
            after = stack.outcomes()
            assert after["late"] - before["late"] == 5
            wait_for(lambda: not stack.status_of_dual()["waits"], "the heartbeat to say so")
        wait_for(lambda: stack.account(other, key) == ("locked", "during 4"), "the stream to bring it")

        def waits():
            form.set("Accounts", id=key, description="after")
            return stack.status_of_dual()["waits"]
        wait_for(waits, "writes to wait again")


def test_a_row_that_the_other_side_refuses_is_the_owners_answer(stack):
    own(stack, "legacy")
    form, before = Form(stack.url()), stack.outcomes()
    stack.postgres.execute("ALTER TABLE crm.account ADD CONSTRAINT no_poison CHECK (name <> 'poison')")
    key = form.set("Accounts", name="poison")
    assert stack.account("legacy", key) == ("poison", None)
    assert stack.account("new", key) is None
    after = stack.outcomes()
    assert (after["failed"] - before["failed"], after["late"]) == (1, before["late"])
    form.set("Accounts", id=key, name="remedy")  # stays behind the parked one, and says so
    assert stack.outcomes()["failed"] - before["failed"] == 2
    stack.postgres.execute("ALTER TABLE crm.account DROP CONSTRAINT no_poison")
    stack.run("parked", "retry", "--all")
    wait_for(lambda: stack.account("new", key) == ("remedy", None), "the parked events to be applied")
    form.set("Accounts", id=key, description="goes on")
    assert stack.account("new", key) == ("remedy", "goes on")


def test_an_entity_that_is_paused_is_not_waited_for(stack):
    own(stack, "legacy")
    form, before = Form(stack.url()), stack.outcomes()
    key = form.set("Contacts", last_name="paused", title="0")
    stack.run("sync", "pause", "contact")
    stream = stack.syncs[0]
    stream.wait_log("legacy.contact is paused")
    form.set("Contacts", id=key, title="1")
    form.set("Accounts", name="beside it")
    after = stack.outcomes()
    assert (after["in_line"] - before["in_line"], after["failed"] - before["failed"]) == (2, 1)
    stack.run("sync", "resume", "contact")
    wait_for(lambda: stack.new("SELECT title FROM crm.contact WHERE id = %s", (key,)) == [("1",)], "it to arrive")


def test_without_sync_the_owner_answers_and_the_stream_repairs(stack):
    own(stack, "legacy")
    with bound(stack, 100) as form:
        stack.sync.kill()
        keys = [form.set("Accounts", name=f"alone {n}") for n in range(6)]
        assert stack.outcomes()["in_line"] == 0
        assert stack.outcomes()["late"] == 6
        assert [stack.account("legacy", k) for k in keys] == [(f"alone {n}", None) for n in range(6)]
        stack.sync.start()
        wait_for(lambda: all(stack.account("new", k) for k in keys), "the stream to bring them")


def test_a_facade_that_dies_before_it_waits(stack):
    """kill -9 between the owner's commit and the answer: nobody is told, nothing is lost."""
    for owner in ("legacy", "new"):
        other = own(stack, owner)
        plain = stack.facades[1]
        plain.stop()
        dies = Daemon(stack.work, "serve", stack.work.file("serve1.json"), ready=stack.admin(1) + "/readyz",
                      env={**stack.environment("serve1"), "FICUS_FAILPOINT": "dual:3"}, variant="hooks",
                      name=f"dies-{owner}")
        dies.start()
        form = Form(stack.url(1))
        key = form.set("Accounts", name="dies", description="0")
        form.set("Accounts", id=key, description="1")
        with pytest.raises(OSError):
            form.set("Accounts", id=key, description="2")
        assert dies.wait_exit() == -9
        assert stack.account(owner, key) == ("dies", "2")
        wait_for(lambda: stack.account(other, key) == ("dies", "2"), "the stream to bring it")
        plain.start()


class Racer(threading.Thread):
    """Counts up in one column of a row that another one writes too, through a facade of its own."""

    def __init__(self, form, key, column):
        super().__init__(daemon=True)
        self.form, self.key, self.column = form, key, column
        self.ending, self.last, self.broken = threading.Event(), 0, None

    def run(self):
        try:
            while not self.ending.is_set():
                self.last += self.write(str(self.last + 1))
        except Exception as error:  # pylint: disable=broad-except
            self.broken = error

    def write(self, value):
        try:
            self.form.set("Accounts", id=self.key, **{self.column: value})
        except urllib.error.HTTPError as error:
            if error.code != 503:  # nothing was done, try again: a deadlock on MariaDB
                raise
            return 0
        return 1

    def reach(self, n):
        wait_for(lambda: self.broken or self.last >= n, f"{n} writes of {self.column}", 120)
        if self.broken:
            raise self.broken

    def stop(self):
        self.ending.set()
        self.join(60)
        if self.broken:
            raise self.broken


@pytest.mark.parametrize("owner", ["legacy", "new"])
def test_racing_writes_never_go_back_on_the_other_side(stack, owner):
    """Two facades write one row while sync is killed again and again; a trigger of the other side
    notes each state that it ever had."""
    other = own(stack, owner)
    forms = [Form(stack.url(i)) for i in range(2)]

    def states():
        sql = f"SELECT a, b FROM dual_history WHERE id = '{key}' ORDER BY n"
        return [(int(a), int(b)) for a, b in (stack.old if other == "legacy" else stack.new)(sql)]
    key = forms[0].set("Accounts", name="raced", description="0", phone_office="0")
    with bound(stack, 100, 0) as first, bound(stack, 100, 1) as second:
        racers = [Racer(first, key, "description"), Racer(second, key, "phone_office")]
        for racer in racers:
            racer.start()
        for round_ in (1, 2):
            for racer in racers:
                racer.reach(round_ * 40)
            stack.sync.kill()
            for racer in racers:
                racer.reach(round_ * 40 + 10)
            stack.sync.start()
            goal = [racer.last for racer in racers]
            wait_for(lambda: all(n >= m for n, m in zip(states()[-1], goal)), f"the other side to hold {goal}", 60)
        for racer in racers:
            racer.stop()
        last = tuple(racer.last for racer in racers)
        wait_for(lambda: states()[-1] == last, f"the other side to hold {last}", 60)
        seen = states()
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in zip(seen, seen[1:])), seen
    assert len(seen) > 10
    stack.wait_quiet()


def test_cutover_and_rollback_under_dual_load_lose_nothing(stack):
    own(stack, "legacy")
    forms = [Form(stack.url(i % 2)) for i in range(4)]
    keys = [forms[0].set("Accounts", name=f"moved {i}", description="0") for i in range(4)]
    racers = [Racer(form, key, "description") for form, key in zip(forms, keys)]
    for racer in racers:
        racer.start()
    for turn, side in enumerate(("new", "legacy", "new", "legacy"), 1):
        for racer in racers:
            racer.reach(turn * 25)
        own(stack, side)
    for racer in racers:
        racer.stop()
    wanted = [(f"moved {i}", str(racer.last)) for i, racer in enumerate(racers)]
    assert [stack.account("legacy", key) for key in keys] == wanted
    wait_for(lambda: [stack.account("new", key) for key in keys] == wanted, "both sides to be equal")
    assert all(racer.last >= 100 for racer in racers)


def test_status_and_dry_run_show_it(stack):
    own(stack, "legacy")
    Form(stack.url()).set("Accounts", name="measured")
    wait_for(lambda: float(stack.status_of_dual()["p50"]) > 0, "the heartbeat to say so")
    row = stack.status_of_dual()
    assert row["waits"] and float(row["p99"]) >= float(row["p50"])
    plan = stack.json("cutover", GROUP, "--dry-run", good=(0, 1))
    assert plan["dual_p99_ms"] > 0
    text = stack.run("cutover", GROUP, "--dry-run", good=(0, 1)).stdout
    assert "Dual: writes wait for the other side" in text and "20000 ms" in text
