// SPDX-License-Identifier: Apache-2.0
// Aligned tables and JSON from one query. Column widths follow the content, by characters.
#include "cli/listing.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH_MAX 60

static size_t width_of(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.data[i] & 0xc0) != 0x80;
    return n;
}

static struct str cell_text(const struct value *v)
{
    return v->state == VALUE_SET ? value_str(*v) : STR("-");
}

static void put(struct str s, size_t width, bool last)
{
    size_t w = width_of(s);
    for (size_t i = 0; i < s.len; i++)
        putchar((unsigned char)s.data[i] < 0x20 ? ' ' : s.data[i]);
    for (; !last && w < width; w++)
        putchar(' ');
    fputs(last ? "\n" : "  ", stdout);
}

static int print_table(const struct rows *r, const char *const *headers)
{
    size_t *width = calloc(r->ncols ? r->ncols : 1, sizeof *width);
    if (!width)
        return EXIT_INTERNAL;
    for (size_t c = 0; c < r->ncols; c++) {
        width[c] = strlen(headers[c]);
        for (size_t i = 0; i < r->nrows; i++) {
            size_t w = width_of(cell_text(rows_at(r, i, c)));
            width[c] = w > width[c] ? (w > WIDTH_MAX ? WIDTH_MAX : w) : width[c];
        }
    }
    for (size_t c = 0; c < r->ncols; c++)
        put(str_of(headers[c]), width[c], c + 1 == r->ncols);
    for (size_t i = 0; i < r->nrows; i++)
        for (size_t c = 0; c < r->ncols; c++)
            put(cell_text(rows_at(r, i, c)), width[c], c + 1 == r->ncols);
    free(width);
    return EXIT_OK;
}

static int print_json(const struct rows *r, const char *const *headers)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nrows; i++) {
        json_t *row = json_object();
        for (size_t c = 0; c < r->ncols; c++) {
            const struct value *v = rows_at(r, i, c);
            char name[64] = "";
            for (size_t k = 0; headers[c][k] && k + 1 < sizeof name; k++)
                name[k] = headers[c][k] == ' ' ? '_' : (char)tolower((unsigned char)headers[c][k]);
            json_object_set_new(row, name,
                                v->state == VALUE_SET ? json_stringn_nocheck(v->data, v->len)
                                                      : json_null());
        }
        json_array_append_new(list, row);
    }
    char *text = json_dumps(list, JSON_INDENT(2));
    if (text)
        puts(text);
    free(text);
    json_decref(list);
    return text ? EXIT_OK : EXIT_INTERNAL;
}

int listing_rows(const struct rows *rows, const char *const *headers, const char *empty, bool json)
{
    if (json)
        return print_json(rows, headers);
    if (rows->nrows > 0)
        return print_table(rows, headers);
    fprintf(stderr, "%s\n", empty);
    return EXIT_OK;
}

int listing_print(struct control *c, const char *sql, const struct value *params, size_t nparams,
                  const char *const *headers, const char *empty, bool json)
{
    struct err e = {0};
    struct rows rows;
    struct buf text = BUF_INIT;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = control_pg(c, &e);
    int status = EXIT_OK;
    if (json)
        buf_printf(&text, "SELECT coalesce(json_agg(q), '[]') FROM (%s) q", sql);
    else
        buf_addz(&text, sql);
    if (!a)
        err_memory(&e);
    if (!a || !pg || buf_check(&text, &e) ||
        pg_query(pg, buf_str(&text), params, nparams, a, &rows, &e))
        status = cli_fail(&e);
    else if (json)
        printf("%.*s\n", (int)rows.cells[0].len, rows.cells[0].data);
    else if (rows.nrows == 0)
        fprintf(stderr, "%s\n", empty);
    else
        status = print_table(&rows, headers);
    buf_free(&text);
    arena_destroy(a);
    return status;
}
