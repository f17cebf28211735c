// SPDX-License-Identifier: Apache-2.0
// Loads the rules of access control. Every mistake is reported with file, line and pointer; rules
// with any mistake are none. Thread: the loader's.
#include "facade/policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_MAX 256

struct load {
    struct json_doc doc;
    struct problems *p;
    const struct entity_set *set;
    struct access_policy *out;
};

static const char *const action_keys[] = {"access", "view",   "list",  "edit",
                                          "delete", "import", "export"};

const char *access_action_name(enum access_action a)
{
    return action_keys[a];
}

static struct str keep(struct load *l, const char *z)
{
    return arena_str(l->out->arena, str_of(z ? z : ""));
}

static const struct entity *entity_named(struct load *l, const char *at, const char *name)
{
    const struct entity *en = name ? entity_find(l->set, str_of(name)) : NULL;
    if (!en)
        problems_add(l->p, &l->doc, at, "no entity map '%s'", name ? name : "?");
    else if (en->nkeys != 1)
        problems_add(l->p, &l->doc, at, "'%s' has a key of several parts", name);
    return en;
}

// object[key] as an entity; NULL and a mistake when it names none.
static const struct entity *get_entity(struct load *l, const json_t *o, const char *at)
{
    const char *name;
    char here[AT_MAX];
    snprintf(here, sizeof here, "%s/entity", at);
    if (json_get_str(&l->doc, o, at, "entity", NULL, &name, l->p))
        return NULL;
    return entity_named(l, here, name);
}

static const struct field *get_field(struct load *l, const struct entity *en, const json_t *o,
                                     const char *at, const char *key, bool needed)
{
    const char *name;
    if (!en || json_get_str(&l->doc, o, at, key, needed ? NULL : "", &name, l->p) || !*name)
        return NULL;
    const struct field *f = entity_field(en, str_of(name));
    char here[AT_MAX];
    snprintf(here, sizeof here, "%s/%s", at, key);
    if (!f || f->secret)
        problems_add(l->p, &l->doc, here, "'%s' has no field '%s' to go by", en->name, name);
    return f;
}

static const json_t *section(struct load *l, const json_t *o, const char *at, const char *key,
                             bool needed)
{
    const json_t *s = json_object_get(o, key);
    if (!json_is_object(s) && (s || needed))
        problems_add(l->p, &l->doc, at, "'%s' is an object", key);
    return json_is_object(s) ? s : NULL;
}

// ---------------------------------------------------------------- users and levels

static void load_words(struct load *l, const json_t *list, const char *at, struct str *out,
                       size_t *n)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word || *n == POLICY_USER_OFF)
            problems_add(l->p, &l->doc, at, "a list of at most %d texts", POLICY_USER_OFF);
        else
            out[(*n)++] = keep(l, word);
    }
}

static void load_users(struct load *l, const json_t *o)
{
    static const char *const known[] = {"entity", "admin", "status", "closed", "off", NULL};
    struct access_policy *p = l->out;
    struct str off[POLICY_USER_OFF];
    size_t noff = 0;
    json_only_keys(&l->doc, o, "/users", known, l->p);
    const struct entity *en = p->users.entity = get_entity(l, o, "/users");
    p->users.admin = get_field(l, en, o, "/users", "admin", true);
    p->users.status = get_field(l, en, o, "/users", "status", false);
    load_words(l, json_object_get(o, "closed"), "/users/closed", p->users.closed,
               &p->users.nclosed);
    load_words(l, json_object_get(o, "off"), "/users/off", off, &noff);
    for (size_t i = 0; en && i < noff; i++) {
        const struct field *f = entity_field(en, off[i]);
        if (!f || f->type != TYPE_BOOLEAN)
            problems_add(l->p, &l->doc, "/users/off", "'%s' has no boolean '%.*s'", en->name,
                         (int)off[i].len, off[i].data);
        else
            p->users.off[p->users.noff++] = f;
    }
}

