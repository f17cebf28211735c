// SPDX-License-Identifier: Apache-2.0
// The v4_1 REST dialect of SugarCRM 6.5 and SuiteCRM 7, entry: the mount, and a request's way to
// its method. Owns the mount and the life of a call until its handler has it; how calls end is
// in v4_1_call.c. Thread: the loop of the mount.
//
// One URL; parameters method, input_type, response_type and rest_data in a form or in the query
// string, jsoncallback in the query string. Options of a mount:
//   {"users": {"entity", "name", "hash", "admin", "status", "deleted", "group", "portal",
//              "external"},                         fields of the login; default: the map's hint
//    "flavor": "CE", "version": "6.5.25", "suitecrm_version": "7.14.6",   of get_server_info
//    "api": "v4_1"}                                  or a sibling: v2, v2_1, v3, v3_1, v4
#include "base/clock.h"
#include "facade/dialect/v4_1_int.h"
#include "facade/http/form.h"
#include "facade/session/sessions.h"

#include <stdio.h>

#define MOUNT_MEMORY ((size_t)16 << 20)
#define STANDING_NS  5000000000u // longest that a user's standing is waited for

// ---- the mount

const struct v4_1_module *v4_1_module(const struct dialect_mount *m, struct str name)
{
    for (size_t i = 0; i < m->nmodules; i++)
        if (str_eqz(name, m->modules[i].name))
            return &m->modules[i];
    return NULL;
}

const struct v4_1_module *v4_1_module_of(const struct dialect_mount *m, const struct entity *en)
{
    for (size_t i = 0; i < m->nmodules; i++)
        if (m->modules[i].entity == en)
            return &m->modules[i];
    return NULL;
}

static const char *hint_z(const json_t *hint, const char *key, const char *fallback)
{
    const char *z = json_string_value(json_object_get(hint, key));

    return z ? z : fallback;
}

// A field that a hint or an option names; NULL (and 0) when it names none.
static int field_of(const struct entity *en, const json_t *hint, const char *key,
                    const struct field **out, struct err *e)
{
    const char *name = hint_z(hint, key, NULL);

    *out = NULL;
    if (!name)
        return 0;
    *out = entity_field(en, str_of(name));
    if (!*out)
        return err_set(e, ERR_CONFIG, "v4_1: \"%s\": \"%s\" is no field of %s", key, name,
                       en->name);
    return 0;
}

static int take_parts(struct arena *a, struct v4_1_module *m, struct err *e)
{
    const json_t *names = json_object_get(m->hint, "name");
    size_t i, n = json_is_array(names) ? json_array_size(names) : 0;
    json_t *v;

    if (n == 0 || entity_field(m->entity, STR("name")))
        return 0;
    if (n > 4)
        return err_set(e, ERR_CONFIG, "v4_1: %s: a name has at most four parts", m->entity->name);
    const struct field **parts = arena_array(a, n, sizeof(*parts));
    if (!parts)
        return err_memory(e);
    json_array_foreach(names, i, v)
    {
        parts[i] = entity_field(m->entity, str_of(json_is_string(v) ? json_string_value(v) : ""));
        if (!parts[i])
            return err_set(e, ERR_CONFIG, "v4_1: %s: part %zu of \"name\" is no field",
                           m->entity->name, i + 1);
    }
    m->parts = parts;
    m->nparts = n;
    return 0;
}

static int take_module(struct dialect_mount *mount, const struct entity *en, struct err *e)
{
    const json_t *hint = en->dialects ? json_object_get(en->dialects, "v4_1") : NULL;
    const char *name = hint_z(hint, "module", NULL);
    struct v4_1_module *m = &mount->modules[mount->nmodules];
    char labels[128];

    if (!name)
        return 0;
    if (en->nkeys != 1)
        return err_set(e, ERR_CONFIG, "v4_1: %s: a module has one key field", en->name);
    *m = (struct v4_1_module){.name = name, .entity = en, .hint = hint};
    m->table = hint_z(hint, "table", en->sides[SIDE_LEGACY].root);
    m->label = hint_z(hint, "label", name);
    if (!m->table)
        return err_set(e, ERR_CONFIG, "v4_1: %s: no \"table\"", en->name);
    if (field_of(en, hint, "email", &m->email, e) < 0 || take_parts(mount->arena, m, e) < 0 ||
        v4_1_columns_prepare(m, mount->arena, e) < 0)
        return -1;
    (void)snprintf(labels, sizeof(labels), "entity=\"%s\"", en->name);
    m->cuts = metrics_counter("ficus_v4_1_text_cut_total",
                              "Texts cut at their column's length on a write.", labels);
    m->phantoms = metrics_counter("ficus_v4_1_phantom_updates_total",
                                  "Updates of ids that do not exist, answered as done.", labels);
    mount->nmodules++;
    return 0;
}

