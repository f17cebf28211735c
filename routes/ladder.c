// SPDX-License-Identifier: Apache-2.0
// Judging evidence and arms. No state, no clock, no store.
#include "routes/ladder.h"

#include <math.h>
#include <stdio.h>

#define Z 1.959964 // 95 %

const char *const ladder_operations[] = {"get", "list", "count", NULL};
const char *const ladder_statuses[] = {"ok", "not_found", NULL};

// ---------------------------------------------------------------- definitions

static const struct {
    const char *key;
    size_t offset;
    double max, scale; // scale 100: a percentage with two decimals
} numbers[] = {
    {"match_percent", offsetof(struct ladder, match_bp), 100, 100},
    {"comparisons_min", offsetof(struct ladder, evidence_min), 1e9, 1},
    {"each_min", offsetof(struct ladder, each_min), 1e9, 1},
    {"error_percent", offsetof(struct ladder, error_bp), 100, 100},
    {"mismatch_percent", offsetof(struct ladder, mismatch_bp), 100, 100},
    {"latency_percent", offsetof(struct ladder, latency_percent), 100000, 1},
    {"answers_min", offsetof(struct ladder, rollback_min), 1e9, 1},
};

static unsigned words(const struct json_doc *doc, const json_t *def, const char *at,
                      const char *key, const char *const *known, struct problems *p)
{
    const json_t *list = json_object_get(def, key);
    unsigned bits = 0;
    size_t i;
    json_t *item;
    if (list && !json_is_array(list))
        problems_add(p, doc, at, "%s is a list", key);
    json_array_foreach(list, i, item)
    {
        const char *word = json_string_value(item);
        unsigned k = 0;
        while (known[k] && (!word || strcmp(known[k], word) != 0))
            k++;
        if (known[k])
            bits |= 1u << k;
        else
            problems_add(p, doc, at, "%s: '%s' is none of them (%s, %s..)", key, word ? word : "?",
                         known[0], known[1]);
    }
    return bits;
}

void ladder_load(const struct json_doc *doc, const json_t *def, const char *at, struct ladder *out,
                 struct problems *p)
{
    static const char *const known[] = {"match_percent",
                                        "comparisons_min",
                                        "each_min",
                                        "operations",
                                        "statuses",
                                        "rollback",
                                        "mismatch_percent",
                                        "latency_percent",
                                        "answers_min",
                                        "error_percent",
                                        NULL};
    *out = (struct ladder)LADDER_INIT;
    if (!def)
        return;
    if (!json_is_object(def)) {
        problems_add(p, doc, at, "the ladder's limits are an object");
        return;
    }
    json_only_keys(doc, def, at, known, p);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *v = json_object_get(def, numbers[i].key);
        double n = json_number_value(v);
        if (!v)
            continue;
        if (!json_is_number(v) || !(n >= 0 && n <= numbers[i].max))
            problems_add(p, doc, at, "%s is a number from 0 to %g", numbers[i].key, numbers[i].max);
        else
            *(int *)(void *)((char *)out + numbers[i].offset) = (int)lround(n * numbers[i].scale);
    }
    out->operations = words(doc, def, at, "operations", ladder_operations, p);
    out->statuses = words(doc, def, at, "statuses", ladder_statuses, p);
    const json_t *rollback = json_object_get(def, "rollback");
    if (rollback && !json_is_boolean(rollback))
        problems_add(p, doc, at, "rollback is true or false");
    else if (rollback)
        out->rollback = json_is_true(rollback);
}

static void resolve(int *n, const struct conf *conf, const char *option)
{
    if (*n == LADDER_UNSET)
        *n = (int)conf_int(conf, option);
}

struct ladder ladder_resolve(const struct ladder *l, const struct conf *conf)
{
    struct ladder r = *l;
    resolve(&r.match_bp, conf, "ladder.match_bp");
    resolve(&r.evidence_min, conf, "ladder.evidence_min");
    resolve(&r.each_min, conf, "ladder.each_min");
    resolve(&r.error_bp, conf, "ladder.error_bp");
    resolve(&r.mismatch_bp, conf, "ladder.mismatch_bp");
    resolve(&r.latency_percent, conf, "ladder.latency_percent");
    resolve(&r.rollback_min, conf, "ladder.rollback_min");
    if (r.rollback == LADDER_UNSET)
        r.rollback = strcmp(conf_str(conf, "ladder.rollback"), "auto") == 0;
    return r;
}

