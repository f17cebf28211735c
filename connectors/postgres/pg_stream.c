// SPDX-License-Identifier: Apache-2.0
// A logical replication stream. Two positions are kept apart: `received` is what the server
// has sent, `confirmed` what the caller has made durable elsewhere; only the latter is ever
// reported as flushed, so that a restart begins there. Copy-both messages (PostgreSQL 15
// documentation, 55.4 "Streaming Replication Protocol"):
//   w XLogData   int64 start, int64 end of WAL, int64 time, payload
//   k keepalive  int64 end of WAL, int64 time, int8 reply wanted
//   r status     int64 written, int64 flushed, int64 applied, int64 time, int8 reply wanted
#include "connectors/postgres/pg_stream.h"

#include "base/clock.h"
#include "connectors/postgres/pg_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define STATUS_MS   1000
#define PG_EPOCH_US 946684800000000ull

struct pg_stream {
    PGconn *pq;
    uint64_t received, confirmed, server;
    uint64_t status_ms;  // when the last status was sent
    uint64_t status_lsn; // what it said
    bool reply_wanted;
    char system_id[32];
    unsigned timeline;
};

void pg_lsn_text(uint64_t lsn, char out[24])
{
    snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

static bool hex_part(struct str s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : -1;
        if (d < 0)
            return false;
        *out = *out << 4 | (uint64_t)d;
    }
    return s.len > 0 && s.len <= 8;
}

int pg_lsn_parse(struct str s, uint64_t *out, struct err *e)
{
    const char *slash = s.len ? memchr(s.data, '/', s.len) : NULL;
    uint64_t high, low;
    if (!slash || !hex_part(str_n(s.data, (size_t)(slash - s.data)), &high) ||
        !hex_part(str_n(slash + 1, s.len - (size_t)(slash - s.data) - 1), &low))
        return err_set(e, ERR_INVALID, "'%.*s' is no LSN", (int)(s.len > 40 ? 40 : s.len), s.data);
    *out = high << 32 | low;
    return 0;
}

static int fail(struct pg_stream *s, PGresult *r, const char *doing, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (state)
        pg_err(e, state, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
    else
        pg_unreachable(e, s->pq);
    PQclear(r);
    return err_prefix(e, "replication: %s", doing);
}

static int connect(struct pg_stream *s, const char *conninfo, struct err *e)
{
    struct pg_params params;
    if (pg_params_fill(&params, conninfo, "ficus capture", NULL, e))
        return -1;
    pg_params_add(&params, "replication", "database");
    s->pq = PQconnectdbParams(params.keys, params.values, 1);
    pg_params_free(&params);
    if (!s->pq || PQstatus(s->pq) != CONNECTION_OK)
        return pg_unreachable(e, s->pq);
    return 0;
}

static int identify(struct pg_stream *s, struct err *e)
{
    long long timeline;
    PGresult *r = PQexec(s->pq, "IDENTIFY_SYSTEM");
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1)
        return fail(s, r, "identifying the system", e);
    if (str_copy(s->system_id, sizeof s->system_id, str_of(PQgetvalue(r, 0, 0))) ||
        !str_to_int(str_of(PQgetvalue(r, 0, 1)), 0, UINT32_MAX, &timeline)) {
        PQclear(r);
        return err_set(e, ERR_INTERNAL, "replication: the server's identity cannot be read");
    }
    s->timeline = (unsigned)timeline;
    PQclear(r);
    return 0;
}

// Names come from the configuration; they are checked all the same, since they become text.
static int check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool good = n > 0 && n < 64;
    for (size_t i = 0; i < n; i++)
        good &= (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
                name[i] == '_';
    return good ? 0
                : err_set(e, ERR_CONFIG,
                          "replication: '%.64s' must be of a-z, 0-9 and _, up to 63 characters",
                          name);
}

