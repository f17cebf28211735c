// SPDX-License-Identifier: Apache-2.0
// Reads of the v4_1 dialect: the shapes of entries, links, lists and counts, byte for byte.
#include "v4_1_fake.h"

#include <stdio.h>

static const char *const acme[] = {"id",
                                   "a1",
                                   "name",
                                   "O'Neil & <Co>",
                                   "deleted",
                                   "false",
                                   "email1",
                                   "o'neil@example.com",
                                   "date_entered",
                                   "2024-01-02 03:04:05",
                                   "credit_limit_c",
                                   "1234.560000",
                                   NULL};
static const char *const zenith[] = {"id", "a2", "name", "Zenith", NULL};
static const char *const anna[] = {"id",        "c1",          "first_name",  "Anna",
                                   "last_name", "B\xc3\xb6ll", "do_not_call", "true",
                                   "deleted",   "false",       NULL};
static const char *const *const accounts[] = {acme, zenith};

static size_t naccounts;
static long long total;
static bool missing;

// Accounts a1 and a2; contact c1 is linked to a1.
static void answer(const struct operation *op, struct result *r)
{
    const char *const *const contacts[] = {anna};

    if (missing) {
        r->status = op->kind == OPERATION_GET ? RESULT_NOT_FOUND : RESULT_OK;
    } else if (strcmp(op->entity->name, "contact") == 0) {
        fake_rows(op, r, 1, contacts);
    } else {
        fake_rows(op, r, op->kind == OPERATION_GET ? 1 : naccounts, accounts);
    }
    r->total = total;
    for (size_t i = 0; i < op->nexpansions && r->records.n > 0; i++) {
        struct record_set *set = &r->records.rows[0].related[i];
        set->rows = arena_array(op->arena, 1, sizeof(*set->rows));
        set->n = 1;
        fake_row(op, op->expansions[i].fields, op->expansions[i].nfields, &set->rows[0], anna);
    }
}

static int fresh(void **state)
{
    fake_answer = answer;
    naccounts = 2;
    total = -1;
    missing = false;
    (void)fake_fresh(state);
    fake_answer = answer;
    return 0;
}

static void get_entry_shapes(void **state)
{
    (void)state;
    assert_string_equal(
        fake_call("get_entry", "[\"s1\",\"Accounts\",\"a1\",[\"email1\",\"nosuch\",\"name\"],[]]"),
        "{\"entry_list\":[{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":{"
        "\"name\":{\"name\":\"name\",\"value\":\"O&#039;Neil & &lt;Co&gt;\"},"
        "\"email1\":{\"name\":\"email1\",\"value\":\"o'neil@example.com\"}}}],"
        "\"relationship_list\":[]}");
    assert_string_equal(fake_log.data, "get account [a1]\n");
    assert_string_equal(
        fake_call("get_entry",
                  "{\"select_fields\":[\"name\"],\"id\":\"a1\",\"module_name\":\"Accounts\","
                  "\"session\":\"s1\",\"link_name_to_fields_array\":[{\"name\":\"contacts\","
                  "\"value\":[\"last_name\",\"id\",\"nosuch\"]},{\"name\":\"nosuch\",\"value\":"
                  "[\"id\"]}]}"),
        "{\"entry_list\":[{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":{"
        "\"name\":{\"name\":\"name\",\"value\":\"O&#039;Neil & &lt;Co&gt;\"}}}],"
        "\"relationship_list\":[[{\"name\":\"contacts\",\"records\":[{\"last_name\":{\"name\":"
        "\"last_name\",\"value\":\"B\\u00f6ll\"},\"id\":{\"name\":\"id\",\"value\":\"c1\"},"
        "\"nosuch\":{\"name\":\"nosuch\",\"value\":\"\"}}]},{\"name\":\"nosuch\",\"records\":[]}]]}");
    assert_string_equal(
        fake_call("get_entry", "[\"s1\",\"Accounts\",\"a1\",[\"nosuch\"]]"),
        "{\"entry_list\":[{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":[]}],"
        "\"relationship_list\":[]}");
}

