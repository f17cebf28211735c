// SPDX-License-Identifier: Apache-2.0
// Asks are JSON, since keys are any text; marks and answers are words with blanks between.
//   ask     {"id": "serve-../7", "from": "legacy", "at": [["account", "key"], ["link"]]}
//   mark    dual serve-../7 0 2 key
//   answer  serve-../7 0 2 there
#include "routes/dual_wire.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const words[] = {
    [DUAL_THERE] = "there", [DUAL_PARKED] = "parked", [DUAL_STOPPED] = "stopped"};

// ---------------------------------------------------------------- asks

int dual_ask_write(const struct dual_ask *ask, struct buf *out, struct err *e)
{
    buf_reset(out);
    buf_addz(out, "{\"id\": ");
    buf_addjson(out, ask->id);
    buf_printf(out, ", \"from\": \"%s\", \"at\": [", side_name(ask->from));
    for (size_t i = 0; i < ask->n; i++) {
        const struct dual_target *t = &ask->at[i];
        if (!str_is_utf8(t->key)) // would come back as another key
            return err_set(e, ERR_LIMIT, "a key that is not UTF-8");
        buf_addz(out, i ? ", [" : "[");
        buf_addjson(out, t->entity);
        if (t->key.len) {
            buf_addz(out, ", ");
            buf_addjson(out, t->key);
        }
        buf_addc(out, ']');
    }
    buf_addz(out, "]}");
    if (out->len > DUAL_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "the keys of one write take more than %d bytes",
                       DUAL_TEXT_MAX);
    return buf_check(out, e);
}

static struct str copy(const json_t *s, struct arena *a)
{
    return json_is_string(s) ? arena_str(a, str_n(json_string_value(s), json_string_length(s)))
                             : (struct str){0};
}

static int read_targets(const json_t *list, struct arena *a, struct dual_ask *out, struct err *e)
{
    size_t n = json_array_size(list);
    if (n == 0 || n > DUAL_TARGETS_MAX)
        return err_set(e, ERR_INVALID, "an ask with %zu targets", n);
    for (size_t i = 0; i < n; i++) {
        const json_t *t = json_array_get(list, i);
        struct dual_target *at = &out->at[out->n++];
        at->entity = copy(json_array_get(t, 0), a);
        at->key = copy(json_array_get(t, 1), a);
        if (at->entity.len == 0)
            return err_set(e, ERR_INVALID, "an ask with a target that has no entity");
    }
    return 0;
}

int dual_ask_read(struct str text, struct arena *a, struct dual_ask *out, struct err *e)
{
    json_t *doc = json_loadb(text.data, text.len, 0, NULL);
    struct str from = copy(json_object_get(doc, "from"), a);
    *out = (struct dual_ask){.id = copy(json_object_get(doc, "id"), a),
                             .from = str_eqz(from, side_name(SIDE_NEW)) ? SIDE_NEW : SIDE_LEGACY};
    int result = out->id.len == 0 || !str_eqz(from, side_name(out->from))
                     ? err_set(e, ERR_INVALID, "no ask: %.*s", (int)(text.len < 80 ? text.len : 80),
                               text.data)
                     : read_targets(json_object_get(doc, "at"), a, out, e);
    json_decref(doc);
    return result;
}

// ---------------------------------------------------------------- marks and answers

// The next word of `rest`, which moves behind it and its blank.
static struct str word(struct str *rest)
{
    const char *blank = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    size_t n = blank ? (size_t)(blank - rest->data) : rest->len;
    struct str w = str_n(rest->data, n);
    n += blank != NULL;
    *rest = str_n(rest->data + n, rest->len - n);
    return w;
}

static bool read_place(struct str *rest, struct str *id, unsigned *at, unsigned *of)
{
    long long n[2];
    *id = word(rest);
    if (id->len == 0 || !str_to_int(word(rest), 0, DUAL_MARKS_MAX - 1, &n[0]) ||
        !str_to_int(word(rest), n[0] + 1, DUAL_MARKS_MAX, &n[1]))
        return false;
    *at = (unsigned)n[0];
    *of = (unsigned)n[1];
    return true;
}

void dual_mark_write(const struct dual_mark *m, struct buf *out)
{
    buf_printf(out, "dual %.*s %u %u ", (int)m->id.len, m->id.data, m->at, m->of);
    buf_addstr(out, m->key);
}

bool dual_mark_read(struct str marker, struct dual_mark *out)
{
    struct str rest = marker;
    if (!str_eqz(word(&rest), "dual") || !read_place(&rest, &out->id, &out->at, &out->of))
        return false;
    out->key = rest;
    return true;
}

void dual_answer_write(const struct dual_answer *x, struct buf *out)
{
    buf_printf(out, "%.*s %u %u %s\n", (int)x->id.len, x->id.data, x->at, x->of, words[x->word]);
}

bool dual_answer_read(struct str line, struct dual_answer *out)
{
    struct str rest = line;
    if (!read_place(&rest, &out->id, &out->at, &out->of))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_eqz(rest, words[i])) {
            out->word = (enum dual_word)i;
            return true;
        }
    return false;
}