static void load_levels(struct load *l, const json_t *o)
{
    static const char *const known[] = {"all",  "enabled",  "group", "owner",
                                        "none", "disabled", NULL};
    static const long long defaults[] = {90, 89, 80, 75, -99, -98};
    int *out[] = {&l->out->all,   &l->out->enabled, &l->out->group,
                  &l->out->owner, &l->out->none,    &l->out->disabled};
    json_only_keys(&l->doc, o, "/levels", known, l->p);
    for (size_t i = 0; i < 6; i++) {
        long long n = defaults[i];
        (void)json_get_int(&l->doc, o, "/levels", known[i], -999, 999, &defaults[i], &n, l->p);
        *out[i] = (int)n;
    }
}

static void load_actions(struct load *l, const json_t *o)
{
    static const char *const known[] = {"entity", "category", "name",  "level",
                                        "type",   "is",       "names", NULL};
    struct access_policy *p = l->out;
    const char *is;
    json_only_keys(&l->doc, o, "/actions", known, l->p);
    const struct entity *en = p->actions.entity = get_entity(l, o, "/actions");
    p->actions.category = get_field(l, en, o, "/actions", "category", true);
    p->actions.name = get_field(l, en, o, "/actions", "name", true);
    p->actions.level = get_field(l, en, o, "/actions", "level", true);
    p->actions.type = get_field(l, en, o, "/actions", "type", false);
    if (json_get_str(&l->doc, o, "/actions", "is", "", &is, l->p) == 0)
        p->actions.type_is = keep(l, is);
    const json_t *names = json_object_get(o, "names");
    for (int i = 0; i < ACTION_COUNT_OF; i++) {
        const char *name = json_string_value(json_object_get(names, action_keys[i]));
        p->action_names[i] = keep(l, name ? name : action_keys[i]);
    }
}

// ---------------------------------------------------------------- links

struct link_keys {
    const char *a, *b;
    bool level;
};

static void load_link(struct load *l, const json_t *parent, const char *at, const char *key,
                      struct link_keys keys, bool needed, struct policy_link *out)
{
    const char *const known[] = {"entity", keys.a,           keys.b, "level",
                                 "module", "noninheritable", NULL};
    char here[AT_MAX];
    const json_t *o = section(l, parent, at, key, needed);
    if (!o)
        return;
    snprintf(here, sizeof here, "%s/%s", at, key);
    json_only_keys(&l->doc, o, here, known, l->p);
    out->entity = get_entity(l, o, here);
    out->a = get_field(l, out->entity, o, here, keys.a, true);
    out->b = get_field(l, out->entity, o, here, keys.b, true);
    out->level = get_field(l, out->entity, o, here, "level", keys.level);
}

static void load_roles(struct load *l, const json_t *o)
{
    static const char *const known[] = {"overrides", "users", "groups", NULL};
    json_only_keys(&l->doc, o, "/roles", known, l->p);
    load_link(l, o, "/roles", "overrides", (struct link_keys){"role", "action", true}, true,
              &l->out->overrides);
    load_link(l, o, "/roles", "users", (struct link_keys){"role", "user", false}, true,
              &l->out->role_users);
    load_link(l, o, "/roles", "groups", (struct link_keys){"role", "group", false}, false,
              &l->out->role_groups);
}

static const struct field *get_boolean(struct load *l, const struct entity *en, const json_t *o,
                                       const char *at, const char *key)
{
    const struct field *f = get_field(l, en, o, at, key, false);
    if (f && f->type != TYPE_BOOLEAN)
        problems_add(l->p, &l->doc, at, "'%s' is no boolean", f->name);
    return f;
}

// The groups that a new record of a module, or of every module, joins.
static void load_defaults(struct load *l, const json_t *groups)
{
    static const char *const known[] = {"entity", "group", "module", "all", NULL};
    struct policy_link *out = &l->out->groups.defaults;
    const json_t *o = section(l, groups, "/groups", "defaults", false);
    const char *all;
    if (!o)
        return;
    json_only_keys(&l->doc, o, "/groups/defaults", known, l->p);
    out->entity = get_entity(l, o, "/groups/defaults");
    out->a = get_field(l, out->entity, o, "/groups/defaults", "group", true);
    out->b = get_field(l, out->entity, o, "/groups/defaults", "module", true);
    if (json_get_str(&l->doc, o, "/groups/defaults", "all", "All", &all, l->p) == 0)
        l->out->groups.every_module = keep(l, all);
}

