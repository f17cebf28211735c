// SPDX-License-Identifier: Apache-2.0
// Nodes and data -> the bytes of an answer. Every value is escaped for the format of the answer;
// only the skeleton's own text is written as it is. Size is limited by the buffer. Thread: any.
#include "facade/dialect/template.h"

#include "migrations/type.h"

#include <stdio.h>

#define FRAMES_MAX 4
#define DIGITS_MAX 100

struct row {
    const struct record *record;
    size_t index;
};

struct render {
    const struct template_data *d;
    enum template_format format;
    char separator;
    struct row rows[FRAMES_MAX];
    unsigned nrows;
    struct buf *out;
    struct buf scratch[2]; // of the words behind a value, in turn
};

// ---------------------------------------------------------------- escapes

static void put_xml(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        switch (c) {
        case '&': buf_addz(out, "&amp;"); break;
        case '<': buf_addz(out, "&lt;"); break;
        case '>': buf_addz(out, "&gt;"); break;
        case '"': buf_addz(out, "&quot;"); break;
        case '\'': buf_addz(out, "&#39;"); break;
        case '\t':
        case '\n':
        case '\r': buf_printf(out, "&#%u;", c); break;
        default:
            // What XML cannot hold at all; U+FFFE and U+FFFF likewise.
            if (c < 0x20)
                buf_addz(out, "\xef\xbf\xbd");
            else if (c == 0xef && i + 2 < s.len && (unsigned char)s.data[i + 1] == 0xbf &&
                     (unsigned char)s.data[i + 2] >= 0xbe) {
                buf_addz(out, "\xef\xbf\xbd");
                i += 2;
            } else
                buf_addc(out, (char)c);
        }
    }
}

// Quoted only where it must be, so that clients that just split lines keep working.
static void put_csv(struct buf *out, struct str s, char separator)
{
    bool quote = s.len && (s.data[0] == ' ' || s.data[s.len - 1] == ' ');
    for (size_t i = 0; i < s.len && !quote; i++)
        quote = s.data[i] == separator || s.data[i] == '"' || s.data[i] == '\r' ||
                s.data[i] == '\n';
    if (!quote) {
        buf_addstr(out, s);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            buf_addc(out, '"');
        buf_addc(out, s.data[i]);
    }
    buf_addc(out, '"');
}

static bool bare_json(struct str s)
{
    json_error_t je;
    json_t *j = s.len && s.len < 64 ? json_loadb(s.data, s.len, JSON_DECODE_ANY, &je) : NULL;
    bool good = j && !json_is_string(j) && !json_is_object(j) && !json_is_array(j);
    json_decref(j);
    return good && s.data[0] != ' ';
}

// ---------------------------------------------------------------- dates

bool template_date_good(const char *format)
{
    for (const char *p = format; *p; p++)
        if (*p == '%' && (!*++p || !strchr("YymdHMS%", *p)))
            return false;
    return *format != 0;
}

// Parts of a canonical date, time or timestamp.
static bool date_parts(struct str s, char out[6][5])
{
    static const struct {
        size_t at, len;
    } date[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}};
    bool time = s.len >= 8 && s.data[2] == ':';
    for (size_t i = 0; i < 6; i++) {
        size_t at = time ? date[i].at - (i >= 3 ? 11 : 0) : date[i].at;
        bool there = time ? i >= 3 : s.len >= date[i].at + date[i].len;
        if (i == 0 && time)
            at = 0;
        struct str part = there ? str_n(s.data + at, date[i].len) : str_n("0000", date[i].len);
        long long n;
        if (!str_to_int(part, 0, 9999, &n) && !there)
            return false;
        for (size_t k = 0; k < part.len; k++)
            if (part.data[k] < '0' || part.data[k] > '9')
                return false;
        if (str_copy(out[i], 5, part))
            return false;
    }
    return time || s.len >= 10;
}

bool template_date_out(struct str canonical, const char *format, struct buf *out)
{
    static const char letters[] = "YmdHMS";
    char parts[6][5];
    if (!date_parts(canonical, parts))
        return false;
    for (const char *p = format; *p; p++) {
        const char *letter = *p == '%' && p[1] ? strchr(letters, p[1]) : NULL;
        if (*p != '%')
            buf_addc(out, *p);
        else if (letter)
            buf_addz(out, parts[letter - letters]);
        else if (p[1] == 'y')
            buf_addz(out, parts[0] + 2);
        else
            buf_addc(out, '%');
        p += *p == '%';
    }
    return true;
}

static bool take_digits(struct str *s, size_t n, char *out)
{
    if (s->len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return false;
        out[i] = s->data[i];
    }
    out[n] = 0;
    *s = str_n(s->data + n, s->len - n);
    return true;
}

