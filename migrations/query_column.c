// SPDX-License-Identifier: Apache-2.0
// The statement of capture by a timestamp or version column: keys in the order of (column, key),
// so that rows of one timestamp that do not fit in a page go on in the next. Thread: any.
#include "migrations/query.h"
#include "migrations/query_int.h"

static int add_key(struct query_build *b, struct buf *out, struct err *e)
{
    const char *columns[MAP_KEYS_MAX];
    for (size_t i = 0; i < b->en->nkeys; i++) {
        struct buf one = BUF_INIT;
        query_alias(b, &one, QUERY_ROOT, query_side(b)->key_columns[i]);
        columns[i] = one.failed ? NULL : arena_strz(b->a, buf_str(&one));
        buf_free(&one);
        if (!columns[i])
            return err_memory(e);
    }
    b->d->join_key(out, columns, b->en->nkeys);
    return buf_check(out, e);
}

int query_column(const struct entity *en, const struct dbms *d, bool first, struct arena *a,
                 struct str *out, struct err *e)
{
    const struct capture_source *c = &en->sides[SIDE_LEGACY].capture;
    struct query_build b = {.en = en, .side = SIDE_LEGACY, .d = d, .a = a};
    struct buf text = BUF_INIT, key = BUF_INIT, column = BUF_INIT;
    struct sql sql;
    enum column_kind kind = c->version ? COLUMN_INTEGER : COLUMN_TIMESTAMP;
    int rc = add_key(&b, &key, e);
    query_alias(&b, &column, QUERY_ROOT, c->column);
    if (rc == 0)
        rc = buf_check(&column, e);
    if (rc == 0) {
        buf_printf(&text, "SELECT %s, ", key.data);
        d->read_column(&text, column.data, kind);
        buf_addz(&text, " FROM ");
        query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
        buf_printf(&text, " WHERE %s %s ", column.data, first ? ">=" : ">");
        query_param(&b, &text, value_null(), kind);
        if (!first) {
            buf_printf(&text, " OR (%s = ", column.data);
            query_param(&b, &text, value_null(), kind);
            buf_printf(&text, " AND %s > ", key.data);
            query_param(&b, &text, value_null(), COLUMN_TEXT);
            buf_addc(&text, ')');
        }
        buf_printf(&text, " ORDER BY %s, %s%s", column.data, key.data,
                   d->limit_head ? d->limit_head : " LIMIT ");
        query_param(&b, &text, value_null(), COLUMN_INTEGER);
        buf_addz(&text, d->limit_tail ? d->limit_tail : "");
        rc = query_finish(&b, &text, &sql, e);
    }
    buf_free(&text);
    buf_free(&key);
    buf_free(&column);
    if (rc == 0)
        *out = sql.text;
    return rc;
}
