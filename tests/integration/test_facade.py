# SPDX-License-Identifier: Apache-2.0
"""The facade on real stores: ladder, owner, holding, fences, shadow, both dialects' front door."""
import json
import os
import re
import threading
import urllib.parse

import pytest

from crm import TOKEN, Crm, call
from harness import Postgres, Proxy, wait_for

ACCOUNT = {"name": "Société «Nord»", "industry": "Media", "billing_address_city": "Köln"}


class Database:
    """One database of a shared MariaDB, with the verbs of Sqlite."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        server.create_database(name)

    def odbc(self):
        return self.server.odbc(database=self.name)

    def execute(self, sql, params=()):
        self.server.execute(sql.replace("?", "%s") if params else sql, params or None, database=self.name)

    def query(self, sql, params=()):
        return list(self.server.query(sql.replace("?", "%s"), params, database=self.name))


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def crm(request, work, postgres, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
    else:
        legacy = Database(request.getfixturevalue(request.param), f"{unique}_old")
    return Crm(work, request.param, legacy, postgres, unique)


def create(crm, path="/accounts", **values):
    made = crm.api("POST", path, values or ACCOUNT)
    assert made.status == 201, made.body
    return made.json()["id"]


def test_a_record_lives_on_the_legacy_side(crm):
    with crm.running():
        key = create(crm)
        assert crm.legacy.query("SELECT name FROM accounts WHERE id = ?", (key,)) == [(ACCOUNT["name"],)]
        got = crm.api("GET", f"/accounts/{key}?fields=id,name,industry").json()
        assert got == {"id": key, "name": ACCOUNT["name"], "industry": "Media"}
        assert crm.api("PATCH", f"/accounts/{key}", {"industry": None}).status == 204
        assert crm.api("GET", f"/accounts/{key}?fields=industry").json()["industry"] is None
        found = crm.api("GET", "/accounts?name[like]=Soci%25&count=true&fields=id&sort=-name").json()
        assert found["items"] == [{"id": key}] and found["total"] == 1
        assert crm.api("DELETE", f"/accounts/{key}").status == 204
        assert crm.api("GET", f"/accounts/{key}").status == 404
        assert crm.api("PATCH", f"/accounts/{key}", {"name": "no more"}).status == 404
        assert crm.api("DELETE", f"/accounts/{key}").status == 404
        assert crm.api("PATCH", "/accounts/none", {"name": "x"}).status == 404
        assert crm.new("SELECT count(*) FROM crm.account") == [(0,)]


def test_a_conditional_write_is_done_once(crm):
    with crm.running():
        url, auth = f"{crm.url}/accounts/{create(crm)}", {"Authorization": f"Bearer {TOKEN}"}
        tag = {"If-Match": call("GET", url, headers=auth).headers["ETag"], **auth}
        assert [call("PATCH", url, {"name": name}, tag).status for name in ("first", "second")] == [204, 412]
        assert crm.legacy.query("SELECT name FROM accounts")[0][0] == "first"


def test_relations(crm):
    with crm.running():
        account, contact = create(crm), create(crm, "/contacts", last_name="Weber")
        assert crm.api("PUT", f"/accounts/{account}/contacts/{contact}").status == 204
        assert crm.api("PUT", f"/accounts/{account}/contacts/{contact}").status == 204
        people = crm.api("GET", f"/accounts/{account}/contacts?fields=last_name").json()["items"]
        assert people == [{"last_name": "Weber"}]
        both = crm.api("GET", f"/accounts/{account}?fields=name&expand=contacts").json()
        assert [c["id"] for c in both["contacts"]] == [contact]
        assert crm.api("DELETE", f"/accounts/{account}/contacts/{contact}").status == 204
        assert crm.api("GET", f"/accounts/{account}/contacts").json()["items"] == []


def test_owner_new_serves_reads_and_writes_through_the_service(crm):
    with crm.running():
        crm.own("new", 7)
        account, contact = create(crm), create(crm, "/contacts", last_name="Weber")
        assert crm.new("SELECT name FROM crm.account WHERE id = %s", (account,)) == [(ACCOUNT["name"],)]
        assert crm.legacy.query("SELECT count(*) FROM accounts")[0][0] == 0
        assert crm.api("PUT", f"/accounts/{account}/contacts/{contact}").status == 204
        both = crm.api("GET", f"/accounts/{account}?fields=name&expand=contacts").json()
        assert [c["id"] for c in both["contacts"]] == [contact]
        assert crm.api("PATCH", f"/accounts/{account}", {"name": "Süd"}).status == 204
        found = crm.api("GET", "/accounts?name=S%C3%BCd&count=true&fields=id,name").json()
        assert found["items"] == [{"id": account, "name": "Süd"}] and found["total"] == 1
        assert crm.api("PATCH", "/accounts/none", {"name": "x"}).status == 404
        assert crm.api("DELETE", f"/contacts/{contact}").status == 204
        assert crm.api("GET", f"/contacts/{contact}").status == 404
        crm.own("legacy", 8)
        assert crm.api("GET", f"/accounts/{account}").status == 404
        create(crm)
        assert crm.legacy.query("SELECT count(*) FROM accounts")[0][0] == 1


def test_writes_wait_for_the_switch_and_none_fails(crm):
    with crm.running():
        first = create(crm)
        crm.control("UPDATE ficus.owner SET phase = 'holding'")
        statuses = []

        def write(i):
            statuses.append(crm.api("POST", "/accounts", {"name": f"held {i}"}).status)
        threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        wait_for(lambda: crm.metric("ficus_held_requests") == 8, "eight writes to be held")
        assert statuses == []
        assert crm.api("GET", f"/accounts/{first}").status == 200  # reads wait a moment, then go on
        crm.own("new", 3)
        for t in threads:
            t.join()
        assert statuses == [201] * 8
        assert crm.new("SELECT count(*) FROM crm.account WHERE name LIKE 'held %%'") == [(8,)]
        assert crm.metric("ficus_held_requests") == 0


def test_reads_of_a_switch_that_takes_long_go_by_the_stores(crm):
    """Between the opening of a store and the facades' being told, say because the coordinator died."""
    def fences(legacy, new, epoch):
        crm.legacy.execute("UPDATE ficus_fence SET writable = ?, epoch = ?", (legacy, epoch))
        crm.postgres.execute("UPDATE ficus.fence SET writable = %s, epoch = %s", (bool(new), epoch),
                             database=crm.database)

    def read(key):
        return crm.api("GET", f"/accounts/{key}").status
    with crm.running():
        old = create(crm)
        crm.applied_through(0)  # nothing has arrived
        crm.own("new", 1)
        new = create(crm)
        crm.control("UPDATE ficus.owner SET phase = 'holding'")  # back to the legacy
        fences(0, 0, 2)
        assert read(new) == 200  # both are sealed: nobody has written since
        fences(1, 0, 2)
        assert read(old) == 200 and read(new) == 404
        listed = crm.api("GET", "/accounts?fields=id").json()["items"]
        assert [row["id"] for row in listed] == [old]
        crm.own("legacy", 2)
        crm.control("UPDATE ficus.owner SET phase = 'holding'")  # to the new side
        assert read(old) == 200
        fences(0, 0, 3)
        assert read(old) == 503  # what the legacy's log has may be on its way
        crm.applied_through(crm.changelog())
        fences(0, 1, 3)
        assert read(new) == 200 and read(old) == 404
        crm.own("new", 3)


