// SPDX-License-Identifier: Apache-2.0
// ficus diff: two tables or queries of any two databases, without configuration or maps.
#include "cdc/reconcile/diff.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_SAMPLES 20

static long long figure(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

static void print_columns(const json_t *j, const char *name, const char *what)
{
    const json_t *list = json_object_get(j, name), *x;
    size_t i;
    if (json_array_size(list) == 0)
        return;
    printf("  %s:", what);
    json_array_foreach(list, i, x) printf(" %s", json_string_value(x));
    putchar('\n');
}

static const char *text_of(const json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "NULL";
}

static void print_sample(const json_t *s)
{
    const char *name;
    json_t *values;
    json_t *fields = json_object_get(s, "fields");
    printf("  %s: %s\n", text_of(json_object_get(s, "key")), text_of(json_object_get(s, "kind")));
    json_object_foreach(fields, name, values)
        printf("      %s: %s | %s\n", name, text_of(json_array_get(values, 0)),
               text_of(json_array_get(values, 1)));
}

static void print_text(const json_t *j, bool equal)
{
    const json_t *rows = json_object_get(j, "rows"), *samples = json_object_get(j, "samples");
    printf("%s: %lld and %lld rows, %lld differ (%lld only in the first, %lld only in the second,"
           " %lld changed, %lld duplicate keys), %.1f s\n",
           equal ? "equal" : "NOT equal", (long long)json_integer_value(json_array_get(rows, 0)),
           (long long)json_integer_value(json_array_get(rows, 1)), figure(j, "differences"),
           figure(j, "only_in_first"), figure(j, "only_in_second"), figure(j, "changed"),
           figure(j, "duplicates"), (double)figure(j, "ms") / 1000);
    print_columns(j, "columns_only_in_first", "columns only in the first");
    print_columns(j, "columns_only_in_second", "columns only in the second");
    if (figure(j, "null_keys"))
        printf("  %lld rows have no key (NULL): not compared\n", figure(j, "null_keys"));
    if (figure(j, "beyond_limit"))
        printf("  %lld more keys differ or are missing: beyond --limit\n",
               figure(j, "beyond_limit"));
    for (size_t i = 0; i < json_array_size(samples) && i < TEXT_SAMPLES; i++)
        print_sample(json_array_get(samples, i));
}

static int run(const struct cli *c)
{
    struct err e = {0};
    bool equal;
    struct diff_options o = {.source = {{c->args[0], c->args[1], cli_option(c, "dbms1")},
                                        {c->args[2], c->args[3], cli_option(c, "dbms2")}},
                             .key = cli_option(c, "key"),
                             .columns = cli_option(c, "columns"),
                             .map = cli_option(c, "map"),
                             .ignore = cli_option(c, "ignore")};
    if (cli_option_int(c, "limit", 1, INT64_MAX, 10000, &o.limit))
        return EXIT_USAGE;
    json_t *j = diff_run(&o, &equal, &e);
    if (!j)
        return cli_fail(&e);
    char *text = c->json ? json_dumps(j, JSON_INDENT(2)) : NULL;
    if (c->json)
        puts(text ? text : "{}");
    else
        print_text(j, equal);
    free(text);
    json_decref(j);
    return equal ? EXIT_OK : EXIT_DIFFERENT;
}

static const struct command_option options[] = {
    {"key", 'k', "COLUMNS", "Columns that tell rows apart (default: the smallest unique key)."},
    {"columns", 0, "COLUMNS", "Compare only these (of the first; the key must be among them)."},
    {"ignore", 0, "COLUMNS", "Leave these out."},
    {"map", 0, "A=B,..", "Column A of the first is column B of the second."},
    {"limit", 0, "N", "Differing keys that are looked at field by field (default 10000)."},
    {"dbms1", 0, "DBMS", "What the first ODBC source is: sqlite, mariadb, postgres."},
    {"dbms2", 0, "DBMS", "What the second is."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_diff_commands[] = {
    {"diff", "DSN1 TABLE1 DSN2 TABLE2", "Compare two tables or queries of any two databases",
     "Needs no configuration and no maps. A DSN is a PostgreSQL connection string or URL, or an\n"
     "ODBC connection string (DRIVER=.. or DSN=..); instead of a table a SELECT may stand. Values\n"
     "are compared by their types: 1.50 is 1.5, true is 1, a date is its midnight; text by its\n"
     "bytes. Exit status 1 when anything differs, columns included.",
     options, 4, 4, run},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
