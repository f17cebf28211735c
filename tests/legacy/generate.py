#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fills a reference legacy CRM with seeded rows and dirt.

    generate.py --sqlite FILE | --postgres CONNINFO | --mariadb HOST:PORT/USER/DATABASE | --mariadb SOCKET:USER/DATABASE
        [--create] [--rows N] [--seed N] [--dirt on|off|KIND,..] [--contacts RATIO] ...

The same seed and options give the same rows on both. Prints a JSON manifest: rows by table,
and which keys each kind of dirt hit. As a module: generate_sqlite, generate_mariadb,
generate_postgres.
MariaDB's password comes from the environment variable MYSQL_PWD.
"""
import argparse
import json
import os
import sys
import time

if not __package__:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from legacy.dirt import KINDS, plan_dirt, report, select  # noqa: E402
from legacy.rows import Rows  # noqa: E402
from legacy.seeds import fixed_rows  # noqa: E402
from legacy.store import MariaStore, PgStore, SqliteStore  # noqa: E402
from legacy.tables import AT, COLUMNS  # noqa: E402

# Rows for each account, unless said otherwise. Without contacts, only accounts are made.
RATIOS = {"contacts": 1.0, "opportunities": 0.5, "leads": 0.25, "cases": 0.25, "notes": 0.5, "calls": 0.25,
          "emails": 0.25, "audits": 0.05, "groups": 0.05}


def count_rows(rows, ratios):
    """Entity -> number of rows; `emails` are accounts with an address, `audits` and `groups`
    are rows of each audit table and of securitygroups_records."""
    unknown = set(ratios) - set(RATIOS)
    if unknown:
        raise ValueError(f"no such ratio: {sorted(unknown)}")
    if rows < 1 or any(value is not None and value < 0 for value in ratios.values()):
        raise ValueError("--rows must be positive and no ratio negative")
    given = {name: value for name, value in ratios.items() if value is not None}
    defaults = dict.fromkeys(RATIOS, 0) if given.get("contacts") == 0 else RATIOS
    counts = {name: int(rows * given.get(name, defaults[name])) for name in RATIOS}
    counts["emails"] = min(counts["emails"], rows)
    return {"accounts": rows, **counts}


class Generator:
    """The rows of one seed: clean ones, changed by the plan of dirt."""

    def __init__(self, rows=10000, seed=1, dirt="on", **ratios):
        self.seed, self.dirt = seed, dirt
        self.rows = Rows(seed, count_rows(rows, ratios))
        self.plan = plan_dirt(self.rows, select(dirt))
        self.fixed = fixed_rows()

    def table(self, name):
        """All rows of a table, values in the order of COLUMNS."""
        yield from self.fixed.get(name, ())
        if name in self.rows.makers:
            changes, dropped = self.plan.changes.get(name), self.plan.dropped.get(name, ())
            make = self.rows.makers[name]
            for i in range(self.rows.sizes[name]):
                row = make(i)
                if row is None or i in dropped:
                    continue
                if changes and i in changes:
                    row = list(row)
                    for column, value in changes[i].items():
                        row[AT[name][column]] = value
                yield row
        yield from self.plan.added.get(name, ())

    def load(self, store, create):
        """Into an empty store; returns the manifest."""
        start = time.monotonic()
        store.begin()
        if create:
            store.create()
        elif not store.is_empty("accounts"):
            raise ValueError("the database holds accounts already: the generator fills empty ones only")
        counts = {name: store.load(name, COLUMNS[name], self.table(name)) for name in COLUMNS}
        if create:
            store.index()
        store.commit()
        return self.manifest(counts, time.monotonic() - start)

    def manifest(self, counts, took):
        dirt = report(self.plan)
        dirt["mixed_hashes"] = {
            "effect": "kept", "count": len(self.fixed["users"]),
            "sample": [["users", row[0]] for row in self.fixed["users"]],
            "what": "md5 and bcrypt password hashes side by side; there even with dirt off."}
        return {"seed": self.seed, "dirt_asked": self.dirt, "seconds": round(took, 3), "rows": counts, "dirt": dirt}


def generate_sqlite(path, create=True, **options):
    """`options` are Generator's: rows, seed, dirt, and the ratios (contacts=0.5, ..)."""
    store = SqliteStore(path)
    try:
        return Generator(**options).load(store, create)
    finally:
        store.close()


def generate_mariadb(connection, create=True, **options):
    """`connection` is pymysql's, made with local_infile=True; it is closed at the end."""
    store = MariaStore(connection)
    try:
        return Generator(**options).load(store, create)
    finally:
        store.close()


def generate_postgres(connection, create=True, **options):
    """`connection` is psycopg2's; it is closed at the end."""
    store = PgStore(connection)
    try:
        return Generator(**options).load(store, create)
    finally:
        store.close()


def connect_postgres(conninfo):
    import psycopg2  # pylint: disable=import-outside-toplevel
    return psycopg2.connect(conninfo)


def connect_mariadb(spec):
    """HOST:PORT/USER/DATABASE or /PATH/OF/SOCKET:USER/DATABASE."""
    import pymysql  # pylint: disable=import-outside-toplevel
    try:
        if spec.startswith("/"):
            socket, rest = spec.rsplit(":", 1)
            user, database = rest.split("/")
            where = {"unix_socket": socket}
        else:
            address, user, database = spec.split("/")
            host, port = address.rsplit(":", 1)
            where = {"host": host, "port": int(port)}
    except ValueError:
        raise SystemExit("--mariadb takes HOST:PORT/USER/DATABASE or SOCKET:USER/DATABASE") from None
    return pymysql.connect(user=user, password=os.environ.get("MYSQL_PWD", ""), database=database,
                           charset="utf8mb4", local_infile=True, **where)


def main(argv=None):
    ap = argparse.ArgumentParser(description="Fills a reference legacy CRM with seeded rows and dirt.")
    target = ap.add_mutually_exclusive_group(required=True)
    target.add_argument("--sqlite", metavar="FILE")
    target.add_argument("--mariadb", metavar="WHERE", help="HOST:PORT/USER/DATABASE or SOCKET:USER/DATABASE")
    target.add_argument("--postgres", metavar="CONNINFO", help="as libpq takes it")
    ap.add_argument("--create", action="store_true", help="create the tables first, the indexes last")
    ap.add_argument("--rows", type=int, default=10000, help="accounts (default %(default)s)")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--dirt", default="on", help="on, off, or a list of kept, changed, parked and kinds: "
                    + ", ".join(KINDS))
    for name, ratio in RATIOS.items():
        ap.add_argument("--" + name, type=float, metavar="RATIO", help=f"for each account (default {ratio})")
    args = ap.parse_args(argv)
    options = {name: getattr(args, name) for name in ("rows", "seed", "dirt", *RATIOS)}
    try:
        if args.sqlite:
            manifest = generate_sqlite(args.sqlite, args.create, **options)
        elif args.postgres:
            manifest = generate_postgres(connect_postgres(args.postgres), args.create, **options)
        else:
            manifest = generate_mariadb(connect_mariadb(args.mariadb), args.create, **options)
    except ValueError as error:
        ap.error(str(error))
    print(json.dumps(manifest, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
