// SPDX-License-Identifier: Apache-2.0
// A template file -> struct template. Every mistake is told with file, line, pointer and what
// would mend it; a template with any mistake is none. Skeletons are compiled and rendered with
// sample rows, so that what is sent is well-formed in its format (template_check.c).
#include "facade/dialect/template_check.h"
#include "facade/dialect/template_load_int.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const outcomes[] = {
    "ok",      "not_found", "conflict",  "invalid",     "denied",          "busy", "timeout",
    "retired", "error",     "malformed", "no_endpoint", "unauthenticated", NULL};

const char *template_outcome_name(enum template_outcome o)
{
    return outcomes[o];
}

unsigned template_outcome_status(enum template_outcome o)
{
    static const unsigned status[] = {200, 404, 409, 422, 403, 503, 504, 410, 500, 400, 404, 401};
    return status[o];
}

// ---------------------------------------------------------------- helpers

void template_at(char out[AT_MAX], const char *at, const char *key)
{
    snprintf(out, AT_MAX, "%.180s/%.60s", at, key);
}

void template_at_index(char out[AT_MAX], const char *at, size_t i)
{
    snprintf(out, AT_MAX, "%.200s/%zu", at, i);
}

const char *template_keep(struct template_load *l, const char *text)
{
    const char *kept = text ? arena_strz(l->a, str_of(text)) : NULL;
    return kept ? kept : "";
}

