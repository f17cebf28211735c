// SPDX-License-Identifier: Apache-2.0
// A receipt is one JSON object; "hash" is the SHA-256 of all its other members but "signature",
// written compact with sorted keys, and "signature" the HMAC-SHA256 of "hash". Owns nothing.
#include "cdc/reconcile/proof.h"

#include "base/clock.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_HEX 65

static void hex(const unsigned char *digest, char out[DIGEST_HEX])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

// Of everything but "hash" and "signature".
static int hash_of(const json_t *receipt, char out[DIGEST_HEX], struct err *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    json_t *bare = json_copy((json_t *)receipt);
    if (!bare)
        return err_memory(e);
    json_object_del(bare, "hash");
    json_object_del(bare, "signature");
    char *text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(bare);
    bool done = text && EVP_Digest(text, strlen(text), digest, &n, EVP_sha256(), NULL) && n == 32;
    free(text);
    if (!done)
        return err_memory(e);
    hex(digest, out);
    return 0;
}

// "" without a key.
static int sign(const struct conf *conf, const char *hash, char out[DIGEST_HEX], struct err *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const char *key = conf_str(conf, "reconcile.receipt_key");
    out[0] = '\0';
    if (!key[0])
        return 0;
    if (!HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)hash, strlen(hash),
              digest, &n) ||
        n != 32)
        return err_memory(e);
    hex(digest, out);
    return 0;
}

static json_t *entities_json(const struct reconcile_report *r)
{
    json_t *all = json_object();
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        json_object_set_new(
            all, x->entity->name,
            json_pack("{s:I, s:I, s:I, s:I, s:b, s:b}", "rows_legacy", (json_int_t)x->rows_legacy,
                      "rows_new", (json_int_t)x->rows_new, "differences",
                      (json_int_t)x->differences, "unsettled", (json_int_t)x->unsettled, "complete",
                      (int)x->complete, "full", (int)x->full));
    }
    return all;
}

int proof_make(const struct conf *conf, const char *who, struct reconcile_report *r,
               struct arena *a, struct err *e)
{
    char now[20], hash[DIGEST_HEX], signature[DIGEST_HEX];
    clock_utc_seconds(clock_wall_ms(), now);
    json_t *j = json_pack("{s:I, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:O, s:O, s:o}", "run",
                          (json_int_t)r->run, "who", who, "started", r->started.data, "finished",
                          now, "equal", (int)r->equal, "complete", (int)r->complete, "full",
                          (int)r->full, "table_version", (json_int_t)r->version, "positions",
                          r->positions, "epochs", r->epochs, "entities", entities_json(r));
    int result = !j                                                      ? err_memory(e)
                 : hash_of(j, hash, e) || sign(conf, hash, signature, e) ? -1
                                                                         : 0;
    if (result == 0) {
        json_object_set_new(j, "hash", json_string(hash));
        json_object_set_new(j, "signature", json_string(signature));
        char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        r->receipt = text ? arena_str(a, str_of(text)) : (struct str){0};
        free(text);
        result = r->receipt.data ? 0 : err_memory(e);
    }
    json_decref(j);
    return result;
}

static bool same(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

int proof_verify(const struct conf *conf, const json_t *receipt, struct err *e)
{
    char hash[DIGEST_HEX], signature[DIGEST_HEX];
    const char *said = json_string_value(json_object_get(receipt, "hash"));
    const char *signed_as = json_string_value(json_object_get(receipt, "signature"));
    if (!said || !signed_as)
        return err_set(e, ERR_DENIED, "the receipt has no hash or signature");
    if (hash_of(receipt, hash, e) || sign(conf, hash, signature, e))
        return -1;
    if (!same(hash, said))
        return err_set(e, ERR_DENIED, "the receipt was changed: its hash is another");
    if (signature[0] && !same(signature, signed_as))
        return err_set(e, ERR_DENIED,
                       signed_as[0] ? "the receipt was signed under another key"
                                    : "the receipt is not signed");
    return 0;
}

// ---------------------------------------------------------------- a group

static void against(struct proof_verdict *v, const char *entity, const char *why)
{
    if (!v->why[0])
        snprintf(v->why, sizeof v->why, "%.60s: %.180s", entity, why);
}

// One entity's newest full run: its age, and the receipt of that run.
static int look_at(const struct conf *conf, const struct value *cells, const char *entity,
                   long long max_age_s, struct proof_verdict *v, struct err *e)
{
    struct err why = {0};
    long long age = -1;
    json_t *receipt = cells[1].state == VALUE_SET ? json_loadb(cells[1].data, cells[1].len, 0, NULL)
                                                  : NULL;
    const json_t *x = json_object_get(json_object_get(receipt, "entities"), entity);
    long long differences = json_integer_value(json_object_get(x, "differences"));
    if (!str_to_int(value_str(cells[0]), 0, INT64_MAX, &age)) {
        json_decref(receipt);
        return err_set(e, ERR_INTERNAL, "%s: a proof has no age", entity);
    }
    if (!receipt)
        against(v, entity, "its last run left no receipt");
    else if (proof_verify(conf, receipt, &why))
        against(v, entity, why.msg);
    else if (!json_is_true(json_object_get(x, "complete")) ||
             !json_is_true(json_object_get(x, "full")))
        against(v, entity, "its last run was not complete");
    else if (age > max_age_s)
        against(v, entity, "its last run is too old");
    else
        v->proven++;
    if (differences > 0)
        against(v, entity, "its last run found differences");
    v->differences += differences;
    v->oldest_s = age > v->oldest_s ? age : v->oldest_s;
    json_decref(receipt);
    return 0;
}

int proof_of_group(struct control *c, const struct conf *conf, const struct group *g,
                   long long max_age_s, struct proof_verdict *out, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    bool none = false;
    int result = !pg ? -1 : a ? 0 : err_memory(e);
    *out = (struct proof_verdict){.entities = g->nentities, .oldest_s = -1};
    for (size_t i = 0; i < g->nentities && result == 0; i++) {
        struct rows rows;
        struct value v = value_set(str_of(g->entities[i]->name));
        arena_reset(a);
        result = pg_query(
            pg,
            STR("SELECT greatest(extract(epoch FROM now() - x.finished_at), 0)::bigint,"
                " r.receipt FROM ficus.reconcile_entity x"
                " JOIN ficus.reconcile_run r ON r.id = x.run WHERE x.entity = $1"
                " AND x.coverage = 'full' ORDER BY x.finished_at DESC LIMIT 1"),
            &v, 1, a, &rows, e);
        if (result == 0 && rows.nrows == 0) {
            against(out, g->entities[i]->name, "was never compared as a whole");
            none = true;
        } else if (result == 0) {
            result = look_at(conf, rows_at(&rows, 0, 0), g->entities[i]->name, max_age_s, out, e);
        }
    }
    if (none)
        out->oldest_s = -1;
    arena_destroy(a);
    return result;
}
