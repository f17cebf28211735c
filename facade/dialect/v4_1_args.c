// SPDX-License-Identifier: Apache-2.0
// Arguments of the v4_1 dialect: the table of methods and how rest_data becomes arguments.
// Owns no state; pure functions, any thread.
//
// rest_data is a JSON array or object whose values are the method's arguments:
//   array                                  by position
//   object with canonical keys only        by name, whatever their order
//   any other object                       by position, in the order of its keys
//   anything else (also: no JSON at all)   the one and only argument
// Arguments beyond the method's own are ignored. Anywhere in it an object whose names are all
// numbers is a list, as PHP's arrays know no difference: PHP clients send {"1":..,"3":..} for
// an array that has lost a member. Where the server walks over a list, an object is the list of
// its values, whatever their names.
#include "facade/dialect/v4_1_int.h"

#include <math.h>
#include <stdlib.h>

static const struct v4_1_method methods[] = {
    {"login", {"user_auth", "application", "name_value_list"}, 1, V4_1_OPEN, v4_1_login},
    {"logout", {"session"}, 1, 0, v4_1_logout},
    {"get_user_id", {"session"}, 1, 0, v4_1_get_user_id},
    {"seamless_login", {"session"}, 1, V4_1_FAULT_ZERO, v4_1_seamless_login},
    {"get_server_info", {NULL}, 0, V4_1_OPEN, v4_1_get_server_info},
    {"get_entry",
     {"session", "module_name", "id", "select_fields", "link_name_to_fields_array", "track_view"},
     3,
     V4_1_MODULE,
     v4_1_get_entry},
    {"get_entries",
     {"session", "module_name", "ids", "select_fields", "link_name_to_fields_array", "track_view"},
     3,
     V4_1_MODULE,
     v4_1_get_entries},
    {"get_entry_list",
     {"session", "module_name", "query", "order_by", "offset", "select_fields",
      "link_name_to_fields_array", "max_results", "deleted", "favorites"},
     0,
     V4_1_MODULE,
     v4_1_get_entry_list},
    {"get_entries_count",
     {"session", "module_name", "query", "deleted"},
     2,
     V4_1_MODULE,
     v4_1_get_entries_count},
    {"set_entry",
     {"session", "module_name", "name_value_list", "track_view"},
     3,
     V4_1_MODULE | V4_1_WRITES,
     v4_1_set_entry},
    {"set_entries",
     {"session", "module_name", "name_value_lists"},
     3,
     V4_1_MODULE | V4_1_WRITES,
     v4_1_set_entries},
    {"get_relationships",
     {"session", "module_name", "module_id", "link_field_name", "related_module_query",
      "related_fields", "related_module_link_name_to_fields_array", "deleted", "order_by", "offset",
      "limit"},
     4,
     V4_1_MODULE,
     v4_1_get_relationships},
    {"set_relationship",
     {"session", "module_name", "module_id", "link_field_name", "related_ids", "name_value_list",
      "delete"},
     5,
     0,
     v4_1_set_relationship},
    {"set_relationships",
     {"session", "module_names", "module_ids", "link_field_names", "related_ids",
      "name_value_lists", "delete_array"},
     5,
     0,
     v4_1_set_relationships},
    {"get_module_fields",
     {"session", "module_name", "fields"},
     2,
     V4_1_MODULE,
     v4_1_get_module_fields},
    {"get_module_fields_md5", {"session", "module_name"}, 2, 0, v4_1_get_module_fields_md5},
    {"search_by_module",
     {"session", "search_string", "modules", "offset", "max_results", "assigned_user_id",
      "select_fields", "unified_search_only", "favorites"},
     5,
     V4_1_FAULT_LOGIN,
     v4_1_search_by_module},
    {"get_upcoming_activities", {"session"}, 1, V4_1_FAULT_LOGIN, v4_1_get_upcoming_activities},
    {"get_last_viewed", {"session", "module_names"}, 2, V4_1_FAULT_LOGIN, v4_1_get_last_viewed},
    {"get_modified_relationships",
     {"session", "module_name", "related_module", "from_date", "to_date", "offset", "max_results",
      "deleted", "module_user_id", "select_fields", "relationship_name", "deletion_date"},
     7,
     V4_1_MODULE,
     v4_1_get_modified_relationships},
    {"get_note_attachment", {"session", "id"}, 2, 0, v4_1_get_note_attachment},
    {"set_note_attachment", {"session", "note"}, 2, V4_1_WRITES, v4_1_set_note_attachment},
    {"get_document_revision", {"session", "id"}, 2, 0, v4_1_not_supported},
    {"set_document_revision", {"session", "document_revision"}, 2, V4_1_WRITES, v4_1_not_supported},
    {"get_language_definition",
     {"session", "modules", "MD5"},
     2,
     V4_1_FAULT_LOGIN,
     v4_1_not_supported},
    {"get_module_layout",
     {"session", "a_module_names", "a_type", "a_view", "acl_check", "md5"},
     4,
     0,
     v4_1_not_supported},
    {"get_module_layout_md5",
     {"session", "module_name", "type", "view", "acl_check"},
     4,
     0,
     v4_1_not_supported},
    {"get_available_modules",
     {"session", "filter"},
     1,
     V4_1_FAULT_LOGIN,
     v4_1_get_available_modules},
};

