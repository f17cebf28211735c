# SPDX-License-Identifier: Apache-2.0
"""The rest dialect as a service team expects it: on a facade (legacy owner on SQLite, then the new
owner through `ficus service`) and on the service itself."""
import itertools
import json
import threading
import urllib.parse

import pytest

from crm import TOKEN, Crm, call
from harness import Sqlite, Workdir, wait_for
from test_facade import Database

epochs = itertools.count(1)
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def shared(postgres):
    with Workdir() as work, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "rest_dialect")
        with crm.running():
            yield crm


@pytest.fixture(params=["legacy", "new", "service"])
def api(request, shared):
    """A function (method, path, body, **headers) on one of the three."""
    shared.own("legacy" if request.param == "legacy" else "new", next(epochs))
    base = shared.service_url if request.param == "service" else shared.url

    def ask(method, path, body=None, **headers):
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return call(method, base + path, body, {**AUTH, **named})
    ask.side = request.param
    ask.crm = shared
    return ask


@pytest.fixture(scope="module")
def on_mariadb(postgres, mariadb):
    with Workdir() as work:
        crm = Crm(work, "mariadb", Database(mariadb, "rest_mariadb"), postgres, "rest_mariadb")
        with crm.running():
            yield lambda method, path, body=None, **headers: call(
                method, crm.url + path, body, {**AUTH, **{k.replace("_", "-"): v for k, v in headers.items()}})


names = itertools.count(1)


def create(api, path="/accounts", **values):
    made = api("POST", path, values or {"name": f"n{next(names)}"})
    assert made.status == 201, made.body
    assert made.headers["Location"].endswith(f"{path}/{made.json()['id']}")
    return made.json()["id"]


def problem(reply, status, slug):
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    body = reply.json()
    assert body["type"] == f"urn:ficus:problem:{slug}" and body["status"] == status
    return body


# ---- conditions on versions

def test_etags(api):
    key = create(api, name="tagged", industry="Media")
    got = api("GET", f"/accounts/{key}")
    tag = got.headers["ETag"]
    assert tag.startswith('"') and len(tag) == 34
    again = api("GET", f"/accounts/{key}", If_None_Match=tag)
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == tag
    assert api("GET", f"/accounts/{key}", If_None_Match=f'"x", W/{tag}').status == 304
    assert api("GET", f"/accounts/{key}", If_None_Match='"x"').status == 200
    some = api("GET", f"/accounts/{key}?fields=id,name").headers["ETag"]
    assert some.startswith('W/"')
    assert api("GET", f"/accounts/{key}?fields=id,name", If_None_Match=some).status == 304
    problem(api("GET", f"/accounts/{key}", If_Match='"x"'), 412, "precondition-failed")
    listed = api("GET", "/accounts?name=tagged").headers["ETag"]
    assert api("GET", "/accounts?name=tagged", If_None_Match=listed).status == 304

    problem(api("PATCH", f"/accounts/{key}", {"name": "lost"}, If_Match='"x"'), 412, "precondition-failed")
    problem(api("PATCH", f"/accounts/{key}", {"name": "lost"}, If_Match=some), 412, "precondition-failed")
    problem(api("PATCH", f"/accounts/{key}", {"name": "lost"}, If_Match="nonsense"), 400, "invalid")
    assert api("GET", f"/accounts/{key}").headers["ETag"] == tag
    assert api("PATCH", f"/accounts/{key}", {"name": "second"}, If_Match=f'"x", {tag}').status == 204
    problem(api("PATCH", f"/accounts/{key}", {"name": "lost"}, If_Match=tag), 412, "precondition-failed")
    problem(api("PUT", f"/accounts/{key}", {"name": "lost"}, If_Match=tag), 412, "precondition-failed")
    problem(api("DELETE", f"/accounts/{key}", If_Match=tag), 412, "precondition-failed")
    newer = api("GET", f"/accounts/{key}").headers["ETag"]
    assert newer != tag
    assert api("DELETE", f"/accounts/{key}", If_Match=newer).status == 204
    problem(api("PATCH", f"/accounts/{key}", {"name": "x"}, If_Match=newer), 412, "precondition-failed")
    problem(api("PATCH", f"/accounts/{key}", {"name": "x"}, If_Match="*"), 412, "precondition-failed")
    problem(api("PATCH", f"/accounts/{key}", {"name": "x"}), 404, "not-found")


