# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster with logical decoding on."""
import glob
import os
import re
import signal

import psycopg2

from .ports import free_port
from .process import run, tool
from .server import Server
from .wait import wait_for


def bin_folder():
    """The newest installed version's programs."""
    found = [(int(m.group(1)), path) for path in glob.glob("/usr/lib/postgresql/*/bin")
             if (m := re.search(r"/(\d+)/bin$", path)) and os.path.exists(path + "/initdb")]
    return max(found)[1] if found else os.path.dirname(os.path.realpath(tool("initdb")))


class Postgres(Server):
    """Superuser `ficus` without password, database `postgres` and `database`. Commits are
    not flushed to the disk (they outlive kill -9, not a power cut) unless `durable`."""

    stop_signal = signal.SIGINT  # fast: disconnects clients, checkpoints
    death_signal = "QUIT"        # immediate, but frees its shared memory
    user = "ficus"
    host = "127.0.0.1"

    def __init__(self, work, name="pg", database="crm", settings=None, durable=False):
        super().__init__(work, name)
        self.database, self.port = database, free_port()
        self.settings = {
            "listen_addresses": self.host, "port": self.port, "unix_socket_directories": self.dir,
            "wal_level": "logical", "max_wal_senders": 40, "max_replication_slots": 40,
            "max_connections": 200, "shared_buffers": "128MB", "timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%a ", "logging_collector": "off",
        }
        if not durable:
            self.settings.update(fsync="off", full_page_writes="off")
        self.settings.update(settings or {})
        self._bin = bin_folder()

    def prepare(self):
        run([self._bin + "/initdb", "-D", self.dir + "/data", "-U", self.user, "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync", "--no-instructions"], drop=True, env=self.environment(),
            cwd=self.dir)

    def command(self):
        line = [self._bin + "/postgres", "-D", self.dir + "/data"]
        for key, value in self.settings.items():
            line += ["-c", f"{key}={value}"]
        return line

    def ready(self):
        def answers():
            self.connect("postgres").close()
            return True
        wait_for(answers, "PostgreSQL to answer", 60, alive=self.process.must_live)
        self.create_database(self.database)

    def create_database(self, name):
        if not self.query("SELECT 1 FROM pg_database WHERE datname = %s", (name,), database="postgres"):
            self.execute(f'CREATE DATABASE "{name}"', database="postgres")

    def conninfo(self, database=None, port=None, **more):
        """For libpq, over TCP. `port` sends it through a proxy."""
        facts = {"host": self.host, "port": port or self.port, "user": self.user,
                 "dbname": database or self.database, **more}
        return " ".join(f"{k}={v}" for k, v in facts.items())

    def odbc(self, database=None, port=None, **options):
        facts = {"Servername": self.host, "Port": port or self.port, "Database": database or self.database,
                 "Username": self.user, **options}
        return "DRIVER={PostgreSQL Unicode};" + ";".join(f"{k}={v}" for k, v in facts.items())

    def connect(self, database=None, autocommit=True):
        db = psycopg2.connect(self.conninfo(database, connect_timeout=5))
        db.autocommit = autocommit
        return db

    def execute(self, sql, params=None, database=None):
        db = self.connect(database)
        try:
            with db.cursor() as cur:
                cur.execute(sql, params)
        finally:
            db.close()

    def query(self, sql, params=None, database=None):
        db = self.connect(database)
        try:
            with db.cursor() as cur:
                cur.execute(sql, params)
                return cur.fetchall()
        finally:
            db.close()

    def drop_replication(self, prefix):
        """The slot and the origins of a sync that has ended: a server has only so many of either."""
        self.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                     " WHERE slot_name = %s AND NOT active", (f"ficus_{prefix}_new",), database="postgres")
        self.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin"
                     " WHERE starts_with(roname, %s)", (f"ficus_{prefix}_",), database="postgres")

    def script(self, text, database=None):
        return self.psql(text, database)

    def psql(self, script, database=None):
        """Runs SQL text of several statements; raises at the first error."""
        return run([self._bin + "/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(database)],
                   stdin=script.encode())
