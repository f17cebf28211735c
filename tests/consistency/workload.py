# SPDX-License-Identifier: Apache-2.0
"""Writers that remember what was acknowledged, and the judgement of both stores at the end.

A key belongs to one writer, so its acknowledged writes have an order. A request without an
answer (killed facade, error) has an unknown outcome: it may have happened or not, and its key is
never written again, so that a late commit is not mistaken for a lost write.
"""
import collections
import http.client
import itertools
import json
import random
import threading
import urllib.error

from demo.clients import Form

UNANSWERED = (OSError, http.client.HTTPException, urllib.error.URLError, ValueError, RuntimeError)


class Record:
    """What a key may hold: one state, or two when the last write's outcome is unknown."""

    def __init__(self, tag, key):
        self.tag, self.key = tag, key
        self.states = [None]      # None: absent; else (title, deleted)
        self.unknown = False

    def acknowledged(self, state):
        self.states = [state]

    def unanswered(self, state):
        self.states.append(state)
        self.unknown = True


class Writer(threading.Thread):
    """Contacts of its own, through a random facade each time."""

    def __init__(self, number, seed, forms, stop, unanswered):
        super().__init__(name=f"writer {number}", daemon=True)
        self.number, self.forms, self.stop, self.unanswered = number, forms, stop, unanswered
        self.random = random.Random(f"{seed}:{number}")
        self.records, self.numbers = [], itertools.count(1)
        self.links = []           # (account, contact, acknowledged)
        self.account = None
        self.acknowledged = 0
        self.broken = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
                self.stop.wait(0.03)
        except Exception as error:  # pylint: disable=broad-except
            self.broken = error

    def step(self):
        alive = [r for r in self.records if not r.unknown and r.states[0] and not r.states[0][1]]
        choice = self.random.random()
        if choice < 0.35 or len(alive) < 3:
            self.create()
        elif choice < 0.85:
            self.change(self.random.choice(alive))
        elif choice < 0.93:
            self.delete(self.random.choice(alive))
        else:
            self.link(self.random.choice(alive))

    def attempt(self, call, record, state):
        """Whether it was acknowledged."""
        form = self.random.choice(self.forms)
        try:
            answer = call(form)
        except UNANSWERED as error:
            record.unanswered(state)
            self.unanswered[type(error).__name__ + ": " + str(error)[:160]] += 1
            return None
        record.acknowledged(state)
        self.acknowledged += 1
        return answer

    def create(self):
        tag = f"dual {self.number} {next(self.numbers)}"
        chosen = self.random.random() < 0.5
        key = f"dual-{self.number}-{next(self.numbers)}" if chosen else None
        record = Record(tag, key)
        self.records.append(record)
        fields = {"last_name": tag, "title": "v0"}
        if chosen:
            fields.update(id=key, new_with_id="1")
        answer = self.attempt(lambda form: form.set("Contacts", **fields), record, ("v0", False))
        if answer is not None:
            record.key = answer

    def change(self, record):
        title = f"v{next(self.numbers)}"
        self.attempt(lambda form: form.set("Contacts", id=record.key, title=title), record, (title, False))

    def delete(self, record):
        state = (record.states[0][0], True)
        self.attempt(lambda form: form.set("Contacts", id=record.key, deleted="1"), record, state)

    def link(self, record):
        if self.account is None:
            try:
                self.account = self.random.choice(self.forms).set("Accounts", name=f"dual account {self.number}")
            except UNANSWERED as error:
                self.unanswered[str(error)[:160]] += 1
                return
        form = self.random.choice(self.forms)
        try:
            done = form.call("set_relationship", [form.session, "Accounts", self.account, "contacts",
                                                  [record.key], [], 0])
            self.links.append((self.account, record.key, done.get("created") == 1))
        except UNANSWERED as error:
            self.unanswered[str(error)[:160]] += 1
            self.links.append((self.account, record.key, False))


