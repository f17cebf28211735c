#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reports C files over 500 lines, headers over 150 and functions over 40. A function is
found by house format: its brace opens and closes in the first column."""
import glob
import re

FOLDERS = ("base", "connectors", "migrations", "routes", "cdc", "facade", "cli", "tests")
NAME = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, number of lines of the body)."""
    start = None
    for n, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = n
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 6):start - 1])
            cut = re.split(r"[;}]|//[^\n]*$", head)[-1]
            m = NAME.search(cut)
            if m:
                yield m.group(1), start, n - start - 1
            start = None


def main():
    total = {}
    for folder in FOLDERS:
        for path in sorted(glob.glob(f"{folder}/**/*.[ch]", recursive=True)):
            with open(path, encoding="utf-8", errors="replace") as f:
                lines = f.read().splitlines()
            count, size = total.get(folder, (0, 0))
            total[folder] = (count + 1, size + len(lines))
            limit = 150 if path.endswith(".h") else 500
            if len(lines) > limit:
                print(f"  {path}: {len(lines)} lines (aim: {limit})")
            if path.endswith(".c"):
                for name, at, size in functions(lines):
                    if size > 40:
                        print(f"  {path}:{at}: {name} has {size} lines")
    for folder, (count, size) in total.items():
        print(f"  {folder:11} {count:4} files {size:6} lines")


if __name__ == "__main__":
    main()
