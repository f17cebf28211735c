// SPDX-License-Identifier: Apache-2.0
// Installs Ficus' objects and triggers in a legacy store, and removes them. Idempotent: what is
// there is replaced, triggers that the maps no longer ask for are dropped. Where DDL is
// transactional all of it is one transaction; elsewhere (MariaDB) each trigger is replaced
// atomically, so that no change slips through while the application is writing. Blocking.
#include "base/clock.h"
#include "migrations/ddl.h"
#include "migrations/map_int.h"

struct install_job {
    struct odbc_conn *c;
    const struct dbms *d;
    const struct entity_set *set;
    group_of_fn *group_of;
    const void *ctx;
    bool rogue_allowed;
    struct arena *a;
    struct buf names; // " name1 name2 " of the triggers that were made
};

static int run_statement(void *ctx, struct str sql, struct err *e)
{
    struct install_job *j = ctx;
    if (odbc_direct(j->c, sql, e) < 0)
        return err_prefix(e, "%.60s", sql.data);
    return 0;
}

static int run_text(struct install_job *j, struct buf *text, struct err *e)
{
    int rc = buf_check(text, e);
    if (rc == 0)
        rc = dbms_each_statement(buf_str(text), run_statement, j, e);
    buf_free(text);
    return rc;
}

static int add_column(struct install_job *j, const struct dbms_added_column *c, struct err *e)
{
    struct buf text = BUF_INIT;
    struct rows rows;
    struct value p = value_set(str_of(c->table));
    if (odbc_query(j->c, str_of(j->d->columns_sql), &p, 1, j->a, 0, &rows, e) < 0)
        return -1;
    for (size_t i = 0; i < rows.nrows; i++)
        if (str_eqz(value_str(*rows_at(&rows, i, 0)), c->name))
            return 0;
    buf_printf(&text, "ALTER TABLE %s ADD COLUMN %s %s", c->table, c->name, c->type);
    return run_text(j, &text, e);
}

static int add_objects(struct install_job *j, struct err *e)
{
    struct buf text = BUF_INIT;
    j->d->objects_ddl(&text);
    if (run_text(j, &text, e))
        return -1;
    for (const struct dbms_added_column *c = j->d->added_columns; c->table; c++)
        if (add_column(j, c, e))
            return -1;
    return 0;
}

// The identity of this changelog: a store restored from elsewhere carries another one.
static int add_identity(struct install_job *j, struct err *e)
{
    struct rows rows;
    char uuid[37];
    struct value p[2] = {value_set(STR("changelog_id")), value_null()};
    if (odbc_query(j->c, STR("SELECT value FROM ficus_meta WHERE name = ?"), p, 1, j->a, 0, &rows,
                   e) < 0)
        return -1;
    if (rows.nrows > 0)
        return 0;
    uuid_make(uuid);
    p[1] = value_set(str_of(uuid));
    return odbc_exec(j->c, STR("INSERT INTO ficus_meta (name, value) VALUES (?, ?)"), p, 2, NULL,
                     e);
}

// A fence starts open for the legacy: nothing stops its writers until the first transfer.
static int add_fence(struct install_job *j, const char *group, struct err *e)
{
    struct value p[3] = {value_set(str_of(group)), value_set(STR("1")), value_set(STR("0"))};
    return odbc_exec(j->c, str_of(j->d->fence_init_sql), p, 3, NULL, e);
}

static void note_names(struct install_job *j, const struct dbms_trigger *t)
{
    for (const char *op = j->d->trigger_ops; *op; op++)
        buf_printf(&j->names, " ficus_%s_%u_%c ", t->entity, t->ordinal, *op);
}

