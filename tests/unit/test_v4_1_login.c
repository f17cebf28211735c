// SPDX-License-Identifier: Apache-2.0
// login, sessions, methods, arguments and transport of the v4_1 dialect.
#include "v4_1_fake.h"

#include <crypt.h>

// md5("admin1") and bcrypt over it, made by the system's own crypt.
#define MD5_ADMIN1 "e00cf25ad42683b3df678c61f42c6bda"

static const char *user_hash, *user_status, *user_deleted, *user_group;

static void answer_user(const struct operation *op, struct result *r)
{
    const char *row[] = {"id",      "1",          "user_name", "admin",    "user_hash",
                         user_hash, "is_admin",   "true",      "status",   user_status,
                         "deleted", user_deleted, "is_group",  user_group, NULL};
    const char *const *rows[] = {row};

    assert_int_equal(op->kind, OPERATION_LIST);
    assert_string_equal(op->entity->name, "user");
    bool alike = op->query.filter->op == MATCH_LIKE;
    assert_true(alike || op->query.filter->op == MATCH_EQ);
    struct str name = value_str(op->query.filter->values[0]);
    if (str_eq_nocase(name, alike ? STR("_____") : STR("admin")))
        fake_rows(op, r, 1, rows);
}

static void good_user(void)
{
    user_hash = MD5_ADMIN1;
    user_status = "Active";
    user_deleted = "false";
    user_group = "false";
    fake_answer = answer_user;
}

static const char welcome[] =
    "{\"id\":\"0123456789abcdef0123456789abcdef\",\"module_name\":\"Users\",\"name_value_list\":"
    "{\"user_id\":{\"name\":\"user_id\",\"value\":\"1\"},"
    "\"user_name\":{\"name\":\"user_name\",\"value\":\"admin\"},"
    "\"user_language\":{\"name\":\"user_language\",\"value\":\"en_us\"},"
    "\"user_currency_id\":{\"name\":\"user_currency_id\",\"value\":null},"
    "\"user_is_admin\":{\"name\":\"user_is_admin\",\"value\":true},"
    "\"user_default_team_id\":{\"name\":\"user_default_team_id\",\"value\":null},"
    "\"user_default_dateformat\":{\"name\":\"user_default_dateformat\",\"value\":\"m\\/d\\/Y\"},"
    "\"user_default_timeformat\":{\"name\":\"user_default_timeformat\",\"value\":\"H:i\"},"
    "\"user_number_separator\":{\"name\":\"user_number_separator\",\"value\":\",\"},"
    "\"user_decimal_separator\":{\"name\":\"user_decimal_separator\",\"value\":\".\"},"
    "\"mobile_max_list_entries\":{\"name\":\"mobile_max_list_entries\",\"value\":null},"
    "\"mobile_max_subpanel_entries\":{\"name\":\"mobile_max_subpanel_entries\",\"value\":null},"
    "\"user_currency_name\":{\"name\":\"user_currency_name\",\"value\":\"US Dollar\"}}}";

#define FAULT10                                                                                \
    "{\"name\":\"Invalid Login\",\"number\":10,\"description\":\"Login attempt failed please " \
    "check the username and password\"}"
#define FAULT11                                                                           \
    "{\"name\":\"Invalid Session ID\",\"number\":11,\"description\":\"The session ID is " \
    "invalid\"}"
#define FAULT20                                                                               \
    "{\"name\":\"Module Does Not Exist\",\"number\":20,\"description\":\"This module is not " \
    "available on this server\"}"
#define FAULT1001                                                                               \
    "{\"name\":\"Invalid data sent\",\"number\":1001,\"description\":\"The data sent for this " \
    "function is invalid. Please look at WSDL file for details\"}"

static void login_answers_with_the_session(void **state)
{
    static const char *const bodies[] = {
        "{\"user_auth\":{\"user_name\":\"admin\",\"password\":\"admin1\",\"encryption\":\"PLAIN\"},"
        "\"application\":\"x\"}",
        "{\"user_auth\":{\"user_name\":\"ADMIN \",\"password\":\"" MD5_ADMIN1 "\"}}",
        "[{\"user_name\":\"admin\",\"password\":\"E00CF25AD42683B3DF678C61F42C6BDA\"},\"x\",[]]",
        "{\"user_auth\":{\"user_name\":\"admin\",\"password\":\"" MD5_ADMIN1
        "\",\"version\":\"1\"},"
        "\"application_name\":\"x\",\"name_value_list\":[]}",
    };
    char bcrypt[128];
    struct crypt_data *data = calloc(1, sizeof(*data));

    (void)state;
    assert_non_null(data);
    assert_int_equal(str_copy(bcrypt, sizeof(bcrypt),
                              str_of(crypt_r(MD5_ADMIN1, "$2y$04$abcdefghijklmnopqrstuu", data))),
                     0);
    free(data);
    for (int k = 0; k < 2; k++) {
        good_user();
        if (k == 1)
            user_hash = bcrypt;
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
            assert_string_equal(fake_call("login", bodies[i]), welcome);
            assert_int_equal(fake_status, 200);
            assert_true(str_eqz(fake_type, "application/json; charset=UTF-8"));
            assert_non_null(strstr(fake_headers.data,
                                   "Set-Cookie: PHPSESSID=0123456789abcdef0123456789abcdef; "
                                   "path=/\n"));
            assert_non_null(strstr(fake_headers.data, "no-store"));
            assert_non_null(strstr(fake_log.data, "session of 1 admin\n"));
        }
    }
}