bool template_date_in(struct str s, const char *format, struct buf *out)
{
    static const char letters[] = "YmdHMS";
    char parts[6][5] = {"", "", "", "", "", ""};
    for (const char *p = format; *p; p++) {
        if (*p != '%' || p[1] == '%') {
            p += *p == '%';
            if (!s.len || s.data[0] != *p)
                return false;
            s = str_n(s.data + 1, s.len - 1);
            continue;
        }
        p++;
        char *to = *p == 'y' ? parts[0] : parts[strchr(letters, *p) - letters];
        if (*p == 'y') {
            if (!take_digits(&s, 2, to + 2))
                return false;
            memcpy(to, to[2] < '7' ? "20" : "19", 2);
        } else if (!take_digits(&s, *p == 'Y' ? 4 : 2, to)) {
            return false;
        }
    }
    bool date = parts[0][0] && parts[1][0] && parts[2][0], time = parts[3][0] && parts[4][0];
    if (s.len || (!date && !time))
        return false;
    if (date)
        buf_printf(out, "%s-%s-%s", parts[0], parts[1], parts[2]);
    if (time)
        buf_printf(out, "%s%s:%s:%s", date ? " " : "", parts[3], parts[4],
                   parts[5][0] ? parts[5] : "00");
    return !out->failed;
}

// ---------------------------------------------------------------- numbers

// Rounds half away from zero, on the digits themselves.
static bool put_number(struct buf *out, struct str s, const struct template_apply *a)
{
    char digits[DIGITS_MAX + 2] = "0";
    size_t n = 1, whole = 0, i = 0;
    bool negative = s.len && s.data[0] == '-', point = false, any = false;
    for (i = negative; i < s.len; i++) {
        if (s.data[i] == '.' && !point) {
            point = true;
            whole = n;
            continue;
        }
        if (s.data[i] < '0' || s.data[i] > '9' || n >= DIGITS_MAX - 20)
            return false;
        digits[n++] = s.data[i];
        any = true;
    }
    if (!any)
        return false;
    if (!point)
        whole = n;
    while (n < whole + a->number + 1)
        digits[n++] = '0';
    bool up = digits[whole + a->number] >= '5';
    n = whole + a->number;
    for (i = n; up && i > 0; i--) {
        up = digits[i - 1] == '9';
        digits[i - 1] = up ? '0' : (char)(digits[i - 1] + 1);
    }
    size_t first = 0;
    while (first + 1 < whole && digits[first] == '0')
        first++;
    bool zero = true;
    for (i = first; i < n; i++)
        zero = zero && digits[i] == '0';
    if (negative && !zero)
        buf_addc(out, '-');
    for (i = first; i < whole; i++) {
        if (i > first && (whole - i) % 3 == 0)
            buf_addz(out, a->second);
        buf_addc(out, digits[i]);
    }
    if (a->number) {
        buf_addz(out, a->text);
        buf_add(out, digits + whole, a->number);
    }
    return true;
}

// ---------------------------------------------------------------- values

static struct value of_number(struct render *r, long long n)
{
    buf_reset(&r->scratch[0]);
    buf_addint(&r->scratch[0], n);
    return value_set(buf_str(&r->scratch[0]));
}

static struct value of_row(const struct row *row, size_t column)
{
    return row->record ? row->record->values[column] : value_null();
}

static struct value look(struct render *r, const struct template_ref *ref)
{
    const struct template_data *d = r->d;
    const struct result *res = d->result;
    switch (ref->source) {
    case TEMPLATE_OF_ROW: return of_row(&r->rows[r->nrows - 1 - ref->level], ref->column);
    case TEMPLATE_OF_REQUEST: return d->takes ? d->takes[ref->take] : value_null();
    case TEMPLATE_OF_USER:
        return value_set(ref->user_name ? d->principal->user_name : d->principal->user_id);
    case TEMPLATE_IS_COUNT: return of_number(r, res ? (long long)res->records.n : 0);
    case TEMPLATE_IS_TOTAL: return res && res->total >= 0 ? of_number(r, res->total) : value_null();
    case TEMPLATE_IS_KEY: return res && res->key ? res->key[0] : value_null();
    case TEMPLATE_IS_INDEX: return of_number(r, (long long)r->rows[r->nrows - 1].index + 1);
    case TEMPLATE_IS_ERROR: return value_set(d->error);
    case TEMPLATE_IS_NOW: return value_set(str_of(d->now));
    }
    return value_null();
}

static struct str cut(struct str s, unsigned max)
{
    size_t n = 0;
    for (unsigned i = 0; i < max && n < s.len; i++)
        do
            n++;
        while (n < s.len && (s.data[n] & 0xc0) == 0x80);
    return str_n(s.data, n);
}

static void fold(struct buf *out, struct str s, bool up)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool letter = up ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        buf_addc(out, letter ? (char)(c ^ 0x20) : c);
    }
}

static struct str code_of(const struct template_codes *codes, struct str s)
{
    struct str other = s;
    for (size_t i = 0; i < codes->n; i++) {
        if (str_eq(codes->list[i].inside, s))
            return codes->list[i].outside;
        if (str_eqz(codes->list[i].inside, "*"))
            other = codes->list[i].outside;
    }
    return other;
}

