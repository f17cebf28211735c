# SPDX-License-Identifier: Apache-2.0
"""The reference CRM's schema and generator: same on both DBMS, deterministic, dirty as promised."""
import decimal
import glob
import hashlib
import json
import os
import sqlite3
import subprocess
import sys

import bcrypt
import pytest

from harness import MariaDB, Workdir
from legacy import words
from legacy.dirt import EFFECTS, KINDS, select
from legacy.generate import RATIOS, count_rows, generate_mariadb, generate_sqlite
from legacy.store import FOLDER, schema
from legacy.tables import COLUMNS

ROWS = 400
MAPS = os.path.join(os.path.dirname(FOLDER), os.pardir, "migrations", "maps", "suitecrm")


@pytest.fixture(scope="module")
def work():
    with Workdir() as folder:
        yield folder


@pytest.fixture(scope="module")
def maria(work):
    with MariaDB(work) as server:
        yield server


def sqlite_file(work, **options):
    path = os.path.join(work.folder("sqlite"), "crm.sqlite")
    return path, generate_sqlite(path, **{"rows": ROWS, "seed": 7, **options})


@pytest.fixture(scope="module")
def dirty(work):
    """(connection, manifest) of a database with every kind of dirt."""
    path, manifest = sqlite_file(work)
    db = sqlite3.connect(path)
    yield db, manifest
    db.close()


@pytest.fixture(scope="module")
def clean(work):
    path, manifest = sqlite_file(work, dirt="off")
    db = sqlite3.connect(path)
    yield db, manifest
    db.close()


def dump(path):
    with sqlite3.connect(path) as db:
        return list(db.iterdump())


def ask(db, sql):
    return db.execute(sql).fetchall()


def test_same_seed_same_rows(work):
    first, one = sqlite_file(work)
    second, two = sqlite_file(work)
    other, _ = sqlite_file(work, seed=8)
    one.pop("seconds"), two.pop("seconds")
    assert one == two
    assert dump(first) == dump(second)
    assert ask(sqlite3.connect(first), "SELECT id FROM accounts ORDER BY id") \
        != ask(sqlite3.connect(other), "SELECT id FROM accounts ORDER BY id")


def test_counts(dirty):
    db, manifest = dirty
    assert list(manifest["rows"]) == list(COLUMNS)
    for table, count in manifest["rows"].items():
        assert ask(db, f"SELECT count(*) FROM {table}") == [(count,)], table
        assert count > 0, table
    for table in ("contacts", "opportunities", "leads", "cases", "notes", "calls"):
        assert manifest["rows"][table] == ROWS * RATIOS[table]


def test_accounts_alone(work):
    path, manifest = sqlite_file(work, contacts=0, dirt="off")
    fixed = {"users", "currencies", "config", "securitygroups"}
    grown = {t for t, n in manifest["rows"].items() if n and t not in fixed and not t.startswith(("acl_", "securityg"))}
    assert grown == {"accounts", "accounts_cstm"}
    assert ask(sqlite3.connect(path), "SELECT count(*) FROM accounts_cstm") == [(ROWS,)]


def test_ratios():
    assert count_rows(100, {"contacts": 2.5})["contacts"] == 250
    assert count_rows(100, {"contacts": 0, "cases": 1.0})["cases"] == 100
    for bad in ({"contacts": -1}, {"dogs": 1}):
        with pytest.raises(ValueError):
            count_rows(100, bad)


def test_word_pools_are_picked_by_bits():
    for name, pool in vars(words).items():
        if isinstance(pool, (tuple, list)):
            assert len(pool) & (len(pool) - 1) == 0, name


def test_clean_rows_hold_together(clean):
    db, _ = clean
    nothing = (
        "SELECT 1 FROM accounts GROUP BY name HAVING count(*) > 1",
        "SELECT 1 FROM accounts a LEFT JOIN accounts_cstm c ON c.id_c = a.id WHERE c.id_c IS NULL",
        "SELECT 1 FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id"
        " WHERE a.parent_id IS NOT NULL AND p.id IS NULL",
        "SELECT 1 FROM cases c LEFT JOIN accounts a ON a.id = c.account_id"
        " WHERE c.account_id IS NOT NULL AND a.id IS NULL",
        "SELECT 1 FROM accounts_contacts l LEFT JOIN accounts a ON a.id = l.account_id"
        " LEFT JOIN contacts c ON c.id = l.contact_id WHERE a.id IS NULL OR c.id IS NULL",
        "SELECT 1 FROM email_addr_bean_rel r LEFT JOIN email_addresses e ON e.id = r.email_address_id"
        " WHERE e.id IS NULL",
        "SELECT 1 FROM email_addr_bean_rel WHERE primary_address GROUP BY bean_id, bean_module HAVING count(*) > 1",
        "SELECT 1 FROM accounts WHERE length(id) <> 36 OR date_modified < date_entered",
    )
    for sql in nothing:
        assert ask(db, sql) == [], sql
    for kind, module in (("notes", "Accounts"), ("calls", "Contacts")):
        table = module.lower()
        assert ask(db, f"SELECT count(*) FROM {kind} n JOIN {table} p ON p.id = n.parent_id"
                       f" WHERE n.parent_type = '{module}'")[0][0] > 0


