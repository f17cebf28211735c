# SPDX-License-Identifier: Apache-2.0
"""ficus diff: two tables or queries of any two databases, without configuration."""
import json

import pytest

from harness import ficus

TABLE = {
    "mariadb": "CREATE TABLE {} (id int NOT NULL, part char(8) NOT NULL, n decimal(10,4), f double, ok tinyint(1),"
               " day date, at datetime(6), raw varbinary(20), note text, PRIMARY KEY (id, part)) CHARACTER SET utf8mb4",
    "postgres": "CREATE TABLE {} (id bigint NOT NULL, part text NOT NULL, n numeric, f float8, ok boolean,"
                " day date, at timestamptz, raw bytea, note text, PRIMARY KEY (id, part))",
}
ROWS = 1200


def row(i):
    return (i, f"p{i % 3}", f"{i}.5000" if i % 2 else "-0.0000", i / 3, i % 2, "2024-02-29",
            f"2024-01-01 00:00:{i % 60:02d}.{i % 7:06d}", f"{i:04x}", None if i % 5 == 0 else f"n\u00f6te {i} \U0001f600")


def insert(server, dbms, database, table, rows):
    raw = "UNHEX(%s)" if dbms == "mariadb" else "decode(%s, 'hex')"
    ok = "%s" if dbms == "mariadb" else "(%s = 1)"
    connection = server.connect(database=database)
    try:
        cursor = connection.cursor()
        for r in rows:
            cursor.execute(f"INSERT INTO {table} VALUES (%s,%s,%s,%s,{ok},%s,%s,{raw},%s)", r)
    finally:
        connection.close()


@pytest.fixture
def pair(mariadb, postgres, unique):
    for server, dbms in ((mariadb, "mariadb"), (postgres, "postgres")):
        server.create_database(unique)
        server.execute(TABLE[dbms].format("a"), database=unique)
        insert(server, dbms, unique, "a", [row(i) for i in range(ROWS)])
    return mariadb.odbc(database=unique), postgres.conninfo(unique), unique


def diff(work, *words, code):
    done = ficus(work, "diff", *words, "--json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_equal_then_each_difference(work, pair, mariadb, postgres):
    old, new, name = pair
    result = diff(work, old, "a", new, "a", code=0)
    assert result["equal"] and result["rows"] == [ROWS, ROWS] and result["key"] == ["id", "part"]
    postgres.execute("UPDATE a SET note = note || ' ' WHERE id = 1", database=name)
    postgres.execute("UPDATE a SET at = at + interval '1 microsecond' WHERE id = 2", database=name)
    postgres.execute("UPDATE a SET note = '' WHERE id = 5", database=name)  # NULL there
    postgres.execute("UPDATE a SET raw = '\\x00' WHERE id = 6", database=name)
    postgres.execute("DELETE FROM a WHERE id = 7", database=name)
    mariadb.execute("DELETE FROM a WHERE id = 8", database=name)
    result = diff(work, old, "a", new, "a", code=1)
    found = {s["key"].split("\x1f")[0]: (s["kind"], sorted(s["fields"])) for s in result["samples"]}
    assert found == {"1": ("differs", ["note"]), "2": ("differs", ["at"]), "5": ("differs", ["note"]),
                     "6": ("differs", ["raw"]), "7": ("only_in_first", []), "8": ("only_in_second", [])}
    assert result["differences"] == 6 and result["by_column"]["note"] == 2
    assert not diff(work, old, "a", new, "a", "--limit", "2", code=1)["equal"]
    text = ficus(work, "diff", old, "a", new, "a")
    assert text.returncode == 1 and "NOT equal" in text.stdout and "only_in_first" in text.stdout
    # queries, a mapped name and what is left out
    select = "SELECT id, part, n AS amount FROM a WHERE id < 100"
    assert diff(work, old, select, new, "SELECT id, part, n FROM a WHERE id < 100", "--map", "amount=n",
                "--key", "id", code=1)["only_in_first"] == 1
    assert diff(work, old, "SELECT id, n FROM a WHERE id > 10", new, "SELECT id, n FROM a WHERE id > 10",
                "--key", "id", code=0)["rows"] == [ROWS - 11, ROWS - 11]


def test_columns_and_keys_that_do_not_fit(work, pair, postgres, sqlite):
    old, new, name = pair
    postgres.execute("CREATE TABLE b AS SELECT id, part, n, 1 AS extra FROM a", database=name)
    result = diff(work, old, "a", new, "b", "--ignore", "f,ok,day,at,raw,note", code=1)
    assert not result["equal"] and result["columns_only_in_second"] == ["extra"] and result["differences"] == 0
    assert diff(work, old, "a", new, "b", "--columns", "id,part,n", code=0)["equal"]
    none = ficus(work, "diff", new, "b", new, "b")
    assert none.returncode not in (0, 1) and "--key" in none.stderr
    postgres.execute("INSERT INTO b VALUES (3, 'p0', 4.5, 1), (NULL, 'x', 1, 1)", database=name)
    result = diff(work, new, "b", new, "b", "--key", "id,part", code=1)
    assert result["duplicates"] == 1 and result["null_keys"] == 2
    # the same doubles on both sides, met in any order: never "equal"
    postgres.execute("CREATE TABLE c AS SELECT id % 50 AS id, 1 AS one FROM a", database=name)
    result = diff(work, new, "c", new, "c", "--key", "id", code=1)
    assert result["duplicates"] == 50 and not result["equal"]
    assert diff(work, new, "SELECT id FROM a", new, "SELECT id FROM a", "--key", "id", code=0)["duplicates"] == 0
    gone = ficus(work, "diff", old, "nothing", new, "a")
    assert gone.returncode not in (0, 1) and "first" in gone.stderr
    sqlite.script("CREATE TABLE b (id integer PRIMARY KEY, part text, n text); ")
    for i in (1, 2, 3):
        sqlite.execute("INSERT INTO b VALUES (?, ?, ?)", (i, f"p{i % 3}", row(i)[2].rstrip("0")))
    few = "SELECT id, part, n FROM a WHERE id IN (1, 2, 3)"
    result = diff(work, sqlite.odbc(), "b", new, few, code=0)
    assert result["rows"] == [3, 3]
