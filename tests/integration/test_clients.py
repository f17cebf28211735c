# SPDX-License-Identifier: Apache-2.0
"""Published clients of the legacy CRM, unmodified, at both ends of the ladder."""
import json
import os
import shutil
import subprocess

import pytest

from harness import Workdir, seconds, wait_for
from harness.daemon import ROOT
from harness.stack import Stack


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgres"])
def stack(request):
    with Workdir() as work, Stack(work, request.param, rows=50) as made:
        yield made


def node_client(stack):
    modules = os.path.join(ROOT, "build/node/node_modules")
    assert os.path.isdir(modules + "/node-sugarcrm-client"), "`make deps` brings the client"
    done = subprocess.run([shutil.which("node"), os.path.join(ROOT, "tests/clients/node/client.js"), stack.url(),
                           "admin", "admin1"], env=dict(os.environ, NODE_PATH=modules, NODE_NO_WARNINGS="1"),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds(60), check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pairs(entry):
    return {name: pair["value"] for name, pair in entry["name_value_list"].items()}


def judge(found):
    contact, account = found["contact"]["id"], found["account"]["id"]
    assert len(found["session"]) >= 26
    assert len(contact) == 36 and len(account) == 36
    read = found["read"]["entry_list"][0]
    assert (read["id"], read["module_name"]) == (contact, "Contacts")
    assert pairs(read)["last_name"] == "Olivaw" and pairs(read)["phone_work"] == "555-2368"
    assert (found["relate"]["created"], found["relate"]["failed"]) == (1, 0)
    assert [entry["id"] for entry in found["related"]["entry_list"]] == [contact]
    assert pairs(found["related"]["entry_list"][0])["last_name"] == "Olivaw"
    link = found["linked"]["relationship_list"][0][0]
    assert link["name"] == "contacts" and [r["id"]["value"] for r in link["records"]] == [contact]
    assert account in [entry["id"] for entry in found["list"]["entry_list"]]
    assert found["list"]["result_count"] == len(found["list"]["entry_list"])
    assert pairs(found["reread"]["entry_list"][0])["title"] == "Detective"
    assert pairs(found["reread"]["entry_list"][0])["first_name"] == "Daneel"
    gone = found["gone"]["entry_list"][0]["name_value_list"]
    assert {"name": "deleted", "value": "1"} in gone if isinstance(gone, list) else gone["deleted"]["value"] == "1"
    assert found["nonsense"]["number"] and found["nonsense"]["name"]
    return contact, account


def test_node_client_on_the_legacy(stack):
    contact, account = judge(node_client(stack))
    assert stack.old("SELECT deleted, title FROM contacts WHERE id = ?", (contact,))[0] == (1, "Detective")
    assert stack.old("SELECT name FROM accounts WHERE id = ?", (account,))[0] == ("Account from Node-SugarCRM-Client",)


def test_node_client_after_a_cutover(stack):
    for stage, percent in (("shadow", None), ("canary", 50), ("new", None)):
        stack.route_set(stage, percent)
    stack.wait_quiet()
    proof = stack.reconcile()
    assert proof["equal"] and proof["complete"], proof
    assert stack.cutover()["outcome"] == "done"
    contact, account = judge(node_client(stack))
    assert stack.new("SELECT deleted, title FROM crm.contact WHERE id = %s", (contact,)) == [(True, "Detective")]
    wait_for(lambda: stack.old("SELECT deleted, title FROM contacts WHERE id = ?", (contact,)) in
             ([(1, "Detective")], ((1, "Detective"),)), "the legacy store to follow")
    wait_for(lambda: stack.old("SELECT name FROM accounts WHERE id = ?", (account,))[0][0]
             == "Account from Node-SugarCRM-Client", "the account in the legacy store")
