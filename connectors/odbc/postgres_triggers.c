// SPDX-License-Identifier: Apache-2.0
// Changelog triggers of a PostgreSQL legacy: two for each table of an aggregate, with a function
// each of the same name. ficus_<entity>_<n>_r fires after each row, ficus_<entity>_<n>_t before a
// TRUNCATE, where the keys that go can still be read. Owns text only. Thread: any.
//
// The functions run as whoever installed them, on the schemas that were in force then: the
// application needs no right on Ficus' tables. Triggers are ENABLE ALWAYS, so that a session that
// sets session_replication_role is seen too. A trigger is made only where it is missing: making
// one waits for the table's writers, replacing its function does not.
//
// The fence: the group's advisory lock, shared, until commit; then the row as it is now. At READ
// COMMITTED a VOLATILE function reads it with a snapshot taken after the lock; elsewhere only a
// locking read notices that it has changed (40001).
#include "connectors/odbc/postgres_int.h"

#define LOCK_ID "hashtext('ficus.fence'), hashtext("

const char postgres_fence_lock[] =
    "CREATE OR REPLACE FUNCTION ficus_fence_lock(g text) RETURNS text LANGUAGE plpgsql VOLATILE"
    " AS $ficus$\nBEGIN\n  PERFORM pg_advisory_xact_lock(" LOCK_ID "g));\n  RETURN g;\n"
    "END $ficus$";

static void add_fence(struct buf *out, const struct dbms_trigger *t, const char *indent)
{
    struct buf group = BUF_INIT;
    dbms_literal(&group, t->group);
    const char *g = group.failed ? "NULL" : group.data;
    buf_printf(out, "%sPERFORM pg_advisory_xact_lock_shared(" LOCK_ID "%s));\n", indent, g);
    buf_printf(out, "%sIF current_setting('transaction_isolation') = 'read committed' THEN\n",
               indent);
    buf_printf(out, "%s  SELECT writable, epoch INTO w, x FROM ficus_fence WHERE grp = %s;\n",
               indent, g);
    buf_printf(out, "%sELSE\n", indent);
    buf_printf(out,
               "%s  SELECT writable, epoch INTO w, x FROM ficus_fence WHERE grp = %s FOR SHARE;\n",
               indent, g);
    buf_printf(out, "%sEND IF;\n%sIF w IS DISTINCT FROM 1 OR mine <> x THEN\n", indent, indent);
    if (t->rogue_allowed)
        buf_printf(out, "%s  IF mine IS NULL THEN rogue := true; ELSE\n", indent);
    buf_printf(out,
               "%s  RAISE EXCEPTION 'ficus: fence: group %% is owned by the other side', %s"
               " USING ERRCODE = 'FC001';\n",
               indent, g);
    if (t->rogue_allowed)
        buf_printf(out, "%s  END IF;\n", indent);
    buf_printf(out, "%sEND IF;\n", indent);
    buf_free(&group);
}

static void add_log(struct buf *out, const struct dbms_trigger *t, const char *key, const char *op,
                    const char *indent)
{
    buf_printf(out, "%sINSERT INTO ficus_changelog (entity, k, write_id) VALUES (", indent);
    dbms_literal(out, t->entity);
    buf_printf(out, ", %s, write_id);\n", key);
    if (!t->group || !t->rogue_allowed)
        return;
    buf_printf(out, "%sIF rogue THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES (",
               indent);
    dbms_literal(out, t->entity);
    buf_addz(out, ", ");
    dbms_literal(out, t->group);
    buf_printf(out, ", %s, %s); END IF;\n", key, op);
}

#define ROW_OP "lower(left(TG_OP, 1))"

// One loop over the keys that a row leads to. A key may be logged twice; capture reads it once.
static void add_each_key(struct buf *out, const struct dbms_trigger *t, const char *row)
{
    buf_addz(out, "    FOR ks IN ");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, " LOOP\n      IF ks IS NOT NULL THEN\n");
    if (t->group)
        add_fence(out, t, "        ");
    add_log(out, t, "ks", ROW_OP, "        ");
    buf_addz(out, "      END IF;\n    END LOOP;\n");
}

// The key of one row into ks; NULL: the row does not matter.
static void add_key(struct buf *out, const struct dbms_trigger *t, const char *row)
{
    buf_addz(out, "    ks := CASE WHEN ");
    if (t->when_expr) {
        buf_addc(out, '(');
        dbms_add_row(out, t->when_expr, row);
        buf_addc(out, ')');
    } else {
        buf_addz(out, "true");
    }
    buf_addz(out, " THEN ");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, " END;\n    IF ks IS NOT NULL AND ks IS DISTINCT FROM logged THEN\n");
    if (t->group)
        add_fence(out, t, "      ");
    add_log(out, t, "ks", ROW_OP, "      ");
    buf_addz(out, "      logged := ks;\n    END IF;\n");
}

