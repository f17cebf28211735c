// SPDX-License-Identifier: Apache-2.0
// Rules of a route table: what they match, which wins, what is refused at loading.
#include "migrations/map.h"
#include "routes/match.h"
#include "routes/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct entity_set *set;

static int setup(void **state)
{
    struct problems p = {0};

    (void)state;
    set = map_load("", &p);
    return set ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    map_destroy(set);
    return 0;
}

static struct route_table *load(const char *match, struct problems *p)
{
    char file[] = "/tmp/ficus-match-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fprintf(f,
            "{\"routes\": {}, \"upstreams\": {\"a\": {\"url\": \"http://127.0.0.1:1\"},\n"
            " \"b\": {\"url\": \"http://127.0.0.1:2\"}},\n"
            "\"mounts\": [{\"dialect\": \"rest\", \"path\": \"/api\"}],\n\"match\": [\n%s]}",
            match);
    fclose(f);
    struct route_table *t = route_table_load(file, set, p);
    unlink(file);
    return t;
}

// ---- requests

struct ask {
    const char *method, *host, *path;
    unsigned have, later;
    const char *fields[16]; // "kind:name", value, ..
};

static bool field(void *ctx, enum match_kind kind, const char *name, struct str *value)
{
    static const char *const kinds[] = {"header", "query", "form", "json", "call"};
    const struct ask *a = ctx;
    char key[128];

    snprintf(key, sizeof key, "%s:%s", kinds[kind], name);
    for (size_t i = 0; i + 1 < 16 && a->fields[i]; i += 2) {
        if (strcmp(a->fields[i], key) == 0) {
            *value = str_of(a->fields[i + 1]);
            return true;
        }
    }
    return false;
}

#define ALL 31u

// The name of the rule; "-" none, "?" needs the body.
static const char *find(const struct route_table *t, struct ask a)
{
    const struct match_rule *rule = NULL;
    struct match_request r = {.method = str_of(a.method ? a.method : "GET"),
                              .host = str_of(a.host ? a.host : "crm.example.com"),
                              .path = str_of(a.path),
                              .have = a.have || a.later ? a.have : ALL,
                              .later = a.later,
                              .field = field,
                              .ctx = &a};

    switch (match_find(route_matcher(t), &r, &rule)) {
    case MATCH_FOUND: return rule->name;
    case MATCH_NEEDS_BODY: return "?";
    case MATCH_HIDDEN: return "hidden";
    case MATCH_NONE: break;
    }
    return "-";
}

#define FIND(t, ...) find(t, (struct ask){__VA_ARGS__})

#define TO ", \"to\": {\"upstream\": \"a\"}}"

static void paths_are_matched_by_segment(void **state)
{
    struct problems p = {0};
    struct route_table *t = load("{\"name\": \"lit\", \"path\": \"/x/y\"" TO ","
                                 "{\"name\": \"par\", \"path\": \"/x/{id}\"" TO ","
                                 "{\"name\": \"deep\", \"path\": \"/x/{id}/z\"" TO ","
                                 "{\"name\": \"rest\", \"path\": \"/x/**\"" TO ","
                                 "{\"name\": \"slash\", \"path\": \"/s/\"" TO ","
                                 "{\"name\": \"left\", \"path\": \"/a/{b}/c\"" TO ","
                                 "{\"name\": \"right\", \"path\": \"/{a}/b/c\"" TO,
                                 &p);
    (void)state;
    assert_non_null(t);
    assert_string_equal(FIND(t, .path = "/x/y"), "lit");
    assert_string_equal(FIND(t, .path = "/x/yy"), "par");
    assert_string_equal(FIND(t, .path = "/x/"), "par");     // an empty segment is one
    assert_string_equal(FIND(t, .path = "/x/y/z"), "deep"); // by way of {id}: /x/y has no child
    assert_string_equal(FIND(t, .path = "/x/q/z/w"), "rest");
    assert_string_equal(FIND(t, .path = "/x"), "rest");
    assert_string_equal(FIND(t, .path = "/xx"), "-");
    assert_string_equal(FIND(t, .path = "/"), "-");
    assert_string_equal(FIND(t, .path = "*"), "-");
    assert_string_equal(FIND(t, .path = "/s/"), "slash");
    assert_string_equal(FIND(t, .path = "/s"), "-");
    assert_string_equal(FIND(t, .path = "/a/b/c"), "left"); // decided from the left
    assert_string_equal(FIND(t, .path = "/q/b/c"), "right");
    assert_string_equal(FIND(t, .path = "/%78/%79"), "lit"); // escapes do not hide a path
    assert_string_equal(FIND(t, .path = "/x/%zz"), "par");
    assert_string_equal(FIND(t, .path = "/x%2Fy"), "-");  // but a slash within a segment is none
    assert_string_equal(FIND(t, .path = "/api"), "/api"); // a mount
    assert_string_equal(FIND(t, .path = "/api/accounts/1"), "/api");
    assert_string_equal(FIND(t, .path = "/apis"), "-");
    char deep[141] = "";
    for (int i = 0; i < 140; i++)
        deep[i] = i % 2 ? 'x' : '/';
    assert_string_equal(FIND(t, .path = deep), "rest"); // as deep as a client likes
    route_table_unref(t);
    problems_free(&p);
}

