// SPDX-License-Identifier: Apache-2.0
// Writes of the v4_1 dialect: what reaches the stores and what the client is told; links; and
// the descriptions of modules.
#include "v4_1_fake.h"

#include <stdio.h>

static const char *absent; // id that is in no store

static void answer(const struct operation *op, struct result *r)
{
    static const char *const one[] = {"id", "x1", NULL};
    static const char *const *const rows[] = {one};
    const struct value *key = op->query.key ? op->query.key : op->write.key;

    if (absent && key && str_eqz(value_str(*key), absent))
        r->status = RESULT_NOT_FOUND;
    else if (op->kind == OPERATION_GET)
        fake_rows(op, r, 1, rows);
}

static const struct value made = {"new", 3, VALUE_SET, 0};

static void answer_created(const struct operation *op, struct result *r)
{
    if (op->kind == OPERATION_CREATE)
        r->key = &made;
    else
        answer(op, r);
}

static int fresh(void **state)
{
    (void)fake_fresh(state);
    absent = NULL;
    fake_answer = answer_created;
    return 0;
}

static const struct {
    const char *list, *log, *echo;
} rows[] = {
    // The three forms.
    {"[{\"name\":\"name\",\"value\":\"x\"}]", "create account name='x'\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"x\"}}"},
    {"{\"name\":{\"name\":\"name\",\"value\":\"x\"}}", "create account name='x'\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"x\"}}"},
    {"{\"name\":\"x\"}", "create account name='x'\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"x\"}}"},
    // A blank row; unknown, secret and null fields.
    {"[]", "create account\n", "[]"},
    {"{\"nosuch\":\"x\",\"name\":null}", "create account\n", "[]"},
    // Text: decoded, trimmed, cut; the echo is the whole of it.
    {"{\"name\":\"  A &amp; B \",\"description\":\" d \"}",
     "create account name='A & B' description=' d '\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"A &amp;amp; B\"},"
     "\"description\":{\"name\":\"description\",\"value\":\" d \"}}"},
    {"{\"ticker_symbol\":\"12345678901\"}", "create account ticker_symbol='1234567890'\n",
     "{\"ticker_symbol\":{\"name\":\"ticker_symbol\",\"value\":\"12345678901\"}}"},
    {"{\"name\":\"O'Neil\"}", "create account name='O'Neil'\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"O&#039;Neil\"}}"},
    {"{\"name\":5}", "create account name='5'\n", "{\"name\":{\"name\":\"name\",\"value\":\"5\"}}"},
    // Numbers.
    {"{\"credit_limit_c\":\"1,234.56\"}", "create account credit_limit_c='1234.560000'\n",
     "{\"credit_limit_c\":{\"name\":\"credit_limit_c\",\"value\":1234.56}}"},
    {"{\"credit_limit_c\":\"1.234,56\"}", "create account credit_limit_c='1.234560'\n",
     "{\"credit_limit_c\":{\"name\":\"credit_limit_c\",\"value\":1.23456}}"},
    {"{\"credit_limit_c\":\"abc\"}", "create account credit_limit_c='0.000000'\n",
     "{\"credit_limit_c\":{\"name\":\"credit_limit_c\",\"value\":0}}"},
    {"{\"credit_limit_c\":5}", "create account credit_limit_c='5.000000'\n",
     "{\"credit_limit_c\":{\"name\":\"credit_limit_c\",\"value\":5}}"},
    // Times of its own: kept, or set by the facade.
    {"{\"date_entered\":\"2020-01-02 03:04:05\",\"date_modified\":\"2020-01-02 03:04:05\","
     "\"created_by\":\"u9\",\"modified_user_id\":\"u9\"}",
     "create account date_entered='2020-01-02 03:04:05'\n",
     "{\"date_entered\":{\"name\":\"date_entered\",\"value\":\"2020-01-02 03:04:05\"},"
     "\"date_modified\":{\"name\":\"date_modified\",\"value\":\"2020-01-02 03:04:05\"},"
     "\"modified_user_id\":{\"name\":\"modified_user_id\",\"value\":\"u9\"},"
     "\"created_by\":{\"name\":\"created_by\",\"value\":\"u9\"}}"},
    {"{\"id\":\"a1\",\"update_date_modified\":false,\"date_modified\":\"2020-01-02 03:04:05\","
     "\"created_by\":\"u9\"}",
     "update account [a1] date_modified='2020-01-02 03:04:05' created_by='u9'\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},"
     "\"date_modified\":{\"name\":\"date_modified\",\"value\":\"2020-01-02 03:04:05\"},"
     "\"created_by\":{\"name\":\"created_by\",\"value\":\"u9\"}}"},
    {"{\"date_entered\":\"yesterday\"}", "create account\n",
     "{\"date_entered\":{\"name\":\"date_entered\",\"value\":\"\"}}"},
    // Ids.
    {"{\"id\":\"a1\",\"new_with_id\":true,\"name\":\"x\"}", "create account name='x'\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},\"name\":{\"name\":\"name\",\"value\":\"x\"}}"},
    {"{\"id\":\"\",\"name\":\"x\"}", "create account name='x'\n",
     "{\"name\":{\"name\":\"name\",\"value\":\"x\"}}"},
    // Deletes.
    {"{\"id\":\"a1\",\"deleted\":1}", "delete account [a1]\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},\"deleted\":{\"name\":\"deleted\",\"value\":true}}"},
    {"{\"id\":\"a1\",\"deleted\":\"1\",\"name\":\"x\"}",
     "update account [a1] name='x'\ndelete account [a1]\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},\"name\":{\"name\":\"name\",\"value\":\"x\"},"
     "\"deleted\":{\"name\":\"deleted\",\"value\":true}}"},
    {"{\"id\":\"a1\",\"deleted\":\"true\"}", "update account [a1]\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},\"deleted\":{\"name\":\"deleted\",\"value\":true}}"},
    {"{\"id\":\"a1\",\"deleted\":0}", "update account [a1]\n",
     "{\"id\":{\"name\":\"id\",\"value\":\"a1\"},\"deleted\":{\"name\":\"deleted\",\"value\":false}}"},
};

static void set_entry_writes_and_echoes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char data[1000], tail[1000];
        snprintf(data, sizeof(data), "[\"s1\",\"Accounts\",%s]", rows[i].list);
        const char *reply = fake_call("set_entry", data);
        assert_string_equal(fake_log.data, rows[i].log);
        snprintf(tail, sizeof(tail), "\",\"entry_list\":%s}", rows[i].echo);
        assert_true(strlen(reply) > strlen(tail));
        assert_string_equal(reply + strlen(reply) - strlen(tail), tail);
    }
}

