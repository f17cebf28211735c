# SPDX-License-Identifier: Apache-2.0
"""The type contract, cell by cell: what a value of a legacy column becomes in the new store, and back.

test_types.py runs every cell on every legacy; scripts/types_page.py makes docs/types.md of the same list. `there`: the value as
an SQL literal of the legacy, one for all or by DBMS (a DBMS that is not named cannot hold it); `new`: the new store's
text, or Parked(problem); `back`: what a literal of the new store becomes in the legacy, as canonical text.
"""
import collections

Parked = collections.namedtuple("Parked", "problem")
Cell = collections.namedtuple("Cell", "field text there new")
Back = collections.namedtuple("Back", "field text new there")

# field -> (map, type of the legacy column by DBMS, type of the new column)
FIELDS = {
    "txt": ({"type": "text"}, {"sqlite": "text", "mariadb": "longtext", "postgres": "text"}, "text"),
    "short": ({"type": "text", "length": 10},
              {"sqlite": "text", "mariadb": "varchar(40)", "postgres": "varchar(40)"}, "text"),
    "fixed": ({"type": "id", "length": 8}, {"sqlite": "char(8)", "mariadb": "char(8)", "postgres": "char(8)"}, "text"),
    "i32": ({"type": "integer", "bits": 32}, {"sqlite": "bigint", "mariadb": "bigint", "postgres": "bigint"},
            "integer"),
    "u64": ({"type": "integer", "bits": 64, "signed": False},
            {"sqlite": "text", "mariadb": "bigint unsigned", "postgres": "numeric(20)"}, "numeric(20)"),
    "deci": ({"type": "decimal", "precision": 18, "scale": 4},
             {"sqlite": "text", "mariadb": "decimal(20,6)", "postgres": "numeric"}, "numeric(18,4)"),
    "flt": ({"type": "float"}, {"sqlite": "double", "mariadb": "double", "postgres": "double precision"},
            "double precision"),
    "flag": ({"type": "boolean"}, {"sqlite": "tinyint(1)", "mariadb": "tinyint(1)", "postgres": "boolean"}, "boolean"),
    "day": ({"type": "date"}, {"sqlite": "date", "mariadb": "date", "postgres": "date"}, "date"),
    "clock": ({"type": "time"}, {"sqlite": "time", "mariadb": "time", "postgres": "time"}, "time"),
    "stamp": ({"type": "timestamp"}, {"sqlite": "datetime", "mariadb": "datetime", "postgres": "timestamp"},
              "timestamptz"),
    "stamp6": ({"type": "timestamp", "precision": 6},
               {"sqlite": "datetime", "mariadb": "datetime(6)", "postgres": "timestamp(6)"}, "timestamptz"),
    "raw": ({"type": "bytes"}, {"sqlite": "blob", "mariadb": "longblob", "postgres": "bytea"}, "bytea"),
    "doc": ({"type": "json"}, {"sqlite": "text", "mariadb": "longtext", "postgres": "text"}, "jsonb"),
    "code": ({"type": "text", "codes": {"Y": "yes", "N": "no"}},
             {"sqlite": "char(1)", "mariadb": "char(1)", "postgres": "char(1)"}, "text"),
}

NOT_PG = ("sqlite", "mariadb")
LONG = "x" * 3000000


def only(literal, *dbms):
    return {d: literal for d in dbms}


def blob(digits):
    return {"sqlite": f"x'{digits}'", "mariadb": f"x'{digits}'", "postgres": f"'\\x{digits}'::bytea"}


