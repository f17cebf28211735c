// SPDX-License-Identifier: Apache-2.0
// One side's store behind one set of calls, so that a test of generated SQL runs on all of
// them: the legacy of legacy_fixture.h always; the new store where FICUS_TEST_PG names a
// PostgreSQL (its schemas crm and ficus are made anew). Failures fail the running test.
#ifndef FICUS_TESTS_STORE_FIXTURE_H
#define FICUS_TESTS_STORE_FIXTURE_H

#include "connectors/postgres/pg.h"
#include "tests/unit/legacy_fixture.h"

struct store {
    enum side side;
    struct legacy l; // maps and arena also of the new side
    struct pg_conn *pg;
    const struct dbms *d;
};

// False: this side is not available here (the test is skipped).
bool store_open(struct store *s, enum side side);
void store_close(struct store *s);
const struct entity *store_entity(struct store *s, const char *name);

struct rows store_query(struct store *s, const struct sql *sql);
// Rows found by the first statement; all must succeed.
long long store_run(struct store *s, const struct write_statement *list, size_t n);
// Applies one row (canonical values by field index), as the sync engine does.
void store_apply(struct store *s, const struct entity *en, const struct value *row);
// Fails unless one cell comes back that reads `want`; NULL as "(null)", no row as "(none)".
void store_text_is(struct store *s, const char *sql_legacy, const char *sql_new, const char *want);

// A write given as "field", "text", .., NULL; "(null)" is NULL. Returns the rows found.
long long store_write(struct store *s, const char *entity, enum write_kind kind, const char *key,
                      ...);
// "cell|cell;cell|cell" of a SELECT, as canonical text; FOREIGN as "!text".
const char *store_select(struct store *s, const struct query *q);
// The field's value of one row by key.
const char *store_get(struct store *s, const char *entity, const char *key, const char *field);

#endif
