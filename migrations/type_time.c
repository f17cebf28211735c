// SPDX-License-Identifier: Apache-2.0
// Canonical dates, times and timestamps (UTC). Reads ISO text as SQLite, MariaDB and PostgreSQL
// print it: 'T' or blank between date and time, any number of fraction digits, an optional zone
// that is converted to UTC. Owns nothing. Thread: any.
#include "migrations/type_int.h"

#include <stdio.h>

// Civil date and time of day; the fraction stays text.
struct moment {
    int year, month, day, hour, minute, second;
    struct str fraction;
    int offset_minutes; // of the zone, east positive
};

static bool two(const char *p, int max, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return *out <= max;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

// The ten characters of a date. PROBLEM_NONE when it exists in the calendar.
static enum value_problem take_date(struct str s, struct moment *m)
{
    int high, low;
    if (s.len < 10 || s.data[4] != '-' || s.data[7] != '-' || !two(s.data, 99, &high) ||
        !two(s.data + 2, 99, &low) || !two(s.data + 5, 99, &m->month) ||
        !two(s.data + 8, 99, &m->day))
        return PROBLEM_BAD_DATE;
    m->year = high * 100 + low;
    if (m->year == 0 && m->month == 0 && m->day == 0)
        return PROBLEM_ZERO_DATE;
    if (m->year == 0 || m->month < 1 || m->month > 12 || m->day < 1 ||
        m->day > month_days(m->year, m->month))
        return PROBLEM_BAD_DATE;
    return PROBLEM_NONE;
}

// HH:MM:SS[.fraction]; *used: characters taken. False: not a time of day.
static bool take_time(struct str s, struct moment *m, size_t *used)
{
    if (s.len < 8 || s.data[2] != ':' || s.data[5] != ':' || !two(s.data, 23, &m->hour) ||
        !two(s.data + 3, 59, &m->minute) || !two(s.data + 6, 59, &m->second))
        return false;
    *used = 8;
    m->fraction = str_n(s.data + 8, 0);
    if (s.len > 8 && s.data[8] == '.') {
        size_t n = 9;
        while (n < s.len && s.data[n] >= '0' && s.data[n] <= '9')
            n++;
        if (n == 9)
            return false;
        m->fraction = str_n(s.data + 9, n - 9);
        *used = n;
    }
    return true;
}

// Z, +HH, +HHMM, +HH:MM; nothing: UTC.
static bool take_zone(struct str s, struct moment *m)
{
    int hours, minutes = 0;
    if (s.len == 0 || (s.len == 1 && s.data[0] == 'Z'))
        return true;
    if ((s.data[0] != '+' && s.data[0] != '-') || s.len < 3 || !two(s.data + 1, 15, &hours))
        return false;
    if (s.len == 6 && s.data[3] == ':') {
        if (!two(s.data + 4, 59, &minutes))
            return false;
    } else if (s.len == 5) {
        if (!two(s.data + 3, 59, &minutes))
            return false;
    } else if (s.len != 3) {
        return false;
    }
    m->offset_minutes = (s.data[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

// A zone is at most a day away: move minute by the offset, then carry.
static void to_utc(struct moment *m)
{
    int minutes = m->hour * 60 + m->minute - m->offset_minutes;
    int days = 0;
    for (; minutes < 0; minutes += 1440)
        days--;
    for (; minutes >= 1440; minutes -= 1440)
        days++;
    m->hour = minutes / 60;
    m->minute = minutes % 60;
    m->day += days;
    if (m->day < 1) {
        if (--m->month < 1) {
            m->month = 12;
            m->year--;
        }
        m->day = month_days(m->year, m->month);
    } else if (m->day > month_days(m->year, m->month)) {
        m->day = 1;
        if (++m->month > 12) {
            m->month = 1;
            m->year++;
        }
    }
}

// Digits beyond the precision must be zeros.
static bool fraction_fits(struct str fraction, unsigned precision)
{
    for (size_t i = precision; i < fraction.len; i++)
        if (fraction.data[i] != '0')
            return false;
    return true;
}

// ".123000" into `to`, `precision` digits; nothing when 0.
static size_t put_fraction(char *to, struct str fraction, unsigned precision)
{
    if (precision == 0)
        return 0;
    to[0] = '.';
    for (unsigned i = 0; i < precision; i++)
        to[i + 1] = i < fraction.len ? fraction.data[i] : '0';
    return precision + 1u;
}

int type_date(struct str in, struct value *out)
{
    struct moment m = {0};
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    enum value_problem p = take_date(in, &m);
    if (p == PROBLEM_NONE && in.len != 10)
        p = PROBLEM_BAD_DATE;
    return p == PROBLEM_NONE ? type_set(in, out) : type_foreign(in, p, out);
}

int type_time(const struct field *f, struct str in, struct arena *a, struct value *out,
              struct err *e)
{
    struct moment m = {0};
    size_t used;
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    if (!take_time(in, &m, &used) || used != in.len)
        return type_foreign(in, PROBLEM_BAD_DATE, out);
    if (!fraction_fits(m.fraction, f->precision))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    if (m.fraction.len >= f->precision)
        return type_set(str_n(in.data, f->precision > 0 ? 9u + f->precision : 8), out);
    char *text = arena_alloc(a, 10u + f->precision);
    if (!text)
        return err_memory(e);
    memcpy(text, in.data, 8);
    return type_set(str_n(text, 8 + put_fraction(text + 8, m.fraction, f->precision)), out);
}

int type_timestamp(const struct field *f, struct str in, struct arena *a, struct value *out,
                   struct err *e)
{
    struct moment m = {0};
    size_t used;
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    enum value_problem p = take_date(in, &m);
    if (p != PROBLEM_NONE)
        return type_foreign(in, p, out);
    if (in.len < 11 || (in.data[10] != ' ' && in.data[10] != 'T') ||
        !take_time(str_n(in.data + 11, in.len - 11), &m, &used) ||
        !take_zone(str_n(in.data + 11 + used, in.len - 11 - used), &m))
        return type_foreign(in, PROBLEM_BAD_DATE, out);
    if (!fraction_fits(m.fraction, f->precision))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    if (m.offset_minutes == 0 && in.data[10] == ' ' && m.fraction.len >= f->precision)
        return type_set(str_n(in.data, f->precision > 0 ? 20u + f->precision : 19), out);
    to_utc(&m);
    if (m.year < 1 || m.year > 9999)
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    char head[80];
    snprintf(head, sizeof(head), "%04d-%02d-%02d %02d:%02d:%02d", m.year, m.month, m.day, m.hour,
             m.minute, m.second);
    char *text = arena_alloc(a, 21u + f->precision);
    if (!text)
        return err_memory(e);
    memcpy(text, head, 19);
    return type_set(str_n(text, 19 + put_fraction(text + 19, m.fraction, f->precision)), out);
}
