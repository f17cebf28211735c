// SPDX-License-Identifier: Apache-2.0
// The `query` and `order_by` of the v4_1 dialect: SQL fragments in the wire format, read here
// into a filter of known fields and canonical values. An allow-list: what it does not know is
// refused, and nothing of the text ever reaches a store but as a parameter.
// Owns nothing; pure functions, any thread.
//
//   or     := and { OR and }            and := not { AND not }
//   not    := NOT not | '(' or ')' | test
//   test   := column ( op literal | [NOT] LIKE text | [NOT] IN '(' literal {',' literal} ')'
//                    | [NOT] BETWEEN literal AND literal | IS [NOT] NULL | IN '(' emails ')' )
//   column := [table '.'] name | (upper|lower) '(' column ')'
//   table  := the module's own or one of its extension tables
//   emails := SELECT b.bean_id FROM email_addr_bean_rel b [INNER | LEFT] JOIN email_addresses a
//             ON b.email_address_id = a.id WHERE a.email_address (= | LIKE | IN) text
//             [AND b.bean_module = 'Module'] [AND x.deleted = 0] [AND b.primary_address = 1]
//             in any order; `, email_addresses a` with the join among the tests will do too
#include "facade/dialect/v4_1_query_int.h"

#define LIST_MAX 1000 // literals of one IN

// ---- filters

static struct filter *make(struct parser *p, enum filter_kind kind, size_t nchildren,
                           size_t nvalues)
{
    struct filter *f = arena_alloc(p->arena, sizeof(*f));
    struct value *values = arena_array(p->arena, nvalues + 1, sizeof(*values));

    if (++p->nodes > FILTER_NODES_MAX) {
        (void)v4_1_refuse(p, "too long");
        return NULL;
    }
    if (!f || !values || !(f->children = arena_array(p->arena, nchildren + 1, sizeof(f)))) {
        (void)err_memory(p->e);
        return NULL;
    }
    f->kind = kind;
    f->values = values;
    f->nvalues = nvalues;
    return f;
}

static struct filter *compare(struct parser *p, const struct field *f, enum text_match op,
                              struct value v)
{
    struct filter *out = make(p, FILTER_COMPARE, 0, 1);

    if (out) {
        out->field = f;
        out->op = op;
        *(struct value *)out->values = v;
    }
    return out;
}

static struct filter *take_like(struct parser *p, const struct field *f, bool negated)
{
    struct literal l;
    struct value v = {0};

    if (f->type == TYPE_BOOLEAN || f->type == TYPE_DECIMAL || f->type == TYPE_FLOAT) {
        (void)v4_1_refuse(p, "LIKE takes no numbers with a fraction and no booleans");
        return NULL;
    }
    if (v4_1_take_literal(p, &l) < 0 || v4_1_to_pattern(p, l.text, &v) < 0)
        return NULL;
    return compare(p, f, negated ? MATCH_NOT_LIKE : MATCH_LIKE, v);
}

static struct filter *take_between(struct parser *p, const struct field *f, bool negated)
{
    struct filter *out = make(p, FILTER_BETWEEN, 0, 2);

    if (!out)
        return NULL;
    struct value *v = (struct value *)out->values;
    out->field = f;
    out->negated = negated;
    if (v4_1_take_value(p, f, &v[0]) < 0)
        return NULL;
    if (!v4_1_accept_keyword(p, "and")) {
        (void)v4_1_refuse(p, "AND is expected");
        return NULL;
    }
    return v4_1_take_value(p, f, &v[1]) < 0 ? NULL : out;
}

static struct filter *take_list(struct parser *p, const struct field *f, bool negated)
{
    struct value *v = arena_array(p->arena, LIST_MAX, sizeof(*v));
    size_t n = 0;

    if (!v) {
        (void)err_memory(p->e);
        return NULL;
    }
    do {
        if (n == LIST_MAX) {
            (void)v4_1_refuse(p, "too many values");
            return NULL;
        }
        if (v4_1_take_value(p, f, &v[n++]) < 0)
            return NULL;
    } while (v4_1_accept_sign(p, ","));
    struct filter *out = v4_1_accept_sign(p, ")") ? make(p, FILTER_IN, 0, 0) : NULL;
    if (!out) {
        (void)v4_1_refuse(p, "')' is expected");
        return NULL;
    }
    out->field = f;
    out->negated = negated;
    out->values = v;
    out->nvalues = n;
    return out;
}

