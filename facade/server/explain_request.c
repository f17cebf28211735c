// SPDX-License-Identifier: Apache-2.0
// Reading a request that someone pasted, and following it through the table.
#include "facade/server/explain_request.h"

#include "facade/dialect.h"
#include "facade/server/explain.h"
#include "facade/server/request_fields.h"

#define WORDS_MAX   512
#define HEADERS_MAX 128

// ---------------------------------------------------------------- raw HTTP

// "http://host/path" -> host and path.
static int set_url(struct http_request *r, struct str url, struct err *e)
{
    const char *scheme = memmem(url.data, url.len, "://", 3);
    struct str rest = scheme ? str_n(scheme + 3, url.len - (size_t)(scheme + 3 - url.data)) : url;
    const char *slash = memchr(rest.data, '/', rest.len);
    const char *mark = memchr(rest.data, '?', rest.len);
    const char *cut = slash && (!mark || slash < mark) ? slash : mark;
    r->host = cut ? str_n(rest.data, (size_t)(cut - rest.data)) : rest;
    struct str target = cut ? str_n(cut, (size_t)(rest.data + rest.len - cut)) : STR("/");
    if (*target.data == '?')
        target = arena_printf(r->arena, "/%.*s", (int)target.len, target.data);
    return target.data ? http_request_target(r, target, e) : err_memory(e);
}

static struct str next_line(struct str *text)
{
    const char *nl = memchr(text->data, '\n', text->len);
    size_t n = nl ? (size_t)(nl - text->data) : text->len;
    struct str line = str_n(text->data, n);
    *text = str_n(text->data + n + (nl != NULL), text->len - n - (nl != NULL));
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

// "Name: value"
static int add_header(struct http_request *r, struct http_header *list, struct str line,
                      struct err *e)
{
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon || r->nheaders == HEADERS_MAX)
        return err_set(e, ERR_INVALID, "'%.*s' is no header field, or there are too many",
                       (int)(line.len < 40 ? line.len : 40), line.data);
    struct str name = str_n(line.data, (size_t)(colon - line.data));
    list[r->nheaders++] = (struct http_header){name,
                                               str_trim(str_n(colon + 1, line.len - name.len - 1))};
    r->headers = list;
    if (str_eq_nocase(name, STR("host")))
        r->host = list[r->nheaders - 1].value;
    return 0;
}

int explain_parse_raw(struct str text, struct http_request *out, struct err *e)
{
    struct http_header *list = arena_array(out->arena, HEADERS_MAX, sizeof *list);
    struct str line = next_line(&text);
    const char *first = memchr(line.data, ' ', line.len);
    const char *last = memrchr(line.data, ' ', line.len);
    if (!list)
        return err_memory(e);
    if (!first || first == line.data)
        return err_set(e, ERR_INVALID, "the first line is no request line: METHOD TARGET HTTP/1.1");
    if (last == first || !memmem(last, (size_t)(line.data + line.len - last), "HTTP/", 5))
        last = line.data + line.len;
    out->method = str_n(line.data, (size_t)(first - line.data));
    struct str target = str_n(first + 1, (size_t)(last - first) - 1);
    if (target.len && target.data[0] == '/' ? http_request_target(out, target, e)
                                            : set_url(out, target, e))
        return -1;
    while (text.len && (line = next_line(&text)).len)
        if (add_header(out, list, line, e))
            return -1;
    out->body = text;
    return 0;
}

// ---------------------------------------------------------------- curl

struct words {
    struct str list[WORDS_MAX];
    size_t n;
};