def test_a_write_that_meets_a_closed_fence_is_tried_again_on_the_new_owner(crm):
    with crm.running():
        create(crm)
        crm.legacy.execute("UPDATE ficus_fence SET writable = 0, epoch = 5")
        answer = []
        t = threading.Thread(target=lambda: answer.append(crm.api("POST", "/accounts", ACCOUNT).status))
        t.start()
        wait_for(lambda: crm.metric("ficus_held_requests") == 1, "the write to be held")
        crm.own("new", 5)
        t.join()
        assert answer == [201] and crm.new("SELECT count(*) FROM crm.account") == [(1,)]
        # The same for a service whose store was sealed under it.
        crm.postgres.execute("UPDATE ficus.fence SET writable = false, epoch = 6", database=crm.database)
        t = threading.Thread(target=lambda: answer.append(crm.api("POST", "/accounts", ACCOUNT).status))
        t.start()
        wait_for(lambda: crm.metric("ficus_held_requests") == 1, "the write to be held")
        crm.own("legacy", 6)
        t.join()
        assert answer == [201, 201] and crm.legacy.query("SELECT count(*) FROM accounts")[0][0] == 2


def test_flips_under_load_fail_nothing_and_double_nothing(crm):
    done, statuses = threading.Event(), []

    def write(n):
        i = 0
        while not done.is_set():
            i += 1
            name = f"w{n}-{i}"
            made = crm.api("POST", "/accounts", {"name": name})
            changed = crm.api("PATCH", f"/accounts/{made.json().get('id', '')}", {"industry": "Media"})
            # A record written before a flip is on the other side here: no sync engine runs.
            statuses.append((name, made.status, changed.status if changed.status != 404 else 204))
    with crm.running():
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for epoch in range(1, 13):
            before = len(statuses)
            crm.own("new" if epoch % 2 else "legacy", epoch)
            wait_for(lambda: len(statuses) > before + 8, "writes under the new owner")
        done.set()
        for t in threads:
            t.join()
        assert {(a, b) for _, a, b in statuses} == {(201, 204)}
        held = crm.legacy.query("SELECT name FROM accounts") + crm.new("SELECT name FROM crm.account")
        assert sorted(n for n, in held) == sorted(n for n, _, _ in statuses)
        assert crm.metric("ficus_fenced_writes_total") > 0
        owners = [crm.legacy.query("SELECT count(*) FROM accounts")[0][0],
                  crm.new("SELECT count(*) FROM crm.account")[0][0]]
        assert min(owners) > 0


