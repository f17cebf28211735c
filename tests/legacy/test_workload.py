# SPDX-License-Identifier: Apache-2.0
"""The direct writers: same on both DBMS, of every kind, and never a case of a missing account."""
import collections
import sqlite3

import pytest

from harness import MariaDB, Sqlite, Workdir, wait_for
from legacy.generate import generate_mariadb, generate_sqlite
from legacy.tables import COLUMNS
from legacy.workload import Workload, Writers, classify

STEPS = 300
ORPHANS = ("SELECT c.id FROM cases c LEFT JOIN accounts a ON a.id = c.account_id"
           " WHERE c.account_id <> '' AND a.id IS NULL")


@pytest.fixture(scope="module")
def work():
    with Workdir() as folder:
        yield folder


@pytest.fixture(scope="module")
def maria(work):
    with MariaDB(work) as server:
        generate_mariadb(server.connect(), rows=60, seed=5, dirt="kept,changed")
        yield server


def lite(work, **options):
    store = Sqlite(work).start()
    generate_sqlite(store.path, **{"rows": 60, "seed": 5, "dirt": "kept,changed", **options})
    return store


def rows_of(store):
    """table -> sorted rows, without the case numbers, which a rollback may burn."""
    found = {}
    for table, columns in COLUMNS.items():
        names = ", ".join(c for c in columns if c != "case_number")
        rows = store.query(f"SELECT {names} FROM {table}")
        found[table] = sorted((tuple(None if v is None else str(v) for v in row) for row in rows),
                              key=lambda row: tuple((v is not None, v or "") for v in row))
    return found


def test_same_writes_on_both(work, maria):
    """A seed is a script: 300 transactions leave the same rows on SQLite and MariaDB."""
    ours = lite(work)
    before = rows_of(ours)
    logs = []
    for store in (ours, maria):
        log = []
        writer = Workload(store.connect, seed=11, on_commit=log.append)
        writer.run(steps=STEPS)
        assert set(writer.outcomes) == {"committed", "undone"}, writer.outcomes
        logs.append(log)
    assert logs[0] == logs[1]
    after, theirs = rows_of(ours), rows_of(maria)
    for table in COLUMNS:
        decimals = table == "accounts_cstm"
        a, b = (rows if not decimals else [(r[0], r[1], r[2] and float(r[2])) for r in rows]
                for rows in (after[table], theirs[table]))
        assert a == b, table
    untouched = {"users", "config", "currencies", "accounts_audit"}
    assert all(before[t] == after[t] for t in untouched)
    for table in ("accounts", "accounts_cstm", "contacts", "contacts_cstm", "leads", "opportunities", "cases", "calls",
                  "notes", "accounts_contacts", "accounts_opportunities", "opportunities_contacts", "email_addresses",
                  "email_addr_bean_rel"):
        assert before[table] != after[table], table
    assert not ours.query(ORPHANS)


def test_every_operation_happens(work):
    store = lite(work, dirt="off")
    writer = Workload(store.connect, seed=2, dirt=True)
    writer.run(steps=1500)
    done = collections.Counter()
    for (table, op), n in writer.operations.items():
        done[op] += n
        assert n > 0, table
    assert {"insert", "update", "delete", "soft_delete", "undelete"} <= set(done)
    assert writer.outcomes["undone"] > 50 and writer.outcomes["committed"] > 1000
    assert store.query("SELECT count(*) FROM contacts WHERE birthdate = '0000-00-00'")[0][0] > 0
    assert not store.query(ORPHANS)


def test_what_is_undone_leaves_nothing(work):
    store = lite(work)
    writer = Workload(store.connect, seed=3)
    writer.keys_max = 10
    writer._open()  # pylint: disable=protected-access
    before = rows_of(store)
    for _ in range(20):
        writer._writes = []  # pylint: disable=protected-access
        writer._run("BEGIN IMMEDIATE")  # pylint: disable=protected-access
        assert writer._shape_undone() is False  # pylint: disable=protected-access
        writer._run("ROLLBACK")  # pylint: disable=protected-access
    writer.close()
    assert rows_of(store) == before


@pytest.mark.parametrize("dbms", ["sqlite", "mariadb"])
def test_side_by_side(dbms, work, maria):
    store = maria if dbms == "mariadb" else lite(work)
    with Writers(store.connect, seed=4, count=3) as writers:
        wait_for(lambda: writers.outcomes["committed"] > 200, "200 commits", 60)
    # Two of them may link the same pair: one is told, and undone.
    assert set(writers.outcomes) <= {"committed", "undone", "busy", "duplicate"}, writers.outcomes
    assert not store.query(ORPHANS)


def test_refusals_are_counted(work):
    store = lite(work)
    store.script("CREATE TRIGGER closed BEFORE UPDATE ON accounts BEGIN"
                 " SELECT RAISE(ABORT, 'ficus: fence: group crm is owned by the other side'); END")
    log = []
    writer = Workload(store.connect, seed=1, on_commit=log.extend)
    for _ in range(60):
        writer.step()
    writer.close()
    assert writer.outcomes["refused"] > 0 and writer.outcomes["committed"] > 0
    assert ("contacts", "update") in {(table, op) for table, op, _ in log}
    assert ("accounts", "update") not in {(table, op) for table, op, _ in log}


def test_a_fault_of_ours_is_no_outcome():
    assert classify(KeyError(0)) is None
    assert classify(sqlite3.OperationalError("no such table: x")) is None
    assert classify(sqlite3.OperationalError("database is locked")) == "busy"


def test_a_lost_server_is_survived(work):
    with MariaDB(work) as server:
        generate_mariadb(server.connect(), rows=20, seed=5, dirt="off")
        writer = Workload(server.connect, seed=9)
        assert [writer.step() for _ in range(5)].count("lost") == 0
        server.kill()
        assert writer.step() == "lost"
        server.start()
        assert writer.step() in ("committed", "undone")
        writer.close()