// One word as a shell reads it: quotes, backslashes, continued lines. Nothing is expanded.
static int read_word(const char **at, const char *end, struct buf *out, struct err *e)
{
    const char *p = *at;
    char quote = 0;
    buf_reset(out);
    for (; p < end && (quote || !strchr(" \t\r\n", *p)); p++) {
        if (quote == 0 && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (quote && *p == quote)
            quote = 0;
        else if (*p == '\\' && quote != '\'' && p + 1 < end &&
                 (!quote || strchr("\\\"$`\n", p[1]))) {
            p++;
            buf_add(out, p, *p != '\n');
        } else
            buf_addc(out, *p);
    }
    *at = p;
    return quote ? err_set(e, ERR_INVALID, "a quote is not closed") : 0;
}

static int split_words(struct str text, struct arena *a, struct words *w, struct err *e)
{
    struct buf word = BUF_INIT;
    const char *p = text.data, *end = p + text.len;
    int result = 0;
    for (w->n = 0; result == 0; w->n++) {
        while (p < end && (strchr(" \t\r\n", *p) || (*p == '\\' && p + 1 < end && p[1] == '\n')))
            p += *p == '\\' ? 2 : 1;
        if (p == end)
            break;
        if (w->n == WORDS_MAX)
            result = err_set(e, ERR_LIMIT, "more than %d words", WORDS_MAX);
        else if ((result = read_word(&p, end, &word, e)) == 0)
            w->list[w->n] = word.len ? arena_str(a, buf_str(&word)) : STR("");
    }
    buf_free(&word);
    return result;
}

struct curl {
    struct http_request *r;
    struct http_header *headers;
    struct buf data;
    bool get, typed;
};

// A value as --data-urlencode sends it: "name=content", only the content encoded.
static void add_encoded(struct buf *out, struct str v)
{
    const char *eq = memchr(v.data, '=', v.len);
    size_t plain = eq ? (size_t)(eq - v.data) + 1 : 0;
    buf_add(out, v.data, plain > 1 ? plain : 0);
    for (size_t i = plain; i < v.len; i++) {
        unsigned char c = (unsigned char)v.data[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            strchr("-._~", c))
            buf_addc(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static int take_data(struct curl *c, struct str name, struct str v, struct err *e)
{
    bool encode = str_eqz(name, "--data-urlencode");
    if (v.len && v.data[0] == '@')
        return err_set(e, ERR_INVALID, "@files are not read; paste the data, or use --request");
    if (c->data.len)
        buf_addc(&c->data, '&');
    if (encode)
        add_encoded(&c->data, v);
    else
        buf_addstr(&c->data, v);
    return 0;
}

// Options with a value that matter, that do not, and the rest (flags).
static int take_option(struct curl *c, struct str name, struct str v, bool *used, struct err *e)
{
    static const char *const skipped[] = {"-o",     "--output",   "-u",
                                          "--user", "-A",         "--user-agent",
                                          "-m",     "--max-time", "--connect-timeout",
                                          "-e",     "--cacert",   "--cert",
                                          "--key",  "-w",         "-x",
                                          NULL};
    *used = true;
    if (str_eqz(name, "-X") || str_eqz(name, "--request")) {
        c->r->method = v;
    } else if (str_eqz(name, "-H") || str_eqz(name, "--header")) {
        c->typed |= str_starts(v, STR("Content-Type")) || str_starts(v, STR("content-type"));
        return add_header(c->r, c->headers, v, e);
    } else if (str_eqz(name, "--url")) {
        return set_url(c->r, v, e);
    } else if (str_eqz(name, "-b") || str_eqz(name, "--cookie")) {
        return add_header(c->r, c->headers,
                          arena_printf(c->r->arena, "Cookie: %.*s", (int)v.len, v.data), e);
    } else if (str_eqz(name, "-d") || str_starts(name, STR("--data"))) {
        return take_data(c, name, v, e);
    } else if (str_eqz(name, "-F") || str_starts(name, STR("--form"))) {
        return err_set(e, ERR_INVALID, "-F is not understood; use --request with raw HTTP");
    } else {
        *used = false;
        for (size_t i = 0; skipped[i]; i++)
            *used |= str_eqz(name, skipped[i]);
        c->get |= str_eqz(name, "-G") || str_eqz(name, "--get");
        if (str_eqz(name, "-I") || str_eqz(name, "--head"))
            c->r->method = STR("HEAD");
    }
    return 0;
}

// "-XPOST" is "-X POST".
static bool split_short(struct str w, struct str *name, struct str *value)
{
    if (w.len < 3 || w.data[0] != '-' || !strchr("XHdb", w.data[1]))
        return false;
    *name = str_n(w.data, 2);
    *value = str_n(w.data + 2, w.len - 2);
    return true;
}

static int take_words(struct curl *c, const struct words *w, struct err *e)
{
    struct str name, value;
    bool used;
    for (size_t i = 1; i < w->n; i++) {
        if (split_short(w->list[i], &name, &value)) {
            if (take_option(c, name, value, &used, e))
                return -1;
        } else if (w->list[i].len && w->list[i].data[0] == '-') {
            value = i + 1 < w->n ? w->list[i + 1] : STR("");
            if (take_option(c, w->list[i], value, &used, e))
                return -1;
            i += used;
        } else if (set_url(c->r, w->list[i], e)) {
            return -1;
        }
    }
    return 0;
}

static int finish_curl(struct curl *c, struct err *e)
{
    struct http_request *r = c->r;
    struct str data = arena_str(r->arena, c->data.len ? buf_str(&c->data) : STR(""));
    if (c->get && data.len) {
        struct str target = arena_printf(r->arena, "%.*s%c%.*s", (int)r->target.len, r->target.data,
                                         r->query.data ? '&' : '?', (int)data.len, data.data);
        if (!target.data)
            return err_memory(e);
        if (http_request_target(r, target, e))
            return -1;
        data = STR("");
    }
    r->body = data;
    if (!r->method.len)
        r->method = data.len ? STR("POST") : STR("GET");
    if (data.len && !c->typed && r->nheaders < HEADERS_MAX)
        c->headers[r->nheaders++] = (struct http_header){STR("Content-Type"),
                                                         STR("application/x-www-form-urlencoded")};
    r->headers = c->headers;
    return 0;
}

int explain_parse_curl(struct str text, struct http_request *out, struct err *e)
{
    struct curl c = {.r = out};
    struct words *w = arena_alloc(out->arena, sizeof *w);
    c.headers = arena_array(out->arena, HEADERS_MAX, sizeof *c.headers);
    if (!w || !c.headers)
        return err_memory(e);
    if (split_words(text, out->arena, w, e))
        return -1;
    int result = take_words(&c, w, e);
    if (result == 0 && !out->path.data)
        result = err_set(e, ERR_INVALID, "the command names no URL");
    if (result == 0)
        result = finish_curl(&c, e);
    if (c.data.failed)
        result = err_memory(e);
    buf_free(&c.data);
    return result;
}

int explain_parse(struct str text, struct http_request *out, struct err *e)
{
    text = str_trim(text);
    if (text.len == 0 || text.len > EXPLAIN_INPUT_MAX)
        return err_set(e, ERR_INVALID, "a request has 1 to %u bytes", EXPLAIN_INPUT_MAX);
    bool curl = str_starts(text, STR("curl ")) || str_starts(text, STR("curl\t"));
    return curl ? explain_parse_curl(text, out, e) : explain_parse_raw(text, out, e);
}

// ---------------------------------------------------------------- through the table

static void set_str(json_t *j, const char *name, struct str s)
{
    if (s.len)
        json_object_set_new(j, name, json_stringn(s.data, s.len));
}

static void set_z(json_t *j, const char *name, const char *text)
{
    json_object_set_new(j, name, json_string(text));
}

// The rule for the request, knowing what a dialect made of it (`call` may be NULL).
static enum match_result rule_for(const struct route_table *t, const struct http_request *r,
                                  const struct dialect_call *call, const struct match_rule **rule)
{
    struct request_fields f = {0};
    struct match_request q;
    request_fields_of(&f, r, true, &q);
    *rule = NULL;
    if (call) {
        f.call_method = call->method;
        f.call_module = call->module;
    }
    enum match_result result = match_find(route_matcher(t), &q, rule);
    request_fields_free(&f);
    return result;
}

static bool passes(const struct match_rule *rule, json_t *j)
{
    if (!rule)
        return false;
    set_z(j, "rule", rule->name);
    if (!rule->upstream)
        return false;
    set_z(j, "upstream", rule->upstream->name);
    set_z(j, "side", "none");
    set_z(j, "why", "the table lets this pass through to the upstream");
    return true;
}

static json_t *follow(const struct route_table *t, const struct mount *m,
                      const struct http_request *r, json_t *j)
{
    const struct dialect *d = dialect_find(str_of(m->dialect));
    struct dialect_call call = {.read = true};
    const struct match_rule *rule;
    struct err e = {0};
    set_z(j, "mount", m->path);
    set_z(j, "dialect", m->dialect);
    if (!d || !d->describe) {
        set_z(j, "why", "the dialect does not tell what a request means");
        return j;
    }
    int result = d->describe(route_entities(t), m, r, &call, &e);
    set_str(j, "call", call.method);
    set_str(j, "module", call.module);
    if (result) {
        set_z(j, "why", e.msg);
        return j;
    }
    rule_for(t, r, &call, &rule);
    if (passes(rule, j))
        return j;
    json_object_set_new(j, "reads", json_boolean(call.read));
    if (!call.entity) {
        set_z(j, "why", "the dialect answers this by itself, or knows no such module: no route");
        return j;
    }
    const struct route *route = route_for(t, call.entity, call.read ? ROUTE_READS : ROUTE_WRITES);
    set_z(j, "entity", call.entity->name);
    if (!route) {
        set_z(j, "why", "no route serves this operation of the entity");
        return j;
    }
    json_t *more = explain_route(t, route, call.key, call.read);
    json_object_update(j, more);
    json_decref(more);
    return j;
}

json_t *explain_request(const struct route_table *t, const struct http_request *r)
{
    json_t *j = json_object();
    set_str(j, "method", r->method);
    set_str(j, "host", r->host);
    set_str(j, "path", r->path);
    const struct match_rule *rule;
    if (rule_for(t, r, NULL, &rule) == MATCH_HIDDEN) {
        set_z(j, "why", "an encoded slash leads past a mount: refused with 400");
        return j;
    }
    if (passes(rule, j))
        return j;
    if (rule && rule->mount)
        return follow(t, rule->mount, r, j);
    const struct upstream *fallback = upstream_fallback(t);
    if (fallback)
        set_z(j, "upstream", fallback->name);
    set_z(j, "why",
          fallback ? "no rule and no mount: it passes through to the fallback"
                   : "no rule and no mount: 404");
    return j;
}
