#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints "N passed, N failed" over result files (JSON of the runners, JUnit XML of pytest).
A file that is not there counts as one failure, and so does a step that broke (--broken N)
although no test of it failed. Skipped tests count as neither and are named."""
import argparse
import json
import sys
import xml.etree.ElementTree as ET


def junit(path):
    passed = failed = 0
    for case in ET.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            print(f"skipped: {case.get('classname')}.{case.get('name')}")
        else:
            passed += 1
    return passed, failed


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--broken", type=int, default=0)
    ap.add_argument("file", nargs="+")
    args = ap.parse_args()
    passed = failed = 0
    for path in args.file:
        try:
            if path.endswith(".xml"):
                p, f = junit(path)
            else:
                with open(path, encoding="utf-8") as stream:
                    one = json.load(stream)
                p, f = one["passed"], one["failed"]
        except (OSError, ValueError, KeyError, ET.ParseError) as e:
            print(f"no results: {path} ({e})")
            p, f = 0, 1
        passed, failed = passed + p, failed + f
    failed = max(failed, args.broken)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
