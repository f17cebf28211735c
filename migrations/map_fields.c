// SPDX-License-Identifier: Apache-2.0
// The fields of a map: type, where each lives on both sides, policies, codes, defaults; then
// what names them: key, soft delete, owner. Thread: the loader's.
#include "migrations/map_int.h"
#include "migrations/type.h"

static const long long zero = 0;

static enum column_kind default_storage(enum field_type t)
{
    static const enum column_kind kinds[] = {
        [TYPE_TEXT] = COLUMN_TEXT,       [TYPE_INTEGER] = COLUMN_INTEGER,
        [TYPE_DECIMAL] = COLUMN_DECIMAL, [TYPE_FLOAT] = COLUMN_FLOAT,
        [TYPE_BOOLEAN] = COLUMN_BOOLEAN, [TYPE_DATE] = COLUMN_DATE,
        [TYPE_TIME] = COLUMN_TIME,       [TYPE_TIMESTAMP] = COLUMN_TIMESTAMP,
        [TYPE_ID] = COLUMN_TEXT,         [TYPE_BYTES] = COLUMN_BYTES,
        [TYPE_JSON] = COLUMN_JSON,
    };
    return kinds[t];
}

static void set_storage(struct map_job *j, const json_t *v, const char *at, struct field *f,
                        struct place *out)
{
    static const struct {
        const char *name;
        enum column_kind kind;
    } names[] = {
        {"text", COLUMN_TEXT},   {"integer", COLUMN_INTEGER},     {"decimal", COLUMN_DECIMAL},
        {"float", COLUMN_FLOAT}, {"boolean", COLUMN_BOOLEAN},     {"date", COLUMN_DATE},
        {"time", COLUMN_TIME},   {"timestamp", COLUMN_TIMESTAMP}, {"bytes", COLUMN_BYTES},
        {"json", COLUMN_JSON},
    };
    const char *name = "";
    if (json_get_str(j->doc, v, at, "storage", "", &name, j->p) < 0 || !*name)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, name) == 0) {
            out->storage = names[i].kind;
            // What the type can be read from and written to without a change of meaning.
            if (out->storage != default_storage(f->type) && out->storage != COLUMN_TEXT &&
                !(f->type == TYPE_DECIMAL && out->storage == COLUMN_FLOAT) &&
                !(f->type == TYPE_BOOLEAN && out->storage == COLUMN_INTEGER))
                problems_add(j->p, j->doc, map_at(j, at, "storage"), "a %s cannot be stored as %s",
                             field_type_name(f->type), name);
            return;
        }
    problems_add(j->p, j->doc, map_at(j, at, "storage"),
                 "unknown storage \"%s\"; text, integer, decimal, float, boolean, date, time, "
                 "timestamp, bytes or json",
                 name);
}

static void set_place_object(struct map_job *j, const json_t *v, const char *at, enum side side,
                             struct field *f)
{
    static const char *const known[] = {"column",  "extension", "lookup",
                                        "storage", "comment",   NULL};
    const struct side_map *m = &j->en->sides[side];
    struct place *out = &f->place[side];
    const char *column = f->name, *extension = "", *lookup = "";
    json_only_keys(j->doc, v, at, known, j->p);
    (void)json_get_str(j->doc, v, at, "column", f->name, &column, j->p);
    (void)json_get_str(j->doc, v, at, "extension", "", &extension, j->p);
    (void)json_get_str(j->doc, v, at, "lookup", "", &lookup, j->p);
    out->column = column;
    out->kind = PLACE_ROOT;
    set_storage(j, v, at, f, out);
    if (*extension && *lookup)
        problems_add(j->p, j->doc, at, "is in an extension or a lookup, not in both");
    if (*extension) {
        out->kind = PLACE_NONE;
        for (size_t i = 0; i < m->nextensions; i++)
            if (strcmp(m->extensions[i].table, extension) == 0) {
                out->kind = PLACE_EXTENSION;
                out->index = (unsigned)i;
            }
        if (out->kind == PLACE_NONE)
            problems_add(j->p, j->doc, map_at(j, at, "extension"),
                         "no extension table \"%s\" on the %s side", extension, side_name(side));
    } else if (*lookup) {
        out->kind = PLACE_NONE;
        for (size_t i = 0; i < m->nlookups; i++)
            if (strcmp(m->lookups[i].name, lookup) == 0) {
                out->kind = PLACE_LOOKUP;
                out->index = (unsigned)i;
            }
        if (out->kind == PLACE_NONE)
            problems_add(j->p, j->doc, map_at(j, at, "lookup"), "no lookup \"%s\" on the %s side",
                         lookup, side_name(side));
    }
}

