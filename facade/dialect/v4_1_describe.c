// SPDX-License-Identifier: Apache-2.0
// What a request to this dialect would be, without doing it: for `ficus route explain`.
// Pure; any thread.
#include "facade/dialect/v4_1_int.h"
#include "facade/http/form.h"

static const struct entity *entity_named(const struct entity_set *set, struct str module)
{
    for (size_t i = 0; i < entity_count(set); i++) {
        const struct entity *en = entity_at(set, i);
        const json_t *hint = en->dialects ? json_object_get(en->dialects, "v4_1") : NULL;
        const char *name = json_string_value(json_object_get(hint, "module"));
        if (name && str_eqz(module, name))
            return en;
    }
    return NULL;
}

static struct str argument(const struct v4_1_method *m, const json_t *const *args, const char *name,
                           struct arena *a)
{
    struct str text;
    for (size_t i = 0; m->args[i]; i++)
        if (strcmp(m->args[i], name) == 0 && args[i] && v4_1_text(args[i], a, &text))
            return text;
    return STR("");
}

int v4_1_describe(const struct entity_set *set, const struct mount *mount,
                  const struct http_request *r, struct dialect_call *out, struct err *e)
{
    const char *version = json_string_value(json_object_get(mount->options, "api"));
    const struct v4_1_api *api = v4_1_api(str_of(version ? version : "v4_1"));
    const json_t *args[V4_1_ARGS_MAX] = {NULL};
    struct form form;
    if (!api)
        return err_set(e, ERR_CONFIG, "mount %s: no such api", mount->path);
    if (form_parse_request(r, &form, e))
        return -1;
    out->method = form_get_php(&form, "method");
    const struct v4_1_method *m = v4_1_method(out->method);
    if (!m || v4_1_lacks(api, m))
        return err_set(e, ERR_UNSUPPORTED, "the dialect has no method '%.*s'",
                       (int)(out->method.len < 64 ? out->method.len : 64),
                       out->method.data ? out->method.data : "");
    json_t *data = v4_1_decode(form_get_php(&form, "rest_data"));
    v4_1_bind(api, m, data, args);
    out->read = !(m->flags & V4_1_WRITES);
    if ((m->flags & V4_1_MODULE) && args[1])
        (void)v4_1_text(args[1], r->arena, &out->module);
    out->module = arena_str(r->arena, out->module);
    out->key = arena_str(r->arena, argument(m, args, "id", r->arena));
    out->entity = entity_named(set, out->module);
    json_decref(data);
    return 0;
}
