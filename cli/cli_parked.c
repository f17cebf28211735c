// SPDX-License-Identifier: Apache-2.0
// ficus parked: events that could not be applied, in both stores. An id is "new:7" or
// "legacy:7": the store that the event could not be applied to, and its row there.
#include "cdc/event/event.h"
#include "cdc/reader.h"
#include "cli/listing.h"
#include "cli/tables.h"
#include "connectors/odbc/odbc.h"

#include "migrations/type.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct stores {
    struct cli_env env;
    struct pg_conn *pg;
    struct odbc_conn *odbc;
    struct arena *arena;
    struct err e;
};

struct id {
    enum side side;
    struct value number;
};

static int stores_open(const struct cli *c, struct stores *s, int *status)
{
    *s = (struct stores){0};
    if (cli_env_open(c, NEED_CONTROL, &s->env, status))
        return -1;
    const struct dbms *d = dbms_find(str_of(conf_str(s->env.conf, "legacy.dbms")));
    s->arena = arena_create(0);
    s->pg = control_pg(s->env.control, &s->e);
    if (!s->arena)
        err_memory(&s->e);
    if (s->arena && s->pg && d &&
        odbc_open(conf_str(s->env.conf, "legacy.odbc"), d, &s->odbc, &s->e) == 0)
        return 0;
    *status = cli_fail(&s->e);
    arena_destroy(s->arena);
    cli_env_close(&s->env);
    return -1;
}

static int stores_close(struct stores *s, int status)
{
    if (s->e.code != ERR_NONE)
        status = cli_fail(&s->e);
    odbc_close(s->odbc);
    arena_destroy(s->arena);
    cli_env_close(&s->env);
    return status;
}

// The same statement on either store: written with ?, %T for the table, %S for its
// column of the SQL state.
static int run(struct stores *s, enum side side, const char *sql, const struct value *params,
               size_t n, struct rows *rows, long long *changed)
{
    struct buf text = BUF_INIT;
    unsigned number = 0;
    for (const char *p = sql; *p; p++) {
        if (p[0] == '%' && p[1] == 'T') {
            buf_addz(&text, side == SIDE_NEW ? "ficus.parked" : "ficus_parked");
            p++;
        } else if (p[0] == '%' && p[1] == 'S') { // a reserved word in MariaDB
            buf_addz(&text, side == SIDE_NEW ? "sqlstate" : "sql_state");
            p++;
        } else if (*p == '?' && side == SIDE_NEW) {
            buf_printf(&text, "$%u", ++number);
        } else {
            buf_addc(&text, *p);
        }
    }
    int result = buf_check(&text, &s->e);
    if (result == 0 && rows)
        result = side == SIDE_NEW
                     ? pg_query(s->pg, buf_str(&text), params, n, s->arena, rows, &s->e)
                     : odbc_query(s->odbc, buf_str(&text), params, n, s->arena, 0, rows, &s->e);
    else if (result == 0)
        result = side == SIDE_NEW ? pg_exec(s->pg, buf_str(&text), params, n, changed, &s->e)
                                  : odbc_exec(s->odbc, buf_str(&text), params, n, changed, &s->e);
    buf_free(&text);
    return result;
}

static int parse_id(const char *text, struct id *out)
{
    long long n;
    const char *colon = strchr(text, ':');
    struct str side = colon ? str_n(text, (size_t)(colon - text)) : (struct str){0};
    if (colon && str_to_int(str_of(colon + 1), 1, INT64_MAX, &n) &&
        (str_eqz(side, "new") || str_eqz(side, "legacy"))) {
        *out = (struct id){str_eqz(side, "new") ? SIDE_NEW : SIDE_LEGACY,
                           value_set(str_of(colon + 1))};
        return 0;
    }
    fprintf(stderr, "ficus parked: '%s' is no id of ficus parked list\n", text);
    return -1;
}