// 1: the slot is there and good, 0: there is none, -1: error.
static int slot_state(struct pg_stream *s, const char *slot, struct err *e)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(wal_status, ''), plugin FROM pg_replication_slots"
             " WHERE slot_name = '%s'",
             slot);
    PGresult *r = PQexec(s->pq, sql);
    int result = -1;
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        return fail(s, r, "looking for the slot", e);
    if (PQntuples(r) == 0)
        result = 0;
    else if (strcmp(PQgetvalue(r, 0, 0), "lost") == 0)
        err_set(e, ERR_SCHEMA,
                "replication slot %s is lost: its WAL was removed (max_slot_wal_keep_size);"
                " a new snapshot is due",
                slot);
    else if (strcmp(PQgetvalue(r, 0, 1), "pgoutput") != 0)
        err_set(e, ERR_CONFIG, "replication slot %s uses another plugin than pgoutput", slot);
    else
        result = 1;
    PQclear(r);
    return result;
}

static void cancel(PGconn *pq)
{
    char why[256];
    PGcancel *c = PQgetCancel(pq);
    if (c)
        PQcancel(c, why, sizeof why);
    PQfreeCancel(c);
}

// As PQexec, but given up when `stop` says so.
static PGresult *exec_until(PGconn *pq, const char *sql, const atomic_bool *stop)
{
    PGresult *r = NULL, *last = NULL;
    if (!PQsendQuery(pq, sql))
        return NULL;
    while (stop && PQisBusy(pq)) {
        struct pollfd p = {.fd = PQsocket(pq), .events = POLLIN};
        if (atomic_load(stop))
            cancel(pq);
        else if (poll(&p, 1, 100) == 0)
            continue;
        if (atomic_load(stop) || !PQconsumeInput(pq))
            break; // what comes now is the end of it
    }
    while ((r = PQgetResult(pq))) {
        PQclear(last);
        last = r;
    }
    return last;
}

static int ensure_slot(struct pg_stream *s, const struct pg_stream_options *o, struct err *e)
{
    char sql[256];
    int have = slot_state(s, o->slot, e);
    if (have != 0)
        return have > 0 ? 0 : -1;
    if (!o->create)
        return err_set(e, ERR_SCHEMA,
                       "replication slot %s is gone; changes since may be missing: a new"
                       " snapshot is due",
                       o->slot);
    snprintf(sql, sizeof sql, "CREATE_REPLICATION_SLOT %s LOGICAL pgoutput NOEXPORT_SNAPSHOT",
             o->slot);
    PGresult *r = exec_until(s->pq, sql, o->stop);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        return fail(s, r, "creating the slot", e);
    PQclear(r);
    return 0;
}

static int start(struct pg_stream *s, const struct pg_stream_options *o, struct err *e)
{
    char sql[512], lsn[24];
    pg_lsn_text(o->start_lsn, lsn);
    snprintf(sql, sizeof sql,
             "START_REPLICATION SLOT %s LOGICAL %s (proto_version '1', publication_names '%s',"
             " messages 'true')",
             o->slot, lsn, o->publication);
    PGresult *r = PQexec(s->pq, sql);
    if (PQresultStatus(r) != PGRES_COPY_BOTH)
        return fail(s, r, "starting", e);
    PQclear(r);
    return 0;
}