@pytest.mark.parametrize("owner", ["legacy", "new"])
def test_answers_are_honest_while_connections_break(work, mariadb, postgres, unique, owner):
    """201: stored once. 503: not stored. 504, the outcome is not known: at most once."""
    legacy = Database(mariadb, unique)
    with Proxy(mariadb.port) as my_proxy, Proxy(postgres.port) as pg_proxy:
        proxy = my_proxy if owner == "legacy" else pg_proxy
        crm = Crm(work, "mariadb", legacy, postgres, unique, pg_port=pg_proxy.port,
                  odbc=mariadb.odbc(database=unique, port=my_proxy.port))
        answers, done = [], threading.Event()

        def write(n):
            i = 0
            while not done.is_set():
                i += 1
                answers.append((f"w{n}-{i}", crm.api("POST", "/leads", {"last_name": f"w{n}-{i}"}).status))
        with crm.serve(allow=[r"."]):
            crm.own(owner, 1)
            threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
            for t in threads:
                t.start()
            for _ in range(25):
                before = sum(status == 201 for _, status in answers)
                wait_for(lambda: sum(s == 201 for _, s in answers) > before + 5, "writes to go on")
                proxy.reset()
            done.set()
            for t in threads:
                t.join()
        assert proxy.accepted > 25  # connections did break and were made anew
    stored = [n for n, in (legacy.query("SELECT last_name FROM leads") if owner == "legacy" else
                           crm.new("SELECT last_name FROM crm.lead"))]
    assert {s for _, s in answers} <= {201, 503, 504}
    assert len(stored) == len(set(stored))
    assert {n for n, s in answers if s == 201} <= set(stored)
    assert not {n for n, s in answers if s == 503} & set(stored)


def waiting(server):
    return server.query("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")[0][0]


