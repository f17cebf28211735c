# SPDX-License-Identifier: Apache-2.0
"""The rows that do not grow: users with both kinds of hash, access control, configuration.

A user's password is the user's name and "1" (`admin1`). Hashes are constants, since making
one bcrypt hash takes as long as loading thousands of rows.
"""
from .tables import COLUMNS

WHEN = "2015-01-01 00:00:00"

# id, user_name, hash of the lower-case md5 hex of the password (bcrypt, or that md5 itself), what differs
_USERS = (
    ("1", "admin", "$2y$10$GdmDsj1tRIa0hKc4FBo6NOAxDuU0IJdPtbbpFk19ZIqGE.TVjAUN.", {"is_admin": 1}),
    ("seed_sally_id", "sally", "41043c7368bed7e361f7bb8a157fe7e4", {}),
    ("seed_jim_id", "jim", "$2y$10$SjVWQ.E3KNBl4Sfhxm7c3uH9th5H3hBUp/iUAUSPoETs99Xb8MHCO", {}),
    ("seed_chris_id", "chris", "$2y$10$5CQLaXLbaOMjNVTpbQzj/./q5qIpbqZ0fMJHLnXOJrMdG.2onV.Ia", {}),
    # Those who must not get in, each for one reason.
    ("user-retired", "retired", "$2y$10$6s8l3itJxf4xZLAz94T9c.Rsfy5ryg8rXsnBw7gwW9UuKgJiYNvYa",
     {"status": "Inactive"}),
    ("user-group", "grouponly", "$2y$10$KzWZVgFwtOKaXx5FoR0ht.msLAXVUJRl5rXie/fJ8SoKSfTGesWNK", {"is_group": 1}),
    ("user-portal", "portal", "$2y$10$Oecj3MG5xNz7J4BhI2L31.Ku5Wb5C.GZYNVVoCUPTqCWzOOQf42qq", {"portal_only": 1}),
    ("user-external", "external", "$2y$10$iKQj37xJg9Tem91Lki8Ox.czg1eTSuqfGehByN7a27NBBPCJwQFeO",
     {"external_auth_only": 1}),
    ("user-gone", "gone", "$2y$10$xyi/FsSnvq5tt8lLkWBvmuQjNl.CSc6dzxze/Pl1FO1fHlKQOOCo2", {"deleted": 1}),
    ("user-unsure", "unsure", "$2y$10$V20YYI9ePUMp0AsyMFTOqucvO3g56XYvY.L.kqZ6etfPxSo8a9Rpa", {"deleted": None}),
    ("user-upper", "upper", "3FD308C07C8411C71D9D012C3FDCC483", {}),
    ("user-hashless", "hashless", None, {}),
    ("user-stateless", "stateless", "f1f1373b46009367e9af0428e3f4774f", {"status": None}),
)

# action, its level when no role says otherwise
_ACTIONS = (("access", 89), ("view", 90), ("list", 90), ("edit", 90), ("delete", 90), ("import", 90),
            ("export", 90), ("massupdate", 90))
_MODULES = ("Accounts", "Contacts", "Leads", "Opportunities", "Cases", "Calls", "Notes", "Users")

# role, module, action, override
_OVERRIDES = tuple(("role-own", module, action, 75) for module in ("Accounts", "Contacts")
                   for action in ("view", "list", "edit", "delete")) + (
    ("role-group", "Accounts", "view", 80), ("role-group", "Accounts", "list", 80),
    ("role-group", "Leads", "access", -98))


def _row(table, **values):
    unknown = set(values) - set(COLUMNS[table])
    if unknown:
        raise KeyError(f"{table}: {sorted(unknown)}")
    return tuple(values.get(name) for name in COLUMNS[table])


def _users():
    for key, name, digest, differs in _USERS:
        facts = {"id": key, "user_name": name, "user_hash": digest, "last_name": name.capitalize(), "is_admin": 0,
                 "external_auth_only": 0, "date_entered": WHEN, "date_modified": WHEN, "modified_user_id": "1",
                 "created_by": "1", "status": "Active", "deleted": 0, "portal_only": 0,
                 "employee_status": "Active", "is_group": 0, **differs}
        yield _row("users", **facts)


def _action_id(module, action):
    return f"acl-{module}-{action}"


def _actions():
    for module in _MODULES:
        for action, level in _ACTIONS:
            yield _row("acl_actions", id=_action_id(module, action), date_entered=WHEN, date_modified=WHEN,
                       modified_user_id="1", created_by="1", name=action, category=module, acltype="module",
                       aclaccess=level, deleted=0)


def _role(key, name, text):
    return _row("acl_roles", id=key, date_entered=WHEN, date_modified=WHEN, modified_user_id="1", created_by="1",
                name=name, description=text, deleted=0)


def _group(key, name):
    return _row("securitygroups", id=key, name=name, date_entered=WHEN, date_modified=WHEN, modified_user_id="1",
                created_by="1", deleted=0, assigned_user_id="1", noninheritable=0)


def fixed_rows():
    """table -> rows in the order of COLUMNS. `jim` sees what he owns; `chris`, by his group's
    role, the accounts of that group, and no leads; `sally` has no role: the defaults."""
    return {
        "users": list(_users()),
        "currencies": [_row("currencies", id="currency-eur", name="Euro", symbol="€", iso4217="EUR",
                            conversion_rate=0.9, status="Active", deleted=0, date_entered=WHEN,
                            date_modified=WHEN, created_by="1")],
        "config": [("info", "sugar_version", "6.5.25"), ("system", "name", "Reference CRM"),
                   ("securitysuite", "additive", "1")],
        "acl_actions": list(_actions()),
        "acl_roles": [_role("role-own", "Own records", "Accounts and contacts of one's own."),
                      _role("role-group", "Group records", "Accounts of one's groups, no leads.")],
        "acl_roles_actions": [
            _row("acl_roles_actions", id=f"override-{n}", role_id=role, action_id=_action_id(module, action),
                 access_override=level, date_modified=WHEN, deleted=0)
            for n, (role, module, action, level) in enumerate(_OVERRIDES)],
        "acl_roles_users": [_row("acl_roles_users", id="role-own-jim", role_id="role-own", user_id="seed_jim_id",
                                 date_modified=WHEN, deleted=0)],
        "securitygroups": [_group("group-east", "East"), _group("group-west", "West")],
        "securitygroups_users": [
            _row("securitygroups_users", id="east-chris", date_modified=WHEN, deleted=0,
                 securitygroup_id="group-east", user_id="seed_chris_id", primary_group=1, noninheritable=0),
            _row("securitygroups_users", id="west-sally", date_modified=WHEN, deleted=0,
                 securitygroup_id="group-west", user_id="seed_sally_id", primary_group=0, noninheritable=1)],
        "securitygroups_default": [_row("securitygroups_default", id="default-leads", securitygroup_id="group-west",
                                        module="Leads", date_modified=WHEN, deleted=0)],
        "securitygroups_acl_roles": [_row("securitygroups_acl_roles", id="east-role-group",
                                          securitygroup_id="group-east", role_id="role-group", date_modified=WHEN,
                                          deleted=0)],
    }
