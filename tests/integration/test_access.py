# SPDX-License-Identifier: Apache-2.0
"""Access control: what each kind of user sees and may do, call by call, whichever store owns the records."""
import contextlib
import hashlib
import json
import os
import urllib.parse

import pytest

from crm import Crm, call
from harness import Sqlite, Workdir
from test_facade import Database

MD5 = hashlib.md5(b"secret").hexdigest()
DENIED = {"name": "Access Denied", "number": 40, "description": "You do not have access"}
ACTIONS = ("view", "list", "edit", "delete", "import", "export", "massupdate")
WHEN = "2020-01-01 00:00:00"

# A kind of user -> what his roles say of Accounts, whose roles they are, and what that lets him reach:
# all, own, group (own and his groups'), none, or closed.
EVERY = {level: {action: level for action in ACTIONS} for level in (90, 89, 80, 75, 1, 0, -98, -99)}
KINDS = {
    "admin": ([], {}, "all"),
    "roleless": ([], {}, "all"),
    "level90": ([EVERY[90]], {}, "all"),
    "level89": ([EVERY[89]], {}, "none"),
    "level80": ([EVERY[80]], {}, "own"),
    "member80": ([EVERY[80]], {"groups": ["east"]}, "group"),
    "member80gone": ([EVERY[80]], {"groups": ["fallen"]}, "own"),
    "level75": ([EVERY[75]], {}, "own"),
    "member75": ([EVERY[75]], {"groups": ["east"]}, "own"),
    "level1": ([EVERY[1]], {}, "none"),
    "level0": ([EVERY[0]], {}, "all"),
    "level-98": ([{"access": -98}], {}, "closed"),
    "level-99": ([EVERY[-99]], {}, "none"),
    "two": ([EVERY[75], EVERY[90]], {}, "all"),
    "deletedrole": ([EVERY[75]], {"deleted": True}, "own"),
    "bygroup": ([], {"groups": ["owners"]}, "own"),
    "byfallen": ([], {"groups": ["fallenowners"]}, "own"),
    "ownfirst": ([EVERY[90]], {"groups": ["owners"]}, "all"),
}
GROUPS = {"east": (0, None), "fallen": (1, None), "owners": (0, EVERY[75]), "fallenowners": (1, EVERY[75])}


class Client:
    def __init__(self, crm, user, port=None):
        self.url = f"http://127.0.0.1:{port or crm.ports['facade']}/service/v4_1/rest.php"
        self.user, self.session = user, None

    def data(self, method, data):
        form = {"method": method, "input_type": "JSON", "response_type": "JSON", "rest_data": json.dumps(data)}
        reply = call("POST", self.url, urllib.parse.urlencode(form).encode(),
                     {"Content-Type": "application/x-www-form-urlencoded"})
        assert reply.status == 200, (reply.status, reply.body)
        return reply.json()

    def login(self):
        reply = self.data("login", [{"user_name": self.user, "password": MD5}])
        self.session = reply.get("id")
        return reply

    def __call__(self, method, *args):
        return self.data(method, [self.session, *args])

    def ids(self, query="", deleted=0, module="Accounts"):
        reply = self("get_entry_list", module, query, "name", 0, ["id"], [], 1000, deleted)
        if "entry_list" not in reply:
            return reply
        assert reply["result_count"] == int(reply["total_count"]) == len(reply["entry_list"])
        return {e["id"] for e in reply["entry_list"]}


def role(crm, name, levels, deleted=0):
    crm.legacy.execute("INSERT INTO acl_roles (id, name, deleted) VALUES (?, ?, ?)", (name, name, deleted))
    for action, level in levels.items():
        crm.legacy.execute("INSERT INTO acl_roles_actions (id, role_id, action_id, access_override, deleted)"
                           " VALUES (?, ?, ?, ?, 0)", (f"{name}-{action}"[-36:], name, f"acl-Accounts-{action}", level))


def link(crm, table, **values):
    key = "-".join(values.values())
    columns = ["id", "deleted", *values]
    crm.legacy.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES (?, 0{', ?' * len(values)})",
                       (key[:36], *values.values()))


