// SPDX-License-Identifier: Apache-2.0
// The ladder's statements. A change of stage, its history and its audit row commit together;
// rows are locked by FOR UPDATE, so of two orders for a route one is judged after the other.
#include "routes/control_ladder.h"

#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------- evidence

static uint64_t cell(const struct rows *r, size_t row, size_t col)
{
    long long n = 0;
    return str_to_int(value_str(*rows_at(r, row, col)), 0, INT64_MAX, &n) ? (uint64_t)n : 0;
}

static unsigned bit_of(struct str word, const char *const *known)
{
    for (unsigned i = 0; known[i]; i++)
        if (str_eqz(word, known[i]))
            return 1u << i;
    return 0;
}

static const char *since(bool stay)
{
    return stay ? "changed_at" : "evidence_since";
}

static int read_sums(struct pg_conn *pg, const char *route, bool stay, struct ladder_evidence *out,
                     struct arena *a, struct err *e)
{
    char sql[512];
    struct rows rows;
    struct value p = value_set(str_of(route));
    int n = snprintf(sql, sizeof sql,
                     "SELECT coalesce(sum(matched), 0), coalesce(sum(ignored), 0),"
                     " coalesce(sum(mismatched), 0), coalesce(sum(stale), 0),"
                     " coalesce(sum(dropped), 0) FROM ficus.shadow_stat s JOIN ficus.route_state r"
                     " USING (route) WHERE route = $1 AND stage_since >= r.%s",
                     since(stay));
    if (pg_query(pg, str_n(sql, (size_t)n), &p, 1, a, &rows, e))
        return -1;
    *out = (struct ladder_evidence){.matched = cell(&rows, 0, 0),
                                    .ignored = cell(&rows, 0, 1),
                                    .mismatched = cell(&rows, 0, 2),
                                    .stale = cell(&rows, 0, 3),
                                    .dropped = cell(&rows, 0, 4)};
    return 0;
}