static int add_entity(struct install_job *j, const struct entity *en, struct err *e)
{
    const char *group = j->group_of ? j->group_of(j->ctx, en) : NULL;
    struct dbms_trigger *list;
    size_t n;
    if (!en->sides[SIDE_LEGACY].root)
        return 0;
    if (group && add_fence(j, group, e) < 0)
        return -1;
    if (ddl_triggers(en, group, j->rogue_allowed, j->d, j->a, &list, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_INIT;
        j->d->trigger_ddl(&text, &list[i]);
        note_names(j, &list[i]);
        if (run_text(j, &text, e) < 0)
            return err_prefix(e, "triggers of %s on %s", en->name, list[i].table);
    }
    return 0;
}

// Drops Ficus' triggers that were not made just now (all of them, when none was).
static int drop_others(struct install_job *j, struct err *e)
{
    struct rows rows;
    if (odbc_query(j->c, str_of(j->d->trigger_names_sql), NULL, 0, j->a, 0, &rows, e) < 0)
        return -1;
    for (size_t i = 0; i < rows.nrows; i++) {
        struct str name = value_str(*rows_at(&rows, i, 0));
        struct buf text = BUF_INIT;
        buf_printf(&text, " %.*s ", (int)name.len, name.data);
        bool kept = j->names.len > 0 && text.data &&
                    memmem(j->names.data, j->names.len, text.data, text.len) != NULL;
        buf_reset(&text);
        if (!kept) {
            buf_addz(&text, j->d->trigger_drop_head);
            j->d->quote(&text, name);
            buf_addz(&text, j->d->trigger_drop_tail);
        }
        if (run_text(j, &text, e) < 0)
            return -1;
    }
    return 0;
}

static int install(struct install_job *j, struct err *e)
{
    if (add_objects(j, e) < 0 || add_identity(j, e) < 0)
        return -1;
    for (size_t i = 0; i < entity_count(j->set); i++)
        if (add_entity(j, entity_at(j->set, i), e) < 0)
            return -1;
    if (buf_check(&j->names, e) < 0)
        return -1;
    return drop_others(j, e);
}

static int uninstall(struct install_job *j, struct err *e)
{
    struct buf text = BUF_INIT;
    if (drop_others(j, e) < 0)
        return -1;
    j->d->objects_drop(&text);
    return run_text(j, &text, e);
}

static int run_job(struct install_job *j, int (*work)(struct install_job *j, struct err *e),
                   struct err *e)
{
    if (!j->d->objects_ddl)
        return err_set(e, ERR_UNSUPPORTED, "%s: a legacy store's triggers are not known for it",
                       j->d->name);
    j->a = arena_create(MAP_MEMORY_MAX);
    if (!j->a)
        return err_memory(e);
    int rc = j->d->ddl_in_transaction ? odbc_begin(j->c, true, e) : 0;
    if (rc == 0) {
        rc = work(j, e);
        if (j->d->ddl_in_transaction && rc == 0)
            rc = odbc_commit(j->c, e);
        else if (j->d->ddl_in_transaction)
            odbc_rollback(j->c);
    }
    buf_free(&j->names);
    arena_destroy(j->a);
    return rc;
}

int ddl_install_legacy(struct odbc_conn *c, const struct entity_set *set, group_of_fn *group_of,
                       const void *ctx, bool rogue_allowed, struct err *e)
{
    if (!odbc_dbms(c)->changelog_read_sql) // a changelog that nobody reads would only grow
        return err_set(e, ERR_UNSUPPORTED, "%s: its changelog cannot be read, so none is installed",
                       odbc_dbms(c)->name);
    struct install_job j = {.c = c,
                            .d = odbc_dbms(c),
                            .set = set,
                            .group_of = group_of,
                            .ctx = ctx,
                            .rogue_allowed = rogue_allowed};
    return run_job(&j, install, e);
}

int ddl_remove_legacy(struct odbc_conn *c, const struct entity_set *set, group_of_fn *group_of,
                      const void *ctx, struct err *e)
{
    struct install_job j = {
        .c = c, .d = odbc_dbms(c), .set = set, .group_of = group_of, .ctx = ctx};
    return run_job(&j, uninstall, e);
}
