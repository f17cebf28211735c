#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: ratios against real peers, measured in one run, alternating, medians with
spread. Writes build/bench.json and prints its table from that file. Bounded: a few minutes.

Environment: BENCH_ROWS (accounts, default 20000 on SQLite and 100000 on MariaDB, where they are
snapshotted), BENCH_ROUNDS (default 5), BENCH_SECONDS (of each load, default 3), BENCH_LEGACY
(default "sqlite mariadb").
"""
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from bench.fence import bench_fence  # noqa: E402
from bench.switch import bench_groups, bench_sizes, bench_switch  # noqa: E402
from harness import Workdir, wait_for  # noqa: E402
from harness.stack import Stack  # noqa: E402
from reconcile import bench_reconcile  # noqa: E402

ROWS = {kind: int(os.environ.get("BENCH_ROWS", n)) for kind, n in (("sqlite", 20000), ("mariadb", 100000))}
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
LEGACIES = os.environ.get("BENCH_LEGACY", "sqlite mariadb").split()
CONNECTIONS = 4  # of the ODBC pool and of the bare loop
CLIENTS = 16
OUT = os.path.join(ROOT, "build/bench.json")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def row(measure, ours, peer, peer_name, goal, better="low"):
    """`ours` and `peer` are lists of rounds taken side by side; ratio is ours over peer."""
    ratios = [a / b for a, b in zip(ours, peer)] if peer else []
    ratio = statistics.median(ratios) if ratios else None
    met = None if goal is None or ratio is None else ratio <= goal if better == "low" else ratio >= goal
    return {"measure": measure, "ours": round(statistics.median(ours), 3),
            "peer": round(statistics.median(peer), 3) if peer else None, "peer_name": peer_name,
            "ratio": round(ratio, 3) if ratios else None,
            "spread": [round(min(ratios), 3), round(max(ratios), 3)] if ratios else None,
            "goal": None if goal is None else f"{'<=' if better == 'low' else '>='} {goal}", "met": met}


# ---------------------------------------------------------------- the legacy route
def build(work, name, *libraries):
    """One of our C helpers beside this file, built into the working folder; its path."""
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", *libraries], text=True).split() \
        if libraries else []
    path = work.file(name)
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-o", path, os.path.join(HERE, name + ".c"), *flags, "-lpthread"],
                   check=True)
    return path


def select_by_key(stack):
    text = stack.run("check", "--print", "sql", "account").stdout
    statement = text.split("-- facade: one row", 1)[1].split("\n", 1)[1].split("\n\n", 1)[0]
    return statement.strip().rstrip(";")


def v4_1_request(method, rest_data):
    body = urllib.parse.urlencode({"method": method, "input_type": "JSON", "response_type": "JSON",
                                   "rest_data": json.dumps(rest_data)})
    return (f"POST /service/v4_1/rest.php HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def login(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = v4_1_request("login", [{"user_name": "admin", "password": "admin1", "encryption": "PLAIN"}, "bench", []])
    connection.request("POST", "/service/v4_1/rest.php", body.split("\r\n\r\n", 1)[1],
                       {"Content-Type": "application/x-www-form-urlencoded"})
    return json.loads(connection.getresponse().read())["id"]


def route_load(stack, load, requests, seconds):
    """CPU microseconds of `ficus serve` a request, under CLIENTS keep-alive connections."""
    pid = stack.facades[0].pid
    before = cpu_seconds(pid)
    done = subprocess.run([load, str(stack.fronts[0][0]), requests, str(CLIENTS), str(seconds), '"entry_list"'],
                          check=True, stdout=subprocess.PIPE, text=True)
    answered, failed = (int(word) for word in done.stdout.split()[:2])
    if failed:
        raise RuntimeError(f"{failed} of {answered} requests failed")
    return (cpu_seconds(pid) - before) * 1e6 / answered


def bench_route(stack, work):
    keys = [k for (k,) in stack.old("SELECT id FROM accounts WHERE deleted = 0 LIMIT 5000")]
    keys = [k for k in keys if " " not in k]
    session = login(stack.fronts[0][0])
    texts = [v4_1_request("get_entry", [session, "Accounts", k, [], []]) for k in keys]
    requests = work.file("requests", "".join(f"{len(t)}\n{t}" for t in texts))
    keyfile = work.file("keys", "\n".join(keys) + "\n")
    loop, load, sql = build(work, "odbc_loop", "odbc"), build(work, "http_load"), select_by_key(stack)
    env, ours, peer = dict(os.environ, **work.odbc_env), [], []
    for _ in range(ROUNDS):
        ours.append(route_load(stack, load, requests, SECONDS))
        done = subprocess.run([loop, stack.legacy.odbc(), sql, keyfile, str(CONNECTIONS), str(SECONDS)],
                              env=env, check=True, stdout=subprocess.PIPE, text=True)
        peer.append(float(done.stdout.split()[1]))
    return row(f"legacy route on {stack.kind}: CPU us a request", ours, peer, "bare ODBC loop", 1.4)


# ---------------------------------------------------------------- apply
def apply_rate(stack, total):
    """Rows a second that apply writes from a filled topic into an empty table."""
    stack.sync.stop()
    stack.postgres.psql("SET ficus.origin = 'bench'; TRUNCATE crm.lead;"
                        " UPDATE ficus.position SET next = 0, term = 0 WHERE stream = 'legacy.lead';")
    stack.sync.start()
    seen = []

    def arrived():
        n = stack.new("SELECT count(*) FROM crm.lead")[0][0]
        if n and (not seen or n > seen[-1][1]):
            seen.append((time.monotonic(), n))
        return n >= total
    wait_for(arrived, "leads from the topic", 120, interval=0.01)
    (t0, n0), (t1, n1) = seen[0], seen[-1]
    return (n1 - n0) / (t1 - t0) if t1 > t0 and n1 > n0 else None


def copy_rate(stack, dump):
    stack.postgres.psql("DROP TABLE IF EXISTS bench_copy; CREATE TABLE bench_copy (LIKE crm.lead INCLUDING ALL)")
    start = time.monotonic()
    stack.postgres.psql(f"\\copy bench_copy FROM '{dump}'")
    return stack.new("SELECT count(*) FROM bench_copy")[0][0] / (time.monotonic() - start)


def bench_apply(stack, work):
    stack.wait_quiet()
    total = stack.new("SELECT count(*) FROM crm.lead")[0][0]
    dump = work.file("leads.copy")
    stack.postgres.psql(f"\\copy crm.lead TO '{dump}'")
    ours, peer = [], []
    for _ in range(max(3, ROUNDS - 2)):
        rate = apply_rate(stack, total)
        if rate:
            ours.append(rate)
            peer.append(copy_rate(stack, dump))
    return row(f"apply from a filled topic, {total} rows: rows/s", ours, peer, "COPY of the same rows", 0.15, "high")


# ---------------------------------------------------------------- snapshot
def snapshot_rate(stack, total):
    """Into an empty table, as the peers: from the command until every row is there."""
    stack.postgres.psql("SET ficus.origin = 'bench'; TRUNCATE crm.account CASCADE")
    start = time.monotonic()
    stack.run("sync", "snapshot", "account")
    wait_for(lambda: stack.new("SELECT count(*) FROM crm.account")[0][0] == total
             and stack.new("SELECT state FROM ficus.snapshot WHERE entity = 'account'")[0][0] == "done",
             "the snapshot", 240, interval=0.05)
    return total / (time.monotonic() - start)


def pgloader_rate(stack, work, total):
    my, pg = stack.legacy, stack.postgres
    load = work.file("load", f"LOAD DATABASE FROM mysql://{my.user}:{my.password}@127.0.0.1:{my.port}/{my.database}\n"
                             f"INTO postgresql://{pg.user}@127.0.0.1:{pg.port}/{pg.database}\n"
                             f"WITH include drop, create tables\nINCLUDING ONLY TABLE NAMES MATCHING 'accounts';\n")
    start = time.monotonic()
    done = subprocess.run(["pgloader", "--no-ssl-cert-verification", load], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    seconds = time.monotonic() - start
    made = stack.new("SELECT quote_ident(schemaname) FROM pg_tables WHERE tablename = 'accounts'")
    found = stack.new(f"SELECT count(*) FROM {made[0][0]}.accounts")[0][0] if made else 0
    if made:
        stack.postgres.psql(f"DROP TABLE {made[0][0]}.accounts")
    if found != total:
        raise RuntimeError(f"pgloader copied {found} of {total} rows\n{done.stdout[-2000:]}")
    return total / seconds


def pipe_rate(stack, total):
    """The dump of a person in a hurry: mariadb --quick into COPY, every column as text."""
    my, pg = stack.legacy, stack.postgres
    columns = [name for (name,) in stack.old("SELECT column_name FROM information_schema.columns WHERE table_name"
                                             " = 'accounts' AND table_schema = database() ORDER BY ordinal_position")]
    stack.postgres.psql("DROP TABLE IF EXISTS bench_pipe; CREATE TABLE bench_pipe ("
                        + ", ".join(f'"{c}" text' for c in columns) + ", PRIMARY KEY (id))")
    start = time.monotonic()
    dump = subprocess.Popen(["mariadb", "--quick", "--batch", "--skip-column-names", "-h127.0.0.1", f"-P{my.port}",
                             f"-u{my.user}", f"-p{my.password}", my.database, "-e", "SELECT * FROM accounts"],
                            stdout=subprocess.PIPE)
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(pg.port), "-U", pg.user,
                    "-d", pg.database, "-c", "COPY bench_pipe FROM STDIN WITH (NULL 'NULL')"],
                   stdin=dump.stdout, check=True)
    if dump.wait() != 0:
        raise RuntimeError("mariadb --quick failed")
    seconds = time.monotonic() - start
    found = stack.new("SELECT count(*) FROM bench_pipe")[0][0]
    if found != total:
        raise RuntimeError(f"the pipe copied {found} of {total} rows")
    return total / seconds


def bench_snapshot(stack, work):
    total = stack.old("SELECT count(*) FROM accounts")[0][0]
    name = f"snapshot of {total} accounts, MariaDB to PostgreSQL through Kafka: rows/s"
    ours, pgloader, pipe = [], [], []
    for _ in range(max(3, ROUNDS - 2)):
        ours.append(snapshot_rate(stack, total))
        pipe.append(pipe_rate(stack, total))
        if shutil.which("pgloader"):
            pgloader.append(pgloader_rate(stack, work, total))
    told = "pgloader" if pgloader else "pgloader (not installed: not compared)"
    return [row(name, ours, pgloader, told, 1.2, "high"),
            row("the same", ours, pipe, "mariadb --quick | psql COPY, no checks, no stream", None, "high")]


# ---------------------------------------------------------------- latency
def waits_of(write, seen):
    """Sorted milliseconds from write(i)'s commit until seen(i)."""
    waits = []
    for i in range(200):
        write(i)
        start = time.monotonic()
        while not seen(i):
            if time.monotonic() - start > 30:
                raise RuntimeError("a change did not arrive in 30 s")
        waits.append((time.monotonic() - start) * 1000)
    return sorted(waits)


