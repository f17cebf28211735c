# SPDX-License-Identifier: Apache-2.0
"""Decides over a recorded history (history.py) and the final state of both stores. Pure.

Violations by kind:
    stale read            a read that cannot be explained by any order of the writes around it
    own write not read    the same, and the reader itself had written something newer
    went back             the same, and the reader itself had read something newer
    lost write            an acknowledged write is not in a store at the end
    applied twice         a create stands in a store more than once, or a value that had been seen
                          to be replaced is there again at the end
    refused write took effect, value of nobody
    sides differ          the stores are not equal at the end
    closed side wrote     a store took a direct write while its fence was closed
    two sides open        both fences were open at one moment
    number used twice, number changed, id used twice
    not linearizable      anything else without an explanation; or undecided

Reads are promised to be answered by the owner or by a side that has everything (docs/concepts.md),
with one exception: where the legacy cannot be asked, a facade goes by what it acknowledged itself
(`ficus_reads_unguarded_total`). Reads that overlap such a moment of their facade, an event
`unguarded`, need only have read what their client had written through that same facade.
"""
import collections

from consistency.history import READS, show
from consistency.linear import FOREVER, Step, Undecided, linearizable, minimal

LENIENT = ("v4_1", "sql")
SIDES = ("legacy", "new")


class Violation:
    def __init__(self, kind, key, text, ops=()):
        self.kind, self.key, self.text, self.ops = kind, key, text, list(ops)

    def __str__(self):
        return "\n".join([f"{self.kind}: {self.key}: {self.text}"] + ["    " + show(op) for op in self.ops])

    def facts(self):
        return {"kind": self.kind, "key": self.key, "text": self.text, "operations": self.ops}


def check(history):
    """All violations, the worst first where a record has several."""
    ops = [line for line in history if "op" in line]
    events = collections.defaultdict(list)
    for line in history:
        if "event" in line:
            events[line["event"]].append(line)
    finals = {event["side"]: event["rows"] for event in events["final"]}
    found = []
    by_key = collections.defaultdict(list)
    for op in ops:
        by_key[op["key"]].append(op)
    weak = _weak(ops, events)
    for key in sorted(set(by_key).union(*finals.values())):
        rows = {side: finals[side].get(key, []) for side in finals}
        found += check_key(key, by_key[key], rows, weak)
    found += _unique(ops, finals)
    found += _equal(finals)
    found += _fences(ops, events["fence"])
    return found


# ---- one record
def check_key(key, ops, rows, weak=frozenset()):
    """`rows`: side -> its rows of that key at the end, [id, value, deleted, number]."""
    twice = [Violation("applied twice", key, f"{side} holds it {len(have)} times: {have}", ops)
             for side, have in rows.items() if len(have) > 1]
    if not ops:
        return twice + [Violation("value of nobody", key, f"{side} holds {have}: nobody wrote it")
                        for side, have in rows.items() if have]
    strangers = _strangers(key, ops, rows)
    if twice or strangers:
        return twice + strangers
    sessions = [v for op in ops if op["op"] in weak for v in _own_write(key, op, ops, same_facade=True)]
    return sessions + _order(key, ops, rows, weak)


def _written(ops):
    return {op["value"]: op for op in ops if op["kind"] not in READS and op.get("value") is not None}


def _strangers(key, ops, rows):
    """Values that no write explains."""
    writes, found = _written(ops), []
    seen = [(op.get("read"), [op], "was read") for op in ops if op["kind"] in READS and op["outcome"] == "ok"]
    seen += [(row[1], [], f"is in {side} at the end") for side, have in rows.items() for row in have]
    for value, where, text in seen:
        if value is None:
            continue
        write = writes.get(value)
        if write is None:
            found.append(Violation("value of nobody", key, f"{value} {text}: nobody wrote it", where))
        elif write["outcome"] == "fail":
            found.append(Violation("refused write took effect", key, f"{value} {text}", [write] + where))
        elif where and write["invoke"] > where[0]["return"]:
            found.append(Violation("value of nobody", key, f"{value} {text} before it was written", where + [write]))
    return found


