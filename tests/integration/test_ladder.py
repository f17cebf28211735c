# SPDX-License-Identifier: Apache-2.0
"""The ladder: a promotion needs evidence, force needs an approver, two persons, the way back by
itself, retirement, and the audit that keeps it all. One facade on SQLite and PostgreSQL."""
import http.server
import json
import os
import signal
import threading
import time

import pytest

from crm import TOKEN, Crm, call
from harness import Daemon, Sqlite, Workdir, free_port, wait_for
from harness.daemon import ficus

ANNA, BEN, VERA = "anna-token", "ben-token", "vera-token"
TOKENS = f"anna:approver:{ANNA}, ben:operator:{BEN} carl:approver:carl-token vera:viewer:{VERA}"


class Collector:
    """An OTLP/HTTP collector: the spans that it was sent."""

    def __init__(self):
        spans = self.spans = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        spans.extend(scope["spans"])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


COLLECTOR = Collector()


class Ladder(Crm):
    """A running facade whose limits are small; everyone named in TOKENS may try."""

    def _config(self, facade):
        config = super()._config(facade)
        config["admin"] = {"tokens": TOKENS}
        config["trace"] = {"endpoint": f"http://127.0.0.1:{COLLECTOR.port}/v1/traces"}
        config["ladder"] = {"evidence_min": 20, "match_bp": 8000, "each_min": 2, "rollback_min": 10,
                            "window_s": 30, "hold_s": 1, "noise_every": 4}
        return config

    def _routes(self):
        table = super()._routes()
        table["groups"]["pair"] = {"entities": ["lead"], "approval": "two"}
        table["groups"]["crm"]["entities"] = [e for e in table["groups"]["crm"]["entities"] if e != "lead"]
        table["routes"]["opportunity"]["retired"] = "gone"
        table["routes"]["account"]["lists"] = "legacy"
        table["override"] = {"users": ["1"]}
        for name in ("account", "contact", "lead"):
            table["routes"][name]["new"] = {"backend": "postgres"}
        return table

    def as_(self, token, *words, **more):
        return ficus(self.work, *words, "-c", self.config, env={**self.env, "FICUS_TOKEN": token}, **more)

    def set(self, *words, token=BEN, why="because"):
        return self.as_(token, "route", "set", *words, "--why", why)

    def stage_of(self, route):
        return self.new("SELECT stage, canary_bp FROM ficus.route_state WHERE route = %s", (route,))[0]

    def followed(self):
        version = self.new("SELECT version FROM ficus.version")[0][0]
        wait_for(lambda: self.new("SELECT count(*) FROM ficus.instance WHERE kind = 'serve'"
                                  " AND table_version < %s", (version,))[0][0] == 0, "the table to arrive")

    def last(self, route):
        return self.new("SELECT from_stage, to_stage, who, why, evidence, forced, automatic, approved_by"
                        " FROM ficus.route_history WHERE route = %s ORDER BY id DESC LIMIT 1", (route,))[0]


def test_half_a_command_shows_the_rest(work):
    for words, status in ((("help", "route"), 0), (("route", "retire", "x"), 2), (("route",), 2)):
        done = ficus(work, *words)
        said = done.stdout if status == 0 else done.stderr
        assert done.returncode == status and "route set" in said and "audit" not in said
    assert "no such command: route retire x." in ficus(work, "route", "retire", "x").stderr
    assert ficus(work, "nosuch").stderr == "ficus: no such command: nosuch. 'ficus help' lists them.\n"


