// SPDX-License-Identifier: Apache-2.0
// Templates and what they are fed, by the first byte: a whole template file; a skeleton put into
// a good template; a body (XML, JSON, form) for the shipped examples. A template that loads must
// render, and a body that is taken must make an operation or be refused.
#include "facade/dialect/template.h"
#include "migrations/map.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct entity_set *maps(void)
{
    static struct entity_set *set;
    struct problems p = {0};
    if (!set && !(set = map_load("migrations/maps/suitecrm", &p)))
        abort();
    return set;
}

static const struct template *example(unsigned number)
{
    static const char *const files[] = {"docs/examples/customer-soap.json",
                                        "docs/examples/sales-legacy.json"};
    static struct template *loaded[2];
    struct problems p = {0};
    setenv("ERP_PASSWORD", "x", 1);
    setenv("DESK_KEY", "x", 1);
    if (!loaded[number] && !(loaded[number] = template_load(files[number], maps(), true, &p)))
        abort();
    return loaded[number];
}

static void whole(struct str text)
{
    struct problems p = {0};
    template_destroy(template_parse("fuzz", text, maps(), true, &p));
    problems_free(&p);
}

// Loading renders each answer with sample rows, and refuses what is not well-formed.
static void skeleton(struct str text)
{
    static const char *const types[] = {"application/json", "text/xml", "text/csv", "text/plain"};
    struct buf file = BUF_INIT;
    if (text.len == 0)
        return;
    buf_printf(
        &file,
        "{\"auth\": {\"kind\": \"none\", \"principals\": [{\"user_id\": \"1\"}]}, \"codes\":"
        " {\"c\": {\"a\": \"b\"}}, \"endpoints\": [{\"name\": \"e\", \"match\": {}, \"take\":"
        " {\"t\": {\"from\": \"query\", \"at\": \"t\"}}, \"operation\": {\"kind\": \"list\","
        " \"entity\": \"account\", \"expand\": [\"contacts\"]}, \"answers\": {\"ok\":"
        " {\"type\": \"%s\", \"body\": ",
        types[(unsigned char)text.data[0] % 4]);
    buf_addjson(&file, str_n(text.data + 1, text.len - 1));
    buf_addz(&file, "}}}]}");
    if (!file.failed)
        whole(buf_str(&file));
    buf_free(&file);
}

static void body(struct str text, unsigned which)
{
    static const struct {
        unsigned number;
        const char *method, *path, *type;
    } kinds[] = {{0, "POST", "/CustomerService.asmx", "text/xml"},
                 {1, "POST", "/rpc", "application/json"},
                 {1, "POST", "/newdeal.php", "application/x-www-form-urlencoded"},
                 {1, "GET", "/deals.csv", ""}};
    const struct template *t = example(kinds[which % 4].number);
    struct arena *a = arena_create(64u << 20);
    struct http_header type = {STR("Content-Type"), str_of(kinds[which % 4].type)};
    struct http_request http = {
        .method = str_of(kinds[which % 4].method), .headers = &type, .nheaders = 1, .arena = a};
    struct template_input in = {.http = &http, .arena = a, .path = str_of(kinds[which % 4].path)};
    struct operation op = {.arena = a};
    struct err e = {0};
    if (which % 4 == 3)
        http.query = text;
    else
        http.body = text;
    const struct template_endpoint *en = a ? template_match(t, &in) : NULL;
    struct value *takes = en ? arena_array(a, en->ntakes + 1, sizeof *takes) : NULL;
    bool good = takes != NULL;
    for (size_t i = 0; good && i < en->ntakes; i++)
        good = template_take(&in, &en->takes[i], &takes[i], &e) == 0;
    if (good && template_operation(en, takes, &op, &e) == 0 && op.entity == NULL)
        abort();
    template_input_free(&in);
    arena_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_n((const char *)data + 1, size - 1);
    if (data[0] % 6 == 0)
        whole(text);
    else if (data[0] % 6 == 1)
        skeleton(text);
    else
        body(text, data[0] % 6 - 2);
    return 0;
}
