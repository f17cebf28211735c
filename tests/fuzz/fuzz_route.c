// SPDX-License-Identifier: Apache-2.0
// Route tables as hostile text: what is accepted has no mistake and says where everything goes,
// what is refused says why; the state of an accepted table is read back as it was written.
#include "migrations/map.h"
#include "routes/match.h"
#include "routes/route.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct entity_set *maps(void)
{
    static struct entity_set *set;
    struct problems p = {0};
    if (!set && !(set = map_load("migrations/maps/suitecrm", &p)))
        abort();
    setenv("FICUS_SERVICE_URL", "http://127.0.0.1:1", 1);
    return set;
}

static void each_pair(void *ctx, const struct match_rule *a, const struct match_rule *b)
{
    (void)ctx;
    (void)a;
    (void)b;
    abort(); // a mistake that the loader did not see
}

static void check_routes(const struct route_table *t)
{
    for (size_t i = 0; i < route_count(t); i++) {
        const struct route *r = route_at(t, i);
        enum route_why why;
        if (route_find(t, str_of(r->name)) != r || !r->entity || r->stage != STAGE_LEGACY ||
            route_choose_read(r, STR("key"), &why) != SIDE_LEGACY ||
            route_bucket(r, STR("a")) > 9999)
            abort();
    }
    for (unsigned bit = ROUTE_READS; bit <= ROUTE_RELATES; bit *= 2)
        for (size_t i = 0; i < entity_count(route_entities(t)); i++) {
            const struct route *r = route_for(t, entity_at(route_entities(t), i), bit);
            if (r && !(r->operations & bit))
                abort();
        }
    for (size_t i = 0; i < group_count(t); i++)
        for (size_t k = 0; k < group_at(t, i)->nentities; k++)
            if (group_of(t, group_at(t, i)->entities[k]) != group_at(t, i))
                abort();
}

static void check_state(const struct route_table *t)
{
    struct err e = {0};
    json_t *state = route_table_state(t), *again = NULL;
    struct route_table *copy = state ? route_table_with_state(t, state, &e) : NULL;
    if (!copy || !(again = route_table_state(copy)) || !json_equal(state, again))
        abort();
    json_decref(state);
    json_decref(again);
    route_table_unref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems p = {0};
    struct str text = {(const char *)data, size};
    struct route_table *t = route_table_parse(text, "input", maps(), &p);
    if ((t != NULL) != (p.count == 0))
        abort();
    if (t) {
        check_routes(t);
        check_state(t);
        if (matcher_check(route_matcher(t), each_pair, NULL))
            abort();
    }
    route_table_unref(t);
    problems_free(&p);
    return 0;
}
