// SPDX-License-Identifier: Apache-2.0
// The SQL made from the shipped maps, run on real stores (see store_fixture.h): every test runs
// on the legacy side and, where there is one, on the new side.
#include "tests/unit/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

#define BOTH(name)                                \
    static void name(void **state)                \
    {                                             \
        (void)state;                              \
        for (int side = 0; side < 2; side++) {    \
            struct store s;                       \
            if (!store_open(&s, (enum side)side)) \
                continue;                         \
            name##_on(&s);                        \
            store_close(&s);                      \
        }                                         \
    }

static void a_row_is_created_read_and_changed_on(struct store *s)
{
    store_write(s, "account", WRITE_CREATE, "a1", "name", "O'Neil & Söhne", "employees", "",
                "website", "(null)", "annual_revenue", "1,000.50", "customer_tier_c", "Gold",
                "credit_limit_c", "1234.560000", "email1", "Info@Acme.example", NULL);
    assert_string_equal(store_get(s, "account", "a1", "name"), "O'Neil & Söhne");
    assert_string_equal(store_get(s, "account", "a1", "employees"), "");
    assert_string_equal(store_get(s, "account", "a1", "website"), "(null)");
    assert_string_equal(store_get(s, "account", "a1", "annual_revenue"), "1,000.50");
    assert_string_equal(store_get(s, "account", "a1", "customer_tier_c"), "Gold");
    assert_string_equal(store_get(s, "account", "a1", "credit_limit_c"), "1234.560000");
    assert_string_equal(store_get(s, "account", "a1", "email1"), "Info@Acme.example");
    assert_string_equal(store_get(s, "account", "a1", "date_entered"), "2024-05-06 07:08:09");
    assert_string_equal(store_get(s, "account", "a1", "created_by"), "u1");
    assert_string_equal(store_get(s, "account", "a1", "deleted"), "false");
    assert_int_equal(store_write(s, "account", WRITE_UPDATE, "a1", "name", "Acme", "credit_limit_c",
                                 "(null)", "email1", "new@acme.example", "date_modified",
                                 "2024-06-01 00:00:00", NULL),
                     1);
    assert_string_equal(store_get(s, "account", "a1", "name"), "Acme");
    assert_string_equal(store_get(s, "account", "a1", "credit_limit_c"), "(null)");
    assert_string_equal(store_get(s, "account", "a1", "customer_tier_c"), "Gold");
    assert_string_equal(store_get(s, "account", "a1", "email1"), "new@acme.example");
    assert_string_equal(store_get(s, "account", "a1", "date_modified"), "2024-06-01 00:00:00");
    // Extension fields of a row that has no extension row yet; only extension fields change.
    store_write(s, "account", WRITE_CREATE, "a2", "name", "B", NULL);
    assert_string_equal(store_get(s, "account", "a2", "customer_tier_c"), "(null)");
    assert_int_equal(
        store_write(s, "account", WRITE_UPDATE, "a2", "customer_tier_c", "Silver", NULL), 1);
    assert_string_equal(store_get(s, "account", "a2", "customer_tier_c"), "Silver");
    assert_int_equal(store_write(s, "account", WRITE_UPDATE, "none", "name", "x", NULL), 0);
    store_text_is(s, "SELECT COUNT(*) FROM accounts", "SELECT COUNT(*) FROM crm.account", "2");
}
BOTH(a_row_is_created_read_and_changed)

