// SPDX-License-Identifier: Apache-2.0
// Reads both stores' own tables, compares, writes. Keeps nothing between calls.
#include "cdc/positions.h"

#include "cdc/event/event.h"
#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg_stream.h"

#include <stdio.h>

#define FORMAT  1
#define NUMBERS 4 // of one partition

static const char *const number_names[NUMBERS] = {"next", "term", "through", "opened"};

static const char of_new[] = "SELECT stream, part, next, term, through, opened FROM ficus.position"
                             " ORDER BY stream, part";
static const char of_legacy[] =
    "SELECT stream, part, next, term, through, opened FROM ficus_position ORDER BY stream, part";

struct stores {
    struct pg_conn *pg;
    struct odbc_conn *legacy;
    struct arena *arena;
};

static int open_stores(struct stores *s, struct control *c, const struct conf *conf, struct err *e)
{
    const struct dbms *d = dbms_find(str_of(conf_str(conf, "legacy.dbms")));
    *s = (struct stores){.pg = control_pg(c, e)};
    if (!s->pg)
        return -1;
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(conf, "legacy.dbms"));
    if (odbc_open(conf_str(conf, "legacy.odbc"), d, &s->legacy, e))
        return err_prefix(e, "legacy database (legacy.odbc)");
    return (s->arena = arena_create(0)) ? 0 : err_memory(e);
}

static void close_stores(struct stores *s)
{
    odbc_close(s->legacy);
    arena_destroy(s->arena);
}

// ---------------------------------------------------------------- out

static int read_applied(struct stores *s, enum side store, struct rows *rows, struct err *e)
{
    return store == SIDE_NEW ? pg_query(s->pg, STR(of_new), NULL, 0, s->arena, rows, e)
                             : odbc_query(s->legacy, STR(of_legacy), NULL, 0, s->arena, 0, rows, e);
}

static int read_capture(struct stores *s, struct rows *rows, struct err *e)
{
    return pg_query(s->pg, STR("SELECT side, published, identity FROM ficus.capture ORDER BY side"),
                    NULL, 0, s->arena, rows, e);
}

static json_t *text_json(struct value v)
{
    return json_stringn(v.state == VALUE_SET ? v.data : "", v.state == VALUE_SET ? v.len : 0);
}

static json_t *number_json(struct value v)
{
    long long n = 0;
    return v.state == VALUE_SET && str_to_int(value_str(v), INT64_MIN, INT64_MAX, &n)
               ? json_integer((json_int_t)n)
               : json_null();
}

