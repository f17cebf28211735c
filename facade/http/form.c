// SPDX-License-Identifier: Apache-2.0
// Form decoding: application/x-www-form-urlencoded, multipart/form-data (RFC 7578) and
// path segments. Owns nothing; results are slices of the arena or the input. Thread: any.
#include "facade/http/form.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// The byte that the escape at s[0] == '%' stands for, -1 when it is none.
static int escape_at(struct str s)
{
    int high = s.len >= 3 ? hex_digit(s.data[1]) : -1;
    int low = high >= 0 ? hex_digit(s.data[2]) : -1;

    return low >= 0 ? high << 4 | low : -1;
}

static struct str decode(struct str s, struct arena *a)
{
    size_t n = 0;

    if (!memchr(s.data, '%', s.len) && !memchr(s.data, '+', s.len))
        return s;
    char *out = arena_alloc(a, s.len + 1);
    if (!out)
        return str_n(NULL, 0);
    for (size_t i = 0; i < s.len; i++) {
        int byte = s.data[i] == '%' ? escape_at(str_n(s.data + i, s.len - i)) : -1;
        if (byte >= 0) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = s.data[i] == '+' ? ' ' : s.data[i];
        }
    }
    return str_n(out, n);
}

static size_t count_of(struct str s, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.data[i] == c;
    return n;
}

// Room for `more` fields behind those that are there.
static int grow(struct form *f, size_t more, struct arena *a, struct err *e)
{
    if (more > FORM_FIELDS_MAX || f->n > FORM_FIELDS_MAX - more)
        return err_set(e, ERR_LIMIT, "more than %d form fields", FORM_FIELDS_MAX);
    struct form_field *fields = arena_array(a, f->n + more, sizeof(*fields));
    if (!fields)
        return err_memory(e);
    if (f->n > 0)
        memcpy(fields, f->fields, f->n * sizeof(*fields));
    f->fields = fields;
    return 0;
}

static int add_urlencoded(struct str text, struct arena *a, struct form *f, struct err *e)
{
    if (text.len == 0)
        return 0;
    if (grow(f, count_of(text, '&') + 1, a, e) != 0)
        return -1;
    while (text.len > 0) {
        const char *end = memchr(text.data, '&', text.len);
        struct str pair = str_n(text.data, end ? (size_t)(end - text.data) : text.len);
        const char *equals = memchr(pair.data, '=', pair.len);
        size_t n = equals ? (size_t)(equals - pair.data) : pair.len;
        struct form_field *field = &f->fields[f->n];
        if (n > 0) { // as PHP, a field without a name is dropped
            field->name = decode(str_n(pair.data, n), a);
            field->value = equals ? decode(str_n(equals + 1, pair.len - n - 1), a) : STR("");
            if (!field->name.data || !field->value.data)
                return err_memory(e);
            f->n++;
        }
        n = pair.len + (end ? 1 : 0);
        text = str_n(text.data + n, text.len - n);
    }
    return 0;
}

int form_parse_urlencoded(struct str text, struct arena *a, struct form *out, struct err *e)
{
    *out = (struct form){0};
    return add_urlencoded(text, a, out, e);
}

// ---- parameters of a field value: type/sub; name=value; name="quoted"

bool form_media_is(struct str content_type, const char *type)
{
    const char *semicolon = NULL;

    if (content_type.len > 0)
        semicolon = memchr(content_type.data, ';', content_type.len);
    if (semicolon)
        content_type.len = (size_t)(semicolon - content_type.data);
    return str_eq_nocase(str_trim(content_type), str_of(type));
}

// Takes a quoted string at the front of *s, without its quotes and backslashes.
static struct str take_quoted(struct str *s, struct arena *a)
{
    char *out = arena_alloc(a, s->len + 1);
    size_t n = 0, i = 1;

