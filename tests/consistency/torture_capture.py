# SPDX-License-Identifier: Apache-2.0
"""`make torture-capture`: many sessions write to a legacy, the truth is kept beside, and what
arrived in the new store is compared with it.

    torture_capture.py [--changes 100000] [--seed 1] [--legacy sqlite|mariadb|postgres] [--kills 20]

Each change of a key raises its version under the key's lock and is written, with the version and
the transaction's own mark, into table `truth` in the same transaction: so truth holds exactly what
was committed, in the order of each key. Sessions commit late, roll back, use savepoints, delete and
insert again, move rows to another key, change fifty keys at once, write keys that nobody writes again (a later
change would hide that an earlier one was missed), are killed in mid-transaction; one stays open to the end;
`ficus sync` is killed --kills times on the way. A trigger in the new store records every change that had
an effect. Then:

- both stores hold the same rows, and every key's last change is the last one of truth;
- every effect is a committed version with its mark (nothing of a transaction that was rolled back),
  versions of a key only rise (no older change over a newer one, no effect twice), and both tables
  of the aggregate were read from one transaction;
- in the topic, a key's versions never fall.

Ends by itself; prints the seed and one line of JSON, exit status 1 when something is wrong.
"""
import argparse
import collections
import json
import os
import random
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

# pylint: disable=wrong-import-position
from confluent_kafka import Consumer, TopicPartition
from harness import Kafka, MariaDB, Postgres, Sqlite, Workdir, wait_for
from loop import LEGACY_OF, Loop

SESSIONS, LINGERER, BULK = 8, 99, 50
TRUTH = """
CREATE TABLE truth_now (id varchar(36) NOT NULL PRIMARY KEY, n int NOT NULL);
CREATE TABLE truth (id varchar(36) NOT NULL, n int NOT NULL, op char(1) NOT NULL, mark varchar(20) NOT NULL,
  PRIMARY KEY (id, n));
"""
EFFECTS = """
CREATE TABLE effect (seq bigserial, op char(1), id text, n int, mark text, color text);
CREATE FUNCTION effect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO effect (op, id, n) VALUES ('d', OLD.id, OLD.n);
  ELSIF TG_OP = 'INSERT' OR OLD IS DISTINCT FROM NEW THEN
    INSERT INTO effect (op, id, n, mark, color) VALUES ('u', NEW.id, NEW.n, NEW.name, NEW.color);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER effect AFTER INSERT OR UPDATE OR DELETE ON crm.thing FOR EACH ROW EXECUTE FUNCTION effect();
ALTER TABLE crm.thing ENABLE ALWAYS TRIGGER effect;
"""
# name, weight
SHAPES = (("one", 6), ("bulk", 3), ("undone", 2), ("savepoint", 2), ("again", 2), ("killed", 1), ("once", 3), ("moved", 2))


class Budget:
    """How many changes are still to be made, for all sessions."""

    def __init__(self, changes, kills):
        self.left, self.made, self.changed = changes, 0, threading.Condition()
        self.share = changes / (kills + 1)  # sync is killed once in each, but the last
        self.allowed = self.share if kills else changes

    def take(self, n):
        with self.changed:
            self.made += n
            self.left -= n
            self.changed.notify_all()

    def over(self):
        return self.left <= 0

    def end(self):
        with self.changed:
            self.left = 0
            self.changed.notify_all()

    def wait_turn(self):
        """However fast the machine, no kill is outrun."""
        with self.changed:
            self.changed.wait_for(lambda: self.over() or self.made < self.allowed)

    def wait_made(self, n):
        with self.changed:
            self.changed.wait_for(lambda: self.over() or self.made >= n)

    def next_share(self):
        with self.changed:
            self.allowed += self.share
            self.changed.notify_all()