static void a_contact_has_one_account_on(struct store *s)
{
    const char *live_legacy = "SELECT COUNT(*) FROM accounts_contacts WHERE deleted = 0";
    const char *live_new = "SELECT COUNT(*) FROM crm.account_contact WHERE NOT deleted";
    store_write(s, "account", WRITE_CREATE, "a1", "name", "Acme", NULL);
    store_write(s, "account", WRITE_CREATE, "a2", "name", "Other", NULL);
    store_write(s, "contact", WRITE_CREATE, "c1", "last_name", "Meyer", "account_id", "a1", NULL);
    assert_string_equal(store_get(s, "contact", "c1", "account_id"), "a1");
    assert_string_equal(store_get(s, "contact", "c1", "account_name"), "Acme");
    store_write(s, "contact", WRITE_UPDATE, "c1", "account_id", "a1", NULL);
    store_text_is(s, live_legacy, live_new, "1");
    store_write(s, "contact", WRITE_UPDATE, "c1", "account_id", "a2", NULL);
    assert_string_equal(store_get(s, "contact", "c1", "account_name"), "Other");
    store_text_is(s, live_legacy, live_new, "1");
    store_write(s, "contact", WRITE_UPDATE, "c1", "title", "Dr.", NULL);
    assert_string_equal(store_get(s, "contact", "c1", "account_id"), "a2");
    store_write(s, "contact", WRITE_UPDATE, "c1", "account_id", "", NULL);
    assert_string_equal(store_get(s, "contact", "c1", "account_id"), "(null)");
    store_text_is(s, live_legacy, live_new, "0");
}
BOTH(a_contact_has_one_account)

static void deleting_takes_links_along_on(struct store *s)
{
    store_write(s, "account", WRITE_CREATE, "a1", "name", "Acme", NULL);
    store_write(s, "contact", WRITE_CREATE, "c1", "last_name", "M", "account_id", "a1", "email1",
                "m@x.example", NULL);
    assert_int_equal(store_write(s, "contact", WRITE_DELETE, "c1", NULL), 1);
    assert_string_equal(store_get(s, "contact", "c1", "deleted"), "true");
    store_text_is(s, "SELECT deleted + 0 FROM accounts_contacts",
                  "SELECT deleted::int FROM crm.account_contact", "1");
    if (s->side == SIDE_LEGACY)
        store_text_is(s, "SELECT COUNT(*) FROM email_addr_bean_rel WHERE deleted = 0", "", "0");
    const struct field *id = entity_field(store_entity(s, "contact"), STR("id"));
    struct query q = {
        .entity = store_entity(s, "contact"), .fields = &id, .nfields = 1, .limit = -1};
    assert_string_equal(store_select(s, &q), "");
    q.deleted = DELETED_ONLY;
    assert_string_equal(store_select(s, &q), "c1");
}
BOTH(deleting_takes_links_along)

// ---- filters

static struct filter compare(struct store *s, const char *entity, const char *field,
                             enum text_match op, struct value *v, const char *text)
{
    *v = value_set(str_of(text));
    return (struct filter){.kind = FILTER_COMPARE,
                           .field = entity_field(store_entity(s, entity), str_of(field)),
                           .op = op,
                           .values = v,
                           .nvalues = 1};
}

static const char *ids(struct store *s, const char *entity, const struct filter *f)
{
    const struct field *id = entity_field(store_entity(s, entity), STR("id"));
    struct query q = {
        .entity = store_entity(s, entity), .fields = &id, .nfields = 1, .filter = f, .limit = -1};
    struct sql sql;
    struct err e = {0};
    if (query_count(&q, s->side, s->d, s->l.a, &sql, &e) < 0)
        fail_msg("%s", e.msg);
    struct rows r = store_query(s, &sql);
    const char *list = store_select(s, &q);
    size_t n = *list ? 1 : 0;
    for (const char *p = list; *p; p++)
        n += *p == ';';
    long long count = -1;
    assert_true(str_to_int(value_str(r.cells[0]), 0, 1 << 30, &count));
    assert_int_equal(count, n);
    return list;
}

static void add_accounts(struct store *s)
{
    store_write(s, "account", WRITE_CREATE, "a1", "name", "Acme", "employees", "10", "email1",
                "info@acme.example", "credit_limit_c", "10.500000", NULL);
    store_write(s, "account", WRITE_CREATE, "a2", "name", "acme 100%", "employees", "(null)",
                "email1", "x_1@b.example", "credit_limit_c", "9.000000", NULL);
    store_write(s, "account", WRITE_CREATE, "a3", "name", "Beta", "employees", "", "date_entered",
                "2020-01-01 00:00:00", NULL);
    store_write(s, "account", WRITE_CREATE, "a4", "name", "(null)", "employees", "7", NULL);
}

