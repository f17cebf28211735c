# SPDX-License-Identifier: Apache-2.0
"""Rows of `make bench` about transfers: what a switch of owner costs clients, whether its time grows
with the tables, what the fence costs writers, many groups one after the other.

Environment: BENCH_SWITCHES (default 50), BENCH_SIZES (accounts, default "10000 100000 1000000").
"""
import http.client
import json
import os
import statistics
import threading
import time
import urllib.parse

from harness import Workdir
from harness.daemon import ROOT
from harness.stack import GROUP, Stack

SWITCHES = int(os.environ.get("BENCH_SWITCHES", "50"))
SIZES = [int(n) for n in os.environ.get("BENCH_SIZES", "10000 100000 1000000").split()]
RATE, CONNECTIONS = 1000, 4  # writes a second, over so many connections
PATH = "/service/v4_1/rest.php"


def absolute(measure, values, goal, better="low", digits=3):
    """A row without a peer: the goal is an absolute figure."""
    value = statistics.median(values)
    met = None if goal is None else value <= goal if better == "low" else value >= goal
    return {"measure": measure, "ours": round(value, digits), "peer": None, "peer_name": "-", "ratio": None,
            "spread": [round(min(values), digits), round(max(values), digits)],
            "goal": None if goal is None else f"{'<=' if better == 'low' else '>='} {goal}", "met": met}


class Writer(threading.Thread):
    """Updates contacts of its own through one kept-alive connection, at a steady rate. A request that is late
    is sent at once, so that a pause is not hidden by the requests that it kept from being sent."""

    def __init__(self, port, session, keys, rate):
        super().__init__(daemon=True)
        self.port, self.session, self.keys, self.rate = port, session, keys, rate
        self.ending, self.waits, self.failed = threading.Event(), [], 0

    def run(self):
        connection, due, n = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), time.monotonic(), 0
        while not self.ending.is_set():
            due += 1 / self.rate
            self.ending.wait(max(0, due - time.monotonic()))
            n += 1
            body = urllib.parse.urlencode({"method": "set_entry", "input_type": "JSON", "response_type": "JSON",
                                           "rest_data": json.dumps([self.session, "Contacts", [
                                               {"name": "id", "value": self.keys[n % len(self.keys)]},
                                               {"name": "title", "value": f"bench {n}"}]])})
            start = time.monotonic()
            try:
                connection.request("POST", PATH, body, {"Content-Type": "application/x-www-form-urlencoded"})
                reply = connection.getresponse()
                good = reply.status == 200 and b'"id"' in reply.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                good = False
            self.failed += not good
            self.waits.append((start, time.monotonic() - start))


def bench_switch(stack, login, switches=SWITCHES):
    keys = [k for (k,) in stack.old("SELECT id FROM contacts WHERE deleted = 0 LIMIT 400")]
    session = login(stack.fronts[0][0])
    writers = [Writer(stack.fronts[0][0], session, keys[i::CONNECTIONS], RATE / CONNECTIONS)
               for i in range(CONNECTIONS)]
    for writer in writers:
        writer.start()
    worst, done = [], 0
    began = time.monotonic()
    for _ in range(switches):
        kind = "cutover" if stack.owner() == "legacy" else "rollback"
        start = time.monotonic()
        done += stack.cutover(kind=kind, force=True)["outcome"] == "done"
        end = time.monotonic()
        worst.append(max((w for x in writers for at, w in list(x.waits) if start - 1 <= at <= end), default=0) * 1000)
    seconds = time.monotonic() - began
    for writer in writers:
        writer.ending.set()
    for writer in writers:
        writer.join(60)
    sent = sum(len(w.waits) for w in writers)
    if stack.owner() != "legacy":
        stack.rollback(force=True)
    stack.wait_quiet()
    equal = stack.reconcile("contact")["equal"]
    worst.sort()
    name = f"{stack.kind}, {switches} switches at {sent / seconds:.0f} writes/s"
    return [absolute(f"{name}: longest wait of a client at a switch, p99 ms",
                     [worst[min(len(worst) - 1, round(len(worst) * 0.99))]], 100),
            absolute(f"{name}: failed requests", [sum(w.failed for w in writers)], 0),
            absolute(f"{name}: transfers not done, or unequal after", [switches - done + (not equal)], 0)]


def bench_sizes(kind="mariadb", sizes=None):
    """The pause of a switch by the size of the group's tables."""
    rows, medians = [], []
    for size in sizes or SIZES:
        with Workdir() as work, Stack(work, kind, rows=size, allow=["."], ratios={
                "leads": 0.0, "opportunities": 0.0, "cases": 0.0, "notes": 0.0, "calls": 0.0, "contacts": 0.0}) as stack:
            pauses = [stack.cutover(kind=k, force=True)["pause_ms"] for _ in range(5) for k in ("cutover", "rollback")]
            medians.append(statistics.median(pauses))
            rows.append(absolute(f"{kind}: pause of a switch at {size} accounts, ms", pauses, None))
    if len(medians) > 1:
        rows.append(absolute(f"{kind}: pause at the largest over that at the smallest", [medians[-1] / medians[0]], 1.5))
    return rows


def one_group_each(work):
    with open(ROOT + "/routes/tables/suitecrm.json", encoding="utf-8") as f:
        table = json.load(f)
    names = table["groups"][GROUP]["entities"]
    table["groups"] = {f"g_{name}": {"entities": [name]} for name in names}
    return work.file("routes-groups.json", json.dumps(table)), list(table["groups"])


def bench_groups(kind="mariadb", rounds=5):
    """As many groups as there are entities, flipped one after the other, there and back."""
    with Workdir() as work:
        routes, groups = one_group_each(work)
        with Stack(work, kind, rows=200, allow=["."], settings={"routes.path": routes}) as stack:
            outcomes = [stack.cutover(group=g, kind=k, force=True)["outcome"]
                        for k in ("cutover", "rollback") * ((rounds + 1) // 2) for g in groups]
            stack.wait_quiet()
            equal = stack.reconcile()["equal"]
    return [absolute(f"{kind}: {len(outcomes)} flips of {len(groups)} groups, not done or with drift after",
                     [sum(o != "done" for o in outcomes) + (not equal)], 0)]
