# SPDX-License-Identifier: Apache-2.0
"""A facade and a service over the reference CRM's schema, without a sync engine."""
import contextlib
import json
import os
import urllib.error
import urllib.request

from harness import Daemon, ficus, free_port, wait_for
from legacy.seeds import fixed_rows
from legacy.store import schema
from legacy.tables import COLUMNS

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TOKEN = "a-token-for-tests"


class Reply:
    """Status, headers and body of one answer, whatever the status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def call(method, url, body=None, headers=None, timeout=30):
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers or {}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return Reply(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        with e:
            return Reply(e.code, e.headers, e.read())


class Crm:
    """`legacy` is an empty store of the harness with odbc(), execute(), query()."""

    def __init__(self, work, dbms, legacy, postgres, name, odbc=None, pg_port=None, **facade):
        self.odbc, self.pg_port = odbc or legacy.odbc(), pg_port
        self.work, self.dbms, self.legacy, self.postgres, self.database = work, dbms, legacy, postgres, name
        postgres.create_database(name)
        for statements in schema(dbms):
            for statement in statements:
                legacy.execute(statement)
        self.insert("acl_actions", fixed_rows()["acl_actions"])
        self.ports = {k: free_port() for k in ("facade", "admin", "service")}
        self.url = f"http://127.0.0.1:{self.ports['facade']}/api"
        self.admin = f"http://127.0.0.1:{self.ports['admin']}"
        self.service_url = f"http://127.0.0.1:{self.ports['service']}"
        self.env = {"FICUS_SERVICE_URL": self.service_url, "API_TOKEN": TOKEN}
        work.file("routes.json", json.dumps(self._routes()))
        self.config = work.file("ficus.json", json.dumps(self._config(facade)))
        done = self.ficus("migrate", "up")
        assert done.returncode == 0, done.stderr

    def _routes(self):
        with open(os.path.join(ROOT, "routes/tables/suitecrm.json"), encoding="utf-8") as f:
            table = json.load(f)
        table["mounts"].append({"dialect": "rest", "path": "/api", "options": {
            "tokens": [{"token": "${env:API_TOKEN}", "user_id": "1", "user_name": "admin", "admin": True}]}})
        return table

    def _config(self, facade):
        at = "127.0.0.1:{}".format
        return {
            "control": {"conninfo": self.postgres.conninfo(self.database, port=self.pg_port)},
            "legacy": {"odbc": self.odbc, "dbms": self.dbms},
            "maps": {"path": os.path.join(ROOT, "migrations/maps/suitecrm")},
            "routes": {"path": "routes.json"},
            "migrations": {"path": os.path.join(ROOT, "migrations/sql/crm")},
            "kafka": {"brokers": "127.0.0.1:1"},
            "facade": {"listen": at(self.ports["facade"]), "admin_listen": at(self.ports["admin"]),
                       "state_path": "state.json", "loops": 2, **facade},
            "service": {"listen": at(self.ports["service"])},
        }

    def configure(self, **sections):
        """Options beside or over those that are there, by section."""
        with open(self.config, encoding="utf-8") as f:
            config = json.load(f)
        for name, options in sections.items():
            config.setdefault(name, {}).update(options)
        self.work.file("ficus.json", json.dumps(config))

    def insert(self, table, rows):
        """Rows in the order of the generator's columns, into the legacy."""
        marks = "(" + ", ".join("?" * len(COLUMNS[table])) + ")"
        self.legacy.execute(f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) VALUES {', '.join([marks] * len(rows))}",
                            [value for row in rows for value in row])

    def ficus(self, *words, **more):
        return ficus(self.work, *words, "-c", self.config, env=self.env, **more)

    def serve(self, allow=(), **more):
        return Daemon(self.work, "serve", self.config, ready=self.admin + "/readyz", env=self.env, allow=allow, **more)

    def service(self, **more):
        return Daemon(self.work, "service", self.config, ready=self.service_url + "/readyz", env=self.env, **more)

    @contextlib.contextmanager
    def running(self):
        with self.service(), self.serve() as facade:
            yield facade

    # ---- the facade
    def api(self, method, path, body=None, token=TOKEN):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return call(method, self.url + path, body, headers)

    def metrics(self):
        text = call("GET", self.admin + "/metrics").body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def metric(self, name):
        return self.metrics().get(name, 0)

    # ---- the control store
    def new(self, sql, params=None):
        return self.postgres.query(sql, params, database=self.database)

    def control(self, sql, params=None):
        """A change of state, and the wait until the facade has it."""
        self.postgres.execute(sql, params, database=self.database)
        version = self.new("SELECT version FROM ficus.version")[0][0]
        wait_for(lambda: self.new("SELECT count(*) FROM ficus.instance WHERE kind = 'serve'"
                                  " AND table_version < %s", (version,))[0][0] == 0, "the table to arrive")

    def apply(self, sql, params=None):
        """Writes into the new store past its fence, as the sync engine does."""
        self.postgres.execute("SET ficus.origin = 'legacy'; " + sql, params, database=self.database)

    def applied_through(self, seq, *more):
        """Says, as the sync engine does, that the legacy's changes up to here have arrived."""
        with open(os.path.join(ROOT, "routes/tables/suitecrm.json"), encoding="utf-8") as f:
            entities = sorted({*json.load(f)["groups"]["crm"]["entities"], *more})
        self.postgres.execute("INSERT INTO ficus.position (stream, part, next, epoch, through)"
                              " SELECT 'legacy.' || e, 0, 0, 0, %s FROM unnest(%s) e"
                              " ON CONFLICT (stream, part) DO UPDATE SET through = excluded.through", (seq, entities),
                              database=self.database)

    def changelog(self):
        return self.legacy.query("SELECT max(seq) FROM ficus_changelog")[0][0]

    def stage(self, route, stage, percent=0):
        self.control("UPDATE ficus.route_state SET stage = %s, canary_bp = %s WHERE route = %s",
                     (stage, percent * 100, route))

    def own(self, side, epoch):
        """Gives the group to a side as a transfer does: seal, open, flip."""
        new = side == "new"
        seal_old = ("UPDATE ficus_fence SET writable = ?, epoch = ?", (0 if new else 1, epoch))
        seal_new = ("UPDATE ficus.fence SET writable = %s, epoch = %s", (new, epoch))
        self.legacy.execute(*seal_old)
        self.postgres.execute(*seal_new, database=self.database)
        self.control("UPDATE ficus.owner SET owner = %s, epoch = %s, phase = 'open'", (side, epoch))