static const struct v4_1_module *users_module(const struct dialect_mount *mount,
                                              const json_t *options, struct err *e)
{
    const char *name = hint_z(options, "entity", NULL);

    for (size_t i = 0; i < mount->nmodules; i++) {
        const struct v4_1_module *m = &mount->modules[i];
        if (name ? strcmp(m->entity->name, name) == 0 : json_object_get(m->hint, "login") != NULL)
            return m;
    }
    if (name)
        (void)err_set(e, ERR_CONFIG, "v4_1: users: no entity \"%s\" with a module", name);
    else
        (void)err_set(e, ERR_CONFIG, "v4_1: no entity has dialects.v4_1.login");
    return NULL;
}

static int take_users(struct dialect_mount *mount, const json_t *options, struct err *e)
{
    struct v4_1_users *u = &mount->users;
    const struct {
        const char *key;
        const struct field **out;
    } rows[] = {{"name", &u->name},     {"hash", &u->hash},        {"admin", &u->admin},
                {"status", &u->status}, {"deleted", &u->deleted},  {"group", &u->group},
                {"portal", &u->portal}, {"external", &u->external}};

    if (!(u->module = users_module(mount, options, e)))
        return -1;
    const struct entity *en = u->module->entity;
    const json_t *hint = json_object_get(u->module->hint, "login");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const json_t *from = json_object_get(options, rows[i].key) ? options : hint;
        if (field_of(en, from, rows[i].key, rows[i].out, e) < 0)
            return -1;
    }
    if (!u->deleted)
        u->deleted = en->deleted;
    if (!u->name || !u->hash)
        return err_set(e, ERR_CONFIG, "v4_1: users: \"name\" and \"hash\" are needed");
    return 0;
}

static void unmount(struct dialect_mount *m)
{
    if (!m)
        return;
    buf_free(&m->spare);
    arena_destroy(m->arena);
}

static struct dialect_mount *mount(const struct dialect_env *env, const struct mount *def,
                                   struct err *e)
{
    struct arena *a = arena_create(MOUNT_MEMORY);
    struct dialect_mount *m = a ? arena_alloc(a, sizeof(*m)) : NULL;
    size_t n = entity_count(env->entities);

    if (!m) {
        arena_destroy(a);
        (void)err_memory(e);
        return NULL;
    }
    m->env = *env;
    m->arena = a;
    m->api = v4_1_api(str_of(hint_z(def->options, "api", "v4_1")));
    if (!m->api) {
        (void)err_set(e, ERR_CONFIG, "v4_1: \"api\": one of v2, v2_1, v3, v3_1, v4, v4_1");
        goto fail;
    }
    m->flavor = hint_z(def->options, "flavor", "CE");
    m->version = hint_z(def->options, "version", "6.5.25");
    m->suitecrm_version = hint_z(def->options, "suitecrm_version", "7.14.6");
    m->application = hint_z(def->options, "application", NULL);
    m->through = metrics_counter("ficus_v4_1_through_total",
                                 "Calls that the legacy application answered.", "");
    m->logins = metrics_counter("ficus_v4_1_logins_total", "Logins by outcome.", "result=\"ok\"");
    m->refused = metrics_counter("ficus_v4_1_logins_total", "Logins by outcome.",
                                 "result=\"refused\"");
    m->locked = metrics_counter("ficus_v4_1_logins_total", "Logins by outcome.",
                                "result=\"locked\"");
    m->queries_refused = metrics_counter(
        "ficus_v4_1_queries_refused_total",
        "Values of query and order_by outside of the allow-list, answered with error 40.", "");
    m->modules = arena_array(a, n + 1, sizeof(*m->modules));
    if (!m->modules) {
        (void)err_memory(e);
        goto fail;
    }
    for (size_t i = 0; i < n; i++)
        if (take_module(m, entity_at(env->entities, i), e) < 0)
            goto fail;
    if (take_users(m, json_object_get(def->options, "users"), e) < 0)
        goto fail;
    return m;
fail:
    unmount(m);
    return NULL;
}

