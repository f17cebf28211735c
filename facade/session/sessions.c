// SPDX-License-Identifier: Apache-2.0
// Sessions of one loop: a bounded cache in front of ficus.session. The store keeps only the
// SHA-256 of an id. A session that another instance made is found in the store; one that ended
// elsewhere is noticed when its cache entry is checked again: at once when it ended on another
// loop of this process (`endings`), else after SESSION_FRESH_MS. While the control store is away, cached sessions go on and new ones live in memory only.
#include "facade/session/sessions_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "connectors/postgres/pg_pool.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define SESSION_FRESH_MS 2000
#define SESSIONS_MAX     20000
#define QUERY_MS         2000

struct entry {
    struct session session;
    char user_id[128], user_name[128];
    char *levels; // owned
    uint64_t checked_ms;
    unsigned endings; // how many sessions had ended when it was checked
    UT_hash_handle hh;
};

static atomic_uint endings; // sessions that ended, on any loop

struct sessions {
    struct pg_pool *pool;
    uint64_t life_ms;
    struct entry *cache; // in order of insertion
};

// One statement on its way; owns its memory.
struct errand {
    struct pg_job job; // first
    struct pg_call call;
    struct value params[6];
    struct arena *arena;
    struct sessions *sessions;
    char id[33];
    session_found_fn *found;
    session_settled_fn *settled;
    void *ctx;
    bool ends;
};

static const struct log_ctx log_ctx = {"sessions", NULL, NULL};

static int hash_id(struct str id, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(id.data, id.len, digest, &n, EVP_sha256(), NULL) || n != 32)
        return -1;
    for (unsigned i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static struct entry *cached(struct sessions *s, const char *id)
{
    struct entry *en;
    HASH_FIND_STR(s->cache, id, en);
    return en;
}

static void forget(struct sessions *s, struct entry *en)
{
    HASH_DEL(s->cache, en);
    free(en->levels);
    free(en);
}

// What there is of a session: in the store, or just made.
static struct entry *remember(struct sessions *s, const char *id, const struct principal *who,
                              uint64_t expires_ms)
{
    struct entry *en = cached(s, id);
    if (en)
        forget(s, en);
    if (HASH_COUNT(s->cache) >= SESSIONS_MAX)
        forget(s, s->cache);
    if (!(en = calloc(1, sizeof *en)))
        return NULL;
    if (!(en->levels = malloc(who->levels.len + 1)) ||
        str_copy(en->session.id, sizeof en->session.id, str_of(id)) ||
        str_copy(en->user_id, sizeof en->user_id, who->user_id) ||
        str_copy(en->user_name, sizeof en->user_name, who->user_name) ||
        str_copy(en->levels, who->levels.len + 1, who->levels)) {
        free(en->levels);
        free(en);
        return NULL;
    }
    en->session.principal = (struct principal){.user_id = str_of(en->user_id),
                                               .user_name = str_of(en->user_name),
                                               .is_admin = who->is_admin,
                                               .levels = str_of(en->levels)};
    en->session.expires_ms = expires_ms;
    en->checked_ms = clock_mono_ms();
    en->endings = atomic_load(&endings);
    HASH_ADD_KEYPTR(hh, s->cache, en->session.id, strlen(en->session.id), en);
    return en;
}

// ---------------------------------------------------------------- errands

static struct errand *errand_create(struct sessions *s, const char *id)
{
    struct arena *a = arena_create(1 << 20);
    struct errand *x = a ? arena_alloc(a, sizeof *x) : NULL;
    char hash[65];
    if (!x || hash_id(str_of(id), hash)) {
        arena_destroy(a);
        return NULL;
    }
    x->arena = a;
    x->sessions = s;
    snprintf(x->id, sizeof x->id, "%s", id);
    x->params[0] = value_set(arena_str(a, str_of(hash)));
    x->job = (struct pg_job){.calls = &x->call,
                             .ncalls = 1,
                             .arena = a,
                             .deadline_ns = clock_mono_ns() + QUERY_MS * 1000000ull};
    return x;
}

static int errand_send(struct errand *x, struct str sql, size_t nparams,
                       void (*done)(struct pg_job *))
{
    struct err e = {0};
    x->call = (struct pg_call){.sql = sql, .params = x->params, .nparams = nparams};
    x->job.done = done;
    if (pg_pool_submit(x->sessions->pool, &x->job, &e) == 0)
        return 0;
    arena_destroy(x->arena);
    return -1;
}

static void settle(struct errand *x)
{
    session_settled_fn *settled = x->settled;
    void *ctx = x->ctx;
    if (x->ends)
        atomic_fetch_add(&endings, 1);
    arena_destroy(x->arena);
    settled(ctx);
}

static void on_stored(struct pg_job *job)
{
    struct errand *x = (struct errand *)job;
    if (job->err.code != ERR_NONE)
        log_warn(&log_ctx, "a session's %s is known to this process only: %s",
                 x->ends ? "end" : "beginning", job->err.msg);
    settle(x);
}

static struct value text_of(struct arena *a, struct str s)
{
    return value_set(arena_str(a, s));
}

// ---------------------------------------------------------------- finding

static void answer(struct errand *x, struct entry *en)
{
    session_found_fn *found = x->found;
    void *ctx = x->ctx;
    bool live = en && en->session.expires_ms > clock_wall_ms();
    arena_destroy(x->arena);
    found(ctx, live ? &en->session : NULL);
}

static void on_found(struct pg_job *job)
{
    struct errand *x = (struct errand *)job;
    struct sessions *s = x->sessions;
    const struct rows *r = &x->call.rows;
    struct entry *en = cached(s, x->id);
    long long expires;
    if (job->err.code != ERR_NONE) {
        // The store does not answer: what was good a moment ago stays good.
        if (en) {
            en->checked_ms = clock_mono_ms();
            en->endings = atomic_load(&endings);
        }
    } else if (r->nrows == 0) {
        if (en)
            forget(s, en);
        en = NULL;
    } else if (str_to_int(value_str(r->cells[3]), 0, INT64_MAX, &expires)) {
        struct principal who = {.user_id = value_str(r->cells[0]),
                                .user_name = value_str(r->cells[1]),
                                .is_admin = str_eqz(value_str(r->cells[2]), "t"),
                                .levels = value_str(r->cells[4])};
        en = remember(s, x->id, &who, (uint64_t)expires);
    }
    answer(x, en);
}

static bool well_formed(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.data[i] >= '0' && id.data[i] <= '9') || (id.data[i] >= 'a' && id.data[i] <= 'z')))
            return false;
    return id.len == 32;
}