def test_a_version_covers_what_lives_in_other_tables(api):
    key = create(api, "/contacts", last_name="Mail", email1="first@example.com")
    tag = api("GET", f"/contacts/{key}").headers["ETag"]
    assert api("PATCH", f"/contacts/{key}", {"email1": "second@example.com"}, If_Match=tag).status == 204
    problem(api("PATCH", f"/contacts/{key}", {"email1": "third@example.com"}, If_Match=tag), 412, "precondition-failed")
    assert api("GET", f"/contacts/{key}").json()["email1"] == "second@example.com"


def count_up(ask, field):
    """Eight clients count up in one field: read, add one, write if nobody else did."""
    key = create(ask, name="counter", **{field: "0"})

    def add(times):
        while times:
            got = ask("GET", f"/accounts/{key}")
            more = str(int(got.json()[field]) + 1)
            done = ask("PATCH", f"/accounts/{key}", {field: more}, If_Match=got.headers["ETag"])
            assert done.status in (204, 412), done.body
            times -= done.status == 204
    threads = [threading.Thread(target=add, args=(5,)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ask("GET", f"/accounts/{key}").json()[field] == "40"


@pytest.mark.parametrize("field", ["description", "customer_tier_c"])
def test_no_update_is_lost(api, field):
    count_up(api, field)


@pytest.mark.parametrize("field", ["description", "customer_tier_c", "email1"])
def test_no_update_is_lost_on_mariadb(on_mariadb, field):
    count_up(on_mariadb, field)


def test_cursors_on_mariadb(on_mariadb):
    for i in range(9):
        create(on_mariadb, name=f"{'aAbB'[i % 4]}{i % 3}", industry=None if i % 2 else "Media")
    for sort in ("name", "-name", "industry,-name", "-industry"):
        whole = [r["id"] for r in on_mariadb("GET", f"/accounts?fields=id&sort={sort}").json()["items"]]
        found, cursor = [], ""
        while cursor is not None:
            page = on_mariadb("GET", f"/accounts?fields=id&limit=2&sort={sort}&cursor={cursor}").json()
            found, cursor = found + [r["id"] for r in page["items"]], page["next"]
        assert found == whole


# ---- full replacement

def test_put_replaces_and_creates(api):
    key = create(api, name="old", industry="Media", description="gone after")
    assert api("PUT", f"/accounts/{key}", {"name": "new"}).status == 204
    got = api("GET", f"/accounts/{key}").json()
    assert (got["name"], got["industry"], got["description"]) == ("new", None, None)
    assert got["date_entered"] is not None

    fresh = f"own-key-{next(names)}"
    made = api("PUT", f"/accounts/{fresh}", {"name": "made"})
    assert made.status == 201 and made.json() == {"id": fresh} and made.headers["Location"].endswith(fresh)
    problem(api("PUT", f"/accounts/{fresh}", {"name": "x"}, If_None_Match="*"), 412, "precondition-failed")
    assert api("PUT", f"/accounts/{fresh}", {"name": "again"}).status == 204
    problem(api("PUT", "/accounts/never-there", {"name": "x"}, If_Match="*"), 412, "precondition-failed")
    assert api("GET", "/accounts/never-there").status == 404
    other = f"own-key-{next(names)}"
    assert api("PUT", f"/accounts/{other}", {"name": "made"}, If_None_Match="*").status == 201
    assert api("DELETE", f"/accounts/{other}").status == 204
    problem(api("PUT", f"/accounts/{other}", {"name": "made"}), 409, "conflict")
    problem(api("PUT", f"/accounts/{key}", {"id": "x", "name": "n"}), 400, "invalid")


# ---- repeated requests

def test_an_idempotency_key_runs_once(api):
    name, key = f"once{next(names)}", f"k-{next(names)}"
    first = api("POST", "/accounts", {"name": name}, Idempotency_Key=key)
    assert first.status == 201 and "Idempotency-Replayed" not in first.headers
    for _ in range(3):  # whichever loop answers
        again = api("POST", "/accounts", {"name": name}, Idempotency_Key=f'"{key}"')
        assert (again.status, again.body, again.headers["Location"]) == (201, first.body, first.headers["Location"])
        assert again.headers["Idempotency-Replayed"] == "true"
    problem(api("POST", "/accounts", {"name": "other"}, Idempotency_Key=key), 422, "idempotency-key-reused")
    problem(api("POST", "/contacts", {"last_name": name}, Idempotency_Key=key), 422, "idempotency-key-reused")
    problem(api("POST", "/accounts", {"name": name}, Idempotency_Key="not visible"), 400, "invalid")
    problem(api("POST", "/accounts", {"name": name}, Idempotency_Key="x" * 256), 400, "invalid")
    assert api("GET", f"/accounts?name={name}&count=true").json()["total"] == 1
    record = first.json()["id"]
    change = f"k-{next(names)}"
    assert api("PATCH", f"/accounts/{record}", {"industry": "Media"}, Idempotency_Key=change).status == 204
    assert api("PATCH", f"/accounts/{record}", {"industry": "Energy"}).status == 204
    assert api("PATCH", f"/accounts/{record}", {"industry": "Media"}, Idempotency_Key=change).status == 204
    assert api("GET", f"/accounts/{record}").json()["industry"] == "Energy"  # it was not done again


def test_a_key_in_use_and_one_left_behind(api):
    name, key = f"left{next(names)}", f"k-{next(names)}"
    first = api("POST", "/accounts", {"name": name}, Idempotency_Key=key)

    def row(change):
        api.crm.postgres.execute(f"UPDATE ficus.idempotency SET {change} WHERE key = %s", (key,),
                                 database=api.crm.database)
    row("status = NULL, lease_until = now() + interval '1 hour'")
    busy = api("POST", "/accounts", {"name": name}, Idempotency_Key=key)
    problem(busy, 409, "in-progress")
    assert busy.headers["Retry-After"]
    # Its process died behind the write: the next one finds what was done.
    row("lease_until = now() - interval '1 second'")
    again = api("POST", "/accounts", {"name": name}, Idempotency_Key=key)
    assert again.status == 201 and again.json() == first.json()
    assert api("GET", f"/accounts?name={name}&count=true").json()["total"] == 1
    # Expired: a new request.
    row("expires_at = now() - interval '1 second'")
    anew = api("POST", "/accounts", {"name": name}, Idempotency_Key=key)
    assert anew.status == 201 and anew.json() != first.json()


def test_one_key_at_the_same_time(api):
    name, key = f"race{next(names)}", f"k-{next(names)}"
    answers = []

    def ask():
        answers.append(api("POST", "/accounts", {"name": name}, Idempotency_Key=key))
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a.status for a in answers} <= {201, 409}
    assert len({a.body for a in answers if a.status == 201}) == 1
    assert api("GET", f"/accounts?name={name}&count=true").json()["total"] == 1


# ---- lists

@pytest.fixture
def people(api):
    """Twenty contacts of one company of their own, with nulls and equal values."""
    tag = f"list{next(names)}"
    rows = []
    for i in range(20):
        row = {"last_name": f"N{i % 7}", "title": None if i % 5 == 0 else f"t{i % 3}", "department": tag,
               "birthdate": None if i % 4 == 0 else f"19{60 + i}-02-03", "do_not_call": i % 2 == 0}
        rows.append({"id": create(api, "/contacts", **row), **row})
    return tag, rows


def listed(api, path):
    got = api("GET", path)
    assert got.status == 200, got.body
    return got.json()["items"]


def test_conditions(api, people):
    tag, rows = people

    def ids(query):
        return {r["id"] for r in listed(api, f"/contacts?department={tag}&limit=100&fields=id&{query}")}

    def want(test):
        return {r["id"] for r in rows if test(r)}
    assert ids("last_name[ne]=N1") == want(lambda r: r["last_name"] != "N1")
    assert ids("last_name[in]=N1,N2") == want(lambda r: r["last_name"] in ("N1", "N2"))
    assert ids("last_name[nin]=N1,N2") == want(lambda r: r["last_name"] not in ("N1", "N2"))
    assert ids("last_name[between]=N2,N4") == want(lambda r: "N2" <= r["last_name"] <= "N4")
    assert ids("title[null]=true") == want(lambda r: r["title"] is None)
    assert ids("title[null]=false") == want(lambda r: r["title"] is not None)
    assert ids("last_name[like]=N%25") == want(lambda r: True)
    assert ids("last_name[nlike]=%251") == want(lambda r: r["last_name"] != "N1")
    assert ids("birthdate[ge]=1970-01-01") == want(lambda r: (r["birthdate"] or "") >= "1970")
    assert ids("do_not_call=true") == want(lambda r: r["do_not_call"])

    def grammar(text):
        return ids("filter=" + urllib.parse.quote(text))
    assert grammar("last_name eq 'N1' or title is null") == \
        want(lambda r: r["last_name"] == "N1" or r["title"] is None)
    assert grammar("not (last_name in ('N1', 'N2') or title is null) and birthdate between '1960-01-01' and '1975-12-31'") == \
        want(lambda r: r["last_name"] not in ("N1", "N2") and r["title"] is not None and
             "1960" <= (r["birthdate"] or "") <= "1976")
    assert grammar("last_name not like '%1' and do_not_call eq true".replace("not like", "nlike")) == \
        want(lambda r: r["last_name"] != "N1" and r["do_not_call"])
    assert grammar("last_name not in ('it''s', 'N3')") == want(lambda r: r["last_name"] != "N3")
    for bad in ("", "last_name", "last_name eq", "last_name eq N1", "last_name eq 'N1", "(last_name eq 'N1'",
                "nothing eq 'x'", "last_name eq 'a' and", "birthdate eq 'tomorrow'", "do_not_call gt 'x'",
                "last_name eq 'a' or or last_name eq 'b'", "not " * 40 + "title is null", "1 eq 1",
                "last_name eq 'x'; DROP TABLE contacts", "last_name = 'N1'", "title is nul"):
        answer = api("GET", "/contacts?filter=" + urllib.parse.quote(bad))
        assert problem(answer, 400, "invalid")["errors"][0]["parameter"] == "filter", bad
    for bad in ("last_name[no]=x", "last_name[=x", "title[null]=maybe", "birthdate[between]=1970-01-01",
                "birthdate=soon", "last_name[like]=%5C", "do_not_call=yes", "nothing=1", "last_name=%00",
                "last_name=%FF", "last_name[in]=" + ",".join("x" * 300)):
        problem(api("GET", "/contacts?" + bad), 400, "invalid")


@pytest.mark.parametrize("sort", ["", "last_name", "-last_name", "title,-last_name", "-title", "birthdate,do_not_call",
                                  "-birthdate,-title,id"])
def test_cursors_show_every_record_once(api, people, sort):
    tag, rows = people
    path = f"/contacts?department={tag}&sort={sort}" if sort else f"/contacts?department={tag}"
    whole = [r["id"] for r in listed(api, f"{path}&limit=100&fields=id")]
    assert sorted(whole) == sorted(r["id"] for r in rows)
    found, cursor = [], ""
    for page in range(20):
        got = api("GET", f"{path}&limit=3&fields=id&cursor={cursor}").json()
        found += [r["id"] for r in got["items"]]
        if page == 1:  # written behind and before the place where we are: nothing shown twice, nothing lost
            api("DELETE", f"/contacts/{found[0]}")
            create(api, "/contacts", last_name="A", department=tag)
        cursor = got["next"]
        if not cursor:
            break
    assert [i for i in found if i in whole] == whole and len(found) <= len(whole) + 1


def test_a_cursor_is_whole_and_of_its_query(api, people):
    tag, _ = people
    path = f"/contacts?department={tag}&sort=last_name&limit=5"
    cursor = api("GET", path).json()["next"]
    assert api("GET", f"{path}&cursor={cursor}&fields=id&count=true").json()["total"] is not None
    for i in range(0, len(cursor), 7):
        bad = cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1:]
        problem(api("GET", f"{path}&cursor={bad}"), 400, "invalid")
    for bad in (cursor[:-1], cursor + "A", "x", "=" * 8, "A" * 20000):
        answer = api("GET", f"{path}&cursor={bad}")
        assert answer.status in (400, 414, 431), bad
    problem(api("GET", f"/contacts?department={tag}&sort=-last_name&cursor={cursor}"), 400, "invalid")
    problem(api("GET", f"/contacts?sort=last_name&cursor={cursor}"), 400, "invalid")
    problem(api("GET", f"{path}&cursor={cursor}&offset=1"), 400, "invalid")