// ---- a request

// Only what can be the name of a function goes in front of a reply.
static struct str callback_of(const struct http_request *r)
{
    struct form query;
    struct err e;

    if (form_parse_urlencoded(r->query, r->arena, &query, &e) < 0)
        return (struct str){0};
    struct str name = form_get_php(&query, "jsoncallback");
    if (!name.data || name.len > 128)
        return (struct str){0};
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '$' || c == '.' || c == '[' || c == ']'))
            return (struct str){0};
    }
    return name;
}

static struct str cookie_of(const struct http_request *r)
{
    const struct str name = STR("PHPSESSID=");
    struct str s = http_header(r, "Cookie");

    while (s.len > 0) {
        const char *semicolon = memchr(s.data, ';', s.len);
        size_t len = semicolon ? (size_t)(semicolon - s.data) : s.len;
        struct str one = str_trim(str_n(s.data, len));
        if (str_starts(one, name))
            return str_n(one.data + name.len, one.len - name.len);
        len += semicolon != NULL;
        s = str_n(s.data + len, s.len - len);
    }
    return (struct str){0};
}

// The last thing before the handler: the module, where the method has one, and whether the
// application is to answer.
static int find_module(struct v4_1_call *c)
{
    struct pass *p;
    struct str name;

    if (c->method->flags & V4_1_MODULE) {
        if (!v4_1_text(c->args[1], c->arena, &name) || name.len == 0)
            return v4_1_reply_fault(c, V4_1_INVALID_DATA);
        c->module = v4_1_module(c->mount, name);
        if (!c->module && (p = v4_1_application(c)) != NULL)
            return v4_1_through(c, p);
        if (!c->module)
            return v4_1_reply_fault(c, V4_1_NO_MODULE);
    }
    if (!(c->method->flags & V4_1_OPEN) && (p = v4_1_way(c)) != NULL)
        return v4_1_through(c, p);
    c->step = c->method->handler;
    return c->step(c);
}

static int unknown_session(struct v4_1_call *c)
{
    if (c->method->flags & V4_1_FAULT_ZERO)
        return v4_1_reply_text(c, "0");
    return v4_1_reply_fault(c, c->method->flags & V4_1_FAULT_LOGIN ? V4_1_INVALID_LOGIN
                                                                   : V4_1_INVALID_SESSION);
}

static void on_ended(void *ctx)
{
    struct v4_1_call *c = ctx;

    c->session = (struct str){0};
    c->step = unknown_session;
    v4_1_drive(c);
}

// A session is worth what its user is now: it ends when he is disabled, and administrators come
// and go. While users cannot be read, what was so at login holds.
static void on_standing(struct rights_ask *q)
{
    struct v4_1_call *c = q->owner;

    if (!q->trouble && !q->live) {
        sessions_end(c->mount->env.sessions, c->session, on_ended, c);
        return;
    }
    if (!q->trouble)
        c->principal.is_admin = q->admin;
    c->step = find_module;
    v4_1_drive(c);
}

static void ask_standing(struct v4_1_call *c)
{
    struct access *access = dispatcher_access(c->mount->env.dispatcher);

    access_ask(access, c->principal.user_id, c->arena, clock_mono_ns() + STANDING_NS, &c->ask);
    c->ask.owner = c;
    c->ask.done = on_standing;
    rights_standing(&c->ask);
}

