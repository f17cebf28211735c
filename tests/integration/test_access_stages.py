# SPDX-License-Identifier: Apache-2.0
"""Who sees what does not depend on where a route stands: random users, roles, groups and records, the same in both stores,
answer every call alike at every stage, whether the records, the access data or both are read from the new side."""
import json
import random

import pytest

from crm import Crm
from harness import Sqlite, Workdir
from test_access import ACTIONS, DENIED, MD5, Client, with_policy

NEW = {"acl_actions": "acl_action", "acl_roles": "acl_role", "acl_roles_actions": "acl_role_action",
       "acl_roles_users": "acl_role_user", "securitygroups": "security_group",
       "securitygroups_users": "security_group_user", "securitygroups_records": "security_group_record",
       "securitygroups_acl_roles": "security_group_role", "users": "user", "accounts": "account", "contacts": "contact",
       "accounts_contacts": "account_contact"}
BOOLEANS = {"deleted", "is_admin", "is_group", "portal_only", "external_auth_only", "noninheritable"}
ACCESS = [NEW[t] for t in NEW if t.startswith(("acl", "security"))] + ["user"]
RECORDS = ["account", "contact"]
STAGES = {"records new": (RECORDS, "new"), "access new": (ACCESS, "new"), "all new": (RECORDS + ACCESS, "new"),
          "canary": (RECORDS + ACCESS, "canary")}
LEVELS = (90, 89, 80, 80, 75, 75, 1, 0, -98, -99)


class Stores:
    """Rows into both stores, as a sync that has caught up leaves them."""

    def __init__(self, crm):
        self.crm, self.n = crm, 0

    def add(self, table, **values):
        self.n += 1
        values = {"id": f"{table[:20]}-{self.n}", "deleted": 0, **values}
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        self.crm.legacy.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))
        self.crm.apply(f"INSERT INTO crm.{NEW[table]} ({columns}) VALUES ({marks.replace('?', '%s')})",
                       tuple(bool(v) if k in BOOLEANS and v is not None else v for k, v in values.items()))
        return values["id"]


def fill(stores, rng):
    """Names of users and keys of accounts and contacts."""
    crm = stores.crm
    rows = crm.legacy.query("SELECT id, name, category, acltype, aclaccess, deleted FROM acl_actions")
    for key, name, category, acltype, level, deleted in rows:
        crm.apply("INSERT INTO crm.acl_action (id, name, category, acltype, aclaccess, deleted) VALUES (%s, %s, %s, %s, %s, %s)",
                  (key, name, category, acltype, level, bool(deleted)))
    maybe = lambda share: int(rng.random() < share)  # noqa: E731
    groups = [stores.add("securitygroups", id=f"g{i}", name=f"g{i}", deleted=maybe(.2)) for i in range(5)]
    roles = [stores.add("acl_roles", id=f"r{i}", name=f"r{i}", deleted=maybe(.2)) for i in range(7)]
    for role in roles:
        for action in rng.sample(("access",) + ACTIONS[:4], rng.randrange(1, 5)):
            for module in rng.sample(("Accounts", "Contacts"), rng.randrange(1, 3)):
                level = rng.choice((89, 89, 0, -98)) if action == "access" else rng.choice(LEVELS)
                stores.add("acl_roles_actions", role_id=role, action_id=f"acl-{module}-{action}", access_override=level,
                           deleted=maybe(.1))
    for role in rng.sample(roles, 3):
        stores.add("securitygroups_acl_roles", securitygroup_id=rng.choice(groups), role_id=role, deleted=maybe(.2))
    users = []
    for i in range(9):
        user = stores.add("users", id=f"u{i}", user_name=f"u{i}", user_hash=MD5, is_admin=int(i == 0), status="Active",
                          is_group=0, portal_only=0, external_auth_only=0)
        users.append(user)
        for role in rng.sample(roles, rng.choice((0, 1, 1, 2))):
            stores.add("acl_roles_users", role_id=role, user_id=user, deleted=maybe(.2))
        for group in rng.sample(groups, rng.randrange(3)):
            stores.add("securitygroups_users", securitygroup_id=group, user_id=user, deleted=maybe(.2))
    keys = {}
    for table, name, module in (("accounts", "name", "Accounts"), ("contacts", "last_name", "Contacts")):
        keys[module] = []
        for i in range(16):
            key = stores.add(table, id=f"{table[0]}{i}", deleted=maybe(.2), created_by=rng.choice(users),
                             assigned_user_id=rng.choice(users + ["", None]), **{name: f"n{i % 9:02}"})
            keys[module].append(key)
            for group in rng.sample(groups, rng.choice((0, 0, 1, 2))):
                stores.add("securitygroups_records", securitygroup_id=group, record_id=key, deleted=maybe(.2),
                           module=rng.choice((module, module.upper(), "Leads")))
    for _ in range(20):
        stores.add("accounts_contacts", account_id=rng.choice(keys["Accounts"]), contact_id=rng.choice(keys["Contacts"]),
                   deleted=maybe(.2))
    return users, keys


