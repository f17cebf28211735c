# SPDX-License-Identifier: Apache-2.0
"""A facade that only passes through, and a client that sees every byte."""
import contextlib
import json
import re
import socket

from harness import Daemon, free_port, wait_for

WAIT = 20.0


class Front:
    """`ficus serve` with an empty route table and no maps in front of `app`."""

    def __init__(self, work, app, upstream=None, facade=None, allow=(), **table):
        self.port, self.admin = free_port(), free_port()
        self.table = {"routes": {}, "passthrough": "app",
                      "upstreams": {"app": {"url": f"http://127.0.0.1:{app}", **(upstream or {})}}, **table}
        self.path = work.file(f"routes-{self.port}.json", json.dumps(self.table))
        config = work.file(f"pass-{self.port}.json", json.dumps({
            "maps": {"path": ""}, "routes": {"path": self.path},
            "facade": {"listen": f"127.0.0.1:{self.port}", "admin_listen": f"127.0.0.1:{self.admin}",
                       "loops": 1, **(facade or {})}}))
        self.daemon = Daemon(work, "serve", config, ready=f"http://127.0.0.1:{self.admin}/readyz", allow=allow,
                             name=f"pass-{self.port}")

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, *exc):
        self.daemon.stop()

    @property
    def address(self):
        return "127.0.0.1", self.port

    def metric(self, name, **labels):
        with socket.create_connection(("127.0.0.1", self.admin), timeout=WAIT) as s:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        wanted = {f'{k}="{v}"' for k, v in labels.items()}
        for line in text.splitlines():
            m = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
            if m and wanted <= set((m.group(1) or "").split(",")):
                return float(m.group(2))
        return None

    def resident(self):
        """Bytes of memory that the process holds."""
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) * 1024


class Reply:
    def __init__(self, status, reason, fields, interim):
        self.status, self.reason, self.fields, self.interim = status, reason, fields, interim
        self.body, self.trailers, self.whole = b"", [], False

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [None])[0]


class Client:
    """One connection. Reads replies strictly; a reply that was cut is not `whole`."""

    def __init__(self, address, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(WAIT)
        self.sock.connect(address)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()

    def more(self):
        piece = self.sock.recv(1 << 18)
        if not piece:
            raise EOFError
        self.buffer += piece

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        text, self.buffer = self.buffer.split(mark, 1)
        return text

    def exactly(self, n, sink):
        while n:
            if not self.buffer:
                self.more()
            sink(self.buffer[:n])
            took = min(n, len(self.buffer))
            self.buffer, n = self.buffer[took:], n - took

    def head(self):
        interim = []
        while True:
            lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            _, status, reason = (lines[0] + " ").split(" ", 2)
            fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            if int(status) >= 200:
                return Reply(int(status), reason.rstrip(), fields, interim)
            interim.append((int(status), fields))

    def body(self, reply, head=False, sink=None):
        sink = sink or (lambda piece: setattr(reply, "body", reply.body + piece))
        with contextlib.suppress(EOFError, ConnectionResetError):
            if head or reply.status in (204, 304):
                pass
            elif reply.get("transfer-encoding"):
                assert reply.all("transfer-encoding") == ["chunked"] and not reply.all("content-length")
                while size := int(self.until(b"\r\n"), 16):
                    self.exactly(size, sink)
                    assert self.until(b"\r\n") == b""
                while line := self.until(b"\r\n"):
                    reply.trailers.append(line.decode("latin-1"))
            elif reply.get("content-length") is not None:
                self.exactly(int(reply.get("content-length")), sink)
            else:
                try:
                    while True:
                        self.exactly(1, sink)
                except EOFError:
                    pass
            reply.whole = True
        return reply

    def reply(self, head=False, sink=None):
        return self.body(self.head(), head, sink)

    def closed(self):
        """The other side ended the connection, and nothing stood before that."""
        try:
            return self.buffer == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def ask(address, request, head=False):
    """One request on its own connection."""
    client = Client(address)
    try:
        client.send(request)
        return client.reply(head)
    finally:
        client.close()


def eventually(condition, what):
    return wait_for(condition, what, 20)