// "column", {..}, null (nowhere); missing: a root column of the field's name.
static void set_place(struct map_job *j, const json_t *field, const char *at, enum side side,
                      struct field *f)
{
    struct place *out = &f->place[side];
    const json_t *v = json_object_get(field, side_name(side));
    out->storage = default_storage(f->type);
    if (side == SIDE_NEW && f->type == TYPE_INTEGER && f->bits == 64 && !f->is_signed)
        out->storage = COLUMN_DECIMAL; // no integer of PostgreSQL holds it
    if (j->en->sides[side].service_url || json_is_null(v))
        return;
    out->column = f->name;
    out->kind = PLACE_ROOT;
    if (json_is_string(v)) {
        out->column = json_string_value(v);
        if (!*out->column)
            problems_add(j->p, j->doc, map_at(j, at, side_name(side)), "names no column");
    } else if (json_is_object(v)) {
        set_place_object(j, v, map_at(j, at, side_name(side)), side, f);
    } else if (v) {
        problems_add(j->p, j->doc, map_at(j, at, side_name(side)),
                     "must be a column's name, an object or null");
    }
}

static void set_size(struct map_job *j, const json_t *v, const char *at, struct field *f)
{
    static const long long bits = 32, id_length = 36;
    long long n = 0, m = 0;
    switch (f->type) {
    case TYPE_TEXT:
    case TYPE_BYTES:
    case TYPE_ID:
        (void)json_get_int(j->doc, v, at, "length", 0, 1 << 30,
                           f->type == TYPE_ID ? &id_length : &zero, &n, j->p);
        f->length = (unsigned)n;
        break;
    case TYPE_INTEGER:
        (void)json_get_int(j->doc, v, at, "bits", 8, 64, &bits, &n, j->p);
        if (n != 8 && n != 16 && n != 24 && n != 32 && n != 64)
            problems_add(j->p, j->doc, map_at(j, at, "bits"), "must be 8, 16, 24, 32 or 64");
        f->bits = (unsigned)n;
        (void)json_get_bool(j->doc, v, at, "signed", true, &f->is_signed, j->p);
        break;
    case TYPE_DECIMAL:
        (void)json_get_int(j->doc, v, at, "precision", 1, 65, NULL, &n, j->p);
        (void)json_get_int(j->doc, v, at, "scale", 0, 38, NULL, &m, j->p);
        if (m > n)
            problems_add(j->p, j->doc, map_at(j, at, "scale"), "must not exceed the precision");
        f->precision = (unsigned)n;
        f->scale = (unsigned)m;
        break;
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
        (void)json_get_int(j->doc, v, at, "precision", 0, 6, &zero, &n, j->p);
        f->precision = (unsigned)n;
        break;
    default: break;
    }
}

static void set_policies(struct map_job *j, const json_t *v, const char *field_at, struct field *f)
{
    const json_t *all = map_object(j, v, field_at, "policy");
    const char *at = map_at(j, field_at, "policy"), *name;
    json_t *one;
    json_object_foreach((json_t *)all, name, one)
    {
        enum value_problem problem;
        const char *here = map_at(j, at, name);
        if (value_problem_from(str_of(name), &problem) < 0 || problem == PROBLEM_NONE) {
            problems_add(j->p, j->doc, here,
                         "unknown problem; zero_date, bad_date, nul, overflow, too_long, "
                         "not_a_number, bad_utf8, empty, bad_json or bad_enum");
            continue;
        }
        struct policy *p = &f->policies[problem];
        const json_t *substitute = json_object_get(one, "substitute");
        p->stated = true;
        if (json_is_string(one) && strcmp(json_string_value(one), "park") == 0)
            p->action = POLICY_PARK;
        else if (json_is_string(one) && strcmp(json_string_value(one), "null") == 0)
            p->action = POLICY_NULL;
        else if (json_is_string(substitute) && json_object_size(one) == 1) {
            p->action = POLICY_SUBSTITUTE;
            p->substitute = str_n(json_string_value(substitute), json_string_length(substitute));
        } else
            problems_add(j->p, j->doc, here,
                         "must be \"park\", \"null\" or {\"substitute\": \"text\"}");
    }
}