def test_evidence_ends_by_age_and_number(work, sqlite, postgres, unique):
    crm = Ladder(work, "sqlite", sqlite, postgres, unique, loops=1)
    crm.configure(ladder={"samples_days": 10, "samples_max": 100})
    with crm.serve():  # registers the routes
        pass

    def run(sql):
        crm.postgres.execute(sql, database=crm.database)

    def keys(table, column="k", more=""):
        return sorted(row[0] for row in crm.new(f"SELECT {column} FROM ficus.{table} WHERE route = 'account' {more}"))
    run("UPDATE ficus.route_state SET changed_at = now() - interval '5 days'")
    run("INSERT INTO ficus.mismatch (route, entity, k, field, at) SELECT 'account', 'account', 'many', 'name', now()"
        " FROM generate_series(1, 150)")
    run("INSERT INTO ficus.mismatch (route, entity, k, field, at) VALUES"
        " ('account', 'account', 'old', 'name', now() - interval '11 days'),"
        " ('account', 'account', 'young', 'name', now() - interval '9 days')")
    run("INSERT INTO ficus.noise (route, field, n, last_key, last_at) VALUES"
        " ('account', 'name', 1, 'of a person', now() - interval '11 days'), ('account', 'industry', 1, 'x', now()),"
        " ('account', '', 9, '', now())")
    # Of stages long past; of the last one before that had any; of the present one; of another instance.
    for instance, since, at, matched in (("gone", 30, 20, 5), ("gone", 25, 11, 7), ("here", 25, 11, 0), ("gone", 20, 11, 0),
                                         ("here", 5, 11, 0)):
        run(f"INSERT INTO ficus.shadow_stat (route, instance, stage_since, matched, at) VALUES ('account', '{instance}',"
            f" now() - interval '{since} days', {matched}, now() - interval '{at} days')")
    for status, since, at in (("ok", 30, 20), ("ok", 25, 11), ("ok", 5, 11)):
        run("INSERT INTO ficus.coverage (route, stage_since, operation, status, seen, at) VALUES ('account',"
            f" now() - interval '{since} days', 'get', '{status}', 1, now() - interval '{at} days')")
    with crm.serve():
        wait_for(lambda: keys("mismatch") == ["many"] * 98 + ["young"], "mismatches to end by age and number")
        wait_for(lambda: keys("noise", "field") == ["", "industry"], "noise to end by age")
        wait_for(lambda: keys("shadow_stat", "matched") == [0, 0, 0, 7], "counts of stages long past to end")
        wait_for(lambda: len(keys("coverage", "status")) == 1, "coverage of stages long past to end")


@pytest.fixture(scope="module")
def crm(postgres):
    with Workdir() as work, Sqlite(work) as store:
        crm = Ladder(work, "sqlite", store, postgres, "ladder", loops=1)
        with crm.serve(allow=["taken back", "rollback"]):
            yield crm


def both_sides(crm, table, key, **values):
    """The same row on either side, as sync would have left it."""
    names = ["id", *values]
    marks = ", ".join("?" * len(names))
    crm.legacy.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", (key, *values.values()))
    crm.apply(f"INSERT INTO crm.{table.rstrip('s')} ({', '.join(names)}) VALUES"
              f" ({', '.join(['%s'] * len(names))})", (key, *values.values()))


def read(crm, path, n, status=200):
    for _ in range(n):
        assert crm.api("GET", path).status == status


def compared(crm, route):
    return crm.new("SELECT coalesce(sum(matched + mismatched), 0) FROM ficus.shadow_stat WHERE route = %s", (route,))[0][0]


def test_only_people_with_a_token_and_a_role(crm):
    assert ficus(crm.work, "route", "set", "account", "shadow", "--why", "x", "-c", crm.config,
                 env=crm.env).returncode == 1
    refused = crm.set("account", "shadow", token=VERA)
    assert refused.returncode == 1 and "needs the role operator" in refused.stderr
    assert crm.as_("wrong", "route", "set", "account", "shadow", "--why", "x").returncode == 1
    assert ficus(crm.work, "route", "set", "account", "shadow", "-c", crm.config, env=crm.env).returncode == 2
    assert crm.stage_of("account") == ("legacy", 0)