static const char *const list_headers[] = {"ID",    "STREAM",   "KEY",   "REASON",
                                           "STATE", "SQLSTATE", "DETAIL"};
#define LIST_COLUMNS 7

// Columns of `parked show`.
enum { SHOW_ENTITY = 3, SHOW_KEY = 4, SHOW_LEGACY = 11, SHOW_NEW = 12 };

// Rows of both stores under one another, the id made of side and number.
static int gather(struct stores *s, bool all, struct rows *out)
{
    struct rows one[2];
    size_t total = 0;
    const char *sql = all ? "SELECT id, stream, k, reason, state, %S, detail FROM %T"
                            " ORDER BY id"
                          : "SELECT id, stream, k, reason, state, %S, detail FROM %T"
                            " WHERE state IN ('parked','retry') ORDER BY id";
    for (int side = 0; side < 2; side++) {
        if (run(s, (enum side)side, sql, NULL, 0, &one[side], NULL))
            return -1;
        total += one[side].nrows;
    }
    *out = (struct rows){.ncols = LIST_COLUMNS};
    out->cells = arena_array(s->arena, total * LIST_COLUMNS + 1, sizeof *out->cells);
    if (!out->cells)
        return err_memory(&s->e);
    for (int side = 1; side >= 0; side--)
        for (size_t i = 0; i < one[side].nrows; i++, out->nrows++) {
            struct value *to = rows_at(out, out->nrows, 0);
            for (size_t c = 0; c < LIST_COLUMNS; c++)
                to[c] = *rows_at(&one[side], i, c);
            to[0] = value_set(arena_printf(s->arena, "%s:%.*s", side_name((enum side)side),
                                           (int)to[0].len, to[0].data));
        }
    return 0;
}

static int run_list(const struct cli *c)
{
    struct stores s;
    struct rows rows;
    int status;
    if (stores_open(c, &s, &status))
        return status;
    if (gather(&s, cli_flag(c, "all"), &rows) == 0)
        status = listing_rows(&rows, list_headers, "nothing is parked", c->json);
    return stores_close(&s, status);
}

// What a store holds under the event's key now, as a JSON object; "none" when there is no row.
static int present_row(struct stores *s, const struct entity *en, enum side side, struct str key,
                       struct value *out)
{
    struct reader r;
    struct reader_row row;
    struct buf json = BUF_INIT;
    if (reader_init(&r, en, side, s->odbc, s->pg, &s->e) ||
        reader_keys(&r, &key, 1, s->arena, &row, &s->e))
        return -1;
    for (size_t i = 0; row.values && i < r.nfields; i++) {
        buf_printf(&json, "%s\"%s\":", i ? "," : "{", r.fields[i]->name);
        type_to_json(r.fields[i], row.values[i], &json);
    }
    buf_addz(&json, row.values ? "}" : "none");
    int result = buf_check(&json, &s->e);
    if (result == 0)
        *out = value_set(arena_str(s->arena, buf_str(&json)));
    buf_free(&json);
    return result;
}

// Both stores' rows into the last two columns. A key that no row can have leaves them out.
static int add_present(struct stores *s, struct rows *rows)
{
    struct value parts[16];
    struct err bad = {0};
    const struct entity *en = entity_find(s->env.set, value_str(rows->cells[SHOW_ENTITY]));
    struct str key = value_str(rows->cells[SHOW_KEY]);
    if (!en || key.len == 0 || entity_key_split(en, key, parts, &bad))
        return 0;
    return present_row(s, en, SIDE_LEGACY, key, &rows->cells[SHOW_LEGACY]) ||
                   present_row(s, en, SIDE_NEW, key, &rows->cells[SHOW_NEW])
               ? -1
               : 0;
}

