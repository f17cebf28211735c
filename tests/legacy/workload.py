# SPDX-License-Identifier: Apache-2.0
"""Random direct writes into the reference legacy CRM, as its own screens, jobs and people with
a SQL prompt make them: one row or many, committed, rolled back, partly undone by savepoints.

    writer = Workload(store.connect, seed=3)      # a harness Sqlite or MariaDB, or any function
    writer.run(steps=500)                         # that returns a connection in autocommit mode
    with Writers(store.connect, seed=3, count=4): # threads, until the block ends
        ...

One writer alone does the same to both DBMS for the same seed and rows. What it writes can be
held by the shipped maps' new store; with `dirt`, also zero dates, which the maps' policies turn
to NULL. Accounts are deleted or re-keyed, and referred to by cases, only within a writer's own
share of the keys, so that writers side by side leave no case of a missing account.
"""
import collections
import random
import threading
import uuid
import zlib

from .rows import Rows
from .tables import COLUMNS, MODULE

ENTITIES = ("accounts", "contacts", "leads", "opportunities", "cases", "calls", "notes")
LINKS = ("accounts_contacts", "accounts_opportunities", "opportunities_contacts")
TRACKED = ENTITIES + LINKS + ("email_addresses", "email_addr_bean_rel")

REFERENCES = {
    "accounts": {"parent_id": "accounts"}, "contacts": {"reports_to_id": "contacts"},
    "leads": {"contact_id": "contacts", "account_id": "accounts"}, "opportunities": {},
    "cases": {"account_id": "accounts"}, "calls": {}, "notes": {"contact_id": "contacts"},
    "accounts_contacts": {"contact_id": "contacts", "account_id": "accounts"},
    "accounts_opportunities": {"opportunity_id": "opportunities", "account_id": "accounts"},
    "opportunities_contacts": {"contact_id": "contacts", "opportunity_id": "opportunities"}}

# Text columns that take anything, and what people and programs put there.
FREE_TEXT = {"name", "description", "website", "title", "phone_mobile", "billing_address_city", "last_name",
             "primary_address_city", "next_step", "resolution", "account_name", "filename"}
ODD_TEXT = ("", None, " ", "trailing ", " leading", "O'Neil \"x\" \\ back", "a\nb\r\nc\td", "😀🏳️‍🌈", "Ǆ ŉ ß İ",
            "e\u0301 \u00e9", "&amp; &lt;b&gt;", "NULL", "\\N", "%_", "客様" * 10)

# name of the step, weight
SHAPES = (("one", 8), ("several", 5), ("undone", 2), ("savepoints", 3), ("recreated", 1), ("bulk", 1),
          ("nothing", 1), ("email", 5), ("link", 4))



def classify(error):
    """Outcome that a database's error stands for, or None: a fault of this module."""
    text, module = str(error), type(error).__module__.split(".")[0]
    if module not in ("pymysql", "sqlite3", "psycopg2"):
        return None
    if "ficus: fence" in text:
        return "refused"
    if module == "sqlite3":
        busy = "database is locked" in text or "database is busy" in text
        return "busy" if busy else "duplicate" if "UNIQUE constraint failed" in text else None
    if module == "psycopg2":
        state = getattr(error, "pgcode", None)
        if state in ("40001", "40P01", "55P03"):
            return "busy"
        lost = state is None or state[:2] in ("08", "57")
        return "duplicate" if state == "23505" else "lost" if lost else None
    code = error.args[0] if error.args else 0
    if code in (1205, 1213, 1020):
        return "busy"
    if code == 1062:
        return "duplicate"
    return "lost" if code in (0, 1053, 1927, 2003, 2006, 2013, 2055) else None


