// SPDX-License-Identifier: Apache-2.0
// What every connection of ours asks of libpq and of the session, whoever opens it (pg.c,
// pg_pool_conn.c, pg_stream.c). Owns nothing. Thread: any.
#include "connectors/postgres/pg_int.h"

#include <stdlib.h>

#define SESSION                                                      \
    "-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=iso_8601" \
    " -c standard_conforming_strings=on -c extra_float_digits=1"

void pg_params_add(struct pg_params *p, const char *key, const char *value)
{
    p->keys[p->n] = key;
    p->values[p->n++] = value;
    p->keys[p->n] = p->values[p->n] = NULL;
}

// The user's own `options` stay in force, in front of ours.
static int session_options(struct pg_params *p, const char *conninfo, const char *more,
                           struct err *e)
{
    char *text = NULL;
    PQconninfoOption *all = PQconninfoParse(conninfo, &text);
    if (!all) {
        // libpq's message may quote the text, and the text may hold a password.
        PQfreemem(text);
        return err_set(e, ERR_CONFIG, "PostgreSQL: the connection string cannot be read");
    }
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, "options") == 0 && o->val) {
            buf_addz(&p->options, o->val);
            buf_addc(&p->options, ' ');
        }
    PQconninfoFree(all);
    buf_addz(&p->options, SESSION " ");
    buf_addz(&p->options, more ? more : "");
    return buf_check(&p->options, e);
}

int pg_params_fill(struct pg_params *p, const char *conninfo, const char *application,
                   const char *more, struct err *e)
{
    *p = (struct pg_params){0};
    if (session_options(p, conninfo, more, e)) {
        buf_free(&p->options);
        return -1;
    }
    // Before the connection string: what it may overrule. A peer that vanished is noticed.
    pg_params_add(p, "connect_timeout", "10");
    pg_params_add(p, "keepalives_idle", "10");
    pg_params_add(p, "keepalives_interval", "5");
    pg_params_add(p, "keepalives_count", "3");
    pg_params_add(p, "tcp_user_timeout", "30000");
    pg_params_add(p, "application_name", application ? application : "ficus");
    pg_params_add(p, "dbname", conninfo);
    pg_params_add(p, "client_encoding", "UTF8");
    pg_params_add(p, "options", p->options.data);
    return 0;
}

void pg_params_free(struct pg_params *p)
{
    buf_free(&p->options);
}

int pg_copy_cells(const PGresult *r, int row, struct value *cells, struct arena *a)
{
    for (int i = 0; i < PQnfields(r); i++) {
        if (PQgetisnull(r, row, i)) {
            cells[i] = value_null();
            continue;
        }
        struct str s = str_n(PQgetvalue(r, row, i), (size_t)PQgetlength(r, row, i));
        if (a)
            s = arena_str(a, s);
        if (!s.data)
            return -1;
        cells[i] = value_set(s);
    }
    return 0;
}

int pg_unreachable(struct err *e, const PGconn *pq)
{
    struct str text = str_trim(str_of(pq ? PQerrorMessage(pq) : "out of memory"));
    const char *line = text.len ? memchr(text.data, '\n', text.len) : NULL;
    if (line)
        text.len = (size_t)(line - text.data);
    return err_set(e, ERR_UNREACHABLE, "PostgreSQL: %.*s", (int)(text.len > 400 ? 400 : text.len),
                   text.data);
}