static int run_show(const struct cli *c)
{
    static const char *const headers[] = {"STREAM", "PART",       "OFFSET",   "ENTITY", "KEY",
                                          "REASON", "DETAIL",     "SQLSTATE", "STATE",  "WHY",
                                          "EVENT",  "LEGACY NOW", "NEW NOW"};
    struct stores s;
    struct rows rows;
    struct id id;
    int status;
    if (parse_id(c->args[0], &id))
        return EXIT_USAGE;
    if (stores_open(c, &s, &status))
        return status;
    if (run(&s, id.side,
            "SELECT stream, part, offset_no, entity, k, reason, detail, %S, state, why,"
            " after_image, NULL AS legacy_now, NULL AS new_now FROM %T WHERE id = CAST(? AS DECIMAL(18,0))",
            &id.number, 1, &rows, NULL) == 0 &&
        (rows.nrows == 0 || add_present(&s, &rows) == 0)) {
        if (rows.nrows == 0)
            err_set(&s.e, ERR_NOT_FOUND, "no parked event %s", c->args[0]);
        else if (c->json)
            status = listing_rows(&rows, headers, "", true);
        for (size_t i = 0; rows.nrows && !c->json && i < rows.ncols; i++)
            printf("%-10s %.*s\n", headers[i], (int)rows.cells[i].len,
                   rows.cells[i].len ? rows.cells[i].data : "");
    }
    return stores_close(&s, status);
}

static int retry_one(struct stores *s, const struct id *id, const char *text)
{
    struct rows rows;
    long long changed = 0;
    if (run(s, id->side,
            "SELECT stream, k, part FROM %T WHERE id = CAST(? AS DECIMAL(18,0))"
            " AND state IN ('parked','retry')",
            &id->number, 1, &rows, NULL))
        return -1;
    if (rows.nrows == 0)
        return err_set(&s->e, ERR_NOT_FOUND, "no open parked event %s", text);
    if (str_eqz(value_str(rows.cells[2]), "-1"))
        return err_set(&s->e, ERR_INVALID,
                       "%s never became an event, there is nothing to apply: mend the row at its"
                       " source, then drop it",
                       text);
    struct value p[] = {rows.cells[0], rows.cells[1]};
    return run(s, id->side,
               "UPDATE %T SET state = 'retry' WHERE stream = ? AND k = ?"
               " AND state = 'parked'",
               p, 2, NULL, &changed);
}

static int run_retry(const struct cli *c)
{
    struct stores s;
    int status;
    long long changed[2] = {0};
    struct id id;
    if ((c->nargs == 0) != cli_flag(c, "all")) {
        fputs("ficus parked retry: name ids or give --all\n", stderr);
        return EXIT_USAGE;
    }
    for (unsigned i = 0; i < c->nargs; i++)
        if (parse_id(c->args[i], &id))
            return EXIT_USAGE;
    if (stores_open(c, &s, &status))
        return status;
    for (int side = 0; side < 2 && cli_flag(c, "all"); side++)
        if (run(&s, (enum side)side,
                "UPDATE %T SET state = 'retry' WHERE state = 'parked' AND part >= 0", NULL, 0, NULL,
                &changed[side]))
            break;
    for (unsigned i = 0; i < c->nargs && s.e.code == ERR_NONE; i++)
        if (parse_id(c->args[i], &id) || retry_one(&s, &id, c->args[i]))
            break;
    if (s.e.code == ERR_NONE)
        fputs("asked for; ficus parked list shows what is left\n", stderr);
    return stores_close(&s, status);
}

static int drop_one(struct stores *s, const struct id *id, const char *text, const char *why)
{
    long long changed = 0;
    struct value p[] = {value_set(str_of(why)), id->number};
    json_t *detail = json_pack("{s:s}", "why", why);
    int result = run(s, id->side,
                     "UPDATE %T SET state = 'dropped', why = ? WHERE"
                     " id = CAST(? AS DECIMAL(18,0)) AND state IN ('parked','retry')",
                     p, 2, NULL, &changed);
    if (result == 0 && changed == 0)
        result = err_set(&s->e, ERR_NOT_FOUND, "no open parked event %s", text);
    if (result == 0)
        result = control_audit(s->env.control, cli_who(), "parked drop", text, detail, &s->e);
    json_decref(detail);
    return result;
}

