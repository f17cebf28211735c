// SPDX-License-Identifier: Apache-2.0
// Which tables of a legacy aggregate carry changelog triggers, and how each row leads to its
// root's key: the root itself, its extensions, and every table on the path of a looked-up field
// that crosses. The trigger text is the DBMS file's. Thread: any.
#include "migrations/ddl.h"
#include "migrations/query_int.h"

#include <stdio.h>

struct trigger_job {
    struct query_build b;
    const char *group;
    bool rogue_allowed;
    struct dbms_trigger *list;
    size_t n;
};

// The next trigger; takes the text of `key` and `when`.
static int add_trigger(struct trigger_job *j, const char *table, struct buf *key, bool select,
                       struct buf *when, struct err *e)
{
    struct dbms_trigger *t = &j->list[j->n];
    *t = (struct dbms_trigger){.table = table,
                               .entity = j->b.en->name,
                               .group = j->group,
                               .rogue_allowed = j->rogue_allowed,
                               .key_is_select = select,
                               .ordinal = (unsigned)j->n++};
    int rc = buf_check(key, e);
    if (rc == 0)
        rc = buf_check(when, e);
    if (rc == 0) {
        t->key_expr = arena_strz(j->b.a, buf_str(key));
        t->when_expr = when->len > 0 ? arena_strz(j->b.a, buf_str(when)) : NULL;
        if (!t->key_expr || (when->len > 0 && !t->when_expr))
            rc = err_memory(e);
    }
    buf_free(key);
    buf_free(when);
    return rc;
}

static int add_root(struct trigger_job *j, struct err *e)
{
    struct buf key = BUF_INIT, none = BUF_INIT;
    const char *columns[MAP_KEYS_MAX];
    const struct side_map *m = query_side(&j->b);
    for (size_t i = 0; i < j->b.en->nkeys; i++) {
        struct buf one = BUF_INIT;
        query_alias(&j->b, &one, "%R", m->key_columns[i]);
        columns[i] = one.failed ? NULL : arena_strz(j->b.a, buf_str(&one));
        buf_free(&one);
        if (!columns[i])
            return err_memory(e);
    }
    j->b.d->join_key(&key, columns, j->b.en->nkeys);
    return add_trigger(j, m->root, &key, false, &none, e);
}

static int add_extension(struct trigger_job *j, const struct extension *x, struct err *e)
{
    struct buf key = BUF_INIT, none = BUF_INIT;
    query_alias(&j->b, &key, "%R", x->key_column);
    return add_trigger(j, x->table, &key, false, &none, e);
}

// "%R.bean_module = 'Contacts' AND ..": the step's own conditions on the changed row.
static void add_where(const struct trigger_job *j, struct buf *out, const struct lookup_step *s,
                      const char *alias)
{
    for (size_t i = 0; i < s->nwhere; i++) {
        buf_addz(out, out->len > 0 ? " AND " : "");
        query_alias(&j->b, out, alias, s->where[i].column);
        buf_addz(out, " = ");
        buf_addstr(out, s->where[i].sql);
    }
}

static void add_on(const struct trigger_job *j, struct buf *out, const struct lookup_step *s,
                   const char *alias)
{
    for (size_t i = 0; i < s->non; i++) {
        char other[32];
        snprintf(other, sizeof(other), "l%d", s->on[i].ref_step);
        buf_addz(out, out->len > 0 ? " AND " : "");
        query_alias(&j->b, out, alias, s->on[i].column);
        buf_addz(out, " = ");
        query_alias(&j->b, out, s->on[i].ref_step < 0 ? QUERY_ROOT : other, s->on[i].ref_column);
    }
}

// SELECT of the root keys that a changed row of step `at` leads to, through the steps before.
static int add_step(struct trigger_job *j, const struct lookup *l, size_t at, struct err *e)
{
    const struct side_map *m = query_side(&j->b);
    const char *direct = query_path_key(j->b.en, j->b.side, l);
    struct buf key = BUF_INIT, when = BUF_INIT, where = BUF_INIT;
    if (at == 0 && direct) {
        query_alias(&j->b, &key, "%R", direct);
        add_where(j, &when, &l->steps[0], "%R");
        return add_trigger(j, l->steps[0].table, &key, false, &when, e);
    }
    buf_addz(&key, "SELECT ");
    query_alias(&j->b, &key, direct ? "l0" : QUERY_ROOT, direct ? direct : m->key_columns[0]);
    buf_addz(&key, " AS k FROM ");
    if (!direct)
        query_table(&j->b, &key, m->root, QUERY_ROOT);
    for (size_t i = 0; i < at; i++) {
        char alias[32];
        snprintf(alias, sizeof(alias), "l%zu", i);
        buf_addz(&key, i > 0 || !direct ? ", " : "");
        query_table(&j->b, &key, l->steps[i].table, alias);
        if (i > 0 || !direct)
            add_on(j, &where, &l->steps[i], alias);
        add_where(j, &where, &l->steps[i], alias);
    }
    add_on(j, &where, &l->steps[at], "%R");
    add_where(j, &where, &l->steps[at], "%R");
    buf_addz(&key, " WHERE ");
    buf_addstr(&key, buf_str(&where));
    key.failed = key.failed || where.failed;
    buf_free(&where);
    return add_trigger(j, l->steps[at].table, &key, true, &when, e);
}

static bool is_synced(const struct entity *en, enum place_kind kind, unsigned index)
{
    for (size_t i = 0; i < en->nfields; i++) {
        const struct place *p = &en->fields[i].place[SIDE_LEGACY];
        if (en->fields[i].synced && p->kind == kind && p->index == index)
            return true;
    }
    return false;
}

int ddl_triggers(const struct entity *en, const char *group, bool rogue_allowed,
                 const struct dbms *d, struct arena *a, struct dbms_trigger **out, size_t *n,
                 struct err *e)
{
    const struct side_map *m = &en->sides[SIDE_LEGACY];
    struct trigger_job j = {.b = {.en = en, .side = SIDE_LEGACY, .d = d, .a = a},
                            .group = group,
                            .rogue_allowed = rogue_allowed};
    size_t max = 1 + m->nextensions;
    for (size_t i = 0; i < m->nlookups; i++)
        max += m->lookups[i].nsteps;
    j.list = arena_array(a, max, sizeof(*j.list));
    if (!j.list)
        return err_memory(e);
    *out = j.list;
    *n = 0;
    if (!entity_has_changelog(en))
        return 0;
    if (add_root(&j, e) < 0)
        return -1;
    for (unsigned i = 0; i < m->nextensions; i++)
        if (is_synced(en, PLACE_EXTENSION, i) && add_extension(&j, &m->extensions[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < m->nlookups; i++)
        for (size_t k = 0; is_synced(en, PLACE_LOOKUP, i) && k < m->lookups[i].nsteps; k++)
            if (add_step(&j, &m->lookups[i], k, e) < 0)
                return -1;
    *n = j.n;
    return 0;
}
