// SPDX-License-Identifier: Apache-2.0
// Rules of access control: what is loaded, what is refused with which words; levels as numbers
// and as text.
#include "facade/policy/levels.h"
#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define SHIPPED "migrations/maps/suitecrm/access/policy.json"

static struct entity_set *maps;

static int open_maps(void **state)
{
    struct problems p = {0};
    (void)state;
    maps = map_load("migrations/maps/suitecrm", &p);
    problems_free(&p);
    return maps ? 0 : -1;
}

static int close_maps(void **state)
{
    (void)state;
    map_destroy(maps);
    return 0;
}

static const struct entity *entity(const char *name)
{
    return entity_find(maps, str_of(name));
}

static struct access_policy *shipped(void)
{
    struct problems p = {0};
    struct access_policy *out = policy_load(SHIPPED, maps, &p);
    if (!out)
        fail_msg("%s", p.text.data);
    problems_free(&p);
    return out;
}

static void test_the_shipped_policy(void **state)
{
    (void)state;
    struct access_policy *p = shipped();
    assert_int_equal(p->mode, ACCESS_LEGACY);
    assert_true(p->additive && p->user_role_precedence && !p->strict_rights);
    assert_true(p->inherit_creator && p->inherit_owner);
    assert_string_equal(p->groups.defaults.entity->name, "security_group_default");
    assert_string_equal(p->groups.group_keeps->name, "noninheritable");
    assert_true(policy_is_administered(p, entity("security_group_default")));
    assert_int_equal(p->users.noff, 3);
    assert_true(policy_is_administered(p, entity("user")));
    assert_true(policy_is_administered(p, entity("acl_role")));
    assert_true(policy_is_administered(p, entity("security_group_record")));
    assert_false(policy_is_administered(p, entity("account")));
    assert_int_equal(policy_module_of(p, entity("acl_action")), -1);
    assert_int_equal(levels_module(p, STR("Accounts")), policy_module_of(p, entity("account")));
    assert_int_equal(levels_action(p, STR("LIST")), ACTION_LIST);
    assert_int_equal(levels_action(p, STR("massupdate")), -1);
    policy_destroy(p);
}

// The shipped file with one text in the place of another.
static void refused(const char *from, const char *to, const char *words)
{
    struct problems p = {0};
    char text[16384];
    FILE *f = fopen(SHIPPED, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *at = strstr(text, from);
    assert_non_null(at);
    struct buf out = BUF_INIT;
    buf_add(&out, text, (size_t)(at - text));
    buf_addz(&out, to);
    buf_addz(&out, at + strlen(from));
    struct access_policy *got = policy_parse(buf_str(&out), "policy.json", maps, &p);
    assert_null(got);
    if (!strstr(p.text.data, words))
        fail_msg("'%s' is not in: %s", words, p.text.data);
    buf_free(&out);
    problems_free(&p);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    refused("\"legacy\"", "\"lenient\"", "'legacy' or 'strict'");
    refused("\"entity\": \"user\"", "\"entity\": \"person\"", "no entity map 'person'");
    refused("\"admin\": \"is_admin\"", "\"admin\": \"is_boss\"", "'user' has no field 'is_boss'");
    refused("\"is_group\"", "\"user_name\"", "no boolean 'user_name'");
    refused("\"admin\": \"is_admin\"", "\"admin\": \"user_hash\"", "'user_hash' to go by");
    refused("\"all\": 90", "\"all\": 9000", "/levels");
    refused("\"level\": \"access_override\"", "\"action\": \"action_id\"", "duplicate");
    refused("\"note\": \"Notes\"", "\"note\": 7", "is a text");
    refused("\"additive\"", "\"adictive\"", "additive");
    refused("\"groups\": {\n    \"entity\"", "\"groups\": {\n    \"entity_\"", "/groups");
    refused("\"roles\"", "\"rolls\"", "roles");
    refused("\"noninheritable\": \"noninheritable\"", "\"noninheritable\": \"name\"",
            "'name' is no boolean");
    refused("\"module\": \"module\",\n      \"all\"", "\"all\"", "/groups/defaults");
    refused("\"inherit_creator\"", "\"inherit_maker\"", "inherit_maker");
}

static void test_overrides(void **state)
{
    (void)state;
    struct access_policy p = {.additive = true};
    const int none[] = {0, 0}, two[] = {75, 0, 90, -99};
    assert_int_equal(levels_resolve(&p, 90, none, 2), 90);
    assert_int_equal(levels_resolve(&p, 90, none, 0), 90);
    assert_int_equal(levels_resolve(&p, 1, two, 4), 90);
    p.additive = false;
    assert_int_equal(levels_resolve(&p, 1, two, 4), -99);
    assert_int_equal(levels_resolve(&p, 90, two, 1), 75);
}

static void test_reach(void **state)
{
    (void)state;
    struct access_policy *p = shipped();
    static const struct {
        const char *text;
        enum reach reach;
    } rows[] = {
        {"account:89,90,90,90,90,90,90;", REACH_ALL},
        {"account:90,90,90,90,90,90,90;", REACH_ALL},
        {"contact:89,75,1,1,1,1,1;account:89,80,90,90,90,90,90;", REACH_GROUP},
        {"account:89,75,90,90,90,90,90", REACH_OWN},
        {"account:89,89,90,90,90,90,90;", REACH_NOTHING},
        {"account:89,1,90,90,90,90,90;", REACH_NOTHING},
        {"account:89,0,90,90,90,90,90;", REACH_NOTHING},
        {"account:89,-99,90,90,90,90,90;", REACH_NOTHING},
        {"account:89,-,90,90,90,90,90;", REACH_NOTHING},
        {"account:80,90,90,90,90,90,90;", REACH_NOTHING},
        {"account:-98,90,90,90,90,90,90;", REACH_NOTHING},
        {"account:-,90,90,90,90,90,90;", REACH_NOTHING},
        {"account:89", REACH_NOTHING},
        {"accounts:89,90,90,90,90,90,90;", REACH_NOTHING},
        {"account:89,9x,90", REACH_NOTHING},
        {"", REACH_NOTHING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (levels_reach(p, str_of(rows[i].text), entity("account"), ACTION_VIEW) != rows[i].reach)
            fail_msg("%s", rows[i].text);
    policy_destroy(p);
}

static void test_levels_travel_as_text(void **state)
{
    (void)state;
    struct access_policy *p = shipped();
    struct levels l;
    struct buf out = BUF_INIT;
    levels_clear(&l);
    l.of[policy_module_of(p, entity("lead"))][ACTION_EDIT] = -99;
    l.of[policy_module_of(p, entity("user"))][ACTION_EXPORT] = 75;
    levels_write(p, &l, &out);
    for (size_t i = 0; i < p->nmodules; i++)
        for (int a = 0; a < ACTION_COUNT_OF; a++)
            assert_int_equal(levels_read(buf_str(&out), p->modules[i].entity, a), l.of[i][a]);
    buf_free(&out);
    policy_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_shipped_policy),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_levels_travel_as_text),
    };
    return cmocka_run_group_tests(tests, open_maps, close_maps);
}
