// SPDX-License-Identifier: Apache-2.0
// Skeleton text -> nodes. What stands between {{ and }} is
//
//   NAME [ | WORD[:ARGUMENT..] ]..        a value
//   "text"                                that text as it is
//   each items | each RELATION            .. {{between}} .. {{end}}
//   if [not] NAME [is "text"]             .. {{else}} .. {{end}}
//
//   NAME = a field of the row at hand, up.FIELD (the row around it), request.TAKE, user.id,
//          user.name, @count, @total, @key, @index, @error, @now
//
// Names are bound when the file is loaded: a skeleton that loads cannot name what is not there.
#include "facade/dialect/template.h"

#include <stdio.h>

#define FRAMES_MAX 4

// The rows around a placeholder: which fields, which relations.
struct frame {
    const struct field *const *fields;
    size_t nfields;
    const struct expansion *expand; // of these rows
    size_t nexpand;
};

struct compile {
    const struct template_scope *s;
    struct str text;
    size_t at;
    struct frame frames[FRAMES_MAX];
    unsigned nframes, depth;
    size_t nodes;
    struct err *why;
};

enum ending { AT_END, AT_ELSE, AT_BETWEEN, AT_CLOSE };

static int fault(struct compile *c, const char *what, struct str name)
{
    unsigned line = 1;
    for (size_t i = 0; i < c->at && i < c->text.len; i++)
        line += c->text.data[i] == '\n';
    return err_set(c->why, ERR_INVALID, "character %zu (line %u of the text): %s%s%.*s", c->at + 1,
                   line, what, name.len ? " " : "", (int)str_utf8_cut(name, 60).len,
                   name.data ? name.data : "");
}

static struct template_node *add(struct compile *c, enum template_node_kind kind)
{
    struct template_node *n = arena_alloc(c->s->arena, sizeof *n);
    if (!n) {
        err_memory(c->why);
        return NULL;
    }
    if (++c->nodes > TEMPLATE_NODES_MAX) {
        fault(c, "too many parts", STR(""));
        return NULL;
    }
    n->kind = kind;
    return n;
}

// ---------------------------------------------------------------- words of a placeholder

static struct str next_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t n = 0;
    if (rest->len && rest->data[0] == '|')
        n = 1;
    else
        while (n < rest->len && rest->data[n] != ' ' && rest->data[n] != '|' &&
               rest->data[n] != ':' && rest->data[n] != '"')
            n++;
    struct str word = str_n(rest->data, n);
    *rest = str_n(rest->data + n, rest->len - n);
    return word;
}

// "text", with \" and \\ inside. NULL: there is none.
static const char *quoted(struct compile *c, struct str *rest)
{
    *rest = str_trim(*rest);
    if (rest->len < 2 || rest->data[0] != '"')
        return NULL;
    char *out = arena_alloc(c->s->arena, rest->len + 1);
    size_t n = 0, i = 1;
    for (; out && i < rest->len && rest->data[i] != '"'; i++) {
        if (rest->data[i] == '\\' && i + 1 < rest->len)
            i++;
        out[n++] = rest->data[i];
    }
    if (!out || i >= rest->len)
        return NULL;
    out[n] = 0;
    *rest = str_n(rest->data + i + 1, rest->len - i - 1);
    return out;
}

static bool argument(struct str *rest)
{
    *rest = str_trim(*rest);
    if (!rest->len || rest->data[0] != ':')
        return false;
    *rest = str_n(rest->data + 1, rest->len - 1);
    return true;
}

// ---------------------------------------------------------------- names

static bool in_frame(struct compile *c, unsigned level, struct str name, struct template_ref *out)
{
    if (level >= c->nframes)
        return false;
    const struct frame *f = &c->frames[c->nframes - 1 - level];
    for (size_t i = 0; i < f->nfields; i++) {
        if (!str_eqz(name, f->fields[i]->name))
            continue;
        *out = (struct template_ref){
            .source = TEMPLATE_OF_ROW, .level = level, .field = f->fields[i], .column = i};
        return true;
    }
    return false;
}

static bool special(const struct compile *c, struct str name, struct template_ref *out)
{
    static const struct {
        const char *name;
        enum template_source source;
    } words[] = {{"@count", TEMPLATE_IS_COUNT}, {"@total", TEMPLATE_IS_TOTAL},
                 {"@key", TEMPLATE_IS_KEY},     {"@index", TEMPLATE_IS_INDEX},
                 {"@error", TEMPLATE_IS_ERROR}, {"@now", TEMPLATE_IS_NOW}};
    *out = (struct template_ref){0};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        out->source = words[i].source;
        if (str_eqz(name, words[i].name))
            return words[i].source != TEMPLATE_IS_INDEX || c->nframes > 0;
    }
    out->source = TEMPLATE_OF_USER;
    out->user_name = str_eqz(name, "user.name");
    return out->user_name || str_eqz(name, "user.id");
}

