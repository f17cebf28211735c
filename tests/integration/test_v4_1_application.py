# SPDX-License-Identifier: Apache-2.0
"""v4_1 calls that the legacy application itself answers: its session beside ours, both ways."""
import hashlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from crm import Crm
from harness import LegacyApp
from test_v4_1 import Client

PATH = "/service/v4_1/rest.php"


class WithApplication(Crm):
    port = None

    def _routes(self):
        table = super()._routes()
        table["upstreams"] = {"app": {"url": f"http://127.0.0.1:{self.port}"}}
        table["passthrough"] = "app"
        for mount in table["mounts"]:
            if mount["path"] == PATH:
                mount["options"]["application"] = "app"
        table["routes"]["contact"]["legacy"] = {"backend": "odbc", "application": "app", "through": ["write"]}
        table["match"] = [{"name": "lists-of-cases", "path": PATH, "to": {"upstream": "app"},
                           "call": {"method": "get_entry_list", "module": "Cases"}}]
        return table


@pytest.fixture
def crm(work, postgres, sqlite, unique):
    with LegacyApp(sqlite, {"jim": "secret"}) as app:
        WithApplication.port = app.port
        crm = WithApplication(work, "sqlite", sqlite, postgres, unique, loops=1)
        crm.app = app
        sqlite.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group,"
                       " portal_only, external_auth_only) VALUES ('1', 'jim', ?, 1, 'Active', 0, 0, 0, 0)",
                       (hashlib.md5(b"secret").hexdigest(),))
        yield crm
        assert app.broken == []


def language(c):
    return c("get_language_definition", ["Accounts"])


