# SPDX-License-Identifier: Apache-2.0
"""kill -9 of random daemons, each started again after a moment.

At large (`roam`) any daemon may die at any time. In the course of a transfer (`ambush`) one of
sync and service dies at a random instant and nothing afterwards, so that the transfer can be
expected to end: a facade that died is missed until its heartbeat is old, and an apply that died
until the broker gives its partitions away; both are waited for, which is right.
"""
import random
import threading


class Chaos:
    """`pause`: seconds between kills; `down`: seconds until the start; drawn anew each time."""

    def __init__(self, stack, seed, pause=(0.3, 1.2), down=(0.0, 0.5)):
        self.stack, self.pause, self.down = stack, pause, down
        self.random = random.Random(f"{seed}:chaos")
        self.kills = []
        self._thread, self._stop, self._broken = None, None, None

    def roam(self):
        self._begin(self._roam)

    def ambush(self):
        self._begin(self._ambush)

    def _begin(self, work):
        self.calm()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded, args=(work,), name="chaos", daemon=True)
        self._thread.start()

    def _guarded(self, work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            self._broken = error

    def _roam(self):
        while not self._stop.wait(self.random.uniform(*self.pause)):
            self._one(self.stack.daemons())

    def _ambush(self):
        self._stop.wait(self.random.uniform(0, 0.6))
        self._one([self.stack.sync, self.stack.service])

    def _one(self, daemons):
        daemon = self.random.choice(daemons)
        self.kills.append(daemon.name)
        daemon.process.kill()
        self._stop.wait(self.random.uniform(*self.down))
        daemon.start()

    def calm(self):
        """Ends it; everything runs again. Raises what went wrong."""
        if self._thread:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if self._broken:
            raise self._broken