static int bind_name(struct compile *c, struct str name, struct template_ref *out)
{
    unsigned level = 0;
    struct str rest = name;
    if (special(c, name, out))
        return 0;
    if (str_starts(name, STR("request."))) {
        struct str take = str_n(name.data + 8, name.len - 8);
        for (size_t i = 0; c->s->endpoint && i < c->s->endpoint->ntakes; i++) {
            if (!str_eqz(take, c->s->endpoint->takes[i].name))
                continue;
            *out = (struct template_ref){.source = TEMPLATE_OF_REQUEST, .take = (int)i};
            return 0;
        }
        return fault(c, "nothing is taken as", take);
    }
    while (str_starts(rest, STR("up."))) {
        rest = str_n(rest.data + 3, rest.len - 3);
        level++;
    }
    if (in_frame(c, level, rest, out))
        return 0;
    return fault(c, c->nframes ? "the rows here have no" : "there is no row here for", name);
}

// ---------------------------------------------------------------- what is applied

static int apply_number(struct compile *c, struct str *rest, struct template_apply *a)
{
    struct str digits;
    long long n;
    if (!argument(rest) || !(digits = next_word(rest)).len || !str_to_int(digits, 0, 18, &n))
        return fault(c, "number wants its decimals, as number:2", STR(""));
    a->number = (unsigned)n;
    a->text = ".";
    a->second = "";
    if (argument(rest) && !(a->text = quoted(c, rest)))
        return fault(c, "number wants its decimal point in quotes", STR(""));
    if (argument(rest) && !(a->second = quoted(c, rest)))
        return fault(c, "number wants what groups thousands in quotes", STR(""));
    return 0;
}

static int apply_text(struct compile *c, struct str *rest, struct template_apply *a)
{
    if (!argument(rest) || !(a->text = quoted(c, rest)))
        return fault(c, "an argument in quotes is missing", STR(""));
    if (a->word == TEMPLATE_DATE && !template_date_good(a->text))
        return fault(c, "a date's form is made of %Y %y %m %d %H %M %S and text, not",
                     str_of(a->text));
    for (size_t i = 0; a->word == TEMPLATE_CODE && i < c->s->t->ncodes; i++)
        if (strcmp(c->s->t->codes[i].name, a->text) == 0)
            a->codes = &c->s->t->codes[i];
    if (a->word == TEMPLATE_CODE && !a->codes)
        return fault(c, "no codes have the name", str_of(a->text));
    return 0;
}

static int apply(struct compile *c, struct str *rest, struct template_node *n)
{
    static const char *const words[] = {"default", "date",  "number", "code",
                                        "cut",     "upper", "lower",  "bare"};
    struct str word = next_word(rest);
    long long count;
    if (n->napply == TEMPLATE_FILTERS_MAX)
        return fault(c, "too many words behind one value", STR(""));
    struct template_apply *a = &n->apply[n->napply++];
    size_t i = 0;
    while (i < sizeof words / sizeof words[0] && !str_eqz(word, words[i]))
        i++;
    if (i == sizeof words / sizeof words[0])
        return fault(c, "default, date, number, code, cut, upper, lower or bare, not", word);
    a->word = (enum template_filter_word)i;
    switch (a->word) {
    case TEMPLATE_NUMBER: return apply_number(c, rest, a);
    case TEMPLATE_DEFAULT:
    case TEMPLATE_DATE:
    case TEMPLATE_CODE: return apply_text(c, rest, a);
    case TEMPLATE_CUT:
        if (!argument(rest) || !str_to_int(next_word(rest), 1, 1000000, &count))
            return fault(c, "cut wants a number of characters, as cut:20", STR(""));
        a->number = (unsigned)count;
        return 0;
    case TEMPLATE_BARE:
        return c->s->format == TEMPLATE_AS_JSON ? 0 : fault(c, "bare is for JSON", STR(""));
    default: return 0;
    }
}

// ---------------------------------------------------------------- nodes

static int nodes(struct compile *c, struct template_node **out, enum ending *how);

static int body_of(struct compile *c, struct template_node *n, enum ending middle)
{
    enum ending how;
    if (++c->depth > TEMPLATE_DEPTH_MAX)
        return fault(c, "too many levels", STR(""));
    if (nodes(c, &n->children, &how))
        return -1;
    if (how == middle && nodes(c, &n->other, &how))
        return -1;
    c->depth--;
    return how == AT_CLOSE ? 0
                           : fault(c, "{{end}} is missing, or comes behind another word", STR(""));
}

