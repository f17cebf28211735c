// SPDX-License-Identifier: Apache-2.0
// Route tables: every mistake at once and none half loaded, state on top of definitions,
// canary buckets that only grow.
#include "base/clock.h"
#include "routes/route.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct entity_set *maps;

static int set_up(void **state)
{
    (void)state;
    maps = fixture_maps();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_destroy(maps);
    return 0;
}

static struct route_table *load(const char *text, struct problems *p)
{
    char file[] = "/tmp/ficus-route-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct route_table *t = route_table_load(file, maps, p);
    unlink(file);
    return t;
}

static struct route_table *good(const char *text)
{
    struct problems p = {0};
    struct route_table *t = load(text, &p);
    if (!t)
        fail_msg("%s", p.text.data);
    assert_int_equal(p.count, 0);
    problems_free(&p);
    return t;
}

static const char two_routes[] =
    "{\"groups\": {\"crm\": {\"entities\": [\"account\", \"contact\", \"account_contact\"]}},"
    " \"routes\": {"
    "  \"account\": {\"entity\": \"account\", \"legacy\": {\"backend\": \"odbc\"},"
    "    \"new\": {\"backend\": \"http\", \"url\": \"http://${env:ROUTE_TEST_HOST}:1/x\"}},"
    "  \"people\": {\"entity\": \"contact\", \"operations\": [\"read\", \"relate\"],"
    "    \"legacy\": {\"backend\": \"odbc\"}, \"new\": {\"backend\": \"postgres\"}}},"
    " \"mounts\": [{\"dialect\": \"rest\", \"path\": \"/api\","
    "    \"options\": {\"tokens\": [{\"token\": \"${env:ROUTE_TEST_HOST}\"}]}}]}";

static const struct entity *entity(const char *name)
{
    return entity_find(maps, str_of(name));
}

static void test_definitions(void **state)
{
    (void)state;
    setenv("ROUTE_TEST_HOST", "127.0.0.1", 1);
    struct route_table *t = good(two_routes);
    const struct route *a = route_find(t, STR("account"));
    const struct route *p = route_find(t, STR("people"));
    assert_string_equal(a->url[SIDE_NEW], "http://127.0.0.1:1/x");
    assert_ptr_equal(route_for(t, entity("account"), ROUTE_WRITES), a);
    assert_ptr_equal(route_for(t, entity("contact"), ROUTE_READS), p);
    assert_null(route_for(t, entity("contact"), ROUTE_WRITES)); // not among its operations
    assert_null(route_for(t, entity("lead"), ROUTE_READS));
    assert_ptr_equal(a->group, group_find(t, STR("crm")));
    assert_ptr_equal(group_of(t, entity("account_contact")), a->group);
    assert_null(group_of(t, entity("lead")));
    assert_int_equal(a->stage, STAGE_LEGACY);
    assert_int_equal(a->group->owner, SIDE_LEGACY);
    const json_t *tokens = json_object_get(mount_at(t, 0)->options, "tokens");
    assert_string_equal(json_string_value(json_object_get(json_array_get(tokens, 0), "token")),
                        "127.0.0.1");
    route_table_unref(t);
}

static void test_every_mistake_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        unsigned count;
    } bad[] = {
        {"[]", "a JSON object", 1},
        {"{\"routs\": {}}", "routs", 1},
        {"{\"groups\": {\"g\": {\"entities\": [\"nobody\", \"account\", \"account\"]}}}",
         "no entity map 'nobody'", 2},
        {"{\"groups\": {\"g\": {\"entities\": [\"account\"], \"rogue\": \"maybe\"}}}", "rogue", 1},
        {"{\"groups\": {\"g\": {}}}", "needs a list of entities", 1},
        {"{\"routes\": {\"a\": {\"entity\": \"account\"}}}", "odbc", 2},
        {"{\"routes\": {\"a\": {\"entity\": \"account\", \"legacy\": {\"backend\": \"postgres\"},"
         " \"new\": {\"backend\": \"http\"}}}}",
         "does not serve the legacy side", 2},
        {"{\"routes\": {\"a\": {\"entity\": \"account\", \"operations\": [\"read\", \"fly\"],"
         " \"legacy\": {\"backend\": \"odbc\"}, \"new\": {\"backend\": \"postgres\"}}}}",
         "operations are", 1},
        {"{\"routes\": {\"a\": {\"entity\": \"account\", \"legacy\": {\"backend\": \"odbc\"},"
         " \"new\": {\"backend\": \"postgres\"}}, \"b\": {\"entity\": \"account\","
         " \"legacy\": {\"backend\": \"odbc\"}, \"new\": {\"backend\": \"postgres\"}}}}",
         "has route 'a' already", 1},
        {"{\"mounts\": [{\"dialect\": \"rest\", \"path\": \"api\"}]}", "starts with '/'", 1},
        {"{\"mounts\": [{\"dialect\": \"rest\", \"path\": \"/\","
         " \"options\": {\"a\": [\"${env:ROUTE_TEST_UNSET}\"]}}]}",
         "ROUTE_TEST_UNSET", 1},
    };
    unsetenv("ROUTE_TEST_UNSET");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problems p = {0};
        assert_null(load(bad[i].text, &p));
        if (p.count != bad[i].count || !strstr(p.text.data, bad[i].says))
            fail_msg("%s\n%u: %s", bad[i].text, p.count, p.text.data);
        problems_free(&p);
    }
}

