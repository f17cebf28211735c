# SPDX-License-Identifier: Apache-2.0
"""Sends one probe of reply_probes.py through a proxy and tells what became of it."""
import contextlib
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from bench.wire import haproxy  # noqa: E402
from harness import Nginx, Upstream, Workdir  # noqa: E402
from passing import Client, Front  # noqa: E402
from reply_probes import CLOSES, PROBES  # noqa: E402

SECOND = b"the second"


def answer_with(text, closes):
    """The application: `text` to /probe, a good answer to everything else."""
    def answer(conn, request):
        conn.read_body(request)
        if request.target == "/probe":
            with contextlib.suppress(OSError):  # the proxy may have had enough
                conn.send(text)
            return not closes
        return conn.reply(200, SECOND)
    return answer


def first_of(client, head):
    """(outcome, reply or None)"""
    try:
        reply = client.reply(head=head)
    except (EOFError, ConnectionResetError, socket.timeout):
        return "closed", None
    if reply.status == 502:
        return "refused", reply
    if not reply.whole:
        return "cut", reply
    body = b"" if head or reply.status in (204, 304) else b"hello"
    return "passed" if reply.status in (200, 204, 304) and reply.body in (body, b"") else f"other {reply.status}", reply


def second_of(client):
    """"second", "closed" or "poisoned": what the next request on the same connection is answered."""
    try:
        client.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = client.reply()
    except (EOFError, OSError):
        return "closed"
    except (ValueError, AssertionError):
        return "poisoned"
    return "second" if (reply.status, reply.body) == (200, SECOND) else "poisoned"


def probe(app, address, name, text, method=b"GET"):
    """(outcome, what came second, True where a field got through that none may)."""
    app.answer = answer_with(text, name in CLOSES)
    client = Client(address)
    client.sock.settimeout(10)
    try:
        client.send(method + b" /probe HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            outcome, reply = first_of(client, method == b"HEAD")
        except (ValueError, AssertionError):
            return "malformed", "", False  # no client could read it, or two in two ways
        evil = bool(reply and (reply.get("x-evil") or any("\r" in v or "\0" in v for _, v in reply.fields)
                               or any("evil" in t.lower() for t in reply.trailers)))
        second = "closed" if outcome in ("cut", "closed") else second_of(client)
        if second == "closed" and outcome in ("passed", "refused"):  # and nobody else gets what was left over
            other = Client(address)
            second = {"second": "closed", "closed": "lost"}.get(second_of(other), "poisoned")
            other.close()
        return outcome, second, evil
    finally:
        client.close()


# ---- the table of docs/wire.md: python3 tests/integration/reply_run.py

def verdict(result, allowed):
    outcome, second, evil = result
    wrong = outcome not in allowed or second not in ("second", "closed") or evil
    return wrong, ("**wrong** " if wrong else "") + outcome + {"poisoned": ", and the next is poisoned"}.get(second, "") + (
        ", with a field that is none" if evil else "")


def table(app, proxies):
    print("| probe | " + " | ".join(proxies) + " |")
    print("|" + "---|" * (len(proxies) + 1))
    wrong = dict.fromkeys(proxies, 0)
    for name, text, allowed in PROBES:
        cells = []
        for proxy, address in proxies.items():
            bad, cell = verdict(probe(app, address, name, text), allowed)
            wrong[proxy] += bad
            cells.append(cell)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nof {len(PROBES)} wrong: {wrong}")


def main():
    with contextlib.ExitStack() as stack:
        app, work = stack.enter_context(Upstream()), stack.enter_context(Workdir())
        front = stack.enter_context(Front(work, app.port, {"silence_ms": 3000}, allow=["."]))
        nginx = stack.enter_context(Nginx(work, app.port))
        port, _pid = stack.enter_context(haproxy(work, app.port))
        table(app, {"Ficus": front.address, "nginx": ("127.0.0.1", nginx.port), "HAProxy": ("127.0.0.1", port)})


if __name__ == "__main__":
    main()
