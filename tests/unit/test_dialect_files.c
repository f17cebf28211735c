// SPDX-License-Identifier: Apache-2.0
// Everything that sqlserver.c and oracle.c can render, against tests/unit/golden/NAME.sql: neither
// can be run here, so each change of their text is to be looked at. FICUS_GOLDEN_WRITE=1 writes the
// files anew. Each statement is a block: "-- what", its text, an empty line; the integration test
// test_dialect_files.py has a parser read them.
#include "connectors/odbc/dbms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct page {
    struct buf text;
    const char *what;
    unsigned n;
};

static int block(void *ctx, struct str sql, struct err *e)
{
    struct page *p = ctx;
    (void)e;
    buf_printf(&p->text, "-- %s %u\n%.*s\n\n", p->what, ++p->n, (int)sql.len, sql.data);
    return 0;
}

static void add(struct page *p, const char *what, struct str sql)
{
    struct err e = {0};
    p->what = what;
    p->n = 0;
    assert_int_equal(dbms_each_statement(sql, block, p, &e), 0);
}

static void addz(struct page *p, const char *what, const char *sql)
{
    if (sql)
        add(p, what, str_of(sql));
}

// Each text function has its place in one of these.
static void add_selects(struct page *p, const struct dbms *d)
{
    struct buf b = BUF_INIT;
    for (int kind = COLUMN_TEXT; kind <= COLUMN_JSON; kind++) {
        buf_addz(&b, kind == COLUMN_TEXT ? "SELECT " : ", ");
        d->read_column(&b, "t.c", (enum column_kind)kind);
    }
    buf_addz(&b, " FROM ");
    d->quote(&b, STR("crm.accounts"));
    buf_printf(&b, "%st%s ORDER BY ", d->table_alias ? d->table_alias : " AS ",
               d->lock_hint ? d->lock_hint : "");
    d->order_text(&b, "t.a", true, true);
    buf_addz(&b, ", ");
    d->order_text(&b, "t.b", false, false);
    d->page(&b, 20, 40);
    add(p, "page", buf_str(&b));
    for (int nocase = 0; nocase < 2; nocase++) {
        buf_reset(&b);
        for (int op = MATCH_EQ; op <= MATCH_NOT_LIKE; op++) {
            buf_addz(&b, op == MATCH_EQ ? "SELECT 1 FROM accounts WHERE " : " AND ");
            d->match_text(&b, "name", (enum text_match)op, "?", nocase);
        }
        add(p, nocase ? "match without case" : "match", buf_str(&b));
    }
    buf_reset(&b);
    buf_addz(&b, "SELECT ");
    d->join_key(&b, (const char *const[]){"a", "b"}, 2);
    buf_addz(&b, " FROM accounts");
    add(p, "composite key", buf_str(&b));
    buf_free(&b);
}

static void add_types(struct page *p, const struct dbms *d)
{
    struct buf b = BUF_INIT;
    buf_addz(&b, "CREATE TABLE kinds (");
    for (int kind = COLUMN_TEXT; kind <= COLUMN_JSON; kind++) {
        buf_printf(&b, "%sc%d ", kind == COLUMN_TEXT ? "" : ", ", kind);
        d->column_type(&b, (enum column_kind)kind, kind == COLUMN_DECIMAL ? 18 : 6, 2);
    }
    buf_addz(&b, ", whole ");
    d->column_type(&b, COLUMN_TEXT, 0, 0);
    buf_addz(&b, ", big ");
    d->column_type(&b, COLUMN_INTEGER, 64, 0);
    buf_addc(&b, ')');
    add(p, "types", buf_str(&b));
    buf_free(&b);
}

static void add_upserts(struct page *p, const struct dbms *d)
{
    static const char *const columns[] = {"a", "b", "text", "bytes", "seen", "price"};
    static const enum column_kind kinds[] = {COLUMN_TEXT,  COLUMN_INTEGER,   COLUMN_TEXT,
                                             COLUMN_BYTES, COLUMN_TIMESTAMP, COLUMN_DECIMAL};
    struct dbms_upsert u = {"links", columns, kinds, 6, columns, 2};
    struct buf b = BUF_INIT;
    d->upsert(&b, &u);
    add(p, "upsert", buf_str(&b));
    u.ncolumns = 2; // nothing but its key
    buf_reset(&b);
    d->upsert(&b, &u);
    add(p, "upsert of a key", buf_str(&b));
    buf_free(&b);
}

static void add_triggers(struct page *p, const struct dbms *d)
{
    static const struct dbms_trigger triggers[] = {
        {.table = "accounts", .entity = "account", .group = "o'crm", .key_expr = "%R.id"},
        {.table = "rel",
         .entity = "account",
         .key_expr = "%R.bean_id",
         .when_expr = "%R.bean_module = 'Accounts'",
         .group = "crm",
         .rogue_allowed = true,
         .ordinal = 1},
        {.table = "addresses",
         .entity = "account",
         .group = "crm",
         .rogue_allowed = true,
         .key_is_select = true,
         .ordinal = 2,
         .key_expr = "SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = %R.id"},
        {.table = "users", .entity = "user", .key_expr = "%R.id"},
    };
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < sizeof triggers / sizeof triggers[0]; i++) {
        char what[32];
        buf_reset(&b);
        snprintf(what, sizeof what, "trigger of %s", triggers[i].table);
        d->trigger_ddl(&b, &triggers[i]);
        add(p, what, buf_str(&b));
    }
    buf_reset(&b);
    d->trigger_drop(&b, &triggers[0]);
    add(p, "drop of triggers", buf_str(&b));
    buf_reset(&b);
    buf_addz(&b, d->trigger_drop_head);
    d->quote(&b, STR("ficus_account_0_i"));
    buf_addz(&b, d->trigger_drop_tail);
    add(p, "drop of a trigger by its name", buf_str(&b));
    buf_free(&b);
}

