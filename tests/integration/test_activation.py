# SPDX-License-Identifier: Apache-2.0
"""Socket activation and drain: a restart refuses nobody, and cuts no request off."""
import os
import socket
import subprocess
import sys
import urllib.request

import pytest

from crm import Crm
from harness import Postgres, Sqlite, Workdir, wait_for
from harness.daemon import binary, environment

# What a supervisor does: the socket becomes descriptor 3, the process learns that it is meant.
LAUNCH = ("import os, sys\nos.dup2(int(sys.argv[1]), 3)\n"
          "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])\n"
          "os.execv(sys.argv[3], sys.argv[3:])")


@pytest.fixture(scope="module")
def crm():
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "activation")
        with crm.service():
            yield crm


def launch(crm, fd, count="1"):
    return subprocess.Popen([sys.executable, "-c", LAUNCH, str(fd), count, binary(), "serve", "-c", crm.config],
                            pass_fds=(fd,), env=environment(crm.work, crm.env), stderr=subprocess.PIPE)


def ready(crm):
    try:
        return urllib.request.urlopen(crm.admin + "/readyz", timeout=5).status == 200
    except OSError:
        return False


def ask(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return s


def test_a_restart_refuses_nobody(crm):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        waiting = ask(port)  # asked before anyone serves
        for _ in range(2):
            process = launch(crm, listening.fileno())
            try:
                wait_for(lambda: ready(crm), "the facade to be ready", 30)
                assert waiting.recv(12).startswith(b"HTTP/1.1 ")
                waiting.close()
                assert ask(port).recv(12).startswith(b"HTTP/1.1 ")
                with pytest.raises(ConnectionRefusedError):  # its own address is not bound
                    socket.create_connection(("127.0.0.1", crm.ports["facade"]), timeout=5)
            finally:
                process.terminate()
                log = process.communicate(timeout=30)[1]
            assert process.returncode == 0, log
            waiting = ask(port)  # asked between two runs: answered by the next
        waiting.close()


@pytest.mark.parametrize("kind,count", [("file", "1"), ("socket", "2"), ("socket", "x")])
def test_other_descriptors_are_refused(crm, kind, count):
    with socket.create_server(("127.0.0.1", 0)) as listening, open(os.devnull, "rb") as file:
        process = launch(crm, (file if kind == "file" else listening).fileno(), count)
        log = process.communicate(timeout=30)[1]
    assert process.returncode == 3 and b"LISTEN_FDS" in log, (process.returncode, log)


def test_a_request_under_way_ends_well_after_sigterm(crm):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = launch(crm, listening.fileno())
        try:
            wait_for(lambda: ready(crm), "the facade to be ready", 30)
            with socket.create_connection(listening.getsockname(), timeout=30) as s:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
                process.terminate()
                wait_for(lambda: not ready(crm), "the drain to begin", 10)
                assert process.poll() is None
                s.sendall(b"\r\n")
                with s.makefile("rb") as answer:
                    head = answer.read().split(b"\r\n\r\n")[0]
            assert head.startswith(b"HTTP/1.1 ") and b"connection: close" in head.lower(), head
        finally:
            process.terminate()
            log = process.communicate(timeout=30)[1]
        assert process.returncode == 0, log
