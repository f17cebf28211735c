// SPDX-License-Identifier: Apache-2.0
// Debezium messages that are hostile: the first byte chooses the modes, the second how much of the
// rest is the key. What decodes must be values that apply can bind, or be named as unfit.
#include "cdc/event/debezium.h"

#include "migrations/map.h"
#include "migrations/type.h"

#include <stdlib.h>

static const char map_text[] =
    "{\"entity\":\"thing\",\"plural\":\"things\",\"title\":\"Thing\","
    "\"key\":{\"fields\":[\"id\"]},\"legacy\":{\"root\":\"things\",\"capture\":{"
    "\"by\":\"debezium\",\"topic\":\"t\"}},\"new\":{\"root\":\"crm.thing\"},"
    "\"fields\":{\"id\":{\"type\":\"id\"},\"name\":{\"type\":\"text\",\"length\":10},"
    "\"n\":{\"type\":\"integer\",\"bits\":64},\"f\":{\"type\":\"float\"},"
    "\"price\":{\"type\":\"decimal\",\"precision\":10,\"scale\":2},"
    "\"ok\":{\"type\":\"boolean\"},\"at\":{\"type\":\"timestamp\",\"precision\":6},"
    "\"t\":{\"type\":\"time\"},\"raw\":{\"type\":\"bytes\"},\"doc\":{\"type\":\"json\"},"
    "\"day\":{\"type\":\"date\"}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct entity *thing(void)
{
    static struct entity_set *set;
    if (!set) {
        struct problems p = {0};
        struct str text = STR(map_text);
        const char *name = "thing.json";
        set = map_parse(&text, &name, 1, &p);
        if (!set)
            abort();
    }
    return (struct entity *)entity_at(set, 0);
}

static void check(const struct entity *en, const struct event *ev, struct arena *a)
{
    struct err e = {0};
    for (size_t i = 0; ev->change.after && i < en->nfields; i++) {
        struct value raw, v = ev->change.after[i];
        if (v.state == VALUE_SET && type_write(&en->fields[i], SIDE_NEW, v, a, &raw, &e))
            abort();
        if (v.state != VALUE_SET && v.state != VALUE_NULL && ev->foreign.len == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entity *en = thing();
    struct capture_source *modes = &en->sides[SIDE_LEGACY].capture;
    struct event out;
    struct err e = {0};
    if (size < 2)
        return 0;
    modes->decimal = (enum debezium_decimal)(data[0] % 3);
    modes->time = (enum debezium_time)(data[0] / 3 % 5);
    modes->binary = (enum debezium_binary)(data[0] / 15 % 3);
    size_t keylen = data[1] < size - 2 ? data[1] : size - 2;
    const char *text = (const char *)data + 2;
    struct arena *a = arena_create(0);
    struct kafka_message m = {.key = str_n(text, keylen),
                              .value = str_n(text + keylen, size - 2 - keylen)};
    if (event_decode(en, SIDE_LEGACY, &m, a, &out, &e) == 0 && out.kind == EVENT_CHANGE)
        check(en, &out, a);
    arena_destroy(a);
    return 0;
}
