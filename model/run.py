#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make model`: searches transfer.pml with spin, writes build/model.json and prints its table.

First the protocol as it is: exhaustively at the bounds of SEARCHES, and by bitstate hashing (most
states, not all) at greater ones. Then what must happen sometime, as LTL under weak fairness, also
exhaustively. Then with one rule taken away at a time: the search must find what that breaks, or end
without a finding where the reason says why the rule is not needed for safety. Exit status 1 when any
row is not as expected.

Environment: MODEL_SECONDS bounds each bitstate search (default 120), MODEL_MIB the memory of one
search (default 5000).
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(os.path.dirname(HERE), "build/model.json")
SECONDS = int(os.environ.get("MODEL_SECONDS", "120"))
MIB = int(os.environ.get("MODEL_MIB", "5000"))

# Any number of facades and direct writers, any number of writes and of resends: see transfer.pml.
NAMES = ("COORDINATORS", "EPOCHS", "TRANSFERS")
SEARCHES = [(1, 3, 2), (2, 3, 1), (2, 3, 2), (3, 3, 1)]
BITSTATE = [(3, 5, 2), (3, 6, 3)]
# COORDINATORS, EPOCHS, TRANSFERS and FAULTS: crashes, stalls that are overtaken, bounds that pass
LTL_NAMES = NAMES + ("FAULTS",)
LTL = [(name, bounds) for name in ("one", "ends", "released") for bounds in ((2, 9, 1, 2), (3, 9, 2, 2))]
SMALL = (2, 4, 2)
# Flag, whether it must be found, and why not otherwise.
MUTATIONS = [
    ("NO_WAIT", True, "sealing does not wait for the writers in flight"),
    ("NO_MARKER", True, "the target is opened before the source's changes have arrived"),
    ("SNAPSHOT_BEFORE_LOCK", True, "the fence is read before it is held"),
    ("TRUST_CACHE", True, "a facade writes by its own table, not by the store's fence"),
    ("REUSED_EPOCH", True, "a second attempt goes by the first one's epoch"),
    ("OWNER_TAKES_ALL", True, "apply writes into a store that is writable"),
    ("NO_OPENING", True, "a sealed store takes what was sent before it was opened"),
    ("OPENED_LATE", True, "a change goes out ahead of the opening that allowed it"),
    ("LET_GO_ALWAYS", True, "a group is let go although an earlier attempt may have sealed its owner, or still may"),
    ("NO_SEAL_ON_ABORT", False, "the record 'opening' is guarded by the newest claim: an abort that does not find"
                                " it knows that the target was not and will not be opened"),
]


# The same, which only LTL can tell: flag, formula, bounds, why.
LTL_MUTATIONS = [("ABORT_AFTER_FLIP", "ends", (2, 9, 1, 2),
                  "an abort that comes after the flip makes a take-over give up draining, for ever")]


def build(folder, names, bounds, flags, how):
    defines = [f"-D{n}={v}" for n, v in zip(names, bounds)] + [f"-D{f}" for f in flags]
    subprocess.run(["spin", "-a", *defines, os.path.join(HERE, "transfer.pml")], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    mode = {"bitstate": ["-DSAFETY", "-DBITSTATE"], "exhaustive": ["-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MIB}"],
            "ltl": ["-DCOLLAPSE", "-DNFAIR=4", f"-DMEMLIM={MIB}"]}[how]
    subprocess.run(["gcc", "-O2", "-w", *mode, "-o", "pan", "pan.c"], cwd=folder, check=True)


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found.group(1))) if found else -1


def search(names, bounds, flags=(), how="exhaustive", formula=None):
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        build(folder, names, bounds, list(flags) + (["LTL"] if formula else []), how)
        start = time.monotonic()
        words = ["timeout", "-s", "INT", str(SECONDS if how == "bitstate" else 3600), "./pan", "-m400000"]
        words += {"bitstate": ["-w30", "-k3"], "exhaustive": ["-w26"], "ltl": ["-w24", "-a", "-f", "-N", formula]}[how]
        text = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False).stdout
        errors = number(r"errors: (\d+)", text)
        truncated = "max search depth too small" in text or "Interrupted" in text or "out of memory" in text
        return {"bounds": dict(zip(names, bounds)), "without": list(flags), "how": how, "formula": formula,
                "states": number(r"([0-9.e+]+) states, stored", text), "errors": errors,
                "depth": number(r"depth reached (\d+)", text), "found": errors > 0,
                "ended": errors >= 0 and not truncated,
                "seconds": round(time.monotonic() - start, 1)}


def show(row, what):
    bounds = " ".join(str(v) for v in row["bounds"].values())
    verdict = "found" if row["found"] else "nothing found" if row["ended"] else "nothing found in the time"
    print(f"{'ok ' if row['expected'] else 'BAD'} {bounds:8} {row['how']:11}{row['states']:>12} states"
          f" {row['seconds']:>7} s  {verdict}: {what}", flush=True)


def main():
    rows = []

    def add(row, expected, what):
        rows.append(dict(row, expected=expected, what=what))
        show(rows[-1], what)

    print("bounds: " + " ".join(name.lower() for name in LTL_NAMES))
    for bounds in SEARCHES:
        row = search(NAMES, bounds)
        add(row, not row["found"] and row["ended"], "the protocol as it is")
    for bounds in BITSTATE:
        row = search(NAMES, bounds, how="bitstate")
        add(row, not row["found"] and row["errors"] >= 0, "the protocol as it is")
    for formula, bounds in LTL:
        row = search(LTL_NAMES, bounds, how="ltl", formula=formula)
        add(row, not row["found"] and row["ended"], f"LTL {formula}")
    for flag, caught, why in MUTATIONS:
        row = search(NAMES, SMALL, [flag], "bitstate")
        add(row, row["found"] == caught and row["errors"] >= 0, f"{flag}: {why}")
    for flag, formula, bounds, why in LTL_MUTATIONS:
        row = search(LTL_NAMES, bounds, [flag], "ltl", formula)
        add(row, row["found"], f"{flag}, LTL {formula}: {why}")
    bad = sum(not r["expected"] for r in rows)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as f:
        json.dump({"rows": rows}, f, indent=1)
    print(f"{len(rows) - bad} as expected, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
