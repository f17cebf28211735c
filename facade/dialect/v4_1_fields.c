// SPDX-License-Identifier: Apache-2.0
// get_module_fields, its md5 and get_available_modules of the v4_1 dialect: what the entity maps say, in
// the legacy's words. Needs no store. Thread: the loop of the mount.
#include "facade/dialect/v4_1_int.h"

#include <openssl/evp.h>

static struct str hint_text(const json_t *hint, const char *key)
{
    const json_t *j = json_object_get(hint, key);

    return json_is_string(j) ? str_n(json_string_value(j), json_string_length(j))
                             : (struct str){"", 0};
}

static void add_text(struct buf *out, const char *key, struct str s)
{
    buf_printf(out, ",\"%s\":", key);
    buf_addjson_php(out, s);
}

// PHP makes integers of array keys that look like them.
static void add_option_name(struct buf *out, struct str key)
{
    long long n;

    if (str_to_int(key, -999999999, 999999999, &n) && (key.data[0] != '0' || key.len == 1) &&
        key.data[0] != '+' && !str_eqz(key, "-0"))
        buf_addint(out, n);
    else
        buf_addjson_php(out, key);
}

static void add_option(struct buf *out, size_t *n, struct str key, struct str label)
{
    buf_addc(out, (*n)++ == 0 ? '{' : ',');
    buf_addjson_php(out, key);
    buf_addz(out, ":{\"name\":");
    add_option_name(out, key);
    buf_addz(out, ",\"value\":");
    buf_addjson_php(out, label);
    buf_addc(out, '}');
}

static void add_options(struct buf *out, json_t *options, bool boolean, unsigned has)
{
    const char *key;
    json_t *label;
    size_t n = 0;

    buf_addz(out, ",\"options\":");
    if (boolean && (has & V4_1_HAS_FIELD_TABLE)) {
        add_option(out, &n, STR(""), STR(""));
        add_option(out, &n, STR("1"), STR("Yes"));
        add_option(out, &n, STR("2"), STR("No"));
    }
    json_object_foreach(options, key, label)
    {
        add_option(out, &n, str_of(key),
                   str_n(json_string_value(label), json_string_length(label)));
    }
    buf_addz(out, n == 0 ? "[]" : "}");
}

static void add_head(struct buf *out, size_t *n, struct str name, struct str type, unsigned has)
{
    buf_addc(out, (*n)++ == 0 ? '{' : ',');
    buf_addjson_php(out, name);
    buf_addz(out, ":{\"name\":");
    buf_addjson_php(out, name);
    add_text(out, "type", type);
    if (has & V4_1_HAS_FIELD_GROUPS)
        buf_addz(out, ",\"group\":\"\",\"id_name\":\"\"");
}

static void add_length(struct buf *out, const struct field *f)
{
    buf_addz(out, ",\"len\":");
    if (f && f->type == TYPE_TEXT && f->length > 0)
        buf_printf(out, "\"%u\"", f->length);
    else
        buf_addz(out, "\"\"");
}

// What follows the options; f is NULL for what no field is behind.
static void add_tail(struct buf *out, const struct field *f, unsigned has)
{
    if (has & V4_1_HAS_FIELD_GROUPS)
        buf_addz(out, ",\"related_module\":\"\"");
    if (has & V4_1_HAS_FIELD_TABLE)
        buf_addz(out, ",\"calculated\":false");
    if (has & V4_1_HAS_FIELD_LEN)
        add_length(out, f);
}

static void add_field(struct buf *out, size_t *n, const struct v4_1_module *m,
                      const struct field *f, unsigned has)
{
    const json_t *hint = v4_1_field_hint(f);
    struct str label = hint_text(hint, "label");

    add_head(out, n, str_of(f->name), str_of(v4_1_field_type(f)), has);
    add_text(out, "label", label.len > 0 ? label : str_of(f->name));
    buf_printf(out, ",\"required\":%d", json_is_true(json_object_get(hint, "required")));
    add_options(out, json_object_get(hint, "options"), f->type == TYPE_BOOLEAN, has);
    add_tail(out, f, has);
    if (f->fallback.state == VALUE_SET) {
        buf_addz(out, ",\"default_value\":");
        v4_1_add_value(out, m, f, f->fallback);
    }
    buf_addc(out, '}');
}

