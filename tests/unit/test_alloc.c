// SPDX-License-Identifier: Apache-2.0
// Out of memory at every allocation, one run after the other: parsers and
// loaders end with an error, or go on without what was optional; they neither
// crash nor (under ASan) leak.
#include "base/conf.h"
#include "facade/dialect/v4_1_int.h"
#include "facade/http/form.h"
#include "facade/http/peers.h"
#include "migrations/map.h"
#include "routes/route.h"

#include "alloc_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static bool run_urlencoded(void)
{
    struct arena *a = arena_create((size_t)1 << 20);
    struct form f;
    struct err e;
    bool worked = a && form_parse_urlencoded(STR("a=1&b=%20x+y&c=&d=4&a=%C3%A9"), a, &f, &e) == 0;

    arena_destroy(a);
    return worked;
}

static bool run_multipart(void)
{
    static const struct str body = STR(
        "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
        "--x\r\nContent-Disposition: form-data; name=\"b\"; filename=\"f\"\r\n"
        "Content-Type: text/plain\r\n\r\nlong\r\n--x--\r\n");
    struct arena *a = arena_create((size_t)1 << 20);
    struct form f;
    struct err e;
    bool worked = a && form_parse_multipart(body, STR("multipart/form-data; boundary=x"), a, &f,
                                            &e) == 0;

    arena_destroy(a);
    return worked;
}

static bool run_networks(void)
{
    const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};
    struct err e;
    struct peers *p = peers_create(networks, 2, &e);

    peers_destroy(p);
    return p != NULL;
}

static bool run_maps(void)
{
    struct problems p = {0};
    struct entity_set *s = map_load("migrations/maps/suitecrm", &p);
    bool worked = s != NULL;

    map_destroy(s);
    problems_free(&p);
    return worked;
}

static struct entity_set *set;

static bool run_routes(void)
{
    struct problems p = {0};
    struct route_table *t = route_table_load("routes/tables/suitecrm.json", set, &p);
    bool worked = t != NULL;

    route_table_unref(t);
    problems_free(&p);
    return worked;
}

static char file[] = "/tmp/ficus-alloc-XXXXXX";

static bool run_conf(void)
{
    struct problems p = {0};
    struct conf *c = conf_load(file, &p);
    bool worked = c != NULL;

    conf_destroy(c);
    problems_free(&p);
    return worked;
}

static struct dialect_mount *mount;

static bool run_query(void)
{
    static const struct str text = STR(
        "(accounts.name LIKE 'A%' AND accounts.deleted = 0) OR "
        "accounts.industry IN ('a', 'b', 'c') AND NOT accounts.name = 'x'");
    struct arena *a = arena_create((size_t)1 << 20);
    struct filter *f;
    struct err e;
    bool worked = a && v4_1_query(v4_1_module(mount, STR("Accounts")), text, a, &f, &e) == 0;

    arena_destroy(a);
    return worked;
}

static void test_queries(void **state)
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
    starve(run_query);
    dialect_v4_1.unmount(mount);
    map_destroy(set);
}

static void test_forms(void **state)
{
    (void)state;
    starve(run_urlencoded);
    starve(run_multipart);
    starve(run_networks);
}

static void test_maps(void **state)
{
    (void)state;
    starve(run_maps);
}

static void test_routes(void **state)
{
    struct problems p = {0};

    (void)state;
    setenv("FICUS_SERVICE_URL", "http://127.0.0.1:1", 1);
    set = map_load("migrations/maps/suitecrm", &p);
    assert_non_null(set);
    starve(run_routes);
    map_destroy(set);
}

static void test_conf(void **state)
{
    static const char text[] = "{\"control\": {\"conninfo\": \"x\"}, \"tls\": "
                               "{\"certificates\": [\"a\", \"b\"]}}";
    int fd = mkstemp(file);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    starve(run_conf);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),  cmocka_unit_test(test_queries), cmocka_unit_test(test_conf),
        cmocka_unit_test(test_routes), cmocka_unit_test(test_maps),
    };

    json_set_alloc_funcs(alloc_json, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