def test_expansion_is_nested_and_bounded(api):
    account = create(api)
    people = [create(api, "/contacts", last_name=f"P{i}") for i in range(3)]
    deal = create(api, "/opportunities", name="deal", sales_stage="Prospecting", date_closed="2030-01-01")
    for p in people:
        assert api("PUT", f"/accounts/{account}/contacts/{p}").status == 204
    assert api("PUT", f"/contacts/{people[1]}/opportunities/{deal}").status == 204
    got = api("GET", f"/accounts/{account}?expand=contacts.opportunities.contacts").json()
    by_id = {c["id"]: c for c in got["contacts"]}
    assert set(by_id) == set(people)
    assert [o["id"] for o in by_id[people[1]]["opportunities"]] == [deal]
    assert by_id[people[0]]["opportunities"] == []
    assert [c["id"] for c in by_id[people[1]]["opportunities"][0]["contacts"]] == [people[1]]
    inside = listed(api, f"/accounts/{account}/contacts?expand=opportunities&fields=id")
    assert {c["id"]: len(c["opportunities"]) for c in inside} == {people[0]: 0, people[1]: 1, people[2]: 0}
    for bad in ("nothing", "contacts.nothing", "contacts.opportunities.contacts.accounts",
                ",".join(["contacts"] * 9), "contacts..x"):
        problem(api("GET", f"/accounts/{account}?expand={bad}"), 400, "invalid")


