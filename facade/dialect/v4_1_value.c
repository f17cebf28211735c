// SPDX-License-Identifier: Apache-2.0
// One record as a client of the v4_1 dialect writes it: the three forms of name_value_list, the
// canonical value of each field, what set_entry echoes, and what is derived or left out.
// Owns nothing; pure functions (but for counting cuts), any thread.
//
// null leaves a field untouched. What does not fit is handled as the legacy does: text is cut,
// a wrong date is NULL, a number is read as far as it goes; the echo shows what was sent.
#include "facade/dialect/v4_1_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct decoder {
    struct v4_1_record *record;
    struct arena *arena;
    struct err *e;
};

// ---- echo

static int set_echo(struct decoder *d, const struct field *f, const struct buf *json)
{
    if (json->failed)
        return err_memory(d->e);
    struct str s = arena_str(d->arena, buf_str(json));
    if (!s.data)
        return err_memory(d->e);
    d->record->echo[f->index] = s;
    return 0;
}

static int echo_text(struct decoder *d, const struct field *f, struct str s)
{
    struct buf b = BUF_INIT;

    buf_addjson_php(&b, s);
    int rc = set_echo(d, f, &b);
    buf_free(&b);
    return rc;
}

static int echo_number(struct decoder *d, const struct field *f, double x)
{
    struct buf b = BUF_INIT;

    v4_1_add_php_number(&b, x);
    int rc = set_echo(d, f, &b);
    buf_free(&b);
    return rc;
}

void v4_1_add_echo(struct buf *out, const struct v4_1_record *r)
{
    const struct entity *en = r->module->entity;
    size_t n = 0;

    for (size_t i = 0; i < en->nfields; i++) {
        if (!r->echo[i].data)
            continue;
        buf_addc(out, n++ == 0 ? '{' : ',');
        v4_1_add_pair(out, str_of(en->fields[i].name));
        buf_addstr(out, r->echo[i]);
        buf_addc(out, '}');
    }
    buf_addz(out, n == 0 ? "[]" : "}");
}

// ---- values

// The canonical value; what the type refuses becomes NULL, but for a code that the map's
// translation does not know.
static int set_parsed(struct decoder *d, const struct field *f, struct str text)
{
    struct value *v = &d->record->values[f->index];

    if (type_parse(f, text, d->arena, v, d->e) < 0)
        return -1;
    if (v->state != VALUE_FOREIGN)
        return 0;
    if (v->problem == PROBLEM_BAD_ENUM || v->problem == PROBLEM_OVERFLOW)
        return err_set(d->e, ERR_INVALID, "%s: %s", f->name,
                       value_problem_name((enum value_problem)v->problem));
    *v = value_null();
    return 0;
}

static int take_text(struct decoder *d, const struct field *f, struct str s)
{
    struct v4_1_text text;

    if (v4_1_clean(s, strcmp(f->name, "name") == 0, d->arena, &text, d->e) < 0 ||
        echo_text(d, f, text.echo) < 0)
        return -1;
    if (v4_1_cut(&text.stored, f->length) && d->record->module->cuts)
        metric_add(d->record->module->cuts, 1);
    return set_parsed(d, f, text.stored);
}

static int take_boolean(struct decoder *d, const struct field *f, const json_t *j, struct str s)
{
    bool on = json_is_number(j)
                  ? json_number_value(j) != 0
                  : !(s.len == 0 || str_eqz(s, "0") || str_eqz(s, "off") || str_eqz(s, "false"));
    struct value *v = &d->record->values[f->index];

    *v = value_set(on ? STR("true") : STR("false"));
    d->record->echo[f->index] = value_str(*v);
    return 0;
}

static double clamp(const struct field *f, double x)
{
    double top = ldexp(1, (int)f->bits - (f->is_signed ? 1 : 0));
    double bottom = f->is_signed ? -top : 0;

    // Just below 2^63 there is no double but 2^63 - 1024.
    top = f->bits == 64 ? nextafter(top, 0) : top - 1;
    return x > top ? top : x < bottom ? bottom : x;
}

