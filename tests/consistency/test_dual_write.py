# SPDX-License-Identifier: Apache-2.0
"""Invariant 2 under kill -9: an acknowledged write is in both stores exactly once in effect,
across cutover and rollback, whichever process dies."""
import time

import pytest

from consistency.chaos import Chaos
from consistency.workload import Workload
from harness import seconds, wait_for
from harness.stack import Stack


def transfer(stack, kind, until):
    """Asks until it is done: while processes are down, guards refuse, and that is right."""
    outcomes = []
    while time.monotonic() < until:
        receipt = stack.cutover(kind=kind)
        outcomes.append(f"{receipt['outcome']} {receipt.get('why', '')}".strip())
        if receipt["outcome"] == "done":
            return outcomes
    raise AssertionError(f"{kind} was not done in time: {outcomes}")


def roam(workload, chaos, kills=3, writes=100):
    """So many kills, and so many acknowledged writes among and after them."""
    dead, goal = len(chaos.kills) + kills, workload.acknowledged() + writes
    chaos.roam()
    wait_for(lambda: len(chaos.kills) >= dead and workload.acknowledged() >= goal,
             f"{kills} kills and {writes} acknowledged writes; {workload.told()}", 90, interval=0.05)


@pytest.mark.parametrize("legacy", ["sqlite", "mariadb", "postgres"])
def test_dual_write(work, legacy, seed):
    # Processes that lose a peer say so as errors; what counts here is the data.
    with Stack(work, legacy, rows=50, seed=seed, facades=2, allow=["."]) as stack:
        for stage, percent in (("shadow", None), ("canary", 50), ("new", None)):
            stack.route_set(stage, percent)
        stack.wait_quiet()
        proof = stack.reconcile()
        assert proof["equal"] and proof["complete"], proof
        workload, chaos, told = Workload(stack, seed).start(), Chaos(stack, seed), []
        try:
            for kind in ("cutover", "rollback", "cutover"):
                roam(workload, chaos)
                chaos.ambush()
                told.append((kind, transfer(stack, kind, time.monotonic() + seconds(60))))
            roam(workload, chaos)
            chaos.calm()
        finally:
            workload.stop()
        assert len(chaos.kills) >= 12
        print(f"seed {seed}: {len(chaos.kills)} kills, {told}, {workload.told()}")
        judge(stack, workload, f"seed {seed}, kills {chaos.kills}, transfers {told}")


def judge(stack, workload, told):
    def equal():
        differs = workload.unequal()
        if differs:
            raise AssertionError(f"{len(differs)} differ: {differs[:5]}")
        return True
    wait_for(equal, f"both stores to be equal; {told}", 60, interval=0.5)
    proof = stack.reconcile()
    assert proof["equal"] and proof["complete"], (told, proof)
    assert stack.parked() == [], told
    violations = workload.violations()
    assert not violations, (told, violations[:20], len(violations))