static void load_groups(struct load *l, const json_t *o)
{
    static const char *const known[] = {"entity",  "noninheritable", "members",
                                        "records", "defaults",       NULL};
    struct access_policy *p = l->out;
    if (!o)
        return;
    json_only_keys(&l->doc, o, "/groups", known, l->p);
    p->groups.entity = get_entity(l, o, "/groups");
    load_link(l, o, "/groups", "members", (struct link_keys){"group", "user", false}, true,
              &p->groups.members);
    load_link(l, o, "/groups", "records", (struct link_keys){"group", "record", false}, true,
              &p->groups.records);
    const json_t *records = json_object_get(o, "records");
    p->groups.records_module = get_field(l, p->groups.records.entity, records, "/groups/records",
                                         "module", true);
    p->groups.group_keeps = get_boolean(l, p->groups.entity, o, "/groups", "noninheritable");
    p->groups.member_keeps = get_boolean(l, p->groups.members.entity, json_object_get(o, "members"),
                                         "/groups/members", "noninheritable");
    load_defaults(l, o);
}

// ---------------------------------------------------------------- modules and settings

static void load_modules(struct load *l, const json_t *o, const json_t *open)
{
    struct access_policy *p = l->out;
    const char *name;
    json_t *category;
    size_t i;
    if (json_object_size(o) + json_array_size(open) > POLICY_MODULES_MAX) {
        problems_add(l->p, &l->doc, "/modules", "at most %d", POLICY_MODULES_MAX);
        return;
    }
    json_object_foreach((json_t *)o, name, category)
    {
        char here[AT_MAX];
        snprintf(here, sizeof here, "/modules/%.200s", name);
        const struct entity *en = entity_named(l, here, name);
        if (!json_is_string(category))
            problems_add(l->p, &l->doc, here, "the name of its levels is a text");
        else
            p->modules[p->nmodules++] = (struct policy_module){
                .entity = en, .category = keep(l, json_string_value(category))};
    }
    json_array_foreach(open, i, category)
    {
        const struct entity *en = entity_named(l, "/open", json_string_value(category));
        p->modules[p->nmodules++] = (struct policy_module){.entity = en, .open = true};
    }
}

static void load_settings(struct load *l, const json_t *o)
{
    static const char *const known[] = {"additive",        "user_role_precedence", "strict_rights",
                                        "inherit_creator", "inherit_assigned",     NULL};
    struct access_policy *p = l->out;
    bool *out[] = {&p->additive, &p->user_role_precedence, &p->strict_rights, &p->inherit_creator,
                   &p->inherit_owner};
    json_only_keys(&l->doc, o, "/settings", known, l->p);
    for (size_t i = 0; known[i]; i++)
        (void)json_get_bool(&l->doc, o, "/settings", known[i], i != 2, out[i], l->p);
}

static void administer(struct access_policy *p, const struct entity *en)
{
    if (en && !policy_is_administered(p, en))
        p->administered[p->nadministered++] = en;
}

static void load_administered(struct load *l, const json_t *more)
{
    struct access_policy *p = l->out;
    size_t n = 16 + json_array_size(more);
    p->administered = arena_array(p->arena, n, sizeof(struct entity *));
    if (!p->administered) {
        problems_addz(l->p, l->doc.file, "no memory");
        return;
    }
    administer(p, p->users.entity);
    administer(p, p->actions.entity);
    administer(p, p->overrides.entity);
    administer(p, p->role_users.entity);
    administer(p, p->role_groups.entity);
    administer(p, p->groups.entity);
    administer(p, p->groups.members.entity);
    administer(p, p->groups.records.entity);
    administer(p, p->groups.defaults.entity);
    for (size_t i = 0; i < json_array_size(more); i++)
        administer(p, entity_named(l, "/administered", json_string_value(json_array_get(more, i))));
}

