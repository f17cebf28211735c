# SPDX-License-Identifier: Apache-2.0
"""One trace from the client through the facade to a service, and in the access logs of both."""
import json
import re

import pytest

from crm import TOKEN, Crm, call
from harness import Upstream, wait_for

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GET = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(params=["text", "json"])
def log(request, work, postgres, sqlite, unique):
    """The facade and its service, and what their access logs say of a path."""
    crm = Crm(work, "sqlite", sqlite, postgres, unique)
    crm.configure(log={"format": request.param})

    def fields(daemon, path):
        def line():
            for text in daemon.text().splitlines():
                if path not in text or "access" not in text:
                    continue
                return json.loads(text) if request.param == "json" else dict(re.findall(r"(\w+)=(\S+)", text))
            return None
        return wait_for(line, f"{path} in an access log")
    with crm.service() as service, crm.serve() as facade:
        crm.own("new", 7)
        crm.fields = lambda path, of=facade: fields(of, path)
        crm.at_the_service = lambda path: fields(service, path)
        yield crm


def test_a_trace_goes_on_to_the_service(log):
    sent = {**GET, "traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1,b=2"}
    assert call("GET", log.url + "/accounts?fields=id&limit=1", headers=sent).status == 200
    mine, theirs = log.fields("/api/accounts"), log.at_the_service("/accounts/_canonical")
    assert mine["trace_id"] == theirs["trace_id"] == TRACE
    assert mine["traceparent"] == sent["traceparent"]
    version, trace, parent, flags = theirs["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and parent not in (SPAN, "0" * 16)


def test_a_trace_that_begins_at_the_facade(log):
    assert call("GET", log.url + "/accounts?fields=id&limit=1", headers=GET).status == 200
    mine, theirs = log.fields("/api/accounts"), log.at_the_service("/accounts/_canonical")
    assert re.fullmatch("[0-9a-f]{32}", mine["trace_id"]) and "traceparent" not in mine
    assert theirs["trace_id"] == mine["trace_id"] and theirs["traceparent"].endswith("-00")


def test_the_tracestate_goes_on_too(work, postgres, sqlite, unique):
    with Upstream() as app:
        app.answer = lambda conn, request: (conn.read_body(request), conn.reply(503, b""))[1]
        crm = Crm(work, "sqlite", sqlite, postgres, unique)
        crm.env["FICUS_SERVICE_URL"] = f"http://127.0.0.1:{app.port}"
        with crm.serve():
            crm.own("new", 7)
            call("GET", crm.url + "/accounts/k", headers={
                **GET, "traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1,b=2"})
        seen = [request.trace for request in app.requests if request.target == "/accounts/_canonical"]
        assert [t["tracestate"] for t in seen] == ["a=1,b=2"] and seen[0]["traceparent"].split("-")[1] == TRACE