static void hosts_are_matched_by_name_then_suffix(void **state)
{
    struct problems p = {0};
    struct route_table *t = load(
        "{\"name\": \"exact\", \"host\": \"CRM.example.com\", \"path\": \"/**\"" TO ","
        "{\"name\": \"near\", \"host\": \"*.eu.example.com\", \"path\": \"/**\"" TO ","
        "{\"name\": \"far\", \"host\": \"*.example.com\", \"path\": \"/**\"" TO ","
        "{\"name\": \"any\", \"path\": \"/very/special\"" TO,
        &p);
    (void)state;
    assert_non_null(t);
    assert_string_equal(FIND(t, .path = "/very/special", .host = "crm.example.COM"), "exact");
    assert_string_equal(FIND(t, .path = "/", .host = "crm.example.com:8080"), "exact");
    assert_string_equal(FIND(t, .path = "/", .host = "crm.example.com."), "exact");
    assert_string_equal(FIND(t, .path = "/", .host = "a.b.eu.example.com"), "near");
    assert_string_equal(FIND(t, .path = "/", .host = "b.example.com"), "far");
    assert_string_equal(FIND(t, .path = "/", .host = "example.com"), "-");
    assert_string_equal(FIND(t, .path = "/very/special", .host = "other"), "any");
    assert_string_equal(FIND(t, .path = "/very/special", .host = ""), "any");
    route_table_unref(t);
    problems_free(&p);
}

static void conditions_make_a_rule_more_specific(void **state)
{
    struct problems p = {0};
    struct route_table *t = load(
        "{\"name\": \"bare\", \"path\": \"/x\"" TO ","
        "{\"name\": \"post\", \"path\": \"/x\", \"method\": [\"POST\", \"PUT\"]" TO ","
        "{\"name\": \"some\", \"path\": \"/x\", \"header\": {\"X-Client\": true}" TO ","
        "{\"name\": \"outlook\", \"path\": \"/x\", \"header\": {\"x-client\": \"outlook\"}" TO ","
        "{\"name\": \"mail\", \"path\": \"/x\", \"header\": {\"x-client\": \"mail\"}" TO ","
        "{\"name\": \"both\", \"path\": \"/x\", \"header\": {\"x-client\": \"mail\"},"
        " \"query\": {\"v\": \"2\"}" TO ","
        "{\"name\": \"entry\", \"path\": \"/r\", \"call\": {\"method\": \"GET_entry\"}" TO ","
        "{\"name\": \"cases\", \"path\": \"/r\", \"call\": {\"method\": \"get_entry\","
        " \"module\": \"Cases\"}" TO ","
        "{\"name\": \"json\", \"path\": \"/j\", \"json\": {\"/user/name\": \"ann\"}" TO ","
        "{\"name\": \"form\", \"path\": \"/f\", \"form\": {\"a\": \"1\"}" TO ","
        "{\"name\": \"other\", \"path\": \"/f\"" TO,
        &p);
    (void)state;
    assert_non_null(t);
    assert_string_equal(FIND(t, .path = "/x"), "bare");
    assert_string_equal(FIND(t, .path = "/x", .method = "PUT"), "post");
    assert_string_equal(FIND(t, .path = "/x", .method = "put"), "bare");
    assert_string_equal(FIND(t, .path = "/x", .method = "PUT", .fields = {"header:x-client", "?"}),
                        "some");
    assert_string_equal(FIND(t, .path = "/x", .fields = {"header:x-client", "outlook"}), "outlook");
    assert_string_equal(FIND(t, .path = "/x", .fields = {"header:x-client", "mail"}), "mail");
    assert_string_equal(
        FIND(t, .path = "/x", .fields = {"header:x-client", "mail", "query:v", "2"}), "both");
    assert_string_equal(
        FIND(t, .path = "/x", .fields = {"header:x-client", "mail", "query:v", "3"}), "mail");
    assert_string_equal(FIND(t, .path = "/r", .fields = {"call:method", "get_entry"}), "entry");
    assert_string_equal(
        FIND(t, .path = "/r", .fields = {"call:method", "get_entry", "call:module", "Cases"}),
        "cases");
    assert_string_equal(
        FIND(t, .path = "/r", .fields = {"call:method", "get_entry", "call:module", "Calls"}),
        "entry");
    assert_string_equal(FIND(t, .path = "/r"), "-");
    // What is in the body can be asked for only when it is there, or may come.
    unsigned head = MATCH_BIT(MATCH_HEADER) | MATCH_BIT(MATCH_QUERY);
    assert_string_equal(FIND(t, .path = "/f", .have = head, .later = MATCH_BIT(MATCH_FORM)), "?");
    assert_string_equal(FIND(t, .path = "/f", .have = head), "other");
    assert_string_equal(FIND(t, .path = "/f", .have = head, .later = MATCH_BIT(MATCH_JSON)),
                        "other");
    assert_string_equal(FIND(t, .path = "/f", .fields = {"form:a", "1"}), "form");
    assert_string_equal(FIND(t, .path = "/j", .fields = {"json:/user/name", "ann"}), "json");
    assert_string_equal(FIND(t, .path = "/j", .fields = {"json:/user/name", "bob"}), "-");
    route_table_unref(t);
    problems_free(&p);
}