def test_more_related_rows_than_are_shown(api):
    account = create(api)
    for i in range(101):
        made = api("POST", "/cases", {"name": f"c{i}", "account_id": account})
        assert made.status == 201, made.body
    got = api("GET", f"/accounts/{account}?fields=id&expand=cases").json()
    assert len(got["cases"]) == 100 and got["_more"] == ["cases"]
    assert len(listed(api, f"/accounts/{account}/cases?limit=1000")) == 101


# ---- batch

def test_batch(api):
    name = f"batch{next(names)}"
    got = api("POST", "/batch", {"requests": [
        {"method": "POST", "path": "/accounts", "body": {"name": name}},
        {"method": "GET", "path": f"/accounts?name={name}&fields=name"},
        {"method": "GET", "path": "/accounts/nobody"},
        {"method": "POST", "path": "/accounts", "body": {"nothing": 1}},
        {"method": "PATCH", "path": "/accounts/nobody", "headers": {"if-match": "*"}, "body": {"name": "x"}},
        {"method": "POST", "path": "/batch", "body": {"requests": []}},
        {"method": "POST", "path": "/opportunities", "body": {
            "name": name, "amount": "1234567890.12", "date_closed": "2030-01-01", "sales_stage": "x"}},
    ]})
    assert got.status == 200, got.body
    parts = got.json()["responses"]
    assert [p["status"] for p in parts] == [201, 200, 404, 400, 412, 400, 201]
    assert parts[1]["body"]["items"] == [{"name": name}]
    assert parts[3]["body"]["errors"][0]["pointer"] == "/nothing"
    amount = api("GET", f"/opportunities/{parts[6]['body']['id']}?fields=amount").json()["amount"]
    assert float(amount) == 1234567890.12
    for bad in ({}, {"requests": []}, {"requests": [{}] * 51}, {"requests": [], "atomic": True}, [], 1,
                {"requests": [{"method": "GET", "path": "/accounts"}], "atomic": True},
                {"requests": [{"method": "GET", "path": "/accounts"}], "more": 1},
                {"requests": [{"method": "BREW", "path": "/accounts"}]},
                {"requests": [{"method": "GET", "path": "/accounts\r\nX: y"}]},
                {"requests": [{"method": "GET", "path": "/accounts", "headers": {"Host": "x"}}]},
                {"requests": [{"method": "GET", "path": "/accounts", "more": 1}]}):
        assert api("POST", "/batch", bad).status == 400, bad
    assert api("GET", "/batch").headers["Allow"] == "POST, OPTIONS"


