# SPDX-License-Identifier: Apache-2.0
"""Faults, one after the other, each named, each undone: processes killed or stopped, connections cut,
stalled or refused, servers restarted, clocks set. Every fault and its end are on record."""
import random
import threading
import time

from consistency.cluster import FAKETIME
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
    def __init__(self, cluster, history, seed, only=None):
        super().__init__("nemesis", cluster, history, seed)
        kinds = ["kill", "stop", "reset", "stall", "refuse", "server"] + (["clock"] if FAKETIME else [])
        self.kinds = [kind for kind in kinds if only is None or kind in only]
        self.done = {kind: 0 for kind in self.kinds}

    def turn(self):
        if self.ending.wait(self.random.uniform(0.2, 2)) or not self.kinds:
            return
        kind = self.random.choice(self.kinds)
        getattr(self, kind)()
        self.done[kind] += 1

    def note(self, kind, what, state):
        self.history.event("fault", kind=kind, what=what, state=state)

    def daemon(self):
        return self.random.choice(self.cluster.daemons())

    def kill(self):
        """kill -9; sync more often than others, since it carries the transfers."""
        daemon = self.random.choice(self.cluster.syncs + [self.daemon()])
        self.note("kill", daemon.name, "begin")
        self.cluster.ask_guarded(daemon)
        daemon.kill()
        self.ending.wait(self.random.uniform(0, 1.5))
        daemon.start(wait=False)
        self.note("kill", daemon.name, "end")

    def stop(self):
        daemon = self.daemon()
        self.note("stop", daemon.name, "begin")
        daemon.freeze()
        self.ending.wait(self.random.uniform(0.2, 4))
        daemon.thaw()
        self.note("stop", daemon.name, "end")

    def _proxied(self, kind, act, undo):
        name, proxy = self.random.choice(sorted(self.cluster.proxies.items()))
        self.note(kind, " to ".join(name), "begin")
        act(proxy)
        if undo:
            self.ending.wait(self.random.uniform(0.2, 3))
            undo(proxy)
        self.note(kind, " to ".join(name), "end")

    def reset(self):
        self._proxied("reset", lambda p: p.reset(), None)

    def stall(self):
        self._proxied("stall", lambda p: p.stall(), lambda p: p.resume())

    def refuse(self):
        self._proxied("refuse", lambda p: (p.refuse(), p.reset()), lambda p: p.accept())

    def server(self):
        servers = [self.cluster.postgres, self.cluster.kafka] + (
            [self.cluster.legacy] if self.cluster.kind == "mariadb" else [])
        server = self.random.choice(servers)
        self.note("server", server.name, "begin")
        server.restart()
        self.note("server", server.name, "end")

    def clock(self):
        name = self.random.choice(sorted(self.cluster.clocks))
        seconds = self.random.choice([-3600, -30, -2, 2, 30, 3600, 0])
        self.note("clock", f"{name} {seconds:+d} s", "begin")
        self.cluster.skew(name, seconds)

    def heal(self):
        """After its end: everything runs, nothing is in the way."""
        for proxy in self.cluster.proxies.values():
            proxy.accept()
            proxy.resume()
        for name in self.cluster.clocks:
            self.cluster.skew(name, 0)
        for daemon in self.cluster.daemons():
            if daemon.process is None:
                daemon.start(wait=False)
        for daemon in self.cluster.daemons():
            daemon.wait_ready()


class Switcher(Worker):
    """Cuts over and back for ever, whatever the guards say; gives some up; leaves some alone half-way."""

    def __init__(self, cluster, history, seed):
        super().__init__("switcher", cluster, history, seed)
        self.outcomes = {}

    def turn(self):
        if self.ending.wait(self.random.uniform(0.5, 3)):
            return
        try:
            owner = self.cluster.owner()
        except Exception:  # pylint: disable=broad-except
            return  # the control store is away
        words = ["cutover" if owner == "legacy" else "rollback", "crm", "--why", "torture", "--force", "--json"]
        self.history.event("switch", to="new" if owner == "legacy" else "legacy", state="begin")
        told = self.cluster.attempt(*words, seconds=self.random.choice([0.1, 0.5, 40, 40, 40]))
        if told == "left" and self.random.random() < 0.5:
            told = "left, abort: " + self.cluster.attempt(words[0], "crm", "--abort", seconds=20)
        self.outcomes[told] = self.outcomes.get(told, 0) + 1
        self.history.event("switch", outcome=told, state="end")


class FenceSampler(Worker):
    def __init__(self, cluster, history, seed, side):
        super().__init__(f"fence of {side}", cluster, history, seed)
        self.side, self.db = side, None

    def turn(self):
        try:
            self.db = self.db or self.cluster.direct(self.side)
            self.history.event("fence", **self.cluster.fence(self.side, self.db))
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
    """Until no transfer is under way and everything that was captured has arrived."""
    wait_for(lambda: cluster.new("SELECT count(*) FROM ficus.transfer WHERE outcome IS NULL")[0][0] == 0,
             "the last transfer to end", timeout)
    cluster.wait_quiet(timeout)