# For each kind: SQL that finds it without knowing the generator, on a clean base finding nothing.
PRESENT = {
    "odd_id": "SELECT id FROM accounts WHERE id IN ('1', 'seed_jim_id', '-99')",
    "duplicate_name": "SELECT name FROM accounts WHERE name <> '' GROUP BY name HAVING count(*) > 1",
    "blank_name": "SELECT id FROM accounts WHERE coalesce(name, '') = ''"
                  " UNION SELECT id FROM contacts WHERE coalesce(first_name, '') || coalesce(last_name, '') = ''",
    "no_cstm": "SELECT id FROM accounts LEFT JOIN accounts_cstm ON id_c = id WHERE id_c IS NULL",
    "empty_and_null": "SELECT id FROM accounts WHERE website = '' OR ownership = '' OR assigned_user_id = ''"
                      " UNION SELECT id FROM cases WHERE account_id = ''",
    "lost_emoji": "SELECT id FROM accounts WHERE description LIKE '%????%'",
    "text_amount": "SELECT id FROM accounts WHERE annual_revenue = '1,000.50'",
    "float_amount": "SELECT id FROM opportunities WHERE amount = 0.1 + 0.2",
    "dangling_link": "SELECT l.id FROM accounts_contacts l LEFT JOIN accounts a ON a.id = l.account_id"
                     " LEFT JOIN contacts c ON c.id = l.contact_id WHERE a.id IS NULL OR c.id IS NULL",
    "duplicate_link": "SELECT 1 FROM accounts_opportunities GROUP BY account_id, opportunity_id HAVING count(*) > 1",
    "two_accounts": "SELECT l.contact_id FROM accounts_contacts l JOIN accounts a ON a.id = l.account_id"
                    " GROUP BY l.contact_id HAVING count(DISTINCT l.account_id) > 1",
    "two_primary_emails": "SELECT bean_id FROM email_addr_bean_rel WHERE primary_address AND NOT deleted"
                          " GROUP BY bean_id, bean_module HAVING count(*) > 1",
    "dangling_parent": "SELECT n.id FROM notes n LEFT JOIN accounts a ON a.id = n.parent_id"
                       " WHERE n.parent_type = 'Accounts' AND a.id IS NULL"
                       " UNION SELECT id FROM calls WHERE parent_type = 'Bugs'",
    "dangling_account": "SELECT c.id FROM cases c LEFT JOIN accounts a ON a.id = c.account_id"
                        " WHERE c.account_id <> '' AND a.id IS NULL",
    "html_entities": "SELECT id FROM accounts WHERE name LIKE '%&amp;%' OR name LIKE '%&#039;%'",
    "zero_date": "SELECT id FROM accounts WHERE date_entered = '0000-00-00 00:00:00'"
                 " UNION SELECT id FROM contacts WHERE birthdate = '0000-00-00'",
    "partial_date": "SELECT id FROM contacts WHERE birthdate LIKE '%-00' AND birthdate <> '0000-00-00'",
}


def test_every_kind_has_its_check():
    assert list(PRESENT) == list(KINDS)


@pytest.mark.parametrize("kind", list(PRESENT))
def test_dirt_is_there(kind, dirty, clean):
    db, manifest = dirty
    assert ask(db, PRESENT[kind]) != []
    assert ask(clean[0], PRESENT[kind]) == []
    facts = manifest["dirt"][kind]
    assert facts["effect"] in EFFECTS and facts["count"] > 0 and facts["sample"] and facts["what"]
    assert kind not in clean[1]["dirt"]


