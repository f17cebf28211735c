// SPDX-License-Identifier: Apache-2.0
// Compares, and stops capture. Keeps nothing between calls.
#include "cdc/capture/history.h"

#include "cdc/capture/leader.h"
#include "connectors/postgres/pg_stream.h"

#include <stdio.h>

// One statement, so that no capture leads in between: who held the old term fails when it saves.
// Where a new beginning has been asked for, terms are far ahead of what was seen, and LSNs of the
// old history say nothing. Of a term older than the oldest on record nothing is known.
static const char restored_sql[] =
    "UPDATE ficus.capture SET stopped = 'the new store was restored from a backup: a new snapshot"
    " is due', term = greatest(term, $1::bigint) + 1, at = now() WHERE side = 'new'"
    " AND stopped = '' AND (term < $1::bigint OR (term < $3::bigint AND"
    " (pg_current_wal_insert_lsn() < $2::pg_lsn"
    " OR (EXISTS (SELECT FROM ficus.capture_term WHERE term <= $1::bigint)"
    " AND NOT EXISTS (SELECT FROM ficus.capture_term WHERE term = $1::bigint)))))";

void history_add(struct history_seen *seen, long long term, long long through)
{
    if (term + TERM_ANEW <= seen->term) // of an older history
        return;
    if (term >= seen->term + TERM_ANEW || through > seen->through)
        seen->through = through;
    if (term > seen->term)
        seen->term = term;
}

int history_check(struct pg_conn *pg, const struct history_seen *seen, struct err *e)
{
    char term[24], anew[24], lsn[24];
    long long changed = 0;
    if (seen->term == 0)
        return 0;
    snprintf(term, sizeof term, "%lld", seen->term);
    snprintf(anew, sizeof anew, "%lld", seen->term + TERM_ANEW);
    pg_lsn_text((uint64_t)seen->through, lsn);
    const char *p[] = {term, lsn, anew};
    if (pg_execz(pg, restored_sql, p, 3, &changed, e))
        return -1;
    return changed ? err_set(e, ERR_STALE,
                             "the new store was restored from a backup: its capture is"
                             " stopped, a new snapshot is due")
                   : 0;
}

static int read_seen(struct odbc_conn *legacy, struct arena *a, struct history_seen *seen,
                     struct err *e)
{
    struct rows rows;
    if (odbc_query(legacy,
                   STR("SELECT term, through FROM ficus_position WHERE stream LIKE 'new.%'"), NULL,
                   0, a, 0, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows; i++) {
        const struct value *c = rows_at(&rows, i, 0);
        long long term, through;
        if (!str_to_int(value_str(c[0]), 0, INT64_MAX, &term) ||
            !str_to_int(value_str(c[1]), 0, INT64_MAX, &through))
            return err_set(e, ERR_SCHEMA, "ficus_position of the legacy cannot be read");
        history_add(seen, term, through);
    }
    return 0;
}

int history_ask_legacy(struct sync *s, struct pg_conn *pg, struct err *e)
{
    struct odbc_conn *legacy = NULL;
    struct history_seen seen = {0};
    struct err away = {0};
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    if (result == 0 && sync_open_legacy(s, &legacy, &away) == 0)
        result = read_seen(legacy, a, &seen, e) || history_check(pg, &seen, e) ? -1 : 0;
    odbc_close(legacy);
    arena_destroy(a);
    return result;
}
