# SPDX-License-Identifier: Apache-2.0
"""The whole of Ficus on private servers: a legacy database with data, PostgreSQL, Kafka, and
`ficus service`, `sync` and any number of `serve`.

    with Workdir() as work, Stack(work, legacy="mariadb", rows=500) as stack:
        stack.route_set("shadow")
        receipt = stack.cutover()
        assert stack.reconcile()["equal"]
"""
import concurrent.futures
import json
import re

from legacy.generate import Generator
from legacy.store import MariaStore, PgStore, SqliteStore

from .daemon import Daemon, ROOT, ficus
from .kafka import Kafka
from .mariadb import MariaDB
from .ports import free_port
from .postgres import Postgres
from .sqlite import Sqlite
from .wait import wait_for

GROUP = "crm"


class Refused(Exception):
    """A command of ficus ended with a status other than 0."""

    def __init__(self, args, done):
        super().__init__(f"ficus {' '.join(args)}: exit status {done.returncode}\n"
                         f"{(done.stdout + done.stderr)[-4000:]}")
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr


class LegacyPostgres(Postgres):
    """A PostgreSQL of its own, as a legacy would be: no logical decoding."""

    def __init__(self, work):
        super().__init__(work, name="oldpg", settings={"wal_level": "replica"})


class Stack:
    """start() returns when everything answers and the first copy has arrived. `step` is called
    with one line for each thing that is done; `settings` overrides options by dotted name."""

    routes = ROOT + "/routes/tables/suitecrm.json"

    def __init__(self, work, legacy="sqlite", rows=500, seed=1, dirt="kept,changed", facades=1, syncs=1,
                 settings=None, ratios=None, step=None, allow=()):
        self.work, self.kind, self.rows, self.seed, self.dirt = work, legacy, rows, seed, dirt
        self.ratios, self.step = ratios or {}, step or (lambda text: None)
        self.postgres, self.kafka = Postgres(work, database="crm"), Kafka(work)
        self.legacy = {"mariadb": MariaDB, "sqlite": Sqlite, "postgres": LegacyPostgres}[legacy](work)
        self.manifest = None
        self.planted = {}     # kind of dirt -> [[table, key], ..], all of them
        self.settings, self.allow = settings or {}, list(allow)
        self.service_port = free_port()
        self.sync_ports = [free_port() for _ in range(syncs)]
        self.fronts = [(free_port(), free_port()) for _ in range(facades)]
        self.env = {"FICUS_USER": "demo"}
        self.config = self._write_config("ficus", 0)
        self.service = self._daemon("service", 0, ready=None)
        self.syncs = [self._daemon("sync", i, f"http://127.0.0.1:{port}/healthz")
                      for i, port in enumerate(self.sync_ports)]
        self.facades = [self._daemon("serve", i, f"http://127.0.0.1:{self.fronts[i][1]}/readyz")
                        for i in range(facades)]
        self.sync = self.syncs[0]
        self.service.ready = lambda d: re.search(r"serving on", d.text())
        self._started = []

    # ---- what it is made of
    def url(self, facade=0):
        return f"http://127.0.0.1:{self.fronts[facade][0]}/service/v4_1/rest.php"

    def admin(self, facade=0):
        return f"http://127.0.0.1:{self.fronts[facade][1]}"

    def daemons(self):
        return [self.service] + self.syncs + self.facades

    def port(self, name, target, port):
        """Where the process `name` reaches the "control" store, the "legacy" or the "service"."""
        del name, target
        return port

    def environment(self, name):
        """Of the process `name`, in addition."""
        url = f"http://127.0.0.1:{self.port(name, 'service', self.service_port)}"
        return dict(self.env, FICUS_SERVICE_URL=url)

    def _daemon(self, command, i, ready):
        name = f"{command}{i}"
        return Daemon(self.work, command, self._write_config(name, i), ready=ready, env=self.environment(name),
                      allow=self.allow, name=name, start_timeout=60)

    def _write_config(self, name, i):
        conninfo = self.postgres.conninfo(port=self.port(name, "control", self.postgres.port))
        odbc = self.legacy.odbc() if self.kind == "sqlite" else self.legacy.odbc(
            port=self.port(name, "legacy", self.legacy.port))
        front = self.fronts[min(i, len(self.fronts) - 1)]
        flat = {
            "control.conninfo": conninfo, "legacy.odbc": odbc,
            "legacy.dbms": self.kind, "maps.path": ROOT + "/migrations/maps/suitecrm",
            "routes.path": self.routes,
            "migrations.path": ROOT + "/migrations/sql/crm",
            "facade.listen": f"127.0.0.1:{front[0]}",
            "facade.admin_listen": f"127.0.0.1:{front[1]}", "facade.loops": 1,
            "facade.state_path": self.work.file(f"state-{i}.json"),
            "service.listen": f"127.0.0.1:{self.service_port}",
            "kafka.brokers": self.kafka.bootstrap, "kafka.prefix": "demo", "sync.sweep_rows": 0,
            "sync.listen": f"127.0.0.1:{self.sync_ports[min(i, len(self.sync_ports) - 1)]}",
            # Tests climb at once, and nothing goes back while they break things: both are test_ladder.py's.
            "ladder.evidence_min": 0, "ladder.rollback": "off",
            **self.settings}
        nested = {}
        for dotted, value in flat.items():
            section, option = dotted.split(".")
            nested.setdefault(section, {})[option] = value
        return self.work.file(f"{name}.json", json.dumps(nested, indent=2) + "\n")

    # ---- from nothing to running
    def start(self):
        try:
            self._start_servers()
            self._start_ficus()
        except BaseException:
            self.abandon()
            raise
        return self

    def _start_servers(self):
        self.step(f"starting PostgreSQL, Kafka and {self.kind}")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            waiting = [(server, pool.submit(server.start))
                       for server in (self.postgres, self.kafka, self.legacy)]
            loaded = pool.submit(self._load, waiting[2][1])
            failed = None
            for server, future in waiting:
                try:
                    future.result()
                except Exception as error:  # pylint: disable=broad-except
                    failed = failed or error
                else:
                    self._started.append(server)
            if failed:
                raise failed
            self.manifest = loaded.result()

    def _load(self, server):
        server.result()
        self.step(f"loading {self.rows} accounts with contacts into {self.kind}")
        generator = Generator(rows=self.rows, seed=self.seed, dirt=self.dirt, **self.ratios)
        store = (SqliteStore(self.legacy.path) if self.kind == "sqlite"
                 else {"mariadb": MariaStore, "postgres": PgStore}[self.kind](self.legacy.connect()))
        try:
            manifest = generator.load(store, create=True)
        finally:
            store.close()
        self.planted = generator.plan.found
        return manifest

    def _start_ficus(self):
        self.run("check")
        self.step("ficus migrate up: control store, new store, legacy triggers")
        self.run("migrate", "up")
        self.step("starting ficus service, sync and " + (
            "serve" if len(self.facades) == 1 else f"{len(self.facades)} x serve"))
        for daemon in self.daemons():
            daemon.start(wait=False)
            self._started.append(daemon)
        for daemon in self.daemons():
            daemon.wait_ready()
        self.step("copying what exists (snapshot) beside the running stream")
        self.wait_snapshot()

    def wait_snapshot(self, timeout=240):
        def done():
            states = self.new("SELECT state, count(*) FROM ficus.snapshot GROUP BY 1")
            failed = [s for s in states if s[0] == "failed"]
            if failed:
                raise RuntimeError(self.new("SELECT entity, error FROM ficus.snapshot WHERE state = 'failed'"))
            return states and all(s[0] == "done" for s in states)
        wait_for(done, "the snapshot", timeout, interval=0.2, alive=self._must_live)
        self.wait_quiet(timeout)

    def wait_quiet(self, timeout=60):
        """Until nothing is in flight."""
        wait_for(lambda: self.new("SELECT coalesce(sum(lag_events), 0) FROM ficus.stream_state"
                                  " WHERE NOT paused")[0][0] == 0, "no lag", timeout, interval=0.2,
                 alive=self._must_live)

    def _must_live(self):
        for daemon in self.daemons():
            if daemon.process is not None:
                daemon.process.must_live()

    # ---- commands
    def run(self, *args, good=(0,), timeout=180):
        done = ficus(self.work, *args, "-c", self.config, env=self.environment("ficus"), timeout=timeout)
        if done.returncode not in good:
            raise Refused(args, done)
        return done

    def json(self, *args, good=(0,), timeout=180):
        done = self.run(*args, "--json", good=good, timeout=timeout)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Refused(args, done) from None

    def status(self):
        return self.json("status")

    def route_set(self, stage, percent=None, routes="all", why="the ladder"):
        words = ["route", "set", routes, stage] + ([str(percent)] if percent is not None else [])
        done = self.json(*words, "--why", why)
        self.wait_followed()
        return done

    def wait_followed(self):
        """Until every facade runs by the newest state."""
        wait_for(lambda: self.new("SELECT count(*) FROM ficus.instance i, ficus.version v WHERE i.kind = 'serve'"
                                  " AND i.heartbeat > now() - interval '10 seconds'"
                                  " AND i.table_version < v.version")[0][0] == 0,
                 "the facades to follow", 30, interval=0.05)

    def cutover(self, group=GROUP, force=False, kind="cutover", why="demo"):
        """The receipt, with `outcome`."""
        words = [kind, group, "--why", why] + (["--force"] if force else [])
        return self.json(*words, good=(0, 1))

    def rollback(self, group=GROUP, force=False):
        return self.cutover(group, force, kind="rollback")

    def guards(self, group=GROUP):
        return self.json("cutover", group, "--dry-run", good=(0, 1))["guards"]

    def reconcile(self, *entities):
        return self.json("reconcile", *entities, good=(0, 1), timeout=300)

    def parked(self):
        return self.json("parked", "list")

    def owner(self, group=GROUP):
        return self.new("SELECT owner FROM ficus.owner WHERE grp = %s", (group,))[0][0]

    # ---- both stores, directly
    def new(self, sql, params=None):
        return self.postgres.query(sql, params)

    def old(self, sql, params=()):
        return self.legacy.query(sql if self.kind == "sqlite" else sql.replace("?", "%s"), params)

    # ---- the end
    def stop(self):
        """Ends everything; raises when a daemon ended badly or logged an error."""
        failed = None
        for part in reversed(self._started):
            try:
                part.stop()
            except Exception as error:  # pylint: disable=broad-except
                failed = failed or error
        self._started = []
        if failed:
            raise failed

    def abandon(self):
        """Ends everything after a failure: shows the ends of the logs, judges nothing."""
        for part in reversed(self._started):
            try:
                if isinstance(part, Daemon) and part.process is not None:
                    print(f"---- {part.name}, last lines\n{part.process.tail(12)}", flush=True)
                    part.process.kill()
                    part.process = None
                elif not isinstance(part, Daemon):
                    part.stop()
            except Exception as error:  # pylint: disable=broad-except
                print(f"---- while ending: {error}")
        self._started = []

    def pids(self):
        return [part.process.pid for part in self._started if getattr(part, "process", None)]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *exc):
        if kind is None:
            self.stop()
        else:
            self.abandon()