static void add_composed(struct buf *out, size_t *n, unsigned has)
{
    add_head(out, n, STR("name"), STR("name"), has);
    buf_addz(out, ",\"label\":\"Name:\",\"required\":0,\"options\":[]");
    add_tail(out, NULL, has);
    buf_addc(out, '}');
}

static bool is_wanted(const json_t *fields, const char *name)
{
    size_t i;
    json_t *v;

    if (!json_is_array(fields) || json_array_size(fields) == 0)
        return true;
    json_array_foreach(fields, i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
            return true;
    }
    return false;
}

// What the map's "flags" put behind a field.
static void add_flags(struct buf *out, size_t *n, const struct v4_1_module *m, const char *behind,
                      const json_t *fields, unsigned has)
{
    const char *name;
    json_t *flag;

    json_object_foreach(json_object_get(m->hint, "flags"), name, flag)
    {
        struct str label = hint_text(flag, "label");
        if (!str_eqz(hint_text(flag, "after"), behind) || !is_wanted(fields, name))
            continue;
        add_head(out, n, str_of(name), STR("bool"), has);
        add_text(out, "label", label.len > 0 ? label : str_of(name));
        buf_addz(out, ",\"required\":0");
        add_options(out, NULL, true, has);
        add_tail(out, NULL, has);
        buf_addc(out, '}');
    }
}

static void add_link(struct buf *out, size_t *n, const struct relationship *rel,
                     const struct v4_1_module *target, unsigned has)
{
    const json_t *hint = json_object_get(rel->dialects, "v4_1");
    struct str name = hint_text(hint, "relationship"), bean = hint_text(target->hint, "bean");

    if (name.len == 0 && rel->through)
        name = str_of(rel->through->sides[SIDE_LEGACY].root);
    add_head(out, n, str_of(rel->name), STR("link"), has);
    add_text(out, "relationship", name);
    add_text(out, "module", str_of(target->name));
    add_text(out, "bean_name", bean.len > 0 ? bean : str_of(target->entity->title));
    buf_addc(out, '}');
}

static void add_module_fields(struct buf *out, const struct dialect_mount *mount,
                              const struct v4_1_module *m, const json_t *fields)
{
    const struct entity *en = m->entity;
    unsigned has = mount->api->has;
    size_t n = 0;

    buf_addz(out, "{\"module_name\":");
    buf_addjson_php(out, str_of(m->name));
    if (has & V4_1_HAS_FIELD_TABLE)
        add_text(out, "table_name", str_of(m->table));
    buf_addz(out, ",\"module_fields\":");
    for (size_t i = 0; i < en->nfields; i++) {
        if (is_wanted(fields, en->fields[i].name))
            add_field(out, &n, m, &en->fields[i], has);
        if (en->fields[i].key && m->parts && is_wanted(fields, "name"))
            add_composed(out, &n, has);
        add_flags(out, &n, m, en->fields[i].name, fields, has);
    }
    buf_addz(out, n == 0 ? "[],\"link_fields\":" : "},\"link_fields\":");
    n = 0;
    for (size_t i = 0; i < en->nrelationships; i++) {
        const struct relationship *rel = &en->relationships[i];
        const struct v4_1_module *target = v4_1_module_of(mount, rel->target);
        if (target && (has & V4_1_HAS_FIELD_LINKS) && is_wanted(fields, rel->name))
            add_link(out, &n, rel, target, has);
    }
    buf_addz(out, n == 0 ? "[]}" : "}}");
}

// Refused only where an owner could neither list, view nor edit.
static bool may_know_fields(const struct v4_1_call *c, const struct v4_1_module *m)
{
    return v4_1_reach(c, m, ACTION_LIST) != REACH_NOTHING ||
           v4_1_reach(c, m, ACTION_VIEW) != REACH_NOTHING ||
           v4_1_reach(c, m, ACTION_EDIT) != REACH_NOTHING;
}

int v4_1_get_module_fields(struct v4_1_call *c)
{
    if (!may_know_fields(c, c->module))
        return v4_1_reply_fault(c, V4_1_DENIED);
    add_module_fields(&c->body, c->mount, c->module, c->args[2]);
    return v4_1_reply(c);
}

