# SPDX-License-Identifier: Apache-2.0
"""`ficus rehearse`: what it finds in order, what it finds wrong, and that it cleans up after itself."""
import json
import subprocess

import pytest

from harness import wait_for
from harness.daemon import binary, environment, ficus
from harness.stack import GROUP, Stack
from harness.workdir import Workdir

KEY = "ficus-rehearsal"
TABLES = {"accounts": "crm.account", "contacts": "crm.contact", "leads": "crm.lead", "cases": 'crm."case"'}


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def stack(request):
    with Workdir() as work:
        with Stack(work, request.param, rows=20, settings={"cutover.drain_ms": 15000},
                   allow=["transfer", "coordinator"]) as running:
            yield running


def left(stack):
    """Test records anywhere."""
    return [table for old, new in TABLES.items() for table, rows in (
        (old, stack.old(f"SELECT id FROM {old} WHERE id = ?", (KEY,))),
        (new, stack.new(f"SELECT id FROM {new} WHERE id = %s", (KEY,)))) if rows]


def failures(report):
    return [f for f in report["findings"] if not f["passed"]]


def test_everything_is_in_order_and_nothing_stays(stack):
    report = stack.json("rehearse", GROUP)
    assert report["passed"] and failures(report) == []
    checks = {(f["entity"], f["check"]) for f in report["findings"]}
    for entity in ("account", "contact", "opportunity", "lead", "case", "note", "call", "account_contact"):
        assert {(entity, c) for c in ("create", "fence", "update", "echo", "delete")} <= checks, entity
    assert ("", "way-back") in checks and left(stack) == []
    assert all(f["ms"] > 0 for f in report["findings"] if f["check"] in ("create", "update", "delete", "way-back"))
    stack.wait_quiet()
    assert stack.reconcile("--group", GROUP)["equal"]
    assert "0 failed" in stack.run("rehearse", GROUP).stdout
    audit = stack.new("SELECT detail->>'passed' FROM ficus.audit WHERE action = 'rehearse' ORDER BY id DESC LIMIT 1")
    assert audit == [("true",)]


def test_a_column_that_cannot_hold_the_value_is_found(stack):
    stack.postgres.psql("CREATE FUNCTION crm.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                        " NEW.title := left(NEW.title, 5); RETURN NEW; END $$;"
                        " CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON crm.lead FOR EACH ROW EXECUTE FUNCTION crm.spoil();")
    try:
        report = stack.json("rehearse", GROUP, "--wait", "2", good=(1,))
    finally:
        stack.postgres.psql("DROP TRIGGER spoil ON crm.lead; DROP FUNCTION crm.spoil()")
    assert {(f["entity"], f["check"]) for f in failures(report)} <= {("lead", "create"), ("lead", "update")}
    assert any("title" in f["figure"] for f in failures(report)) and left(stack) == []


def test_a_fence_that_does_not_hold_is_found(stack):
    stack.new("UPDATE ficus.fence SET writable = true WHERE grp = %s RETURNING 1", (GROUP,))
    try:
        report = stack.json("rehearse", GROUP, "--wait", "3", good=(1,))
    finally:
        stack.new("UPDATE ficus.fence SET writable = false WHERE grp = %s RETURNING 1", (GROUP,))
    assert ("fence" in {f["check"] for f in failures(report)}
            and any("let through" in f["figure"] for f in failures(report)))
    stack.json("rehearse", GROUP)
    assert left(stack) == []


def test_what_a_killed_one_left_is_removed_by_the_next(stack):
    line = [binary("hooks"), "rehearse", GROUP, "-c", stack.config]
    env = environment(stack.work, {**stack.environment("ficus"), "FICUS_FAILPOINT": "rehearsed:2"})
    died = subprocess.run(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert died.returncode == -9 and left(stack)
    report = stack.json("rehearse", GROUP)
    assert {"clean"} <= {f["check"] for f in report["findings"]}
    assert left(stack) == []


def test_both_directions_with_a_switch_in_between(stack):
    refused = stack.json("rehearse", GROUP, "--switch", good=(1,))  # guards refuse: nothing has climbed yet
    assert [f["check"] for f in failures(refused)] == ["switch"] and stack.owner() == "legacy"
    for stage, percent in (("shadow", None), ("canary", 50), ("new", None)):
        stack.route_set(stage, percent)
    stack.wait_quiet()
    assert stack.reconcile("--group", GROUP)["equal"]
    report = stack.json("rehearse", GROUP, "--switch")
    assert {f["direction"] for f in report["findings"] if f["check"] == "create"} == {"legacy->new", "new->legacy"}
    assert [f["check"] for f in report["findings"]].count("switch") == 2
    assert stack.owner() == "legacy" and left(stack) == []


def test_an_unknown_group_is_a_usage_error(stack):
    done = ficus(stack.work, "rehearse", "nosuch", "-c", stack.config, env=stack.environment("ficus"))
    assert done.returncode == 2 and "no group" in done.stderr
    assert json.loads(stack.run("status", "--json").stdout)
    wait_for(lambda: left(stack) == [], "nothing to be left", 5)