const struct v4_1_method *v4_1_method(struct str name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (str_eq_nocase(name, str_of(methods[i].name)))
            return &methods[i];
    return NULL;
}

static bool is_index(const char *key)
{
    size_t n = strspn(key, "0123456789");

    return n > 0 && n < 19 && key[n] == '\0' && (key[0] != '0' || n == 1);
}

// The values of an object, whatever their names; NULL without memory.
static json_t *values_of(json_t *object)
{
    json_t *value, *list = json_array();
    const char *key;

    json_object_foreach(object, key, value)
    {
        (void)key;
        if (json_array_append(list, value) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *to_list(json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        (void)value;
        if (!is_index(key))
            return NULL;
    }
    return json_object_size(object) == 0 ? NULL : values_of(object);
}

// Lists in the place of objects with numbers for names, all the way down; the parser limits how
// far that is. Takes `j`, returns what stands for it.
static json_t *as_php(json_t *j)
{
    size_t i;
    json_t *v;

    json_array_foreach(j, i, v)
    {
        if (json_is_array(v) || json_is_object(v))
            (void)json_array_set_new(j, i, as_php(json_incref(v)));
    }
    if (!json_is_object(j))
        return j;
    for (void *at = json_object_iter(j); at; at = json_object_iter_next(j, at)) {
        v = json_object_iter_value(at);
        if (json_is_array(v) || json_is_object(v))
            (void)json_object_iter_set_new(j, at, as_php(json_incref(v)));
    }
    json_t *list = to_list(j);
    if (!list)
        return j;
    json_decref(j);
    return list;
}

// Integers beyond 64 bits become doubles, as in PHP.
json_t *v4_1_decode(struct str text)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t why;

    if (text.len == 0)
        return NULL;
    json_t *j = json_loadb(text.data, text.len, flags, &why);
    if (!j && json_error_code(&why) == json_error_numeric_overflow)
        j = json_loadb(text.data, text.len, flags | JSON_DECODE_INT_AS_REAL, NULL);
    return j ? as_php(j) : NULL;
}

// `max` when none of the arguments has that name.
static size_t arg_named(const struct v4_1_method *m, size_t max, const char *key)
{
    size_t i = 0;

    while (i < max && strcmp(m->args[i], key) != 0)
        i++;
    return i;
}

static bool all_canonical(const struct v4_1_method *m, size_t max, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        (void)value;
        if (arg_named(m, max, key) == max)
            return false;
    }
    return true;
}

// By name; returns one more than the last argument that was given.
static size_t bind_names(const struct v4_1_method *m, size_t max, json_t *object,
                         const json_t **args)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach(object, key, value)
    {
        size_t i = arg_named(m, max, key);
        args[i] = value;
        if (i + 1 > n)
            n = i + 1;
    }
    return n;
}

// What the server walks over with the names of its members left out of account.
static bool is_listed(const char *arg)
{
    static const char *const names[] = {"ids",
                                        "select_fields",
                                        "fields",
                                        "related_fields",
                                        "link_name_to_fields_array",
                                        "related_module_link_name_to_fields_array",
                                        "modules",
                                        "module_names"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], arg) == 0)
            return true;
    return false;
}

static bool is_filled_object(const json_t *j)
{
    return json_is_object(j) && json_object_size(j) > 0;
}

// The list that takes an argument's place in `data`, which owns it; `old` without memory.
static const json_t *make_list(json_t *data, size_t i, json_t *old)
{
    json_t *list = values_of(old);

    if (!list)
        return old;
    if (json_is_array(data))
        return json_array_set_new(data, i, list) < 0 ? old : list;
    for (void *at = json_object_iter(data); at; at = json_object_iter_next(data, at))
        if (json_object_iter_value(at) == old)
            return json_object_iter_set_new(data, at, list) < 0 ? old : list;
    json_decref(list);
    return old;
}

// Objects in the place of lists become lists, those in `value` of a link too.
static void make_lists(const struct v4_1_method *m, json_t *data, size_t n, const json_t **args)
{
    for (size_t i = 0; i < n; i++) {
        size_t k;
        json_t *link;
        if (!args[i] || !is_listed(m->args[i]))
            continue;
        if (is_filled_object(args[i]))
            args[i] = make_list(data, i, (json_t *)args[i]);
        json_array_foreach(args[i], k, link)
        {
            json_t *value = json_object_get(link, "value");
            if (is_filled_object(value))
                (void)json_object_set_new(link, "value", values_of(value));
        }
    }
}

