# SPDX-License-Identifier: Apache-2.0
"""What a write leaves behind besides, by the map's "also": the audit of the reference CRM, and rows
of a map's own. One facade a legacy; every write comes by v4_1."""
import json
import os
import shutil
import threading
import urllib.error

import pytest

from crm import ROOT, Crm
from harness import Sqlite, Workdir, wait_for
from test_facade import Database
from test_v4_1 import Client, add_users


class Audited(Crm):
    """The shipped maps; those of leads with statements of each kind besides."""

    def _config(self, facade):
        folder = os.path.join(self.work.path, "maps")
        shutil.copytree(os.path.join(ROOT, "migrations/maps/suitecrm"), folder)
        path = os.path.join(folder, "lead.json")
        with open(path, encoding="utf-8") as f:
            lead = json.load(f)
        group = ("INSERT INTO securitygroups_records (id, securitygroup_id, record_id, module, deleted)"
                 " SELECT :uuid1, 'g-' || :last_name, :key, 'Leads', 0 FROM (SELECT 1 AS one) d")
        if self.dbms == "mariadb":
            group = group.replace("'g-' || :last_name", "CONCAT('g-', :last_name)")
        lead["legacy"]["also"] = {
            "create": [group],
            "update": ["UPDATE securitygroups_records SET modified_user_id = :actor WHERE record_id = :key"],
            "delete": ["UPDATE securitygroups_records SET deleted = 1 WHERE record_id = :key"],
            "each_change": [{"fields": {"status": "enum"}, "sql": "INSERT INTO no_such_table VALUES (:after)"}]}
        with open(path, "w", encoding="utf-8") as f:
            json.dump(lead, f)
        return {**super()._config(facade), "maps": {"path": "maps"}}

    def audit(self, key):
        """Its rows: user, field, type, before, after; oldest ids are unknown, so by field."""
        rows = self.legacy.query("SELECT created_by, field_name, data_type, before_value_string, after_value_string,"
                                 " before_value_text, after_value_text, date_created FROM accounts_audit"
                                 " WHERE parent_id = ? ORDER BY field_name, after_value_string", (key,))
        assert all(r[5] is None and r[6] is None and r[7] for r in rows)
        return [tuple(r[:5]) for r in rows]

    def forget(self):
        self.legacy.execute("DELETE FROM accounts_audit")


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgres"])
def crm(request, postgres):
    with Workdir() as work:
        name = f"also_{request.param}"
        legacy = (Sqlite(work).start() if request.param == "sqlite"
                  else Database(request.getfixturevalue(request.param), f"{name}_old"))
        crm = Audited(work, request.param, legacy, postgres, name)
        add_users(legacy)
        with crm.serve(allow=["fence", "no_such_table"]):
            crm.client = Client(crm)
            crm.client.login("jim", "secret")
            yield crm


def test_each_changed_field_leaves_a_row_and_no_other_does(crm):
    c = crm.client
    key = c.create("Accounts", name="Acme", credit_limit_c="1000", phone_office="", industry="Media")
    assert crm.audit(key) == []  # the application tells of no create
    c("set_entry", "Accounts", {"id": key, "name": "Acme", "credit_limit_c": "1000.0", "industry": "Energy"})
    c("set_entry", "Accounts", {"id": key, "parent_id": ""})  # from NULL, which is nothing to the audit
    assert crm.audit(key) == []
    c("set_entry", "Accounts", {"id": key, "name": "ACME's", "credit_limit_c": "2000.5", "phone_office": "",
                                "assigned_user_id": "2", "email1": "a@example.com"})
    assert crm.audit(key) == [
        ("1", "assigned_user_id", "relate", None, "2"), ("1", "credit_limit_c", "currency", "1000.000000", "2000.500000"),
        ("1", "name", "name", "Acme", "ACME's")]
    ids = [i for (i,) in crm.legacy.query("SELECT id FROM accounts_audit")]
    assert len(set(ids)) == 3 and all(len(i) == 36 for i in ids)
    crm.forget()
    c("set_entry", "Accounts", {"id": key, "name": "acme's", "credit_limit_c": ""})
    assert crm.audit(key) == [("1", "credit_limit_c", "currency", "2000.500000", "0.000000"),
                              ("1", "name", "name", "ACME's", "acme's")]
    crm.forget()
    # Changed by the application meanwhile: what is compared is what lies there.
    crm.legacy.execute("UPDATE accounts SET name = 'theirs' WHERE id = ?", (key,))
    c("set_entries", "Accounts", [{"id": key, "name": "theirs"}, {"id": "no-such-row", "name": "x"}])
    c("set_entry", "Accounts", {"id": key, "deleted": 1})
    assert crm.legacy.query("SELECT count(*) FROM accounts_audit")[0][0] == 0


def test_a_refused_write_leaves_none_and_its_repetition_one(crm):
    key = crm.client.create("Accounts", name="before")
    epoch = crm.legacy.query("SELECT epoch FROM ficus_fence")[0][0] + 2
    crm.legacy.execute("UPDATE ficus_fence SET writable = 0, epoch = ?", (epoch,))
    answer = []
    t = threading.Thread(target=lambda: answer.append(
        crm.client("set_entry", "Accounts", {"id": key, "name": "after"})))
    t.start()
    wait_for(lambda: crm.metric("ficus_held_requests") == 1, "the write to be held")
    assert crm.audit(key) == []
    crm.own("legacy", epoch)
    t.join()
    assert answer[0]["id"] == key and crm.audit(key) == [("1", "name", "name", "before", "after")]


def test_writers_of_one_row_leave_a_chain(crm):
    """Before values are read under the row's lock: each row begins where another one ended."""
    key = crm.client.create("Accounts", name="w0", credit_limit_c="0")
    crm.forget()

    def write(number):
        for i in range(5):
            crm.client("set_entry", "Accounts", {
                "id": key, "name": f"w{number}-{i}", "credit_limit_c": str(10 * number + i + 1)})
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    last = crm.client.values("Accounts", key, "name", "credit_limit_c")
    for field, at in (("name", "w0"), ("credit_limit_c", "0.000000")):
        step = {before: after for _, name, _, before, after in crm.audit(key) if name == field}
        assert len(step) == 20
        for _ in range(20):
            at = step[at]
        assert at == last[field]


def test_a_maps_own_rows_for_each_kind_of_write(crm):
    c = crm.client

    def rows(key):
        return [tuple(r) for r in crm.legacy.query(
            "SELECT securitygroup_id, module, modified_user_id, deleted FROM securitygroups_records"
            " WHERE record_id = ?", (key,))]
    key = c.create("Leads", last_name="O'Hara")
    assert rows(key) == [("g-O'Hara", "Leads", None, 0)]
    c("set_entry", "Leads", {"id": key, "last_name": "Hara"})
    assert rows(key) == [("g-O'Hara", "Leads", "1", 0)]
    # A statement that fails takes the write with it.
    with pytest.raises(urllib.error.HTTPError, match="500"):
        c("set_entry", "Leads", {"id": key, "last_name": "lost", "status": "Dead"})
    assert c.values("Leads", key, "last_name") == {"last_name": "Hara"}
    c("set_entry", "Leads", {"id": key, "deleted": 1})
    assert rows(key) == [("g-O'Hara", "Leads", "1", 1)]
