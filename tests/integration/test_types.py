# SPDX-License-Identifier: Apache-2.0
"""Every cell of the type contract (type_cases.py) through the sync engine, both ways, on every legacy."""
import datetime
import json
import os

import pytest

from harness import wait_for
from loop import Loop
from test_sync import Database
from type_cases import BACK, FIELDS, THERE, Parked, literal


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def loop(request, work, postgres, kafka, unique):
    dbms = request.param
    columns = ", ".join(f"{name} {types[dbms]}" for name, (_, types, _) in FIELDS.items())
    table = f"CREATE TABLE cells (id char(36) NOT NULL PRIMARY KEY, {columns});"
    if dbms == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(table)
    else:
        server = request.getfixturevalue(dbms)
        legacy = Database(server, f"{unique}_old")
        server.script(table, database=legacy.name)
    made = Loop(work, dbms, legacy, postgres, kafka, unique, sync={"snapshot": "off"})
    for name in ("box", "thing", "pair"):
        os.unlink(work.file(f"maps/{name}.json"))
    fields = {"id": {"type": "id", "length": 36}, **{name: field for name, (field, _, _) in FIELDS.items()}}
    work.file("maps/cell.json", json.dumps({
        "entity": "cell", "plural": "cells", "title": "Cell", "key": {"fields": ["id"]},
        "legacy": {"root": "cells"}, "new": {"root": "crm.cell"}, "fields": fields}))
    columns = ", ".join(f"{name} {new}" for name, (_, _, new) in FIELDS.items())
    work.file("sql/0001_things.up.sql", f"CREATE SCHEMA crm; CREATE TABLE crm.cell (id text PRIMARY KEY, {columns});")
    work.file("sql/0001_things.down.sql", "DROP TABLE crm.cell;")
    made.migrate()
    return made


def parked(loop):
    return {k: detail for k, detail in loop.new("SELECT k, detail FROM ficus.parked")} | dict(
        loop.old("SELECT k, detail FROM ficus_parked"))


def problem_of(detail, field):
    assert detail is not None and f"{field}:" in detail, detail
    return detail.split(f"{field}:", 1)[1].split(";")[0].split()[0]


def there(loop):
    """Legacy literals into the legacy; their keys with the cells."""
    found, db = {}, loop.legacy.connect()
    cursor = db.cursor()
    if loop.dbms == "mariadb":
        cursor.execute("SET sql_mode = ''")  # as the legacies of the day run: zero dates and all
    for i, cell in enumerate(THERE):
        sql = literal(cell, loop.dbms)
        if sql is not None:
            found[f"there{i}"] = cell
            cursor.execute(f"INSERT INTO cells (id, {cell.field}) VALUES ('there{i}', {sql})")
    db.commit()
    db.close()
    return found


def canonical(value, field):
    """What a driver gives for a legacy cell, as canonical text."""
    kind = FIELDS[field][0]
    if value is None:
        return None
    if kind["type"] == "bytes":
        return bytes(value).hex()
    if kind["type"] == "boolean":
        return "true" if value in (1, True, "1") else "false"
    if kind["type"] == "decimal":
        return f"{float(value) if isinstance(value, str) else value:.4f}"
    if isinstance(value, datetime.timedelta):
        return str(value)
    if kind["type"] == "id":
        return str(value).rstrip(" ")
    return str(value)


def test_legacy_to_new(loop):
    with loop.sync(allow=["parked"]):
        cells = there(loop)
        wait_for(lambda: len(loop.new("SELECT id FROM crm.cell")) + len(parked(loop)) == len(cells), "all cells", 60)
        stopped, wrong = parked(loop), []
        for key, cell in cells.items():
            got = loop.new(f"SELECT {cell.field}::text FROM crm.cell WHERE id = %s", (key,))
            if isinstance(cell.new, Parked):
                good = not got and problem_of(stopped.get(key), cell.field) == cell.new.problem
            else:
                good = got == [(cell.new,)]
            if not good:
                wrong.append((cell.field, cell.text, str(got)[:80], stopped.get(key)))
        assert not wrong


def test_new_to_legacy(loop):
    with loop.sync(allow=["parked"]):
        wait_for(lambda: loop.new("SELECT 1 FROM pg_replication_slots WHERE database = %s AND active",
                                  (loop.database,)), "capture of the new store", 30)
        for i, cell in enumerate(BACK):
            loop.write_new(f"INSERT INTO crm.cell (id, {cell.field}) VALUES ('back{i}', {cell.new})")
        wait_for(lambda: len(loop.old("SELECT id FROM cells")) + len(parked(loop)) == len(BACK), "all cells", 60)
        stopped, wrong = parked(loop), []
        for i, cell in enumerate(BACK):
            got = loop.old(f"SELECT {cell.field} FROM cells WHERE id = 'back{i}'")
            if isinstance(cell.there, Parked):
                good = not got and problem_of(stopped.get(f"back{i}"), cell.field) == cell.there.problem
            else:
                good = len(got) == 1 and canonical(got[0][0], cell.field) == cell.there
            if not good:
                wrong.append((cell.field, cell.text, str(got)[:80], stopped.get(f"back{i}")))
        assert not wrong