    if (!out)
        return str_n(NULL, 0);
    for (; i < s->len && s->data[i] != '"'; i++) {
        // Browsers escape only the quote; a backslash of a path stays.
        if (s->data[i] == '\\' && i + 1 < s->len &&
            (s->data[i + 1] == '"' || s->data[i + 1] == '\\'))
            i++;
        out[n++] = s->data[i];
    }
    if (i == s->len)
        return str_n(NULL, 0); // no closing quote
    *s = str_n(s->data + i + 1, s->len - i - 1);
    return str_n(out, n);
}

// Value of a parameter; .data NULL when it is missing or malformed.
static struct str parameter(struct str s, const char *wanted, struct arena *a)
{
    const char *semicolon;

    while (s.len > 0 && (semicolon = memchr(s.data, ';', s.len)) != NULL) {
        s = str_n(semicolon + 1, s.len - (size_t)(semicolon + 1 - s.data));
        while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
            s = str_n(s.data + 1, s.len - 1);
        const char *equals = s.len > 0 ? memchr(s.data, '=', s.len) : NULL;
        if (!equals)
            break;
        struct str name = str_n(s.data, (size_t)(equals - s.data));
        s = str_n(equals + 1, s.len - name.len - 1);
        struct str value;
        if (s.len > 0 && s.data[0] == '"') {
            value = take_quoted(&s, a);
            if (!value.data)
                break;
        } else {
            const char *end = s.len > 0 ? memchr(s.data, ';', s.len) : NULL;
            value = str_trim(str_n(s.data, end ? (size_t)(end - s.data) : s.len));
        }
        if (str_eq_nocase(name, str_of(wanted)))
            return value;
        if (s.len == 0)
            break;
    }
    return str_n(NULL, 0);
}

// ---- multipart/form-data

static int parse_part(struct str part, struct arena *a, struct form_field *field, struct err *e)
{
    struct http_header headers[8];
    struct str disposition = {0};
    size_t n = 0;

    for (;;) {
        const char *lf = part.len > 0 ? memchr(part.data, '\n', part.len) : NULL;
        if (!lf || lf == part.data || lf[-1] != '\r')
            return err_set(e, ERR_INVALID, "a form part has no end of headers");
        struct str line = str_n(part.data, (size_t)(lf - part.data) - 1);
        part = str_n(lf + 1, part.len - line.len - 2);
        if (line.len == 0)
            break;
        const char *colon = memchr(line.data, ':', line.len);
        if (!colon || n == sizeof(headers) / sizeof(headers[0]))
            return err_set(e, ERR_INVALID, "a form part's header is malformed");
        size_t len = (size_t)(colon - line.data);
        headers[n].name = str_n(line.data, len);
        headers[n].value = str_trim(str_n(colon + 1, line.len - len - 1));
        if (!wire_is_token(headers[n].name) || !wire_is_value(headers[n].value))
            return err_set(e, ERR_INVALID, "a form part's header is malformed");
        n++;
    }
    disposition = wire_find(headers, n, "content-disposition");
    if (!disposition.data || !form_media_is(disposition, "form-data"))
        return err_set(e, ERR_INVALID, "a form part is not form-data");
    field->name = parameter(disposition, "name", a);
    if (!field->name.data)
        return err_set(e, ERR_INVALID, "a form part has no name");
    field->filename = parameter(disposition, "filename", a);
    field->content_type = wire_find(headers, n, "content-type");
    field->value = part;
    return 0;
}

// The first "\r\n--boundary" in `s`, NULL when there is none.
static const char *find_delimiter(struct str s, struct str delimiter)
{
    return s.len < delimiter.len ? NULL : memmem(s.data, s.len, delimiter.data, delimiter.len);
}

static int add_part(struct str part, struct arena *a, struct form *f, size_t *room, struct err *e)
{
    if (f->n == *room) {
        size_t more = FORM_FIELDS_MAX - f->n < 16 ? FORM_FIELDS_MAX - f->n : 16;
        if (grow(f, more ? more : 1, a, e) != 0)
            return -1;
        *room = f->n + more;
    }
    if (parse_part(part, a, &f->fields[f->n], e) != 0)
        return -1;
    f->n++;
    return 0;
}

