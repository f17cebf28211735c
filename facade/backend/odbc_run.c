// SPDX-License-Identifier: Apache-2.0
// What a worker does with a job: statements of its plan on a connection of the worker's own, one
// transaction for a write. Blocks; nothing of the loop is touched.
#include "facade/backend/odbc_backend_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "facade/backend/tail.h"

#define SETTLE_TRIES 10
#define VICTIM_TRIES 5

static const struct log_ctx log_ctx = {"odbc", NULL, NULL};

static int query(struct odbc_conn *c, struct odbc_job *j, const struct sql *sql, struct rows *rows,
                 struct err *e)
{
    return odbc_query(c, sql->text, sql->params, sql->nparams, j->arena, 0, rows, e);
}

static int run_read(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    struct plan *p = &j->plan;
    struct rows rows;
    size_t n;
    if (p->has_select &&
        (query(c, j, &p->select, &rows, e) || plan_take_rows(p, &rows, &j->result, e)))
        return -1;
    if (p->has_count && (query(c, j, &p->count, &rows, e) || plan_take_count(&rows, &j->result, e)))
        return -1;
    if (plan_expand(p, &j->result, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (query(c, j, &p->expansions[i], &rows, e) ||
            plan_take_expansion(p, i, &rows, &j->result, e))
            return -1;
    return 0;
}

static int fence_open(struct odbc_conn *c, struct odbc_job *j, bool *open, struct err *e)
{
    struct rows rows;
    struct value group = value_set(str_of(j->switching));
    if (odbc_query(c, str_of(odbc_dbms(c)->fence_read_sql), &group, 1, j->arena, 1, &rows, e))
        return err_prefix(e, "fence");
    *open = rows.nrows == 1 && !str_eqz(value_str(rows.cells[0]), "0");
    return 0;
}

// The owner answers what has not arrived on the other side; the rest is not its to answer.
static int run_guarded(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    bool touched, open = false;
    if (j->switching && fence_open(c, j, &open, e))
        return -1;
    if (open)
        return run_read(c, j, e);
    if (tail_touches(c, &j->plan.op, j->after, j->arena, &touched, e))
        return -1;
    if (touched && !j->switching)
        return run_read(c, j, e);
    j->result.status = touched ? RESULT_FENCED : RESULT_CURRENT;
    return 0;
}

static int direct(void *ctx, struct str sql, struct err *e)
{
    return odbc_direct(ctx, sql, e);
}

static int mark(struct odbc_conn *c, const struct odbc_job *j, struct err *e)
{
    struct dbms_marks marks = {.epoch = j->epoch, .write_id = j->write_id};
    struct buf sql = BUF_INIT;
    odbc_dbms(c)->set_marks(&sql, &marks);
    int result = buf_check(&sql, e) || dbms_each_statement(buf_str(&sql), direct, c, e) ? -1 : 0;
    buf_free(&sql);
    return result;
}

static int run_statements(struct odbc_conn *c, struct odbc_job *j,
                          const struct write_statement *list, size_t n, struct err *e)
{
    const struct plan *p = &j->plan;
    bool must_find = p->op.kind == OPERATION_UPDATE || p->op.kind == OPERATION_DELETE;
    for (size_t i = 0; i < n; i++) {
        const struct write_statement *s = &list[i];
        long long changed = 0;
        if (odbc_exec(c, s->sql.text, s->sql.params, s->sql.nparams, &changed, e))
            return -1;
        if (s->role == STATEMENT_ROOT && must_find && changed == 0)
            return err_set(e, ERR_NOT_FOUND, "%s not found", p->op.entity->name);
        if (s->role == STATEMENT_ROOT && changed > 0)
            j->result.changed += changed;
    }
    return 0;
}

// The write, and what the map leaves behind besides.
static int run_all(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    struct plan *p = &j->plan;
    struct write_statement *list;
    struct rows before;
    bool read = p->nbefore_fields > 0;
    size_t n;
    if ((read && query(c, j, &p->before, &before, e)) ||
        run_statements(c, j, p->statements, p->nstatements, e))
        return -1;
    if (!p->also)
        return 0;
    return plan_also(p, read ? &before : NULL, &list, &n, e) || run_statements(c, j, list, n, e)
               ? -1
               : 0;
}

static int lock_row(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    struct rows ignored;
    return j->plan.lock.text.len > 0 ? query(c, j, &j->plan.lock, &ignored, e) : 0;
}

// Inside the writing transaction, with the row locked: nobody writes between this and the write.
static int check_guard(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    struct rows rows;
    if (!j->plan.guard_fields)
        return 0;
    return query(c, j, &j->plan.guard, &rows, e) || plan_check_guard(&j->plan, &rows, e) ? -1 : 0;
}

// The greatest changelog number seen inside the writing transaction: at least our own.
static int read_through(struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    struct rows rows;
    if (!j->want_through)
        return 0;
    if (odbc_query(c, str_of(odbc_dbms(c)->changelog_max_sql), NULL, 0, j->arena, 1, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &j->result.through))
        return err_set(e, ERR_INTERNAL, "the changelog gave no number");
    return 0;
}

// The commit was sent and not answered: the changelog row of this write says whether it took
// effect. Absent after several looks, the outcome stays unknown: we never guess.
static int settle(struct odbc_worker *w, const struct odbc_job *j, struct err *e)
{
    struct value id = value_set(str_of(j->write_id));
    for (unsigned i = 0; i < SETTLE_TRIES && !atomic_load(&j->late); i++) {
        struct err ignored = {0};
        struct rows rows;
        w->retry_ns = 0;
        struct odbc_conn *c = odbc_worker_conn(w, &ignored);
        if (c &&
            odbc_query(c, STR("SELECT 1 FROM ficus_changelog WHERE write_id = ?"), &id, 1, j->arena,
                       0, &rows, &ignored) == 0 &&
            rows.nrows > 0)
            return 0;
        clock_sleep_ms(100);
    }
    return err_set(e, ERR_UNKNOWN_OUTCOME, "the legacy database did not answer a commit");
}

static int write_once(struct odbc_worker *w, struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    if (odbc_begin(c, true, e))
        return -1;
    if (mark(c, j, e) || lock_row(c, j, e) || check_guard(c, j, e) || run_all(c, j, e) ||
        read_through(c, j, e) ||
        dbms_each_statement(str_of(odbc_dbms(c)->clear_marks), direct, c, e)) {
        odbc_rollback(c);
        return -1;
    }
    if (odbc_commit(c, e) == 0)
        return 0;
    return e->code == ERR_UNKNOWN_OUTCOME ? settle(w, j, e) : -1;
}

// The database chose this transaction to end a deadlock or a serialization failure: class 40 of
// SQLSTATE says that nothing of it is left, and to run it again is what is asked of its client.
static bool is_victim(const struct err *e)
{
    return e->code == ERR_BUSY && strncmp(e->sqlstate, "40", 2) == 0;
}

static int run_write(struct odbc_worker *w, struct odbc_conn *c, struct odbc_job *j, struct err *e)
{
    for (unsigned i = 1;; i++) {
        if (write_once(w, c, j, e) == 0)
            return 0;
        if (!is_victim(e) || i == VICTIM_TRIES || atomic_load(&j->late))
            return -1;
        metric_add(w->workers->victims, 1);
        err_clear(e);
        j->result.changed = 0;
    }
}

void odbc_run(struct worker_job *base, unsigned number, void *worker)
{
    struct odbc_job *j = (struct odbc_job *)base;
    struct odbc_worker *w = worker;
    struct err e = {0};
    (void)number;
    if (w)
        odbc_slot_begin(w->slot, j->call);
    struct odbc_conn *c = w ? odbc_worker_conn(w, &e) : NULL;
    if (!w)
        err_memory(&e);
    int failed = !c                                   ? -1
                 : j->guarded                         ? run_guarded(c, j, &e)
                 : operation_is_read(j->plan.op.kind) ? run_read(c, j, &e)
                                                      : run_write(w, c, j, &e);
    if (failed)
        result_error(&j->result, &e);
    if (!w)
        return;
    odbc_slot_end(w->slot);
    if (atomic_load(&j->late)) { // cancelled or not: nobody knows what state it is in
        log_warn(&log_ctx, "a late call has come back; its connection is not used again");
        odbc_slot_set_conn(w->slot, NULL);
    }
}
