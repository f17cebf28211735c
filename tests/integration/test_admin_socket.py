# SPDX-License-Identifier: Apache-2.0
"""The admin API on a socket of the file system: who can open it, tokens as ever, what is left behind."""
import http.client
import json
import os
import socket
import stat

import pytest

from crm import Crm, call
from harness import Daemon, wait_for

TOKENS = "vera:viewer:vera-token ben:operator:ben-token"


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def ask(path, method, target, token=None, body=None):
    connection = Unix(path)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, target, body and json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.fixture
def crm(work, postgres, sqlite, unique):
    path = work.file("admin.sock")
    crm = Crm(work, "sqlite", sqlite, postgres, unique, loops=1, admin_listen="unix:" + path)
    crm.configure(admin={"tokens": TOKENS})
    crm.path = path

    def serve(**more):
        return Daemon(work, "serve", crm.config, ready=lambda _daemon: os.path.exists(path) and ask(path, "GET", "/readyz")[0] == 200,
                      env=crm.env, **more)
    crm.serve = serve
    return crm


def test_the_admin_api_on_a_socket(crm):
    with crm.serve():
        mode = os.lstat(crm.path).st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
        assert ask(crm.path, "GET", "/healthz") == (200, b"ok\n")
        assert b"ficus_control_connected 1" in ask(crm.path, "GET", "/metrics")[1]
        assert ask(crm.path, "GET", "/admin/config")[0] == ask(crm.path, "GET", "/admin/config", "wrong")[0] == 401
        status, config = ask(crm.path, "GET", "/admin/config", "vera-token")
        assert status == 200 and b"vera-token" not in config
        assert ask(crm.path, "PUT", "/admin/log", "vera-token", {"level": "info"})[0] == 403
        assert ask(crm.path, "PUT", "/admin/log", "ben-token", {"level": "info"})[0] == 200
        # And on no address: not on the clients', which has none of it.
        assert call("GET", f"http://127.0.0.1:{crm.ports['facade']}/admin/config").status == 404
        assert call("GET", f"http://127.0.0.1:{crm.ports['facade']}/metrics").status == 404
    assert not os.path.lexists(crm.path), "left behind"


def test_what_a_dead_process_left_is_replaced_and_a_living_one_is_not(crm):
    crm.configure(facade={"admin_mode": "0660"})
    first = crm.serve(name="first")
    first.start()
    before = os.lstat(crm.path)
    assert stat.S_IMODE(before.st_mode) == 0o660
    first.kill()
    assert os.path.lexists(crm.path)
    with crm.serve(name="second"):
        assert os.lstat(crm.path).st_ino != before.st_ino or os.lstat(crm.path).st_mtime_ns != before.st_mtime_ns
        other = crm.ficus("serve")
        assert other.returncode != 0 and "another process listens there" in other.stderr
        assert ask(crm.path, "GET", "/healthz")[0] == 200, "the refused one took it along"
    crm.work.file("admin.sock", "a file of someone's")
    other = crm.ficus("serve")
    assert other.returncode != 0 and "is there and no socket" in other.stderr
    with open(crm.path, encoding="utf-8") as f:
        assert f.read() == "a file of someone's"


@pytest.mark.parametrize("options,says", [({"admin_listen": "unix:relative.sock"}, "not unix: and an absolute path"),
                                          ({"admin_listen": "unix:/" + "x" * 120}, "not unix: and an absolute path"),
                                          ({"admin_mode": "rw"}, "is not a mode"), ({"admin_mode": "7777"}, "is not a mode")])
def test_what_is_no_socket_or_no_mode(crm, options, says):
    crm.configure(facade=options)
    done = crm.ficus("serve")
    assert done.returncode != 0 and says in done.stderr


def test_a_connection_that_was_there_before_the_end_is_served(crm):
    daemon = crm.serve()
    daemon.start()
    waiting = Unix(crm.path)
    waiting.connect()
    daemon.process.send(15)
    wait_for(lambda: not os.path.lexists(crm.path), "the file to go")
    waiting.close()
    assert daemon.wait_exit() == 0