static int run_drop(const struct cli *c)
{
    struct stores s;
    int status;
    struct id id;
    const char *why = cli_option(c, "why");
    if (!why || !*why) {
        fputs("ficus parked drop: --why is needed; it is kept\n", stderr);
        return EXIT_USAGE;
    }
    for (unsigned i = 0; i < c->nargs; i++)
        if (parse_id(c->args[i], &id))
            return EXIT_USAGE;
    if (stores_open(c, &s, &status))
        return status;
    for (unsigned i = 0; i < c->nargs; i++)
        if (parse_id(c->args[i], &id) || drop_one(&s, &id, c->args[i], why))
            break;
    return stores_close(&s, status);
}

// --- edit

// "FIELD=TEXT" sets a JSON string, "FIELD:=JSON" any JSON value.
static int assign(const struct entity *en, json_t *after, const char *text, struct err *e)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return err_set(e, ERR_INVALID, "'%s' is no FIELD=TEXT or FIELD:=JSON", text);
    bool raw = eq[-1] == ':';
    struct str name = str_n(text, (size_t)(eq - text) - (raw ? 1 : 0));
    const struct field *f = entity_field(en, name);
    if (!f || !f->synced)
        return err_set(e, ERR_INVALID, "%s has no synced field '%.*s'", en->name, (int)name.len,
                       name.data);
    json_error_t je;
    json_t *v = raw ? json_loads(eq + 1, JSON_DECODE_ANY, &je) : json_string(eq + 1);
    if (!v)
        return err_set(e, ERR_INVALID, "%s: %s", f->name, raw ? je.text : "not UTF-8");
    return json_object_set_new(after, f->name, v) ? err_memory(e) : 0;
}

// The edited event must be one that apply would take.
static int check_event(struct stores *s, const struct entity *en, enum side target, struct str key,
                       struct str image)
{
    struct event event;
    struct buf json = BUF_INIT;
    int result = event_key_json(en, key, &json, &s->e);
    if (result == 0) {
        struct kafka_message m = {.key = buf_str(&json), .value = image};
        enum side from = target == SIDE_NEW ? SIDE_LEGACY : SIDE_NEW;
        result = event_decode(en, from, &m, s->arena, &event, &s->e);
    }
    if (result == 0 && event.foreign.len)
        result = err_set(&s->e, ERR_VALUE, "values that may not cross: %.*s",
                         (int)event.foreign.len, event.foreign.data);
    buf_free(&json);
    return result;
}

// The event's text with the assignments made; in the arena.
static int edited(struct stores *s, const struct cli *c, const struct entity *en, struct str image,
                  struct str *out)
{
    json_error_t je;
    json_t *root = image.len ? json_loadb(image.data, image.len, JSON_ALLOW_NUL, &je) : NULL;
    json_t *payload = json_object_get(root, "payload");
    json_t *after = json_object_get(payload ? payload : root, "after");
    int result = 0;
    if (!json_is_object(after))
        result = err_set(&s->e, ERR_INVALID, "the event holds no row that could be edited");
    for (unsigned i = 1; i < c->nargs && result == 0; i++)
        result = assign(en, after, c->args[i], &s->e);
    char *text = result == 0 ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    if (result == 0) {
        *out = text ? arena_str(s->arena, str_of(text)) : (struct str){0};
        result = out->data ? 0 : err_memory(&s->e);
    }
    free(text);
    json_decref(root);
    return result;
}

