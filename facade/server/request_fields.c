// SPDX-License-Identifier: Apache-2.0
// Looks fields of a request up for the matcher. What cannot be parsed has no fields.
// Thread: the loop of the request.
#include "facade/server/request_fields.h"

#define JSON_DEPTH 32

static bool from_form(const struct form *f, const char *name, struct str *value)
{
    *value = form_get(f, name);
    return value->data != NULL;
}

static const struct form *query_of(struct request_fields *f)
{
    struct err e;

    if (!f->has_query && f->r->query.data &&
        form_parse_urlencoded(f->r->query, f->r->arena, &f->query, &e) != 0)
        f->query = (struct form){0};
    f->has_query = true;
    return &f->query;
}

// Fields of the body only.
static const struct form *form_of(struct request_fields *f)
{
    struct str type = http_header(f->r, "Content-Type");
    struct err e;
    int failed = 0;

    if (f->has_form)
        return &f->form;
    f->has_form = true;
    if (form_media_is(type, "application/x-www-form-urlencoded"))
        failed = form_parse_urlencoded(f->r->body, f->r->arena, &f->form, &e);
    else if (form_media_is(type, "multipart/form-data"))
        failed = form_parse_multipart(f->r->body, type, f->r->arena, &f->form, &e);
    if (failed)
        f->form = (struct form){0};
    return &f->form;
}

static const json_t *json_of(struct request_fields *f)
{
    if (!f->has_json && f->r->body.len > 0)
        f->json = json_loadb(f->r->body.data, f->r->body.len, JSON_REJECT_DUPLICATES, NULL);
    f->has_json = true;
    return f->json;
}

// The next reference token of a pointer (RFC 6901), in `out`; false: malformed or too long.
static bool next_token(const char **pointer, char *out, size_t size)
{
    size_t n = 0;
    const char *p = *pointer + 1;

    for (; *p && *p != '/'; p++) {
        char c = *p;
        if (c == '~' && (p[1] == '0' || p[1] == '1'))
            c = *++p == '0' ? '~' : '/';
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    *pointer = p;
    return true;
}

static const json_t *at_pointer(const json_t *j, const char *pointer)
{
    char token[256];
    long long index;

    for (unsigned depth = 0; j && *pointer == '/'; depth++) {
        if (depth == JSON_DEPTH || !next_token(&pointer, token, sizeof token))
            return NULL;
        if (!json_is_array(j))
            j = json_object_get(j, token);
        else if (str_to_int(str_of(token), 0, 1000000, &index))
            j = json_array_get(j, (size_t)index);
        else
            j = NULL;
    }
    return j;
}

// A scalar as it stands in the text.
static bool from_json(struct request_fields *f, const char *pointer, struct str *value)
{
    const json_t *j = at_pointer(json_of(f), pointer);

    if (!j || json_is_object(j) || json_is_array(j))
        return false;
    if (json_is_string(j))
        *value = str_n(json_string_value(j), json_string_length(j));
    else if (json_is_integer(j))
        *value = arena_printf(f->r->arena, "%lld", (long long)json_integer_value(j));
    else if (json_is_real(j))
        *value = arena_printf(f->r->arena, "%.17g", json_real_value(j));
    else
        *value = json_is_null(j) ? STR("null") : json_is_true(j) ? STR("true") : STR("false");
    return value->data != NULL;
}

static bool field(void *ctx, enum match_kind kind, const char *name, struct str *value)
{
    struct request_fields *f = ctx;

    switch (kind) {
    case MATCH_HEADER: *value = http_header(f->r, name); return value->data != NULL;
    case MATCH_QUERY: return from_form(query_of(f), name, value);
    case MATCH_FORM: return from_form(form_of(f), name, value);
    case MATCH_JSON: return from_json(f, name, value);
    case MATCH_CALL:
        *value = strcmp(name, "method") == 0 ? f->call_method : f->call_module;
        return value->data != NULL;
    }
    return false;
}

// Kinds of fields that a body of this type can have.
static unsigned kinds_of_body(const struct http_request *r)
{
    struct str type = http_header(r, "Content-Type");

    if (r->framing == WIRE_NO_BODY || !type.data)
        return 0;
    if (form_media_is(type, "application/x-www-form-urlencoded") ||
        form_media_is(type, "multipart/form-data"))
        return MATCH_BIT(MATCH_FORM);
    const char *end = memchr(type.data, ';', type.len);
    struct str media = str_trim(str_n(type.data, end ? (size_t)(end - type.data) : type.len));
    bool json = str_eq_nocase(media, STR("application/json")) ||
                (media.len > 5 &&
                 str_eq_nocase(str_n(media.data + media.len - 5, 5), STR("+json")));
    return json ? MATCH_BIT(MATCH_JSON) : 0;
}

void request_fields_of(struct request_fields *f, const struct http_request *r, bool whole,
                       struct match_request *q)
{
    unsigned body = kinds_of_body(r);
    unsigned head = MATCH_BIT(MATCH_HEADER) | MATCH_BIT(MATCH_QUERY);

    f->r = r;
    *q = (struct match_request){.method = r->method,
                                .host = r->host,
                                .path = r->path,
                                .have = head | (whole ? body : 0) |
                                        (f->call_method.data ? MATCH_BIT(MATCH_CALL) : 0),
                                .later = whole ? 0 : body,
                                .field = field,
                                .ctx = f};
}

void request_fields_free(struct request_fields *f)
{
    json_decref(f->json);
    f->json = NULL;
}