def people(crm):
    for name, (deleted, levels) in GROUPS.items():
        crm.legacy.execute("INSERT INTO securitygroups (id, name, deleted) VALUES (?, ?, ?)", (name, name, deleted))
        if levels:
            role(crm, f"of-{name}", levels)
            link(crm, "securitygroups_acl_roles", securitygroup_id=name, role_id=f"of-{name}")
    for kind, (roles, more, _) in KINDS.items():
        crm.legacy.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group,"
                           " portal_only, external_auth_only) VALUES (?, ?, ?, ?, 'Active', 0, 0, 0, 0)",
                           (kind, kind, MD5, kind == "admin"))
        for i, levels in enumerate(roles):
            role(crm, f"{kind}.{i}", levels, more.get("deleted", 0))
            link(crm, "acl_roles_users", role_id=f"{kind}.{i}", user_id=kind)
        for group in more.get("groups", []):
            # Their records stay out of it: what a record joins has a test of its own below.
            link(crm, "securitygroups_users", securitygroup_id=group, user_id=kind)
            crm.legacy.execute("UPDATE securitygroups_users SET noninheritable = 1 WHERE user_id = ?", (kind,))


def group_record(crm, side, group, record, module="Accounts"):
    values = (f"{group}-{record}"[:36], group, record, module)
    if side == "legacy":
        crm.legacy.execute("INSERT INTO securitygroups_records (id, securitygroup_id, record_id, module, deleted)"
                           " VALUES (?, ?, ?, ?, 0)", values)
    else:
        crm.apply("INSERT INTO crm.security_group_record (id, securitygroup_id, record_id, module, deleted)"
                  " VALUES (%s, %s, %s, %s, false)", values)


def records(crm, side):
    """Accounts: mine-KIND, made-KIND (nobody's, made by him), other, grouped, fallen (in a deleted group)."""
    c = Client(crm, "admin")
    c.login()
    rows = [{"id": name, "new_with_id": True, "name": name, "assigned_user_id": owner} for name, owner in
            [("other", "1"), ("grouped", "1"), ("fallen", "1"), ("dead", "1")]
            + [(f"mine-{kind}", kind) for kind in KINDS] + [(f"made-{kind}", "") for kind in KINDS]]
    assert len(c("set_entries", "Accounts", rows)["ids"]) == len(rows)
    for kind in KINDS:
        c("set_entry", "Accounts", {"id": f"made-{kind}", "created_by": kind})
    c("set_entry", "Accounts", {"id": "dead", "deleted": 1})
    c("set_entries", "Contacts", [{"id": "person", "new_with_id": True, "last_name": "Person", "assigned_user_id": "1"}])
    for kind in KINDS:
        c("set_relationship", "Accounts", f"mine-{kind}", "contacts", ["person"])
    c("set_relationship", "Accounts", "other", "contacts", ["person"])
    group_record(crm, side, "east", "grouped", "ACCOUNTS")  # a module is told in any case
    group_record(crm, side, "fallen", "fallen")
    group_record(crm, side, "owners", "fallen", "Contacts")  # of another module
    return {row["id"] for row in rows}


@contextlib.contextmanager
def legacy_store(dbms, request, name):
    if dbms == "mariadb":
        yield Database(request.getfixturevalue("mariadb"), name)
    else:
        with Workdir() as work, Sqlite(work) as store:
            yield store


def with_policy(crm, work, **changes):
    """A facade's configuration with a policy of its own."""
    with open(crm.config, encoding="utf-8") as f:
        config = json.load(f)
    with open(config["maps"]["path"] + "/access/policy.json", encoding="utf-8") as f:
        policy = json.load(f)
    policy["settings"].update(changes.pop("settings", {}))
    policy.update(changes)
    del policy["$schema"]
    config["policy"] = {"path": work.file("policy.json", json.dumps(policy))}
    work.file("ficus.json", json.dumps(config))


