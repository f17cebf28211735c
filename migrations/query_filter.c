// SPDX-License-Identifier: Apache-2.0
// A filter tree -> a SQL condition with bound values. Text compares as the legacy's collation
// does where the map says nocase. Depth and node count are limited. Thread: any.
#include "migrations/query_int.h"

static bool is_text(const struct field *f)
{
    return f->type == TYPE_TEXT && f->ncodes == 0;
}

static const char *plain_op(enum text_match op)
{
    static const char *const ops[] = {
        [MATCH_EQ] = "=", [MATCH_NE] = "<>", [MATCH_LT] = "<",      [MATCH_LE] = "<=",
        [MATCH_GT] = ">", [MATCH_GE] = ">=", [MATCH_LIKE] = "LIKE", [MATCH_NOT_LIKE] = "NOT LIKE"};
    return ops[op];
}

// column_sql OP value.
static int add_match(struct query_build *b, struct buf *out, const char *column_sql,
                     const struct field *f, enum text_match op, struct value v, struct err *e)
{
    struct buf param = BUF_INIT;
    bool like = op == MATCH_LIKE || op == MATCH_NOT_LIKE;
    int rc = 0;
    if (like) // a pattern is no value of the field's type
        query_param(b, &param, v.state == VALUE_SET ? v : value_null(), COLUMN_TEXT);
    else
        rc = query_param_field(b, &param, f, v, e);
    if (rc == 0 && !param.failed && param.data) {
        if (is_text(f) || (like && f->type == TYPE_TEXT)) {
            b->d->match_text(out, column_sql, op, param.data, f->nocase);
        } else if (like) {
            struct buf cast = BUF_INIT;
            buf_printf(&cast, "CAST(%s AS %s)", column_sql, b->d->text_type);
            if (!cast.failed)
                b->d->match_text(out, cast.data, op, param.data, true);
            out->failed = out->failed || cast.failed;
            buf_free(&cast);
        } else {
            buf_printf(out, "%s %s %s", column_sql, plain_op(op), param.data);
        }
    }
    out->failed = out->failed || param.failed;
    buf_free(&param);
    return rc;
}

// A looked-up field: the rows whose path holds the value at all (an index of the path's
// tables serves that), before the exact test on the one row that is shown.
static int add_path_hint(struct query_build *b, struct buf *out, const struct field *f,
                         enum text_match op, struct value v, struct err *e)
{
    const struct place *p = &f->place[b->side];
    if (p->kind != PLACE_LOOKUP || (op != MATCH_EQ && op != MATCH_LIKE))
        return 0;
    const struct lookup *l = &query_side(b)->lookups[p->index];
    const char *key = query_path_key(b->en, b->side, l);
    if (!key)
        return 0;
    struct buf column = BUF_INIT;
    buf_printf(&column, "l%zu.", l->nsteps - 1);
    query_name(b, &column, p->column);
    query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
    buf_addz(out, " IN (SELECT l0.");
    query_name(b, out, key);
    buf_addz(out, " FROM ");
    query_path(b, out, l, NULL);
    buf_addz(out, l->steps[0].nwhere > 0 ? " AND " : " WHERE ");
    int rc = column.failed ? err_memory(e) : add_match(b, out, column.data, f, op, v, e);
    buf_addz(out, ") AND ");
    buf_free(&column);
    return rc;
}

static int add_compare(struct query_build *b, struct buf *out, const char *column_sql,
                       const struct filter *f, struct err *e)
{
    if (f->nvalues != 1)
        return err_set(e, ERR_INTERNAL, "a comparison wants one value");
    buf_addc(out, '(');
    if (add_path_hint(b, out, f->field, f->op, f->values[0], e) < 0 ||
        add_match(b, out, column_sql, f->field, f->op, f->values[0], e) < 0)
        return -1;
    buf_addc(out, ')');
    return 0;
}

static int add_in(struct query_build *b, struct buf *out, const char *column_sql,
                  const struct filter *f, struct err *e)
{
    if (f->nvalues == 0) { // IN () is false, NOT IN () true
        buf_addz(out, f->negated ? "1 = 1" : "1 = 0");
        return 0;
    }
    buf_addz(out, f->negated ? "NOT (" : "(");
    if (!is_text(f->field))
        buf_printf(out, "%s IN (", column_sql);
    for (size_t i = 0; i < f->nvalues; i++) {
        if (is_text(f->field)) {
            buf_addz(out, i > 0 ? " OR " : "");
            if (add_match(b, out, column_sql, f->field, MATCH_EQ, f->values[i], e) < 0)
                return -1;
        } else {
            buf_addz(out, i > 0 ? ", " : "");
            if (query_param_field(b, out, f->field, f->values[i], e) < 0)
                return -1;
        }
    }
    buf_addz(out, is_text(f->field) ? ")" : "))");
    return 0;
}