// ---------------------------------------------------------------- rates

static double wilson(uint64_t k, uint64_t n, double sign)
{
    double p = (double)k / (double)n, z2 = Z * Z, size = (double)n;
    double middle = p + z2 / (2 * size);
    double spread = Z * sqrt(p * (1 - p) / size + z2 / (4 * size * size));
    double end = (middle + sign * spread) / (1 + z2 / size);
    return end < 0 ? 0 : end > 1 ? 1 : end;
}

double ladder_lower(uint64_t k, uint64_t n)
{
    return n ? wilson(k, n, -1) : 0;
}

double ladder_upper(uint64_t k, uint64_t n)
{
    return n ? wilson(k, n, +1) : 1;
}

// ---------------------------------------------------------------- promotions

uint64_t ladder_compared(const struct ladder_evidence *v)
{
    return v->matched + v->ignored + v->mismatched;
}

static uint64_t cover_of(const struct ladder_evidence *v, unsigned op, unsigned status,
                         uint64_t *seen)
{
    uint64_t n = 0;
    *seen = 0;
    for (size_t i = 0; i < v->ncover; i++) {
        if ((v->cover[i].operation & op) && (v->cover[i].status & status)) {
            n += v->cover[i].compared;
            *seen += v->cover[i].seen;
        }
    }
    return n;
}

static unsigned lack(struct buf *out, const char *what, const char *name, uint64_t n,
                     uint64_t needed)
{
    buf_printf(out, "%s%s%s: %llu of %llu compared", out->len ? "; " : "", what, name,
               (unsigned long long)n, (unsigned long long)needed);
    return 1;
}

// What clients used must have been compared, `each_min` times or as often as it was used; what
// the route asks for besides, `each_min` times.
static unsigned judge_cover(const struct ladder *l, const struct ladder_evidence *v,
                            struct buf *out)
{
    unsigned lacking = 0;
    uint64_t each = (uint64_t)l->each_min, seen, n;
    for (size_t i = 0; i < v->ncover; i++) {
        const struct ladder_cover *c = &v->cover[i];
        uint64_t needed = c->seen < each ? c->seen : each;
        unsigned op = c->operation == LADDER_GET ? 0 : c->operation == LADDER_LIST ? 1 : 2;
        if (c->compared < needed)
            lacking += lack(out, ladder_operations[op],
                            c->status == LADDER_OK ? " answered ok" : " answered not found",
                            c->compared, needed);
    }
    for (unsigned i = 0; ladder_operations[i]; i++)
        if ((l->operations & 1u << i) && (n = cover_of(v, 1u << i, ~0u, &seen)) < each)
            lacking += lack(out, "operation ", ladder_operations[i], n, each);
    for (unsigned i = 0; ladder_statuses[i]; i++)
        if ((l->statuses & 1u << i) && (n = cover_of(v, ~0u, 1u << i, &seen)) < each)
            lacking += lack(out, "status ", ladder_statuses[i], n, each);
    return lacking;
}

bool ladder_judge(const struct ladder *l, const struct ladder_evidence *v, struct buf *out)
{
    uint64_t n = ladder_compared(v), good = v->matched + v->ignored;
    double lower = 100 * ladder_lower(good, n), limit = l->match_bp / 100.0;
    unsigned lacking = 0;
    if (l->evidence_min == 0)
        return true;
    if (n < (uint64_t)l->evidence_min)
        lacking += lack(out, "comparisons", "", n, (uint64_t)l->evidence_min);
    if (lower < limit) {
        buf_printf(out, "%smatch rate at least %.2f %% (95 %% sure), %.2f %% is needed",
                   out->len ? "; " : "", lower, limit);
        lacking++;
    }
    return lacking + judge_cover(l, v, out) == 0;
}