void sessions_find(struct sessions *s, struct str id, session_found_fn *done, void *ctx)
{
    char key[33];
    if (!well_formed(id) || str_copy(key, sizeof key, id)) {
        done(ctx, NULL);
        return;
    }
    struct entry *en = cached(s, key);
    if (en && clock_mono_ms() - en->checked_ms < SESSION_FRESH_MS &&
        en->endings == atomic_load(&endings)) {
        done(ctx, en->session.expires_ms > clock_wall_ms() ? &en->session : NULL);
        return;
    }
    struct errand *x = errand_create(s, key);
    if (x) {
        x->found = done;
        x->ctx = ctx;
        if (errand_send(x,
                        STR("UPDATE ficus.session SET seen_at = now() WHERE id = $1"
                            " AND expires_at > now() RETURNING user_id, user_name, is_admin,"
                            " (extract(epoch FROM expires_at) * 1000)::bigint,"
                            " coalesce(detail->>'levels', '')"),
                        1, on_found) == 0)
            return;
    }
    done(ctx, en && en->session.expires_ms > clock_wall_ms() ? &en->session : NULL);
}

// ---------------------------------------------------------------- making and ending

int sessions_create(struct sessions *s, const struct principal *p, char id_out[33],
                    session_settled_fn *stored, void *ctx, struct err *e)
{
    unsigned char raw[16];
    if (RAND_bytes(raw, sizeof raw) != 1)
        return err_set(e, ERR_INTERNAL, "no randomness for a session id");
    for (unsigned i = 0; i < sizeof raw; i++)
        snprintf(id_out + 2 * i, 3, "%02x", raw[i]);
    struct errand *x = errand_create(s, id_out);
    if (!x)
        return err_memory(e);
    if (!remember(s, id_out, p, clock_wall_ms() + s->life_ms)) {
        arena_destroy(x->arena);
        return err_memory(e);
    }
    x->settled = stored;
    x->ctx = ctx;
    x->params[1] = text_of(x->arena, p->user_id);
    x->params[2] = text_of(x->arena, p->user_name);
    x->params[3] = value_set(p->is_admin ? STR("true") : STR("false"));
    x->params[4] = value_set(arena_printf(x->arena, "%llu", (unsigned long long)s->life_ms));
    x->params[5] = text_of(x->arena, p->levels);
    if (errand_send(x,
                    STR("INSERT INTO ficus.session (id, user_id, user_name, is_admin,"
                        " expires_at, detail) VALUES ($1, $2, $3, $4::boolean,"
                        " now() + $5::bigint * interval '1 millisecond',"
                        " jsonb_build_object('levels', $6::text))"),
                    6, on_stored)) {
        log_warn(&log_ctx, "the control store is away: a session is kept in memory only");
        stored(ctx);
    }
    return 0;
}

void sessions_end(struct sessions *s, struct str id, session_settled_fn *ended, void *ctx)
{
    char key[33];
    struct errand *x = NULL;
    if (well_formed(id) && str_copy(key, sizeof key, id) == 0) {
        struct entry *en = cached(s, key);
        if (en)
            forget(s, en);
        x = errand_create(s, key);
    }
    if (x) {
        x->settled = ended;
        x->ctx = ctx;
        x->ends = true;
        if (errand_send(x, STR("DELETE FROM ficus.session WHERE id = $1"), 1, on_stored) == 0)
            return;
        log_warn(&log_ctx, "the control store is away: a session ends on this loop only");
    }
    ended(ctx);
}

struct sessions *sessions_open(struct pg_pool *pool, uint64_t life_ms, struct err *e)
{
    struct sessions *s = calloc(1, sizeof *s);
    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->pool = pool;
    s->life_ms = life_ms;
    return s;
}

void sessions_close(struct sessions *s)
{
    struct entry *en, *next;

    if (!s)
        return;
    HASH_ITER(hh, s->cache, en, next)
    {
        forget(s, en);
    }
    free(s);
}
