#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the whole loop on real parts, with unmodified CRM clients at work all the time.

The routes climb legacy -> shadow -> canary -> new, writes are cut over, rolled back and cut
over again, and a reconciliation proves that both stores are equal. Ends with a table; the same
figures are in build/demo.json. Environment: DEMO_LEGACY=sqlite|mariadb|postgres, DEMO_ROWS, KEEP=1.
"""
import hashlib
import json
import os
import signal
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from demo.path import Path  # noqa: E402
from demo.table import table  # noqa: E402
from harness import Workdir, process  # noqa: E402
from harness.stack import Stack  # noqa: E402

START = time.monotonic()


def step(text):
    print(f"{time.monotonic() - START:6.1f} s  {text}", flush=True)


def keep(work, stack):
    """Says how to talk to what is left running, and how to end it."""
    pids = " ".join(str(pid) for pid in stack.pids())
    settings = {**work.odbc_env, **stack.environment("ficus")}
    run = " ".join([f"{k}={v}" for k, v in settings.items()] + ["build/ficus"])
    login = json.dumps([{"user_name": "admin", "password": hashlib.md5(b"admin1").hexdigest()}, "demo", []])
    print(f"""
Left running in {work.path}. Legacy endpoint: {stack.url()}
  curl -s {stack.url()} -d method=get_server_info -d input_type=JSON -d response_type=JSON -d rest_data='[]'
  curl -s {stack.url()} -d method=login -d input_type=JSON -d response_type=JSON \\
       --data-urlencode rest_data='{login}'
  curl -s {stack.admin()}/readyz
  curl -s {stack.admin()}/metrics | grep -v '^#' | head -20
  {run} status -c {stack.config}
  {run} route list -c {stack.config}
To end it:
  kill {pids}; rm -rf {work.path}
""")


def main():
    kind = os.environ.get("DEMO_LEGACY", "sqlite")
    if kind not in ("sqlite", "mariadb", "postgres"):
        print("demo: DEMO_LEGACY is sqlite, mariadb or postgres", file=sys.stderr)
        return 2
    keeping = os.environ.get("KEEP", "") not in ("", "0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if keeping:
        process.outlive_parent()
    with Workdir() as work:
        stack = Stack(work, kind, rows=int(os.environ.get("DEMO_ROWS", "20000")), step=step,
                      ratios={"opportunities": 0.1, "leads": 0.1, "cases": 0.1, "notes": 0.1, "calls": 0.1})
        stack.start()
        path = Path(work, stack, step)
        try:
            result = path.walk()
        except BaseException:
            path.end_clients()
            stack.abandon()
            raise
        if keeping:
            work.keep()
        else:
            step("ending everything")
            stack.stop()
    result["seconds"] = round(time.monotonic() - START, 1)
    os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
    with open(os.path.join(ROOT, "build/demo.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2, ensure_ascii=False)
        f.write("\n")
    print(table(result))
    if keeping:
        keep(work, stack)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
