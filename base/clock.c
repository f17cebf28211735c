// SPDX-License-Identifier: Apache-2.0
// Clocks and random identifiers. Keeps no state. Thread: any.
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME) / 1000000u;
}

uint64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME) / 1000u;
}

void clock_utc_seconds(uint64_t wall_ms, char out[20])
{
    time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm t;

    if (!gmtime_r(&seconds, &t) || strftime(out, 20, "%Y-%m-%d %H:%M:%S", &t) != 19)
        snprintf(out, 20, "1970-01-01 00:00:00");
}

void clock_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000u, .tv_nsec = (long)(ms % 1000u) * 1000000L};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void random_bytes(unsigned char *out, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = getrandom(out + got, len - got, 0);
        if (n > 0)
            got += (size_t)n;
        else if (errno != EINTR)
            abort(); // identifiers that are not random must never be handed out
    }
}

void uuid_make(char out[37])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[16];
    size_t at = 0;

    random_bytes(raw, sizeof(raw));
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(raw); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex[raw[i] >> 4];
        out[at++] = hex[raw[i] & 15];
    }
    out[at] = '\0';
}
