// SPDX-License-Identifier: Apache-2.0
// The configuration's texts: the reference made from the option table, and connection
// strings without their passwords. Thread: any.
#include "base/conf.h"

#include <ctype.h>

static const char *const type_names[] = {"string", "secret", "integer", "boolean", "word", "list"};

static void write_row(struct buf *out, const struct conf_option *o)
{
    buf_printf(out, "| `%s` | %s | ", o->name, type_names[o->type]);
    if (!o->fallback)
        buf_addz(out, "*required*");
    else if (*o->fallback)
        buf_printf(out, "`%s`", o->fallback);
    buf_addz(out, " | ");
    if (o->type == CONF_INT)
        buf_printf(out, "%lld to %lld %s", o->min, o->max, o->unit);
    for (const char *const *w = o->words; w && *w; w++)
        buf_printf(out, "%s`%s`", w == o->words ? "" : ", ", *w);
    buf_printf(out, " | %s |\n", o->doc);
}

void conf_write_reference(struct buf *out)
{
    const char *last = "";

    buf_addz(out, "# Configuration\n\n"
                  "Written from `base/conf_table.c` by `make docs`; do not edit.\n\n"
                  "One JSON object, one object a section. `${env:NAME}` and `${file:PATH}` are\n"
                  "expanded in every string; relative paths start at the file's folder. An\n"
                  "option marked *required* must be given where its section is.\n");
    for (const struct conf_option *o = conf_options; o->name; o++) {
        size_t len = (size_t)(strchr(o->name, '.') - o->name);
        if (strncmp(last, o->name, len + 1) != 0) {
            buf_printf(out, "\n## %.*s\n\n", (int)len, o->name);
            buf_addz(out, "| Option | Type | Default | Range | Meaning |\n"
                          "|---|---|---|---|---|\n");
        }
        last = o->name;
        write_row(out, o);
    }
}

// ---- scrubbing

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

// Parts of a key that make its value a secret, in either case.
static bool secret_key(struct str key)
{
    static const char *const parts[] = {"pass", "pwd", "secret", "token"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct str part = str_of(parts[i]);
        for (size_t at = 0; at + part.len <= key.len; at++)
            if (str_eq_nocase(str_n(key.data + at, part.len), part))
                return true;
    }
    return false;
}

// Whether what starts at s is "blanks word blanks =": the next keyword of a conninfo.
static bool next_keyword(const char *s)
{
    while (*s == ' ')
        s++;
    if (!is_word(*s))
        return *s == '\0';
    while (is_word(*s))
        s++;
    while (*s == ' ')
        s++;
    return *s == '=';
}

// End of the value at s. Rather hides too much than too little.
static const char *value_end(const char *s, bool odbc, bool url)
{
    char quote = *s == '\'' ? '\'' : *s == '{' ? '}' : 0;

    if (quote) {
        for (s++; *s; s++) {
            if (quote == '\'' && *s == '\\' && s[1])
                s++;
            else if (*s == quote && quote == '}' && s[1] == '}')
                s++;
            else if (*s == quote)
                return s + 1;
        }
        return s;
    }
    for (; *s; s++) {
        if (odbc ? *s == ';' : url ? *s == '&' : *s == ' ' && next_keyword(s))
            return s;
    }
    return s;
}

// Copies "scheme://user:" and hides the password of "scheme://user:password@host".
static const char *scrub_authority(struct buf *out, const char *s)
{
    const char *start = strstr(s, "://");

    if (!start)
        return s;
    start += 3;
    const char *end = start + strcspn(start, "?");
    const char *at = memrchr(start, '@', (size_t)(end - start));
    const char *colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (!colon)
        return s;
    buf_add(out, s, (size_t)(colon - s) + 1);
    buf_addz(out, "***");
    return at;
}

struct str conf_scrub(struct arena *a, const char *conninfo)
{
    struct buf out = BUF_INIT;
    bool url = strstr(conninfo, "://") != NULL;
    bool odbc = strchr(conninfo, ';') != NULL;
    const char *s = url ? scrub_authority(&out, conninfo) : conninfo;

    while (*s) {
        const char *word = s;
        while (is_word(*s))
            s++;
        struct str key = str_n(word, (size_t)(s - word));
        const char *equals = s;
        while (*equals == ' ')
            equals++;
        if (key.len > 0 && *equals == '=' && secret_key(key)) {
            s = equals + 1;
            while (*s == ' ')
                s++;
            buf_addstr(&out, key);
            buf_addz(&out, "=***");
            s = value_end(s, odbc, url);
        } else {
            buf_addstr(&out, key);
            if (*s)
                buf_addc(&out, *s++);
        }
    }
    struct str result = out.failed ? STR("(connection string)") : arena_str(a, buf_str(&out));
    buf_free(&out);
    return result.data ? result : STR("(connection string)");
}