# ---- what is refused, and how

def test_methods_and_media(api):
    key = create(api)
    assert api("OPTIONS", "/accounts").headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    options = api("OPTIONS", f"/accounts/{key}")
    assert options.status == 204 and "merge-patch" in options.headers["Accept-Patch"]
    assert api("OPTIONS", "/security_groups/1").headers["Allow"] == "GET, HEAD, OPTIONS"
    head = api("HEAD", f"/accounts/{key}")
    assert head.status == 200 and head.body == b"" and head.headers["ETag"]
    problem(api("DELETE", "/accounts"), 405, "method-not-allowed")
    problem(api("GET", "/accounts", Accept="text/html"), 406, "not-acceptable")
    problem(api("GET", "/accounts", Accept="application/json;q=0"), 406, "not-acceptable")
    assert api("GET", "/accounts", Accept="text/html, application/*;q=0.5").status == 200
    problem(api("POST", "/accounts", b"name=x", Content_Type="application/x-www-form-urlencoded"), 415,
            "unsupported-media-type")
    wrong = api("PATCH", f"/accounts/{key}", b"{}", Content_Type="text/plain")
    problem(wrong, 415, "unsupported-media-type")
    assert "merge-patch" in wrong.headers["Accept-Patch"]
    assert api("PATCH", f"/accounts/{key}", {"name": "m"}, Content_Type="application/merge-patch+json").status == 204
    assert api("POST", "/accounts", {"name": "c"}, Content_Type="Application/JSON; charset=utf-8").status == 201
    problem(api("POST", "/accounts?x=1", {"name": "c"}), 400, "invalid")
    problem(api("GET", f"/accounts/{key}?limit=1"), 400, "invalid")
    problem(api("GET", "/accounts?limit=1&limit=2"), 400, "invalid")