def test_a_climb_needs_evidence(crm):
    assert crm.set("account", "canary", "5").returncode == 1  # two rungs
    assert crm.set("account", "shadow").returncode == 0
    refused = crm.set("account", "canary", "5")
    assert refused.returncode == 1 and "0 of 20 compared" in refused.stderr
    crm.followed()
    both_sides(crm, "accounts", "a1", name="One")
    read(crm, "/accounts/a1?fields=id,name", 30)
    wait_for(lambda: compared(crm, "account") >= 30, "the comparisons to be stored")
    read(crm, "/accounts?fields=id", 1)
    wait_for(lambda: crm.new("SELECT count(*) FROM ficus.coverage WHERE operation = 'list'")[0][0] == 1, "the list")
    wait_for(lambda: crm.new("SELECT sum(compared) FROM ficus.coverage WHERE operation = 'list'")[0][0] == 1,
             "the list's comparison")
    done = crm.set("account", "canary", "0.05")
    assert done.returncode == 0, done.stderr
    assert crm.stage_of("account") == ("canary", 5)
    row = crm.last("account")
    assert row[:4] == ("shadow", "canary", "ben", "because") and row[5:] == (False, False, None)
    assert row[4]["enough"] and row[4]["matched"] >= 30 and row[4]["coverage"]


