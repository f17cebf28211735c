// SPDX-License-Identifier: Apache-2.0
// Kills the process at a named place, in test builds only.
#include "base/failpoint.h"

#ifdef FICUS_FAILPOINTS

#include "base/str.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

void failpoint_pass(const char *name)
{
    static atomic_llong passed;
    const char *wanted = getenv("FICUS_FAILPOINT");
    size_t n = strlen(name);
    long long nth = 1;
    if (!wanted || strncmp(wanted, name, n) != 0 || (wanted[n] && wanted[n] != ':'))
        return;
    if (wanted[n] == ':' && !str_to_int(str_of(wanted + n + 1), 1, INT64_MAX, &nth))
        return;
    if (atomic_fetch_add(&passed, 1) + 1 == nth)
        raise(SIGKILL);
}

#endif
