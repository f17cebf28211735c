// SPDX-License-Identifier: Apache-2.0
// Statements written in a map (":key", ":now", ":<field>") -> SQL with placeholders: bound for
// one write, or as a template for apply. Thread: any.
#include "migrations/query_named.h"
#include "base/clock.h"
#include "migrations/query_int.h"

struct binder {
    struct query_build *b;
    struct buf text;
    const struct write *w; // NULL for a template
    const struct named_change *change;
    // A template's parameters; NULL when binding values.
    struct named_param *params;
    size_t nparams;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// HEX(x), the map's way to compare text byte by byte, by the name that the DBMS has for it.
static void add_text(void *ctx, struct str sql)
{
    struct binder *s = ctx;
    const char *hex = s->b->d->hex_function;
    for (size_t i = 0; i < sql.len; i++) {
        bool word = hex && (i == 0 || !is_word(sql.data[i - 1])) && sql.len - i >= 4 &&
                    str_eq_nocase(str_n(sql.data + i, 4), STR("HEX("));
        if (word) {
            buf_addz(&s->text, hex);
            i += 2;
        } else {
            buf_addc(&s->text, sql.data[i]);
        }
    }
}

// Where nothing else in the statement tells a parameter's type, some DBMS want it told.
static void add_cast(struct binder *s, enum column_kind kind)
{
    if (kind == COLUMN_TEXT && s->b->d->text_cast)
        buf_addz(&s->text, s->b->d->text_cast);
}

// A name's kind of column, and its field (key and fields) or its special letter.
static int resolve(const struct query_build *b, struct str name, struct named_param *out,
                   enum column_kind *kind, struct err *e)
{
    *out = (struct named_param){0};
    *kind = COLUMN_TEXT;
    if (str_eqz(name, "key")) {
        out->field = b->en->keys[0];
    } else if (str_eqz(name, "now")) {
        out->special = NAMED_NOW;
        *kind = COLUMN_TIMESTAMP;
        return 0;
    } else if (str_eqz(name, "actor")) {
        out->special = NAMED_ACTOR;
        return 0;
    } else if (name.len == 5 && str_starts(name, STR("uuid"))) {
        out->special = NAMED_UUID;
        return 0;
    } else {
        out->field = entity_field(b->en, name);
    }
    if (!out->field)
        return err_set(e, ERR_INTERNAL, "unknown parameter :%.*s", (int)name.len, name.data);
    *kind = field_column_kind(out->field, b->side);
    return 0;
}

static struct value new_uuid(struct arena *a)
{
    char text[37];
    uuid_make(text);
    return value_set(arena_str(a, str_n(text, 36)));
}

// Texts of the one change that the statement tells of.
static bool bind_change(struct binder *s, struct str name)
{
    const struct named_change *c = s->change;
    struct value v;
    if (c && str_eqz(name, "field"))
        v = value_set(str_of(c->field->field->name));
    else if (c && str_eqz(name, "data_type"))
        v = value_set(str_of(c->field->data_type));
    else if (c && str_eqz(name, "before"))
        v = c->before;
    else if (c && str_eqz(name, "after"))
        v = c->after;
    else
        return false;
    query_param(s->b, &s->text, v, COLUMN_TEXT);
    add_cast(s, COLUMN_TEXT);
    return true;
}

static int bind_name(void *ctx, struct str name, struct err *e)
{
    struct binder *s = ctx;
    struct named_param p;
    enum column_kind kind;
    if (bind_change(s, name))
        return 0;
    if (resolve(s->b, name, &p, &kind, e) < 0)
        return -1;
    if (s->params) {
        if (s->nparams == NAMED_PARAMS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d parameters in one statement",
                           NAMED_PARAMS_MAX);
        s->params[s->nparams++] = p;
        query_param(s->b, &s->text, value_null(), kind);
        add_cast(s, kind);
        return 0;
    }
    struct value v = value_null();
    if (p.special == NAMED_NOW) {
        v = value_set(str_of(s->w->now));
    } else if (p.special == NAMED_ACTOR) {
        v = s->w->actor.len > 0 ? value_set(s->w->actor) : v;
    } else if (p.special == NAMED_UUID) {
        v = new_uuid(s->b->a);
        if (!v.data)
            return err_memory(e);
    } else {
        v = p.field->key ? s->w->key[0] : s->w->values ? s->w->values[p.field->index] : v;
        if (v.state == VALUE_ABSENT)
            v = value_null();
        if (query_param_field(s->b, &s->text, p.field, v, e) < 0)
            return -1;
        add_cast(s, kind);
        return 0;
    }
    query_param(s->b, &s->text, v, kind);
    add_cast(s, kind);
    return 0;
}

int query_named(struct query_build *b, const char *sql, const struct write *w,
                const struct named_change *change, struct sql *out, struct err *e)
{
    struct binder s = {.b = b, .w = w, .change = change};
    struct named_visitor v = {add_text, bind_name, &s};
    int rc = named_sql_visit(sql, &v, e);
    if (rc == 0)
        rc = query_finish(b, &s.text, out, e);
    buf_free(&s.text);
    return rc;
}

int query_named_template(struct query_build *b, const char *sql, struct named_param *params,
                         size_t *nparams, struct sql *out, struct err *e)
{
    struct binder s = {.b = b, .params = params};
    struct named_visitor v = {add_text, bind_name, &s};
    int rc = named_sql_visit(sql, &v, e);
    if (rc == 0)
        rc = query_finish(b, &s.text, out, e);
    *nparams = s.nparams;
    buf_free(&s.text);
    return rc;
}

int query_named_value(const struct named_param *p, const char *now, struct arena *a,
                      struct value *raw, struct err *e)
{
    *raw = value_null();
    if (p->special == NAMED_NOW)
        *raw = value_set(str_of(now));
    else if (p->special == NAMED_UUID)
        *raw = new_uuid(a);
    return raw->state == VALUE_SET && !raw->data ? err_memory(e) : 0;
}