def test_a_write_that_a_deadlock_ended_is_run_again(work, mariadb, postgres, unique):
    """The victim is the transaction that changed less: ours."""
    crm = Crm(work, "mariadb", Database(mariadb, unique), postgres, unique)
    crm.legacy.execute("CREATE TABLE scratch (id int)")
    with crm.running():
        key = create(crm, name="first", credit_limit_c="1.00")
        other = mariadb.connect(unique, autocommit=False)
        try:
            with other.cursor() as cur:
                cur.execute("INSERT INTO scratch SELECT seq FROM seq_1_to_2000")
                cur.execute("UPDATE accounts_cstm SET credit_limit_c = 2 WHERE id_c = %s", (key,))
                answer = []
                body = {"name": "ours", "credit_limit_c": "3.00"}
                ours = threading.Thread(target=lambda: answer.append(crm.api("PATCH", f"/accounts/{key}", body)))
                ours.start()
                wait_for(lambda: waiting(mariadb) == 1, "our write to wait for the other's row")
                cur.execute("UPDATE accounts SET industry = 'Other' WHERE id = %s", (key,))
                wait_for(lambda: crm.metric("ficus_odbc_deadlock_retries_total") == 1, "our write to begin again")
                other.commit()
                ours.join(60)
        finally:
            other.close()
        assert [a.status for a in answer] == [204], answer[0].body
        assert crm.legacy.query("SELECT name, industry, credit_limit_c FROM accounts JOIN accounts_cstm ON id_c = id"
                                " WHERE id = ?", (key,)) == [("ours", "Other", 3)]


def test_a_hold_without_end_is_answered_busy(work, sqlite, postgres, unique):
    crm = Crm(work, "sqlite", sqlite, postgres, unique, hold_ms=300, hold_max=1)
    with crm.running():
        crm.control("UPDATE ficus.owner SET phase = 'holding'")
        r = crm.api("POST", "/accounts", ACCOUNT)
        assert r.status == 503 and r.headers["Retry-After"]
        assert r.json()["status"] == 503
    assert sqlite.query("SELECT count(*) FROM accounts") == [(0,)]


def test_shadow_counts_and_explains(crm):
    with crm.running():
        key = create(crm)
        crm.stage("account", "shadow")
        crm.apply("INSERT INTO crm.account (id, name, deleted) VALUES (%s, 'other', false)", (key,))

        def outcome(name):
            return crm.metric(f'ficus_shadow_total{{route="account",outcome="{name}"}}')
        # The write above has not been applied by any sync: the new side is behind, no mismatch.
        assert crm.api("GET", f"/accounts/{key}?fields=id,name").json()["name"] == ACCOUNT["name"]
        wait_for(lambda: outcome("stale") == 1, "a stale comparison")
        crm.applied_through(1000000)

        def mismatch():
            assert crm.api("GET", f"/accounts/{key}?fields=id,name").json()["name"] == ACCOUNT["name"]
            return outcome("mismatch") >= 1
        wait_for(mismatch, "a mismatch")
        assert crm.api("GET", f"/accounts/{key}?fields=id").status == 200
        wait_for(lambda: outcome("match") == 1, "a match")
        wait_for(lambda: crm.new("SELECT entity, k, field FROM ficus.mismatch LIMIT 1") ==
                 [("account", key, "name")], "the sample to be stored")
        wait_for(lambda: crm.new("SELECT sum(matched) FROM ficus.shadow_stat")[0][0] == 1, "the counts to be stored")


def test_a_difference_that_lag_explains_is_stale_even_of_a_foreign_write(crm):
    with crm.running():
        key = create(crm)
        crm.stage("account", "shadow")
        crm.apply("INSERT INTO crm.account (id, name, deleted) VALUES (%s, %s, false)", (key, ACCOUNT["name"]))
        crm.applied_through(crm.changelog())
        # Past every facade, and not applied yet: only the changelog knows.
        crm.legacy.execute("UPDATE accounts SET name = 'past the facade' WHERE id = ?", (key,))
        assert crm.api("GET", f"/accounts/{key}?fields=id,name").json()["name"] == "past the facade"
        wait_for(lambda: crm.metric('ficus_shadow_total{route="account",outcome="stale"}') == 1, "a stale comparison")
        crm.applied_through(crm.changelog())  # a sync that says so and did not do it

        def mismatch():
            crm.api("GET", f"/accounts/{key}?fields=id,name")
            return crm.metric('ficus_shadow_total{route="account",outcome="mismatch"}') >= 1
        wait_for(mismatch, "a mismatch")


