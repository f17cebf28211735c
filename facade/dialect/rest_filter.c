// SPDX-License-Identifier: Apache-2.0
// Conditions of the rest dialect: name[op]=value, and filter=, whose grammar is
//
//   filter    = all *( " or " all )
//   all       = part *( " and " part )
//   part      = "not " part / "(" filter ")" / condition
//   condition = field op value
//             / field [ "not " ] "in" "(" value *( "," value ) ")"
//             / field [ "not " ] "between" value "and" value
//             / field "is" [ "not" ] "null"
//   op        = "eq" / "ne" / "lt" / "le" / "gt" / "ge" / "like" / "nlike"
//   value     = "'" *( any but "'" / "''" ) "'" / number / "true" / "false"
//
// Words are lower case. Every value is parsed by its field's type and bound; no text of the
// client ever becomes SQL. Depth, parts and values are limited. Thread: any.
#include "facade/dialect/rest.h"
#include "migrations/type.h"

#define DEPTH_MAX 16

static const struct {
    const char *word;
    enum text_match op;
} words[] = {{"eq", MATCH_EQ}, {"ne", MATCH_NE}, {"lt", MATCH_LT},     {"le", MATCH_LE},
             {"gt", MATCH_GT}, {"ge", MATCH_GE}, {"like", MATCH_LIKE}, {"nlike", MATCH_NOT_LIKE}};

// ---------------------------------------------------------------- one condition

static int pattern(const struct field *f, struct str text, struct value *out, struct err *e)
{
    size_t slashes = 0;
    if (f->type == TYPE_BYTES)
        return err_set(e, ERR_INVALID, "'%s' has no patterns", f->name);
    if (!str_is_utf8(text) || memchr(text.data ? text.data : "", 0, text.len))
        return err_set(e, ERR_INVALID, "a pattern is UTF-8 without NUL");
    while (text.data && slashes < text.len && text.data[text.len - 1 - slashes] == '\\')
        slashes++;
    if (slashes % 2)
        return err_set(e, ERR_INVALID, "a pattern cannot end with its escape");
    *out = value_set(text);
    return 0;
}

static int operand(struct arena *a, const struct field *f, bool like, struct str text,
                   struct value *out, struct err *e)
{
    if (like)
        return pattern(f, text, out, e);
    if (type_parse(f, text, a, out, e))
        return -1;
    if (out->state != VALUE_FOREIGN)
        return 0;
    return err_set(e, ERR_INVALID, "'%s' takes no such value (%s)", f->name,
                   value_problem_name((enum value_problem)out->problem));
}

static struct filter *leaf(struct arena *a, const struct entity *en, struct str name,
                           enum filter_kind kind, size_t nvalues, struct err *e)
{
    const struct field *f = entity_field(en, name);
    struct filter *out = arena_alloc(a, sizeof *out);
    struct value *values = arena_array(a, nvalues + 1, sizeof *values);
    if (!rest_readable(f)) {
        err_set(e, ERR_INVALID, "%s has no field '%.*s'", en->name, (int)str_utf8_cut(name, 64).len,
                name.data ? name.data : "");
        return NULL;
    }
    if (f->type == TYPE_JSON && kind != FILTER_IS_NULL) {
        err_set(e, ERR_INVALID, "'%s' is JSON: it can be compared with null only", f->name);
        return NULL;
    }
    if (!out || !values) {
        err_memory(e);
        return NULL;
    }
    *out = (struct filter){.kind = kind, .field = f, .values = values, .nvalues = nvalues};
    return out;
}

static struct value *slot(struct filter *f, size_t i)
{
    return (struct value *)(uintptr_t)&f->values[i];
}

static int compare(struct arena *a, const struct entity *en, struct str name, enum text_match op,
                   struct str value, struct filter **out, struct err *e)
{
    struct filter *f = leaf(a, en, name, FILTER_COMPARE, 1, e);
    if (!f)
        return -1;
    f->op = op;
    *out = f;
    return operand(a, f->field, op == MATCH_LIKE || op == MATCH_NOT_LIKE, value, slot(f, 0), e);
}

static size_t items_of(struct str list)
{
    size_t n = 1;
    for (size_t i = 0; i < list.len; i++)
        n += list.data[i] == ',';
    return n;
}

// name[in]=a,b  name[nin]=a,b  name[between]=a,b
static int listed(struct arena *a, const struct entity *en, struct str name, struct str value,
                  enum filter_kind kind, bool negated, struct filter **out, struct err *e)
{
    size_t n = items_of(value), i = 0;
    struct str item;
    if (kind == FILTER_BETWEEN && n != 2)
        return err_set(e, ERR_INVALID, "between takes two values, with a comma between them");
    if (n > REST_IN_MAX)
        return err_set(e, ERR_INVALID, "at most %d values", REST_IN_MAX);
    struct filter *f = leaf(a, en, name, kind, n, e);
    if (!f)
        return -1;
    f->negated = negated;
    *out = f;
    while (rest_next_item(&value, &item))
        if (operand(a, f->field, false, item, slot(f, i++), e))
            return -1;
    return 0;
}

