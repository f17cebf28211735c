# SPDX-License-Identifier: Apache-2.0
"""The v4_1 dialect on real stores: the same replies whichever side owns the records."""
import hashlib
import json
import urllib.parse
import urllib.request

import pytest

from crm import Crm
from test_facade import Database

class Client:
    def __init__(self, crm):
        self.url = f"http://127.0.0.1:{crm.ports['facade']}/service/v4_1/rest.php"
        self.session = None

    def raw(self, method, data):
        form = {"method": method, "input_type": "JSON", "response_type": "JSON", "rest_data": json.dumps(data)}
        with urllib.request.urlopen(self.url, urllib.parse.urlencode(form).encode(), timeout=30) as r:
            assert r.headers["Content-Type"] == "application/json; charset=UTF-8"
            return r.read().decode()

    def login(self, name, password):
        auth = {"user_name": name, "password": hashlib.md5(password.encode()).hexdigest()}
        reply = json.loads(self.raw("login", {"user_auth": auth, "application_name": "test"}))
        self.session = reply.get("id")
        return reply

    def __call__(self, method, *args):
        return json.loads(self.raw(method, [self.session, *args]))

    def create(self, module, **values):
        return self("set_entry", module, values)["id"]

    def values(self, module, key, *fields):
        entry = self("get_entry", module, key, list(fields))["entry_list"][0]["name_value_list"]
        return {k: v["value"] for k, v in entry.items()} if isinstance(entry, dict) else None


def add_users(legacy):
    for key, name, admin in (("1", "jim", 1), ("2", "sally", 0)):
        legacy.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group,"
                       " portal_only, external_auth_only) VALUES (?, ?, ?, ?, 'Active', 0, 0, 0, 0)",
                       (key, name, hashlib.md5(b"secret").hexdigest(), admin))


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def crm(request, work, postgres, unique):
    if request.param == "sqlite":
        legacy = request.getfixturevalue("sqlite")
    else:
        legacy = Database(request.getfixturevalue(request.param), f"{unique}_old")
    crm = Crm(work, request.param, legacy, postgres, unique)
    add_users(legacy)
    return crm


def own(crm, side):
    if side == "new":
        crm.own("new", 7)


def names(reply):
    return [e["name_value_list"]["name"]["value"] for e in reply["entry_list"]]


@pytest.mark.parametrize("side", ["legacy", "new"])
def test_records(crm, side):
    with crm.running():
        own(crm, side)
        c = Client(crm)
        assert c.login("JIM ", "secret")["name_value_list"]["user_id"]["value"] == "1"
        made = c("set_entry", "Accounts", [
            {"name": "name", "value": " O'Neil & Söhne <b>x</b> "}, {"name": "credit_limit_c", "value": "1,234.56"},
            {"name": "email1", "value": "o'neil@example.com"}, {"name": "industry", "value": "Media"}])
        assert made["entry_list"]["name"]["value"] == "O&#039;Neil &amp;amp; S&ouml;hne &lt;b&gt;x&lt;/b&gt;"
        assert made["entry_list"]["credit_limit_c"]["value"] == 1234.56
        key = made["id"]
        assert c.values("Accounts", key, "name", "email1", "credit_limit_c", "deleted", "created_by") == {
            "name": "O&#039;Neil & Söhne &lt;b&gt;x&lt;/b&gt;", "email1": "o'neil@example.com",
            "credit_limit_c": "1234.560000", "deleted": "0", "created_by": "1"}
        assert c.values("Accounts", key.upper() + " ", "industry") == {"industry": "Media"}
        c("set_entry", "Accounts", {"id": key, "industry": "Energy"})
        c("set_entry", "Accounts", {"id": key, "email1": "new@example.com"})
        assert c.values("Accounts", key, "industry", "email1") == {"industry": "Energy", "email1": "new@example.com"}
        assert c("set_entry", "Accounts", {"id": "nosuch", "name": "x"})["id"] == "nosuch"
        assert c.values("Accounts", "nosuch", "name") is None
        assert c("set_entry", "Accounts", {"id": "given", "new_with_id": True, "name": "x"})["id"] == "given"
        assert c("set_entry", "Accounts", {"id": "given", "new_with_id": True, "name": "x"})["number"] == 1001
        c("set_entry", "Accounts", {"id": key, "deleted": 1})
        assert c.values("Accounts", key, "name") is None
        c("set_entry", "Accounts", {"id": key, "name": "risen"})
        got = c("get_entry_list", "Accounts", "", "name", 0, ["name", "deleted"], [], 10, 1)
        assert names(got) == ["O&#039;Neil & Söhne &lt;b&gt;x&lt;/b&gt;", "x"] and got["total_count"] == "2"
        assert c("logout") is None
        assert c("get_user_id")["number"] == 11


