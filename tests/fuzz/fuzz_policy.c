// SPDX-License-Identifier: Apache-2.0
// Access control as hostile text, by the first byte: a policy file (what is accepted has no
// mistake, what is refused says why); or the levels of a session as text. What such a text lets
// a user reach is never more than the numbers in it say, and numbers come back as written.
#include "facade/policy/levels.h"
#include "migrations/map.h"

#include <stdint.h>
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

static const struct access_policy *shipped(void)
{
    static struct access_policy *policy;
    struct problems p = {0};
    if (!policy &&
        !(policy = policy_load("migrations/maps/suitecrm/access/policy.json", maps(), &p)))
        abort();
    return policy;
}

static void check_text(const struct access_policy *p, struct str text)
{
    for (size_t i = 0; i < p->nmodules; i++) {
        const struct entity *en = p->modules[i].entity;
        for (int a = 0; a < ACTION_COUNT_OF; a++) {
            int level = levels_read(text, en, (enum access_action)a);
            enum reach reach = levels_reach(p, text, en, (enum access_action)a);
            if (p->modules[i].open)
                continue;
            if (reach == REACH_ALL && a != ACTION_ACCESS && level < p->all)
                abort();
            if (reach != REACH_NOTHING && !levels_open(p, text, en))
                abort();
        }
    }
}

static void check_numbers(const struct access_policy *p, const uint8_t *data, size_t size)
{
    static struct levels l;
    struct buf out = BUF_INIT;
    levels_clear(&l);
    for (size_t i = 0; i < size && i < p->nmodules * ACTION_COUNT_OF; i++)
        l.of[i / ACTION_COUNT_OF][i % ACTION_COUNT_OF] = (int16_t)(data[i] - 128);
    levels_write(p, &l, &out);
    if (out.failed)
        abort();
    for (size_t i = 0; i < p->nmodules; i++)
        for (int a = 0; a < ACTION_COUNT_OF; a++)
            if (!p->modules[i].open && levels_read(buf_str(&out), p->modules[i].entity,
                                                   (enum access_action)a) != l.of[i][a])
                abort();
    check_text(p, buf_str(&out));
    buf_free(&out);
}

static void check_file(struct str text)
{
    struct problems p = {0};
    struct access_policy *policy = policy_parse(text, "input", maps(), &p);
    if ((policy != NULL) != (p.count == 0))
        abort();
    for (size_t i = 0; policy && i < policy->nmodules; i++)
        if (!policy->modules[i].entity ||
            policy_module_of(policy, policy->modules[i].entity) > (int)i)
            abort();
    if (policy)
        check_numbers(policy, (const uint8_t *)text.data, text.len);
    policy_destroy(policy);
    problems_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_n((const char *)data + 1, size - 1);
    if (data[0] == 'l')
        check_text(shipped(), text);
    else if (data[0] == 'n')
        check_numbers(shipped(), data + 1, size - 1);
    else
        check_file(text);
    return 0;
}
