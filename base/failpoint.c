// SPDX-License-Identifier: Apache-2.0
// Kills the process at a named place, in test builds only.
#include "base/failpoint.h"

#ifdef FICUS_FAILPOINTS

#include "base/clock.h"
#include "base/str.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

void gate_pass(const char *name)
{
    const char *folder = getenv("FICUS_GATES"), *me = getenv("FICUS_GATE");
    char file[512], made[528], open_file[512];
    if (!folder || !me)
        return;
    snprintf(open_file, sizeof open_file, "%s/open", folder);
    snprintf(file, sizeof file, "%s/%s", folder, me);
    snprintf(made, sizeof made, "%s.new", file);
    if (access(open_file, F_OK) == 0)
        return;
    FILE *f = fopen(made, "w");
    if (!f)
        return;
    fputs(name, f);
    fclose(f);
    if (rename(made, file))
        return;
    while (access(file, F_OK) == 0 && access(open_file, F_OK) != 0)
        clock_sleep_ms(1);
}

#endif