int template_word(struct template_load *l, const json_t *object, const char *at, const char *key,
                  const char *const *words, int fallback)
{
    const json_t *j = json_object_get(object, key);
    const char *text = json_string_value(j);
    struct buf known = BUF_INIT;
    char here[AT_MAX];
    if (!j && fallback >= 0)
        return fallback;
    for (int i = 0; words[i]; i++)
        if (text && strcmp(words[i], text) == 0)
            return i;
    for (int i = 0; words[i]; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    template_at(here, at, key);
    problems_add(l->p, &l->doc, j ? here : at, "%s is one of %s", key,
                 known.data ? known.data : "");
    buf_free(&known);
    return -1;
}

int template_take_named(struct template_load *l, const struct template_endpoint *en,
                        const char *name, const char *at)
{
    for (size_t i = 0; i < en->ntakes; i++)
        if (strcmp(en->takes[i].name, name) == 0)
            return (int)i;
    problems_add(l->p, &l->doc, at, "nothing is taken as '%s': add it to \"take\"", name);
    return -1;
}

// "${env:NAME}" and "${file:PATH}" as a whole text.
static const char *secret_text(struct template_load *l, const char *at, const char *text)
{
    char name[512];
    size_t n = strlen(text);
    bool env = strncmp(text, "${env:", 6) == 0, file = strncmp(text, "${file:", 7) == 0;
    size_t skip = env ? 6 : 7;
    if (!env && !file)
        return template_keep(l, text);
    if (text[n - 1] != '}' || n - skip - 1 >= sizeof name ||
        str_copy(name, sizeof name, str_n(text + skip, n - skip - 1))) {
        problems_add(l->p, &l->doc, at, "is ${env:NAME} or ${file:PATH}, without more");
        return "";
    }
    const char *value = env ? getenv(name) : NULL;
    if (value)
        return template_keep(l, value);
    char line[1024] = "";
    FILE *f = file ? fopen(name, "re") : NULL;
    if (!f || !fgets(line, sizeof line, f))
        problems_add(l->p, &l->doc, at,
                     env ? "environment variable %s is not set" : "cannot be read: %s", name);
    if (f)
        fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    return template_keep(l, line);
}

// ---------------------------------------------------------------- codes

static void load_codes(struct template_load *l, const json_t *def)
{
    const char *name, *outside;
    json_t *list, *v;
    l->t->codes = arena_array(l->a, json_object_size(def) + 1, sizeof *l->t->codes);
    if (def && !json_is_object(def))
        problems_add(l->p, &l->doc, "/codes", "is an object of code lists");
    json_object_foreach((json_t *)(uintptr_t)def, name, list)
    {
        struct template_codes *c = &l->t->codes[l->t->ncodes++];
        struct template_code *codes = arena_array(l->a, json_object_size(list) + 1, sizeof *codes);
        char at[AT_MAX], here[AT_MAX];
        template_at(at, "/codes", name);
        *c = (struct template_codes){.name = template_keep(l, name), .list = codes};
        if (!json_is_object(list) || !codes)
            problems_add(l->p, &l->doc, at, "is an object: what the legacy says -> canonical");
        json_object_foreach(list, outside, v)
        {
            template_at(here, at, outside);
            if (!json_is_string(v))
                problems_add(l->p, &l->doc, here, "is text");
            else if (codes)
                codes[c->n++] = (struct template_code){
                    str_of(template_keep(l, outside)),
                    str_of(template_keep(l, json_string_value(v)))};
        }
    }
}

// ---------------------------------------------------------------- who

static void load_principal(struct template_load *l, const json_t *j, const char *at,
                           struct template_principal *out)
{
    static const char *const known[] = {"secret", "user", "user_id", "user_name", "admin", NULL};
    const char *secret = "", *user = "", *id, *name;
    char here[AT_MAX];
    bool none = l->t->auth == TEMPLATE_AUTH_NONE, basic = l->t->auth == TEMPLATE_AUTH_BASIC;
    json_only_keys(&l->doc, j, at, known, l->p);
    if ((!none && json_get_str(&l->doc, j, at, "secret", NULL, &secret, l->p)) ||
        (basic && json_get_str(&l->doc, j, at, "user", NULL, &user, l->p)) ||
        json_get_str(&l->doc, j, at, "user_id", NULL, &id, l->p) ||
        json_get_str(&l->doc, j, at, "user_name", "", &name, l->p) ||
        json_get_bool(&l->doc, j, at, "admin", false, &out->principal.is_admin, l->p))
        return;
    template_at(here, at, "secret");
    out->secret = secret_text(l, here, secret);
    if (!none && !*out->secret)
        problems_add(l->p, &l->doc, here, "is empty");
    out->user = template_keep(l, user);
    out->principal.user_id = str_of(template_keep(l, id));
    out->principal.user_name = str_of(template_keep(l, name));
}

static void load_auth(struct template_load *l, const json_t *def)
{
    static const char *const known[] = {"kind", "name", "principals", "comment", NULL};
    static const char *const kinds[] = {"none", "bearer", "basic", "header", "query", NULL};
    struct template *t = l->t;
    const json_t *list = json_object_get(def, "principals");
    size_t n = json_array_size(list);
    const char *name;
    if (!json_is_object(def)) {
        problems_add(l->p, &l->doc, "", "\"auth\" is missing: an object with kind and principals");
        return;
    }
    json_only_keys(&l->doc, def, "/auth", known, l->p);
    int kind = template_word(l, def, "/auth", "kind", kinds, -1);
    t->auth = kind < 0 ? TEMPLATE_AUTH_BEARER : (enum template_auth)kind;
    if (t->auth == TEMPLATE_AUTH_NONE && !l->loopback)
        problems_add(l->p, &l->doc, "/auth/kind",
                     "none is for a facade that listens on this machine only (facade.listen)");
    bool named = t->auth == TEMPLATE_AUTH_HEADER || t->auth == TEMPLATE_AUTH_QUERY;
    if (json_get_str(&l->doc, def, "/auth", "name", named ? NULL : "", &name, l->p) == 0)
        t->auth_name = template_keep(l, name);
    t->principals = arena_array(l->a, n + 1, sizeof *t->principals);
    if (n == 0 || !t->principals || (t->auth == TEMPLATE_AUTH_NONE && n != 1)) {
        problems_add(l->p, &l->doc, "/auth/principals", "is a list of who may ask; of none, one");
        return;
    }
    for (; t->nprincipals < n; t->nprincipals++) {
        char at[AT_MAX];
        template_at_index(at, "/auth/principals", t->nprincipals);
        load_principal(l, json_array_get(list, t->nprincipals), at, &t->principals[t->nprincipals]);
    }
}

// ---------------------------------------------------------------- takes

static void check_take(struct template_load *l, const struct template_take *t, const char *at)
{
    if (t->from == TEMPLATE_JSON && t->at[0] && t->at[0] != '/')
        problems_add(l->p, &l->doc, at, "a JSON pointer starts with /");
    if (t->from == TEMPLATE_XML &&
        (!t->at[0] || t->at[0] == '/' || t->at[strlen(t->at) - 1] == '/' || strstr(t->at, "//")))
        problems_add(l->p, &l->doc, at, "an XML path is Element/Element, or .../@attribute");
    if (t->date && !template_date_good(t->date))
        problems_add(l->p, &l->doc, at,
                     "a date's form is made of %%Y %%y %%m %%d %%H %%M %%S and"
                     " text");
    if (t->date && t->codes)
        problems_add(l->p, &l->doc, at, "date and codes exclude each other");
}

static void load_take(struct template_load *l, const json_t *j, const char *at, bool test,
                      struct template_take *out)
{
    static const char *const known[] = {"from",  "at",   "required", "default", "max", "trim",
                                        "empty", "date", "codes",    "comment", NULL};
    static const char *const sources[] = {"path", "query", "form", "header", "json", "xml", NULL};
    static const char *const empties[] = {"keep", "null", "absent", NULL};
    const long long none = 0;
    const char *text, *fallback, *date, *codes;
    long long max = 0;
    if (!json_is_object(j)) {
        problems_add(l->p, &l->doc, at, "is an object with from and at");
        return;
    }
    if (!test)
        json_only_keys(&l->doc, j, at, known, l->p);
    int from = template_word(l, j, at, "from", sources, -1);
    int empty = template_word(l, j, at, "empty", empties, 0);
    if (from < 0 || empty < 0 || json_get_str(&l->doc, j, at, "at", NULL, &text, l->p) ||
        json_get_str(&l->doc, j, at, "default", "", &fallback, l->p) ||
        json_get_str(&l->doc, j, at, "date", "", &date, l->p) ||
        json_get_str(&l->doc, j, at, "codes", "", &codes, l->p) ||
        json_get_int(&l->doc, j, at, "max", 1, 1000000, &none, &max, l->p) ||
        json_get_bool(&l->doc, j, at, "required", false, &out->required, l->p) ||
        json_get_bool(&l->doc, j, at, "trim", false, &out->trim, l->p))
        return;
    out->from = (enum template_from)from;
    out->empty = (enum template_empty)empty;
    out->at = template_keep(l, text);
    out->fallback = json_object_get(j, "default") ? template_keep(l, fallback) : NULL;
    out->max = (unsigned)max;
    out->date = *date ? template_keep(l, date) : NULL;
    for (size_t i = 0; *codes && i < l->t->ncodes; i++)
        if (strcmp(l->t->codes[i].name, codes) == 0)
            out->codes = &l->t->codes[i];
    if (*codes && !out->codes)
        problems_add(l->p, &l->doc, at, "there are no codes of the name '%s'", codes);
    check_take(l, out, at);
}

static void load_takes(struct template_load *l, struct template_endpoint *en, const json_t *def,
                       const char *at)
{
    const char *name;
    json_t *j;
    en->takes = arena_array(l->a, json_object_size(def) + 1, sizeof *en->takes);
    if (!en->takes || (def && !json_is_object(def)) || json_object_size(def) > TEMPLATE_TAKES_MAX) {
        problems_add(l->p, &l->doc, at, "is an object of up to %d names", TEMPLATE_TAKES_MAX);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)def, name, j)
    {
        char here[AT_MAX];
        template_at(here, at, name);
        struct template_take *t = &en->takes[en->ntakes++];
        *t = (struct template_take){.name = template_keep(l, name), .at = ""};
        load_take(l, j, here, false, t);
        bool found = t->from != TEMPLATE_PATH;
        for (size_t i = 0; i < en->nsegments && !found; i++)
            found = str_eqz(en->segments[i].name, t->at);
        if (!found)
            problems_add(l->p, &l->doc, here, "the path has no {%s}", t->at);
    }
}

