# SPDX-License-Identifier: Apache-2.0
"""docs/compatibility-v4_1.md from the quirks that the tests run; scripts/docs.py writes it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tests/integration"))

from v4_1_quirks import QUIRKS  # noqa: E402

HEAD = """<!-- Made by `make docs` from tests/integration/v4_1_quirks.py; edit that. -->
# v4_1, method by method

Each line is a test of that name (`tests/integration/test_v4_1_quirks.py`), run with the legacy side (SQLite, MariaDB)
and with the new side as the owner of the records. `as the legacy` means that a client cannot tell; where something
else stands, Ficus differs on purpose, and that is what the legacy does. The reasons are in
[compatibility.md](compatibility.md).

What the legacy does was measured on SuiteCRM 7.14.6; of the versions v2 to v4, of set_relationships, searching,
activities, attachments and set_entries' enums and calls it was read in its published source.
"""


def page():
    methods = {}
    for q in QUIRKS:
        methods.setdefault(q.method, []).append(q)
    differ = sum(q.instead is not None for q in QUIRKS)
    parts = [HEAD, f"\n{len(QUIRKS)} quirks: {len(QUIRKS) - differ} as the legacy, {differ} different on purpose.\n",
             "\n| method | quirks | different on purpose |\n|---|---|---|\n"]
    parts += [f"| {m} | {len(qs)} | {sum(q.instead is not None for q in qs)} |\n" for m, qs in methods.items()]
    for method, quirks in methods.items():
        parts.append(f"\n## {method}\n\n| Ficus | the legacy |\n|---|---|\n")
        parts += [f"| {q.text} | {q.instead or 'as the legacy'} |\n".replace("\\", "\\\\") for q in quirks]
    return "".join(parts)
