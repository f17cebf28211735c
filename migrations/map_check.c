// SPDX-License-Identifier: Apache-2.0
// What a map must be as a whole, once its parts are read: keys, columns used once, policies
// that hold, statements whose parameters exist. Thread: the loader's.
#include "migrations/map_int.h"
#include "migrations/type.h"

#include <ctype.h>
#include <stdio.h>

int named_sql_visit(const char *sql, const struct named_visitor *v, struct err *e)
{
    const char *start = sql, *p = sql;
    while (*p) {
        if (*p == '\'') { // quoted text, '' inside is two quoted texts side by side
            const char *end = strchr(p + 1, '\'');
            if (!end)
                return err_set(e, ERR_CONFIG, "a quote is not closed in: %s", sql);
            p = end + 1;
        } else if (p[0] == ':' && p[1] == ':') {
            p += 2;
        } else if (p[0] == ':' && islower((unsigned char)p[1])) {
            const char *end = p + 1;
            while (islower((unsigned char)*end) || isdigit((unsigned char)*end) || *end == '_')
                end++;
            if (p > start)
                v->text(v->ctx, str_n(start, (size_t)(p - start)));
            if (v->name(v->ctx, str_n(p + 1, (size_t)(end - p - 1)), e) < 0)
                return -1;
            start = p = end;
        } else {
            p++;
        }
    }
    if (p > start)
        v->text(v->ctx, str_n(start, (size_t)(p - start)));
    return 0;
}

struct name_check {
    const struct entity *en;
    bool fields_too;
    const char *const *more;
};

static void ignore_text(void *ctx, struct str sql)
{
    (void)ctx;
    (void)sql;
}

static int check_name(void *ctx, struct str name, struct err *e)
{
    const struct name_check *c = ctx;
    static const char *const known[] = {"key", "now", "actor", "uuid1", "uuid2", "uuid3", "uuid4"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_eqz(name, known[i]))
            return 0;
    for (size_t i = 0; c->more && c->more[i]; i++)
        if (str_eqz(name, c->more[i]))
            return 0;
    if (c->fields_too && entity_field(c->en, name))
        return 0;
    char more[128] = "";
    size_t len = 0;
    for (size_t i = 0; c->more && c->more[i] && len < sizeof(more); i++)
        len += (size_t)snprintf(more + len, sizeof(more) - len, ", :%s", c->more[i]);
    return err_set(e, ERR_CONFIG,
                   "unknown parameter :%.*s; :key, :now, :actor, :uuid1 to :uuid4%s%s",
                   (int)name.len, name.data, more, c->fields_too ? " or a field" : "");
}

void map_check_statement(struct map_job *j, const char *sql, bool fields, const char *const *more,
                         const char *at)
{
    struct name_check c = {j->en, fields, more};
    struct named_visitor v = {ignore_text, check_name, &c};
    struct err e;
    if (named_sql_visit(sql, &v, &e) < 0)
        problems_add(j->p, j->doc, at, "%s", e.msg);
    if (j->en->nkeys != 1)
        problems_add(j->p, j->doc, at, "statements want a key of one field (:key)");
}

void map_check_statements(struct map_job *j, const char *const *sql, size_t n, bool fields,
                          const char *at)
{
    for (size_t i = 0; i < n; i++)
        map_check_statement(j, sql[i], fields, NULL, map_at_index(j, at, i));
}

static void check_side(struct map_job *j, enum side side)
{
    const struct side_map *m = &j->en->sides[side];
    const char *at = side == SIDE_LEGACY ? "/legacy" : "/new";
    map_check_statements(j, m->on_delete, m->non_delete, false, map_at(j, at, "on_delete"));
    for (size_t i = 0; i < m->nlookups; i++) {
        const char *here = map_at(j, map_at(j, at, "lookups"), m->lookups[i].name);
        map_check_statements(j, m->lookups[i].writes, m->lookups[i].nwrites, true,
                             map_at(j, here, "write"));
    }
    if (m->nextensions > 0 && j->en->nkeys != 1)
        problems_add(j->p, j->doc, at, "extension tables want a key of one field");
}

static void check_key(struct map_job *j, const struct field *f, const char *at)
{
    for (int s = 0; s < 2; s++)
        if (!j->en->sides[s].service_url && f->place[s].kind != PLACE_ROOT)
            problems_add(j->p, j->doc, at, "a key must be a column of the %s root table",
                         side_name((enum side)s));
    if (f->type != TYPE_ID && f->type != TYPE_TEXT && f->type != TYPE_INTEGER)
        problems_add(j->p, j->doc, at, "a key must be an id, a text or an integer");
    if (f->ncodes > 0 || !f->synced)
        problems_add(j->p, j->doc, at, "a key has no codes and always crosses");
}