static void on_session(void *ctx, const struct session *s)
{
    struct v4_1_call *c = ctx;

    c->step = unknown_session;
    if (s) {
        c->principal.levels = arena_str(c->arena, s->principal.levels);
        c->session = arena_str(c->arena, str_of(s->id));
        c->principal.user_id = arena_str(c->arena, s->principal.user_id);
        c->principal.user_name = arena_str(c->arena, s->principal.user_name);
        c->principal.is_admin = s->principal.is_admin;
        if (!c->session.data || !c->principal.user_id.data || !c->principal.user_name.data ||
            !c->principal.levels.data)
            c->step = v4_1_reply_memory;
        else if (dispatcher_access(c->mount->env.dispatcher)) {
            ask_standing(c);
            return;
        } else
            c->step = find_module;
    }
    v4_1_drive(c);
}

static bool is_blank(const json_t *j)
{
    return !j || json_is_null(j) || json_is_false(j) ||
           (json_is_string(j) && json_string_length(j) == 0) ||
           (json_is_array(j) && json_array_size(j) == 0) ||
           (json_is_object(j) && json_object_size(j) == 0);
}

static int begin(struct v4_1_call *c)
{
    struct str id;

    if (c->nargs < c->method->required)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (c->method->flags & V4_1_OPEN)
        return find_module(c);
    if (is_blank(c->args[0]))
        return v4_1_reply_text(c, "null");
    if (!v4_1_text(c->args[0], c->arena, &id))
        return unknown_session(c);
    c->step = unknown_session;
    sessions_find(c->mount->env.sessions, id, on_session, c);
    return V4_1_WAIT;
}

static int unknown_method(struct v4_1_call *c)
{
    return v4_1_reply_fault(c, V4_1_UNKNOWN_METHOD);
}

static int pass_unknown(struct v4_1_call *c)
{
    return v4_1_through(c, v4_1_application(c));
}

// A method of a plug-in: the application knows it. Its first argument is the session, as everywhere.
static const struct v4_1_method unknown = {.name = "through", .handler = pass_unknown};

static int begin_unknown(struct v4_1_call *c)
{
    json_t *first = json_array_get(c->data, 0);

    if (json_is_object(c->data) && !(first = json_object_get(c->data, "session")))
        first = json_object_iter_value(json_object_iter(c->data));
    if (!json_is_string(first) || json_string_length(first) != 32)
        return v4_1_through(c, v4_1_application(c)); // none: the application will say what it lacks
    c->args[0] = first;
    c->nargs = 1;
    return begin(c);
}

static int invalid_form(struct v4_1_call *c)
{
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

static int unsupported_type(struct v4_1_call *c)
{
    return v4_1_reply_broken(c, 500, "");
}

static void on_request(struct dialect_mount *m, struct http_request *r)
{
    struct v4_1_call *c = arena_alloc(r->arena, sizeof(*c));
    struct form form;
    struct err e;

    if (!c) {
        http_reply(r->exchange, &(struct http_response){.status = 500});
        return;
    }
    c->mount = m;
    c->exchange = r->exchange;
    c->peer = r->peer;
    c->request = r;
    c->arena = r->arena;
    c->callback = callback_of(r);
    c->cookie = cookie_of(r);
    c->step = invalid_form;
    if (form_parse_request(r, &form, &e) == 0) {
        struct str name = form_get_php(&form, "method");
        c->method = v4_1_method(name);
        if (!str_eq_nocase(form_get_php(&form, "input_type"), STR("JSON")) ||
            !str_eq_nocase(form_get_php(&form, "response_type"), STR("JSON"))) {
            c->step = unsupported_type;
        } else if (!c->method || v4_1_lacks(m->api, c->method)) {
            c->step = unknown_method;
            if (v4_1_application(c)) {
                c->method = &unknown;
                c->data = v4_1_decode(form_get_php(&form, "rest_data"));
                c->step = begin_unknown;
            }
        } else {
            http_exchange_label(r->exchange, c->method->name);
            c->data = v4_1_decode(form_get_php(&form, "rest_data"));
            c->nargs = v4_1_bind(m->api, c->method, c->data, c->args);
            c->step = begin;
        }
    }
    v4_1_drive(c);
}

const struct dialect dialect_v4_1 = {.name = "v4_1",
                                     .mount = mount,
                                     .on_request = on_request,
                                     .unmount = unmount,
                                     .describe = v4_1_describe};