static int read_cover(struct pg_conn *pg, const char *route, bool stay, struct ladder_evidence *out,
                      struct arena *a, struct err *e)
{
    char sql[512];
    struct rows rows;
    struct value p = value_set(str_of(route));
    int n = snprintf(sql, sizeof sql,
                     "SELECT operation, c.status, sum(seen)::bigint, sum(compared)::bigint"
                     " FROM ficus.coverage c JOIN ficus.route_state r USING (route)"
                     " WHERE route = $1 AND stage_since >= r.%s GROUP BY 1, 2 ORDER BY 1, 2",
                     since(stay));
    if (pg_query(pg, str_n(sql, (size_t)n), &p, 1, a, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows && out->ncover < LADDER_COVERS; i++) {
        struct ladder_cover c = {bit_of(value_str(*rows_at(&rows, i, 0)), ladder_operations),
                                 bit_of(value_str(*rows_at(&rows, i, 1)), ladder_statuses),
                                 cell(&rows, i, 2), cell(&rows, i, 3)};
        if (c.operation && c.status)
            out->cover[out->ncover++] = c;
    }
    return 0;
}

static int read_evidence(struct pg_conn *pg, const char *route, bool stay,
                         struct ladder_evidence *out, struct arena *a, struct err *e)
{
    return read_sums(pg, route, stay, out, a, e) || read_cover(pg, route, stay, out, a, e) ? -1 : 0;
}

int control_evidence(struct control *c, const char *route, bool stay, struct ladder_evidence *out,
                     struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    int result = read_evidence(pg, route, stay, out, a, e);
    arena_destroy(a);
    return result;
}

int control_arm(struct control *c, const char *route, enum side arm, unsigned seconds,
                struct arm *out, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    struct rows rows;
    char text[16];
    *out = (struct arm){.requests = 0};
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    snprintf(text, sizeof text, "%u", seconds);
    struct value p[] = {value_set(str_of(route)), value_set(str_of(side_name(arm))),
                        value_set(str_of(text))};
    int result = pg_query(
        pg,
        STR("SELECT x.n - 1, sum(x.v)::bigint, sum(requests)::bigint, sum(errors)::bigint"
            " FROM ficus.arm s JOIN ficus.route_state r USING (route),"
            " unnest(s.slots) WITH ORDINALITY x(v, n)"
            " WHERE route = $1 AND arm = $2 AND stage_since = r.changed_at"
            " AND win > now() - ($3::int + 10) * interval '1 second' GROUP BY 1 ORDER BY 1"),
        p, 3, a, &rows, e);
    for (size_t i = 0; result == 0 && i < rows.nrows && i < ARM_SLOTS; i++) {
        out->slots[i] = cell(&rows, i, 1);
        out->requests = cell(&rows, i, 2);
        out->errors = cell(&rows, i, 3);
    }
    arena_destroy(a);
    return result;
}

// ---------------------------------------------------------------- one step

struct step {
    const struct stage_order *o;
    const struct route_change *change;
    enum stage from;
    long long from_bp;
    bool owner_new;
    json_t *evidence; // of a promotion; owned
    bool forced;
};

static bool climbs(const struct step *s)
{
    return s->change->to > s->from ||
           (s->change->to == s->from && s->change->canary_bp > s->from_bp);
}

// Reads the state of a route under lock.
static int read_state(struct pg_conn *pg, struct step *s, struct arena *a, struct err *e)
{
    const char *route = s->change->route->name;
    struct value p = value_set(str_of(route));
    struct rows rows;
    if (pg_query(pg,
                 STR("SELECT stage, canary_bp FROM ficus.route_state WHERE route = $1"
                     " FOR UPDATE"),
                 &p, 1, a, &rows, e))
        return -1;
    if (rows.nrows == 0)
        return err_set(e, ERR_NOT_FOUND,
                       "route '%s' is not registered; ficus migrate up registers routes", route);
    if (stage_from(value_str(rows.cells[0]), &s->from) ||
        !str_to_int(value_str(rows.cells[1]), 0, 10000, &s->from_bp))
        return err_set(e, ERR_INTERNAL, "route '%s' has an unknown stage", route);
    if (!s->change->route->group)
        return 0;
    p = value_set(str_of(s->change->route->group->name));
    if (pg_query(pg, STR("SELECT owner FROM ficus.owner WHERE grp = $1"), &p, 1, a, &rows, e))
        return -1;
    s->owner_new = rows.nrows == 1 && str_eqz(value_str(rows.cells[0]), "new");
    return 0;
}

// Up to canary and new: what the comparisons say. Once the new side owns the group it answers
// every read anyway, and there is nothing left to compare with.
static int judge(struct pg_conn *pg, struct step *s, struct arena *a, struct err *e)
{
    const struct route *r = s->change->route;
    struct ladder limits = ladder_resolve(&r->ladder, s->o->conf);
    struct ladder_evidence v;
    struct buf missing = BUF_INIT;
    if (!climbs(s) || (s->change->to != STAGE_CANARY && s->change->to != STAGE_NEW) ||
        !(r->operations & ROUTE_READS) || s->owner_new)
        return 0;
    if (read_evidence(pg, r->name, false, &v, a, e))
        return -1;
    s->evidence = ladder_evidence_json(&limits, &v);
    s->forced = !ladder_judge(&limits, &v, &missing);
    int result = 0;
    if (s->forced && !s->o->force)
        result = err_set(e, ERR_DENIED,
                         "route '%s' may not go to %s: %.*s. Stay at %s and let clients read,"
                         " see ficus route mismatches; or --force as an approver",
                         r->name, stage_name(s->change->to),
                         (int)(missing.len < 250 ? missing.len : 250),
                         missing.data ? missing.data : "", stage_name(s->from));
    buf_free(&missing);
    return result;
}

static int write_history(struct pg_conn *pg, const struct step *s, bool automatic, struct err *e)
{
    char from_bp[24], to_bp[24];
    const char *approved = s->o->approved_by ? s->o->approved_by : NULL;
    char *evidence = s->evidence ? json_dumps(s->evidence, JSON_COMPACT) : NULL;
    snprintf(from_bp, sizeof from_bp, "%lld", s->from_bp);
    snprintf(to_bp, sizeof to_bp, "%u", s->change->canary_bp);
    const char *h[] = {s->change->route->name,
                       stage_name(s->from),
                       from_bp,
                       stage_name(s->change->to),
                       to_bp,
                       s->o->who,
                       s->o->why,
                       evidence,
                       s->forced ? "true" : "false",
                       automatic ? "true" : "false",
                       approved};
    int result = pg_execz(pg,
                          "INSERT INTO ficus.route_history (route, from_stage, from_bp, to_stage,"
                          " to_bp, who, why, evidence, forced, automatic, approved_by) VALUES ($1,"
                          " $2, $3::int, $4, $5::int, $6, $7, $8::jsonb, $9::boolean,"
                          " $10::boolean, $11)",
                          h, 11, NULL, e);
    free(evidence);
    return result;
}

static int write_step(struct control *c, struct pg_conn *pg, const struct step *s, bool automatic,
                      struct err *e)
{
    char to_bp[24];
    snprintf(to_bp, sizeof to_bp, "%u", s->change->canary_bp);
    const char *p[] = {s->change->route->name, stage_name(s->change->to), to_bp, s->o->who,
                       s->o->why};
    if (pg_execz(pg,
                 "UPDATE ficus.route_state SET stage = $2, canary_bp = $3::int, changed_at ="
                 " greatest(now(), changed_at + interval '1 microsecond'), changed_by = $4,"
                 " why = $5 WHERE route = $1",
                 p, 5, NULL, e) ||
        write_history(pg, s, automatic, e))
        return -1;
    json_t *detail = json_pack(
        "{s:s, s:i, s:s, s:i, s:s, s:b, s:b, s:s*}", "from", stage_name(s->from), "from_bp",
        (int)s->from_bp, "to", stage_name(s->change->to), "to_bp", (int)s->change->canary_bp, "why",
        s->o->why, "forced", s->forced, "automatic", automatic, "approved_by", s->o->approved_by);
    int result = control_audit(c, s->o->who, "route set", s->change->route->name, detail, e);
    json_decref(detail);
    return result;
}

static int set_stage(struct control *c, struct pg_conn *pg, const struct stage_order *o,
                     const struct route_change *ch, struct arena *a, struct err *e)
{
    struct step s = {.o = o, .change = ch};
    if (read_state(pg, &s, a, e))
        return -1;
    if (s.from == ch->to && (s.from != STAGE_CANARY || s.from_bp == ch->canary_bp))
        return 0; // nothing changes, nothing is recorded
    if (!stage_step_is_legal(s.from, ch->to))
        return err_set(e, ERR_DENIED,
                       "route '%s' cannot go from %s to %s: one rung up at a time"
                       " (legacy, shadow, canary, new, retired), any rung down",
                       ch->route->name, stage_name(s.from), stage_name(ch->to));
    int result = judge(pg, &s, a, e) || write_step(c, pg, &s, false, e) ? -1 : 0;
    json_decref(s.evidence);
    return result;
}

static int by_name(const void *a, const void *b)
{
    const struct route_change *x = a, *y = b;
    return strcmp(x->route->name, y->route->name);
}

// In one order everywhere, so that two orders never wait for each other.
static int set_all(struct control *c, struct pg_conn *pg, const struct stage_order *o,
                   struct arena *a, struct err *e)
{
    struct route_change *sorted = arena_array(a, o->n + 1, sizeof *sorted);
    if (!sorted)
        return err_memory(e);
    memcpy(sorted, o->changes, o->n * sizeof *sorted);
    qsort(sorted, o->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < o->n; i++)
        if (set_stage(c, pg, o, &sorted[i], a, e))
            return -1;
    return 0;
}

int control_set_stages(struct control *c, const struct stage_order *o, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = -1;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    if (pg_begin(pg, e) == 0) {
        result = set_all(c, pg, o, a, e);
        if (result == 0)
            result = pg_commit(pg, e);
        else
            pg_rollback(pg);
    }
    arena_destroy(a);
    return result;
}

// ---------------------------------------------------------------- a second person

bool control_needs_approval(struct control *c, const struct stage_order *o, struct err *e)
{
    bool needed = false;
    json_t *state = control_state(c, e);
    for (size_t i = 0; state && i < o->n; i++) {
        struct step s = {.o = o, .change = &o->changes[i]};
        const json_t *now = json_object_get(json_object_get(state, "routes"),
                                            s.change->route->name);
        const char *stage = json_string_value(json_object_get(now, "stage"));
        s.from_bp = json_integer_value(json_object_get(now, "canary_bp"));
        if (stage && stage_from(str_of(stage), &s.from) == 0)
            needed |= climbs(&s) && s.change->route->group && s.change->route->group->approval;
    }
    json_decref(state);
    return needed;
}

static json_t *changes_json(const struct stage_order *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "route", o->changes[i].route->name,
                                              "stage", stage_name(o->changes[i].to), "canary_bp",
                                              (int)o->changes[i].canary_bp));
    return list;
}

