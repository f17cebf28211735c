// SPDX-License-Identifier: Apache-2.0
// A bounded cache in front of ficus.session.detail. Sealed text: base64 of nonce (12), tag (16) and
// AES-256-GCM of the login and, behind a NUL, the application's session id. Thread: the loop.
#include "facade/session/app_sessions.h"

#include "base/clock.h"
#include "connectors/postgres/pg_pool.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define CACHE_MAX 5000
#define CLEAR_MAX 4096
#define NONCE     12
#define TAG       16
#define QUERY_MS  2000

struct entry {
    char ours[33];
    size_t login_len, id_len;
    char *text; // login, id; wiped when freed
    UT_hash_handle hh;
};

struct app_sessions {
    struct pg_pool *pool;
    struct entry *cache; // in order of insertion
};

struct errand {
    struct pg_job job; // first
    struct pg_call call;
    struct value params[2];
    struct arena *arena;
    struct app_sessions *sessions;
    char ours[33];
    app_session_found_fn *found;
    void *ctx;
};

// ---- sealing

static int digest(struct str prefix, struct str text, unsigned char out[32])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned n = 0;
    int ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
             EVP_DigestUpdate(md, prefix.data, prefix.len) &&
             EVP_DigestUpdate(md, text.data, text.len) && EVP_DigestFinal_ex(md, out, &n);

    EVP_MD_CTX_free(md);
    return ok && n == 32 ? 0 : -1;
}

// `raw` is nonce, tag, text; the text is worked on in place.
static int cipher(struct str ours, unsigned char *raw, size_t len, bool seal)
{
    unsigned char key[32];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    unsigned char *text = raw + NONCE + TAG;
    int n = 0, last = 0;
    bool ok = c && digest(STR("ficus application session\n"), ours, key) == 0 &&
              EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, raw, seal) &&
              (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, raw + NONCE)) &&
              EVP_CipherUpdate(c, text, &n, text, (int)len) &&
              EVP_CipherFinal_ex(c, text + n, &last) > 0 &&
              (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, raw + NONCE));

    EVP_CIPHER_CTX_free(c);
    OPENSSL_cleanse(key, sizeof key);
    return ok ? 0 : -1;
}

struct str app_session_seal(struct arena *a, struct str ours, struct str clear)
{
    size_t size = NONCE + TAG + clear.len;
    unsigned char *raw = arena_alloc(a, size);
    char *text = arena_alloc(a, size * 4 / 3 + 8);

    if (!raw || !text || clear.len > CLEAR_MAX || RAND_bytes(raw, NONCE) != 1)
        return str_n(NULL, 0);
    memcpy(raw + NONCE + TAG, clear.data, clear.len);
    if (cipher(ours, raw, clear.len, true))
        return str_n(NULL, 0);
    int n = EVP_EncodeBlock((unsigned char *)text, raw, (int)size);
    return n > 0 ? str_n(text, (size_t)n) : str_n(NULL, 0);
}

struct str app_session_open(struct arena *a, struct str ours, struct str sealed)
{
    unsigned char *raw = sealed.len < 2 * CLEAR_MAX ? arena_alloc(a, sealed.len + 4) : NULL;
    int n = raw && sealed.len >= 4
                ? EVP_DecodeBlock(raw, (const unsigned char *)sealed.data, (int)sealed.len)
                : -1;

    for (size_t i = sealed.len; n > 0 && i > 0 && sealed.data[i - 1] == '='; i--)
        n--;
    if (n < NONCE + TAG || cipher(ours, raw, (size_t)n - NONCE - TAG, false))
        return str_n(NULL, 0);
    return str_n((char *)raw + NONCE + TAG, (size_t)n - NONCE - TAG);
}

// ---- the cache

static void forget(struct app_sessions *s, struct entry *en)
{
    HASH_DEL(s->cache, en);
    OPENSSL_cleanse(en->text, en->login_len + en->id_len);
    free(en->text);
    free(en);
}

static const struct entry *remember(struct app_sessions *s, struct str ours,
                                    const struct app_session *app)
{
    struct entry *en = calloc(1, sizeof *en);
    struct entry *old;

    if (!en || str_copy(en->ours, sizeof en->ours, ours) != 0 ||
        !(en->text = malloc(app->login.len + app->id.len + 1))) {
        free(en);
        return NULL;
    }
    en->login_len = app->login.len;
    en->id_len = app->id.len;
    memcpy(en->text, app->login.data, app->login.len);
    if (app->id.len > 0)
        memcpy(en->text + app->login.len, app->id.data, app->id.len);
    HASH_FIND_STR(s->cache, en->ours, old);
    if (old)
        forget(s, old);
    if (HASH_COUNT(s->cache) >= CACHE_MAX)
        forget(s, s->cache);
    HASH_ADD_STR(s->cache, ours, en);
    return en;
}

