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
//   emails := SELECT b.bean_id FROM email_addr_bean_rel b [INNER] JOIN email_addresses a
//             ON b.email_address_id = a.id WHERE b.bean_module = 'Module'
//             AND a.email_address (= | LIKE) text [AND x.deleted = 0]..
#include "facade/dialect/v4_1_int.h"

#include <stdio.h>

#define LIST_MAX 1000 // literals of one IN

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN, TOKEN_BAD };

struct token {
    enum token_kind kind;
    struct str text; // words and numbers as written, texts unescaped, signs
    bool quoted;     // a word in backticks: never a keyword
};

struct parser {
    const struct v4_1_module *module;
    struct str in;
    size_t at;
    struct token token; // the one that comes next
    struct arena *arena;
    unsigned depth, nodes;
    struct err *e;
};

// ---- tokens

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// What a backslash and `c` stand for in a MySQL text literal; `\%` and `\_` stay as they are.
static size_t unescape(char c, char out[2])
{
    switch (c) {
    case 'n': out[0] = '\n'; return 1;
    case 't': out[0] = '\t'; return 1;
    case 'r': out[0] = '\r'; return 1;
    case 'b': out[0] = '\b'; return 1;
    case 'Z': out[0] = 26; return 1;
    case '%':
    case '_':
        out[0] = '\\';
        out[1] = c;
        return 2;
    default: out[0] = c; return 1;
    }
}

static struct token take_text(struct parser *p, char quote)
{
    struct token bad = {TOKEN_BAD, {"", 0}, false};
    size_t start = ++p->at, n = 0;

    while (p->at < p->in.len) {
        char c = p->in.data[p->at];
        if (c == quote && (p->at + 1 >= p->in.len || p->in.data[p->at + 1] != quote))
            break;
        p->at += c == quote || c == '\\' ? 2 : 1;
    }
    if (p->at >= p->in.len)
        return bad;
    struct str raw = str_n(p->in.data + start, p->at++ - start);
    char *text = arena_alloc(p->arena, raw.len + 1);
    if (!text)
        return bad;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];
        if (c == '\\' && raw.data[i + 1] == '0')
            return bad;
        if (c == '\\')
            n += unescape(raw.data[++i], text + n);
        else if (c == quote)
            text[n++] = raw.data[i++];
        else if (c == '\0')
            return bad;
        else
            text[n++] = c;
    }
    return (struct token){TOKEN_TEXT, {text, n}, false};
}

static struct token take_number(struct parser *p)
{
    size_t start = p->at, i = p->at;
    const char *z = p->in.data;

    if (z[i] == '-' || z[i] == '+')
        i++;
    while (i < p->in.len && (is_digit(z[i]) || z[i] == '.'))
        i++;
    if (i < p->in.len && (z[i] == 'e' || z[i] == 'E')) {
        i++;
        if (i < p->in.len && (z[i] == '-' || z[i] == '+'))
            i++;
        while (i < p->in.len && is_digit(z[i]))
            i++;
    }
    p->at = i;
    bool bad = i < p->in.len && is_word(z[i]);
    return (struct token){bad ? TOKEN_BAD : TOKEN_NUMBER, {z + start, i - start}, false};
}

static struct token take_word(struct parser *p, bool quoted)
{
    size_t start = p->at += quoted;

    while (p->at < p->in.len && is_word(p->in.data[p->at]))
        p->at++;
    struct str word = str_n(p->in.data + start, p->at - start);
    if (!quoted)
        return (struct token){TOKEN_WORD, word, false};
    if (word.len == 0 || p->at >= p->in.len || p->in.data[p->at++] != '`')
        return (struct token){TOKEN_BAD, word, false};
    return (struct token){TOKEN_WORD, word, true};
}

