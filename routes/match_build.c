// SPDX-License-Identifier: Apache-2.0
// Builds the tree that match.c looks rules up in, and finds rules that are equally specific.
// Thread: whoever builds; immutable afterwards.
#include "routes/match_int.h"

#include <stdlib.h>

// ---- growing

static void *more(void *list, size_t n, size_t *size, size_t each)
{
    if (n < *size)
        return list;
    size_t wanted = *size ? *size * 2 : 64;
    void *grown = reallocarray(list, wanted, each);
    if (grown)
        *size = wanted;
    return grown;
}

#define GROW(m, list, n, size)                                                 \
    __extension__({                                                            \
        void *grown_ = more((m)->list, (m)->n, &(m)->size, sizeof *(m)->list); \
        if (grown_)                                                            \
            (m)->list = grown_;                                                \
        grown_ != NULL;                                                        \
    })

static int table_grow(struct match_table *t)
{
    struct match_table wider = {.size = t->size ? t->size * 2 : 64, .used = t->used};

    wider.slots = calloc(wider.size, sizeof *wider.slots);
    if (!wider.slots)
        return -1;
    for (size_t i = 0; i < wider.size; i++)
        wider.slots[i].value = NOTHING;
    for (size_t i = 0; i < t->size; i++) {
        if (t->slots[i].value == NOTHING)
            continue;
        size_t at = t->slots[i].hash & (wider.size - 1);
        while (wider.slots[at].value != NOTHING)
            at = (at + 1) & (wider.size - 1);
        wider.slots[at] = t->slots[i];
    }
    free(t->slots);
    *t = wider;
    return 0;
}

static int table_add(struct match_table *t, uint64_t hash, uint32_t owner, uint32_t value)
{
    if (t->used * 2 >= t->size && table_grow(t))
        return -1;
    size_t at = hash & (t->size - 1);
    while (t->slots[at].value != NOTHING)
        at = (at + 1) & (t->size - 1);
    t->slots[at] = (struct match_slot){hash, owner, value};
    t->used++;
    return 0;
}

struct matcher *matcher_create(void)
{
    return calloc(1, sizeof(struct matcher));
}

void matcher_destroy(struct matcher *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->nnodes; i++)
        free((char *)m->segments[i]);
    for (size_t i = 0; i < m->nroots; i++)
        free(m->hosts[i]);
    free(m->nodes);
    free(m->segments);
    free(m->shapes);
    free(m->entries);
    free(m->rules);
    free(m->hosts);
    free(m->roots);
    free(m->edges.slots);
    free(m->by_values.slots);
    free(m->by_host.slots);
    free(m);
}

// ---- paths

static uint32_t new_node(struct matcher *m, struct str segment)
{
    size_t size = m->nodes_size;

    if (!GROW(m, nodes, nnodes, nodes_size))
        return NOTHING;
    if (m->nodes_size != size) {
        const char **grown = reallocarray(m->segments, m->nodes_size, sizeof *grown);
        if (!grown) {
            m->nodes_size = size;
            return NOTHING;
        }
        m->segments = grown;
    }
    char *kept = segment.data ? strndup(segment.data, segment.len) : NULL;
    if (segment.data && !kept)
        return NOTHING;
    m->nodes[m->nnodes] = (struct match_node){NOTHING, NOTHING, NOTHING};
    m->segments[m->nnodes] = kept;
    return (uint32_t)m->nnodes++;
}

static uint32_t root_for(struct matcher *m, const char *host)
{
    const char *kept = !host ? "" : host[0] == '*' ? host + 1 : host;
    uint32_t node = match_root(m, str_of(kept));
    size_t size = m->roots_size;

    if (node != NOTHING)
        return node;
    if (!GROW(m, roots, nroots, roots_size))
        return NOTHING;
    if (m->roots_size != size) {
        char **grown = reallocarray(m->hosts, m->roots_size, sizeof *grown);
        if (!grown) {
            m->roots_size = size;
            return NOTHING;
        }
        m->hosts = grown;
    }
    node = new_node(m, str_n(NULL, 0));
    if (node == NOTHING || !(m->hosts[m->nroots] = strdup(kept)))
        return NOTHING;
    m->roots[m->nroots++] = node;
    return table_add(&m->by_host, match_hash(str_of(kept), 0), 0, (uint32_t)m->nroots - 1) ? NOTHING
                                                                                           : node;
}

