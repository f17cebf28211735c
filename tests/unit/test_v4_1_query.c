// SPDX-License-Identifier: Apache-2.0
// The `query` and `order_by` of the v4_1 dialect: what is understood, and what is refused.
#include "facade/dialect/v4_1_int.h"
#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

static struct entity_set *set;
static struct dialect_mount *mount;

static int setup(void **state)
{
    static const struct dialect_env none;
    struct dialect_env env = none;
    struct problems p = {0};
    struct err e;

    (void)state;
    set = map_load("migrations/maps/suitecrm", &p);
    assert_non_null(set);
    env.entities = set;
    mount = dialect_v4_1.mount(&env, &(struct mount){0}, &e);
    assert_non_null(mount);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dialect_v4_1.unmount(mount);
    map_destroy(set);
    return 0;
}

// A filter as text: (name = 'x') AND ..
static void show(struct buf *out, const struct filter *f)
{
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">=", "LIKE", "NOT LIKE"};

    switch (f->kind) {
    case FILTER_AND:
    case FILTER_OR:
        buf_addc(out, '(');
        for (size_t i = 0; i < f->nchildren; i++) {
            if (i > 0)
                buf_addz(out, f->kind == FILTER_AND ? " AND " : " OR ");
            show(out, f->children[i]);
        }
        buf_addc(out, ')');
        return;
    case FILTER_NOT:
        buf_addz(out, "NOT ");
        show(out, f->children[0]);
        return;
    case FILTER_COMPARE:
        buf_printf(out, "%s %s '%.*s'", f->field->name, ops[f->op], (int)f->values[0].len,
                   f->values[0].data);
        return;
    case FILTER_IS_NULL:
        buf_printf(out, "%s IS %sNULL", f->field->name, f->negated ? "NOT " : "");
        return;
    case FILTER_IN:
    case FILTER_BETWEEN:
        buf_printf(out, "%s %s%s", f->field->name, f->negated ? "NOT " : "",
                   f->kind == FILTER_IN ? "IN" : "BETWEEN");
        for (size_t i = 0; i < f->nvalues; i++)
            buf_printf(out, " '%.*s'", (int)f->values[i].len, f->values[i].data);
        return;
    case FILTER_LINKED: buf_addz(out, "LINKED"); return;
    }
}

#define EMAILS(where)                                                               \
    "accounts.id in (select eabr.bean_id from email_addr_bean_rel eabr INNER JOIN " \
    "email_addresses ea on eabr.email_address_id = ea.id where " where ")"

static const struct {
    const char *module, *query, *out;
} known[] = {
    {"Accounts", "", NULL},
    {"Accounts", " \n ", NULL},
    {"Accounts", "accounts.name = 'x'", "name = 'x'"},
    {"Accounts", "name='x'", "name = 'x'"},
    {"Accounts", "`accounts`.`name` = \"x\"", "name = 'x'"},
    {"Accounts", "NAME <> 'O''Neil'", "name <> 'O'Neil'"},
    {"Accounts", "name != 'O\\'Neil\\\\'", "name <> 'O'Neil\\'"},
    {"Accounts", "accounts.name LIKE '10\\%\\_%'", "name LIKE '10\\%\\_%'"},
    {"Accounts", "accounts.name like 'a\\\\'", "name LIKE 'a\\\\'"},
    {"Accounts", "accounts.name NOT LIKE '%x%'", "name NOT LIKE '%x%'"},
    {"Accounts", "upper(accounts.name) = upper('x')", "name = 'x'"},
    {"Accounts", "name = 'a' AND industry = 'b' OR website IS NULL",
     "((name = 'a' AND industry = 'b') OR website IS NULL)"},
    {"Accounts", "name = 'a' AND (industry = 'b' OR website IS NOT NULL)",
     "(name = 'a' AND (industry = 'b' OR website IS NOT NULL))"},
    {"Accounts", "NOT (name = 'a')", "NOT name = 'a'"},
    {"Accounts", "accounts.name IN ('a', 'b')", "name IN 'a' 'b'"},
    {"Accounts", "name not in ('a')", "name NOT IN 'a'"},
    {"Accounts", "name between 'a' and 'b' and deleted = 0",
     "(name BETWEEN 'a' 'b' AND deleted = 'false')"},
    {"Accounts", "name not between 'a' and 'b'", "name NOT BETWEEN 'a' 'b'"},
    {"Accounts", "accounts_cstm.customer_tier_c = 'gold'", "customer_tier_c = 'gold'"},
    {"Accounts", "accounts_cstm.id_c = '1'", "id = '1'"},
    {"Accounts", "customer_tier_c = 'gold'", "customer_tier_c = 'gold'"},
    {"Accounts", "credit_limit_c >= 1000", "credit_limit_c >= '1000.000000'"},
    {"Accounts", "credit_limit_c < -1.5", "credit_limit_c < '-1.500000'"},
    {"Accounts", "date_entered > '2024-01-31'", "date_entered > '2024-01-31 00:00:00'"},
    {"Accounts", "date_entered > '2024-1-3 4:05:06'", "date_entered > '2024-01-03 04:05:06'"},
    {"Accounts", "date_modified LIKE '2024-%'", "date_modified LIKE '2024-%'"},
    {"Accounts", "deleted = '1'", "deleted = 'true'"},
    {"Accounts", "deleted = false", "deleted = 'false'"},
    {"Accounts", "phone_office = 555", "phone_office = '555'"},
    {"Contacts", "contacts.birthdate = '1970-2-8 00:00:00'", "birthdate = '1970-02-08'"},
    {"Cases", "case_number > 7", "case_number > '7'"},
    {"Opportunities", "amount = 1e3", "amount = '1000.000000'"},
    {"Accounts", EMAILS("eabr.bean_module = 'Accounts' and ea.email_address LIKE '%x%'"),
     "email1 LIKE '%x%'"},
    {"Accounts",
     EMAILS("ea.email_address = 'a@b.c' AND eabr.deleted=0 AND eabr.bean_module='Accounts'"),
     "email1 = 'a@b.c'"},
    {"Accounts", EMAILS("ea.email_address LIKE '%x%'"), "email1 LIKE '%x%'"},
    {"Accounts", EMAILS("eabr.primary_address = '1' and email_address_caps LIKE 'X%'"),
     "email1 LIKE 'X%'"},
    {"Accounts", EMAILS("ea.email_address in ('a@b.c', 'd@e.f') and ea.deleted = '0'"),
     "email1 IN 'a@b.c' 'd@e.f'"},
    {"Contacts",
     "contacts.id IN ( SELECT bean_id FROM email_addr_bean_rel AS r LEFT OUTER JOIN "
     "email_addresses AS a ON (a.id = r.email_address_id) WHERE bean_module = 'Contacts' AND "
     "a.email_address_caps = 'A@B.C' AND r.deleted=0 )",
     "email1 = 'A@B.C'"},
    {"Leads",
     "leads.id in (select eabr.bean_id from email_addr_bean_rel eabr, email_addresses ea where "
     "ea.id = eabr.email_address_id and ea.email_address = 'a@b.c' and eabr.bean_module = 'Leads')",
     "email1 = 'a@b.c'"},
    {"Leads",
     "id in (select email_addr_bean_rel.bean_id from email_addr_bean_rel join email_addresses on "
     "email_addr_bean_rel.email_address_id = email_addresses.id where email_address = 'a@b.c')",
     "email1 = 'a@b.c'"},
};