static struct token take_sign(struct parser *p)
{
    static const char *const signs[] = {"<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "."};
    struct str rest = str_n(p->in.data + p->at, p->in.len - p->at);

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (str_starts(rest, str_of(signs[i]))) {
            p->at += strlen(signs[i]);
            return (struct token){TOKEN_SIGN, str_of(signs[i]), false};
        }
    return (struct token){TOKEN_BAD, rest, false};
}

static void next(struct parser *p)
{
    while (p->at < p->in.len && strchr(" \t\r\n", p->in.data[p->at]) && p->in.data[p->at])
        p->at++;
    if (p->at >= p->in.len) {
        p->token = (struct token){TOKEN_END, {"", 0}, false};
        return;
    }
    char c = p->in.data[p->at];
    char then = p->at + 1 < p->in.len ? p->in.data[p->at + 1] : '\0';
    if (c == '\'' || c == '"')
        p->token = take_text(p, c);
    else if (is_digit(c) || ((c == '-' || c == '+') && (is_digit(then) || then == '.')))
        p->token = take_number(p);
    else if (is_word(c) || c == '`')
        p->token = take_word(p, c == '`');
    else
        p->token = take_sign(p);
}

static int refuse(struct parser *p, const char *why)
{
    return err_set(p->e, ERR_INVALID, "query, byte %zu: %s", p->at, why);
}

static bool is_keyword(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && !p->token.quoted &&
           str_eq_nocase(p->token.text, str_of(word));
}

static bool accept_keyword(struct parser *p, const char *word)
{
    if (!is_keyword(p, word))
        return false;
    next(p);
    return true;
}

static bool accept_sign(struct parser *p, const char *sign)
{
    if (p->token.kind != TOKEN_SIGN || !str_eqz(p->token.text, sign))
        return false;
    next(p);
    return true;
}

// ---- columns

static bool is_reserved(struct str w)
{
    static const char *const words[] = {"and", "or",   "not",    "like",  "in",   "between",
                                        "is",  "null", "select", "union", "from", "where"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_eq_nocase(w, str_of(words[i])))
            return true;
    return false;
}

// The field of a legacy column; `table` of length 0: any table of the module.
static const struct field *find_column(const struct v4_1_module *m, struct str table,
                                       struct str column)
{
    const struct entity *en = m->entity;
    const struct side_map *side = &en->sides[SIDE_LEGACY];
    bool root = table.len == 0 || str_eqz(table, m->table);

