# SPDX-License-Identifier: Apache-2.0
"""Fragments that the legacy's block-list lets through, or crashes on: each answered with error 40, wherever a
client may send one; and nothing of them reaches the store."""
import re

import pytest

from crm import Crm
from harness import Sqlite, Workdir
from test_access import DENIED, MD5, Client

QUERIES = [
    "sleep(1)=0", "sleep(1)", "accounts.id = sleep(1)", "benchmark(9,md5(1))=0", "name = 'x' OR sleep(1)=0",
    "x OR 1=1", "1=1", "'1'='1'", "name = 'x' OR 1=1", "name = 'x' OR '1'='1'", "name = 'x' OR name = name",
    "name = 'x'; DROP TABLE accounts", "name = 'x' -- ", "name = 'x' --", "name = 'x' #", "name = 'x' /* x */",
    "name = 'x' /*!50000 OR 1=1 */", "name = 'x' UNION SELECT 1", "1=1) UNION SELECT user_hash FROM users WHERE (1=1",
    "name = 'x') OR (1=1", "(name = 'x'", "name = 'x'))", "name = 'x", "name = \"x\" OR \"\"=\"", "name =", "name",
    "user_hash = 'x'", "users.user_hash LIKE '$2%'", "users.user_name = 'admin'", "accounts.user_hash = 'x'",
    "id in (select id from users)", "accounts.id in (select eabr.bean_id from users)",
    "accounts.id in (select id from email_addresses)", "exists (select 1)", "(select count(*) from users) > 0",
    "accounts.id in (select eabr.bean_id from email_addr_bean_rel eabr where 1=1)",
    "name = (select user_hash from users limit 1)", "name = @@version", "name = user()", "name = database()",
    "load_file('/etc/passwd') = 1", "name = 'x' INTO OUTFILE '/tmp/x'", "name = 'x' PROCEDURE ANALYSE()",
    "extractvalue(1,concat(0x7e,version()))=1", "updatexml(1,1,1)=1", "if(1,1,1)", "case when 1=1 then 1 end = 1",
    "name = 0x61", "name = char(97)", "name = b'1'", "name LIKE 'a' ESCAPE '!'", "name REGEXP 'a'", "name RLIKE 'a'",
    "name SOUNDS LIKE 'a'", "name = 'x' LIMIT 1", "name = 'x' ORDER BY 1", "name = 'x' GROUP BY name",
    "name = 'x' HAVING 1=1", "`name` = `name`", "nosuch = 1", "accounts.nosuch = 1", "nosuch.name = 'x'",
    "information_schema.tables.name = 'x'", "name = 'x' AND (", "name BETWEEN 'a'", "name IN ()", "name IN ('a'",
    "name = 'x' && 1", "name = 'x' || 1", "!name", "name <=> 'x'", "name = 'x' XOR 1", "name DIV 1", "name := 'x'",
    "sqlite_version() = 1", "randomblob(99999999) = 1", "pg_sleep(1) = 1", "name = 'x'::text", "$1 = 1", "? = 1",
    "name = 'x' \\g", "(" * 200 + "name = 'x'" + ")" * 200,
    " AND ".join(["name = 'x'"] * 600), "name = '" + "x" * 20000 + "'",
]
ORDERS = ["sleep(1)", "name, sleep(1)", "(select 1)", "name; DROP TABLE accounts", "1", "if(1,name,id)", "name -- ",
          "name UNION SELECT 1", "rand()", "`name`", "user_hash", "users.user_hash", "case when 1 then name end"]


def label(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50] or "symbols"


def labels(texts):
    seen, out = {}, []
    for text in texts:
        name = label(text)
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return out


@pytest.fixture(scope="module")
def client(postgres):
    with Workdir() as work, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "hostile")
        legacy.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group, portal_only,"
                       " external_auth_only) VALUES ('1', 'admin', ?, 1, 'Active', 0, 0, 0, 0)", (MD5,))
        with crm.serve():
            c = Client(crm, "admin")
            c.login()
            for name in ("one", "two"):
                c("set_entry", "Accounts", {"id": name, "new_with_id": True, "name": name})
            c.crm = crm
            yield c


@pytest.mark.parametrize("query", QUERIES, ids=labels(QUERIES))
def test_query(client, query):
    before = client.crm.metric('ficus_v4_1_queries_refused_total')
    assert client("get_entry_list", "Accounts", query, "", 0, ["id"]) == DENIED
    assert client("get_entries_count", "Accounts", query) == DENIED
    assert client("get_relationships", "Accounts", "one", "contacts", query, ["id"]) == DENIED
    assert client.crm.metric('ficus_v4_1_queries_refused_total') == before + 3
    assert client("get_entries_count", "Accounts", "") == {"result_count": "2"}


@pytest.mark.parametrize("order", ORDERS, ids=labels(ORDERS))
def test_order_by(client, order):
    """Refused, or left out as the legacy leaves out what is no bare field: it never orders anything."""
    reply = client("get_entry_list", "Accounts", "", order, 0, ["id"])
    assert reply == DENIED or [e["id"] for e in reply["entry_list"]] == ["one", "two"]


@pytest.mark.parametrize("text", QUERIES, ids=labels(QUERIES))
def test_as_a_value_it_is_text(client, text):
    """Where text is what is wanted, a fragment is text: it finds nothing, and is kept as it is."""
    assert client("get_entry", "Accounts", text, ["name"])["entry_list"][0]["id"] == text
    assert client("get_entries", "Accounts", [text], ["name"])["entry_list"][0]["id"] == text
    assert client.data("login", [{"user_name": text, "password": MD5}])["number"] in (10, 1009)
    reply = client.crm.api("GET", "/accounts?" + "name=" + re.sub(r"[^a-z0-9]", lambda m: f"%{ord(m[0]):02x}", text[:140]))
    assert reply.status == 200 and reply.json()["items"] == []
