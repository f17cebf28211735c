// SPDX-License-Identifier: Apache-2.0
// Encoding of canonical operations and results. The reading half is in canonical_read.c.
#include "facade/canonical.h"

static void put_value(struct buf *out, struct value v)
{
    if (v.state == VALUE_SET) {
        buf_addjson(out, value_str(v));
    } else if (v.state == VALUE_FOREIGN) {
        buf_addz(out, "{\"raw\":");
        buf_addjson(out, value_str(v));
        buf_printf(out, ",\"problem\":\"%s\"}", value_problem_name((enum value_problem)v.problem));
    } else {
        buf_addz(out, "null");
    }
}

static void put_values(struct buf *out, const struct value *v, size_t n)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        put_value(out, v[i]);
    }
    buf_addc(out, ']');
}

static void put_name(struct buf *out, const char *key)
{
    if (out->data[out->len - 1] != '{')
        buf_addc(out, ',');
    buf_printf(out, "\"%s\":", key);
}

static void put_fields(struct buf *out, const struct field *const *fields, size_t n)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        buf_addjson(out, str_of(fields[i]->name));
    }
    buf_addc(out, ']');
}

static const char *const filter_names[] = {"and", "or",      "not",  "compare",
                                           "in",  "between", "null", "linked"};
static const char *const match_names[] = {"=", "<>", "<", "<=", ">", ">=", "like", "not like"};

// Depth is bounded by whoever built the filter (FILTER_DEPTH_MAX).
static void put_filter(struct buf *out, const struct filter *f)
{
    buf_printf(out, "{\"kind\":\"%s\"", filter_names[f->kind]);
    if (f->kind <= FILTER_NOT || f->kind == FILTER_LINKED) {
        put_name(out, "of");
        buf_addc(out, '[');
        for (size_t i = 0; i < f->nchildren; i++) {
            if (i)
                buf_addc(out, ',');
            put_filter(out, f->children[i]);
        }
        buf_addc(out, ']');
    }
    if (f->link) {
        put_name(out, "link");
        buf_addjson(out, str_of(f->link->name));
    }
    if (f->field) {
        put_name(out, "field");
        buf_addjson(out, str_of(f->field->name));
        put_name(out, "values");
        put_values(out, f->values, f->nvalues);
    }
    if (f->kind == FILTER_COMPARE)
        buf_printf(out, ",\"op\":\"%s\"", match_names[f->op]);
    if (f->negated)
        buf_addz(out, ",\"negated\":true");
    buf_addc(out, '}');
}

static void put_order(struct buf *out, const struct query *q)
{
    put_name(out, "order");
    buf_addc(out, '[');
    for (size_t i = 0; i < q->norder; i++)
        buf_printf(out, "%s[\"%s\",%s]", i ? "," : "", q->order[i].field->name,
                   q->order[i].desc ? "true" : "false");
    buf_addc(out, ']');
}

static void put_related(struct buf *out, const struct related *r)
{
    put_name(out, "related");
    buf_printf(out, "{\"parent\":\"%s\",\"relationship\":\"%s\",\"key\":", r->parent->name,
               r->relationship->name);
    put_values(out, r->parent_key, r->nparent_key);
    buf_addc(out, '}');
}