static void refuse(const char *rest_data)
{
    assert_string_equal(fake_call("login", rest_data), FAULT10);
    assert_int_equal(fake_status, 200);
    assert_string_equal(fake_headers.data, "");
    assert_null(strstr(fake_log.data, "session"));
}

#define ADMIN "{\"user_auth\":{\"user_name\":\"admin\",\"password\":\"" MD5_ADMIN1 "\"}}"

static void login_refuses_who_may_not(void **state)
{
    (void)state;
    good_user();
    refuse("{\"user_auth\":{\"user_name\":\"admin\",\"password\":\"" MD5_ADMIN1 "\","
           "\"encryption\":\"PLAIN\"}}");
    refuse("{\"user_auth\":{\"user_name\":\"admin\",\"password\":\"admin1\"}}");
    refuse("{\"user_auth\":{\"user_name\":\"admim\",\"password\":\"" MD5_ADMIN1 "\"}}");
    refuse("{\"user_auth\":{\"user_name\":\"nobody\",\"password\":\"" MD5_ADMIN1 "\"}}");
    refuse("{\"user_auth\":{\"user_name\":\"\",\"password\":\"" MD5_ADMIN1 "\"}}");
    refuse("{\"user_auth\":{\"user_name\":\"admin\"}}");
    refuse("{\"user_auth\":[]}");
    refuse("null");
    refuse("{broken");
    refuse("");
    user_status = "inactive";
    refuse(ADMIN);
    good_user();
    user_deleted = "true";
    refuse(ADMIN);
    good_user();
    user_group = "true";
    refuse(ADMIN);
    good_user();
    user_hash = "E00CF25AD42683B3DF678C61F42C6BDA";
    refuse(ADMIN);
    user_hash = "";
    refuse(ADMIN);
    user_hash = "$2y$04$broken";
    refuse(ADMIN);
    good_user();
    fake_workers_busy = true;
    fake_call("login", ADMIN);
    assert_int_equal(fake_status, 503);
}

static void a_null_status_or_deleted_refuses(void **state)
{
    (void)state;
    good_user();
    user_status = NULL;
    refuse(ADMIN);
    good_user();
    user_deleted = NULL;
    refuse(ADMIN);
}

