# SPDX-License-Identifier: Apache-2.0
"""What every private server has in common: a folder, a process, start, stop, kill."""
import os
import signal

from .process import Process, give


class Server:
    """Subclasses set `command()`, `ready()` and may override `prepare()`."""

    stop_signal = signal.SIGTERM
    death_signal = "KILL"

    def __init__(self, work, name):
        self.work, self.name = work, name
        self.dir = work.folder(name)
        give(self.dir)
        self.log = work.file(f"{name}-{os.path.basename(self.dir)}.log")
        self.process = None
        self._prepared = False
        self.more_environment = {}

    def prepare(self):
        """Once, before the first start: creates the data."""

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Returns when the server answers; raises when it cannot any more."""
        raise NotImplementedError

    def environment(self):
        return dict(os.environ, HOME=self.dir, TMPDIR=self.dir, **self.more_environment)

    def start(self):
        if not self._prepared:
            self.prepare()
            self._prepared = True
        self.process = Process(self.command(), self.log, drop=True, env=self.environment(),
                               cwd=self.dir, death_signal=self.death_signal)
        self.ready()
        return self

    def stop(self):
        if self.process:
            self.process.stop(self.stop_signal)
            self.process = None

    def kill(self):
        """kill -9, as a crash would."""
        self.process.kill()
        self.process = None

    def freeze(self):
        self.process.send(signal.SIGSTOP)

    def thaw(self):
        self.process.send(signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
