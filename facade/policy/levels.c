// SPDX-License-Identifier: Apache-2.0
// Levels as numbers and as text. See levels.h.
#include "facade/policy/levels.h"

void levels_clear(struct levels *l)
{
    for (size_t i = 0; i < POLICY_MODULES_MAX; i++)
        for (size_t k = 0; k < ACTION_COUNT_OF; k++)
            l->of[i][k] = LEVEL_MISSING;
}

// An override beats the default either way; among overrides the highest or the lowest counts.
int levels_resolve(const struct access_policy *p, int fallback, const int *overrides, size_t n)
{
    int best = 0;
    for (size_t i = 0; i < n; i++) {
        int x = overrides[i];
        if (x != 0 && (best == 0 || (p->additive ? x > best : x < best)))
            best = x;
    }
    return best ? best : fallback;
}

int levels_action(const struct access_policy *p, struct str name)
{
    for (int i = 0; i < ACTION_COUNT_OF; i++)
        if (str_eq_nocase(p->action_names[i], name))
            return i;
    return -1;
}

int levels_module(const struct access_policy *p, struct str category)
{
    for (size_t i = 0; i < p->nmodules; i++)
        if (!p->modules[i].open && str_eq(p->modules[i].category, category))
            return (int)i;
    return -1;
}

void levels_write(const struct access_policy *p, const struct levels *l, struct buf *out)
{
    for (size_t i = 0; i < p->nmodules; i++) {
        if (p->modules[i].open)
            continue;
        buf_printf(out, "%s:", p->modules[i].entity->name);
        for (size_t k = 0; k < ACTION_COUNT_OF; k++) {
            if (l->of[i][k] == LEVEL_MISSING)
                buf_addz(out, "-");
            else
                buf_addint(out, l->of[i][k]);
            buf_addc(out, k + 1 < ACTION_COUNT_OF ? ',' : ';');
        }
    }
}

// What stands between `from` and the next `end`; *from moves behind it.
static struct str take(struct str *from, char end)
{
    const char *at = from->len ? memchr(from->data, end, from->len) : NULL;
    size_t n = at ? (size_t)(at - from->data) : from->len;
    struct str out = str_n(from->data, n);
    n += at != NULL;
    *from = str_n(from->data + n, from->len - n);
    return out;
}

int levels_read(struct str text, const struct entity *en, enum access_action a)
{
    long long level;
    while (text.len) {
        struct str part = take(&text, ';');
        struct str name = take(&part, ':');
        if (!str_eqz(name, en->name))
            continue;
        for (int i = 0; i < (int)a; i++)
            (void)take(&part, ',');
        return str_to_int(take(&part, ','), -999, 999, &level) ? (int)level : LEVEL_MISSING;
    }
    return LEVEL_MISSING;
}

bool levels_open(const struct access_policy *p, struct str text, const struct entity *en)
{
    return levels_read(text, en, ACTION_ACCESS) >= p->enabled;
}

enum reach levels_reach(const struct access_policy *p, struct str text, const struct entity *en,
                        enum access_action a)
{
    if (policy_is_open(p, en))
        return REACH_ALL;
    if (!levels_open(p, text, en))
        return REACH_NOTHING;
    int level = levels_read(text, en, a);
    if (level >= p->all)
        return REACH_ALL;
    if (level == p->group)
        return REACH_GROUP;
    return level == p->owner ? REACH_OWN : REACH_NOTHING;
}