THERE = [
    Cell("txt", "letters of many scripts, and beyond 16 bits", "'Société «Nord» 日本 😀'", "Société «Nord» 日本 😀"),
    Cell("txt", "an empty text is not NULL", "''", ""),
    Cell("txt", "NULL", "NULL", None),
    Cell("txt", "trailing blanks", "'two  '", "two  "),
    Cell("txt", "tab, newline, quotes", {"sqlite": "'a' || char(9, 10) || '\"'", "mariadb": "'a\\t\\n\"'",
                                         "postgres": "E'a\\t\\n\"'"}, 'a\t\n"'),
    Cell("txt", "a backslash, and what COPY takes for NULL", {"sqlite": "'\\N'", "mariadb": "'\\\\N'",
                                                              "postgres": "'\\N'"}, "\\N"),
    Cell("txt", "a NUL character", {"sqlite": "CAST(x'610062' AS TEXT)", "mariadb": "'a\\0b'"}, Parked("nul")),
    Cell("txt", "bytes that are no UTF-8", only("CAST(x'61ff' AS TEXT)", "sqlite"), Parked("bad_utf8")),
    Cell("txt", "three million characters", f"'{LONG}'", LONG),
    Cell("short", "as long as the map allows", "'äöüäöüäöü1'", "äöüäöüäöü1"),
    Cell("short", "one character longer", "'äöüäöüäöü12'", Parked("too_long")),
    Cell("fixed", "blanks of char(n) are padding", "'abc'", "abc"),
    Cell("i32", "the greatest", "2147483647", "2147483647"),
    Cell("i32", "the least", "-2147483648", "-2147483648"),
    Cell("i32", "one beyond", "2147483648", Parked("overflow")),
    Cell("u64", "2^64-1", {"sqlite": "'18446744073709551615'", "mariadb": "18446744073709551615",
                           "postgres": "18446744073709551615"}, "18446744073709551615"),
    Cell("deci", "sign, and zeros at the end", {"sqlite": "'-1234567.891000'", "mariadb": "-1234567.891",
                                                "postgres": "-1234567.891000"}, "-1234567.8910"),
    Cell("deci", "all digits of the type", {d: "'99999999999999.9999'" for d in ("sqlite", "mariadb", "postgres")},
         "99999999999999.9999"),
    Cell("deci", "a digit more than the scale", {d: "'0.00001'" for d in ("sqlite", "mariadb", "postgres")},
         Parked("overflow")),
    Cell("deci", "NaN", {"sqlite": "'NaN'", "postgres": "'NaN'"}, Parked("not_a_number")),
    Cell("flt", "0.1", "0.1", "0.1"),
    Cell("flt", "a large one", "1.7976931348623157e308", "1.7976931348623157e+308"),
    Cell("flt", "infinity", only("'Infinity'", "postgres"), Parked("not_a_number")),
    Cell("flag", "true", {"sqlite": "1", "mariadb": "1", "postgres": "true"}, "true"),
    Cell("flag", "a tinyint(1) of 2", {d: "2" for d in NOT_PG}, Parked("overflow")),
    Cell("day", "a leap day", "'2024-02-29'", "2024-02-29"),
    Cell("day", "the last one", "'9999-12-31'", "9999-12-31"),
    Cell("day", "a zero date", {d: "'0000-00-00'" for d in NOT_PG}, Parked("zero_date")),
    Cell("day", "a month without a day", {d: "'2024-02-00'" for d in NOT_PG}, Parked("bad_date")),
    Cell("day", "infinity", only("'infinity'", "postgres"), Parked("bad_date")),
    Cell("clock", "a time of day", "'23:59:59'", "23:59:59"),
    Cell("clock", "beyond a day", only("'838:59:59'", *NOT_PG), Parked("bad_date")),
    Cell("clock", "below zero", only("'-12:34:56'", *NOT_PG), Parked("bad_date")),
    Cell("stamp", "an hour that daylight saving skips", "'2024-03-31 02:30:00'", "2024-03-31 02:30:00+00"),
    Cell("stamp", "infinity", only("'infinity'", "postgres"), Parked("bad_date")),
    Cell("stamp6", "one microsecond", "'2024-02-29 00:00:00.000001'", "2024-02-29 00:00:00.000001+00"),
    Cell("raw", "any bytes", blob("00ff10"), "\\x00ff10"),
    Cell("raw", "none", blob(""), "\\x"),
    Cell("doc", "members in another order", "'{\"b\": 1, \"a\": [1, null]}'", '{"a": [1, null], "b": 1}'),
    Cell("doc", "no JSON", "'{'", Parked("bad_json")),
    Cell("code", "a code of the map", "'Y'", "yes"),
    Cell("code", "a code that it does not list", "'X'", Parked("bad_enum")),
]

BACK = [
    Back("txt", "letters of many scripts, and beyond 16 bits", "'Société «Nord» 日本 😀'", "Société «Nord» 日本 😀"),
    Back("txt", "an empty text is not NULL", "''", ""),
    Back("txt", "NULL", "NULL", None),
    Back("txt", "trailing blanks, backslash", "E'a\\\\b  '", "a\\b  "),
    Back("txt", "three million characters", f"'{LONG}'", LONG),
    Back("short", "one character longer than the map allows", "'äöüäöüäöü12'", Parked("too_long")),
    Back("fixed", "shorter than char(n)", "'abc'", "abc"),
    Back("i32", "the least", "-2147483648", "-2147483648"),
    Back("u64", "2^64-1", "18446744073709551615", "18446744073709551615"),
    Back("u64", "2^64", "18446744073709551616", Parked("overflow")),
    Back("deci", "zeros at the end", "-1234567.8910", "-1234567.8910"),
    Back("deci", "NaN", "'NaN'", Parked("not_a_number")),
    Back("flt", "0.1", "0.1", "0.1"),
    Back("flt", "NaN", "'NaN'", Parked("not_a_number")),
    Back("flag", "false", "false", "false"),
    Back("day", "a leap day", "'2024-02-29'", "2024-02-29"),
    Back("day", "infinity", "'infinity'", Parked("bad_date")),
    Back("clock", "a time of day", "'23:59:59'", "23:59:59"),
    Back("stamp", "another zone", "'2024-03-31 02:30:00+02'", "2024-03-31 00:30:00"),
    Back("stamp6", "one microsecond", "'2024-02-29 00:00:00.000001+00'", "2024-02-29 00:00:00.000001"),
    Back("raw", "any bytes", "'\\x00ff10'", "00ff10"),
    Back("raw", "none", "'\\x'", ""),
    Back("doc", "JSON", "'{\"b\": 1, \"a\": [1, null]}'", '{"a":[1,null],"b":1}'),
    Back("code", "a value of the map", "'no'", "N"),
]


def literal(cell, dbms):
    """The SQL literal, or None where this DBMS cannot hold the value."""
    return cell.there.get(dbms) if isinstance(cell.there, dict) else cell.there