def test_a_write_of_what_belongs_to_no_group_is_read_at_once(crm):
    with crm.running():
        key = crm.api("POST", "/users", {"user_name": "ann", "status": "Active"}).json()["id"]

        def names():
            return (crm.api("GET", f"/users/{key}?fields=user_name").json().get("user_name"),
                    [u["user_name"] for u in crm.api("GET", "/users?fields=user_name").json()["items"]])
        for stage in ("canary", "new"):
            crm.stage("user", stage, 100)
            assert names() == ("ann", ["ann"]), stage  # no sync has applied it
            assert crm.api("PATCH", f"/users/{key}", {"title": stage}).status == 204  # the owner is asked first
        # Past every facade, and not applied either: only the changelog knows.
        crm.applied_through(crm.changelog(), "user")
        crm.apply("INSERT INTO crm.user (id, user_name, deleted) VALUES (%s, 'ann', false)", (key,))
        crm.legacy.execute("UPDATE users SET user_name = 'anna' WHERE id = ?", (key,))
        assert names() == ("anna", ["anna"])
        crm.applied_through(crm.changelog(), "user")  # a sync that says so and did not do it
        wait_for(lambda: names() == ("ann", ["ann"]), "the new side to answer")
        assert crm.api("GET", f"/users/{key}?fields=title").json()["title"] in (None, "")


def test_mismatches_are_shown_and_a_rule_ignores_them(crm):
    with crm.running():
        key = create(crm)
        crm.stage("account", "shadow")
        crm.apply("INSERT INTO crm.account (id, name, deleted) VALUES (%s, 'other', false)", (key,))
        crm.applied_through(1000000)

        def until(outcome):
            def once():
                crm.api("GET", f"/accounts/{key}?fields=id,name")
                return crm.metric(f'ficus_shadow_total{{route="account",outcome="{outcome}"}}') >= 1
            wait_for(once, outcome)
        until("mismatch")
        wait_for(lambda: crm.ficus("route", "mismatches", "account", "--json").stdout.strip() != "[]", "the sample")
        assert f"{key} " in crm.ficus("route", "mismatches").stdout
        assert crm.ficus("route", "ignore", "account", "name").stderr.count("--why")
        assert "no field" in crm.ficus("route", "ignore", "account", "nothing", "--why", "x").stderr
        crm.ficus("route", "ignore", "account", "name", "--any", "--why", "renamed on purpose")
        assert "renamed on purpose" in crm.ficus("route", "ignored").stdout
        until("ignored")
        assert crm.ficus("route", "mismatches", "account", "--json").stdout.strip() == "[]"
        crm.ficus("route", "ignore", "account", "name", "--end")
        assert "renamed" not in crm.ficus("route", "ignored").stdout


def test_canary_by_key_and_the_new_stage(crm):
    with crm.running():
        keys = [create(crm, name=f"n{i}") for i in range(40)]
        for k in keys:
            crm.apply("INSERT INTO crm.account (id, name, deleted) VALUES (%s, 'new side', false)", (k,))

        def on_new():
            return {k for k in keys if crm.api("GET", f"/accounts/{k}?fields=name").json()["name"] == "new side"}
        crm.stage("account", "canary", 100)
        assert on_new() == set()  # written through this facade and not applied yet: the owner answers
        crm.applied_through(1000000)
        wait_for(lambda: on_new() == set(keys), "the pins to be released")
        crm.stage("account", "canary", 30)
        few = on_new()
        assert 3 <= len(few) <= 25 and few == on_new()
        crm.stage("account", "canary", 60)
        assert few <= on_new()  # raising never moves a key back
        crm.stage("account", "new")
        assert on_new() == set(keys)
        crm.stage("account", "retired")
        assert crm.api("GET", f"/accounts/{keys[0]}").status == 410