int rest_condition(struct arena *a, const struct entity *en, struct str name, struct str value,
                   struct filter **out, struct err *e)
{
    const char *open = name.len ? memchr(name.data, '[', name.len) : NULL;
    struct str op = STR("eq");
    if (open && (name.data[name.len - 1] != ']'))
        return err_set(e, ERR_INVALID, "a condition is name=value or name[op]=value");
    if (open) {
        op = str_n(open + 1, (size_t)(name.data + name.len - open) - 2);
        name = str_n(name.data, (size_t)(open - name.data));
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_eqz(op, words[i].word))
            return compare(a, en, name, words[i].op, value, out, e);
    if (str_eqz(op, "in") || str_eqz(op, "nin"))
        return listed(a, en, name, value, FILTER_IN, op.len == 3, out, e);
    if (str_eqz(op, "between"))
        return listed(a, en, name, value, FILTER_BETWEEN, false, out, e);
    if (!str_eqz(op, "null"))
        return err_set(e, ERR_INVALID,
                       "no such comparison: eq, ne, lt, le, gt, ge, like, nlike,"
                       " in, nin, between, null");
    if (!str_eqz(value, "true") && !str_eqz(value, "false"))
        return err_set(e, ERR_INVALID, "null is true or false");
    if (!(*out = leaf(a, en, name, FILTER_IS_NULL, 0, e)))
        return -1;
    (*out)->negated = str_eqz(value, "false");
    return 0;
}

// ---------------------------------------------------------------- the grammar

struct scan {
    struct arena *a;
    const struct entity *en;
    struct str text;
    size_t at;
    unsigned nodes;
};

static int fault(const struct scan *s, struct err *e, const char *want)
{
    return err_set(e, ERR_INVALID, "at character %zu: %s", s->at + 1, want);
}

static void blanks(struct scan *s)
{
    while (s->at < s->text.len && s->text.data[s->at] == ' ')
        s->at++;
}

