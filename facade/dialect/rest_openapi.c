// SPDX-License-Identifier: Apache-2.0
// OpenAPI 3.1 of a rest mount, made from the entity maps: paths and parameters here, schemas of
// the entities in rest_schema.c. Written as text, since it is written once and is large.
// Thread: any.
#include "facade/dialect/rest_schema.h"

#include <stdio.h>

#define VERSION_TEXT FICUS_VERSION
#define TAGS \
    "{\"type\":\"string\",\"pattern\":\"^(\\\\*|(W/)?\\\"[!#-~]*\\\"(, *(W/)?\\\"[!#-~]*\\\"){0,15})$\"}"

static const char *const head_components =
    "\"parameters\":{"
    "\"id\":{\"name\":\"id\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\","
    "\"minLength\":1}},"
    "\"far\":{\"name\":\"far\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\","
    "\"minLength\":1}},"
    "\"limit\":{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,"
    "\"maximum\":1000,\"default\":50}},"
    "\"offset\":{\"name\":\"offset\",\"in\":\"query\",\"schema\":{\"type\":\"integer\","
    "\"minimum\":0,\"maximum\":1000000000,\"default\":0}},"
    "\"cursor\":{\"name\":\"cursor\",\"in\":\"query\",\"description\":\"Goes on behind a page: its"
    " `next`. Excludes offset.\",\"schema\":{\"type\":\"string\"}},"
    "\"count\":{\"name\":\"count\",\"in\":\"query\",\"description\":\"true: `total`, how many there"
    " are without the page.\",\"schema\":{\"enum\":[\"true\",\"false\"]}},"
    "\"deleted\":{\"name\":\"deleted\",\"in\":\"query\",\"description\":\"Soft-deleted records"
    " too, or nothing else.\",\"schema\":{\"enum\":[\"no\",\"only\",\"any\"]}},"
    "\"filter\":{\"name\":\"filter\",\"in\":\"query\",\"description\":\"Conditions with and, or,"
    " not, in, between, is null: name like 'So%' and not (industry is null).\",\"schema\":"
    "{\"type\":\"string\"}},"
    "\"if_match\":{\"name\":\"If-Match\",\"in\":\"header\",\"description\":\"Entity tags: the"
    " write happens only while the record has one of them.\",\"schema\":" TAGS "},"
    "\"if_none_match\":{\"name\":\"If-None-Match\",\"in\":\"header\",\"description\":\"Entity"
    " tags: 304 when the answer has one of them.\",\"schema\":" TAGS "},"
    "\"create_only\":{\"name\":\"If-None-Match\",\"in\":\"header\",\"description\":"
    "\"Create, or do nothing.\",\"schema\":{\"enum\":[\"*\"]}},"
    "\"idempotency_key\":{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":\"The"
    " same key gets the same answer, and the request runs once.\",\"schema\":{\"type\":\"string\","
    "\"minLength\":1,\"maxLength\":255,\"pattern\":\"^[!-~]+$\"}}},"
    "\"headers\":{\"etag\":{\"schema\":{\"type\":\"string\"}},"
    "\"location\":{\"schema\":{\"type\":\"string\"}}},";