int control_propose(struct control *c, const struct stage_order *o, long long *id, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    struct rows rows;
    int result = -1;
    if (!pg)
        return -1;
    json_t *list = changes_json(o);
    char *text = json_dumps(list, JSON_COMPACT);
    struct value p[] = {value_set(str_of(text)), value_set(str_of(o->who)),
                        value_set(str_of(o->why)), value_set(str_of(o->force ? "true" : "false"))};
    if (!a || !text)
        err_memory(e);
    else if (pg_begin(pg, e) == 0) {
        result = pg_query(pg,
                          STR("INSERT INTO ficus.proposal (changes, who, why, forced) VALUES"
                              " ($1::jsonb, $2, $3, $4::boolean) RETURNING id"),
                          p, 4, a, &rows, e);
        if (result == 0 && !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, id))
            result = err_set(e, ERR_INTERNAL, "a proposal got no number");
        if (result == 0)
            result = control_audit(c, o->who, "route propose", "routes", list, e);
        if (result == 0)
            result = pg_commit(pg, e);
        else
            pg_rollback(pg);
    }
    free(text);
    json_decref(list);
    arena_destroy(a);
    return result;
}

// Locks the proposal; its changes by the definitions of now.
static int read_proposal(struct pg_conn *pg, long long id, const struct route_table *t,
                         struct stage_order *o, struct route_change *changes, struct arena *a,
                         struct err *e)
{
    char number[24];
    struct rows rows;
    snprintf(number, sizeof number, "%lld", id);
    struct value p = value_set(str_of(number));
    if (pg_query(pg,
                 STR("SELECT changes::text, who, why, forced::int::text FROM ficus.proposal"
                     " WHERE id = $1::bigint AND outcome IS NULL FOR UPDATE"),
                 &p, 1, a, &rows, e))
        return -1;
    if (rows.nrows == 0)
        return err_set(e, ERR_NOT_FOUND, "no proposal %lld waits; ficus route proposals", id);
    o->who = arena_strz(a, value_str(rows.cells[1]));
    o->why = arena_strz(a, value_str(rows.cells[2]));
    o->force = str_eqz(value_str(rows.cells[3]), "1");
    o->changes = changes;
    json_t *list = json_loadb(rows.cells[0].data, rows.cells[0].len, 0, NULL), *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "route"));
        const char *stage = json_string_value(json_object_get(one, "stage"));
        struct route_change *ch = &changes[o->n];
        if (i < STAGE_CHANGES_MAX && name && stage && (ch->route = route_find(t, str_of(name))) &&
            stage_from(str_of(stage), &ch->to) == 0) {
            ch->canary_bp = (unsigned)json_integer_value(json_object_get(one, "canary_bp"));
            o->n++;
        }
    }
    int result = o->n == json_array_size(list) && o->n && o->who && o->why
                     ? 0
                     : err_set(e, ERR_NOT_FOUND, "a route of proposal %lld is gone; withdraw it",
                               id);
    json_decref(list);
    return result;
}