@pytest.mark.parametrize("side", ["legacy", "new"])
def test_lists(crm, side):
    with crm.running():
        own(crm, side)
        c = Client(crm)
        c.login("jim", "secret")
        rows = [{"name": f"Account {i:02}", "industry": "Media" if i % 2 else "Energy",
                 "email1": f"a{i}@example.com", "credit_limit_c": i} for i in range(25)]
        ids = c("set_entries", "Accounts", rows)["ids"]
        assert len(set(ids)) == 25

        def listed(query, order="name", **more):
            reply = c("get_entry_list", "Accounts", query, order, more.get("offset", 0), ["name"], [],
                      more.get("limit", 0), 0)
            assert "entry_list" in reply, reply
            return reply
        page = listed("")
        assert (page["result_count"], page["total_count"], page["next_offset"]) == (20, "25", 20)
        assert len(listed("", offset=20)["entry_list"]) == 5
        assert names(listed("accounts.name LIKE 'account 0%' AND industry = 'media'", "name DESC", limit=2)) == [
            "Account 09", "Account 07"]
        assert names(listed("accounts_cstm.credit_limit_c BETWEEN 3 AND 4")) == ["Account 03", "Account 04"]
        assert names(listed("name IN ('Account 01', 'ACCOUNT 02') OR name = 'x'")) == ["Account 01", "Account 02"]
        assert names(listed("NOT (name > 'Account 01') AND website IS NULL")) == ["Account 00", "Account 01"]
        assert names(listed("date_entered LIKE '2%' AND name = 'Account 03'")) == ["Account 03"]
        assert names(listed("date_entered > '2020-01-01' AND deleted = 0 AND name = 'Account 03'")) == ["Account 03"]
        assert names(listed(
            "accounts.id in (select eabr.bean_id from email_addr_bean_rel eabr INNER JOIN email_addresses ea on"
            " eabr.email_address_id = ea.id where eabr.bean_module = 'Accounts' and ea.email_address LIKE"
            " 'A1%@example.com')"))[:3] == ["Account 01", "Account 10", "Account 11"]
        assert c("get_entries_count", "Accounts", "industry = 'Energy'", 0) == {"result_count": "13"}
        assert c("get_entry_list", "Accounts", "sleep(1)=0")["number"] == 40
        assert c("get_entry_list", "Accounts", f"name = '{'x' * 300}'").get("number", 40) == 40
        some = c("get_entries", "Accounts", [ids[3], "nosuch", ids[1]], ["name"])["entry_list"]
        assert [isinstance(e["name_value_list"], dict) for e in some] == [True, False, True]
        assert some[0]["name_value_list"]["name"]["value"] == "Account 03"


@pytest.mark.parametrize("side", ["legacy", "new"])
def test_links(crm, side):
    with crm.running():
        own(crm, side)
        c = Client(crm)
        c.login("jim", "secret")
        account, other = c.create("Accounts", name="A"), c.create("Accounts", name="B")
        anna = c.create("Contacts", first_name="Anna", last_name="Böll", account_id=account)
        emil = c.create("Contacts", last_name="Emil", birthdate="1970-2-30")
        assert c.values("Contacts", anna, "name", "account_name", "account_id") == {
            "name": "Anna Böll", "account_name": "A", "account_id": account}
        assert c.values("Contacts", emil, "name", "account_name", "birthdate") == {"name": "Emil", "birthdate": ""}
        done = {"created": 1, "failed": 0, "deleted": 0}
        for _ in range(2):
            assert c("set_relationship", "Accounts", account, "contacts", [anna, emil, "nosuch"]) == done
        link = [{"name": "contacts", "value": ["last_name"]}]
        one = c("get_entry", "Accounts", account, ["name"], link)["relationship_list"][0][0]
        assert sorted(r["last_name"]["value"] for r in one["records"]) == ["Böll", "Emil"]
        many = c("get_entry_list", "Accounts", "", "name", 0, ["name"], link, 5, 0)["relationship_list"]
        assert [len(r["link_list"][0]["records"]) for r in many] == [2, 0]
        got = c("get_relationships", "Accounts", account, "contacts", "contacts.last_name LIKE 'E%'", ["id"], [], 0)
        assert [e["id"] for e in got["entry_list"]] == [emil]
        gone = c("set_relationship", "Accounts", account, "contacts", [emil], [], 1)
        assert gone == {"created": 0, "failed": 0, "deleted": 1}
        assert len(c("get_relationships", "Accounts", account, "contacts", "", ["id"])["entry_list"]) == 1
        note = c.create("Notes", name="n")
        assert c("set_relationship", "Accounts", account, "notes", [note]) == done
        assert c.values("Notes", note, "parent_type", "parent_id") == {"parent_type": "Accounts", "parent_id": account}
        assert c("set_relationship", "Accounts", other, "member_of", [account]) == done
        assert c.values("Accounts", other, "parent_id") == {"parent_id": account}
        assert c("get_relationships", "Accounts", "nosuch", "contacts", "", ["id"])["number"] == 1001