static int add_between(struct query_build *b, struct buf *out, const char *column_sql,
                       const struct filter *f, struct err *e)
{
    if (f->nvalues != 2)
        return err_set(e, ERR_INTERNAL, "BETWEEN wants two values");
    buf_addz(out, f->negated ? "NOT (" : "(");
    if (add_match(b, out, column_sql, f->field, MATCH_GE, f->values[0], e) < 0)
        return -1;
    buf_addz(out, " AND ");
    if (add_match(b, out, column_sql, f->field, MATCH_LE, f->values[1], e) < 0)
        return -1;
    buf_addc(out, ')');
    return 0;
}

// Where the map turns '' into NULL on its way, '' in the legacy is null for a client too.
static void add_is_null(const struct query_build *b, struct buf *out, const char *column_sql,
                        const struct filter *f)
{
    bool empty = b->side == SIDE_LEGACY &&
                 f->field->policies[PROBLEM_EMPTY].action == POLICY_NULL &&
                 (f->field->type == TYPE_TEXT || f->field->type == TYPE_ID);
    buf_printf(out, "%s(%s IS NULL", f->negated ? "NOT " : "", column_sql);
    if (empty)
        buf_printf(out, " OR %s = ''", column_sql);
    buf_addc(out, ')');
}

static int add_leaf(struct query_build *b, struct buf *out, const struct filter *f, struct err *e)
{
    struct buf column = BUF_INIT;
    int rc = 0;
    query_field(b, &column, f->field);
    if (column.failed || !column.data)
        rc = err_memory(e);
    else if (f->kind == FILTER_COMPARE)
        rc = add_compare(b, out, column.data, f, e);
    else if (f->kind == FILTER_IN)
        rc = add_in(b, out, column.data, f, e);
    else if (f->kind == FILTER_BETWEEN)
        rc = add_between(b, out, column.data, f, e);
    else
        add_is_null(b, out, column.data, f);
    buf_free(&column);
    return rc;
}

// "t.key IN (SELECT t.ref FROM link AS t WHERE ..)": inside, t is the link's row.
static int add_linked(struct query_build *b, struct buf *out, const struct filter *f,
                      unsigned depth, unsigned *nodes, struct err *e)
{
    struct query_build in = *b;
    struct buf live = BUF_INIT;
    in.en = f->link;
    in.extensions = 0;
    if (!f->link || !f->field || f->nchildren != 1 || b->en->nkeys != 1 ||
        f->field->place[b->side].kind != PLACE_ROOT || !f->link->sides[b->side].root)
        return err_set(e, ERR_INTERNAL, "a linked row wants a link, its field and one filter");
    query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
    buf_addz(out, " IN (SELECT ");
    query_alias(&in, out, QUERY_ROOT, f->field->place[b->side].column);
    buf_addz(out, " FROM ");
    query_table(&in, out, f->link->sides[b->side].root, QUERY_ROOT);
    buf_addz(out, " WHERE ");
    if (query_deleted(&in, &live, f->link, QUERY_ROOT, DELETED_NO)) {
        buf_addstr(out, buf_str(&live));
        buf_addz(out, " AND ");
    }
    out->failed = out->failed || live.failed;
    buf_free(&live);
    int rc = query_filter(&in, out, f->children[0], depth + 1, nodes, e);
    if (rc == 0 && in.extensions)
        rc = err_set(e, ERR_UNSUPPORTED, "a linked row is told by columns of %s only",
                     f->link->sides[b->side].root);
    buf_addc(out, ')');
    b->params = in.params;
    b->nparams = in.nparams;
    b->size = in.size;
    b->failed = b->failed || in.failed;
    return rc;
}

int query_filter(struct query_build *b, struct buf *out, const struct filter *f, unsigned depth,
                 unsigned *nodes, struct err *e)
{
    if (depth > FILTER_DEPTH_MAX || ++*nodes > FILTER_NODES_MAX)
        return err_set(e, ERR_LIMIT, "a filter of more than %d levels or %d parts",
                       FILTER_DEPTH_MAX, FILTER_NODES_MAX);
    switch (f->kind) {
    case FILTER_AND:
    case FILTER_OR:
        if (f->nchildren == 0) {
            buf_addz(out, f->kind == FILTER_AND ? "1 = 1" : "1 = 0");
            return 0;
        }
        buf_addc(out, '(');
        for (size_t i = 0; i < f->nchildren; i++) {
            buf_addz(out, i == 0 ? "" : f->kind == FILTER_AND ? " AND " : " OR ");
            if (query_filter(b, out, f->children[i], depth + 1, nodes, e) < 0)
                return -1;
        }
        buf_addc(out, ')');
        return 0;
    case FILTER_NOT:
        if (f->nchildren != 1)
            return err_set(e, ERR_INTERNAL, "NOT wants one part");
        buf_addz(out, "NOT (");
        if (query_filter(b, out, f->children[0], depth + 1, nodes, e) < 0)
            return -1;
        buf_addc(out, ')');
        return 0;
    case FILTER_LINKED: return add_linked(b, out, f, depth, nodes, e);
    case FILTER_COMPARE:
    case FILTER_IN:
    case FILTER_BETWEEN:
    case FILTER_IS_NULL: return add_leaf(b, out, f, e);
    }
    return err_set(e, ERR_INTERNAL, "unknown part of a filter");
}
