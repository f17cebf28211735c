// SPDX-License-Identifier: Apache-2.0
// The rest after a chunk. Keeps no state of its own. Thread: any.
#include "cdc/pace.h"

#define ROWS_MIN 64  // fewer say nothing of a row's time
#define SLOW_MAX 8.0 // a store that answers so many times slower is left alone as long
#define REST_MAX 1e7 // us, for the share's sake

uint64_t pacer_rest_us(struct pacer *p, const struct pace *pace, size_t rows, uint64_t us)
{
    double each = (double)us / (double)(rows ? rows : 1), rest = 0;
    unsigned share = atomic_load_explicit(&pace->share, memory_order_relaxed);
    long long rate = atomic_load_explicit(&pace->rows_per_s, memory_order_relaxed);
    if (rows >= ROWS_MIN && (p->best_us == 0 || each < p->best_us))
        p->best_us = each;
    if (share > 0 && share < 100) {
        double slow = p->best_us > 0 ? each / p->best_us : 1;
        slow = slow < 1 ? 1 : slow > SLOW_MAX ? SLOW_MAX : slow;
        rest = (double)us * (100 - share) / share * slow;
        rest = rest > REST_MAX ? REST_MAX : rest;
    }
    if (rate > 0) {
        double due = 1e6 * (double)rows / (double)rate - (double)us;
        rest = due > rest ? due : rest;
    }
    return (uint64_t)rest;
}
