// SPDX-License-Identifier: Apache-2.0
// The legacy store as a sink, on one ODBC connection of its own (never pooled). The origin is
// set inside each transaction the way that DBMS does it, and cleared before the commit.
#include "cdc/apply/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink_odbc {
    struct sink base;
    struct odbc_conn *db;
    struct buf marks; // statements that set the origin
    struct buf due;   // SINK_PARKED_DUE with its bound
    const char *sql[SINK_STATEMENTS];
    struct sink_ops ops;
};

#define ONCE " FROM (SELECT 1 AS one) d WHERE NOT EXISTS "

static const char *const sql[SINK_STATEMENTS] = {
    [SINK_POSITION_INIT] = "INSERT INTO ficus_position (stream, part, next, epoch)"
                           " SELECT ?, ?, 0, 0" ONCE
                           "(SELECT 1 FROM ficus_position WHERE stream = ? AND part = ?)",
    [SINK_POSITION_TAKE] = "UPDATE ficus_position SET epoch = epoch + 1"
                           " WHERE stream = ? AND part = ?",
    [SINK_POSITION_READ] =
        "SELECT next, epoch, term, through, opened, last_print FROM ficus_position"
        " WHERE stream = ? AND part = ?",
    [SINK_POSITION_MOVE] =
        "UPDATE ficus_position SET next = ?, term = ?, through = ?, opened = ?,"
        " last_print = ? WHERE stream = ? AND part = ? AND next = ? AND epoch = ?",
    [SINK_MARKER] = "INSERT INTO ficus_marker (marker, stream, part) SELECT ?, ?, ?" ONCE
                    "(SELECT 1 FROM ficus_marker WHERE marker = ? AND stream = ? AND part = ?)",
    [SINK_PARK] = "INSERT INTO ficus_parked (stream, part, offset_no, entity, k, reason, detail,"
                  " sql_state, after_image, opened) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?" ONCE
                  "(SELECT 1 FROM ficus_parked WHERE stream = ? AND part = ? AND offset_no = ?)",
    [SINK_PARKED_KEYS] = "SELECT entity, k, COUNT(*), SUM(CASE WHEN reason = 'waits' THEN 1"
                         " ELSE 0 END) FROM ficus_parked WHERE state IN ('parked','retry')"
                         " GROUP BY entity, k",
    [SINK_PARKED_DUE] = "SELECT stream, k, MIN(id) FROM ficus_parked WHERE state IN"
                        " ('parked','retry') GROUP BY stream, k HAVING"
                        " SUM(CASE WHEN state = 'retry' THEN 1 ELSE 0 END) > 0 OR (MIN(id) >"
                        " CAST(? AS DECIMAL(18,0))"
                        " AND (SUM(CASE WHEN reason = 'waits' THEN 1 ELSE 0 END) > 0 OR"
                        " SUM(CASE WHEN reason <> 'behind' THEN 1 ELSE 0 END) = 0))"
                        " ORDER BY MIN(id)",
    [SINK_PARKED_OF_KEY] = "SELECT id, part, offset_no, after_image, state, reason, opened"
                           " FROM ficus_parked WHERE stream = ? AND k = ?"
                           " AND state IN ('parked','retry') ORDER BY part, offset_no",
    [SINK_PARKED_SET] = "UPDATE ficus_parked SET state = ?, reason = ?, detail = ?, sql_state = ?"
                        " WHERE id = ?",
};

static struct sink_odbc *self(struct sink *k)
{
    return (struct sink_odbc *)k;
}

static int direct(void *db, struct str text, struct err *e)
{
    return odbc_direct(db, text, e);
}

static int begin(struct sink *k, struct err *e)
{
    if (odbc_begin(self(k)->db, true, e))
        return -1;
    return dbms_each_statement(buf_str(&self(k)->marks), direct, self(k)->db, e);
}

static int commit(struct sink *k, struct err *e)
{
    if (dbms_each_statement(str_of(k->dbms->clear_marks), direct, self(k)->db, e)) {
        odbc_rollback(self(k)->db);
        return -1;
    }
    return odbc_commit(self(k)->db, e);
}

static void rollback(struct sink *k)
{
    odbc_rollback(self(k)->db);
}

static int with_name(struct sink *k, const char *verb, const char *name, struct err *e)
{
    char text[96];
    snprintf(text, sizeof text, "%s %.60s", verb, name); // names are literals of ours
    return odbc_direct(self(k)->db, str_of(text), e);
}

static int savepoint(struct sink *k, const char *name, struct err *e)
{
    return with_name(k, k->dbms->savepoint ? k->dbms->savepoint : "SAVEPOINT", name, e);
}

static int rollback_to(struct sink *k, const char *name, struct err *e)
{
    const char *verb = k->dbms->rollback_to ? k->dbms->rollback_to : "ROLLBACK TO SAVEPOINT";
    return with_name(k, verb, name, e);
}

static int exec(struct sink *k, struct str text, const struct value *params, size_t n,
                long long *changed, struct err *e)
{
    return odbc_exec(self(k)->db, text, params, n, changed, e);
}

static int query(struct sink *k, struct str text, const struct value *params, size_t n,
                 struct arena *a, struct rows *out, struct err *e)
{
    return odbc_query(self(k)->db, text, params, n, a, 0, out, e);
}

static int many(struct sink *k, const struct apply_statement *st, const struct value *params,
                size_t nrows, struct err *e)
{
    long long failed;
    return odbc_exec_many(self(k)->db, st->text, params, st->nparams, nrows, &failed, e);
}

static bool alive(const struct sink *k)
{
    return odbc_alive(((const struct sink_odbc *)k)->db);
}

static void close_sink(struct sink *k)
{
    struct sink_odbc *p = self(k);
    buf_free(&p->marks);
    buf_free(&p->due);
    odbc_close(p->db);
    free(p);
}

static const struct sink_ops ops = {
    .repeat_keys = true,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .savepoint = savepoint,
    .rollback_to = rollback_to,
    .exec = exec,
    .query = query,
    .many = many,
    .alive = alive,
    .close = close_sink,
};

static void set_statements(struct sink_odbc *p, const struct dbms *d)
{
    memcpy(p->sql, sql, sizeof sql);
    buf_printf(&p->due, "%s%s500%s", sql[SINK_PARKED_DUE],
               d->limit_head ? d->limit_head : " LIMIT ", d->limit_tail ? d->limit_tail : "");
    p->sql[SINK_PARKED_DUE] = p->due.data;
    p->ops = ops;
    p->ops.sql = p->sql;
    p->base.ops = &p->ops;
}

int sink_odbc_open(struct sync *s, struct sink **out, struct err *e)
{
    struct sink_odbc *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return err_memory(e);
    set_statements(p, s->dbms);
    snprintf(p->base.origin, sizeof p->base.origin, "ficus_%.40s", s->prefix);
    struct dbms_marks marks = {.origin = p->base.origin, .epoch = -1};
    if (s->dbms->set_marks)
        s->dbms->set_marks(&p->marks, &marks);
    if (buf_check(&p->marks, e) || buf_check(&p->due, e) ||
        sink_init(&p->base, s, SIDE_LEGACY, s->dbms, e) || sync_open_legacy(s, &p->db, e)) {
        sink_close(&p->base);
        return -1;
    }
    *out = &p->base;
    return 0;
}
