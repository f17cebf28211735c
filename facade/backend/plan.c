// SPDX-License-Identifier: Apache-2.0
// Operation -> SQL, rows -> result. Pure: no connection, no thread of its own.
#include "facade/backend/plan.h"

#include "facade/version.h"
#include "migrations/type.h"

// ---------------------------------------------------------------- copying

static int copy_value(struct value *v, struct arena *a)
{
    if (v->state != VALUE_SET && v->state != VALUE_FOREIGN)
        return 0;
    struct str s = arena_str(a, value_str(*v));
    v->data = s.data;
    return s.data ? 0 : -1;
}

static int copy_sql(struct sql *s, struct arena *a)
{
    struct value *params = arena_array(a, s->nparams ? s->nparams : 1, sizeof *params);
    s->text = arena_str(a, s->text);
    if (!params || !s->text.data)
        return -1;
    for (size_t i = 0; i < s->nparams; i++) {
        params[i] = s->params[i];
        if (copy_value(&params[i], a))
            return -1;
    }
    s->params = params;
    return 0;
}

static const struct field *const *copy_fields(const struct field *const *fields, size_t n,
                                              struct arena *a)
{
    const struct field **list = arena_array(a, n ? n : 1, sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        list[i] = fields[i];
    return list;
}

static int copy_expansions(struct plan *p, const struct operation *op)
{
    struct expansion *list = arena_array(p->arena, op->nexpansions + 1, sizeof *list);
    bool bad = false;
    if (!list)
        return -1;
    for (size_t i = 0; i < op->nexpansions; i++) {
        list[i] = op->expansions[i];
        list[i].fields = copy_fields(op->expansions[i].fields, op->expansions[i].nfields, p->arena);
        list[i].filter = filter_clone(op->expansions[i].filter, p->arena, &bad);
        if (!list[i].fields || bad)
            return -1;
    }
    p->op.expansions = list;
    return 0;
}

// ---------------------------------------------------------------- reads

static bool selects(const struct field *const *fields, size_t n, const struct field *f, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        if (fields[i] == f) {
            *at = i;
            return true;
        }
    }
    return false;
}

static int select_fields(struct plan *p, const struct operation *op)
{
    const struct entity *en = op->entity;
    size_t n = op->query.nfields;
    const struct field **list = arena_array(p->arena, n + en->nkeys, sizeof *list);
    if (!list || en->nkeys > sizeof p->key_at / sizeof p->key_at[0])
        return -1;
    for (size_t i = 0; i < n; i++)
        list[i] = op->query.fields[i];
    for (size_t i = 0; i < en->nkeys; i++) {
        if (!selects(list, n, en->keys[i], &p->key_at[i])) {
            p->key_at[i] = n;
            list[n++] = en->keys[i];
        }
    }
    p->fields = list;
    p->nfields = n;
    return 0;
}

static int plan_read(struct plan *p, const struct operation *op, struct err *e)
{
    struct query q = op->query;
    q.entity = op->entity;
    p->has_select = op->kind != OPERATION_COUNT;
    p->has_count = op->kind == OPERATION_COUNT || (op->kind == OPERATION_LIST && op->want_total);
    if (select_fields(p, op))
        return err_memory(e);
    q.fields = p->fields;
    q.nfields = p->nfields;
    if (op->kind == OPERATION_GET)
        q.limit = -1;
    if (p->has_select && (query_select(&q, p->side, p->dbms, p->arena, &p->select, e) ||
                          (copy_sql(&p->select, p->arena) && err_memory(e))))
        return -1;
    if (p->has_count && (query_count(&q, p->side, p->dbms, p->arena, &p->count, e) ||
                         (copy_sql(&p->count, p->arena) && err_memory(e))))
        return -1;
    return copy_expansions(p, op) ? err_memory(e) : 0;
}

// ---------------------------------------------------------------- writes