def tokens(crm):
    """A bearer token of the rest dialect for every kind of user, and for one that there is not."""
    path = os.path.join(os.path.dirname(crm.config), "routes.json")
    with open(path, encoding="utf-8") as f:
        table = json.load(f)
    options = next(m for m in table["mounts"] if m["dialect"] == "rest")["options"]
    options["tokens"] += [{"token": f"of-{kind}", "user_id": kind, "user_name": kind} for kind in [*KINDS, "nobody"]]
    crm.work.file("routes.json", json.dumps(table))


class World:
    def __init__(self, crm, side, accounts):
        self.crm, self.side, self.accounts = crm, side, accounts
        self.clients = {}

    def client(self, kind):
        if kind not in self.clients:
            self.clients[kind] = Client(self.crm, kind)
            assert "id" in self.clients[kind].login()
        return self.clients[kind]


@contextlib.contextmanager
def world_of(request, postgres, side, dbms, name, **policy):
    with Workdir() as work, legacy_store(dbms, request, name) as legacy:
        crm = Crm(work, dbms, legacy, postgres, name)
        people(crm)
        tokens(crm)
        if policy:
            with_policy(crm, work, **policy)
        with crm.running():
            if side == "new":
                crm.own("new", 7)
            yield World(crm, side, records(crm, side))


@pytest.fixture(scope="module", params=["legacy-sqlite", "legacy-mariadb", "new-sqlite"])
def world(request, postgres):
    side, dbms = request.param.split("-")
    with world_of(request, postgres, side, dbms, f"access_{side}_{dbms}") as w:
        yield w


@pytest.fixture(scope="module", params=["legacy", "new"])
def strict(request, postgres):
    with world_of(request, postgres, request.param, "sqlite", f"access_strict_{request.param}", policy="strict") as w:
        yield w


def reached(kind, accounts):
    """(ids that a list shows, ids that may be viewed one by one)"""
    reach = KINDS[kind][2]
    if reach == "all":
        return accounts - {"dead"}, accounts - {"dead"}
    if reach in ("none", "closed"):
        return None, set()
    grouped = {"grouped"} if reach == "group" else set()
    return {f"mine-{kind}"} | grouped, {f"mine-{kind}", f"made-{kind}"} | grouped


SAMPLE = ("other", "grouped", "fallen")
LIMITED = ("level80", "member80", "level75", "bygroup")


def entry(reply):
    return reply if reply.get("number") else isinstance(reply["entry_list"][0]["name_value_list"], dict)


@pytest.mark.parametrize("kind", KINDS)
def test_get_entry(world, kind):
    c = world.client(kind)
    _, seen = reached(kind, world.accounts)
    for key in (f"mine-{kind}", f"made-{kind}", *SAMPLE):
        assert entry(c("get_entry", "Accounts", key, ["name"])) == (True if key in seen else DENIED), key
    missing = DENIED if not seen else False
    assert entry(c("get_entry", "Accounts", "nosuch", ["name"])) == missing
    assert entry(c("get_entry", "Accounts", "dead", ["name"])) == missing


@pytest.mark.parametrize("kind", KINDS)
def test_get_entries_refuses_all_for_one(world, kind):
    c = world.client(kind)
    _, seen = reached(kind, world.accounts)
    for keys in ([f"mine-{kind}", f"made-{kind}"], [f"mine-{kind}", "other"], ["grouped", f"mine-{kind}"], ["fallen"]):
        reply = c("get_entries", "Accounts", keys, ["name"])
        if set(keys) <= seen:
            assert [e["id"] for e in reply["entry_list"]] == keys
        else:
            assert reply == DENIED, keys
    if seen:
        assert [e["id"] for e in c("get_entries", "Accounts", ["nosuch", f"mine-{kind}"], ["name"])["entry_list"]] == [
            "nosuch", f"mine-{kind}"]


@pytest.mark.parametrize("kind", KINDS)
def test_get_entry_list(world, kind):
    c = world.client(kind)
    shown, _ = reached(kind, world.accounts)
    if shown is None:
        assert c.ids() == DENIED
        return
    assert c.ids() == shown
    # An OR of the client's leaves nothing open, and deleted rows are nobody's exception.
    assert c.ids("accounts.name = 'nope' OR accounts.name LIKE '%'") == shown
    assert c.ids("accounts.name = 'other'") == shown & {"other"}
    assert c.ids(deleted=1) == shown | ({"dead"} if KINDS[kind][2] == "all" else set())


