// SPDX-License-Identifier: Apache-2.0
// "capture" of a map's legacy side: who tells of its changes. Thread: the loader's.
#include "migrations/map_int.h"

#include <string.h>

// A member that is one of `names`; `fallback` when it is not there.
static int take_word(struct map_job *j, const json_t *in, const char *at, const char *key,
                     const char *const *names, int fallback)
{
    const char *word, *list[8] = {"", "", "", "", "", "", "", ""};
    if (json_get_str(j->doc, in, at, key, names[fallback], &word, j->p) < 0)
        return fallback;
    for (int i = 0; names[i]; i++) {
        if (strcmp(word, names[i]) == 0)
            return i;
        list[i] = names[i];
    }
    problems_add(j->p, j->doc, map_at(j, at, key), "is one of %s %s %s %s %s", list[0], list[1],
                 list[2], list[3], list[4]);
    return fallback;
}

void map_capture(struct map_job *j, const json_t *side, const char *at)
{
    static const char *const by[] = {"changelog", "debezium", "column", NULL};
    static const char *const decimals[] = {"precise", "string", "double", NULL};
    static const char *const times[] = {"adaptive",     "connect",     "isostring",
                                        "microseconds", "nanoseconds", NULL};
    static const char *const binaries[] = {"base64", "base64-url-safe", "hex", NULL};
    static const char *const kinds[] = {"timestamp", "version", NULL};
    static const char *const column[] = {"by", "column", "kind", "overlap", "comment", NULL};
    static const char *const plain[] = {"by", "comment", NULL};
    static const char *const debezium[] = {"by",     "topic",   "decimal", "time",
                                           "binary", "comment", NULL};
    struct capture_source *c = &j->en->sides[SIDE_LEGACY].capture;
    const json_t *v = map_object(j, side, at, "capture");
    if (!v)
        return;
    at = map_at(j, at, "capture");
    c->by = (enum capture_by)take_word(j, v, at, "by", by, CAPTURE_CHANGELOG);
    json_only_keys(j->doc, v, at,
                   c->by == CAPTURE_DEBEZIUM ? debezium
                   : c->by == CAPTURE_COLUMN ? column
                                             : plain,
                   j->p);
    if (c->by == CAPTURE_COLUMN) {
        (void)json_get_str(j->doc, v, at, "column", NULL, &c->column, j->p);
        c->version = take_word(j, v, at, "kind", kinds, 0) == 1;
        const long long usual = c->version ? 1000 : 60;
        (void)json_get_int(j->doc, v, at, "overlap", 0, 1000000000, &usual, &c->overlap, j->p);
    }
    if (c->by != CAPTURE_DEBEZIUM)
        return;
    (void)json_get_str(j->doc, v, at, "topic", NULL, &c->topic, j->p);
    c->decimal = (enum debezium_decimal)take_word(j, v, at, "decimal", decimals, 0);
    c->time = (enum debezium_time)take_word(j, v, at, "time", times, 0);
    c->binary = (enum debezium_binary)take_word(j, v, at, "binary", binaries, 0);
}
