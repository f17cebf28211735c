# SPDX-License-Identifier: Apache-2.0
"""A SQLite database file, the embedded legacy store."""
import os
import sqlite3

from .wait import seconds


class Sqlite:
    """Has the same verbs as the servers, so that tests take either."""

    def __init__(self, work, name="legacy"):
        self.path = os.path.join(work.folder(name), "crm.sqlite")

    def start(self):
        db = self.connect()
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
        return self

    def stop(self):
        """Nothing runs."""

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def odbc(self, **options):
        """Streams results (StepAPI) and waits for locks up to `Timeout` ms, doubled by the driver."""
        facts = {"Database": self.path, "Timeout": 5000, "StepAPI": 1, "FKSupport": 0, **options}
        return "DRIVER={SQLite3};" + ";".join(f"{k}={v}" for k, v in facts.items())

    def connect(self):
        return sqlite3.connect(self.path, timeout=seconds(30), isolation_level=None)

    def execute(self, sql, params=()):
        db = self.connect()
        try:
            db.execute(sql, params)
        finally:
            db.close()

    def query(self, sql, params=()):
        db = self.connect()
        try:
            return db.execute(sql, params).fetchall()
        finally:
            db.close()

    def script(self, text):
        db = self.connect()
        try:
            db.executescript(text)
        finally:
            db.close()
