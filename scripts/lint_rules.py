#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules that no compiler knows: who may include whom, banned calls, SPDX lines, and
names that must not leave the dialect. Prints file:line: what; exit status 1 if any."""
import os
import re
import subprocess
import sys

import metrics_page

# folder -> folders whose headers it may include, beside its own
LAYERS = {
    "base": set(),
    "connectors": {"base"},
    "migrations": {"base", "connectors"},
    "routes": {"base", "connectors", "migrations"},
    "cdc": {"base", "connectors", "migrations", "routes"},
    "facade": {"base", "connectors", "migrations", "routes"},
    "cli": {"base", "connectors", "migrations", "routes", "cdc", "facade"},
}

# call -> what to use instead
BANNED = {
    "strcpy": "buf or a checked copy", "strcat": "buf", "stpcpy": "buf", "strncpy": "a checked copy",
    "strncat": "buf", "sprintf": "snprintf or buf", "vsprintf": "vsnprintf", "gets": "fgets",
    "strtok": "a cursor over struct str", "strtok_r": "a cursor over struct str", "atoi": "str_to_int",
    "atol": "str_to_int", "atoll": "str_to_int", "atof": "an exact parser", "scanf": "a parser",
    "sscanf": "a parser", "alloca": "an arena", "system": "nothing: no shell", "popen": "nothing: no shell",
    "tmpnam": "mkstemp", "mktemp": "mkstemp", "rand": "getrandom", "random": "getrandom",
    "usleep": "the loop's timers", "gmtime": "gmtime_r", "localtime": "UTC everywhere",
    "ctime": "base/clock", "asctime": "base/clock",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
STRUCT_TYPEDEF = re.compile(r"^\s*typedef\s+(struct|union|enum)\b")
# Only the v4_1 dialect may know the reference CRM by name.
CRM = re.compile(r"suitecrm|sugarcrm|accounts_cstm|email_addr_bean_rel|\baccounts_contacts\b", re.I)
MACHINE = re.compile(r"(^|[\s\"'=(])/(work|root|home)/\w")


def sources():
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return sorted(f for f in out.split("\0") if f and os.path.isfile(f))


def strip(text):
    """C text with comments and strings blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_includes(path, lines, found):
    folder = path.split("/")[0]
    if folder not in LAYERS:
        return
    for n, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        target = m.group(1)
        top = target.split("/")[0]
        if "/" not in target or target.startswith("."):
            found.append((path, n, f'include "{target}" by its path from the repository root'))
        elif top not in LAYERS:
            found.append((path, n, f'"{target}" is not in a folder of the program'))
        elif top != folder and top not in LAYERS[folder]:
            found.append((path, n, f"{folder}/ must not include {top}/"))
        elif target.endswith("_int.h") and top != folder:
            found.append((path, n, f'"{target}" is private to {top}/ and its tests'))


def check_c(path, text, found):
    code = strip(text).splitlines()
    for n, line in enumerate(code, 1):
        for m in CALL.finditer(line):
            found.append((path, n, f"{m.group(1)}() is banned: use {BANNED[m.group(1)]}"))
        if STRUCT_TYPEDEF.match(line):
            found.append((path, n, "no typedefs of structs, unions or enums"))
    if path.split("/")[0] in LAYERS and not path.startswith("facade/dialect/v4_1"):
        for n, line in enumerate(text.splitlines(), 1):
            if CRM.search(line):
                found.append((path, n, "names of the reference CRM belong in maps and facade/dialect/v4_1*"))
    if path.endswith(".c") and path.split("/")[0] in LAYERS:
        second = text.splitlines()[1:2]
        if not second or not second[0].startswith("//"):
            found.append((path, 2, "a .c file opens with what it owns, its threads and any format"))


def check_python(path, lines, found):
    for n, line in enumerate(lines, 1):
        if path.startswith("tests/") and re.search(r"\btime\.sleep\(", line) and path != "tests/harness/wait.py":
            found.append((path, n, "no bare sleeps: harness.wait_for waits for a condition"))


def check_map(found):
    """docs/code-map.md names folders, files and functions that exist."""
    path = "docs/code-map.md"
    if not os.path.exists(path):
        return
    headers = ""
    for source in sources():
        if source.endswith(".h"):
            with open(source, encoding="utf-8", errors="replace") as f:
                headers += f.read()
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            for word in re.findall(r"`([^`\s]+)`", line):
                if word.endswith("()"):
                    if not re.search(r"\b" + re.escape(word[:-1]), headers):
                        found.append((path, n, f"no header declares {word}"))
                elif "/" in word and "<" not in word and not os.path.exists(word):
                    found.append((path, n, f"there is no {word}"))


def main():
    found = []
    check_map(found)
    for path in sources():
        if not path.endswith((".c", ".h", ".py", ".sh", ".sql")):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        lines = text.splitlines()
        if text.strip() and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:3]):
            found.append((path, 1, "no SPDX line"))
        for n, line in enumerate(lines, 1):
            if MACHINE.search(line) and path != "scripts/lint_rules.py":
                found.append((path, n, "a path of one machine"))
        if path.endswith((".c", ".h")):
            check_includes(path, lines, found)
            check_c(path, text, found)
        elif path.endswith(".py"):
            check_python(path, lines, found)
    found += [(name, 0, what) for name, what in metrics_page.mistakes()]
    for path, n, what in found:
        print(f"{path}:{n}: {what}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
