// SPDX-License-Identifier: Apache-2.0
// Text that a client writes: what the record gets and what set_entry echoes. Entities are
// decoded once, control characters dropped, scripts and unknown tags removed, known tags kept
// with harmless attributes and closed. The echo is the cleaned text encoded twice over, as the
// legacy's two layers do it: markup once, text that looks like markup twice.
// Owns nothing; pure functions, any thread.
//
//   in       A & B     <b>x</b>              a < b            Söhne        &lt;b&gt;
//   stored   A & B     <b>x</b>              a < b            Söhne        (nothing)
//   echo     A &amp;amp; B   &lt;b&gt;x&lt;/b&gt;   a &amp;lt; b   S&ouml;hne   (nothing)
#include "facade/dialect/v4_1_int.h"

#define OPEN_MAX 64 // tags open at a time; deeper ones are dropped like unknown ones

static const char *const known_tags[] = {
    "a",      "abbr",  "acronym", "address", "b",        "big",  "blockquote", "br",     "caption",
    "center", "cite",  "code",    "col",     "colgroup", "dd",   "del",        "dfn",    "div",
    "dl",     "dt",    "em",      "font",    "h1",       "h2",   "h3",         "h4",     "h5",
    "h6",     "hr",    "i",       "img",     "ins",      "kbd",  "li",         "ol",     "p",
    "pre",    "q",     "s",       "samp",    "small",    "span", "strike",     "strong", "sub",
    "sup",    "table", "tbody",   "td",      "tfoot",    "th",   "thead",      "tr",     "tt",
    "u",      "ul",    "var"};
static const char *const void_tags[] = {"br", "hr", "img", "col"};
static const char *const hidden_tags[] = {"script", "style"}; // with all that is inside
static const char *const known_attributes[] = {
    "href",    "src",     "alt",    "title",  "class",       "width",
    "height",  "align",   "valign", "border", "cellpadding", "cellspacing",
    "colspan", "rowspan", "color",  "size",   "face"};

#define KNOWN(list, word) is_one_of(list, sizeof(list) / sizeof((list)[0]), word)

static bool is_one_of(const char *const *list, size_t n, struct str word)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(word, str_of(list[i])))
            return true;
    return false;
}

static void add_code(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_addc(out, (char)c);
    } else if (c < 0x800) {
        buf_add(out, (char[]){(char)(0xC0 | c >> 6), (char)(0x80 | (c & 63))}, 2);
    } else if (c < 0x10000) {
        buf_add(
            out,
            (char[]){(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
            3);
    } else {
        buf_add(out,
                (char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                         (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))},
                4);
    }
}

// ---- entities

static uint32_t numeric_code(struct str digits)
{
    uint32_t code = 0;
    bool hex = digits.len > 0 && (digits.data[0] == 'x' || digits.data[0] == 'X');
    size_t i = hex ? 1 : 0;

    if (i == digits.len || digits.len - i > 7)
        return 0;
    for (; i < digits.len; i++) {
        char c = digits.data[i];
        uint32_t d;
        if (c >= '0' && c <= '9')
            d = (uint32_t)(c - '0');
        else if (hex && ((c | 32) >= 'a' && (c | 32) <= 'f'))
            d = (uint32_t)((c | 32) - 'a' + 10);
        else
            return 0;
        code = code * (hex ? 16 : 10) + d;
    }
    return code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0 : code;
}

// Length of the entity at the front ("&...;"), 0 when there is none.
static size_t take_entity(struct str s, uint32_t *code)
{
    size_t end = 1;

    while (end < s.len && end < 12 && s.data[end] != ';')
        end++;
    if (end >= s.len || s.data[end] != ';')
        return 0;
    struct str name = str_n(s.data + 1, end - 1);
    if (name.len > 1 && name.data[0] == '#')
        *code = numeric_code(str_n(name.data + 1, name.len - 1));
    else
        *code = v4_1_entity_code(name);
    return *code ? end + 1 : 0;
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
}

// Entities decoded, control characters dropped, malformed bytes replaced.
static void decode(struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.len;) {
        struct str rest = str_n(in.data + i, in.len - i);
        uint32_t code = 0;
        size_t n = rest.data[0] == '&' ? take_entity(rest, &code) : 0;
        if (n == 0)
            n = str_utf8_next(rest, &code);
        if (n == 0) {
            code = 0xFFFD;
            n = 1;
        }
        if (!is_control(code))
            add_code(out, code);
        i += n;
    }
}

// ---- tags

struct tag {
    struct str name;
    struct str attributes; // what stands between the name and '>'
    bool closing;
    size_t len; // all of it, '<' to '>'
};

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_name(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == ':';
}

