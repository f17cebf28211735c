// SPDX-License-Identifier: Apache-2.0
// Decoding of canonical operations and results. Everything is checked against the maps: a
// service does not trust its facade more than any other client.
#include "facade/canonical.h"
#include "facade/version.h"

#define VALUES_MAX 100000

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "canonical JSON: %s", what);
}

static int get_foreign(const json_t *j, struct arena *a, struct value *out, struct err *e)
{
    const json_t *raw = json_object_get(j, "raw");
    const char *problem = json_string_value(json_object_get(j, "problem"));
    enum value_problem p;
    if (!json_is_string(raw) || !problem || value_problem_from(str_of(problem), &p))
        return bad(e, "a value that fits no type has its raw text and its problem");
    struct str s = arena_str(a, str_n(json_string_value(raw), json_string_length(raw)));
    *out = value_set(s);
    out->state = VALUE_FOREIGN;
    out->problem = (uint8_t)p;
    return s.data ? 0 : err_memory(e);
}

static int get_value(const json_t *j, struct arena *a, struct value *out, struct err *e)
{
    if (json_is_object(j))
        return get_foreign(j, a, out, e);
    if (json_is_null(j)) {
        *out = value_null();
        return 0;
    }
    if (!json_is_string(j))
        return bad(e, "a value is a string of canonical text or null");
    struct str s = arena_str(a, str_n(json_string_value(j), json_string_length(j)));
    *out = value_set(s);
    return s.data ? 0 : err_memory(e);
}

static int get_values(const json_t *j, struct arena *a, const struct value **out, size_t *n,
                      struct err *e)
{
    size_t count = json_array_size(j);
    struct value *v = arena_array(a, count + 1, sizeof *v);
    if (!json_is_array(j) || count > VALUES_MAX)
        return bad(e, "a list of values is missing or too long");
    if (!v)
        return err_memory(e);
    for (size_t i = 0; i < count; i++)
        if (get_value(json_array_get(j, i), a, &v[i], e))
            return -1;
    *out = v;
    *n = count;
    return 0;
}

static int get_key(const json_t *j, const struct entity *en, struct arena *a,
                   const struct value **out, struct err *e)
{
    size_t n;
    if (!j)
        return 0;
    if (get_values(j, a, out, &n, e))
        return -1;
    return n == en->nkeys ? 0 : bad(e, "the key has another number of parts");
}

static int get_fields(const json_t *j, const struct entity *en, struct arena *a,
                      const struct field *const **out, size_t *n, struct err *e)
{
    size_t count = json_array_size(j);
    const struct field **list = arena_array(a, count + 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(j, i));
        list[i] = name ? entity_field(en, str_of(name)) : NULL;
        if (!list[i] || list[i]->secret)
            return bad(e, "an unknown field is asked for");
    }
    *out = list;
    *n = count;
    return 0;
}

static int word_of(const json_t *j, const char *const *words, size_t n)
{
    const char *s = json_string_value(j);
    for (size_t i = 0; s && i < n; i++)
        if (strcmp(words[i], s) == 0)
            return (int)i;
    return -1;
}

struct filters {
    const struct entity_set *set;
    const struct entity *en;
    struct arena *a;
    unsigned nodes;
};

static int get_filter(struct filters *fs, const json_t *j, unsigned depth, struct filter **out,
                      struct err *e);

static int get_children(struct filters *fs, const json_t *j, unsigned depth, struct filter *f,
                        struct err *e)
{
    const json_t *of = json_object_get(j, "of");
    f->nchildren = json_array_size(of);
    f->children = arena_array(fs->a, f->nchildren + 1, sizeof *f->children);
    if (!f->children)
        return err_memory(e);
    for (size_t i = 0; i < f->nchildren; i++)
        if (get_filter(fs, json_array_get(of, i), depth + 1, &f->children[i], e))
            return -1;
    return 0;
}

static int check_filter(const struct filter *f, struct err *e)
{
    bool group = f->kind <= FILTER_NOT;
    if (f->kind == FILTER_LINKED)
        return f->nchildren == 1 ? 0 : bad(e, "a linked filter has one filter of its link");
    size_t want = f->kind == FILTER_COMPARE ? 1 : f->kind == FILTER_BETWEEN ? 2 : 0;
    if (group ? f->kind == FILTER_OR    ? false
                : f->kind == FILTER_AND ? f->nchildren == 0
                                        : f->nchildren != 1
              : !f->field)
        return bad(e, "a filter has no operands");
    if (f->kind == FILTER_IN ? f->nvalues == 0 : !group && f->nvalues != want)
        return bad(e, "a filter has another number of values");
    return 0;
}

