// SPDX-License-Identifier: Apache-2.0
// What a rehearsal does, step by step; each step leaves a finding. Owns its two connections while
// it runs. Thread: the caller's.
#include "cdc/transfer/rehearse.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "cdc/marker.h"
#include "cdc/reader.h"
#include "cdc/transfer/rehearse_int.h"
#include "cdc/transfer/transfer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEPS_MAX 10
#define SWEEP_MS   500

struct course { // one direction of one rehearsal
    struct rehearsal *r;
    enum side from, to;
    struct odbc_conn *odbc;
    struct pg_conn *pg;
    struct arena *a; // of one entity
    bool open;       // the other side let a direct write through: the rest would only wait
};

static void found(struct course *s, const struct entity *en, const char *check, bool passed,
                  double ms, const char *fmt, ...) FICUS_PRINTF(6, 7);

static void found(struct course *s, const struct entity *en, const char *check, bool passed,
                  double ms, const char *fmt, ...)
{
    va_list ap;
    if (s->r->n == FINDINGS_MAX)
        return;
    struct finding *f = &s->r->findings[s->r->n++];
    *f = (struct finding){.passed = passed, .ms = ms};
    snprintf(f->direction, sizeof f->direction, "%s->%s", side_name(s->from), side_name(s->to));
    snprintf(f->entity, sizeof f->entity, "%s", en ? en->name : "");
    snprintf(f->check, sizeof f->check, "%s", check);
    va_start(ap, fmt);
    vsnprintf(f->figure, sizeof f->figure, fmt, ap);
    va_end(ap);
}

// ---------------------------------------------------------------- statements of one side

static const struct dbms *dbms_of(const struct course *s, enum side side)
{
    return side == SIDE_NEW ? &dbms_postgres : odbc_dbms(s->odbc);
}

static int begin(struct course *s, enum side side, struct err *e)
{
    return side == SIDE_NEW ? pg_begin(s->pg, e) : odbc_begin(s->odbc, true, e);
}

static int commit(struct course *s, enum side side, struct err *e)
{
    return side == SIDE_NEW ? pg_commit(s->pg, e) : odbc_commit(s->odbc, e);
}

static void rollback(struct course *s, enum side side)
{
    if (side == SIDE_NEW)
        pg_rollback(s->pg);
    else
        odbc_rollback(s->odbc);
}

static struct value *values_of(struct course *s, const struct entity *en, enum side side,
                               bool second)
{
    bool doubles = strcmp(odbc_dbms(s->odbc)->name, "sqlite") == 0;
    return rehearse_values(en, side, second, doubles ? DOUBLE_DIGITS : UINT_MAX, s->a);
}

static int exec(struct course *s, enum side side, struct str sql, const struct value *params,
                size_t n, struct err *e)
{
    return side == SIDE_NEW ? pg_exec(s->pg, sql, params, n, NULL, e)
                            : odbc_exec(s->odbc, sql, params, n, NULL, e);
}