static void tell(const struct entry *en, app_session_found_fn *found, void *ctx)
{
    struct app_session app = {str_n(en->text, en->login_len),
                              str_n(en->text + en->login_len, en->id_len)};

    found(ctx, &app);
}

// ---- the store

static struct errand *errand_create(struct app_sessions *s, struct str ours)
{
    struct arena *a = arena_create(1 << 20);
    struct errand *x = a ? arena_alloc(a, sizeof *x) : NULL;
    unsigned char hash[32];
    char hex[65];

    if (!x || str_copy(x->ours, sizeof x->ours, ours) || digest(STR(""), ours, hash)) {
        arena_destroy(a);
        return NULL;
    }
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    x->arena = a;
    x->sessions = s;
    x->params[0] = value_set(arena_str(a, str_of(hex)));
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
    return pg_pool_submit(x->sessions->pool, &x->job, &e);
}

static void on_put(struct pg_job *job)
{
    arena_destroy(((struct errand *)job)->arena);
}

void app_sessions_put(struct app_sessions *s, struct str ours, const struct app_session *app)
{
    struct errand *x;

    if (!remember(s, ours, app) || !(x = errand_create(s, ours)))
        return;
    struct buf clear = BUF_INIT;
    buf_addstr(&clear, app->login);
    buf_addc(&clear, '\0');
    buf_addstr(&clear, app->id);
    struct str sealed = clear.failed ? str_n(NULL, 0)
                                     : app_session_seal(x->arena, ours, buf_str(&clear));
    if (clear.data)
        OPENSSL_cleanse(clear.data, clear.len);
    buf_free(&clear);
    x->params[1] = value_set(sealed);
    if (!sealed.data ||
        errand_send(x,
                    STR("UPDATE ficus.session SET detail = coalesce(detail, '{}'::jsonb) ||"
                        " jsonb_build_object('app', $2::text) WHERE id = $1"),
                    2, on_put))
        arena_destroy(x->arena);
}

static void on_get(struct pg_job *job)
{
    struct errand *x = (struct errand *)job;
    const struct rows *rows = &x->call.rows;
    const struct entry *en = NULL;

    if (job->err.code == ERR_NONE && rows->nrows == 1 && rows_at(rows, 0, 0)->state == VALUE_SET) {
        struct str clear = app_session_open(x->arena, str_of(x->ours),
                                            value_str(*rows_at(rows, 0, 0)));
        const char *nul = clear.data ? memchr(clear.data, 0, clear.len) : NULL;
        if (nul) {
            size_t n = (size_t)(nul - clear.data);
            struct app_session app = {str_n(clear.data, n), str_n(nul + 1, clear.len - n - 1)};
            en = remember(x->sessions, str_of(x->ours), &app);
            OPENSSL_cleanse((char *)clear.data, clear.len);
        }
    }
    if (!en) { // the store is away, or has not heard of it yet
        struct entry *known;
        HASH_FIND_STR(x->sessions->cache, x->ours, known);
        en = known;
    }
    if (en)
        tell(en, x->found, x->ctx);
    else
        x->found(x->ctx, NULL);
    arena_destroy(x->arena);
}

void app_sessions_get(struct app_sessions *s, struct str ours, app_session_found_fn *found,
                      void *ctx)
{
    char key[33];
    struct entry *en = NULL;
    struct errand *x = NULL;

    if (str_copy(key, sizeof key, ours) == 0) {
        HASH_FIND_STR(s->cache, key, en);
        // Another loop or instance may have logged in there meanwhile.
        x = en && en->id_len > 0 ? NULL : errand_create(s, ours);
    }
    if (x) {
        x->found = found;
        x->ctx = ctx;
        if (errand_send(x, STR("SELECT detail->>'app' FROM ficus.session WHERE id = $1"), 1,
                        on_get) == 0)
            return;
        arena_destroy(x->arena);
    }
    if (en)
        tell(en, found, ctx);
    else
        found(ctx, NULL);
}

struct app_sessions *app_sessions_create(struct pg_pool *pool, struct err *e)
{
    struct app_sessions *s = calloc(1, sizeof *s);

    if (!s)
        err_memory(e);
    else
        s->pool = pool;
    return s;
}

void app_sessions_destroy(struct app_sessions *s)
{
    if (!s)
        return;
    for (struct entry *en = s->cache, *next; en; en = next) {
        next = en->hh.next;
        forget(s, en);
    }
    free(s);
}
