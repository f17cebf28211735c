// SPDX-License-Identifier: Apache-2.0
// The control store's statements. Owns one blocking connection; a broken one is replaced on
// the next call. Not thread-safe: one struct control a thread.
#include "routes/control.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct control {
    char *conninfo;
    char application[64];
    struct pg_conn *pg;
};

static const struct log_ctx ctx = {"control", NULL, NULL};

int control_open(const char *conninfo, const char *application, struct control **out, struct err *e)
{
    struct control *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c || !(c->conninfo = strdup(conninfo))) {
        free(c);
        return err_memory(e);
    }
    if (str_copy(c->application, sizeof c->application, str_of(application)) ||
        pg_open(conninfo, application, &c->pg, e)) {
        control_close(c);
        return err_prefix(e, "control store (control.conninfo)");
    }
    *out = c;
    return 0;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    pg_close(c->pg);
    free(c->conninfo);
    free(c);
}

struct pg_conn *control_pg(struct control *c, struct err *e)
{
    if (c->pg && pg_alive(c->pg))
        return c->pg;
    pg_close(c->pg);
    c->pg = NULL;
    if (pg_open(c->conninfo, c->application, &c->pg, e)) {
        err_prefix(e, "control store (control.conninfo)");
        return NULL;
    }
    log_info(&ctx, "connected again");
    return c->pg;
}

json_t *control_state(struct control *c, struct err *e)
{
    static const char text[] =
        "SELECT json_build_object('version', (SELECT version FROM ficus.version),"
        " 'load', (SELECT load FROM ficus.definitions),"
        " 'routes', (SELECT coalesce(json_object_agg(r.route, json_build_object("
        "'stage', stage, 'canary_bp', canary_bp,"
        " 'since_us', (extract(epoch FROM changed_at) * 1000000)::bigint, 'ignored', i.rules)),"
        " '{}') FROM ficus.route_state r LEFT JOIN (SELECT route, json_agg(json_build_object("
        "'field', field, 'any', any_value,"
        " 'expires_ms', (extract(epoch FROM expires_at) * 1000)::bigint)) AS rules"
        " FROM ficus.ignore_rule GROUP BY route) i USING (route)),"
        " 'groups', (SELECT coalesce(json_object_agg(grp, json_build_object("
        "'owner', owner, 'epoch', epoch, 'phase', phase, 'hold_until_ms',"
        " coalesce((extract(epoch FROM hold_until) * 1000)::bigint, 0))), '{}')"
        " FROM ficus.owner))";
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = arena_create(0);
    struct rows rows;
    json_t *state = NULL;
    if (!a) {
        err_memory(e);
    } else if (pg && pg_query(pg, STR(text), NULL, 0, a, &rows, e) == 0) {
        json_error_t je;
        state = json_loadb(rows.cells[0].data, rows.cells[0].len, 0, &je);
        if (!state)
            err_set(e, ERR_INTERNAL, "control store state is not JSON: %s", je.text);
    }
    arena_destroy(a);
    return state;
}

static int register_route(struct pg_conn *pg, const struct route *r, struct err *e)
{
    const char *p[] = {r->name};
    return pg_execz(pg,
                    "INSERT INTO ficus.route_state (route, stage, changed_by, why)"
                    " VALUES ($1, 'legacy', 'ficus', 'first registration')"
                    " ON CONFLICT DO NOTHING",
                    p, 1, NULL, e);
}

static int register_group(struct pg_conn *pg, const struct group *g, struct err *e)
{
    const char *p[] = {g->name};
    if (pg_execz(pg,
                 "INSERT INTO ficus.owner (grp, owner) VALUES ($1, 'legacy')"
                 " ON CONFLICT DO NOTHING",
                 p, 1, NULL, e))
        return -1;
    return pg_execz(pg,
                    "INSERT INTO ficus.fence (grp, writable, epoch) VALUES ($1, false, 0)"
                    " ON CONFLICT DO NOTHING",
                    p, 1, NULL, e);
}

int control_register(struct control *c, const struct route_table *t, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    if (!pg || pg_begin(pg, e))
        return -1;
    for (size_t i = 0; i < route_count(t); i++)
        if (register_route(pg, route_at(t, i), e))
            goto fail;
    for (size_t i = 0; i < group_count(t); i++)
        if (register_group(pg, group_at(t, i), e))
            goto fail;
    return pg_commit(pg, e);
fail:
    pg_rollback(pg);
    return -1;
}

