# SPDX-License-Identifier: Apache-2.0
"""One child process: started (unprivileged if asked), watched, stopped by its pid."""
import concurrent.futures
import os
import pwd
import shutil
import signal
import subprocess

from .wait import seconds

# The kernel ends a child when the *thread* that started it ends, so one thread that
# lives as long as this process starts them all.
_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
_outlive = False


def outlive_parent():
    """Processes started from now on stay when this one ends (`make demo KEEP=1`)."""
    global _outlive  # pylint: disable=global-statement
    _outlive = True


def unprivileged():
    """(uid, gid) that servers run as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def give(path):
    """Makes `path` the unprivileged user's, if servers run as that."""
    ids = unprivileged()
    if ids:
        os.chown(path, *ids)


def _wrap(argv, drop, death_signal):
    line = ["setpriv"]
    if not _outlive:
        line += ["--pdeathsig", death_signal]
    ids = unprivileged() if drop else None
    if ids:
        line += [f"--reuid={ids[0]}", f"--regid={ids[1]}", "--clear-groups"]
    return line + ["--"] + argv if len(line) > 1 else argv


def tool(name, *folders):
    """The path of a program, searched in `folders` before PATH."""
    for folder in folders:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if not path:
        raise FileNotFoundError(f"{name} is not installed; `make deps` installs it")
    return path


def run(argv, drop=False, env=None, cwd=None, timeout=120, stdin=None):
    """Runs to the end; returns stdout, raises with all output when the status is not 0."""
    done = subprocess.run(_wrap(argv, drop, "KILL"), env=env, cwd=cwd, timeout=seconds(timeout),
                          input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]}: exit status {done.returncode}\n"
                           + (done.stdout + done.stderr).decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "replace")


class Process:
    """`log` takes stdout and stderr, unless `out` names another file for stdout."""

    def __init__(self, argv, log, out=None, drop=False, env=None, cwd=None, death_signal="KILL"):
        self.argv, self.log = argv, log
        with open(log, "ab") as err, open(out or log, "ab") as std:
            self._child = _starter.submit(
                subprocess.Popen, _wrap(argv, drop, death_signal), stdin=subprocess.DEVNULL,
                stdout=std, stderr=err, env=env, cwd=cwd, start_new_session=True).result()

    @property
    def pid(self):
        return self._child.pid

    @property
    def status(self):
        """None while it runs; else its exit status, or minus the signal that ended it."""
        return self._child.poll()

    def send(self, sig):
        if self.status is None:
            self._child.send_signal(sig)

    def wait(self, timeout=30):
        return self._child.wait(seconds(timeout))

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """Asks it to end and waits; kills it and raises when it does not."""
        self.send(signal.SIGCONT)
        self.send(sig)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise TimeoutError(f"{self.argv[0]} (pid {self.pid}) was still there {seconds(timeout):g} s "
                               f"after {signal.Signals(sig).name}\n{self.tail()}") from None

    def kill(self):
        self.send(signal.SIGKILL)
        return self._child.wait()

    def must_live(self):
        """Raises with the end of the log when the process is gone."""
        if self.status is not None:
            raise RuntimeError(f"{self.argv[0]} ended with status {self.status}\n{self.tail()}")

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])