static void types_are_read_as_the_legacy_reads_them(void **state)
{
    static const struct {
        const char *module, *list, *log, *echo;
    } typed[] = {
        {"Contacts", "{\"do_not_call\":\"off\",\"birthdate\":\"1970-2-8\"}",
         "create contact do_not_call='false' birthdate='1970-02-08'\n",
         "\"do_not_call\",\"value\":false},\"birthdate\":{\"name\":\"birthdate\",\"value\":"
         "\"1970-2-8\"}"},
        {"Contacts", "{\"do_not_call\":\"yes\",\"birthdate\":\"1970-02-30\"}",
         "create contact do_not_call='true' birthdate=NULL\n", "\"value\":\"1970-02-30\"}"},
        {"Contacts", "{\"do_not_call\":\"\",\"birthdate\":\"08.02.1970\"}",
         "create contact do_not_call='false' birthdate=NULL\n", "\"birthdate\",\"value\":\"\"}"},
        {"Calls",
         "{\"date_start\":\"2024-01-01 10:00:00\",\"duration_hours\":\"1\","
         "\"duration_minutes\":30}",
         "create call duration_hours='1' duration_minutes='30' "
         "date_start='2024-01-01 10:00:00' date_end='2024-01-01 11:30:00'\n",
         "\"duration_hours\",\"value\":1}"},
        {"Calls", "{\"duration_hours\":1000000000000}", "create call duration_hours='2147483647'\n",
         "\"duration_hours\",\"value\":1000000000000}"},
        {"Calls", "{\"date_start\":\"2024-01-01T10:00:00\"}", "create call date_start=NULL\n",
         "\"date_start\",\"value\":\"\"}"},
        {"Opportunities", "{\"sales_stage\":\"Prospecting\",\"amount\":\"$5\"}",
         "create opportunity amount='5.000000' sales_stage='Prospecting' probability='10'\n",
         "\"amount\",\"value\":5}"},
        {"Opportunities", "{\"sales_stage\":\"Closed Lost\",\"probability\":7}",
         "create opportunity sales_stage='Closed Lost' probability='7'\n",
         "\"probability\",\"value\":7}"},
        {"Opportunities", "{\"id\":\"o1\",\"sales_stage\":\"nosuch\"}",
         "update opportunity [o1] sales_stage='nosuch' probability=NULL\n", "\"nosuch\"}"},
        {"Cases", "{\"case_number\":\"9\",\"name\":\"x\"}", "create case name='x'\n",
         "\"case_number\",\"value\":9}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        char data[600];
        snprintf(data, sizeof(data), "[\"s1\",\"%s\",%s]", typed[i].module, typed[i].list);
        const char *reply = fake_call("set_entry", data);
        assert_string_equal(fake_log.data, typed[i].log);
        if (!strstr(reply, typed[i].echo))
            fail_msg("%s\nhas not\n%s", reply, typed[i].echo);
    }
}

static void ids_that_cannot_be_write_nothing(void **state)
{
    static const char *const bad[] = {"\"a'b\"", "\"a b\"", "\"a\\\"b\"", "[\"a\"]",
                                      "\"0123456789012345678901234567890123456789\""};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char data[200];
        snprintf(data, sizeof(data), "[\"s1\",\"Accounts\",{\"id\":%s,\"name\":\"x\"}]", bad[i]);
        assert_string_equal(fake_call("set_entry", data), "null");
        assert_string_equal(fake_log.data, "");
    }
}