static const char *const shared_schemas =
    "\"problem\":{\"type\":\"object\",\"description\":\"RFC 9457\",\"required\":[\"type\","
    "\"title\",\"status\"],\"properties\":{\"type\":{\"type\":\"string\",\"pattern\":"
    "\"^urn:ficus:problem:[a-z-]+$\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":"
    "\"integer\"},\"detail\":{\"type\":\"string\"},\"errors\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\",\"required\":[\"detail\"],\"properties\":{\"pointer\":{\"type\":"
    "\"string\"},\"parameter\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}},"
    "\"additionalProperties\":false}}},\"additionalProperties\":false},"
    "\"created\":{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":"
    "[\"string\",\"integer\"]}},\"additionalProperties\":false},"
    "\"batch\":{\"type\":\"object\",\"required\":[\"requests\"],\"properties\":{\"atomic\":"
    "{\"const\":false},\"requests\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":50,\"items\":"
    "{\"type\":\"object\",\"required\":[\"method\",\"path\"],\"properties\":{\"method\":{\"enum\":"
    "[\"GET\",\"HEAD\",\"POST\",\"PUT\",\"PATCH\",\"DELETE\"]},\"path\":{\"type\":\"string\","
    "\"pattern\":\"^/[!-\\\"$-~]+$\"},\"headers\":{\"type\":\"object\",\"properties\":{"
    "\"If-Match\":{\"type\":\"string\"},\"If-None-Match\":{\"type\":\"string\"},"
    "\"Idempotency-Key\":{\"type\":\"string\"},\"Content-Type\":{\"type\":\"string\"}},"
    "\"additionalProperties\":false},\"body\":{}},\"additionalProperties\":false}}},"
    "\"additionalProperties\":false},"
    "\"batch.answer\":{\"type\":\"object\",\"required\":[\"responses\"],\"properties\":"
    "{\"responses\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"status\","
    "\"headers\"],\"properties\":{\"status\":{\"type\":\"integer\"},\"headers\":{\"type\":"
    "\"object\",\"additionalProperties\":{\"type\":\"string\"}},\"body\":{}},"
    "\"additionalProperties\":false}}},\"additionalProperties\":false}";

static void comma(struct buf *out)
{
    if (out->len && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[')
        buf_addc(out, ',');
}

static void parameter(struct buf *out, const char *name)
{
    comma(out);
    buf_printf(out, "{\"$ref\":\"#/components/parameters/%s\"}", name);
}

// A list of names out of a fixed set, with commas between them.
static void names(struct buf *out, const char *name, const struct entity *en, bool relations)
{
    bool sort = name[0] == 's', first = true;
    comma(out);
    buf_printf(out,
               "{\"name\":\"%s\",\"in\":\"query\",\"style\":\"form\",\"explode\":false,"
               "\"schema\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":%u,"
               "\"uniqueItems\":true,\"items\":{\"enum\":[",
               name, sort || relations ? 8u : (unsigned)en->nfields);
    for (size_t i = 0; i < (relations ? en->nrelationships : en->nfields); i++) {
        const struct field *f = relations ? NULL : &en->fields[i];
        const char *text = relations ? en->relationships[i].name : f->name;
        if (f && (!rest_readable(f) || (sort && f->type == TYPE_JSON)))
            continue;
        buf_printf(out, "%s\"%s\"", first ? "" : ",", text);
        if (sort)
            buf_printf(out, ",\"-%s\"", text);
        first = false;
    }
    buf_addz(out, "]}}}");
}

static void conditions(struct buf *out, const struct entity *en)
{
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        if (!rest_readable(f) || f->type == TYPE_JSON || rest_is_option(str_of(f->name), true))
            continue;
        comma(out);
        buf_printf(out,
                   "{\"name\":\"%s\",\"in\":\"query\",\"description\":\"Equal to this. %s[op]="
                   " with ne, lt, le, gt, ge, like, nlike, in, nin, between or null compares"
                   " otherwise.\",\"schema\":",
                   f->name, f->name);
        rest_schema_field(out, f, REST_SCHEMA_QUERY);
        buf_addc(out, '}');
    }
}

static void answer(struct buf *out, const char *status, const char *what, const char *schema,
                   const char *header)
{
    comma(out);
    buf_printf(out, "\"%s\":{\"description\":\"%s\"", status, what);
    if (header)
        buf_printf(out, ",\"headers\":{\"%s\":{\"$ref\":\"#/components/headers/%s\"}}",
                   header[0] == 'e' ? "ETag" : "Location", header);
    if (schema)
        buf_printf(out,
                   ",\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
                   "\"#/components/schemas/%s\"}}}",
                   schema);
    buf_addc(out, '}');
}

// What every operation may be answered with; `more`: statuses of this one, up to two.
static void refusals(struct buf *out, const char *const *more)
{
    static const char *const always[] = {"400", "401", "403", "404", "406", "410",
                                         "413", "501", "503", "504", NULL};
    const char *const *lists[] = {always, more};
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; lists[l] && lists[l][i]; i++) {
            comma(out);
            buf_printf(out, "\"%s\":{\"$ref\":\"#/components/responses/problem\"}", lists[l][i]);
        }
    buf_addz(out, ",\"default\":{\"$ref\":\"#/components/responses/problem\"}}");
}

