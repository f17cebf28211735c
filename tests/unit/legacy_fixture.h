// SPDX-License-Identifier: Apache-2.0
// A legacy store for unit tests: the shipped maps' legacy tables, in a SQLite file of its own,
// or in the store that FICUS_TEST_DBMS and FICUS_TEST_ODBC name (integration tests run the
// same binaries against MariaDB). Every failure fails the running test.
#ifndef FICUS_TESTS_LEGACY_FIXTURE_H
#define FICUS_TESTS_LEGACY_FIXTURE_H

#include "connectors/odbc/odbc.h"
#include "migrations/ddl.h"
#include "migrations/map.h"
#include "migrations/query.h"

struct legacy {
    char file[64];
    const struct dbms *d;
    struct odbc_conn *c;
    struct arena *a;
    struct entity_set *set;
};

struct entity_set *fixture_maps(void); // the shipped ones
void legacy_open(struct legacy *l);    // tables there and empty, Ficus' objects and triggers not
void legacy_close(struct legacy *l);
// A second connection to the same store.
struct odbc_conn *legacy_connect(const struct legacy *l);
void legacy_exec(struct odbc_conn *c, const char *sql);
// The error code of a statement that must fail.
enum err_code legacy_refused(struct odbc_conn *c, const char *sql);
struct rows legacy_query(struct legacy *l, const char *sql);
// First cell of the first row as text; "(null)" and "(none)".
const char *legacy_text(struct legacy *l, const char *sql);
// Runs a write's statements; the rows that its first statement found.
long long legacy_run(struct legacy *l, const struct write_statement *s, size_t n);
// "entity:key entity:key " of the changelog since the last call, then empties it.
const char *legacy_changes(struct legacy *l);

#endif