static int edit_one(struct stores *s, const struct cli *c, const struct id *id, const char *why)
{
    struct rows rows;
    struct str image = {0};
    long long changed = 0;
    if (run(s, id->side,
            "SELECT entity, k, after_image FROM %T WHERE id = CAST(? AS DECIMAL(18,0))"
            " AND state = 'parked'",
            &id->number, 1, &rows, NULL))
        return -1;
    if (rows.nrows == 0)
        return err_set(&s->e, ERR_NOT_FOUND, "no open parked event %s", c->args[0]);
    const struct entity *en = entity_find(s->env.set, value_str(rows.cells[0]));
    if (!en)
        return err_set(&s->e, ERR_CONFIG, "its entity has no map");
    if (edited(s, c, en, value_str(rows.cells[2]), &image) ||
        check_event(s, en, id->side, value_str(rows.cells[1]), image))
        return -1;
    struct value p[] = {value_set(image), value_set(str_of(why)), id->number};
    if (run(s, id->side,
            "UPDATE %T SET after_image = ?, why = ? WHERE id = CAST(? AS DECIMAL(18,0))"
            " AND state = 'parked'",
            p, 3, NULL, &changed))
        return -1;
    return changed ? 0
                   : err_set(&s->e, ERR_STALE, "%s was applied or dropped meanwhile", c->args[0]);
}

static int run_edit(const struct cli *c)
{
    struct stores s;
    struct id id;
    int status;
    const char *why = cli_option(c, "why");
    if (!why || !*why) {
        fputs("ficus parked edit: --why is needed; it is kept\n", stderr);
        return EXIT_USAGE;
    }
    if (parse_id(c->args[0], &id))
        return EXIT_USAGE;
    if (stores_open(c, &s, &status))
        return status;
    json_t *names = json_array(); // values may be personal: the audit keeps the fields' names
    for (unsigned i = 1; i < c->nargs; i++)
        json_array_append_new(names, json_stringn(c->args[i], strcspn(c->args[i], ":=")));
    json_t *detail = json_pack("{s:s, s:o}", "why", why, "fields", names);
    if (edit_one(&s, c, &id, why) == 0 &&
        control_audit(s.env.control, cli_who(), "parked edit", c->args[0], detail, &s.e) == 0)
        fprintf(stderr, "edited; ficus parked retry %s applies it\n", c->args[0]);
    json_decref(detail);
    bool refused = s.e.code == ERR_INVALID || s.e.code == ERR_VALUE;
    status = stores_close(&s, status);
    return refused ? EXIT_DIFFERENT : status;
}

static const struct command_option list_options[] = {
    {"all", 'a', NULL, "Also those that were applied or dropped since."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option retry_options[] = {
    {"all", 'a', NULL, "Every parked event."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option edit_options[] = {
    {"why", 'w', "TEXT", "The reason; kept with the event and in the audit."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option drop_options[] = {
    {"why", 'w', "TEXT", "The reason; kept with the event and in the audit."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_parked_commands[] = {
    {"parked list", "", "List events that could not be applied",
     "Lists the parked events of both directions with reason and SQL state. Later events of a\n"
     "parked key wait behind it; an event that waits for its parent is retried by itself.",
     list_options, 0, 0, run_list},
    {"parked show", "ID", "Show one parked event",
     "Shows everything that is known of a parked event: the event as it came, and the row that\n"
     "each store holds under its key now.",
     NULL, 1, 1, run_show},
    {"parked retry", "[ID...]", "Apply parked events again",
     "Asks the running sync to apply the events of these keys again, in order.", retry_options, 0,
     COMMAND_ARGS_MAX, run_retry},
    {"parked edit", "ID FIELD=TEXT...", "Mend a parked event",
     "Sets fields of the event's row; FIELD:=JSON sets numbers, true, false and null. What apply\n"
     "would not take is refused. The stores are not touched: ficus parked retry applies it.",
     edit_options, 2, COMMAND_ARGS_MAX, run_edit},
    {"parked drop", "ID...", "Give up parked events",
     "Gives up these events for good; later events of their keys are then applied.", drop_options,
     1, COMMAND_ARGS_MAX, run_drop},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