static json_t *applied_json(const struct rows *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rows->nrows; i++) {
        json_t *one = json_object();
        json_object_set_new(one, "stream", text_json(*rows_at(rows, i, 0)));
        json_object_set_new(one, "part", number_json(*rows_at(rows, i, 1)));
        for (size_t k = 0; k < NUMBERS; k++)
            json_object_set_new(one, number_names[k], number_json(*rows_at(rows, i, 2 + k)));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *capture_json(const struct rows *rows)
{
    json_t *all = json_object();
    for (size_t i = 0; i < rows->nrows; i++) {
        struct str side = value_str(*rows_at(rows, i, 0));
        json_object_setn_new(all, side.data, side.len,
                             json_pack("{s:o, s:o}", "published", text_json(*rows_at(rows, i, 1)),
                                       "identity", text_json(*rows_at(rows, i, 2))));
    }
    return all;
}

json_t *positions_export(struct control *c, const struct conf *conf, struct err *e)
{
    struct stores s;
    struct rows capture, applied[2];
    json_t *doc = NULL;
    if (open_stores(&s, c, conf, e) == 0 && read_capture(&s, &capture, e) == 0 &&
        read_applied(&s, SIDE_NEW, &applied[SIDE_NEW], e) == 0 &&
        read_applied(&s, SIDE_LEGACY, &applied[SIDE_LEGACY], e) == 0)
        doc = json_pack("{s:i, s:s, s:o, s:{s:o, s:o}}", "positions", FORMAT, "prefix",
                        conf_str(conf, "kafka.prefix"), "capture", capture_json(&capture),
                        "applied", "legacy", applied_json(&applied[SIDE_LEGACY]), "new",
                        applied_json(&applied[SIDE_NEW]));
    if (!doc && e->code == ERR_NONE)
        err_memory(e);
    close_stores(&s);
    return doc;
}

// ---------------------------------------------------------------- the document

// One partition of one stream, as the document wants it.
struct wanted {
    enum side store; // where it is applied
    char stream[160];
    long long part, number[NUMBERS];
};

struct plan {
    struct wanted *list;
    size_t n;
    const char *published[2], *identity[2]; // NULL: the document does not say
};

static bool known_stream(const struct entity_set *set, enum side store, const char *stream)
{
    char name[160];
    for (size_t i = 0; i < entity_count(set); i++) {
        stream_name(entity_at(set, i), side_other(store), name, sizeof name);
        if (strcmp(name, stream) == 0)
            return true;
    }
    return false;
}

static void take_one(const struct json_doc *doc, const json_t *j, const char *at, long long parts,
                     const struct entity_set *set, struct wanted *w, struct problems *p)
{
    static const char *const known[] = {"stream",  "part",   "next", "term",
                                        "through", "opened", NULL};
    const char *stream = "";
    char where[220];
    json_only_keys(doc, j, at, known, p);
    if (json_get_str(doc, j, at, "stream", NULL, &stream, p) ||
        json_get_int(doc, j, at, "part", 0, parts - 1, NULL, &w->part, p))
        return;
    for (size_t k = 0; k < NUMBERS; k++)
        if (json_get_int(doc, j, at, number_names[k], 0, INT64_MAX, NULL, &w->number[k], p))
            return;
    snprintf(where, sizeof where, "%s/stream", at);
    if (strlen(stream) >= sizeof w->stream || !known_stream(set, w->store, stream))
        problems_add(p, doc, where, "no entity of the maps has this stream towards the %s store",
                     side_name(w->store));
    snprintf(w->stream, sizeof w->stream, "%.*s", (int)sizeof w->stream - 1, stream);
}

static void take_applied(const struct json_doc *doc, enum side store, const struct conf *conf,
                         const struct entity_set *set, struct plan *plan, struct arena *a,
                         struct problems *p)
{
    const json_t *list = json_object_get(json_object_get(doc->root, "applied"), side_name(store));
    char at[64];
    struct wanted *all = arena_array(a, plan->n + json_array_size(list) + 1, sizeof *all);
    if (!json_is_array(list))
        problems_add(p, doc, "/applied", "an object with the lists 'legacy' and 'new'");
    if (!all) {
        problems_addz(p, doc->file, "out of memory");
        return;
    }
    if (plan->n)
        memcpy(all, plan->list, plan->n * sizeof *all);
    plan->list = all;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct wanted *w = &plan->list[plan->n++];
        *w = (struct wanted){.store = store};
        snprintf(at, sizeof at, "/applied/%s/%zu", side_name(store), i);
        take_one(doc, json_array_get(list, i), at, conf_int(conf, "kafka.partitions"), set, w, p);
    }
}