static void ten_thousand_rules_are_found(void **state)
{
    struct problems p = {0};
    struct buf text = BUF_INIT;
    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_printf(&text, "%s{\"name\": \"n%d\", \"path\": \"/%s%d%s\"%s" TO, i ? "," : "", i,
                   i % 3 ? "t" : "u/", i, i % 5 ? "" : "/{id}/x",
                   i % 7 ? "" : ", \"query\": {\"k\": \"v\"}");
    struct route_table *t = load(text.data, &p);
    assert_non_null(t);
    for (int i = 0; i < 10000; i++) {
        char path[64], name[16];
        snprintf(path, sizeof path, "/%s%d%s", i % 3 ? "t" : "u/", i, i % 5 ? "" : "/7/x");
        snprintf(name, sizeof name, "n%d", i);
        assert_string_equal(FIND(t, .path = path, .fields = {"query:k", "v"}), name);
        assert_string_equal(FIND(t, .path = path), i % 7 ? name : "-");
    }
    route_table_unref(t);
    buf_free(&text);
    problems_free(&p);
}

static void one_place_with_ten_thousand_values(void **state)
{
    struct problems p = {0};
    struct buf text = BUF_INIT;
    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_printf(&text,
                   "%s{\"name\": \"n%d\", \"path\": \"/rest.php\", \"call\": {\"method\": \"m%d\", "
                   "\"module\": \"M%d\"}" TO,
                   i ? "," : "", i, i % 100, i / 100);
    struct route_table *t = load(text.data, &p);
    assert_non_null(t);
    for (int i = 0; i < 10000; i += 13) {
        char method[16], module[16], name[16];
        snprintf(method, sizeof method, "m%d", i % 100);
        snprintf(module, sizeof module, "M%d", i / 100);
        snprintf(name, sizeof name, "n%d", i);
        assert_string_equal(
            FIND(t, .path = "/rest.php", .fields = {"call:method", method, "call:module", module}),
            name);
    }
    route_table_unref(t);
    buf_free(&text);
    problems_free(&p);
}

// ---- refused

