# SPDX-License-Identifier: Apache-2.0
"""The facade on the wire: every probe of wire_probes.py, byte by byte against the real binary."""
import socket

import pytest

from crm import Crm
from harness import Postgres, Sqlite, Workdir
from wire_probes import PROBES, TAIL
from wire_run import WAIT, probe, read_all, statuses


@pytest.fixture(scope="module")
def facade():
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "wire")
        with crm.running():
            yield "127.0.0.1", crm.ports["facade"]


@pytest.mark.parametrize("requests", [1, 3])
def test_a_client_that_closes_its_half_is_answered(facade, requests):
    with socket.create_connection(facade, timeout=WAIT) as s:
        s.sendall(TAIL * requests)
        s.shutdown(socket.SHUT_WR)
        data, closed = read_all(s)
    assert statuses(data) == [200] * requests and closed


def test_half_a_request_and_no_more_is_no_request(facade):
    with socket.create_connection(facade, timeout=WAIT) as s:
        s.sendall(TAIL + TAIL[:-4])
        s.shutdown(socket.SHUT_WR)
        data, closed = read_all(s)
    assert statuses(data) == [200] and closed


@pytest.mark.parametrize("name,text,allowed,after", PROBES, ids=[p[0] for p in PROBES])
def test_probe(facade, name, text, allowed, after):
    answers, closed = probe(facade, text)
    first = answers[0] if answers else "close" if closed else "silence"
    assert first in allowed, (name, answers, closed)
    if after == "close":  # whatever stood behind it was not taken for a request
        assert closed and len([a for a in answers if a != 100]) <= 1, (name, answers, closed)
    if after == "open":
        assert len(answers) >= 2 and answers[-1] == 200, (name, answers, closed)
