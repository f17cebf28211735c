# SPDX-License-Identifier: Apache-2.0
"""The record of what clients asked and were told, one JSON object a line.

An operation (a line is written when it ends):
    {"op": 17, "client": "c3", "facade": 1, "dialect": "rest", "kind": "update", "key": "tor 3 9",
     "id": "..", "value": "v41", "invoke": ns, "return": ns, "outcome": "ok"}
`key` names the record for its whole life and stands in a field of the row itself, since the id of
a create without an answer is not known. `value` is unique to one write. A read has `read` instead:
the value that it was told, null when there was no such row. `outcome` is `ok`, `fail` (refused, and
nothing was done: the answer said so) or `info` (cut connection, timeout: done, not done or done
later). `facade` is its number, or `legacy`/`new` for a client that goes to a store directly.

An event: {"event": "fault"|"switch"|"fence"|"unguarded"|"down"|"final", ..}; see checker.py.
Times are CLOCK_MONOTONIC, one machine.
"""
import itertools
import json
import threading
import time

READS = ("get", "list")


class History:
    """Thread: every method from any."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "w", encoding="utf-8")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open = {}
        self.outcomes = {"ok": 0, "fail": 0, "info": 0}

    def invoke(self, client, kind, key, facade, dialect, **more):
        with self._lock:
            op = {"op": next(self._numbers), "client": client, "facade": facade, "dialect": dialect,
                  "kind": kind, "key": key, **more}
            self._open[op["op"]] = op
            op["invoke"] = time.monotonic_ns()
        return op

    def end(self, op, outcome, **more):
        op["return"] = time.monotonic_ns()
        op.update(more, outcome=outcome)
        with self._lock:
            del self._open[op["op"]]
            self.outcomes[outcome] += 1
            self._write(op)

    def event(self, name, **facts):
        with self._lock:
            self._write({"event": name, "at": time.monotonic_ns(), **facts})

    def _write(self, line):
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self):
        """What has not ended by now has an unknown outcome."""
        with self._lock:
            for op in self._open.values():
                self._write({**op, "return": time.monotonic_ns(), "outcome": "info", "error": "never ended"})
            self._open = {}
            self._file.close()


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def show(op):
    """One operation for people."""
    what = f"-> {op['read']}" if op["kind"] in READS else op.get("value") or ""
    told = "" if op["outcome"] == "ok" else f" {op['outcome']} {op.get('error', '')[:90]}"
    return (f"{op['invoke'] / 1e6:>14.3f} .. {op['return'] / 1e6:>14.3f} ms  {op['client']:<8} "
            f"{op['dialect']:<5} at {op['facade']}  {op['kind']:<6} {what}{told}")
