// SPDX-License-Identifier: Apache-2.0
// Canonical values to and from JSON, and the canonical form of json fields (compact, keys
// sorted). Decimals travel as strings, since a JSON number would pass through a double in most
// readers; integers beyond 64 signed bits likewise. Thread: any.
#include "migrations/type_int.h"

#include <stdlib.h>

static int dump(const json_t *j, struct arena *a, struct value *out, struct err *e)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text)
        return err_memory(e);
    struct str copy = arena_str(a, str_of(text));
    free(text);
    if (!copy.data)
        return err_memory(e);
    return type_set(copy, out);
}

int type_json(struct str in, struct arena *a, struct value *out, struct err *e)
{
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    json_error_t je;
    json_t *j = json_loadb(in.data, in.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return type_foreign(in, PROBLEM_BAD_JSON, out);
    int rc = dump(j, a, out, e);
    json_decref(j);
    return rc;
}

void type_to_json(const struct field *f, struct value v, struct buf *out)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT) {
        buf_addz(out, "null");
        return;
    }
    long long n;
    bool bare = false;
    if (v.state == VALUE_SET) {
        switch (f->type) {
        case TYPE_INTEGER:
            bare = str_to_int(value_str(v), -0x7fffffffffffffffLL - 1, 0x7fffffffffffffffLL, &n);
            break;
        case TYPE_FLOAT:
        case TYPE_BOOLEAN:
        case TYPE_JSON: bare = true; break;
        default: break;
        }
    }
    if (bare)
        buf_addstr(out, value_str(v));
    else
        buf_addjson(out, value_str(v));
}

int type_from_json(const struct field *f, const json_t *j, struct arena *a, struct value *out,
                   struct err *e)
{
    if (!j || json_is_null(j)) {
        *out = value_null();
        return 0;
    }
    if (f->type == TYPE_JSON)
        return dump(j, a, out, e);
    struct str text;
    switch (json_typeof(j)) {
    case JSON_STRING: text = str_n(json_string_value(j), json_string_length(j)); break;
    case JSON_TRUE: text = STR("true"); break;
    case JSON_FALSE: text = STR("false"); break;
    case JSON_INTEGER: text = arena_printf(a, "%lld", (long long)json_integer_value(j)); break;
    case JSON_REAL: { // the shortest text of the double, as it was most likely written
        struct value v;
        text = arena_printf(a, "%.17g", json_real_value(j));
        if (!text.data || type_float(text, a, &v, e) < 0)
            return err_memory(e);
        text = value_str(v);
        break;
    }
    default: return type_foreign(STR(""), PROBLEM_BAD_JSON, out);
    }
    if (!text.data)
        return err_memory(e);
    struct value v;
    if (type_parse(f, text, a, &v, e) < 0)
        return -1;
    // The JSON document may go away before the value does.
    if (json_is_string(j) && v.len > 0) {
        struct str copy = arena_str(a, value_str(v));
        if (!copy.data)
            return err_memory(e);
        v.data = copy.data;
    }
    *out = v;
    return 0;
}