static void set_codes(struct map_job *j, const json_t *v, const char *at, struct field *f)
{
    const json_t *all = map_object(j, v, at, "codes");
    struct code *codes = all ? map_array(j, json_object_size(all), sizeof(*codes)) : NULL;
    const char *legacy;
    json_t *canonical;
    if (!codes)
        return;
    f->codes = codes;
    json_object_foreach((json_t *)all, legacy, canonical)
    {
        const char *here = map_at(j, map_at(j, at, "codes"), legacy);
        if (!json_is_string(canonical)) {
            problems_add(j->p, j->doc, here, "must be a string: the canonical value");
            continue;
        }
        struct str text = str_n(json_string_value(canonical), json_string_length(canonical));
        for (size_t i = 0; i < f->ncodes; i++)
            if (str_eq(codes[i].canonical, text))
                problems_add(j->p, j->doc, here, "two legacy codes for one value: no way back");
        codes[f->ncodes++] = (struct code){str_of(legacy), text};
    }
}

static void set_auto(struct map_job *j, const json_t *v, const char *at, struct field *f)
{
    static const char *const names[] = {[AUTO_NONE] = "",
                                        [AUTO_NOW] = "now",
                                        [AUTO_NOW_ON_CREATE] = "now_on_create",
                                        [AUTO_ACTOR] = "actor",
                                        [AUTO_ACTOR_ON_CREATE] = "actor_on_create"};
    const char *name = "";
    (void)json_get_str(j->doc, v, at, "auto", "", &name, j->p);
    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0) {
            f->auto_fill = (enum field_auto)i;
            return;
        }
    problems_add(j->p, j->doc, map_at(j, at, "auto"),
                 "must be now, now_on_create, actor or actor_on_create");
}

static void set_flags(struct map_job *j, const json_t *v, const char *at, struct field *f)
{
    const char *sequence = "";
    (void)json_get_bool(j->doc, v, at, "read_only", false, &f->read_only, j->p);
    (void)json_get_bool(j->doc, v, at, "personal", false, &f->personal, j->p);
    (void)json_get_bool(j->doc, v, at, "secret", false, &f->secret, j->p);
    (void)json_get_bool(j->doc, v, at, "nocase", f->type == TYPE_TEXT, &f->nocase, j->p);
    (void)json_get_bool(j->doc, v, at, "sync", true, &f->synced, j->p);
    (void)json_get_str(j->doc, v, at, "sequence", "", &sequence, j->p);
    f->sequence = sequence && *sequence ? sequence : NULL;
    if (f->synced && !j->en->sides[SIDE_NEW].service_url &&
        (f->place[SIDE_LEGACY].kind == PLACE_NONE || f->place[SIDE_NEW].kind == PLACE_NONE)) {
        problems_add(j->p, j->doc, at, "lives on one side only; say \"sync\": false");
        f->synced = false;
    }
}

static void map_field(struct map_job *j, const char *name, const json_t *v, const char *at,
                      struct field *f)
{
    static const char *const known[] = {
        "type",   "length", "bits",  "signed",   "precision", "scale",     "legacy",
        "new",    "policy", "codes", "auto",     "default",   "read_only", "personal",
        "secret", "nocase", "sync",  "sequence", "dialects",  "comment",   NULL};
    const char *type = "";
    f->name = name;
    if (!map_is_name(name, 63))
        problems_add(j->p, j->doc, at, "must be a lower-case name of letters, digits and '_'");
    if (!json_is_object(v)) {
        problems_add(j->p, j->doc, at, "must be an object");
        return;
    }
    json_only_keys(j->doc, v, at, known, j->p);
    if (json_get_str(j->doc, v, at, "type", NULL, &type, j->p) < 0)
        return;
    if (field_type_from(str_of(type), &f->type) < 0) {
        problems_add(j->p, j->doc, map_at(j, at, "type"),
                     "unknown type \"%s\"; text, integer, decimal, float, boolean, date, time, "
                     "timestamp, id, bytes or json",
                     type);
        return;
    }
    set_size(j, v, at, f);
    set_place(j, v, at, SIDE_LEGACY, f);
    set_place(j, v, at, SIDE_NEW, f);
    set_policies(j, v, at, f);
    set_codes(j, v, at, f);
    set_auto(j, v, at, f);
    set_flags(j, v, at, f);
    f->dialects = map_object(j, v, at, "dialects");
    const json_t *fallback = json_object_get(v, "default");
    struct err e;
    if (fallback && (type_from_json(f, fallback, j->set->arena, &f->fallback, &e) < 0 ||
                     f->fallback.state == VALUE_FOREIGN))
        problems_add(j->p, j->doc, map_at(j, at, "default"), "is no %s", type);
}