static int get_linked(struct filters *fs, const json_t *j, unsigned depth, struct filter *f,
                      struct err *e)
{
    const char *link = json_string_value(json_object_get(j, "link"));
    const char *field = json_string_value(json_object_get(j, "field"));
    const struct entity *outer = fs->en;
    f->link = link ? entity_find(fs->set, str_of(link)) : NULL;
    f->field = f->link && field ? entity_field(f->link, str_of(field)) : NULL;
    if (!f->field || f->field->secret)
        return bad(e, "a filter on an unknown link");
    fs->en = f->link;
    int rc = get_children(fs, j, depth, f, e);
    fs->en = outer;
    return rc;
}

static int get_filter(struct filters *fs, const json_t *j, unsigned depth, struct filter **out,
                      struct err *e)
{
    static const char *const kinds[] = {"and", "or",      "not",  "compare",
                                        "in",  "between", "null", "linked"};
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">=", "like", "not like"};
    struct filter *f = arena_alloc(fs->a, sizeof *f);
    int kind = word_of(json_object_get(j, "kind"), kinds, 8);
    int op = word_of(json_object_get(j, "op"), ops, 8);
    const char *field = json_string_value(json_object_get(j, "field"));
    if (!f)
        return err_memory(e);
    if (depth > FILTER_DEPTH_MAX || ++fs->nodes > FILTER_NODES_MAX)
        return err_set(e, ERR_LIMIT, "the filter is too deep or too large");
    if (kind < 0 || (kind == FILTER_COMPARE && op < 0))
        return bad(e, "an unknown filter");
    f->kind = (enum filter_kind)kind;
    f->op = op < 0 ? MATCH_EQ : (enum text_match)op;
    f->negated = json_is_true(json_object_get(j, "negated"));
    if (kind <= FILTER_NOT && get_children(fs, j, depth, f, e))
        return -1;
    if (kind == FILTER_LINKED && get_linked(fs, j, depth, f, e))
        return -1;
    if (kind > FILTER_NOT && kind != FILTER_LINKED) {
        f->field = field ? entity_field(fs->en, str_of(field)) : NULL;
        if (!f->field || f->field->secret)
            return bad(e, "a filter on an unknown field");
        if (get_values(json_object_get(j, "values"), fs->a, &f->values, &f->nvalues, e))
            return -1;
    }
    *out = f;
    return check_filter(f, e);
}