// The record as it is. The legacy's root row is locked by it; the new side gives its row mark,
// which the write then insists on: either way what is compared is what is written over.
static int plan_guard(struct plan *p, const struct operation *op, struct err *e)
{
    struct str *match = arena_array(p->arena, op->nmatch, sizeof *match);
    struct query q = {.entity = op->entity,
                      .key = op->write.key,
                      .deleted = op->write.live_only ? DELETED_NO : DELETED_ANY,
                      .lock = p->side == SIDE_LEGACY,
                      .row_mark = p->side == SIDE_NEW,
                      .limit = -1};
    p->guard_fields = version_fields(op->entity, p->arena, &p->nguard_fields);
    if (!match || !p->guard_fields)
        return err_memory(e);
    for (size_t i = 0; i < op->nmatch; i++)
        if (!(match[i] = arena_str(p->arena, op->match[i])).data)
            return err_memory(e);
    p->op.match = match;
    q.fields = p->guard_fields;
    q.nfields = p->nguard_fields;
    if (query_select(&q, p->side, p->dbms, p->arena, &p->guard, e))
        return -1;
    return copy_sql(&p->guard, p->arena) ? err_memory(e) : 0;
}

static int plan_relate(struct plan *p, const struct operation *op, struct err *e)
{
    const struct relate *r = &op->relate;
    size_t total = 0, room = r->nfar * 8 + 1;
    p->statements = arena_array(p->arena, room, sizeof *p->statements);
    if (!p->statements)
        return err_memory(e);
    for (size_t i = 0; i < r->nfar; i++) {
        struct write_statement *some;
        size_t n;
        if (query_relate(r->relationship, r->near, r->far[i], r->remove, r->extra, op->write.now,
                         p->side, p->dbms, p->arena, &some, &n, e))
            return -1;
        for (size_t k = 0; k < n; k++) {
            if (total == room)
                return err_set(e, ERR_LIMIT, "too many statements for one relation");
            p->statements[total++] = some[k];
        }
    }
    p->nstatements = total;
    return 0;
}

// The write itself, for statements that are made by the worker.
static int copy_write(struct plan *p, const struct write *w)
{
    size_t n = p->op.entity->nfields;
    struct value *values = w->values ? arena_array(p->arena, n + 1, sizeof *values) : NULL;
    p->op.write.entity = p->op.entity;
    p->op.write.now = arena_strz(p->arena, str_of(w->now));
    p->op.write.actor = arena_str(p->arena, w->actor);
    if (!p->op.write.now || !p->op.write.actor.data || (w->values && !values))
        return -1;
    for (size_t i = 0; values && i < n; i++) {
        values[i] = w->values[i];
        if (copy_value(&values[i], p->arena))
            return -1;
    }
    p->op.write.values = values;
    return 0;
}

// What the map leaves behind besides, and the values that are to be known for it: read under the
// lock of the root's row, so nobody changes them between this and the write.
static int prepare_also(struct plan *p, const struct operation *op, struct err *e)
{
    const struct also *also = &op->entity->sides[p->side].also;
    if (op->kind == OPERATION_RELATE || (also->after[op->write.kind].n == 0 &&
                                         (op->kind != OPERATION_UPDATE || also->nchanges == 0)))
        return 0;
    p->also = true;
    if (copy_write(p, &op->write))
        return err_memory(e);
    p->before_fields = query_also_fields(&p->op.write, p->side, p->arena, &p->nbefore_fields);
    if (!p->before_fields)
        return err_memory(e);
    if (p->nbefore_fields == 0)
        return 0;
    struct query q = {.entity = op->entity,
                      .key = p->op.write.key,
                      .fields = p->before_fields,
                      .nfields = p->nbefore_fields,
                      .deleted = DELETED_ANY,
                      .lock = true,
                      .limit = -1};
    if (query_select(&q, p->side, p->dbms, p->arena, &p->before, e))
        return -1;
    return copy_sql(&p->before, p->arena) ? err_memory(e) : 0;
}

static bool all_in_root(const struct plan *p)
{
    for (size_t i = 0; i < p->nbefore_fields; i++)
        if (p->before_fields[i]->place[p->side].kind != PLACE_ROOT)
            return false;
    return true;
}

// A store whose writing transaction holds everything has no words for this.
static int plan_lock(struct plan *p, const struct operation *op, struct err *e)
{
    struct query q = {.entity = op->entity,
                      .key = p->op.write.key,
                      .fields = op->entity->keys,
                      .nfields = op->entity->nkeys,
                      .deleted = DELETED_ANY,
                      .lock = true,
                      .limit = -1};
    bool wanted = p->nguard_fields > 0 || !all_in_root(p);
    if (p->side != SIDE_LEGACY || !wanted || !*p->dbms->lock_row)
        return 0;
    if (query_select(&q, p->side, p->dbms, p->arena, &p->lock, e))
        return -1;
    return copy_sql(&p->lock, p->arena) ? err_memory(e) : 0;
}