static int add_multipart(struct str body, struct str content_type, struct arena *a, struct form *f,
                         struct err *e)
{
    struct str boundary = parameter(content_type, "boundary", a);
    size_t room = f->n;

    if (!boundary.data || boundary.len == 0 || boundary.len > 70)
        return err_set(e, ERR_INVALID, "multipart/form-data without a boundary");
    struct str delimiter = arena_printf(a, "\r\n--%.*s", (int)boundary.len, boundary.data);
    if (!delimiter.data)
        return err_memory(e);
    struct str first = str_n(delimiter.data + 2, delimiter.len - 2);
    if (!str_starts(body, first))
        return err_set(e, ERR_INVALID, "the form does not start with its boundary");
    body = str_n(body.data + first.len, body.len - first.len);
    for (;;) {
        if (str_starts(body, STR("--")))
            return 0; // the closing delimiter; what follows it has no meaning
        if (!str_starts(body, STR("\r\n")))
            return err_set(e, ERR_INVALID, "a form boundary does not end its line");
        body = str_n(body.data + 2, body.len - 2);
        const char *end = find_delimiter(body, delimiter);
        if (!end)
            return err_set(e, ERR_INVALID, "the form does not end with its boundary");
        size_t n = (size_t)(end - body.data);
        if (add_part(str_n(body.data, n), a, f, &room, e) != 0)
            return -1;
        body = str_n(end + delimiter.len, body.len - n - delimiter.len);
    }
}

int form_parse_multipart(struct str body, struct str content_type, struct arena *a,
                         struct form *out, struct err *e)
{
    *out = (struct form){0};
    return add_multipart(body, content_type, a, out, e);
}

int form_parse_request(const struct http_request *r, struct form *out, struct err *e)
{
    struct str type = http_header(r, "content-type");

    *out = (struct form){0};
    if (add_urlencoded(r->query, r->arena, out, e) != 0)
        return -1;
    if (form_media_is(type, "application/x-www-form-urlencoded"))
        return add_urlencoded(r->body, r->arena, out, e);
    if (form_media_is(type, "multipart/form-data"))
        return add_multipart(r->body, type, r->arena, out, e);
    return 0;
}

struct str form_get(const struct form *f, const char *name)
{
    for (size_t i = f->n; i > 0; i--)
        if (str_eqz(f->fields[i - 1].name, name))
            return f->fields[i - 1].value;
    return str_n(NULL, 0);
}

// php_register_variable_ex() of main/php_variables.c: blanks before a name are dropped, it ends at
// a NUL, ' ', '.' and a '[' without its ']' become '_'. *array: "name[..]".
static bool php_named(struct str s, const char *name, bool *array)
{
    size_t i = 0;

    *array = false;
    while (s.len > 0 && s.data[0] == ' ')
        s = str_n(s.data + 1, s.len - 1);
    for (; i < s.len && s.data[i]; i++) {
        *array = s.data[i] == '[' && memchr(s.data + i, ']', s.len - i);
        if (*array)
            break;
        char c = s.data[i];
        if (name[i] != (c == ' ' || c == '.' || c == '[' ? '_' : c))
            return false;
    }
    return !name[i];
}

struct str form_get_php(const struct form *f, const char *name)
{
    bool array;

    for (size_t i = f->n; i > 0; i--)
        if (php_named(f->fields[i - 1].name, name, &array))
            return array ? STR("") : f->fields[i - 1].value;
    return str_n(NULL, 0);
}

int form_decode_segment(struct str s, struct arena *a, struct str *out, struct err *e)
{
    char *text = arena_alloc(a, s.len + 1);
    size_t n = 0;

    if (!text)
        return err_memory(e);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '%') {
            text[n++] = s.data[i];
            continue;
        }
        int byte = escape_at(str_n(s.data + i, s.len - i));
        if (byte <= 0)
            return err_set(e, ERR_INVALID, "malformed escape in the path");
        text[n++] = (char)byte;
        i += 2;
    }
    *out = str_n(text, n);
    return 0;
}