// ---------------------------------------------------------------- matching

// "/customers/{id}.json" -> segments.
static void load_path(struct template_load *l, struct template_endpoint *en, const char *path,
                      const char *at)
{
    while (*path) {
        struct template_segment *s = &en->segments[en->nsegments];
        size_t n = strcspn(path + 1, "/");
        struct str text = str_n(path + 1, n);
        const char *open = n ? memchr(text.data, '{', n) : NULL;
        const char *close = open ? memchr(open, '}', (size_t)(text.data + n - open)) : NULL;
        if (*path != '/' || !n || en->nsegments == TEMPLATE_SEGMENTS_MAX || !open != !close ||
            (open && close == open + 1)) {
            problems_add(l->p, &l->doc, at, "a path is /text/{name}/text, up to %d parts",
                         TEMPLATE_SEGMENTS_MAX);
            return;
        }
        *s = (struct template_segment){.before = text};
        if (open) {
            s->before = str_n(text.data, (size_t)(open - text.data));
            s->name = str_n(open + 1, (size_t)(close - open) - 1);
            s->after = str_n(close + 1, (size_t)(text.data + n - close) - 1);
        }
        en->nsegments++;
        path += n + 1;
    }
}

static void load_test(struct template_load *l, struct template_test *t, const json_t *j,
                      const char *at)
{
    static const char *const known[] = {"from", "at", "is", "absent", "trim", "comment", NULL};
    const char *is;
    json_only_keys(&l->doc, j, at, known, l->p);
    *t = (struct template_test){.take = {.name = "test", .at = ""}};
    load_take(l, j, at, true, &t->take);
    if (json_get_str(&l->doc, j, at, "is", "", &is, l->p) == 0 && json_object_get(j, "is"))
        t->is = template_keep(l, is);
    (void)json_get_bool(&l->doc, j, at, "absent", false, &t->absent, l->p);
    if (t->is && t->absent)
        problems_add(l->p, &l->doc, at, "is and absent exclude each other");
}