static int take_number(struct decoder *d, const struct field *f, const json_t *j, struct str s)
{
    double x = json_is_number(j) ? json_number_value(j) : v4_1_read_number(s);
    char text[400];
    int n;

    if (f->type == TYPE_INTEGER)
        x = trunc(x);
    if (json_is_string(j) && s.len == 0) {
        if (echo_text(d, f, s) < 0)
            return -1;
    } else if (echo_number(d, f, x) < 0) {
        return -1;
    }
    if (f->type == TYPE_INTEGER && json_is_integer(j) && clamp(f, x) == x) // beyond 2^53 exactly
        n = snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(j));
    else if (f->type == TYPE_INTEGER)
        n = snprintf(text, sizeof(text), "%.0f", clamp(f, x));
    else if (f->type == TYPE_DECIMAL)
        n = snprintf(text, sizeof(text), "%.*f", (int)f->scale, x);
    else
        n = snprintf(text, sizeof(text), "%.17g", x);
    if (n < 0 || (size_t)n >= sizeof(text))
        return err_set(d->e, ERR_INVALID, "%s: the number is too long", f->name);
    struct str copy = arena_str(d->arena, str_of(text));
    return copy.data ? set_parsed(d, f, copy) : err_memory(d->e);
}

// YYYY-M-D with one or two digits a part; *len: its length.
static bool is_date(struct str s, size_t *len, unsigned part[3])
{
    *len = 0;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (*len >= s.len || s.data[(*len)++] != '-'))
            return false;
        if (!v4_1_digits(s, len, i == 0 ? 4 : 1, i == 0 ? 4 : 2, &part[i]))
            return false;
    }
    return true;
}

static bool is_time(struct str s)
{
    unsigned part;
    size_t at = 0;

    return s.len == 8 && s.data[2] == ':' && s.data[5] == ':' && v4_1_digits(s, &at, 2, 2, &part) &&
           ++at && v4_1_digits(s, &at, 2, 2, &part) && ++at && v4_1_digits(s, &at, 2, 2, &part);
}

static int take_moment(struct decoder *d, const struct field *f, struct str s)
{
    unsigned part[3];
    size_t len = 0;
    bool ok = is_date(s, &len, part);

    if (ok && f->type == TYPE_DATE)
        ok = len == s.len;
    else if (ok)
        ok = len == 10 && s.len == 19 && s.data[10] == ' ' && is_time(str_n(s.data + 11, 8));
    if (echo_text(d, f, ok ? s : STR("")) < 0)
        return -1;
    d->record->values[f->index] = value_null();
    if (!ok)
        return 0;
    struct str text = arena_printf(d->arena, "%04u-%02u-%02u%.*s", part[0], part[1], part[2],
                                   (int)(s.len - len), s.data + len);
    return text.data ? set_parsed(d, f, text) : err_memory(d->e);
}

static int take_other(struct decoder *d, const struct field *f, struct str s)
{
    return echo_text(d, f, s) < 0 ? -1 : set_parsed(d, f, s);
}

static int take_value(struct decoder *d, const struct field *f, const json_t *j)
{
    struct str s;

    if (!v4_1_text(j, d->arena, &s))
        return 0; // a list or an object is no value of any field here
    switch (f->type) {
    case TYPE_TEXT:
    case TYPE_ID: return take_text(d, f, s);
    case TYPE_BOOLEAN: return take_boolean(d, f, j, s);
    case TYPE_INTEGER:
    case TYPE_DECIMAL:
    case TYPE_FLOAT: return take_number(d, f, j, s);
    case TYPE_DATE:
    case TYPE_TIMESTAMP: return take_moment(d, f, s);
    default: return take_other(d, f, s);
    }
}

// ---- the list