def calls(rng, keys):
    """Calls without their session."""
    link = [{"name": "contacts", "value": ["id", "last_name"]}]
    yield "get_available_modules", "default"
    yield "get_available_modules", "all"
    for module, name in (("Accounts", "name"), ("Contacts", "last_name")):
        table = module.lower()
        yield "get_module_fields", module, [name]
        for key in rng.sample(keys[module], 6) + ["nosuch"]:
            yield "get_entry", module, key, ["id", name], link if module == "Accounts" else []
        for _ in range(2):
            yield "get_entries", module, rng.sample(keys[module], 2), ["id", name]
        for query in ("", f"{table}.{name} >= 'n04' OR {table}.{name} = 'n01'", f"{table}.assigned_user_id = 'u3'"):
            for deleted in (0, 1):
                yield "get_entries_count", module, query, deleted
                yield ("get_entry_list", module, query, "id", rng.choice((0, 3)), ["id", name],
                       link if module == "Accounts" else [], rng.choice((2, 50)), deleted)
    for key in rng.sample(keys["Accounts"], 3):
        yield "get_relationships", "Accounts", key, "contacts", "", ["id", "last_name"], [], 0, "id", 0, 50
    yield "search_by_module", "n", ["Accounts", "Contacts"], 0, 50, "", ["id"]
    for key in rng.sample(keys["Accounts"], 3):  # as it is: only who may is of interest
        yield "set_relationship", "Accounts", key, "contacts", ["nosuch"]


def answers(crm, user, wanted):
    client = Client(crm, user)
    login = client.login()
    session = login.pop("id")
    return [login] + [json.loads(json.dumps(client(*call)).replace(session, "SESSION")) for call in wanted]


@pytest.mark.parametrize("policy", ["legacy", "strict"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_stage_answers_alike(postgres, policy, seed):
    rng = random.Random(f"{policy} {seed}")
    with Workdir() as work, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, f"stages_{policy}_{seed}")
        with_policy(crm, work, policy=policy)
        users, keys = fill(Stores(crm), rng)
        wanted = {user: list(calls(rng, keys)) for user in users}
        with crm.running():
            before = {user: answers(crm, user, wanted[user]) for user in users}
            crm.applied_through(10 ** 9, *ACCESS)
            for name, (routes, stage) in STAGES.items():
                for route in RECORDS + ACCESS:
                    crm.stage(route, stage if route in routes else "legacy", 50)
                for user in users:
                    for call, old, new in zip([("login",)] + wanted[user], before[user],
                                              answers(crm, user, wanted[user])):
                        assert new == old, (name, user, call)
            served = crm.metrics()
            assert any("side=\"new\"" in k and v > 0 for k, v in served.items() if k.startswith("ficus_requests_total"))
        refused = [reply for user in users for reply in before[user] if reply == DENIED]
        assert refused and len(refused) < sum(map(len, before.values()))  # neither everything nor nothing
