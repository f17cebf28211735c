// SPDX-License-Identifier: Apache-2.0
// JSON bodies of the rest dialect as values. Strict: a member must be a field that may be
// written, of the JSON type of its field; numbers of decimal fields are taken from the text, so
// that no digit passes through a double. All mistakes of a body are told at once.
#include "facade/dialect/rest.h"
#include "migrations/type.h"

#include <math.h>

// ---------------------------------------------------------------- the document

// Nesting and length, before a recursive parser sees it.
static bool too_deep(struct str text)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if ((c == '{' || c == '[') && ++depth > REST_DEPTH_MAX) {
            return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *rest_body_json(struct rest_request *q, bool patch, struct err *e)
{
    struct str type = http_header(q->http, "Content-Type"), body = q->http->body;
    json_error_t je;
    if (!form_media_is(type, "application/json") &&
        !(patch && form_media_is(type, "application/merge-patch+json"))) {
        if (patch)
            rest_header(q, "Accept-Patch", STR("application/merge-patch+json, application/json"));
        err_set(e, ERR_SCHEMA, "the body is application/json%s",
                patch ? " or application/merge-patch+json" : "");
        return NULL;
    }
    if (too_deep(body)) {
        err_set(e, ERR_INVALID, "the body is nested more than %d levels deep", REST_DEPTH_MAX);
        return NULL;
    }
    json_t *j = json_loadb(body.data ? body.data : "", body.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (!j)
        err_set(e, ERR_INVALID, "the body is not JSON: %s (line %d)", je.text, je.line);
    return j;
}

// ---------------------------------------------------------------- one value

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(struct str t, size_t i)
{
    while (i < t.len && is_blank(t.data[i]))
        i++;
    return i;
}

static size_t skip_string(struct str t, size_t i)
{
    for (i++; i < t.len && t.data[i] != '"'; i++)
        if (t.data[i] == '\\')
            i++;
    return i + 1 < t.len ? i + 1 : t.len;
}

// End of the value that starts at `i`, in text that is known to be JSON.
static size_t skip_value(struct str t, size_t i)
{
    unsigned depth = 0;
    while (i < t.len) {
        char c = t.data[i];
        if (c == '"')
            i = skip_string(t, i);
        else if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_blank(c)))
            return i;
        else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            i++;
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']'))
            return i;
    }
    return i;
}

struct str rest_json_member(struct str t, const char *name)
{
    size_t i = skip_blanks(t, 0) + 1;
    while (i < t.len) {
        i = skip_blanks(t, i);
        size_t end = i < t.len && t.data[i] == '"' ? skip_string(t, i) : t.len;
        struct str key = end - i >= 2 ? str_n(t.data + i + 1, end - i - 2) : STR("");
        size_t start = skip_blanks(t, skip_blanks(t, end) + 1); // behind the colon
        if (start >= t.len)
            break;
        end = skip_value(t, start);
        if (str_eqz(key, name))
            return str_n(t.data + start, end - start);
        i = skip_blanks(t, end) + 1; // behind the comma
    }
    return str_n(NULL, 0);
}

struct str rest_json_element(struct str t, size_t number)
{
    size_t i = skip_blanks(t, 0) + 1;
    for (size_t n = 0; i < t.len; n++) {
        size_t start = skip_blanks(t, i), end = skip_value(t, start);
        if (end <= start)
            break;
        if (n == number)
            return str_n(t.data + start, end - start);
        i = skip_blanks(t, end) + 1;
    }
    return str_n(NULL, 0);
}

static const char *wanted(const struct field *f)
{
    switch (f->type) {
    case TYPE_INTEGER: return "a whole number";
    case TYPE_DECIMAL: return "a number, or text of digits";
    case TYPE_FLOAT: return "a number";
    case TYPE_BOOLEAN: return "true or false";
    case TYPE_DATE: return "text, YYYY-MM-DD";
    case TYPE_TIME: return "text, HH:MM:SS";
    case TYPE_TIMESTAMP: return "text, a date and time as in RFC 3339";
    case TYPE_BYTES: return "text of hex digits";
    default: return "text";
    }
}

static bool of_type(const struct field *f, const json_t *v)
{
    bool wide = f->type == TYPE_INTEGER && !f->is_signed && f->bits == 64;
    if (json_is_null(v) || f->type == TYPE_JSON)
        return true;
    switch (f->type) {
    case TYPE_INTEGER:
        if (json_is_real(v))
            return fabs(json_real_value(v)) < 9007199254740992.0 &&
                   floor(json_real_value(v)) == json_real_value(v);
        return json_is_integer(v) || (wide && json_is_string(v));
    case TYPE_DECIMAL: return json_is_number(v) || json_is_string(v);
    case TYPE_FLOAT: return json_is_number(v);
    case TYPE_BOOLEAN: return json_is_boolean(v);
    default: return json_is_string(v);
    }
}

static int take(struct rest_request *q, const struct field *f, const json_t *v, struct str text,
                struct value *out, struct err *e)
{
    struct arena *a = q->op.arena;
    if (f->type == TYPE_DECIMAL && json_is_real(v)) {
        struct str digits = rest_json_member(text, f->name);
        // A name spelled with escapes: the parser's double may have lost digits.
        if (digits.len)
            return type_parse(f, digits, a, out, e);
        *out = (struct value){.state = VALUE_FOREIGN, .problem = PROBLEM_NOT_A_NUMBER};
        return 0;
    }
    if (f->type == TYPE_INTEGER && json_is_real(v)) {
        json_t *whole = json_integer((json_int_t)json_real_value(v));
        int rc = whole ? type_from_json(f, whole, a, out, e) : err_memory(e);
        json_decref(whole);
        return rc;
    }
    return type_from_json(f, v, a, out, e);
}

static int member(struct rest_request *q, const char *name, const json_t *v, struct str text,
                  struct value *values, struct err *e)
{
    const struct field *f = entity_field(q->entity, str_of(name));
    struct str where = arena_printf(q->op.arena, "/%.200s", name);
    if (!where.data)
        return err_memory(e);
    if (!rest_readable(f))
        return rest_mistake(q, e, false, where, "%s has no such field", q->entity->name);
    if (f->read_only || (f->key && q->op.kind != OPERATION_CREATE))
        return rest_mistake(q, e, false, where, "cannot be written");
    if (!of_type(f, v))
        return rest_mistake(q, e, false, where, "%s is expected", wanted(f));
    if (f->type == TYPE_JSON && json_is_object(v) &&
        form_media_is(http_header(q->http, "Content-Type"), "application/merge-patch+json"))
        return rest_mistake(q, e, false, where, "is replaced, not merged: send application/json");
    if (take(q, f, v, text, &values[f->index], e))
        return -1;
    if (f->key && values[f->index].state == VALUE_NULL)
        return rest_mistake(q, e, false, where, "a key cannot be null");
    if (values[f->index].state == VALUE_FOREIGN)
        return rest_mistake(q, e, false, where, "%s is expected (%s)", wanted(f),
                            value_problem_name((enum value_problem)values[f->index].problem));
    return 0;
}

int rest_body_values(struct rest_request *q, json_t *object, struct str text, struct value *values,
                     struct err *e)
{
    const char *name;
    json_t *v;
    int result = 0;
    if (!json_is_object(object))
        return rest_mistake(q, e, false, STR(""), "the body is a JSON object of fields");
    json_object_foreach(object, name, v)
    {
        if (member(q, name, v, text, values, e) == 0)
            continue;
        result = -1;
        if (e->code == ERR_MEMORY)
            break;
    }
    return result;
}