static void a_phantom_update_is_answered_and_counted(void **state)
{
    const struct v4_1_module *m = v4_1_module(fake_mount, STR("Accounts"));
    uint64_t before = metric_value(m->phantoms);

    (void)state;
    absent = "gone";
    assert_string_equal(fake_call("set_entry", "[\"s1\",\"Accounts\",{\"id\":\"gone\","
                                               "\"name\":\"x\"}]"),
                        "{\"id\":\"gone\",\"entry_list\":{\"id\":{\"name\":\"id\",\"value\":"
                        "\"gone\"},\"name\":{\"name\":\"name\",\"value\":\"x\"}}}");
    assert_string_equal(fake_log.data, "update account [gone] name='x'\n");
    assert_int_equal(metric_value(m->phantoms), before + 1);
}

static void cuts_are_counted(void **state)
{
    const struct v4_1_module *m = v4_1_module(fake_mount, STR("Accounts"));
    uint64_t before = metric_value(m->cuts);

    (void)state;
    (void)fake_call("set_entry", "[\"s1\",\"Accounts\",{\"employees\":\"12345678901\"}]");
    assert_int_equal(metric_value(m->cuts), before + 1);
}

static void users_are_written_by_admins_only(void **state)
{
    (void)state;
    fake_admin = false;
    assert_non_null(
        strstr(fake_call("set_entry", "[\"s1\",\"Users\",{\"id\":\"1\"}]"), "\"number\":40"));
    assert_non_null(
        strstr(fake_call("set_entries", "[\"s1\",\"Users\",[{\"id\":\"1\"}]]"), "\"number\":40"));
    assert_string_equal(fake_log.data, "");
    fake_admin = true;
    (void)fake_call("set_entry", "[\"s1\",\"Users\",{\"id\":\"1\",\"user_hash\":\"x\"}]");
    assert_string_equal(fake_log.data, "update user [1]\n");
}

