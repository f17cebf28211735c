// SPDX-License-Identifier: Apache-2.0
// rest_data of the v4_1 dialect as hostile text: bound to every method, and its last argument
// taken as a record to write. The reply must stay JSON, and values must fit their columns.
#include "facade/dialect/v4_1_int.h"
#include "migrations/map.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dialect_mount *mounted(void)
{
    static struct dialect_mount *mount;
    struct dialect_env env = {0};
    struct problems p = {0};
    struct err e;

    if (!mount) {
        struct entity_set *set = map_load("migrations/maps/suitecrm", &p);
        if (!set)
            abort();
        env.entities = set;
        mount = dialect_v4_1.mount(&env, &(struct mount){0}, &e);
        if (!mount)
            abort();
    }
    return mount;
}

static void check_json(struct buf *out)
{
    if (out->failed)
        return;
    json_t *j = json_loadb(out->data, out->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!j)
        abort();
    json_decref(j);
}

// Every value that would be written passes the column's own type check.
static void check_record(const struct v4_1_record *r, struct arena *a)
{
    struct buf out = BUF_INIT;
    struct value raw;
    struct err e;

    for (size_t i = 0; i < r->module->entity->nfields; i++) {
        const struct field *f = &r->module->entity->fields[i];
        if (r->values[i].state == VALUE_FOREIGN || (f->secret && r->values[i].state))
            abort();
        if (r->values[i].state == VALUE_SET && f->type == TYPE_TEXT &&
            type_write(f, SIDE_LEGACY, r->values[i], a, &raw, &e) < 0)
            abort();
    }
    v4_1_add_echo(&out, r);
    check_json(&out);
    buf_free(&out);
}

static void write_record(const char *name, const json_t *list, struct arena *a)
{
    struct v4_1_record r;
    struct err e;

    if (v4_1_record_decode(v4_1_module(mounted(), str_of(name)), list, a, &r, &e) < 0 ||
        v4_1_record_finish(&r, r.id.len == 0, a, &e) < 0)
        return;
    check_record(&r, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"login",     "get_entry",        "get_entry_list",
                                        "set_entry", "set_relationship", "get_relationships"};
    static const char *const modules[] = {"Accounts", "Contacts", "Calls", "Opportunities"};
    struct arena *a = arena_create(0);
    json_t *j = v4_1_decode(str_n((const char *)data, size));
    const json_t *args[V4_1_ARGS_MAX];

    if (!a)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct v4_1_method *m = v4_1_method(str_of(names[i]));
        if (v4_1_bind(v4_1_api(STR("v4_1")), m, j, args) > V4_1_ARGS_MAX)
            abort();
    }
    (void)v4_1_bind(v4_1_api(STR("v4_1")), v4_1_method(STR("set_entry")), j, args);
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        write_record(modules[i], args[2], a);
    struct v4_1_columns columns;
    struct v4_1_links links;
    struct err e;
    if (v4_1_columns_of_entry(v4_1_module(mounted(), STR("Accounts")), args[2], a, &columns, &e) ==
        0)
        (void)!v4_1_links_of(mounted(), &columns, args[2], a, &links, &e);
    json_decref(j);
    arena_destroy(a);
    return 0;
}