static uint32_t child_for(struct matcher *m, uint32_t node, struct str segment, bool param)
{
    uint32_t child = param ? m->nodes[node].param : match_child(m, node, segment);

    if (child != NOTHING)
        return child;
    child = new_node(m, param ? str_n(NULL, 0) : segment);
    if (child == NOTHING)
        return NOTHING;
    if (param)
        m->nodes[node].param = child;
    else if (table_add(&m->edges, match_hash(segment, node), node, child))
        return NOTHING;
    return child;
}

static bool is_parameter(struct str s)
{
    return s.len > 2 && s.data[0] == '{' && s.data[s.len - 1] == '}' &&
           !memchr(s.data + 1, '{', s.len - 1) && !memchr(s.data, '}', s.len - 1);
}

// The node where the rule's template ends; *below: it ends in "/**".
static int place(struct matcher *m, const struct match_rule *rule, uint32_t *node, bool *below,
                 struct err *e)
{
    struct str path = str_of(rule->path);

    *below = false;
    if (path.len == 0 || path.data[0] != '/')
        return err_set(e, ERR_INVALID, "a path starts with '/'");
    if ((*node = root_for(m, rule->host)) == NOTHING)
        return err_memory(e);
    for (size_t from = 1, n = 0;; n++) {
        const char *slash = memchr(path.data + from, '/', path.len - from);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        struct str s = str_n(path.data + from, end - from);
        if (n == MATCH_SEGMENTS_MAX)
            return err_set(e, ERR_LIMIT, "a path has at most %d segments", MATCH_SEGMENTS_MAX);
        if (str_eqz(s, "**") && !slash) {
            *below = true;
            return 0;
        }
        bool param = is_parameter(s);
        if ((s.len == 0 && slash) || str_eqz(s, ".") || str_eqz(s, ".."))
            return err_set(e, ERR_INVALID,
                           "a path has no empty segments, \".\" or \"..\": those of "
                           "requests are resolved before");
        if (s.len > 0 && !param &&
            (memchr(s.data, '{', s.len) || memchr(s.data, '}', s.len) ||
             memchr(s.data, '*', s.len) || memchr(s.data, '?', s.len) ||
             memchr(s.data, '%', s.len)))
            return err_set(e, ERR_INVALID,
                           "a segment is literal (without escapes), {name}, or ** at the end");
        if ((*node = child_for(m, *node, s, param)) == NOTHING)
            return err_memory(e);
        if (!slash)
            return 0;
        from = end + 1;
    }
}

// ---- conditions

static void describe(const struct match_rule *rule, struct match_shape *out)
{
    unsigned values = 0, present = 0;

    *out = (struct match_shape){.next = NOTHING, .method = rule->methods != NULL};
    for (size_t i = 0; i < rule->nconditions; i++) {
        const struct match_condition *c = &rule->conditions[i];
        out->fields[i].kind = c->kind;
        out->fields[i].name = c->name;
        out->fields[i].present = !c->value;
        out->kinds |= MATCH_BIT(c->kind);
        values += c->value != NULL;
        present += !c->value;
    }
    out->nfields = (unsigned char)rule->nconditions;
    out->rank = values * 100 + present * 2 + out->method;
}

static bool same_shape(const struct match_shape *a, const struct match_shape *b)
{
    if (a->rank != b->rank || a->nfields != b->nfields || a->method != b->method)
        return false;
    for (size_t i = 0; i < a->nfields; i++)
        if (a->fields[i].kind != b->fields[i].kind ||
            a->fields[i].present != b->fields[i].present ||
            strcmp(a->fields[i].name, b->fields[i].name) != 0)
            return false;
    return true;
}