// ---------------------------------------------------------------- the whole

static void load_all(struct load *l)
{
    static const char *const known[] = {"$schema", "policy", "users",        "levels",
                                        "actions", "roles",  "groups",       "settings",
                                        "modules", "open",   "administered", NULL};
    const json_t *root = l->doc.root;
    const char *mode;
    if (!json_is_object(root)) {
        problems_add(l->p, &l->doc, "", "a policy is a JSON object");
        return;
    }
    json_only_keys(&l->doc, root, "", known, l->p);
    if (json_get_str(&l->doc, root, "", "policy", "legacy", &mode, l->p) == 0) {
        l->out->mode = strcmp(mode, "strict") == 0 ? ACCESS_STRICT : ACCESS_LEGACY;
        if (l->out->mode == ACCESS_LEGACY && strcmp(mode, "legacy") != 0)
            problems_add(l->p, &l->doc, "/policy", "'legacy' or 'strict'");
    }
    load_users(l, section(l, root, "", "users", true));
    load_levels(l, section(l, root, "", "levels", false));
    load_actions(l, section(l, root, "", "actions", true));
    load_roles(l, section(l, root, "", "roles", true));
    load_groups(l, section(l, root, "", "groups", false));
    load_settings(l, section(l, root, "", "settings", false));
    load_modules(l, section(l, root, "", "modules", true), json_object_get(root, "open"));
    load_administered(l, json_object_get(root, "administered"));
}

static struct access_policy *load(struct load *l)
{
    unsigned before = l->p->count;
    l->out = calloc(1, sizeof *l->out);
    if (!l->out || !(l->out->arena = arena_create(1 << 20)))
        problems_addz(l->p, l->doc.file, "no memory for a policy");
    else
        load_all(l);
    if (l->p->count > before) {
        policy_destroy(l->out);
        l->out = NULL;
    }
    json_doc_free(&l->doc);
    return l->out;
}

struct access_policy *policy_load(const char *file, const struct entity_set *set,
                                  struct problems *p)
{
    struct load l = {.p = p, .set = set};
    return json_doc_load(&l.doc, file, p) ? NULL : load(&l);
}

struct access_policy *policy_parse(struct str text, const char *name, const struct entity_set *set,
                                   struct problems *p)
{
    struct load l = {.p = p, .set = set};
    return json_doc_parse(&l.doc, name, text, p) ? NULL : load(&l);
}

void policy_destroy(struct access_policy *p)
{
    if (!p)
        return;
    arena_destroy(p->arena);
    free(p);
}

int policy_module_of(const struct access_policy *p, const struct entity *en)
{
    for (size_t i = 0; i < p->nmodules; i++)
        if (p->modules[i].entity == en)
            return (int)i;
    return -1;
}

bool policy_is_administered(const struct access_policy *p, const struct entity *en)
{
    for (size_t i = 0; i < p->nadministered; i++)
        if (p->administered[i] == en)
            return true;
    return false;
}

bool policy_is_open(const struct access_policy *p, const struct entity *en)
{
    int i = policy_module_of(p, en);
    return i >= 0 && p->modules[i].open;
}

void policy_open(const struct conf *conf, const struct entity_set *set, struct problems *p,
                 struct access_policy **out)
{
    char beside[4096];
    const char *named = conf_str(conf, "policy.path");
    *out = NULL;
    if (strcmp(named, "none") == 0)
        return;
    if (*named) {
        *out = policy_load(conf_path(conf, "policy.path"), set, p);
        return;
    }
    int n = snprintf(beside, sizeof beside, "%s/access/policy.json", conf_path(conf, "maps.path"));
    if (n < 0 || (size_t)n >= sizeof beside)
        problems_addz(p, "maps.path", "too long");
    else if (access(beside, F_OK) == 0)
        *out = policy_load(beside, set, p);
}