static int decide(struct control *c, struct pg_conn *pg, struct stage_order *o, long long id,
                  bool approve, const char *who, struct arena *a, struct err *e)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", id);
    if (approve && strcmp(o->who, who) == 0)
        return err_set(e, ERR_DENIED, "%s asked for proposal %lld: someone else has to approve it",
                       who, id);
    o->approved_by = who;
    if (approve && set_all(c, pg, o, a, e))
        return -1;
    const char *p[] = {number, approve ? "done" : "withdrawn", who};
    if (pg_execz(pg,
                 "UPDATE ficus.proposal SET outcome = $2, decided_by = $3, decided_at = now()"
                 " WHERE id = $1::bigint",
                 p, 3, NULL, e))
        return -1;
    json_t *detail = json_pack("{s:I, s:s}", "proposal", (json_int_t)id, "asked_by", o->who);
    int result = control_audit(c, who, approve ? "route approve" : "route withdraw", "routes",
                               detail, e);
    json_decref(detail);
    return result;
}

int control_decide(struct control *c, long long id, bool approve, const struct route_table *t,
                   const struct conf *conf, const char *who, struct err *e)
{
    struct route_change changes[STAGE_CHANGES_MAX];
    struct stage_order o = {.conf = conf};
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = -1;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    if (pg_begin(pg, e) == 0) {
        result = read_proposal(pg, id, t, &o, changes, a, e) ||
                         decide(c, pg, &o, id, approve, who, a, e)
                     ? -1
                     : pg_commit(pg, e);
        if (result)
            pg_rollback(pg);
    }
    arena_destroy(a);
    return result;
}

