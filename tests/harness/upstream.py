# SPDX-License-Identifier: Apache-2.0
"""A scripted HTTP/1.1 server on plain sockets: the application behind a proxy.

    with Upstream() as app:
        app.answer = lambda conn, request: conn.reply(200, b"hello")

It is strict: what it cannot read as exactly one request after another is kept in `broken`, which
a test looks at. `requests` are those that came, in order, with their bodies.
"""
import re
import socket
import threading


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        fields = [tuple(part.strip(" \t") for part in line.split(":", 1)) for line in lines[1:] if line]
        self.trace = {k: v for k, v in fields if k.startswith("trace")}  # another at every request
        self.fields = [field for field in fields if field[0] not in self.trace]
        self.body, self.trailers, self.chunks = b"", [], 0

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [None])[0]


class Connection:
    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError
        self.buffer += piece

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        text, self.buffer = self.buffer.split(mark, 1)
        return text

    def exactly(self, n, sink=None):
        """n bytes; given to `sink` piece by piece instead of being returned, if there is one."""
        got = b""
        while n:
            if not self.buffer:
                self.more()
            piece, self.buffer = self.buffer[:n], self.buffer[n:]
            n -= len(piece)
            if sink:
                sink(piece)
            else:
                got += piece
        return got

    def read_head(self):
        return Request(self.until(b"\r\n\r\n"))

    def read_body(self, request, sink=None):
        collect = sink or (lambda piece: setattr(request, "body", request.body + piece))
        codings, lengths = request.all("transfer-encoding"), request.all("content-length")
        if codings and (codings != ["chunked"] or lengths) or len(lengths) > 1:
            raise ValueError(f"framing in doubt: {request.fields}")
        if lengths:
            if not re.fullmatch(r"\d+", lengths[0]):
                raise ValueError(f"Content-Length {lengths[0]!r}")
            self.exactly(int(lengths[0]), collect)
        if not codings:
            return
        while size := int(re.fullmatch(rb"[0-9a-f]+", self.until(b"\r\n")).group(), 16):
            request.chunks += 1
            self.exactly(size, collect)
            if self.exactly(2) != b"\r\n":
                raise ValueError("a chunk without its end")
        while line := self.until(b"\r\n"):
            request.trailers.append(line.decode("latin-1"))

    def send(self, data):
        self.sock.sendall(data)

    def reply(self, status, body=b"", fields=(), reason="OK", length=True):
        """A whole reply. Returns True: the connection goes on."""
        head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        if length:
            head += f"Content-Length: {len(body)}\r\n"
        self.send(head.encode("latin-1") + b"\r\n" + body)
        return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


def echo(conn, request):
    """What came, as text: the request line, the fields, the body's length."""
    conn.read_body(request)
    lines = [f"{request.method} {request.target}"] + [f"{k}: {v}" for k, v in request.fields]
    return conn.reply(200, "\n".join(lines).encode("latin-1") + b"\n\n" + request.body,
                      [("Content-Type", "text/plain")])


class Upstream:
    def __init__(self, answer=echo):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.forget()
        self.connections = 0
        self.open = set()

    def forget(self):
        self.requests, self.broken = [], []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.listener.close()
        self.drop()

    def drop(self):
        """Closes what is open, as a restart would."""
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        conn = Connection(sock)
        self.open.add(sock)
        try:
            while True:
                request = conn.read_head()
                self.requests.append(request)
                if not self.answer(conn, request):
                    break
        except (EOFError, OSError):
            if conn.buffer:
                self.broken.append(conn.buffer)
        except (ValueError, AttributeError) as e:
            self.broken.append(repr(e))
        finally:
            self.open.discard(sock)
            sock.close()
