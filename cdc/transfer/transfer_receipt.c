// SPDX-License-Identifier: Apache-2.0
// The receipt of a transfer: who asked for what and why, the guards' figures, every step with its
// duration, the pause. Kept in ficus.transfer.receipt and in the audit; the steps are added where
// they are, by attempt_finish(). Owns nothing. Thread: the coordinator's.
#include "cdc/transfer/transfer_int.h"

json_t *transfer_guards_json(const struct guard *g, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s}", "name", g[i].name, "passed",
                                              (int)g[i].passed, "figure", g[i].figure, "mend",
                                              g[i].mend));
    return list;
}

static double pause_ms(const struct attempt *t)
{
    bool known = t->hold_started_ns && t->flipped_ns > t->hold_started_ns;
    return known ? (double)(t->flipped_ns - t->hold_started_ns) / 1e6 : 0;
}

static json_t *entity_names(const struct group *g)
{
    json_t *list = json_array();
    for (size_t i = 0; g && i < g->nentities; i++)
        json_array_append_new(list, json_string(g->entities[i]->name));
    return list;
}

json_t *receipt_make(const struct attempt *t, const struct receipt_facts *f)
{
    json_t *r = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:f, s:s, s:b, s:o, s:o}", "transfer",
        (json_int_t)t->id, "group", f->group, "kind", f->kind, "target", side_name(t->target),
        "outcome", f->outcome, "epoch", (json_int_t)t->epoch, "who", f->who, "asked_why",
        f->asked_why, "pause_ms", pause_ms(t), "why", f->why, "forced", (int)f->forced, "entities",
        entity_names(t->group), "guards", transfer_guards_json(f->guards, f->nguards));
    if (r && f->approved_by[0])
        json_object_set_new(r, "approved_by", json_string(f->approved_by));
    if (r && t->ended_holders)
        json_object_set_new(r, "ended_sessions", json_integer(t->ended_holders));
    return r;
}
