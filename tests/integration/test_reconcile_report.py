# SPDX-License-Identifier: Apache-2.0
"""The report as files: one page in a real headless browser, JSON by its schema, JUnit, a full disk."""
import html.parser
import json
import os
import re
import subprocess
import xml.etree.ElementTree

import jsonschema
import pytest

from harness import wait_for
from harness.daemon import binary, environment
from loop import LEGACY_OF, Loop
from test_reconcile_plans import hidden, run
from test_sync import Database

SCHEMA = os.path.join(os.path.dirname(__file__), "../../docs/schema/reconcile-report.schema.json")


@pytest.fixture(scope="module")
def world(session_work, mariadb, postgres, kafka):
    from harness import Workdir
    name = f"rr{os.getpid()}"
    with Workdir() as work:
        legacy = Database(mariadb, f"{name}_old")
        mariadb.script(LEGACY_OF["mariadb"], database=legacy.name)
        loop = Loop(work, "mariadb", legacy, postgres, kafka, name)
        loop.migrate()
        for i in range(40):
            loop.legacy.execute("INSERT INTO boxes (id, label) VALUES (?, ?)", (f"b{i:03d}", f"<b>Label</b> & {i}"))
        with loop.sync():
            wait_for(lambda: loop.new("SELECT count(*) FROM crm.box")[0][0] == 40, "the rows", 60)
            run(loop, "box", code=0)
            with hidden(loop) as write:
                write("UPDATE crm.box SET label = '<script>alert(1)</script>' WHERE id = 'b001'")
                write("DELETE FROM crm.box WHERE id = 'b002'")
            yield loop
    postgres.drop_replication(name)


@pytest.fixture(scope="module")
def page(world):
    file = os.path.join(world.work.path, "report.html")
    run(world, "box", "--html", file, code=1)
    return file


def browse(page, *flags, width=1280):
    """The DOM as the browser made it, and what it logged."""
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-features=NetworkTimeServiceQuerying,OptimizationHints", "--enable-logging=stderr", f"--user-data-dir={page}.profile{width}", f"--window-size={width},900",
         f"--log-net-log={page}.net{width}.json", *flags, "--dump-dom", f"file://{page}"],
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with open(f"{page}.net{width}.json", encoding="utf-8") as f:
        text = f.read()
    # What the browser asks of its maker by itself is none of the page's doing.
    urls = {u for u in re.findall(r'"url":"((?:https?|wss?):[^"]*)"', text)
            if not re.match(r"https?://[a-z0-9.-]*\.?google(apis)?\.com/", u)}
    return done.stdout, done.stderr, urls


def test_the_page_in_a_browser(world, page):
    dom, log, urls = browse(page)
    assert not urls, urls  # nothing was asked of any host
    assert "CONSOLE" not in log, log
    assert '<span id="differences">2</span>' in dom and '<span id="rows">40</span>' in dom
    assert "lost_event" in dom and "missing in new" in dom and "over time" in dom
    for word in ("Owners and epochs", "Route table version", "Positions of both streams", "Receipt", "Coverage", "Who"):
        assert word in dom
    assert "<script" not in dom and "&lt;script&gt;" in dom
    phone, log, urls = browse(page, width=400)
    assert not urls and "CONSOLE" not in log and '<span id="differences">2</span>' in phone


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "action") and not v.startswith("data:")]


def test_the_page_holds_everything(page):
    with open(page, encoding="utf-8") as f:
        text = f.read()
    links = Links()
    links.feed(text)
    assert not links.found and "url(" not in text and "@import" not in text
    for needed in ("prefers-color-scheme:dark", "@media print", "max-width:30rem", "<svg", "<details>"):
        assert needed in text


def test_json_follows_its_schema(world):
    file = os.path.join(world.work.path, "report.json")
    shown = run(world, "box", "--output", file, code=1)
    with open(SCHEMA, encoding="utf-8") as f:
        schema = json.load(f)
    with open(file, encoding="utf-8") as f:
        written = json.load(f)
    jsonschema.validate(shown, schema)
    assert written == shown


def test_junit(world):
    file = os.path.join(world.work.path, "report.xml")
    run(world, "box", "thing", "--junit", file, code=1)
    suite = xml.etree.ElementTree.parse(file).getroot()
    assert suite.get("tests") == "2" and suite.get("failures") == "1"


def test_a_full_disk(world):
    """The report cannot be written: said so, nothing half under its name, the run is on record."""
    file = os.path.join(world.work.path, "full.html")
    done = subprocess.run(["prlimit", "--fsize=2000", binary(None), "reconcile", "-c", world.config, "box", "--html", file],
                          env=environment(world.work, None), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, 1) and "full.html" in done.stderr
    assert not os.path.exists(file) and not os.path.exists(file + ".new")
    assert "NOT proven equal" in done.stdout
