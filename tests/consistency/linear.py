# SPDX-License-Identifier: Apache-2.0
"""Is one record's history linearizable? After Wing & Gong, with Lowe's memory of what was tried.

The record is a register that is absent (None) or holds a value:
    create v   absent -> v             delete   any -> absent
    update v   present -> v; absent -> absent where `lenient` (a client that is told "done" for a
               row that is gone: v4_1 and SQL), else impossible
    read r     only while it holds r
Each write's value is unique, which makes unknown outcomes cheap: one that nobody read may as well
never have happened, and one that was read happened before that read ended.
"""
FOREVER = float("inf")
STEPS_MAX = 400_000


class Undecided(Exception):
    """STEPS_MAX were not enough."""


class Step:
    """One operation of the register. Optional: it need not have happened."""
    __slots__ = ("kind", "value", "begin", "end", "lenient", "op")

    def __init__(self, kind, value, begin, end, lenient=False, op=None):
        self.kind, self.value, self.begin, self.end, self.lenient, self.op = kind, value, begin, end, lenient, op

    @property
    def optional(self):
        return self.end == FOREVER


IMPOSSIBLE = object()


def apply(step, state):
    if step.kind == "read":
        return state if step.value == state else IMPOSSIBLE
    if step.kind == "delete":
        return None
    if step.kind == "create":
        return step.value if state is None else IMPOSSIBLE
    if state is None:
        return None if step.lenient else IMPOSSIBLE
    return step.value


def settle(steps):
    """Unknown writes: those that were read get the bound that follows, the others go."""
    seen = {}
    for step in steps:
        if step.kind == "read" and step.value is not None:
            seen[step.value] = min(seen.get(step.value, FOREVER), step.end)
    kept = []
    for step in steps:
        if step.optional and step.kind in ("create", "update"):
            if step.value not in seen:
                continue
            step = Step(step.kind, step.value, step.begin, seen[step.value], step.lenient, step.op)
        kept.append(step)
    return sorted(kept, key=lambda s: s.begin)


def linearizable(steps):
    steps = settle(steps)
    must = 0
    for i, step in enumerate(steps):
        if not step.optional:
            must |= 1 << i
    tried, todo, count = set(), [(0, None)], 0
    while todo:
        done, state = todo.pop()
        candidates, done = _candidates(steps, done, state)
        if done & must == must:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        count += 1
        if count > STEPS_MAX:
            raise Undecided(f"{len(steps)} operations of one record")
        for i in candidates:
            after = apply(steps[i], state)
            if after is not IMPOSSIBLE:
                todo.append((done | 1 << i, after))
    return False


def _candidates(steps, done, state):
    """What may come next: whatever began before everything else that is left has ended. A read
    of the present state among them can come at once, without loss."""
    while True:
        first_end, found, again = FOREVER, [], False
        for i in range((~done & (done + 1)).bit_length() - 1, len(steps)):
            step = steps[i]
            if step.begin > first_end:
                break
            if done >> i & 1:
                continue
            found.append(i)
            first_end = min(first_end, step.end)
        found = [i for i in found if steps[i].begin <= first_end]
        for i in found:
            if steps[i].kind == "read" and steps[i].value == state:
                done |= 1 << i
                again = True
        if not again:
            return found, done


def prefix(steps, end):
    """The history as it stood at `end`: what had not returned by then may have happened."""
    cut = []
    for step in steps:
        if step.end <= end:
            cut.append(step)
        elif step.begin <= end and step.kind != "read":
            cut.append(Step(step.kind, step.value, step.begin, FOREVER, step.lenient, step.op))
    return cut


def minimal(steps):
    """(steps, culprit): a smallest part that still cannot be explained, and the operation by
    whose return it became so. A record's history stays linearizable when all operations of one
    value are left out, or single reads; so what remains accuses the whole."""
    ends = sorted({s.end for s in steps if s.end != FOREVER})
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if linearizable(prefix(steps, ends[middle])):
            low = middle + 1
        else:
            high = middle
    culprit = next(s for s in steps if s.end == ends[low])
    part = prefix(steps, ends[low])
    for drop in [[s] for s in part if s.kind == "read"] + [
            [s for s in part if s.value == v] for v in {s.value for s in part if s.kind == "update"}]:
        rest = [s for s in part if s not in drop]
        if len(rest) < len(part) and not linearizable(rest):
            part = rest
    shown = {id(s.op) for s in settle(part)}
    return [s for s in part if id(s.op) in shown], culprit