def steps_of(ops, rows, weak=frozenset()):
    steps, last = [], 0
    for op in ops:
        last = max(last, op["return"])
        if op["outcome"] == "fail" or op["op"] in weak or (op["kind"] in READS and op["outcome"] != "ok"):
            continue
        kind = "read" if op["kind"] in READS else op["kind"]
        value = op.get("read") if kind == "read" else op.get("value")
        end = op["return"] if op["outcome"] == "ok" else FOREVER
        steps.append(Step(kind, value, op["invoke"], end, op["dialect"] in LENIENT, op))
    for i, side in enumerate(SIDES):
        if side in rows:
            live = [row[1] for row in rows[side] if not row[2]]
            at = last + 10 + 10 * i
            steps.append(Step("read", live[0] if live else None, at, at + 1, op={
                "op": 0, "client": "the end", "facade": side, "dialect": "sql", "kind": "get", "key": "",
                "read": live[0] if live else None, "invoke": at, "return": at + 1, "outcome": "ok"}))
    return steps


def _order(key, ops, rows, weak):
    steps = steps_of(ops, rows, weak)
    try:
        if linearizable(steps):
            return []
        part, culprit = minimal(steps)
    except Undecided as why:
        return [Violation("not linearizable", key, f"undecided: {why}", ops)]
    kind, text = _classify(key, culprit, ops)
    shown = sorted((s.op for s in part), key=lambda op: op["invoke"])
    return [Violation(kind, key, text, shown)]


def _classify(key, culprit, ops):
    op = culprit.op
    if culprit.kind != "read":
        return "not linearizable", f"{op['kind']} {op.get('value', '')} was acknowledged, which no order explains"
    if op["client"] == "the end":
        return _classify_end(op, ops)
    own = _own_write(key, op, ops)
    if own:
        return own[0].kind, own[0].text
    newer = [r for r in ops if r["kind"] in READS and r["client"] == op["client"] and r["outcome"] == "ok" and
             r["return"] < op["invoke"] and _older(op["read"], r["read"], ops)]
    if newer:
        return "went back", f"{op['client']} read {newer[-1]['read']} and then {op['read']}"
    return "stale read", f"{op['client']} read {op['read']}, which no order of the writes explains"


def _classify_end(op, ops):
    was = [r for r in ops if r["kind"] in READS and r["outcome"] == "ok" and _older(op["read"], r["read"], ops)]
    if was and op["read"] is not None:
        return "applied twice", f"{op['facade']} holds {op['read']} at the end, which was seen to be replaced"
    return "lost write", f"{op['facade']} holds {op['read']} at the end"


def _older(value, than, ops):
    """Whether `value` was surely replaced by `than`: its write ended before the other began."""
    if than is None or value == than:
        return False
    writes = _written(ops)
    if value is None:  # absent before it was created; after a delete nothing is certain
        return not any(op["kind"] == "delete" for op in ops)
    return writes[value]["outcome"] == "ok" and writes[value]["return"] < writes[than]["invoke"]


def _own_write(key, read, ops, same_facade=False):
    """Read-your-writes of one read: what its client had been told was written before it began."""
    if read["outcome"] != "ok":
        return []
    own = [op for op in ops if op["kind"] in ("create", "update") and op["client"] == read["client"] and
           op["outcome"] == "ok" and op["return"] < read["invoke"] and
           (not same_facade or op["facade"] == read["facade"])]
    for write in reversed(own):
        if _older(read["read"], write["value"], ops):
            return [Violation("own write not read", key, f"{read['client']} wrote {write['value']} and then read "
                              f"{read['read']}", [write, read])]
    return []