// One word behind a value. `number` of the scratch buffer to use.
static struct value applied(struct render *r, const struct template_apply *a, struct value v,
                            unsigned number)
{
    struct buf *b = &r->scratch[number];
    struct str s = value_str(v);
    bool there = v.state == VALUE_SET || v.state == VALUE_FOREIGN;
    if (a->word == TEMPLATE_DEFAULT)
        return there && v.len ? v : value_set(str_of(a->text));
    if (!there)
        return v;
    buf_reset(b);
    switch (a->word) {
    case TEMPLATE_CUT: return value_set(cut(s, a->number));
    case TEMPLATE_CODE: return value_set(code_of(a->codes, s));
    case TEMPLATE_DATE:
        if (!template_date_out(s, a->text, b))
            return v; // not a date: shown as it is
        break;
    case TEMPLATE_NUMBER:
        if (!put_number(b, s, a))
            return v;
        break;
    case TEMPLATE_UPPER:
    case TEMPLATE_LOWER: fold(b, s, a->word == TEMPLATE_UPPER); break;
    default: return v;
    }
    return b->failed ? value_null() : value_set(buf_str(b));
}

static void put_json(struct render *r, const struct template_node *n, struct value v, bool bare)
{
    bool number = n->ref.source == TEMPLATE_IS_COUNT || n->ref.source == TEMPLATE_IS_TOTAL ||
                  n->ref.source == TEMPLATE_IS_INDEX;
    if (v.state != VALUE_SET && v.state != VALUE_FOREIGN)
        buf_addz(r->out, "null");
    else if (n->ref.field && n->napply == 0)
        type_to_json(n->ref.field, v, r->out);
    else if ((bare || (number && n->napply == 0)) && bare_json(value_str(v)))
        buf_addstr(r->out, value_str(v));
    else
        buf_addjson(r->out, value_str(v));
}

static void put_value(struct render *r, const struct template_node *n)
{
    struct value v = look(r, &n->ref);
    bool bare = false;
    unsigned number = 1;
    for (size_t i = 0; i < n->napply; i++, number = 1 - number) {
        bare = bare || n->apply[i].word == TEMPLATE_BARE;
        v = applied(r, &n->apply[i], v, number);
    }
    struct str s = v.state == VALUE_SET || v.state == VALUE_FOREIGN ? value_str(v) : STR("");
    switch (r->format) {
    case TEMPLATE_AS_JSON: put_json(r, n, v, bare); break;
    case TEMPLATE_AS_XML: put_xml(r->out, s); break;
    case TEMPLATE_AS_CSV: put_csv(r->out, s, r->separator); break;
    case TEMPLATE_AS_TEXT: buf_addstr(r->out, s); break;
    }
}

// ---------------------------------------------------------------- nodes

static void put_nodes(struct render *r, const struct template_node *n);

static void put_each(struct render *r, const struct template_node *n)
{
    const struct record_set *set = &r->d->result->records;
    if (n->relation >= 0) {
        const struct record *row = r->rows[r->nrows - 1].record;
        set = row && row->related ? &row->related[n->relation] : NULL;
    }
    r->nrows++;
    for (size_t i = 0; set && i < set->n && !r->out->failed; i++) {
        r->rows[r->nrows - 1] = (struct row){&set->rows[i], i};
        if (i)
            put_nodes(r, n->other);
        put_nodes(r, n->children);
    }
    r->nrows--;
}

static bool holds(struct render *r, const struct template_node *n)
{
    struct value v = look(r, &n->ref);
    bool there = v.state == VALUE_SET || v.state == VALUE_FOREIGN;
    bool count = n->ref.source == TEMPLATE_IS_COUNT || n->ref.source == TEMPLATE_IS_TOTAL;
    bool yes = n->is ? there && str_eqz(value_str(v), n->is)
                     : there && v.len > 0 && !(count && str_eqz(value_str(v), "0"));
    return yes != n->negated;
}

// Depth is bounded when the skeleton is compiled (TEMPLATE_DEPTH_MAX).
static void put_nodes(struct render *r, const struct template_node *n)
{
    for (; n && !r->out->failed; n = n->next) {
        switch (n->kind) {
        case TEMPLATE_LITERAL: buf_addstr(r->out, n->text); break;
        case TEMPLATE_VALUE: put_value(r, n); break;
        case TEMPLATE_EACH: put_each(r, n); break;
        case TEMPLATE_IF: put_nodes(r, holds(r, n) ? n->children : n->other); break;
        }
    }
}

int template_render(const struct template_answer *a, const struct template_data *d, struct buf *out,
                    struct err *e)
{
    struct render r = {.d = d, .format = a->format, .separator = a->separator, .out = out};
    out->limit = TEMPLATE_OUT_MAX;
    if (d->op && d->op->kind == OPERATION_GET && d->result && d->result->records.n)
        r.rows[r.nrows++] = (struct row){&d->result->records.rows[0], 0};
    put_nodes(&r, a->body);
    buf_free(&r.scratch[0]);
    buf_free(&r.scratch[1]);
    return out->failed ? err_set(e, ERR_LIMIT, "an answer of more than %u bytes", TEMPLATE_OUT_MAX)
                       : 0;
}