// "Accounts":"<md5 of what get_module_fields answers>"; changes when the answer does.
static int add_md5(struct v4_1_call *c, const struct v4_1_module *m)
{
    struct buf fields = BUF_INIT;
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    add_module_fields(&fields, c->mount, m, NULL);
    bool ok = !fields.failed && EVP_Digest(fields.data, fields.len, md, &n, EVP_md5(), NULL) == 1;
    buf_free(&fields);
    if (!ok)
        return -1;
    buf_addc(&c->body, c->body.len == 0 ? '{' : ',');
    buf_addjson_php(&c->body, str_of(m->name));
    buf_addz(&c->body, ":\"");
    for (unsigned i = 0; i < n; i++)
        buf_printf(&c->body, "%02x", md[i]);
    buf_addc(&c->body, '"');
    return 0;
}

// One name, or a list of them; each module once, like the keys of PHP's array.
int v4_1_get_module_fields_md5(struct v4_1_call *c)
{
    const json_t *names = c->args[1];
    size_t n = json_is_array(names) ? json_array_size(names) : 1;
    bool *done = arena_array(c->arena, c->mount->nmodules + 1, sizeof(*done));
    struct str name;

    if (!done)
        return v4_1_reply_memory(c);
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_is_array(names) ? json_array_get(names, i) : names;
        if (!v4_1_text(j, c->arena, &name) || name.len == 0)
            return v4_1_reply_fault(c, V4_1_INVALID_DATA);
        const struct v4_1_module *m = v4_1_module(c->mount, name);
        if (!m)
            return v4_1_reply_fault(c, V4_1_NO_MODULE);
        if (!may_know_fields(c, m))
            return v4_1_reply_fault(c, V4_1_DENIED);
        if (done[m - c->mount->modules])
            continue;
        done[m - c->mount->modules] = true;
        if (add_md5(c, m) < 0)
            return v4_1_reply_memory(c);
    }
    buf_addz(&c->body, c->body.len == 0 ? "[]" : "}");
    return v4_1_reply(c);
}

static void add_module(struct v4_1_call *c, const struct v4_1_module *m)
{
    static const enum access_action actions[] = {ACTION_EDIT, ACTION_DELETE, ACTION_LIST,
                                                 ACTION_VIEW, ACTION_IMPORT, ACTION_EXPORT};
    unsigned has = c->mount->api->has;
    struct buf *out = &c->body;

    if (!(has & V4_1_HAS_MODULE_ACLS)) {
        buf_addjson_php(out, str_of(m->name));
        return;
    }
    buf_addz(out, "{\"module_key\":");
    buf_addjson_php(out, str_of(m->name));
    add_text(out, "module_label", str_of(m->label));
    if (has & V4_1_HAS_MODULE_FAVORITES)
        buf_addz(out, ",\"favorite_enabled\":false");
    buf_addz(out, ",\"acls\":[");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        buf_printf(out, "%s{\"action\":\"%s\",\"access\":%s}", i > 0 ? "," : "",
                   access_action_name(actions[i]),
                   v4_1_reach(c, m, actions[i]) != REACH_NOTHING ? "true" : "false");
    buf_addz(out, "]}");
}

// The short list has the modules that are open to the user, the long one all but disabled ones.
static bool is_left_out(const struct v4_1_call *c, const struct v4_1_module *m, bool brief)
{
    struct access *access = dispatcher_access(c->mount->env.dispatcher);

    if (!access || c->principal.is_admin)
        return false;
    const struct access_policy *p = access_policy(access);
    if (policy_is_open(p, m->entity))
        return false;
    return brief ? !levels_open(p, c->principal.levels, m->entity)
                 : levels_read(c->principal.levels, m->entity, ACTION_ACCESS) == p->disabled;
}

// The short list leaves out the users, which have no tab of their own.
int v4_1_get_available_modules(struct v4_1_call *c)
{
    const struct dialect_mount *mount = c->mount;
    struct str filter;
    bool brief = v4_1_text(c->args[1], c->arena, &filter) && str_eqz(filter, "default");
    size_t n = 0;

    buf_addz(&c->body, "{\"modules\":[");
    for (size_t i = 0; i < mount->nmodules; i++) {
        const struct v4_1_module *m = &mount->modules[i];
        if ((brief && m == mount->users.module) || is_left_out(c, m, brief))
            continue;
        if (n++ > 0)
            buf_addc(&c->body, ',');
        add_module(c, m);
    }
    buf_addz(&c->body, "]}");
    return v4_1_reply(c);
}
