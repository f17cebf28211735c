// SPDX-License-Identifier: Apache-2.0
// One read, first put to the legacy side, then to the new one, on a loop that ends with it.
#include "facade/evidence/replay.h"

#include "base/clock.h"
#include "facade/backend/http_backend.h"
#include "facade/backend/odbc_backend.h"
#include "facade/backend/postgres_backend.h"
#include "facade/canonical.h"

#define DEADLINE_NS 10000000000ull

struct house {
    struct loop *loop;
    struct odbc_workers *workers;
    struct pg_pool *pool;
    struct http_client *client;
    struct backend *backends[3];
};

struct asking {
    struct execution execution; // first
    struct house *house;
    const struct route *route;
    struct replay *replay;
    enum side side;
};

static int open_house(struct house *h, const struct conf *conf, struct route_table *t,
                      struct err *e)
{
    struct pg_pool_options pool = {.conninfo = conf_str(conf, "control.conninfo"),
                                   .application = "ficus replay",
                                   .size = 1,
                                   .queue_max = 4};
    if (!(h->loop = loop_create("replay", 0, e)))
        return -1;
    struct http_client_options client = {.loop = h->loop};
    if (!(h->workers = odbc_workers_create(conf, e)) ||
        !(h->pool = pg_pool_create(h->loop, &pool, e)) ||
        !(h->client = http_client_create(&client, e)) ||
        !(h->backends[BACKEND_ODBC] = odbc_backend_create(h->workers, h->loop, e)) ||
        !(h->backends[BACKEND_POSTGRES] = postgres_backend_create(h->pool, h->loop, e)) ||
        !(h->backends[BACKEND_HTTP] = http_backend_create(h->client, h->loop, e)))
        return -1;
    return http_backend_prepare(h->backends[BACKEND_HTTP], t, e);
}

static void close_house(struct house *h)
{
    struct backend *odbc = h->backends[BACKEND_ODBC];
    if (h->workers)
        odbc_workers_destroy(h->workers, 2000);
    if (h->loop)
        loop_deliver(h->loop);
    if (odbc)
        odbc->ops->destroy(odbc);
    http_client_destroy(h->client);
    if (h->pool)
        pg_pool_destroy(h->pool);
    for (unsigned i = 0; i < 3; i++)
        if (i != BACKEND_ODBC && h->backends[i])
            h->backends[i]->ops->destroy(h->backends[i]);
    if (h->loop)
        loop_destroy(h->loop);
}

static void ask(struct asking *q, enum side side)
{
    void (*done)(struct execution *) = q->execution.done;
    q->side = side;
    q->execution = (struct execution){.operation = &q->replay->op,
                                      .route = q->route,
                                      .side = side,
                                      .deadline_ns = clock_mono_ns() + DEADLINE_NS,
                                      .done = done,
                                      .result = {.total = -1}};
    backend_execute(q->house->backends[q->route->backend[side]], &q->execution);
}

static void on_answer(struct execution *x)
{
    struct asking *q = (struct asking *)x; // first member
    q->replay->side[q->side] = x->result;
    if (q->side == SIDE_LEGACY)
        ask(q, SIDE_NEW);
    else
        loop_stop(q->house->loop);
}

int replay_run(const struct conf *conf, struct route_table *t, const struct route *r,
               const json_t *operation, struct arena *a, struct replay *out, struct err *e)
{
    struct house h = {0};
    struct asking q = {.execution = {.done = on_answer}, .house = &h, .route = r, .replay = out};
    *out = (struct replay){.op = {.entity = r->entity, .arena = a, .request_line = "replay"}};
    int result = canonical_read_operation(operation, route_entities(t), &out->op, e);
    if (result == 0 && !operation_is_read(out->op.kind))
        result = err_set(e, ERR_INVALID, "only reads can be asked again");
    if (result == 0 && (result = open_house(&h, conf, t, e)) == 0) {
        ask(&q, SIDE_LEGACY);
        loop_run(h.loop);
        out->n = result_compare(&out->op, &out->side[SIDE_LEGACY], &out->side[SIDE_NEW], a,
                                out->differing);
    }
    close_house(&h);
    return result;
}
