// SPDX-License-Identifier: Apache-2.0
// event_decode on hostile messages: the first byte says how much of the rest is the key; what
// decodes is encoded again and must decode to the same.
#include "cdc/event/event.h"

#include "migrations/map.h"

#include <stdlib.h>

static const char map_text[] =
    "{\"entity\":\"thing\",\"plural\":\"things\",\"title\":\"Thing\","
    "\"key\":{\"fields\":[\"id\"],\"make\":\"uuid\"},"
    "\"legacy\":{\"root\":\"things\"},\"new\":{\"root\":\"crm.thing\"},"
    "\"fields\":{\"id\":{\"type\":\"id\"},\"name\":{\"type\":\"text\",\"length\":10},"
    "\"n\":{\"type\":\"integer\",\"bits\":64},\"f\":{\"type\":\"float\"},"
    "\"price\":{\"type\":\"decimal\",\"precision\":10,\"scale\":2},"
    "\"ok\":{\"type\":\"boolean\"},\"at\":{\"type\":\"timestamp\",\"precision\":6},"
    "\"raw\":{\"type\":\"bytes\"},\"doc\":{\"type\":\"json\"},"
    "\"day\":{\"type\":\"date\",\"policy\":{\"zero_date\":\"null\"}}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct entity *thing(void)
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
    return entity_find(set, STR("thing"));
}

static void round_trip(const struct entity *en, const struct change *c, struct arena *a)
{
    struct buf key = BUF_INIT, value = BUF_INIT, foreign = BUF_INIT;
    struct event again;
    struct err e = {0};
    if (event_encode(c, "fuzz", &key, &value, &foreign, NULL, &e))
        abort();
    struct kafka_message m = {.key = buf_str(&key), .value = buf_str(&value)};
    if (event_decode(en, SIDE_LEGACY, &m, a, &again, &e) || !str_eq(again.change.key, c->key))
        abort();
    for (size_t i = 0; c->after && i < en->nfields; i++)
        if (!value_eq(c->after[i], again.change.after[i]))
            abort();
    buf_free(&key);
    buf_free(&value);
    buf_free(&foreign);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct entity *en = thing();
    struct event out;
    struct err e = {0};
    if (size < 1)
        return 0;
    size_t keylen = data[0] < size - 1 ? data[0] : size - 1;
    const char *text = (const char *)data + 1;
    struct arena *a = arena_create(0);
    struct kafka_message m = {.key = str_n(text, keylen),
                              .value = str_n(text + keylen, size - 1 - keylen)};
    if (event_decode(en, SIDE_LEGACY, &m, a, &out, &e) == 0 && out.kind == EVENT_CHANGE &&
        out.foreign.len == 0)
        round_trip(en, &out.change, a);
    arena_destroy(a);
    return 0;
}
