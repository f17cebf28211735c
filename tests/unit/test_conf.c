// SPDX-License-Identifier: Apache-2.0
// The configuration: expansion, defaults, every mistake at once, secrets kept.
#include "base/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char file[128];
static struct problems problems;

static void write_file(const char *name, const char *text)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static struct conf *load(const char *text)
{
    problems_free(&problems);
    write_file("ficus.json", text);
    return conf_load(file, &problems);
}

static void expect_problem(const char *text)
{
    const char *all = problems.text.data ? problems.text.data : "";

    if (!strstr(all, text))
        fail_msg("\"%s\" is not in \"%s\"", text, all);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ficus-conf-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof(file), "%s/ficus.json", folder);
    return 0;
}

static int teardown(void **state)
{
    char path[160];

    (void)state;
    snprintf(path, sizeof(path), "%s/secret", folder);
    unlink(path);
    unlink(file);
    problems_free(&problems);
    return rmdir(folder);
}

static void expands_and_defaults(void **state)
{
    const char *const *list;
    char path[160];

    (void)state;
    write_file("secret", "s3cret\n");
    setenv("FICUS_TEST_PORT", "9", 1);
    struct conf *c = load(
        "{\"control\": {\"conninfo\": \"host=x password=${file:secret} y\"},\n"
        "\"facade\": {\"listen\": \"127.0.0.1:${env:FICUS_TEST_PORT}\",\n"
        "\"hold_ms\": \"${env:FICUS_TEST_PORT}\", \"loops\": 3},\n"
        "\"service\": {\"entities\": [\"account\", \"a${env:FICUS_TEST_PORT}\"]},\n"
        "\"maps\": {\"path\": \"m\"}, \"routes\": {\"path\": \"/abs/r.json\"}}");
    if (!c)
        fail_msg("%s", problems.text.data);
    assert_string_equal(conf_str(c, "control.conninfo"), "host=x password=s3cret y");
    assert_string_equal(conf_str(c, "facade.listen"), "127.0.0.1:9");
    assert_int_equal(conf_int(c, "facade.hold_ms"), 9);
    assert_int_equal(conf_int(c, "facade.loops"), 3);
    assert_int_equal(conf_int(c, "legacy.workers"), 4); // default
    assert_string_equal(conf_str(c, "log.level"), "info");
    assert_string_equal(conf_str(c, "legacy.odbc"), ""); // its section is not used
    assert_int_equal(conf_list(c, "service.entities", &list), 2);
    assert_string_equal(list[0], "account");
    assert_string_equal(list[1], "a9");
    snprintf(path, sizeof(path), "%s/m", folder);
    assert_string_equal(conf_path(c, "maps.path"), path);
    assert_string_equal(conf_path(c, "routes.path"), "/abs/r.json");
    assert_string_equal(conf_file(c), file);

    json_t *dump = conf_dump(c);
    char *text = json_dumps(dump, 0);
    assert_null(strstr(text, "s3cret"));
    assert_non_null(strstr(text, "\"conninfo\": \"***\""));
    free(text);
    json_decref(dump);
    conf_destroy(c);
}

static void shows_every_mistake_at_once(void **state)
{
    (void)state;
    unsetenv("FICUS_TEST_NONE");
    assert_null(load("{\"legacy\": {\"odbc\": \"${env:FICUS_TEST_NONE}\",\n"
                     "\"dbms\": \"db2\",\n\"workers\": 65,\n\"queue_max\": \"x\",\n"
                     "\"deadline\": 5},\n"
                     "\"kafka\": {\"prefix\": 5, \"sasl_password\": \"${file:none}\"},\n"
                     "\"control\": {\"conninfo\": \"${what}\"},\n"
                     "\"service\": {\"entities\": \"account\"},\n"
                     "\"facde\": {},\n\"log\": 5}"));
    expect_problem("ficus.json:1: /legacy/odbc: environment variable FICUS_TEST_NONE is not set");
    expect_problem(
        "ficus.json:2: /legacy/dbms: must be one of sqlite, mariadb, postgres, sqlserver, "
        "oracle");
    expect_problem("ficus.json:3: /legacy/workers: must be an integer from 1 to 64");
    expect_problem("ficus.json:4: /legacy/queue_max: must be an integer");
    expect_problem("ficus.json:5: /legacy/deadline: is not known; did you mean \"deadline_ms\"?");
    expect_problem("ficus.json:6: /kafka: needs \"brokers\"");
    expect_problem("ficus.json:6: /kafka/prefix: must be a string");
    expect_problem("ficus.json:6: /kafka/sasl_password: ${file:none} cannot be opened");
    expect_problem("ficus.json:7: /control/conninfo: only ${env:NAME} and ${file:PATH}");
    expect_problem("ficus.json:8: /service/entities: must be an array");
    expect_problem("ficus.json:9: /facde: is not known; did you mean \"facade\"?");
    expect_problem("ficus.json:10: /log: must be an object");
    assert_int_equal(problems.count, 12);
}

static void refuses_what_is_no_object(void **state)
{
    (void)state;
    assert_null(load("[]"));
    assert_int_equal(problems.count, 1);
    assert_null(load("{"));
    assert_int_equal(problems.count, 1);
    assert_null(load("{\"control\": {\"conninfo\": \"${env:X\"}}"));
    expect_problem("${ without }");
}

// The defaults of the table must pass its own checks, and every option has a text.
static void the_table_is_sound(void **state)
{
    struct buf text = BUF_INIT;

    (void)state;
    struct conf *c = load("{}");
    if (!c)
        fail_msg("%s", problems.text.data);
    conf_destroy(c);
    conf_write_reference(&text);
    for (const struct conf_option *o = conf_options; o->name; o++) {
        char row[80];
        snprintf(row, sizeof(row), "| `%s` | ", o->name);
        assert_non_null(strstr(text.data, row));
        assert_true(strlen(o->doc) > 10);
        for (const struct conf_option *other = o + 1; other->name; other++)
            assert_string_not_equal(o->name, other->name);
    }
    buf_free(&text);
}

static void scrubs(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"host=a user=b password=c dbname=d", "host=a user=b password=*** dbname=d"},
        {"password = 'a b\\' c' host=x", "password=*** host=x"},
        {"password=a b c", "password=***"},
        {"host=a", "host=a"},
        {"Driver=X;UID=u;PWD=a b;Server=s", "Driver=X;UID=u;PWD=***;Server=s"},
        {"Driver={M};Pwd={a;}}b};X=1", "Driver={M};Pwd=***;X=1"},
        {"postgresql://u:p@h/d", "postgresql://u:***@h/d"},
        {"postgresql://u:p@q/x@h:5/d?password=z&a=b", "postgresql://u:***@h:5/d?password=***&a=b"},
        {"postgresql://h/d?sslpassword=z", "postgresql://h/d?sslpassword=***"},
        {"postgresql://u@h/d", "postgresql://u@h/d"},
        {"PASSWORD=x", "PASSWORD=***"},
        {"", ""},
    };
    struct arena *a = arena_create(0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str s = conf_scrub(a, rows[i].in);
        if (!str_eqz(s, rows[i].out))
            fail_msg("%s became %.*s", rows[i].in, (int)s.len, s.data);
    }
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands_and_defaults),
        cmocka_unit_test(shows_every_mistake_at_once),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(scrubs),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
