// SPDX-License-Identifier: Apache-2.0
// The thread of capture by a column. Owns its connections; remembers what it has told within the
// overlap, in two sets: the one read now and the one of the poll before.
#include "cdc/capture/column.h"

#include "base/clock.h"
#include "cdc/keymap.h"
#include "migrations/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE     500     // rows
#define SEEN_MAX 1000000 // rows within the overlap of one entity; more of them are told again
#define TEXT_MAX 40      // of a value

struct watch { // one entity
    size_t entity;
    char greatest[TEXT_MAX]; // "": nothing seen yet
    long long told;
    struct keymap seen[2];
    unsigned now; // the set that is being filled
};

struct column {
    struct sync *s;
    struct pg_conn *pg;
    struct odbc_conn *odbc;
    struct arena *a;
    struct watch *watches;
    size_t n;
};

int column_low(const struct capture_source *c, struct str greatest, char out[40], struct err *e)
{
    struct tm tm = {0};
    long long part[6];
    static const char gaps[] = "-- ::";
    char text[TEXT_MAX];
    long long number;
    if (str_copy(text, sizeof text, greatest))
        return err_set(e, ERR_VALUE, "a value of %u bytes in the column", (unsigned)greatest.len);
    if (c->version) {
        if (!str_to_int(greatest, INT64_MIN / 2, INT64_MAX, &number))
            return err_set(e, ERR_VALUE, "'%s' is no version", text);
        snprintf(out, 40, "%lld", number - c->overlap);
        return 0;
    }
    bool good = greatest.len >= 19;
    for (size_t i = 0, at = 0; good && i < 6; i++) { // YYYY-MM-DD HH:MM:SS
        size_t n = i == 0 ? 4 : 2;
        good = str_to_int(str_n(text + at, n), 0, 9999, &part[i]) &&
               (i == 5 || text[at + n] == gaps[i] || (i == 2 && text[at + n] == 'T'));
        at += n + 1;
    }
    if (!good)
        return err_set(e, ERR_VALUE, "'%s' is no timestamp", text);
    tm = (struct tm){.tm_year = (int)part[0] - 1900,
                     .tm_mon = (int)part[1] - 1,
                     .tm_mday = (int)part[2],
                     .tm_hour = (int)part[3],
                     .tm_min = (int)part[4],
                     .tm_sec = (int)part[5]};
    time_t at = timegm(&tm) - (time_t)c->overlap;
    if (!gmtime_r(&at, &tm) || strftime(out, 40, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return err_set(e, ERR_VALUE, "'%s' is no timestamp", text);
    return 0;
}

static const struct capture_source *source_of(const struct column *k, const struct watch *w)
{
    return &k->s->entities[w->entity]->sides[SIDE_LEGACY].capture;
}

// ---------------------------------------------------------------- what was told

static bool is_later(const struct capture_source *c, struct str a, const char *b)
{
    long long x, y;
    if (!b[0])
        return true;
    if (c->version)
        return str_to_int(a, INT64_MIN, INT64_MAX, &x) &&
               str_to_int(str_of(b), INT64_MIN, INT64_MAX, &y) && x > y;
    size_t n = strlen(b) < a.len ? strlen(b) : a.len; // ISO text: its order is time's
    int order = memcmp(a.data, b, n);
    return order > 0 || (order == 0 && a.len > n);
}

// The store's present moment: a value beyond it does not move the mark.
static int store_now(struct column *k, char out[TEXT_MAX], struct err *e)
{
    struct rows rows;
    long long us;
    struct tm tm;
    if (odbc_query(k->odbc, str_of(k->s->dbms->now_us_sql), NULL, 0, k->a, 1, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &us))
        return err_set(e, ERR_SCHEMA, "the legacy store gave no time");
    time_t at = us / 1000000 + 1;
    return gmtime_r(&at, &tm) && strftime(out, TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm) > 0
               ? 0
               : err_set(e, ERR_SCHEMA, "the legacy store gave no time");
}

static int tell(struct column *k, struct watch *w, struct str key, struct str at, struct err *e)
{
    struct buf both = BUF_INIT;
    struct keymap_slot *slot;
    bool added = false;
    buf_addstr(&both, at);
    buf_addc(&both, '\n');
    buf_addstr(&both, key);
    int result = buf_check(&both, e);
    if (result == 0 && w->seen[w->now].count < SEEN_MAX)
        result = keymap_add(&w->seen[w->now], 0, buf_str(&both), 0, &slot, &added, e);
    if (result == 0 && !keymap_find(&w->seen[!w->now], 0, buf_str(&both))) {
        struct value p[] = {value_set(str_of(k->s->entities[w->entity]->name)), value_set(key)};
        result = odbc_exec(k->odbc, STR("INSERT INTO ficus_changelog (entity, k) VALUES (?, ?)"), p,
                           2, NULL, e);
        w->told++;
    }
    buf_free(&both);
    return result;
}

// ---------------------------------------------------------------- one poll of one entity

static int page(struct column *k, struct watch *w, bool first, const struct value *p,
                struct rows *rows, struct err *e)
{
    const struct entity *en = k->s->entities[w->entity];
    struct str sql;
    char size[24];
    snprintf(size, sizeof size, "%d", PAGE);
    struct value all[] = {p[0], p[0], p[1], value_set(arena_str(k->a, str_of(size)))};
    struct value some[] = {p[0], all[3]};
    return query_column(en, k->s->dbms, first, k->a, &sql, e) ||
                   odbc_query(k->odbc, sql, first ? some : all, first ? 2 : 4, k->a, 0, rows, e)
               ? -1
               : 0;
}

static int note_rows(struct column *k, struct watch *w, const struct rows *rows, const char *limit,
                     char *greatest, struct err *e)
{
    const struct capture_source *c = source_of(k, w);
    for (size_t i = 0; i < rows->nrows; i++) {
        const struct value *cells = rows_at(rows, i, 0);
        struct str at = value_str(cells[1]);
        bool future = !c->version && is_later(c, at, limit);
        if (tell(k, w, value_str(cells[0]), at, e))
            return -1;
        if (!future && is_later(c, at, greatest) && str_copy(greatest, TEXT_MAX, at))
            return err_set(e, ERR_VALUE, "a value of %u bytes in column %s", (unsigned)at.len,
                           c->column);
    }
    return 0;
}

// The next page begins behind the last row; the arena is emptied in between.
static int go_on(struct column *k, const struct rows *rows, struct value *p, struct err *e)
{
    const struct value *end = rows_at(rows, rows->nrows - 1, 0);
    struct buf key = BUF_INIT;
    char last[TEXT_MAX];
    buf_addstr(&key, value_str(end[0]));
    int result = buf_check(&key, e);
    if (result == 0 && str_copy(last, sizeof last, value_str(end[1])))
        result = err_set(e, ERR_VALUE, "a value of %u bytes in the column", end[1].len);
    if (result == 0) {
        arena_reset(k->a);
        p[0] = value_set(arena_str(k->a, str_of(last)));
        p[1] = value_set(arena_str(k->a, buf_str(&key)));
        result = p[0].data && p[1].data ? 0 : err_memory(e);
    }
    buf_free(&key);
    return result;
}

static int poll_one(struct column *k, struct watch *w, struct err *e)
{
    const struct capture_source *c = source_of(k, w);
    char low[TEXT_MAX] = "", limit[TEXT_MAX] = "", greatest[TEXT_MAX];
    struct rows rows = {.nrows = PAGE};
    struct value p[2];
    arena_reset(k->a);
    memcpy(greatest, w->greatest, sizeof greatest);
    if ((!c->version && store_now(k, limit, e)) ||
        (w->greatest[0] && column_low(c, str_of(w->greatest), low, e)))
        return -1;
    if (!low[0])
        snprintf(low, sizeof low, "%s", c->version ? "0" : "0001-01-01 00:00:00");
    w->now = !w->now;
    keymap_reset(&w->seen[w->now]);
    p[0] = value_set(str_of(low));
    for (bool first = true; rows.nrows == PAGE && !sync_stopping(k->s); first = false)
        if ((!first && go_on(k, &rows, p, e)) || page(k, w, first, p, &rows, e) ||
            note_rows(k, w, &rows, limit, greatest, e))
            return -1;
    memcpy(w->greatest, greatest, sizeof greatest);
    return 0;
}

static int save(struct column *k, const struct watch *w, struct err *e)
{
    char told[24];
    snprintf(told, sizeof told, "%lld", w->told);
    const char *p[] = {k->s->entities[w->entity]->name, w->greatest, told};
    return pg_execz(k->pg,
                    "INSERT INTO ficus.capture_column (entity, watermark, told) VALUES ($1, $2,"
                    " $3::bigint) ON CONFLICT (entity) DO UPDATE SET watermark ="
                    " excluded.watermark, told = excluded.told, at = now()",
                    p, 3, NULL, e);
}

static bool legacy_owns(struct sync *s, const struct entity *en)
{
    struct route_table *t = live_table(s->live);
    const struct group *g = group_of(t, en);
    bool owns = !g || g->owner == SIDE_LEGACY;
    route_table_unref(t);
    return owns;
}

// ---------------------------------------------------------------- the thread

static int load(struct column *k, struct err *e)
{
    for (size_t i = 0; i < k->s->nentities; i++) {
        const struct entity *en = k->s->entities[i];
        struct rows rows;
        struct value p = value_set(str_of(en->name));
        if (en->sides[SIDE_LEGACY].capture.by != CAPTURE_COLUMN)
            continue;
        struct watch *w = &k->watches[k->n];
        w->entity = i;
        if (keymap_init(&w->seen[0], true, e) || keymap_init(&w->seen[1], true, e))
            return -1;
        k->n++;
        if (pg_query(k->pg,
                     STR("SELECT watermark, told FROM ficus.capture_column WHERE entity = $1"), &p,
                     1, k->a, &rows, e))
            return -1;
        if (rows.nrows == 1 &&
            (str_copy(w->greatest, sizeof w->greatest, value_str(rows.cells[0])) ||
             !str_to_int(value_str(rows.cells[1]), 0, INT64_MAX, &w->told)))
            return err_set(e, ERR_SCHEMA, "ficus.capture_column of %s cannot be read", en->name);
    }
    return 0;
}

static int run(struct column *k, struct err *e)
{
    unsigned ms = (unsigned)conf_int(k->s->conf, "sync.column_poll_ms");
    while (!sync_stopping(k->s)) {
        for (size_t i = 0; i < k->n && desk_leads(k->s->desks[SIDE_LEGACY]); i++) {
            struct watch *w = &k->watches[i];
            const struct entity *en = k->s->entities[w->entity];
            long long told = w->told;
            char was[TEXT_MAX];
            memcpy(was, w->greatest, sizeof was);
            if (!legacy_owns(k->s, en))
                continue;
            if (poll_one(k, w, e))
                return err_prefix(e, "column %s of %s", source_of(k, w)->column, en->name);
            if ((told != w->told || strcmp(was, w->greatest) != 0) && save(k, w, e))
                return -1;
        }
        sync_pause(k->s, ms);
    }
    return 0;
}

int column_once(struct sync *s, struct err *e)
{
    struct column k = {.s = s, .a = arena_create(0)};
    k.watches = calloc(s->nentities + 1, sizeof *k.watches);
    int result = k.a && k.watches ? sync_open_pg(s, "ficus column", &k.pg, e) : err_memory(e);
    if (result == 0)
        result = load(&k, e);
    while (result == 0 && k.n == 0 && !sync_stopping(s)) // every entity has triggers
        sync_pause(s, 1000);
    if (result == 0 && k.n > 0)
        result = sync_open_legacy(s, &k.odbc, e);
    if (result == 0 && k.n > 0)
        result = run(&k, e);
    for (size_t i = 0; k.watches && i < s->nentities; i++) {
        keymap_free(&k.watches[i].seen[0]);
        keymap_free(&k.watches[i].seen[1]);
    }
    free(k.watches);
    arena_destroy(k.a);
    odbc_close(k.odbc);
    pg_close(k.pg);
    return result;
}