class Session(threading.Thread):
    def __init__(self, loop, number, seed, keys, budget):
        super().__init__(name=f"session{number}", daemon=True)
        self.loop, self.number, self.keys, self.budget = loop, number, keys, budget
        self.random = random.Random(f"{seed}:{number}")
        self.outcomes, self.error, self.txn = collections.Counter(), None, 0
        self.kind, self.db = loop.dbms, None

    # ---- statements
    def run_sql(self, sql, params=()):
        cur = self.db.cursor()
        cur.execute(sql if self.kind == "sqlite" else sql.replace("?", "%s"), tuple(params))
        return cur

    def begin(self):
        if self.db is None:
            self.db = self.loop.legacy.connect()
            if self.kind == "mariadb":
                self.run_sql("SET SESSION innodb_lock_wait_timeout = 1")
        # MariaDB locks gaps at REPEATABLE READ: too many of those only wait for each other.
        strict = self.number != LINGERER and self.random.random() < (0.05 if self.kind == "mariadb" else 0.5)
        level = "REPEATABLE READ" if strict else "READ COMMITTED"
        if self.kind == "mariadb":
            self.run_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")
        self.run_sql({"sqlite": "BEGIN IMMEDIATE", "mariadb": "BEGIN"}.get(self.kind, f"BEGIN ISOLATION LEVEL {level}"))
        self.txn += 1

    def newest(self, *columns):
        if self.kind == "mariadb":
            return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{c} = VALUES({c})" for c in columns[1:])
        return f"ON CONFLICT ({columns[0]}) DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in columns[1:])

    def change(self, keys, op):
        """One change of each of the keys."""
        mark = f"{self.number}.{self.txn}.{self.random.randrange(1000)}"
        these = f"({', '.join('?' * len(keys))})"
        self.run_sql(f"UPDATE truth_now SET n = n + 1 WHERE id IN {these}", keys)
        if op == "u":
            both = [("things_more (id_c, color_c)", "id, ?", ("id_c", "color_c")),
                    ("things (id, name, n)", "id, ?, n", ("id", "name", "n"))]
            self.random.shuffle(both)
            for into, what, columns in both:
                self.run_sql(f"INSERT INTO {into} SELECT {what} FROM truth_now WHERE id IN {these} "
                             + self.newest(*columns), [mark] + keys)
        else:
            self.run_sql(f"DELETE FROM things WHERE id IN {these}", keys)
            self.run_sql(f"DELETE FROM things_more WHERE id_c IN {these}", keys)
        self.run_sql(f"INSERT INTO truth SELECT id, n, '{op}', ? FROM truth_now WHERE id IN {these}", [mark] + keys)
        return len(keys)

    def some(self, n):
        return sorted(self.random.sample(self.keys, n))

    def op(self):
        return "d" if self.random.random() < 0.15 else "u"

    # ---- shapes: how many changes were committed
    def linger(self):
        if self.random.random() < 0.1:
            threading.Event().wait(self.random.random() * (0.01 if self.kind == "sqlite" else 0.08))

    def one(self):
        return self.change(self.some(1), self.op())

    def bulk(self):
        return self.change(self.some(BULK), self.op())

    def again(self):
        keys = self.some(1 + self.random.randrange(3))
        return sum(self.change(keys, op) for op in ("d", "u", self.op()))

    def savepoint(self):
        made = self.one()
        self.run_sql("SAVEPOINT s")
        self.change(self.some(3), self.op())
        self.run_sql("ROLLBACK TO SAVEPOINT s")
        return made + (self.one() if self.random.random() < 0.5 else 0)

    def once(self):
        """Keys that no later change of theirs can heal."""
        keys = [f"once{self.number}.{self.txn}.{i}" for i in range(1 + self.random.randrange(3))]
        for key in keys:
            self.run_sql("INSERT INTO truth_now (id, n) VALUES (?, 0)", [key])
        return self.change(keys, "u")

    def moved(self):
        """A row takes the key of another, which goes."""
        old, new = self.random.sample(self.some(2), 2)
        mark = f"{self.number}.{self.txn}.m{self.random.randrange(1000)}"
        self.run_sql("UPDATE truth_now SET n = n + 1 WHERE id IN (?, ?)", [old, new])
        self.run_sql("DELETE FROM things WHERE id = ?", [new])
        self.run_sql("DELETE FROM things_more WHERE id_c = ?", [new])
        n = self.run_sql("SELECT n FROM truth_now WHERE id = ?", [new]).fetchone()[0]
        there = self.run_sql("UPDATE things SET id = ?, name = ?, n = ? WHERE id = ?", [new, mark, n, old]).rowcount
        self.run_sql("UPDATE things_more SET id_c = ?, color_c = ? WHERE id_c = ?", [new, mark, old])
        for key, op in ((old, "d"), (new, "u" if there else "d")):
            self.run_sql(f"INSERT INTO truth SELECT id, n, '{op}', ? FROM truth_now WHERE id = ?", [mark, key])
        return 2

    def undone(self):
        self.one()
        self.linger()
        return -1

    def killed(self):
        self.one()
        self.db.close()  # the server rolls back
        self.db = None
        return -1

    def step(self):
        shape = self.random.choices([s for s, _ in SHAPES], [w for _, w in SHAPES])[0]
        self.begin()
        made = getattr(self, shape)()
        self.linger()
        if self.db is not None:
            self.run_sql("COMMIT" if made >= 0 else "ROLLBACK")
        self.outcomes[shape] += 1
        return max(made, 0)

    def run(self):
        try:
            while not self.budget.over() and self.error is None:
                self.budget.wait_turn()
                try:
                    self.budget.take(self.step())
                except Exception as error:  # pylint: disable=broad-except
                    if not self.is_busy(error):
                        raise
                    self.outcomes["busy"] += 1
                    if self.kind != "sqlite":
                        self.run_sql("ROLLBACK")
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error
            self.budget.end()
        finally:
            if self.db is not None:
                self.db.close()

    def is_busy(self, error):
        if self.kind == "postgres":
            return getattr(error, "pgcode", None) in ("40001", "40P01", "55P03")
        if self.kind == "mariadb":
            return error.args and error.args[0] in (1205, 1213, 1020)
        return "database is locked" in str(error) and not self.db.in_transaction