static void filters_find_what_they_say_on(struct store *s)
{
    struct value v, w[2];
    add_accounts(s);
    struct filter f = compare(s, "account", "name", MATCH_EQ, &v, "ACME");
    assert_string_equal(ids(s, "account", &f), "a1");
    f = compare(s, "account", "name", MATCH_NE, &v, "acme");
    assert_string_equal(ids(s, "account", &f), "a2;a3");
    f = compare(s, "account", "name", MATCH_LIKE, &v, "ACME%");
    assert_string_equal(ids(s, "account", &f), "a1;a2");
    f = compare(s, "account", "name", MATCH_LIKE, &v, "%\\%");
    assert_string_equal(ids(s, "account", &f), "a2");
    f = compare(s, "account", "name", MATCH_NOT_LIKE, &v, "acme%");
    assert_string_equal(ids(s, "account", &f), "a3");
    f = compare(s, "account", "name", MATCH_GE, &v, "b");
    assert_string_equal(ids(s, "account", &f), "a3");
    f = compare(s, "account", "email1", MATCH_EQ, &v, "INFO@acme.example");
    assert_string_equal(ids(s, "account", &f), "a1");
    f = compare(s, "account", "email1", MATCH_LIKE, &v, "%x\\_1%");
    assert_string_equal(ids(s, "account", &f), "a2");
    f = compare(s, "account", "credit_limit_c", MATCH_GT, &v, "9.500000");
    assert_string_equal(ids(s, "account", &f), "a1");
    f = compare(s, "account", "date_entered", MATCH_LT, &v, "2021-01-01 00:00:00");
    assert_string_equal(ids(s, "account", &f), "a3");
    f = compare(s, "account", "date_entered", MATCH_LIKE, &v, "2020-01%");
    assert_string_equal(ids(s, "account", &f), "a3");
    f = compare(s, "account", "deleted", MATCH_EQ, &v, "false");
    assert_string_equal(ids(s, "account", &f), "a1;a2;a3;a4");
    const struct field *name = entity_field(store_entity(s, "account"), STR("name"));
    const struct field *id = entity_field(store_entity(s, "account"), STR("id"));
    f = (struct filter){.kind = FILTER_IS_NULL, .field = name};
    assert_string_equal(ids(s, "account", &f), "a4");
    f.negated = true;
    assert_string_equal(ids(s, "account", &f), "a1;a2;a3");
    w[0] = value_set(STR("BETA"));
    w[1] = value_set(STR("acme"));
    f = (struct filter){.kind = FILTER_IN, .field = name, .values = w, .nvalues = 2};
    assert_string_equal(ids(s, "account", &f), "a1;a3");
    f.negated = true;
    assert_string_equal(ids(s, "account", &f), "a2");
    w[0] = value_set(STR("a2"));
    w[1] = value_set(STR("a3"));
    f = (struct filter){.kind = FILTER_IN, .field = id, .values = w, .nvalues = 2};
    assert_string_equal(ids(s, "account", &f), "a2;a3");
    f.kind = FILTER_BETWEEN;
    f.negated = true;
    assert_string_equal(ids(s, "account", &f), "a1;a4");
    f = (struct filter){.kind = FILTER_IN, .field = id};
    assert_string_equal(ids(s, "account", &f), "");
}
BOTH(filters_find_what_they_say)