static void add_marks(struct page *p, const struct dbms *d)
{
    struct buf b = BUF_INIT;
    d->set_marks(&b, &(struct dbms_marks){.origin = "o'rigin", .epoch = -1});
    add(p, "marks of an applier", buf_str(&b));
    buf_reset(&b);
    d->set_marks(&b, &(struct dbms_marks){.epoch = 7, .write_id = "w1"});
    add(p, "marks of a facade", buf_str(&b));
    buf_free(&b);
    addz(p, "marks cleared", d->clear_marks);
}

static void add_texts(struct page *p, const struct dbms *d)
{
    const struct {
        const char *what, *sql;
    } rows[] = {
        {"session", d->session_sql},
        {"transaction", d->begin_write},
        {"trigger names", d->trigger_names_sql},
        {"fence seal", d->fence_seal_sql},
        {"fence open", d->fence_open_sql},
        {"fence read", d->fence_read_sql},
        {"fence hold", d->fence_hold_sql},
        {"fence openings", d->fence_openings_sql},
        {"fence init", d->fence_init_sql},
        {"session id", d->session_id_sql},
        {"changelog read", d->changelog_read_sql},
        {"changelog max", d->changelog_max_sql},
        {"changelog trim", d->changelog_trim_sql},
        {"changelog marker", d->changelog_marker_sql},
        {"columns", d->columns_sql},
        {"indexes", d->indexes_sql},
        {"now", d->now_us_sql},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        addz(p, rows[i].what, rows[i].sql);
    struct buf b = BUF_INIT;
    if (d->lock_timeout_fmt) {
        buf_printf(&b, d->lock_timeout_fmt, 5U);
        add(p, "lock timeout", buf_str(&b));
    }
    buf_reset(&b);
    if (d->holders_fmt) {
        buf_printf(&b, d->holders_fmt, 51LL);
        add(p, "holders", buf_str(&b));
        buf_reset(&b);
        buf_printf(&b, d->end_session_fmt, 51LL);
        add(p, "end of a session", buf_str(&b));
    }
    buf_free(&b);
}

static void render(struct page *p, const struct dbms *d)
{
    struct buf b = BUF_INIT;
    buf_printf(&p->text,
               "-- SPDX-License-Identifier: Apache-2.0\n"
               "-- Rendered by tests/unit/test_dialect_files.c; never run on a server.\n\n");
    d->objects_ddl(&b);
    add(p, "objects", buf_str(&b));
    buf_reset(&b);
    d->objects_drop(&b);
    add(p, "drop of objects", buf_str(&b));
    buf_free(&b);
    add_triggers(p, d);
    add_marks(p, d);
    add_texts(p, d);
    add_selects(p, d);
    add_types(p, d);
    add_upserts(p, d);
    assert_false(p->text.failed);
}

static void compare(const struct dbms *d)
{
    struct page p = {.text = BUF_INIT};
    char path[64];
    snprintf(path, sizeof path, "tests/unit/golden/%s.sql", d->name);
    render(&p, d);
    const char *anew = getenv("FICUS_GOLDEN_WRITE");
    FILE *f = fopen(path, anew ? "w" : "r");
    if (!f)
        fail_msg("%s cannot be opened", path);
    if (anew) {
        fwrite(p.text.data, 1, p.text.len, f);
    } else {
        char *was = malloc(p.text.len + 1);
        assert_non_null(was);
        size_t n = fread(was, 1, p.text.len + 1, f);
        size_t same = 0;
        while (same < n && same < p.text.len && was[same] == p.text.data[same])
            same++;
        if (n != p.text.len || same != n)
            fail_msg("%s differs from byte %zu on; rendered: %.200s", path, same,
                     p.text.data + same);
        free(was);
    }
    fclose(f);
    buf_free(&p.text);
}

static void sql_server_renders_as_it_was_reviewed(void **state)
{
    (void)state;
    compare(&dbms_sqlserver);
}

static void oracle_renders_as_it_was_reviewed(void **state)
{
    (void)state;
    compare(&dbms_oracle);
}

// Nobody is to believe that it runs: every untried DBMS says so, and no other.
static void the_untested_say_so(void **state)
{
    (void)state;
    for (unsigned i = 0; dbms_at(i); i++) {
        const struct dbms *d = dbms_at(i);
        assert_int_equal(d->index, i);
        assert_int_equal(d->untested != NULL, d == &dbms_sqlserver || d == &dbms_oracle);
    }
    assert_null(dbms_oracle.changelog_read_sql); // `ficus sync` refuses
    assert_null(dbms_oracle.begin_write);        // and so does a write
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sql_server_renders_as_it_was_reviewed),
        cmocka_unit_test(oracle_renders_as_it_was_reviewed),
        cmocka_unit_test(the_untested_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
