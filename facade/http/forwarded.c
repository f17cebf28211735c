// SPDX-License-Identifier: Apache-2.0
// See forwarded.h. Lines and entries are walked from the last to the first: each proxy appends.
#include "facade/http/forwarded.h"

static struct str trim(struct str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = str_n(s.data + 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

// Cuts the last entry off `list`, at a `separator` outside of quotes. Quotes are paired from
// the right: what the nearest proxy appended is whole, whatever its client wrote before it.
static struct str cut_last(struct str *list, char separator)
{
    struct str all = *list;
    bool quoted = false;

    for (size_t i = all.len; i-- > 0;) {
        if (all.data[i] == '"')
            quoted = !quoted;
        if (quoted || all.data[i] != separator)
            continue;
        *list = str_n(all.data, i);
        return trim(str_n(all.data + i + 1, all.len - i - 1));
    }
    *list = str_n(NULL, 0);
    return trim(all);
}

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
static bool parse_node(struct str s, struct sockaddr_storage *out)
{
    if (s.len > 0 && s.data[0] == '[') {
        const char *end = memchr(s.data, ']', s.len);
        if (!end)
            return false;
        struct str rest = str_n(end + 1, s.len - (size_t)(end + 1 - s.data));
        long long port;
        if (rest.len > 0 && (rest.data[0] != ':' ||
                             !str_to_int(str_n(rest.data + 1, rest.len - 1), 0, 65535, &port)))
            return false;
        struct str inner = str_n(s.data + 1, (size_t)(end - s.data) - 1);
        return inner.len > 0 && memchr(inner.data, ':', inner.len) &&
               peers_parse_address(inner, out);
    }
    if (peers_parse_address(s, out))
        return true;
    const char *colon = s.len > 0 ? memrchr(s.data, ':', s.len) : NULL;
    long long port;
    if (!colon || memchr(s.data, ':', (size_t)(colon - s.data)))
        return false;
    size_t n = (size_t)(colon - s.data);
    return str_to_int(str_n(colon + 1, s.len - n - 1), 0, 65535, &port) &&
           peers_parse_address(str_n(s.data, n), out);
}

static struct str unquote(struct str s)
{
    if (s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"' && !memchr(s.data, '\\', s.len))
        return str_n(s.data + 1, s.len - 2);
    return s;
}

// The value of a parameter of one Forwarded entry; .data NULL without it.
static struct str parameter(struct str entry, const char *name)
{
    while (entry.data) {
        struct str pair = cut_last(&entry, ';');
        const char *eq = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
        if (!eq)
            continue;
        size_t n = (size_t)(eq - pair.data);
        if (str_eq_nocase(str_n(pair.data, n), str_of(name)))
            return unquote(str_n(eq + 1, pair.len - n - 1));
    }
    return str_n(NULL, 0);
}

static void take_proto(struct str proto, bool *https)
{
    if (str_eq_nocase(proto, STR("https")))
        *https = true;
    else if (str_eq_nocase(proto, STR("http")))
        *https = false;
}

// One entry; whether the walk goes on to the next to its left.
static bool take_entry(struct str entry, enum forwarded_field field, const struct peers *trusted,
                       struct sockaddr_storage *client)
{
    struct sockaddr_storage next;
    struct str node = field == FORWARDED_RFC ? parameter(entry, "for") : entry;

    if (!node.data || !parse_node(node, &next))
        return false;
    *client = next;
    return peers_has(trusted, client);
}

static struct str last_of(const struct http_header *headers, size_t n, const char *name)
{
    for (size_t i = n; i-- > 0;) {
        struct str list = headers[i].value;
        if (str_eq_nocase(headers[i].name, str_of(name)))
            return cut_last(&list, ',');
    }
    return str_n(NULL, 0);
}

void forwarded_client(const struct http_header *headers, size_t n, enum forwarded_field field,
                      const struct peers *trusted, struct sockaddr_storage *client, bool *https)
{
    const char *name = field == FORWARDED_RFC ? "forwarded" : "x-forwarded-for";
    bool on = field != FORWARDED_NONE;

    if (!on || !peers_has(trusted, client))
        return;
    take_proto(field == FORWARDED_X ? last_of(headers, n, "x-forwarded-proto")
                                    : parameter(last_of(headers, n, "forwarded"), "proto"),
               https);
    for (size_t i = n; on && i-- > 0;) {
        struct str list = headers[i].value;
        if (!str_eq_nocase(headers[i].name, str_of(name)))
            continue;
        while (on && list.data)
            on = take_entry(cut_last(&list, ','), field, trusted, client);
    }
}