class Workload:
    def __init__(self, stack, seed, writers=6):
        self.stack, self.stop_event = stack, threading.Event()
        self.unanswered = collections.Counter()
        session = Form(stack.url(), timeout=15)
        forms = [session.at(stack.url(i)) for i in range(len(stack.facades))]  # one session, every facade
        self.writers = [Writer(i, seed, forms, self.stop_event, self.unanswered) for i in range(writers)]

    def start(self):
        for writer in self.writers:
            writer.start()
        return self

    def stop(self):
        self.stop_event.set()
        for writer in self.writers:
            writer.join(60)
            if writer.broken:
                raise writer.broken

    def acknowledged(self):
        return sum(writer.acknowledged for writer in self.writers)

    def told(self):
        return (f"{self.acknowledged()} acknowledged, {sum(self.unanswered.values())} unanswered: "
                + json.dumps(dict(self.unanswered.most_common(8)), indent=1))

    # ---- the judgement
    def violations(self):
        """Every way in which a store differs from what was acknowledged; empty is right."""
        found = []
        for side, rows in (("legacy", self.stack.old("SELECT id, last_name, title, deleted FROM contacts"
                                                     " WHERE last_name LIKE 'dual %'" if self.stack.kind == "sqlite"
                                                     else "SELECT id, last_name, title, deleted FROM contacts"
                                                     " WHERE last_name LIKE 'dual %%'")),
                           ("new", self.stack.new("SELECT id, last_name, title, deleted FROM crm.contact"
                                                  " WHERE last_name LIKE 'dual %%'"))):
            found += self._judge_contacts(side, rows)
            found += self._judge_links(side)
        return found

    def _judge_contacts(self, side, rows):
        found, stored = [], collections.defaultdict(list)
        for key, tag, title, deleted in rows:
            stored[tag].append((key, title, bool(deleted)))
        for writer in self.writers:
            for record in writer.records:
                have = stored.pop(record.tag, [])
                if len(have) > 1:
                    found.append(f"{side}: {record.tag} is there {len(have)} times: {have}")
                    continue
                state = (have[0][1], have[0][2]) if have else None
                if state not in record.states:
                    found.append(f"{side}: {record.tag} ({record.key}) is {state}, acknowledged {record.states}")
                if have and record.key and have[0][0] != record.key:
                    found.append(f"{side}: {record.tag} has key {have[0][0]}, acknowledged {record.key}")
        found += [f"{side}: {tag} was never written: {have}" for tag, have in stored.items()]
        return found

    def _judge_links(self, side):
        query = "SELECT account_id, contact_id, id, deleted, date_modified FROM %s WHERE contact_id IS NOT NULL"
        rows = (self.stack.old(query % "accounts_contacts") if side == "legacy"
                else self.stack.new(query % "crm.account_contact"))
        stored = collections.defaultdict(list)
        for account, contact, key, deleted, modified in rows:
            stored[account, contact].append((key, bool(deleted), str(modified)))
        gone = {r.key for w in self.writers for r in w.records if any(s and s[1] for s in r.states)}
        found = []
        for writer in self.writers:
            for link in {(a, c) for a, c, done in writer.links if done and c not in gone}:
                if [row[1] for row in stored[link]].count(False) != 1:
                    found.append(f"{side}: link {link} of writer {writer.number} is stored as {stored[link]}; asked "
                                 f"{[row for row in writer.links if row[:2] == link]}")
        return found

    def unequal(self):
        """Contacts whose two stores differ, whatever was acknowledged."""
        like = "LIKE 'dual %'" if self.stack.kind == "sqlite" else "LIKE 'dual %%'"
        old = {r[0]: (r[1], r[2], bool(r[3])) for r in self.stack.old(
            f"SELECT id, last_name, title, deleted FROM contacts WHERE last_name {like}")}
        new = {r[0]: (r[1], r[2], bool(r[3])) for r in self.stack.new(
            "SELECT id, last_name, title, deleted FROM crm.contact WHERE last_name LIKE 'dual %%'")}
        return [f"{k}: legacy {old.get(k)}, new {new.get(k)}" for k in sorted(set(old) | set(new))
                if old.get(k) != new.get(k)]