static void begin(struct buf *out, const char *method, const char *verb, const char *noun,
                  const char *tag)
{
    comma(out);
    buf_printf(out, "\"%s\":{\"operationId\":\"%s_%s\",\"tags\":[\"%s\"],\"parameters\":[", method,
               verb, noun, tag);
}

static void body_of(struct buf *out, const char *schema, const char *form, bool patch)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s", schema, form);
    buf_addz(out, ",\"requestBody\":{\"required\":true,\"content\":{");
    buf_printf(out, "\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}",
               name);
    if (patch)
        buf_printf(out,
                   ",\"application/merge-patch+json\":{\"schema\":{\"$ref\":"
                   "\"#/components/schemas/%s\"}}",
                   name);
    buf_addz(out, "}}");
}

static const char *const write_refusals[] = {"409", "412", "415", "422", "428", NULL};
static const char *const read_refusals[] = {"412", NULL};

static void list_get(struct buf *out, const struct entity *en, const char *id, const char *tag,
                     bool below)
{
    char schema[160];
    snprintf(schema, sizeof schema, "%s.list", en->name);
    begin(out, "get", "list", id, tag);
    if (below)
        parameter(out, "id");
    names(out, "fields", en, false);
    names(out, "sort", en, false);
    if (en->nrelationships)
        names(out, "expand", en, true);
    parameter(out, "limit");
    parameter(out, "offset");
    parameter(out, "cursor");
    parameter(out, "count");
    parameter(out, "deleted");
    parameter(out, "filter");
    parameter(out, "if_none_match");
    conditions(out, en);
    buf_addz(out, "],\"responses\":{");
    answer(out, "200", "A page", schema, "etag");
    answer(out, "304", "Not changed", NULL, "etag");
    refusals(out, read_refusals);
    buf_addc(out, '}');
}

static void item_get(struct buf *out, const struct entity *en)
{
    begin(out, "get", "get", en->name, en->plural);
    parameter(out, "id");
    names(out, "fields", en, false);
    if (en->nrelationships)
        names(out, "expand", en, true);
    parameter(out, "deleted");
    parameter(out, "if_match");
    parameter(out, "if_none_match");
    buf_addz(out, "],\"responses\":{");
    answer(out, "200", "The record", en->name, "etag");
    answer(out, "304", "Not changed", NULL, "etag");
    refusals(out, read_refusals);
    buf_addc(out, '}');
}

static void item_writes(struct buf *out, const struct entity *en)
{
    begin(out, "patch", "update", en->name, en->plural);
    parameter(out, "id");
    parameter(out, "if_match");
    parameter(out, "idempotency_key");
    buf_addc(out, ']');
    body_of(out, en->name, ".change", true);
    buf_addz(out, ",\"responses\":{");
    answer(out, "204", "Changed", NULL, NULL);
    refusals(out, write_refusals);
    buf_addc(out, '}');
    begin(out, "put", "replace", en->name, en->plural);
    parameter(out, "id");
    parameter(out, "if_match");
    parameter(out, "create_only");
    buf_addc(out, ']');
    body_of(out, en->name, ".change", false);
    buf_addz(out, ",\"responses\":{");
    answer(out, "201", "Created", "created", "location");
    answer(out, "204", "Replaced", NULL, NULL);
    refusals(out, write_refusals);
    buf_addc(out, '}');
    begin(out, "delete", "delete", en->name, en->plural);
    parameter(out, "id");
    parameter(out, "if_match");
    buf_addz(out, "],\"responses\":{");
    answer(out, "204", "Deleted", NULL, NULL);
    refusals(out, write_refusals);
    buf_addc(out, '}');
}