def bench_latency(stack):
    """Commit on one side to visible on the other, at a low rate: there, and after a cutover back."""
    key = stack.old("SELECT id FROM contacts WHERE deleted = 0 LIMIT 1")[0][0]
    legacy, new = stack.legacy.connect(), stack.postgres.connect()
    old, cursor = legacy.cursor(), new.cursor()
    title = "UPDATE {} SET title = 'bench {}' WHERE id = '{}'"
    find = "SELECT 1 FROM {} WHERE id = '{}' AND title = 'bench {}'"

    def one(c, sql):
        c.execute(sql)
        return c.fetchone()

    there = waits_of(lambda i: old.execute(title.format("contacts", i, key)),
                     lambda i: one(cursor, find.format("crm.contact", key, i)))
    stack.wait_quiet()
    if stack.cutover(force=True)["outcome"] != "done":
        raise RuntimeError("the cutover failed")
    back = waits_of(lambda i: cursor.execute(title.format("crm.contact", 1000 + i, key)),
                    lambda i: one(old, find.format("contacts", key, 1000 + i)))
    if stack.rollback(force=True)["outcome"] != "done":
        raise RuntimeError("the rollback failed")
    return [row(f"{stack.kind} {way}, {name} ms", [waits[at]], [], "-", None)
            for way, waits in (("commit in legacy to visible in new", there), ("commit in new to visible in legacy", back))
            for name, at in (("p50", 100), ("p99", 198))]


