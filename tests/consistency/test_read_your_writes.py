# SPDX-License-Identifier: Apache-2.0
"""A client that wrote a record through any facade never reads an older version of it: on every
rung, with sync delayed on purpose, and across cutover and rollback."""
import itertools
import random
import threading

import pytest

from demo.clients import Form
from harness import wait_for
from harness.stack import Stack


class Reader(threading.Thread):
    """Writes its own contact through one facade, and at once reads it through another."""

    def __init__(self, number, seed, forms):
        super().__init__(name=f"reader {number}", daemon=True)
        self.random, self.forms, self.name_ = random.Random(f"{seed}:{number}"), forms, f"ryw {number}"
        self.ending, self.rounds, self.violations, self.broken = threading.Event(), 0, [], None

    def run(self):
        try:
            key = self.forms[0].set("Contacts", last_name=self.name_, title="v0")
            for n in itertools.count(1):
                if self.ending.is_set():
                    return
                self.step(key, f"v{n}")
        except Exception as error:  # pylint: disable=broad-except
            self.broken = error

    def step(self, key, title):
        write, read = self.random.sample(self.forms, 2)
        write.set("Contacts", id=key, title=title)
        if self.random.random() < 0.7:
            seen = read.get("Contacts", key, "title")["title"]
        else:
            found = read.list("Contacts", f"contacts.last_name = '{self.name_}'", fields=("id", "title"))
            seen = [row["name_value_list"]["title"]["value"] for row in found]
            seen = seen[0] if len(seen) == 1 else seen
        if seen != title:
            self.violations.append(f"{self.name_}: wrote {title}, read {seen}")
        self.rounds += 1


def more_rounds(readers, n):
    goals = [reader.rounds + n for reader in readers]

    def reached():
        broken = [reader.broken for reader in readers if reader.broken]
        if broken:
            raise broken[0]
        return all(reader.rounds >= goal for reader, goal in zip(readers, goals))
    wait_for(reached, f"{n} rounds of each reader", 90)


@pytest.mark.parametrize("legacy", ["sqlite", "mariadb", "postgres"])
def test_read_your_writes(work, legacy, seed):
    with Stack(work, legacy, rows=50, seed=seed, facades=2, allow=["."]) as stack:
        session = Form(stack.url())
        forms = [session.at(stack.url(i)) for i in range(2)]
        readers = [Reader(i, seed, forms) for i in range(4)]
        stack.wait_quiet()
        for reader in readers:
            reader.start()
        try:
            for stage, percent in (("shadow", None), ("canary", 50), ("new", None)):
                stack.route_set(stage, percent)
                more_rounds(readers, 10)
            stack.sync.stop()  # nothing arrives any more
            more_rounds(readers, 10)
            stack.sync.start()
            more_rounds(readers, 10)
            for kind in ("cutover", "rollback", "cutover", "rollback"):
                receipt = stack.cutover(force=True, kind=kind)
                assert receipt["outcome"] == "done", receipt
                more_rounds(readers, 10)
        finally:
            for reader in readers:
                reader.ending.set()
            for reader in readers:
                reader.join(60)
        assert [v for reader in readers for v in reader.violations] == []
        assert [reader.broken for reader in readers] == [None] * len(readers)
        # Once all has arrived the new side answers again.
        stack.wait_quiet()
        key = session.set("Accounts", name="ryw quiet")

        def by_new():
            forms[1].get("Accounts", key, "name")
            return "[account new]" in stack.service.text()
        wait_for(by_new, "the new side to answer", 30)