static void set_entries_goes_one_by_one(void **state)
{
    (void)state;
    assert_string_equal(fake_call("set_entries",
                                  "[\"s1\",\"Accounts\",[{\"name\":\"a\"},[{\"name\":\"id\","
                                  "\"value\":\"a2\"}],{\"id\":\"a3\",\"deleted\":true}]]"),
                        "{\"ids\":[\"new\",\"a2\",\"a3\"]}");
    assert_string_equal(fake_log.data, "create account name='a'\nupdate account [a2]\n"
                                       "delete account [a3]\n");
    assert_string_equal(fake_call("set_entries", "[\"s1\",\"Accounts\",null]"), "{\"ids\":[]}");
    assert_string_equal(fake_call("set_entries", "[\"s1\",\"Accounts\",[]]"), "{\"ids\":[]}");
    absent = NULL;
    struct buf data = BUF_INIT;
    buf_addz(&data, "[\"s1\",\"Accounts\",[{}");
    for (int i = 0; i < 9000; i++)
        buf_addz(&data, ",{}");
    buf_addz(&data, "]]");
    (void)fake_call("set_entries", data.data); // no recursion: the stack does not grow
    assert_int_equal(fake_status, 200);
    buf_free(&data);
}

static void denied(const struct operation *op, struct result *r)
{
    if (op->kind == OPERATION_UPDATE)
        r->status = RESULT_DENIED;
    else
        answer_created(op, r);
}

static void refused_rows_are_left_out_of_set_entries(void **state)
{
    (void)state;
    fake_answer = denied;
    assert_string_equal(fake_call("set_entries", "[\"s1\",\"Accounts\",[{\"id\":\"a1\"},{}]]"),
                        "{\"ids\":[\"new\"]}");
    assert_non_null(
        strstr(fake_call("set_entry", "[\"s1\",\"Accounts\",{\"id\":\"a1\"}]"), "\"number\":40"));
}

// ---- set_entries of contacts

static const char *twin_account; // account name of the contact that is there; NULL: none is

static void answer_merge(const struct operation *op, struct result *r)
{
    const char *account[] = {"id", "a1", NULL};
    const char *contact[] = {"id",        "c1",    "email1",       "x@example.com",
                             "last_name", "Weber", "account_name", twin_account,
                             NULL};
    const char *const *accounts[] = {account}, *const * contacts[] = {contact};

    if (op->kind == OPERATION_CREATE)
        r->key = &made;
    else if (op->kind == OPERATION_LIST && strcmp(op->entity->name, "contact") == 0)
        fake_rows(op, r, twin_account ? 1 : 0, contacts);
    else if (op->kind == OPERATION_LIST && str_eqz(value_str(op->query.filter->values[0]), "Known"))
        fake_rows(op, r, 1, accounts);
}

static void set_entries_merges_contacts(void **state)
{
    static const struct {
        const char *list, *twin, *log, *id;
    } calls[] = {
        {"{\"last_name\":\"Weber\",\"account_name\":\"Known\"}", NULL,
         "list account filtered 1\ncreate contact last_name='Weber' account_id='a1'\n", "new"},
        {"{\"last_name\":\"Weber\",\"account_name\":\"Other\"}", NULL,
         "list account filtered 1\ncreate account name='Other' assigned_user_id='u1'\n"
         "create contact last_name='Weber' account_id='new'\n",
         "new"},
        {"{\"last_name\":\"Weber \",\"email1\":\"x@example.com\"}", "Known",
         "list contact filtered 50\nupdate contact [c1]\n", "c1"},
        {"{\"last_name\":\"weber\",\"email1\":\"x@example.com\"}", "Known",
         "list contact filtered 50\ncreate contact last_name='weber' email1='x@example.com'\n",
         "new"},
        {"{\"last_name\":\"Weber\",\"email1\":\"x@example.com\",\"account_name\":\"Known\"}",
         "Elsewhere",
         "list account filtered 1\nlist contact filtered 50\n"
         "create contact last_name='Weber' email1='x@example.com' account_id='a1'\n",
         "new"},
        {"{\"id\":\"c7\",\"last_name\":\"Weber\",\"email1\":\"x@example.com\"}", "Known",
         "update contact [c7] last_name='Weber' email1='x@example.com'\n", "c7"},
    };
    (void)state;
    fake_answer = answer_merge;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char data[300], reply[64];
        twin_account = calls[i].twin;
        snprintf(data, sizeof(data), "[\"s1\",\"Contacts\",[%s]]", calls[i].list);
        snprintf(reply, sizeof(reply), "{\"ids\":[\"%s\"]}", calls[i].id);
        assert_string_equal(fake_call("set_entries", data), reply);
        assert_string_equal(fake_log.data, calls[i].log);
    }
}