    for (size_t i = 0; i < side->nextensions; i++)
        if (str_eqz(table, side->extensions[i].table) && en->nkeys == 1 &&
            str_eq_nocase(column, str_of(side->extensions[i].key_column)))
            return en->keys[0];
    for (size_t i = 0; i < en->nfields; i++) {
        const struct place *at = &en->fields[i].place[SIDE_LEGACY];
        if (!at->column || !str_eq_nocase(column, str_of(at->column)))
            continue;
        if (at->kind == PLACE_ROOT && root)
            return &en->fields[i];
        if (at->kind == PLACE_EXTENSION &&
            (table.len == 0 || str_eqz(table, side->extensions[at->index].table)))
            return &en->fields[i];
    }
    return NULL;
}

static int take_name(struct parser *p, struct str *out)
{
    if (p->token.kind != TOKEN_WORD || (!p->token.quoted && is_reserved(p->token.text)))
        return refuse(p, "a column is expected");
    *out = p->token.text;
    next(p);
    return 0;
}

static int take_column(struct parser *p, const struct field **out)
{
    struct str table = {"", 0}, column;

    if (take_name(p, &column) < 0)
        return -1;
    if (p->token.kind == TOKEN_SIGN && str_eqz(p->token.text, "(") &&
        (str_eq_nocase(column, STR("upper")) || str_eq_nocase(column, STR("lower")))) {
        // Text compares without regard to case anyway.
        next(p);
        if (++p->depth > FILTER_DEPTH_MAX || take_column(p, out) < 0)
            return refuse(p, "a column is expected");
        p->depth--;
        if ((*out)->type != TYPE_TEXT && (*out)->type != TYPE_ID)
            return refuse(p, "upper and lower take text");
        return accept_sign(p, ")") ? 0 : refuse(p, "')' is expected");
    }
    if (accept_sign(p, ".")) {
        table = column;
        if (take_name(p, &column) < 0)
            return -1;
    }
    *out = find_column(p->module, table, column);
    if (!*out || (*out)->secret)
        return refuse(p, "no such column");
    return 0;
}

// ---- literals

struct literal {
    struct str text;
    bool number;
};

static int take_literal(struct parser *p, struct literal *out)
{
    bool function = is_keyword(p, "upper") || is_keyword(p, "lower");

    if (function) {
        next(p);
        if (!accept_sign(p, "("))
            return refuse(p, "'(' is expected");
    }
    if (is_keyword(p, "true") || is_keyword(p, "false"))
        *out = (struct literal){is_keyword(p, "true") ? STR("1") : STR("0"), true};
    else if (p->token.kind == TOKEN_TEXT || p->token.kind == TOKEN_NUMBER)
        *out = (struct literal){p->token.text, p->token.kind == TOKEN_NUMBER};
    else
        return refuse(p, "a literal is expected");
    next(p);
    if (function && !accept_sign(p, ")"))
        return refuse(p, "')' is expected");
    if (!str_is_utf8(out->text))
        return refuse(p, "a literal is not UTF-8");
    return 0;
}

// YYYY-M-D with or without HH:MM:SS, as MySQL reads it, in the canonical form of the field;
// false when it is none. A time other than midnight does not fit a date.
static bool read_moment(const struct field *f, struct str s, char out[20])
{
    int y, mo, d, h = 0, mi = 0, se = 0, n = 0;
    char z[24];

    if (str_copy(z, sizeof(z), s) < 0)
        return false;
    if (sscanf(z, "%4d-%2d-%2d%n", &y, &mo, &d, &n) < 3)
        return false;
    if (z[n] != '\0') {
        int more = 0;
        if ((z[n] != ' ' && z[n] != 'T') ||
            sscanf(z + n + 1, "%2d:%2d:%2d%n", &h, &mi, &se, &more) < 3 || z[n + 1 + more] != '\0')
            return false;
    }
    if (y < 0 || mo < 0 || d < 0 || h < 0 || mi < 0 || se < 0)
        return false;
    if (f->type == TYPE_DATE && (h || mi || se))
        return false;
    n = f->type == TYPE_DATE
            ? snprintf(out, 20, "%04u-%02u-%02u", (unsigned)y % 10000u, (unsigned)mo % 100u,
                       (unsigned)d % 100u)
            : snprintf(out, 20, "%04u-%02u-%02u %02u:%02u:%02u", (unsigned)y % 10000u,
                       (unsigned)mo % 100u, (unsigned)d % 100u, (unsigned)h % 100u,
                       (unsigned)mi % 100u, (unsigned)se % 100u);
    return n > 0 && n < 20;
}

// The literal as a value of the field. What does not fit is refused rather than guessed at.
static int to_value(struct parser *p, const struct field *f, struct literal l, struct value *out)
{
    char moment[20];

    if (f->type == TYPE_TEXT || f->type == TYPE_ID) {
        *out = value_set(l.text);
        return 0;
    }
    if (f->type == TYPE_DATE || f->type == TYPE_TIMESTAMP) {
        if (!read_moment(f, l.text, moment))
            return refuse(p, "no date");
        l.text = arena_str(p->arena, str_of(moment));
        if (!l.text.data)
            return err_memory(p->e);
    }
    if (type_parse(f, l.text, p->arena, out, p->e) < 0)
        return -1;
    return out->state == VALUE_SET ? 0 : refuse(p, "the literal does not fit its column");
}

static int take_value(struct parser *p, const struct field *f, struct value *out)
{
    struct literal l;

    return take_literal(p, &l) < 0 || to_value(p, f, l, out) < 0 ? -1 : 0;
}

// A pattern whose last backslash stands alone means the backslash itself.
static int to_pattern(struct parser *p, struct str s, struct value *out)
{
    size_t slashes = 0;

    while (slashes < s.len && s.data[s.len - 1 - slashes] == '\\')
        slashes++;
    if (slashes % 2) {
        s = arena_printf(p->arena, "%.*s\\", (int)s.len, s.data);
        if (!s.data)
            return err_memory(p->e);
    }
    *out = value_set(s);
    return 0;
}

// ---- filters

static struct filter *make(struct parser *p, enum filter_kind kind, size_t nchildren,
                           size_t nvalues)
{
    struct filter *f = arena_alloc(p->arena, sizeof(*f));
    struct value *values = arena_array(p->arena, nvalues + 1, sizeof(*values));

    if (++p->nodes > FILTER_NODES_MAX) {
        (void)refuse(p, "too long");
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
        (void)refuse(p, "LIKE takes no numbers with a fraction and no booleans");
        return NULL;
    }
    if (take_literal(p, &l) < 0 || to_pattern(p, l.text, &v) < 0)
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
    if (take_value(p, f, &v[0]) < 0)
        return NULL;
    if (!accept_keyword(p, "and")) {
        (void)refuse(p, "AND is expected");
        return NULL;
    }
    return take_value(p, f, &v[1]) < 0 ? NULL : out;
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
            (void)refuse(p, "too many values");
            return NULL;
        }
        if (take_value(p, f, &v[n++]) < 0)
            return NULL;
    } while (accept_sign(p, ","));
    struct filter *out = accept_sign(p, ")") ? make(p, FILTER_IN, 0, 0) : NULL;
    if (!out) {
        (void)refuse(p, "')' is expected");
        return NULL;
    }
    out->field = f;
    out->negated = negated;
    out->values = v;
    out->nvalues = n;
    return out;
}

