# SPDX-License-Identifier: Apache-2.0
"""Clients of every kind that read and write shared records, and put on record what they were told.

A cell is a handful of clients on one record: legacy clients, rest clients, a program at the store.
The record is left for a new one after OPS operations, when it is deleted, or when the outcome of a
write is unknown, since a write that may come any time later allows anything.
"""
import hashlib
import http.client
import itertools
import json
import random
import sqlite3
import threading
import urllib.parse

import psycopg2
import pymysql

from consistency.cluster import GROUPS, TOKEN
from consistency.history import READS

OPS = 24
GROUP_OF = {entity: group for group, entity in GROUPS.items()}
#            entity: (plural, field of the key, field of the value, table, table in the new store)
ENTITIES = {"Contacts": ("contacts", "last_name", "title", "contacts", "crm.contact"),
            "Cases": ("cases", "name", "resolution", "cases", 'crm."case"')}


class Answer(Exception):
    """Not what was asked for. `outcome`: `fail`, nothing was done; `info`, nobody knows."""

    def __init__(self, outcome, text):
        super().__init__(text)
        self.outcome = outcome


class Cell:
    """What the clients of one record share."""

    def __init__(self, number, seed):
        self.number, self.random = number, random.Random(f"{seed}:cell {number}")
        self.records, self.values = itertools.count(1), itertools.count(1)
        self.lock = threading.Lock()
        self.left = 0
        self._next()

    def _next(self):
        self.entity = self.random.choice(list(ENTITIES))
        self.key, self.id, self.left, self.creating = f"tor {self.number} {next(self.records)}", None, OPS, False

    def take(self, chosen_kind):
        """(entity, key, id, kind, value) of the next operation; id None: it is not there yet."""
        with self.lock:
            if self.left <= 0:
                self._next()
            if self.id is None:
                if self.creating:
                    return None
                self.creating = True
                return self.entity, self.key, None, "create", f"v{next(self.values)}"
            self.left -= 1
            value = f"v{next(self.values)}" if chosen_kind not in READS else None
            return self.entity, self.key, self.id, chosen_kind, value

    def created(self, key, made):
        with self.lock:
            if self.key == key:
                self.id, self.creating = made, False
                if made is None:
                    self.left = 0

    def retire(self, key):
        with self.lock:
            if self.key == key:
                self.left = 0


class Client(threading.Thread):
    """One session. Subclasses answer `ask()`."""

    dialect = "none"
    kinds = ("get", "list", "update", "delete")
    weights = (35, 15, 47, 3)

    def __init__(self, cluster, history, cell, number, seed, pace):
        super().__init__(name=f"client {number}", daemon=True)
        self.cluster, self.history, self.cell, self.pace = cluster, history, cell, pace
        self.number, self.random = number, random.Random(f"{seed}:client {number}")
        self.ending, self.broken, self.told = threading.Event(), None, {}

    def run(self):
        try:
            while not self.ending.wait(self.random.uniform(0, 2 * self.pace)):
                self.step()
        except Exception as error:  # pylint: disable=broad-except
            self.broken = error

    def place(self):
        return self.random.randrange(len(self.cluster.facades))

    def step(self):
        task = self.cell.take(self.random.choices(self.kinds, self.weights)[0])
        if task is None:
            return
        entity, key, made, kind, value = task
        place = self.place()
        more = {} if value is None else {"value": value}
        op = self.history.invoke(f"c{self.number}", kind, key, place, self.dialect, entity=entity,
                                 group=GROUP_OF[entity], **more)
        try:
            found = self.ask(place, kind, entity, key, made, value)
        except Answer as answer:
            self.told[str(answer)[:120]] = self.told.get(str(answer)[:120], 0) + 1
            self.history.end(op, answer.outcome, error=str(answer)[:300])
            if answer.outcome == "info" and kind not in READS:
                self.cell.retire(key)
            if kind == "create":
                self.cell.created(key, None)
            return
        self.history.end(op, "ok", **found)
        if kind == "create":
            self.cell.created(key, found["id"])
        elif kind == "delete":
            self.cell.retire(key)

    def ask(self, place, kind, entity, key, made, value):
        """The facts of an `ok`; raises Answer. `place` names the facade."""
        raise NotImplementedError


