# SPDX-License-Identifier: Apache-2.0
"""Who the client is, when a trusted peer speaks for it; and the trace that a request belongs to."""
import re
import socket
import struct
import threading

import pytest

from harness import Upstream, Workdir, wait_for
from harness.upstream import echo
from passing import Client, Front, ask, eventually

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GET = b"GET /x HTTP/1.1\r\nHost: h\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module")
def app():
    with Upstream() as server:
        server.answer = echo
        yield server


def front(app, work, **facade):
    return Front(work, app.port, facade=facade, allow=())


@pytest.fixture(scope="module")
def proxied(app):
    """127.0.0.1 is a balancer that speaks the PROXY protocol; forwarded fields are not believed."""
    with Workdir() as work, front(app, work, trusted_peers=["127.0.0.0/8"], proxy_protocol="on",
                                  address_connections_max=3) as facade:
        yield facade


@pytest.fixture(scope="module")
def forwarded(app):
    with Workdir() as work, front(app, work, trusted_peers=["127.0.0.0/8", "10.0.0.0/8"],
                                  forwarded="x-forwarded") as facade:
        yield facade


@pytest.fixture(scope="module")
def alone(app):
    with Workdir() as work, front(app, work, trusted_peers=["10.0.0.0/8"], proxy_protocol="on",
                                  forwarded="x-forwarded") as facade:
        yield facade


def v2(command, family, addresses, extra=b""):
    return SIGNATURE + bytes((0x20 | command, family)) + struct.pack("!H", len(addresses) + len(extra)) + addresses + extra


def v4(source, port=4711):
    return socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", port, 80)


def seen_by(app, facade, data):
    reply = ask(facade.address, data)
    return reply, app.requests[-1].get("x-forwarded-for")


# ---- the PROXY protocol

