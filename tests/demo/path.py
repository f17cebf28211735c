# SPDX-License-Identifier: Apache-2.0
"""The way of the demo: ladder, cutover, rollback, cutover, reconciliation; and its figures."""
import collections
import time
import urllib.request

from demo.clients import Clients, Form
from harness import wait_for

TABLES = {"account": "accounts", "contact": "contacts", "opportunity": "opportunities", "lead": "leads",
          "case": "cases", "note": "notes", "call": "calls"}
LADDER = [("shadow", None), ("canary", 10), ("canary", 50), ("new", None)]

READS = 60          # records with planted dirt that are read under shadow, of each module
PROBE_SECONDS = 30  # for each direction; fewer probes on a machine that is busy with other things


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


class Path:
    """`per_stage` operations of the clients are waited for on each rung, at least."""

    def __init__(self, work, stack, step, per_stage=300, probes=100, workers=4, readers=True):
        self.work, self.stack, self.step = work, stack, step
        self.per_stage, self.probes, self.readers = per_stage, probes, readers
        self.clients = Clients(work, stack.url(), workers)
        self.stages = []      # (name, time it began)
        self.transfers = []
        self.latency = {}

    def end_clients(self):
        try:
            self.clients.stop()
        except Exception as error:  # pylint: disable=broad-except
            self.step(f"the clients: {error}")

    # ---- the way
    def walk(self):
        self.step("4 clients (python sugarcrm 0.1.2, unmodified) log in and work from now on")
        self.enter("legacy")
        self.clients.start()
        self.form = Form(self.stack.url())
        self.dwell()
        for stage, percent in LADDER:
            name = stage if percent is None else f"{stage} {percent} %"
            self.step(f"route set all {name}")
            self.stack.route_set(stage, percent)
            self.enter(name)
            if stage == "shadow" and self.readers:
                self.read_old_records()
                self.live_with_what_the_maps_explain()
                self.read_old_records()
            self.dwell()
        self.latency["legacy -> new"] = self.measure("legacy")
        proof = self.stack.reconcile()
        self.step(f"reconcile while clients write: {self.told(proof)}")
        for kind in ("cutover", "rollback", "cutover"):
            self.transfer(kind)
            self.dwell()
            if kind == "cutover" and "new -> legacy" not in self.latency:
                self.latency["new -> legacy"] = self.measure("new")
            self.prove_before_next(kind)
        self.step("clients stop; reconcile")
        self.clients.stop()
        self.stack.wait_quiet()
        return self.result(self.stack.reconcile())

    def enter(self, name):
        self.stages.append((name, time.time()))

    def dwell(self):
        """Until the clients have done enough on this rung."""
        goal = self.clients.count() + self.per_stage
        wait_for(lambda: self.clients.count() >= goal, f"{self.per_stage} operations of the clients", 120,
                 interval=0.1, alive=self.clients.must_live)

    def transfer(self, kind):
        name = f"{kind} {sum(1 for t in self.transfers if t['kind'] == kind) + 1}"
        before = time.time()
        receipt = self.stack.cutover(kind=kind)
        self.enter(f"after {name}")
        self.transfers.append({"kind": kind, "name": name, "outcome": receipt.get("outcome"),
                               "why": receipt.get("why", ""), "pause_ms": receipt.get("pause_ms"),
                               "epoch": receipt.get("epoch"), "from": before, "to": time.time()})
        self.step(f"{name}: {receipt.get('outcome')}, writes paused {receipt.get('pause_ms', 0):.1f} ms"
                  + (f" ({receipt['why']})" if receipt.get("why") else ""))

    def prove_before_next(self, kind):
        """A transfer to the new side needs a fresh proof."""
        if kind == "rollback":
            self.step(f"reconcile while clients write: {self.told(self.stack.reconcile())}")

    @staticmethod
    def told(proof):
        rows = sum(e["rows_legacy"] for e in proof["entities"])
        drift = sum(e["differences"] for e in proof["entities"])
        return (f"{rows} rows, {drift} differences, "
                + ("equal" if proof["equal"] and proof["complete"] else "NOT proven equal"))

    def read_old_records(self):
        """Under shadow: reads of generated records, those with planted dirt among them."""
        keys = {}
        for kind, found in self.stack.planted.items():
            if self.stack.manifest["dirt"][kind]["effect"] == "changed":
                for table, key in found:
                    keys.setdefault(table, []).append(key)
        for table, module in (("accounts", "Accounts"), ("contacts", "Contacts"), ("leads", "Leads"),
                              ("opportunities", "Opportunities"), ("cases", "Cases"), ("notes", "Notes"),
                              ("calls", "Calls")):
            for key in list(dict.fromkeys(keys.get(table, [])))[-READS:]:
                self.form.get(module, key)
            self.form.list(module, limit=20, fields=("id", "name", "date_modified"))

    def live_with_what_the_maps_explain(self):
        """Zero dates become NULL, as their policy says: shown by shadow, looked at, ignored from now on.
        A rule ignores only what the policy explains, so that any other difference still stops the cutover."""
        wait_for(self._evidence_settled, "shadow evidence to arrive", 30, interval=0.2)
        found = [(m["route"], m["field"]) for m in self.stack.json("route", "mismatches") if m["field"]]
        for route, field in found:
            self.stack.run("route", "ignore", route, field, "--why", "zero dates become NULL, agreed")
        self.step(f"route mismatches: {', '.join('.'.join(f) for f in found)}; looked at, route ignore")
        self.stack.wait_followed()

    # ---- latency of a change: written through the facade, awaited in the other store
    def measure(self, owner):
        self.step(f"change latency, {self.probes} writes while {owner} owns")
        took = []
        other = self.stack.new if owner == "legacy" else self.stack.old
        sql = ("SELECT 1 FROM crm.contact WHERE id = %s" if owner == "legacy"
               else "SELECT 1 FROM contacts WHERE id = ?")
        limit = time.monotonic() + PROBE_SECONDS
        for i in range(self.probes):
            if time.monotonic() > limit:
                break
            key = self.form.set("Contacts", last_name=f"Probe {owner} {i}")
            acknowledged = time.monotonic()
            wait_for(lambda key=key: other(sql, (key,)), f"{key} in the other store", 30, interval=0.001)
            took.append((time.monotonic() - acknowledged) * 1000)
        return {"writes": len(took), "p50_ms": round(percentile(took, 0.5), 1),
                "p99_ms": round(percentile(took, 0.99), 1)}

    # ---- figures
    def result(self, proof):
        operations = self.clients.operations()
        failed = [op for op in operations if not op["ok"]]
        drift = sum(e["differences"] for e in proof["entities"])
        parked = len(self.stack.parked())
        done = all(t["outcome"] == "done" for t in self.transfers) and len(self.transfers) == 3
        equal = bool(proof["equal"] and proof["complete"])
        return {
            "ok": not failed and drift == 0 and equal and done and parked == 0,
            "legacy": self.stack.kind, "rows": self.stack.manifest["rows"],
            "stages": self.by_stage(operations), "requests": len(operations), "failed": len(failed),
            "failures": [{k: op[k] for k in ("at", "op", "error")} for op in failed[:20]],
            "mismatches": self.mismatches(), "shadow": self.shadow(), "pauses": self.pauses(operations),
            "latency": self.latency, "drift": drift, "proven": equal, "parked": parked,
            "reconciled": {e["entity"]: {"legacy": e["rows_legacy"], "new": e["rows_new"],
                                         "differences": e["differences"]} for e in proof["entities"]}}

    def by_stage(self, operations):
        rows = [{"stage": name, "requests": 0, "failed": 0, "ms": []} for name, _ in self.stages]
        for op in operations:
            at = max((i for i, (_, began) in enumerate(self.stages) if began <= op["at"]), default=0)
            rows[at]["requests"] += 1
            rows[at]["failed"] += not op["ok"]
            rows[at]["ms"].append(op["ms"])
        for row in rows:
            ms = row.pop("ms")
            row.update(p50_ms=percentile(ms, 0.5), p99_ms=percentile(ms, 0.99))
        return rows

    def pauses(self, operations):
        found = []
        for t in self.transfers:
            around = [op["ms"] for op in operations
                      if op["at"] <= t["to"] and op["at"] + op["ms"] / 1000 >= t["from"]]
            found.append({"transfer": t["name"], "outcome": t["outcome"], "epoch": t["epoch"],
                          "pause_ms": t["pause_ms"], "longest_request_ms": max(around, default=None)})
        return found

    def shadow(self):
        wait_for(self._evidence_settled, "shadow evidence to arrive", 15, interval=0.5)
        row = self.stack.new("SELECT coalesce(sum(matched), 0), coalesce(sum(ignored), 0),"
                             " coalesce(sum(mismatched), 0), coalesce(sum(stale), 0),"
                             " coalesce(sum(dropped), 0) FROM ficus.shadow_stat")[0]
        return dict(zip(("matched", "ignored", "mismatched", "stale", "dropped"), map(int, row)))

    def _evidence_settled(self):
        """What the facade found to differ is stored, and it found something."""
        text = urllib.request.urlopen(self.stack.admin() + "/metrics", timeout=10).read().decode()
        counted = sum(float(line.split()[-1]) for line in text.splitlines()
                      if line.startswith("ficus_shadow_total") and 'outcome="mismatch"' in line)
        stored = self.stack.new("SELECT coalesce(sum(mismatched), 0) FROM ficus.shadow_stat")[0][0]
        return self.stack.new("SELECT 1 FROM ficus.shadow_stat LIMIT 1") and counted == stored

    def mismatches(self):
        """By entity and field, each with the planted dirt that explains it."""
        dirt, planted = self.stack.manifest["dirt"], {}
        for kind, found in self.stack.planted.items():
            for table, key in found if dirt[kind]["effect"] == "changed" else ():
                planted.setdefault((table, str(key)), []).append(kind)
        groups = collections.OrderedDict()
        for entity, key, field, old, new in self.stack.new(
                "SELECT entity, k, field, legacy_value, new_value FROM ficus.mismatch ORDER BY id"):
            g = groups.setdefault((entity, field), {"entity": entity, "field": field, "count": 0, "why": set(),
                                                    "example": {"key": key, "legacy": old, "new": new}})
            g["count"] += 1
            kinds = planted.get((TABLES.get(entity, entity), key), [])
            zero = "zero_date" in kinds and (old or "").startswith("0000-00-00")
            g["why"].update(["zero_date"] if zero else kinds)
        answer = []
        for g in groups.values():
            kinds = sorted(g.pop("why"))
            g["planted"] = kinds
            g["why"] = "; ".join(f"{k}: {dirt[k]['what']}" for k in kinds) or "not explained"
            answer.append(g)
        return answer