static void begin_function(struct buf *out, const struct dbms_trigger *t, char op)
{
    buf_addz(out, "CREATE OR REPLACE FUNCTION ");
    dbms_trigger_name(out, t, op);
    buf_addz(out, "() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER"
                  " SET search_path FROM CURRENT AS $ficus$\nDECLARE\n");
    if (t->group)
        buf_addz(out, "  w smallint; x bigint; rogue boolean := false;\n"
                      "  mine bigint := nullif(current_setting('ficus.epoch', true), '');\n");
    buf_addz(out, "  write_id text := nullif(current_setting('ficus.write_id', true), '');\n"
                  "  ks text; logged text;\nBEGIN\n"
                  "  IF coalesce(current_setting('ficus.origin', true), '') <> '' THEN\n"
                  "    RETURN NULL;\n  END IF;\n");
}

static void row_function(struct buf *out, const struct dbms_trigger *t)
{
    static const char *const rows[] = {"NEW", "OLD"}, *const without[] = {"DELETE", "INSERT"};
    begin_function(out, t, 'r');
    for (size_t i = 0; i < 2; i++) {
        buf_printf(out, "  IF TG_OP <> '%s' THEN\n", without[i]);
        if (t->key_is_select)
            add_each_key(out, t, rows[i]);
        else
            add_key(out, t, rows[i]);
        buf_addz(out, "  END IF;\n");
    }
    buf_addz(out, "  RETURN NULL;\nEND $ficus$" DBMS_NEXT);
}

// Every key that a row of the table leads to, one by one.
static void truncate_function(struct buf *out, const struct dbms_trigger *t)
{
    begin_function(out, t, 't');
    if (t->group)
        add_fence(out, t, "  ");
    buf_addz(out, "  FOR ks IN SELECT ");
    if (t->key_is_select) {
        buf_addz(out, "s.k::text FROM ");
        postgres_quote(out, str_of(t->table));
        buf_addz(out, " gone CROSS JOIN LATERAL (");
        dbms_add_row(out, t->key_expr, "gone");
        buf_addz(out, ") s");
    } else {
        dbms_add_row(out, t->key_expr, "gone");
        buf_addz(out, " FROM ");
        postgres_quote(out, str_of(t->table));
        buf_addz(out, " gone");
        if (t->when_expr) {
            buf_addz(out, " WHERE ");
            dbms_add_row(out, t->when_expr, "gone");
        }
    }
    buf_addz(out, " LOOP\n    IF ks IS NOT NULL THEN\n");
    add_log(out, t, "ks", "'t'", "      ");
    buf_addz(out, "    END IF;\n  END LOOP;\n  RETURN NULL;\nEND $ficus$" DBMS_NEXT);
}

static void make_trigger(struct buf *out, const struct dbms_trigger *t, char op)
{
    struct buf table = BUF_INIT, name = BUF_INIT;
    postgres_quote(&table, str_of(t->table));
    dbms_trigger_name(&name, t, op);
    const char *tz = table.failed ? "" : table.data, *nz = name.failed ? "" : name.data;
    buf_addz(out, "DO $ficus$ BEGIN\n  IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = ");
    dbms_literal(out, tz);
    buf_addz(out, "::regclass AND tgname = ");
    dbms_literal(out, nz);
    buf_printf(out, " AND tgenabled = 'A') THEN\n    DROP TRIGGER IF EXISTS %s ON %s;\n", nz, tz);
    buf_printf(out, "    CREATE TRIGGER %s %s ON %s FOR EACH %s EXECUTE PROCEDURE %s();\n", nz,
               op == 'r' ? "AFTER INSERT OR UPDATE OR DELETE" : "BEFORE TRUNCATE", tz,
               op == 'r' ? "ROW" : "STATEMENT", nz);
    buf_printf(out, "    ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;\n  END IF;\nEND $ficus$", tz, nz);
    buf_free(&table);
    buf_free(&name);
}

void postgres_trigger_ddl(struct buf *out, const struct dbms_trigger *t)
{
    row_function(out, t);
    make_trigger(out, t, 'r');
    buf_addz(out, DBMS_NEXT);
    truncate_function(out, t);
    make_trigger(out, t, 't');
}

void postgres_trigger_drop(struct buf *out, const struct dbms_trigger *t)
{
    for (const char *op = "rt"; *op; op++) {
        buf_addz(out,
                 *op == 'r' ? "DROP FUNCTION IF EXISTS " : DBMS_NEXT "DROP FUNCTION IF EXISTS ");
        dbms_trigger_name(out, t, *op);
        buf_addz(out, "() CASCADE");
    }
}