static int write_row(struct course *s, const struct entity *en, enum side side,
                     enum write_kind kind, const struct value *values, struct err *e)
{
    char now[20];
    struct write_statement *st;
    size_t n;
    clock_utc_seconds(clock_wall_ms(), now);
    struct write w = {.entity = en,
                      .kind = kind,
                      .key = &values[en->keys[0]->index],
                      .values = values,
                      .now = now};
    if (query_write(&w, side, dbms_of(s, side), s->a, &st, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (st[i].role != STATEMENT_LOOKUP &&
            exec(s, side, st[i].sql.text, st[i].sql.params, st[i].sql.nparams, e))
            return -1;
    return 0;
}

// Really, not softly.
static int remove_row(struct course *s, const struct entity *en, enum side side, struct err *e)
{
    char now[20];
    struct apply_statement *st;
    size_t n;
    struct value *row = arena_array(s->a, en->nfields, sizeof *row);
    clock_utc_seconds(clock_wall_ms(), now);
    if (!row)
        return err_memory(e);
    row[en->keys[0]->index] = value_set(STR(REHEARSE_KEY));
    if (query_apply_delete(en, side, dbms_of(s, side), s->a, &st, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct value *p = arena_array(s->a, st[i].nparams + 1, sizeof *p);
        if (!p)
            return err_memory(e);
        for (size_t k = 0; k < st[i].nparams; k++) {
            if (query_apply_param(&st[i], k, side, row, now, s->a, &p[k], e))
                return -1;
            if (side == SIDE_NEW) { // an array of one
                struct buf list = BUF_INIT;
                pg_array_literal(&list, &p[k], 1, 1);
                p[k] = value_set(arena_str(s->a, buf_str(&list)));
                buf_free(&list);
            }
        }
        if (exec(s, side, st[i].text, p, st[i].nparams, e))
            return -1;
    }
    return 0;
}

enum act { ACT_CREATE, ACT_UPDATE, ACT_REMOVE };

// One transaction without marks, as of a program that knows nothing of us.
static int act(struct course *s, const struct entity *en, enum side side, enum act what,
               const struct value *values, struct err *e)
{
    if (begin(s, side, e))
        return -1;
    int result = what == ACT_REMOVE
                     ? remove_row(s, en, side, e)
                     : write_row(s, en, side, what == ACT_CREATE ? WRITE_CREATE : WRITE_UPDATE,
                                 values, e);
    if (result)
        rollback(s, side);
    return result ? -1 : commit(s, side, e);
}

static int read_row(struct course *s, const struct entity *en, enum side side, struct reader *rd,
                    struct reader_row *row, struct err *e)
{
    struct str key = STR(REHEARSE_KEY);
    return reader_init(rd, en, side, s->odbc, s->pg, e) || reader_keys(rd, &key, 1, s->a, row, e)
               ? -1
               : 0;
}

// ---------------------------------------------------------------- waiting and comparing

// The first field in which both sides differ, or the owner from what was written; NULL: none.
static const struct field *differs(const struct reader *rd, const struct reader_row *from,
                                   const struct reader_row *to, const struct value *written,
                                   const char **how)
{
    for (size_t i = 0; i < rd->nfields; i++) {
        const struct field *f = rd->fields[i];
        const struct value *w = written ? &written[f->index] : NULL;
        *how = "the owner's store keeps it otherwise than it was written";
        if (w && w->state == VALUE_SET && !value_eq(from->values[i], *w))
            return f;
        *how = "the sides hold it differently";
        if (!value_eq(from->values[i], to->values[i]))
            return f;
    }
    return NULL;
}

// Until the other side holds what the owner does (`gone`: nothing).
static int arrival(struct course *s, const struct entity *en, const char *check, bool gone,
                   const struct value *written, struct err *e)
{
    uint64_t start = clock_mono_ns(), end = clock_mono_ms() + s->r->wait_s * 1000ull;
    struct arena *mine = s->a;
    const struct field *f = NULL;
    const char *how = "";
    bool same = false, there = false;
    int result = 0;
    if (!(s->a = arena_create(0)))
        result = err_memory(e);
    while (result == 0 && !same && clock_mono_ms() < end) {
        struct reader from, to;
        struct reader_row a, b;
        arena_reset(s->a);
        result = read_row(s, en, s->from, &from, &a, e) || read_row(s, en, s->to, &to, &b, e);
        if (result)
            break;
        there = b.values != NULL;
        f = gone || !a.values || !b.values ? NULL : differs(&from, &a, &b, written, &how);
        same = gone ? !b.values : a.values && b.values && !f;
        if (!same)
            clock_sleep_ms(2);
    }
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    if (result == 0 && same)
        found(s, en, check, true, ms, "%s after %.1f ms", gone ? "gone" : "equal", ms);
    else if (result == 0)
        found(s, en, check, false, ms, "%s%s%s within %u s (ficus parked list)",
              f       ? f->name
              : there ? "still there"
                      : "nothing arrived",
              f ? ": " : "", f ? how : "", s->r->wait_s);
    arena_destroy(s->a);
    s->a = mine;
    return result ? -1 : 0;
}

// A direct write on the side that is not the owner.
static int fence(struct course *s, const struct entity *en, const struct value *values,
                 struct err *e)
{
    struct err refused = {0};
    bool report = s->to == SIDE_LEGACY && s->r->group->rogue_allowed;
    if (begin(s, s->to, e))
        return -1;
    int result = write_row(s, en, s->to, WRITE_UPDATE, values, &refused);
    rollback(s, s->to);
    if (result && refused.code != ERR_FENCED) {
        *e = refused;
        return err_prefix(e, "%s: a direct write on the %s side", en->name, side_name(s->to));
    }
    s->open = result == 0 && !report;
    found(s, en, "fence", !s->open, -1, "a direct write on the %s side was %s", side_name(s->to),
          result   ? "refused"
          : report ? "let through, as the route table says (rogue: report)"
                   : "let through");
    return 0;
}

// ---------------------------------------------------------------- echo

static int logged(struct course *s, const struct entity *en, long long *n, struct err *e)
{
    struct rows rows;
    struct value p[] = {value_set(str_of(en->name)), value_set(STR(REHEARSE_KEY))};
    if (odbc_query(s->odbc, STR("SELECT count(*) FROM ficus_changelog WHERE entity = ? AND k = ?"),
                   p, 2, s->a, 1, &rows, e))
        return -1;
    return rows.nrows == 1 && str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, n)
               ? 0
               : err_set(e, ERR_INTERNAL, "the changelog gave no count");
}

// A marker from `from` through every partition of the group.
static int pass(struct course *s, enum side from, double *ms, bool *arrived, struct err *e)
{
    char marker[64], uuid[37];
    const struct group *g = s->r->group;
    unsigned got = 0,
             want = (unsigned)g->nentities * (unsigned)conf_int(s->r->conf, "kafka.partitions");
    uint64_t start = clock_mono_ns(), end = clock_mono_ms() + s->r->wait_s * 1000ull;
    uuid_make(uuid);
    snprintf(marker, sizeof marker, "rehearse-%s", uuid);
    if (from == SIDE_NEW ? marker_send_new(s->pg, marker, e)
                         : marker_send_legacy(s->odbc, marker, e))
        return -1;
    while (got < want && clock_mono_ms() < end) {
        if (from == SIDE_NEW
                ? marker_count_legacy(s->odbc, marker, g->entities, g->nentities, &got, e)
                : marker_count_new(s->pg, marker, g->entities, g->nentities, &got, e))
            return -1;
        if (got < want)
            clock_sleep_ms(2);
    }
    *ms = (double)(clock_mono_ns() - start) / 1e6;
    *arrived = got >= want;
    return 0;
}

// `before`: logged when the update was written. Once it has arrived and a marker came back, nothing
// may have been added: what apply writes carries its origin and is not captured. The changelog is
// trimmed behind capture, so fewer are fine.
static int echo(struct course *s, const struct entity *en, long long before, struct err *e)
{
    long long n;
    double ms;
    bool arrived;
    if (pass(s, s->to, &ms, &arrived, e) || logged(s, en, &n, e))
        return -1;
    found(s, en, "echo", n <= before && arrived, -1, "%lld changes came back to the legacy%s",
          n > before ? n - before : 0, arrived ? "" : "; a marker did not");
    return 0;
}

// ---------------------------------------------------------------- one entity, one direction

static int entity(struct course *s, const struct entity *en, struct err *e)
{
    long long before = 0;
    struct value *first = values_of(s, en, s->from, false);
    struct value *second = values_of(s, en, s->from, true);
    struct value *there = values_of(s, en, s->to, true);
    struct err refused = {0};
    if (!first || !second || !there)
        return err_memory(e);
    if (s->open) {
        found(s, en, "skipped", true, -1, "the fence of the %s side does not hold",
              side_name(s->to));
        return 0;
    }
    if (act(s, en, s->from, ACT_CREATE, first, &refused)) {
        if (refused.code == ERR_UNREACHABLE || refused.code == ERR_UNKNOWN_OUTCOME) {
            *e = refused;
            return -1;
        }
        found(s, en, "create", false, -1, "the %s store refused the test record: %.150s",
              side_name(s->from), refused.msg);
        return 0;
    }
    FAILPOINT("rehearsed");
    if (arrival(s, en, "create", false, first, e) || fence(s, en, there, e))
        return -1;
    if (s->open)
        return act(s, en, s->from, ACT_REMOVE, NULL, e);
    if (act(s, en, s->from, ACT_UPDATE, second, e) || logged(s, en, &before, e) ||
        arrival(s, en, "update", false, second, e) || echo(s, en, before, e) ||
        act(s, en, s->from, ACT_REMOVE, NULL, e) || arrival(s, en, "delete", true, NULL, e))
        return -1;
    return 0;
}

// Parked events of the test record would refuse the next cutover.
static int drop_parked(struct course *s, const struct entity *en, long long *dropped, struct err *e)
{
    struct value p[] = {value_set(str_of(en->name)), value_set(STR(REHEARSE_KEY))};
    return s->to == SIDE_NEW
               ? pg_exec(s->pg,
                         STR("UPDATE ficus.parked SET state = 'dropped', why = 'rehearsal' WHERE"
                             " entity = $1 AND k = $2 AND state IN ('parked', 'retry')"),
                         p, 2, dropped, e)
               : odbc_exec(s->odbc,
                           STR("UPDATE ficus_parked SET state = 'dropped', why = 'rehearsal' WHERE"
                               " entity = ? AND k = ? AND state IN ('parked', 'retry')"),
                           p, 2, dropped, e);
}

static int remains(struct course *s, const struct entity *en, bool *from, bool *to, struct err *e)
{
    struct reader rd;
    struct reader_row a, b;
    if (read_row(s, en, s->from, &rd, &a, e) || read_row(s, en, s->to, &rd, &b, e))
        return -1;
    *from = a.values != NULL;
    *to = b.values != NULL;
    return 0;
}

// Nothing of the test record stays on either side, nor parked. It is removed from the owner's, and
// the stream does the rest; removing what is not there would tell nobody, so it is put there first,
// without values that may be what was parked.
static int sweep(struct course *s, const struct entity *en, struct err *e)
{
    bool from, to, arrived;
    double ms;
    long long dropped = 0;
    if (remains(s, en, &from, &to, e) || drop_parked(s, en, &dropped, e))
        return -1;
    bool any = from || to || dropped > 0;
    for (unsigned i = 0; any && i < SWEEPS_MAX && (from || to || dropped > 0); i++) {
        if (i > 0)
            clock_sleep_ms(SWEEP_MS); // apply learns now and then that a key is parked no more
        struct value *v = arena_array(s->a, en->nfields, sizeof *v);
        if (!v)
            return err_memory(e);
        v[en->keys[0]->index] = value_set(STR(REHEARSE_KEY));
        if ((!from && to && act(s, en, s->from, ACT_CREATE, v, e)) ||
            ((from || to) && act(s, en, s->from, ACT_REMOVE, NULL, e)) ||
            pass(s, s->from, &ms, &arrived, e) || drop_parked(s, en, &dropped, e) ||
            remains(s, en, &from, &to, e))
            return -1;
    }
    if (any)
        found(s, en, "clean", !from && !to && dropped == 0, -1, "%s",
              from || to ? "the test record is still there" : "the test record is gone");
    return 0;
}

static int each(struct course *s, int (*one)(struct course *, const struct entity *, struct err *),
                bool tell, struct err *e)
{
    const struct group *g = s->r->group;
    int result = 0;
    for (size_t i = 0; i < g->nentities && result == 0; i++) {
        char why[128];
        if (!rehearse_can(g->entities[i], why)) {
            if (tell)
                found(s, g->entities[i], "skipped", true, -1, "%s", why);
            continue;
        }
        if (!(s->a = arena_create(0)))
            return err_memory(e);
        result = one(s, g->entities[i], e);
        if (result)
            err_prefix(e, "%s", g->entities[i]->name);
        arena_destroy(s->a);
        s->a = NULL;
    }
    return result;
}

static int direction(struct course *s, enum side from, struct err *e)
{
    double ms = -1;
    bool arrived = false;
    struct err later = {0};
    s->from = from;
    s->to = side_other(from);
    if (each(s, sweep, false, e))
        return -1;
    int result = each(s, entity, true, e);
    if (each(s, sweep, false, &later) || result) { // the first error counts
        if (!result)
            *e = later;
        return -1;
    }
    if (pass(s, s->to, &ms, &arrived, e))
        return -1;
    found(s, NULL, "way-back", arrived, ms, "a marker from %s %s %.1f ms", side_name(s->to),
          arrived ? "arrived everywhere after" : "did not arrive within", ms);
    return 0;
}

// ---------------------------------------------------------------- the switch

static int give(struct course *s, enum side to, struct err *e)
{
    struct rehearsal *r = s->r;
    struct transfer_request q = {.group = r->group,
                                 .to = to,
                                 .kind = to == SIDE_NEW ? "cutover" : "rollback",
                                 .who = r->who,
                                 .why = "rehearsal",
                                 .note = ""};
    char text[24], outcome[16] = "", pause[32] = "";
    uint64_t start = clock_mono_ns();
    long long id = transfer_ask(r->control, &q, e);
    if (id < 0)
        return -1;
    snprintf(text, sizeof text, "%lld", id);
    struct value p = value_set(str_of(text));
    struct rows rows = {0};
    int result = 0;
    while (result == 0 && !outcome[0]) {
        struct arena *a = arena_create(0);
        result = !a ? err_memory(e)
                    : pg_query(s->pg,
                               STR("SELECT coalesce(outcome, ''), coalesce(receipt->>'pause_ms',"
                                   " '') FROM ficus.transfer WHERE id = $1::bigint"),
                               &p, 1, a, &rows, e);
        if (result == 0 && rows.nrows == 1 &&
            (str_copy(outcome, sizeof outcome, value_str(rows.cells[0])) ||
             str_copy(pause, sizeof pause, value_str(rows.cells[1]))))
            result = err_set(e, ERR_INTERNAL, "the transfer cannot be read");
        arena_destroy(a);
        if (result == 0 && !outcome[0])
            clock_sleep_ms(20);
    }
    bool done = strcmp(outcome, "done") == 0;
    if (result == 0)
        found(s, NULL, "switch", done, (double)(clock_mono_ns() - start) / 1e6,
              "%s: %s, pause %.20s ms (ficus transfers show %lld)", q.kind, outcome, pause, id);
    return result == 0 && !done ? 1 : result;
}

static int both_ways(struct course *s, struct err *e)
{
    enum side owner = s->r->group->owner;
    if (direction(s, owner, e))
        return -1;
    if (!s->r->switch_owner)
        return 0;
    int given = give(s, side_other(owner), e);
    if (given)
        return given < 0 ? -1 : 0;
    struct err first = {0}, *ep = &first;
    int result = direction(s, side_other(owner), ep);
    if (give(s, owner, e) < 0)
        return -1;
    if (result)
        *e = first;
    return result;
}

int rehearse_run(struct rehearsal *r, struct err *e)
{
    struct course s = {.r = r};
    const struct dbms *d = dbms_find(str_of(conf_str(r->conf, "legacy.dbms")));
    r->n = 0;
    if (!(r->findings = calloc(FINDINGS_MAX, sizeof *r->findings)))
        return err_memory(e);
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(r->conf, "legacy.dbms"));
    int result = -1;
    if (odbc_open(conf_str(r->conf, "legacy.odbc"), d, &s.odbc, e))
        err_prefix(e, "legacy database (legacy.odbc)");
    else if (pg_open(conf_str(r->conf, "control.conninfo"), "ficus rehearse", &s.pg, e))
        err_prefix(e, "new store (control.conninfo)");
    else
        result = both_ways(&s, e);
    odbc_close(s.odbc);
    pg_close(s.pg);
    return result;
}