@pytest.mark.parametrize("header,client", [
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (v2(1, 0x11, v4("192.0.2.8")), "192.0.2.8"),
    (v2(1, 0x11, v4("192.0.2.8"), b"\x04\0\x03abc"), "192.0.2.8"),
    (v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::8") * 2 + b"\0\1\0\2"), "2001:db8::8"),
    (v2(0, 0x00, b""), "127.0.0.1"),
])
def test_the_client_is_whom_the_balancer_names(app, proxied, header, client):
    reply, seen = seen_by(app, proxied, header + GET + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
    assert reply.status == 200 and seen == client
    wait_for(lambda: f"client={client} " in proxied.daemon.text(), "the line of the access log")


def test_a_header_in_pieces(app, proxied):
    client = Client(proxied.address)
    for byte in b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 80\r\n" + GET + b"\r\n":
        client.send(bytes((byte,)))
    assert client.reply().status == 200 and app.requests[-1].get("x-forwarded-for") == "192.0.2.9"
    client.send(GET + b"\r\n")  # once a connection
    assert client.reply().status == 200
    client.close()


@pytest.mark.parametrize("header", [
    b"", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\n",
    b"PROXY TCP4 300.0.2.7 127.0.0.1 4711 80\r\n", b"PROXY" + b" " * 200, v2(2, 0x11, v4("192.0.2.8")),
    v2(1, 0x11, b"\0" * 4), SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 3000,
], ids=["none", "short", "bare-lf", "address", "endless", "command", "length", "too-long"])
def test_a_balancer_that_does_not_say_is_not_served(app, proxied, header):
    before = len(app.requests)
    with socket.create_connection(proxied.address, timeout=10) as s:
        s.sendall(header + GET + b"\r\n")
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
    assert len(app.requests) == before


def test_others_may_not_speak_the_proxy_protocol(app, alone):
    before = len(app.requests)
    assert ask(alone.address, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n" + GET + b"\r\n").status == 400
    assert len(app.requests) == before
    reply, seen = seen_by(app, alone, GET + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
    assert reply.status == 200 and seen == "127.0.0.1"


def test_a_client_has_so_many_connections(app, proxied):
    header = b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\r\n"
    clients = [Client(proxied.address) for _ in range(3)]
    for client in clients:
        client.send(header + GET + b"\r\n")
        assert client.reply().status == 200
    with socket.create_connection(proxied.address, timeout=10) as one_more:
        one_more.sendall(header + GET + b"\r\n")
        try:
            assert one_more.recv(1) == b""
        except ConnectionResetError:
            pass
    other = b"PROXY TCP4 198.51.100.2 127.0.0.1 4711 80\r\n"
    assert ask(proxied.address, other + GET + b"\r\n").status == 200
    clients.pop().close()
    eventually(lambda: served(proxied, header), "a place for the client")
    for client in clients:
        client.close()


def served(facade, header):
    with socket.create_connection(facade.address, timeout=10) as s:
        s.sendall(header + GET + b"\r\n")
        try:
            return s.recv(12) == b"HTTP/1.1 200"
        except ConnectionResetError:
            return False


# ---- forwarded fields

@pytest.mark.parametrize("value,client", [
    ("192.0.2.1", "192.0.2.1"), ("6.6.6.6, 192.0.2.1", "192.0.2.1"), ("6.6.6.6, 192.0.2.1, 10.1.2.3", "192.0.2.1"),
    ("192.0.2.1, unknown", "127.0.0.1"), ("[2001:db8::1]:99", "2001:db8::1"), ("", "127.0.0.1"),
])
def test_the_rightmost_address_that_is_not_trusted(app, forwarded, value, client):
    _, seen = seen_by(app, forwarded, GET + f"X-Forwarded-For: {value}\r\n\r\n".encode())
    assert seen == client


def test_the_scheme_is_the_clients(app, forwarded, alone):
    for facade, proto in ((forwarded, "https"), (alone, "http")):
        seen_by(app, facade, GET + b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert app.requests[-1].get("x-forwarded-proto") == proto


# ---- trace context

def trace_of(app, facade, fields=b""):
    assert ask(facade.address, GET + fields + b"\r\n").status == 200
    seen = app.requests[-1].trace
    return re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])", seen["traceparent"]), seen.get("tracestate")


def test_a_trace_is_passed_on(app, alone):
    m, state = trace_of(app, alone, f"Traceparent: 00-{TRACE}-{SPAN}-01\r\nTraceState: a=1\r\ntracestate: b=2\r\n".encode())
    assert m.group(1) == TRACE and m.group(2) != SPAN and m.group(3) == "1" and state == "a=1,b=2"


@pytest.mark.parametrize("field", [b"", f"traceparent: 00-{TRACE.upper()}-{SPAN}-01\r\n".encode(),
                                   f"traceparent: ff-{TRACE}-{SPAN}-01\r\n".encode()])
def test_a_trace_begins(app, alone, field):
    first, state = trace_of(app, alone, field + b"tracestate: a=1\r\n")
    again, _ = trace_of(app, alone)
    assert state is None and first.group(3) == "0"
    assert len({first.group(1), again.group(1), TRACE}) == 3 and first.group(2) != again.group(2)


# ---- limits: each against a client that would hold the server, beside one that must not notice

@pytest.fixture(scope="module")
def limited(app):
    with Workdir() as work, front(app, work, head_ms=600, request_ms=900, idle_ms=900, write_ms=900, rate_min=4000,
                                  requests_max=3, connections_max=60) as facade:
        yield facade


def ends(s):
    """What came until the server closed."""
    s.settimeout(20)
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("start", [b"", b"G", GET, b"\r\n"], ids=["silent", "a byte", "fields", "an empty line"])
def test_one_who_does_not_finish_its_head(app, limited, start):
    with socket.create_connection(limited.address) as s:
        s.sendall(start)
        got = ends(s)
    assert got[:12] in (b"HTTP/1.1 408", b"")


def test_slowloris_does_not_hold_others(app, limited):
    """A client on every connection sends a byte from time to time; each is ended by its head's
    time, and others are answered meanwhile."""
    stop = threading.Event()
    slow = [socket.create_connection(limited.address) for _ in range(40)]

    def drip():
        while not stop.wait(0.1):
            for s in slow:
                try:
                    s.sendall(b"a")
                except OSError:
                    pass

    for s in slow:
        s.sendall(GET + b"X-Slow: ")
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        for _ in range(5):
            assert ask(limited.address, GET + b"\r\n").status == 200
        assert [ends(s)[:12] in (b"HTTP/1.1 408", b"") for s in slow] == [True] * len(slow)
    finally:
        stop.set()
        thread.join()
        for s in slow:
            s.close()


def test_one_whose_body_trickles(app, limited):
    """It makes progress all the time, too little."""
    with socket.create_connection(limited.address) as s:
        s.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        stop = threading.Event()

        def drip():
            while not stop.wait(0.1):
                try:
                    s.sendall(b"a")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert ask(limited.address, GET + b"\r\n").status == 200
            assert ends(s)[:12] in (b"HTTP/1.1 408", b"")
        finally:
            stop.set()
            thread.join()


def test_one_who_takes_its_reply_slowly(app, limited):
    app.answer = lambda conn, request: conn.reply(200, b"x" * (4 << 20))
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(limited.address)
            s.sendall(GET + b"\r\n")
            wait = threading.Event()
            got = 0
            try:
                while piece := s.recv(100):
                    got += len(piece)
                    wait.wait(0.05)
            except ConnectionResetError:
                pass
            assert 0 < got < 4 << 20
    finally:
        app.answer = echo
    assert ask(limited.address, GET + b"\r\n").status == 200


def test_so_many_requests_a_connection(app, limited):
    client = Client(limited.address)
    for i in range(3):
        client.send(GET + b"\r\n")
        assert (client.reply().get("connection") == "close") == (i == 2)
    assert ends(client.sock) == b""
    client.close()


def test_the_limits_of_a_head(app, limited):
    for text, status in ((GET + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431), (GET + b"X: a\r\n" * 120 + b"\r\n", 431),
                         (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414)):
        assert ask(limited.address, text).status == status


def test_more_connections_than_allowed_are_closed(app, limited):
    held = []
    try:
        for _ in range(80):
            held.append(socket.create_connection(limited.address))
        closed = sum(1 for s in held if is_closed(s))
        assert closed >= 20
    finally:
        for s in held:
            s.close()
    eventually(lambda: served(limited, b""), "a free connection")


def is_closed(s):
    s.settimeout(0.05)
    try:
        return s.recv(1) == b""
    except socket.timeout:
        return False
    except ConnectionResetError:
        return True