// An id is used as it is; one that could only come from a mistake writes nothing.
static int take_id(struct decoder *d, const struct field *key, const json_t *j)
{
    struct v4_1_record *r = d->record;
    struct value v;
    struct str s;

    if (!v4_1_text(j, d->arena, &s)) {
        r->bad_id = true;
        return 0;
    }
    for (size_t i = 0; i < s.len; i++)
        r->bad_id |= (unsigned char)s.data[i] <= ' ' || s.data[i] == '\'' || s.data[i] == '"';
    if (s.len == 0 || r->bad_id)
        return 0;
    if (type_parse(key, s, d->arena, &v, d->e) < 0)
        return -1;
    r->bad_id = v.state != VALUE_SET;
    r->id = value_str(v);
    return echo_text(d, key, s);
}

static bool is_one(const json_t *j)
{
    return json_is_true(j) || (json_is_number(j) && json_number_value(j) == 1) ||
           (json_is_string(j) && strcmp(json_string_value(j), "1") == 0);
}

// Words that steer the write and are no fields.
static bool take_switch(struct v4_1_record *r, struct str name, const json_t *j)
{
    if (str_eqz(name, "new_with_id"))
        r->new_with_id = !v4_1_empty(j);
    else if (str_eqz(name, "update_date_modified"))
        r->keep_modified = v4_1_empty(j);
    else if (str_eqz(name, "update_modified_by"))
        r->keep_modifier = v4_1_empty(j);
    else
        return false;
    return true;
}

static int take_pair(struct decoder *d, struct str name, const json_t *j)
{
    struct v4_1_record *r = d->record;
    const struct entity *en = r->module->entity;

    if (take_switch(r, name, j))
        return 0;
    const struct field *f = entity_field(en, name);
    if (!f || f->secret || !j || json_is_null(j))
        return 0;
    if (f->key)
        return take_id(d, f, j);
    if (take_value(d, f, j) < 0)
        return -1;
    if (f == en->deleted)
        r->deleted = is_one(j);
    return 0;
}

// {"name":..,"value":..} wherever it stands; else the member itself.
static int take_member(struct decoder *d, const char *key, const json_t *j)
{
    if (!json_is_object(j))
        return key ? take_pair(d, str_of(key), j) : 0;
    const json_t *name = json_object_get(j, "name");
    if (!json_is_string(name))
        return 0;
    return take_pair(d, str_n(json_string_value(name), json_string_length(name)),
                     json_object_get(j, "value"));
}

int v4_1_record_decode(const struct v4_1_module *m, const json_t *list, struct arena *a,
                       struct v4_1_record *out, struct err *e)
{
    struct decoder d = {out, a, e};
    const char *key;
    json_t *j;
    size_t i;

    *out = (struct v4_1_record){.module = m, .id = {"", 0}};
    out->values = arena_array(a, m->entity->nfields + 1, sizeof(*out->values));
    out->echo = arena_array(a, m->entity->nfields + 1, sizeof(*out->echo));
    if (!out->values || !out->echo)
        return err_memory(e);
    json_array_foreach(list, i, j)
    {
        if (take_member(&d, NULL, j) < 0)
            return -1;
    }
    if (!json_is_object(list))
        return 0;
    json_object_foreach((json_t *)list, key, j)
    {
        if (take_member(&d, key, j) < 0)
            return -1;
    }
    return 0;
}

static void take_code(const struct field *f, struct value *v)
{
    json_t *options = json_object_get(v4_1_field_hint(f), "options");
    const char *key, *found = NULL;
    json_t *label;

    json_object_foreach(options, key, label)
    {
        if (str_eqz(value_str(*v), key))
            return;
        if (!found && json_is_string(label) && str_eqz(value_str(*v), json_string_value(label)))
            found = key;
    }
    if (found)
        *v = value_set(str_of(found));
}

void v4_1_record_codes(struct v4_1_record *r)
{
    const struct entity *en = r->module->entity;

    for (size_t i = 0; i < en->nfields; i++)
        if (en->fields[i].type == TYPE_TEXT && r->values[i].state == VALUE_SET &&
            strcmp(v4_1_field_type(&en->fields[i]), "enum") == 0)
            take_code(&en->fields[i], &r->values[i]);
}