# ---- which reads are held to less
def _weak(ops, events):
    """Numbers of the reads that overlap an unguarded moment of their facade."""
    spans = collections.defaultdict(list)
    for event in events["unguarded"]:
        spans[event["facade"]].append((event["from"], event["to"]))
    return frozenset(op["op"] for op in ops if op["kind"] in READS and
                     any(begin <= op["return"] and op["invoke"] <= end for begin, end in spans[op["facade"]]))


# ---- across records
def _unique(ops, finals):
    found = []
    for field, kind in (("id", "id used twice"), ("number", "number used twice")):
        holders = collections.defaultdict(set)
        for op in ops:
            if op["outcome"] == "ok" and op.get(field) is not None:
                holders[op[field]].add(op["key"])
        for side, rows in finals.items():
            for key, have in rows.items():
                for row in have:
                    value = row[0] if field == "id" else row[3]
                    if value is not None:
                        holders[value].add(key)
        found += [Violation(kind, ", ".join(sorted(keys)), f"{field} {value}",
                            [op for op in ops if op.get(field) == value])
                  for value, keys in holders.items() if len(keys) > 1]
    return found + _numbers_kept(ops, finals)


def _numbers_kept(ops, finals):
    told = collections.defaultdict(set)
    for op in ops:
        if op["outcome"] == "ok" and op.get("number") is not None:
            told[op["key"]].add(op["number"])
    for rows in finals.values():
        for key, have in rows.items():
            told[key].update(row[3] for row in have if row[3] is not None)
    return [Violation("number changed", key, f"was {sorted(numbers)}", [op for op in ops if op["key"] == key])
            for key, numbers in told.items() if len(numbers) > 1]


def _equal(finals):
    if set(finals) != set(SIDES):
        return []
    old, new = finals["legacy"], finals["new"]
    return [Violation("sides differ", key, f"legacy {old.get(key, [])}, new {new.get(key, [])}")
            for key in sorted(set(old) | set(new)) if sorted(old.get(key, [])) != sorted(new.get(key, []))]


def _fences(ops, samples):
    """An epoch opens or closes a side once, so two samples of one epoch that agree hold between."""
    found = []
    for group in sorted({s.get("group", "") for s in samples}):
        found += _fence_of([op for op in ops if op.get("group", "") == group],
                           [s for s in samples if s.get("group", "") == group])
    return found


def _fence_of(ops, samples):
    """The same, of one group."""
    found, runs = [], {side: [] for side in SIDES}
    for sample in sorted(samples, key=lambda s: s["invoke"]):
        runs[sample["side"]].append(sample)
    spans = {side: [(a["return"], b["invoke"], a["writable"], a["epoch"]) for a, b in zip(runs[side], runs[side][1:])
                    if (a["writable"], a["epoch"]) == (b["writable"], b["epoch"])] for side in SIDES}
    for side in SIDES:
        closed = _merge([span for span in spans[side] if not span[2]])
        direct = [op for op in ops if op["facade"] == side and op["kind"] not in READS and op["outcome"] == "ok"]
        for op in direct:
            for begin, end, epoch in closed:
                if begin <= op["invoke"] and op["return"] <= end:
                    found.append(Violation("closed side wrote", op["key"],
                                           f"{side}'s fence was closed by epoch {epoch} throughout", [op]))
    for begin, end, epoch in _merge([span for span in spans["legacy"] if span[2]]):
        for sample in runs["new"]:
            if sample["writable"] and begin <= sample["invoke"] and sample["return"] <= end:
                found.append(Violation("two sides open", "fence", f"legacy under epoch {epoch}, "
                                       f"new under epoch {sample['epoch']}"))
                break
    return found


def _merge(spans):
    """Neighbours of one epoch joined: (begin, end, epoch)."""
    joined = []
    for begin, end, _, epoch in spans:
        if joined and joined[-1][2] == epoch:
            joined[-1] = (joined[-1][0], end, epoch)
        else:
            joined.append((begin, end, epoch))
    return joined
