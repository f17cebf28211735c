# SPDX-License-Identifier: Apache-2.0
"""The dirt: each kind one step that plans changes to clean rows, and says which keys it hit.

`effect` is what becomes of it on the way to the shipped maps' new store: `kept` (arrives as it
is), `changed` (a stated policy or the new model's shape alters it), `parked` (no proper schema
holds it and no policy is given: the event waits for a person).
"""
import random

from .tables import AT, COLUMNS, MODULE

SAMPLE = 20
ENTITIES = ("accounts", "contacts", "leads", "opportunities", "cases")


class Plan:
    """What the steps decided: changed columns, rows left out, rows added, keys by kind."""

    def __init__(self, rows):
        self.rows = rows
        self.changes = {}   # table -> {i: {column: value}}
        self.dropped = {}   # table -> {i}
        self.added = {}     # table -> [values]
        self.found = {}     # kind -> [[table, key], ..]
        self.kind = None
        self.random = None
        self._taken = set()  # (table, i, column)
        self._missing = 0
        self._made = 0

    def begin(self, kind):
        self.kind = kind
        self.random = random.Random(f"{self.rows.seed}:{kind}")
        self.found[kind] = []

    def share(self, table, one_in, least=1):
        """How many rows of `table` get this kind: every `one_in`th, at least `least`."""
        return max(self.rows.sizes.get(table, 0) // one_in, least)

    def pick(self, table, n, *columns):
        """Up to `n` live rows of which no kind has taken these columns yet; takes them."""
        size = self.rows.sizes.get(table, 0)
        if size <= 8 * n:
            numbers = list(range(size))
            self.random.shuffle(numbers)
        else:
            numbers = (self.random.randrange(size) for _ in range(8 * n))
        picked = []
        for i in numbers:
            if len(picked) == n:
                break
            if not self._is_free(table, i, columns):
                continue
            self._taken.update((table, i, column) for column in columns)
            picked.append(i)
        return picked

    def _is_free(self, table, i, columns):
        if any((table, i, column) in self._taken for column in columns):
            return False
        if table.startswith("email_") and self.rows.row(table, i) is None:
            return False
        return table not in MODULE or not self.rows.is_deleted(table, i)

    def change(self, table, i, **values):
        self.changes.setdefault(table, {}).setdefault(i, {}).update(values)
        self.note(table, self.rows.id(table, i))

    def drop(self, table, i, key):
        self.dropped.setdefault(table, set()).add(i)
        self.note(table, key)

    def add(self, table, **values):
        self.added.setdefault(table, []).append(tuple(values.get(name) for name in COLUMNS[table]))
        self.note(table, values["id"])

    def note(self, table, key):
        self.found[self.kind].append([table, key])

    def value(self, table, i, column):
        """The column as planned so far."""
        planned = self.changes.get(table, {}).get(i, {})
        return planned[column] if column in planned else self.rows.row(table, i)[AT[table][column]]

    def missing_id(self):
        self._missing += 1
        return self.rows.missing_id(self._missing)

    def new_id(self):
        """For an added row; no clean row has such an id."""
        self._made += 1
        return self.rows.missing_id(0x8000000 + self._made)


KINDS = {}


def kind(effect):
    def register(step):
        step.effect = effect
        KINDS[step.__name__] = step
        return step
    return register


def _cycle(values):
    while True:
        yield from values


@kind("kept")
def odd_id(plan):
    """Keys that are no GUIDs: 1, seed_jim_id, -99, one in upper case."""
    for table in ENTITIES:
        picked = plan.pick(table, 4, "id")
        for i, key in zip(picked, ("1", "seed_jim_id", "-99", plan.rows.id(table, picked[-1]).upper()
                                   if picked else None)):
            plan.rows.renamed[table, i] = key
            plan.note(table, key)


@kind("kept")
def duplicate_name(plan):
    """Two accounts with the same name, some of them but for its case."""
    picked = plan.pick("accounts", 2 * plan.share("accounts", 200), "name")
    for n in range(0, len(picked) - 1, 2):
        name = plan.value("accounts", picked[n], "name")
        plan.change("accounts", picked[n + 1], name=name.upper() if n % 6 == 4 else name)
        plan.note("accounts", plan.rows.id("accounts", picked[n]))


@kind("kept")
def blank_name(plan):
    """Rows without a name: '' or NULL."""
    names = _cycle(("", None))
    for i in plan.pick("accounts", plan.share("accounts", 500, 2), "name"):
        plan.change("accounts", i, name=next(names))
    for i in plan.pick("contacts", plan.share("contacts", 500, 2), "first_name", "last_name"):
        plan.change("contacts", i, first_name=next(names), last_name=next(names))


@kind("kept")
def no_cstm(plan):
    """Base rows without their extension row."""
    for table in ENTITIES:
        for i in plan.pick(table + "_cstm", plan.share(table, 20), "id_c"):
            plan.drop(table + "_cstm", i, plan.rows.id(table, i))


@kind("changed")
def empty_and_null(plan):
    """'' in columns where others hold NULL. In cases.account_id the policy makes it NULL."""
    for table, column, one_in in (
            ("accounts", "website", 25), ("accounts", "ownership", 50), ("accounts", "parent_id", 100),
            ("accounts", "assigned_user_id", 100), ("accounts", "description", 100), ("contacts", "phone_home", 25),
            ("contacts", "reports_to_id", 100), ("opportunities", "next_step", 50), ("leads", "account_id", 100),
            ("cases", "account_id", 100), ("notes", "contact_id", 100)):
        for i in plan.pick(table, plan.share(table, one_in), column):
            plan.change(table, i, **{column: ""})
    for table, column in (("accounts", "assigned_user_id"), ("accounts", "industry")):
        for i in plan.pick(table, plan.share(table, 100), column):
            plan.change(table, i, **{column: None})


@kind("kept")
def lost_emoji(plan):
    """???? where a three-byte connection lost an emoji."""
    for table in ("accounts", "contacts", "notes"):
        for i in plan.pick(table, plan.share(table, 300), "description"):
            plan.change(table, i, description="Thank you ???? see you soon")
    for i in plan.pick("accounts", plan.share("accounts", 1000), "name"):
        plan.change("accounts", i, name=f"???? Sushi {i}")


@kind("kept")
def text_amount(plan):
    """Amounts as people type them, in text columns."""
    typed = _cycle(("1,000.50", "10M", "$2,500,000", "1.234,56", "n/a", " 5000 ", "ca. 3 Mio. €"))
    for i in plan.pick("accounts", plan.share("accounts", 50, 7), "annual_revenue"):
        plan.change("accounts", i, annual_revenue=next(typed))
    for i in plan.pick("leads", plan.share("leads", 50, 7), "opportunity_amount"):
        plan.change("leads", i, opportunity_amount=next(typed))


@kind("changed")
def float_amount(plan):
    """Amounts that only a double holds; the map's decimal keeps six digits."""
    amounts = _cycle((0.1 + 0.2, 1234.1 * 3, 1e15 + 0.3, 100 / 3, 0.1 * 3 * 1e6, 2.675, -0.005))
    for i in plan.pick("opportunities", plan.share("opportunities", 50, 7), "amount"):
        amount = next(amounts)
        plan.change("opportunities", i, amount=amount, amount_usdollar=amount)


LINKS = {"accounts_contacts": ("contacts", "accounts"), "accounts_opportunities": ("opportunities", "accounts"),
         "opportunities_contacts": ("contacts", "opportunities")}


@kind("kept")
def dangling_link(plan):
    """Link rows whose one end does not exist, or is NULL."""
    for table in LINKS:
        one, other = COLUMNS[table][1:3]
        for n, i in enumerate(plan.pick(table, plan.share(table, 500, 3), "id")):
            values = dict(zip(COLUMNS[table], plan.rows.row(table, i)), id=plan.new_id(), deleted=0)
            values[(one, other)[n % 2]] = plan.missing_id() if n % 3 < 2 else None
            plan.add(table, **values)
    for n, i in enumerate(plan.pick("email_addr_bean_rel", plan.share("contacts", 500, 2), "id")):
        values = dict(zip(COLUMNS["email_addr_bean_rel"], plan.rows.row("email_addr_bean_rel", i)))
        values.update({"id": plan.new_id(), ("email_address_id", "bean_id")[n % 2]: plan.missing_id(),
                       "primary_address": 0})
        plan.add("email_addr_bean_rel", **values)


@kind("kept")
def duplicate_link(plan):
    """The same link twice."""
    for table in LINKS:
        for i in plan.pick(table, plan.share(table, 200), "id"):
            values = dict(zip(COLUMNS[table], plan.rows.row(table, i)), id=plan.new_id())
            plan.add(table, **values)


@kind("kept")
def two_accounts(plan):
    """A contact linked to two accounts, which the application never does."""
    accounts = plan.rows.sizes["accounts"]
    for i in plan.pick("accounts_contacts", plan.share("contacts", 500) if accounts > 1 else 0, "id"):
        values = dict(zip(COLUMNS["accounts_contacts"], plan.rows.row("accounts_contacts", i)), id=plan.new_id())
        values["account_id"] = plan.rows.id("accounts", (plan.rows.account_of("contacts", i) + 1) % accounts)
        plan.add("accounts_contacts", **values)


@kind("changed")
def two_primary_emails(plan):
    """A second primary address; the model has one, that of the lowest link id."""
    contacts = plan.rows.sizes["contacts"]
    for i in plan.pick("contacts", plan.share("contacts", 200, 3), "email1"):
        first = plan.rows.row("email_addr_bean_rel", 2 * i) if contacts else None
        if first is None:
            continue
        values = dict(zip(COLUMNS["email_addr_bean_rel"], first))
        address, address_id = f"second.{i}@example.net", plan.new_id()
        plan.added.setdefault("email_addresses", []).append(
            (address_id, address, address.upper(), 0, 0, values["date_created"], values["date_modified"], 0))
        values.update(id=plan.new_id(), email_address_id=address_id, primary_address=1)
        plan.added.setdefault("email_addr_bean_rel", []).append(
            tuple(values[name] for name in COLUMNS["email_addr_bean_rel"]))
        plan.note("contacts", plan.rows.id("contacts", i))


@kind("kept")
def dangling_parent(plan):
    """Parents that do not exist: of notes, calls, accounts and contacts."""
    for table in ("notes", "calls"):
        ends = _cycle((("Accounts", True), ("Bugs", True), ("Contacts", False), (None, True)))
        for i in plan.pick(table, plan.share(table, 100, 4), "parent_id"):
            kind_of, has_id = next(ends)
            plan.change(table, i, parent_type=kind_of, parent_id=plan.missing_id() if has_id else None)
    for table, column in (("accounts", "parent_id"), ("contacts", "reports_to_id")):
        for i in plan.pick(table, plan.share(table, 300), column):
            plan.change(table, i, **{column: plan.missing_id()})


@kind("parked")
def dangling_account(plan):
    """Cases of an account that does not exist: the new store has a foreign key there."""
    for i in plan.pick("cases", plan.share("cases", 500), "account_id"):
        plan.change("cases", i, account_id=plan.missing_id())


@kind("kept")
def html_entities(plan):
    """Text that was encoded for a page before it was stored."""
    names = _cycle(("Fish &amp; Chips", "Caf&eacute; &quot;Zur Post&quot;", "O&#039;Brien Tools", "A &lt; B"))
    for i in plan.pick("accounts", plan.share("accounts", 200), "name"):
        plan.change("accounts", i, name=f"{next(names)} {i}")
    for i in plan.pick("contacts", plan.share("contacts", 200), "last_name"):
        plan.change("contacts", i, last_name="O&#039;Hara")
    for i in plan.pick("notes", plan.share("notes", 200), "description"):
        plan.change("notes", i, description="&lt;b&gt;urgent&lt;/b&gt; &amp;amp; late")


@kind("changed")
def zero_date(plan):
    """0000-00-00 from a server without strict mode; the maps' policy makes it NULL."""
    for table, column, value in (
            ("accounts", "date_entered", "0000-00-00 00:00:00"), ("contacts", "birthdate", "0000-00-00"),
            ("contacts", "date_modified", "0000-00-00 00:00:00"), ("opportunities", "date_closed", "0000-00-00"),
            ("calls", "date_end", "0000-00-00 00:00:00"), ("leads", "birthdate", "0000-00-00")):
        for i in plan.pick(table, plan.share(table, 500), column):
            plan.change(table, i, **{column: value})


@kind("parked")
def partial_date(plan):
    """Dates that no calendar has, such as 2024-02-00, and no policy covers."""
    dates = _cycle(("2024-02-00", "1985-00-00"))
    for table, column in (("contacts", "birthdate"), ("opportunities", "date_closed")):
        for i in plan.pick(table, plan.share(table, 1000), column):
            plan.change(table, i, **{column: next(dates)})


EFFECTS = ("kept", "changed", "parked")


def select(text):
    """The kinds that `on`, `off` or a list of kinds and effects names, in their order here."""
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    chosen = set()
    for word in wanted:
        if word == "on":
            chosen.update(KINDS)
        elif word in EFFECTS:
            chosen.update(name for name, step in KINDS.items() if step.effect == word)
        elif word in KINDS:
            chosen.add(word)
        elif word != "off":
            raise ValueError(f"no such kind of dirt: {word} (there are on, off, {', '.join(EFFECTS)}, "
                             f"{', '.join(KINDS)})")
    return [name for name in KINDS if name in chosen]


def plan_dirt(rows, kinds):
    plan = Plan(rows)
    for name in kinds:
        plan.begin(name)
        KINDS[name](plan)
    return plan


def report(plan):
    """For the manifest: kind -> effect, count, a sample of [table, key], meaning."""
    return {name: {"effect": KINDS[name].effect, "count": len(found), "sample": found[::len(found) // SAMPLE + 1],
                   "what": " ".join(KINDS[name].__doc__.split())}
            for name, found in plan.found.items()}