// Quotes hide a '>' when `quotes`. False: the '<' at the front is just a character, or its
// tag has no end.
static bool take_tag(struct str s, bool quotes, struct tag *t)
{
    size_t i = 1;
    char quote = 0;

    *t = (struct tag){0};
    if (i < s.len && s.data[i] == '/') {
        t->closing = true;
        i++;
    }
    if (i >= s.len || (!is_letter(s.data[i]) && s.data[i] != '!' && s.data[i] != '?'))
        return false;
    size_t start = i;
    while (i < s.len && is_name(s.data[i]))
        i++;
    t->name = str_n(s.data + start, i - start);
    start = i;
    for (; i < s.len && (quote || s.data[i] != '>'); i++) {
        if (quote && s.data[i] == quote)
            quote = 0;
        else if (quotes && !quote && (s.data[i] == '"' || s.data[i] == '\''))
            quote = s.data[i];
    }
    if (i >= s.len)
        return false;
    t->attributes = str_n(s.data + start, i - start);
    t->len = i + 1;
    return true;
}

static bool is_safe_url(struct str v)
{
    static const char *const schemes[] = {"http", "https", "mailto", "ftp", "tel"};
    size_t i = 0;

    v = str_trim(v);
    while (i < v.len && (is_name(v.data[i]) || v.data[i] == '+' || v.data[i] == '.') &&
           v.data[i] != ':')
        i++;
    if (i == v.len || v.data[i] != ':')
        return memchr(v.data, ':', v.len) == NULL || (i < v.len && v.data[i] == '/');
    return KNOWN(schemes, str_n(v.data, i));
}

// The two forms of a cleaned text, and the tags that are open.
struct cleaner {
    struct buf stored, echo;
    struct str open[OPEN_MAX];
    size_t stored_at[OPEN_MAX], echo_at[OPEN_MAX], inside_at[OPEN_MAX];
    size_t nopen;
    const char *last_end; // the last '>' of the text; NULL: none
    bool no_quotes;       // see next_tag
};

// `text`: markup characters in it are text, and so are encoded once more.
static void add_echo(struct buf *out, struct str s, bool text)
{
    for (size_t i = 0; i < s.len;) {
        uint32_t code = 0;
        size_t n = str_utf8_next(str_n(s.data + i, s.len - i), &code);
        const char *name;
        if (text && (code == '&' || code == '<' || code == '>'))
            buf_printf(out, "&amp;%s;", v4_1_entity_name(code));
        else if (code == '\'')
            buf_addz(out, "&#039;");
        else if ((name = v4_1_entity_name(code)) != NULL)
            buf_printf(out, "&%s;", name);
        else
            buf_add(out, s.data + i, n ? n : 1);
        i += n ? n : 1;
    }
}

static void add_text(struct cleaner *c, struct str s)
{
    buf_addstr(&c->stored, s);
    add_echo(&c->echo, s, true);
}

static void add_markup(struct cleaner *c, struct str s)
{
    buf_addstr(&c->stored, s);
    add_echo(&c->echo, s, false);
}

static void add_attribute(struct cleaner *c, struct str name, struct str value)
{
    bool url = str_eq_nocase(name, STR("href")) || str_eq_nocase(name, STR("src"));

    if (!KNOWN(known_attributes, name) || memchr(value.data ? value.data : "", '"', value.len) ||
        (url && !is_safe_url(value)))
        return;
    add_markup(c, STR(" "));
    add_markup(c, name);
    add_markup(c, STR("=\""));
    add_markup(c, value);
    add_markup(c, STR("\""));
}

static size_t skip_blanks(struct str s, size_t i)
{
    while (i < s.len &&
           (s.data[i] == ' ' || s.data[i] == '\t' || s.data[i] == '\n' || s.data[i] == '/'))
        i++;
    return i;
}

static void add_attributes(struct cleaner *c, struct str s)
{
    for (size_t i = skip_blanks(s, 0); i < s.len; i = skip_blanks(s, i)) {
        size_t start = i;
        while (i < s.len && is_name(s.data[i]))
            i++;
        struct str name = str_n(s.data + start, i - start), value = {"", 0};
        if (name.len == 0) {
            i++;
            continue;
        }
        size_t at = skip_blanks(s, i);
        if (at < s.len && s.data[at] == '=') {
            at = skip_blanks(s, at + 1);
            char quote = at < s.len && (s.data[at] == '"' || s.data[at] == '\'') ? s.data[at] : 0;
            size_t from = at + (quote != 0), end = from;
            while (end < s.len && (quote ? s.data[end] != quote : s.data[end] != ' '))
                end++;
            value = str_n(s.data + (from < s.len ? from : s.len), end > from ? end - from : 0);
            i = end + (quote && end < s.len);
        }
        add_attribute(c, name, value);
    }
}

