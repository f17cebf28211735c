#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs cmocka binaries, shows the output of those that failed, writes the counts.

A test counts as passed only when cmocka said so; a binary that ends badly (crash,
sanitizer report, leak) or runs no test counts as one failure even if each test passed.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

TIMEOUT = 300 * float(os.environ.get("FICUS_TEST_TIMEOUT", "1"))


def run(binary):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    races = os.path.abspath("tests/harness/tsan.supp")
    env.setdefault("TSAN_OPTIONS", f"halt_on_error=0:exitcode=66:suppressions={races}")
    supp = os.path.abspath("tests/harness/lsan.supp")
    env.setdefault("LSAN_OPTIONS", f"suppressions={supp}:print_suppressions=0")
    start = time.monotonic()
    try:
        done = subprocess.run([binary], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=env, timeout=TIMEOUT, check=False)
        text, status = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as e:
        text = (e.stdout or b"").decode("utf-8", "replace") + f"\nno end after {TIMEOUT:.0f} s\n"
        status = -1
    began = len(re.findall(r"\[ RUN      \]", text))
    passed = len(re.findall(r"\[       OK \]", text))
    skipped = len(re.findall(r"\[  SKIPPED \] \S+$", text, re.M)) // 2
    failed = max(0, began - passed - skipped)
    if failed == 0 and (status != 0 or began == 0):
        failed = 1
    return {"name": os.path.basename(binary), "passed": passed, "failed": failed,
            "skipped": skipped, "seconds": round(time.monotonic() - start, 2),
            "status": status, "text": text}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--results", required=True)
    ap.add_argument("binary", nargs="*")
    args = ap.parse_args()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        results = list(pool.map(run, args.binary))
    for r in results:
        if r["failed"]:
            print(f"---- {r['name']}: exit status {r['status']}\n{r['text'].rstrip()}\n----")
    passed, failed = sum(r["passed"] for r in results), sum(r["failed"] for r in results)
    bad = [r["name"] for r in results if r["failed"]]
    skipped = sum(r["skipped"] for r in results)
    where = os.path.dirname(args.results)
    os.makedirs(where, exist_ok=True)
    for r in results:
        del r["text"]
    with open(args.results, "w", encoding="utf-8") as f:
        json.dump({"passed": passed, "failed": failed, "skipped": skipped, "tests": results}, f, indent=1)
    print(f"{where}: {len(results)} programs, {passed} tests passed, {failed} failed"
          + (f", {skipped} skipped" if skipped else "") + (": " + ", ".join(bad) if bad else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
