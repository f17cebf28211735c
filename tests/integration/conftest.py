# SPDX-License-Identifier: Apache-2.0
"""Servers shared by the tests of one session, and a fresh folder for each test.

Sharing saves seconds; a test that stops, kills or reconfigures a server starts its own.
Each test takes names of its own (`unique`) for databases, topics and slots.
"""
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from harness import Kafka, MariaDB, Postgres, Sqlite, Workdir  # noqa: E402

_numbers = itertools.count(1)
_postgres = []  # the shared one, once it runs


@pytest.fixture(scope="session")
def session_work():
    with Workdir() as work:
        yield work


@pytest.fixture(scope="session")
def postgres(session_work):
    with Postgres(session_work) as server:
        _postgres.append(server)
        yield server
        _postgres.clear()


@pytest.fixture(scope="session")
def mariadb(session_work):
    with MariaDB(session_work) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(session_work):
    with Kafka(session_work) as server:
        yield server


@pytest.fixture
def work():
    with Workdir() as folder:
        yield folder


@pytest.fixture
def sqlite(work):
    with Sqlite(work) as store:
        yield store


@pytest.fixture
def unique():
    """A name that no other test of this session uses, fit for SQL and for topics. What a sync of that
    prefix left in the shared PostgreSQL ends with the test."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    yield name
    for server in _postgres:
        server.drop_replication(name)