def test_manifest_names_the_rows(work):
    path, manifest = sqlite_file(work, dirt="zero_date,text_amount", rows=2000)
    db = sqlite3.connect(path)
    assert list(manifest["dirt"]) == ["text_amount", "zero_date", "mixed_hashes"]
    for facts in manifest["dirt"].values():
        for table, key in facts["sample"]:
            assert ask(db, f"SELECT count(*) FROM {table} WHERE id = '{key}'") == [(1,)], (table, key)
    zero = sum(ask(db, f"SELECT count(*) FROM {table} WHERE {column} LIKE '0000%'")[0][0] for table, column in (
        ("accounts", "date_entered"), ("contacts", "birthdate"), ("contacts", "date_modified"),
        ("opportunities", "date_closed"), ("calls", "date_end"), ("leads", "birthdate")))
    assert zero == manifest["dirt"]["zero_date"]["count"]


def test_dirt_by_name():
    assert select("on") == list(KINDS)
    assert select("off") == []
    assert select("zero_date,odd_id") == ["odd_id", "zero_date"]
    assert set(select("kept,changed,parked")) == set(KINDS)
    with pytest.raises(ValueError, match="dust"):
        select("dust")


def test_few_rows(work):
    for rows in (1, 2, 5, 30):
        _, manifest = sqlite_file(work, rows=rows)
        assert manifest["rows"]["accounts"] == rows


def test_passwords(clean):
    hashes = dict(ask(clean[0], "SELECT user_name, user_hash FROM users"))
    for name, kept in hashes.items():
        digest = hashlib.md5((name + "1").encode()).hexdigest()
        if name == "hashless":
            assert kept is None
        elif kept.startswith("$2y$10$"):
            assert bcrypt.checkpw(digest.encode(), kept.encode()), name
        else:
            assert kept == (digest.upper() if name == "upper" else digest), name
    assert hashes["admin"].startswith("$2y$") and len(hashes["sally"]) == 32


def test_case_numbers_are_never_reused(work):
    path, _ = sqlite_file(work, rows=8, dirt="off")
    db = sqlite3.connect(path)
    assert ask(db, "SELECT min(case_number), max(case_number) FROM cases") == [(1, 2)]
    db.execute("INSERT INTO cases (id, name) VALUES ('a', 'x'), ('b', 'y')")
    assert ask(db, "SELECT case_number FROM cases WHERE id IN ('a', 'b') ORDER BY id") == [(3,), (4,)]
    db.execute("DELETE FROM cases WHERE id = 'b'")
    db.execute("INSERT INTO cases (id, case_number) VALUES ('c', 0)")
    assert ask(db, "SELECT case_number FROM cases WHERE id = 'c'") == [(5,)]
    db.execute("INSERT INTO cases (id, case_number) VALUES ('d', 90)")
    db.execute("INSERT INTO cases (id) VALUES ('e')")
    assert ask(db, "SELECT case_number FROM cases WHERE id = 'e'") == [(91,)]
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO cases (id, case_number) VALUES ('f', 90)")


def test_text_compares_without_case(clean):
    db, _ = clean
    name, key = ask(db, "SELECT name, id FROM accounts ORDER BY id LIMIT 1")[0]
    assert ask(db, f"SELECT id FROM accounts WHERE name = '{name.lower()}' AND id = '{key.upper()}'") == [(key,)]


def legacy_columns(entity):
    """(table, column) of every field that a map keeps in the legacy store."""
    side = entity["legacy"]
    extensions = {x["table"]: x["key"] for x in side.get("extensions", ())}
    for table, key in extensions.items():
        yield table, key
    for name, field in entity["fields"].items():
        place = field.get("legacy", name)
        if isinstance(place, str):
            yield side["root"], place
        elif "lookup" in place:
            yield side["lookups"][place["lookup"]]["path"][-1]["table"], place["column"]
        else:
            yield place.get("extension", side["root"]), place["column"]


def test_schema_has_what_the_maps_name(clean):
    files = glob.glob(os.path.join(MAPS, "*.json"))
    assert len(files) > 5
    for path in files:
        with open(path, encoding="utf-8") as f:
            entity = json.load(f)
        for table, column in legacy_columns(entity):
            columns = [row[1] for row in ask(clean[0], f"PRAGMA table_info({table})")]
            assert column in columns, f"{os.path.basename(path)}: {table}.{column}"