class Lingerer:
    """A transaction that is open from before the first change to after the last."""

    def __init__(self, loop):
        self.loop = loop
        self.session = Session(loop, LINGERER, "lingerer", ["linger"], None)
        if loop.dbms != "sqlite":  # which would let nobody else write
            self.session.begin()
            self.session.change(["linger"], "u")

    def commit(self):
        if self.loop.dbms == "sqlite":
            self.session.begin()
            self.session.change(["linger"], "u")
        self.session.run_sql("COMMIT")
        self.session.db.close()


def versions_in_topic(loop):
    """What is wrong with the order in the topic; how many changes it holds."""
    wrong, last, count = [], {}, 0
    topic = f"{loop.prefix}.legacy.thing"
    c = Consumer({"bootstrap.servers": loop.kafka_address(), "group.id": str(uuid.uuid4()), "enable.auto.commit": False})
    for p in c.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = c.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
        c.assign([TopicPartition(topic, p, low)])
        while low < high:
            m = c.poll(10)
            assert m is not None and m.error() is None
            low = m.offset() + 1
            after = json.loads(m.value()).get("after") if m.value() else None
            if not after:
                continue
            count += 1
            if after["n"] < last.get(after["id"], -1):
                wrong.append(f"topic: {after['id']} falls from {last[after['id']]} to {after['n']} at {m.offset()}")
            last[after["id"]] = after["n"]
    c.close()
    return wrong, count


def judge(loop):
    """(violations, figures)"""
    truth, last, wrong = {}, {}, []
    for key, n, op, mark in loop.old("SELECT id, n, op, mark FROM truth ORDER BY id, n"):
        truth[key, n] = (op, mark)
        last[key] = (n, op, mark)
    effects = collections.defaultdict(list)
    for op, key, n, mark, color in loop.new("SELECT op, id, n, mark, color FROM effect ORDER BY seq"):
        effects[key].append((op, n, mark, color))
    for key, found in effects.items():
        before = -1
        for op, n, mark, color in found:
            if op == "u":
                if truth.get((key, n)) != ("u", mark):
                    wrong.append(f"{key}: version {n} arrived as {mark!r}, was {truth.get((key, n))}")
                if color != mark:
                    wrong.append(f"{key}: version {n} is torn: {mark!r} and {color!r}")
                if n <= before:
                    wrong.append(f"{key}: version {n} after {before}")
            elif n < before:
                wrong.append(f"{key}: deleted at {n} after {before}")
            before = n
    present = {r[0]: (int(r[2]), r[1]) for r in loop.new_things()}
    for key, (n, op, mark) in last.items():
        if present.get(key) != ((n, mark) if op == "u" else None):
            wrong.append(f"{key}: is {present.get(key)}, the last change was {n} {op} {mark!r}")
    ordered, events = versions_in_topic(loop)
    figures = {"committed": len(truth), "keys": len(last), "written_once": sum(key.startswith("once") for key in last), "events": events,
               "effects": sum(len(e) for e in effects.values())}
    return wrong + ordered, figures


