// SPDX-License-Identifier: Apache-2.0
// Cursors: where a list goes on. A cursor holds the values of the order and the key of the last
// row of a page, so the next page starts behind that row whatever was written in between; and a
// hash of the query that it belongs to.
//
//   cursor  = base64url( payload tag )         tag: 16 bytes of HMAC-SHA256 over payload
//   payload = "1" hash(8 bytes) values         value: 'n', or 's' length(4 bytes) text
//
// The key of the HMAC comes from the mount's options, the same on every instance. The values are
// bound like any condition: the tag keeps a cursor whole, safety does not hang on it.
#include "facade/dialect/rest.h"
#include "migrations/type.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TAG         16
#define HEAD        9
#define CURSOR_MAX  16384 // characters
#define PAYLOAD_MAX (CURSOR_MAX / 4 * 3)

static bool seekable(const struct field *f)
{
    switch (f->type) {
    case TYPE_TEXT: return f->nocase && f->ncodes == 0; // compared as it is sorted
    case TYPE_BYTES:
    case TYPE_JSON: return false;
    default: return f->ncodes == 0;
    }
}

bool rest_cursor_can(const struct query *query)
{
    for (size_t i = 0; i < query->norder; i++) {
        const struct field *f = query->order[i].field;
        // '' that counts as NULL but is sorted as text: downwards the two cannot be told apart.
        bool blurred = f->type == TYPE_TEXT && query->order[i].desc &&
                       f->policies[PROBLEM_EMPTY].action == POLICY_NULL;
        if (!seekable(f) || blurred)
            return false;
    }
    return true;
}

// ---------------------------------------------------------------- writing

static int add_value(struct buf *out, const struct value *v, struct err *e)
{
    if (v->state == VALUE_NULL || v->state == VALUE_ABSENT) {
        buf_addc(out, 'n');
        return 0;
    }
    if (v->state != VALUE_SET)
        return err_set(e, ERR_VALUE,
                       "the last record of this page holds a value that its type"
                       " cannot hold in a field of `sort`: page by offset");
    unsigned char n[4] = {(unsigned char)(v->len >> 24), (unsigned char)(v->len >> 16),
                          (unsigned char)(v->len >> 8), (unsigned char)v->len};
    buf_addc(out, 's');
    buf_add(out, n, sizeof n);
    buf_addstr(out, value_str(*v));
    return 0;
}

static const struct value *value_in(const struct query *query, const struct record *r,
                                    const struct field *f)
{
    for (size_t i = 0; i < query->nfields; i++)
        if (query->fields[i] == f)
            return &r->values[i];
    return NULL;
}

