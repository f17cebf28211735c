# SPDX-License-Identifier: Apache-2.0
"""Faults, one after the other, each named, each undone: processes killed or stopped, connections cut,
stalled or refused, servers restarted, clocks set. Every fault and its end are on record."""
import random
import threading
import time

from consistency.cluster import FAKETIME, GROUPS
from harness import wait_for


class Worker(threading.Thread):
    """Runs `turn()` until `ending` is set; what broke it is kept."""

    def __init__(self, name, cluster, history, seed):
        super().__init__(name=name, daemon=True)
        self.cluster, self.history, self.random = cluster, history, random.Random(f"{seed}:{name}")
        self.ending, self.broken = threading.Event(), None

    def run(self):
        try:
            while not self.ending.is_set():
                self.turn()
        except Exception as error:  # pylint: disable=broad-except
            self.broken = error

    def turn(self):
        raise NotImplementedError


class Nemesis(Worker):
    """Until it is told to end, or has done `limit` faults. Two of them at a time share `taken`: what one
    works on the other leaves alone."""

    def __init__(self, cluster, history, seed, only=None, name="nemesis", other=None, limit=0):
        super().__init__(name, cluster, history, seed)
        kinds = ["kill", "stop", "reset", "stall", "refuse", "server"] + (["clock"] if FAKETIME else []) + (
            ["slow"] if cluster.disks else [])
        self.kinds = [kind for kind in kinds if only is None or kind in only]
        self.done, self.limit = {kind: 0 for kind in self.kinds}, limit
        self.taken, self.lock = (other.taken, other.lock) if other else (set(), threading.Lock())

    def turn(self):
        if self.limit and sum(self.done.values()) >= self.limit:
            self.ending.set()
        if self.ending.wait(self.random.uniform(0.2, 2)) or not self.kinds:
            return
        kind = self.random.choice(self.kinds)
        if getattr(self, kind)():
            self.done[kind] += 1

    def taking(self, name, act):
        """act(), unless the other one is at it; whether it was done."""
        with self.lock:
            if name in self.taken:
                return False
            self.taken.add(name)
        try:
            act()
        finally:
            with self.lock:
                self.taken.discard(name)
        return True

    def note(self, kind, what, state):
        self.history.event("fault", kind=kind, what=what, state=state)

    def daemon(self):
        return self.random.choice(self.cluster.daemons())

    def kill(self):
        """kill -9; sync more often than others, since it carries the transfers."""
        daemon = self.random.choice(self.cluster.syncs + [self.daemon()])
        return self.taking(daemon.name, lambda: self._kill(daemon))

    def _kill(self, daemon):
        self.note("kill", daemon.name, "begin")
        self.cluster.ask_guarded(daemon)
        daemon.kill()
        self.ending.wait(self.random.uniform(0, 1.5))
        daemon.start(wait=False)
        self.note("kill", daemon.name, "end")

    def stop(self):
        daemon = self.daemon()
        return self.taking(daemon.name, lambda: self._freeze(daemon))

    def _freeze(self, daemon):
        self.note("stop", daemon.name, "begin")
        daemon.freeze()
        self.ending.wait(self.random.uniform(0.2, 4))
        daemon.thaw()
        self.note("stop", daemon.name, "end")

    def _proxied(self, kind, act, undo):
        name, proxy = self.random.choice(sorted(self.cluster.proxies.items()))
        return self.taking(name, lambda: self._cut(kind, name, proxy, act, undo))

    def _cut(self, kind, name, proxy, act, undo):
        self.note(kind, " to ".join(name), "begin")
        act(proxy)
        if undo:
            self.ending.wait(self.random.uniform(0.2, 3))
            undo(proxy)
        self.note(kind, " to ".join(name), "end")

    def reset(self):
        return self._proxied("reset", lambda p: p.reset(), None)

    def stall(self):
        return self._proxied("stall", lambda p: p.stall(), lambda p: p.resume())

    def refuse(self):
        return self._proxied("refuse", lambda p: (p.refuse(), p.reset()), lambda p: p.accept())

    def server(self):
        servers = [self.cluster.postgres, self.cluster.kafka] + (
            [self.cluster.legacy] if self.cluster.kind != "sqlite" else [])
        server = self.random.choice(servers)
        return self.taking(server.name, lambda: self._restart(server))

    def _restart(self, server):
        self.note("server", server.name, "begin")
        server.restart()
        self.note("server", server.name, "end")

    def clock(self):
        name = self.random.choice(sorted(self.cluster.clocks))
        seconds = self.random.choice([-3600, -30, -2, 2, 30, 3600, 0])
        self.note("clock", f"{name} {seconds:+d} s", "begin")
        self.cluster.skew(name, seconds)
        return True

    def slow(self):
        name = self.random.choice(sorted(self.cluster.disks))
        return self.taking("disk of " + name, lambda: self._slow_down(name))

    def _slow_down(self, name):
        milliseconds = self.random.choice([2, 10, 40])
        self.note("slow", f"{name} {milliseconds} ms", "begin")
        self.cluster.slow(name, milliseconds)
        self.ending.wait(self.random.uniform(0.5, 4))
        self.cluster.slow(name, 0)
        self.note("slow", name, "end")

    def heal(self):
        """After its end: everything runs, nothing is in the way."""
        for proxy in self.cluster.proxies.values():
            proxy.accept()
            proxy.resume()
        for name in self.cluster.clocks:
            self.cluster.skew(name, 0)
        for name in self.cluster.disks:
            self.cluster.slow(name, 0)
        for daemon in self.cluster.daemons():
            if daemon.process is None:
                daemon.start(wait=False)
        for daemon in self.cluster.daemons():
            daemon.wait_ready()


