# SPDX-License-Identifier: Apache-2.0
"""The demo's figures (build/demo.json) as a table that a person can read."""


def ms(value):
    return "-" if value is None else f"{value:.1f} ms"


def rows(headers, lines):
    lines = [[str(cell) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in [headers] + lines) for i in range(len(headers))]
    numeric = [all(line[i][:1].isdigit() or line[i] == "-" for line in lines) for i in range(len(headers))]

    def one(line):
        return "  " + "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, numeric)).rstrip()
    return [one(headers)] + [one(line) for line in lines]


def table(result):
    out = ["", f"Requests of the clients, legacy on {result['legacy']}"]
    out += rows(["stage", "requests", "failed", "p50", "p99"],
                [[s["stage"], s["requests"], s["failed"], ms(s["p50_ms"]), ms(s["p99_ms"])] for s in result["stages"]])
    out.append(f"  all: {result['requests']} requests, {result['failed']} failed")
    for failure in result["failures"][:5]:
        out.append(f"    {failure['op']}: {failure['error']}")
    s = result["shadow"]
    out += ["", f"Shadow: {s['matched']} comparisons matched, {s['ignored']} ignored, {s['mismatched']} "
                f"mismatched, {s['stale']} stale, {s['dropped']} not made"]
    for m in result["mismatches"]:
        example = m["example"]
        out.append(f"  {m['entity']}.{m['field']}: {m['count']} times, such as key {example['key']}: legacy "
                   f"{example['legacy']!r}, new {example['new']!r}\n      why: {m['why']}")
    out += ["", "Transfers of writes"]
    out += rows(["transfer", "outcome", "epoch", "writes paused", "longest request around it"],
                [[p["transfer"], p["outcome"], p["epoch"], ms(p["pause_ms"]), ms(p["longest_request_ms"])]
                 for p in result["pauses"]])
    out += ["", "Change latency, from the facade's answer until the other store shows the change"]
    out += rows(["direction", "writes", "p50", "p99"],
                [[d, v["writes"], ms(v["p50_ms"]), ms(v["p99_ms"])] for d, v in result["latency"].items()])
    out += ["", "Reconciliation, row by row"]
    out += rows(["entity", "legacy", "new", "differences"],
                [[e, r["legacy"], r["new"], r["differences"]] for e, r in result["reconciled"].items()])
    out.append(f"  drift: {result['drift']}; " + ("proven equal" if result["proven"] else "NOT proven equal")
               + f"; parked events: {result['parked']}")
    out += ["", f"{'good' if result['ok'] else 'FAILED'}: {result['seconds']} s; figures in build/demo.json"]
    return "\n".join(out)