static const struct field *field_named(struct map_job *j, const char *name, const char *at)
{
    const struct field *f = entity_field(j->en, str_of(name));
    if (!f)
        problems_add(j->p, j->doc, at, "no field \"%s\"", name);
    return f;
}

static void map_key(struct map_job *j, const json_t *root)
{
    static const char *const known[] = {"fields", "make", "comment", NULL};
    struct entity *en = j->en;
    const json_t *key = map_object(j, root, "", "key");
    const char *make = "given";
    size_t n = 0;
    json_only_keys(j->doc, key, "/key", known, j->p);
    const char *const *names = key ? map_strings(j, key, "/key", "fields", &n) : NULL;
    if (n == 0 || n > MAP_KEYS_MAX) {
        problems_add(j->p, j->doc, "/key", "wants \"fields\": 1 to %d names", MAP_KEYS_MAX);
        return;
    }
    (void)json_get_str(j->doc, key, "/key", "make", "given", &make, j->p);
    if (make && strcmp(make, "uuid") == 0)
        en->key_maker = KEY_UUID;
    else if (!make || strcmp(make, "given") != 0)
        problems_add(j->p, j->doc, "/key/make", "must be \"uuid\" or \"given\"");
    en->keys = map_array(j, n, sizeof(*en->keys));
    const char **columns[2] = {map_array(j, n, sizeof(char *)), map_array(j, n, sizeof(char *))};
    if (!en->keys || !columns[0] || !columns[1])
        return;
    for (size_t i = 0; i < n; i++) {
        const struct field *f = field_named(j, names[i], "/key/fields");
        if (!f)
            continue;
        en->fields[f->index].key = true;
        for (int s = 0; s < 2; s++)
            columns[s][en->nkeys] = f->place[s].column;
        en->keys[en->nkeys++] = f;
    }
    for (int s = 0; s < 2; s++)
        en->sides[s].key_columns = columns[s];
}

static void map_owner(struct map_job *j, const json_t *root)
{
    static const char *const known[] = {"field", "fallback", "comment", NULL};
    const json_t *owner = map_object(j, root, "", "owner");
    const char *name = "", *fallback = "", *deleted = "";
    if (owner) {
        json_only_keys(j->doc, owner, "/owner", known, j->p);
        if (json_get_str(j->doc, owner, "/owner", "field", NULL, &name, j->p) == 0)
            j->en->owner = field_named(j, name, "/owner/field");
        (void)json_get_str(j->doc, owner, "/owner", "fallback", "", &fallback, j->p);
        if (fallback && *fallback)
            j->en->owner_fallback = field_named(j, fallback, "/owner/fallback");
    }
    (void)json_get_str(j->doc, root, "", "deleted", "", &deleted, j->p);
    if (!deleted || !*deleted || !(j->en->deleted = field_named(j, deleted, "/deleted")))
        return;
    for (int s = 0; s < 2; s++)
        if (j->en->deleted->place[s].kind == PLACE_ROOT)
            j->en->sides[s].deleted_column = j->en->deleted->place[s].column;
}

static void map_all(struct map_job *j, const json_t *root)
{
    const json_t *all = map_object(j, root, "", "fields");
    size_t n = json_object_size(all);
    if (n == 0 || n > MAP_FIELDS_MAX) {
        problems_add(j->p, j->doc, "/fields", "wants 1 to %d fields", MAP_FIELDS_MAX);
        return;
    }
    j->en->fields = map_array(j, n, sizeof(*j->en->fields));
    if (!j->en->fields)
        return;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)all, name, v)
    {
        struct field *f = &j->en->fields[j->en->nfields];
        f->index = (unsigned)j->en->nfields++;
        map_field(j, name, v, map_at(j, "/fields", name), f);
    }
}

void map_fields(struct map_job *j, const json_t *root)
{
    map_all(j, root);
    map_key(j, root);
    map_owner(j, root);
}