// ---- the one sub-select

struct emails {
    struct str bean, address; /* the aliases */
    struct filter *found;
    bool module;
};

static bool accept_word(struct parser *p, const char *word)
{
    if (p->token.kind != TOKEN_WORD || !str_eq_nocase(p->token.text, str_of(word)))
        return false;
    next(p);
    return true;
}

static bool take_alias(struct parser *p, const char *table, struct str *out)
{
    if (!accept_word(p, table))
        return false;
    (void)accept_keyword(p, "as");
    if (p->token.kind != TOKEN_WORD || is_reserved(p->token.text))
        return false;
    *out = p->token.text;
    next(p);
    return true;
}

static bool accept_column(struct parser *p, struct str alias, const char *column)
{
    if (p->token.kind != TOKEN_WORD || !str_eq(p->token.text, alias))
        return false;
    struct parser before = *p;
    next(p);
    if (accept_sign(p, ".") && accept_word(p, column))
        return true;
    *p = before;
    return false;
}

static bool take_join(struct parser *p, const struct emails *s)
{
    if (!accept_keyword(p, "on"))
        return false;
    if (accept_column(p, s->bean, "email_address_id"))
        return accept_sign(p, "=") && accept_column(p, s->address, "id");
    return accept_column(p, s->address, "id") && accept_sign(p, "=") &&
           accept_column(p, s->bean, "email_address_id");
}

static bool take_email_test(struct parser *p, struct emails *s)
{
    const struct v4_1_module *m = p->module;

    if (accept_column(p, s->bean, "bean_module")) {
        bool same = accept_sign(p, "=") && p->token.kind == TOKEN_TEXT &&
                    str_eqz(p->token.text, m->name);
        next(p);
        return same && !s->module && (s->module = true);
    }
    if (accept_column(p, s->bean, "deleted") || accept_column(p, s->address, "deleted")) {
        bool live = accept_sign(p, "=") && str_eqz(p->token.text, "0");
        next(p);
        return live;
    }
    if (s->found || !accept_column(p, s->address, "email_address"))
        return false;
    if (accept_keyword(p, "like")) {
        s->found = take_like(p, m->email, false);
    } else if (accept_sign(p, "=")) {
        struct value v = {0};
        s->found = take_value(p, m->email, &v) < 0 ? NULL : compare(p, m->email, MATCH_EQ, v);
    }
    return s->found != NULL;
}