// ---- the one sub-select
//
// Clients write it in many ways; what counts is that it says no more than "the record's address
// is so". Columns without a table are those that only one of the two tables has.

struct emails {
    struct str bean, address; /* the aliases */
    struct filter *found;
    bool joined;
};

static bool accept_word(struct parser *p, const char *word)
{
    if (p->token.kind != TOKEN_WORD || !str_eq_nocase(p->token.text, str_of(word)))
        return false;
    v4_1_next(p);
    return true;
}

static bool may_be_alias(const struct parser *p)
{
    static const char *const words[] = {"inner", "left", "outer", "join", "on"};

    if (p->token.kind != TOKEN_WORD || v4_1_is_reserved(p->token.text))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_eq_nocase(p->token.text, str_of(words[i])))
            return false;
    return true;
}

static bool take_alias(struct parser *p, const char *table, struct str *out)
{
    if (!accept_word(p, table))
        return false;
    bool named = v4_1_accept_keyword(p, "as");
    *out = str_of(table);
    if (!may_be_alias(p))
        return !named;
    *out = p->token.text;
    v4_1_next(p);
    return true;
}

// `bare`: the column may stand without its table.
static bool accept_column(struct parser *p, struct str alias, const char *column, bool bare)
{
    if (bare && accept_word(p, column))
        return true;
    if (p->token.kind != TOKEN_WORD || !str_eq_nocase(p->token.text, alias))
        return false;
    struct parser before = *p;
    v4_1_next(p);
    if (v4_1_accept_sign(p, ".") && accept_word(p, column))
        return true;
    *p = before;
    return false;
}

// bean.email_address_id = address.id, either way round.
static bool accept_join(struct parser *p, const struct emails *s)
{
    struct parser before = *p;

    if (accept_column(p, s->bean, "email_address_id", true) && v4_1_accept_sign(p, "=") &&
        accept_column(p, s->address, "id", false))
        return true;
    *p = before;
    if (accept_column(p, s->address, "id", false) && v4_1_accept_sign(p, "=") &&
        accept_column(p, s->bean, "email_address_id", true))
        return true;
    *p = before;
    return false;
}

static bool take_on(struct parser *p, const struct emails *s)
{
    if (!v4_1_accept_keyword(p, "on"))
        return false;
    bool open = v4_1_accept_sign(p, "(");
    return accept_join(p, s) && (!open || v4_1_accept_sign(p, ")"));
}

// `= 0` or `= '1'`, as `want` says.
static bool take_equal(struct parser *p, const char *want)
{
    bool same = v4_1_accept_sign(p, "=") &&
                (p->token.kind == TOKEN_TEXT || p->token.kind == TOKEN_NUMBER) &&
                str_eqz(p->token.text, want);
    v4_1_next(p);
    return same;
}

static struct filter *take_address(struct parser *p)
{
    const struct field *email = p->module->email;
    struct value v = {0};

    if (v4_1_accept_keyword(p, "like"))
        return take_like(p, email, false);
    if (v4_1_accept_keyword(p, "in"))
        return v4_1_accept_sign(p, "(") && p->token.kind == TOKEN_TEXT ? take_list(p, email, false)
                                                                       : NULL;
    if (!v4_1_accept_sign(p, "=") || v4_1_take_value(p, email, &v) < 0)
        return NULL;
    return compare(p, email, MATCH_EQ, v);
}

static bool take_email_test(struct parser *p, struct emails *s)
{
    if (!s->joined && accept_join(p, s))
        return (s->joined = true);
    if (accept_column(p, s->bean, "bean_module", true))
        return take_equal(p, p->module->name);
    if (accept_column(p, s->bean, "deleted", false) ||
        accept_column(p, s->address, "deleted", false))
        return take_equal(p, "0");
    if (accept_column(p, s->bean, "primary_address", true))
        return take_equal(p, "1");
    // Addresses compare without case, whichever of the two columns is asked.
    if (s->found || (!accept_column(p, s->address, "email_address", true) &&
                     !accept_column(p, s->address, "email_address_caps", true)))
        return false;
    return (s->found = take_address(p)) != NULL;
}

