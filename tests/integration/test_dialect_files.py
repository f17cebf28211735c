# SPDX-License-Identifier: Apache-2.0
"""SQL Server and Oracle cannot be run here. What their dialect files render (tests/unit/golden, kept true
by the unit test of the same name; `ficus check --print sql` for the shipped maps) is read by two
independent parsers instead: sqlglot, and sqlfluff, which knows triggers. A statement counts as checked
when either of them reads all of it."""
import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.path.join(ROOT, "build/venv/bin/python")
MAPS = sorted(name[:-5] for name in os.listdir(os.path.join(ROOT, "migrations/maps/suitecrm"))
              if name.endswith(".json"))
DIALECTS = {"sqlserver": "tsql", "oracle": "oracle"}
# What neither parser reads, and why.
UNREAD = {"sqlserver": {}, "oracle": {
    "objects 11": "a package's body: sqlglot has no PL/SQL, sqlfluff no package with several members",
}}

# Runs in the clients' venv: [[name, sql], ..] on stdin, the names of what neither parser reads on stdout.
READ = r"""
import json, logging, re, sys
import sqlglot
from sqlfluff.core import Linter
logging.disable(logging.WARNING)
dialect = sys.argv[1]
linter = Linter(dialect=dialect)

def by_sqlglot(sql):
    try:
        trees = sqlglot.parse(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return False
    return bool(trees) and all(t is not None and not list(t.find_all(sqlglot.exp.Command)) for t in trees)

def by_sqlfluff(sql):
    mark = "@p" if dialect == "tsql" else ":p"
    end = "\n/\n" if dialect == "oracle" and sql.endswith(";") else "\n"
    read = linter.parse_string(sql.replace("?", mark) + end)
    return read.tree is not None and not read.violations and not list(read.tree.recursive_crawl("unparsable"))

def inner(sql):  # what a block of PL/SQL executes
    return [text.replace("''", "'") for text in re.findall(r"EXECUTE IMMEDIATE '((?:[^']|'')*)'", sql)]

bad = []
for name, sql in json.load(sys.stdin):
    if not all(by_sqlglot(one) or by_sqlfluff(one) for one in inner(sql)):
        bad.append(name)
    elif not by_sqlglot(sql) and not by_sqlfluff(sql):
        bad.append(name)
json.dump(bad, sys.stdout)
"""


def unread(dbms, statements):
    done = subprocess.run([PYTHON, "-c", READ, DIALECTS[dbms]], input=json.dumps(statements), text=True,
                          capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def golden(dbms):
    with open(os.path.join(ROOT, f"tests/unit/golden/{dbms}.sql"), encoding="utf-8") as f:
        blocks = f.read().strip().split("\n\n")[1:]
    return [[block.split("\n", 1)[0][3:], block.split("\n", 1)[1]] for block in blocks]


@pytest.mark.parametrize("dbms", DIALECTS)
def test_every_rendered_statement_is_read_by_a_parser(dbms):
    statements = golden(dbms)
    assert len(statements) > 40
    assert sorted(unread(dbms, statements)) == sorted(UNREAD[dbms])


@pytest.mark.parametrize("dbms", DIALECTS)
def test_the_parsers_bite(dbms):
    for name, sql in golden(dbms):
        if name in ("trigger of rel 2", "upsert 1", "fence seal 1"):
            assert unread(dbms, [[name, sql.replace(" = ", " = = ", 1)]]) == [name]


def printed(ficus, config, entity, dbms):
    done = subprocess.run([ficus, "check", "-c", config, "--print", "sql", "--dbms", dbms, entity], cwd=ROOT,
                          text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    legacy = done.stdout.split("(new, postgres)")[0].rsplit("\n-- ", 1)[0]
    plain, _, triggers = legacy.partition(f"-- changelog triggers (legacy, {dbms})\n")
    found = [line for line in plain.split("\n") if line and not line.startswith("--")]
    return found + [t for t in triggers.strip().split("\n--\n") if t.strip("- \n")]


@pytest.mark.parametrize("dbms", DIALECTS)
def test_statements_of_the_shipped_maps_are_read(tmp_path, dbms):
    config = tmp_path / "ficus.json"
    config.write_text(json.dumps({
        "control": {"conninfo": "dbname=none"}, "legacy": {"odbc": "DSN=none", "dbms": "sqlite"},
        "maps": {"path": f"{ROOT}/migrations/maps/suitecrm"}, "routes": {"path": str(tmp_path / "routes.json")}}))
    (tmp_path / "routes.json").write_text(json.dumps({"routes": {}}))
    statements = []
    for entity in MAPS:
        own = printed(os.path.join(ROOT, "build/ficus"), str(config), entity, dbms)
        assert any(s.startswith("SELECT") for s in own) and any("MERGE INTO" in s for s in own)
        statements += [[f"{entity} {i}", s.removesuffix(";") if s.startswith(("SELECT", "UPDATE")) else s]
                       for i, s in enumerate(own)]
    distinct = {s: name for name, s in statements}
    assert unread(dbms, [[name, s] for s, name in distinct.items()]) == []
