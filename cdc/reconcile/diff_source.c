// SPDX-License-Identifier: Apache-2.0
// One side of a diff: its connection, its columns, its key, its statements. Owns the connection.
// Tables and queries are the operator's own words; values are always bound.
#include "cdc/reconcile/diff_int.h"

#include <ctype.h>
#include <stdio.h>

static bool has(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; *text; text++)
        if (str_eq_nocase(str_n(text, strlen(text) < n ? strlen(text) : n), str_of(word)))
            return true;
    return false;
}

static bool is_odbc(const char *dsn)
{
    return has(dsn, "driver=") || has(dsn, "dsn=");
}

static const struct dbms *guess(const struct diff_source *from)
{
    if (from->dbms)
        return dbms_find(str_of(from->dbms));
    if (has(from->dsn, "sqlite"))
        return &dbms_sqlite;
    if (has(from->dsn, "maria") || has(from->dsn, "mysql"))
        return &dbms_mariadb;
    if (has(from->dsn, "postgres") || has(from->dsn, "psqlodbc"))
        return &dbms_postgres_legacy;
    return NULL;
}

static bool is_query(const char *what)
{
    while (isspace((unsigned char)*what) || *what == '(')
        what++;
    size_t n = strcspn(what, " \t\r\n");
    return what[n] && (str_eq_nocase(str_n(what, n), STR("select")) ||
                       str_eq_nocase(str_n(what, n), STR("with")));
}

static void add_from(const struct source *s, struct buf *out)
{
    buf_addz(out, " FROM ");
    if (s->query) {
        buf_printf(out, "(%s) AS t", s->what);
    } else {
        s->dbms->quote(out, str_of(s->what));
        buf_addz(out, " AS t");
    }
}

static int describe(struct source *s, struct arena *a, struct err *e)
{
    struct buf sql = BUF_INIT;
    buf_addz(&sql, "SELECT *");
    add_from(s, &sql);
    buf_addz(&sql, " WHERE 1 = 0");
    int result = buf_check(&sql, e);
    if (result == 0)
        result = s->pg ? pg_describe(s->pg, buf_str(&sql), a, &s->columns, &s->ncolumns, e)
                       : odbc_describe(s->odbc, buf_str(&sql), a, &s->columns, &s->ncolumns, e);
    buf_free(&sql);
    return result;
}

int source_open(struct source *s, const struct diff_source *from, struct arena *a, struct err *e)
{
    *s = (struct source){.what = from->what, .query = is_query(from->what)};
    if (is_odbc(from->dsn)) {
        s->dbms = guess(from);
        if (!s->dbms)
            return err_set(e, ERR_CONFIG,
                           "which DBMS an ODBC source is cannot be told by its driver's name:"
                           " --dbms1 or --dbms2 sqlite, mariadb or postgres");
        if (odbc_open(from->dsn, s->dbms, &s->odbc, e))
            return -1;
    } else {
        s->dbms = &dbms_postgres;
        if (pg_open(from->dsn, "ficus diff", &s->pg, e))
            return -1;
    }
    return describe(s, a, e);
}

void source_close(struct source *s)
{
    pg_close(s->pg);
    odbc_close(s->odbc);
    s->pg = NULL;
    s->odbc = NULL;
}

int source_each(struct source *s, struct str sql, const struct value *params, size_t n,
                rows_each_fn *each, void *ctx, struct err *e)
{
    return s->pg ? pg_each(s->pg, sql, params, n, each, ctx, e)
                 : odbc_each(s->odbc, sql, params, n, each, ctx, e);
}

