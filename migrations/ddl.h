// SPDX-License-Identifier: Apache-2.0
// DDL made from maps: changelog triggers of a legacy store, tables of the new store with
// their guards; and the runner of numbered migrations.
#ifndef FICUS_MIGRATIONS_DDL_H
#define FICUS_MIGRATIONS_DDL_H

#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg.h"
#include "migrations/entity.h"

// Trigger sets of one entity, one per table of its aggregate; none when others tell of its
// changes (entity_has_changelog). Memory of the arena.
int ddl_triggers(const struct entity *en, const char *group, bool rogue_allowed,
                 const struct dbms *d, struct arena *a, struct dbms_trigger **out, size_t *n,
                 struct err *e) FICUS_MUST_CHECK;
// CREATE TABLE of the entity for the new store (columns, key, checks), as a proposal and to
// be compared with what the numbered SQL made.
void ddl_new_table(const struct entity *en, struct buf *out);
// Statement trigger that guards the new table's writes: ficus.guard('group').
void ddl_new_guard(const struct entity *en, const char *group, struct buf *out);
// Everything that `ficus check --print sql ENTITY` shows.
int ddl_print(const struct entity *en, const char *group, const struct dbms *legacy,
              struct buf *out, struct err *e) FICUS_MUST_CHECK;

// Which group an entity belongs to comes from the route table; NULL: none.
typedef const char *group_of_fn(const void *ctx, const struct entity *en);

// Installs or replaces Ficus' objects and triggers in the legacy store. Idempotent.
int ddl_install_legacy(struct odbc_conn *c, const struct entity_set *set, group_of_fn *group_of,
                       const void *ctx, bool rogue_allowed, struct err *e) FICUS_MUST_CHECK;
int ddl_remove_legacy(struct odbc_conn *c, const struct entity_set *set, group_of_fn *group_of,
                      const void *ctx, struct err *e) FICUS_MUST_CHECK;
// Guards and publication in the new store.
int ddl_install_new(struct pg_conn *c, const struct entity_set *set, group_of_fn *group_of,
                    const void *ctx, struct err *e) FICUS_MUST_CHECK;

// --- numbered SQL ---------------------------------------------------------------------
// NNNN_name.up.sql / NNNN_name.down.sql; each in one transaction; SHA-256 kept; a changed or
// missing applied file is refused by name. Control SQL is embedded (set "control"), the
// new store's comes from a folder (set "crm").
struct migration_state {
    unsigned number;
    char name[128];
    bool applied, changed;
    char applied_at[32];
};
int migrate_up(struct pg_conn *c, const char *set, const char *folder /* NULL: embedded */,
               unsigned *applied, struct err *e) FICUS_MUST_CHECK;
int migrate_down(struct pg_conn *c, const char *set, const char *folder, unsigned *reverted,
                 struct err *e) FICUS_MUST_CHECK; // the newest one only
int migrate_status(struct pg_conn *c, const char *set, const char *folder, struct arena *a,
                   struct migration_state **out, size_t *n, struct err *e) FICUS_MUST_CHECK;

#endif