static void take_capture(const struct json_doc *doc, struct plan *plan, struct problems *p)
{
    static const char *const sides[] = {"legacy", "new", NULL};
    static const char *const known[] = {"published", "identity", NULL};
    const json_t *all = json_object_get(doc->root, "capture");
    json_only_keys(doc, all, "/capture", sides, p);
    for (int side = 0; side < 2; side++) {
        const json_t *j = json_object_get(all, side_name((enum side)side));
        struct err e = {0};
        uint64_t lsn;
        long long seq;
        char at[40];
        if (!j)
            continue;
        snprintf(at, sizeof at, "/capture/%s", side_name((enum side)side));
        json_only_keys(doc, j, at, known, p);
        if (json_get_str(doc, j, at, "published", NULL, &plan->published[side], p) ||
            json_get_str(doc, j, at, "identity", "", &plan->identity[side], p))
            continue;
        struct str text = str_of(plan->published[side]);
        if (text.len && (side == SIDE_NEW ? pg_lsn_parse(text, &lsn, &e) != 0
                                          : !str_to_int(text, 0, INT64_MAX, &seq)))
            problems_add(p, doc, at, "published: %s",
                         side == SIDE_NEW ? "a WAL position such as 0/16B3748"
                                          : "a number of the changelog");
    }
}

static int read_document(const struct json_doc *doc, const struct conf *conf,
                         const struct entity_set *set, struct plan *plan, struct arena *a,
                         struct problems *p)
{
    static const char *const known[] = {"positions", "prefix", "capture", "applied", NULL};
    long long format = 0;
    const char *prefix = "";
    unsigned before = p->count;
    json_only_keys(doc, doc->root, "", known, p);
    if (json_get_int(doc, doc->root, "", "positions", FORMAT, FORMAT, NULL, &format, p) == 0 &&
        json_get_str(doc, doc->root, "", "prefix", NULL, &prefix, p) == 0 &&
        strcmp(prefix, conf_str(conf, "kafka.prefix")) != 0)
        problems_add(p, doc, "/prefix", "the configuration's topics are of kafka.prefix '%s'",
                     conf_str(conf, "kafka.prefix"));
    take_capture(doc, plan, p);
    take_applied(doc, SIDE_LEGACY, conf, set, plan, a, p);
    take_applied(doc, SIDE_NEW, conf, set, plan, a, p);
    return p->count > before ? -1 : 0;
}

// ---------------------------------------------------------------- what would change

static void count(struct positions_report *out, int way, const char *what, const char *from,
                  const char *to)
{
    out->moved += way != 0;
    out->back += way < 0;
    out->ahead += way > 0;
    if (way > 0 && !out->first_ahead[0])
        snprintf(out->first_ahead, sizeof out->first_ahead, "%.60s: %.30s is ahead of %.30s", what,
                 to, from);
}

static void compare_applied(const struct rows *rows, enum side store, const struct plan *plan,
                            struct positions_report *out)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct wanted *w = &plan->list[i];
        long long now = 0;
        char what[200], from[24], to[24];
        if (w->store != store)
            continue;
        for (size_t r = 0; r < rows->nrows; r++) {
            long long part = -1, next = 0;
            if (str_eqz(value_str(*rows_at(rows, r, 0)), w->stream) &&
                str_to_int(value_str(*rows_at(rows, r, 1)), 0, INT32_MAX, &part) &&
                part == w->part && str_to_int(value_str(*rows_at(rows, r, 2)), 0, INT64_MAX, &next))
                now = next;
        }
        snprintf(what, sizeof what, "%s part %lld", w->stream, w->part);
        snprintf(from, sizeof from, "%lld", now);
        snprintf(to, sizeof to, "%lld", w->number[0]);
        count(out, (w->number[0] > now) - (w->number[0] < now), what, from, to);
    }
}

