// SPDX-License-Identifier: Apache-2.0
// Skeletons and what is applied to values: escapes of each format, numbers, dates, codes; XML.
#include "facade/dialect/template.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entity_set *maps;
static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    maps = fixture_maps();
    arena = arena_create(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_destroy(maps);
    arena_destroy(arena);
    return 0;
}

// A skeleton over one contact with these takes: name, money, day, none.
static const char *render(enum template_format format, const char *text)
{
    static struct template_take takes[] = {
        {.name = "name"}, {.name = "money"}, {.name = "day"}, {.name = "none"}};
    static const struct template_code list[] = {{STR("M"), STR("Media")}, {STR("?"), STR("*")}};
    static const struct template_codes codes[] = {{"c", list, 2}};
    struct template t = {.codes = (struct template_codes *)(uintptr_t)codes, .ncodes = 1};
    struct template_endpoint en = {.takes = takes, .ntakes = 4};
    struct value values[] = {value_set(STR("a<&\"',;\n\x01")), value_set(STR("-1234567.895")),
                             value_set(STR("2024-02-29 23:05:07")), value_null()};
    struct template_scope s = {.t = &t, .endpoint = &en, .format = format, .arena = arena};
    struct principal who = {.user_id = STR("7"), .user_name = STR("jim")};
    struct template_node *nodes;
    struct err e = {0};
    struct buf out = BUF_INIT;
    if (template_compile(&s, str_of(text), &nodes, &e))
        return arena_strz(arena, str_of(e.msg));
    struct template_answer a = {.format = format, .separator = ';', .body = nodes};
    struct template_data d = {.endpoint = &en,
                              .takes = values,
                              .principal = &who,
                              .error = STR("bad"),
                              .now = "2030-01-02 03:04:05"};
    assert_int_equal(template_render(&a, &d, &out, &e), 0);
    const char *kept = arena_strz(arena, buf_str(&out));
    buf_free(&out);
    return kept;
}

static void test_escapes(void **state)
{
    (void)state;
    assert_string_equal(render(TEMPLATE_AS_JSON, "{{request.name}}"), "\"a<&\\\"',;\\n\\u0001\"");
    assert_string_equal(render(TEMPLATE_AS_XML, "{{request.name}}"),
                        "a&lt;&amp;&quot;&#39;,;&#10;\xef\xbf\xbd");
    assert_string_equal(render(TEMPLATE_AS_CSV, "{{request.name}};x"), "\"a<&\"\"',;\n\x01\";x");
    assert_string_equal(render(TEMPLATE_AS_CSV, "{{user.name}};{{request.none}}"), "jim;");
    assert_string_equal(render(TEMPLATE_AS_TEXT, "{{request.name}}"), "a<&\"',;\n\x01");
    assert_string_equal(render(TEMPLATE_AS_JSON, "{{request.none}} {{@error}} {{\"{{\"}}"),
                        "null \"bad\" {{");
    assert_string_equal(render(TEMPLATE_AS_JSON, "{{request.money|bare}} {{request.name|bare}}"),
                        "-1234567.895 \"a<&\\\"',;\\n\\u0001\"");
}

static void test_words(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"{{request.money|number:2}}", "-1234567.90"},
        {"{{request.money|number:0:\",\":\".\"}}", "-1.234.568"},
        {"{{request.money|number:5:\",\":\" \"}}", "-1 234 567,89500"},
        {"{{request.day|date:\"%d.%m.%y %H:%M:%S %%\"}}", "29.02.24 23:05:07 %"},
        {"{{request.name|date:\"%Y\"|cut:1}}", "a"},
        {"{{request.none|default:\"-\"}}", "-"},
        {"{{user.name|upper}}{{user.id|code:\"c\"}}", "JIM?"},
        {"{{if request.none}}a{{else}}b{{end}}{{if not request.none}}c{{end}}", "bc"},
        {"{{if user.name is \"jim\"}}yes{{end}}{{if not user.name is \"jim\"}}no{{end}}", "yes"},
        {"{{@now|date:\"%Y%m%d\"}}", "20300102"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(render(TEMPLATE_AS_TEXT, rows[i].text), rows[i].want);
    assert_non_null(strstr(render(TEMPLATE_AS_TEXT, "x\n{{nobody}}"), "line 2"));
}

