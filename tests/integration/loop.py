# SPDX-License-Identifier: Apache-2.0
"""A small world for the sync engine: three entities, a legacy, a new store, a prefix of topics."""
import json

from harness import Daemon, ficus, free_port, wait_for

BOX = {
    "entity": "box", "plural": "boxes", "title": "Box", "key": {"fields": ["id"], "make": "uuid"},
    "legacy": {"root": "boxes"}, "new": {"root": "crm.box"},
    "fields": {"id": {"type": "id", "length": 36}, "label": {"type": "text", "length": 100}},
}
THING = {
    "entity": "thing", "plural": "things", "title": "Thing",
    "key": {"fields": ["id"], "make": "uuid"},
    "legacy": {"root": "things", "extensions": [{"table": "things_more", "key": "id_c"}]},
    "new": {"root": "crm.thing"},
    "fields": {
        "id": {"type": "id", "length": 36},
        "name": {"type": "text", "length": 100},
        "n": {"type": "integer", "bits": 32},
        "price": {"type": "decimal", "precision": 12, "scale": 2},
        "ok": {"type": "boolean"},
        "day": {"type": "date", "policy": {"zero_date": "null"}},
        "made": {"type": "timestamp"},
        "box_id": {"type": "id", "length": 36},
        "color": {"type": "text", "length": 20, "legacy": {"extension": "things_more", "column": "color_c"}},
    },
}
PAIR = {
    "entity": "pair", "plural": "pairs", "title": "Pair", "key": {"fields": ["left_id", "right_id"]},
    "legacy": {"root": "pairs"}, "new": {"root": "crm.pair"},
    "fields": {"left_id": {"type": "id", "length": 36}, "right_id": {"type": "id", "length": 36},
               "note": {"type": "text", "length": 100}},
}
LEGACY = """
CREATE TABLE boxes (id char(36) NOT NULL PRIMARY KEY, label varchar(100));
CREATE TABLE things (id char(36) NOT NULL PRIMARY KEY, name varchar(200), n int, price decimal(12,2),
  ok tinyint(1), day date, made datetime, box_id char(36));
CREATE TABLE things_more (id_c char(36) NOT NULL PRIMARY KEY, color_c varchar(20));
CREATE TABLE pairs (left_id char(36) NOT NULL, right_id char(36) NOT NULL, note varchar(100),
  PRIMARY KEY (left_id, right_id));
"""
LEGACY_OF = {"sqlite": LEGACY, "mariadb": LEGACY,  # a client of PostgreSQL sees char(n) with its blanks
             "postgres": LEGACY.replace("tinyint(1)", "smallint").replace("datetime", "timestamp")
             .replace(" char(36)", " varchar(36)").replace("boxes (id varchar(36)", "boxes (id char(36)")}
NEW = """
CREATE SCHEMA IF NOT EXISTS crm;
CREATE TABLE crm.box (id text PRIMARY KEY, label text);
CREATE TABLE crm.thing (id text PRIMARY KEY, name text, n integer CHECK (n IS NULL OR n >= 0),
  price numeric(12,2), ok boolean, day date, made timestamptz, box_id text REFERENCES crm.box,
  color text);
CREATE TABLE crm.pair (left_id text, right_id text, note text, PRIMARY KEY (left_id, right_id));
"""
NEW_DOWN = "DROP TABLE crm.pair; DROP TABLE crm.thing; DROP TABLE crm.box;\n"


class Loop:
    """`legacy` is an object of the harness with odbc(), execute(), query()."""

    def __init__(self, work, dbms, legacy, postgres, kafka, unique, **options):
        self.work, self.dbms, self.legacy, self.postgres, self.kafka = work, dbms, legacy, postgres, kafka
        self.database = self.prefix = unique
        self.options = options
        postgres.create_database(unique)
        self.port = free_port()
        for entity in (BOX, THING, PAIR):
            work.file(f"maps/{entity['entity']}.json", json.dumps(entity))
        work.file("sql/0001_things.up.sql", NEW)
        work.file("sql/0001_things.down.sql", NEW_DOWN)
        work.file("routes.json", json.dumps({"groups": self.options.get("groups", {}), "routes": {}, "mounts": []}))
        self.config = work.file("ficus.json", json.dumps(self._config()))

    def _config(self):
        # The sweep would mend what tests plant behind the triggers' back.
        sync = {"listen": f"127.0.0.1:{self.port}", "sweep_rows": 0}
        sync.update(self.options.get("sync", {}))
        return {
            "control": {"conninfo": self.options.get("control") or self.postgres.conninfo(self.database)},
            "legacy": {"odbc": self.legacy_odbc(), "dbms": self.dbms},
            "maps": {"path": "maps"}, "routes": {"path": "routes.json"},
            "migrations": {"path": "sql"},
            "kafka": {"brokers": self.kafka_address(), "prefix": self.prefix,
                      **self.options.get("topics", {})},
            "sync": sync,
        }

    def legacy_odbc(self):
        return self.options.get("odbc") or self.legacy.odbc()

    def kafka_address(self):
        return self.options.get("brokers") or self.kafka.bootstrap

    def migrate(self):
        done = self.ficus("migrate", "up")
        assert done.returncode == 0, done.stderr

    def ficus(self, *words, **more):
        """A command of one or two words; the configuration goes to the end."""
        return ficus(self.work, *words, "-c", self.config, **more)

    def sync(self, name="sync", env=None, variant=None, allow=()):
        return Daemon(self.work, "sync", self.config, ready=f"http://127.0.0.1:{self.port}/healthz",
                      env=env, variant=variant, name=name, allow=allow)

    # ---- both stores
    def old(self, sql, params=()):
        return self.legacy.query(sql, params)

    def new(self, sql, params=None):
        return self.postgres.query(sql, params, database=self.database)

    def write_new(self, sql, params=None):
        return self.postgres.execute(sql, params, database=self.database)

    def old_things(self):
        rows = self.old("SELECT t.id, t.name, t.n, t.price, t.box_id, m.color_c FROM things t"
                        " LEFT JOIN things_more m ON m.id_c = t.id ORDER BY t.id")
        return [tuple(None if v is None else f"{float(v):.2f}" if i == 3 else str(v)
                      for i, v in enumerate(r)) for r in rows]

    def new_things(self):
        return [tuple(None if v is None else str(v) for v in r) for r in self.new(
            "SELECT id, name, n, price, box_id, color FROM crm.thing ORDER BY id")]

    def pairs(self):
        sql = "SELECT left_id, right_id, note FROM {} ORDER BY left_id, right_id"
        return [tuple(r) for r in self.old(sql.format("pairs"))], [tuple(r) for r in self.new(sql.format("crm.pair"))]

    def wait_equal(self, timeout=30):
        def equal():
            old, new = self.old_things(), self.new_things()
            if old == new:
                old, new = self.pairs()
            if old != new:
                only_old, only_new = list(set(old) - set(new))[:3], list(set(new) - set(old))[:3]
                raise ValueError(f"{len(old)} and {len(new)} rows; old {only_old}, new {only_new}")
            return True
        wait_for(equal, "both stores to be equal", timeout)
