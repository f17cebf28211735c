// SPDX-License-Identifier: Apache-2.0
// What the DBMS files share, and finding one by name. Owns no connection and no state; every
// function is pure text. Thread: any.
#include "base/log.h"
#include "connectors/odbc/dbms_int.h"

const struct dbms *dbms_at(unsigned index)
{
    static const struct dbms *const all[] = {&dbms_sqlite,          &dbms_mariadb,   &dbms_postgres,
                                             &dbms_postgres_legacy, &dbms_sqlserver, &dbms_oracle};
    _Static_assert(sizeof(all) / sizeof(all[0]) <= DBMS_MAX, "raise DBMS_MAX");
    return index < sizeof(all) / sizeof(all[0]) ? all[index] : NULL;
}

const struct dbms_added_column dbms_added_columns[] = {
    {"ficus_fence", "opened", "bigint NOT NULL DEFAULT 0"},
    {"ficus_position", "opened", "bigint NOT NULL DEFAULT 0"},
    {"ficus_parked", "opened", "bigint NOT NULL DEFAULT 0"},
    {"ficus_position", "last_print", "bigint NOT NULL DEFAULT 0"},
    {NULL, NULL, NULL},
};

const struct dbms_added_column dbms_no_columns[] = {{NULL, NULL, NULL}};

const struct dbms *dbms_find(struct str name)
{
    for (unsigned i = 0; dbms_at(i); i++)
        if (dbms_at(i) != &dbms_postgres && str_eqz(name, dbms_at(i)->name))
            return dbms_at(i);
    return NULL;
}

void dbms_warn_untested(const struct dbms *d)
{
    struct log_ctx ctx = {"odbc", NULL, NULL};
    if (d->untested)
        log_warn(&ctx, "legacy.dbms %s is untested: %s", d->name, d->untested);
}

int dbms_each_statement(struct str text, int (*each)(void *ctx, struct str sql, struct err *e),
                        void *ctx, struct err *e)
{
    static const char next[] = DBMS_NEXT;
    const size_t gap = sizeof(next) - 1;
    while (text.len > 0) {
        const char *end = memmem(text.data, text.len, next, gap);
        struct str one = {text.data, end ? (size_t)(end - text.data) : text.len};
        size_t used = end ? one.len + gap : text.len;
        text = str_n(text.data + used, text.len - used);
        one = str_trim(one);
        if (one.len > 0 && each(ctx, one, e) < 0)
            return -1;
    }
    return 0;
}

void dbms_quote_with(struct buf *out, struct str identifier, char q)
{
    buf_addc(out, q);
    if (identifier.len > 0 && !memchr(identifier.data, '.', identifier.len) &&
        !memchr(identifier.data, q, identifier.len)) {
        buf_add(out, identifier.data, identifier.len);
        buf_addc(out, q);
        return;
    }
    for (size_t i = 0; i < identifier.len; i++) {
        char c = identifier.data[i];
        if (c == '.') {
            buf_addc(out, q);
            buf_addc(out, '.');
            buf_addc(out, q);
            continue;
        }
        if (c == q)
            buf_addc(out, q);
        buf_addc(out, c);
    }
    buf_addc(out, q);
}

void dbms_literal(struct buf *out, const char *z)
{
    if (!z) {
        buf_addz(out, "NULL");
        return;
    }
    buf_addc(out, '\'');
    for (; *z; z++) {
        if (*z == '\'')
            buf_addc(out, '\'');
        buf_addc(out, *z);
    }
    buf_addc(out, '\'');
}

void dbms_add_row(struct buf *out, const char *expr, const char *row)
{
    const char *at;
    while ((at = strstr(expr, "%R")) != NULL) {
        buf_add(out, expr, (size_t)(at - expr));
        buf_addz(out, row);
        expr = at + 2;
    }
    buf_addz(out, expr);
}

void dbms_columns(struct buf *out, void (*quote)(struct buf *, struct str),
                  const char *const *names, size_t n, const char *prefix)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addz(out, ", ");
        buf_addz(out, prefix);
        quote(out, str_of(names[i]));
    }
}

bool dbms_hash_counts(enum column_kind kind)
{
    return kind == COLUMN_TEXT || kind == COLUMN_JSON;
}

void dbms_wrap(struct buf *out, const char *form, const char *inner)
{
    const char *at = strstr(form, "%s");
    buf_add(out, form, at ? (size_t)(at - form) : strlen(form));
    if (at) {
        buf_addz(out, inner);
        buf_addz(out, at + 2);
    }
}

bool dbms_is_key(const struct dbms_upsert *u, size_t column)
{
    for (size_t i = 0; i < u->nkeys; i++)
        if (strcmp(u->keys[i], u->columns[column]) == 0)
            return true;
    return false;
}

const char *dbms_op(enum text_match op)
{
    static const char *const names[] = {
        [MATCH_EQ] = "=", [MATCH_NE] = "<>", [MATCH_LT] = "<",      [MATCH_LE] = "<=",
        [MATCH_GT] = ">", [MATCH_GE] = ">=", [MATCH_LIKE] = "LIKE", [MATCH_NOT_LIKE] = "NOT LIKE",
    };
    return names[op];
}

void dbms_trigger_name(struct buf *out, const struct dbms_trigger *t, char op)
{
    buf_printf(out, "ficus_%s_%u_%c", t->entity, t->ordinal, op);
}

bool dbms_contains(const char *message, const char *part)
{
    return message && strstr(message, part) != NULL;
}
