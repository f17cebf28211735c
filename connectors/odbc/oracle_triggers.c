// SPDX-License-Identifier: Apache-2.0
// Changelog triggers of an Oracle legacy, one after each row, and the package that they call: it
// keeps the session's marks and checks the fence. Never run. Owns text only. Thread: any.
//
// The fence: a shared lock on ficus_fence as a whole, held until commit (Oracle has no shared lock of
// a row; FOR UPDATE would let one writer through at a time); the UPDATE that seals waits for it. The
// row is then read in an autonomous transaction, which sees what is committed now, whatever the
// isolation level of the writer.
//
// A trigger may not read the table that it fires for: a map whose path comes to one table twice
// fails there with ORA-04091.
#include "connectors/odbc/oracle_int.h"

const char oracle_session_package[] =
    "CREATE OR REPLACE PACKAGE ficus_session AS\n"
    "  origin varchar2(128);\n"
    "  epoch number(19);\n"
    "  write_id varchar2(36);\n"
    "  FUNCTION rogue(g IN varchar2, allowed IN boolean) RETURN boolean;\n"
    "END;" DBMS_NEXT "CREATE OR REPLACE PACKAGE BODY ficus_session AS\n"
    "  PROCEDURE fence(g IN varchar2, w OUT number, x OUT number) IS\n"
    "    PRAGMA AUTONOMOUS_TRANSACTION;\n"
    "  BEGIN\n"
    "    SELECT MAX(f.writable), MAX(f.epoch) INTO w, x FROM ficus_fence f WHERE f.grp = g;\n"
    "    COMMIT;\n"
    "  END;\n"
    "  FUNCTION rogue(g IN varchar2, allowed IN boolean) RETURN boolean IS\n"
    "    w number;\n"
    "    x number;\n"
    "  BEGIN\n"
    "    LOCK TABLE ficus_fence IN SHARE MODE;\n"
    "    fence(g, w, x);\n"
    "    IF w = 1 AND (epoch IS NULL OR epoch = x) THEN RETURN FALSE; END IF;\n"
    "    IF allowed AND epoch IS NULL THEN RETURN TRUE; END IF;\n"
    "    RAISE_APPLICATION_ERROR(-20900, 'ficus: fence: group ' || g ||"
    " ' is owned by the other side');\n"
    "  END;\n"
    "END;";

static void add_log(struct buf *out, const struct dbms_trigger *t, const char *key, char op,
                    const char *indent)
{
    if (t->group) {
        buf_printf(out, "%sr := ficus_session.rogue(", indent);
        dbms_literal(out, t->group);
        buf_printf(out, ", %s);\n", t->rogue_allowed ? "TRUE" : "FALSE");
    }
    buf_printf(out, "%sINSERT INTO ficus_changelog (entity, k, write_id) VALUES (", indent);
    dbms_literal(out, t->entity);
    buf_printf(out, ", %s, ficus_session.write_id);\n", key);
    if (!t->group || !t->rogue_allowed)
        return;
    buf_printf(out, "%sIF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES (", indent);
    dbms_literal(out, t->entity);
    buf_addz(out, ", ");
    dbms_literal(out, t->group);
    buf_printf(out, ", %s, '%c'); END IF;\n", key, op);
}

// A key may be logged twice; it is read once.
static void add_each_key(struct buf *out, const struct dbms_trigger *t, const char *row, char op)
{
    buf_addz(out, "  FOR q IN (");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, ") LOOP\n    IF q.k IS NOT NULL THEN\n");
    add_log(out, t, "q.k", op, "      ");
    buf_addz(out, "    END IF;\n  END LOOP;\n");
}

// ks is NULL where the row does not matter.
static void add_key(struct buf *out, const struct dbms_trigger *t, const char *row, char op)
{
    buf_addz(out, "  ks := ");
    if (t->when_expr) {
        buf_addz(out, "CASE WHEN ");
        dbms_add_row(out, t->when_expr, row);
        buf_addz(out, " THEN ");
    }
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, t->when_expr ? " END;\n" : ";\n");
    buf_addz(out, "  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN\n");
    add_log(out, t, "ks", op, "    ");
    buf_addz(out, "    logged := ks;\n  END IF;\n");
}

static void trigger_one(struct buf *out, const struct dbms_trigger *t, char op)
{
    const char *event = op == 'i' ? "INSERT" : op == 'u' ? "UPDATE" : "DELETE";
    static const char *const rows[] = {":NEW", ":OLD"};
    buf_addz(out, "CREATE OR REPLACE TRIGGER ");
    dbms_trigger_name(out, t, op);
    buf_printf(out, " AFTER %s ON ", event);
    oracle_quote(out, str_of(t->table));
    buf_addz(out, " FOR EACH ROW\nDECLARE\n");
    buf_addz(out, t->key_is_select ? "" : "  ks varchar2(2048);\n  logged varchar2(2048);\n");
    buf_addz(out, t->group ? "  r boolean;\n" : "");
    buf_addz(out, "BEGIN\n  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;\n");
    for (size_t i = 0; i < 2; i++) {
        if ((i == 0 && op == 'd') || (i == 1 && op == 'i'))
            continue;
        if (t->key_is_select)
            add_each_key(out, t, rows[i], op);
        else
            add_key(out, t, rows[i], op);
    }
    buf_addz(out, "END;");
}

void oracle_trigger_ddl(struct buf *out, const struct dbms_trigger *t)
{
    for (const char *op = "iud"; *op; op++) {
        buf_addz(out, *op == 'i' ? "" : DBMS_NEXT);
        trigger_one(out, t, *op);
    }
}

void oracle_trigger_drop(struct buf *out, const struct dbms_trigger *t)
{
    for (const char *op = "iud"; *op; op++) {
        buf_addz(out, *op == 'i' ? "DROP TRIGGER " : DBMS_NEXT "DROP TRIGGER ");
        dbms_trigger_name(out, t, *op);
    }
}

void oracle_set_marks(struct buf *out, const struct dbms_marks *m)
{
    buf_addz(out, "BEGIN ficus_session.origin := ");
    dbms_literal(out, m->origin);
    if (m->epoch >= 0)
        buf_printf(out, "; ficus_session.epoch := %lld", m->epoch);
    else
        buf_addz(out, "; ficus_session.epoch := NULL");
    buf_addz(out, "; ficus_session.write_id := ");
    dbms_literal(out, m->write_id);
    buf_addz(out, "; END;");
}
