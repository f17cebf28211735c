// SPDX-License-Identifier: Apache-2.0
// A reconciliation as JSON: what docs/schema/reconcile-report.schema.json describes.
#include "cli/reconcile_report.h"

#include <stdlib.h>

static json_t *value_json(struct value v)
{
    return v.state == VALUE_SET ? json_stringn(v.data, v.len) : json_null();
}

static json_t *sides(const char *legacy, const char *new_)
{
    return json_pack("{s:s, s:s}", "legacy", legacy, "new", new_);
}

static json_t *sample_json(const struct difference *d)
{
    return json_pack("{s:s%, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "key", d->key.data, d->key.len,
                     "kind", d->kind, "field", d->field, "cause", cause_name(d->cause), "legacy",
                     value_json(d->legacy), "new", value_json(d->new_), "version",
                     sides(d->version[SIDE_LEGACY], d->version[SIDE_NEW]), "last_event",
                     sides(d->event[SIDE_LEGACY], d->event[SIDE_NEW]));
}

static json_t *entity_json(const struct entity_report *r)
{
    json_t *samples = json_array(), *findings = json_array();
    for (size_t i = 0; i < r->nsamples; i++)
        json_array_append_new(samples, sample_json(&r->samples[i]));
    for (size_t i = 0; i < r->nfindings; i++)
        json_array_append_new(
            findings, json_pack("{s:s, s:s, s:s, s:I}", "kind", r->findings[i].kind, "field",
                                r->findings[i].field, "cause", cause_name(r->findings[i].cause),
                                "rows", (json_int_t)r->findings[i].rows));
    json_t *j = json_pack(
        "{s:s, s:s, s:s%, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "entity", r->entity->name,
        "plan", reconcile_plan_name(r->plan), "why", r->why.data ? r->why.data : "", r->why.len,
        "rows_legacy", (json_int_t)r->rows_legacy, "rows_new", (json_int_t)r->rows_new,
        "differences", (json_int_t)r->differences, "settled", (json_int_t)r->settled, "unsettled",
        (json_int_t)r->unsettled, "parked", (json_int_t)r->parked, "bad_keys",
        (json_int_t)r->bad_keys, "candidates", (json_int_t)r->candidates);
    json_object_set_new(j, "ranges", json_integer(r->ranges));
    json_object_set_new(j, "ranges_resumed", json_integer(r->ranges_resumed));
    json_object_set_new(j, "wire_bytes", json_integer(r->wire));
    json_object_set_new(j, "ms", json_integer((json_int_t)r->ms));
    json_object_set_new(j, "complete", json_boolean(r->complete));
    json_object_set_new(j, "full", json_boolean(r->full));
    json_object_set_new(j, "samples_cut", json_boolean(r->samples_cut));
    json_object_set_new(j, "findings", findings);
    json_object_set_new(j, "samples", samples);
    return j;
}

json_t *reconcile_json(const struct reconcile_report *r, const char *who)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nentities; i++)
        json_array_append_new(list, entity_json(&r->entities[i]));
    json_t *receipt = r->receipt.len ? json_loadb(r->receipt.data, r->receipt.len, 0, NULL) : NULL;
    return json_pack("{s:I, s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:O, s:O, s:o, s:o}", "run",
                     (json_int_t)r->run, "who", who, "started", r->started.data, "equal",
                     (int)r->equal, "complete", (int)r->complete, "full", (int)r->full, "ms",
                     (json_int_t)r->ms, "table_version", (json_int_t)r->version, "positions",
                     r->positions, "epochs", r->epochs, "receipt", receipt ? receipt : json_null(),
                     "entities", list);
}

int reconcile_write_json(const struct reconcile_report *r, const char *who, const char *file,
                         struct err *e)
{
    json_t *j = reconcile_json(r, who);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    struct buf out = BUF_INIT;
    int result = text ? 0 : err_memory(e);
    if (result == 0) {
        buf_addz(&out, text);
        buf_addc(&out, '\n');
        result = reconcile_put(&out, file, e);
    }
    buf_free(&out);
    free(text);
    json_decref(j);
    return result;
}
