// SPDX-License-Identifier: Apache-2.0
// Where both directions stand, as one document to keep beside backups: what capture has published
// of each store, and what each store has applied of each partition. After a disaster the document,
// of then or mended by hand, is taken in again.
//
// Going back is safe: what is read again is the same write again, and changes nothing. Going
// ahead leaves out what lies between, so it is refused unless `force`d. Positions of a store
// travel with its own backups (they are rows of the same database, moved in the transactions that
// they tell of); the document serves where store, topics or control store no longer fit together.
#ifndef FICUS_CDC_POSITIONS_H
#define FICUS_CDC_POSITIONS_H

#include "base/json.h"
#include "migrations/map.h"
#include "routes/control.h"

// Owned; NULL with a reason.
json_t *positions_export(struct control *c, const struct conf *conf, struct err *e);

struct positions_report {
    unsigned moved, back, ahead; // positions that changed, and which way
    char first_ahead[160];       // the first that goes ahead; "" when none does
};
// Takes `doc` in, all or nothing in each store. Refused: while a `ficus sync` is alive; for another
// prefix of topics; streams that no map has; going ahead, or another store's identity, without
// `force`. Mistakes of the document are added to `p` and nothing is done.
// 0, or -1 with `e` set or problems added. Thread: any.
int positions_import(struct control *c, const struct conf *conf, const struct entity_set *set,
                     const struct json_doc *doc, bool force, struct positions_report *out,
                     struct problems *p, struct err *e) FICUS_MUST_CHECK;

#endif