static const struct {
    const char *module, *query;
} refused[] = {
    {"Accounts", "sleep(1)=0"},
    {"Accounts", "name = 'x' OR 1=1"},
    {"Accounts", "1=1"},
    {"Accounts", "name = 'x'; drop table accounts"},
    {"Accounts", "name = 'x' -- "},
    {"Accounts", "name = 'x' /* */"},
    {"Accounts", "name = 'x' #"},
    {"Accounts", "name = 'x' UNION SELECT 1"},
    {"Accounts", "nosuch = 'x'"},
    {"Accounts", "contacts.name = 'x'"},
    {"Accounts", "name = industry"},
    {"Accounts", "'x' = name"},
    {"Accounts", "name"},
    {"Accounts", "name ="},
    {"Accounts", "name = 'x"},
    {"Accounts", "name = 'x\\"},
    {"Accounts", "name = 'a\\0'"},
    {"Accounts", "(name = 'x'"},
    {"Accounts", "name = 'x')"},
    {"Accounts", "name = 'x' name = 'y'"},
    {"Accounts", "name in ()"},
    {"Accounts", "name in (select id from accounts)"},
    {"Accounts", "id not in (select 1)"},
    {"Accounts", "name = NULL"},
    {"Accounts", "name = 0x41"},
    {"Accounts", "deleted = 'abc'"},
    {"Accounts", "date_entered > 'yesterday'"},
    {"Accounts", "date_entered > '2024-13-01'"},
    {"Accounts", "annual_revenue > 1000"},
    {"Accounts", "name = '\xff'"},
    {"Contacts", "birthdate = '1970-02-08 01:00:00'"},
    {"Contacts", "account_name = 'x'"},
    {"Users", "user_hash like '$1$%'"},
    {"Users", "users.user_hash IS NOT NULL"},
    {"Accounts", EMAILS("sleep(1)=0 and ea.email_address LIKE '%x%'")},
    {"Accounts", EMAILS("ea.email_address = ea.email_address")},
    {"Accounts", EMAILS("ea.email_address in (select user_hash from users)")},
    {"Accounts", EMAILS("ea.email_address = 'x' and deleted = 0")}, // of which table?
    {"Accounts", EMAILS("ea.email_address = 'x' and ea.deleted = 1")},
    {"Accounts", EMAILS("ea.email_address = 'x' and eabr.primary_address = 0")},
    {"Accounts", EMAILS("ea.email_address = 'x' union select user_hash from users")},
    {"Accounts", EMAILS("ea.email_address = 'x' and ea.email_address_caps = 'X'")},
    {"Accounts", "id in (select r.bean_id from email_addr_bean_rel r, email_addresses a where "
                 "a.email_address = 'x')"}, // not joined
    {"Accounts", "id in (select r.bean_id from users r join email_addresses a on "
                 "r.email_address_id = a.id where a.email_address = 'x')"},
    {"Accounts", "id in (select user_hash from email_addr_bean_rel r join email_addresses a on "
                 "r.email_address_id = a.id where a.email_address = 'x')"},
    {"Accounts", EMAILS("eabr.bean_module = 'Contacts' and ea.email_address LIKE '%x%'")},
    {"Accounts", EMAILS("eabr.bean_module = 'Accounts'")},
    {"Accounts", EMAILS("eabr.bean_module = 'Accounts' and ea.email_address LIKE '%x%' or 1=1")},
    {"Accounts", EMAILS("eabr.bean_module = 'Accounts' and ea.id = 'x'")},
    {"Cases", "cases.id in (select eabr.bean_id from email_addr_bean_rel eabr INNER JOIN "
              "email_addresses ea on eabr.email_address_id = ea.id where eabr.bean_module = "
              "'Cases' and ea.email_address LIKE '%x%')"},
};

