// SPDX-License-Identifier: Apache-2.0
// Log lines: text and JSON, lines of facts that wait for their flush, and what a pipe takes whole.
#include "base/json.h"
#include "base/log.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int saved, to;
static char text[4 * PIPE_BUF];

static int redirect(void **state)
{
    FILE *f = tmpfile();
    (void)state;
    if (!f)
        return -1;
    to = dup(fileno(f));
    fclose(f);
    saved = dup(STDERR_FILENO);
    return dup2(to, STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
    (void)state;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(to);
    log_setup(LOG_INFO, false, "");
    return 0;
}

static size_t written(void)
{
    ssize_t n = pread(to, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    return (size_t)n;
}

static void a_line(struct buf *b, const char *path)
{
    struct log_ctx ctx = {"access", "r", NULL};
    struct log_field fields[] = {{"path", str_of(path), false}, {"status", STR("200"), true}};
    log_fields(b, LOG_INFO, &ctx, fields, 2);
}

// The line without its time, whose shape is checked.
static char *untimed(char *line)
{
    assert_true(strlen(line) > 23);
    for (int i = 0; i < 23; i++)
        assert_true("dddd-dd-dd dd:dd:dd.ddd"[i] == 'd' ? line[i] >= '0' && line[i] <= '9'
                                                        : line[i] == "dddd-dd-dd dd:dd:dd.ddd"[i]);
    return line + 23;
}

static void facts_wait_for_the_flush(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;
    log_setup(LOG_INFO, false, "serve");
    a_line(&b, "/a");
    a_line(&b, "/with \"blank\"\n");
    assert_int_equal(written(), 0);
    log_flush(&b);
    assert_int_equal(b.len, 0);
    written();
    char *first = text, *second = strchr(text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    assert_non_null(strchr(second, '\n'));
    *strchr(second, '\n') = '\0';
    assert_string_equal(untimed(first), "Z info  serve.access [r] path=/a status=200");
    assert_string_equal(untimed(second),
                        "Z info  serve.access [r] path=\"/with \\\"blank\\\"\\n\" status=200");
    buf_free(&b);
}

static void what_a_pipe_takes_whole(void **state)
{
    struct buf b = BUF_INIT;
    size_t lines = 0;
    (void)state;
    log_setup(LOG_INFO, false, "serve");
    while (written() == 0) {
        a_line(&b, "/a-path-of-some-length");
        lines++;
        assert_true(b.len <= PIPE_BUF);
    }
    assert_true(written() <= PIPE_BUF && text[written() - 1] == '\n');
    log_flush(&b);
    size_t n = written(), ends = 0;
    for (size_t i = 0; i < n; i++)
        ends += text[i] == '\n';
    assert_int_equal(ends, lines);
    buf_free(&b);
}

static void json_is_json(void **state)
{
    struct buf b = BUF_INIT;
    struct log_ctx ctx = {"sub", "an \"entity\"", "s\x01"};
    (void)state;
    log_setup(LOG_DEBUG, true, "serve");
    a_line(&b, "/\xff");
    log_flush(&b);
    log_write(LOG_DEBUG, &ctx, "a %s", "message\n");
    written();
    char *end = strchr(text, '\n');
    assert_non_null(end);
    json_t *first = json_loadb(text, (size_t)(end - text), 0, NULL);
    json_t *second = json_loads(end + 1, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(first, "status")), 200);
    assert_string_equal(json_string_value(json_object_get(first, "path")), "/\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_object_get(second, "entity")), "an \"entity\"");
    assert_string_equal(json_string_value(json_object_get(second, "message")), "a message\n");
    assert_string_equal(json_string_value(json_object_get(second, "level")), "debug");
    json_decref(first);
    json_decref(second);
    buf_free(&b);
}

static void below_the_level_nothing_is_said(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;
    log_setup(LOG_WARN, false, "serve");
    a_line(&b, "/a");
    log_write(LOG_INFO, NULL, "no");
    assert_int_equal(b.len, 0);
    assert_int_equal(written(), 0);
    log_write(LOG_ERROR, NULL, "a\x1b[31mb");
    written();
    assert_string_equal(untimed(text), "Z error serve a?[31mb\n");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts_wait_for_the_flush, redirect, restore),
        cmocka_unit_test_setup_teardown(what_a_pipe_takes_whole, redirect, restore),
        cmocka_unit_test_setup_teardown(json_is_json, redirect, restore),
        cmocka_unit_test_setup_teardown(below_the_level_nothing_is_said, redirect, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
