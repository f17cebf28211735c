// SPDX-License-Identifier: Apache-2.0
// See trace.h. traceparent: 2 hex version "-" 32 hex trace "-" 16 hex parent "-" 2 hex flags,
// lower case only; version ff is none, version 00 has nothing behind the flags, a later one may
// have "-" and more. Flags beyond "sampled" are not passed on.
#include "base/trace.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char digits[] = "0123456789abcdef";

// ---- random identifiers (xoroshiro128+)

void trace_random_seed(struct trace_random *r)
{
    if (getrandom(r->state, sizeof(r->state), GRND_NONBLOCK) != (ssize_t)sizeof(r->state)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        r->state[0] = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)r;
        r->state[1] = (uint64_t)now.tv_sec;
    }
    r->state[1] |= 1; // never all zero
}

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t next_random(struct trace_random *r)
{
    uint64_t a = r->state[0], b = r->state[1] ^ a, sum = a + r->state[1];

    r->state[0] = rotl(a, 24) ^ b ^ b << 16;
    r->state[1] = rotl(b, 37);
    return sum;
}

static void write_hex(char out[17], uint64_t v)
{
    v |= v == 0; // an identifier of zeros is none
    for (int i = 15; i >= 0; i--, v >>= 4)
        out[i] = digits[v & 15];
    out[16] = '\0';
}

// ---- reading

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.data[i] >= '0' && s.data[i] <= '9') || (s.data[i] >= 'a' && s.data[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != '0')
            return false;
    return true;
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool take_parent(struct trace *t, struct str s)
{
    if (s.len < TRACE_PARENT_LEN || s.data[2] != '-' || s.data[35] != '-' || s.data[52] != '-')
        return false;
    struct str version = str_n(s.data, 2), trace = str_n(s.data + 3, 32);
    struct str parent = str_n(s.data + 36, 16), flags = str_n(s.data + 53, 2);
    if (!is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags) || is_zero(trace) ||
        is_zero(parent) || str_eqz(version, "ff"))
        return false;
    if (s.len > TRACE_PARENT_LEN && (str_eqz(version, "00") || s.data[TRACE_PARENT_LEN] != '-'))
        return false;
    memcpy(t->trace_id, trace.data, 32);
    memcpy(t->parent_id, parent.data, 16);
    t->flags = (uint8_t)(nibble(flags.data[1]) & 1);
    return true;
}

// Key: [a-z0-9][a-z0-9_-*/@]{0,255}, at most one '@'.
static bool is_key(struct str s)
{
    bool at = false;

    if (s.len == 0 || s.len > 256)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            continue;
        if (i == 0 || (c != '_' && c != '-' && c != '*' && c != '/' && c != '@') ||
            (c == '@' && at))
            return false;
        at |= c == '@';
    }
    return true;
}

// Value: printable ASCII without ',' and '=', no blank at its end.
static bool is_state_value(struct str s)
{
    if (s.len == 0 || s.len > 256 || s.data[s.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e || s.data[i] == ',' || s.data[i] == '=')
            return false;
    return true;
}

static bool is_member(struct str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = str_n(s.data + 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    if (s.len == 0)
        return true; // empty members are allowed
    const char *eq = memchr(s.data, '=', s.len);
    size_t n = eq ? (size_t)(eq - s.data) : 0;
    return eq && is_key(str_n(s.data, n)) && is_state_value(str_n(eq + 1, s.len - n - 1));
}

bool trace_state_is_valid(struct str s)
{
    unsigned members = 0;

    if (s.len == 0 || s.len > TRACE_STATE_MAX)
        return false;
    while (s.data) {
        const char *comma = s.len > 0 ? memchr(s.data, ',', s.len) : NULL;
        size_t n = comma ? (size_t)(comma - s.data) : s.len;
        if (++members > TRACE_STATE_MEMBERS || !is_member(str_n(s.data, n)))
            return false;
        s = comma ? str_n(comma + 1, s.len - n - 1) : str_n(NULL, 0);
    }
    return true;
}

void trace_begin(struct trace *t, struct trace_random *r, struct str traceparent, struct str state)
{
    *t = (struct trace){.state = STR("")};
    write_hex(t->span_id, next_random(r));
    if (traceparent.data && take_parent(t, traceparent)) {
        if (state.data && trace_state_is_valid(state))
            t->state = state;
        return;
    }
    memset(t->parent_id, 0, sizeof(t->parent_id));
    write_hex(t->trace_id, next_random(r));
    write_hex(t->trace_id + 16, next_random(r));
}

void trace_write_parent(const struct trace *t, char out[TRACE_PARENT_LEN + 1])
{
    memcpy(out, "00-", 3);
    memcpy(out + 3, t->trace_id, 32);
    out[35] = '-';
    memcpy(out + 36, t->span_id, 16);
    memcpy(out + 52, "-0", 2);
    out[54] = (char)('0' + (t->flags & 1));
    out[55] = '\0';
}