int pg_stream_open(const struct pg_stream_options *o, struct pg_stream **out, struct err *e)
{
    struct pg_stream *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_memory(e);
    s->confirmed = s->received = o->start_lsn;
    if (check_name(o->slot, e) || check_name(o->publication, e) || connect(s, o->conninfo, e) ||
        identify(s, e) || ensure_slot(s, o, e) || start(s, o, e)) {
        pg_stream_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

void pg_stream_close(struct pg_stream *s)
{
    if (!s)
        return;
    PQfinish(s->pq);
    free(s);
}

static uint64_t read64(const char *p)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | (unsigned char)p[i];
    return n;
}

static void write64(char *p, uint64_t n)
{
    for (int i = 7; i >= 0; i--, n >>= 8)
        p[i] = (char)(n & 0xff);
}

static int send_status(struct pg_stream *s, struct err *e)
{
    char m[34];
    m[0] = 'r';
    write64(m + 1, s->received > s->confirmed ? s->received : s->confirmed);
    write64(m + 9, s->confirmed);
    write64(m + 17, s->confirmed);
    write64(m + 25, clock_wall_us() - PG_EPOCH_US);
    m[33] = 0;
    if (PQputCopyData(s->pq, m, sizeof m) != 1 || PQflush(s->pq) < 0)
        return pg_unreachable(e, s->pq);
    s->status_ms = clock_mono_ms();
    s->status_lsn = s->confirmed;
    s->reply_wanted = false;
    return 0;
}

static int maybe_status(struct pg_stream *s, struct err *e)
{
    uint64_t age = clock_mono_ms() - s->status_ms;
    bool due = s->reply_wanted || age >= STATUS_MS * 5 ||
               (age >= STATUS_MS && s->confirmed != s->status_lsn);
    return due ? send_status(s, e) : 0;
}

// One copy-both message. 1: a decoded pgoutput message, 0: none of that kind, -1: error.
static int handle(struct pg_stream *s, const char *m, size_t len, struct arena *a,
                  struct pgoutput_message *out, struct err *e)
{
    if (len >= 18 && m[0] == 'k') {
        s->server = read64(m + 1);
        s->reply_wanted |= m[17] != 0;
        return 0;
    }
    if (len < 25 || m[0] != 'w')
        return err_set(e, ERR_INVALID, "replication: an unknown message of %zu bytes", len);
    uint64_t lsn = read64(m + 1), end = read64(m + 9);
    s->received = lsn > s->received ? lsn : s->received;
    s->server = end > s->server ? end : s->server;
    struct str payload = arena_str(a, str_n(m + 25, len - 25));
    if (!payload.data)
        return err_set(e, ERR_LIMIT, "replication: a message of %zu bytes does not fit", len);
    return pgoutput_decode(payload, a, out, e) ? -1 : 1;
}

static int wait_input(struct pg_stream *s, unsigned ms, struct err *e)
{
    struct pollfd p = {.fd = PQsocket(s->pq), .events = POLLIN};
    int ready = poll(&p, 1, (int)ms);
    if (ready < 0 && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "poll: errno %d", errno);
    if (ready > 0 && !PQconsumeInput(s->pq))
        return pg_unreachable(e, s->pq);
    return 0;
}

static int ended(struct pg_stream *s, struct err *e)
{
    PGresult *r = PQgetResult(s->pq);
    return fail(s, r, "the stream ended", e);
}

int pg_stream_next(struct pg_stream *s, unsigned ms, struct arena *a, struct pgoutput_message *out,
                   struct err *e)
{
    uint64_t end = clock_mono_ms() + ms;
    for (;;) {
        char *m = NULL;
        if (maybe_status(s, e))
            return -1;
        int len = PQgetCopyData(s->pq, &m, 1);
        if (len > 0) {
            int result = handle(s, m, (size_t)len, a, out, e);
            PQfreemem(m);
            if (result)
                return result;
            continue;
        }
        if (len == -1)
            return ended(s, e);
        if (len < -1)
            return pg_unreachable(e, s->pq);
        uint64_t now = clock_mono_ms();
        if (now >= end)
            return 0;
        uint64_t left = end - now;
        if (wait_input(s, (unsigned)(left < STATUS_MS ? left : STATUS_MS), e))
            return -1;
    }
}

void pg_stream_confirm(struct pg_stream *s, uint64_t lsn)
{
    if (lsn > s->confirmed)
        s->confirmed = lsn;
}

uint64_t pg_stream_server_lsn(const struct pg_stream *s)
{
    return s->server;
}

const char *pg_stream_system_id(const struct pg_stream *s)
{
    return s->system_id;
}

unsigned pg_stream_timeline(const struct pg_stream *s)
{
    return s->timeline;
}