@pytest.mark.parametrize("kind", KINDS)
def test_get_entries_count_is_not_filtered(world, kind):
    everything = {"result_count": str(len(world.accounts) - 1)}
    assert world.client(kind)("get_entries_count", "Accounts", "") == (DENIED if kind == "level-99" else everything)


@pytest.mark.parametrize("kind", KINDS)
def test_writing(world, kind):
    c = world.client(kind)
    _, seen = reached(kind, world.accounts)
    refused = not seen
    for key in (f"mine-{kind}", f"made-{kind}", *SAMPLE):
        reply = c("set_entry", "Accounts", {"id": key, "industry": "Media"})
        assert (reply.get("id") == key if key in seen else reply == DENIED), key
    keys = ["other", f"mine-{kind}"]
    assert c("set_entries", "Accounts", [{"id": k, "industry": "Media"} for k in keys]) == {
        "ids": [k for k in keys if k in seen]}
    made = c("set_entry", "Accounts", {"name": "new", "assigned_user_id": kind})
    assert (made == DENIED) == refused
    if not refused:
        assert c("set_entry", "Accounts", {"id": made["id"], "deleted": 1})["id"] == made["id"]
    if "other" not in seen:
        assert c("set_entry", "Accounts", {"id": "other", "deleted": 1}) == DENIED
        # Nobody takes a row by naming himself in the same call.
        assert c("set_entry", "Accounts", {"id": "other", "assigned_user_id": kind}) == DENIED
        assert c("set_entry", "Accounts", {"id": "made-admin", "assigned_user_id": kind}) == DENIED