def run(*args):
    return subprocess.run([sys.executable, os.path.join(FOLDER, "generate.py"), *args], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def test_command_line(work):
    path = os.path.join(work.folder("cli"), "crm.sqlite")
    done = run("--sqlite", path, "--create", "--rows", "20", "--dirt", "off")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["accounts"] == 20
    again = run("--sqlite", path, "--rows", "20")
    assert again.returncode == 2 and "already" in again.stderr
    wrong = run("--sqlite", path, "--dirt", "dust")
    assert wrong.returncode == 2 and "dust" in wrong.stderr


# ---- MariaDB

def maria_columns(db, database):
    with db.cursor() as cur:
        cur.execute("SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns"
                    " WHERE table_schema = %s ORDER BY table_name, ordinal_position", (database,))
        return cur.fetchall()


def maria_keys(db, database):
    with db.cursor() as cur:
        cur.execute("SELECT table_name, index_name, group_concat(column_name ORDER BY seq_in_index)"
                    " FROM information_schema.statistics WHERE table_schema = %s GROUP BY 1, 2", (database,))
        return {(t, c) for t, _, c in cur.fetchall()}


def normal(value, column_type):
    """One form for what the two drivers hand out."""
    if value is None:
        return None
    if column_type.startswith("decimal"):
        return decimal.Decimal(str(value)).normalize()
    return value if isinstance(value, (int, float, str)) else str(value)


def test_both_schemas_and_rows_are_the_same(work, maria, dirty):
    lite, manifest = dirty
    same = generate_mariadb(maria.connect(), rows=ROWS, seed=7)
    for facts in (same, manifest):
        facts.pop("seconds", None)
    assert same == manifest
    db = maria.connect()
    types = {}
    for table, column, column_type, nullable in maria_columns(db, maria.database):
        types.setdefault(table, {})[column] = (column_type, nullable == "YES")
    assert set(types) == set(COLUMNS)
    for table, columns in types.items():
        info = ask(lite, f"PRAGMA table_info({table})")
        assert [row[1] for row in info] == list(columns), table
        for _, name, kind, not_null, _, _ in info:
            column_type, nullable = columns[name]
            assert kind.lower() == column_type, f"{table}.{name}"
            assert nullable == (not not_null) or name == "case_number", f"{table}.{name}"
        names = ", ".join(f"`{c}`" for c in columns)
        key = next(iter(columns)) if table != "config" else "name"
        with db.cursor() as cur:
            cur.execute(f"SELECT {names} FROM {table} ORDER BY BINARY {key}")
            theirs = cur.fetchall()
        ours = ask(lite, f"SELECT {names} FROM {table} ORDER BY {key} COLLATE BINARY")
        kinds = [kind for kind, _ in columns.values()]
        assert [tuple(map(normal, row, kinds)) for row in theirs] \
            == [tuple(map(normal, row, kinds)) for row in ours], table
    db.close()


def test_both_have_the_same_keys(maria, dirty):
    db = maria.connect()
    ours = set()
    for table in COLUMNS:
        for row in ask(dirty[0], f"PRAGMA index_list({table})"):
            columns = ask(dirty[0], f"PRAGMA index_info({row[1]})")
            ours.add((table, ",".join(c[2] for c in columns)))
    assert ours == maria_keys(db, maria.database)
    db.close()


def test_mariadb_refuses_what_it_would_change(maria):
    """LOAD DATA LOCAL turns errors into warnings; the loader must not."""
    from legacy.store import MariaStore  # pylint: disable=import-outside-toplevel
    store = MariaStore(maria.connect())
    store.begin()
    with pytest.raises(RuntimeError, match="1 rows sent"):
        store.load("config", COLUMNS["config"], [("c" * 40, "name", "value")])
    with pytest.raises(ZeroDivisionError):
        store.load("config", COLUMNS["config"], (("a", "b", 1 // 0) for _ in range(2)))
    store.db.rollback()
    store.close()


def test_mariadb_case_numbers(maria):
    maria.execute("INSERT INTO cases (id, name) VALUES ('a', 'x')")
    (number,), = maria.query("SELECT case_number FROM cases WHERE id = 'a'")
    maria.execute("DELETE FROM cases WHERE id = 'a'")
    maria.execute("INSERT INTO cases (id, name) VALUES ('b', 'x')")
    assert maria.query("SELECT case_number FROM cases WHERE id = 'b'") == ((number + 1,),)


def test_schema_files_run_whole(work):
    """As one script, without the generator."""
    db = sqlite3.connect(":memory:")
    with open(os.path.join(FOLDER, "schema.sqlite.sql"), encoding="utf-8") as f:
        db.executescript(f.read())
    early, late = schema("sqlite")
    assert len(late) > 30
    assert ask(db, "SELECT count(*) FROM sqlite_master WHERE sql IS NOT NULL") \
        == [(sum(s.startswith("CREATE") for s in early + late),)]