static void load_match(struct template_load *l, struct template_endpoint *en, const json_t *def,
                       const char *at)
{
    static const char *const known[] = {"method", "path", "where", "comment", NULL};
    const char *method, *path;
    const json_t *where = json_object_get(def, "where");
    char here[AT_MAX], list[AT_MAX];
    size_t n = json_array_size(where);
    if (!json_is_object(def)) {
        problems_add(l->p, &l->doc, at, "is an object with path, method and where");
        return;
    }
    json_only_keys(&l->doc, def, at, known, l->p);
    if (json_get_str(&l->doc, def, at, "method", "", &method, l->p) ||
        json_get_str(&l->doc, def, at, "path", "", &path, l->p))
        return;
    en->method = *method ? template_keep(l, method) : NULL;
    template_at(here, at, "path");
    load_path(l, en, template_keep(l, path), here);
    template_at(list, at, "where");
    en->tests = arena_array(l->a, n + 1, sizeof *en->tests);
    if (!en->tests || (where && !json_is_array(where)) || n > TEMPLATE_TESTS_MAX) {
        problems_add(l->p, &l->doc, list, "is a list of up to %d tests", TEMPLATE_TESTS_MAX);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        template_at_index(here, list, i);
        load_test(l, &en->tests[en->ntests++], json_array_get(where, i), here);
    }
}

// ---------------------------------------------------------------- answers

// A text, or a list of texts that are put together.
static struct str body_text(struct template_load *l, const json_t *j, const char *at)
{
    struct buf text = BUF_INIT;
    size_t n = json_is_array(j) ? json_array_size(j) : 1;
    for (size_t i = 0; j && i < n; i++) {
        const json_t *part = json_is_array(j) ? json_array_get(j, i) : j;
        if (!json_is_string(part))
            problems_add(l->p, &l->doc, at, "is text, or a list of texts that are put together");
        buf_addz(&text, json_is_string(part) ? json_string_value(part) : "");
    }
    struct str kept = text.len ? arena_str(l->a, buf_str(&text)) : STR("");
    buf_free(&text);
    return kept;
}

static void load_headers(struct template_load *l, struct template_answer *a, const json_t *def,
                         const char *at)
{
    struct http_header *list = arena_array(l->a, json_object_size(def) + 1, sizeof *list);
    const char *name;
    json_t *v;
    a->headers = list;
    if (!list || (def && !json_is_object(def)) || json_object_size(def) > TEMPLATE_HEADERS_MAX) {
        problems_add(l->p, &l->doc, at, "is an object of up to %d texts", TEMPLATE_HEADERS_MAX);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)def, name, v)
    {
        const char *text = json_string_value(v);
        char here[AT_MAX];
        template_at(here, at, name);
        if (!text || strpbrk(text, "\r\n") || name[strcspn(name, " :\r\n\t")] ||
            str_eq_nocase(str_of(name), STR("Content-Length")) ||
            str_eq_nocase(str_of(name), STR("Content-Type")) ||
            str_eq_nocase(str_of(name), STR("Connection")) ||
            str_eq_nocase(str_of(name), STR("Transfer-Encoding")))
            problems_add(l->p, &l->doc, here, "is not a header that an answer may set");
        else
            list[a->nheaders++] = (struct http_header){str_of(template_keep(l, name)),
                                                       str_of(template_keep(l, text))};
    }
}