def test_what_only_the_application_knows(crm):
    app = crm.app
    with crm.running() as facade:
        c = Client(crm)
        c.login("jim", "secret")
        assert app.calls == []  # it is logged in to when it is needed
        assert language(c) == {"Accounts": {"LBL_SESSION": c.session}}
        assert app.methods() == ["login", "get_language_definition"]
        login, asked = (re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-00", r.trace["traceparent"]) for r in app.requests[-2:])
        assert login.groups() == asked.groups()
        theirs = app.calls[1][1][0]
        assert theirs in app.sessions and theirs != c.session
        assert c("plugin_whoami") == {"user": "jim", "session": c.session}  # a method of a plug-in
        assert c("get_entry_list", "Bugs", "", "", 0, [], [], 10, 0)["entry_list"][0]["module_name"] == "Bugs"
        assert c("set_entry", "Bugs", [{"name": "name", "value": "x"}])["id"] == "made-Bugs"
        assert c("get_entry_list", "Cases", "", "", 0, [], [], 10, 0)["entry_list"][0]["id"] == "app"  # by rule
        assert app.logins == 1 and all(arguments[0] == theirs for method, arguments in app.calls[1:])
        assert c("nosuch_method")["number"] == "-1"
        assert crm.metric("ficus_v4_1_through_total") == 6
        text = facade.text()
        assert theirs not in text and c.session not in text and hashlib.md5(b"secret").hexdigest() not in text
        form = {"method": "plugin_whoami", "input_type": "JSON", "response_type": "JSON",
                "rest_data": json.dumps({"session": c.session})}
        with urllib.request.urlopen(c.url + "?" + urllib.parse.urlencode(form), timeout=30) as r:  # in the query
            assert json.loads(r.read())["session"] == c.session
            assert r.headers["Set-Cookie"] == f"PHPSESSID={c.session}; path=/"
        c.session = "0" * 32
        assert c("plugin_whoami")["number"] == 11 and "0" * 32 not in [a[0] for _, a in app.calls]


SAME = ["//service/v4_1/rest.php", "/./service/v4_1/rest.php", "/x/../service/v4_1/rest.php", "/service//v4_1///rest.php",
        "/service/v4_1/%2e/rest.php", "/service/v4_1/re%73t.php", "/service/v4_1/rest.php/", "/service/v4_1/rest.php/extra",
        "/service/v4_1/rest.php" + "/a" * 100, "/x/%2E%2e/service/v4%5f1/rest.php"]
HIDDEN = ["/service%2Fv4_1/rest.php", "/service/v4_1%2frest.php", "/x/..%2Fservice/v4_1/rest.php", "/%2fservice/v4_1/rest.php"]


def test_no_way_of_writing_a_path_leads_past_the_mount(crm):
    """nginx, and PHP behind it, would run v4_1 for each of these: past the sessions and the fence."""
    with crm.running():
        c = Client(crm)
        c.login("jim", "secret")
        plain = c.url
        for path in SAME:
            c.url = plain.replace(PATH, path)
            assert c("get_user_id") == "1", path
            assert c("set_entry", "Accounts", {"name": path[:100]})["id"]
        for path in HIDDEN:
            c.url = plain.replace(PATH, path)
            with pytest.raises(urllib.error.HTTPError) as refused:
                c("get_user_id")
            assert refused.value.code == 400, path
        assert crm.app.requests == []
        assert crm.legacy.query("SELECT count(*) FROM accounts")[0][0] == len(SAME)
        key = crm.api("POST", "/accounts", {"name": "a"}).json()["id"]
        for path in ("//accounts/", "/./accounts/", "/x/../accounts/", "/%61ccounts/"):
            assert crm.api("GET", path + key).json()["name"] == "a", path
        assert crm.api("GET", "/accounts/" + "a%2Fb").status == 404  # one segment: a key


def test_what_no_map_has_is_the_applications(crm):
    app = crm.app
    with crm.running():
        c = Client(crm)
        c.login("jim", "secret")
        viewed = [{"id": "1", "item_id": "a", "item_summary": "Acme", "module_name": "Accounts"}]
        related = {"result_count": 0, "next_offset": 0, "field_list": ["id"], "entry_list": [], "error": {}}
        app.answers = {"get_last_viewed": viewed, "get_modified_relationships": related}
        assert c("get_last_viewed", ["Accounts", "Home"]) == viewed
        assert c("get_modified_relationships", "Users", "Calls", "2024-01-01", "2024-01-02", 0, 5, 0, "1", ["id"]) == related
        assert app.methods() == ["login", "get_last_viewed", "get_modified_relationships"]
        c.session = "0" * 32
        assert c("get_last_viewed", ["Accounts"])["number"] == 10 and len(app.calls) == 3


def test_the_applications_session_expires_alone(crm):
    with crm.running():
        c = Client(crm)
        c.login("jim", "secret")
        language(c)
        crm.app.expire()
        assert language(c) == {"Accounts": {"LBL_SESSION": c.session}}
        assert crm.app.methods()[2:] == ["get_language_definition", "login", "get_language_definition"]
        crm.app.users["jim"] = "changed"
        crm.app.expire()
        assert language(c)["number"] == 11  # only the client can know the new one


def test_the_applications_session_outlives_a_facade(crm):
    with crm.service():
        with crm.serve():
            c = Client(crm)
            c.login("jim", "secret")
            language(c)
        with crm.serve():
            assert language(c) == {"Accounts": {"LBL_SESSION": c.session}}
            assert crm.app.logins == 1
        stored = crm.new("SELECT id, detail::text FROM ficus.session")
        assert len(stored) == 1 and list(crm.app.sessions)[0] not in str(stored) and c.session not in str(stored)


def test_writes_through_the_application_run_its_hooks(crm):
    app = crm.app
    with crm.running():
        c = Client(crm)
        c.login("jim", "secret")
        made = c("set_entry", "Contacts", [{"name": "last_name", "value": "Roe"}, {"name": "first_name", "value": "Jane"}])
        assert app.methods() == ["login", "set_entry"]
        assert c.values("Contacts", made["id"], "last_name") == {"last_name": "Roe"}  # read from its database
        assert crm.legacy.query("SELECT field_name, after_value_string FROM contacts_audit ORDER BY 1 DESC") == [
            ("last_name", "Roe"), ("first_name", "Jane")]
        c("set_entry", "Accounts", [{"name": "name", "value": "Acme"}])  # a route without it
        assert len(app.calls) == 2 and crm.legacy.query("SELECT count(*) FROM accounts")[0][0] == 1
        # While the new side owns the group, the application is a direct writer like any other.
        crm.own("new", 7)
        key = c("set_entry", "Contacts", [{"name": "last_name", "value": "New"}])["id"]
        assert len(app.calls) == 2 and c.values("Contacts", key, "last_name") == {"last_name": "New"}
        assert crm.legacy.query("SELECT count(*) FROM contacts")[0][0] == 1


@pytest.mark.parametrize("first", ["v2", "v3_1", "v4_1"])
def test_writes_of_every_version_go_through_the_application(crm, first):
    app = crm.app
    with crm.running():
        c = Client(crm)
        url = c.url

        def at(version):
            c.url = url.replace("v4_1", version)
            return c
        at(first).login("jim", "secret")  # only the mount of v4_1 names the application, but the route does too
        for i, version in enumerate(("v2", "v2_1", "v3", "v3_1", "v4", "v4_1")):
            made = at(version)("set_entry", "Contacts", [{"name": "last_name", "value": version}])
            assert "id" in made, (version, made)
            assert app.requests[-1].target == f"/service/{version}/rest.php"  # in the words of its version
            assert crm.legacy.query("SELECT count(*) FROM contacts_audit")[0][0] == i + 1
        assert app.logins == 1
        assert at("v4")("get_language_definition", ["Accounts"])["number"] == 30  # not named at that mount
        assert len(app.calls) == 7


def test_everything_else_passes_through(crm):
    with crm.running():
        with pytest.raises(urllib.error.HTTPError) as refused:
            crm.app.answer = lambda conn, request: conn.reply(402, request.target.encode())
            urllib.request.urlopen(f"http://127.0.0.1:{crm.ports['facade']}/index.php?module=Home", timeout=30)
        assert refused.value.code == 402 and refused.value.read() == b"/index.php?module=Home"