static bool take_tables(struct parser *p, struct emails *s)
{
    if (!take_alias(p, "email_addr_bean_rel", &s->bean))
        return false;
    if (v4_1_accept_sign(p, ","))
        return take_alias(p, "email_addresses", &s->address);
    if (accept_word(p, "left"))
        (void)accept_word(p, "outer");
    else
        (void)accept_word(p, "inner");
    s->joined = true;
    return accept_word(p, "join") && take_alias(p, "email_addresses", &s->address) && take_on(p, s);
}

static bool take_select(struct parser *p, struct emails *s)
{
    struct str first = p->token.text; // the alias before its table is known
    bool bare = accept_word(p, "bean_id");

    if (!bare && (p->token.kind != TOKEN_WORD || !accept_column(p, first, "bean_id", false)))
        return false;
    if (!v4_1_accept_keyword(p, "from") || !take_tables(p, s) || str_eq(s->bean, s->address) ||
        (!bare && !str_eq_nocase(first, s->bean)) || !v4_1_accept_keyword(p, "where"))
        return false;
    do {
        if (!take_email_test(p, s))
            return false;
    } while (v4_1_accept_keyword(p, "and"));
    return s->joined && s->found && v4_1_accept_sign(p, ")");
}

static struct filter *take_in(struct parser *p, const struct field *f, bool negated)
{
    struct emails s = {0};

    if (!v4_1_accept_sign(p, "(")) {
        (void)v4_1_refuse(p, "'(' is expected");
        return NULL;
    }
    if (!v4_1_accept_keyword(p, "select"))
        return take_list(p, f, negated);
    if (negated || !f->key || !p->module->email || !take_select(p, &s)) {
        (void)v4_1_refuse(p, "this sub-select is not known");
        return NULL;
    }
    return s.found;
}

// ---- the grammar

static struct filter *take_null_test(struct parser *p, const struct field *f)
{
    bool negated = v4_1_accept_keyword(p, "not");
    struct filter *out = v4_1_accept_keyword(p, "null") ? make(p, FILTER_IS_NULL, 0, 0) : NULL;

    if (!out) {
        (void)v4_1_refuse(p, "NULL is expected");
        return NULL;
    }
    out->field = f;
    out->negated = negated;
    return out;
}

static struct filter *take_comparison(struct parser *p, const struct field *f)
{
    static const struct {
        const char *sign;
        enum text_match op;
    } signs[] = {{"=", MATCH_EQ},  {"<>", MATCH_NE}, {"!=", MATCH_NE}, {"<", MATCH_LT},
                 {"<=", MATCH_LE}, {">", MATCH_GT},  {">=", MATCH_GE}};
    struct literal l;
    struct value v = {0};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (!v4_1_accept_sign(p, signs[i].sign))
            continue;
        if (v4_1_take_literal(p, &l) < 0)
            return NULL;
        // The legacy would compare text with a bare number as numbers.
        if (l.number && f->type == TYPE_TEXT && signs[i].op != MATCH_EQ &&
            signs[i].op != MATCH_NE) {
            (void)v4_1_refuse(p, "text is compared with a number");
            return NULL;
        }
        return v4_1_to_value(p, f, l, &v) < 0 ? NULL : compare(p, f, signs[i].op, v);
    }
    (void)v4_1_refuse(p, "a comparison is expected");
    return NULL;
}

static struct filter *take_test(struct parser *p)
{
    const struct field *f;

    if (v4_1_take_column(p, &f) < 0)
        return NULL;
    if (v4_1_accept_keyword(p, "is"))
        return take_null_test(p, f);
    bool negated = v4_1_accept_keyword(p, "not");
    if (v4_1_accept_keyword(p, "like"))
        return take_like(p, f, negated);
    if (v4_1_accept_keyword(p, "in"))
        return take_in(p, f, negated);
    if (v4_1_accept_keyword(p, "between"))
        return take_between(p, f, negated);
    if (!negated)
        return take_comparison(p, f);
    (void)v4_1_refuse(p, "LIKE, IN or BETWEEN is expected");
    return NULL;
}

