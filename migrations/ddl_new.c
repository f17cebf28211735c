// SPDX-License-Identifier: Apache-2.0
// The new store's side of the maps: proposed tables, the guards that check the fence, and the
// publication that capture reads. Tables themselves are made by the numbered SQL. Blocking.
#include "migrations/ddl.h"
#include "migrations/map_int.h"
#include "migrations/type.h"

static void add_type(struct buf *out, const struct field *f)
{
    const struct dbms *d = &dbms_postgres;
    enum column_kind kind = field_column_kind(f, SIDE_NEW);
    switch (kind) {
    case COLUMN_INTEGER: d->column_type(out, kind, f->bits + !f->is_signed, 0); break;
    case COLUMN_DECIMAL:
        if (f->type == TYPE_INTEGER) // of 64 bits without a sign
            d->column_type(out, kind, 20, 0);
        else
            d->column_type(out, kind, f->precision, f->scale);
        break;
    case COLUMN_TIME:
    case COLUMN_TIMESTAMP: d->column_type(out, kind, f->precision, 0); break;
    default: d->column_type(out, kind, f->length, 0); break;
    }
    // Ids compare and sort by bytes, on every machine alike.
    if (f->type == TYPE_ID && kind == COLUMN_TEXT)
        buf_addz(out, " COLLATE \"C\"");
}

static void add_column(struct buf *out, const struct field *f)
{
    const char *column = f->place[SIDE_NEW].column;
    buf_addz(out, "    ");
    dbms_postgres.quote(out, str_of(column));
    buf_addc(out, ' ');
    add_type(out, f);
    buf_addz(out, f->key ? " NOT NULL" : "");
    if (f->sequence)
        buf_printf(out, " DEFAULT nextval('%s')", f->sequence);
    if (field_column_kind(f, SIDE_NEW) == COLUMN_TEXT && f->length > 0) {
        buf_addz(out, " CHECK (char_length(");
        dbms_postgres.quote(out, str_of(column));
        buf_printf(out, ") <= %u)", f->length);
    }
}

void ddl_new_table(const struct entity *en, struct buf *out)
{
    const struct side_map *m = &en->sides[SIDE_NEW];
    if (!m->root)
        return;
    buf_addz(out, "CREATE TABLE ");
    dbms_postgres.quote(out, str_of(m->root));
    buf_addz(out, " (\n");
    for (size_t i = 0; i < en->nfields; i++) {
        if (en->fields[i].place[SIDE_NEW].kind != PLACE_ROOT)
            continue;
        add_column(out, &en->fields[i]);
        buf_addz(out, ",\n");
    }
    buf_addz(out, "    PRIMARY KEY (");
    for (size_t i = 0; i < en->nkeys; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        dbms_postgres.quote(out, str_of(m->key_columns[i]));
    }
    buf_addz(out, ")\n);\n");
}

static void drop_guard(const struct entity *en, struct buf *out)
{
    buf_addz(out, "DROP TRIGGER IF EXISTS ficus_guard ON ");
    dbms_postgres.quote(out, str_of(en->sides[SIDE_NEW].root));
    buf_addz(out, ";\n");
}

void ddl_new_guard(const struct entity *en, const char *group, struct buf *out)
{
    if (!en->sides[SIDE_NEW].root)
        return;
    buf_addz(out, "CREATE TRIGGER ficus_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ");
    dbms_postgres.quote(out, str_of(en->sides[SIDE_NEW].root));
    buf_addz(out, "\n    FOR EACH STATEMENT EXECUTE FUNCTION ficus.guard('");
    for (const char *z = group; *z; z++) {
        if (*z == '\'')
            buf_addc(out, '\'');
        buf_addc(out, *z);
    }
    buf_addz(out, "');\n");
}

static void add_publication(const struct entity_set *set, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < entity_count(set); i++) {
        const struct entity *en = entity_at(set, i);
        if (!en->sides[SIDE_NEW].root)
            continue;
        buf_addz(out, any ? ", " : "ALTER PUBLICATION ficus SET TABLE ");
        dbms_postgres.quote(out, str_of(en->sides[SIDE_NEW].root));
        any = true;
    }
    buf_addz(out, any ? ";\n" : "");
}

// CREATE PUBLICATION has no IF NOT EXISTS.
static const char make_publication[] =
    "DO $$ BEGIN\n"
    "    IF NOT EXISTS (SELECT 1 FROM pg_publication WHERE pubname = 'ficus') THEN\n"
    "        CREATE PUBLICATION ficus;\n"
    "    END IF;\n"
    "END $$;\n";

int ddl_install_new(struct pg_conn *c, const struct entity_set *set, group_of_fn *group_of,
                    const void *ctx, struct err *e)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < entity_count(set); i++) {
        const struct entity *en = entity_at(set, i);
        const char *group = group_of ? group_of(ctx, en) : NULL;
        if (!en->sides[SIDE_NEW].root)
            continue;
        drop_guard(en, &text);
        if (group)
            ddl_new_guard(en, group, &text);
    }
    buf_addz(&text, make_publication);
    add_publication(set, &text);
    int rc = buf_check(&text, e);
    if (rc == 0)
        rc = pg_begin(c, e);
    if (rc == 0) {
        rc = pg_script(c, buf_str(&text), e);
        if (rc == 0)
            rc = pg_commit(c, e);
        else
            pg_rollback(c);
    }
    buf_free(&text);
    return rc < 0 ? err_prefix(e, "guards and publication of the new store") : 0;
}
