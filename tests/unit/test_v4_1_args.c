// SPDX-License-Identifier: Apache-2.0
// rest_data of the v4_1 dialect: arguments by position and by name, and scalars as PHP reads
// them.
#include "facade/dialect/v4_1_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

static void bound(const char *method, const char *data, const char *expect)
{
    const struct v4_1_method *m = v4_1_method(str_of(method));
    const json_t *args[V4_1_ARGS_MAX];
    struct buf out = BUF_INIT;

    assert_non_null(m);
    json_t *j = v4_1_decode(str_of(data));
    size_t n = v4_1_bind(v4_1_api(STR("v4_1")), m, j, args);
    buf_printf(&out, "%zu:", n);
    for (size_t i = 0; m->args[i]; i++) {
        char *text = args[i] ? json_dumps(args[i], JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        buf_printf(&out, " %s", text ? text : "-");
        free(text);
    }
    assert_string_equal(out.data, expect);
    buf_free(&out);
    json_decref(j);
}

static void arguments_bind_by_position_or_name(void **state)
{
    (void)state;
    bound("get_entries_count", "[\"s\",\"A\",\"q\",1,9,9]", "4: \"s\" \"A\" \"q\" 1");
    bound("get_entries_count", "{\"deleted\":1,\"session\":\"s\"}", "4: \"s\" - - 1");
    bound("get_entries_count", "{\"session\":\"s\",\"module\":\"A\",\"query\":\"q\"}",
          "3: \"s\" \"A\" \"q\" -");
    // An object in the place of a list is the list of its values, and only there.
    bound("get_entry", "[\"s\",\"A\",\"1\",{\"x\":\"id\",\"1\":\"name\"}]",
          "4: \"s\" \"A\" \"1\" [\"id\",\"name\"] - -");
    bound("get_entry",
          "{\"session\":\"s\",\"module\":\"A\",\"id\":\"1\",\"f\":{\"x\":\"id\"},\"l\":{\"x\":{"
          "\"name\":\"contacts\",\"value\":{\"y\":\"id\"}}}}",
          "5: \"s\" \"A\" \"1\" [\"id\"] [{\"name\":\"contacts\",\"value\":[\"id\"]}] -");
    bound("get_entry", "[\"s\",\"A\",{\"x\":\"1\"},{}]", "4: \"s\" \"A\" {\"x\":\"1\"} {} - -");
    bound("set_entry", "[\"s\",\"A\",{\"name\":\"x\"}]", "3: \"s\" \"A\" {\"name\":\"x\"} -");
    bound("get_entries_count", "{\"z\":1,\"a\":2}", "2: 1 2 - -");
    bound("get_entries_count", "{}", "0: - - - -");
    bound("get_entries_count", "[]", "0: - - - -");
    bound("get_entries_count", "5", "1: 5 - - -");
    bound("get_entries_count", "{broken", "1: null - - -");
    bound("get_entries_count", "", "1: null - - -");
    bound("get_entries_count", "[99999999999999999999]", "1: 1e20 - - -");
    bound("GET_SERVER_INFO", "[1]", "0:");
    bound("LOGIN", "{\"user_auth\":{},\"application_name\":\"x\"}", "2: {} \"x\" -");
    assert_null(v4_1_method(STR("get_session_id")));
    assert_null(v4_1_method(STR("")));
}

static void numbers_for_names_make_a_list(void **state)
{
    (void)state;
    bound("get_entries_count", "{\"0\":\"s\",\"2\":{\"1\":[{\"5\":1}]}}", "2: \"s\" [[[1]]] - -");
    bound("get_entries_count", "[{\"0\":1,\"a\":2},{\"01\":1},{}]",
          "3: {\"0\":1,\"a\":2} {\"01\":1} {} -");
    bound("get_entries_count", "{\"3\":1,\"0\":2}", "2: 1 2 - -");
}

static void versions_differ_by_table(void **state)
{
    static const struct {
        const char *version, *method;
        size_t nargs;
    } rows[] = {
        {"v2", "get_relationships", 8},
        {"v3", "get_relationships", 9},
        {"v4", "get_relationships", 9},
        {"v4_1", "get_relationships", 11},
        {"v2_1", "search_by_module", 5},
        {"v3", "search_by_module", 7},
        {"v3_1", "search_by_module", 8},
        {"v4", "search_by_module", 9},
        {"v3", "get_entry_list", 9},
        {"v3_1", "get_entry_list", 10},
        {"v2", "login", 3},
        {"v4", "get_modified_relationships", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct v4_1_api *api = v4_1_api(str_of(rows[i].version));
        const struct v4_1_method *m = v4_1_method(str_of(rows[i].method));
        assert_non_null(api);
        assert_int_equal(v4_1_nargs(api, m), rows[i].nargs);
        assert_int_equal(v4_1_lacks(api, m), rows[i].nargs == 0);
    }
    assert_false(v4_1_lacks(v4_1_api(STR("v2")), v4_1_method(STR("get_server_info"))));
    assert_null(v4_1_api(STR("v5")));
}

static void scalars_read_as_in_php(void **state)
{
    static const struct {
        const char *json, *text;
        bool empty, all;
        int number;
        long long n;
    } rows[] = {
        {"null", "", true, false, 0, 20},
        {"\"\"", "", true, true, 0, 20},
        {"0", "0", true, false, 0, 0},
        {"\"0\"", "0", true, false, 0, 0},
        {"false", "", true, false, 0, 20},
        {"true", "1", false, true, 0, 1},
        {"1", "1", false, true, 0, 1},
        {"\"false\"", "false", false, true, -1, 0},
        {"2.5", "2.5", false, true, 0, 2},
        {"\"2.5\"", "2.5", false, true, 0, 2},
        {"-3", "-3", false, true, 0, -3},
        {"\"x\"", "x", false, true, -1, 0},
        {"[]", NULL, true, true, -1, 0},
        {"{\"a\":1}", NULL, false, true, -1, 0},
        {"1e300", "1.0e+300", false, true, 0, 4000000000000000000},
        {"-1e300", "-1.0e+300", false, true, 0, -4000000000000000000},
        {"9223372036854775807", "9223372036854775807", false, true, 0, 4000000000000000000},
        {"99999999999999999999", "1.0e+20", false, true, 0, 4000000000000000000},
        {"\" 2\"", " 2", false, true, 0, 2},
        {"\"2\\t\"", "2\t", false, true, 0, 2},
        {"\"1e2\"", "1e2", false, true, 0, 100},
        {"\" \"", " ", false, true, -1, 0},
        {"\"2x\"", "2x", false, true, -1, 0},
        {"\"0x2\"", "0x2", false, true, -1, 0},
        {"\"e\"", "e", false, true, -1, 0},
    };
    struct arena *a = arena_create(0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *j = v4_1_decode(str_of(rows[i].json));
        struct str text;
        long long n = 20;
        assert_non_null(j);
        assert_int_equal(v4_1_text(j, a, &text), rows[i].text != NULL);
        if (rows[i].text)
            assert_true(str_eqz(text, rows[i].text));
        assert_int_equal(v4_1_empty(j), rows[i].empty);
        assert_int_equal(v4_1_wants_deleted(j), rows[i].all);
        assert_int_equal(v4_1_number(j, &n), rows[i].number);
        if (rows[i].number == 0)
            assert_int_equal(n, rows[i].n);
        json_decref(j);
    }
    arena_destroy(a);
}

static void capital_guids_are_known(void **state)
{
    struct arena *a = arena_create(0);
    struct str out;

    (void)state;
    assert_true(v4_1_guid_lower(STR("ABCDEF01-2345-6789-abcd-ef0123456789"), a, &out));
    assert_string_equal(out.data, "abcdef01-2345-6789-abcd-ef0123456789");
    assert_false(v4_1_guid_lower(STR("abcdef01-2345-6789-abcd-ef0123456789"), a, &out));
    assert_false(v4_1_guid_lower(STR("ABCDEF01x2345-6789-abcd-ef0123456789"), a, &out));
    assert_false(v4_1_guid_lower(STR("Seed_Jim_id"), a, &out));
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_bind_by_position_or_name),
        cmocka_unit_test(numbers_for_names_make_a_list),
        cmocka_unit_test(versions_differ_by_table),
        cmocka_unit_test(scalars_read_as_in_php),
        cmocka_unit_test(capital_guids_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
