#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sqlmap against every parameter of the v4_1 and the rest dialect of a facade over SQLite; `make sqlmap`.

    sqlmap_run.py SQLMAP [NAME ..]     SQLMAP: the program; NAME: of the targets below (all)
Exit status 1 when sqlmap finds an injection, 2 when a target did not answer.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
for folder in ("tests", "tests/integration"):
    sys.path.insert(0, os.path.join(ROOT, folder))

from crm import TOKEN, Crm  # noqa: E402
from harness import Postgres, Sqlite, Workdir  # noqa: E402
from test_access import MD5, Client  # noqa: E402

# rest_data after the session, as Python; P is what sqlmap writes.
V4_1 = {
    "get_entry.module": ("get_entry", "P, 'one', ['name'], [], 0"),
    "get_entry.id": ("get_entry", "'Accounts', P, ['name'], [], 0"),
    "get_entry.fields": ("get_entry", "'Accounts', 'one', [P], [], 0"),
    "get_entry.link": ("get_entry", "'Accounts', 'one', ['name'], [{'name': P, 'value': ['id']}], 0"),
    "get_entry.link_fields": ("get_entry", "'Accounts', 'one', ['name'], [{'name': 'contacts', 'value': [P]}], 0"),
    "get_entries.ids": ("get_entries", "'Accounts', ['two', P], ['name'], [], 0"),
    "get_entry_list.query": ("get_entry_list", "'Accounts', P, '', 0, ['name'], [], 5, 0, False"),
    "get_entry_list.literal": ("get_entry_list", "'Accounts', \"name = '\" + P + \"'\", '', 0, ['name'], [], 5, 0"),
    "get_entry_list.order_by": ("get_entry_list", "'Accounts', '', P, 0, ['name'], [], 5, 0, False"),
    "get_entry_list.offset": ("get_entry_list", "'Accounts', '', '', P, ['name'], [], 5, 0, False"),
    "get_entry_list.fields": ("get_entry_list", "'Accounts', '', '', 0, [P], [], 5, 0, False"),
    "get_entry_list.max": ("get_entry_list", "'Accounts', '', '', 0, ['name'], [], P, 0, False"),
    "get_entry_list.deleted": ("get_entry_list", "'Accounts', '', '', 0, ['name'], [], 5, P, False"),
    "get_entries_count.query": ("get_entries_count", "'Accounts', P, 0"),
    "set_entry.id": ("set_entry", "'Accounts', {'id': P, 'industry': 'x'}"),
    "set_entry.value": ("set_entry", "'Accounts', {'id': 'two', 'industry': P}"),
    "set_entry.name": ("set_entry", "'Accounts', {'id': 'two', P: 'x'}"),
    "get_relationships.id": ("get_relationships", "'Accounts', P, 'contacts', '', ['id'], [], 0"),
    "get_relationships.link": ("get_relationships", "'Accounts', 'one', P, '', ['id'], [], 0"),
    "get_relationships.query": ("get_relationships", "'Accounts', 'one', 'contacts', P, ['id'], [], 0"),
    "set_relationship.id": ("set_relationship", "'Accounts', P, 'contacts', ['c'], [], 0"),
    "set_relationship.ids": ("set_relationship", "'Accounts', 'one', 'contacts', [P], [], 0"),
    "search_by_module.text": ("search_by_module", "P, ['Accounts'], 0, 5, '', ['id']"),
    "search_by_module.user": ("search_by_module", "'o', ['Accounts'], 0, 5, P, ['id']"),
    "get_note_attachment.id": ("get_note_attachment", "P"),
    "get_module_fields.fields": ("get_module_fields", "'Accounts', [P]"),
}
LOGIN = {"login.name": "[{'user_name': P, 'password': '%s'}, 'x']" % MD5,
         "login.password": "[{'user_name': 'admin', 'password': P}, 'x']",
         "session": "[P]"}
REST = {"rest.filter": "/accounts?name=one*", "rest.like": "/accounts?name[like]=one*", "rest.id": "/accounts/one*",
        "rest.sort": "/accounts?sort=name*", "rest.fields": "/accounts?fields=name*", "rest.limit": "/accounts?limit=5*",
        "rest.offset": "/accounts?offset=0*", "rest.expand": "/accounts/one?expand=contacts*",
        "rest.entity": "/accounts*", "rest.related": "/accounts/one/contacts*"}


def targets(crm, session):
    url = f"http://127.0.0.1:{crm.ports['facade']}/service/v4_1/rest.php"
    for name, (method, args) in V4_1.items():
        yield name, form(url, method, f"['{session}', {args}]")
    for name, args in LOGIN.items():
        yield name, form(url, "login" if name.startswith("login") else "get_user_id", args)
    for name, path in REST.items():
        yield name, ["-u", crm.url + path, "--headers", f"Authorization: Bearer {TOKEN}"]


def form(url, method, expression):
    """sqlmap writes the parameter p; rest_data is made of it, so that it stays JSON."""
    code = "import json;rest_data=json.dumps(" + re.sub(r"\bP\b", "p", expression) + ")"
    return ["-u", url, "--data", f"method={method}&input_type=JSON&response_type=JSON&rest_data=x&p=one",
            "-p", "p", "--eval", code]


def attack(sqlmap, name, target, folder):
    line = [sqlmap, *target, "--batch", "--level", "2", "--risk", "2", "--flush-session", "--threads", "4",
            "--time-sec", "2", "--timeout", "10", "--retries", "1", "--disable-coloring", "--output-dir", folder,
            "--ignore-code", "*"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=1800, check=False,
                          env=dict(os.environ, SQLMAP_UNSAFE_EVAL="1"))  # the code is ours, see form()
    text = done.stdout + done.stderr
    if "identified the following injection point" in text or "is vulnerable" in text:
        print(f"{name}: INJECTABLE\n{text[-3000:]}")
        return 1
    if "do not appear to be injectable" not in text and "does not seem to be injectable" not in text:
        print(f"{name}: no verdict\n{text[-1500:]}")
        return 2
    print(f"{name}: not injectable", flush=True)
    return 0


def main():
    sqlmap, wanted = sys.argv[1], set(sys.argv[2:])
    worst, tried = 0, 0
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy, tempfile.TemporaryDirectory() as folder:
        crm = Crm(work, "sqlite", legacy, postgres, "sqlmap", login_failures=0, login_failures_address=0)
        legacy.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group, portal_only,"
                       " external_auth_only) VALUES ('1', 'admin', ?, 1, 'Active', 0, 0, 0, 0)", (MD5,))
        with crm.serve():
            c = Client(crm, "admin")
            c.login()
            for name in ("one", "two"):
                c("set_entry", "Accounts", {"id": name, "new_with_id": True, "name": name})
            for name, target in targets(crm, c.session):
                if not wanted or name in wanted:
                    worst = max(worst, attack(sqlmap, name, target, folder))
                    tried += 1
    print(json.dumps({"targets": tried, "injectable": worst == 1}))
    sys.exit(worst)


if __name__ == "__main__":
    main()
