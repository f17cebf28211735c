# SPDX-License-Identifier: Apache-2.0
"""What the fence costs direct writers: durable updates over 4 connections, with the check in the
trigger and without it, side by side, on PostgreSQL (the new store's guard) and MariaDB."""
import multiprocessing
import os
import time

import psycopg2
import pymysql

from harness import MariaDB, Postgres

CONNECTIONS, SECONDS = 4, float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PG_GUARD = """
CREATE SCHEMA bench; CREATE TABLE bench.fence (grp text PRIMARY KEY, writable boolean, epoch bigint);
INSERT INTO bench.fence VALUES ('g', true, 1);
CREATE FUNCTION bench.guard() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
DECLARE w boolean; BEGIN
 PERFORM pg_advisory_xact_lock_shared(hashtextextended('ficus.fence.g', 0));
 SELECT writable INTO w FROM bench.fence WHERE grp = 'g';
 IF NOT w THEN RAISE EXCEPTION 'fence'; END IF; RETURN NULL; END $$;
CREATE TABLE bench.with_fence (id int PRIMARY KEY, v int); CREATE TABLE bench.without (LIKE bench.with_fence INCLUDING ALL);
INSERT INTO bench.with_fence SELECT i, 0 FROM generate_series(1, 1000) i; INSERT INTO bench.without SELECT * FROM bench.with_fence;
CREATE TRIGGER guard BEFORE UPDATE ON bench.with_fence FOR EACH STATEMENT EXECUTE FUNCTION bench.guard();
"""
MY_GUARD = ["CREATE TABLE fence (grp varchar(64) PRIMARY KEY, writable int, epoch bigint)",
            "INSERT INTO fence VALUES ('g', 1, 1)",
            "CREATE TABLE with_fence (id int PRIMARY KEY, v int)", "CREATE TABLE without_fence LIKE with_fence",
            "INSERT INTO with_fence SELECT seq, 0 FROM seq_1_to_1000",
            "INSERT INTO without_fence SELECT * FROM with_fence",
            "CREATE TRIGGER guard BEFORE UPDATE ON with_fence FOR EACH ROW BEGIN DECLARE w int;"
            " SELECT writable INTO w FROM fence WHERE grp = 'g' LOCK IN SHARE MODE;"
            " IF w <> 1 THEN SIGNAL SQLSTATE '45000'; END IF; END"]


def write(connect, table, lane, seconds, out):
    db = connect()
    db.autocommit = True if not callable(db.autocommit) else db.autocommit(True)
    cursor, n, end = db.cursor(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        n += 1
        cursor.execute(f"UPDATE {table} SET v = {n} WHERE id = {lane * 250 + n % 250 + 1}")
    out.put(n / seconds)


def rate(connect, table):
    out = multiprocessing.Queue()
    lanes = [multiprocessing.Process(target=write, args=(connect, table, i, SECONDS, out)) for i in range(CONNECTIONS)]
    for lane in lanes:
        lane.start()
    total = sum(out.get() for _ in lanes)
    for lane in lanes:
        lane.join()
    return total


def bench_fence(work, row):
    """`row` makes a row of two lists of rounds."""
    rows = []
    with Postgres(work, "fence-pg", durable=True) as pg, MariaDB(work, "fence-my", durable=True) as my:
        pg.psql(PG_GUARD)
        for statement in MY_GUARD:
            my.execute(statement)
        dsn, facts = pg.conninfo(), {"host": my.host, "port": my.port, "user": my.user, "password": my.password,
                                     "database": my.database}
        for name, connect, tables in (("PostgreSQL", lambda: psycopg2.connect(dsn), ("bench.with_fence", "bench.without")),
                                      ("MariaDB", lambda: pymysql.connect(**facts), ("with_fence", "without_fence"))):
            ours, peer = [], []
            for _ in range(ROUNDS):
                ours.append(rate(connect, tables[0]))
                peer.append(rate(connect, tables[1]))
            rows.append(row(f"{name}, 4 durable writers with the fence: writes/s", ours, peer, "without the fence", 0.95,
                            "high"))
    return rows