static enum template_format format_of(struct template_load *l, const json_t *def, const char *at,
                                      const char *type)
{
    static const char *const words[] = {"text", "json", "xml", "csv", NULL};
    int fallback = strstr(type, "json")  ? TEMPLATE_AS_JSON
                   : strstr(type, "xml") ? TEMPLATE_AS_XML
                   : strstr(type, "csv") ? TEMPLATE_AS_CSV
                                         : TEMPLATE_AS_TEXT;
    if (strstr(type, "html") && !json_object_get(def, "format"))
        return TEMPLATE_AS_XML;
    int word = template_word(l, def, at, "format", words, fallback);
    return word < 0 ? TEMPLATE_AS_TEXT : (enum template_format)word;
}

static struct template_answer *load_answer(struct template_load *l,
                                           const struct template_endpoint *en,
                                           enum template_outcome o, const json_t *def,
                                           const char *at)
{
    static const char *const known[] = {"status",  "type", "format",  "separator",
                                        "headers", "body", "comment", NULL};
    struct template_answer *a = arena_alloc(l->a, sizeof *a);
    const long long usual = template_outcome_status(o);
    long long status = usual;
    const char *type, *separator = "";
    char here[AT_MAX];
    struct err why = {0};
    struct template_node *nodes;
    if (!a || !json_is_object(def)) {
        problems_add(l->p, &l->doc, at, "an answer is an object with status, type and body");
        return NULL;
    }
    json_only_keys(&l->doc, def, at, known, l->p);
    if (json_get_int(&l->doc, def, at, "status", 200, 599, &usual, &status, l->p) ||
        json_get_str(&l->doc, def, at, "type", "text/plain; charset=utf-8", &type, l->p))
        return NULL;
    a->status = (unsigned)status;
    a->type = template_keep(l, type);
    a->format = format_of(l, def, at, type);
    if (json_get_str(&l->doc, def, at, "separator", ",", &separator, l->p) == 0)
        a->separator = separator[0];
    if (!a->separator || separator[1] || a->separator == '"')
        problems_add(l->p, &l->doc, at, "separator is one character of CSV");
    template_at(here, at, "headers");
    load_headers(l, a, json_object_get(def, "headers"), here);
    template_at(here, at, "body");
    struct template_scope s = {.t = l->t,
                               .endpoint = en && en->op.entity ? en : NULL,
                               .rows = o == TEMPLATE_OK,
                               .format = a->format,
                               .arena = l->a};
    struct str text = body_text(l, json_object_get(def, "body"), here);
    a->at = template_keep(l, here);
    if (en && !en->op.entity) // its operation is wrong: said already
        return a;
    if (template_compile(&s, text, &nodes, &why))
        problems_add(l->p, &l->doc, here, "%s", why.msg);
    else if ((a->body = nodes) && template_check_answer(l->t, en, o, a, &why))
        problems_add(l->p, &l->doc, here, "%s", why.msg);
    return a;
}

static void load_answers(struct template_load *l, const struct template_endpoint *en,
                         const json_t *def, const char *at,
                         const struct template_answer *out[TEMPLATE_OUTCOMES])
{
    if (def && !json_is_object(def))
        problems_add(l->p, &l->doc, at, "is an object of answers by outcome");
    json_only_keys(&l->doc, def, at, outcomes, l->p);
    for (int o = 0; o < TEMPLATE_OUTCOMES; o++) {
        const json_t *one = json_object_get(def, outcomes[o]);
        char here[AT_MAX];
        template_at(here, at, outcomes[o]);
        bool outside = o == TEMPLATE_NO_ENDPOINT || o == TEMPLATE_UNAUTHENTICATED;
        if (one && (en ? outside : o == TEMPLATE_OK))
            problems_add(l->p, &l->doc, here,
                         en ? "belongs to the template's own answers"
                            : "belongs to an endpoint's answers");
        else if (one)
            out[o] = load_answer(l, en, (enum template_outcome)o, one, here);
    }
    if (en && !json_object_get(def, "ok"))
        problems_add(l->p, &l->doc, at, "\"ok\" is missing: what a good request is answered with");
}

