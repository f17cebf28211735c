// SPDX-License-Identifier: Apache-2.0
// What a write of the facade leaves behind besides: the map's "also". Statements of the kind of
// write, then one for each listed field that an update changed. Changed means: another canonical
// value, so 5 and 5.000000 in a decimal are one. Thread: any.
#include "migrations/query_int.h"

struct also_job {
    const struct write *w;
    struct query_build b; // template; each statement starts from a copy
    struct write_list list;
};

static int add(struct also_job *j, const char *sql, const struct named_change *change,
               struct err *e)
{
    struct query_build b = j->b;
    struct sql one;
    return query_named(&b, sql, j->w, change, &one, e) < 0
               ? -1
               : write_list_add(&j->list, one, STATEMENT_LOOKUP, e);
}

// As the legacy's column holds it. What no canonical value can hold is shown as it lies there.
static int raw_text(const struct also_job *j, const struct field *f, struct value v,
                    struct value *out, struct err *e)
{
    if (v.state == VALUE_FOREIGN) {
        *out = value_set(value_str(v));
        return 0;
    }
    return type_write(f, j->b.side, v, j->b.a, out, e);
}

static int add_change(struct also_job *j, const char *sql, const struct change_field *c,
                      const struct value *before, struct err *e)
{
    struct named_change change = {.field = c};
    struct value was = before[c->field->index], is = query_write_value(j->w, c->field);
    if (was.state == VALUE_ABSENT || is.state == VALUE_ABSENT || value_eq(was, is))
        return 0;
    if (raw_text(j, c->field, was, &change.before, e) < 0 ||
        raw_text(j, c->field, is, &change.after, e) < 0)
        return -1;
    return add(j, sql, &change, e);
}

int query_also(const struct write *w, const struct value *before, enum side side,
               const struct dbms *d, struct arena *a, struct write_statement **out, size_t *n,
               struct err *e)
{
    struct also_job j = {
        .w = w, .b = {.en = w->entity, .side = side, .d = d, .a = a}, .list = {.a = a}};
    const struct also *also = &w->entity->sides[side].also;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < also->after[w->kind].n; i++)
        rc = add(&j, also->after[w->kind].sql[i], NULL, e);
    for (size_t i = 0; rc == 0 && before && w->kind == WRITE_UPDATE && i < also->nchanges; i++)
        for (size_t k = 0; rc == 0 && k < also->changes[i].nfields; k++)
            rc = add_change(&j, also->changes[i].sql, &also->changes[i].fields[k], before, e);
    *out = j.list.list;
    *n = j.list.n;
    return rc;
}

static bool listed(const struct also *also, const struct field *f)
{
    for (size_t i = 0; i < also->nchanges; i++)
        for (size_t k = 0; k < also->changes[i].nfields; k++)
            if (also->changes[i].fields[k].field == f)
                return true;
    return false;
}

const struct field *const *query_also_fields(const struct write *w, enum side side, struct arena *a,
                                             size_t *n)
{
    const struct entity *en = w->entity;
    const struct also *also = &en->sides[side].also;
    const struct field **list = arena_array(a, en->nfields, sizeof(*list));
    *n = 0;
    for (size_t i = 0; list && w->kind == WRITE_UPDATE && i < en->nfields; i++)
        if (listed(also, &en->fields[i]) &&
            query_write_value(w, &en->fields[i]).state != VALUE_ABSENT)
            list[(*n)++] = &en->fields[i];
    return list;
}
