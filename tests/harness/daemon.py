# SPDX-License-Identifier: Apache-2.0
"""Our own program: daemons with a teardown that judges them, and single commands."""
import os
import re
import signal
import subprocess
import urllib.request

from .process import Process
from .wait import seconds, wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")
LOG_ERROR = re.compile(r'^\S+Z error\s|"level":"error"')


def build_folder(variant=None):
    """build/, or build/<variant>; FICUS_VARIANT (hooks, asan, tsan, clang) is the default."""
    variant = os.environ.get("FICUS_VARIANT", "") if variant is None else variant
    return os.path.join(ROOT, "build", variant) if variant else os.path.join(ROOT, "build")


def binary(variant=None):
    path = os.path.join(build_folder(variant), "ficus")
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not built")
    return path


def environment(work, extra=None):
    supp = os.path.join(ROOT, "tests/harness/lsan.supp")
    env = dict(os.environ, **work.odbc_env)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
    races = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsan.supp")
    env.setdefault("TSAN_OPTIONS", f"exitcode=99:suppressions={races}")
    env.setdefault("LSAN_OPTIONS", f"suppressions={supp}:print_suppressions=0")
    env.update(extra or {})
    return env


def ficus(work, *args, config=None, variant=None, env=None, timeout=60, stdin=None):
    """Runs one command to its end; the result has returncode, stdout and stderr (text).
    A sanitizer's report fails the caller whatever the status."""
    line = [binary(variant)] + list(args[:1]) + (["-c", config] if config else []) + list(args[1:])
    done = subprocess.run(line, env=environment(work, env), timeout=seconds(timeout), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=stdin, text=True,
                          errors="replace", cwd=ROOT)
    if SANITIZER.search(done.stderr):
        raise AssertionError(f"ficus {' '.join(args)}: sanitizer report\n{done.stderr}")
    return done


class Daemon:
    """`ficus serve|sync|service -c CONFIG`. `ready` is a URL that must answer 200, or a
    function of the daemon that returns true; None: being alive is enough.

    stop() judges the run: exit status 0 within `grace` seconds of SIGTERM, no sanitizer
    report, and no log line of level error that `allow` (regular expressions) does not name.
    """

    def __init__(self, work, command, config=None, ready=None, args=(), env=None, variant=None, allow=(),
                 name=None, grace=20, start_timeout=30):
        self.work, self.name, self.grace = work, name or command, grace
        self.ready, self.start_timeout = ready, start_timeout
        self.allow = list(allow)
        self._argv = [binary(variant), command] + (["-c", config] if config else []) + list(args)
        self._env = environment(work, env)
        self.dir = work.folder(self.name)
        self.log = os.path.join(self.dir, "stderr.log")
        self.out = os.path.join(self.dir, "stdout.log")
        self.process = None

    def start(self, wait=True):
        self.process = Process(self._argv, self.log, out=self.out, env=self._env, cwd=ROOT)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        if self.ready is not None:
            check = self._url_answers if isinstance(self.ready, str) else lambda: self.ready(self)
            wait_for(check, f"{self.name} to be ready", self.start_timeout, alive=self.process.must_live)
        self.process.must_live()

    def _url_answers(self):
        with urllib.request.urlopen(self.ready, timeout=5) as reply:
            return reply.status == 200

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return self.process.text()

    def wait_log(self, pattern, timeout=30):
        """The first match of a regular expression in what it has logged so far."""
        return wait_for(lambda: re.search(pattern, self.text()), f"{self.name} to log {pattern!r}", timeout,
                        alive=self.process.must_live)

    def reload(self):
        self.process.send(signal.SIGHUP)

    def freeze(self):
        self.process.send(signal.SIGSTOP)

    def thaw(self):
        self.process.send(signal.SIGCONT)

    def kill(self):
        """kill -9; the log up to here is still judged."""
        self.process.kill()
        self._judge()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        status = self.process.stop(signal.SIGTERM, self.grace)
        self._judge()
        tail, self.process = self.process.tail(), None
        if status != 0:
            raise AssertionError(f"{self.name}: exit status {status} after SIGTERM\n{tail}")

    def restart(self):
        self.stop()
        return self.start()

    def wait_exit(self, timeout=30):
        """Waits until it ends by itself; returns its status."""
        status = self.process.wait(timeout)
        self._judge()
        self.process = None
        return status

    def errors(self):
        """Log lines of level error that nothing allows."""
        found = []
        for line in self.text().splitlines():
            if LOG_ERROR.search(line) and not any(re.search(p, line) for p in self.allow):
                found.append(line)
        return found

    def _judge(self):
        text = self.text()
        if SANITIZER.search(text):
            raise AssertionError(f"{self.name}: sanitizer report\n{text[-20000:]}")
        bad = self.errors()
        if bad:
            raise AssertionError(f"{self.name}: {len(bad)} errors in its log, such as\n" + "\n".join(bad[:10]))

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *exc):
        if kind is None:
            self.stop()
        elif self.process is not None:  # the test failed already: show the log, judge nothing
            print(f"---- {self.name}, last lines\n{self.process.tail()}")
            self.process.kill()
            self.process = None
