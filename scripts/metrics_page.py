#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The metrics that the sources register: docs/metrics.md is made from them, and lint checks their
names and labels, so that no metric can have a label whose values come from requests."""
import glob
import re

FOLDERS = ("base", "connectors", "migrations", "routes", "cdc", "facade", "cli")
STRING = r'"((?:\\.|[^"\\])*)"'
CALL = re.compile(r'metrics_(counter|gauge|seconds)\(\s*' + STRING + r'\s*,\s*((?:' + STRING + r'\s*)+)', re.S)
LABEL = re.compile(r'[\s,"]?([a-z_]+)=\\"')
# Their values come from tables, maps and enums, or are bounded where they are made.
LABELS = {"route", "stage", "side", "status", "outcome", "entity", "group", "handler", "method", "code", "result",
          "upstream", "direction", "class", "to", "why", "client", "dbms", "backend", "state", "stream", "kind", "reason"}


def found():
    """{name: (kind, help)} of every metric whose name is a literal."""
    metrics = {}
    for path in sorted(sum((glob.glob(f"{f}/**/*.c", recursive=True) for f in FOLDERS), [])):
        with open(path, encoding="utf-8") as f:
            for kind, name, helps, _ in CALL.findall(f.read()):
                text = "".join(re.findall(STRING, helps))
                metrics[name] = (kind, text.replace('\\"', '"'))
    return metrics


def mistakes():
    """[(name, what)] of names that break Prometheus' conventions, and of labels not known to be bounded."""
    bad = []
    for name, (kind, text) in found().items():
        if not name.startswith(("ficus_", "http_")):
            bad.append((name, "begins with ficus_ or http_"))
        if (kind == "counter") != name.endswith("_total"):
            bad.append((name, "counters, and only they, end in _total"))
        if kind == "seconds" and not name.endswith("_seconds"):
            bad.append((name, "a histogram of seconds ends in _seconds"))
        if not text.endswith("."):
            bad.append((name, "the help is a sentence"))
    for path in sorted(sum((glob.glob(f"{f}/**/*.c", recursive=True) for f in FOLDERS), [])):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if "metrics_" not in text or path == "base/metrics.c":
            continue
        for literal in re.findall(STRING, text):
            if re.match(r'^[a-z_]+=\\"', literal):
                bad += [(path, f"label {label} is not among those whose values are bounded")
                        for label in LABEL.findall(literal) if label not in LABELS]
    return bad


def page():
    rows = ["<!-- Made by `make docs` from the sources (scripts/metrics_page.py). -->\n# Metrics\n\n",
            "`/metrics` on `facade.admin_listen` and on `sync.listen`, Prometheus text format. Labels take their\n"
            "values from route tables, maps and fixed lists, never from a request: lint checks the names.\n"
            "Histograms have buckets from 50 us to 60 s.\n\n| metric | kind | what |\n|---|---|---|\n"]
    for name, (kind, text) in sorted(found().items()):
        rows.append(f"| `{name}` | {'histogram' if kind == 'seconds' else kind} | {text} |\n")
    return "".join(rows)
