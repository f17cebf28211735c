// SPDX-License-Identifier: Apache-2.0
// Shared by the files of reconcile only: reconcile.c (a run), reconcile_plan.c (slice, index,
// cost, ranges), reconcile_first.c (first pass), reconcile_ledger.c (what walks have
// done), reconcile_heap.c (what moved under them), reconcile_recheck.c (first pass over keys that
// changed, and over those that moved), reconcile_settle.c (what outlives the markers), reconcile_cause.c (why),
// reconcile_record.c (the control store).
#ifndef FICUS_CDC_RECONCILE_INT_H
#define FICUS_CDC_RECONCILE_INT_H

#include "cdc/reconcile/join.h"
#include "cdc/reconcile/reconcile.h"
#include "cdc/reconcile/sketch.h"

#define SAMPLES_MAX  1000
#define FINDINGS_MAX 256
#define RANGES_MAX   4096
#define JOBS_MAX     16

enum part { PART_BOTH, PART_LEGACY, PART_PAGES };
const char *part_name(enum part p);

// A part of an entity's keys, by the first part of the key: above < k1 <= up_to. Of the sketch
// plan: on the legacy side only, or heap pages of the new side.
struct range {
    enum part part;
    struct value above, up_to; // VALUE_ABSENT: no bound
    long long first, end;      // of PART_PAGES; end negative: to the table's end
    bool done;                 // by an earlier process, too
};

// What a walk over one range leaves.
struct range_done {
    size_t range;
    long long rows[2];    // by side
    struct spool waiting; // prints without a partner
};

// A number that grows with every change that either store takes.
struct load_look {
    bool known;
    long long writes;
    uint64_t ms; // when
};

// The new side's heap before its first page was read.
struct heap_start {
    unsigned long long oldest; // transaction that had not ended
    long long file;            // number of the table's file
};

struct pass {
    const struct reconcile_options *o;
    const struct entity *entity;
    struct control *control;
    struct reader side[2];
    struct odbc_conn *odbc;
    struct pg_conn *pg;
    struct arena *keep;  // samples: lives as long as the report
    struct arena *chunk; // one block of rows
    struct arena *plan;  // slice and ranges: one entity's
    struct scan_query slice;
    bool unordered[2];      // no index has the key's order: one walk without order
    bool unique[2];         // an index says that keys are unique and not NULL
    double rows_there;      // on the new side, by its statistics
    long long pages_there;  // of its heap; negative: it has none
    struct heap_start heap; // of the sketch plan
    const char *blind;      // why a sketch could not tell; NULL: it could
    struct load_look look;  // the last one
    struct range *ranges;
    size_t nranges;
    struct pool pool;
    char run[24];             // id
    long long clean_run;      // of --changed: the run to go on from
    const json_t *clean_from; // its positions
    struct entity_report *report;
};

bool rows_agree(const struct pass *p, const struct value *legacy, const struct value *new_);
int pass_open(const struct reconcile_options *o, struct odbc_conn **odbc, struct pg_conn **pg,
              struct err *e) FICUS_MUST_CHECK;

// Reads --from, --to, --where and --since into p->slice. Once an entity.
int pass_slice(struct pass *p, struct err *e) FICUS_MUST_CHECK;
// Looks at tables and indexes; chooses the plan and says why.
int pass_plan(struct pass *p, struct err *e) FICUS_MUST_CHECK;
int pass_cut(struct pass *p, struct err *e) FICUS_MUST_CHECK;
// The checksum plan can be had for this entity on these stores; `why` says why not.
bool pass_can_push(const struct pass *p, struct str *why);
size_t pass_key_max(const struct entity *en); // bytes of key text to expect

void pass_look(struct pass *p);
int first_pass(struct pass *p, struct err *e) FICUS_MUST_CHECK;   // fills the pool's candidates
int changed_pass(struct pass *p, struct err *e) FICUS_MUST_CHECK; // the same, of changed keys
// Rounds of read, markers, read. Fills the report's differences, settled and unsettled.
int settle(struct pass *p, struct err *e) FICUS_MUST_CHECK;

int record_begin(struct pass *p, struct reconcile_report *out, struct err *e) FICUS_MUST_CHECK;
int record_ranges(struct pass *p, struct err *e) FICUS_MUST_CHECK;
// Ranges that are through, in one transaction with the sketch that holds their rows (NULL: none).
// Thread: a walk's, on its connection.
int record_done(struct pass *p, struct pg_conn *pg, struct range_done *done, size_t n,
                struct sketch *sketch, struct err *e) FICUS_MUST_CHECK;
// Forgets an entity's ranges and sketch: it is walked anew.
int record_forget(struct pass *p, struct err *e) FICUS_MUST_CHECK;
// The sketch on record and p->heap, if there is one; else *found is false.
int record_sketch(struct pass *p, struct sketch *out, bool *found, struct err *e) FICUS_MUST_CHECK;
// Of a resumed run: ranges with what is done, counts and waiting prints. *found: there were some.
int record_resume(struct pass *p, bool *found, bool *finished, struct err *e) FICUS_MUST_CHECK;
int record_entity(struct pass *p, struct err *e) FICUS_MUST_CHECK;
int record_end(struct pass *p, struct reconcile_report *r, struct err *e) FICUS_MUST_CHECK;
void record_failure(struct pass *p, const struct err *why);

#endif