def killed_again_and_again(loop, budget, daemon, kills, chaos):
    """The last of them, left running."""
    for k in range(kills):
        budget.wait_made(budget.share * (k + 0.3 + 0.7 * chaos.random()))
        daemon.kill()
        daemon = loop.sync(name=f"torture{k + 1}", allow=["trying again"])
        daemon.start()
        budget.next_share()
    return daemon


def torture(loop, seed, changes, keys=400, kills=0):
    """Runs to the end and judges. `loop` is migrated and nothing of it runs."""
    names = [f"k{i}" for i in range(keys)]
    for statement in TRUTH.strip().split(";\n"):
        loop.legacy.execute(statement.rstrip(";"))
    for i in range(0, keys, 100):
        some = names[i:i + 100] + (["linger"] if i == 0 else [])
        loop.legacy.execute(f"INSERT INTO truth_now (id, n) VALUES {', '.join(['(?, 0)'] * len(some))}", some)
    loop.postgres.execute(EFFECTS, database=loop.database)
    budget, start = Budget(changes, kills), time.monotonic()
    lingerer = Lingerer(loop)
    sessions = [Session(loop, n, seed, names, budget) for n in range(SESSIONS)]
    daemon = loop.sync(name="torture", allow=["trying again"])
    daemon.start()
    try:
        for session in sessions:
            session.start()
        daemon = killed_again_and_again(loop, budget, daemon, kills, random.Random(f"{seed}:chaos"))
        for session in sessions:
            session.join()
        wrote = time.monotonic() - start
        for s in sessions:
            if s.error:
                raise s.error
        lingerer.commit()
        loop.wait_equal(120)
        caught_up = time.monotonic() - start - wrote
        daemon.stop()
    except BaseException:
        budget.end()
        if daemon.process is not None:
            daemon.kill()
        raise
    wrong, figures = judge(loop)
    figures.update(seed=seed, legacy=loop.dbms, seconds=round(wrote, 1), caught_up=round(caught_up, 1), kills=kills,
                   outcomes=dict(sum((s.outcomes for s in sessions), collections.Counter())),
                   parked=loop.new("SELECT count(*) FROM ficus.parked")[0][0], violations=wrong[:20])
    if figures["parked"]:
        wrong.append(f"{figures['parked']} events are parked")
    return wrong, figures


class Alone:
    """A server of its own as a legacy, with the verbs of Sqlite."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        server.create_database(name)

    def odbc(self):
        return self.server.odbc(database=self.name)

    def connect(self, autocommit=True):
        return self.server.connect(database=self.name, autocommit=autocommit)

    def execute(self, sql, params=()):
        self.server.execute(sql.replace("?", "%s"), params, database=self.name)

    def query(self, sql, params=()):
        return self.server.query(sql.replace("?", "%s"), params, database=self.name)


def main():
    ap = argparse.ArgumentParser(description="Writes to a legacy from many sessions and compares what arrives.")
    ap.add_argument("--changes", type=int, default=100000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--legacy", choices=("sqlite", "mariadb", "postgres"), default="mariadb")
    ap.add_argument("--kills", type=int, default=20, help="how often sync is killed on the way")
    ap.add_argument("--keys", type=int, default=2000)
    args = ap.parse_args()
    print(f"torture-capture: seed {args.seed}, {args.changes} changes on {args.legacy}", flush=True)
    with Workdir() as work, Postgres(work) as postgres, Kafka(work) as kafka:
        made = {"sqlite": Sqlite, "mariadb": MariaDB}.get(args.legacy)
        with (made(work) if made else Postgres(work, name="oldpg")) as server:
            legacy = server if args.legacy == "sqlite" else Alone(server, "old")
            if args.legacy == "sqlite":
                server.script(LEGACY_OF["sqlite"])
            else:
                server.script(LEGACY_OF[args.legacy], database="old")
            loop = Loop(work, args.legacy, legacy, postgres, kafka, "torture")
            loop.migrate()
            wrong, figures = torture(loop, args.seed, args.changes, args.keys, args.kills)
    print(json.dumps(figures))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