static bool wordly(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The word that comes next, not taken; "" when there is none.
static struct str peek(struct scan *s)
{
    blanks(s);
    size_t end = s->at;
    while (end < s->text.len && wordly(s->text.data[end]))
        end++;
    return str_n(s->text.data + s->at, end - s->at);
}

static bool take(struct scan *s, const char *word)
{
    struct str next = peek(s);
    if (!str_eqz(next, word))
        return false;
    s->at += next.len;
    return true;
}

static bool take_char(struct scan *s, char c)
{
    blanks(s);
    if (s->at >= s->text.len || s->text.data[s->at] != c)
        return false;
    s->at++;
    return true;
}

static int quoted(struct scan *s, struct str *out, struct err *e)
{
    char *copy = arena_alloc(s->a, s->text.len - s->at + 1);
    size_t n = 0;
    if (!copy)
        return err_memory(e);
    while (s->at < s->text.len) {
        char c = s->text.data[s->at++];
        if (c == '\'' && (s->at >= s->text.len || s->text.data[s->at] != '\'')) {
            *out = str_n(copy, n);
            return 0;
        }
        if (c == '\'')
            s->at++;
        copy[n++] = c;
    }
    return fault(s, e, "the text has no end (a quote inside it is written twice)");
}

static int literal(struct scan *s, struct str *out, struct err *e)
{
    size_t start;
    blanks(s);
    start = s->at;
    if (take_char(s, '\''))
        return quoted(s, out, e);
    while (s->at < s->text.len && (wordly(s->text.data[s->at]) || s->text.data[s->at] == '-' ||
                                   s->text.data[s->at] == '+' || s->text.data[s->at] == '.'))
        s->at++;
    *out = str_n(s->text.data + start, s->at - start);
    char c = out->len ? out->data[0] : 0;
    bool number = (c >= '0' && c <= '9') || (c == '-' && out->len > 1);
    if (number || str_eqz(*out, "true") || str_eqz(*out, "false"))
        return 0;
    s->at = start;
    return fault(s, e, "a value is 'text', a number, true or false");
}

static int parse_in(struct scan *s, struct str name, bool negated, struct filter **out,
                    struct err *e)
{
    struct str text;
    struct filter *f = leaf(s->a, s->en, name, FILTER_IN, REST_IN_MAX, e);
    if (!f)
        return -1;
    f->negated = negated;
    f->nvalues = 0;
    *out = f;
    if (!take_char(s, '('))
        return fault(s, e, "in takes values in brackets");
    do {
        if (f->nvalues == REST_IN_MAX)
            return fault(s, e, "too many values");
        if (literal(s, &text, e) || operand(s->a, f->field, false, text, slot(f, f->nvalues), e))
            return -1;
        f->nvalues++;
    } while (take_char(s, ','));
    return take_char(s, ')') ? 0 : fault(s, e, "a comma or ')' comes after a value");
}

static int parse_between(struct scan *s, struct str name, bool negated, struct filter **out,
                         struct err *e)
{
    struct str low, high;
    struct filter *f = leaf(s->a, s->en, name, FILTER_BETWEEN, 2, e);
    if (!f)
        return -1;
    f->negated = negated;
    *out = f;
    if (literal(s, &low, e))
        return -1;
    if (!take(s, "and"))
        return fault(s, e, "between takes two values with 'and' between them");
    return literal(s, &high, e) || operand(s->a, f->field, false, low, slot(f, 0), e) ||
                   operand(s->a, f->field, false, high, slot(f, 1), e)
               ? -1
               : 0;
}

static int parse_condition(struct scan *s, struct filter **out, struct err *e)
{
    struct str name = peek(s), text;
    if (!name.len)
        return fault(s, e, "a field is expected");
    s->at += name.len;
    if (take(s, "is")) {
        bool negated = take(s, "not");
        if (!take(s, "null"))
            return fault(s, e, "'null' is expected");
        if (!(*out = leaf(s->a, s->en, name, FILTER_IS_NULL, 0, e)))
            return -1;
        (*out)->negated = negated;
        return 0;
    }
    bool negated = take(s, "not");
    if (take(s, "in"))
        return parse_in(s, name, negated, out, e);
    if (take(s, "between"))
        return parse_between(s, name, negated, out, e);
    for (size_t i = 0; !negated && i < sizeof words / sizeof words[0]; i++)
        if (take(s, words[i].word))
            return literal(s, &text, e) || compare(s->a, s->en, name, words[i].op, text, out, e)
                       ? -1
                       : 0;
    return fault(s, e,
                 "a comparison is expected: eq, ne, lt, le, gt, ge, like, nlike, in,"
                 " between, is null");
}

static int parse_any(struct scan *s, unsigned depth, struct filter **out, struct err *e);

static int parse_part(struct scan *s, unsigned depth, struct filter **out, struct err *e)
{
    if (depth > DEPTH_MAX)
        return err_set(e, ERR_INVALID, "more than %d levels", DEPTH_MAX);
    if (++s->nodes > FILTER_NODES_MAX / 4)
        return err_set(e, ERR_INVALID, "more than %d parts", FILTER_NODES_MAX / 4);
    if (take(s, "not")) {
        struct filter *f = arena_alloc(s->a, sizeof *f);
        if (!f || !(f->children = arena_array(s->a, 1, sizeof(void *))))
            return err_memory(e);
        f->kind = FILTER_NOT;
        f->nchildren = 1;
        *out = f;
        return parse_part(s, depth + 1, &f->children[0], e);
    }
    if (take_char(s, '(')) {
        if (parse_any(s, depth + 1, out, e))
            return -1;
        return take_char(s, ')') ? 0 : fault(s, e, "')' is missing");
    }
    return parse_condition(s, out, e);
}

// Parts with one word between them; a single one stands for itself.
static int parse_chain(struct scan *s, unsigned depth, bool any, struct filter **out, struct err *e)
{
    struct filter *parts[FILTER_NODES_MAX / 4], *f;
    size_t n = 0;
    do {
        if (n == sizeof parts / sizeof parts[0])
            return err_set(e, ERR_INVALID, "more than %zu parts", n);
        if (any ? parse_chain(s, depth, false, &parts[n], e) : parse_part(s, depth, &parts[n], e))
            return -1;
        n++;
    } while (take(s, any ? "or" : "and"));
    *out = parts[0];
    if (n == 1)
        return 0;
    if (!(f = arena_alloc(s->a, sizeof *f)) ||
        !(f->children = arena_array(s->a, n, sizeof(void *))))
        return err_memory(e);
    f->kind = any ? FILTER_OR : FILTER_AND;
    f->nchildren = n;
    memcpy(f->children, parts, n * sizeof parts[0]);
    *out = f;
    return 0;
}

static int parse_any(struct scan *s, unsigned depth, struct filter **out, struct err *e)
{
    return parse_chain(s, depth, true, out, e);
}

int rest_filter(struct arena *a, const struct entity *en, struct str text, struct filter **out,
                struct err *e)
{
    struct scan s = {.a = a, .en = en, .text = text};
    if (!str_is_utf8(text))
        return err_set(e, ERR_INVALID, "a filter is UTF-8");
    if (parse_any(&s, 0, out, e))
        return -1;
    blanks(&s);
    return s.at == text.len ? 0 : fault(&s, e, "'and', 'or' or the end is expected");
}
