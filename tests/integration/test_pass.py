# SPDX-License-Identifier: Apache-2.0
"""Pass-through: what a facade with an empty route table does to requests and replies."""
import hashlib
import json
import os
import signal
import socket
import threading

import pytest

from harness import Upstream, Workdir, free_port
from harness.upstream import echo
from passing import Client, Front, ask, eventually
from wire_probes import PROBES
from wire_run import probe

MIB = 1 << 20


@pytest.fixture(scope="module")
def app():
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def front(app):
    with Workdir() as work, Front(work, app.port, {"silence_ms": 1500}) as facade:
        yield facade


@pytest.fixture(autouse=True)
def fresh(app):
    app.answer = echo
    app.forget()
    yield
    assert app.broken == []


def get(path="/x", fields=b""):
    return b"GET " + path.encode() + b" HTTP/1.1\r\nHost: crm.example\r\n" + fields + b"\r\n"


def last(app):
    return app.requests[-1]


# ---- what the application sees

def test_a_request_arrives_as_it_was_sent(app, front):
    reply = ask(front.address, b"REPORT /a%2Fb//c?x=%41&y=[1] HTTP/1.1\r\nHost: crm.example:81\r\nX-b: 1\r\nx-A:  two \r\n"
                b"X-b: 3\r\nCookie: a=b\r\nContent-Length: 003\r\n\r\nabc")
    assert reply.status == 200 and reply.whole
    seen = last(app)
    assert (seen.method, seen.target, seen.body) == ("REPORT", "/a%2Fb//c?x=%41&y=[1]", b"abc")
    assert seen.fields == [
        ("Host", "crm.example:81"), ("X-b", "1"), ("x-A", "two"), ("X-b", "3"), ("Cookie", "a=b"),
        ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "crm.example:81"),
        ("Content-Length", "3")]


def test_hop_by_hop_fields_end_here(app, front):
    ask(front.address, get(fields=b"Connection: keep-alive, X-Mine , upgrade\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n"
                           b"Proxy-Connection: a\r\nProxy-Authorization: b\r\nUpgrade: frob/1\r\nX-Kept: 2\r\nProxy: http://evil\r\n"))
    names = [name.lower() for name, _ in last(app).fields]
    assert names == ["host", "x-kept", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]


def test_a_client_does_not_speak_with_our_voice(app, front):
    ask(front.address, get(fields=b"X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nx_forwarded-proto: https\r\n"
                           b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\nForwarded: for=6.6.6.6\r\n"))
    assert last(app).fields[1:] == [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "http"),
                                    ("X-Forwarded-Host", "crm.example")]


def test_options_of_an_upstream(app):
    with Workdir() as work, Front(work, app.port, {"x_forwarded": "append", "forwarded": True, "via": True,
                                                   "host": "rewrite"}) as facade:
        reply = ask(facade.address, get(fields=b"X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nVia: 1.1 x\r\n"))
        assert last(app).fields == [
            ("Host", f"127.0.0.1:{app.port}"), ("Via", "1.1 x"), ("X-Forwarded-For", "1.2.3.4, 127.0.0.1"),
            ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "crm.example"),
            ("Forwarded", 'for=1.2.3.4, for=127.0.0.1;host="crm.example";proto=http'), ("Via", "1.1 ficus")]
        assert reply.all("via") == ["1.1 ficus"]
    with Workdir() as work, Front(work, app.port, {"x_forwarded": "off"}) as facade:
        ask(facade.address, get(fields=b"X-Forwarded-For: 1.2.3.4\r\n"))
        assert last(app).fields == [("Host", "crm.example"), ("X-Forwarded-For", "1.2.3.4")]


def test_a_prefix_stands_before_the_path(app):
    with Workdir() as work, Front(work, app.port, {"url": f"http://127.0.0.1:{app.port}/crm/"}) as facade:
        ask(facade.address, get("/index.php?a=1"))
        assert last(app).target == "/crm/index.php?a=1"