static int compare_capture(const struct rows *rows, const struct plan *plan, bool force,
                           struct positions_report *out, struct err *e)
{
    for (size_t r = 0; r < rows->nrows; r++) {
        enum side side = str_eqz(value_str(*rows_at(rows, r, 0)), "new") ? SIDE_NEW : SIDE_LEGACY;
        struct str now = value_str(*rows_at(rows, r, 1)), is = value_str(*rows_at(rows, r, 2));
        const char *to = plan->published[side], *other = plan->identity[side];
        uint64_t a = 0, b = 0;
        long long x = 0, y = 0;
        char from[32], what[40];
        if (!to)
            continue;
        if (is.len && other[0] && !str_eqz(is, other) && !force)
            return err_set(e, ERR_CONFLICT,
                           "the document is of another %s store (%s; this one is %.*s); --force"
                           " takes it all the same",
                           side_name(side), other, (int)is.len, is.data);
        if (side == SIDE_NEW) {
            struct err bad = {0};
            if ((now.len && pg_lsn_parse(now, &a, &bad)) ||
                (*to && pg_lsn_parse(str_of(to), &b, &bad)))
                return err_set(e, ERR_SCHEMA, "ficus.capture.published of new: %s", bad.msg);
        } else if ((now.len && !str_to_int(now, 0, INT64_MAX, &x)) ||
                   (*to && !str_to_int(str_of(to), 0, INT64_MAX, &y))) {
            return err_set(e, ERR_SCHEMA, "ficus.capture.published of legacy is no number");
        }
        a += (uint64_t)x;
        b += (uint64_t)y;
        snprintf(from, sizeof from, "%.*s", (int)(now.len < 31 ? now.len : 31), now.data);
        snprintf(what, sizeof what, "capture of %s", side_name(side));
        count(out, (b > a) - (b < a), what, from, to);
    }
    return 0;
}

// ---------------------------------------------------------------- in

static int alone(struct stores *s, struct err *e)
{
    struct rows rows;
    if (pg_query(s->pg,
                 STR("SELECT count(*) FROM ficus.instance WHERE kind = 'sync'"
                     " AND heartbeat > now() - interval '10 seconds'"),
                 NULL, 0, s->arena, &rows, e))
        return -1;
    return rows.nrows == 1 && str_eqz(value_str(rows.cells[0]), "0")
               ? 0
               : err_set(e, ERR_BUSY,
                         "ficus sync is alive and moves these positions; stop every one of them"
                         " and wait ten seconds");
}

static void bind(const struct wanted *w, struct arena *a, struct value *out)
{
    char text[24];
    out[0] = value_set(str_of(w->stream));
    snprintf(text, sizeof text, "%lld", w->part);
    out[1] = value_set(arena_str(a, str_of(text)));
    for (size_t k = 0; k < NUMBERS; k++) {
        snprintf(text, sizeof text, "%lld", w->number[k]);
        out[2 + k] = value_set(arena_str(a, str_of(text)));
    }
}

// The epoch rises: whoever still holds the partition cannot move it any more. The fingerprint of
// the message before the position (cdc/apply/apply_anew.c) was that of another position.
static int write_legacy(struct stores *s, const struct wanted *w, struct err *e)
{
    struct value v[6], set[6];
    long long changed = 0;
    bind(w, s->arena, v);
    memcpy(set, v + 2, 4 * sizeof *set);
    memcpy(set + 4, v, 2 * sizeof *set);
    if (odbc_exec(s->legacy,
                  STR("UPDATE ficus_position SET next = ?, term = ?, through = ?, opened = ?,"
                      " last_print = 0, epoch = epoch + 1 WHERE stream = ? AND part = ?"),
                  set, 6, &changed, e))
        return -1;
    return changed > 0 ? 0
                       : odbc_exec(s->legacy,
                                   STR("INSERT INTO ficus_position (stream, part, next, term,"
                                       " through, opened, epoch) VALUES (?, ?, ?, ?, ?, ?, 0)"),
                                   v, 6, &changed, e);
}

static int write_new(struct stores *s, const struct wanted *w, struct err *e)
{
    struct value v[6];
    long long changed = 0;
    bind(w, s->arena, v);
    return pg_exec(s->pg,
                   STR("INSERT INTO ficus.position AS p (stream, part, next, term, through, opened,"
                       " epoch) VALUES ($1, $2::int, $3::bigint, $4::bigint, $5::bigint,"
                       " $6::bigint, 0) ON CONFLICT (stream, part) DO UPDATE SET"
                       " next = excluded.next, term = excluded.term, through = excluded.through,"
                       " opened = excluded.opened, last_print = 0, epoch = p.epoch + 1,"
                       " at = now()"),
                   v, 6, &changed, e);
}

