// SPDX-License-Identifier: Apache-2.0
// First pass: every key of both sides is looked at, chunk by chunk, in the key order of the
// side that is walked (whatever its collation), and looked up on the other by equality.
#include "cdc/reconcile_int.h"

bool rows_agree(const struct scan *s, const struct value *legacy, const struct value *new_)
{
    if (!legacy || !new_)
        return legacy == new_;
    for (size_t i = 0; i < s->side[0].nfields; i++)
        if (legacy[i].state == VALUE_FOREIGN || new_[i].state == VALUE_FOREIGN ||
            !value_eq(legacy[i], new_[i]))
            return false;
    return true;
}

static int suspect(struct scan *s, struct str key, struct err *e)
{
    if (s->ncandidates == CANDIDATES_MAX) {
        s->overflow = true;
        return 0;
    }
    if (!s->candidates &&
        !(s->candidates = arena_array(s->keep, CANDIDATES_MAX, sizeof *s->candidates)))
        return err_memory(e);
    struct str kept = arena_str(s->keep, key);
    if (!kept.data)
        return err_memory(e);
    s->candidates[s->ncandidates++].key = kept;
    return 0;
}

// A row with a NULL key cannot be looked up; the report's bad_keys counts it.
static bool has_key(const struct scan *s, const struct reader_row *row)
{
    for (size_t i = 0; i < s->entity->nkeys; i++)
        if (row->values[i].state == VALUE_NULL)
            return false;
    return true;
}

static int look_up(struct scan *s, enum side from, const struct reader_row *rows, size_t n,
                   struct err *e)
{
    struct str *keys = arena_array(s->chunk, n, sizeof *keys);
    struct reader_row *others = arena_array(s->chunk, n, sizeof *others);
    if (!keys || !others)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        keys[i] = rows[i].key;
    if (reader_keys(&s->side[side_other(from)], keys, n, s->chunk, others, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool fine = from == SIDE_LEGACY ? rows_agree(s, rows[i].values, others[i].values)
                                        : others[i].values != NULL;
        if (!fine && has_key(s, &rows[i]) && suspect(s, rows[i].key, e))
            return -1;
    }
    return 0;
}

int scan_side(struct scan *s, enum side from, struct err *e)
{
    char last[1024];
    struct str after = {last, 0};
    size_t limit = s->o->chunk ? s->o->chunk : 1000, n = limit;
    long long *rows_seen = from == SIDE_LEGACY ? &s->report->rows_legacy : &s->report->rows_new;
    for (bool first = true; n == limit; first = false) {
        struct reader_row *rows;
        arena_reset(s->chunk);
        if (reader_range(&s->side[from], first ? NULL : &after, limit, s->chunk, &rows, &n, e) ||
            (n > 0 && look_up(s, from, rows, n, e)))
            return err_prefix(e, "%s of %s", s->entity->name, side_name(from));
        *rows_seen += (long long)n;
        if (n > 0 && rows[n - 1].key.len > sizeof last)
            return err_set(e, ERR_LIMIT, "%s: a key is longer than %zu bytes", s->entity->name,
                           sizeof last);
        if (n > 0) {
            after.len = rows[n - 1].key.len;
            memcpy(last, rows[n - 1].key.data, after.len);
        }
        if (s->o->progress)
            s->o->progress(s->o->ctx, s->entity, s->report->rows_legacy, s->report->rows_new);
    }
    return 0;
}