def show():
    with open(OUT, encoding="utf-8") as f:
        rows = json.load(f)
    print(f"\n{'measure':64} {'ours':>10} {'peer':>10} {'ratio':>7} {'spread':>15} {'goal':>8} met")
    for r in rows:
        spread = f"{r['spread'][0]}..{r['spread'][1]}" if r["spread"] else "-"
        met = {True: "yes", False: "NO", None: "-"}[r["met"]]
        print(f"{r['measure']:64} {r['ours']:>10} {r['peer'] if r['peer'] is not None else '-':>10}"
              f" {r['ratio'] if r['ratio'] is not None else '-':>7} {spread:>15} {r['goal'] or '-':>8} {met}"
              f"  ({r['peer_name']})")


def main():
    import wire  # pylint: disable=import-outside-toplevel  # it uses this module's tools
    with Workdir() as work:
        print("  measuring the wire", flush=True)
        rows = wire.bench_wire(sys.modules[__name__], work)
    for legacy in LEGACIES:
        with Workdir() as work, Stack(work, legacy, rows=ROWS[legacy], step=lambda t: print("  " + t, flush=True),
                                      ratios={"leads": 1.0, "opportunities": 0.1, "cases": 0.1, "notes": 0.1,
                                              "calls": 0.1, "contacts": 0.2},
                                      settings={"log.level": "info"}, allow=["."]) as stack:
            print(f"  measuring on {legacy}", flush=True)
            rows.append(bench_route(stack, work))
            rows += bench_latency(stack)
            rows += bench_switch(stack, login)
            if legacy == "mariadb":
                rows += bench_snapshot(stack, work)
            rows.append(bench_apply(stack, work))
            with open(OUT, "w", encoding="utf-8") as f:
                json.dump(rows, f, indent=1)
    with Workdir() as work:
        rows += bench_fence(work, row)
    rows += bench_sizes() + bench_groups()
    print("  measuring reconciliation", flush=True)
    rows += bench_reconcile(row)
    with open(OUT, "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    show()


if __name__ == "__main__":
    main()
