# SPDX-License-Identifier: Apache-2.0
"""Pass-through beside nginx as a streaming proxy: both get the same bytes from the client and from
the application; both must make the same of them, for the application and for the client."""
import random

import pytest

from harness import Nginx, Upstream, Workdir
from passing import Client, Front

HOST = b"Host: crm.example\r\n"
BIG = random.Random(7).randbytes(300_000)


@pytest.fixture(scope="module")
def stage():
    with Upstream() as app, Workdir() as work, Nginx(work, app.port) as nginx, Front(work, app.port) as front:
        yield app, {"nginx": ("127.0.0.1", nginx.port), "ficus": front.address}


def chunks(body, size):
    return b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                    for i in range(0, len(body), size)) + b"0\r\n\r\n"


REQUESTS = {
    "get": b"GET /a?b=c&d=%20%zz HTTP/1.1\r\n" + HOST + b"Accept: */*\r\nCookie: a=1; b=2\r\n\r\n",
    "dots": b"GET /a/../b/./c//d HTTP/1.1\r\n" + HOST + b"\r\n",
    "escapes": b"GET /%7Euser/%2e%2e/%2F/%C3%B6?q=%00+%26 HTTP/1.1\r\n" + HOST + b"\r\n",
    "json-in-query": b'GET /s?rest_data={"a":[1,2]} HTTP/1.1\r\n' + HOST + b"\r\n",
    "head": b"HEAD /h HTTP/1.1\r\n" + HOST + b"\r\n",
    "options": b"OPTIONS /o HTTP/1.1\r\n" + HOST + b"\r\n",
    "propfind": b"PROPFIND /dav/ HTTP/1.1\r\n" + HOST + b"Depth: 1\r\n\r\n",
    "delete": b"DELETE /d HTTP/1.1\r\n" + HOST + b"If-Match: \"x\"\r\n\r\n",
    "post-form": b"POST /f HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
                 b"Content-Length: 7\r\n\r\na=1&b=2",
    "post-empty": b"POST /e HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    "put-big": b"PUT /b HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(BIG) + BIG,
    "put-chunked": b"PUT /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BIG, 7001),
    "patch-tiny-chunks": b"PATCH /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BIG[:300], 1),
    "repeated-fields": b"GET /r HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nx-a: 2\r\nX-Empty:\r\nX-Blank: \t v \t\r\n\r\n",
    "high-bytes": b"GET /u HTTP/1.1\r\n" + HOST + b"X-Utf: \xc3\xb6\r\nX-Latin: \xe4\r\n\r\n",
    "range": b"GET /r HTTP/1.1\r\n" + HOST + b"Range: bytes=0-4\r\nIf-None-Match: \"a\"\r\n\r\n",
    "auth": b"GET /a HTTP/1.1\r\n" + HOST + b"Authorization: Basic YTpi\r\n\r\n",
    "http-1.0": b"GET /old HTTP/1.0\r\n" + HOST + b"\r\n",
    "http-1.0-kept": b"GET /old HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    "hop-by-hop": b"GET /hop HTTP/1.1\r\n" + HOST + b"Keep-Alive: 1\r\nTE: trailers\r\nUpgrade: x\r\nConnection: keep-alive\r\n\r\n",
}
OK = b"HTTP/1.1 200 OK\r\n"
REPLIES = {
    "length": OK + b"Content-Type: text/html\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello",
    "big": OK + b"Content-Length: %d\r\n\r\n" % len(BIG) + BIG,
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BIG, 9973),
    "tiny-chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(BIG[:500], 1),
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "no-content": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/x\r\nContent-Length: 0\r\n\r\n",
    "error": b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops",
    "odd-status": b"HTTP/1.1 599 Very Odd\r\nContent-Length: 1\r\n\r\nx",
    "old": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "gzip": OK + b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
}


