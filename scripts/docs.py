#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the parts of docs/ that come from the program itself:

    docs/configuration.md       from the option table    (ficus check options)
    docs/commands.md            from the command tables  (ficus help COMMAND)
    docs/compatibility-v4_1.md  from the quirks that the tests run (compat.py)
    docs/metrics.md             from the metrics that the sources register (metrics_page.py)
    docs/admin-api.md           its table of endpoints (ficus check admin)
    docs/types.md               from the cells of the type contract that the tests run (types_page.py)
    docs/schema/*.json          the JSON Schemas of maps, routes and templates, as embedded
    build/man/*.1               manual pages             (ficus help --man COMMAND)

With --man it writes the manual pages only; with --check nothing, and it fails when a file in docs/ is not what it would write.
"""
import glob
import os
import re
import subprocess
import sys

import compat
import metrics_page
import types_page

BINARY = os.path.join(os.environ.get("BUILD", "build"), "ficus")


def ficus(*args):
    return subprocess.run([BINARY, *args], stdout=subprocess.PIPE, check=True).stdout.decode()


def commands():
    """[(words, summary)] in the order of `ficus help`."""
    part = ficus("help").split("Commands:\n", 1)[1].split("\n\n", 1)[0]
    # "  %-18s %s": the summary starts with a capital, words of a command never do
    return [re.match(r"  ([a-z][a-z -]*?)\s+([^a-z\s].*)", line).groups() for line in part.splitlines()]


def commands_page():
    names = commands()
    page = ["<!-- Made by `make docs` from the command tables; edit those. -->\n# Commands\n",
            "| command | does |\n|---|---|\n"]
    page += [f"| [`ficus {w}`](#ficus-{w.replace(' ', '-')}) | {s} |\n" for w, s in names]
    for words, _ in names:
        page.append(f"\n## ficus {words}\n\n```\n{ficus('help', *words.split()).rstrip()}\n```\n")
    return "".join(page)


def admin_page():
    """docs/admin-api.md with the table between its headings made anew."""
    with open("docs/admin-api.md", encoding="utf-8") as f:
        text = f.read()
    return re.sub(r"\| method and path \|.*?(?=\n\n|\nMistakes:)", lambda m: ficus("check", "admin").rstrip(), text,
                  flags=re.S)


def wanted():
    note = "<!-- Made by `make docs` from the option table in base/conf_table.c; edit that. -->\n"
    files = {"docs/configuration.md": note + ficus("check", "options"), "docs/commands.md": commands_page(),
             "docs/compatibility-v4_1.md": compat.page(), "docs/types.md": types_page.page(),
             "docs/metrics.md": metrics_page.page(), "docs/admin-api.md": admin_page()}
    for path in sum((glob.glob(f"{folder}/**/*.schema.json", recursive=True)
                     for folder in ("migrations", "routes", "facade", "cli")), []):
        with open(path, encoding="utf-8") as f:
            files["docs/schema/" + os.path.basename(path)] = f.read()
    return files


def stale(files):
    bad = []
    for path, text in files.items():
        try:
            with open(path, encoding="utf-8") as f:
                same = f.read() == text
        except FileNotFoundError:
            same = False
        if not same:
            bad.append(path)
    return bad + sorted(set(glob.glob("docs/schema/*")) - set(files))


def write_man():
    os.makedirs("build/man", exist_ok=True)
    for words, _ in commands():
        with open(f"build/man/ficus-{words.replace(' ', '-')}.1", "w", encoding="utf-8") as f:
            f.write(ficus("help", "--man", *words.split()))


def main():
    if "--man" in sys.argv[1:]:
        write_man()
        return
    files = wanted()
    if "--check" in sys.argv[1:]:
        bad = stale(files)
        for path in bad:
            print(f"{path}: not what the program says now (make docs)")
        sys.exit(1 if bad else 0)
    os.makedirs("docs/schema", exist_ok=True)
    for path in stale(files):
        if path in files:
            with open(path, "w", encoding="utf-8") as f:
                f.write(files[path])
        else:
            os.remove(path)
        print(path)
    write_man()


if __name__ == "__main__":
    main()
