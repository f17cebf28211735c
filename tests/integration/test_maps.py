# SPDX-License-Identifier: Apache-2.0
"""The shipped maps against their JSON Schema and against the reference CRM's tables."""
import json
import pathlib
import sqlite3

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAPS = sorted((ROOT / "migrations/maps/suitecrm").glob("*.json"))


@pytest.mark.parametrize("path", MAPS, ids=lambda p: p.stem)
def test_shipped_map_follows_the_schema(path):
    schema = json.loads((ROOT / "migrations/entity-map.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert not [e.message for e in validator.iter_errors(json.loads(path.read_text()))]


def place(entity, name, field):
    """(table, column) of a field in the legacy; None for one that is looked up."""
    where = field.get("legacy", name)
    if isinstance(where, dict):
        if "lookup" in where:
            return None
        return where.get("extension", entity["legacy"]["root"]), where.get("column", name)
    return (entity["legacy"]["root"], where) if where else None


@pytest.mark.parametrize("path", MAPS, ids=lambda p: p.stem)
def test_every_legacy_column_exists_and_every_base_column_crosses(path):
    db = sqlite3.connect(":memory:")
    db.executescript((ROOT / "tests/legacy/schema.sqlite.sql").read_text())
    entity = json.loads(path.read_text())
    mapped = set(filter(None, (place(entity, n, f) for n, f in entity["fields"].items())))
    tables = {t for t, _ in mapped}
    found = {(t, row[1]) for t in tables for row in db.execute(f"PRAGMA table_info({t})")}
    assert mapped <= found
    root = entity["legacy"]["root"]
    assert {c for c in found if c[0] == root} <= mapped


def test_shipped_route_tables_follow_their_schema():
    schema = json.loads((ROOT / "routes/route-table.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    tables = sorted((ROOT / "routes/tables").glob("*.json"))
    assert tables
    for path in tables:
        assert not [e.message for e in validator.iter_errors(json.loads(path.read_text()))]
    for bad in ({"routes": {}, "mount": []}, {"routes": {"a": {"entity": "a", "legacy": {"backend": "postgres"},
                                                              "new": {"backend": "postgres"}}}}):
        assert list(validator.iter_errors(bad))
