# SPDX-License-Identifier: Apache-2.0
"""A legacy client at work: the published `sugarcrm` package, unmodified, in a loop.

It creates, changes, reads, lists, counts, links and deletes records through the legacy endpoint
until it is told to stop (SIGTERM, or its standard input closes), and writes one JSON line an
operation: when it started, how long it took, whether it failed. After each write it reads the
record back: a client that does not see its own write counts as failed. The acknowledged writes
are written to a second file, for the comparison with both stores at the end.

Run by the demo and by the consistency tests under the virtual environment's Python.
"""
import argparse
import json
import random
import signal
import sys
import threading
import time

import sugarcrm

STOP = threading.Event()


class Worker:
    def __init__(self, session, number, seed, log, acked, pause):
        self.session, self.number, self.log, self.acked = session, number, log, acked
        self.random = random.Random(seed * 1000 + number)
        self.mine = {}            # id -> what we last wrote, of contacts
        self.accounts = []
        self.pause = pause

    def step(self):
        weighted = [(self.create, 3), (self.change, 4), (self.read, 6), (self.read_linked, 2),
                    (self.list, 3), (self.count, 1), (self.create_account, 1), (self.delete, 1)]
        calls = [call for call, weight in weighted for _ in range(weight)]
        self.run(self.random.choice(calls))

    def run(self, call):
        start = time.time()
        line = {"at": start, "worker": self.number, "op": call.__name__, "ok": True}
        try:
            call()
        except Exception as error:  # any failure of a client is a result of the demo
            line.update(ok=False, error="%s: %s" % (type(error).__name__, str(error)[:300]))
        line["ms"] = round((time.time() - start) * 1000, 3)
        self.log(line)
        STOP.wait(self.pause)

    def record(self, module, id_, fields, deleted=False):
        self.acked({"module": module, "id": id_, "fields": fields, "deleted": deleted})

    def create(self):
        fields = {"last_name": "Demo %d %d" % (self.number, self.random.randrange(10 ** 9)),
                  "first_name": self.random.choice(["Ana", "Bj\u00f6rn", "Chlo\u00e9", "D'Arcy"]),
                  "title": "created"}
        contact = sugarcrm.Contact(**fields)
        self.session.set_entry(contact)
        self.record("Contacts", contact.id, fields)
        self.mine[contact.id] = fields
        if self.accounts and self.random.random() < 0.5:
            account = sugarcrm.SugarObject(module="Accounts")
            account.id = self.random.choice(self.accounts)
            self.session.set_relationship(account, contact)
        self.verify(contact.id)

    def create_account(self):
        name = "Demo account %d %d" % (self.number, self.random.randrange(10 ** 9))
        account = sugarcrm.SugarObject(module="Accounts", name=name, industry="Banking")
        self.session.set_entry(account)
        self.record("Accounts", account.id, {"name": name, "industry": "Banking"})
        self.accounts.append(account.id)

    def change(self):
        if not self.mine:
            return self.create()
        id_ = self.random.choice(list(self.mine))
        fields = dict(self.mine[id_], title="changed %d" % self.random.randrange(10 ** 9))
        contact = sugarcrm.Contact(id=id_, title=fields["title"])
        self.session.set_entry(contact)
        self.record("Contacts", id_, fields)
        self.mine[id_] = fields
        return self.verify(id_)

    def delete(self):
        if len(self.mine) < 5:
            return self.create()
        id_ = self.random.choice(list(self.mine))
        fields = self.mine.pop(id_)
        self.session.set_entry(sugarcrm.Contact(id=id_, deleted=1))
        self.record("Contacts", id_, fields, deleted=True)
        if self.session.get_entry("Contacts", id_) is not None:
            raise AssertionError("a deleted contact is still found")

    def verify(self, id_):
        seen = self.session.get_entry("Contacts", id_)
        if seen is None:
            raise AssertionError("contact %s is not found after its write" % id_)
        for name, value in self.mine[id_].items():
            if getattr(seen, name) != value:
                raise AssertionError("%s of %s reads %r, written %r" %
                                     (name, id_, getattr(seen, name), value))

    def read(self):
        if not self.mine:
            return self.create()
        return self.verify(self.random.choice(list(self.mine)))

    def read_linked(self):
        if not self.accounts:
            return self.create_account()
        id_ = self.random.choice(self.accounts)
        account = self.session.get_entry("Accounts", id_, links={"contacts": ["id", "last_name"]})
        if account is None:
            raise AssertionError("account %s is not found" % id_)

    def list(self):
        query = sugarcrm.Contact(last_name="Demo %d %%" % self.number)
        found = self.session.get_entry_list(query, fields=["id", "last_name", "title"],
                                            order_by="last_name", max_results=10)
        for contact in found:
            if contact.id in self.mine and \
                    contact.last_name != self.mine[contact.id]["last_name"]:
                raise AssertionError("a list shows an old last_name")

    def count(self):
        self.session.get_entries_count(sugarcrm.Contact(last_name="Demo %d %%" % self.number))


def writer(path):
    lock, out = threading.Lock(), open(path, "a", encoding="utf-8", buffering=1)

    def write(line):
        with lock:
            out.write(json.dumps(line) + "\n")
    return write


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--log", required=True, help="one JSON line an operation")
    parser.add_argument("--acked", required=True, help="one JSON line an acknowledged write")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between operations")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    log, acked = writer(args.log), writer(args.acked)
    workers = [Worker(sugarcrm.Session(args.url, "admin", "admin1"), number, args.seed, log,
                      acked, args.pause) for number in range(args.workers)]
    print("ready", flush=True)

    def loop(worker):
        while not STOP.is_set():
            worker.step()
    threads = [threading.Thread(target=loop, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    threading.Thread(target=lambda: (sys.stdin.read(), STOP.set()), daemon=True).start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