static int plan_write(struct plan *p, const struct operation *op, struct err *e)
{
    if (op->kind == OPERATION_RELATE ? plan_relate(p, op, e)
                                     : query_write(&op->write, p->side, p->dbms, p->arena,
                                                   &p->statements, &p->nstatements, e))
        return -1;
    for (size_t i = 0; i < p->nstatements; i++)
        if (copy_sql(&p->statements[i].sql, p->arena))
            return err_memory(e);
    if (op->write.key) {
        struct value *key = arena_array(p->arena, op->entity->nkeys, sizeof *key);
        if (!key)
            return err_memory(e);
        for (size_t i = 0; i < op->entity->nkeys; i++) {
            key[i] = op->write.key[i];
            if (copy_value(&key[i], p->arena))
                return err_memory(e);
        }
        p->op.write.key = key;
    }
    if (prepare_also(p, op, e))
        return -1;
    if (op->nmatch && op->kind != OPERATION_RELATE && plan_guard(p, op, e))
        return -1;
    return plan_lock(p, op, e);
}

int plan_make(struct plan *p, const struct operation *op, enum side side, const struct dbms *d,
              struct arena *a, struct err *e)
{
    *p = (struct plan){.op = *op, .side = side, .dbms = d, .arena = a};
    p->op.arena = a;
    p->op.principal = NULL;
    p->op.request_line = NULL;
    p->op.query.filter = NULL;
    p->op.query.fields = copy_fields(op->query.fields, op->query.nfields, a);
    if (!p->op.query.fields)
        return err_memory(e);
    return operation_is_read(op->kind) ? plan_read(p, op, e) : plan_write(p, op, e);
}

// ---------------------------------------------------------------- rows

static int canonical_row(const struct field *const *fields, size_t n, enum side side,
                         const struct value *cells, struct arena *a, struct value *out,
                         struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (type_read(fields[i], side, cells[i], a, &out[i], e))
            return -1;
    return 0;
}

int plan_take_rows(const struct plan *p, const struct rows *rows, struct result *out, struct err *e)
{
    if (rows->nrows && rows->ncols != p->nfields)
        return err_set(e, ERR_SCHEMA, "%s: %zu columns where %zu were asked for",
                       p->op.entity->name, rows->ncols, p->nfields);
    out->records.rows = arena_array(p->arena, rows->nrows ? rows->nrows : 1,
                                    sizeof *out->records.rows);
    struct value *values = arena_array(p->arena, rows->nrows * p->nfields + 1, sizeof *values);
    if (!out->records.rows || !values)
        return err_memory(e);
    out->records.n = rows->nrows;
    for (size_t i = 0; i < rows->nrows; i++, values += p->nfields) {
        if (canonical_row(p->fields, p->nfields, p->side, rows_at(rows, i, 0), p->arena, values, e))
            return -1;
        out->records.rows[i].values = values;
    }
    if (p->op.kind == OPERATION_GET && rows->nrows == 0)
        out->status = RESULT_NOT_FOUND;
    else if (p->op.kind == OPERATION_GET && p->op.want_version &&
             !version_of(p->op.entity, p->fields, p->nfields, out->records.rows[0].values,
                         out->version))
        return err_set(e, ERR_INTERNAL, "a version is of all fields");
    return 0;
}

int plan_check_guard(const struct plan *p, const struct rows *rows, struct err *e)
{
    char version[VERSION_LEN + 1];
    struct value *values = arena_array(p->arena, p->nguard_fields + 1, sizeof *values);
    if (!values)
        return err_memory(e);
    if (rows->nrows == 0)
        return err_set(e, ERR_NOT_FOUND, "%s not found", p->op.entity->name);
    if (rows->ncols < p->nguard_fields)
        return err_set(e, ERR_SCHEMA, "%s: fewer columns than were asked for", p->op.entity->name);
    if (canonical_row(p->guard_fields, p->nguard_fields, p->side, rows_at(rows, 0, 0), p->arena,
                      values, e))
        return -1;
    if (!version_of(p->op.entity, p->guard_fields, p->nguard_fields, values, version))
        return err_set(e, ERR_INTERNAL, "a version is of all fields");
    return version_matches(&p->op, version)
               ? 0
               : err_set(e, ERR_STALE, "%s has been changed", p->op.entity->name);
}