static void values_look_as_the_legacy_shows_them(void **state)
{
    (void)state;
    assert_string_equal(
        fake_call("get_entry", "[\"s1\",\"Accounts\",\"a1\",[\"deleted\",\"credit_limit_c\","
                               "\"date_entered\",\"website\",\"description\"]]"),
        "{\"entry_list\":[{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":{"
        "\"date_entered\":{\"name\":\"date_entered\",\"value\":\"2024-01-02 03:04:05\"},"
        "\"description\":{\"name\":\"description\",\"value\":\"\"},"
        "\"deleted\":{\"name\":\"deleted\",\"value\":\"0\"},"
        "\"website\":{\"name\":\"website\",\"value\":\"\"},"
        "\"credit_limit_c\":{\"name\":\"credit_limit_c\",\"value\":\"1234.560000\"}}}],"
        "\"relationship_list\":[]}");
    // A contact without an account has no account fields at all, and its name is composed.
    assert_string_equal(
        fake_call("get_entry", "[\"s1\",\"Contacts\",\"c1\",[\"name\",\"account_id\","
                               "\"account_name\",\"do_not_call\",\"email1\"]]"),
        "{\"entry_list\":[{\"id\":\"c1\",\"module_name\":\"Contacts\",\"name_value_list\":{"
        "\"name\":{\"name\":\"name\",\"value\":\"Anna B\\u00f6ll\"},"
        "\"do_not_call\":{\"name\":\"do_not_call\",\"value\":\"1\"},"
        "\"email1\":{\"name\":\"email1\",\"value\":\"\"}}}],\"relationship_list\":[]}");
}

static void opportunity(const struct operation *op, struct result *r)
{
    static const char *const big[] = {"id", "o1", "amount", "1000000000000000.000000", NULL};
    static const char *const small[] = {"id",          "o2", "amount", "1234.560000",
                                        "probability", "10", NULL};
    const char *const *const rows[] = {big, small};

    fake_rows(op, r, 2, rows);
    struct value *v = (struct value *)r->records.rows[1].values;
    for (size_t i = 0; i < op->query.nfields; i++)
        if (strcmp(op->query.fields[i]->name, "date_closed") == 0)
            v[i] = (struct value){"0000-00-00", 10, VALUE_FOREIGN, PROBLEM_ZERO_DATE};
}

static void doubles_and_foreign_values_are_shown(void **state)
{
    (void)state;
    fake_answer = opportunity;
    const char *reply = fake_call("get_entry_list",
                                  "[\"s1\",\"Opportunities\",\"\",\"\",0,[\"amount\","
                                  "\"probability\",\"date_closed\"]]");
    assert_non_null(strstr(reply, "\"amount\":{\"name\":\"amount\",\"value\":\"1e15\"}"));
    assert_non_null(strstr(reply, "\"amount\":{\"name\":\"amount\",\"value\":\"1234.56\"}"));
    assert_non_null(strstr(reply, "\"value\":\"10\"}"));
    assert_non_null(strstr(reply, "\"date_closed\":{\"name\":\"date_closed\",\"value\":"
                                  "\"0000-00-00\"}"));
}

#define WARNING(id)                                                                         \
    "{\"id\":\"" id "\",\"module_name\":\"Accounts\",\"name_value_list\":[{\"name\":"       \
    "\"warning\",\"value\":\"Access to this object is denied since it has been deleted or " \
    "does not exist\"},{\"name\":\"deleted\",\"value\":\"1\"}]}"

static void a_missing_row_is_a_warning(void **state)
{
    (void)state;
    missing = true;
    assert_string_equal(fake_call("get_entry", "[\"s1\",\"Accounts\",\"No Such\",[],"
                                               "[{\"name\":\"contacts\",\"value\":[\"id\"]}]]"),
                        "{\"entry_list\":[" WARNING("No Such") "],\"relationship_list\":[]}");
    assert_string_equal(fake_call("get_entry", "[\"s1\",\"Accounts\",\"\"]"),
                        "{\"entry_list\":[" WARNING("") "],\"relationship_list\":[]}");
    assert_string_equal(fake_log.data, "");
    fake_call("get_entry", "[\"s1\",\"Accounts\",\"AAAAAAAA-0000-0000-0000-00000000000F\"]");
    assert_string_equal(fake_log.data, "get account [AAAAAAAA-0000-0000-0000-00000000000F]\n"
                                       "get account [aaaaaaaa-0000-0000-0000-00000000000f]\n");
}

static void get_entries_keeps_the_order_of_the_ids(void **state)
{
    (void)state;
    assert_string_equal(
        fake_call("get_entries", "[\"s1\",\"Accounts\",[\"a2\",\"x\",\"a1 \",\"a2\"],[\"id\"],"
                                 "[{\"name\":\"contacts\",\"value\":[\"id\"]}]]"),
        "{\"entry_list\":["
        "{\"id\":\"a2\",\"module_name\":\"Accounts\",\"name_value_list\":{\"id\":{\"name\":\"id\","
        "\"value\":\"a2\"}}}," WARNING(
            "x") ","
                 "{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":{\"id\":{\"name\":\"id\","
                 "\"value\":\"a1\"}}},"
                 "{\"id\":\"a2\",\"module_name\":\"Accounts\",\"name_value_list\":{\"id\":{\"name\":\"id\","
                 "\"value\":\"a2\"}}}],\"relationship_list\":["
                 "{\"link_list\":[{\"name\":\"contacts\",\"records\":[]}]},"
                 "{\"link_list\":[{\"name\":\"contacts\",\"records\":[{\"link_value\":{\"id\":{\"name\":"
                 "\"id\",\"value\":\"c1\"}}}]}]},"
                 "{\"link_list\":[{\"name\":\"contacts\",\"records\":[]}]}]}");
    assert_string_equal(fake_log.data, "list account (a2) (x) (a1) (a2)\n");
    assert_string_equal(fake_call("get_entries", "[\"s1\",\"Accounts\",\"a1\"]"),
                        "{\"entry_list\":[],\"relationship_list\":[]}");
    assert_string_equal(
        fake_call("get_entries", "[\"s1\",\"Accounts\",[\"\",\"\"]]"),
        "{\"entry_list\":[" WARNING("") "," WARNING("") "],"
                                                        "\"relationship_list\":[]}");
}

static void many_ids_go_in_blocks(void **state)
{
    struct buf data = BUF_INIT;
    size_t blocks = 0;

    (void)state;
    missing = true;
    buf_addz(&data, "[\"s1\",\"Accounts\",[\"x\"");
    for (int i = 0; i < 1200; i++)
        buf_printf(&data, ",\"%d\"", i);
    buf_addz(&data, "]]");
    (void)fake_call("get_entries", data.data);
    for (const char *p = fake_log.data; (p = strstr(p, "list account")) != NULL; p++)
        blocks++;
    assert_int_equal(blocks, 3);
    buf_free(&data);
}

static void lists_carry_counts_and_links(void **state)
{
    (void)state;
    total = 2;
    naccounts = 1;
    assert_string_equal(
        fake_call("get_entry_list",
                  "[\"s1\",\"Accounts\",\"accounts.name LIKE 'A%'\",\"name DESC\",0,[\"name\"],"
                  "[{\"name\":\"contacts\",\"value\":[\"id\"]}],1,0,false]"),
        "{\"result_count\":1,\"total_count\":\"2\",\"next_offset\":1,\"entry_list\":["
        "{\"id\":\"a1\",\"module_name\":\"Accounts\",\"name_value_list\":{\"name\":{\"name\":"
        "\"name\",\"value\":\"O&#039;Neil & &lt;Co&gt;\"}}}],\"relationship_list\":[{\"link_list\":"
        "[{\"name\":\"contacts\",\"records\":[{\"link_value\":{\"id\":{\"name\":\"id\",\"value\":"
        "\"c1\"}}}]}]}]}");
    assert_string_equal(fake_log.data, "list account filtered by name- 1\n");
    total = naccounts = 0;
    assert_string_equal(fake_call("get_entry_list", "[\"s1\",\"Accounts\"]"),
                        "{\"result_count\":0,\"total_count\":0,\"next_offset\":0,"
                        "\"entry_list\":[],\"relationship_list\":[]}");
    assert_string_equal(fake_log.data, "list account 20\n");
}

static void pages_are_read_from_many_forms(void **state)
{
    static const struct {
        const char *offset, *limit, *deleted, *log;
        long long next;
    } rows[] = {
        {"0", "0", "0", "list account 20\n", 2},
        {"null", "null", "null", "list account 20\n", 2},
        {"\"\"", "\"\"", "\"0\"", "list account 20\n", 2},
        {"1000", "-1", "false", "list account 20+1000\n", 1002},
        {"-5", "2.5", "1", "list account 2 all\n", -3},
        {"\"2\"", "\"3\"", "\"\"", "list account 3+2 all\n", 4},
        {"0", "1e9", "\"false\"", "list account 100000 all\n", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char data[200], next[64];
        snprintf(data, sizeof(data), "[\"s1\",\"Accounts\",\"\",\"\",%s,[],[],%s,%s]",
                 rows[i].offset, rows[i].limit, rows[i].deleted);
        const char *reply = fake_call("get_entry_list", data);
        assert_string_equal(fake_log.data, rows[i].log);
        snprintf(next, sizeof(next), "\"next_offset\":%lld,", rows[i].next);
        assert_non_null(strstr(reply, next));
    }
    static const char *const bad[] = {"[\"s1\",\"Accounts\",\"\",\"\",\"x\"]",
                                      "[\"s1\",\"Accounts\",\"\",\"\",0,[],[],\"x\"]"};
    for (size_t i = 0; i < 2; i++)
        assert_non_null(strstr(fake_call("get_entry_list", bad[i]), "\"number\":1001"));
}

static void bad_queries_answer_40_and_read_nothing(void **state)
{
    static const char *const bad[] = {
        "[\"s1\",\"Accounts\",\"sleep(1)=0\"]", "[\"s1\",\"Accounts\",\"\",\" \"]",
        "[\"s1\",\"Users\",\"user_hash LIKE '$%'\"]", "[\"s1\",\"Accounts\",[\"x\"]]",
        "[\"s1\",\"Accounts\",\"nosuch = 1\"]"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_string_equal(fake_call("get_entry_list", bad[i]),
                            "{\"name\":\"Access Denied\",\"number\":40,\"description\":"
                            "\"You do not have access\"}");
        assert_string_equal(fake_log.data, "");
    }
    assert_non_null(strstr(fake_call("get_entries_count", bad[0]), "\"number\":40"));
}

static void counts_are_strings(void **state)
{
    (void)state;
    total = 3;
    assert_string_equal(fake_call("get_entries_count", "[\"s1\",\"Accounts\",\"\",0]"),
                        "{\"result_count\":\"3\"}");
    assert_string_equal(fake_log.data, "count account\n");
    total = 0;
    assert_string_equal(fake_call("get_entries_count", "[\"s1\",\"Accounts\",\"name='x'\",1]"),
                        "{\"result_count\":\"0\"}");
    assert_string_equal(fake_log.data, "count account filtered all\n");
}

static void password_hashes_are_never_read(void **state)
{
    (void)state;
    fake_answer = NULL;
    missing = false;
    fake_answer = answer;
    const char *reply = fake_call("get_entry", "[\"s1\",\"Users\",\"1\",[\"user_hash\",\"id\"]]");
    assert_non_null(strstr(reply, "\"user_hash\":{\"name\":\"user_hash\",\"value\":\"\"}"));
}

static void relationships_read_the_parent_first(void **state)
{
    (void)state;
    assert_string_equal(
        fake_call("get_relationships",
                  "[\"s1\",\"Accounts\",\"a1\",\"contacts\",\"contacts.last_name LIKE 'B%'\","
                  "[\"last_name\",\"id\"],[{\"name\":\"accounts\",\"value\":[]}],0,"
                  "\"last_name\",0,5]"),
        "{\"entry_list\":[{\"id\":\"c1\",\"module_name\":\"Contacts\",\"name_value_list\":{"
        "\"id\":{\"name\":\"id\",\"value\":\"c1\"},\"last_name\":{\"name\":\"last_name\","
        "\"value\":\"B\\u00f6ll\"}}}],\"relationship_list\":[[{\"name\":\"accounts\","
        "\"records\":[[]]}]]}");
    assert_string_equal(fake_log.data, "get account [a1]\n"
                                       "list contact of a1 filtered by last_name 5\n");
    assert_string_equal(
        fake_call("get_relationships", "[\"s1\",\"Accounts\",\"a1\",\"contacts\",\"\","
                                       "[\"last_name\"],[],0,\"\",0,0]"),
        "{\"entry_list\":[{\"id\":null,\"module_name\":\"Contacts\",\"name_value_list\":{"
        "\"last_name\":{\"name\":\"last_name\",\"value\":\"B\\u00f6ll\"}}}],"
        "\"relationship_list\":[]}");
    assert_string_equal(fake_log.data, "get account [a1]\nlist contact of a1\n");
    static const char defaults[] =
        "{\"entry_list\":[{\"id\":null,\"module_name\":\"Contacts\",\"name_value_list\":{"
        "\"deleted\":{\"name\":\"deleted\",\"value\":\"0\"},"
        "\"do_not_call\":{\"name\":\"do_not_call\",\"value\":\"0\"}";
    assert_memory_equal(fake_call("get_relationships", "[\"s1\",\"Accounts\",\"a1\",\"contacts\"]"),
                        defaults, sizeof(defaults) - 1);
    assert_null(strstr(fake_reply.data, "last_name"));
    assert_string_equal(
        fake_call("get_relationships", "[\"s1\",\"Accounts\",\"a1\",\"nosuch\",\"\",[\"id\"]]"),
        "{\"entry_list\":[],\"relationship_list\":[]}");
    missing = true;
    assert_non_null(strstr(
        fake_call("get_relationships", "[\"s1\",\"Accounts\",\"a1\",\"contacts\",\"\",[\"id\"]]"),
        "\"number\":1001"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(get_entry_shapes, fresh),
        cmocka_unit_test_setup(values_look_as_the_legacy_shows_them, fresh),
        cmocka_unit_test_setup(doubles_and_foreign_values_are_shown, fresh),
        cmocka_unit_test_setup(a_missing_row_is_a_warning, fresh),
        cmocka_unit_test_setup(get_entries_keeps_the_order_of_the_ids, fresh),
        cmocka_unit_test_setup(many_ids_go_in_blocks, fresh),
        cmocka_unit_test_setup(lists_carry_counts_and_links, fresh),
        cmocka_unit_test_setup(pages_are_read_from_many_forms, fresh),
        cmocka_unit_test_setup(bad_queries_answer_40_and_read_nothing, fresh),
        cmocka_unit_test_setup(counts_are_strings, fresh),
        cmocka_unit_test_setup(password_hashes_are_never_read, fresh),
        cmocka_unit_test_setup(relationships_read_the_parent_first, fresh),
    };
    return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