static void relations(struct buf *out, const struct entity *en)
{
    for (size_t i = 0; i < en->nrelationships; i++) {
        const struct relationship *r = &en->relationships[i];
        char id[160];
        snprintf(id, sizeof id, "%s__%s", en->name, r->name);
        buf_printf(out, ",\"/%s/{id}/%s\":{", en->plural, r->name);
        list_get(out, r->target, id, en->plural, true);
        buf_printf(out, "},\"/%s/{id}/%s/{far}\":{", en->plural, r->name);
        for (unsigned k = 0; k < 2; k++) {
            begin(out, k ? "delete" : "put", k ? "unrelate" : "relate", id, en->plural);
            parameter(out, "id");
            parameter(out, "far");
            buf_addz(out, "],\"responses\":{");
            answer(out, "204", k ? "Not related" : "Related", NULL, NULL);
            refusals(out, write_refusals);
            buf_addc(out, '}');
        }
        buf_addc(out, '}');
    }
}

static void entity_paths(struct buf *out, const struct entity *en)
{
    comma(out);
    buf_printf(out, "\"/%s\":{", en->plural);
    list_get(out, en, en->plural, en->plural, false);
    if (!en->read_only) {
        begin(out, "post", "create", en->name, en->plural);
        parameter(out, "idempotency_key");
        buf_addc(out, ']');
        body_of(out, en->name, ".new", false);
        buf_addz(out, ",\"responses\":{");
        answer(out, "201", "Created", "created", "location");
        refusals(out, write_refusals);
        buf_addc(out, '}');
    }
    buf_addc(out, '}');
    if (en->nkeys != 1)
        return;
    buf_printf(out, ",\"/%s/{id}\":{", en->plural);
    item_get(out, en);
    if (!en->read_only)
        item_writes(out, en);
    buf_addc(out, '}');
    relations(out, en);
}

static bool wanted(const struct entity *en, bool service, const char *const *only, size_t n)
{
    if (en->link && !service)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(only[i], en->name) == 0)
            return true;
    return n == 0;
}

static void batch_path(struct buf *out)
{
    comma(out);
    buf_addz(out, "\"/batch\":{\"post\":{\"operationId\":\"batch\",\"description\":\"One after"
                  " another, not atomic.\"");
    body_of(out, "batch", "", false);
    buf_addz(out, ",\"responses\":{");
    answer(out, "200", "An answer for each", "batch.answer", NULL);
    refusals(out, write_refusals);
    buf_addz(out, "}}");
}

void rest_openapi(const struct entity_set *set, const char *server, bool service,
                  const char *const *only, size_t nonly, struct buf *out)
{
    buf_addz(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Ficus\",\"version\":\"");
    buf_addz(out, VERSION_TEXT "\",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":"
                               "\"Apache-2.0\"}},\"servers\":[{\"url\":");
    buf_addjson(out, str_of(*server ? server : "/"));
    buf_addz(out, "}],");
    if (!service)
        buf_addz(out, "\"security\":[{\"bearer\":[]}],");
    buf_addz(out, "\"paths\":{");
    for (size_t i = 0; i < entity_count(set); i++)
        if (wanted(entity_at(set, i), service, only, nonly))
            entity_paths(out, entity_at(set, i));
    batch_path(out);
    buf_addz(out, "},\"components\":{");
    if (!service)
        buf_addz(out,
                 "\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}},");
    buf_addz(out, head_components);
    buf_addz(out, "\"responses\":{\"problem\":{\"description\":\"Why not\",\"content\":{"
                  "\"application/problem+json\":{\"schema\":{\"$ref\":"
                  "\"#/components/schemas/problem\"}}}}},\"schemas\":{");
    buf_addz(out, shared_schemas);
    for (size_t i = 0; i < entity_count(set); i++)
        rest_schema_entity(out, entity_at(set, i));
    buf_addz(out, "}}}\n");
}
