# SPDX-License-Identifier: Apache-2.0
"""A stack for the nemesis: several facades and syncs, a proxy before each thing that a process
reaches by TCP, a clock of its own for each process where libfaketime is there.

Kafka stands without a proxy, since its clients go where the broker tells them to; it is restarted
instead. SQLite is a file.
"""
import glob
import json
import os
import re
import struct
import subprocess
import time
import urllib.request

from harness.daemon import ROOT
from harness.proxy import Proxy
from harness.stack import Stack

TOKEN = "a token of the consistency tests"
SLOW_DISK = os.path.join(ROOT, "build/stub/slow_disk.so")
# Cases have an owner of their own.
GROUPS = {"crm": "Contacts", "support": "Cases"}
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


class Cluster(Stack):
    watch = None

    def __init__(self, work, legacy="sqlite", seed=1, facades=3, syncs=2, settings=None):
        self.proxies = {}     # (process, target) -> Proxy
        self.clocks = {}      # process -> the file that holds its offset
        self.disks = {}       # process or server -> the file that holds what its disk waits
        self.routes = self._with_rest(work)
        super().__init__(work, legacy, rows=20, seed=seed, facades=facades, syncs=syncs, allow=["."], settings={
            "cutover.drain_ms": 6000, "cutover.hold_ms": 6000, "facade.hold_ms": 6000, **(settings or {})})
        for name, server in (("pg", self.postgres), ("legacy", self.legacy)):
            if hasattr(server, "more_environment"):
                server.more_environment = self._slow(name, {})

    @staticmethod
    def _with_rest(work):
        with open(ROOT + "/routes/tables/suitecrm.json", encoding="utf-8") as f:
            table = json.load(f)
        table["mounts"].append({"dialect": "rest", "path": "/api", "options": {"tokens": [
            {"token": TOKEN, "user_id": "1", "user_name": "admin", "admin": True}]}})
        table["groups"]["crm"]["entities"].remove("case")
        table["groups"]["support"] = {"entities": ["case"], "rogue": "refuse"}
        return work.file("routes.json", json.dumps(table))

    def rest_url(self, facade=0):
        return f"http://127.0.0.1:{self.fronts[facade][0]}/api"

    def port(self, name, target, port):
        if name == "ficus" or (name.startswith("service") and target == "service"):
            return port
        if (name, target) not in self.proxies:
            self.proxies[name, target] = Proxy(port)
        return self.proxies[name, target].port

    def environment(self, name):
        env = super().environment(name)
        if FAKETIME and name != "ficus":
            if name not in self.clocks:
                self.clocks[name] = self.work.file(f"{name}.clock", "+0\n")
            env.update(LD_PRELOAD=FAKETIME[0], FAKETIME_TIMESTAMP_FILE=self.clocks[name],
                       FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1", FAKETIME_CACHE_DURATION="1")
        return self._slow(name, env) if name != "ficus" else env

    def _slow(self, name, env):
        """`env` for a process whose disk can be made slow."""
        if not os.path.exists(SLOW_DISK):
            return env
        if name not in self.disks:
            self.disks[name] = self.work.file(f"{name}.disk", "\0\0\0\0")
            os.chmod(self.disks[name], 0o644)
        loaded = [p for p in (env.get("LD_PRELOAD"), SLOW_DISK) if p]
        return dict(env, LD_PRELOAD=":".join(loaded), SLOW_DISK=self.disks[name])

    def slow(self, name, milliseconds):
        """Every flush and every write at a position waits so long from now on."""
        with open(self.disks[name], "r+b") as f:
            f.write(struct.pack("=I", int(milliseconds * 1000)))

    def skew(self, name, seconds):
        """The wall clock of a process runs ahead by so much, within a second."""
        new = self.clocks[name] + ".new"
        with open(new, "w", encoding="utf-8") as f:
            f.write(f"{seconds:+d}\n")
        os.replace(new, self.clocks[name])

    # ---- the command line and the facades, which may be away
    def attempt(self, *words, seconds):
        """One command, interrupted after so long: its outcome, "left", or the first words of its complaint."""
        line = [os.path.join(ROOT, "build/ficus"), *words, "-c", self.config]
        process = subprocess.Popen(line, env=dict(os.environ, **self.work.odbc_env, **self.environment("ficus")),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            out, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "left"
        try:
            return json.loads(out)["outcome"]
        except (ValueError, KeyError, TypeError):
            return re.sub(r"[0-9a-f-]{8,}|[0-9]+", "N", complaint.strip().splitlines()[-1] if complaint.strip() else "")[:60]

    def unguarded(self, facade):
        """The facade's count of unguarded reads; None when it does not answer."""
        try:
            with urllib.request.urlopen(self.admin(facade) + "/metrics", timeout=1) as reply:
                text = reply.read().decode()
        except OSError:
            return None
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("ficus_reads_unguarded_total"))

    def ask_guarded(self, daemon):
        """Before a facade is killed, whose count dies with it."""
        if daemon in self.facades and self.watch:
            self.watch.look(self.facades.index(daemon))

    # ---- the truth, from the stores
    def fence(self, side, db, group="crm"):
        """A sample for the history: (writable, epoch) and the instants around the reading."""
        table = "ficus_fence" if side == "legacy" else "ficus.fence"
        sql = f"SELECT writable, epoch FROM {table} WHERE grp = '{group}'"
        invoke = time.monotonic_ns()
        cursor = db.cursor()
        cursor.execute(sql)
        writable, epoch = cursor.fetchone()
        cursor.close()
        return {"side": side, "invoke": invoke, "return": time.monotonic_ns(), "writable": bool(writable),
                "epoch": epoch, "group": group}

    def records(self, side):
        """Every record of the clients in one store: key -> [[id, value, deleted, number], ..]."""
        found = {}
        contacts = "SELECT last_name, id, title, deleted, NULL FROM {} WHERE last_name LIKE 'tor%'"
        cases = "SELECT name, id, resolution, deleted, case_number FROM {} WHERE name LIKE 'tor%'"
        for statement, old, new in ((contacts, "contacts", "crm.contact"), (cases, "cases", 'crm."case"')):
            name = old if side == "legacy" else new
            for key, *row in self.side_query(side, statement.format(name)):
                found.setdefault(key, []).append([row[0], row[1], bool(row[2]), row[3]])
        return found

    def side_query(self, side, sql):
        db = self.direct(side)
        try:
            cursor = db.cursor()
            cursor.execute(sql)
            return cursor.fetchall()
        finally:
            db.close()

    def direct(self, side):
        """A connection past every proxy, in autocommit."""
        return self.postgres.connect() if side == "new" else self.legacy.connect()

    def stop(self):
        try:
            super().stop()
        finally:
            self._end_proxies()

    def abandon(self):
        super().abandon()
        self._end_proxies()

    def _end_proxies(self):
        for proxy in self.proxies.values():
            proxy.stop()