static struct route_table *with_state(const struct route_table *t, const char *text)
{
    json_error_t je;
    struct err e = {0};
    json_t *state = json_loads(text, 0, &je);
    assert_non_null(state);
    struct route_table *n = route_table_with_state(t, state, &e);
    json_decref(state);
    if (!n)
        fail_msg("%s", e.msg);
    return n;
}

static void test_state_lies_over_definitions(void **state)
{
    (void)state;
    setenv("ROUTE_TEST_HOST", "127.0.0.1", 1);
    struct route_table *t = good(two_routes);
    struct route_table *n = with_state(
        t, "{\"version\": 9, \"routes\": {\"account\": {\"stage\": \"canary\", \"canary_bp\": 250},"
           " \"people\": {\"stage\": \"sideways\"}, \"gone\": {\"stage\": \"new\"}},"
           " \"groups\": {\"crm\": {\"owner\": \"new\", \"epoch\": 4, \"phase\": \"holding\","
           " \"hold_until_ms\": 5}}}");
    route_table_unref(t); // the copy stands on its own
    const struct route *a = route_find(n, STR("account"));
    assert_int_equal(route_table_version(n), 9);
    assert_int_equal(a->stage, STAGE_CANARY);
    assert_int_equal(a->canary_bp, 250);
    assert_int_equal(route_find(n, STR("people"))->stage, STAGE_LEGACY);
    assert_int_equal(a->group->owner, SIDE_NEW);
    assert_int_equal(a->group->epoch, 4);
    assert_true(a->group->holding);
    // Out as it came in, so that the file of the last good table loads again.
    json_t *out = route_table_state(n);
    struct err e = {0};
    struct route_table *again = route_table_with_state(n, out, &e);
    json_t *second = route_table_state(again);
    assert_true(json_equal(out, second));
    json_decref(out);
    json_decref(second);
    route_table_unref(again);
    route_table_unref(n);
}

static void test_ladder(void **state)
{
    (void)state;
    assert_true(stage_step_is_legal(STAGE_LEGACY, STAGE_SHADOW));
    assert_true(stage_step_is_legal(STAGE_CANARY, STAGE_CANARY));
    assert_true(stage_step_is_legal(STAGE_RETIRED, STAGE_LEGACY));
    assert_true(stage_step_is_legal(STAGE_NEW, STAGE_SHADOW));
    assert_false(stage_step_is_legal(STAGE_LEGACY, STAGE_CANARY));
    assert_false(stage_step_is_legal(STAGE_SHADOW, STAGE_NEW));
    assert_false(stage_step_is_legal(STAGE_NEW, STAGE_NEW));
    for (int s = STAGE_LEGACY; s <= STAGE_RETIRED; s++) {
        enum stage found;
        assert_int_equal(stage_from(str_of(stage_name((enum stage)s)), &found), 0);
        assert_int_equal(found, s);
    }
    enum stage none;
    assert_int_equal(stage_from(STR("Legacy"), &none), -1);
}

static void test_a_bucket_only_joins(void **state)
{
    (void)state;
    setenv("ROUTE_TEST_HOST", "127.0.0.1", 1);
    struct route_table *t = good(two_routes);
    struct route r = *route_find(t, STR("account"));
    unsigned on_new[3] = {0};
    static const unsigned share[] = {100, 1000, 5000};
    r.stage = STAGE_CANARY;
    for (int i = 0; i < 10000; i++) {
        char key[37];
        uuid_make(key);
        bool before = false;
        for (int s = 0; s < 3; s++) {
            r.canary_bp = share[s];
            bool now = route_read_side(&r, str_of(key)) == SIDE_NEW;
            assert_true(now || !before);
            on_new[s] += now;
            before = now;
        }
        r.canary_bp = 0;
        assert_int_equal(route_read_side(&r, str_of(key)), SIDE_LEGACY);
        r.canary_bp = 10000;
        assert_int_equal(route_read_side(&r, str_of(key)), SIDE_NEW);
    }
    for (int s = 0; s < 3; s++) // within 6 sigma of the share
        assert_in_range(on_new[s], share[s] * 10000u / 10000 * 7 / 10 - 40,
                        share[s] * 13 / 10 + 40);
    r.stage = STAGE_SHADOW;
    assert_int_equal(route_read_side(&r, STR("k")), SIDE_LEGACY);
    r.stage = STAGE_NEW;
    assert_int_equal(route_read_side(&r, STR("k")), SIDE_NEW);
    route_table_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions), cmocka_unit_test(test_every_mistake_is_reported),
        cmocka_unit_test(test_state_lies_over_definitions), cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_a_bucket_only_joins)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
