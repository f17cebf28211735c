# SPDX-License-Identifier: Apache-2.0
"""docs/types.md from the cells that the tests run; scripts/docs.py writes it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tests/integration"))

from type_cases import BACK, FIELDS, THERE, Parked, literal  # noqa: E402

DBMS = ("sqlite", "mariadb", "postgres")
HEAD = """<!-- Made by `make docs` from tests/integration/type_cases.py; edit that. -->
# The type contract, cell by cell

Each line is a test (`tests/integration/test_types.py`): a value is written into one store by its own SQL and read in the
other, through the whole sync engine. A dash: that store cannot hold the value. *parked*: the event waits in sight, by
the default policy; a map may say `null` or a substitute instead ([entity maps](entity-maps.md)). Nothing is cut,
rounded or replaced in silence.
"""


def shown(value):
    if isinstance(value, Parked):
        return f"*parked*: `{value.problem}`"
    if value is None:
        return "NULL"
    text = value if len(value) <= 40 else f"{value[:3]}… ({len(value)} characters)"
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("|", "\\|")
    return f"`{text}`" if text else "empty"


def columns(field):
    _, legacy, new = FIELDS[field]
    return ", ".join(sorted({legacy[d] for d in DBMS}, key=[legacy[d] for d in DBMS].index)), new


def page():
    parts = [HEAD, f"\n{len(THERE)} values from the legacy, {len(BACK)} from the new store.\n"]
    for field, (kind, _, _) in FIELDS.items():
        there = [c for c in THERE if c.field == field]
        back = [c for c in BACK if c.field == field]
        legacy, new = columns(field)
        size = ", ".join(f"{k} {v}" for k, v in kind.items() if k not in ("type", "codes"))
        parts.append(f"\n## {kind['type']}{' with codes' if 'codes' in kind else ''}{f' ({size})' if size else ''}\n\n"
                     f"Legacy column {legacy}; new column {new}.\n\n"
                     "| from | value | SQLite | MariaDB | PostgreSQL | arrives as |\n|---|---|---|---|---|---|\n")
        for c in there:
            held = " | ".join("yes" if literal(c, d) is not None else "-" for d in DBMS)
            parts.append(f"| legacy | {c.text} | {held} | {shown(c.new)} |\n")
        parts += [f"| new | {c.text} | to | to | to | {shown(c.there)} |\n" for c in back]
    return "".join(parts)