static bool take_select(struct parser *p, struct emails *s)
{
    if (p->token.kind != TOKEN_WORD)
        return false;
    struct str first = p->token.text;
    if (!accept_column(p, first, "bean_id") || !accept_keyword(p, "from") ||
        !take_alias(p, "email_addr_bean_rel", &s->bean) || !str_eq(first, s->bean))
        return false;
    (void)accept_keyword(p, "inner");
    if (!accept_keyword(p, "join") || !take_alias(p, "email_addresses", &s->address) ||
        !take_join(p, s) || !accept_keyword(p, "where"))
        return false;
    do {
        if (!take_email_test(p, s))
            return false;
    } while (accept_keyword(p, "and"));
    return s->module && s->found && accept_sign(p, ")");
}

static struct filter *take_in(struct parser *p, const struct field *f, bool negated)
{
    struct emails s = {0};

    if (!accept_sign(p, "(")) {
        (void)refuse(p, "'(' is expected");
        return NULL;
    }
    if (!accept_keyword(p, "select"))
        return take_list(p, f, negated);
    if (negated || !f->key || !p->module->email || !take_select(p, &s)) {
        (void)refuse(p, "this sub-select is not known");
        return NULL;
    }
    return s.found;
}

// ---- the grammar

static struct filter *take_null_test(struct parser *p, const struct field *f)
{
    bool negated = accept_keyword(p, "not");
    struct filter *out = accept_keyword(p, "null") ? make(p, FILTER_IS_NULL, 0, 0) : NULL;

    if (!out) {
        (void)refuse(p, "NULL is expected");
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
        if (!accept_sign(p, signs[i].sign))
            continue;
        if (take_literal(p, &l) < 0)
            return NULL;
        // The legacy would compare text with a bare number as numbers.
        if (l.number && f->type == TYPE_TEXT && signs[i].op != MATCH_EQ &&
            signs[i].op != MATCH_NE) {
            (void)refuse(p, "text is compared with a number");
            return NULL;
        }
        return to_value(p, f, l, &v) < 0 ? NULL : compare(p, f, signs[i].op, v);
    }
    (void)refuse(p, "a comparison is expected");
    return NULL;
}

static struct filter *take_test(struct parser *p)
{
    const struct field *f;

    if (take_column(p, &f) < 0)
        return NULL;
    if (accept_keyword(p, "is"))
        return take_null_test(p, f);
    bool negated = accept_keyword(p, "not");
    if (accept_keyword(p, "like"))
        return take_like(p, f, negated);
    if (accept_keyword(p, "in"))
        return take_in(p, f, negated);
    if (accept_keyword(p, "between"))
        return take_between(p, f, negated);
    if (!negated)
        return take_comparison(p, f);
    (void)refuse(p, "LIKE, IN or BETWEEN is expected");
    return NULL;
}

static struct filter *take_or(struct parser *p);

static struct filter *take_not(struct parser *p)
{
    struct filter *out = NULL;

    if (++p->depth > FILTER_DEPTH_MAX) {
        (void)refuse(p, "nested too deeply");
        return NULL;
    }
    if (accept_keyword(p, "not")) {
        struct filter *inner = take_not(p);
        out = inner ? make(p, FILTER_NOT, 1, 0) : NULL;
        if (out)
            out->children[out->nchildren++] = inner;
    } else if (accept_sign(p, "(")) {
        out = take_or(p);
        if (out && !accept_sign(p, ")")) {
            (void)refuse(p, "')' is expected");
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

    if (!first || !is_keyword(p, word))
        return first;
    out = make(p, kind, FILTER_NODES_MAX, 0);
    if (!out)
        return NULL;
    out->children[out->nchildren++] = first;
    while (accept_keyword(p, word)) {
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
    next(&p);
    if (p.token.kind == TOKEN_END)
        return 0;
    struct filter *f = take_or(&p);
    if (!f)
        return -1;
    if (p.token.kind != TOKEN_END)
        return refuse(&p, "something follows the last condition");
    *out = f;
    return 0;
}

// ---- order_by

// "name", "name ASC", "name DESC". False: not something that sorts.
static bool take_order(const struct v4_1_module *m, struct str part, struct order *out)
{
    size_t n = 0;

    part = str_trim(part);
    while (n < part.len && is_word(part.data[n]))
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
