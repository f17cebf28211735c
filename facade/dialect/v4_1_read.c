// SPDX-License-Identifier: Apache-2.0
// get_entry, get_entries, get_entry_list and get_entries_count of the v4_1 dialect.
// Owns the state of a read; the operations run elsewhere. Thread: the loop of the mount.
//
//   get_entry    read -> reply               (a capital GUID that is not found: once more in
//                                             lower case)
//   get_entries  block -> .. -> block -> reply
//   lists, count read -> reply
#include "base/log.h"
#include "facade/dialect/v4_1_int.h"

struct v4_1_read {
    struct v4_1_columns columns;
    struct v4_1_links links;
    long long offset;
    // get_entry, get_entries
    struct str *ids;            // as sent
    const struct record **rows; // parallel; NULL: not there
    size_t nids, next;          // next: where the next block starts
    size_t block_start;
    bool lowered;
};

static int fail(struct v4_1_call *c, const struct err *e)
{
    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

static int start(struct v4_1_call *c, const json_t *select, const json_t *links, struct err *e)
{
    c->read = arena_alloc(c->arena, sizeof(*c->read));
    if (!c->read)
        return err_memory(e);
    if (v4_1_columns_of_entry(c->module, select, c->arena, &c->read->columns, e) < 0)
        return -1;
    return v4_1_links_of(c->mount, &c->read->columns, links, c->arena, &c->read->links, e);
}

static struct operation *read_operation(struct v4_1_call *c, enum operation_kind kind)
{
    struct operation *op = v4_1_operation(c, kind, c->module->entity);

    if (!op)
        return NULL;
    op->query.fields = c->read->columns.fields;
    op->query.nfields = c->read->columns.nfields;
    op->expansions = c->read->links.expansions;
    op->nexpansions = c->read->links.nexpansions;
    return op;
}

// ---- get_entry, get_entries

static int reply_entries(struct v4_1_call *c, bool wrapped)
{
    struct v4_1_read *r = c->read;
    struct buf *out = v4_1_body(c);
    size_t n = 0;

    buf_addz(out, "{\"entry_list\":[");
    for (size_t i = 0; i < r->nids; i++) {
        if (i > 0)
            buf_addc(out, ',');
        if (r->rows[i])
            v4_1_add_entry(out, &r->columns, r->rows[i]);
        else
            v4_1_add_missing(out, c->module, r->ids[i]);
    }
    buf_addz(out, "],\"relationship_list\":[");
    for (size_t i = 0; i < r->nids && r->links.n > 0; i++) {
        if (!r->rows[i])
            continue;
        if (n++ > 0)
            buf_addc(out, ',');
        v4_1_add_links(out, &r->links, r->rows[i], wrapped);
    }
    buf_addz(out, "]}");
    return v4_1_reply(c);
}

static int read_entry(struct v4_1_call *c, struct str id);

static int entry_done(struct v4_1_call *c)
{
    struct v4_1_read *r = c->read;
    const struct result *res = &c->dispatch->result;
    struct str lower;

    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return v4_1_reply_result(c, res);
    if (res->status == RESULT_OK && res->records.n > 0) {
        r->rows[0] = &res->records.rows[0];
    } else if (!r->lowered && v4_1_guid_lower(r->ids[0], c->arena, &lower)) {
        r->lowered = true;
        return read_entry(c, lower);
    }
    return reply_entries(c, false);
}

// Ids compare without the blanks at their end; one that no key can be is not looked for.
static bool to_key(struct v4_1_call *c, struct str id, struct value *out)
{
    struct err e;

    return c->module->entity->nkeys == 1 &&
           type_parse(c->module->entity->keys[0], id, c->arena, out, &e) == 0 &&
           out->state == VALUE_SET && out->len > 0;
}

static int read_entry(struct v4_1_call *c, struct str id)
{
    struct operation *op = read_operation(c, OPERATION_GET);
    struct value *key = arena_alloc(c->arena, sizeof(*key));

    if (!op || !key)
        return v4_1_reply_memory(c);
    if (!to_key(c, id, key))
        return reply_entries(c, false);
    op->query.key = key;
    return v4_1_run(c, op, entry_done);
}

static int alloc_ids(struct v4_1_call *c, size_t n, struct err *e)
{
    struct v4_1_read *r = c->read;

    r->ids = arena_array(c->arena, n + 1, sizeof(*r->ids));
    r->rows = arena_array(c->arena, n + 1, sizeof(*r->rows));
    return r->ids && r->rows ? 0 : err_memory(e);
}

int v4_1_get_entry(struct v4_1_call *c)
{
    struct err e;

    if (start(c, c->args[3], c->args[4], &e) < 0 || alloc_ids(c, 1, &e) < 0)
        return fail(c, &e);
    if (!v4_1_text(c->args[2], c->arena, &c->read->ids[0]))
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    c->read->nids = 1;
    return read_entry(c, c->read->ids[0]);
}

static const struct record *row_of(const struct result *res, struct value key, bool nocase)
{
    for (size_t i = 0; i < res->records.n; i++) {
        struct value have = res->records.rows[i].values[0];
        if (value_eq(have, key) || (nocase && str_eq_nocase(value_str(have), value_str(key))))
            return &res->records.rows[i];
    }
    return NULL;
}

static int read_block(struct v4_1_call *c);

static int block_done(struct v4_1_call *c)
{
    struct v4_1_read *r = c->read;
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    for (size_t i = r->block_start; i < r->next; i++) {
        struct value key;
        struct str lower;
        if (to_key(c, r->ids[i], &key))
            r->rows[i] = row_of(res, key, v4_1_guid_lower(value_str(key), c->arena, &lower));
    }
    return read_block(c);
}

// The next ids, each once as it was sent and, where it has capitals, once in lower case.
static int read_block(struct v4_1_call *c)
{
    struct v4_1_read *r = c->read;

    if (r->next == r->nids)
        return reply_entries(c, v4_1_has(c, V4_1_HAS_ENTRIES_LINKS));
    struct operation *op = read_operation(c, OPERATION_LIST);
    struct value *keys = arena_array(c->arena, 2 * V4_1_KEYS_MAX, sizeof(*keys));
    size_t n = 0;
    if (!op || !keys)
        return v4_1_reply_memory(c);
    r->block_start = r->next;
    for (; r->next < r->nids && r->next - r->block_start < V4_1_KEYS_MAX; r->next++) {
        struct str lower;
        if (!to_key(c, r->ids[r->next], &keys[n]))
            continue;
        bool capital = v4_1_guid_lower(value_str(keys[n]), c->arena, &lower);
        n++;
        if (capital)
            keys[n++] = value_set(lower);
    }
    if (n == 0) {
        c->step = read_block;
        c->ready = true;
        return V4_1_WAIT;
    }
    op->query.keys = keys;
    op->query.nkeys = n;
    op->access = ACCESS_EACH;
    return v4_1_run(c, op, block_done);
}

int v4_1_get_entries(struct v4_1_call *c)
{
    size_t i, n = json_is_array(c->args[2]) ? json_array_size(c->args[2]) : 0;
    struct err e;
    json_t *v;

    if (n > V4_1_IDS_MAX)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (start(c, c->args[3], c->args[4], &e) < 0 || alloc_ids(c, n, &e) < 0)
        return fail(c, &e);
    json_array_foreach(c->args[2], i, v)
    {
        if (!v4_1_text(v, c->arena, &c->read->ids[i]))
            return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    }
    c->read->nids = n;
    return read_block(c);
}

// ---- lists

// Counted, and said once a second, since a client may depend on what is refused. The text
// itself may hold personal data and is not logged.
static int refuse_query(struct v4_1_call *c, const struct v4_1_module *m, const struct err *e)
{
    static _Thread_local struct log_limit limit;
    struct log_ctx ctx = {"v4_1", m->entity->name, ""};
    unsigned dropped = 0;

    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    if (c->mount->queries_refused)
        metric_add(c->mount->queries_refused, 1);
    if (log_allowed(&limit, 1000, &dropped))
        log_warn(&ctx, "%s: refused: %s (%u more held back)", c->method->name, e->msg, dropped);
    return v4_1_reply_fault(c, V4_1_DENIED);
}

int v4_1_read_page(struct v4_1_call *c, const struct v4_1_module *m, const json_t *query,
                   const json_t *order_by, struct query *q)
{
    struct filter *filter = NULL;
    struct order *order = NULL;
    struct str fragment, by;
    struct err e;

    (void)err_set(&e, ERR_INVALID, "query or order_by is no text");
    if (!v4_1_text(query, c->arena, &fragment) || !v4_1_text(order_by, c->arena, &by) ||
        v4_1_query(m, fragment, c->arena, &filter, &e) < 0 ||
        v4_1_order(m, by, c->arena, &order, &q->norder, &e) < 0)
        return refuse_query(c, m, &e);
    q->filter = filter;
    q->order = order;
    return V4_1_WAIT;
}

static int list_done(struct v4_1_call *c)
{
    struct v4_1_read *r = c->read;
    const struct result *res = &c->dispatch->result;
    const struct record_set *set = &res->records;
    struct buf *out = v4_1_body(c);

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    buf_printf(out, "{\"result_count\":%zu", set->n);
    if (v4_1_has(c, V4_1_HAS_TOTAL))
        buf_printf(out, res->total > 0 ? ",\"total_count\":\"%lld\"" : ",\"total_count\":%lld",
                   res->total > 0 ? res->total : 0LL);
    buf_printf(out, ",\"next_offset\":%lld,\"entry_list\":[", r->offset + (long long)set->n);
    for (size_t i = 0; i < set->n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        v4_1_add_entry(out, &r->columns, &set->rows[i]);
    }
    buf_addz(out, "],\"relationship_list\":[");
    for (size_t i = 0; i < set->n && r->links.n > 0; i++) {
        if (i > 0)
            buf_addc(out, ',');
        v4_1_add_links(out, &r->links, &set->rows[i], v4_1_has(c, V4_1_HAS_LIST_LINKS));
    }
    buf_addz(out, "]}");
    return v4_1_reply(c);
}

// Before v4 a 1 was "deleted ones only"; what is neither 0 nor 1 has always been "all".
static enum deleted_mode wanted_deleted(const struct v4_1_call *c)
{
    const json_t *j = c->args[8];
    long long n = 0;

    if (!v4_1_wants_deleted(j))
        return DELETED_NO;
    if (!v4_1_has(c, V4_1_HAS_ALL_DELETED) &&
        (json_is_true(j) || (v4_1_number(j, &n) == 0 && n == 1)))
        return DELETED_ONLY;
    return DELETED_ANY;
}

int v4_1_get_entry_list(struct v4_1_call *c)
{
    long long offset = 0, limit = V4_1_PAGE;
    struct err e;

    if (v4_1_number(c->args[4], &offset) < 0 || v4_1_number(c->args[7], &limit) < 0)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (offset == -1) // the only negative one that the legacy mends
        offset = 0;
    if (!v4_1_empty(c->args[9])) // favourites are kept nowhere that an entity map reaches
        return v4_1_reply_fault(c, V4_1_UNSUPPORTED);
    if (start(c, c->args[5], c->args[6], &e) < 0)
        return fail(c, &e);
    struct operation *op = read_operation(c, OPERATION_LIST);
    if (!op)
        return v4_1_reply_memory(c);
    if (v4_1_read_page(c, c->module, c->args[2], c->args[3], &op->query) == V4_1_REPLIED)
        return V4_1_REPLIED;
    op->query.deleted = wanted_deleted(c);
    op->query.offset = offset > 0 ? offset : 0;
    op->query.limit = limit <= 0 ? V4_1_PAGE : limit > V4_1_PAGE_MAX ? V4_1_PAGE_MAX : limit;
    op->want_total = v4_1_has(c, V4_1_HAS_TOTAL);
    c->read->offset = offset;
    return v4_1_run(c, op, list_done);
}

static int count_done(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    buf_printf(&c->body, "{\"result_count\":\"%lld\"}", res->total > 0 ? res->total : 0LL);
    return v4_1_reply(c);
}

int v4_1_get_entries_count(struct v4_1_call *c)
{
    struct operation *op = v4_1_operation(c, OPERATION_COUNT, c->module->entity);

    if (!op)
        return v4_1_reply_memory(c);
    if (v4_1_read_page(c, c->module, c->args[2], NULL, &op->query) == V4_1_REPLIED)
        return V4_1_REPLIED;
    op->query.deleted = v4_1_wants_deleted(c->args[3]) ? DELETED_ANY : DELETED_NO;
    return v4_1_run(c, op, count_done);
}