static void open_tag(struct cleaner *c, const struct tag *t)
{
    bool is_void = KNOWN(void_tags, t->name);

    if (!is_void && c->nopen == OPEN_MAX)
        return;
    size_t stored = c->stored.len, echo = c->echo.len;
    add_markup(c, STR("<"));
    add_markup(c, t->name);
    add_attributes(c, t->attributes);
    add_markup(c, is_void ? STR(" />") : STR(">"));
    if (is_void)
        return;
    c->open[c->nopen] = t->name;
    c->stored_at[c->nopen] = stored;
    c->echo_at[c->nopen] = echo;
    c->inside_at[c->nopen++] = c->stored.len;
}

// Closes the innermost tag; one with nothing in it goes altogether.
static void close_one(struct cleaner *c)
{
    size_t i = --c->nopen;

    if (c->stored.failed || c->echo.failed)
        return;
    if (c->stored.len == c->inside_at[i]) {
        c->stored.len = c->stored_at[i];
        c->echo.len = c->echo_at[i];
        return;
    }
    add_markup(c, STR("</"));
    add_markup(c, c->open[i]);
    add_markup(c, STR(">"));
}

static void close_tag(struct cleaner *c, struct str name)
{
    size_t i = c->nopen;

    while (i > 0 && !str_eq_nocase(c->open[i - 1], name))
        i--;
    if (i == 0)
        return;
    while (c->nopen >= i)
        close_one(c);
}

// Bytes up to and with the closing tag of a hidden element.
static size_t hidden_length(struct str s, struct str name)
{
    for (size_t i = 0; i + name.len + 2 < s.len; i++) {
        if (s.data[i] != '<' || s.data[i + 1] != '/' ||
            !str_eq_nocase(str_n(s.data + i + 2, name.len), name))
            continue;
        const char *end = memchr(s.data + i, '>', s.len - i);
        return end ? (size_t)(end - s.data) + 1 : s.len;
    }
    return s.len;
}

static size_t clean_tag(struct cleaner *c, struct str rest, const struct tag *t)
{
    if (!t->closing && KNOWN(hidden_tags, t->name))
        return t->len + hidden_length(str_n(rest.data + t->len, rest.len - t->len), t->name);
    if (!KNOWN(known_tags, t->name))
        return t->len;
    if (t->closing)
        close_tag(c, t->name);
    else
        open_tag(c, t);
    return t->len;
}

// The tag at `s`. A quote that is never closed hides nothing, here and from here on, and
// after the last '>' there are no tags: the text is scanned a few times at most, whatever it
// holds.
static bool next_tag(struct cleaner *c, struct str s, struct tag *t)
{
    if (!c->last_end || s.data > c->last_end)
        return false;
    if (!c->no_quotes && take_tag(s, true, t))
        return true;
    if (!take_tag(s, false, t))
        return false;
    c->no_quotes = true;
    return true;
}

static void clean(struct cleaner *c, struct str s)
{
    if (s.len == 0)
        return;
    c->last_end = memrchr(s.data, '>', s.len);
    for (size_t i = 0, start = 0;; i++) {
        if (i < s.len && s.data[i] != '<')
            continue;
        struct tag t;
        if (i < s.len && !next_tag(c, str_n(s.data + i, s.len - i), &t))
            continue;
        add_text(c, str_n(s.data + start, i - start));
        if (i >= s.len)
            break;
        i += clean_tag(c, str_n(s.data + i, s.len - i), &t) - 1;
        start = i + 1;
    }
    while (c->nopen > 0)
        close_one(c);
}

int v4_1_clean(struct str in, bool trim, struct arena *a, struct v4_1_text *out, struct err *e)
{
    struct buf text = BUF_INIT;
    struct cleaner c = {0};
    int rc = -1;

    decode(in, &text);
    clean(&c, buf_str(&text));
    if (text.failed || c.stored.failed || c.echo.failed) {
        (void)err_memory(e);
        goto out;
    }
    out->stored = arena_str(a, trim ? str_trim(buf_str(&c.stored)) : buf_str(&c.stored));
    out->echo = arena_str(a, trim ? str_trim(buf_str(&c.echo)) : buf_str(&c.echo));
    rc = out->stored.data && out->echo.data ? 0 : err_memory(e);
out:
    buf_free(&text);
    buf_free(&c.stored);
    buf_free(&c.echo);
    return rc;
}
