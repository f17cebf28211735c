# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the legacy application itself: it speaks enough v4_1 to be passed through to,
keeps sessions of its own, writes into the legacy database, and its hooks leave audit rows.

    app = LegacyApp(store, {"jim": "secret"})
    app.calls      # [(method, arguments), ..] as they arrived, its own session id in them
    app.expire()   # every session of it ends
"""
import hashlib
import json
import secrets
import urllib.parse
import uuid

from .upstream import Upstream

INVALID_SESSION = {"name": "Invalid Session ID", "number": 11, "description": "The session ID is invalid"}
INVALID_LOGIN = {"name": "Invalid Login", "number": 10, "description": "Login attempt failed"}
# What these answer to an unknown session, unlike all others.
SAYS_LOGIN = ("get_available_modules", "search_by_module", "get_language_definition", "get_last_viewed",
              "get_upcoming_activities")
UNKNOWN = {"name": "An Undefined Error - invalid_call occurred", "number": "-1",
           "description": "There is no error definition for invalid_call"}


class LegacyApp(Upstream):
    def __init__(self, store, users, tables=None):
        super().__init__(self._answer)
        self.store, self.users = store, users
        self.tables = tables or {"Contacts": "contacts", "Accounts": "accounts"}
        self.sessions, self.calls, self.logins = {}, [], 0
        self.answers = {}  # by method, in a session

    def expire(self):
        self.sessions.clear()

    def methods(self):
        return [method for method, _ in self.calls]

    # ---- one request
    def _answer(self, conn, request):
        conn.read_body(request)
        form = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.target).query, keep_blank_values=True))
        form.update(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True))
        data = json.loads(form.get("rest_data") or "[]")
        arguments = data if isinstance(data, list) else list(data.values())
        method = form.get("method", "")
        self.calls.append((method, arguments))
        session, reply = self._call(method, arguments)
        fields = [("Content-Type", "application/json; charset=UTF-8")]
        if session:
            fields.append(("Set-Cookie", f"PHPSESSID={session}; path=/"))
        return conn.reply(200, json.dumps(reply).encode(), fields)

    def _call(self, method, arguments):
        if method == "login":
            return self._login(arguments[0])
        session = arguments[0] if arguments else None
        if session not in self.sessions:
            return None, INVALID_LOGIN if method in SAYS_LOGIN else INVALID_SESSION
        if method in self.answers:
            return session, self.answers[method]
        handler = getattr(self, "call_" + method, None)
        return session, handler(self.sessions[session], *arguments) if handler else UNKNOWN

    def _login(self, auth):
        self.logins += 1
        password = self.users.get(auth.get("user_name"))
        if password is None or auth.get("password") not in (password, hashlib.md5(password.encode()).hexdigest()):
            return None, INVALID_LOGIN
        session = secrets.token_hex(13)  # 26 characters, as PHP makes them
        self.sessions[session] = auth["user_name"]
        return session, {"id": session, "module_name": "Users", "name_value_list": {}}

    # ---- what it can do
    def call_get_language_definition(self, _user, session, modules, *_rest):
        return {module: {"LBL_SESSION": session} for module in modules}

    def call_get_entry_list(self, _user, _session, module, *_rest):
        return {"result_count": 1, "total_count": "1", "next_offset": 1, "entry_list": [{"id": "app", "module_name": module}],
                "relationship_list": []}

    def call_plugin_whoami(self, user, session, *_rest):
        return {"user": user, "session": session}

    def call_set_note_attachment(self, _user, _session, note, *_rest):
        return {"id": note["id"], "by": "application"}

    def call_set_entry(self, user, _session, module, pairs, *_rest):
        values = {p["name"]: p["value"] for p in (pairs.values() if isinstance(pairs, dict) else pairs)}
        if module not in self.tables:
            return {"id": "made-" + module, "entry_list": {}}
        table, key = self.tables[module], values.pop("id", None)
        columns = list(values)
        if key:
            self.store.execute(f"UPDATE {table} SET {', '.join(c + ' = ?' for c in columns)} WHERE id = ?",
                               [values[c] for c in columns] + [key])
        else:
            key = str(uuid.uuid4())
            self.store.execute(f"INSERT INTO {table} (id, deleted, {', '.join(columns)}) VALUES (?, 0, {', '.join('?' * len(columns))})",
                               [key] + [values[c] for c in columns])
        for column in columns:  # its hook
            self.store.execute(f"INSERT INTO {table}_audit (id, parent_id, field_name, data_type, after_value_string, created_by)"
                               " VALUES (?, ?, ?, 'varchar', ?, ?)", (str(uuid.uuid4()), key, column, values[column], user))
        return {"id": key, "entry_list": {k: {"name": k, "value": v} for k, v in values.items()}}