def send(url, method, body=None, headers=None, timeout=20):
    """(status, body); raises Answer when there was no answer. A refused connection did nothing."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise Answer("fail", f"connect: {error}") from None
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read().decode("utf-8")
        except (OSError, http.client.HTTPException) as error:
            raise Answer("info", f"no answer: {type(error).__name__}: {error}") from None
    finally:
        connection.close()


class FormClient(Client):
    """The legacy endpoint. The session is one for its whole life, on every facade."""

    dialect = "v4_1"
    session = None

    def call(self, place, method, data):
        body = urllib.parse.urlencode({"method": method, "input_type": "JSON", "response_type": "JSON",
                                       "rest_data": json.dumps(data)})
        status, text = send(self.cluster.url(place), "POST", body,
                            {"Content-Type": "application/x-www-form-urlencoded"})
        if status != 200:
            raise Answer("fail" if status == 503 else "info", f"{method}: status {status}: {text[:100]}")
        try:
            found = json.loads(text)
        except ValueError:
            raise Answer("info", f"{method}: not JSON: {text[:100]}") from None
        if isinstance(found, dict) and "number" in found and "description" in found:
            raise Answer("info", f"{method}: error {found['number']}: {found['name']}")
        return found

    def login(self, place):
        digest = hashlib.md5(b"admin1").hexdigest()
        try:
            self.session = self.call(place, "login", [{"user_name": "admin", "password": digest}, "torture", []])["id"]
        except Answer as answer:
            raise Answer("fail", f"login: {answer}") from None

    def ask(self, place, kind, entity, key, made, value):
        if self.session is None:
            self.login(place)
        _, key_field, value_field, _, _ = ENTITIES[entity]
        if kind == "create":
            return {"id": self.set(place, entity, {key_field: key, value_field: value})}
        if kind == "update":
            return {"id": self.set(place, entity, {"id": made, value_field: value})}
        if kind == "delete":
            return {"id": self.set(place, entity, {"id": made, "deleted": "1"})}
        fields = ["id", value_field] + (["case_number"] if entity == "Cases" else [])
        if kind == "get":
            rows = self.call(place, "get_entry", [self.session, entity, made, fields, [], False])["entry_list"]
        else:
            rows = self.call(place, "get_entry_list", [self.session, entity, f"{entity.lower()}.{key_field} = '{key}'", "",
                                                       0, fields, [], 20, 0, False])["entry_list"]
        return self.read(key, rows, value_field)

    def set(self, place, entity, fields):
        pairs = [{"name": n, "value": v} for n, v in fields.items()]
        return self.call(place, "set_entry", [self.session, entity, pairs])["id"]

    @staticmethod
    def read(key, rows, value_field):
        if len(rows) > 1:
            return {"read": f"{len(rows)} rows of {key}"}
        pairs = rows[0]["name_value_list"] if rows else None
        if not isinstance(pairs, dict) or value_field not in pairs:
            return {"read": None}
        number = pairs.get("case_number", {}).get("value")
        return {"read": pairs[value_field]["value"], "number": int(number) if number else None}


class RestClient(Client):
    dialect = "rest"

    def call(self, place, method, path, body=None):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        status, text = send(self.cluster.rest_url(place) + path, method,
                            None if body is None else json.dumps(body), headers)
        if status in (200, 201, 204, 404):
            return status, json.loads(text) if text and status < 400 else None
        raise Answer("fail" if status == 503 else "info", f"{method} {path.split('?')[0].split('/')[1]}: "
                     f"status {status}: {text[:100]}")

    def ask(self, place, kind, entity, key, made, value):
        plural, key_field, value_field, _, _ = ENTITIES[entity]
        number = ["case_number"] if entity == "Cases" else []
        fields = urllib.parse.quote(",".join(["id", value_field] + number))
        if kind == "create":
            return {"id": self.call(place, "POST", f"/{plural}", {key_field: key, value_field: value})[1]["id"]}
        if kind in ("update", "delete"):
            status, _ = (self.call(place, "PATCH", f"/{plural}/{made}", {value_field: value}) if kind == "update"
                         else self.call(place, "DELETE", f"/{plural}/{made}"))
            if status == 404:
                raise Answer("fail", "404")
            return {}
        if kind == "get":
            status, row = self.call(place, "GET", f"/{plural}/{made}?fields={fields}")
            rows = [] if status == 404 else [row]
        else:
            rows = self.call(place, "GET", f"/{plural}?{key_field}={urllib.parse.quote(key)}&fields={fields}")[1]["items"]
        if len(rows) > 1:
            return {"read": f"{len(rows)} rows of {key}"}
        return {"read": rows[0][value_field] if rows else None, "number": rows[0].get("case_number") if rows else None}


class DirectClient(Client):
    """A program that writes a store itself, without knowing of any fence."""

    dialect = "sql"
    weights = (0, 0, 95, 5)

    def __init__(self, *args, side):
        super().__init__(*args)
        self.side, self.db = side, None

    def place(self):
        return self.side

    def ask(self, place, kind, entity, key, made, value):
        _, key_field, value_field, old, new = ENTITIES[entity]
        table = new if self.side == "new" else old
        if kind == "create":
            made = f"{key.replace(' ', '-')}-{self.side}"
            columns = ["id", key_field, value_field, "deleted"]
            values = [made, key, value, self.flag(False)]
            number = ""
            if entity == "Cases" and self.cluster.kind == "sqlite" and self.side == "legacy":
                columns, number = columns + ["case_number"], ", (SELECT coalesce(max(case_number), 0) + 1 FROM cases)"
            statement = (f"INSERT INTO {table} ({', '.join(columns)}) VALUES (?, ?, ?, ?{number})", values)
        elif kind == "update":
            statement = f"UPDATE {table} SET {value_field} = ? WHERE id = ?", [value, made]
        else:
            statement = f"UPDATE {table} SET deleted = ? WHERE id = ?", [self.flag(True), made]
        if self.execute(*statement) == 0:
            raise Answer("fail", "no such row")
        return {"id": made} if kind == "create" else {}

    def flag(self, on):
        return on if self.side == "new" else int(on)

    def execute(self, sql, values):
        if self.side == "new" or self.cluster.kind != "sqlite":
            sql = sql.replace("?", "%s")
        try:
            if self.db is None:
                self.db = self.cluster.direct(self.side)
        except (psycopg2.Error, pymysql.Error, sqlite3.Error) as error:
            raise Answer("fail", f"{self.side}: connect: {type(error).__name__}") from None
        try:
            cursor = self.db.cursor()
            cursor.execute(sql, values)
            return cursor.rowcount
        except (psycopg2.Error, pymysql.Error, sqlite3.Error) as error:
            refused = "ficus: fence" in str(error)
            if not refused:
                self.db = None
            raise Answer("fail" if refused else "info", f"{self.side}: {str(error)[:80]}") from None