static void put_expansions(struct buf *out, const struct operation *op)
{
    put_name(out, "expand");
    buf_addc(out, '[');
    for (size_t i = 0; i < op->nexpansions; i++) {
        const struct expansion *x = &op->expansions[i];
        buf_printf(out, "%s{\"relationship\":\"%s\",\"limit\":%lld,\"fields\":", i ? "," : "",
                   x->relationship->name, x->limit);
        put_fields(out, x->fields, x->nfields);
        if (x->filter) {
            put_name(out, "filter");
            put_filter(out, x->filter);
        }
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
}

static void put_read(struct buf *out, const struct operation *op)
{
    static const char *const deleted[] = {"no", "only", "any"};
    const struct query *q = &op->query;
    put_name(out, "fields");
    put_fields(out, q->fields, q->nfields);
    if (q->key) {
        put_name(out, "key");
        put_values(out, q->key, op->entity->nkeys);
    }
    if (q->keys) {
        put_name(out, "keys");
        put_values(out, q->keys, q->nkeys);
    }
    if (q->filter) {
        put_name(out, "filter");
        put_filter(out, q->filter);
    }
    if (q->norder)
        put_order(out, q);
    if (q->related)
        put_related(out, q->related);
    if (op->nexpansions)
        put_expansions(out, op);
    buf_printf(out, ",\"limit\":%lld,\"offset\":%lld,\"deleted\":\"%s\",\"total\":%s", q->limit,
               q->offset, deleted[q->deleted], op->want_total ? "true" : "false");
}

static void put_write(struct buf *out, const struct operation *op)
{
    const struct write *w = &op->write;
    bool first = true;
    put_name(out, "now");
    buf_addjson(out, str_of(w->now));
    put_name(out, "actor");
    buf_addjson(out, w->actor);
    if (w->live_only) {
        put_name(out, "live");
        buf_addz(out, "true");
    }
    if (op->nmatch) {
        put_name(out, "match");
        buf_addc(out, '[');
        for (size_t i = 0; i < op->nmatch; i++) {
            buf_addz(out, i ? "," : "");
            buf_addjson(out, op->match[i]);
        }
        buf_addc(out, ']');
    }
    if (w->key) {
        put_name(out, "key");
        put_values(out, w->key, op->entity->nkeys);
    }
    if (!w->values)
        return;
    put_name(out, "values");
    buf_addc(out, '{');
    for (size_t i = 0; i < op->entity->nfields; i++) {
        if (w->values[i].state == VALUE_ABSENT)
            continue;
        if (!first)
            buf_addc(out, ',');
        first = false;
        buf_addjson(out, str_of(op->entity->fields[i].name));
        buf_addc(out, ':');
        put_value(out, w->values[i]);
    }
    buf_addc(out, '}');
}

static void put_extra(struct buf *out, const struct relate *r)
{
    const struct entity *link = r->relationship->through;
    bool first = true;
    put_name(out, "extra");
    buf_addc(out, '{');
    for (size_t i = 0; link && i < link->nfields; i++) {
        if (r->extra[i].state == VALUE_ABSENT)
            continue;
        buf_printf(out, "%s\"%s\":", first ? "" : ",", link->fields[i].name);
        first = false;
        put_value(out, r->extra[i]);
    }
    buf_addc(out, '}');
}

static void put_relate(struct buf *out, const struct operation *op)
{
    const struct relate *r = &op->relate;
    put_name(out, "relationship");
    buf_addjson(out, str_of(r->relationship->name));
    put_name(out, "near");
    put_value(out, r->near);
    put_name(out, "far");
    put_values(out, r->far, r->nfar);
    put_name(out, "remove");
    buf_addz(out, r->remove ? "true" : "false");
    if (r->extra)
        put_extra(out, r);
    put_name(out, "now");
    buf_addjson(out, str_of(op->write.now));
}

void canonical_write_operation(const struct operation *op, struct buf *out)
{
    buf_printf(out, "{\"kind\":\"%s\"", operation_name(op->kind));
    if (out->failed)
        return;
    if (operation_is_read(op->kind))
        put_read(out, op);
    else if (op->kind == OPERATION_RELATE)
        put_relate(out, op);
    else
        put_write(out, op);
    buf_addc(out, '}');
}

static void put_set(struct buf *out, const struct record_set *s, size_t nfields)
{
    buf_addc(out, '[');
    for (size_t i = 0; s && i < s->n; i++) {
        if (i)
            buf_addc(out, ',');
        put_values(out, s->rows[i].values, nfields);
    }
    buf_addc(out, ']');
}

static void put_related_rows(struct buf *out, const struct operation *op, const struct result *r)
{
    put_name(out, "related");
    buf_addc(out, '[');
    for (size_t i = 0; i < r->records.n; i++) {
        const struct record_set *sets = r->records.rows[i].related;
        buf_addz(out, i ? ",[" : "[");
        for (size_t k = 0; k < op->nexpansions; k++) {
            if (k)
                buf_addc(out, ',');
            put_set(out, sets ? &sets[k] : NULL, op->expansions[k].nfields);
        }
        buf_addc(out, ']');
    }
    buf_addc(out, ']');
}

void canonical_write_result(const struct operation *op, const struct result *r, struct buf *out)
{
    buf_printf(out, "{\"status\":\"%s\"", result_status_name(r->status));
    if (out->failed)
        return;
    if (r->status != RESULT_OK && r->err.msg[0]) {
        put_name(out, "detail");
        buf_addjson(out, str_of(r->err.msg));
    }
    if (operation_is_read(op->kind) && op->kind != OPERATION_COUNT) {
        put_name(out, "rows");
        put_set(out, &r->records, op->query.nfields);
    }
    if (op->nexpansions)
        put_related_rows(out, op, r);
    if (r->total >= 0)
        buf_printf(out, ",\"total\":%lld", r->total);
    if (r->key) {
        put_name(out, "key");
        put_values(out, r->key, op->entity->nkeys);
    }
    buf_printf(out, ",\"changed\":%lld}", r->changed);
}
