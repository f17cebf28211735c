// SPDX-License-Identifier: Apache-2.0
// What people paste into `ficus route explain`: a curl command line or raw HTTP. Both readers get
// every input; what one of them takes is followed through the shipped table to an answer in JSON.
#include "facade/server/explain_request.h"
#include "migrations/map.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct route_table *table(void)
{
    static struct route_table *t;
    struct problems p = {0};
    setenv("FICUS_SERVICE_URL", "http://127.0.0.1:1", 1);
    if (!t && !(t = route_table_load("routes/tables/suitecrm.json",
                                     map_load("migrations/maps/suitecrm", &p), &p)))
        abort();
    return t;
}

static void follow(int (*parse)(struct str, struct http_request *, struct err *), struct str text)
{
    struct http_request r = {.arena = arena_create((size_t)64 << 20)};
    struct err e = {0};
    if (!r.arena)
        abort();
    if (parse(text, &r, &e) == 0) {
        json_t *j = explain_request(table(), &r);
        if (!json_is_object(j) || r.nheaders > 128)
            abort();
        char *dump = json_dumps(j, 0);
        if (!dump)
            abort();
        free(dump);
        json_decref(j);
    } else if (!e.msg[0]) {
        abort();
    }
    arena_destroy(r.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    follow(explain_parse, text);
    follow(explain_parse_curl, text);
    follow(explain_parse_raw, text);
    return 0;
}
