// SPDX-License-Identifier: Apache-2.0
// The rules of access control: which entities hold users, roles, levels and groups, and what the
// levels mean. Data of one CRM, from a JSON file (migrations/access-policy.schema.json); nothing
// here knows a table. Immutable once loaded, shared by all loops.
// What is done with them: levels.h (pure), access.h (a loop's gate in front of dispatch).
#ifndef FICUS_FACADE_POLICY_H
#define FICUS_FACADE_POLICY_H

#include "base/conf.h"
#include "migrations/entity.h"

enum access_action {
    ACTION_ACCESS, // the module as a whole
    ACTION_VIEW,
    ACTION_LIST,
    ACTION_EDIT,
    ACTION_DELETE,
    ACTION_IMPORT,
    ACTION_EXPORT,
    ACTION_COUNT_OF,
};
const char *access_action_name(enum access_action a); // "view"

enum access_mode {
    ACCESS_LEGACY, // as the legacy answers, less the escalations
    ACCESS_STRICT, // links, counts, attachments too are filtered like lists
};

#define POLICY_MODULES_MAX 256
#define POLICY_USER_OFF    8

// An entity that is under access control, and its name in the legacy's tables of levels.
struct policy_module {
    const struct entity *entity;
    struct str category;
    bool open; // no levels: everyone may read and write
};

struct policy_link { // an entity with fields that name rows of others
    const struct entity *entity;
    const struct field *a, *b, *level;
};

struct access_policy {
    enum access_mode mode;
    struct {
        const struct entity *entity;
        const struct field *admin, *status; // status NULL: no such field
        struct str closed[POLICY_USER_OFF]; // values of status that keep out, in any case
        size_t nclosed;
        const struct field *off[POLICY_USER_OFF]; // booleans that keep out
        size_t noff;
    } users;
    int all, enabled, group, owner, none, disabled; // what the legacy's numbers mean
    struct {
        const struct entity *entity;
        const struct field *category, *name, *level, *type; // type NULL: every row
        struct str type_is;
    } actions;
    struct str action_names[ACTION_COUNT_OF];
    struct policy_link overrides;   // a: role, b: action, level
    struct policy_link role_users;  // a: role, b: user
    struct policy_link role_groups; // a: role, b: group; entity NULL: roles are users' only
    struct {
        const struct entity *entity; // NULL: no groups
        struct policy_link members;  // a: group, b: user
        struct policy_link records;  // a: group, b: record
        const struct field *records_module;
        // Groups of new records; entity NULL: none. a: group, b: module
        struct policy_link defaults;
        struct str every_module; // what b says of all modules
        // Booleans of a group and of a membership that keep it from records; NULL: no such field
        const struct field *group_keeps, *member_keeps;
    } groups;
    bool inherit_creator;      // a new record joins the groups of who made it
    bool inherit_owner;        // and, with every write, those of its owner
    bool additive;             // of several overrides the highest counts, else the lowest
    bool user_role_precedence; // groups' roles count only for who has no role of his own
    bool strict_rights;        // a group counts for an action only by a role of its own
    struct policy_module modules[POLICY_MODULES_MAX];
    size_t nmodules;
    const struct entity **administered; // written by administrators only
    size_t nadministered;
    struct arena *arena; // of the texts; owned
};

// The policy of a configuration: policy.path, else access/policy.json in the folder of the maps
// where there is one. *out stays NULL when there is none. Mistakes are added to `p`.
void policy_open(const struct conf *conf, const struct entity_set *set, struct problems *p,
                 struct access_policy **out);
// NULL with every mistake in `p`. Keeps `set` borrowed.
struct access_policy *policy_load(const char *file, const struct entity_set *set,
                                  struct problems *p);
struct access_policy *policy_parse(struct str text, const char *name, const struct entity_set *set,
                                   struct problems *p);
void policy_destroy(struct access_policy *p); // NULL is fine
// Position in modules, or -1.
int policy_module_of(const struct access_policy *p, const struct entity *en);
bool policy_is_open(const struct access_policy *p, const struct entity *en);
bool policy_is_administered(const struct access_policy *p, const struct entity *en);

#endif
