// SPDX-License-Identifier: Apache-2.0
// Facts of a dispatch for its exchange. A request may run several operations: the times add up,
// the rest is the last one's.
#include "facade/server/explain.h"

#include "base/clock.h"
#include "facade/http/http.h"

void explain_part(struct http_exchange *x, const char *name, const char *detail, bool backend,
                  uint64_t begin_ns)
{
    struct http_facts *f = http_exchange_facts(x);
    if (f->nparts < HTTP_PARTS_MAX)
        f->parts[f->nparts++] = (struct http_part){name, detail, backend, begin_ns,
                                                   clock_mono_ns()};
}

void explain_note(const struct dispatch *d, const char *route, uint64_t took_ns)
{
    struct http_facts *f = http_exchange_facts(d->exchange);
    const struct route *r = d->route;
    const struct principal *who = d->operation->principal;
    enum side side = d->result.served_by;
    explain_part(d->exchange, "dispatch", operation_name(d->operation->kind), false, d->started_ns);
    f->operations++;
    f->dispatch_ns += took_ns;
    f->upstream_ns += d->upstream_ns;
    f->version = route_table_version(d->table);
    if (who && str_copy(f->principal, sizeof f->principal, who->user_id))
        f->principal[0] = 0;
    if (!route)
        return;
    f->route = route;
    f->stage = stage_name(r->stage);
    f->side = side_name(side);
    f->backend = backend_name(r->backend[side]);
    f->owner = r->group ? side_name(r->group->owner) : NULL;
    f->epoch = r->group ? r->group->epoch : 0;
    f->operation = operation_name(d->operation->kind);
    f->bucket = d->bucket;
    f->why = route_why_text(d->why);
}

static bool may_ask(const struct route_override *o, const struct principal *who)
{
    for (size_t i = 0; who && i < o->nusers; i++)
        if (str_eqz(who->user_id, o->users[i]))
            return true;
    return false;
}

bool explain_asked_side(const struct dispatch *d, enum side *out)
{
    const struct route_override *o = route_table_override(d->table);
    if (!o->header || (d->route->stage != STAGE_SHADOW && d->route->stage != STAGE_CANARY))
        return false;
    struct str side = http_header(http_exchange_request(d->exchange), o->header);
    if (!side.data || !may_ask(o, d->operation->principal))
        return false;
    *out = str_eqz(side, "new") ? SIDE_NEW : SIDE_LEGACY;
    return str_eqz(side, "new") || str_eqz(side, "legacy");
}

json_t *explain_route(const struct route_table *t, const struct route *r, struct str key, bool read)
{
    enum route_why why;
    enum side side = route_choose_read(r, key, &why);
    enum side owner = r->group ? r->group->owner : SIDE_LEGACY;
    if (!read && r->stage != STAGE_RETIRED) {
        why = WHY_WRITE;
        side = owner;
    }
    json_t *j = json_pack("{s:s, s:s, s:s, s:f, s:s%, s:i, s:s, s:s, s:s, s:s?, s:s, s:I, s:I}",
                          "route", r->name, "entity", r->entity->name, "stage",
                          stage_name(r->stage), "canary_percent", r->canary_bp / 100.0, "key",
                          key.data ? key.data : "", key.len, "bucket", (int)route_bucket(r, key),
                          "side", why == WHY_RETIRED ? "none" : side_name(side), "backend",
                          backend_name(r->backend[side]), "why", route_why_text(why), "group",
                          r->group ? r->group->name : NULL, "owner", side_name(owner), "epoch",
                          (json_int_t)(r->group ? r->group->epoch : 0), "table_version",
                          (json_int_t)route_table_version(t));
    return j;
}
