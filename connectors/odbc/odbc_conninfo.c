// SPDX-License-Identifier: Apache-2.0
// Connection strings, `KEYWORD=value;KEYWORD={value};...`: completed with what each driver
// needs and a user should not have to know; and what they say about the driver manager.
#include "connectors/odbc/odbc_int.h"

#include "base/log.h"

#include <odbcinst.h>
#include <stdlib.h>

#define FOUND_ROWS 2 // MariaDB's OPTION bit: an UPDATE counts the rows found, not those changed

// The next pair of `rest`; false at the end. A value in braces keeps its braces.
static bool next_pair(struct str *rest, struct str *key, struct str *value)
{
    while (rest->len && (*rest->data == ';' || *rest->data == ' '))
        *rest = str_n(rest->data + 1, rest->len - 1);
    const char *equals = rest->len ? memchr(rest->data, '=', rest->len) : NULL;
    if (!equals)
        return false;
    *key = str_trim(str_n(rest->data, (size_t)(equals - rest->data)));
    size_t left = rest->len - (size_t)(equals + 1 - rest->data), n = 0;
    bool braces = left && equals[1] == '{';
    for (; n < left && (braces || equals[1 + n] != ';'); n++)
        if (braces && equals[1 + n] == '}')
            braces = false;
    *value = str_n(equals + 1, n);
    *rest = str_n(equals + 1 + n, left - n);
    return true;
}

static bool find(const char *conninfo, const char *key, struct str *value)
{
    struct str rest = str_of(conninfo), k;
    while (next_pair(&rest, &k, value))
        if (str_eq_nocase(k, str_of(key)))
            return true;
    return false;
}

static void add_pair(struct buf *out, const char *text)
{
    if (out->len && out->data[out->len - 1] != ';')
        buf_addc(out, ';');
    buf_addz(out, text);
}

// Everything but OPTION as it is, then OPTION with the bit in it.
static void mariadb_option(struct buf *out, const char *conninfo)
{
    struct str rest = str_of(conninfo), key, value;
    long long option = 0, n;
    while (next_pair(&rest, &key, &value)) {
        if (str_eq_nocase(key, STR("OPTION"))) {
            option = str_to_int(str_trim(value), 0, UINT32_MAX, &n) ? n : 0;
            continue;
        }
        add_pair(out, "");
        buf_addstr(out, key);
        buf_addc(out, '=');
        buf_addstr(out, value);
    }
    add_pair(out, "");
    buf_printf(out, "OPTION=%lld", option | FOUND_ROWS);
}

void odbc_conninfo_complete(struct buf *out, const char *conninfo, const struct dbms *d)
{
    static const struct {
        const char *dbms, *key, *add;
    } needs[] = {
        {"mariadb", "CHARSET", "CHARSET=utf8mb4"},
        {"sqlite", "StepAPI", "StepAPI=1"},    // stream instead of reading it all
        {"sqlite", "Timeout", "Timeout=2500"}, // the driver waits twice this
        {"sqlite", "NoTXN", "NoTXN=0"},
        {"postgres", "UseServerSidePrepare", "UseServerSidePrepare=1"},
        {"postgres", "Protocol", "Protocol=7.4-0"}, // no savepoint of its own around statements
        {"postgres", "LFConversion", "LFConversion=0"},
    };
    struct str value;
    if (strcmp(d->name, "mariadb") == 0)
        mariadb_option(out, conninfo);
    else
        buf_addz(out, conninfo);
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (strcmp(d->name, needs[i].dbms) == 0 && !find(conninfo, needs[i].key, &value))
            add_pair(out, needs[i].add);
}

// unixODBC takes the driver's own line, else the one for all, else 0.
void odbc_log_threading(const char *conninfo)
{
    struct log_ctx ctx = {"odbc", NULL, NULL};
    struct str driver = STR("");
    char name[128], level[16] = "";
    if (find(conninfo, "DRIVER", &driver) && driver.len > 1 && *driver.data == '{')
        driver = str_n(driver.data + 1, driver.len - 2);
    if (driver.len && str_copy(name, sizeof name, driver) == 0)
        SQLGetPrivateProfileString(name, "Threading", "", level, sizeof level, "ODBCINST.INI");
    if (!level[0])
        SQLGetPrivateProfileString("ODBC", "Threading", "0", level, sizeof level, "ODBCINST.INI");
    if (strcmp(level, "0") == 0 || strcmp(level, "1") == 0)
        log_info(&ctx, "unixODBC threading level %s for %.*s", level, (int)driver.len, driver.data);
    else
        log_warn(&ctx,
                 "unixODBC threading level %s for %.*s makes connections wait for each other:"
                 " set Threading=0 in odbcinst.ini",
                 level, (int)driver.len, driver.data);
}
