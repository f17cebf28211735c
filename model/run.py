#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make model`: searches transfer.pml with spin, writes build/model.json and prints its table.

First the protocol as it is: exhaustively at the bounds of SEARCHES, and by bitstate hashing (most
states, not all) at greater ones. Then with one rule taken away at a time: the search must find
what that breaks, or end without a finding where the reason says why the rule is not needed for
safety. Exit status 1 when any row is not as expected.

Environment: MODEL_SECONDS bounds each bitstate search (default 120).
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

# FACADES, DIRECT writers, COORDINATORS, EPOCHS (attempts), WRITES, TRANSFERS, RESENDS
NAMES = ("FACADES", "DIRECT", "COORDINATORS", "EPOCHS", "WRITES", "TRANSFERS", "RESENDS")
SEARCHES = [
    (1, 0, 2, 3, 2, 1, 0),
    (0, 1, 2, 3, 2, 1, 1),
    (1, 0, 1, 4, 2, 2, 1),
    (1, 1, 1, 3, 2, 2, 1),
    (2, 0, 1, 3, 2, 1, 1),
]
BITSTATE = [(3, 1, 3, 5, 3, 2, 1), (1, 1, 3, 6, 3, 3, 2)]
SMALL = (1, 1, 2, 4, 2, 2, 1)
# Flag, whether it must be found, and why not otherwise.
MUTATIONS = [
    ("NO_WAIT", True, "sealing does not wait for the writers in flight"),
    ("NO_MARKER", True, "the target is opened before the source's changes have arrived"),
    ("SNAPSHOT_BEFORE_LOCK", True, "the fence is read before it is held"),
    ("TRUST_CACHE", True, "a facade writes by its own table, not by the store's fence"),
    ("OWNER_TAKES_ALL", True, "apply writes into a store that is writable"),
    ("NO_OPENING", True, "a sealed store takes what was sent before it was opened"),
    ("OPENED_LATE", True, "a change goes out ahead of the opening that allowed it"),
    ("LET_GO_ALWAYS", True, "a group is let go although an earlier attempt may have sealed its owner, or still may"),
    ("NO_SEAL_ON_ABORT", False, "the record 'opening' is guarded by the newest claim: an abort that does not find"
                                " it knows that the target was not and will not be opened"),
    ("REUSED_EPOCH", False, "a second attempt's statements change no row: nothing is opened twice, and nothing can"
                            " be taken over either"),
]


def build(folder, bounds, flags, bitstate):
    defines = [f"-D{n}={v}" for n, v in zip(NAMES, bounds)] + [f"-D{f}" for f in flags]
    subprocess.run(["spin", "-a", *defines, os.path.join(HERE, "transfer.pml")], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    mode = ["-DBITSTATE"] if bitstate else ["-DCOLLAPSE", "-DMEMLIM=12000"]
    subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", *mode, "-o", "pan", "pan.c"], cwd=folder, check=True)


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found.group(1))) if found else -1


def search(bounds, flags=(), bitstate=False):
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        build(folder, bounds, flags, bitstate)
        start = time.monotonic()
        words = ["timeout", "-s", "INT", str(SECONDS if bitstate else 1800), "./pan", "-m200000"]
        words += ["-w30", "-k3"] if bitstate else ["-w26"]
        text = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False).stdout
        errors = number(r"errors: (\d+)", text)
        truncated = "max search depth too small" in text or "Interrupted" in text
        return {"bounds": dict(zip(NAMES, bounds)), "without": list(flags), "bitstate": bitstate,
                "states": number(r"([0-9.e+]+) states, stored", text), "errors": errors,
                "depth": number(r"depth reached (\d+)", text), "found": errors > 0,
                "ended": errors >= 0 and not truncated,
                "seconds": round(time.monotonic() - start, 1)}


def show(row, expected, what):
    bounds = " ".join(str(v) for v in row["bounds"].values())
    kind = "bitstate" if row["bitstate"] else "exhaustive"
    verdict = "found" if row["found"] else "nothing found" if row["ended"] else "nothing found in the time"
    print(f"{'ok ' if expected else 'BAD'} {bounds:16} {kind:11}{row['states']:>12} states {row['seconds']:>7} s"
          f"  {verdict}: {what}", flush=True)


def main():
    rows, bad = [], 0
    print("bounds: " + " ".join(name.lower() for name in NAMES))
    for bounds, bitstate in [(b, False) for b in SEARCHES] + [(b, True) for b in BITSTATE]:
        row = search(bounds, bitstate=bitstate)
        expected = not row["found"] and (bitstate or row["ended"])
        rows.append(dict(row, expected=expected))
        show(row, expected, "the protocol as it is")
    for flag, caught, why in MUTATIONS:
        row = search(SMALL, [flag], bitstate=True)
        expected = row["found"] == caught
        rows.append(dict(row, expected=expected, reason=why))
        show(row, expected, f"{flag}: {why}")
    bad = sum(not r["expected"] for r in rows)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as f:
        json.dump({"rows": rows}, f, indent=1)
    print(f"{len(rows) - bad} as expected, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