static void refuses(const char *match, const char *why)
{
    struct problems p = {0};
    struct route_table *t = load(match, &p);

    if (t || !strstr(p.text.data, why))
        fail_msg("%s\nwanted: %s\ngot: %s", match, why, t ? "(loaded)" : p.text.data);
    problems_free(&p);
}

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    refuses("{\"path\": \"/x\"" TO ",\n{\"path\": \"/x\"" TO,
            ":6: /match/1: asks for the same as '/x' (/match/0)");
    refuses("{\"path\": \"/x/{a}\"" TO ",{\"path\": \"/x/{b}\"" TO, "asks for the same");
    refuses("{\"path\": \"/api/**\"" TO, "asks for the same as '/api' (/mounts/0)");
    refuses("{\"path\": \"/x\", \"method\": \"GET\"" TO
            ",{\"path\": \"/x\", \"method\": [\"PUT\", \"GET\"]" TO,
            "asks for the same");
    refuses("{\"name\": \"one\", \"path\": \"/x\", \"query\": {\"a\": \"1\"}" TO
            ",\n{\"name\": \"two\", \"path\": \"/x\", \"header\": {\"b\": \"1\"}" TO,
            "neither is more specific");
    refuses("{\"path\": \"/x\", \"query\": {\"a\": \"1\", \"b\": \"1\"}" TO
            ",{\"path\": \"/x\", \"query\": {\"a\": \"1\", \"c\": \"1\"}" TO,
            "neither is more specific");
    refuses("{\"path\": \"x\"" TO, "/match/0: a path starts with '/'");
    refuses("{\"path\": \"/a*b\"" TO, "a segment is literal");
    refuses("{\"path\": \"/**/b\"" TO, "a segment is literal");
    refuses("{\"path\": \"/a{b}\"" TO, "a segment is literal");
    refuses("{\"path\": \"/a%20b\"" TO, "a segment is literal");
    refuses("{\"path\": \"/a//b\"" TO, "no empty segments");
    refuses("{\"path\": \"/a/../b\"" TO, "no empty segments");
    refuses("{\"path\": \"/a\", \"host\": \"a:80/\"" TO, "a host is");
    refuses("{\"path\": \"/a\", \"method\": \"get\"" TO, "capital letters");
    refuses("{\"path\": \"/a\", \"method\": []" TO, "method is a name or a list");
    refuses("{\"path\": \"/a\", \"query\": {\"a\": 1}" TO, "/match/0/query: 'a'");
    refuses("{\"path\": \"/a\", \"json\": {\"a\": \"1\"}" TO, "JSON pointer");
    refuses("{\"path\": \"/a\", \"call\": {\"user\": \"1\"}" TO, "there is no such field");
    refuses("{\"path\": \"/a\", \"header\": {\"X\": \"1\", \"x\": \"2\"}" TO, "asked for twice");
    refuses("{\"path\": \"/a\", \"hots\": \"x\"" TO, "host");
    refuses("{\"path\": \"/a\"}", "to is");
    refuses("{\"path\": \"/a\", \"to\": {\"upstream\": \"c\"}}",
            "/match/0/to: there is no upstream 'c'");
    refuses("{\"path\": \"/a\", \"to\": {\"mount\": \"/b\"}}", "there is no mount '/b'");
    refuses("{\"path\": \"/a\", \"to\": {\"mount\": \"/api\", \"upstream\": \"a\"}}", "to is");
    refuses("7", "a rule is an object");
}

static void encoded_slashes_do_not_lead_past_a_mount(void **state)
{
    struct problems p = {0};
    struct route_table *t = load("{\"name\": \"all\", \"path\": \"/**\"" TO ","
                                 "{\"name\": \"body\", \"path\": \"/api/x/**\","
                                 " \"json\": {\"/a\": \"1\"}" TO,
                                 &p);
    char deep[512] = "/api";
    (void)state;
    assert_non_null(t);
    assert_string_equal(FIND(t, .path = "/api/accounts/a%2Fb"), "/api"); // a slash within a key
    assert_string_equal(FIND(t, .path = "/api%2Faccounts"), "hidden");
    assert_string_equal(FIND(t, .path = "/%2fapi"), "hidden");
    assert_string_equal(FIND(t, .path = "/%2Fapi%2F"), "hidden");
    assert_string_equal(FIND(t, .path = "/x/..%2Fapi/accounts"), "hidden");
    assert_string_equal(FIND(t, .path = "/x%2F..%2F..%2F%2e%2Fapi"), "all"); // "%2e" is not normal
    assert_string_equal(FIND(t, .path = "/x%2F..%2F..%2F.%2Fapi"), "hidden");
    assert_string_equal(FIND(t, .path = "/x%2Fapi"), "all");
    assert_string_equal(FIND(t, .path = "/api%2Fx%2Fy", .later = 31), "?");
    for (int i = 0; i < 80; i++)
        memcpy(deep + 4 + 2 * i, "/a", 3);
    assert_string_equal(FIND(t, .path = deep), "/api");
    route_table_unref(t);
    problems_free(&p);
}

static void rules_that_values_tell_apart_are_not_ambiguous(void **state)
{
    struct problems p = {0};
    struct route_table *t = load(
        "{\"path\": \"/x\", \"query\": {\"a\": \"1\", \"b\": \"1\"}" TO ","
        "{\"path\": \"/x\", \"query\": {\"a\": \"2\", \"c\": \"1\"}" TO ","
        "{\"path\": \"/y\", \"method\": \"GET\", \"query\": {\"a\": \"1\"}" TO ","
        "{\"path\": \"/y\", \"method\": \"PUT\", \"header\": {\"a\": \"1\"}" TO ","
        "{\"path\": \"/api/accounts\"" TO,
        &p);
    (void)state;
    assert_non_null(t);
    assert_int_equal(match_count(route_matcher(t)), 6); // the mount's too
    route_table_unref(t);
    problems_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_matched_by_segment),
        cmocka_unit_test(hosts_are_matched_by_name_then_suffix),
        cmocka_unit_test(conditions_make_a_rule_more_specific),
        cmocka_unit_test(ten_thousand_rules_are_found),
        cmocka_unit_test(one_place_with_ten_thousand_values),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(encoded_slashes_do_not_lead_past_a_mount),
        cmocka_unit_test(rules_that_values_tell_apart_are_not_ambiguous),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
