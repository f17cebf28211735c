# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what the other tests take for granted."""
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading

import psycopg2
import pymysql
import pytest
from confluent_kafka import Consumer, Producer

from harness import Daemon, Kafka, MariaDB, Postgres, Proxy, Workdir, daemon, free_port, wait_for
from harness.process import Process


def user_of(pid):
    return pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name


def must_be_unprivileged(pid):
    assert os.stat(f"/proc/{pid}").st_uid != 0, f"pid {pid} runs as {user_of(pid)}"


# ---- waiting, ports, folders

def test_wait_for_tells_what_and_why():
    def never():
        raise ValueError("not yet")
    with pytest.raises(TimeoutError, match="a miracle.*not yet"):
        wait_for(never, "a miracle", timeout=0.05)


def test_ports_differ_between_processes():
    code = "from harness import free_port; print(*(free_port() for _ in range(40)))"
    env = dict(os.environ, PYTHONPATH=os.path.join(daemon.ROOT, "tests"))
    children = [subprocess.Popen([sys.executable, "-c", code + "; input()"], env=env, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    ports = [free_port() for _ in range(40)]
    for child in children:
        ports += [int(p) for p in child.stdout.readline().split()]
    for child in children:
        child.communicate("\n", timeout=10)
    assert len(ports) == 120 and len(set(ports)) == 120


def test_workdir_goes_away_and_has_unthreaded_drivers():
    with Workdir() as work:
        path = work.path
        with open(work.file("odbcinst.ini"), encoding="utf-8") as f:
            text = f.read()
        assert text.count("[") == 3 and text.count("Threading=0") == 3
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o755
    assert not os.path.exists(path)


# ---- processes

def test_child_dies_with_its_parent(work):
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from harness.process import Process\n"
            "print(Process(['sleep', '600'], sys.argv[2]).pid, flush=True)\n"
            "input()\n")
    parent = subprocess.Popen([sys.executable, "-c", code, os.path.join(daemon.ROOT, "tests"), work.file("log")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.communicate()
    wait_for(lambda: gone(child), "the child to be gone", 10)


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_child_outlives_the_thread_that_asked_for_it(work):
    made = []
    thread = threading.Thread(target=lambda: made.append(Process(["sleep", "600"], work.file("log"))))
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        made[0].wait(0.2)
    assert made[0].kill() == -9


def test_process_that_ignores_sigterm_is_killed_and_told(work):
    deaf = Process(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"], work.file("log"))
    wait_for(lambda: "deaf" in deaf.text(), "the trap")
    with pytest.raises(TimeoutError, match="SIGTERM"):
        deaf.stop(timeout=0.3)
    assert deaf.status == -9


# ---- servers

def test_postgres_decodes_logically_and_is_private(postgres):
    must_be_unprivileged(postgres.process.pid)
    assert postgres.query("SHOW wal_level") == [("logical",)]
    assert postgres.query("SHOW listen_addresses") == [("127.0.0.1",)]
    assert postgres.query("SELECT current_database()") == [("crm",)]
    with pytest.raises(RuntimeError, match="syntax error"):
        postgres.psql("SELEC 1;")


def test_postgres_keeps_a_commit_through_kill(work):
    with Postgres(work) as pg:
        pg.execute("CREATE TABLE t (n int)")
        pg.execute("INSERT INTO t VALUES (7)")
        pg.kill()
        with pytest.raises(psycopg2.OperationalError):
            pg.connect()
        pg.start()
        assert pg.query("SELECT n FROM t") == [(7,)]


def test_mariadb_is_as_legacies_are(mariadb, unique):
    must_be_unprivileged(mariadb.process.pid)
    assert mariadb.query("SELECT @@character_set_server, @@sql_mode") == (("utf8mb4", "NO_ENGINE_SUBSTITUTION"),)
    mariadb.script(f"CREATE TABLE {unique} (d DATETIME, v VARCHAR(3));"
                   f"INSERT INTO {unique} VALUES ('0000-00-00 00:00:00', 'toolong');")
    assert mariadb.query(f"SELECT CAST(d AS CHAR), v FROM {unique}") == (("0000-00-00 00:00:00", "too"),)
    with pytest.raises(RuntimeError, match="syntax"):
        mariadb.script("SELEC 1;")


def odbc_select(work, conninfo, sql):
    done = subprocess.run(["isql", "-b", "-v", "-k", conninfo], input=sql + "\n", text=True, check=False,
                          env=dict(os.environ, **work.odbc_env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout


def test_odbc_strings_connect(work, sqlite, mariadb, postgres):
    sqlite.script("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('by sqlite');")
    assert "by sqlite" in odbc_select(work, sqlite.odbc(), "SELECT v FROM t")
    assert "by mariadb" in odbc_select(work, mariadb.odbc(), "SELECT CONCAT('by ', 'mariadb')")
    assert "by postgres" in odbc_select(work, postgres.odbc(), "SELECT 'by ' || 'postgres'")


def produce(kafka, topic, values, key=b"k"):
    lost = []
    p = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    for v in values:
        p.produce(topic, v, key=key, on_delivery=lambda e, m: lost.append(e) if e else None)
    assert p.flush(30) == 0 and not lost


def consume(kafka, topic, count):
    c = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    c.subscribe([topic])
    got = []

    def enough():
        m = c.poll(0.2)
        if m is not None and not m.error():
            got.append(m.value())
        return len(got) >= count
    try:
        wait_for(enough, f"{count} messages", interval=0)
    finally:
        c.close()
    return got


def test_kafka_carries_messages(kafka, unique):
    must_be_unprivileged(kafka.process.pid)
    kafka.create_topic(unique, partitions=2, config={"cleanup.policy": "compact"})
    assert kafka.topics()[unique] == 2
    produce(kafka, unique, [b"a", b"b", b"c"])
    assert consume(kafka, unique, 3) == [b"a", b"b", b"c"]


def test_kafka_keeps_messages_through_kill(work):
    with Kafka(work) as kafka:
        kafka.create_topic("t")
        produce(kafka, "t", [b"before"])
        kafka.kill()
        kafka.start()
        produce(kafka, "t", [b"after"])
        assert consume(kafka, "t", 2) == [b"before", b"after"]


# ---- the proxy

class Echo:
    """A server that sends back what it gets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(conn,), daemon=True).start()

    @staticmethod
    def _echo(conn):
        with conn:
            try:
                while data := conn.recv(4096):
                    conn.sendall(data)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()


@pytest.fixture
def line():
    """A proxy before an echo server, and a connection through it."""
    with Echo() as echo, Proxy(echo.port) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as conn:
            conn.sendall(b"hello")
            assert conn.recv(16) == b"hello"
            yield proxy, conn


def test_proxy_stalls_and_resumes(line):
    proxy, conn = line
    proxy.stall()
    conn.sendall(b"late")
    conn.settimeout(0.2)
    with pytest.raises(TimeoutError):
        conn.recv(16)
    proxy.resume()
    conn.settimeout(10)
    assert conn.recv(16) == b"late"


def test_proxy_resets(line):
    proxy, conn = line
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        conn.recv(16)


def test_proxy_refuses_new_connections_only(line):
    proxy, conn = line
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as second:
            second.recv(16)
    conn.sendall(b"still")
    assert conn.recv(16) == b"still"
    proxy.accept()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as third:
        third.sendall(b"again")
        assert third.recv(16) == b"again"


def test_proxy_never_resumes_a_stream_that_lost_bytes(line):
    proxy, conn = line
    proxy.blackhole()
    conn.sendall(b"lost")
    conn.settimeout(0.2)
    with pytest.raises(TimeoutError):
        conn.recv(16)
    conn.settimeout(10)
    proxy.resume()
    with pytest.raises(ConnectionResetError):
        conn.recv(16)


def test_proxy_passes_a_database(postgres):
    with Proxy(postgres.port) as proxy:
        db = psycopg2.connect(postgres.conninfo(port=proxy.port))
        with db.cursor() as cur:
            cur.execute("SELECT repeat('x', 1000000)")
            assert len(cur.fetchone()[0]) == 1000000
            proxy.reset()
            with pytest.raises(psycopg2.OperationalError):
                cur.execute("SELECT 1")


# ---- the judge of daemons, on stand-ins for the program

@pytest.fixture
def stand_in(work, monkeypatch):
    """Makes Daemon run a shell script instead of `ficus`."""
    def make(script, **options):
        path = work.file("stand-in/ficus", "#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        monkeypatch.setattr(daemon, "binary", lambda variant=None: path)
        return Daemon(work, "serve", **options)
    return make


WAIT = "trap 'exit %d' TERM; echo 2026-01-01T00:00:00.000Z info serve up >&2\nwhile :; do sleep 0.02; done\n"


def test_daemon_that_ends_well_passes(stand_in):
    d = stand_in(WAIT % 0, ready=lambda d: "up" in d.text())
    with d:
        assert d.wait_log("serve (up)").group(1) == "up"


def test_daemon_with_a_bad_status_fails(stand_in):
    d = stand_in(WAIT % 5, ready=lambda d: "up" in d.text()).start()
    with pytest.raises(AssertionError, match="exit status 5"):
        d.stop()


def test_daemon_with_a_sanitizer_report_fails(stand_in):
    d = stand_in("echo '==1==ERROR: AddressSanitizer: heap-use-after-free' >&2\n" + WAIT % 0,
                 ready=lambda d: "up" in d.text()).start()
    with pytest.raises(AssertionError, match="sanitizer report"):
        d.stop()


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00.000Z error serve.db broken",
                                  '{"time":"2026-01-01T00:00:00.000Z","level":"error","message":"broken"}'])
def test_daemon_that_logged_an_error_fails_unless_allowed(stand_in, text):
    script = f"echo '{text}' >&2\n" + WAIT % 0
    d = stand_in(script, ready=lambda d: "up" in d.text()).start()
    with pytest.raises(AssertionError, match="broken"):
        d.stop()
    stand_in(script, ready=lambda d: "up" in d.text(), allow=["broken"]).start().stop()


def test_daemon_that_dies_at_start_shows_its_log(stand_in):
    with pytest.raises(RuntimeError, match="no such map"):
        stand_in("echo no such map >&2; exit 3\n", ready=lambda d: False).start()


def test_mariadb_survives_kill_and_restart(work):
    with MariaDB(work) as db:
        db.execute("CREATE TABLE t (n INT)")
        db.execute("INSERT INTO t VALUES (7)")
        db.kill()
        with pytest.raises(pymysql.err.OperationalError):
            db.connect()
        db.start()
        assert db.query("SELECT n FROM t") == ((7,),)