def test_refusals(crm):
    with crm.running():
        key = create(crm)
        assert crm.api("GET", "/accounts", token=None).status == 401
        assert crm.api("GET", "/accounts", token="wrong").headers["WWW-Authenticate"] == "Bearer"
        assert crm.api("GET", "/nothing").status == 404
        assert crm.api("GET", "/account_contacts").status == 404
        assert crm.api("POST", f"/accounts/{key}", {}).headers["Allow"] == \
            "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
        assert crm.api("GET", "/accounts?nothing=1").status == 400
        assert crm.api("GET", "/accounts?limit=0").status == 400
        assert crm.api("POST", "/accounts", {"nothing": 1}).status == 400
        assert crm.api("POST", "/accounts", {"name": "x" * 5000}).status in (400, 422)
        assert crm.api("POST", "/accounts", ["name"]).status == 400
        assert crm.api("POST", "/accounts/_canonical", {"kind": "list"}).status == 404
        assert crm.api("GET", "/users?fields=user_hash").status == 400
        assert crm.api("PATCH", "/security_groups/1", {"name": "x"}).status == 405
        assert crm.api("PATCH", "/users/1", {"user_hash": "x"}).status == 400
        quoted = urllib.parse.quote("' OR 1=1 --")
        assert crm.api("GET", f"/accounts?name={quoted}").json()["items"] == []
        assert call("GET", crm.url.replace("/api", "/elsewhere")).status == 404
        for bad in (b"{", b'{"name": "a", "name": "b"}', b'{"name": "\\u0000"}', b"\xff"):
            assert call("POST", crm.url + "/accounts", bad, {"Authorization": f"Bearer {TOKEN}"}).status == 400


def test_the_access_log_names_route_and_side_and_no_query(crm):
    with crm.running() as facade:
        crm.api("GET", "/accounts?name=hidden-words")
        facade.wait_log(r"access .account legacy.*method=GET path=/api/accounts status=200")
        assert "hidden-words" not in facade.text()
        counts = [k for k in crm.metrics() if k.startswith("ficus_requests_total")]
        assert counts == ['ficus_requests_total{route="account",stage="legacy",side="legacy",status="ok"}']


def test_reload_takes_good_definitions_and_refuses_bad_ones(work, sqlite, postgres, unique):
    crm = Crm(work, "sqlite", sqlite, postgres, unique)
    with crm.service(), crm.serve(allow=[r"reload refused"]) as facade:
        key = create(crm)
        good = json.dumps(crm._routes())
        work.file("routes.json", good.replace('"entity": "lead"', '"entity": "nobody"'))
        facade.reload()
        facade.wait_log("reload refused")
        assert crm.api("GET", f"/accounts/{key}").status == 200
        work.file("routes.json", good)
        facade.reload()
        facade.wait_log("definitions and certificates reloaded")
        assert crm.api("GET", f"/accounts/{key}").status == 200


def test_stores_away_and_back(work, sqlite, unique):
    with Postgres(work, name="own") as pg:
        crm = Crm(work, "sqlite", sqlite, pg, unique)
        with crm.serve(allow=[r"."]) as facade:
            key = create(crm)
            crm.stage("account", "shadow")
            pg.stop()
            wait_for(lambda: call("GET", crm.admin + "/readyz").json()["control"] is False, "the loss to be seen")
            assert crm.api("GET", f"/accounts/{key}").status == 200  # the last good table serves
            facade.restart()
            assert crm.api("GET", f"/accounts/{key}").status == 200  # and so it does from disk
            state = json.loads(open(os.path.join(work.path, "state.json"), encoding="utf-8").read())
            assert state["routes"]["account"]["stage"] == "shadow"
            pg.start()
            wait_for(lambda: call("GET", crm.admin + "/readyz").json()["control"] is True, "the control store again")
            assert re.search("connected", facade.text())


def test_a_stop_ends_what_is_open(crm):
    with crm.running() as facade:
        create(crm)
        crm.control("UPDATE ficus.owner SET phase = 'holding'")
        answer = []
        t = threading.Thread(target=lambda: answer.append(crm.api("POST", "/accounts", ACCOUNT).status))
        t.start()
        wait_for(lambda: crm.metric("ficus_held_requests") == 1, "the write to be held")
        facade.stop()
        t.join()
        assert answer == [503]