static int each(struct compile *c, struct str rest, struct template_node *n)
{
    const struct template_operation *op = c->s->endpoint ? &c->s->endpoint->op : NULL;
    struct str name = next_word(&rest);
    struct frame *f = &c->frames[c->nframes];
    if (str_trim(rest).len || c->nframes == FRAMES_MAX)
        return fault(c, "each takes one name", STR(""));
    n->relation = -1;
    if (str_eqz(name, "items")) {
        if (!c->s->rows || !op || op->kind != OPERATION_LIST || c->nframes)
            return fault(c, "there is no list here for each", name);
        *f = (struct frame){op->fields, op->nfields, op->expand, op->nexpand};
    } else {
        const struct frame *here = c->nframes ? &c->frames[c->nframes - 1] : NULL;
        for (size_t i = 0; here && i < here->nexpand; i++)
            if (str_eqz(name, here->expand[i].relationship->name))
                n->relation = (int)i;
        if (n->relation < 0)
            return fault(c, "items, or a relation that the operation expands, not", name);
        *f = (struct frame){here->expand[n->relation].fields, here->expand[n->relation].nfields,
                            NULL, 0};
    }
    c->nframes++;
    int rc = body_of(c, n, AT_BETWEEN);
    c->nframes--;
    return rc;
}

static int condition(struct compile *c, struct str rest, struct template_node *n)
{
    struct str name = next_word(&rest);
    n->negated = str_eqz(name, "not");
    if (n->negated)
        name = next_word(&rest);
    if (bind_name(c, name, &n->ref))
        return -1;
    struct str word = next_word(&rest);
    if (word.len && (!str_eqz(word, "is") || !(n->is = quoted(c, &rest))))
        return fault(c, "if NAME, or if NAME is \"text\"", STR(""));
    if (str_trim(rest).len)
        return fault(c, "too much in this if:", str_trim(rest));
    return body_of(c, n, AT_ELSE);
}

static int value(struct compile *c, struct str name, struct str rest, struct template_node *n)
{
    if (bind_name(c, name, &n->ref))
        return -1;
    while ((rest = str_trim(rest)).len) {
        if (!str_eqz(next_word(&rest), "|"))
            return fault(c, "a | comes between words", STR(""));
        if (apply(c, &rest, n))
            return -1;
    }
    return 0;
}

static bool ends(struct str inside, enum ending *how)
{
    static const char *const words[] = {NULL, "else", "between", "end"};
    for (int i = AT_ELSE; i <= AT_CLOSE; i++)
        if (str_eqz(inside, words[i])) {
            *how = (enum ending)i;
            return true;
        }
    return false;
}

static int placeholder(struct compile *c, struct str inside, struct template_node **out)
{
    struct str rest = inside;
    const char *text;
    if (inside.len && inside.data[0] == '"') {
        if (!(text = quoted(c, &rest)) || str_trim(rest).len)
            return fault(c, "text in quotes has no end", STR(""));
        if (!(*out = add(c, TEMPLATE_LITERAL)))
            return -1;
        (*out)->text = str_of(text);
        return 0;
    }
    struct str word = next_word(&rest);
    bool is_each = str_eqz(word, "each"), is_if = str_eqz(word, "if");
    if (!(*out = add(c, is_each ? TEMPLATE_EACH : is_if ? TEMPLATE_IF : TEMPLATE_VALUE)))
        return -1;
    return is_each ? each(c, rest, *out)
           : is_if ? condition(c, rest, *out)
                   : value(c, word, rest, *out);
}

// Up to {{end}}, {{else}}, {{between}} or the end of the text.
static int nodes(struct compile *c, struct template_node **out, enum ending *how)
{
    *out = NULL;
    for (;;) {
        struct str left = str_n(c->text.data + c->at, c->text.len - c->at);
        const char *open = left.len ? memmem(left.data, left.len, "{{", 2) : NULL;
        size_t n = open ? (size_t)(open - left.data) : left.len;
        if (n) {
            struct template_node *literal = add(c, TEMPLATE_LITERAL);
            if (!literal)
                return -1;
            literal->text = str_n(left.data, n);
            *out = literal;
            out = &literal->next;
        }
        c->at += n;
        *how = AT_END;
        if (!open)
            return 0;
        const char *close = memmem(open, left.len - n, "}}", 2);
        if (!close)
            return fault(c, "{{ without }}", STR(""));
        struct str inside = str_trim(str_n(open + 2, (size_t)(close - open) - 2));
        size_t next = c->at + (size_t)(close - open) + 2;
        if (ends(inside, how)) {
            c->at = next;
            return 0;
        }
        bool block = str_starts(inside, STR("each ")) || str_starts(inside, STR("if "));
        if (block) // its body follows
            c->at = next;
        if (placeholder(c, inside, out) || !*out)
            return -1;
        if (!block)
            c->at = next;
        out = &(*out)->next;
    }
}

int template_compile(const struct template_scope *s, struct str text, struct template_node **out,
                     struct err *why)
{
    struct compile c = {.s = s, .text = text, .why = why};
    const struct template_operation *op = s->endpoint ? &s->endpoint->op : NULL;
    enum ending how;
    if (s->rows && op && op->kind == OPERATION_GET)
        c.frames[c.nframes++] = (struct frame){op->fields, op->nfields, op->expand, op->nexpand};
    if (nodes(&c, out, &how))
        return -1;
    return how == AT_END
               ? 0
               : fault(&c, "{{end}}, {{else}} or {{between}} without its beginning", STR(""));
}