static struct filter *take_or(struct parser *p);

static struct filter *take_not(struct parser *p)
{
    struct filter *out = NULL;

    if (++p->depth > FILTER_DEPTH_MAX) {
        (void)v4_1_refuse(p, "nested too deeply");
        return NULL;
    }
    if (v4_1_accept_keyword(p, "not")) {
        struct filter *inner = take_not(p);
        out = inner ? make(p, FILTER_NOT, 1, 0) : NULL;
        if (out)
            out->children[out->nchildren++] = inner;
    } else if (v4_1_accept_sign(p, "(")) {
        out = take_or(p);
        if (out && !v4_1_accept_sign(p, ")")) {
            (void)v4_1_refuse(p, "')' is expected");
            out = NULL;
        }
    } else {
        out = take_test(p);
    }
    p->depth--;
    return out;
}

// One or more filters joined by a keyword; a single one stands for itself.
static struct filter *take_joined(struct parser *p, const char *word, enum filter_kind kind,
                                  struct filter *(*take)(struct parser *p))
{
    struct filter *first = take(p), *out;

    if (!first || !v4_1_is_keyword(p, word))
        return first;
    out = make(p, kind, FILTER_NODES_MAX, 0);
    if (!out)
        return NULL;
    out->children[out->nchildren++] = first;
    while (v4_1_accept_keyword(p, word)) {
        struct filter *then = take(p);
        if (!then)
            return NULL;
        out->children[out->nchildren++] = then;
    }
    return out;
}

static struct filter *take_and(struct parser *p)
{
    return take_joined(p, "and", FILTER_AND, take_not);
}

static struct filter *take_or(struct parser *p)
{
    return take_joined(p, "or", FILTER_OR, take_and);
}

int v4_1_query(const struct v4_1_module *m, struct str text, struct arena *a, struct filter **out,
               struct err *e)
{
    struct parser p = {.module = m, .in = text, .arena = a, .e = e};

    *out = NULL;
    if (text.len > V4_1_QUERY_MAX)
        return err_set(e, ERR_INVALID, "query longer than %d bytes", V4_1_QUERY_MAX);
    v4_1_next(&p);
    if (p.token.kind == TOKEN_END)
        return 0;
    struct filter *f = take_or(&p);
    if (!f)
        return -1;
    if (p.token.kind != TOKEN_END)
        return v4_1_refuse(&p, "something follows the last condition");
    *out = f;
    return 0;
}

// ---- order_by

// "name", "name ASC", "name DESC". False: not something that sorts.
static bool take_order(const struct v4_1_module *m, struct str part, struct order *out)
{
    size_t n = 0;

    part = str_trim(part);
    while (n < part.len && v4_1_is_word(part.data[n]))
        n++;
    struct str name = str_n(part.data, n), rest = str_trim(str_n(part.data + n, part.len - n));
    out->desc = str_eq_nocase(rest, STR("desc"));
    if (n == 0 || (rest.len > 0 && !out->desc && !str_eq_nocase(rest, STR("asc"))))
        return false;
    out->field = entity_field(m->entity, name);
    if (!out->field && m->parts && str_eqz(name, "name"))
        out->field = m->parts[m->nparts - 1];
    return out->field != NULL;
}

int v4_1_order(const struct v4_1_module *m, struct str text, struct arena *a, struct order **out,
               size_t *n, struct err *e)
{
    *n = 0;
    *out = arena_array(a, V4_1_ORDER_MAX, sizeof(**out));
    if (!*out)
        return err_memory(e);
    if (text.len > 0 && str_trim(text).len == 0)
        return err_set(e, ERR_INVALID, "order_by is blank");
    while (text.len > 0 && *n < V4_1_ORDER_MAX) {
        const char *comma = memchr(text.data, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.data) : text.len;
        struct order *o = &(*out)[*n];
        if (take_order(m, str_n(text.data, len), o)) {
            if (o->field->secret)
                return err_set(e, ERR_INVALID, "order_by names a secret field");
            ++*n;
        }
        len += comma != NULL;
        text = str_n(text.data + len, text.len - len);
    }
    return 0;
}
