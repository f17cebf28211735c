// SPDX-License-Identifier: Apache-2.0
// Looking things up in loaded entity maps, and key texts. Owns nothing; the maps are immutable.
// Thread: any.
#include "migrations/map_int.h"

const char *side_name(enum side s)
{
    return s == SIDE_LEGACY ? "legacy" : "new";
}

const struct entity *entity_find(const struct entity_set *s, struct str name)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *here = s->list[mid]->name;
        size_t len = strlen(here);
        int c = memcmp(here, name.data, len < name.len ? len : name.len);
        if (c == 0)
            c = len < name.len ? -1 : len > name.len;
        if (c == 0)
            return s->list[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct entity *entity_by_plural(const struct entity_set *s, struct str plural)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eqz(plural, s->list[i]->plural))
            return s->list[i];
    return NULL;
}

size_t entity_count(const struct entity_set *s)
{
    return s->n;
}

const struct entity *entity_at(const struct entity_set *s, size_t i)
{
    return i < s->n ? s->list[i] : NULL;
}

const struct field *entity_field(const struct entity *en, struct str name)
{
    for (size_t i = 0; i < en->nfields; i++) {
        if (str_eqz(name, en->fields[i].name))
            return &en->fields[i];
    }
    return NULL;
}

const struct relationship *entity_relationship(const struct entity *en, struct str name)
{
    for (size_t i = 0; i < en->nrelationships; i++)
        if (str_eqz(name, en->relationships[i].name))
            return &en->relationships[i];
    return NULL;
}

uint64_t entity_set_hash(const struct entity_set *s)
{
    return s->hash;
}

struct str entity_key_text(const struct value *parts, size_t n, struct arena *a)
{
    if (n == 1)
        return value_str(parts[0]);
    size_t len = n > 0 ? n - 1 : 0;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    char *text = arena_alloc(a, len + 1);
    if (!text)
        return (struct str){0};
    char *to = text;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *to++ = KEY_SEPARATOR;
        if (parts[i].len > 0)
            memcpy(to, parts[i].data, parts[i].len);
        to += parts[i].len;
    }
    return str_n(text, len);
}

int entity_key_split(const struct entity *en, struct str text, struct value *parts, struct err *e)
{
    for (size_t i = 0; i < en->nkeys; i++) {
        const char *end = en->nkeys > 1 && text.len > 0 ? memchr(text.data, KEY_SEPARATOR, text.len)
                                                        : NULL;
        if ((end == NULL) != (i + 1 == en->nkeys))
            return err_set(e, ERR_INVALID, "key of %s: wants %zu parts", en->name, en->nkeys);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        parts[i] = value_set(str_n(text.data, len));
        if (end)
            text = str_n(end + 1, text.len - len - 1);
    }
    return 0;
}

bool entity_has_changelog(const struct entity *en)
{
    return en->sides[SIDE_LEGACY].root && en->sides[SIDE_LEGACY].capture.by == CAPTURE_CHANGELOG;
}