static size_t bind_values(const struct v4_1_api *api, const struct v4_1_method *m,
                          const json_t *data, const json_t **args)
{
    size_t max = v4_1_nargs(api, m), n = 0, i;
    const char *key;
    json_t *value;

    for (i = 0; i < V4_1_ARGS_MAX; i++)
        args[i] = NULL;
    if (json_is_array(data)) {
        json_array_foreach(data, i, value)
        {
            if (n < max)
                args[n++] = value;
        }
        return n;
    }
    if (!json_is_object(data)) {
        if (max > 0)
            args[n++] = data ? data : json_null();
        return n;
    }
    if (all_canonical(m, max, (json_t *)data))
        return bind_names(m, max, (json_t *)data, args);
    json_object_foreach((json_t *)data, key, value)
    {
        if (n < max)
            args[n++] = value;
    }
    return n;
}

size_t v4_1_bind(const struct v4_1_api *api, const struct v4_1_method *m, json_t *data,
                 const json_t **args)
{
    size_t n = bind_values(api, m, data, args);

    make_lists(m, data, n, args);
    return n;
}

bool v4_1_text(const json_t *j, struct arena *a, struct str *out)
{
    struct buf b = BUF_INIT;

    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_STRING: *out = str_n(json_string_value(j), json_string_length(j)); return true;
    case JSON_INTEGER:
        *out = arena_printf(a, "%lld", (long long)json_integer_value(j));
        return out->data != NULL;
    case JSON_REAL:
        v4_1_add_php_number(&b, json_real_value(j));
        *out = b.failed ? (struct str){0} : arena_str(a, buf_str(&b));
        buf_free(&b);
        return out->data != NULL;
    case JSON_TRUE: *out = STR("1"); return true;
    case JSON_FALSE:
    case JSON_NULL: *out = STR(""); return true;
    default: return false;
    }
}

bool v4_1_empty(const json_t *j)
{
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_STRING: return json_string_length(j) == 0 || strcmp(json_string_value(j), "0") == 0;
    case JSON_INTEGER: return json_integer_value(j) == 0;
    case JSON_REAL: return json_real_value(j) == 0;
    case JSON_TRUE: return false;
    case JSON_ARRAY: return json_array_size(j) == 0;
    case JSON_OBJECT: return json_object_size(j) == 0;
    default: return true;
    }
}

bool v4_1_wants_deleted(const json_t *j)
{
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_STRING: return strcmp(json_string_value(j), "0") != 0;
    case JSON_INTEGER: return json_integer_value(j) != 0;
    case JSON_REAL: return json_real_value(j) != 0;
    case JSON_FALSE:
    case JSON_NULL: return false;
    default: return true;
    }
}

#define NUMBER_MAX 4000000000000000000ll // larger ones are this, or its negative

static int cut_double(double x, long long *out)
{
    if (!isfinite(x))
        return -1;
    *out = x > (double)NUMBER_MAX    ? NUMBER_MAX
           : x < -(double)NUMBER_MAX ? -NUMBER_MAX
                                     : (long long)x;
    return 0;
}

// A numeric string as PHP knows it: blanks around it do not count.
static int cut_text(const char *z, size_t len, long long *out)
{
    char *end;
    size_t blanks = strspn(z, " \t\n\r\v\f");

    z += blanks;
    len -= blanks;
    while (len > 0 && strchr(" \t\n\r\v\f", z[len - 1]))
        len--;
    if (len == 0 || len > 64 || strspn(z, "+-0123456789.eE") < len)
        return -1;
    double x = strtod(z, &end);
    return end == z + len ? cut_double(x, out) : -1;
}

int v4_1_number(const json_t *j, long long *out)
{
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE: return 0;
    case JSON_TRUE: *out = 1; return 0;
    case JSON_INTEGER:
        *out = json_integer_value(j);
        *out = *out > NUMBER_MAX ? NUMBER_MAX : *out < -NUMBER_MAX ? -NUMBER_MAX : *out;
        return 0;
    case JSON_REAL: return cut_double(json_real_value(j), out);
    case JSON_STRING:
        if (json_string_length(j) == 0)
            return 0;
        return cut_text(json_string_value(j), json_string_length(j), out);
    default: return -1;
    }
}

bool v4_1_guid_lower(struct str id, struct arena *a, struct str *out)
{
    bool capital = false;

    while (id.len > 0 && id.data[id.len - 1] == ' ')
        id.len--;
    if (id.len != 36)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-')
                return false;
        } else if (c >= 'A' && c <= 'F') {
            capital = true;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    if (!capital)
        return false;
    struct str lower = arena_str(a, id);
    if (!lower.data)
        return false;
    char *p = (char *)lower.data;
    for (size_t i = 0; i < lower.len; i++)
        if (p[i] >= 'A' && p[i] <= 'F')
            p[i] = (char)(p[i] - 'A' + 'a');
    *out = lower;
    return true;
}
