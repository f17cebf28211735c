# SPDX-License-Identifier: Apache-2.0
"""Sessions of legacy clients on two facades: where they work, and what ends them."""
import hashlib
import json

import pytest

from crm import Crm, call
from harness import Daemon, Sqlite, Workdir, free_port, wait_for
from test_access import Client, MD5

UNKNOWN = {"name": "Invalid Session ID", "number": 11, "description": "The session ID is invalid"}
BAD_LOGIN = {"name": "Invalid Login", "number": 10,
             "description": "Login attempt failed please check the username and password"}
LOCKED = {"name": "Password Expired", "number": 1009,
          "description": "You have been locked out of the Sugar application and cannot log in using existing password."
                         " Please contact your Administrator."}


class Two:
    """A CRM with two facades."""

    def __init__(self, work, crm):
        self.crm, self.work = crm, work
        self.ports = [crm.ports["facade"], free_port()]
        self.admins = [crm.ports["admin"], free_port()]
        with open(crm.config, encoding="utf-8") as f:
            config = json.load(f)
        at = "127.0.0.1:{}".format
        config["facade"].update(listen=at(self.ports[1]), admin_listen=at(self.admins[1]), state_path="state-2.json")
        self.configs = [crm.config, work.file("second.json", json.dumps(config))]
        self.daemons = [self.make(0), self.make(1)]

    def make(self, i):
        return Daemon(self.work, "serve", self.configs[i], ready=f"http://127.0.0.1:{self.admins[i]}/readyz",
                      env=self.crm.env, name=f"serve-{i}")

    def user(self, name, **values):
        row = {"id": name, "user_name": name, "user_hash": MD5, "is_admin": 0, "status": "Active", "deleted": 0,
               "is_group": 0, "portal_only": 0, "external_auth_only": 0, **values}
        self.crm.legacy.execute(f"INSERT INTO users ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                                list(row.values()))

    def client(self, name, i=0):
        c = Client(self.crm, name, self.ports[i])
        assert "id" in c.login()
        return c

    def at(self, client, i):
        """The same session, at another facade."""
        there = Client(self.crm, client.user, self.ports[i])
        there.session = client.session
        return there


@pytest.fixture(scope="module")
def two(postgres):
    with Workdir() as work, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "sessions", login_failures=5, login_window_ms=6000,
                  login_failures_address=20)
        both = Two(work, crm)
        with both.daemons[0], both.daemons[1]:
            yield both


def ends(client):
    wait_for(lambda: client("get_user_id") == UNKNOWN, "the session to end")


def test_a_session_works_everywhere_and_outlives_a_restart(two):
    two.user("anna")
    c = two.client("anna")
    assert c("get_user_id") == two.at(c, 1)("get_user_id") == "anna"
    two.daemons[0].kill()
    assert two.at(c, 1)("get_user_id") == "anna"
    two.daemons[0].start()
    assert c("get_user_id") == "anna"
    assert c("get_entry_list", "Accounts", "", "", 0, ["id"])["result_count"] == 0


def test_logout_ends_it_everywhere(two):
    two.user("berta")
    c = two.client("berta")
    there = two.at(c, 1)
    assert there("get_user_id") == "berta"
    assert c("logout") is None
    assert c("get_user_id") == UNKNOWN
    ends(there)


@pytest.mark.parametrize("change", ["status = 'Inactive'", "deleted = 1", "is_group = 1", "status = NULL"])
def test_a_user_who_may_not_log_in_has_no_session(two, change):
    name = f"user{len(change)}"
    two.user(name)
    c, other = two.client(name), two.client(name, 1)
    assert two.at(c, 1)("get_user_id") == name
    two.crm.legacy.execute(f"UPDATE users SET {change} WHERE id = ?", (name,))
    for client in (c, two.at(c, 1), other, two.at(other, 0)):
        ends(client)
    # It stays ended when he comes back.
    two.crm.legacy.execute("UPDATE users SET status = 'Active', deleted = 0, is_group = 0 WHERE id = ?", (name,))
    assert two.client(name)("get_user_id") == name
    assert c("get_user_id") == two.at(c, 1)("get_user_id") == UNKNOWN