int plan_also(struct plan *p, const struct rows *before, struct write_statement **out, size_t *n,
              struct err *e)
{
    const struct entity *en = p->op.entity;
    struct value *was = arena_array(p->arena, en->nfields + 1, sizeof *was);
    struct value *row = arena_array(p->arena, p->nbefore_fields + 1, sizeof *row);
    if (!was || !row)
        return err_memory(e);
    if (before && before->nrows > 0) {
        if (before->ncols != p->nbefore_fields)
            return err_set(e, ERR_SCHEMA, "%s: %zu columns where %zu were asked for", en->name,
                           before->ncols, p->nbefore_fields);
        if (canonical_row(p->before_fields, p->nbefore_fields, p->side, rows_at(before, 0, 0),
                          p->arena, row, e))
            return -1;
        for (size_t i = 0; i < p->nbefore_fields; i++)
            was[p->before_fields[i]->index] = row[i];
    }
    return query_also(&p->op.write, was, p->side, p->dbms, p->arena, out, n, e);
}

int plan_take_count(const struct rows *rows, struct result *out, struct err *e)
{
    if (rows->nrows != 1 || rows->cells[0].state != VALUE_SET ||
        !str_to_int(value_str(rows->cells[0]), 0, INT64_MAX, &out->total))
        return err_set(e, ERR_INTERNAL, "a count gave no number");
    return 0;
}

// ---------------------------------------------------------------- expansions

int plan_expand(struct plan *p, const struct result *r, size_t *n, struct err *e)
{
    size_t rows = r->records.n;
    *n = 0;
    if (rows == 0 || p->op.nexpansions == 0)
        return 0;
    struct value *keys = arena_array(p->arena, rows, sizeof *keys);
    p->expansions = arena_array(p->arena, p->op.nexpansions, sizeof *p->expansions);
    if (!keys || !p->expansions)
        return err_memory(e);
    for (size_t i = 0; i < rows; i++)
        keys[i] = r->records.rows[i].values[p->key_at[0]];
    for (size_t i = 0; i < p->op.nexpansions; i++) {
        const struct expansion *x = &p->op.expansions[i];
        struct related related = {.relationship = x->relationship,
                                  .parent = p->op.entity,
                                  .parent_key = keys,
                                  .nparent_key = rows,
                                  .by_parent = true};
        struct query q = {.entity = x->relationship->target,
                          .fields = x->fields,
                          .nfields = x->nfields,
                          .related = &related,
                          .filter = x->filter,
                          .limit = -1};
        if (query_select(&q, p->side, p->dbms, p->arena, &p->expansions[i], e))
            return -1;
    }
    *n = p->op.nexpansions;
    return 0;
}

// The set of related rows of one parent; each parent has room for all rows, shared in order.
static struct record_set *set_of(struct result *out, const struct plan *p, size_t number,
                                 struct value parent)
{
    for (size_t i = 0; i < out->records.n; i++)
        if (value_eq(out->records.rows[i].values[p->key_at[0]], parent))
            return &out->records.rows[i].related[number];
    return NULL;
}

static int count_per_parent(const struct plan *p, size_t number, const struct rows *rows,
                            struct value *parents, struct result *out, struct err *e)
{
    for (size_t i = 0; i < rows->nrows; i++) {
        if (type_read(p->op.entity->keys[0], p->side, *rows_at(rows, i, 0), p->arena, &parents[i],
                      e))
            return -1;
        struct record_set *s = set_of(out, p, number, parents[i]);
        if (s)
            s->n++;
    }
    for (size_t i = 0; i < out->records.n; i++) {
        struct record_set *s = &out->records.rows[i].related[number];
        if (!(s->rows = arena_array(p->arena, s->n + 1, sizeof *s->rows)))
            return err_memory(e);
        s->n = 0;
    }
    return 0;
}

static int ensure_sets(const struct plan *p, struct result *out)
{
    for (size_t i = 0; i < out->records.n; i++) {
        struct record *r = &out->records.rows[i];
        if (!r->related &&
            !(r->related = arena_array(p->arena, p->op.nexpansions, sizeof *r->related)))
            return -1;
    }
    return 0;
}