@pytest.mark.parametrize("kind", KINDS)
def test_links_ask_the_parent_only(world, kind):
    c = world.client(kind)
    _, seen = reached(kind, world.accounts)
    for key in (f"mine-{kind}", "other"):
        reply = c("get_relationships", "Accounts", key, "contacts", "", ["id"])
        assert reply == DENIED if key not in seen else [e["id"] for e in reply["entry_list"]] == ["person"], key
        linked = c("set_relationship", "Accounts", key, "contacts", ["person"])
        assert linked == ({"created": 1, "failed": 0, "deleted": 0} if key in seen else
                          {"created": 0, "failed": 1, "deleted": 0}), key
    if f"mine-{kind}" in seen:
        reply = c("get_entry", "Accounts", f"mine-{kind}", ["name"], [{"name": "contacts", "value": ["id"]}])
        assert len(reply["relationship_list"][0][0]["records"]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_modules_say(world, kind):
    c = world.client(kind)
    reach = KINDS[kind][2]

    def modules(filter_):
        return {m["module_key"]: {a["action"]: a["access"] for a in m["acls"]}
                for m in c("get_available_modules", filter_)["modules"]}
    assert ("Accounts" in modules("default")) == (reach != "closed")
    every = modules("all")
    assert ("Accounts" in every) == (reach != "closed")
    if reach != "closed":
        assert set(every["Accounts"].values()) == {reach != "none"}
    assert set(every["Contacts"].values()) == {True}
    refused = reach in ("none", "closed")
    assert (c("get_module_fields", "Accounts") == DENIED) == refused
    assert (c("get_module_fields_md5", "Accounts") == DENIED) == refused


@pytest.mark.parametrize("kind", KINDS)
def test_search_leaves_closed_modules_out(world, kind):
    c = world.client(kind)
    shown, _ = reached(kind, world.accounts)
    reply = c("search_by_module", "%", ["Accounts", "Contacts"], 0, 1000, "", ["id"])
    found = {m["name"]: {r["id"]["value"] for r in m["records"]} for m in reply["entry_list"]}
    assert found.get("Accounts") == shown
    assert found["Contacts"] == {"person"}


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_raises_himself(world, kind):
    nobody_raises_himself(world, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_strict_nobody_raises_himself(strict, kind):
    nobody_raises_himself(strict, kind)


def nobody_raises_himself(world, kind):
    c = world.client(kind)
    admin = kind == "admin"
    if not admin:
        assert c("set_entry", "Users", {"id": kind, "is_admin": 1}) == DENIED
        assert c("set_entry", "SecurityGroups", {"name": "mine"}) == DENIED
        assert c("set_entry", "ACLRoles", {"name": "mine"}) == DENIED
        assert c("set_entries", "SecurityGroups", [{"name": "mine"}]) == {"ids": []}
    for module, key, name, far in (("Users", kind, "aclroles", "level90.0"), ("ACLRoles", "level90.0", "users", kind),
                                   ("SecurityGroups", "east", "users", kind),
                                   ("Users", kind, "SecurityGroups", "east"),
                                   ("Accounts", f"mine-{kind}", "SecurityGroups", "east")):
        if not admin:
            assert c("set_relationship", module, key, name, [far])["failed"] == 1, (module, name)
    assert c("get_entry", "Users", kind, ["user_hash"])["entry_list"][0]["name_value_list"]["user_hash"]["value"] == ""


def test_a_missing_action_refuses(world):
    """Whatever a role says of it: `two` has all of Accounts."""
    c = Client(world.crm, "two")
    world.crm.legacy.execute("UPDATE acl_actions SET deleted = 1 WHERE category = 'Accounts' AND name = 'view'")
    world.crm.legacy.execute("DELETE FROM acl_actions WHERE category = 'Leads' AND name = 'list'")
    try:
        c.login()
        assert c("get_entry", "Accounts", "mine-two", ["name"]) == DENIED
        assert c.ids() != DENIED
        assert c.ids(module="Leads") == c("get_entries_count", "Leads", "") == DENIED
    finally:
        world.crm.legacy.execute("UPDATE acl_actions SET deleted = 0 WHERE category = 'Accounts'")


def test_levels_are_frozen_groups_and_administrators_are_live(world):
    crm = world.crm
    c = Client(crm, "level80")
    c.login()
    assert c("get_entry", "Accounts", "grouped", ["name"]) == DENIED
    link(crm, "securitygroups_users", securitygroup_id="east", user_id="level80")
    try:
        assert entry(c("get_entry", "Accounts", "grouped", ["name"])) is True
        crm.legacy.execute("UPDATE securitygroups SET deleted = 1 WHERE id = 'east'")
        assert c("get_entry", "Accounts", "grouped", ["name"]) == DENIED
    finally:
        crm.legacy.execute("UPDATE securitygroups SET deleted = 0 WHERE id = 'east'")
        crm.legacy.execute("DELETE FROM securitygroups_users WHERE user_id = 'level80'")
    # A role taken away stays until the next login; one that is given too.
    crm.legacy.execute("UPDATE acl_roles_users SET deleted = 1 WHERE user_id = 'level80'")
    try:
        assert c("get_entry", "Accounts", "other", ["name"]) == DENIED
        again = Client(crm, "level80")
        again.login()
        assert entry(again("get_entry", "Accounts", "other", ["name"])) is True
    finally:
        crm.legacy.execute("UPDATE acl_roles_users SET deleted = 0 WHERE user_id = 'level80'")


def test_holes_are_counted_by_client(world):
    def holes(what):
        return world.crm.metric(f'ficus_access_lenient_total{{client="member75",what="{what}"}}')
    c = world.client("member75")
    before = {what: holes(what) for what in ("count", "links")}
    c("get_entries_count", "Accounts", "")
    c("get_relationships", "Accounts", "mine-member75", "contacts", "", ["id"])  # contacts are open to him
    assert holes("count") == before["count"] + 1
    assert holes("links") == before["links"]
    assert world.crm.metric('ficus_access_lenient_total{client="admin",what="count"}') == 0


# ---- the groups that a record joins

def groups_of(world, key, module="Accounts"):
    crm, columns = world.crm, "securitygroup_id, created_by"
    if world.side == "legacy":
        rows = crm.legacy.query(f"SELECT {columns} FROM securitygroups_records WHERE record_id = ? AND module = ?"
                                " AND deleted = 0", (key, module))
    else:
        rows = crm.new(f"SELECT {columns} FROM crm.security_group_record WHERE record_id = %s AND module = %s"
                       " AND NOT deleted", (key, module))
    assert len({group for group, _ in rows}) == len(rows), "a group twice"
    assert {by for _, by in rows} <= {None}
    return {group for group, _ in rows}


@contextlib.contextmanager
def inheriting(world):
    """Groups of one user each: makers' and owners' (and what keeps records out), and groups of new records."""
    crm, made = world.crm, []
    groups = {"g-maker": (0, 0), "g-owner": (0, 0), "g-fallen": (1, 0), "g-keeps": (0, 1), "g-leads": (0, 1),
              "g-all": (0, 0), "g-out": (0, 0)}
    for name, (deleted, keeps) in groups.items():
        crm.legacy.execute("INSERT INTO securitygroups (id, name, deleted, noninheritable) VALUES (?, ?, ?, ?)",
                           (name, name, deleted, keeps))
    for group, user, keeps, deleted in (
            ("g-maker", "roleless", 0, 0), ("g-owner", "level90", None, 0), ("g-fallen", "level90", 0, 0),
            ("g-keeps", "level90", 0, 0), ("g-out", "level90", 1, 0), ("g-out", "roleless", 0, 1),
            ("g-owner", "roleless", 0, 1)):
        made.append(f"{group}.{user}")
        crm.legacy.execute("INSERT INTO securitygroups_users (id, securitygroup_id, user_id, noninheritable, deleted)"
                           " VALUES (?, ?, ?, ?, ?)", (made[-1], group, user, keeps, deleted))
    for key, group, module in (("d-leads", "g-leads", "Leads"), ("d-all", "g-all", "All"), ("d-gone", "g-fallen", "All")):
        crm.legacy.execute("INSERT INTO securitygroups_default (id, securitygroup_id, module, deleted)"
                           " VALUES (?, ?, ?, 0)", (key, group, module))
    try:
        yield
    finally:
        crm.legacy.execute("DELETE FROM securitygroups_users WHERE securitygroup_id LIKE 'g-%'")
        crm.legacy.execute("DELETE FROM securitygroups_default")


def test_a_record_joins_groups(world):
    c = world.client("roleless")
    before = world.crm.metric("ficus_access_inherit_failed_total")
    with inheriting(world):
        mine = c("set_entry", "Accounts", {"name": "joins"})["id"]
        assert groups_of(world, mine) == {"g-maker", "g-all"}
        given = c("set_entry", "Accounts", {"name": "joins", "assigned_user_id": "level90"})["id"]
        assert groups_of(world, given) == {"g-maker", "g-owner", "g-all"}
        lead = c("set_entries", "Leads", [{"last_name": "joins"}])["ids"][0]
        assert groups_of(world, lead, "Leads") == {"g-maker", "g-all", "g-leads"}
        # Every write adds the owner's, whether it names him or not; none takes a group away.
        c("set_entry", "Accounts", {"id": mine, "assigned_user_id": "level90"})
        assert groups_of(world, mine) == {"g-maker", "g-owner", "g-all"}
        c("set_entry", "Accounts", {"id": mine, "assigned_user_id": ""})
        assert groups_of(world, mine) == {"g-maker", "g-owner", "g-all"}
        world.crm.legacy.execute("UPDATE securitygroups SET noninheritable = 0 WHERE id = 'g-keeps'")
        c("set_entry", "Accounts", {"id": given, "industry": "Media"})
        assert groups_of(world, given) == {"g-maker", "g-owner", "g-all", "g-keeps"}
        c("set_entry", "Accounts", {"id": "nosuch", "assigned_user_id": "level90"})
        assert groups_of(world, "nosuch") == set()
        rest = world.crm.api("POST", "/accounts", {"name": "joins"}, token="of-roleless").json()["id"]
        assert groups_of(world, rest) == {"g-maker", "g-all"}
    assert world.crm.metric("ficus_access_inherit_failed_total") == before
    for key in (mine, given, rest):
        c("set_entry", "Accounts", {"id": key, "deleted": 1})


# ---- the rest dialect: the same, in its own words

def rest_lists(w, kind, hidden):
    def ask(method, path, body=None):
        return w.crm.api(method, path, body, token=f"of-{kind}")
    shown, seen = reached(kind, w.accounts)
    listed = ask("GET", "/accounts?fields=id&limit=1000")
    if shown is None:
        assert listed.status == ask("GET", "/accounts/other").status == 403
    else:
        assert {r["id"] for r in listed.json()["items"]} == shown
    for key in (f"mine-{kind}", f"made-{kind}", *SAMPLE):
        wanted = 200 if key in seen else 403 if shown is None else hidden
        assert ask("GET", f"/accounts/{key}?fields=id").status == wanted, key
        assert ask("PATCH", f"/accounts/{key}", {"industry": "Media"}).status in ((204, 200) if wanted == 200 else (wanted,)), key
        assert ask("GET", f"/accounts/{key}/contacts?fields=id").status == wanted, key
    if "other" not in seen:
        assert ask("DELETE", "/accounts/other").status in (403, 404)
    assert ask("GET", "/accounts/nosuch").status == (403 if shown is None else 404)


@pytest.mark.parametrize("kind", KINDS)
def test_rest(world, kind):
    rest_lists(world, kind, 403)


def test_rest_for_nobody(world):
    assert world.crm.api("GET", "/accounts", token="of-nobody").status == 403
    assert world.crm.api("GET", "/accounts", token="none").status == 401


# ---- the strict policy

@pytest.mark.parametrize("kind", LIMITED + ("level-98",))
def test_strict_rest_hides(strict, kind):
    rest_lists(strict, kind, 404)



@pytest.mark.parametrize("kind", LIMITED)
def test_strict_counts_are_filtered(strict, kind):
    shown, _ = reached(kind, strict.accounts)
    assert strict.client(kind)("get_entries_count", "Accounts", "") == {"result_count": str(len(shown))}


@pytest.mark.parametrize("kind", LIMITED + ("level-98",))
def test_strict_links_are_filtered(strict, kind):
    c = strict.client(kind)
    shown, _ = reached(kind, strict.accounts)
    parents = c("get_relationships", "Contacts", "person", "accounts", "", ["id"])
    entry_ = c("get_entry", "Contacts", "person", ["last_name"], [{"name": "accounts", "value": ["id"]}])
    linked = {r["id"]["value"] for r in entry_["relationship_list"][0][0]["records"]}
    if shown is None:
        assert parents == DENIED and linked == set()
        return
    expected = shown & {f"mine-{kind}"}
    assert {e["id"] for e in parents["entry_list"]} == expected == linked
    assert c("set_relationship", "Contacts", "person", "accounts", ["other"]) == {
        "created": 1, "failed": 0, "deleted": 0}  # as for an id that does not exist
    assert "other" not in linked


def test_strict_counts_no_holes(strict):
    assert not [name for name in strict.crm.metrics() if name.startswith("ficus_access_lenient_total")]


# ---- settings

@pytest.fixture(scope="module")
def lowest(request, postgres):
    with world_of(request, postgres, "legacy", "sqlite", "access_lowest",
                  settings={"additive": False, "user_role_precedence": False, "strict_rights": True}) as w:
        yield w


def test_not_additive_the_lowest_override_counts(lowest):
    assert lowest.client("two").ids() == {"mine-two"}


def test_without_precedence_roles_of_groups_count_too(lowest):
    assert lowest.client("ownfirst").ids() == {"mine-ownfirst"}


def test_strict_rights_want_a_role_of_the_group(lowest):
    c = lowest.client("member80")
    assert c.ids() == {"mine-member80"}
    role(lowest.crm, "east-role", {"list": 80, "view": 75})
    link(lowest.crm, "securitygroups_acl_roles", securitygroup_id="east", role_id="east-role")
    assert c.ids() == {"mine-member80", "grouped"}
    assert c("get_entry", "Accounts", "grouped", ["name"]) == DENIED
