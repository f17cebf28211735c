# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests, demo and benchmarks, each private and in a temporary folder.

    from harness import Workdir, Postgres, MariaDB, Sqlite, Kafka, Daemon, Proxy, wait_for

    with Workdir() as work, Postgres(work) as pg, Daemon(work, "serve", config) as facade:
        ...

A server listens on loopback, on a port that no other process of this harness uses, and
runs unprivileged when the caller is root. It is stopped by pid, and ends by itself when
the process that started it dies. FICUS_TEST_TIMEOUT multiplies every time limit.
"""
from .daemon import Daemon, build_folder, ficus
from .kafka import Kafka
from .legacy_app import LegacyApp
from .mariadb import MariaDB
from .nginx import Nginx
from .odbc import write_odbcinst
from .postgres import Postgres
from .ports import free_port
from .proxy import Proxy
from .sqlite import Sqlite
from .upstream import Upstream
from .wait import seconds, wait_for, wait_for_port
from .workdir import Workdir

__all__ = ["Daemon", "Kafka", "LegacyApp", "MariaDB", "Nginx", "Postgres", "Proxy", "Sqlite", "Upstream",
           "Workdir", "build_folder", "ficus", "free_port", "seconds", "wait_for", "wait_for_port", "write_odbcinst"]
