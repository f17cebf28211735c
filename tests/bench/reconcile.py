# SPDX-License-Identifier: Apache-2.0
"""The reconciliation rows of `make bench`: MariaDB against PostgreSQL, 12 columns, in one run,
alternating with server-side MD5 on both in parallel and with reladiff. BENCH_RECONCILE_ROWS
(default 300000), BENCH_ROUNDS. Alone: python3 tests/bench/reconcile.py
"""
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests/integration")]

from harness import Kafka, MariaDB, Postgres, Workdir, wait_for  # noqa: E402
from loop import Loop  # noqa: E402

ROWS = int(os.environ.get("BENCH_RECONCILE_ROWS", "300000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RELADIFF = os.path.join(ROOT, "build/bench-venv/bin/reladiff")

COLUMNS = {"name": ("varchar(150)", "text", {"type": "text", "length": 150}),
           "kind": ("varchar(50)", "text", {"type": "text", "length": 50}),
           "industry": ("varchar(50)", "text", {"type": "text", "length": 50}),
           "revenue": ("decimal(18,2)", "numeric(18,2)", {"type": "decimal", "precision": 18, "scale": 2}),
           "staff": ("int", "integer", {"type": "integer", "bits": 32}),
           "phone": ("varchar(100)", "text", {"type": "text", "length": 100}),
           "city": ("varchar(100)", "text", {"type": "text", "length": 100}),
           "note": ("varchar(255)", "text", {"type": "text", "length": 255}),
           "gone": ("tinyint(1)", "boolean", {"type": "boolean"}),
           "born": ("date", "date", {"type": "date"}),
           "modified": ("datetime", "timestamptz", {"type": "timestamp"})}
ACCOUNT = {"entity": "account", "plural": "accounts", "title": "Account",
           "key": {"fields": ["id"], "make": "uuid"}, "legacy": {"root": "accounts"}, "new": {"root": "crm.account"},
           "fields": {"id": {"type": "id", "length": 36}, **{k: v[2] for k, v in COLUMNS.items()}}}


def line(i):
    k = f"{i * 2654435761 % 2**32:08x}-0000-4000-8000-{i:012x}"
    return "\t".join((k, f"Account {i}", "Customer", f"Industry {i % 40}", f"{i * 37 % 10**8}.{i % 100:02d}",
                      str(i % 5000), f"+49 30 {i:08d}", f"City {i % 900}", f"what was said about {i}", str(i % 2),
                      f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}", f"2024-01-{i % 28 + 1:02d} 10:{i % 60:02d}:00")) + "\n"


def fill(work, mariadb, postgres, name):
    data = work.file("rows.tsv", "".join(line(i) for i in range(ROWS)))
    mariadb.execute("CREATE TABLE accounts (id char(36) NOT NULL PRIMARY KEY, "
                    + ", ".join(f"{c} {t[0]}" for c, t in COLUMNS.items()) + ")", database=name)
    subprocess.run(["mariadb", "--local-infile=1", "-h127.0.0.1", f"-P{mariadb.port}", f"-u{mariadb.user}",
                    f"-p{mariadb.password}", name, "-e", f"LOAD DATA LOCAL INFILE '{data}' INTO TABLE accounts"],
                   check=True)
    work.file("sql/0001_accounts.up.sql", "CREATE SCHEMA crm; CREATE TABLE crm.account (id text PRIMARY KEY, "
              + ", ".join(f"{c} {t[1]}" for c, t in COLUMNS.items()) + ");")
    work.file("sql/0001_accounts.down.sql", "DROP TABLE crm.account;")
    return data


def copy_in(loop, postgres, data):
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(postgres.port), "-U",
                    postgres.user, "-d", loop.database, "-c", "SET session_replication_role = replica", "-c",
                    f"\\copy crm.account FROM '{data}'"], check=True, env=dict(os.environ, PGTZ="UTC"))
    loop.write_new("ANALYZE crm.account")


def resident(pid, stop):
    """Greatest resident size in MiB. (ru_maxrss would begin with that of this process.)"""
    most = 0
    while not stop.wait(0.02):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                most = max(most, *(int(line.split()[1]) for line in f if line.startswith("VmHWM")), 0)
        except (OSError, ValueError):
            break
    return most / 1024


def reconcile(loop, *words):
    """Seconds, the report, and the process's greatest resident size in MiB."""
    found, stop = [], threading.Event()
    start = time.monotonic()
    child = subprocess.Popen([os.path.join(ROOT, "build/ficus"), "reconcile", "-c", loop.config, "account", "--json",
                              *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watch = threading.Thread(target=lambda: found.append(resident(child.pid, stop)))
    watch.start()
    out, errors = child.communicate()
    seconds = time.monotonic() - start
    stop.set()
    watch.join()
    if not out:
        raise RuntimeError(errors)
    return seconds, json.loads(out), found[0]


def server_md5(loop):
    """The whole table hashed by both servers at once; the slower of the two."""
    my = ("SELECT COUNT(*), SUM(CAST(CONV(LEFT(MD5(CONCAT_WS('|', id, " + ", ".join(
        f"IFNULL({c}, 'N')" for c in COLUMNS) + ")), 15), 16, 10) AS UNSIGNED)) FROM accounts")
    pg = ("SELECT count(*), sum(('x' || left(md5(concat_ws('|', id, " + ", ".join(
        f"coalesce({c}::int::text, 'N')" if c == "gone" else
        f"coalesce(to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'N')" if c == "modified" else
        f"coalesce({c}::text, 'N')" for c in COLUMNS) + ")), 15))::bit(60)::bigint) FROM crm.account")
    got = {}
    start = time.monotonic()
    threads = [threading.Thread(target=lambda: got.update(old=loop.old(my))),
               threading.Thread(target=lambda: got.update(new=loop.new(pg)))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.monotonic() - start
    if [int(x) for x in got["old"][0]] != [int(x) for x in got["new"][0]]:
        raise RuntimeError(f"the servers' sums differ: {got}")
    return seconds


def reladiff(loop, mariadb, postgres):
    start = time.monotonic()
    done = subprocess.run([RELADIFF, f"mysql://{mariadb.user}:{mariadb.password}@127.0.0.1:{mariadb.port}/{loop.legacy.name}",
                           "accounts", f"postgresql://{postgres.user}@127.0.0.1:{postgres.port}/{loop.database}",
                           "crm.account", "-k", "id", "-c", "%", "-j", "4"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return time.monotonic() - start


def writers_rate(loop, seconds, meanwhile=None):
    stop, counts = threading.Event(), []

    def write(at):
        connection = loop.legacy.connect()
        cursor, n = connection.cursor(), 0
        while not stop.is_set():
            n += 1
            i = (at * 100003 + n * 7) % ROWS
            cursor.execute("UPDATE accounts SET staff = staff + 1 WHERE id = %s", (line(i).split("\t", 1)[0],))
        counts.append(n)
        connection.close()

    threads = [threading.Thread(target=write, args=(at,)) for at in range(4)]
    start = time.monotonic()
    for t in threads:
        t.start()
    ran = False
    while time.monotonic() - start < seconds:
        if meanwhile and not ran:
            ran = True
            meanwhile()
        stop.wait(0.01)
    stop.set()
    for t in threads:
        t.join()
    return sum(counts) / (time.monotonic() - start)


class Database:
    def __init__(self, server, name):
        self.server, self.name = server, name
        server.create_database(name)

    def odbc(self):
        return self.server.odbc(database=self.name)

    def connect(self):
        return self.server.connect(database=self.name)

    def query(self, sql, params=()):
        return self.server.query(sql.replace("?", "%s"), params, database=self.name)

    def execute(self, sql, params=()):
        self.server.execute(sql.replace("?", "%s"), params, database=self.name)


class Hidden:
    """Writes to the new store that neither fence nor capture sees."""

    def __init__(self, loop):
        self.connection = loop.postgres.connect(database=loop.database, autocommit=False)
        self.execute = self.connection.cursor().execute
        name = f"ficus_{loop.prefix}_bench"
        self.execute("SELECT pg_replication_origin_create(%s) WHERE pg_replication_origin_oid(%s) IS NULL", (name, name))
        self.execute("SET session_replication_role = replica")
        self.execute("SELECT pg_replication_origin_session_setup(%s)", (name,))
        self.connection.commit()

    def notes(self, keys, expression):
        for k in keys:
            self.execute(f"UPDATE crm.account SET note = {expression} WHERE id = %s", (k,))
        self.connection.commit()


def change_one_in_a_hundred(loop, keys):
    listed = ",".join(f"'{k}'" for k in keys)
    loop.legacy.execute(f"UPDATE accounts SET staff = staff + 1 WHERE id IN ({listed})")
    total = loop.old(f"SELECT SUM(staff) FROM accounts WHERE id IN ({listed})")[0][0]
    wait_for(lambda: loop.new(f"SELECT sum(staff) FROM crm.account WHERE id IN ({listed})")[0][0] == int(total),
             "the changes", 120)


def proven(report):
    if not report["equal"]:
        raise RuntimeError(json.dumps(report)[:2000])
    return report


def measure(row, loop, mariadb, postgres):
    rows, ours, md5, peer, again, first = [], [], [], [], [], []
    size = f"{ROWS} rows x 12 columns, MariaDB against PostgreSQL"
    rss = 0
    for _ in range(ROUNDS):
        seconds, report, mib = reconcile(loop)
        proven(report)
        ours.append(seconds)
        rss = max(rss, mib)
        md5.append(server_md5(loop))
        if os.path.exists(RELADIFF):
            peer.append(reladiff(loop, mariadb, postgres))
    rows.append(row(f"{size}, equal: s", ours, md5, "server-side MD5 on both in parallel", 1 / 1.5))
    rows.append(row(f"{size}, equal: s", ours, peer, "reladiff 0.6" if peer else "reladiff (not installed)", 1 / 3))
    wire = [reconcile(loop, "--plan", p)[1]["entities"][0]["wire_bytes"] for p in ("pushdown", "stream")]
    rows.append(row("pushdown when equal: bytes over the wire", [wire[0]], [wire[1]], "bytes of the rows", 0.01))
    rows.append(row(f"greatest resident size at {ROWS} rows: MiB", [rss], [], "-", None))
    keys = [line(i).split("\t", 1)[0] for i in range(0, ROWS, 100)]
    for _ in range(ROUNDS):
        seconds, report, _ = reconcile(loop)
        proven(report)
        first.append(seconds)
        change_one_in_a_hundred(loop, keys)
        seconds, report, _ = reconcile(loop, "--changed")
        if proven(report)["entities"][0]["rows_legacy"] != len(keys):
            raise RuntimeError(json.dumps(report)[:2000])
        again.append(seconds)
    rows.append(row("proving it again after 1 % changed: s", again, first, "the first proof", 1 / 30))
    rows.append(row("live writers, updates/s", [writers_rate(loop, 6, lambda: reconcile(loop))], [writers_rate(loop, 6)],
                    "no reconciliation", 0.9, "high"))
    wait_for(lambda: reconcile(loop, "--changed")[1]["equal"], "rest", 120)
    equal, differ, hidden = [], [], Hidden(loop)
    for _ in range(ROUNDS):
        equal.append(reconcile(loop)[0])
        hidden.notes(keys[:10], "note || '.'")
        seconds, report, _ = reconcile(loop)
        if report["entities"][0]["differences"] != 10:
            raise RuntimeError(json.dumps(report)[:2000])
        differ.append(seconds)
        hidden.notes(keys[:10], "left(note, -1)")
    rows.append(row(f"{size}, 10 differences: s", differ, equal, "equal", 1.1))
    return rows


def bench_reconcile(row):
    with Workdir() as work, Postgres(work) as postgres, MariaDB(work) as mariadb, Kafka(work) as kafka:
        name = "bench_reconcile"
        legacy = Database(mariadb, f"{name}_old")
        data = fill(work, mariadb, postgres, legacy.name)
        loop = Loop(work, "mariadb", legacy, postgres, kafka, name, sync={"snapshot": "off"})
        for entity in ("box", "thing", "pair"):
            os.unlink(os.path.join(work.path, f"maps/{entity}.json"))
        work.file("maps/account.json", json.dumps(ACCOUNT))
        for end in ("up", "down"):
            os.unlink(os.path.join(work.path, f"sql/0001_things.{end}.sql"))
        loop.migrate()
        copy_in(loop, postgres, data)
        with loop.sync():
            return measure(row, loop, mariadb, postgres)


if __name__ == "__main__":
    from main import row as main_row
    for r in bench_reconcile(main_row):
        print(json.dumps(r))