@pytest.mark.parametrize("side", ["legacy", "new"])
def test_types(crm, side):
    with crm.running():
        own(crm, side)
        c = Client(crm)
        c.login("sally", "secret")
        deal = c.create("Opportunities", name="d" * 60, amount="$1,234.56", sales_stage="Prospecting",
                        date_closed="2024-2-9")
        assert c.values("Opportunities", deal, "name", "amount", "probability", "date_closed") == {
            "name": "d" * 50, "amount": "1234.56", "probability": "10", "date_closed": "2024-02-09"}
        call = c.create("Calls", name="c", date_start="2024-01-01 23:30:00", duration_hours="1",
                        duration_minutes=15)
        assert c.values("Calls", call, "date_start", "date_end", "duration_hours", "status") == {
            "date_start": "2024-01-01 23:30:00", "date_end": "2024-01-02 00:45:00", "duration_hours": "1",
            "status": "Planned"}
        case = c.create("Cases", name="k", case_number=5)
        assert c.values("Cases", case, "state") == {"state": "Open"}
        lead = c.create("Leads", last_name="L", do_not_call="yes")
        assert c.values("Leads", lead, "status", "do_not_call", "name") == {
            "status": "New", "do_not_call": "1", "name": "L"}
        blank = c("set_entry", "Accounts", [])
        assert blank["entry_list"] == [] and c.values("Accounts", blank["id"], "name") == {"name": ""}
        assert c("set_entry", "Users", {"id": "1", "user_hash": "x"})["number"] == 40
        assert c.values("Users", "1", "user_name", "user_hash") == {"user_name": "jim", "user_hash": ""}


@pytest.mark.parametrize("side", ["legacy", "new"])
def test_contacts_merge(crm, side):
    with crm.running():
        own(crm, side)
        c = Client(crm)
        c.login("jim", "secret")
        one = {"last_name": "Weber", "email1": "w@example.com", "account_name": "Nord"}
        first = c("set_entries", "Contacts", [one, {**one, "last_name": "weber"}, one])["ids"]
        assert first[0] == first[2] != first[1]
        assert c.values("Contacts", first[0], "account_name", "last_name") == {
            "account_name": "Nord", "last_name": "Weber"}
        assert c("get_entries_count", "Accounts", "name = 'Nord'", 0) == {"result_count": "1"}


def test_logins_of_both_hash_kinds(crm):
    hashed = "$2y$10$abcdefghijklmnopqrstuuBpSkH05JXg1sERymrIJJ59ADgTz/ZCe"  # bcrypt over the md5 of "secret"
    crm.legacy.execute("UPDATE users SET user_hash = ? WHERE id = '2'", (hashed,))
    with crm.running():
        c = Client(crm)
        assert c.login("jim", "secret")["name_value_list"]["user_is_admin"]["value"] is True
        assert c.login("jim", "wrong")["number"] == 10
        assert c.login("nobody", "secret")["number"] == 10
        assert c.login("sally", "secret")["name_value_list"]["user_is_admin"]["value"] is False
        crm.legacy.execute("UPDATE users SET status = 'Inactive' WHERE id = '2'")
        assert c.login("sally", "secret")["number"] == 10