int plan_take_expansion(const struct plan *p, size_t number, const struct rows *rows,
                        struct result *out, struct err *e)
{
    const struct expansion *x = &p->op.expansions[number];
    struct value *parents = arena_array(p->arena, rows->nrows + 1, sizeof *parents);
    struct value *values = arena_array(p->arena, rows->nrows * x->nfields + 1, sizeof *values);
    if (!parents || !values || ensure_sets(p, out))
        return err_memory(e);
    if (rows->nrows && rows->ncols != x->nfields + 1)
        return err_set(e, ERR_SCHEMA, "%s: %zu columns where %zu were asked for",
                       x->relationship->name, rows->ncols, x->nfields + 1);
    if (count_per_parent(p, number, rows, parents, out, e))
        return -1;
    for (size_t i = 0; i < rows->nrows; i++, values += x->nfields) {
        struct record_set *s = set_of(out, p, number, parents[i]);
        if (!s)
            continue;
        if (canonical_row(x->fields, x->nfields, p->side, rows_at(rows, i, 1), p->arena, values, e))
            return -1;
        if (x->limit < 0 || (long long)s->n < x->limit)
            s->rows[s->n++].values = values;
    }
    return 0;
}

// ---------------------------------------------------------------- results

static int copy_set(const struct record_set *from, size_t nfields, struct arena *a,
                    struct record_set *to)
{
    struct value *values = arena_array(a, from->n * nfields + 1, sizeof *values);
    to->n = from->n;
    to->rows = arena_array(a, from->n + 1, sizeof *to->rows);
    if (!values || !to->rows)
        return -1;
    for (size_t i = 0; i < from->n; i++, values += nfields) {
        for (size_t k = 0; k < nfields; k++) {
            values[k] = from->rows[i].values[k];
            if (copy_value(&values[k], a))
                return -1;
        }
        to->rows[i].values = values;
    }
    return 0;
}

int result_copy(const struct operation *op, const struct result *from, struct arena *a,
                struct result *to, struct err *e)
{
    *to = *from;
    if (operation_is_read(op->kind) && copy_set(&from->records, op->query.nfields, a, &to->records))
        return err_memory(e);
    for (size_t i = 0; i < from->records.n; i++) {
        const struct record_set *related = from->records.rows[i].related;
        struct record *r = &to->records.rows[i];
        if (!op->nexpansions)
            continue;
        if (!(r->related = arena_array(a, op->nexpansions, sizeof *r->related)))
            return err_memory(e);
        for (size_t k = 0; related && k < op->nexpansions; k++)
            if (copy_set(&related[k], op->expansions[k].nfields, a, &r->related[k]))
                return err_memory(e);
    }
    if (from->key) {
        struct value *key = arena_array(a, op->entity->nkeys, sizeof *key);
        for (size_t i = 0; key && i < op->entity->nkeys; i++) {
            key[i] = from->key[i];
            if (copy_value(&key[i], a))
                return err_memory(e);
        }
        to->key = key;
        return key ? 0 : err_memory(e);
    }
    return 0;
}

void result_error(struct result *r, const struct err *e)
{
    static const struct {
        enum err_code code;
        enum result_status status;
    } map[] = {
        {ERR_NOT_FOUND, RESULT_NOT_FOUND},     {ERR_CONFLICT, RESULT_CONFLICT},
        {ERR_CONSTRAINT, RESULT_INVALID},      {ERR_VALUE, RESULT_INVALID},
        {ERR_INVALID, RESULT_INVALID},         {ERR_LIMIT, RESULT_INVALID},
        {ERR_DENIED, RESULT_DENIED},           {ERR_FENCED, RESULT_FENCED},
        {ERR_STALE, RESULT_CHANGED},           {ERR_BUSY, RESULT_BUSY},
        {ERR_TIMEOUT, RESULT_TIMEOUT},         {ERR_CANCELLED, RESULT_TIMEOUT},
        {ERR_UNKNOWN_OUTCOME, RESULT_TIMEOUT}, {ERR_UNREACHABLE, RESULT_UNAVAILABLE},
        {ERR_UNSUPPORTED, RESULT_UNSUPPORTED},
    };
    r->status = RESULT_ERROR;
    r->err = *e;
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].code == e->code)
            r->status = map[i].status;
}