def test_a_removed_user_has_no_session(two):
    two.user("gone")
    c = two.client("gone")
    two.crm.legacy.execute("DELETE FROM users WHERE id = 'gone'")
    ends(c)
    ends(two.at(c, 1))


def test_expiry_ends_it_everywhere(two):
    two.user("carla")
    c = two.client("carla")
    two.crm.postgres.execute("UPDATE ficus.session SET expires_at = now() WHERE user_id = 'carla'",
                             database=two.crm.database)
    ends(c)
    ends(two.at(c, 1))


def test_administrators_come_and_go_within_a_session(two):
    two.user("dora")
    c = two.client("dora")
    two.crm.legacy.execute("UPDATE acl_actions SET aclaccess = -99 WHERE category = 'Leads' AND name = 'list'")
    d = two.client("dora")
    try:
        assert d("get_entries_count", "Leads", "")["number"] == 40
        assert c("get_entries_count", "Leads", "") == {"result_count": "0"}  # levels of its beginning
        two.crm.legacy.execute("UPDATE users SET is_admin = 1 WHERE id = 'dora'")
        wait_for(lambda: d("get_entries_count", "Leads", "") == {"result_count": "0"}, "the administrator")
        two.crm.legacy.execute("UPDATE users SET is_admin = 0 WHERE id = 'dora'")
        wait_for(lambda: d("get_entries_count", "Leads", "").get("number") == 40, "the end of it")
    finally:
        two.crm.legacy.execute("UPDATE acl_actions SET aclaccess = 90 WHERE category = 'Leads' AND name = 'list'")


def test_who_may_log_in(two):
    rows = {"upper": {"user_hash": MD5.upper()}, "stateless": {"status": None}, "inactive": {"status": "INACTIVE"},
            "unsure": {"deleted": None}, "group": {"is_group": 1}, "portal": {"portal_only": 1},
            "external": {"external_auth_only": 1}, "hashless": {"user_hash": None}, "emptyhash": {"user_hash": ""}}
    for name, values in rows.items():
        two.user(f"no{name}", **values)
        assert Client(two.crm, f"no{name}", two.ports[1]).login() == BAD_LOGIN, name
    two.user("odd", status="On leave")
    assert two.client("odd", 1)("get_user_id") == "odd"


def wrong(two, name, i=0):
    return Client(two.crm, name, two.ports[i]).data(
        "login", [{"user_name": name, "password": hashlib.md5(b"wrong").hexdigest()}])


@pytest.mark.parametrize("name", ["emil", "nobody"])
def test_lockout(two, name):
    if name == "emil":
        two.user("emil")
    for _ in range(5):
        assert wrong(two, name) == BAD_LOGIN
    # Now not even the right password helps, in whichever case the name is written.
    for spelled in (name, name.upper(), name + " "):
        assert Client(two.crm, spelled, two.ports[0]).login() == LOCKED
    if name == "emil":  # until the window ends
        wait_for(lambda: "id" in Client(two.crm, name, two.ports[0]).login(), "the lock to end")
        assert two.crm.metric('ficus_v4_1_logins_total{result="locked"}') >= 3


def test_an_address_is_bounded_whatever_the_names(two):
    def tried(i):
        form = f"method=login&input_type=JSON&response_type=JSON&rest_data=[{{\"user_name\":\"x{i}\",\"password\":\"{MD5}\"}}]"
        return call("POST", f"http://127.0.0.1:{two.ports[1]}/service/v4_1/rest.php", form.encode(),
                    {"Content-Type": "application/x-www-form-urlencoded"})
    answers = [tried(i) for i in range(21)]
    assert answers[-1].status == 429 and answers[-1].headers["Retry-After"] == "1"
    assert {a.status for a in answers} == {200, 429}
    wait_for(lambda: tried(99).status == 200, "the window to end")