def test_http_1_0_and_absolute_form(app, front):
    reply = ask(front.address, b"GET http://other.example/p?q HTTP/1.0\r\n\r\n")
    assert last(app).target == "/p?q" and last(app).get("host") == "other.example"
    assert reply.get("connection") == "close"
    ask(front.address, b"GET /p HTTP/1.0\r\n\r\n")
    assert last(app).get("host") == f"127.0.0.1:{app.port}"
    ask(front.address, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (last(app).method, last(app).target) == ("OPTIONS", "*")


# ---- what the client sees

def test_a_reply_arrives_as_it_was_sent(app, front):
    fields = [("Set-Cookie", "a=1"), ("Server", "Apache"), ("Set-Cookie", "b=2"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
              ("Connection", "X-Gone"), ("X-Gone", "1"), ("Keep-Alive", "timeout=5"), ("ETag", '"x"')]
    app.answer = lambda conn, request: conn.reply(418, b"short", fields, reason="I am")
    reply = ask(front.address, get())
    assert (reply.status, reply.reason, reply.body) == (418, "I am", b"short")
    assert reply.fields == [f for f in fields if f[0] not in ("Connection", "X-Gone", "Keep-Alive")] + [("Content-Length", "5")]


@pytest.mark.parametrize("status", [204, 304])
def test_replies_without_a_body(app, front, status):
    def answer(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 %d No\r\nETag: 1\r\n%s\r\n" % (status, b"Content-Length: 10\r\n" if status == 304 else b""))
        return True
    app.answer = answer
    client = Client(front.address)
    for _ in range(2):
        client.send(get())
        reply = client.reply()
        assert reply.status == status and not reply.get("transfer-encoding")
        assert reply.get("content-length") == ("10" if status == 304 else None)


def test_head_tells_the_length_and_sends_nothing(app, front):
    app.answer = lambda conn, request: conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n") or True
    client = Client(front.address)
    for _ in range(2):
        client.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.reply(head=True).get("content-length") == "12345"


def test_chunks_and_trailers_both_ways(app, front):
    def answer(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                  b"3;ext=1\r\nabc\r\n0005\r\ndefgh\r\n0\r\nX-Sum: 9\r\nContent-Length: 4\r\nSet-Cookie: x=1\r\n\r\n")
        return True
    app.answer = answer
    client = Client(front.address)
    for _ in range(2):
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"1;a=b\r\nA\r\n00a\r\nBCDEFGHIJK\r\n0\r\nX-End: yes\r\nHost: evil\r\nTransfer-Encoding: x\r\n\r\n")
        reply = client.reply()
        assert reply.body == b"abcdefgh" and reply.trailers == ["X-Sum: 9"]
        assert last(app).body == b"ABCDEFGHIJK" and last(app).trailers == ["X-End: yes"]


def test_a_reply_that_ends_with_its_connection(app, front):
    app.answer = lambda conn, request: conn.reply(200, b"all of it", length=False) and False
    reply = ask(front.address, get())
    assert reply.get("transfer-encoding") == "chunked" and reply.body == b"all of it" and reply.whole
    reply = ask(front.address, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert reply.get("connection") == "close" and reply.body == b"all of it"


def test_100_continue_is_the_applications_to_say(app, front):
    def answer(conn, request):
        assert request.get("expect") == "100-continue" and conn.buffer == b""
        if request.target == "/no":
            return conn.reply(413, b"too large", [("Connection", "close")]) and False
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        return echo(conn, request)
    app.answer = answer
    client = Client(front.address)
    client.send(b"POST /yes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\nLink: </a>"
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    client.send(b"hello")
    assert client.reply().body.endswith(b"\n\nhello")
    client.send(b"POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    reply = client.reply()
    assert (reply.status, reply.interim, reply.get("connection")) == (413, [], "close")


def test_100_continue_before_an_application_that_does_not_know_it(app, front):
    client = Client(front.address)
    client.send(b"POST /yes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
    client.send(b"hello")
    assert client.reply().body.endswith(b"\n\nhello")


def test_pipelined_requests_are_answered_in_order(app, front):
    client = Client(front.address)
    client.send(b"".join(get(f"/{i}") for i in range(20)) + b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz" + get("/z"))
    bodies = [client.reply().body.split(b"\n")[0] for _ in range(22)]
    assert bodies == [b"GET /%d" % i for i in range(20)] + [b"POST /p", b"GET /z"]


def test_a_client_that_closes_its_half_is_answered(app, front):
    client = Client(front.address)
    client.send(get("/half"))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.reply().status == 200 and client.closed()


# ---- size

def test_any_size_both_ways_in_little_memory(app, front):
    size, piece = 48 * MIB, os.urandom(MIB)
    sums = {}

    def answer(conn, request):
        digest = hashlib.sha256()
        conn.read_body(request, digest.update)
        sums[request.target] = digest.hexdigest()
        conn.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: %d\r\n\r\n" % size if request.target == "/length"
                                            else b"Transfer-Encoding: chunked\r\n\r\n"))
        for _ in range(size // MIB):
            conn.send(piece if request.target == "/length" else b"100000\r\n" + piece + b"\r\n")
        conn.send(b"" if request.target == "/length" else b"0\r\n\r\n")
        return True

    app.answer = answer
    wanted = hashlib.sha256(piece * (size // MIB)).hexdigest()
    before = front.resident()
    client = Client(front.address)
    for target in ("/length", "/chunked"):
        client.send(b"PUT " + target.encode() + b" HTTP/1.1\r\nHost: a\r\n" + (
            b"Content-Length: %d\r\n\r\n" % size if target == "/length" else b"Transfer-Encoding: chunked\r\n\r\n"))
        for _ in range(size // MIB):
            client.send(piece if target == "/length" else b"100000\r\n" + piece + b"\r\n")
        client.send(b"" if target == "/length" else b"0\r\n\r\n")
        digest = hashlib.sha256()
        reply = client.reply(sink=digest.update)
        assert reply.whole and digest.hexdigest() == wanted and sums[target] == wanted
    assert front.resident() - before < 4 * MIB


def test_a_slow_reader_holds_the_application_back(app, front):
    sent, total = [0], 64 * MIB

    def answer(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            conn.send(b"x" * 65536)
            sent[0] += 65536
        return True

    app.answer = answer
    before = front.resident()
    client = Client(front.address, rcvbuf=65536)
    client.send(get("/large"))
    reply = client.head()
    level = [0]

    def still():
        held, level[0] = level[0] == sent[0] and sent[0] > 0, sent[0]
        return held
    eventually(still, "the application to be held back")
    assert sent[0] < total - 16 * MIB and front.resident() - before < 4 * MIB
    count = [0]
    client.body(reply, sink=lambda piece: count.__setitem__(0, count[0] + len(piece)))
    assert reply.whole and count[0] == total


def test_a_slow_application_holds_the_client_back(app, front):
    go = threading.Event()

    def answer(conn, request):
        go.wait(20)
        return echo(conn, request)

    app.answer = answer
    client = Client(front.address)
    client.sock.settimeout(0.5)
    client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
    with pytest.raises(socket.timeout):
        client.send(b"x" * (64 * MIB))
    app.answer = lambda conn, request: conn.reply(200)  # of the connections to come
    client.close()
    go.set()


# ---- when one side fails

def test_nothing_listens(front):
    with Workdir() as work, Front(work, free_port()) as facade:
        reply = ask(facade.address, get())
        assert reply.status == 502 and reply.whole
        reply = ask(facade.address, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert reply.status == 502
        assert facade.metric("ficus_passthrough_failures_total", why="unreachable") == 2


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"])
def test_the_application_dies_before_its_reply(app, front, part):
    def answer(conn, request):
        conn.read_body(request)
        conn.send(part)
        return False
    app.answer = answer
    assert ask(front.address, b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").status == 502


@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_the_application_dies_within_its_reply(app, front, head, version):
    def answer(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + (b"5\r\n" if b"chunked" in head else b"") + b"hello")
        return False
    app.answer = answer
    client = Client(front.address)
    client.send(b"GET /x HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    reply = client.reply()
    assert reply.status == 200 and reply.body == b"hello" and not reply.whole


@pytest.mark.parametrize("text", [
    b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 101 Go\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"])
def test_a_malformed_reply(app, front, text):
    app.answer = lambda conn, request: conn.send(text) and False
    assert ask(front.address, get()).status == 502


def test_a_silent_application(app, front):
    done = threading.Event()
    app.answer = lambda conn, request: not done.wait(20)
    client = Client(front.address)
    client.send(get())
    assert client.reply().status == 504
    app.answer = echo
    client.send(get())  # the client's connection is as good as before
    assert client.reply().status == 200
    done.set()


def test_an_application_that_falls_silent(app, front):
    done = threading.Event()

    def answer(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        return not done.wait(20)
    app.answer = answer
    reply = ask(front.address, get())
    done.set()
    assert reply.body == b"hello" and not reply.whole


def test_the_client_goes_away(app, front):
    seen = threading.Event()

    def answer(conn, request):
        try:
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                conn.send(b"5\r\nhello\r\n" * 100)
        except OSError:
            seen.set()
            return False
    app.answer = answer
    client = Client(front.address)
    client.send(get())
    client.head()
    client.close()
    assert seen.wait(20)


def test_the_client_goes_away_within_its_body(app, front):
    ended = threading.Event()

    def answer(conn, request):
        with pytest.raises((EOFError, OSError)):
            conn.read_body(request)
        ended.set()
        return False
    app.answer = answer
    client = Client(front.address)
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    eventually(lambda: app.requests, "the request to arrive")
    client.close()
    assert ended.wait(20)


def test_a_malformed_body_reaches_nobody(app, front):
    ended = threading.Event()

    def answer(conn, request):
        with pytest.raises((EOFError, OSError)):
            conn.read_body(request)
        ended.set()
        return False
    app.answer = answer
    client = Client(front.address)
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.reply().status == 400 and client.closed()
    assert ended.wait(20) and [r.target for r in app.requests] == ["/x"]


def test_an_early_reply_ends_the_connection(app, front):
    app.answer = lambda conn, request: conn.reply(401, b"no", [("Connection", "close")]) and False
    client = Client(front.address)
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello")
    reply = client.reply()
    assert (reply.status, reply.body, reply.get("connection")) == (401, b"no", "close")


# ---- connections

def test_connections_are_kept_and_used_again(app, front):
    before = app.connections
    client = Client(front.address)
    for _ in range(50):
        client.send(get())
        assert client.reply().status == 200
    assert app.connections - before <= 1


def test_a_kept_connection_that_was_closed_is_no_failure(app, front):
    for request in (get(), b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
        ask(front.address, get())
        app.drop()
        assert ask(front.address, request).status == 200


def test_what_may_have_been_done_is_not_done_again(app, front):
    def answer(conn, request):
        conn.read_body(request)
        if request.target == "/once" and app.requests.count(request) == 1:
            return False  # read, perhaps done, and gone
        return conn.reply(200)
    ask(front.address, get())
    app.answer = answer
    reply = ask(front.address, b"POST /once HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    assert reply.status == 502 and len([r for r in app.requests if r.target == "/once"]) == 1


def test_more_requests_than_connections_and_queue(app):
    go = threading.Event()

    def answer(conn, request):
        go.wait(20)
        return conn.reply(200)
    app.answer = answer
    with Workdir() as work, Front(work, app.port, {"connections": 1, "queue": 1}) as facade:
        clients = [Client(facade.address) for _ in range(3)]
        clients[0].send(get())
        eventually(lambda: len(app.requests) == 1, "the first request to arrive")
        clients[1].send(get())
        clients[2].send(get())
        refused = [c for c in clients[1:]]
        answers = []

        def read(client):
            answers.append(client.reply())
        threads = [threading.Thread(target=read, args=(c,)) for c in refused]
        for thread in threads:
            thread.start()
        eventually(lambda: answers, "one to be refused")
        assert answers[0].status == 503 and answers[0].get("retry-after") == "1"
        go.set()
        for thread in threads:
            thread.join(20)
        assert clients[0].reply().status == 200 and answers[1].status == 200


# ---- smuggling

# What only the application can judge, and a body that is not too large for a stream.
THROUGH = {"unknown-method", "method-lower-case", "trace", "percent-nul-in-target", "broken-percent-in-target", "cl-huge"}


@pytest.mark.parametrize("name,text,allowed,after", [p for p in PROBES if p[0] not in THROUGH],
                         ids=[p[0] for p in PROBES if p[0] not in THROUGH])
def test_probe(app, front, name, text, allowed, after):
    app.answer = lambda conn, request: conn.read_body(request) or conn.reply(200)
    answers, closed = probe(front.address, text)
    first = answers[0] if answers else "close" if closed else "silence"
    assert first in allowed, (name, answers, closed)
    if after == "close":
        assert closed and len([a for a in answers if a != 100]) <= 1, (name, answers, closed)
        assert len([r for r in app.requests if r.get("host") == "tail"]) == 0
    if after == "open":
        assert len(answers) >= 2 and answers[-1] == 200, (name, answers, closed)
    assert len(app.requests) <= len([a for a in answers if a != 100])  # none that no client asked


# ---- rules, and a new table

def test_rules_send_requests_to_different_applications(app):
    with Upstream() as other, Workdir() as work:
        rules = [
            {"name": "by-path", "path": "/exports/{id}", "to": {"upstream": "other"}},
            {"name": "by-host", "host": "*.other.example", "to": {"upstream": "other"}},
            {"name": "by-header", "path": "/h", "header": {"X-To": "other"}, "to": {"upstream": "other"}},
            {"name": "by-form", "path": "/f", "form": {"module": "Cases"}, "to": {"upstream": "other"}},
            {"name": "by-json", "path": "/j", "json": {"/a/0/b": "7"}, "to": {"upstream": "other"}}]
        with Front(work, app.port, upstreams={"app": {"url": f"http://127.0.0.1:{app.port}"},
                                              "other": {"url": f"http://127.0.0.1:{other.port}"}},
                   match=rules) as facade:
            def where(text):
                app.forget()
                other.forget()
                reply = ask(facade.address, text)
                assert reply.status == 200 and len(app.requests) + len(other.requests) == 1
                return ("other" if other.requests else "app"), (app.requests + other.requests)[0]

            def post(path, kind, body):
                return where(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
                    path, kind, len(body), body))
            assert where(get("/exports/7"))[0] == "other" and where(get("/exports"))[0] == "app"
            assert where(get("/").replace(b"crm.", b"crm.other."))[0] == "other"
            assert where(get("/h", b"x-to: other\r\n"))[0] == "other" and where(get("/h"))[0] == "app"
            form = b"application/x-www-form-urlencoded"
            to, seen = post(b"/f", form, b"a=%20&module=Cases&b=+")
            assert to == "other" and seen.body == b"a=%20&module=Cases&b=+"  # byte by byte, though it was read
            assert post(b"/f", form, b"module=Calls")[0] == "app" and post(b"/f", b"text/plain", b"module=Cases")[0] == "app"
            assert post(b"/j", b"application/json", b'{"a": [{"b": 7}]}')[0] == "other"
            assert post(b"/j", b"application/json", b'{"a": [{"b": 8}]}')[0] == "app"
            chunked = b"POST /f HTTP/1.1\r\nHost: a\r\nContent-Type: " + form + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
            to, seen = where(chunked + b"7\r\nmodule=\r\n5\r\nCases\r\n0\r\n\r\n")
            assert to == "other" and seen.body == b"module=Cases" and seen.get("content-length") == "12"
            to, seen = where(chunked + b"0\r\n\r\n")
            assert to == "app" and seen.body == b"" and seen.get("content-length") == "0"


# What nginx serves as /exports/7, and this in its default: escapes, slashes and dot segments resolved.
SAME = ["/exports/7", "//exports/7", "/./exports/7", "/x/../exports/7", "/exports//7", "/exports/./7", "/ex%70orts/%37",
        "/x/%2e%2E/exports/7", "//x/y/..//../exports/./7", "/exports/7?a=/../b", "/exports/x/%2e./7"]
OTHER = ["/exports", "/exports/7/x", "/Exports/7", "/exports/../7", "/exports%2F7", "/exports;a/7", "/exports%20/7"]
NONE = ["/..", "/../exports/7", "/x/../../exports/7", "/%2e%2e/exports/7", "/exports/7%00"]


def test_a_path_is_one_however_it_is_written(app):
    with Upstream() as other, Workdir() as work:
        with Front(work, app.port, match=[{"path": "/exports/{id}", "to": {"upstream": "other"}}],
                   upstreams={"app": {"url": f"http://127.0.0.1:{app.port}"},
                              "other": {"url": f"http://127.0.0.1:{other.port}"}}) as facade:
            for path, server in [(p, other) for p in SAME] + [(p, app) for p in OTHER]:
                assert ask(facade.address, get(path)).status == 200
                assert last(server).target == path  # untouched
            assert (len(other.requests), len(app.requests)) == (len(SAME), len(OTHER))
            assert {ask(facade.address, get(path)).status for path in NONE} == {400}
            assert (len(other.requests), len(app.requests)) == (len(SAME), len(OTHER))


def test_a_new_table_is_followed_without_a_restart(app):
    with Upstream() as other, Workdir() as work, Front(work, app.port, allow=["reload refused"]) as facade:
        def table(**more):
            with open(facade.path, "w", encoding="utf-8") as f:
                json.dump({**facade.table, **more}, f)
            os.kill(facade.daemon.process.pid, signal.SIGHUP)
        ask(facade.address, get("/1"))
        running = Client(facade.address)
        go = threading.Event()
        app.answer = lambda conn, request: (request.target != "/running" or go.wait(20)) and echo(conn, request)
        running.send(get("/running"))
        eventually(lambda: last(app).target == "/running", "a request under way")
        table(upstreams={"app": {"url": f"http://127.0.0.1:{other.port}"}})
        eventually(lambda: ask(facade.address, get("/2")).status == 200 and other.requests, "the new upstream")
        go.set()
        assert running.reply().body.startswith(b"GET /running")  # ended where it began
        table(upstreams={"app": {"url": "nonsense"}}, match=[{"path": "x", "to": {"upstream": "app"}}])
        eventually(lambda: "reload refused" in facade.daemon.text(), "the refusal")
        count = len(other.requests)
        assert ask(facade.address, get("/3")).status == 200 and len(other.requests) == count + 1