static void test_numbers_round_on_their_digits(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"0", "0.00"},
                {"0.005", "0.01"},
                {"-0.004", "0.00"},
                {"9.995", "10.00"},
                {"999.999", "1000.00"},
                {"1e3", "1e3"},
                {"12345678901234567890.125", "12345678901234567890.13"}};
    struct template_take take = {.name = "n"};
    struct template t = {0};
    struct template_endpoint en = {.takes = &take, .ntakes = 1};
    struct template_scope s = {
        .t = &t, .endpoint = &en, .format = TEMPLATE_AS_TEXT, .arena = arena};
    struct template_node *nodes;
    struct err e = {0};
    (void)state;
    assert_int_equal(template_compile(&s, STR("{{request.n|number:2}}"), &nodes, &e), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct value v = value_set(str_of(rows[i].in));
        struct template_data d = {.endpoint = &en, .takes = &v, .now = ""};
        struct template_answer a = {.body = nodes};
        struct buf out = BUF_INIT;
        assert_int_equal(template_render(&a, &d, &out, &e), 0);
        assert_string_equal(out.data, rows[i].want);
        buf_free(&out);
    }
}

static void test_dates_come_in(void **state)
{
    static const struct {
        const char *text, *format, *want;
    } rows[] = {{"29.02.2024", "%d.%m.%Y", "2024-02-29"},
                {"020169", "%d%m%y", "2069-01-02"},
                {"02/01/70 7h", "%d/%m/%y 7h", "1970-01-02"},
                {"2024-01-02T03:04", "%Y-%m-%dT%H:%M", "2024-01-02 03:04:00"},
                {"23:59", "%H:%M", "23:59:00"},
                {"29.2.2024", "%d.%m.%Y", NULL},
                {"29.02.2024x", "%d.%m.%Y", NULL},
                {"", "%d.%m.%Y", NULL},
                {"29.02.", "%d.%m.", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = BUF_INIT;
        bool good = template_date_in(str_of(rows[i].text), rows[i].format, &out);
        assert_int_equal(good, rows[i].want != NULL);
        if (good)
            assert_string_equal(out.data, rows[i].want);
        buf_free(&out);
    }
    assert_true(template_date_good("%d.%m.%Y"));
    assert_false(template_date_good("%q"));
    assert_false(template_date_good("%"));
    assert_false(template_date_good(""));
}

static void test_xml(void **state)
{
    struct xml_node *root;
    struct err e = {0};
    struct str text = STR(
        "<s:A xmlns:s='u'><B x='1'>one<C/> two</B><B>three</B><D><![CDATA[<&]]></D></s:A>");
    (void)state;
    assert_int_equal(template_xml(text, arena, &root, &e), 0);
    assert_true(str_eqz(template_xml_find(root, "A/B"), "one two"));
    assert_true(str_eqz(template_xml_find(root, "A/B/@x"), "1"));
    assert_true(str_eqz(template_xml_find(root, "A/B/C"), ""));
    assert_true(str_eqz(template_xml_find(root, "A/D"), "<&"));
    assert_null(template_xml_find(root, "A/E").data);
    assert_null(template_xml_find(root, "B").data);
    assert_int_equal(template_xml(STR("<!DOCTYPE a><a/>"), arena, &root, &e), -1);
    assert_non_null(strstr(e.msg, "document type"));
    assert_int_equal(template_xml(STR("<a>"), arena, &root, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers_round_on_their_digits),
        cmocka_unit_test(test_dates_come_in),
        cmocka_unit_test(test_xml),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