class Switcher(Worker):
    """Cuts a group over and back for ever, whatever the guards say; gives some up; leaves some half-way."""

    def __init__(self, cluster, history, seed, group="crm"):
        super().__init__(f"switcher of {group}", cluster, history, seed)
        self.outcomes, self.group = {}, group

    def turn(self):
        if self.ending.wait(self.random.uniform(0.5, 3)):
            return
        try:
            owner = self.cluster.owner(self.group)
        except Exception:  # pylint: disable=broad-except
            return  # the control store is away
        words = ["cutover" if owner == "legacy" else "rollback", self.group, "--why", "torture", "--force", "--json"]
        self.history.event("switch", group=self.group, to="new" if owner == "legacy" else "legacy", state="begin")
        told = self.cluster.attempt(*words, seconds=self.random.choice([0.1, 0.5, 40, 40, 40]))
        if told == "left" and self.random.random() < 0.5:
            told = "left, abort: " + self.cluster.attempt(words[0], self.group, "--abort", seconds=20)
        self.outcomes[told] = self.outcomes.get(told, 0) + 1
        self.history.event("switch", group=self.group, outcome=told, state="end")


class FenceSampler(Worker):
    def __init__(self, cluster, history, seed, side, group):
        super().__init__(f"fence of {side} {group}", cluster, history, seed)
        self.side, self.group, self.db = side, group, None

    def turn(self):
        try:
            self.db = self.db or self.cluster.direct(self.side)
            self.history.event("fence", **self.cluster.fence(self.side, self.db, self.group))
        except Exception:  # pylint: disable=broad-except
            self.db = None  # a server is being restarted
        self.ending.wait(0.01)


class GuardWatch(Worker):
    """When a facade's count of unguarded reads moved between two looks, those between were unguarded. A facade
    that was killed or cannot be asked counts as unguarded since the last look that found nothing."""

    def __init__(self, cluster, history, seed):
        super().__init__("guard watch", cluster, history, seed)
        self.seen = {}
        self.lock = threading.Lock()

    def turn(self):
        for facade in range(len(self.cluster.facades)):
            self.look(facade)
        self.ending.wait(0.1)

    def look(self, facade):
        with self.lock:
            begin = time.monotonic_ns()
            count = self.cluster.unguarded(facade)
            last = self.seen.get(facade, (begin, count))
            if count is None:
                return  # the next look that succeeds tells of the whole time
            if last[1] != count:
                self.history.event("unguarded", facade=facade, **{"from": last[0], "to": time.monotonic_ns()})
            self.seen[facade] = (begin, count)


def settle(cluster, timeout=120):
    """Until no transfer is under way and both sides are equal; what is not in time, the checker tells.

    Lag is what a sync last said of itself, and knows nothing of changes that no sync has read yet.
    """
    wait_for(lambda: cluster.new("SELECT count(*) FROM ficus.transfer WHERE outcome IS NULL")[0][0] == 0,
             "the last transfer to end", timeout)
    cluster.wait_quiet(timeout)
    try:
        wait_for(lambda: cluster.records("legacy") == cluster.records("new"), "both sides to be equal", timeout, 0.2)
    except TimeoutError:
        pass
