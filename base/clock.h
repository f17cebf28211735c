// SPDX-License-Identifier: Apache-2.0
// Time. Deadlines use the monotonic clock; wall time is for showing only.
#ifndef FICUS_BASE_CLOCK_H
#define FICUS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);
// "YYYY-MM-DD HH:MM:SS" UTC; `out` holds 20 bytes.
void clock_utc_seconds(uint64_t wall_ms, char out[20]);
void clock_sleep_ms(unsigned ms); // worker and sync threads only, never a loop

// Random version 4 UUID, lower case, 36 characters and NUL (RFC 9562).
void uuid_make(char out[37]);

#endif
