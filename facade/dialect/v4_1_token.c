// SPDX-License-Identifier: Apache-2.0
// Tokens, columns and literals of a v4_1 `query`: MySQL's words, texts and numbers, the legacy
// columns that a map knows, and literals as canonical values. Grammar: v4_1_query.c.
// Owns nothing; pure functions, any thread.
#include "facade/dialect/v4_1_query_int.h"

#include <stdio.h>

// ---- tokens

bool v4_1_is_word(char c)
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
    bool bad = i < p->in.len && v4_1_is_word(z[i]);
    return (struct token){bad ? TOKEN_BAD : TOKEN_NUMBER, {z + start, i - start}, false};
}

static struct token take_word(struct parser *p, bool quoted)
{
    size_t start = p->at += quoted;

    while (p->at < p->in.len && v4_1_is_word(p->in.data[p->at]))
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

void v4_1_next(struct parser *p)
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
    else if (v4_1_is_word(c) || c == '`')
        p->token = take_word(p, c == '`');
    else
        p->token = take_sign(p);
}

int v4_1_refuse(struct parser *p, const char *why)
{
    return err_set(p->e, ERR_INVALID, "query, byte %zu: %s", p->at, why);
}

bool v4_1_is_keyword(const struct parser *p, const char *word)
{
    return p->token.kind == TOKEN_WORD && !p->token.quoted &&
           str_eq_nocase(p->token.text, str_of(word));
}

bool v4_1_accept_keyword(struct parser *p, const char *word)
{
    if (!v4_1_is_keyword(p, word))
        return false;
    v4_1_next(p);
    return true;
}

bool v4_1_accept_sign(struct parser *p, const char *sign)
{
    if (p->token.kind != TOKEN_SIGN || !str_eqz(p->token.text, sign))
        return false;
    v4_1_next(p);
    return true;
}

// ---- columns

bool v4_1_is_reserved(struct str w)
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
    if (p->token.kind != TOKEN_WORD || (!p->token.quoted && v4_1_is_reserved(p->token.text)))
        return v4_1_refuse(p, "a column is expected");
    *out = p->token.text;
    v4_1_next(p);
    return 0;
}

int v4_1_take_column(struct parser *p, const struct field **out)
{
    struct str table = {"", 0}, column;

    if (take_name(p, &column) < 0)
        return -1;
    if (p->token.kind == TOKEN_SIGN && str_eqz(p->token.text, "(") &&
        (str_eq_nocase(column, STR("upper")) || str_eq_nocase(column, STR("lower")))) {
        // Text compares without regard to case anyway.
        v4_1_next(p);
        if (++p->depth > FILTER_DEPTH_MAX || v4_1_take_column(p, out) < 0)
            return v4_1_refuse(p, "a column is expected");
        p->depth--;
        if ((*out)->type != TYPE_TEXT && (*out)->type != TYPE_ID)
            return v4_1_refuse(p, "upper and lower take text");
        return v4_1_accept_sign(p, ")") ? 0 : v4_1_refuse(p, "')' is expected");
    }
    if (v4_1_accept_sign(p, ".")) {
        table = column;
        if (take_name(p, &column) < 0)
            return -1;
    }
    *out = find_column(p->module, table, column);
    if (!*out || (*out)->secret)
        return v4_1_refuse(p, "no such column");
    return 0;
}

// ---- literals

int v4_1_take_literal(struct parser *p, struct literal *out)
{
    bool function = v4_1_is_keyword(p, "upper") || v4_1_is_keyword(p, "lower");

    if (function) {
        v4_1_next(p);
        if (!v4_1_accept_sign(p, "("))
            return v4_1_refuse(p, "'(' is expected");
    }
    if (v4_1_is_keyword(p, "true") || v4_1_is_keyword(p, "false"))
        *out = (struct literal){v4_1_is_keyword(p, "true") ? STR("1") : STR("0"), true};
    else if (p->token.kind == TOKEN_TEXT || p->token.kind == TOKEN_NUMBER)
        *out = (struct literal){p->token.text, p->token.kind == TOKEN_NUMBER};
    else
        return v4_1_refuse(p, "a literal is expected");
    v4_1_next(p);
    if (function && !v4_1_accept_sign(p, ")"))
        return v4_1_refuse(p, "')' is expected");
    if (!str_is_utf8(out->text))
        return v4_1_refuse(p, "a literal is not UTF-8");
    return 0;
}

static bool take_char(struct str s, size_t *at, const char *any)
{
    if (*at >= s.len || s.data[*at] == '\0' || !strchr(any, s.data[*at]))
        return false;
    ++*at;
    return true;
}

// YYYY-M-D with or without H:M:S, as MySQL reads it, in the canonical form of the field; false
// when it is none. A time other than midnight does not fit a date.
static bool read_moment(const struct field *f, struct str s, char out[20])
{
    unsigned y, mo, d, h = 0, mi = 0, se = 0;
    size_t at = 0;

    if (!v4_1_digits(s, &at, 4, 4, &y) || !take_char(s, &at, "-") ||
        !v4_1_digits(s, &at, 1, 2, &mo) || !take_char(s, &at, "-") ||
        !v4_1_digits(s, &at, 1, 2, &d))
        return false;
    if (at < s.len && (!take_char(s, &at, " T") || !v4_1_digits(s, &at, 1, 2, &h) ||
                       !take_char(s, &at, ":") || !v4_1_digits(s, &at, 1, 2, &mi) ||
                       !take_char(s, &at, ":") || !v4_1_digits(s, &at, 1, 2, &se)))
        return false;
    if (at != s.len || (f->type == TYPE_DATE && (h || mi || se)))
        return false;
    int n = f->type == TYPE_DATE
                ? snprintf(out, 20, "%04u-%02u-%02u", y, mo, d)
                : snprintf(out, 20, "%04u-%02u-%02u %02u:%02u:%02u", y, mo, d, h, mi, se);
    return n > 0 && n < 20;
}

// The literal as a value of the field. What does not fit is refused rather than guessed at.
int v4_1_to_value(struct parser *p, const struct field *f, struct literal l, struct value *out)
{
    char moment[20];

    if (f->type == TYPE_TEXT || f->type == TYPE_ID) {
        *out = value_set(l.text);
        return 0;
    }
    if (f->type == TYPE_DATE || f->type == TYPE_TIMESTAMP) {
        if (!read_moment(f, l.text, moment))
            return v4_1_refuse(p, "no date");
        l.text = arena_str(p->arena, str_of(moment));
        if (!l.text.data)
            return err_memory(p->e);
    }
    if (type_parse(f, l.text, p->arena, out, p->e) < 0)
        return -1;
    return out->state == VALUE_SET ? 0 : v4_1_refuse(p, "the literal does not fit its column");
}

int v4_1_take_value(struct parser *p, const struct field *f, struct value *out)
{
    struct literal l;

    return v4_1_take_literal(p, &l) < 0 || v4_1_to_value(p, f, l, out) < 0 ? -1 : 0;
}

// A pattern whose last backslash stands alone means the backslash itself.
int v4_1_to_pattern(struct parser *p, struct str s, struct value *out)
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