// ---------------------------------------------------------------- back by itself

// The share that a route had at canary before it came to `new`; half when it is not known.
static int last_share(struct pg_conn *pg, const char *route, long long *bp, struct arena *a,
                      struct err *e)
{
    struct value p = value_set(str_of(route));
    struct rows rows;
    *bp = 5000;
    if (pg_query(pg,
                 STR("SELECT to_bp FROM ficus.route_history WHERE route = $1"
                     " AND to_stage = 'canary' ORDER BY id DESC LIMIT 1"),
                 &p, 1, a, &rows, e))
        return -1;
    if (rows.nrows && !str_to_int(value_str(rows.cells[0]), 0, 10000, bp))
        return err_set(e, ERR_INTERNAL, "route '%s' has a history without a share", route);
    return 0;
}

// Still on the same stay? Under lock.
static int is_there(struct pg_conn *pg, const struct route *r, struct arena *a, struct err *e)
{
    char at[24];
    struct rows rows;
    snprintf(at, sizeof at, "%lld", r->since_us);
    struct value p[] = {value_set(str_of(r->name)), value_set(str_of(stage_name(r->stage))),
                        value_set(str_of(at))};
    if (pg_query(pg,
                 STR("SELECT 1 FROM ficus.route_state WHERE route = $1 AND stage = $2 AND"
                     " (extract(epoch FROM changed_at) * 1000000)::bigint = $3::bigint FOR UPDATE"),
                 p, 3, a, &rows, e))
        return -1;
    return rows.nrows == 1;
}

static int take_back(struct control *c, struct pg_conn *pg, const struct route *r,
                     const char *reason, const json_t *evidence, struct arena *a, struct err *e)
{
    long long share = 0;
    int there = is_there(pg, r, a, e);
    if (there <= 0)
        return there;
    if (r->stage == STAGE_NEW && last_share(pg, r->name, &share, a, e))
        return -1;
    struct route_change ch = {r, (enum stage)(r->stage - 1), (unsigned)share};
    struct stage_order o = {.changes = &ch, .n = 1, .who = "ficus", .why = reason};
    struct step s = {.o = &o,
                     .change = &ch,
                     .from = r->stage,
                     .from_bp = r->canary_bp,
                     .evidence = (json_t *)evidence};
    return write_step(c, pg, &s, true, e) ? -1 : 1;
}

int control_take_back(struct control *c, const struct route *r, const char *reason,
                      const json_t *evidence, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = -1;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    if (pg_begin(pg, e) == 0) {
        result = take_back(c, pg, r, reason, evidence, a, e);
        if (result > 0)
            result = pg_commit(pg, e) ? -1 : 1;
        else
            pg_rollback(pg);
    }
    arena_destroy(a);
    return result;
}