static void queries_become_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct arena *a = arena_create(0);
        struct filter *f;
        struct buf out = BUF_INIT;
        struct err e;
        if (v4_1_query(v4_1_module(mount, str_of(known[i].module)), str_of(known[i].query), a, &f,
                       &e) < 0)
            fail_msg("%s: %s", known[i].query, e.msg);
        if (!known[i].out) {
            assert_null(f);
        } else {
            assert_non_null(f);
            show(&out, f);
            assert_string_equal(out.data, known[i].out);
        }
        buf_free(&out);
        arena_destroy(a);
    }
}

static void the_rest_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct arena *a = arena_create(0);
        struct filter *f;
        struct err e;
        if (v4_1_query(v4_1_module(mount, str_of(refused[i].module)), str_of(refused[i].query), a,
                       &f, &e) == 0)
            fail_msg("accepted: %s", refused[i].query);
        assert_int_equal(e.code, ERR_INVALID);
        arena_destroy(a);
    }
}

static int parse_repeated(const char *head, const char *part, size_t n, const char *tail)
{
    struct arena *a = arena_create(0);
    struct buf text = BUF_INIT;
    struct filter *f;
    struct err e;

    buf_addz(&text, head);
    while (n-- > 0)
        buf_addz(&text, part);
    buf_addz(&text, tail);
    int rc = v4_1_query(v4_1_module(mount, STR("Accounts")), buf_str(&text), a, &f, &e);
    buf_free(&text);
    arena_destroy(a);
    return rc;
}

static void size_and_depth_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("", "(", 20, "name='x'))))))))))))))))))))"), 0);
    assert_int_equal(parse_repeated("", "(", 5000, "name='x'"), -1);
    assert_int_equal(parse_repeated("", "NOT ", 3000, "name='x'"), -1);
    assert_int_equal(parse_repeated("", "upper(", 2000, "name='x'"), -1);
    assert_int_equal(parse_repeated("name=''", " OR name=''", 400, ""), 0);
    assert_int_equal(parse_repeated("name=''", " OR name=''", 600, ""), -1);
    assert_int_equal(parse_repeated("name in (''", ",''", 900, ")"), 0);
    assert_int_equal(parse_repeated("name in (''", ",''", 1100, ")"), -1);
    assert_int_equal(parse_repeated("name = '", "x", 16000, "'"), 0);
    assert_int_equal(parse_repeated("name = '", "x", 17000, "'"), -1);
}

static void order_by_takes_bare_names(void **state)
{
    static const struct {
        const char *module, *text, *out;
    } rows[] = {
        {"Leads", "", ""},
        {"Leads", "last_name DESC", "last_name desc;"},
        {"Leads", "last_name", "last_name;"},
        {"Leads", "last_name asc, date_entered DESC", "last_name;date_entered desc;"},
        {"Leads", "leads.last_name DESC", ""},
        {"Leads", "nosuch", ""},
        {"Leads", "sleep(1), status", "status;"},
        {"Leads", "last_name DESC LIMIT 1", ""},
        {"Leads", "name", "last_name;"},
        {"Leads", ",,", ""},
    };
    struct arena *a = arena_create(0);
    struct order *o;
    struct err e;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_INIT;
        assert_int_equal(v4_1_order(v4_1_module(mount, str_of(rows[i].module)),
                                    str_of(rows[i].text), a, &o, &n, &e),
                         0);
        buf_addz(&out, "");
        for (size_t k = 0; k < n; k++)
            buf_printf(&out, "%s%s;", o[k].field->name, o[k].desc ? " desc" : "");
        assert_string_equal(out.data, rows[i].out);
        buf_free(&out);
    }
    const struct v4_1_module *users = v4_1_module(mount, STR("Users"));
    assert_int_equal(v4_1_order(users, STR(" "), a, &o, &n, &e), -1);
    assert_int_equal(v4_1_order(users, STR("user_hash"), a, &o, &n, &e), -1);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_become_filters),
        cmocka_unit_test(the_rest_is_refused),
        cmocka_unit_test(size_and_depth_are_bounded),
        cmocka_unit_test(order_by_takes_bare_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