// ---- set_relationship

static void answer_links(const struct operation *op, struct result *r)
{
    if (absent && op->kind == OPERATION_GET) {
        r->status = RESULT_NOT_FOUND;
        return;
    }
    if (!operation_is_read(op->kind))
        return;
    // Every key that was asked for is there, but c9.
    const struct value *keys = op->query.key ? op->query.key : op->query.keys;
    size_t n = op->query.key ? 1 : op->query.nkeys;
    r->records.rows = arena_array(op->arena, n, sizeof(*r->records.rows));
    for (size_t i = 0; i < n; i++)
        if (!str_eqz(value_str(keys[i]), "c9"))
            r->records.rows[r->records.n++].values = &keys[i];
}

static void set_relationship_counts_per_call(void **state)
{
    static const struct {
        const char *data, *reply, *log;
    } calls[] = {
        {"\"Accounts\",\"a1\",\"contacts\",[\"c1\",\"c2\",\"c1\",\"c9\"],[],0",
         "{\"created\":1,\"failed\":0,\"deleted\":0}",
         "get account [a1]\nlist contact (c1) (c2) (c9)\nrelate account a1+c1 a1+c2\n"},
        {"\"Accounts\",\"a1\",\"contacts\",[\"c1\"],[],1",
         "{\"created\":0,\"failed\":0,\"deleted\":1}",
         "get account [a1]\nlist contact (c1)\nrelate account a1-c1\n"},
        {"\"Accounts\",\"a1\",\"contacts\",[\"c9\"],[],0",
         "{\"created\":1,\"failed\":0,\"deleted\":0}", "get account [a1]\nlist contact (c9)\n"},
        {"\"Accounts\",\"a1\",\"nosuch\",[\"c1\"]", "{\"created\":0,\"failed\":1,\"deleted\":0}",
         ""},
        {"\"NoSuch\",\"a1\",\"contacts\",[\"c1\"]", "{\"created\":0,\"failed\":1,\"deleted\":0}",
         ""},
        {"\"Accounts\",\"a1\",\"cases\",[\"k1\",\"k2\"]",
         "{\"created\":1,\"failed\":0,\"deleted\":0}",
         "get account [a1]\nlist case (k1) (k2)\nupdate case [k1] account_id='a1'\n"
         "update case [k2] account_id='a1'\n"},
        {"\"Accounts\",\"a1\",\"notes\",[\"n1\"]", "{\"created\":1,\"failed\":0,\"deleted\":0}",
         "get account [a1]\nlist note (n1)\n"
         "update note [n1] parent_type='Accounts' parent_id='a1'\n"},
        {"\"Cases\",\"k1\",\"accounts\",[\"a1\"]", "{\"created\":1,\"failed\":0,\"deleted\":0}",
         "get case [k1]\nlist account (a1)\nupdate case [k1] account_id='a1'\n"},
        {"\"Cases\",\"k1\",\"accounts\",[\"a1\"],[],1",
         "{\"created\":0,\"failed\":0,\"deleted\":1}",
         "get case [k1]\nlist account (a1)\nupdate case [k1] account_id=NULL\n"},
    };
    (void)state;
    fake_answer = answer_links;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char data[300];
        snprintf(data, sizeof(data), "[\"s1\",%s]", calls[i].data);
        assert_string_equal(fake_call("set_relationship", data), calls[i].reply);
        assert_string_equal(fake_log.data, calls[i].log);
    }
    absent = "a1";
    assert_string_equal(fake_call("set_relationship", "[\"s1\",\"Accounts\",\"a1\",\"contacts\","
                                                      "[\"c1\"]]"),
                        "{\"created\":1,\"failed\":0,\"deleted\":0}");
    assert_string_equal(fake_log.data, "get account [a1]\n");
}

