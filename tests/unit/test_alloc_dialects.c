// SPDX-License-Identifier: Apache-2.0
// Out of memory at every allocation in the dialects rest and template, in access policies and in
// requests that people paste: an error, no crash and (under ASan) no leak. Our own allocations
// only: jansson 2.14 writes past its buffer when that of a long string cannot grow, so that its
// reader is not starved here.
#include "facade/dialect/rest.h"
#include "facade/dialect/template.h"
#include "facade/policy/levels.h"
#include "facade/server/explain_request.h"
#include "migrations/map.h"

#include "alloc_fixture.h"

#include <jansson.h>

static struct entity_set *set;
static struct template *soap;
static struct route_table *table;

static const struct entity *entity(const char *name)
{
    return entity_find(set, str_of(name));
}

// ---- rest

static bool run_filter(void)
{
    static const struct str text = STR(
        "name eq 'a' and (amount gt 5 or sales_stage in ('x', 'y')) and not date_closed is null");
    struct arena *a = arena_create((size_t)1 << 20);
    struct filter *f = NULL, *one = NULL;
    struct err e = {0};
    bool worked = a && rest_filter(a, entity("opportunity"), text, &f, &e) == 0 &&
                  rest_condition(a, entity("opportunity"), STR("name[like]"), STR("a%"), &one,
                                 &e) == 0;

    arena_destroy(a);
    return worked;
}

static bool run_body(void)
{
    static const struct str text = STR("{\"name\": \"a\", \"amount\": \"12.50\","
                                       " \"date_closed\": \"2024-02-29\", \"deleted\": false}");
    const struct entity *en = entity("opportunity");
    struct arena *a = arena_create((size_t)1 << 20);
    struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct http_request http = {.headers = &type, .nheaders = 1, .body = text, .arena = a};
    struct rest_request q = {.http = &http, .entity = en};
    struct value *values = a ? arena_array(a, en->nfields + 1, sizeof *values) : NULL;
    struct err e = {0};

    q.op.arena = a;
    q.op.kind = OPERATION_CREATE;
    json_t *j = values ? rest_body_json(&q, false, &e) : NULL;
    bool worked = j && rest_body_values(&q, j, text, values, &e) == 0;
    json_decref(j);
    arena_destroy(a);
    return worked;
}

// ---- template

static bool run_template(void)
{
    struct problems p = {0};
    struct template *t = template_load("docs/examples/customer-soap.json", set, true, &p);
    bool worked = t != NULL;

    template_destroy(t);
    problems_free(&p);
    return worked;
}

static const struct str envelope = STR(
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>"
    "<GetCustomer xmlns=\"urn:example:customer\"><CustomerId>a1</CustomerId></GetCustomer>"
    "</s:Body></s:Envelope>");

static bool run_request(void)
{
    struct arena *a = arena_create((size_t)1 << 20);
    struct http_header type = {STR("Content-Type"), STR("text/xml")};
    struct http_request http = {
        .method = STR("POST"), .headers = &type, .nheaders = 1, .arena = a, .body = envelope};
    struct template_input in = {.http = &http, .arena = a, .path = STR("/CustomerService.asmx")};
    struct operation op = {.arena = a};
    struct err e = {0};
    const struct template_endpoint *en = a ? template_match(soap, &in) : NULL;
    struct value *takes = en ? arena_array(a, en->ntakes + 1, sizeof *takes) : NULL;
    bool worked = takes != NULL;

    for (size_t i = 0; worked && i < en->ntakes; i++)
        worked = template_take(&in, &en->takes[i], &takes[i], &e) == 0;
    worked = worked && template_operation(en, takes, &op, &e) == 0;
    template_input_free(&in);
    arena_destroy(a);
    return worked;
}

// ---- policy and paste

static bool run_policy(void)
{
    struct problems p = {0};
    struct access_policy *policy = policy_load("migrations/maps/suitecrm/access/policy.json", set,
                                               &p);
    bool worked = policy != NULL;

    policy_destroy(policy);
    problems_free(&p);
    return worked;
}

static bool run_explain(void)
{
    struct http_request r = {.arena = arena_create((size_t)1 << 20)};
    struct err e = {0};
    bool worked = r.arena &&
                  explain_parse(STR("curl -X PATCH http://h/service/v4_1/rest.php"
                                    " -d method=get_entry -d input_type=JSON"
                                    " --data-urlencode 'rest_data=[\"s\",\"Cases\",\"1\"]'"),
                                &r, &e) == 0;
    json_t *j = worked ? explain_request(table, &r) : NULL;

    worked = j != NULL;
    json_decref(j);
    arena_destroy(r.arena);
    return worked;
}

static void test_rest(void **state)
{
    (void)state;
    starve(run_filter);
    starve(run_body);
}

static void test_template(void **state)
{
    struct problems p = {0};

    (void)state;
    setenv("ERP_PASSWORD", "x", 1);
    starve(run_template);
    soap = template_load("docs/examples/customer-soap.json", set, true, &p);
    assert_non_null(soap);
    starve(run_request);
    template_destroy(soap);
}

static void test_policy(void **state)
{
    (void)state;
    starve(run_policy);
}

static void test_explain(void **state)
{
    struct problems p = {0};

    (void)state;
    setenv("FICUS_SERVICE_URL", "http://127.0.0.1:1", 1);
    table = route_table_load("routes/tables/suitecrm.json", set, &p);
    assert_non_null(table);
    starve(run_explain);
    route_table_unref(table);
}

static int open_maps(void **state)
{
    struct problems p = {0};

    (void)state;
    set = map_load("migrations/maps/suitecrm", &p);
    return set ? 0 : -1;
}

static int close_maps(void **state)
{
    (void)state;
    map_destroy(set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_explain),
    };

    return cmocka_run_group_tests(tests, open_maps, close_maps);
}
