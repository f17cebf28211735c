# SPDX-License-Identifier: Apache-2.0
"""`make torture`: clients of every kind, transfers there and back, and a nemesis; then the checker.

    torture.py [--seconds 60] [--seed 1] [--legacy sqlite] [--facades 3] [--faults kill,stop,..]

Writes build/torture.json and, when something is wrong, keeps the history beside it.
"""
import argparse
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from consistency.checker import check
from consistency.clients import Cell, DirectClient, FormClient, RestClient
from consistency.cluster import Cluster
from consistency.history import History, read
from consistency.nemesis import FenceSampler, GuardWatch, Nemesis, Switcher, settle
from harness.daemon import ROOT
from harness.workdir import Workdir

CELLS, PACE = 6, 0.02


def clients_of(cluster, history, seed):
    made, number = [], 0
    for n in range(CELLS):
        cell = Cell(n, seed)
        for kind, more in ((FormClient, {}), (FormClient, {}), (RestClient, {}), (RestClient, {}),
                           (DirectClient, {"side": "legacy"}), (DirectClient, {"side": "new"})):
            number += 1
            made.append(kind(cluster, history, cell, number, seed, PACE * (4 if more else 1), **more))
    return made


def climb(cluster):
    for stage in ("shadow", "canary", "new"):
        cluster.route_set(stage, 50 if stage == "canary" else None)


def torture(work, legacy, seed, seconds, facades=3, faults=None, tell=lambda text: None):
    """The facts of a run: figures and violations."""
    path = work.file("history.jsonl", "")
    with Cluster(work, legacy, seed=seed, facades=facades) as cluster:
        history = History(path)
        climb(cluster)
        watch = GuardWatch(cluster, history, seed)
        cluster.watch = watch
        nemesis, switcher = Nemesis(cluster, history, seed, faults), Switcher(cluster, history, seed)
        helpers = [watch, switcher] + [FenceSampler(cluster, history, seed, side) for side in ("legacy", "new")]
        clients = clients_of(cluster, history, seed)
        for thread in helpers + clients + [nemesis]:
            thread.start()
        end = time.monotonic() + seconds
        while not nemesis.ending.wait(0.5) and time.monotonic() < end:  # which nobody sets before the end
            tell(f"{history.outcomes} {switcher.outcomes} {nemesis.done}")
        for group in ([nemesis], [switcher], clients, helpers):
            for thread in group:
                thread.ending.set()
            for thread in group:
                thread.join(90)
            if group == [nemesis]:
                nemesis.heal()
        broken = [f"{t.name}: {t.broken!r}" for t in helpers + clients + [nemesis] if t.broken or t.is_alive()]
        settle(cluster)
        parked = cluster.parked()
        for side in ("legacy", "new"):
            history.event("final", side=side, rows=cluster.records(side))
        history.close()
        refused = {}
        for client in clients:
            for text, n in client.told.items():
                refused[text] = refused.get(text, 0) + n
    found = check(read(path))
    return {"seed": seed, "legacy": legacy, "seconds": seconds, "operations": history.outcomes,
            "transfers": switcher.outcomes, "faults": nemesis.done, "parked": len(parked), "broken": broken,
            "told": dict(sorted(refused.items(), key=lambda x: -x[1])[:20]),
            "violations": [v.facts() for v in found], "text": [str(v) for v in found[:20]]}, path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--legacy", default="sqlite")
    parser.add_argument("--facades", type=int, default=3)
    parser.add_argument("--faults")
    args = parser.parse_args()
    tell = (lambda text: print("\r\033[K" + text, end="", file=sys.stderr)) if sys.stderr.isatty() else lambda text: None
    with Workdir() as work:
        result, path = torture(work, args.legacy, args.seed, args.seconds, args.facades,
                               args.faults.split(",") if args.faults is not None else None, tell)
        good = not result["violations"] and not result["broken"]
        if not good:
            shutil.copy(path, os.path.join(ROOT, "build/torture-history.jsonl"))
            work.keep()
    for text in result.pop("text"):
        print(text)
    with open(os.path.join(ROOT, "build/torture.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2)
    print(json.dumps({k: v for k, v in result.items() if k != "violations"}, indent=1))
    print(f"{'good' if good else 'FAILED'}: {len(result['violations'])} violations; build/torture.json")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
