// SPDX-License-Identifier: Apache-2.0
// Sends markers into a store and asks a sink how many partitions have committed one.
#include "cdc/marker.h"

#include "cdc/event/event.h"

#include <stdio.h>
#include <string.h>

#define OPENED "opened-"

void marker_opened(char out[MARKER_OPENED_MAX], long long epoch, const char *group)
{
    snprintf(out, MARKER_OPENED_MAX, OPENED "%lld-%.64s", epoch, group);
}

bool marker_is_opened(struct str marker, long long *epoch, struct str *group)
{
    size_t at = strlen(OPENED), digits = 0;
    if (marker.len <= at || memcmp(marker.data, OPENED, at) != 0)
        return false;
    while (at + digits < marker.len && marker.data[at + digits] != '-')
        digits++;
    if (at + digits >= marker.len ||
        !str_to_int(str_n(marker.data + at, digits), 1, INT64_MAX, epoch))
        return false;
    *group = str_n(marker.data + at + digits + 1, marker.len - at - digits - 1);
    return true;
}

int marker_send_legacy(struct odbc_conn *c, const char *marker, struct err *e)
{
    struct value p = value_set(str_of(marker));
    if (odbc_begin(c, true, e))
        return -1;
    if (odbc_exec(c, str_of(odbc_dbms(c)->changelog_marker_sql), &p, 1, NULL, e)) {
        odbc_rollback(c);
        return -1;
    }
    return odbc_commit(c, e);
}

int marker_send_new(struct pg_conn *c, const char *marker, struct err *e)
{
    const char *p[] = {marker};
    return pg_execz(c, "SELECT pg_logical_emit_message(true, 'ficus.marker', $1)", p, 1, NULL, e);
}

static int first_number(const struct rows *rows, unsigned *count, struct err *e)
{
    long long n;
    if (rows->nrows != 1 || !str_to_int(value_str(rows->cells[0]), 0, UINT32_MAX, &n))
        return err_set(e, ERR_INTERNAL, "the sink gave no count of markers");
    *count += (unsigned)n;
    return 0;
}

int marker_count_new(struct pg_conn *sink, const char *marker, const struct entity *const *en,
                     size_t n, unsigned *count, struct err *e)
{
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    *count = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        char stream[160];
        struct rows rows;
        stream_name(en[i], SIDE_LEGACY, stream, sizeof stream);
        struct value p[] = {value_set(str_of(marker)), value_set(str_of(stream))};
        result = pg_query(sink,
                          STR("SELECT count(*) FROM ficus.marker WHERE marker = $1"
                              " AND stream = $2"),
                          p, 2, a, &rows, e);
        if (result == 0)
            result = first_number(&rows, count, e);
    }
    arena_destroy(a);
    return result;
}

int marker_count_legacy(struct odbc_conn *sink, const char *marker, const struct entity *const *en,
                        size_t n, unsigned *count, struct err *e)
{
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    *count = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        char stream[160];
        struct rows rows;
        stream_name(en[i], SIDE_NEW, stream, sizeof stream);
        struct value p[] = {value_set(str_of(marker)), value_set(str_of(stream))};
        result = odbc_query(sink,
                            STR("SELECT count(*) FROM ficus_marker WHERE marker = ?"
                                " AND stream = ?"),
                            p, 2, a, 1, &rows, e);
        if (result == 0)
            result = first_number(&rows, count, e);
    }
    arena_destroy(a);
    return result;
}