static void filters_combine_and_are_limited_on(struct store *s)
{
    struct value v[3];
    struct err e = {0};
    struct sql sql;
    add_accounts(s);
    struct filter a = compare(s, "account", "name", MATCH_LIKE, &v[0], "a%"),
                  b = compare(s, "account", "employees", MATCH_EQ, &v[1], "10"),
                  c = compare(s, "account", "name", MATCH_EQ, &v[2], "beta");
    struct filter *ab[] = {&a, &b};
    struct filter and = {.kind = FILTER_AND, .children = ab, .nchildren = 2};
    struct filter *andc[] = {&and, &c};
    struct filter or = {.kind = FILTER_OR, .children = andc, .nchildren = 2};
    assert_string_equal(ids(s, "account", &and), "a1");
    assert_string_equal(ids(s, "account", & or), "a1;a3");
    struct filter *or1[] = {& or };
    struct filter not = {.kind = FILTER_NOT, .children = or1, .nchildren = 1};
    assert_string_equal(ids(s, "account", &not ), ""); // NULLs keep the others out
    struct filter chain[FILTER_DEPTH_MAX + 2];
    struct filter *link[FILTER_DEPTH_MAX + 2];
    for (int i = 0; i < FILTER_DEPTH_MAX + 2; i++) {
        chain[i] = i == 0 ? a
                          : (struct filter){
                                .kind = FILTER_NOT, .children = &link[i - 1], .nchildren = 1};
        link[i] = &chain[i];
    }
    struct query q = {.entity = a.field ? store_entity(s, "account") : NULL,
                      .filter = &chain[FILTER_DEPTH_MAX + 1],
                      .limit = -1};
    assert_int_equal(query_select(&q, s->side, s->d, s->l.a, &sql, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
}
BOTH(filters_combine_and_are_limited)

static void hostile_text_is_only_a_value_on(struct store *s)
{
    struct value v;
    const char *evil = "x' OR 1=1; DROP TABLE accounts; --";
    store_write(s, "account", WRITE_CREATE, "a1", "name", evil, NULL);
    store_write(s, "account", WRITE_CREATE, "a2", "name", "other", NULL);
    struct filter f = compare(s, "account", "name", MATCH_EQ, &v, evil);
    assert_string_equal(ids(s, "account", &f), "a1");
    f = compare(s, "account", "name", MATCH_LIKE, &v, "' OR ''='");
    assert_string_equal(ids(s, "account", &f), "");
}
BOTH(hostile_text_is_only_a_value)

static void order_and_pages_are_definite_on(struct store *s)
{
    add_accounts(s);
    const struct entity *en = store_entity(s, "account");
    const struct field *id = entity_field(en, STR("id"));
    struct order by = {entity_field(en, STR("name")), false};
    struct query q = {
        .entity = en, .fields = &id, .nfields = 1, .order = &by, .norder = 1, .limit = 3};
    assert_string_equal(store_select(s, &q), "a4;a1;a2");
    q.offset = 3;
    assert_string_equal(store_select(s, &q), "a3");
    q.offset = 0;
    by.desc = true;
    assert_string_equal(store_select(s, &q), "a3;a2;a1");
    by.field = entity_field(en, STR("credit_limit_c"));
    q.limit = -1;
    q.offset = 1;
    assert_string_equal(store_select(s, &q), "a2;a3;a4");
    struct value after = value_set(STR("a1")), up = value_set(STR("a3"));
    q = (struct query){.entity = en,
                       .fields = &id,
                       .nfields = 1,
                       .after_key = &after,
                       .up_to_key = &up,
                       .limit = -1};
    assert_string_equal(store_select(s, &q), "a2;a3");
    struct value keys[2] = {value_set(STR("a4")), value_set(STR("a1"))};
    q = (struct query){
        .entity = en, .fields = &id, .nfields = 1, .keys = keys, .nkeys = 2, .limit = -1};
    assert_string_equal(store_select(s, &q), "a1;a4");
}
BOTH(order_and_pages_are_definite)

// ---- relations

static long long relate(struct store *s, const char *entity, const char *name, const char *near,
                        const char *far, bool remove, const struct value *extra)
{
    const struct relationship *r = entity_relationship(store_entity(s, entity), str_of(name));
    struct write_statement *list;
    struct err e = {0};
    size_t n;
    assert_non_null(r);
    if (query_relate(r, value_set(str_of(near)), value_set(str_of(far)), remove, extra,
                     "2024-05-06 07:08:09", s->side, s->d, s->l.a, &list, &n, &e) < 0)
        fail_msg("%s", e.msg);
    (void)store_run(s, list, n);
    return (long long)n;
}

static const char *related(struct store *s, const char *entity, const char *name, bool by_parent,
                           const struct value *parents, size_t n)
{
    const struct relationship *r = entity_relationship(store_entity(s, entity), str_of(name));
    assert_non_null(r);
    struct related rel = {r, r->source, parents, n, by_parent};
    const struct field *id = entity_field(r->target, STR("id"));
    struct query q = {
        .entity = r->target, .fields = &id, .nfields = 1, .related = &rel, .limit = -1};
    return store_select(s, &q);
}

static void links_are_added_once_on(struct store *s)
{
    struct value o[2] = {value_set(STR("o1")), value_set(STR("o2"))};
    struct value c = value_set(STR("c1"));
    const struct entity *link = store_entity(s, "opportunity_contact");
    struct value *extra = arena_array(s->l.a, link->nfields, sizeof(*extra));
    const struct field *role = entity_field(link, STR("contact_role"));
    const char *count_legacy = "SELECT COUNT(*) FROM opportunities_contacts";
    const char *count_new = "SELECT COUNT(*) FROM crm.opportunity_contact";
    store_write(s, "opportunity", WRITE_CREATE, "o1", "name", "A", NULL);
    store_write(s, "opportunity", WRITE_CREATE, "o2", "name", "B", NULL);
    store_write(s, "contact", WRITE_CREATE, "c1", "last_name", "M", NULL);
    extra[role->index] = value_set(STR("Boss"));
    relate(s, "opportunity", "contacts", "o1", "c1", false, extra);
    relate(s, "opportunity", "contacts", "o1", "c1", false, NULL);
    store_text_is(s, count_legacy, count_new, "1");
    relate(s, "opportunity", "contacts", "o1", "missing", false, NULL);
    store_text_is(s, count_legacy, count_new, "1");
    extra[role->index] = value_set(STR("Helper"));
    relate(s, "contact", "opportunities", "c1", "o1", false, extra);
    store_text_is(s, "SELECT contact_role FROM opportunities_contacts",
                  "SELECT contact_role FROM crm.opportunity_contact", "Helper");
    relate(s, "contact", "opportunities", "c1", "o2", false, NULL);
    // Duplicate and dangling link rows, as dirty data has them, give each row once.
    store_write(s, "opportunity_contact", WRITE_CREATE, "d1", "contact_id", "c1", "opportunity_id",
                "o2", NULL);
    store_write(s, "opportunity_contact", WRITE_CREATE, "d2", "contact_id", "c1", "opportunity_id",
                "gone", NULL);
    assert_string_equal(related(s, "contact", "opportunities", false, &c, 1), "o1;o2");
    assert_string_equal(related(s, "opportunity", "contacts", true, o, 2), "o1|c1;o2|c1");
    relate(s, "opportunity", "contacts", "o1", "c1", true, NULL);
    assert_string_equal(related(s, "contact", "opportunities", false, &c, 1), "o2");
    relate(s, "opportunity", "contacts", "o1", "c1", false, NULL);
    assert_string_equal(related(s, "contact", "opportunities", false, &c, 1), "o1;o2");
}
BOTH(links_are_added_once)

static void keys_and_parents_relate_on(struct store *s)
{
    struct value a[2] = {value_set(STR("a1")), value_set(STR("a2"))}, n = value_set(STR("n1"));
    struct value k[2] = {value_set(STR("k1")), value_set(STR("k2"))};
    store_write(s, "account", WRITE_CREATE, "a1", "name", "A", NULL);
    store_write(s, "account", WRITE_CREATE, "a2", "name", "B", NULL);
    store_write(s, "case", WRITE_CREATE, "k1", "name", "one", "account_id", "a1", NULL);
    store_write(s, "case", WRITE_CREATE, "k2", "name", "two", NULL);
    store_write(s, "note", WRITE_CREATE, "n1", "name", "note", NULL);
    assert_string_equal(related(s, "account", "cases", false, &a[0], 1), "k1");
    relate(s, "account", "cases", "a2", "k2", false, NULL);
    assert_string_equal(store_get(s, "case", "k2", "account_id"), "a2");
    assert_string_equal(store_get(s, "case", "k2", "account_name"), "B");
    assert_string_equal(related(s, "account", "cases", true, a, 2), "a1|k1;a2|k2");
    assert_string_equal(related(s, "case", "accounts", true, k, 2), "k1|a1;k2|a2");
    assert_string_equal(related(s, "case", "accounts", false, &k[1], 1), "a2");
    relate(s, "case", "accounts", "k2", "a1", true, NULL); // not its account: nothing happens
    assert_string_equal(store_get(s, "case", "k2", "account_id"), "a2");
    relate(s, "case", "accounts", "k2", "a2", true, NULL);
    assert_string_equal(store_get(s, "case", "k2", "account_id"), "(null)");
    relate(s, "account", "notes", "a1", "n1", false, NULL);
    assert_string_equal(store_get(s, "note", "n1", "parent_type"), "Accounts");
    assert_string_equal(related(s, "account", "notes", false, &a[0], 1), "n1");
    assert_string_equal(related(s, "note", "accounts", false, &n, 1), "a1");
    assert_string_equal(related(s, "note", "cases", false, &n, 1), "");
    assert_string_equal(related(s, "account", "notes", true, a, 2), "a1|n1");
}
BOTH(keys_and_parents_relate)

// ---- sync

static struct value *blank_row(struct store *s, const struct entity *en, const char *key)
{
    struct value *row = arena_array(s->l.a, en->nfields, sizeof(*row));
    for (size_t i = 0; i < en->nfields; i++)
        row[i] = value_null();
    row[en->keys[0]->index] = value_set(str_of(key));
    return row;
}

static void put(const struct entity *en, struct value *row, const char *field, const char *text)
{
    row[entity_field(en, str_of(field))->index] = value_set(str_of(text));
}

static void applying_twice_is_applying_once_on(struct store *s)
{
    const struct entity *en = store_entity(s, "contact");
    struct value *row = blank_row(s, en, "c1");
    put(en, row, "last_name", "Meyer");
    put(en, row, "email1", "a@x.example");
    put(en, row, "do_not_call", "true");
    put(en, row, "birthdate", "1970-02-28");
    store_apply(s, en, row);
    store_apply(s, en, row);
    assert_string_equal(store_get(s, "contact", "c1", "email1"), "a@x.example");
    assert_string_equal(store_get(s, "contact", "c1", "do_not_call"), "true");
    assert_string_equal(store_get(s, "contact", "c1", "birthdate"), "1970-02-28");
    put(en, row, "email1", "A@x.example"); // only its case changes
    store_apply(s, en, row);
    assert_string_equal(store_get(s, "contact", "c1", "email1"), "A@x.example");
    put(en, row, "email1", "b@x.example");
    store_apply(s, en, row);
    put(en, row, "email1", "a@x.example");
    store_apply(s, en, row);
    assert_string_equal(store_get(s, "contact", "c1", "email1"), "a@x.example");
    if (s->side == SIDE_LEGACY) {
        store_text_is(s, "SELECT COUNT(*) FROM email_addresses", "", "3");
        store_text_is(s, "SELECT COUNT(*) FROM email_addr_bean_rel WHERE deleted = 0", "", "1");
    }
    row[entity_field(en, STR("email1"))->index] = value_null();
    store_apply(s, en, row);
    assert_string_equal(store_get(s, "contact", "c1", "email1"), "(null)");
    assert_string_equal(store_get(s, "contact", "c1", "last_name"), "Meyer");
}
BOTH(applying_twice_is_applying_once)

static void aggregates_are_read_by_key_and_by_range_on(struct store *s)
{
    const struct entity *en = store_entity(s, "account");
    const struct field *fields[256];
    size_t n = entity_synced(en, fields, 256);
    struct sql sql = {0};
    struct err e = {0};
    struct value p[2] = {value_set(STR("a2")), value_set(STR("a3"))};
    assert_ptr_equal(fields[0], en->keys[0]);
    add_accounts(s);
    if (query_read_keys(en, s->side, s->d, 2, s->l.a, &sql.text, &e) < 0)
        fail_msg("%s", e.msg);
    sql.params = p;
    sql.nparams = 2;
    struct rows r = store_query(s, &sql);
    assert_int_equal(r.nrows, 2);
    assert_int_equal(r.ncols, n);
    struct scan_query slice = {.entity = en, .after = p, .deleted = DELETED_ANY, .limit = 1};
    if (query_scan(&slice, s->side, s->d, s->l.a, &sql, &e) < 0)
        fail_msg("%s", e.msg);
    r = store_query(s, &sql);
    assert_int_equal(r.nrows, 1);
    assert_true(str_eqz(value_str(r.cells[0]), "a3"));
    slice.after = NULL;
    slice.limit = 3;
    if (query_scan(&slice, s->side, s->d, s->l.a, &sql, &e) < 0)
        fail_msg("%s", e.msg);
    r = store_query(s, &sql);
    assert_int_equal(r.nrows, 3);
}
BOTH(aggregates_are_read_by_key_and_by_range)

static void derived_fields_do_not_cross(void **state)
{
    struct store s;
    (void)state;
    assert_true(store_open(&s, SIDE_LEGACY));
    const struct field *fields[256];
    size_t n = entity_synced(store_entity(&s, "contact"), fields, 256);
    bool email = false;
    for (size_t i = 0; i < n; i++) {
        assert_string_not_equal(fields[i]->name, "account_id");
        assert_string_not_equal(fields[i]->name, "account_name");
        email = email || strcmp(fields[i]->name, "email1") == 0;
    }
    assert_true(email);
    store_close(&s);
}

static void a_second_primary_address_survives(void **state)
{
    struct store s;
    (void)state;
    assert_true(store_open(&s, SIDE_LEGACY));
    const struct entity *en = store_entity(&s, "contact");
    struct value *row = blank_row(&s, en, "c1");
    put(en, row, "last_name", "M");
    put(en, row, "email1", "first@x.example");
    store_apply(&s, en, row);
    legacy_exec(s.l.c,
                "INSERT INTO email_addresses (id, email_address, email_address_caps, deleted)"
                " VALUES ('e2', 'second@x.example', 'SECOND@X.EXAMPLE', 0)");
    legacy_exec(s.l.c,
                "INSERT INTO email_addr_bean_rel (id, email_address_id, bean_id, bean_module,"
                " primary_address, deleted) VALUES ('zz', 'e2', 'c1', 'Contacts', 1, 0)");
    assert_string_equal(store_get(&s, "contact", "c1", "email1"), "first@x.example");
    put(en, row, "title", "Dr.");
    store_apply(&s, en, row);
    assert_string_equal(
        legacy_text(&s.l, "SELECT deleted + 0 FROM email_addr_bean_rel WHERE id = 'zz'"), "0");
    assert_string_equal(store_get(&s, "contact", "c1", "email1"), "first@x.example");
    store_close(&s);
}

static void an_upsert_never_takes_another_rows_place(void **state)
{
    struct store s;
    (void)state;
    assert_true(store_open(&s, SIDE_LEGACY));
    struct apply_statement *list;
    struct err e = {0};
    size_t n;
    const struct entity *en = store_entity(&s, "case");
    struct value *row = blank_row(&s, en, "k1"), p[64];
    put(en, row, "name", "first");
    put(en, row, "case_number", "41");
    store_apply(&s, en, row);
    row = blank_row(&s, en, "k2"); // the same number under another key
    put(en, row, "name", "second");
    put(en, row, "case_number", "41");
    assert_int_equal(query_apply(en, SIDE_LEGACY, s.d, s.l.a, &list, &n, &e), 0);
    for (size_t i = 0; i < list[0].nparams; i++)
        assert_int_equal(query_apply_param(&list[0], i, SIDE_LEGACY, row, "2024-01-01 00:00:00",
                                           s.l.a, &p[i], &e),
                         0);
    assert_int_equal(odbc_exec(s.l.c, list[0].text, p, list[0].nparams, NULL, &e), -1);
    assert_true(e.code == ERR_CONFLICT || e.code == ERR_CONSTRAINT);
    assert_string_equal(store_get(&s, "case", "k1", "name"), "first");
    assert_string_equal(store_get(&s, "case", "k2", "name"), "");
    store_close(&s);
}

static void a_case_number_is_never_used_twice(void **state)
{
    struct store s;
    (void)state;
    if (!store_open(&s, SIDE_NEW))
        skip();
    const struct entity *en = store_entity(&s, "case");
    store_write(&s, "case", WRITE_CREATE, "k1", "name", "new", NULL);
    assert_string_equal(store_get(&s, "case", "k1", "case_number"), "1");
    struct value *row = blank_row(&s, en, "k2");
    put(en, row, "case_number", "500");
    store_apply(&s, en, row);
    store_write(&s, "case", WRITE_CREATE, "k3", "name", "next", NULL);
    assert_string_equal(store_get(&s, "case", "k3", "case_number"), "501");
    store_write(&s, "case", WRITE_CREATE, "k4", "name", "next", NULL);
    assert_string_equal(store_get(&s, "case", "k4", "case_number"), "502");
    store_close(&s);
}

static void a_row_really_gone_is_deleted_on(struct store *s)
{
    const struct entity *en = store_entity(s, "account");
    struct apply_statement *list;
    struct err e = {0};
    size_t n;
    struct value *row = blank_row(s, en, "a1");
    add_accounts(s);
    if (query_apply_delete(en, s->side, s->d, s->l.a, &list, &n, &e) < 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < n; i++) {
        struct write_statement w = {.role = list[i].role};
        struct value *p = arena_array(s->l.a, list[i].nparams, sizeof(*p));
        for (size_t k = 0; k < list[i].nparams; k++) {
            assert_int_equal(query_apply_param(&list[i], k, s->side, row, "2024-01-01 00:00:00",
                                               s->l.a, &p[k], &e),
                             0);
            if (s->pg)
                p[k] = value_set(STR("{a1}"));
        }
        w.sql = (struct sql){list[i].text, p, list[i].nparams};
        (void)store_run(s, &w, 1);
    }
    store_text_is(s, "SELECT COUNT(*) FROM accounts", "SELECT COUNT(*) FROM crm.account", "3");
    if (s->side == SIDE_LEGACY)
        store_text_is(s, "SELECT COUNT(*) FROM accounts_cstm", "", "1");
}
BOTH(a_row_really_gone_is_deleted)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_created_read_and_changed),
        cmocka_unit_test(a_contact_has_one_account),
        cmocka_unit_test(deleting_takes_links_along),
        cmocka_unit_test(filters_find_what_they_say),
        cmocka_unit_test(filters_combine_and_are_limited),
        cmocka_unit_test(hostile_text_is_only_a_value),
        cmocka_unit_test(order_and_pages_are_definite),
        cmocka_unit_test(links_are_added_once),
        cmocka_unit_test(keys_and_parents_relate),
        cmocka_unit_test(applying_twice_is_applying_once),
        cmocka_unit_test(aggregates_are_read_by_key_and_by_range),
        cmocka_unit_test(derived_fields_do_not_cross),
        cmocka_unit_test(a_second_primary_address_survives),
        cmocka_unit_test(an_upsert_never_takes_another_rows_place),
        cmocka_unit_test(a_case_number_is_never_used_twice),
        cmocka_unit_test(a_row_really_gone_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
