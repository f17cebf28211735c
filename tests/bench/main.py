#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: ratios against real peers, measured in one run, alternating, medians with
spread. Writes build/bench.json and prints its table from that file. Bounded: a few minutes.

Environment: BENCH_ROWS (accounts, default 20000), BENCH_ROUNDS (default 5), BENCH_SECONDS (of
each load, default 3), BENCH_LEGACY (default "sqlite mariadb").
"""
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness import Workdir, wait_for  # noqa: E402
from harness.stack import Stack  # noqa: E402

ROWS = int(os.environ.get("BENCH_ROWS", "20000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
LEGACIES = os.environ.get("BENCH_LEGACY", "sqlite mariadb").split()
CONNECTIONS = 4
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
def build_loop(work):
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "odbc"], text=True).split()
    path = work.file("odbc_loop")
    subprocess.run(["gcc", "-O2", "-o", path, os.path.join(HERE, "odbc_loop.c"), *flags, "-lpthread"], check=True)
    return path


def select_by_key(stack):
    text = stack.run("check", "--print", "sql", "account").stdout
    statement = text.split("-- facade: one row", 1)[1].split("\n", 1)[1].split("\n\n", 1)[0]
    return statement.strip().rstrip(";")


def post(connection, method, rest_data):
    body = urllib.parse.urlencode({"method": method, "input_type": "JSON", "response_type": "JSON",
                                   "rest_data": json.dumps(rest_data)})
    connection.request("POST", "/service/v4_1/rest.php", body,
                       {"Content-Type": "application/x-www-form-urlencoded"})
    return connection.getresponse().read()


def route_load(stack, keys, seconds):
    """CPU microseconds of `ficus serve` a request."""
    stop, counts = threading.Event(), [0] * CONNECTIONS
    pid = stack.facades[0].pid

    def client(i):
        connection = http.client.HTTPConnection("127.0.0.1", stack.fronts[0][0])
        session = json.loads(post(connection, "login", [{"user_name": "admin", "password": "admin1",
                                                         "encryption": "PLAIN"}, "bench", []]))["id"]
        ready.wait()
        at = i * 7919
        while not stop.is_set():
            answer = post(connection, "get_entry", [session, "Accounts", keys[at % len(keys)], [], []])
            if b'"entry_list"' not in answer:
                raise RuntimeError(answer[:300])
            counts[i] += 1
            at += 1
        connection.close()

    ready = threading.Barrier(CONNECTIONS + 1)
    threads = [threading.Thread(target=client, args=(i,)) for i in range(CONNECTIONS)]
    for t in threads:
        t.start()
    ready.wait()
    before = cpu_seconds(pid)
    stop.wait(seconds)
    stop.set()
    for t in threads:
        t.join()
    return (cpu_seconds(pid) - before) * 1e6 / sum(counts)


def bench_route(stack, work):
    keys = [k for (k,) in stack.old("SELECT id FROM accounts WHERE deleted = 0 LIMIT 5000")]
    loop, sql, ours, peer = build_loop(work), select_by_key(stack), [], []
    keyfile = work.file("keys", "\n".join(k for k in keys if " " not in k) + "\n")
    env = dict(os.environ, **work.odbc_env)
    for _ in range(ROUNDS):
        ours.append(route_load(stack, keys, SECONDS))
        done = subprocess.run([loop, stack.legacy.odbc(), sql, keyfile, str(CONNECTIONS), str(SECONDS)],
                              env=env, check=True, stdout=subprocess.PIPE, text=True)
        peer.append(float(done.stdout.split()[1]))
    return row(f"legacy route on {stack.kind}: CPU us a request", ours, peer, "bare ODBC loop", 1.6)


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
    start = time.monotonic()
    stack.run("sync", "snapshot", "account")
    wait_for(lambda: stack.new("SELECT state FROM ficus.snapshot WHERE entity = 'account'")[0][0] == "done",
             "the snapshot", 240, interval=0.02)
    stack.wait_quiet(120)
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


def bench_snapshot(stack, work):
    total = stack.old("SELECT count(*) FROM accounts")[0][0]
    name = f"snapshot of {total} accounts, MariaDB to PostgreSQL through Kafka: rows/s"
    ours, peer, peer_name = [], [], "pgloader"
    for _ in range(max(3, ROUNDS - 2)):
        ours.append(snapshot_rate(stack, total))
        if shutil.which("pgloader"):
            peer.append(pgloader_rate(stack, work, total))
    if not peer:
        peer_name = "pgloader (not installed: not compared)"
    return row(name, ours, peer, peer_name, 1.2, "high")


# ---------------------------------------------------------------- latency
def bench_latency(stack):
    """Commit in the legacy to visible in the new store, at a low rate."""
    key = stack.old("SELECT id FROM contacts WHERE deleted = 0 LIMIT 1")[0][0]
    legacy, new, waits = stack.legacy.connect(), stack.postgres.connect(), []
    old, cursor = legacy.cursor(), new.cursor()
    for i in range(200):
        old.execute("UPDATE contacts SET title = 'bench %d' WHERE id = '%s'" % (i, key))
        start = time.monotonic()
        while True:
            cursor.execute("SELECT 1 FROM crm.contact WHERE id = %s AND title = %s", (key, f"bench {i}"))
            if cursor.fetchone():
                break
            if time.monotonic() - start > 30:
                raise RuntimeError("a change did not arrive in 30 s")
        waits.append((time.monotonic() - start) * 1000)
    waits.sort()
    return [row(f"{stack.kind} commit to visible in new, p50 ms", [waits[100]], [], "-", None),
            row(f"{stack.kind} commit to visible in new, p99 ms", [waits[198]], [], "-", None)]


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
    rows = []
    for legacy in LEGACIES:
        with Workdir() as work, Stack(work, legacy, rows=ROWS, step=lambda t: print("  " + t, flush=True),
                                      ratios={"leads": 1.0, "opportunities": 0.1, "cases": 0.1, "notes": 0.1,
                                              "calls": 0.1, "contacts": 0.2},
                                      settings={"log.level": "info"}, allow=["."]) as stack:
            print(f"  measuring on {legacy}", flush=True)
            rows.append(bench_route(stack, work))
            rows += bench_latency(stack)
            if legacy == "mariadb":
                rows.append(bench_snapshot(stack, work))
            rows.append(bench_apply(stack, work))
            with open(OUT, "w", encoding="utf-8") as f:
                json.dump(rows, f, indent=1)
    show()


if __name__ == "__main__":
    main()