class Workload:
    """One writer. Not shared between threads; it connects in the thread of its first step.

    `share` is (index, count) of writers side by side. `on_commit(writes)` gets
    [(table, operation, key), ..] of each committed transaction, in order."""

    def __init__(self, connect, seed, share=(0, 1), dirt=False, on_commit=None, keys_max=20000):
        self.connect, self.share, self.dirt, self.on_commit = connect, share, dirt, on_commit
        self.random = random.Random(f"{seed}:{share[0]}")
        self.rows = Rows(seed, collections.Counter({table: 1 for table in ENTITIES}))
        self.keys_max = keys_max
        self.outcomes = collections.Counter()
        self.operations = collections.Counter()
        self.db = self.mark = None
        self.keys = {}
        self._writes = []

    # ---- connection

    def _open(self):
        self.db = self.connect()
        is_sqlite = type(self.db).__module__.startswith("sqlite3")
        self.mark = "?" if is_sqlite else "%s"
        self._begin_sql = "BEGIN IMMEDIATE" if is_sqlite else "BEGIN"
        self.keys = {}
        for table in TRACKED:
            found = sorted(row[0] for row in self._run(f"SELECT id FROM {table}").fetchall())
            if len(found) > self.keys_max:
                found = self.random.sample(found, self.keys_max)
            self.keys[table] = found

    def close(self):
        if self.db is not None:
            try:
                self.db.close()
            except Exception as error:  # it may be gone already
                if not classify(error):
                    raise
            self.db = None

    def _run(self, sql, params=()):
        cur = self.db.cursor()
        cur.execute(sql.replace("?", self.mark), tuple(params))
        return cur

    # ---- keys

    def _note(self, table, op, key):
        self._writes.append((table, op, key))

    def _pick(self, table):
        """A key that the open transaction has not removed, or None."""
        gone = {key for t, op, key in self._writes if t == table and op == "delete"}
        keys = self.keys[table]
        for _ in range(8):
            key = self.random.choice(keys) if keys else None
            if key not in gone:
                return key
        return None

    def _pick_own(self, table):
        """A key of this writer's share."""
        index, count = self.share
        for _ in range(8 * count):
            key = self._pick(table)
            if key is not None and zlib.crc32(key.encode()) % count == index:
                return key
        return None

    def _new_key(self, table):
        """Within our share where that counts."""
        index, count = self.share
        while True:
            key = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            if table != "accounts" or zlib.crc32(key.encode()) % count == index:
                return key

    def _learn(self, writes):
        """The committed transaction's keys."""
        for table, op, key in writes:
            if op == "insert" and table in self.keys:
                self.keys[table].append(key)
            elif op == "delete" and key in self.keys.get(table, ()):
                self.keys[table].remove(key)

    # ---- values

    def _fresh(self, table):
        """column -> value of a new row, its references set to keys that exist."""
        columns = COLUMNS[table]
        values = dict(zip(columns, self.rows.row(table, self.random.getrandbits(20) + 2 ** 20)))
        for column, target in REFERENCES.get(table, {}).items():
            pick = self._pick_own if (table, column) == ("cases", "account_id") else self._pick
            values[column] = pick(target) if table in LINKS or self.random.random() < 0.7 else None
        if "parent_type" in values:
            target = self.random.choice(tuple(MODULE))
            values["parent_type"], values["parent_id"] = MODULE[target], self._pick(target)
        for column in sorted(FREE_TEXT.intersection(columns)):
            if self.random.random() < 0.15:
                values[column] = self.random.choice(ODD_TEXT)
        if self.dirt and "birthdate" in values and self.random.random() < 0.1:
            values["birthdate"] = "0000-00-00"
        if table == "notes" and self.random.random() < 0.05:
            values["description"] = "long text " * self.random.randrange(2000)
        values.pop("case_number", None)  # the database gives it
        return values

    def _insert_row(self, table, values):
        columns = list(values)
        self._run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                  values.values())
        self._note(table, "insert", values.get("id", values.get("id_c")))

    def _update_row(self, table, key, values, op="update"):
        id_column = "id_c" if table.endswith("_cstm") else "id"
        self._run(f"UPDATE {table} SET {', '.join(f'{c} = ?' for c in values)} WHERE {id_column} = ?",
                  [*values.values(), key])
        self._note(table, op, key)

    def _delete_row(self, table, key):
        self._run(f"DELETE FROM {table} WHERE {'id_c' if table.endswith('_cstm') else 'id'} = ?", [key])
        self._note(table, "delete", key)

    # ---- single writes

    def _write(self):
        """One change of one entity."""
        table = self.random.choice(("accounts", "accounts", "contacts", "contacts", *ENTITIES))
        ops = ["insert"] * 4 + ["update"] * 8 + ["cstm"] * 3 + ["soft_delete", "undelete", "delete", "rekey"]
        getattr(self, "_do_" + self.random.choice(ops))(table)

    def _do_insert(self, table):
        values = dict(self._fresh(table), id=self._new_key(table))
        self._insert_row(table, values)
        if table in ("accounts", "contacts") and self.random.random() < 0.8:
            self._insert_row(table + "_cstm", dict(self._fresh(table + "_cstm"), id_c=values["id"]))
        if table == "contacts" and self.random.random() < 0.7:
            account = self._pick("accounts")
            if account:
                self._insert_row("accounts_contacts", dict(
                    self._fresh("accounts_contacts"), id=self._new_key("accounts_contacts"), contact_id=values["id"],
                    account_id=account, deleted=0))

    def _do_update(self, table):
        key = self._pick(table)
        if key is None:
            return
        fresh = self._fresh(table)
        columns = [c for c in fresh if c not in ("id", "deleted", "parent_type", "parent_id")]
        chosen = self.random.sample(columns, self.random.randint(1, 5))
        values = {c: fresh[c] for c in chosen}
        if self.random.random() < 0.8:
            values["date_modified"] = fresh["date_modified"]
        self._update_row(table, key, values)

    def _do_cstm(self, table):
        if table not in ("accounts", "contacts"):
            table = "accounts"
        key = self._pick(table)
        if key is None:
            return
        table += "_cstm"
        there = self._run(f"SELECT 1 FROM {table} WHERE id_c = ?", [key]).fetchone()
        values = dict(self._fresh(table), id_c=key)
        if not there:
            self._insert_row(table, values)
        elif self.random.random() < 0.2:
            self._delete_row(table, key)
        else:
            values.pop("id_c")
            self._update_row(table, key, values)

    def _do_soft_delete(self, table, to=1):
        key = self._pick(table)
        if key is None:
            return
        self._update_row(table, key, {"deleted": to}, "soft_delete" if to else "undelete")
        if table == "contacts" and to:
            self._run("UPDATE accounts_contacts SET deleted = 1 WHERE contact_id = ?", [key])
            self._run("UPDATE email_addr_bean_rel SET deleted = 1"
                      " WHERE bean_id = ? AND bean_module = 'Contacts'", [key])

    def _do_undelete(self, table):
        self._do_soft_delete(table, 0)

    def _do_delete(self, table):
        key = self._pick_own(table)
        if key is None:
            return
        if table == "accounts":
            self._run("UPDATE cases SET account_id = NULL WHERE account_id = ?", [key])
        if table in MODULE and self.random.random() < 0.7:
            self._delete_row(table + "_cstm", key)
        self._delete_row(table, key)

    def _do_rekey(self, table):
        """The primary key itself changes, with what hangs on it."""
        key = self._pick_own(table)
        if key is None:
            return
        new = self._new_key(table)
        self._run(f"UPDATE {table} SET id = ? WHERE id = ?", [new, key])
        if table in MODULE:
            self._run(f"UPDATE {table}_cstm SET id_c = ? WHERE id_c = ?", [new, key])
        if table == "accounts":
            self._run("UPDATE cases SET account_id = ? WHERE account_id = ?", [new, key])
            self._run("UPDATE accounts_contacts SET account_id = ? WHERE account_id = ?", [new, key])
        self._note(table, "delete", key)
        self._note(table, "insert", new)

    # ---- e-mail addresses, two tables away

    def _email(self):
        ops = ["set", "set", "set", "respell", "respell", "primary", "primary", "move", "drop", "drop_address", "share"]
        getattr(self, "_email_" + self.random.choice(ops))()

    def _address(self):
        domain = self.random.choice(("example.com", "Example.ORG", "exämple.net"))
        return f"{self.random.choice(('new', 'Mail', 'o' + chr(39) + 'x'))}.{self.random.getrandbits(40):x}@{domain}"

    def _add_relation(self, address, table, bean, primary):
        times = self.rows.row("contacts", self.random.getrandbits(20) + 2 ** 20)[1:3]
        self._insert_row("email_addr_bean_rel", {
            "id": self._new_key("email_addr_bean_rel"), "email_address_id": address, "bean_id": bean,
            "bean_module": MODULE[table], "primary_address": primary, "reply_to_address": 0,
            "date_created": times[0], "date_modified": times[1], "deleted": 0})

    def _email_set(self):
        """As the application changes a primary address."""
        table = self.random.choice(("contacts", "contacts", "accounts", "leads"))
        bean = self._pick(table)
        if bean is None:
            return
        old = "bean_id = ? AND bean_module = ? AND primary_address = 1"
        verb = self.random.choice(("UPDATE email_addr_bean_rel SET deleted = 1", "DELETE FROM email_addr_bean_rel",
                                   "UPDATE email_addr_bean_rel SET primary_address = 0"))
        self._run(f"{verb} WHERE {old}", [bean, MODULE[table]])
        text = self._address()
        address = self._new_key("email_addresses")
        self._insert_row("email_addresses", {"id": address, "email_address": text, "email_address_caps": text.upper(),
                                             "invalid_email": 0, "opt_out": 0, "deleted": 0})
        self._add_relation(address, table, bean, 1)

    def _email_respell(self):
        key = self._pick("email_addresses")
        if key is not None:
            text = self._address()
            self._update_row("email_addresses", key, {"email_address": text, "email_address_caps": text.upper()})

    def _email_primary(self):
        key = self._pick("email_addr_bean_rel")
        if key is not None:
            self._update_row("email_addr_bean_rel", key, {"primary_address": self.random.getrandbits(1)})

    def _email_move(self):
        """The relation goes to another person."""
        key, bean = self._pick("email_addr_bean_rel"), self._pick("contacts")
        if key is not None and bean is not None:
            self._update_row("email_addr_bean_rel", key, {"bean_id": bean, "bean_module": "Contacts"})

    def _email_drop(self):
        key = self._pick("email_addr_bean_rel")
        if key is not None and self.random.random() < 0.5:
            self._delete_row("email_addr_bean_rel", key)
        elif key is not None:
            self._update_row("email_addr_bean_rel", key, {"deleted": 1}, "soft_delete")

    def _email_drop_address(self):
        key = self._pick("email_addresses")
        if key is not None and self.random.random() < 0.5:
            self._delete_row("email_addresses", key)
        elif key is not None:
            self._update_row("email_addresses", key, {"deleted": self.random.getrandbits(1)}, "soft_delete")

    def _email_share(self):
        """One address of two people."""
        address, bean = self._pick("email_addresses"), self._pick("contacts")
        if address is not None and bean is not None:
            self._add_relation(address, "contacts", bean, self.random.getrandbits(1))

    # ---- links

    def _link(self):
        table = self.random.choice(LINKS)
        key = self._pick(table)
        op = self.random.choice(("insert", "insert", "again", "repoint", "soft_delete", "undelete", "delete", "rekey"))
        if key is None or op == "insert":
            self._insert_row(table, dict(self._fresh(table), id=self._new_key(table), deleted=0))
        elif op == "again":
            columns = ", ".join(COLUMNS[table][1:])
            new = self._new_key(table)
            self._run(f"INSERT INTO {table} (id, {columns}) SELECT ?, {columns} FROM {table} WHERE id = ?", [new, key])
            self._note(table, "insert", new)
        elif op == "repoint":
            column = self.random.choice(COLUMNS[table][1:3])
            self._update_row(table, key, {column: self._fresh(table)[column]})
        elif op == "delete":
            self._delete_row(table, key)
        elif op == "rekey":
            self._do_rekey(table)
        else:
            self._update_row(table, key, {"deleted": 1 if op == "soft_delete" else 0}, op)

    # ---- shapes of transactions; each returns whether to commit

    def _shape_one(self):
        self._write()
        return True

    def _shape_several(self):
        for _ in range(self.random.randint(2, 20)):
            self.random.choice((self._write, self._write, self._email, self._link))()
        return True

    def _shape_undone(self):
        self._shape_several()
        return False

    def _shape_savepoints(self):
        for n in range(self.random.randint(1, 4)):
            kept = len(self._writes)
            self._run(f"SAVEPOINT point{n}")
            for _ in range(self.random.randint(1, 5)):
                self.random.choice((self._write, self._email, self._link))()
            if self.random.random() < 0.5:
                self._run(f"ROLLBACK TO SAVEPOINT point{n}")
                del self._writes[kept:]
        return self.random.random() < 0.9

    def _shape_recreated(self):
        """Deleted and inserted again under the same key, in one transaction."""
        table = self.random.choice(("contacts", "opportunities", "leads", "calls", "notes"))
        key = self._pick_own(table)
        if key is None:
            return False
        self._delete_row(table, key)
        self._insert_row(table, dict(self._fresh(table), id=key))
        return True

    def _shape_bulk(self):
        """One statement over many rows."""
        table, column = self.random.choice((("accounts", "industry"), ("contacts", "department"), ("leads", "status")))
        keys = sorted({self._pick(table) for _ in range(40)} - {None})
        if keys:
            self._run(f"UPDATE {table} SET {column} = ? WHERE id IN ({', '.join('?' * len(keys))})",
                      [self._fresh(table)[column], *keys])
            for key in keys:
                self._note(table, "update", key)
        return bool(keys)

    def _shape_nothing(self):
        """An UPDATE that changes nothing."""
        key = self._pick("accounts")
        if key is not None:
            self._run("UPDATE accounts SET name = name WHERE id = ?", [key])
        return True

    def _shape_email(self):
        self._email()
        return True

    def _shape_link(self):
        self._link()
        return True

    # ---- stepping

    def step(self):
        """One transaction. Returns its outcome: committed, undone, refused (by a fence), busy,
        duplicate, or lost (connection gone, effect unknown)."""
        outcome = "lost"
        self._writes = []
        try:
            if self.db is None:
                self._open()
            shape = self.random.choices([s for s, _ in SHAPES], [n for _, n in SHAPES])[0]
            self._run(self._begin_sql)
            commit = getattr(self, "_shape_" + shape)()
            self._run("COMMIT" if commit else "ROLLBACK")
            outcome = "committed" if commit else "undone"
        except Exception as error:
            outcome = classify(error)
            if outcome is None:
                self.close()
                raise
            self._recover(outcome)
        self.outcomes[outcome] += 1
        if outcome == "committed":
            self._learn(self._writes)
            self.operations.update((table, op) for table, op, _ in self._writes)
            if self.on_commit:
                self.on_commit(list(self._writes))
        return outcome

    def _recover(self, outcome):
        if outcome == "lost" or self.db is None:
            self.close()
            return
        in_transaction = getattr(self.db, "in_transaction", True)  # SQLite may have rolled back itself
        try:
            if in_transaction:
                self._run("ROLLBACK")
        except Exception as error:
            if classify(error) != "lost":
                raise
            self.close()

    def run(self, steps=None, stop=None, pause=0.0):
        """`steps` transactions, or until the event `stop`; waits `pause` seconds after each, and
        a little where the database refuses or is away."""
        stop = stop or threading.Event()
        done = 0
        try:
            while not stop.is_set() and (steps is None or done < steps):
                outcome = self.step()
                done += 1
                wait = max(pause, 0.05 if outcome in ("refused", "lost") else 0)
                if wait:
                    stop.wait(wait)
        finally:
            self.close()


class Writers:
    """Several writers side by side in threads, until stop() or the end of the block; the first
    error of a thread is raised there. `on_commit` is called in their threads."""

    def __init__(self, connect, seed, count=2, pause=0.0, **options):
        self.writers = [Workload(connect, seed, share=(n, count), **options) for n in range(count)]
        self.pause = pause
        self._stop = threading.Event()
        self._errors = []
        self._threads = [threading.Thread(target=self._main, args=(w,), daemon=True) for w in self.writers]

    def _main(self, writer):
        try:
            writer.run(stop=self._stop, pause=self.pause)
        except BaseException as error:  # raised by stop()
            self._errors.append(error)

    @property
    def outcomes(self):
        return sum((w.outcomes for w in self.writers), collections.Counter())

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """Returns the outcomes of all."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self.outcomes

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
