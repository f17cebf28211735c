# SPDX-License-Identifier: Apache-2.0
"""`make torture`: clients of every kind, transfers there and back, and a nemesis; then the checker.

    torture.py [--seconds 60 | --n FAULTS] [--seed 1] [--legacy sqlite] [--facades 3] [--faults kill,stop,..]

Ends by itself: after so many seconds, or after so many faults. Writes build/torture.json and, when something is wrong, keeps the history beside it.
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
from consistency.cluster import Cluster, GROUPS
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


def torture(work, legacy, seed, seconds, facades=3, faults=None, limit=0, tell=lambda text: None):
    """The facts of a run: figures and violations. It lasts so many seconds, or until `limit` faults are done."""
    path = work.file("history.jsonl", "")
    with Cluster(work, legacy, seed=seed, facades=facades) as cluster:
        history = History(path)
        climb(cluster)
        watch = GuardWatch(cluster, history, seed)
        cluster.watch = watch
        first = Nemesis(cluster, history, seed, faults, limit=(limit + 1) // 2)
        nemeses = [first, Nemesis(cluster, history, seed, faults, "second nemesis", first, limit // 2)]
        switchers = [Switcher(cluster, history, seed, group) for group in GROUPS]
        samplers = [FenceSampler(cluster, history, seed, side, group) for side in ("legacy", "new") for group in GROUPS]
        helpers = [watch] + samplers
        clients = clients_of(cluster, history, seed)
        for thread in helpers + switchers + clients + nemeses:
            thread.start()
        start = time.monotonic()
        while any(n.is_alive() for n in nemeses) and (limit or time.monotonic() < start + seconds):
            nemeses[-1].join(0.5)
            tell(f"{history.outcomes} {_sum(s.outcomes for s in switchers)} {_sum(n.done for n in nemeses)}")
        for group in (nemeses, switchers, clients, helpers):
            for thread in group:
                thread.ending.set()
            for thread in group:
                thread.join(90)
            if group is nemeses:
                first.heal()
        seconds = round(time.monotonic() - start)
        broken = [f"{t.name}: {t.broken!r}" for t in helpers + switchers + clients + nemeses
                  if t.broken or t.is_alive()]
        settle(cluster)
        parked = cluster.parked()
        for side in ("legacy", "new"):
            history.event("final", side=side, rows=cluster.records(side))
        history.close()
        refused = _sum(client.told for client in clients)
    found = check(read(path))
    return {"seed": seed, "legacy": legacy, "seconds": seconds, "operations": history.outcomes,
            "transfers": _sum(s.outcomes for s in switchers), "faults": _sum(n.done for n in nemeses), "parked": len(parked), "broken": broken,
            "told": dict(sorted(refused.items(), key=lambda x: -x[1])[:20]),
            "violations": [v.facts() for v in found], "text": [str(v) for v in found[:20]]}, path


def _sum(counts):
    total = {}
    for one in counts:
        for key, n in list(one.items()):  # others go on counting
            total[key] = total.get(key, 0) + n
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--n", type=int, default=0, help="end after so many faults, whatever the time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--legacy", choices=("sqlite", "mariadb", "postgres"), default="sqlite")
    parser.add_argument("--facades", type=int, default=3)
    parser.add_argument("--faults")
    args = parser.parse_args()
    tell = (lambda text: print("\r\033[K" + text, end="", file=sys.stderr)) if sys.stderr.isatty() else lambda text: None
    with Workdir() as work:
        result, path = torture(work, args.legacy, args.seed, args.seconds, args.facades,
                               args.faults.split(",") if args.faults is not None else None, args.n, tell)
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
