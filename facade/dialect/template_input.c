// SPDX-License-Identifier: Apache-2.0
// Texts out of a request, and the endpoint that it is for. Each part (form, JSON, XML) is parsed
// once, when something first asks for it.
#include "facade/dialect/template.h"

#include <stdio.h>
#include <stdlib.h>

#define JSON_DEPTH 32

void template_input_free(struct template_input *in)
{
    json_decref(in->json);
    in->json = NULL;
}

// ---------------------------------------------------------------- parts

static int need_form(struct template_input *in, bool query, struct err *e)
{
    const struct http_request *r = in->http;
    struct str type = http_header(r, "Content-Type");
    bool *has = query ? &in->has_query : &in->has_form;
    struct form *out = query ? &in->query : &in->form;
    if (*has)
        return 0;
    if (query) {
        if (r->query.data && form_parse_urlencoded(r->query, in->arena, out, e))
            return -1;
    } else if (form_media_is(type, "multipart/form-data")) {
        if (form_parse_multipart(r->body, type, in->arena, out, e))
            return -1;
    } else if (form_parse_urlencoded(r->body, in->arena, out, e)) {
        return -1;
    }
    *has = true;
    return 0;
}

static bool too_deep(struct str text)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\\' && quoted)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_DEPTH)
            return true;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

// It is not parsed again for each test of each endpoint.
static int bad_body(struct template_input *in, int result, const struct err *e)
{
    in->bad_body = true;
    in->why = *e;
    return result;
}

static int need_json(struct template_input *in, struct err *e)
{
    json_error_t je;
    struct str body = in->http->body;
    if (in->has_json)
        return 0;
    if (in->bad_body) {
        *e = in->why;
        return -1;
    }
    if (too_deep(body))
        return bad_body(in, err_set(e, ERR_INVALID, "JSON: more than %d levels", JSON_DEPTH), e);
    in->json = json_loadb(body.data ? body.data : "", body.len,
                          JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (!in->json)
        return bad_body(in, err_set(e, ERR_INVALID, "JSON, line %d: %s", je.line, je.text), e);
    in->has_json = true;
    return 0;
}

static int need_xml(struct template_input *in, struct err *e)
{
    if (in->has_xml)
        return 0;
    if (in->bad_body) {
        *e = in->why;
        return -1;
    }
    if (template_xml(in->http->body, in->arena, &in->xml, e))
        return bad_body(in, -1, e);
    in->has_xml = true;
    return 0;
}

// RFC 6901; NULL when there is nothing.
static const json_t *pointed(const json_t *j, const char *pointer)
{
    while (j && *pointer == '/') {
        char name[256];
        size_t n = 0, index = 0;
        bool number = true;
        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            char c = *pointer;
            if (c == '~' && (pointer[1] == '0' || pointer[1] == '1'))
                c = *++pointer == '0' ? '~' : '/';
            if (n == sizeof name - 1)
                return NULL;
            number = number && c >= '0' && c <= '9' && n < 6;
            index = number ? index * 10 + (size_t)(c - '0') : 0;
            name[n++] = c;
        }
        name[n] = 0;
        j = json_is_array(j) ? (number && n ? json_array_get(j, index) : NULL)
                             : json_object_get(j, name);
    }
    return j;
}

static int json_text(struct template_input *in, const json_t *j, struct value *out, struct err *e)
{
    char *text;
    if (!j)
        return 0;
    if (json_is_null(j)) {
        *out = value_null();
        return 0;
    }
    if (json_is_object(j) || json_is_array(j))
        return err_set(e, ERR_INVALID, "JSON: a list or an object where a value is expected");
    if (json_is_string(j)) {
        *out = value_set(arena_str(in->arena, str_n(json_string_value(j), json_string_length(j))));
        return out->data ? 0 : err_memory(e);
    }
    if (json_is_real(j)) { // the shortest text of the double, as it was most likely written
        char digits[40];
        for (int n = 15; n <= 17; n++) {
            snprintf(digits, sizeof digits, "%.*g", n, json_real_value(j));
            if (strtod(digits, NULL) == json_real_value(j))
                break;
        }
        *out = value_set(arena_str(in->arena, str_of(digits)));
        return out->data ? 0 : err_memory(e);
    }
    if (!(text = json_dumps(j, JSON_ENCODE_ANY)))
        return err_memory(e);
    *out = value_set(arena_str(in->arena, str_of(text)));
    free(text);
    return out->data ? 0 : err_memory(e);
}

// ---------------------------------------------------------------- one take

static void found(struct str s, struct value *out)
{
    if (s.data)
        *out = value_set(s);
}