def through(app, address, request, reply):
    """(what the application saw, what the client saw) of one exchange, comparable."""
    def answer(conn, seen):
        conn.read_body(seen)
        conn.send(reply.split(b"\r\n\r\n")[0] + b"\r\n\r\n" if seen.method == "HEAD" else reply)
        return not reply.startswith(b"HTTP/1.0")
    app.answer = answer
    app.forget()
    client = Client(address)
    try:
        client.send(request)
        got = client.reply(head=request.startswith(b"HEAD"))
    finally:
        client.close()
    assert app.broken == [] and len(app.requests) == 1
    seen = app.requests[0]
    # A chunked body that nginx has read by then goes with its length.
    framing = ("transfer-encoding", "content-length") if b"chunked" in request else ()
    fields = sorted((k.lower(), v) for k, v in seen.fields if k.lower() not in framing)
    # Ours are told by the proxy; Connection concerns one hop.
    ours = sorted((k.lower(), v) for k, v in got.fields if k.lower() not in ("date", "server", "connection"))
    return ((seen.method, seen.target, fields, seen.body),
            (got.status, got.reason, ours, got.body, got.whole, got.get("connection") == "close"))


@pytest.mark.parametrize("reply", REPLIES)
def test_replies(stage, reply):
    app, proxies = stage
    both = {name: through(app, address, REQUESTS["get"], REPLIES[reply]) for name, address in proxies.items()}
    assert both["ficus"] == both["nginx"]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests(stage, request_):
    app, proxies = stage
    both = {name: through(app, address, REQUESTS[request_], REPLIES["length"]) for name, address in proxies.items()}
    assert both["ficus"] == both["nginx"]


def test_many_shapes_at_random(stage):
    app, proxies = stage
    rng = random.Random(11)
    for _ in range(60):
        body = BIG[:rng.choice([0, 1, 2, 1000, 16384, 20480, 65536, 200_000])]
        fields = b"".join(b"X-%d: %s\r\n" % (rng.randrange(9), b"v" * rng.randrange(200)) for _ in range(rng.randrange(20)))
        sized = rng.random() < .5
        request = b"POST /p%d HTTP/1.1\r\n" % rng.randrange(99) + HOST + fields + (
            b"Content-Length: %d\r\n\r\n" % len(body) + body if sized
            else b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, rng.choice([1000, 8192, 65536])))
        body = BIG[:rng.choice([0, 1, 1000, 40_000, 40_960, 41_000, 250_000])]
        reply = OK + fields + (b"Content-Length: %d\r\n\r\n" % len(body) + body if rng.random() < .5
                               else b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, rng.choice([777, 16384, 99_999])))
        both = {name: through(app, address, request, reply) for name, address in proxies.items()}
        assert both["ficus"] == both["nginx"]


SEGMENTS = ["a", "b", "%61", "%62", "", ".", "..", "%2e", "%2E.", ".%2e", "...", "x", "%7e", "a%20", "%25%36%31", ";", "A"]


def test_paths_are_told_apart_alike():
    """Random ways of writing a path: both find what is below /a/b, and refuse the same."""
    location = "location ~ ^/a/b(/|$) { return 204; }"
    rng, told = random.Random(17), {}
    with Upstream() as app, Upstream() as other, Workdir() as work, Nginx(work, app.port, more=location) as nginx, \
            Front(work, app.port, match=[{"path": "/a/b/**", "to": {"upstream": "other"}}],
                  upstreams={"app": {"url": f"http://127.0.0.1:{app.port}"},
                             "other": {"url": f"http://127.0.0.1:{other.port}"}}) as front:
        other.answer = lambda conn, seen: conn.send(b"HTTP/1.1 204 No Content\r\n\r\n") or True

        def status(address, path):
            client = Client(address)
            try:
                client.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
                return client.reply().status
            finally:
                client.close()
        for _ in range(1500):
            path = "".join("/" + rng.choice(SEGMENTS + 5 * ["a", "b"]) for _ in range(rng.randrange(1, 7)))
            nginxs = status(("127.0.0.1", nginx.port), path)
            assert status(front.address, path) == nginxs, path
            told[nginxs] = told.get(nginxs, 0) + 1
    assert set(told) == {200, 204, 400} and min(told.values()) > 20, told
