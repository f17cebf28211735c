// SPDX-License-Identifier: Apache-2.0
// Markers of openings on their way to the partitions. Owns nothing. Thread: the capture's.
#include "cdc/capture/opening.h"

#include "cdc/marker.h"
#include "cdc/snapshot/snapshot.h"

int opening_pass(struct publisher *p, struct str marker, long long through, struct err *e)
{
    long long epoch;
    struct str group;
    if (marker_is_opened(marker, &epoch, &group))
        desk_spoil(p->sync->desks[p->side]);
    return publish_control(p, marker, through, e);
}

static int tell_group(struct publisher *p, long entity, const struct value *row, struct err *e)
{
    char marker[MARKER_OPENED_MAX], group[128];
    long long epoch;
    if (!str_to_int(value_str(row[1]), 1, INT64_MAX, &epoch) ||
        str_copy(group, sizeof group, value_str(row[0])))
        return err_set(e, ERR_SCHEMA, "a fence of the %s store cannot be read", side_name(p->side));
    marker_opened(marker, epoch, group);
    return entity < 0 ? publish_control(p, str_of(marker), -1, e)
                      : publish_control_to(p, (size_t)entity, str_of(marker), -1, e);
}

int opening_tell(struct publisher *p, long entity, struct odbc_conn *legacy, struct pg_conn *pg,
                 struct err *e)
{
    struct rows rows = {0};
    const struct dbms *d = legacy ? odbc_dbms(legacy) : &dbms_postgres;
    struct str sql = str_of(d->fence_openings_sql);
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    if (result == 0)
        result = legacy ? odbc_query(legacy, sql, NULL, 0, a, 0, &rows, e)
                        : pg_query(pg, sql, NULL, 0, a, &rows, e);
    for (size_t i = 0; i < rows.nrows && result == 0; i++)
        result = tell_group(p, entity, rows_at(&rows, i, 0), e);
    arena_destroy(a);
    return result;
}
