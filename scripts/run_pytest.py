#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs pytest (Debian's) over the given paths and options; writes JUnit XML for the counts."""
import argparse
import os
import sys


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--results", required=True)
    args, rest = ap.parse_known_args()
    os.makedirs(os.path.dirname(args.results), exist_ok=True)
    os.environ["PYTHONPATH"] = os.path.abspath("tests")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    if not any(not a.startswith("-") and os.path.exists(a.split("::")[0]) for a in rest):
        rest += ["tests/integration", "tests/legacy", "tests/consistency"]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider",
                              f"--junitxml={args.results}", *rest])


if __name__ == "__main__":
    main()
