# SPDX-License-Identifier: Apache-2.0
"""The clean rows: a pure function of seed, table and number, the same for every DBMS.

Row `i` of a table comes from 64 mixed bits (splitmix64), so any row, or only its key, can be
made without the rows before it. Ids are GUID-shaped; their first digits grow with `i`, so that
a bulk load inserts in key order. Values are what both DBMS take in: str, int, float, None;
decimals, dates and times as text. NULL, never '', where a clean row has nothing.
"""
from . import words as w
from .tables import COLUMNS, MODULE

_M = 2 ** 64 - 1
_GOLDEN = 0x9E3779B97F4A7C15

# Who owns and changes records: users that always exist (see seeds.py).
OWNERS = ("1", "seed_sally_id", "seed_jim_id", "seed_chris_id")


def mix(n):
    """64 well-mixed bits of a number."""
    n = (n + _GOLDEN) & _M
    n = ((n ^ (n >> 30)) * 0xBF58476D1CE4E5B9) & _M
    n = ((n ^ (n >> 27)) * 0x94D049BB133111EB) & _M
    return n ^ (n >> 31)


def guid(h, head):
    """A GUID-shaped text that starts with the 32 bits `head`."""
    g = mix(h)
    return f"{head:08x}-{h >> 48:04x}-4{h >> 36 & 0xfff:03x}-a{h >> 24 & 0xfff:03x}-{g >> 16:012x}"


def number_text(n):
    """Digits in groups of the dialling kind."""
    return f"+{n % 89 + 10} {n >> 8 & 1023:03d} {n >> 18 & 0xfffff:07d}"


