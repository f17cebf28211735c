# SPDX-License-Identifier: Apache-2.0
"""ODBC calls that hang (tests/stub/hang.c): their clients are answered, others are served on."""
import concurrent.futures
import os
import time

import pytest

from crm import Crm
from harness import Postgres, Sqlite, Workdir, build_folder, wait_for
from harness.odbc import write_odbcinst

WORKERS, SPARES, DEADLINE_MS = 2, 2, 700


class Hanging:
    def __init__(self, work, crm):
        self.crm, self.path = crm, work.file("control", "")
        crm.env["FICUS_STUB_CONTROL"] = self.path

    def order(self, *lines):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))
        os.replace(self.path + ".new", self.path)

    def call(self, entity):
        start = time.monotonic()
        reply = self.crm.api("GET", f"/{entity}")
        return reply, time.monotonic() - start

    def gauge(self, name):
        return self.crm.metric("ficus_odbc_" + name)


@pytest.fixture(scope="module")
def hanging():
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy:
        library = os.path.join(build_folder(), "stub/hang.so")
        write_odbcinst(work.odbc_env["ODBCSYSINI"], {"Hang": library})
        crm = Crm(work, "sqlite", legacy, postgres, "hung", odbc=legacy.odbc().replace("SQLite3", "Hang"))
        crm.configure(legacy={"workers": WORKERS, "spare_workers": SPARES, "deadline_ms": DEADLINE_MS})
        made = Hanging(work, crm)
        with crm.serve(allow=[r"threads are stuck, no spare is left"]) as daemon:
            made.daemon = daemon
            yield made
            made.order()
            wait_for(lambda: made.gauge("workers_stuck") == 0, "the hung workers to come back")


@pytest.fixture(autouse=True)
def healthy(hanging):
    hanging.order()
    wait_for(lambda: hanging.gauge("workers_stuck") == 0 and hanging.gauge("workers_busy") == 0, "idle workers")
    assert hanging.call("contacts")[0].status == 200 and hanging.call("accounts")[0].status == 200
    yield


def test_a_call_that_hangs_is_answered_by_its_deadline_and_cancelled(hanging):
    cancels, late = hanging.gauge("cancels_total"), hanging.gauge("late_results_total")
    hanging.order("hang contacts")
    reply, took = hanging.call("contacts")
    assert reply.status in (503, 504) and took >= DEADLINE_MS / 1000 * 0.9
    wait_for(lambda: hanging.gauge("workers_busy") == 0, "the cancelled call to end")
    assert hanging.gauge("cancels_total") == cancels + 1 and hanging.gauge("late_results_total") == late + 1
    assert hanging.gauge("workers_stuck") == 0
    hanging.daemon.wait_log("its connection is not used again")
    hanging.order()
    assert hanging.call("contacts")[0].status == 200  # over a new connection


def test_others_go_on(hanging):
    hanging.order("stubborn contacts")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        hung = [pool.submit(hanging.call, "contacts") for _ in range(WORKERS)]
        assert [h.result()[0].status in (503, 504) for h in hung] == [True] * WORKERS
        wait_for(lambda: hanging.gauge("workers_stuck") == WORKERS, "the workers to be replaced")
        others = [pool.submit(hanging.call, "accounts") for _ in range(20)]
        assert [o.result()[0].status for o in others] == [200] * 20
    replaced = hanging.gauge("workers_replaced")
    assert replaced >= WORKERS


def test_spares_are_bounded_and_the_alarm_is_raised(hanging):
    hanging.order("stubborn contacts")
    for n in range(1, SPARES + 1):
        assert hanging.call("contacts")[0].status in (503, 504)
        wait_for(lambda n=n: hanging.gauge("workers_stuck") == n, "a worker to be replaced")
    threads = len(os.listdir(f"/proc/{hanging.daemon.pid}/task"))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for reply, _ in pool.map(hanging.call, ["contacts"] * WORKERS):
            assert reply.status in (503, 504)
    hanging.daemon.wait_log("threads are stuck, no spare is left")
    assert len(os.listdir(f"/proc/{hanging.daemon.pid}/task")) == threads
    reply, _ = hanging.call("accounts")  # nobody is left to run it: refused in time, not hung
    assert reply.status in (503, 504) and (reply.status != 503 or reply.headers["Retry-After"])
    hanging.order()  # and all is well again when the driver comes back
    wait_for(lambda: hanging.call("accounts")[0].status == 200, "the workers to serve again")
    wait_for(lambda: hanging.gauge("workers_stuck") == 0, "the spares to come back")


def test_a_database_that_never_answers_is_left_alone(hanging):
    """The breaker opens, requests are answered at once, and it closes when the database is back."""
    counter = 'ficus_breaker_transitions_total{backend="odbc",to="%s"}'
    opened, closed = (hanging.crm.metric(counter % to) for to in ("open", "closed"))
    hanging.order("hang contacts", "hang accounts")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        wait_for(lambda: [r.status for r, _ in pool.map(hanging.call, ["contacts"] * 32)]
                 and hanging.crm.metric(counter % "open") > opened, "the breaker to open")
        replies = [r for r, _ in pool.map(hanging.call, ["accounts"] * 32)]
    refused = hanging.crm.metric('ficus_breaker_refused_total{backend="odbc"}')
    assert refused > 0 and all(r.status in (503, 504) for r in replies)
    assert all(r.headers["Retry-After"] for r in replies if r.status == 503)
    hanging.order()
    wait_for(lambda: hanging.call("accounts")[0].status == 200 and hanging.crm.metric(counter % "closed") > closed,
             "the breaker to close")
