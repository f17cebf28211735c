#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns walks through the model into schedules for the real programs.

    model/schedule.py            writes tests/consistency/schedules/*.json anew

Two kinds: walks through the protocol as it is, drawn by spin's simulator from a seed, and the
counterexamples that spin finds when a rule is taken away. tests/consistency/test_schedules.py
steps the real `ficus sync` processes through each. The lines come from the printf statements of
transfer.pml: what coordinators, writers and people do. Streams run as they like.
"""
import glob
import json
import os
import re
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "transfer.pml")
OUT = os.path.join(os.path.dirname(HERE), "tests/consistency/schedules")
# Each is cut behind the last step of a transfer, so it ends.
WALKS = [(seed, coordinators) for coordinators in (2, 3) for seed in range(1, 80)]
KEEP = 8
FLAGS = ["NO_WAIT", "NO_MARKER", "SNAPSHOT_BEFORE_LOCK", "TRUST_CACHE", "REUSED_EPOCH", "OWNER_TAKES_ALL"]


def lines(text):
    return [m.group(1).split() for m in re.finditer(r"^\s*real (.+)$", text, re.MULTILINE)]


def spin(*words):
    return subprocess.run(["spin", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def thin(walk):
    """Without writes that began and ended between two steps of others, but for the first."""
    kept, seen = [], set()
    for step in walk:
        if step[0] == "writer" and step[2] != "begin" and kept and kept[-1] == ["writer", step[1], "begin"]:
            if step[1] in seen:
                kept.pop()
                continue
            seen.add(step[1])
        if step[0] != "writer":
            seen = set()
        kept.append(step)
    return kept


def worth(walk):
    """Cut behind the last end of a transfer; None when nothing happens on the way that matters."""
    ends = [i for i, w in enumerate(walk) if w[-1] == "FINISH"]
    walk = walk[:ends[-1] + 1] if ends else []
    overtaken = len({w[1] for w in walk if w[0] == "coordinator" and w[2] == "TAKEN"}) > 1
    steps = {w[-1] for w in walk}
    return walk if overtaken and len(walk) <= 60 and {"FLIP", "commit"} <= steps else None


def walks():
    """The KEEP that differ most in what they contain, by a greedy choice."""
    made = []
    for seed, coordinators in WALKS:
        text = spin(f"-n{seed}", "-u3000", "-DDRIVEN", "-DEPOCHS=6", "-DFAULTS=3", f"-DCOORDINATORS={coordinators}", MODEL)
        walk = worth(thin(lines(text)))
        if walk:
            made.append((seed, coordinators, walk))
    seen, kept = set(), []
    while made and len(kept) < KEEP:
        def news(entry):
            pairs = set(zip(map(tuple, entry[2]), map(tuple, entry[2][1:])))
            return len(pairs - seen)
        best = max(made, key=news)
        made.remove(best)
        kept.append(best)
        seen |= set(zip(map(tuple, best[2]), map(tuple, best[2][1:])))
    return kept


def counterexample(flag, folder):
    words = ["-DDRIVEN", f"-D{flag}", "-DEPOCHS=4", "-DCOORDINATORS=2", "-DTRANSFERS=2"]
    for file in glob.glob(os.path.join(folder, "*")):
        os.remove(file)
    subprocess.run(["spin", "-a", *words, MODEL], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DREACH", "-o", "pan", "pan.c"], cwd=folder, check=True)
    subprocess.run(["timeout", "-s", "INT", "60", "./pan", "-i", "-m260", "-w24"], cwd=folder, check=False,
                   stdout=subprocess.DEVNULL)
    trail = os.path.join(folder, "transfer.pml.trail")
    if not os.path.exists(trail):
        return None
    return lines(spin("-k", trail, *words, MODEL))


def write(name, facts, steps):
    with open(os.path.join(OUT, name + ".json"), "w", encoding="utf-8") as f:
        rows = ",\n  ".join(json.dumps(" ".join(s)) for s in steps)
        f.write(json.dumps(facts)[:-1] + ', "steps": [\n  ' + rows + "\n]}\n")
    print(f"{name}: {len(steps)} steps")


def main():
    os.makedirs(OUT, exist_ok=True)
    for old in glob.glob(OUT + "/*.json"):
        os.remove(old)
    for seed, coordinators, steps in walks():
        write(f"walk-{coordinators}-{seed}", {"without": None, "coordinators": coordinators}, steps)
    with tempfile.TemporaryDirectory() as folder:
        for flag in FLAGS:
            steps = counterexample(flag, folder)
            if steps:
                write("without-" + flag.lower().replace("_", "-"), {"without": flag, "coordinators": 2}, steps)
            else:
                print(f"{flag}: no counterexample within the bounds")


if __name__ == "__main__":
    main()
