// SPDX-License-Identifier: Apache-2.0
// Persons, roles and tokens. Only hashes are kept; all of them are compared on every look-up.
#include "routes/people.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

static const char *const role_names[] = {"none", "viewer", "operator", "approver"};

const char *role_name(enum role r)
{
    return role_names[r];
}

static int role_from(struct str name, enum role *out)
{
    for (unsigned i = ROLE_VIEWER; i <= ROLE_APPROVER; i++) {
        if (str_eqz(name, role_names[i])) {
            *out = (enum role)i;
            return 0;
        }
    }
    return -1;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int hash_from_hex(struct str hex, unsigned char out[32])
{
    if (hex.len != 64)
        return -1;
    for (size_t i = 0; i < 32; i++) {
        int high = digit(hex.data[2 * i]), low = digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return 0;
}

// "NAME:ROLE:TOKEN"; the token is the rest, colons and all.
static int add(struct people *p, struct str entry, struct err *e)
{
    size_t n = p->n + 1;
    const char *first = memchr(entry.data, ':', entry.len);
    const char *end = entry.data + entry.len;
    const char *second = first ? memchr(first + 1, ':', (size_t)(end - first) - 1) : NULL;
    if (p->n == PEOPLE_MAX)
        return err_set(e, ERR_CONFIG, "admin.tokens: at most %d persons", PEOPLE_MAX);
    struct person *q = &p->list[p->n];
    if (!second || first == entry.data || second + 1 == end ||
        str_copy(q->name, sizeof q->name, str_n(entry.data, (size_t)(first - entry.data))))
        return err_set(e, ERR_CONFIG, "admin.tokens: entry %zu is not NAME:ROLE:TOKEN", n);
    if (role_from(str_n(first + 1, (size_t)(second - first) - 1), &q->role))
        return err_set(e, ERR_CONFIG,
                       "admin.tokens: entry %zu: a role is viewer, operator or approver", n);
    struct str token = str_n(second + 1, (size_t)(end - second) - 1);
    if (!str_starts(token, STR("sha256:")))
        SHA256((const unsigned char *)token.data, token.len, q->hash);
    else if (hash_from_hex(str_n(token.data + 7, token.len - 7), q->hash))
        return err_set(e, ERR_CONFIG, "admin.tokens: entry %zu: sha256: wants 64 hex digits", n);
    p->n++;
    return 0;
}

int people_parse(const char *text, struct people *out, struct err *e)
{
    *out = (struct people){.n = 0};
    while (*text) {
        size_t n = strcspn(text, ", \t\r\n");
        if (n && add(out, str_n(text, n), e))
            return -1;
        text += n;
        text += strspn(text, ", \t\r\n");
    }
    return 0;
}

int people_load(const struct conf *conf, struct people *out, struct err *e)
{
    return people_parse(conf_str(conf, "admin.tokens"), out, e);
}

const struct person *people_find(const struct people *p, struct str token)
{
    const struct person *found = NULL;
    unsigned char hash[32];
    SHA256((const unsigned char *)token.data, token.len, hash);
    for (size_t i = 0; i < p->n; i++)
        if (CRYPTO_memcmp(p->list[i].hash, hash, sizeof hash) == 0)
            found = &p->list[i];
    return token.len ? found : NULL;
}