// ---- modules

static void modules_are_described(void **state)
{
    (void)state;
    static const char head[] =
        "{\"module_name\":\"Accounts\",\"table_name\":\"accounts\",\"module_fields\":{"
        "\"id\":{\"name\":\"id\",\"type\":\"id\",\"group\":\"\",\"id_name\":\"\",\"label\":\"ID\","
        "\"required\":1,\"options\":[],\"related_module\":\"\",\"calculated\":false,\"len\":\"\"},";
    const char *reply = fake_call("get_module_fields", "[\"s1\",\"Accounts\",[]]");
    assert_memory_equal(reply, head, sizeof(head) - 1);
    assert_non_null(strstr(reply, "\"link_fields\":{\"contacts\":{\"name\":\"contacts\","
                                  "\"type\":\"link\",\"group\":\"\",\"id_name\":\"\","
                                  "\"relationship\":\"accounts_contacts\",\"module\":\"Contacts\","
                                  "\"bean_name\":\"Contact\"}"));
    assert_non_null(strstr(reply, "\"options\":{\"\":{\"name\":\"\",\"value\":\"\"},\"1\":{"
                                  "\"name\":1,\"value\":\"Yes\"},\"2\":{\"name\":2,\"value\":"
                                  "\"No\"}}"));
    reply = fake_call("get_module_fields", "[\"s1\",\"Accounts\",[\"name\"]]");
    assert_string_equal(reply, "{\"module_name\":\"Accounts\",\"table_name\":\"accounts\","
                               "\"module_fields\":{\"name\":{\"name\":\"name\",\"type\":\"name\","
                               "\"group\":\"\",\"id_name\":\"\",\"label\":\"Name:\",\"required\":1,"
                               "\"options\":[],\"related_module\":\"\",\"calculated\":false,"
                               "\"len\":\"150\"}},\"link_fields\":[]}");
    assert_non_null(
        strstr(fake_call("get_module_fields", "[\"s1\",\"accounts\"]"), "\"number\":20"));
    assert_string_equal(fake_log.data, "");
}

static void modules_are_listed(void **state)
{
    (void)state;
    static const char head[] =
        "{\"modules\":[{\"module_key\":\"Accounts\",\"module_label\":\"Accounts\","
        "\"favorite_enabled\":false,\"acls\":[{\"action\":\"edit\",\"access\":true},";
    const char *reply = fake_call("get_available_modules", "[\"s1\",\"default\"]");
    assert_memory_equal(reply, head, sizeof(head) - 1);
    assert_null(strstr(reply, "Users"));
    assert_non_null(strstr(fake_call("get_available_modules", "[\"s1\"]"), "\"Users\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(set_entry_writes_and_echoes, fresh),
        cmocka_unit_test_setup(types_are_read_as_the_legacy_reads_them, fresh),
        cmocka_unit_test_setup(ids_that_cannot_be_write_nothing, fresh),
        cmocka_unit_test_setup(a_phantom_update_is_answered_and_counted, fresh),
        cmocka_unit_test_setup(cuts_are_counted, fresh),
        cmocka_unit_test_setup(users_are_written_by_admins_only, fresh),
        cmocka_unit_test_setup(set_entries_goes_one_by_one, fresh),
        cmocka_unit_test_setup(refused_rows_are_left_out_of_set_entries, fresh),
        cmocka_unit_test_setup(set_entries_merges_contacts, fresh),
        cmocka_unit_test_setup(set_relationship_counts_per_call, fresh),
        cmocka_unit_test_setup(modules_are_described, fresh),
        cmocka_unit_test_setup(modules_are_listed, fresh),
    };
    return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