// ---------------------------------------------------------------- the whole

static void load_endpoint(struct template_load *l, struct template_endpoint *en, const json_t *j,
                          const char *at)
{
    static const char *const known[] = {"name",    "match",   "take", "operation",
                                        "answers", "comment", NULL};
    const char *name;
    char here[AT_MAX];
    if (!json_is_object(j)) {
        problems_add(l->p, &l->doc, at, "an endpoint is an object");
        return;
    }
    json_only_keys(&l->doc, j, at, known, l->p);
    if (json_get_str(&l->doc, j, at, "name", NULL, &name, l->p))
        return;
    en->name = template_keep(l, name);
    template_at(here, at, "match");
    load_match(l, en, json_object_get(j, "match"), here);
    template_at(here, at, "take");
    load_takes(l, en, json_object_get(j, "take"), here);
    template_at(here, at, "operation");
    template_load_operation(l, en, json_object_get(j, "operation"), here);
    template_at(here, at, "answers");
    load_answers(l, en, json_object_get(j, "answers"), here, en->answers);
}

static void load_all(struct template_load *l, const json_t *root)
{
    static const char *const known[] = {"$schema", "template",  "comment", "auth",
                                        "codes",   "endpoints", "answers", NULL};
    const json_t *list = json_object_get(root, "endpoints");
    size_t n = json_array_size(list);
    if (!json_is_object(root)) {
        problems_add(l->p, &l->doc, "", "a template is an object");
        return;
    }
    json_only_keys(&l->doc, root, "", known, l->p);
    load_codes(l, json_object_get(root, "codes"));
    load_auth(l, json_object_get(root, "auth"));
    load_answers(l, NULL, json_object_get(root, "answers"), "/answers", l->t->answers);
    l->t->endpoints = arena_array(l->a, n + 1, sizeof *l->t->endpoints);
    if (n == 0 || n > TEMPLATE_ENDPOINTS_MAX || !l->t->endpoints) {
        problems_add(l->p, &l->doc, "/endpoints", "is a list of 1 to %d endpoints",
                     TEMPLATE_ENDPOINTS_MAX);
        return;
    }
    for (; l->t->nendpoints < n; l->t->nendpoints++) {
        char at[AT_MAX];
        template_at_index(at, "/endpoints", l->t->nendpoints);
        load_endpoint(l, &l->t->endpoints[l->t->nendpoints], json_array_get(list, l->t->nendpoints),
                      at);
    }
}

static struct template *load(struct json_doc *doc, const struct entity_set *set, bool loopback,
                             struct problems *p)
{
    struct arena *a = arena_create(64u << 20);
    struct template *t = a ? arena_alloc(a, sizeof *t) : NULL;
    unsigned before = p->count;
    if (!t) {
        arena_destroy(a);
        problems_addz(p, doc->file, "out of memory");
        return NULL;
    }
    t->arena = a;
    t->set = set;
    struct template_load l = {.doc = *doc, .p = p, .t = t, .a = a, .loopback = loopback};
    load_all(&l, doc->root);
    if (p->count == before)
        return t;
    template_destroy(t);
    return NULL;
}

struct template *template_load(const char *file, const struct entity_set *set, bool loopback,
                               struct problems *p)
{
    struct json_doc doc = {0};
    if (json_doc_load(&doc, file, p))
        return NULL;
    struct template *t = load(&doc, set, loopback, p);
    json_doc_free(&doc);
    return t;
}

struct template *template_parse(const char *name, struct str text, const struct entity_set *set,
                                bool loopback, struct problems *p)
{
    struct json_doc doc = {0};
    if (json_doc_parse(&doc, name, text, p))
        return NULL;
    struct template *t = load(&doc, set, loopback, p);
    json_doc_free(&doc);
    return t;
}

void template_destroy(struct template *t)
{
    if (t)
        arena_destroy(t->arena);
}