static int write_ignore(struct pg_conn *pg, const struct control_ignore *g, const char *who,
                        const char *why, struct err *e)
{
    char days[16];
    snprintf(days, sizeof days, "%u", g->days);
    const char *drop[] = {g->route, g->field};
    const char *add[] = {g->route, g->field, g->any_value ? "true" : "false", why, who, days};
    if (pg_execz(pg, "DELETE FROM ficus.ignore_rule WHERE route = $1 AND field = $2", drop, 2, NULL,
                 e))
        return -1;
    if (g->days &&
        pg_execz(pg,
                 "INSERT INTO ficus.ignore_rule (route, field, any_value, why, who, expires_at)"
                 " VALUES ($1, $2, $3::boolean, $4, $5, now() + $6::int * interval '1 day')",
                 add, 6, NULL, e))
        return -1;
    // A new stay at the stage, so that what was counted without the rule does not count on.
    return pg_execz(pg, "UPDATE ficus.route_state SET changed_at = now() WHERE route = $1", drop, 1,
                    NULL, e);
}

int control_set_ignore(struct control *c, const struct control_ignore *g, const char *who,
                       const char *why, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    if (!pg || pg_begin(pg, e))
        return -1;
    json_t *detail = json_pack("{s:s, s:b, s:i, s:s}", "field", g->field, "any", g->any_value,
                               "days", (int)g->days, "why", why);
    int result = write_ignore(pg, g, who, why, e) ||
                         control_audit(c, who, "route ignore", g->route, detail, e)
                     ? -1
                     : pg_commit(pg, e);
    if (result)
        pg_rollback(pg);
    json_decref(detail);
    return result;
}

int control_number(struct control *c, const char *sql, const struct value *p, size_t n,
                   long long *out, struct err *e)
{
    struct rows rows;
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    int result = pg_query(pg, str_of(sql), p, n, a, &rows, e);
    if (result == 0 &&
        (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out)))
        result = err_set(e, ERR_INTERNAL, "the control store gave no number");
    arena_destroy(a);
    return result;
}

int control_heartbeat(struct control *c, const struct instance *i, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    char pid[16], version[24];
    char *detail = i->detail ? json_dumps(i->detail, JSON_COMPACT) : NULL;
    snprintf(pid, sizeof pid, "%d", i->pid);
    snprintf(version, sizeof version, "%lld", i->table_version);
    const char *p[] = {i->id,      i->kind, i->host,      pid,
                       i->address, version, i->maps_hash, detail ? detail : "{}"};
    int result = !pg ? -1
                     : pg_execz(pg,
                                "INSERT INTO ficus.instance (id, kind, host, pid, address,"
                                " table_version, maps_hash, detail)"
                                " VALUES ($1,$2,$3,$4::int,$5,$6::bigint,$7,$8::jsonb)"
                                " ON CONFLICT (id) DO UPDATE SET heartbeat = now(),"
                                " table_version = excluded.table_version,"
                                " address = excluded.address,"
                                " maps_hash = excluded.maps_hash, detail = excluded.detail",
                                p, 8, NULL, e);
    free(detail);
    return result;
}

int control_forget(struct control *c, const char *id, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    const char *p[] = {id};
    if (!pg)
        return -1;
    return pg_execz(pg, "DELETE FROM ficus.instance WHERE id = $1", p, 1, NULL, e);
}

long long control_next_epoch(struct control *c, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    struct rows rows;
    long long epoch = -1;
    if (pg && !a)
        err_memory(e);
    else if (pg && pg_query(pg, STR("SELECT nextval('ficus.epoch')"), NULL, 0, a, &rows, e) == 0 &&
             !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &epoch))
        err_set(e, ERR_INTERNAL, "ficus.epoch gave no number");
    arena_destroy(a);
    return epoch;
}

int control_audit(struct control *c, const char *who, const char *action, const char *object,
                  const json_t *detail, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    char *text = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
    const char *p[] = {who, action, object, text ? text : "{}"};
    int result = !pg ? -1
                     : pg_execz(pg,
                                "INSERT INTO ficus.audit (who, action, object, detail)"
                                " VALUES ($1,$2,$3,$4::jsonb)",
                                p, 4, NULL, e);
    free(text);
    return result;
}