static int seal(const unsigned char key[32], struct buf *payload, struct buf *out, struct err *e)
{
    unsigned char tag[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (payload->failed || payload->len > PAYLOAD_MAX - TAG)
        return err_set(e, ERR_VALUE, "a value of `sort` is too long for a cursor: page by offset");
    if (!HMAC(EVP_sha256(), key, 32, (const unsigned char *)payload->data, payload->len, tag, &n))
        return err_memory(e);
    buf_add(payload, tag, TAG);
    size_t room = (payload->len + 2) / 3 * 4 + 1;
    if (payload->failed || buf_reserve(out, room))
        return err_memory(e);
    int len = EVP_EncodeBlock((unsigned char *)out->data + out->len,
                              (const unsigned char *)payload->data, (int)payload->len);
    char *text = out->data + out->len;
    while (len > 0 && text[len - 1] == '=')
        len--;
    for (int i = 0; i < len; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    out->len += (size_t)len;
    out->data[out->len] = 0;
    return 0;
}

int rest_cursor_put(struct rest_request *q, const struct record *last, struct buf *out,
                    struct err *e)
{
    const struct query *query = &q->op.query;
    struct buf payload = BUF_INIT;
    const struct value *v;
    int rc = 0;
    buf_addc(&payload, '1');
    buf_add(&payload, &q->query_hash, sizeof q->query_hash);
    for (size_t i = 0; rc == 0 && i < query->norder + q->entity->nkeys; i++) {
        v = value_in(query, last,
                     i < query->norder ? query->order[i].field
                                       : q->entity->keys[i - query->norder]);
        rc = v ? add_value(&payload, v, e) : err_set(e, ERR_INTERNAL, "a page without its order");
    }
    if (rc == 0)
        rc = seal(q->mount->cursor_key, &payload, out, e);
    buf_free(&payload);
    return rc;
}

// ---------------------------------------------------------------- reading

static int bad(struct err *e)
{
    return err_set(e, ERR_INVALID, "not a cursor of this service for this query");
}

static int open_sealed(const unsigned char key[32], struct str cursor, struct arena *a,
                       struct str *out, struct err *e)
{
    unsigned char tag[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    size_t padded = (cursor.len + 3) / 4 * 4;
    if (cursor.len == 0 || cursor.len > CURSOR_MAX || cursor.len % 4 == 1)
        return bad(e);
    unsigned char *text = arena_alloc(a, padded + 1), *raw = arena_alloc(a, padded + 1);
    if (!text || !raw)
        return err_memory(e);
    for (size_t i = 0; i < padded; i++) {
        char c = i < cursor.len ? cursor.data[i] : '=';
        if (i < cursor.len && (c == '+' || c == '/' || c == '='))
            return bad(e);
        text[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    int len = EVP_DecodeBlock(raw, text, (int)padded);
    len -= (int)(padded - cursor.len);
    if (len < HEAD + TAG || raw[0] != '1')
        return bad(e);
    *out = str_n((const char *)raw, (size_t)len - TAG);
    if (!HMAC(EVP_sha256(), key, 32, raw, out->len, tag, &n))
        return err_memory(e);
    return CRYPTO_memcmp(tag, raw + out->len, TAG) == 0 ? 0 : bad(e);
}

static int take_value(struct str *rest, const struct field *f, struct arena *a, struct value *out,
                      struct err *e)
{
    if (!rest->len)
        return bad(e);
    char kind = rest->data[0];
    *rest = str_n(rest->data + 1, rest->len - 1);
    *out = value_null();
    if (kind == 'n')
        return 0;
    if (kind != 's' || rest->len < 4)
        return bad(e);
    const unsigned char *p = (const unsigned char *)rest->data;
    size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (len > rest->len - 4)
        return bad(e);
    if (type_parse(f, str_n(rest->data + 4, len), a, out, e))
        return -1;
    *rest = str_n(rest->data + 4 + len, rest->len - 4 - len);
    return out->state == VALUE_SET ? 0 : bad(e);
}

int rest_cursor_decode(const unsigned char key[32], uint64_t query_hash, const struct query *query,
                       const struct entity *en, struct str cursor, struct arena *a,
                       struct value *values, struct err *e)
{
    struct str rest;
    uint64_t hash;
    if (open_sealed(key, cursor, a, &rest, e))
        return -1;
    memcpy(&hash, rest.data + 1, sizeof hash);
    if (hash != query_hash)
        return bad(e);
    rest = str_n(rest.data + HEAD, rest.len - HEAD);
    for (size_t i = 0; i < query->norder + en->nkeys; i++)
        if (take_value(&rest,
                       i < query->norder ? query->order[i].field : en->keys[i - query->norder], a,
                       &values[i], e))
            return -1;
    return rest.len == 0 ? 0 : bad(e);
}

// ---------------------------------------------------------------- the condition

static struct filter *node(struct arena *a, enum filter_kind kind, size_t n)
{
    struct filter *f = arena_alloc(a, sizeof *f);
    if (!f || !(f->children = arena_array(a, n + 1, sizeof(void *))))
        return NULL;
    f->kind = kind;
    return f;
}

static struct filter *test(struct arena *a, const struct field *f, enum filter_kind kind,
                           enum text_match op, const struct value *v)
{
    struct filter *out = node(a, kind, 0);
    if (!out)
        return NULL;
    out->field = f;
    out->op = op;
    out->values = v;
    out->nvalues = v ? 1 : 0;
    return out;
}

static bool add(struct filter *to, struct filter *f)
{
    if (f)
        to->children[to->nchildren++] = f;
    return f != NULL;
}

// Rows that come behind `v` by this field alone. NULL sorts before every value. Where '' of the
// legacy counts as NULL (policy), it is still sorted as text: behind NULL.
static bool behind(struct arena *a, struct filter *to, const struct field *f, bool desc,
                   const struct value *v)
{
    static const struct value empty = {"", 0, VALUE_SET, 0};
    struct filter *any, *not_null;
    if (v->state == VALUE_SET) {
        if (!desc)
            return add(to, test(a, f, FILTER_COMPARE, MATCH_GT, v));
        return (any = node(a, FILTER_OR, 2)) && add(any, test(a, f, FILTER_COMPARE, MATCH_LT, v)) &&
               add(any, test(a, f, FILTER_IS_NULL, MATCH_EQ, NULL)) && add(to, any);
    }
    if (desc) // nothing is behind NULL then: a field that is NULL and is not
        return add(to, test(a, f, FILTER_IS_NULL, MATCH_EQ, NULL)) &&
               (not_null = test(a, f, FILTER_IS_NULL, MATCH_EQ, NULL)) &&
               (not_null->negated = true) && add(to, not_null);
    if (!(any = node(a, FILTER_OR, 2)) || !(not_null = test(a, f, FILTER_IS_NULL, MATCH_EQ, NULL)))
        return false;
    not_null->negated = true;
    return add(any, not_null) &&
           (f->type != TYPE_TEXT || add(any, test(a, f, FILTER_COMPARE, MATCH_EQ, &empty))) &&
           add(to, any);
}

static struct filter *same(struct arena *a, const struct field *f, const struct value *v)
{
    return v->state == VALUE_SET ? test(a, f, FILTER_COMPARE, MATCH_EQ, v)
                                 : test(a, f, FILTER_IS_NULL, MATCH_EQ, NULL);
}

// (a > x) or (a = x and b > y) or (a = x and b = y and key > k)
static struct filter *seek(struct arena *a, const struct query *query, const struct entity *en,
                           const struct value *v)
{
    size_t n = query->norder + en->nkeys;
    struct filter *any = node(a, FILTER_OR, n);
    for (size_t i = 0; any && i < n; i++) {
        struct filter *all = node(a, FILTER_AND, n + 2);
        for (size_t k = 0; all && k < i; k++) {
            const struct field *f = k < query->norder ? query->order[k].field
                                                      : en->keys[k - query->norder];
            if (!add(all, same(a, f, &v[k])))
                return NULL;
        }
        bool key = i >= query->norder;
        const struct field *f = key ? en->keys[i - query->norder] : query->order[i].field;
        if (!all || !behind(a, all, f, !key && query->order[i].desc, &v[i]) || !add(any, all))
            return NULL;
    }
    return any;
}

int rest_cursor_take(struct rest_request *q, struct str cursor, struct err *e)
{
    struct arena *a = q->op.arena;
    struct query *query = &q->op.query;
    struct value values[REST_SORT_MAX + 16];
    struct err why = {0};
    if (!q->can_seek)
        return rest_mistake(q, e, true, STR("cursor"),
                            "this order has no cursors (codes, JSON, bytes, case): use offset");
    if (cursor.len == 0) // the first page
        return 0;
    if (rest_cursor_decode(q->mount->cursor_key, q->query_hash, query, q->entity, cursor, a, values,
                           &why))
        return rest_mistake(q, e, true, STR("cursor"), "%s", why.msg);
    size_t n = query->norder + q->entity->nkeys;
    struct value *kept = arena_array(a, n, sizeof *kept);
    struct filter *all = node(a, FILTER_AND, 2), *behind_it;
    if (!kept || !all)
        return err_memory(e);
    memcpy(kept, values, n * sizeof *kept);
    if (!(behind_it = seek(a, query, q->entity, kept)))
        return err_memory(e);
    if (query->filter)
        all->children[all->nchildren++] = (struct filter *)(uintptr_t)query->filter;
    all->children[all->nchildren++] = behind_it;
    query->filter = all;
    return 0;
}