static void check_place(struct map_job *j, const struct field *f, enum side side, const char *at)
{
    const struct place *p = &f->place[side];
    for (unsigned i = 0; i < f->index; i++) {
        const struct place *o = &j->en->fields[i].place[side];
        if (p->kind != PLACE_NONE && p->kind != PLACE_LOOKUP && o->kind == p->kind &&
            o->index == p->index && o->column && strcmp(o->column, p->column) == 0)
            problems_add(j->p, j->doc, at, "%s column \"%s\" is also that of field \"%s\"",
                         side_name(side), p->column, j->en->fields[i].name);
    }
    if (p->kind != PLACE_LOOKUP)
        return;
    bool writable = j->en->sides[side].lookups[p->index].nwrites > 0;
    if (!writable && !f->read_only && !j->en->read_only)
        problems_add(j->p, j->doc, at,
                     "is looked up without \"write\" statements; say \"read_only\": true");
    if (f->synced && side == SIDE_NEW)
        problems_add(j->p, j->doc, at,
                     "a field that is looked up on the new side cannot cross; \"sync\": false");
    if (f->synced && side == SIDE_LEGACY && !writable)
        problems_add(j->p, j->doc, at, "crosses, so the legacy lookup wants \"write\" statements");
}

// Events of one table carry one table.
static void check_capture(struct map_job *j)
{
    const struct entity *en = j->en;
    if (en->sides[SIDE_LEGACY].capture.by != CAPTURE_DEBEZIUM)
        return;
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        enum place_kind kind = f->place[SIDE_LEGACY].kind;
        if (f->synced && (kind == PLACE_EXTENSION || kind == PLACE_LOOKUP))
            problems_add(j->p, j->doc, map_at(j, "/fields", f->name),
                         "lives outside the root table, so a Debezium topic of that table does not"
                         " carry it; \"sync\": false, or capture by \"changelog\"");
    }
}

static void check_policies(struct map_job *j, const struct field *f, const char *at)
{
    for (size_t i = 0; i < PROBLEM_COUNT; i++) {
        struct value v;
        struct err e;
        if (f->policies[i].action == POLICY_NULL && f->key)
            problems_add(j->p, j->doc, at, "a key cannot become null; park it");
        if (f->policies[i].action != POLICY_SUBSTITUTE)
            continue;
        if (type_parse(f, f->policies[i].substitute, j->set->arena, &v, &e) < 0 ||
            v.state != VALUE_SET || !str_eq(value_str(v), f->policies[i].substitute))
            problems_add(j->p, j->doc, at, "the substitute for %s is no canonical %s",
                         value_problem_name((enum value_problem)i), field_type_name(f->type));
    }
}

static void check_codes(struct map_job *j, const struct field *f, const char *at)
{
    for (size_t i = 0; i < f->ncodes; i++) {
        struct value v;
        struct err e;
        if (type_parse(f, f->codes[i].canonical, j->set->arena, &v, &e) < 0 ||
            v.state != VALUE_SET || !str_eq(value_str(v), f->codes[i].canonical))
            problems_add(j->p, j->doc, at, "the value of code \"%.*s\" is no canonical %s",
                         (int)f->codes[i].legacy.len, f->codes[i].legacy.data,
                         field_type_name(f->type));
    }
}

void map_check(struct map_job *j, const json_t *root)
{
    const struct entity *en = j->en;
    (void)root;
    check_side(j, SIDE_LEGACY);
    check_side(j, SIDE_NEW);
    check_capture(j);
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        const char *at = map_at(j, "/fields", f->name);
        if (f->key)
            check_key(j, f, at);
        check_place(j, f, SIDE_LEGACY, at);
        check_place(j, f, SIDE_NEW, at);
        check_policies(j, f, at);
        check_codes(j, f, at);
        if ((f->auto_fill == AUTO_NOW || f->auto_fill == AUTO_NOW_ON_CREATE) &&
            f->type != TYPE_TIMESTAMP)
            problems_add(j->p, j->doc, map_at(j, at, "auto"), "\"now\" is for timestamps");
    }
    if (en->deleted && (en->deleted->type != TYPE_BOOLEAN))
        problems_add(j->p, j->doc, "/deleted", "must be a boolean field");
    for (int s = 0; s < 2 && en->deleted; s++)
        if (en->deleted->place[s].kind == PLACE_EXTENSION ||
            en->deleted->place[s].kind == PLACE_LOOKUP)
            problems_add(j->p, j->doc, "/deleted", "must be a column of the root table");
    if (en->key_maker == KEY_UUID &&
        (en->nkeys != 1 || (en->keys[0]->type != TYPE_ID && en->keys[0]->type != TYPE_TEXT)))
        problems_add(j->p, j->doc, "/key/make", "\"uuid\" wants a key of one id field");
}