static void sessions_are_checked(void **state)
{
    static const struct {
        const char *method, *data, *reply;
    } rows[] = {
        {"get_user_id", "[\"s1\"]", "\"u1\""},
        {"GET_USER_ID", "{\"session\":\"s1\"}", "\"u1\""},
        {"get_user_id", "{\"sid\":\"s1\",\"x\":1}", "\"u1\""},
        {"get_user_id", "[\"\"]", "null"},
        {"get_user_id", "[null]", "null"},
        {"get_user_id", "[[]]", "null"},
        {"get_user_id", "[{}]", "null"},
        {"get_user_id", "{broken", "null"},
        {"get_user_id", "", "null"},
        {"get_user_id", "[]", FAULT1001},
        {"get_entry_list", "[]", "null"},
        {"get_entry_list", "", "null"},
        {"get_entry", "", FAULT1001},
        {"set_entry", "{broken", FAULT1001},
        {"get_user_id", "[\"nosuch\"]", FAULT11},
        {"get_available_modules", "[\"nosuch\"]", FAULT10},
        {"seamless_login", "[\"nosuch\"]", "0"},
        {"seamless_login", "[\"s1\"]", "1"},
        {"logout", "[\"s1\"]", "null"},
        {"get_entry", "[\"s1\",\"accounts\",\"1\"]", FAULT20},
        {"get_entry", "[\"s1\",\"Home\",\"1\"]", FAULT20},
        {"get_entry", "[\"s1\",\"\",\"1\"]", FAULT1001},
        {"get_entry", "[\"s1\",null,\"1\"]", FAULT1001},
        {"nosuch", "[\"s1\"]",
         "{\"name\":\"An Undefined Error - invalid_call occurred\",\"number\":\"-1\","
         "\"description\":\"There is no error definition for invalid_call\"}"},
        {"", "[]",
         "{\"name\":\"An Undefined Error - invalid_call occurred\",\"number\":\"-1\","
         "\"description\":\"There is no error definition for invalid_call\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(fake_call(rows[i].method, rows[i].data), rows[i].reply);
        assert_int_equal(fake_status, 200);
    }
    assert_int_equal(fake_ended, 1);
}

static void forms_come_in_three_ways(void **state)
{
    static const char form[] = "application/x-www-form-urlencoded; charset=utf-8";
    static const char call[] = "method=get_user_id&input_type=JSON&response_type=JSON"
                               "&rest_data=%5B%22s1%22%5D";
    (void)state;
    fake_request("login", form, call, "");
    assert_string_equal(fake_reply.data, "\"u1\"");
    assert_non_null(strstr(fake_headers.data, "Set-Cookie: PHPSESSID=s1; path=/\n"));
    fake_request(call, "", "", "a=b; PHPSESSID=s1");
    assert_string_equal(fake_reply.data, "\"u1\"");
    assert_null(strstr(fake_headers.data, "Set-Cookie"));
    fake_request("", "multipart/form-data; boundary=x",
                 "--x\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nget_user_id\r\n"
                 "--x\r\nContent-Disposition: form-data; name=\"input_type\"\r\n\r\nJSON\r\n"
                 "--x\r\nContent-Disposition: form-data; name=\"response_type\"\r\n\r\nJSON\r\n"
                 "--x\r\nContent-Disposition: form-data; name=\"rest_data\"\r\n\r\n[\"s1\"]\r\n"
                 "--x--\r\n",
                 "");
    assert_string_equal(fake_reply.data, "\"u1\"");
    fake_request("jsoncallback=f", form, call, "");
    assert_string_equal(fake_reply.data, "f(\"u1\")");
    fake_request("jsoncallback=alert(1)", form, call, "");
    assert_string_equal(fake_reply.data, "\"u1\"");
    fake_request("jsoncallback=f", form, "method=x&input_type=JSON&response_type=JSON", "");
    assert_memory_equal(fake_reply.data, "f({\"name\":\"An Undefined", 22);
    fake_request("", form, "method=get_user_id&response_type=JSON&rest_data=[%22s1%22]", "");
    assert_int_equal(fake_status, 500);
    assert_true(str_eqz(fake_type, "text/html; charset=UTF-8"));
    assert_int_equal(fake_reply.len, 0);
    fake_request("", form, "method=get_user_id&input_type=Serialize&response_type=JSON", "");
    assert_int_equal(fake_status, 500);
}

static void server_info_has_four_members(void **state)
{
    const char *reply = fake_call("get_server_info", "");

    (void)state;
    static const char head[] = "{\"flavor\":\"CE\",\"version\":\"6.5.25\","
                               "\"suitecrm_version\":\"7.14.6\",\"gmt_time\":\"20";
    assert_memory_equal(reply, head, sizeof(head) - 1);
    assert_int_equal(strlen(reply), sizeof(head) - 1 + 17 + 2);
}

static void a_client_may_leave_in_the_middle(void **state)
{
    (void)state;
    good_user();
    fake_later = true;
    fake_call("login", ADMIN);
    assert_int_equal(fake_replies, 0);
    fake_deliver();
    assert_int_equal(fake_replies, 0);
    fake_deliver(); // the names that are alike
    assert_int_equal(fake_replies, 1);
    assert_string_equal(fake_reply.data, welcome);
}

static enum result_status failing;

static void answer_failing(const struct operation *op, struct result *r)
{
    (void)op;
    r->status = failing;
}

static void stores_that_fail_answer_as_the_legacy(void **state)
{
    static const struct {
        enum result_status s;
        unsigned status;
        const char *body;
    } rows[] = {
        {RESULT_UNAVAILABLE, 500, "Database failure. Please refer to suitecrm.log for details."},
        {RESULT_TIMEOUT, 500, "Database failure. Please refer to suitecrm.log for details."},
        {RESULT_BUSY, 503, ""},
        {RESULT_DENIED, 200,
         "{\"name\":\"Access Denied\",\"number\":40,\"description\":\"You do not have access\"}"},
        {RESULT_RETIRED, 200, FAULT20},
    };
    (void)state;
    fake_answer = answer_failing;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        failing = rows[i].s;
        fake_call("get_entry", "[\"s1\",\"Accounts\",\"1\"]");
        assert_int_equal(fake_status, rows[i].status);
        assert_string_equal(fake_reply.data, rows[i].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(login_answers_with_the_session, fake_fresh),
        cmocka_unit_test_setup(login_refuses_who_may_not, fake_fresh),
        cmocka_unit_test_setup(a_null_status_or_deleted_refuses, fake_fresh),
        cmocka_unit_test_setup(sessions_are_checked, fake_fresh),
        cmocka_unit_test_setup(forms_come_in_three_ways, fake_fresh),
        cmocka_unit_test_setup(server_info_has_four_members, fake_fresh),
        cmocka_unit_test_setup(a_client_may_leave_in_the_middle, fake_fresh),
        cmocka_unit_test_setup(stores_that_fail_answer_as_the_legacy, fake_fresh),
    };
    return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