static int get_order(const json_t *j, struct operation *op, struct err *e)
{
    size_t n = json_array_size(j);
    struct order *list = arena_array(op->arena, n + 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(j, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        list[i].field = name ? entity_field(op->entity, str_of(name)) : NULL;
        list[i].desc = json_is_true(json_array_get(pair, 1));
        if (!list[i].field || list[i].field->secret)
            return bad(e, "order by an unknown field");
    }
    op->query.order = list;
    op->query.norder = n;
    return 0;
}

static int get_related(const json_t *j, const struct entity_set *set, struct operation *op,
                       struct err *e)
{
    const char *parent = json_string_value(json_object_get(j, "parent"));
    const char *name = json_string_value(json_object_get(j, "relationship"));
    struct related *r = arena_alloc(op->arena, sizeof *r);
    if (!j)
        return 0;
    if (!r)
        return err_memory(e);
    r->parent = parent ? entity_find(set, str_of(parent)) : NULL;
    r->relationship = r->parent && name ? entity_relationship(r->parent, str_of(name)) : NULL;
    if (!r->relationship || r->relationship->target != op->entity)
        return bad(e, "an unknown relationship");
    op->query.related = r;
    if (get_values(json_object_get(j, "key"), op->arena, &r->parent_key, &r->nparent_key, e))
        return -1;
    return r->nparent_key == 1 ? 0 : bad(e, "related rows are those of one parent");
}

static int get_expansions(const json_t *j, const struct entity_set *set, struct operation *op,
                          struct err *e)
{
    op->nexpansions = json_array_size(j);
    op->expansions = arena_array(op->arena, op->nexpansions + 1, sizeof *op->expansions);
    if (!op->expansions)
        return err_memory(e);
    for (size_t i = 0; i < op->nexpansions; i++) {
        const json_t *x = json_array_get(j, i);
        const char *name = json_string_value(json_object_get(x, "relationship"));
        struct expansion *out = &op->expansions[i];
        out->relationship = name ? entity_relationship(op->entity, str_of(name)) : NULL;
        if (!out->relationship)
            return bad(e, "an unknown relationship is expanded");
        const json_t *limit = json_object_get(x, "limit");
        out->limit = json_is_integer(limit) ? json_integer_value(limit) : -1;
        if (get_fields(json_object_get(x, "fields"), out->relationship->target, op->arena,
                       &out->fields, &out->nfields, e))
            return -1;
        const json_t *filter = json_object_get(x, "filter");
        struct filters fs = {set, out->relationship->target, op->arena, 0};
        struct filter *f = NULL;
        if (filter && get_filter(&fs, filter, 0, &f, e))
            return -1;
        out->filter = f;
    }
    return 0;
}

static int get_read(const json_t *j, const struct entity_set *set, struct operation *op,
                    struct err *e)
{
    static const char *const deleted[] = {"no", "only", "any"};
    struct query *q = &op->query;
    struct filters fs = {set, op->entity, op->arena, 0};
    const json_t *filter = json_object_get(j, "filter"), *keys = json_object_get(j, "keys");
    const json_t *limit = json_object_get(j, "limit");
    struct filter *f = NULL;
    int mode = word_of(json_object_get(j, "deleted"), deleted, 3);
    q->entity = op->entity;
    q->deleted = mode < 0 ? DELETED_NO : (enum deleted_mode)mode;
    q->limit = json_is_integer(limit) ? json_integer_value(limit) : -1;
    q->offset = json_integer_value(json_object_get(j, "offset"));
    op->want_total = json_is_true(json_object_get(j, "total"));
    if (get_fields(json_object_get(j, "fields"), op->entity, op->arena, &q->fields, &q->nfields,
                   e) ||
        get_key(json_object_get(j, "key"), op->entity, op->arena, &q->key, e) ||
        (keys && get_values(keys, op->arena, &q->keys, &q->nkeys, e)) ||
        (filter && get_filter(&fs, filter, 0, &f, e)) ||
        get_order(json_object_get(j, "order"), op, e) ||
        get_related(json_object_get(j, "related"), set, op, e) ||
        get_expansions(json_object_get(j, "expand"), set, op, e))
        return -1;
    q->filter = f;
    if (op->kind == OPERATION_GET && !q->key)
        return bad(e, "a get needs a key");
    return q->offset < 0 ? bad(e, "a negative offset") : 0;
}

static int get_named(const json_t *j, const struct entity *en, struct arena *a,
                     const struct value **out, struct err *e)
{
    struct value *values = arena_array(a, en->nfields + 1, sizeof *values);
    const char *name;
    json_t *v;
    if (!j)
        return 0;
    if (!values)
        return err_memory(e);
    json_object_foreach((json_t *)j, name, v)
    {
        const struct field *f = entity_field(en, str_of(name));
        if (!f || f->secret)
            return bad(e, "an unknown field is written");
        if (get_value(v, a, &values[f->index], e))
            return -1;
    }
    *out = values;
    return 0;
}

static int get_relate(const json_t *j, struct operation *op, struct err *e)
{
    struct relate *r = &op->relate;
    const char *name = json_string_value(json_object_get(j, "relationship"));
    r->relationship = name ? entity_relationship(op->entity, str_of(name)) : NULL;
    if (!r->relationship)
        return bad(e, "an unknown relationship");
    r->remove = json_is_true(json_object_get(j, "remove"));
    if (get_value(json_object_get(j, "near"), op->arena, &r->near, e) ||
        get_values(json_object_get(j, "far"), op->arena, &r->far, &r->nfar, e))
        return -1;
    return r->relationship->through ? get_named(json_object_get(j, "extra"),
                                                r->relationship->through, op->arena, &r->extra, e)
                                    : 0;
}

static int get_match(const json_t *j, struct operation *op, struct err *e)
{
    size_t n = json_array_size(j);
    struct str *list = arena_array(op->arena, n + 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        const char *version = json_string_value(json_array_get(j, i));
        if (!version || strlen(version) != VERSION_LEN)
            return bad(e, "a version is 32 hex digits");
        list[i] = arena_str(op->arena, str_of(version));
        if (!list[i].data)
            return err_memory(e);
    }
    op->match = list;
    op->nmatch = n;
    return j && n == 0 ? bad(e, "a write at no version") : 0;
}

static int get_write(const json_t *j, struct operation *op, struct err *e)
{
    const json_t *now = json_object_get(j, "now"), *actor = json_object_get(j, "actor");
    if (json_is_string(now)) {
        op->write.now = arena_strz(op->arena, str_of(json_string_value(now)));
        if (!op->write.now || strlen(op->write.now) != 19)
            return bad(e, "now is YYYY-MM-DD HH:MM:SS");
    }
    if (json_is_string(actor))
        op->write.actor = arena_str(op->arena, str_of(json_string_value(actor)));
    op->write.live_only = json_is_true(json_object_get(j, "live"));
    if (get_match(json_object_get(j, "match"), op, e))
        return -1;
    if (op->kind == OPERATION_RELATE)
        return get_relate(j, op, e);
    if (get_key(json_object_get(j, "key"), op->entity, op->arena, &op->write.key, e) ||
        get_named(json_object_get(j, "values"), op->entity, op->arena, &op->write.values, e))
        return -1;
    return op->write.key || op->kind == OPERATION_CREATE ? 0 : bad(e, "a write needs a key");
}

int canonical_read_operation(const json_t *j, const struct entity_set *set, struct operation *op,
                             struct err *e)
{
    static const char *const kinds[] = {"get",    "list",   "count", "create",
                                        "update", "delete", "relate"};
    int kind = word_of(json_object_get(j, "kind"), kinds, 7);
    if (kind < 0)
        return bad(e, "an unknown kind of operation");
    op->kind = (enum operation_kind)kind;
    return operation_is_read(op->kind) ? get_read(j, set, op, e) : get_write(j, op, e);
}

// ---------------------------------------------------------------- results

static int get_set(const json_t *j, size_t nfields, struct arena *a, struct record_set *out,
                   struct err *e)
{
    out->n = json_array_size(j);
    out->rows = arena_array(a, out->n + 1, sizeof *out->rows);
    if (!out->rows)
        return err_memory(e);
    for (size_t i = 0; i < out->n; i++) {
        size_t n;
        if (get_values(json_array_get(j, i), a, &out->rows[i].values, &n, e))
            return -1;
        if (n != nfields)
            return bad(e, "a row has another number of fields");
    }
    return 0;
}

static int get_related_rows(const struct operation *op, const json_t *j, struct result *out,
                            struct err *e)
{
    for (size_t i = 0; i < out->records.n; i++) {
        const json_t *sets = json_array_get(j, i);
        struct record_set *related = arena_array(op->arena, op->nexpansions, sizeof *related);
        if (!related)
            return err_memory(e);
        for (size_t k = 0; k < op->nexpansions; k++)
            if (get_set(json_array_get(sets, k), op->expansions[k].nfields, op->arena, &related[k],
                        e))
                return -1;
        out->records.rows[i].related = related;
    }
    return 0;
}

int canonical_read_result(const struct operation *op, const json_t *j, struct result *out,
                          struct err *e)
{
    const char *status = json_string_value(json_object_get(j, "status"));
    const json_t *total = json_object_get(j, "total"), *key = json_object_get(j, "key");
    const char *detail = json_string_value(json_object_get(j, "detail"));
    int found = -1;
    for (int i = 0; status && i <= RESULT_ERROR; i++)
        if (strcmp(result_status_name((enum result_status)i), status) == 0)
            found = i;
    if (found < 0)
        return bad(e, "a reply without a known status");
    *out = (struct result){.status = (enum result_status)found, .total = -1};
    if (detail)
        err_set(&out->err, ERR_INTERNAL, "%s", detail);
    out->changed = json_integer_value(json_object_get(j, "changed"));
    if (json_is_integer(total))
        out->total = json_integer_value(total);
    if (key && get_key(key, op->entity, op->arena, &out->key, e))
        return -1;
    if (!operation_is_read(op->kind))
        return 0;
    if (get_set(json_object_get(j, "rows"), op->query.nfields, op->arena, &out->records, e))
        return -1;
    if (op->want_version && out->records.n == 1 &&
        !version_of(op->entity, op->query.fields, op->query.nfields, out->records.rows[0].values,
                    out->version))
        return bad(e, "a row without all of its fields");
    return op->nexpansions ? get_related_rows(op, json_object_get(j, "related"), out, e) : 0;
}