class Rows:
    """Rows of every table that grows with `counts` (entity table -> number of rows)."""

    def __init__(self, seed, counts):
        self.counts = counts
        self.seed = seed
        self.salt = {t: mix(mix(seed) + k) for k, t in enumerate(sorted(COLUMNS))}
        self.renamed = {}  # (table, i) -> id that is no GUID; set by dirt
        self.sizes = {
            **counts,
            "accounts_contacts": counts["contacts"], "accounts_opportunities": counts["opportunities"],
            "opportunities_contacts": counts["opportunities"] if counts["contacts"] else 0,
            "accounts_audit": counts["audits"], "contacts_audit": counts["audits"] if counts["contacts"] else 0,
            "securitygroups_records": counts["groups"],
        }
        for table in ("accounts", "contacts", "leads", "opportunities", "cases"):
            self.sizes[table + "_cstm"] = counts[table]
        # Two e-mail slots a contact, one a lead, one for each account of the first `emails`.
        slots = 2 * counts["contacts"] + counts["leads"] + counts["emails"]
        self.sizes["email_addresses"] = self.sizes["email_addr_bean_rel"] = slots
        self.makers = {t: getattr(self, "make_" + t) for t in COLUMNS if hasattr(self, "make_" + t)}
        self.widths = {t: (2 ** 32 - 1) // max(self.sizes.get(t, 0), 1) for t in COLUMNS}

    # ---- what other rows ask about a row without making it

    def bits(self, table, i):
        return mix(self.salt[table] + i)

    def id(self, table, i):
        """The key of row `i`; extension rows have their root's."""
        if self.renamed and (table, i) in self.renamed:
            return self.renamed[table, i]
        h = mix(self.salt[table] + i)
        width = self.widths[table]
        return guid(h, i * width % 2 ** 32 + h % width)

    def is_deleted(self, table, i):
        """One row in about fifty is softly deleted."""
        return mix(self.salt[table] + i) >> 40 & 0xff < 5

    def missing_id(self, n):
        """An id that no row has."""
        return guid(mix(self.salt["config"] + n), 0xdead0000 + n % 0x10000)

    def account_of(self, table, i):
        """The account that row `i` of another entity belongs to."""
        return i % self.counts["accounts"]

    def row(self, table, i):
        """Values in the order of COLUMNS[table], or None: this e-mail slot is unused."""
        return self.makers[table](i)

    # ---- parts of rows

    def _times(self, h):
        entered = h & 0x7ff
        changed = entered + 1 + (h >> 11 & 0x7fe)
        return (w.DAYS[entered] + " " + w.TIMES[h >> 22 & 0xffff],
                w.DAYS[changed] + " " + w.TIMES[h >> 30 & 0xffff])

    def _base(self, table, i, h):
        """id, date_entered .. assigned_user_id without the name: eight values."""
        entered, changed = self._times(h)
        return (self.id(table, i), entered, changed, OWNERS[h >> 50 & 3], OWNERS[h >> 52 & 3],
                w.PROSE[h >> 54 & 7], 1 if self.is_deleted(table, i) else 0, OWNERS[h >> 57 & 3])

    def _address(self, h):
        city, state, country, post = w.PLACE[h & 15]
        return (f"{w.STREET[h >> 4 & 7]} {h >> 7 & 0xff}", city, state, f"{post}{h >> 15 & 0xfff:03d}", country)

    def _person(self, h):
        """salutation .. assistant_phone without the lawful basis and the alternative address."""
        return (w.SALUTATION[h & 3], w.GIVEN[h >> 2 & 31], w.FAMILY[h >> 7 & 63], w.TITLE[h >> 13 & 7],
                w.DEPARTMENT[h >> 16 & 7], h >> 19 & 1 & h >> 20, None if h >> 21 & 3 else number_text(h >> 3),
                number_text(h >> 7), number_text(h >> 13), None, None) + self._address(h >> 24)

    def company(self, i):
        """Unique names: all combinations first, then with a number."""
        turn, n = divmod(i, 32768)
        n = n * 12345 % 32768
        name = f"{w.FIRST[n & 63]} {w.SECOND[n >> 6 & 63]} {w.FORM[n >> 12]}"
        return f"{name} {turn + 1}" if turn else name

    # ---- entities

    def make_accounts(self, i):
        h = mix(self.salt["accounts"] + i)
        g = mix(h + 1)
        (key, entered, changed, modifier, creator, text, deleted, owner) = self._base("accounts", i, h)
        bill = self._address(g)
        ship = bill if g >> 27 & 1 else (None, None, None, None, None)
        parent = self.id("accounts", i // 8) if i >= 8 and g >> 28 & 15 == 0 else None
        return (key, self.company(i), entered, changed, modifier, creator, text, deleted, owner,
                w.ACCOUNT_TYPE[g >> 32 & 7], w.INDUSTRY[g >> 35 & 15],
                str((g >> 39 & 0xfff) * 10000) if g >> 51 & 1 else None, None, *bill, w.RATING[g >> 52 & 3],
                number_text(g), None if g >> 54 & 3 else number_text(h),
                f"https://www.example.com/{i}" if g >> 56 & 1 else None, w.OWNERSHIP[g >> 57 & 3],
                str(h >> 20 & 0x3fff) if g >> 59 & 1 else None, None, *ship, parent,
                str(1000 + (g >> 40 & 0xfff)) if g >> 60 & 1 else None)

    def make_accounts_cstm(self, i):
        h = mix(self.salt["accounts_cstm"] + i)
        credit = f"{h >> 8 & 0xfffff}.{h >> 30 & 63:02d}" if h & 3 else None
        return (self.id("accounts", i), w.TIER[h >> 2 & 3] if h & 12 else None, credit)

    def make_contacts(self, i):
        h = self.bits("contacts", i)
        g = mix(h + 1)
        alt = self._address(g >> 20) if g & 3 == 0 else (None, None, None, None, None)
        boss = self.id("contacts", i // 8) if i >= 8 and g >> 2 & 7 == 0 else None
        return self._base("contacts", i, h) + self._person(g) + alt + (
            w.SOURCE[g >> 5 & 7], boss, w.BIRTHDAYS[g >> 8 & 0xfff] if g >> 60 & 1 else None)

    def make_contacts_cstm(self, i):
        h = self.bits("contacts_cstm", i)
        return (self.id("contacts", i), h & 1, ("en_us", "de_DE", "fr_FR", None)[h >> 1 & 3])

    def make_leads(self, i):
        h = self.bits("leads", i)
        g = mix(h + 1)
        converted = g & 3 == 0 and self.counts["contacts"] > 0
        amount = str((g >> 8 & 0xfff) * 25) if g >> 2 & 1 else None
        account = self.id("accounts", self.account_of("leads", i)) if converted else None
        contact = self.id("contacts", i % self.counts["contacts"]) if converted else None
        return self._base("leads", i, h) + self._person(g) + (
            1 if converted else 0, w.SOURCE[g >> 20 & 7], "Converted" if converted else w.LEAD_STATUS[g >> 23 & 7],
            self.company(i * 3 + 1), contact, account, f"Lead {i}" if amount else None, amount,
            w.BIRTHDAYS[g >> 30 & 0xfff] if g >> 3 & 1 else None, None)

    def make_opportunities(self, i):
        h = self.bits("opportunities", i)
        g = mix(h + 1)
        stage, probability = w.STAGE[g & 7]
        amount = (g >> 8 & 0xffffff) / 100
        key, *rest = self._base("opportunities", i, h)
        return (key, f"{w.SECOND[g >> 32 & 63]} for {w.FIRST[g >> 38 & 63]} no. {i}", *rest,
                ("Existing Business", "New Business", None, None)[g >> 3 & 3],
                w.SOURCE[g >> 45 & 7], amount, amount, "-99", w.DAYS[2048 + (g >> 50 & 0x7ff)],
                "Call back" if g >> 5 & 1 else None, stage, float(probability))

    def make_cases(self, i):
        h = self.bits("cases", i)
        g = mix(h + 1)
        status, state = w.CASE_STATUS[g & 7]
        key, *rest = self._base("cases", i, h)
        return (key, f"{w.TROUBLE[g >> 3 & 7]} ({i})", *rest, i + 1, w.CASE_TYPE[g >> 6 & 3], status,
                w.PRIORITY[g >> 8 & 3], w.PROSE[g >> 10 & 7] if state == "Closed" else None,
                self.id("accounts", self.account_of("cases", i)) if g >> 16 & 15 else None, state)

    def make_leads_cstm(self, i):
        return (self.id("leads", i),)

    def make_opportunities_cstm(self, i):
        return (self.id("opportunities", i),)

    def make_cases_cstm(self, i):
        return (self.id("cases", i),)

    def _parent(self, i):
        """parent_type and parent_id of a note or call: all modules take turns."""
        for step in range(len(MODULE)):
            table = tuple(MODULE)[(i + step) % len(MODULE)]
            if self.counts[table]:
                return MODULE[table], self.id(table, i % self.counts[table])
        return None, None

    def make_calls(self, i):
        h = self.bits("calls", i)
        g = mix(h + 1)
        key, *rest = self._base("calls", i, h)
        day, second = g & 0x7ff, (g >> 11 & 63) * 900
        kind, parent = self._parent(i)
        start, end = w.DAYS[day] + " " + w.TIMES[second], w.DAYS[day] + " " + w.TIMES[second + 900]
        return (key, f"Call {i}: {w.SECOND[g >> 20 & 63]}", *rest, 0, 15, start, end, kind,
                w.CALL_STATUS[g >> 26 & 3], "Inbound" if g >> 28 & 1 else "Outbound", parent,
                -1 if g >> 29 & 1 else 900)

    def make_notes(self, i):
        h = self.bits("notes", i)
        g = mix(h + 1)
        key, *rest = self._base("notes", i, h)
        kind, parent = self._parent(i)
        mime = w.MIME[g & 3]
        people = self.counts["contacts"]
        contact = self.id("contacts", i % people) if people and g >> 2 & 3 == 0 else None
        return (key, f"Note {i}", *rest, mime, f"file-{i}" if mime else None, kind, parent, contact, 0, 0)

    # ---- links

    def _link(self, table, i, one, other):
        """id, the two ids, date_modified, deleted: gone when either end is."""
        h = self.bits(table, i)
        gone = self.is_deleted(*one) or self.is_deleted(*other)
        return self.id(table, i), self.id(*one), self.id(*other), self._times(h)[1], 1 if gone else 0

    def make_accounts_contacts(self, i):
        return self._link("accounts_contacts", i, ("contacts", i), ("accounts", self.account_of("contacts", i)))

    def make_accounts_opportunities(self, i):
        return self._link("accounts_opportunities", i, ("opportunities", i),
                          ("accounts", self.account_of("opportunities", i)))

    def make_opportunities_contacts(self, i):
        contact = ("contacts", i * 5 % self.counts["contacts"])
        link = self._link("opportunities_contacts", i, contact, ("opportunities", i))
        return link + (w.ROLE[self.bits("opportunities_contacts", i) >> 60 & 3],)

    # ---- e-mail addresses: slots, not all of them used

    def _slot(self, i):
        """Whose address slot `i` is: (table, number, primary) or None."""
        contacts, leads = self.counts["contacts"], self.counts["leads"]
        h = self.bits("email_addresses", i)
        if i < 2 * contacts:
            primary = i % 2 == 0
            return ("contacts", i // 2, primary) if h & 15 < (14 if primary else 2) else None
        i -= 2 * contacts
        if i < leads:
            return ("leads", i, True) if h & 1 else None
        return "accounts", i - leads, True

    def make_email_addresses(self, i):
        slot = self._slot(i)
        if not slot:
            return None
        table, n, primary = slot
        h = self.bits("email_addresses", i)
        name = {"contacts": "info", "leads": "lead", "accounts": "office"}[table]
        address = f"{name if primary else 'Private'}.{n}@{('example.com', 'Example.org')[h >> 20 & 1]}"
        entered, changed = self._times(h)
        return (self.id("email_addresses", i), address, address.upper(), 1 if h >> 8 & 63 == 0 else 0,
                1 if h >> 14 & 31 == 0 else 0, entered, changed, 0)

    def make_email_addr_bean_rel(self, i):
        slot = self._slot(i)
        if not slot:
            return None
        table, n, primary = slot
        entered, changed = self._times(self.bits("email_addr_bean_rel", i))
        return (self.id("email_addr_bean_rel", i), self.id("email_addresses", i), self.id(table, n), MODULE[table],
                1 if primary else 0, 0, entered, changed, 1 if self.is_deleted(table, n) else 0)

    # ---- audit, record-level groups

    def _audit(self, table, of, i):
        h = self.bits(table, i)
        return (self.id(table, i), self.id(of, i * 7 % self.counts[of]), self._times(h)[1], OWNERS[h >> 50 & 3],
                "assigned_user_id", "relate", OWNERS[h >> 52 & 3], OWNERS[h >> 54 & 3])

    def make_accounts_audit(self, i):
        return self._audit("accounts_audit", "accounts", i)

    def make_contacts_audit(self, i):
        return self._audit("contacts_audit", "contacts", i)

    def make_securitygroups_records(self, i):
        h = self.bits("securitygroups_records", i)
        return (self.id("securitygroups_records", i), ("group-east", "group-west")[h & 1],
                self.id("accounts", i * 10 % self.counts["accounts"]), "Accounts", self._times(h)[1], "1", "1", 0)
