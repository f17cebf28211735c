# SPDX-License-Identifier: Apache-2.0
"""Bulk loading into SQLite, MariaDB and PostgreSQL: schema without indexes, rows, then the indexes."""
import os
import sqlite3
import threading

FOLDER = os.path.dirname(os.path.abspath(__file__))
CHUNK = 20000


def statements(text):
    """The statements of a schema file: comments gone, triggers in one piece."""
    found, part = [], ""
    for line in text.splitlines():
        if line.startswith("--"):
            continue
        part += line + "\n"
        if line.rstrip().endswith(";") and sqlite3.complete_statement(part):
            found.append(part.strip().rstrip(";") + ";")
            part = ""
    if part.strip():
        raise ValueError(f"the schema ends in the middle of a statement: {part.strip()[:80]}")
    return found


def schema(dbms):
    """(statements before the rows, statements after them)."""
    with open(os.path.join(FOLDER, f"schema.{dbms}.sql"), encoding="utf-8") as f:
        every = statements(f.read())
    late = [s for s in every if s.startswith(("CREATE INDEX", "ALTER TABLE"))]
    return [s for s in every if s not in late], late


class SqliteStore:
    """A database file; one transaction holds the whole load."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.journal = self.db.execute("PRAGMA journal_mode").fetchone()[0]

    def begin(self):
        for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -200000", "temp_store = MEMORY"):
            self.db.execute("PRAGMA " + pragma)
        self.db.execute("BEGIN IMMEDIATE")

    def create(self):
        for statement in schema("sqlite")[0]:
            self.db.execute(statement)

    def index(self):
        for statement in schema("sqlite")[1]:
            self.db.execute(statement)

    def is_empty(self, table):
        return self.db.execute(f"SELECT NOT EXISTS (SELECT 1 FROM {table})").fetchone()[0] == 1

    def load(self, table, columns, rows):
        """Returns how many rows went in."""
        marks = ", ".join("?" * len(columns))
        done = self.db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
        return max(done.rowcount, 0)

    def commit(self):
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA journal_mode = " + self.journal)

    def close(self):
        self.db.close()


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


def _cell(value):
    if value is None:
        return "\\N"
    if value.__class__ is str:
        return value.translate(_ESCAPES) if "\\" in value or "\n" in value or "\t" in value else value
    return repr(value)


class _Feed(threading.Thread):
    """Writes rows as tab-separated text into a pipe that LOAD DATA reads from."""

    def __init__(self, rows, fd):
        super().__init__(name="feed", daemon=True)
        self.rows, self.fd = rows, fd
        self.sent, self.error = 0, None

    def run(self):
        try:
            with os.fdopen(self.fd, "wb", buffering=1 << 20) as pipe:
                lines = []
                for row in self.rows:
                    lines.append("\t".join(map(_cell, row)))
                    self.sent += 1
                    if len(lines) == 1000:
                        pipe.write(("\n".join(lines) + "\n").encode())
                        lines.clear()
                if lines:
                    pipe.write(("\n".join(lines) + "\n").encode())
        except BaseException as error:  # whoever joins raises it
            self.error = error


class MariaStore:
    """A connection of pymysql with local_infile; a commit after each table."""

    def __init__(self, connection):
        self.db = connection
        self.db.autocommit(False)

    def _run(self, sql):
        with self.db.cursor() as cur:
            cur.execute(sql)
            return cur.fetchall()

    def begin(self):
        """As the legacy application connects: zero dates are values, text is UTF-8."""
        self._run("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
        self._run("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', unique_checks = 0, foreign_key_checks = 0")

    def create(self):
        for statement in schema("mariadb")[0]:
            self._run(statement)

    def index(self):
        for statement in schema("mariadb")[1]:
            self._run(statement)

    def is_empty(self, table):
        return self._run(f"SELECT NOT EXISTS (SELECT 1 FROM {table})")[0][0] == 1

    def load(self, table, columns, rows):
        """Returns how many rows went in; LOCAL turns errors into warnings, so none is accepted."""
        reader, writer = os.pipe()
        feed = _Feed(rows, writer)
        feed.start()
        try:
            with self.db.cursor() as cur:
                count = cur.execute(
                    f"LOAD DATA LOCAL INFILE '/dev/fd/{reader}' INTO TABLE {table} CHARACTER SET utf8mb4"
                    f" ({', '.join(columns)})")
            warnings = self.db.show_warnings()
        finally:
            os.close(reader)
            feed.join()
        if feed.error:
            raise feed.error
        if warnings or count != feed.sent:
            raise RuntimeError(f"{table}: {feed.sent} rows sent, {count} loaded; {list(warnings)[:5]}")
        self.db.commit()
        return count

    def commit(self):
        self.db.commit()
        self._run("SET SESSION unique_checks = 1, foreign_key_checks = 1")

    def close(self):
        self.db.close()


def _impossible(value):
    """A date that PostgreSQL cannot hold."""
    return value.__class__ is str and value[:4].isdigit() and value[4:5] == "-" and (
        value.startswith("0000") or value[5:7] == "00" or value[8:10] == "00")


class PgStore:
    """A connection of psycopg2; one transaction holds the whole load. What the server cannot hold
    (dates that do not exist, NUL in text) becomes what such a port would have made of it."""

    def __init__(self, connection):
        self.db = connection
        self.db.autocommit = False
        self.dates = {}

    def _run(self, sql):
        with self.db.cursor() as cur:
            cur.execute(sql)
            return cur.fetchall() if cur.description else None

    def begin(self):
        self._run("SET LOCAL synchronous_commit = off")

    def create(self):
        for statement in schema("postgres")[0]:
            self._run(statement)

    def index(self):
        for statement in schema("postgres")[1]:
            self._run(statement)

    def is_empty(self, table):
        return self._run(f"SELECT NOT EXISTS (SELECT 1 FROM {table})")[0][0]

    def _lines(self, rows, dates):
        for row in rows:
            yield "\t".join(_cell(None if i in dates and _impossible(value) else value)
                            for i, value in enumerate(row)).replace("\0", "") + "\n"

    def load(self, table, columns, rows):
        """Returns how many rows went in."""
        with self.db.cursor() as cur:
            cur.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s"
                        " AND data_type IN ('date', 'timestamp without time zone')", (table,))
            named = {name for (name,) in cur.fetchall()}
            dates = {i for i, name in enumerate(columns) if name in named}
            cur.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", _Lines(self._lines(rows, dates)))
            return cur.rowcount

    def commit(self):
        self.db.commit()

    def close(self):
        self.db.close()


class _Lines:
    """An iterator of lines with read(), as COPY wants it."""

    def __init__(self, lines):
        self.lines, self.rest = lines, ""

    def read(self, size=8192):
        parts, have = [self.rest], len(self.rest)
        while have < size:
            line = next(self.lines, None)
            if line is None:
                break
            parts.append(line)
            have += len(line)
        text = "".join(parts)
        self.rest = text[size:]
        return text[:size]