def test_every_mistake_of_a_body_is_told(api):
    body = problem(api("POST", "/contacts", {"nothing": 1, "last_name": 5, "do_not_call": "yes", "birthdate": "soon",
                                             "account_name": "x", "first_name": "f" * 5000}), 400, "invalid")
    assert {x["pointer"] for x in body["errors"]} == {
        "/nothing", "/last_name", "/do_not_call", "/birthdate", "/account_name", "/first_name"}


def test_values_keep_their_types_and_digits(api):
    key = create(api, "/opportunities", name="v", sales_stage="x", date_closed="2024-02-29", amount="0.10",
                 probability=12.5)
    got = api("GET", f"/opportunities/{key}").json()
    assert (got["date_closed"], got["probability"]) == ("2024-02-29", 12.5)
    assert isinstance(got["amount"], str) and float(got["amount"]) == 0.1
    assert got["date_entered"][10] == "T" and got["date_entered"].endswith("Z")
    assert got["deleted"] is False
    call_id = create(api, "/calls", name="c", duration_hours=2, date_start="2024-01-02T03:04:05+02:00")
    got = api("GET", f"/calls/{call_id}").json()
    assert (got["duration_hours"], got["date_start"]) == (2, "2024-01-02T01:04:05Z")
    assert listed(api, f"/calls?id={call_id}&date_start[ge]=2024-01-02T01:04:05Z&fields=id") == [{"id": call_id}]
    text = "ü\u0301 𝄞 \u202e\ufeff\n\t\"\\/' <&> \u007f"
    key = create(api, name=text)
    assert api("GET", f"/accounts/{key}").json()["name"] == text
    for bad in (b'{"name": 1}', b'{"name": ["x"]}', b'{"name": {}}', b'{"name": true}', b'{"annual_revenue": 1e3}'):
        problem(api("POST", "/accounts", bad), 400, "invalid")
    for bad in (b'{"duration_hours": "2"}', b'{"duration_hours": 2.5}', b'{"duration_hours": 99999999999}',
                b'{"duration_hours": true}', b'{"date_start": "2024-02-30T00:00:00Z"}', b'{"date_start": 5}'):
        problem(api("POST", "/calls", bad), 400, "invalid")
    for bad in (b'{"amount": "1.234567890123456789"}', b'{"amount": "x"}', b'{"amount": true}',
                b'{"probability": "12"}'):
        problem(api("POST", "/opportunities", bad), 400, "invalid")


