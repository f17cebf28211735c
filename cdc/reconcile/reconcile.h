// SPDX-License-Identifier: Apache-2.0
// Compares both stores row by row while both are live.
//
//   plan -> first pass, range by range -> pool -> candidates -> settle -> causes -> record
//           (resumable; join.h, scan.h)                         (markers; reconcile_settle.c)
//
// The first pass only finds candidates: keys whose sides did not agree at the moment when each
// was read. They are settled: markers go through both streams, then the candidate keys are read
// again on both sides, until a key either agrees or stood still on both sides across a marker
// and still differs. Only the latter is a difference. So nothing in flight is ever reported, and
// nothing that differs is missed, whatever plan found the candidates.
#ifndef FICUS_CDC_RECONCILE_H
#define FICUS_CDC_RECONCILE_H

#include "base/conf.h"
#include "migrations/query.h"
#include "routes/control.h"

enum reconcile_plan { PLAN_AUTO, PLAN_STREAM, PLAN_SKETCH, PLAN_PUSHDOWN };
const char *reconcile_plan_name(enum reconcile_plan p);

struct reconcile_progress {
    const struct entity *entity;
    long long rows_legacy, rows_new, estimate, candidates, differences;
    uint64_t ms; // since the entity began
};

struct reconcile_options {
    const struct conf *conf;
    const struct route_table *table;
    const struct entity *const *entities;
    size_t nentities;
    const char *who;
    unsigned rounds; // settle rounds; 0: default
    enum reconcile_plan plan;
    unsigned jobs;         // walks at a time; 0: default
    unsigned budget;       // per cent of the time; 0: all of it, little while others write
    long long rows_per_s;  // of all walks; 0: no bound
    long long range_rows;  // about so many rows a range; 0: default
    bool without_index;    // walk unordered where no index has the key's order
    bool explain;          // plan only: nothing is compared or recorded
    bool resume;           // go on with the newest unfinished run of the same options
    bool skip_deleted;     // soft-deleted rows are not compared
    bool changed;          // only keys that changed since the entity's last clean run
    const char *from, *to; // key range: first key part > from and <= to; NULL
    const char *where;     // "field=value", "field>=value", ..; NULL
    const char *since;     // timestamp, or "3600s", "24h", "7d"; NULL
    bool reveal;           // values of personal fields in the report of this process
    // Called now and then. NULL: none.
    void (*progress)(void *ctx, const struct reconcile_progress *p);
    void *ctx;
    // Every row that differs. NULL: none.
    void *each_ctx;
    int (*each)(void *ctx, const struct entity *en, struct str key, const struct value *legacy,
                const struct value *new_, struct err *e);
};

// Why a row differs; reconcile_cause.c.
enum cause {
    CAUSE_UNKNOWN,
    CAUSE_LOST,      // its event was sent, and the other side does not show it
    CAUSE_UNSENT,    // the owner's row moved without an event
    CAUSE_PARKED,    // its event is parked
    CAUSE_DIRECT,    // a write on the side that does not own it
    CAUSE_LOSSY,     // a policy changed the value on its way
    CAUSE_MAP,       // one field, many rows: a mistake in the map or a transformation
    CAUSE_COLLATION, // equal to one store's collation, not byte by byte
    CAUSE_DUPLICATE, // several rows of one key
    CAUSE_ORPHAN,    // a link whose end is missing
    CAUSE_COUNT
};
const char *cause_name(enum cause c);

#define EVENT_TEXT_MAX 120
struct difference {
    struct str key; // as shown: a personal key by its length only
    const char *kind, *field;
    struct value legacy, new_;
    enum cause cause;
    char event[2][EVENT_TEXT_MAX]; // last event of the key on each stream; "": none known
    char version[2][24];           // hash of what each side holds; "": no row
};
// How many rows differ in one way.
struct finding {
    const char *kind, *field;
    enum cause cause;
    long long rows;
};
struct entity_report {
    const struct entity *entity;
    enum reconcile_plan plan;
    struct str why; // the plan
    long long rows_legacy, rows_new, differences, settled, unsettled, parked, candidates;
    long long estimate, ranges, ranges_resumed;
    long long wire;     // bytes of rows or of checksums that came over the wire
    long long bad_keys; // rows of either side with a NULL key, or one that others have too
    bool complete;      // everything asked for was looked at
    bool full;          // and that was all there is
    struct difference *samples;
    size_t nsamples;  // bounded
    bool samples_cut; // there were more
    struct finding *findings;
    size_t nfindings; // bounded
    uint64_t ms;
};
struct reconcile_report {
    long long run; // id in ficus.reconcile_run
    struct entity_report *entities;
    size_t nentities;
    bool complete, equal, full;
    uint64_t ms;
    struct str started; // UTC
    json_t *positions;  // owned; both streams' ends when the run began
    long long version;  // of the route table
    json_t *epochs;     // owned; group -> {"owner", "epoch"}
    struct str receipt; // JSON text; empty: none
};
// Memory of the report is the arena's, but for its JSON.
int reconcile_run(const struct reconcile_options *o, struct control *c, struct arena *a,
                  struct reconcile_report *out, struct err *e) FICUS_MUST_CHECK;
void reconcile_report_free(struct reconcile_report *r);

#endif