// ---- what the legacy adds or leaves out

static void drop_auto(struct v4_1_record *r, const struct field *f, bool create)
{
    struct value *v = &r->values[f->index];
    bool drop = false;

    switch (f->auto_fill) {
    case AUTO_NOW: drop = !r->keep_modified; break;
    case AUTO_ACTOR: drop = !r->keep_modifier; break;
    case AUTO_ACTOR_ON_CREATE: drop = create; break;
    case AUTO_NOW_ON_CREATE: drop = v->state != VALUE_SET; break;
    case AUTO_NONE: break;
    }
    if (drop)
        *v = (struct value){0};
}

static const struct value *value_named(const struct v4_1_record *r, const json_t *name)
{
    const struct field *f = json_is_string(name)
                                ? entity_field(r->module->entity, str_of(json_string_value(name)))
                                : NULL;
    return f ? &r->values[f->index] : NULL;
}

// {"from":F,"values":{..}}: looked up by the value of F, where the client gave none itself.
static int derive_code(struct v4_1_record *r, const struct field *f, const json_t *rule,
                       struct arena *a, struct err *e)
{
    struct value *v = &r->values[f->index];
    const struct value *from = value_named(r, json_object_get(rule, "from"));
    struct str text;

    if (v->state != VALUE_ABSENT || !from || from->state != VALUE_SET)
        return 0;
    const char *code = arena_strz(a, value_str(*from));
    if (!code)
        return err_memory(e);
    const json_t *to = json_object_get(json_object_get(rule, "values"), code);
    if (!to || !v4_1_text(to, a, &text)) {
        *v = value_null();
        return 0;
    }
    if (type_parse(f, text, a, v, e) < 0)
        return -1;
    if (v->state == VALUE_FOREIGN)
        *v = value_null();
    return 0;
}

static long long minutes_of(const struct value *v, long long unit)
{
    long long n = 0;

    if (!v || v->state != VALUE_SET || !str_to_int(value_str(*v), 0, 10000000, &n))
        return 0;
    return n * unit;
}

// {"start":F,"hours":F,"minutes":F}: the end of something that has a beginning.
static int derive_end(struct v4_1_record *r, const struct field *f, const json_t *rule, bool create,
                      struct arena *a, struct err *e)
{
    const struct value *start = value_named(r, json_object_get(rule, "start"));
    const struct value *hours = value_named(r, json_object_get(rule, "hours"));
    const struct value *minutes = value_named(r, json_object_get(rule, "minutes"));
    struct tm tm = {0};
    char text[32];

    if (!start || start->state != VALUE_SET || !hours || !minutes)
        return 0;
    if (!create && (hours->state != VALUE_SET || minutes->state != VALUE_SET))
        return 0; // the row has parts of it that are not known here
    if (str_copy(text, sizeof(text), value_str(*start)) < 0 ||
        !strptime(text, "%Y-%m-%d %H:%M:%S", &tm))
        return 0;
    time_t end = timegm(&tm) + (time_t)((minutes_of(hours, 60) + minutes_of(minutes, 1)) * 60);
    if (!gmtime_r(&end, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) != 19)
        return 0;
    struct str copy = arena_str(a, str_of(text));
    if (!copy.data)
        return err_memory(e);
    return type_parse(f, copy, a, &r->values[f->index], e);
}

int v4_1_record_finish(struct v4_1_record *r, bool create, struct arena *a, struct err *e)
{
    const struct entity *en = r->module->entity;
    const char *name;
    json_t *rule;

    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        drop_auto(r, f, create);
        if (f->read_only || f == en->deleted)
            r->values[i] = (struct value){0};
    }
    json_object_foreach(json_object_get(r->module->hint, "derive"), name, rule)
    {
        const struct field *f = entity_field(en, str_of(name));
        if (!f || f->read_only || f->key)
            continue;
        if ((json_object_get(rule, "from") ? derive_code(r, f, rule, a, e)
                                           : derive_end(r, f, rule, create, a, e)) < 0)
            return -1;
    }
    return 0;
}