def test_a_reply_tells_how_it_came_about(crm):
    def ask(path, **headers):
        fields = {"Authorization": f"Bearer {TOKEN}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return call("GET", crm.url + path, headers=fields).headers["Ficus-Route"]

    assert ask("/accounts/a1?fields=id") is None and ask("/accounts/a1?fields=id", Ficus_Explain="wrong") is None
    told = ask("/accounts/a1?fields=id", Ficus_Explain=VERA)
    assert told.startswith("account; handler=/api; stage=canary; side=legacy; backend=odbc; owner=legacy; epoch=0;")
    assert "bucket=" in told and 'why="bucket of the key"' in told
    assert 'why="the route decides its lists"' in ask("/accounts?fields=id", Ficus_Explain=VERA)
    crm.applied_through(crm.changelog())
    wait_for(lambda: "side=new" in ask("/accounts/a1?fields=id", Ficus_Explain=VERA, Ficus_Side="new"), "the new side")
    assert 'why="the client asked' in ask("/accounts/a1?fields=id", Ficus_Explain=VERA, Ficus_Side="new")
    assert "side=legacy" in ask("/accounts/a1?fields=id", Ficus_Explain=VERA, Ficus_Side="sideways")
    counted = crm.metric('http_requests_total{handler="/api",method="GET",code="200"}')
    assert counted > 30 and crm.metric('http_request_duration_seconds_count{handler="/api"}') >= counted


def test_several_routes_move_together_or_not_at_all(crm):
    done = crm.set("contact,account", "legacy")
    assert done.returncode == 0, done.stderr
    assert crm.set("contact,nobody", "shadow").returncode == 2
    assert crm.set("contact", "shadow").returncode == 0
    refused = crm.set("account,contact", "canary", "1")  # contact is at shadow, account at legacy
    assert refused.returncode == 1 and crm.stage_of("contact") == ("shadow", 0)


def test_force_needs_an_approver_and_is_recorded(crm):
    assert crm.as_(BEN, "route", "set", "contact", "canary", "1", "--force", "--why", "x").returncode == 1
    done = crm.as_(ANNA, "route", "set", "contact", "canary", "1", "--force", "--why", "tonight")
    assert done.returncode == 0, done.stderr
    row = crm.last("contact")
    assert row[2] == "anna" and row[5] is True and row[4]["enough"] is False and "compared" in row[4]["missing"]
    assert crm.new("SELECT detail->>'forced' FROM ficus.audit WHERE object = 'contact' ORDER BY seq DESC LIMIT 1") == [
        ("true",)]


def test_two_persons(crm):
    asked = crm.as_(ANNA, "route", "set", "lead", "shadow", "--why", "first")
    assert asked.returncode == 1 and "waits for a second person" in asked.stdout
    number = json.loads(crm.as_(ANNA, "route", "proposals", "--json").stdout)[0]["id"]
    assert crm.stage_of("lead") == ("legacy", 0)
    assert crm.as_(ANNA, "route", "approve", str(number)).returncode == 1   # the same person
    assert crm.as_(BEN, "route", "approve", str(number)).returncode == 1    # no approver
    done = crm.as_("carl-token", "route", "approve", str(number))
    assert done.returncode == 0, done.stderr
    assert crm.stage_of("lead") == ("shadow", 0)
    row = crm.last("lead")
    assert row[2] == "anna" and row[7] == "carl"
    assert crm.as_("carl-token", "route", "approve", str(number)).returncode == 1  # once only
    assert crm.set("lead", "legacy").returncode == 0                        # down needs nobody


def test_a_route_goes_back_by_itself_once(crm):
    crm.set("account", "legacy")
    for stage in (["shadow"], ["canary", "100"]):
        assert crm.as_(ANNA, "route", "set", "account", *stage, "--force", "--why", "up").returncode == 0
    crm.followed()
    crm.applied_through(crm.changelog())  # the guard of read-your-writes lets reads go to the new side

    def answered_by_new():
        read(crm, "/accounts/a1?fields=id", 1)
        return crm.metric('ficus_requests_total{route="account",stage="canary",side="new",status="ok"}')

    wait_for(answered_by_new, "the new side to answer", 10)
    crm.apply("ALTER TABLE crm.account DROP COLUMN industry")  # the new side fails on it
    read(crm, "/accounts/a1?fields=id,industry", 40, 500)
    wait_for(lambda: crm.stage_of("account")[0] == "shadow", "the way back", 10)
    row = crm.last("account")
    assert row[:3] == ("canary", "shadow", "ficus") and row[3].startswith("errors: ") and row[6] is True
    assert row[4]["new"]["errors"] >= 10
    assert crm.new("SELECT count(*) FROM ficus.route_history WHERE route = 'account' AND automatic")[0][0] == 1
    crm.followed()
    read(crm, "/accounts/a1?fields=id", 3)


def test_a_retired_route_is_counted_and_comes_back_in_one_step(crm):
    for route in ("opportunity", "case"):
        crm.control("UPDATE ficus.route_state SET stage = 'retired', changed_at = now() WHERE route = %s", (route,))
    read(crm, "/opportunities/x", 3, 410)
    wait_for(lambda: crm.new("SELECT hits FROM ficus.retired_hit WHERE route = 'opportunity'") == [(3,)], "the hits")
    client = crm.new("SELECT client FROM ficus.retired_hit")[0][0]
    assert len(client) == 16
    listed = {r["route"]: r for r in json.loads(crm.ficus("route", "list", "--json").stdout)}
    assert listed["opportunity"]["hits"] >= 3 and listed["opportunity"]["idle_days"] == 0
    assert listed["case"]["last_hit"] is None
    done = crm.set("opportunity", "new")
    assert done.returncode == 0, done.stderr


def test_the_audit_is_a_chain(crm):
    whole = crm.ficus("audit", "verify", "--json")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    head = json.loads(whole.stdout)["head"]
    assert json.loads(crm.ficus("audit", "list", "--json", "--last", "3").stdout)[-1]["action"] == "route set"
    with pytest.raises(Exception, match="never changed"):
        crm.postgres.execute("DELETE FROM ficus.audit WHERE seq = 2", database=crm.database)

    def tampered(sql):
        """The verdict while `sql` has been done behind the back of the trigger."""
        crm.postgres.execute("CREATE TABLE kept AS SELECT * FROM ficus.audit", database=crm.database)
        crm.postgres.execute("ALTER TABLE ficus.audit DISABLE TRIGGER USER; " + sql, database=crm.database)
        done = crm.ficus("audit", "verify")
        crm.postgres.execute("DELETE FROM ficus.audit; INSERT INTO ficus.audit OVERRIDING SYSTEM VALUE SELECT * FROM"
                             " kept; DROP TABLE kept; ALTER TABLE ficus.audit ENABLE TRIGGER USER",
                             database=crm.database)
        assert done.returncode == 1, done.stdout
        return done.stdout

    assert "row 2: it or the row before" in tampered("UPDATE ficus.audit SET who = 'nobody' WHERE seq = 2")
    assert "row 3: rows are missing" in tampered("DELETE FROM ficus.audit WHERE seq = 2")
    assert "last rows are missing" in tampered("DELETE FROM ficus.audit WHERE seq = (SELECT max(seq) FROM ficus.audit)")
    assert crm.ficus("audit", "verify", "--hash", head).returncode == 0
    assert crm.ficus("audit", "verify", "--hash", "00").returncode == 1


def test_metrics_show_the_way_back(crm):
    text = call("GET", crm.admin + "/metrics").body.decode()
    assert 'ficus_rollbacks_total{route="account"} 1' in text


# ---- explaining, simulating, asking again

def test_explain_follows_a_real_request(crm):
    def explain(*words, **more):
        done = crm.ficus("route", "explain", *words, "--json", **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    told = explain("contact", "k7")
    assert told["why"] == "bucket of the key" and told["write_by"] == "legacy" and told["read_by"] == told["side"]
    told = explain("--curl", f"curl -H 'Authorization: Bearer x' '{crm.url}/contacts/k7?fields=id'")
    assert told["dialect"] == "rest" and told["mount"] == "/api" and told["entity"] == "contact"
    assert told["route"] == "contact" and told["key"] == "k7" and told["stage"] == "canary" and told["reads"]
    data = '{"session":"s","module_name":"Contacts","id":"k7"}'
    told = explain("--curl", "curl http://crm/service/v4_1/rest.php -d method=get_entry -d input_type=JSON"
                             f" -d response_type=JSON --data-urlencode 'rest_data={data}'")
    assert told["dialect"] == "v4_1" and told["call"] == "get_entry" and told["module"] == "Contacts"
    assert told["route"] == "contact" and told["key"] == "k7"
    raw = crm.work.file("raw.http", "PATCH /api/contacts/k7 HTTP/1.1\r\nHost: crm\r\n\r\n{}")
    told = explain("--request", raw)
    assert told["reads"] is False and told["why"] == "a write goes to the owner" and told["side"] == "legacy"
    told = explain("--curl", "curl http://crm/elsewhere")
    assert "404" in told["why"] and "route" not in told
    assert crm.ficus("route", "explain", "--curl", "curl").returncode == 2
    assert crm.ficus("route", "explain").returncode == 2


def test_simulate_says_what_another_table_would_change(crm):
    def line(route, stage, side, operation, bucket=""):
        return (f"2026-01-01 10:00:00.000Z info  serve.access [{route} {side}] client=127.0.0.1 method=GET"
                f" path=/api/{route}s/x status=200 bytes=1 duration_ms=1.000 handler=/api route={route} stage={stage}"
                f" side={side} operation={operation}{bucket}\n")

    text = "".join(line("contact", "shadow", "legacy", "get", f" bucket={b}") for b in (10, 250, 9000))
    text += line("contact", "shadow", "legacy", "update") + "another line\n"
    text += json.dumps({"subsystem": "access", "client": "::1", "method": "GET", "path": "/api/contacts/y",
                        "route": "contact", "stage": "shadow", "side": "legacy", "operation": "get", "bucket": 20}) + "\n"
    log = crm.work.file("access.log", text)
    done = crm.ficus("route", "simulate", log, "--set", "contact=canary:5", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["requests"], told["routed"], told["changed"], told["other_lines"]) == (5, 5, 3, 1)
    changed = [k for k in told["kinds"] if k["changes"]]
    assert len(changed) == 1 and changed[0]["requests"] == 3 and changed[0]["to_side"] == "new"
    assert "GET /api/contacts/x" in changed[0]["samples"]
    table = crm._routes()
    del table["routes"]["contact"]
    other = crm.work.file("candidate.json", json.dumps(table))
    told = json.loads(crm.ficus("route", "simulate", log, "--table", other, "--json").stdout)
    assert {k["to_stage"] for k in told["kinds"]} == {"no route"}
    assert crm.ficus("route", "simulate", log).returncode == 2
    assert crm.ficus("route", "simulate", log, "--set", "contact=up").returncode == 2


def test_a_mismatch_says_how_and_is_asked_again(crm):
    crm.control("UPDATE ficus.route_state SET stage = 'shadow', changed_at = now() WHERE route = 'account'")
    both_sides(crm, "accounts", "m1", name="Same")
    crm.apply("UPDATE crm.account SET name = 'Same  ' WHERE id = 'm1'")
    crm.applied_through(crm.changelog())

    def found():
        read(crm, "/accounts/m1?fields=id,name", 1)
        rows = json.loads(crm.ficus("route", "mismatches", "account", "--json").stdout)
        return [row for row in rows if row["key"] == "m1"]

    row = wait_for(found, "the mismatch", 10, interval=0.3)[0]
    assert row["field"] == "name" and row["kind"] == "padding"
    again = crm.ficus("route", "replay", str(row["id"]), "--json")
    assert again.returncode == 1, again.stderr
    now = json.loads(again.stdout)["now"]
    assert [d["field"] for d in now] == ["name"] and now[0]["kind"] == "padding"
    crm.apply("UPDATE crm.account SET name = 'Same' WHERE id = 'm1'")
    again = crm.ficus("route", "replay", str(row["id"]))
    assert again.returncode == 0 and "0 differences" in again.stdout, again.stdout + again.stderr
    assert crm.ficus("route", "replay", "999999").returncode == 1


def test_noise_is_proposed_not_applied(crm):
    pairs = wait_for(lambda: crm.new("SELECT n FROM ficus.noise WHERE route = 'account' AND field = ''"), "pairs of reads")
    assert pairs[0][0] >= 1
    assert json.loads(crm.ficus("route", "noise", "--json").stdout) == []
    assert crm.new("SELECT count(*) FROM ficus.ignore_rule")[0][0] == 0


# ---- the admin API, on the facade's second address

def admin(crm, method, path, token=VERA, body=None):
    return call(method, crm.admin + path, body, {"Authorization": f"Bearer {token}"} if token else {})


def test_the_admin_api_asks_for_a_token_and_a_role(crm):
    assert admin(crm, "GET", "/admin/routes", token=None).status == 401
    assert admin(crm, "GET", "/admin/routes", token="wrong").status == 401
    assert admin(crm, "GET", "/admin/nothing").status == 404
    assert admin(crm, "DELETE", "/admin/routes").status == 405
    table = admin(crm, "GET", "/admin").json()
    for row in table:  # every endpoint that needs more refuses a viewer
        if row["role"] != "viewer":
            assert admin(crm, row["method"], row["path"].replace("*", "1"), body={}).status == 403, row
    assert call("GET", crm.url.replace("/api", "/admin/routes")).status == 404  # never on the clients' address


def test_the_admin_api_shows_the_process(crm):
    config = admin(crm, "GET", "/admin/config").body.decode()
    assert ANNA not in config and TOKEN not in config and "ladder" in config
    routes = {r["route"]: r for r in admin(crm, "GET", "/admin/routes").json()}
    assert routes["account"]["hits"] > 30
    one = admin(crm, "GET", "/admin/routes/contact").json()
    assert one["stage"] == "canary" and one["evidence"]["enough"] is False
    assert admin(crm, "GET", "/admin/routes/nobody").status == 404
    assert admin(crm, "GET", "/admin/table").json()["routes"]["contact"]["stage"] == "canary"
    pools = admin(crm, "GET", "/admin/pools").json()
    assert len(pools) == 1 and pools[0]["legacy_workers"]["threads"] == 4
    breakers = {b["backend"]: b["state"] for b in admin(crm, "GET", "/admin/breakers").json()[0]["breakers"]}
    assert breakers["odbc"] == "closed" and "postgres" in breakers
    assert admin(crm, "GET", "/admin/sessions").json()[0]["open"] == 0
    assert len(admin(crm, "GET", "/admin/instances").json()) == 1
    told = admin(crm, "POST", "/admin/explain", body={"route": "account", "key": "a1"}).json()
    assert told["owner"] == "legacy" and told["why"] == "stage" and 0 <= told["bucket"] < 10000


def test_requests_in_flight_have_an_age(crm):
    lock = crm.legacy.connect()
    lock.execute("BEGIN EXCLUSIVE")
    threads = [threading.Thread(target=crm.api, args=("POST", "/accounts", {"name": "waits"})) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        found = wait_for(lambda: admin(crm, "GET", "/admin/requests").json()[0]["requests"], "a request to be seen")
        assert found[0]["method"] == "POST" and found[0]["path"] == "/api/accounts" and found[0]["age_ms"] >= 0
    finally:
        lock.execute("ROLLBACK")
        lock.close()
        for thread in threads:
            thread.join()


def test_the_admin_api_changes_state_and_records_it(crm):
    body = {"routes": ["contact"], "stage": "canary", "percent": 2.5}
    assert admin(crm, "POST", "/admin/routes", BEN, body).status == 400  # no why
    refused = admin(crm, "POST", "/admin/routes", BEN, {**body, "why": "more"})
    assert refused.status == 403 and "compared" in refused.json()["error"]
    assert admin(crm, "POST", "/admin/routes", BEN, {**body, "why": "more", "force": True}).status == 403
    assert admin(crm, "POST", "/admin/routes", ANNA, {**body, "why": "more", "force": True}).status == 200
    assert crm.stage_of("contact") == ("canary", 250)
    asked = admin(crm, "POST", "/admin/routes", ANNA, {"routes": ["lead"], "stage": "shadow", "why": "two"})
    assert asked.status == 202
    number = asked.json()["proposal"]
    assert admin(crm, "POST", f"/admin/proposals/{number}", ANNA).status == 403
    assert admin(crm, "POST", f"/admin/proposals/{number}", "carl-token").status == 200
    assert crm.stage_of("lead") == ("shadow", 0)
    assert admin(crm, "PUT", "/admin/log", BEN, {"level": "loud"}).status == 400
    assert admin(crm, "PUT", "/admin/log", BEN, {"level": "debug"}).json() == {"level": "debug"}
    assert admin(crm, "GET", "/admin/log").json() == {"level": "debug"}
    admin(crm, "PUT", "/admin/log", BEN, {"level": "info"})
    assert {"log level", "route set", "route propose", "route approve"} <= {
        row["action"] for row in admin(crm, "GET", "/admin/audit").json()}
    assert crm.ficus("audit", "verify").returncode == 0


# ---- definitions and the file of the last table

def test_load_reaches_every_instance_or_says_who_refused(crm):
    path = crm.work.file("routes.json")
    with open(path, encoding="utf-8") as f:
        good = f.read()
    changed = json.loads(good)
    changed["routes"]["account"]["lists"] = "new"
    crm.work.file("routes.json", json.dumps(changed))
    done = crm.as_(BEN, "route", "load", "--why", "lists", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["outcome"] for row in json.loads(done.stdout)] == ["taken"]
    crm.work.file("routes.json", good.replace('"account"', '"nobody"', 1))
    refused = crm.as_(BEN, "route", "load")
    assert refused.returncode == 3 and "no entity map 'nobody'" in refused.stderr
    read(crm, "/accounts?fields=id", 1)
    crm.work.file("routes.json", good)
    assert crm.as_(BEN, "route", "load").returncode == 0


def test_the_last_table_is_whole_or_not_used(crm):
    crm.followed()
    path = crm.work.file("state.json")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    state = json.loads(text)
    assert len(state["checksum"]) == 16 and state["routes"]["contact"]["stage"] == "canary"
    crm.work.file("edited.json", text.replace('"canary"', '"retired"'))
    crm.work.file("cut.json", text[:-20])
    config = json.loads(open(crm.config, encoding="utf-8").read())
    for name, says in (("edited.json", "checksum does not fit"), ("cut.json", "is not used")):
        config["facade"].update(state_path=name, listen=f"127.0.0.1:{free_port()}",
                                admin_listen=f"127.0.0.1:{free_port()}")
        config["control"]["conninfo"] = "host=127.0.0.1 port=1"
        other = crm.work.file("other.json", json.dumps(config))
        with Daemon(crm.work, "serve", other, ready=f"http://{config['facade']['admin_listen']}/healthz", env=crm.env,
                    allow=["away", "is not used"], name=name) as daemon:
            daemon.wait_log(says)


def test_traces_are_exported(crm):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    call("GET", crm.url + "/contacts/k7?fields=id", headers={
        "Authorization": f"Bearer {TOKEN}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    spans = wait_for(lambda: [s for s in COLLECTOR.spans if s["traceId"] == trace], "the spans")
    request = next(s for s in spans if s["kind"] == 2)
    assert request["parentSpanId"] == "00f067aa0ba902b7" and request["name"] == "GET /api"
    assert {"key": "ficus.route", "value": {"stringValue": "contact"}} in request["attributes"]
    dispatch = next(s for s in spans if s["name"] == "dispatch")
    assert dispatch["parentSpanId"] == request["spanId"]
    backend = next(s for s in spans if s["name"] == "backend")
    assert backend["parentSpanId"] == dispatch["spanId"]
    for span in spans:
        assert int(request["startTimeUnixNano"]) - 10**6 <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    crm.api("GET", "/contacts/k8?fields=id")  # not sampled: nothing is sent of it
    assert wait_for(lambda: crm.metric('ficus_trace_spans_total{result="sent"}'), "the count") == len(COLLECTOR.spans)


def test_a_change_reaches_the_facade_at_once(crm):
    began = time.monotonic()
    crm.postgres.execute("UPDATE ficus.route_state SET why = 'latency' WHERE route = 'contact'", database=crm.database)
    version = crm.new("SELECT version FROM ficus.version")[0][0]
    wait_for(lambda: admin(crm, "GET", "/admin/table").json()["version"] >= version, "the change", interval=0.002)
    print(f"a change was in force after {(time.monotonic() - began) * 1000:.1f} ms")


def test_a_stopped_mirror_is_dropped_and_counted_not_waited_for(work, sqlite, postgres, unique):
    crm = Crm(work, "sqlite", sqlite, postgres, unique, loops=1)
    service = crm.service()
    with service, crm.serve(allow=["away", "deadline", "timeout"]):
        made = crm.api("POST", "/accounts", {"name": "x"}).json()["id"]
        crm.stage("account", "shadow")
        times = {}
        for name in ("running", "stopped"):
            if name == "stopped":
                os.kill(service.process.pid, signal.SIGSTOP)
            times[name] = []
            for _ in range(150):
                began = time.monotonic()
                read(crm, f"/accounts/{made}?fields=id", 1)
                times[name].append(time.monotonic() - began)
        try:
            dropped = crm.metric('ficus_shadow_total{route="account",outcome="dropped"}')
            assert dropped >= 150 - 64 - 1  # what did not fit was dropped at once, the rest is waited for
            wait_for(lambda: crm.metric('ficus_shadow_total{route="account",outcome="dropped"}') >= 150, "the rest")
        finally:
            os.kill(service.process.pid, signal.SIGCONT)
        middle = {name: sorted(values)[75] * 1000 for name, values in times.items()}
        print(f"median of a read: mirror running {middle['running']:.2f} ms, stopped {middle['stopped']:.2f} ms")
        assert max(times["stopped"]) < 1.5  # the mirror's own deadline is 2 s: nobody waited for it