json_t *ladder_evidence_json(const struct ladder *l, const struct ladder_evidence *v)
{
    struct buf missing = BUF_INIT;
    json_t *cover = json_array();
    uint64_t n = ladder_compared(v);
    bool enough = ladder_judge(l, v, &missing);
    for (size_t i = 0; i < v->ncover; i++) {
        const struct ladder_cover *c = &v->cover[i];
        json_array_append_new(
            cover, json_pack("{s:s, s:s, s:I, s:I}", "operation",
                             ladder_operations[c->operation == LADDER_GET    ? 0
                                               : c->operation == LADDER_LIST ? 1
                                                                             : 2],
                             "status", ladder_statuses[c->status == LADDER_OK ? 0 : 1], "seen",
                             (json_int_t)c->seen, "compared", (json_int_t)c->compared));
    }
    json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:i, s:b, s:s%, s:o}", "matched",
                          (json_int_t)v->matched, "ignored", (json_int_t)v->ignored, "mismatched",
                          (json_int_t)v->mismatched, "stale", (json_int_t)v->stale, "dropped",
                          (json_int_t)v->dropped, "match_percent_at_least",
                          100 * ladder_lower(v->matched + v->ignored, n), "match_percent_needed",
                          l->match_bp / 100.0, "comparisons_needed", l->evidence_min, "enough",
                          enough, "missing", missing.data ? missing.data : "", missing.len,
                          "coverage", cover);
    buf_free(&missing);
    return j;
}

// ---------------------------------------------------------------- arms

unsigned arm_slot(uint64_t duration_ns)
{
    unsigned i = 0;
    for (uint64_t bound = 64000; i < ARM_SLOTS - 1 && duration_ns >= bound; bound *= 2)
        i++;
    return i;
}

double arm_quantile_ms(const struct arm *a, double q)
{
    uint64_t total = 0, before = 0;
    for (unsigned i = 0; i < ARM_SLOTS; i++)
        total += a->slots[i];
    for (unsigned i = 0; i < ARM_SLOTS && total; i++) {
        before += a->slots[i];
        if ((double)before >= q * (double)total)
            return ldexp(0.064, (int)i);
    }
    return 0;
}

static bool worse_errors(const struct ladder *l, const struct arm *baseline, const struct arm *arm,
                         struct buf *out)
{
    double lower = ladder_lower(arm->errors, arm->requests), limit = l->error_bp / 10000.0;
    double usual = baseline->requests ? ladder_upper(baseline->errors, baseline->requests) : 0;
    if (lower <= limit || lower <= usual)
        return false;
    buf_printf(out,
               "errors: %llu of %llu answers of the new side (at least %.2f %%; limit %.2f %%,"
               " baseline %llu of %llu)",
               (unsigned long long)arm->errors, (unsigned long long)arm->requests, 100 * lower,
               100 * limit, (unsigned long long)baseline->errors,
               (unsigned long long)baseline->requests);
    return true;
}

// Slots are powers of two: "slower" means at least a whole slot beyond the limit.
static bool worse_latency(const struct ladder *l, const struct arm *baseline, const struct arm *arm,
                          struct buf *out)
{
    double usual = arm_quantile_ms(baseline, 0.95), now = arm_quantile_ms(arm, 0.95);
    if (l->latency_percent == 0 || baseline->requests < (uint64_t)l->rollback_min ||
        now <= usual * l->latency_percent / 100.0)
        return false;
    buf_printf(out,
               "latency: 95 %% of the new side's answers within %.1f ms, of the baseline's %.1f ms"
               " (limit %d %%)",
               now, usual, l->latency_percent);
    return true;
}

static bool worse_data(const struct ladder *l, const struct ladder_evidence *stay, struct buf *out)
{
    uint64_t n = ladder_compared(stay);
    double lower = ladder_lower(stay->mismatched, n), limit = l->mismatch_bp / 10000.0;
    if (n < (uint64_t)l->rollback_min || lower <= limit)
        return false;
    buf_printf(out, "mismatches: %llu of %llu comparisons (at least %.2f %%; limit %.2f %%)",
               (unsigned long long)stay->mismatched, (unsigned long long)n, 100 * lower,
               100 * limit);
    return true;
}

bool ladder_worse(const struct ladder *l, const struct arm *baseline, const struct arm *arm,
                  const struct ladder_evidence *stay, struct buf *out)
{
    if (worse_data(l, stay, out))
        return true;
    if (arm->requests < (uint64_t)l->rollback_min)
        return false;
    return worse_errors(l, baseline, arm, out) || worse_latency(l, baseline, arm, out);
}