// Finds or makes the shape in the list, which stays in order of rank.
static int shape_for(struct matcher *m, uint32_t node, bool below, const struct match_rule *rule,
                     uint32_t *out, struct err *e)
{
    uint32_t *first = below ? &m->nodes[node].below : &m->nodes[node].here;
    struct match_shape wanted;
    unsigned n = 0;

    describe(rule, &wanted);
    for (uint32_t at = *first; at != NOTHING; at = m->shapes[at].next, n++) {
        if (same_shape(&m->shapes[at], &wanted)) {
            *out = at;
            return 0;
        }
    }
    if (n == MATCH_SHAPES_MAX)
        return err_set(e, ERR_LIMIT, "at most %d different sets of conditions at one path",
                       MATCH_SHAPES_MAX);
    if (!GROW(m, shapes, nshapes, shapes_size))
        return err_memory(e);
    uint32_t *at = first;
    while (*at != NOTHING && m->shapes[*at].rank >= wanted.rank)
        at = &m->shapes[*at].next;
    wanted.next = *at;
    m->shapes[m->nshapes] = wanted;
    *out = *at = (uint32_t)m->nshapes++;
    return 0;
}

static uint64_t values_of(const struct match_rule *rule, uint32_t shape, const char *method)
{
    uint64_t hash = match_values_start(shape);

    if (method)
        hash = match_values_add(hash, str_of(method));
    for (size_t i = 0; i < rule->nconditions; i++)
        if (rule->conditions[i].value)
            hash = match_values_add(hash, str_of(rule->conditions[i].value));
    return hash;
}

struct twin {
    const struct matcher *m;
    const struct match_entry *e;
};

static bool is_twin(const void *ctx, uint32_t value)
{
    const struct twin *t = ctx;
    const struct match_entry *a = &t->m->entries[value], *b = t->e;

    if (a->shape != b->shape || (a->method && strcmp(a->method, b->method) != 0))
        return false;
    for (size_t i = 0; i < a->rule->nconditions; i++)
        if (a->rule->conditions[i].value &&
            strcmp(a->rule->conditions[i].value, b->rule->conditions[i].value) != 0)
            return false;
    return true;
}

static int add_entry(struct matcher *m, const struct match_rule *rule, uint32_t shape,
                     const char *method, struct err *e)
{
    uint64_t hash = values_of(rule, shape, method);
    struct match_entry entry = {rule, method, shape};
    struct twin t = {m, &entry};
    uint32_t other = match_table_find(&m->by_values, hash, shape, is_twin, &t);

    if (other != NOTHING)
        return err_set(e, ERR_CONFLICT, "asks for the same as '%s' (%s)",
                       m->entries[other].rule->name, m->entries[other].rule->pointer);
    if (!GROW(m, entries, nentries, entries_size) ||
        table_add(&m->by_values, hash, shape, (uint32_t)m->nentries))
        return err_memory(e);
    m->entries[m->nentries++] = entry;
    return 0;
}

static bool host_is_good(const char *host)
{
    const char *name = host[0] == '*' && host[1] == '.' ? host + 2 : host;
    size_t n = strlen(name);

    if (n == 0 || n > 253 || name[0] == '.' || name[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              strchr("-._[]:", name[i])))
            return false;
    return true;
}

int matcher_add(struct matcher *m, const struct match_rule *rule, struct err *e)
{
    uint32_t node = NOTHING, shape = NOTHING;
    bool below = false;

    if (m->nrules == MATCH_RULES_MAX || rule->nconditions > MATCH_CONDITIONS_MAX)
        return err_set(e, ERR_LIMIT, "at most %d rules, of %d conditions each", MATCH_RULES_MAX,
                       MATCH_CONDITIONS_MAX);
    if (rule->host && !host_is_good(rule->host))
        return err_set(e, ERR_INVALID, "a host is a name in lower case or *.suffix, without port");
    if (!GROW(m, rules, nrules, rules_size))
        return err_memory(e);
    if (place(m, rule, &node, &below, e) || shape_for(m, node, below, rule, &shape, e))
        return -1;
    for (size_t i = 0; rule->methods && rule->methods[i]; i++)
        if (add_entry(m, rule, shape, rule->methods[i], e))
            return -1;
    if (!rule->methods && add_entry(m, rule, shape, NULL, e))
        return -1;
    m->rules[m->nrules++] = rule;
    return 0;
}