// Terms that the legacy is said to have seen are this history's from now on.
static int own_terms(struct stores *s, const struct plan *plan, struct err *e)
{
    for (size_t i = 0; i < plan->n; i++) {
        char term[24];
        const char *p[] = {term};
        snprintf(term, sizeof term, "%lld", plan->list[i].number[1]);
        if (plan->list[i].store == SIDE_LEGACY &&
            (pg_execz(s->pg,
                      "INSERT INTO ficus.capture_term (term) VALUES ($1::bigint)"
                      " ON CONFLICT DO NOTHING",
                      p, 1, NULL, e) ||
             pg_execz(s->pg,
                      "UPDATE ficus.capture SET term = greatest(term, $1::bigint)"
                      " WHERE side = 'new'",
                      p, 1, NULL, e)))
            return -1;
    }
    return 0;
}

// Another identity was forced: capture takes the store that it finds for the right one.
static int write_capture(struct stores *s, const struct plan *plan, struct err *e)
{
    for (int side = 0; side < 2; side++) {
        const char *p[] = {side_name((enum side)side), plan->published[side], plan->identity[side]};
        if (p[1] && pg_execz(s->pg,
                             "UPDATE ficus.capture SET published = $2, captured = $2, stopped = '',"
                             " identity = CASE WHEN $3 IN ('', identity) THEN identity ELSE '' END"
                             " WHERE side = $1",
                             p, 3, NULL, e))
            return -1;
    }
    return 0;
}

static int write_store(struct stores *s, enum side store, const struct plan *plan, struct err *e)
{
    int result = store == SIDE_NEW ? pg_begin(s->pg, e) : odbc_begin(s->legacy, true, e);
    for (size_t i = 0; i < plan->n && result == 0; i++)
        if (plan->list[i].store == store)
            result = store == SIDE_NEW ? write_new(s, &plan->list[i], e)
                                       : write_legacy(s, &plan->list[i], e);
    if (result == 0 && store == SIDE_NEW)
        result = write_capture(s, plan, e) || own_terms(s, plan, e) ? -1 : 0;
    if (result == 0)
        return store == SIDE_NEW ? pg_commit(s->pg, e) : odbc_commit(s->legacy, e);
    if (store == SIDE_NEW)
        pg_rollback(s->pg);
    else
        odbc_rollback(s->legacy);
    return err_prefix(e, "the %s store", side_name(store));
}

static int carry_out(struct stores *s, const struct plan *plan, bool force,
                     struct positions_report *out, struct err *e)
{
    struct rows rows;
    if (alone(s, e) || read_capture(s, &rows, e) || compare_capture(&rows, plan, force, out, e))
        return -1;
    for (int store = 0; store < 2; store++) {
        if (read_applied(s, (enum side)store, &rows, e))
            return -1;
        compare_applied(&rows, (enum side)store, plan, out);
    }
    if (out->ahead && !force)
        return err_set(e, ERR_CONFLICT,
                       "%u positions go ahead, such as %s: what lies between would never be"
                       " applied; --force takes them all the same",
                       out->ahead, out->first_ahead);
    return write_store(s, SIDE_LEGACY, plan, e) || write_store(s, SIDE_NEW, plan, e) ? -1 : 0;
}

int positions_import(struct control *c, const struct conf *conf, const struct entity_set *set,
                     const struct json_doc *doc, bool force, struct positions_report *out,
                     struct problems *p, struct err *e)
{
    struct stores s;
    struct plan plan = {0};
    *out = (struct positions_report){0};
    int result = open_stores(&s, c, conf, e);
    if (result == 0)
        result = read_document(doc, conf, set, &plan, s.arena, p);
    if (result == 0)
        result = carry_out(&s, &plan, force, out, e);
    close_stores(&s);
    return result;
}