// The unique index over columns that are never NULL with the fewest columns.
int source_key(struct source *s, struct arena *a, struct str *out, size_t *n, struct err *e)
{
    struct rows rows;
    struct value table = value_set(str_of(s->what));
    *n = 0;
    if (s->query)
        return 0;
    if (s->pg ? pg_query(s->pg, str_of(s->dbms->indexes_sql), &table, 1, a, &rows, e)
              : odbc_query(s->odbc, str_of(s->dbms->indexes_sql), &table, 1, a, 0, &rows, e))
        return err_prefix(e, "indexes of %s", s->what);
    for (size_t from = 0, to; from < rows.nrows; from = to) {
        bool good = true;
        for (to = from;
             to < rows.nrows && value_eq(*rows_at(&rows, to, 0), *rows_at(&rows, from, 0)); to++)
            good &= str_eqz(value_str(*rows_at(&rows, to, 1)), "1") &&
                    str_eqz(value_str(*rows_at(&rows, to, 3)), "1");
        if (!good || to - from > DIFF_KEYS_MAX || (*n > 0 && to - from >= *n))
            continue;
        *n = to - from;
        for (size_t i = 0; i < *n; i++)
            out[i] = value_str(*rows_at(&rows, from + i, 2));
    }
    return 0;
}

static void add_column(const struct source *s, struct buf *out, struct str name)
{
    buf_addz(out, "t.");
    s->dbms->quote(out, name);
}

static void add_key(const struct source *s, int at, const struct pair *p, size_t number,
                    struct buf *out)
{
    char param[16] = "?";
    add_column(s, out, p->name[at]);
    if (s->dbms->dollar_placeholders)
        snprintf(param, sizeof param, "$%zu", number);
    buf_addz(out, " = ");
    if (s->dbms == &dbms_postgres && p->kind[at] == COLUMN_TIMESTAMP)
        buf_printf(out, "%s::timestamp", param); // with or without a zone: the session's is UTC
    else if (p->kind[at] == COLUMN_TEXT)
        buf_addz(out, param); // of the column's own type: uuid, enum, ..
    else
        s->dbms->write_param(out, param, p->kind[at]);
}

// Column i of a SELECT list.
static void add_read(const struct source *s, int at, const struct pair *p, size_t i,
                     struct buf *sql)
{
    struct buf column = BUF_INIT;
    add_column(s, &column, p->name[at]);
    buf_addz(sql, i > 0 ? ", " : "");
    s->dbms->read_column(sql, column.data ? column.data : "", p->kind[at]);
    sql->failed |= column.failed;
    buf_free(&column);
}

// Moves the statement into the arena.
static int take_sql(struct buf *sql, struct arena *a, struct str *out, struct err *e)
{
    int result = buf_check(sql, e);
    if (result == 0) {
        *out = arena_str(a, buf_str(sql));
        result = out->data ? 0 : err_memory(e);
    }
    buf_free(sql);
    return result;
}

int source_select(const struct source *s, int at, const struct pair *pairs, size_t npairs,
                  size_t nkey, size_t nkeys, struct arena *a, struct str *out, struct err *e)
{
    struct buf sql = BUF_INIT;
    size_t number = 1;
    buf_addz(&sql, "SELECT ");
    for (size_t i = 0; i < npairs; i++)
        add_read(s, at, &pairs[i], i, &sql);
    add_from(s, &sql);
    for (size_t k = 0; k < nkeys; k++) {
        buf_addz(&sql, k == 0 ? " WHERE (" : " OR (");
        for (size_t i = 0; i < nkey; i++) {
            buf_addz(&sql, i > 0 ? " AND " : "");
            add_key(s, at, &pairs[i], number++, &sql);
        }
        buf_addc(&sql, ')');
    }
    return take_sql(&sql, a, out, e);
}

int source_doubles(const struct source *s, int at, const struct pair *pairs, size_t nkey,
                   struct arena *a, struct str *out, struct err *e)
{
    struct buf sql = BUF_INIT;
    buf_addz(&sql, "SELECT ");
    for (size_t i = 0; i < nkey; i++)
        add_read(s, at, &pairs[i], i, &sql);
    add_from(s, &sql);
    buf_addz(&sql, " GROUP BY ");
    for (size_t i = 0; i < nkey; i++) {
        buf_addz(&sql, i > 0 ? ", " : "");
        add_column(s, &sql, pairs[i].name[at]);
    }
    buf_addz(&sql, " HAVING count(*) > 1");
    return take_sql(&sql, a, out, e);
}