static int raw(struct template_input *in, const struct template_take *t, struct value *out,
               struct err *e)
{
    *out = (struct value){0};
    switch (t->from) {
    case TEMPLATE_PATH:
        for (size_t i = 0; in->endpoint && i < in->endpoint->nsegments; i++)
            if (in->endpoint->segments[i].name.len &&
                str_eqz(in->endpoint->segments[i].name, t->at))
                found(in->variables[i], out);
        return 0;
    case TEMPLATE_QUERY:
        if (need_form(in, true, e))
            return -1;
        found(form_get(&in->query, t->at), out);
        return 0;
    case TEMPLATE_FORM:
        if (need_form(in, false, e))
            return -1;
        found(form_get(&in->form, t->at), out);
        return 0;
    case TEMPLATE_HEADER: found(http_header(in->http, t->at), out); return 0;
    case TEMPLATE_JSON:
        return need_json(in, e) ? -1 : json_text(in, pointed(in->json, t->at), out, e);
    case TEMPLATE_XML:
        if (need_xml(in, e))
            return -1;
        found(template_xml_find(in->xml, t->at), out);
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "unknown source");
}

static int translate(struct template_input *in, const struct template_take *t, struct value *v,
                     struct err *e)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; t->codes && i < t->codes->n; i++) {
        if (!str_eq(t->codes->list[i].outside, value_str(*v)))
            continue;
        *v = value_set(t->codes->list[i].inside);
        return 0;
    }
    if (t->codes)
        return err_set(e, ERR_INVALID, "%s: not one of the codes", t->name);
    if (!t->date)
        return 0;
    bool good = template_date_in(value_str(*v), t->date, &out);
    if (good)
        *v = value_set(arena_str(in->arena, buf_str(&out)));
    buf_free(&out);
    if (!good)
        return err_set(e, ERR_INVALID, "%s: not a date of the form %s", t->name, t->date);
    return v->data ? 0 : err_memory(e);
}

static size_t characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.data[i] & 0xc0) != 0x80;
    return n;
}

int template_take(struct template_input *in, const struct template_take *t, struct value *out,
                  struct err *e)
{
    if (raw(in, t, out, e))
        return -1;
    if (out->state == VALUE_SET && t->trim)
        *out = value_set(str_trim(value_str(*out)));
    if (out->state == VALUE_SET && out->len == 0 && t->empty != TEMPLATE_EMPTY_KEEP)
        *out = t->empty == TEMPLATE_EMPTY_NULL ? value_null() : (struct value){0};
    if (out->state == VALUE_ABSENT && t->fallback) {
        *out = value_set(str_of(t->fallback));
        return 0;
    }
    if (out->state == VALUE_ABSENT && t->required)
        return err_set(e, ERR_INVALID, "%s is missing", t->name);
    if (out->state != VALUE_SET)
        return 0;
    struct str text = value_str(*out);
    if (!str_is_utf8(text) || (text.len && memchr(text.data, 0, text.len)))
        return err_set(e, ERR_INVALID, "%s is not text", t->name);
    if (t->max && characters(text) > t->max)
        return err_set(e, ERR_INVALID, "%s is longer than %u characters", t->name, t->max);
    return translate(in, t, out, e);
}

// ---------------------------------------------------------------- matching

// One segment of a path against "before{name}after".
static bool fits(const struct template_segment *s, struct str text, struct str *variable)
{
    if (!s->name.len)
        return str_eq(s->before, text);
    size_t fixed = s->before.len + s->after.len;
    if (text.len <= fixed || !str_starts(text, s->before) ||
        !str_eq(str_n(text.data + text.len - s->after.len, s->after.len), s->after))
        return false;
    *variable = str_n(text.data + s->before.len, text.len - fixed);
    return true;
}

static bool path_fits(struct template_input *in, const struct template_endpoint *en)
{
    struct str path = in->path;
    struct err ignored;
    for (size_t i = 0; i < en->nsegments; i++) {
        struct str text;
        if (!path.len || path.data[0] != '/')
            return false;
        const char *slash = memchr(path.data + 1, '/', path.len - 1);
        size_t n = slash ? (size_t)(slash - path.data) - 1 : path.len - 1;
        if (form_decode_segment(str_n(path.data + 1, n), in->arena, &text, &ignored) ||
            !fits(&en->segments[i], text, &in->variables[i]))
            return false;
        path = str_n(path.data + n + 1, path.len - n - 1);
    }
    return path.len == 0 || (en->nsegments == 0 && str_eqz(path, "/"));
}

static bool passes(struct template_input *in, const struct template_test *t)
{
    struct value v;
    struct err ignored;
    if (template_take(in, &t->take, &v, &ignored))
        return false;
    if (t->absent)
        return v.state == VALUE_ABSENT;
    return v.state == VALUE_SET && (!t->is || str_eqz(value_str(v), t->is));
}

const struct template_endpoint *template_match(const struct template *t, struct template_input *in)
{
    for (size_t i = 0; i < t->nendpoints; i++) {
        const struct template_endpoint *en = &t->endpoints[i];
        bool good = (!en->method || str_eqz(in->http->method, en->method)) && path_fits(in, en);
        in->endpoint = en;
        for (size_t k = 0; good && k < en->ntests; k++)
            good = passes(in, &en->tests[k]);
        if (good)
            return en;
    }
    in->endpoint = NULL;
    return NULL;
}
