# SPDX-License-Identifier: Apache-2.0
"""Every quirk of v4_1_quirks.py, whichever store owns the records; one facade a store for all of them."""
import contextlib
import hashlib
import json
import re
import socket
import urllib.parse

import pytest

from crm import Crm, call
from harness import Sqlite, Workdir
from test_facade import Database
from v4_1_quirks import QUIRKS

MD5 = hashlib.md5(b"secret").hexdigest()
CRYPT = "$2y$10$abcdefghijklmnopqrstuuBpSkH05JXg1sERymrIJJ59ADgTz/ZCe"  # bcrypt over MD5
# id, user_name, user_hash, is_admin, status, deleted, is_group, portal_only, external_auth_only
USERS = [("1", "jim", MD5, 1, "Active", 0, 0, 0, 0), ("2", "sally", MD5, 0, "Active", 0, 0, 0, 0),
         ("3", "crypt", CRYPT, 0, "Active", 0, 0, 0, 0), ("4", "inactive", MD5, 0, "inactive", 0, 0, 0, 0),
         ("5", "gone", MD5, 0, "Active", 1, 0, 0, 0), ("6", "group", MD5, 0, "Active", 0, 1, 0, 0),
         ("7", "portal", MD5, 0, "Active", 0, 0, 1, 0), ("8", "external", MD5, 0, "Active", 0, 0, 0, 1),
         ("9", "nohash", None, 0, "Active", 0, 0, 0, 0), ("10", "émile", MD5, 0, "Active", 0, 0, 0, 0)]


class Client:
    """What the quirks call: c(method, ...) in a session, and everything below it down to bytes."""

    def __init__(self, crm, side, path="/service/v4_1/rest.php"):
        self.crm, self.side, self.path = crm, side, path
        self.url = f"http://127.0.0.1:{crm.ports['facade']}{path}"
        self.session = self.other_session = None

    def login(self):
        self.session, self.other_session = (
            self.data("login", [{"user_name": name, "password": MD5}])["id"] for name in ("jim", "sally"))
        return self

    def at(self, version):
        """The same sessions, at a sibling's path."""
        there = Client(self.crm, self.side, f"/service/{version}/rest.php")
        there.session, there.other_session = self.session, self.other_session
        return there

    def form(self, method, data):
        return {"method": method, "input_type": "JSON", "response_type": "JSON", "rest_data": json.dumps(data)}

    def http(self, verb, query="", body=None, headers=None):
        return call(verb, self.url + query, body, headers)

    def post(self, body, query="", type="application/x-www-form-urlencoded"):
        return self.http("POST", query, body, {"Content-Type": type})

    def wire(self, text):
        """The bytes of an answer to bytes, on a connection of their own."""
        with socket.create_connection(("127.0.0.1", self.crm.ports["facade"]), timeout=30) as s:
            s.sendall(text.encode())
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        return got

    def text(self, method, rest_data):
        fields = self.form(method, None)
        fields["rest_data"] = rest_data
        return self.post(urllib.parse.urlencode({k: v for k, v in fields.items() if v is not None}).encode())

    def raw(self, method, data):
        return self.text(method, json.dumps(data))

    def data(self, method, data):
        return self.raw(method, data).json()

    def __call__(self, method, *args):
        return self.data(method, [self.session, *args])

    def other(self, method, *args):
        return self.data(method, [self.other_session, *args])

    def create(self, module, **values):
        return self("set_entry", module, values)["id"]

    def entry(self, module, key, fields):
        return self("get_entry", module, key, fields)["entry_list"][0]["name_value_list"]

    @contextlib.contextmanager
    def without_table(self, table):
        """Its store fails every statement on that table for a while."""
        def rename(old, new):
            if self.side == "legacy":
                self.crm.legacy.execute(f"ALTER TABLE {old} RENAME TO {new}")
            else:
                self.crm.postgres.execute(f"ALTER TABLE crm.{old[:-1]} RENAME TO {new[:-1]}",
                                          database=self.crm.database)
        rename(table, "hiddens")
        try:
            yield
        finally:
            rename("hiddens", table)

    def legacy_or_new(self, module, key, *columns):
        """Columns of a row in the store that owns it."""
        table, names = module.lower(), ", ".join(columns)
        if self.side == "legacy":
            return tuple(self.crm.legacy.query(f"SELECT {names} FROM {table} WHERE id = ?", (key,))[0])
        return tuple(self.crm.new(f"SELECT {names} FROM crm.{table[:-1]} WHERE id = %s", (key,))[0])


def insert_users(legacy):
    for user in USERS:
        legacy.execute("INSERT INTO users (id, user_name, user_hash, is_admin, status, deleted, is_group, portal_only,"
                       " external_auth_only) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", user)


@contextlib.contextmanager
def legacy_store(dbms, request):
    if dbms == "mariadb":
        yield Database(request.getfixturevalue("mariadb"), "quirks")
    else:
        with Workdir() as work, Sqlite(work) as store:
            yield store


@pytest.fixture(scope="module", params=["legacy-sqlite", "legacy-mariadb", "new"])
def client(request, postgres):
    side, dbms = (request.param + "-sqlite").split("-")[:2]
    with Workdir() as work, legacy_store(dbms, request) as legacy:
        crm = Crm(work, dbms, legacy, postgres, f"quirks_{side}_{dbms}")
        insert_users(legacy)
        with crm.running():
            if side == "new":
                crm.own("new", 7)
            yield Client(crm, side)


def label(quirk):
    return re.sub(r"[^a-z0-9]+", "-", f"{quirk.method} {quirk.text}".lower()).strip("-")[:70]


@pytest.mark.parametrize("quirk", QUIRKS, ids=label)
def test_quirk(client, quirk):
    quirk.run(client.login())


def test_quirks_have_names_of_their_own():
    assert len({(q.method, q.text) for q in QUIRKS}) == len(QUIRKS)
