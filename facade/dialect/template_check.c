// SPDX-License-Identifier: Apache-2.0
// Sample data for an answer, and the test that what comes out is well-formed; and the way from a
// mount to its template.
#include "facade/dialect/template_check.h"

#include <stdio.h>

// Hostile in every format, so that a placeholder at a wrong place shows.
#define SAMPLE "<a>&\"'\\,;\n"

static void fill(const struct field *const *fields, size_t n, bool full, struct arena *a,
                 struct value **out)
{
    static const char *const samples[] = {
        [TYPE_TEXT] = SAMPLE,     [TYPE_INTEGER] = "1",
        [TYPE_DECIMAL] = "1.00",  [TYPE_FLOAT] = "1.5",
        [TYPE_BOOLEAN] = "true",  [TYPE_DATE] = "2000-01-02",
        [TYPE_TIME] = "03:04:05", [TYPE_TIMESTAMP] = "2000-01-02 03:04:05",
        [TYPE_ID] = SAMPLE,       [TYPE_BYTES] = "00ff",
        [TYPE_JSON] = "{\"a\":1}"};
    *out = arena_array(a, n + 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++)
        (*out)[i] = full ? value_set(str_of(samples[fields[i]->type])) : value_null();
}

static struct record_set rows_of(const struct field *const *fields, size_t nfields, size_t n,
                                 bool full, struct arena *a)
{
    struct record_set s = {arena_array(a, n + 1, sizeof *s.rows), n};
    for (size_t i = 0; s.rows && i < n; i++) {
        struct value *values;
        fill(fields, nfields, full, a, &values);
        s.rows[i].values = values;
        if (!values)
            s.rows = NULL;
    }
    if (!s.rows)
        s.n = 0;
    return s;
}

static void relate(struct record_set *s, const struct template_operation *op, size_t n, bool full,
                   struct arena *a)
{
    for (size_t i = 0; i < s->n; i++) {
        s->rows[i].related = arena_array(a, op->nexpand + 1, sizeof *s->rows[i].related);
        for (size_t k = 0; s->rows[i].related && k < op->nexpand; k++)
            s->rows[i].related[k] = rows_of(op->expand[k].fields, op->expand[k].nfields, n, full,
                                            a);
    }
}

static int well_formed(const struct template_answer *a, struct str text, struct arena *arena,
                       struct err *why)
{
    json_error_t je;
    struct xml_node *xml;
    struct err e = {0};
    if (a->format == TEMPLATE_AS_JSON) {
        json_t *j = json_loadb(text.data ? text.data : "", text.len,
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
        if (!j)
            return err_set(why, ERR_INVALID, "does not make JSON: %s near '%.*s'", je.text,
                           je.position > 0 && (size_t)je.position < text.len
                               ? (int)(text.len - (size_t)je.position < 40
                                           ? text.len - (size_t)je.position
                                           : 40)
                               : 0,
                           text.data + (je.position > 0 ? je.position : 0));
        json_decref(j);
    } else if (a->format == TEMPLATE_AS_XML && !strstr(a->type, "html") &&
               template_xml(text, arena, &xml, &e)) {
        return err_set(why, ERR_INVALID, "does not make XML: %.200s", e.msg);
    }
    return 0;
}

static int try_out(const struct template_endpoint *en, enum template_outcome o,
                   const struct template_answer *a, size_t n, bool full, struct err *why)
{
    struct arena *arena = arena_create(64u << 20);
    struct principal who = {.user_id = STR(SAMPLE), .user_name = STR(SAMPLE)};
    struct result result = {.total = full ? 2 : -1};
    struct operation op = {0};
    struct value *takes = NULL, key = value_set(STR(SAMPLE));
    struct buf out = BUF_INIT;
    if (!arena || !(takes = arena_array(arena, (en ? en->ntakes : 0) + 1, sizeof *takes))) {
        arena_destroy(arena);
        return err_memory(why);
    }
    for (size_t i = 0; en && full && i < en->ntakes; i++)
        takes[i] = value_set(STR(SAMPLE));
    if (en && o == TEMPLATE_OK) {
        op.kind = en->op.kind;
        size_t rows = op.kind == OPERATION_GET ? 1 : op.kind == OPERATION_LIST ? n : 0;
        result.records = rows_of(en->op.fields, en->op.nfields, rows, full, arena);
        relate(&result.records, &en->op, n, full, arena);
        result.key = &key;
    }
    struct template_data d = {.endpoint = en,
                              .takes = takes,
                              .principal = &who,
                              .op = en && o == TEMPLATE_OK ? &op : NULL,
                              .result = &result,
                              .error = full ? STR(SAMPLE) : STR(""),
                              .now = "2000-01-02 03:04:05"};
    int rc = template_render(a, &d, &out, why);
    if (rc == 0 && a->body)
        rc = well_formed(a, buf_str(&out), arena, why);
    buf_free(&out);
    arena_destroy(arena);
    return rc;
}

int template_check_answer(const struct template *t, const struct template_endpoint *en,
                          enum template_outcome o, const struct template_answer *a, struct err *why)
{
    (void)t;
    for (size_t n = 0; n < 3; n++)
        if (try_out(en, o, a, n, true, why) || try_out(en, o, a, n, false, why))
            return -1;
    return 0;
}

// ---------------------------------------------------------------- mounts

static bool is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]", 5) == 0 ||
           strncmp(listen, "localhost:", 10) == 0 || strncmp(listen, "unix:", 5) == 0 ||
           listen[0] == '/';
}

struct template *template_of_mount(const struct mount *m, const struct conf *conf,
                                   const struct entity_set *set, struct problems *p)
{
    const char *file = json_string_value(json_object_get(m->options, "file"));
    const char *routes = conf_path(conf, "routes.path");
    const char *slash = strrchr(routes, '/');
    char path[4096];
    if (!file || json_object_size(m->options) != 1) {
        problems_addz(p, routes, "mount %s: options of a template are {\"file\": \"PATH\"}",
                      m->path);
        return NULL;
    }
    int n = file[0] == '/' || !slash
                ? snprintf(path, sizeof path, "%s", file)
                : snprintf(path, sizeof path, "%.*s/%s", (int)(slash - routes), routes, file);
    if (n < 0 || (size_t)n >= sizeof path) {
        problems_addz(p, routes, "mount %s: the path of its file is too long", m->path);
        return NULL;
    }
    return template_load(path, set, is_loopback(conf_str(conf, "facade.listen")), p);
}