HOSTILE = [
    b"", b" ", b"{", b"[", b"null", b"1", b'"x"', b"[]", b"{}x", b'{"name": "a",}', b"{'name': 'a'}",
    b'{"name": "a", "name": "b"}', b'{"name": "\\u0000"}', b'{"name": "\\ud800"}', b'{"name": "\xff"}', b"\xef\xbb\xbf{}",
    b'{"name": NaN}', b'{"name": Infinity}', b'{"duration": 1e999}', b'{"a":' * 5000, b"[" * 100000,
    b'{"name": ' + b"9" * 5000 + b"}", b'{"name": 1e' + b"9" * 400 + b"}", b'{"' + b"k" * 100000 + b'": 1}',
    b'{"__proto__": {}, "name": "x"}', b'{"id": null, "name": "x"}', b'{"id": {}, "name": "x"}', b'{"\\u0000": 1}',
    b'{"name": "x"}\x00', b'{"name": -}', b'{"name": 01}', b'{"name": .5}', b"\x00", b'{"deleted": "false"}',
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_bodies_are_refused_in_order(api, number):
    for method, path in (("POST", "/accounts"), ("PUT", "/accounts/hostile"), ("PATCH", "/accounts/hostile"),
                         ("POST", "/batch")):
        answer = api(method, path, HOSTILE[number])
        assert answer.status in (400, 413), (method, path, answer.status, answer.body[:200])
        assert answer.json()["type"].startswith("urn:ficus:problem:")
    assert api("GET", "/accounts/hostile").status == 404


def test_hostile_paths(api):
    for path in ("/accounts/%00", "/accounts/%zz", "/accounts/%ff", "/accounts//", "/accounts/a/b/c/d/e",
                 "/accounts/..%2f..", "/accounts/x/contacts/%00", "/%61ccounts/x", "/accounts/" + "x" * 300,
                 "/accounts/x/nothing", "/accounts/x'%20OR%201=1--"):
        answer = api("GET", path)
        assert answer.status in (400, 404, 405), (path, answer.status)


def test_if_match_can_be_demanded(work, sqlite, postgres, unique):
    crm = Crm(work, "sqlite", sqlite, postgres, unique)
    table = json.loads(open(f"{work.path}/routes.json", encoding="utf-8").read())
    table["mounts"][-1]["options"]["require_if_match"] = True
    work.file("routes.json", json.dumps(table))
    with crm.running():
        key = crm.api("POST", "/accounts", {"name": "x"}).json()["id"]
        for method in ("PATCH", "PUT", "DELETE"):
            problem(crm.api(method, f"/accounts/{key}", {"name": "y"} if method != "DELETE" else None), 428,
                    "precondition-required")
        got = call("GET", f"{crm.url}/accounts/{key}", headers=AUTH)
        assert call("DELETE", f"{crm.url}/accounts/{key}", headers={**AUTH, "If-Match": got.headers["ETag"]}).status == 204
        # The store of the keys goes away: nothing is known, nothing is done.
        postgres.execute("ALTER TABLE ficus.idempotency RENAME TO away", database=unique)
        answer = call("POST", f"{crm.url}/accounts", {"name": "once"}, {**AUTH, "Idempotency-Key": "k"})
        assert answer.status == 503 and answer.headers["Retry-After"]
        postgres.execute("ALTER TABLE ficus.away RENAME TO idempotency", database=unique)
        wait_for(lambda: call("POST", f"{crm.url}/accounts", {"name": "once"},
                              {**AUTH, "Idempotency-Key": "k"}).status == 201, "the keys to be back")
        assert sqlite.query("SELECT count(*) FROM accounts WHERE name = 'once'") == [(1,)]
