// SPDX-License-Identifier: Apache-2.0
// Renders a struct reconcile_report into a buffer and puts that under a name. The page opens
// offline: style and charts are inline, there is no script. Light and dark, print and phones by
// media queries.
#include "cli/reconcile_report.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIELDS_MAX  64  // bars of the chart by field
#define SAMPLES_MAX 200 // rows shown for one entity

static const char style[] =
    ":root{--ink:#1b1f24;--paper:#fff;--line:#d5dae0;--bar:#b3402a;--good:#1f7a4d;--soft:#5b6672}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--paper:#14181c;--line:#333b43;"
    "--bar:#e2785f;--good:#5cc08d;--soft:#9aa5b1}}"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:60rem;margin:0 auto;padding:1rem}"
    "h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}"
    ".verdict{font-size:1.3rem;font-weight:600}.equal{color:var(--good)}.differs{color:var(--bar)}"
    ".soft{color:var(--soft)}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}"
    "th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);"
    "vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right;"
    "font-variant-numeric:tabular-nums;overflow-wrap:normal}"
    "svg{max-width:100%;height:auto}svg text{fill:var(--ink);font-size:13px}"
    "svg rect{fill:var(--bar)}rect.good{fill:var(--good)}rect.unsure{fill:var(--soft)}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.6rem 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}details{margin:.6rem 0}"
    "@media(max-width:30rem){body{padding:.5rem}dl{grid-template-columns:1fr}}"
    "summary{cursor:pointer;font-weight:600}"
    "@media print{body{max-width:none;font-size:11px}details{break-inside:avoid}}";

// Text as both HTML and XML take it; what XML 1.0 cannot hold becomes U+FFFD.
static void add_text(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '&')
            buf_addz(out, "&amp;");
        else if (c == '<')
            buf_addz(out, "&lt;");
        else if (c == '>')
            buf_addz(out, "&gt;");
        else if (c == '"')
            buf_addz(out, "&quot;");
        else if (c < 0x20 && c != '\t' && c != '\n')
            buf_addz(out, "\xef\xbf\xbd");
        else
            buf_addc(out, (char)c);
    }
}

static void add_value(struct buf *out, const struct difference *d, struct value v)
{
    if (!d->field[0])
        buf_addz(out, "<td></td>");
    else if (v.state != VALUE_SET) {
        buf_addz(out, "<td class=soft>NULL</td>");
    } else {
        buf_addz(out, "<td>");
        add_text(out, value_str(v));
        buf_addz(out, "</td>");
    }
}

// ---------------------------------------------------------------- charts

struct bar {
    char label[160];
    long long n;
};

static int by_size(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    return (x->n < y->n) - (x->n > y->n);
}

static void add_chart(struct buf *out, const char *title, struct bar *bars, size_t n)
{
    enum { ROW = 24, LEFT = 250, WIDTH = 700 };
    if (n == 0)
        return;
    qsort(bars, n, sizeof *bars, by_size);
    if (n > 20)
        n = 20;
    buf_printf(out,
               "<h2>%s</h2><div class=wide><svg role=img aria-label=\"%s\" width=%d height=%zu"
               " viewBox=\"0 0 %d %zu\">",
               title, title, WIDTH, n * ROW, WIDTH, n * ROW);
    for (size_t i = 0; i < n; i++) {
        long long width = bars[i].n * (WIDTH - LEFT - 90) / (bars[0].n ? bars[0].n : 1);
        buf_printf(out, "<text x=%d y=%zu text-anchor=end>", LEFT - 8, i * ROW + 16);
        add_text(out, str_of(bars[i].label));
        buf_printf(out,
                   "</text><rect x=%d y=%zu width=%lld height=%d /><text x=%lld y=%zu>%lld</text>",
                   LEFT, i * ROW + 4, width > 2 ? width : 2, ROW - 8,
                   LEFT + 8 + (width > 2 ? width : 2), i * ROW + 16, bars[i].n);
    }
    buf_addz(out, "</svg></div>\n");
}

static void chart_entities(struct buf *out, const struct reconcile_report *r)
{
    struct bar *bars = calloc(r->nentities + 1, sizeof *bars);
    size_t n = 0;
    for (size_t i = 0; bars && i < r->nentities; i++) {
        if (r->entities[i].differences == 0)
            continue;
        snprintf(bars[n].label, sizeof bars[n].label, "%s", r->entities[i].entity->name);
        bars[n++].n = r->entities[i].differences;
    }
    add_chart(out, "Rows that differ, by entity", bars, bars ? n : 0);
    free(bars);
}

static void count_bar(struct bar *bars, size_t *n, const char *entity, const char *label,
                      long long rows)
{
    struct bar b = {.n = rows};
    snprintf(b.label, sizeof b.label, "%s%s%s", entity, entity[0] ? "." : "", label);
    for (size_t i = 0; i < *n; i++)
        if (strcmp(bars[i].label, b.label) == 0) {
            bars[i].n += rows;
            return;
        }
    if (*n < FIELDS_MAX)
        bars[(*n)++] = b;
}

// A mistake in a map shows here: one field, many rows.
static void chart_fields(struct buf *out, const struct reconcile_report *r)
{
    struct bar bars[FIELDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < r->nentities; i++)
        for (size_t k = 0; k < r->entities[i].nfindings; k++) {
            const struct finding *f = &r->entities[i].findings[k];
            count_bar(bars, &n, r->entities[i].entity->name, f->field[0] ? f->field : f->kind,
                      f->rows);
        }
    add_chart(out, "What differs, by field", bars, n);
}

static void chart_causes(struct buf *out, const struct reconcile_report *r)
{
    struct bar bars[FIELDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < r->nentities; i++)
        for (size_t k = 0; k < r->entities[i].nfindings; k++)
            count_bar(bars, &n, "", cause_name(r->entities[i].findings[k].cause),
                      r->entities[i].findings[k].rows);
    add_chart(out, "Why, by cause", bars, n);
}

static long long number_of(struct value v)
{
    long long n = 0;
    return str_to_int(value_str(v), 0, INT64_MAX, &n) ? n : 0;
}

// Columns from the oldest run to the newest. Without the control store the page is whole but
// for this.
static void chart_history(struct buf *out, struct control *c)
{
    enum { STEP = 22, HEIGHT = 120 };
    struct err ignored = {0};
    struct rows rows;
    long long most = 1;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = a ? control_pg(c, &ignored) : NULL;
    if (!pg ||
        pg_query(pg,
                 STR("SELECT id, n, complete FROM (SELECT r.id, coalesce(sum(e.differences),"
                     " 0)::bigint AS n, r.complete::int AS complete FROM ficus.reconcile_run r"
                     " LEFT JOIN ficus.reconcile_entity e ON e.run = r.id"
                     " WHERE r.finished_at IS NOT NULL GROUP BY r.id ORDER BY r.id DESC"
                     " LIMIT 30) AS x ORDER BY id"),
                 NULL, 0, a, &rows, &ignored) ||
        rows.nrows == 0) {
        arena_destroy(a);
        return;
    }
    for (size_t i = 0; i < rows.nrows; i++)
        if (number_of(*rows_at(&rows, i, 1)) > most)
            most = number_of(*rows_at(&rows, i, 1));
    buf_printf(out,
               "<h2>Differences over time, run by run</h2><div class=wide><svg role=img"
               " aria-label=\"Differences of the last %zu runs\" width=%zu height=%d"
               " viewBox=\"0 0 %zu %d\">",
               rows.nrows, rows.nrows * STEP + 10, HEIGHT + 30, rows.nrows * STEP + 10,
               HEIGHT + 30);
    for (size_t i = 0; i < rows.nrows; i++) {
        long long n = number_of(*rows_at(&rows, i, 1)), h = n * HEIGHT / most;
        bool whole = number_of(*rows_at(&rows, i, 2)) == 1;
        h = h < 2 ? 2 : h;
        buf_printf(out,
                   "<rect class=%s x=%zu y=%lld width=%d height=%lld><title>run %lld: %lld rows"
                   " differ%s</title></rect>",
                   !whole ? "unsure"
                   : n    ? "bad"
                          : "good",
                   i * STEP + 4, HEIGHT - h + 4, STEP - 6, h, number_of(*rows_at(&rows, i, 0)), n,
                   whole ? "" : ", incomplete");
        if (i == 0 || i + 1 == rows.nrows)
            buf_printf(out, "<text x=%zu y=%d text-anchor=middle>%lld</text>", i * STEP + STEP / 2,
                       HEIGHT + 20, number_of(*rows_at(&rows, i, 0)));
    }
    buf_addz(out, "</svg></div>\n");
    arena_destroy(a);
}

// ---------------------------------------------------------------- the page

static void add_verdict(struct buf *out, const struct reconcile_report *r)
{
    bool good = r->equal && r->complete;
    long long differ = 0, rows = 0;
    for (size_t i = 0; i < r->nentities; i++) {
        differ += r->entities[i].differences;
        rows += r->entities[i].rows_legacy;
    }
    buf_printf(out, "<p class=\"verdict %s\" id=verdict>", good ? "equal" : "differs");
    if (!r->complete)
        buf_addz(out, "Incomplete: not every row could be proven.");
    else if (!good)
        buf_printf(out, "Not equal: <span id=differences>%lld</span> rows differ.", differ);
    else
        buf_addz(out, r->full ? "Equal: every row was compared, nothing differs."
                              : "Equal in the part that was compared; the rest was not looked at.");
    buf_printf(out, "</p>\n<p>%zu entities, <span id=rows>%lld</span> legacy rows.</p>\n",
               r->nentities, rows);
}

static void add_fact(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "<dt>%s</dt><dd>", name);
    add_text(out, value);
    buf_addz(out, "</dd>");
}

static void add_json_fact(struct buf *out, const char *name, const json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    add_fact(out, name, str_of(text ? text : ""));
    free(text);
}

static void add_facts(struct buf *out, const struct reconcile_report *r, const char *who)
{
    char text[160];
    buf_addz(out, "<dl>");
    snprintf(text, sizeof text, "%.*s UTC, %.1f s", (int)r->started.len, r->started.data,
             (double)r->ms / 1000);
    add_fact(out, "When", str_of(text));
    add_fact(out, "Who", str_of(who));
    add_fact(out, "Coverage",
             str_of(!r->complete ? "incomplete"
                    : r->full    ? "every row of these entities"
                                 : "a slice, as asked for"));
    snprintf(text, sizeof text, "%lld", r->version);
    add_fact(out, "Route table version", str_of(text));
    add_json_fact(out, "Owners and epochs", r->epochs);
    json_t *receipt = r->receipt.len ? json_loadb(r->receipt.data, r->receipt.len, 0, NULL) : NULL;
    const char *hash = json_string_value(json_object_get(receipt, "hash"));
    const char *signature = json_string_value(json_object_get(receipt, "signature"));
    snprintf(text, sizeof text, "%s, %s", hash ? hash : "none",
             signature && signature[0] ? "signed" : "not signed");
    add_fact(out, "Receipt", str_of(text));
    buf_addz(out, "</dl>\n<details><summary>Positions of both streams when it began</summary><dl>");
    add_json_fact(out, "Positions", r->positions);
    buf_addz(out, "</dl></details>\n");
    json_decref(receipt);
}

static void add_head(struct buf *out, const struct reconcile_report *r)
{
    buf_printf(out,
               "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport"
               " content=\"width=device-width,initial-scale=1\"><meta name=color-scheme"
               " content=\"light dark\"><link rel=icon href=\"data:,\"><title>Ficus reconciliation"
               " run %lld</title><style>%s</style></head><body>\n<h1>Reconciliation run"
               " %lld</h1>\n",
               r->run, style, r->run);
}

static void add_entities(struct buf *out, const struct reconcile_report *r)
{
    buf_addz(out, "<div class=wide><table><tr><th>Entity<th class=n>Legacy<th class=n>New"
                  "<th class=n>Differ<th class=n>Settled<th class=n>Unsettled<th class=n>Parked"
                  "<th>Proven</tr>\n");
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        buf_addz(out, "<tr><td>");
        add_text(out, str_of(x->entity->name));
        buf_printf(out,
                   "<td class=n>%lld<td class=n>%lld<td class=n>%lld<td class=n>%lld"
                   "<td class=n>%lld<td class=n>%lld<td>%s</tr>\n",
                   x->rows_legacy, x->rows_new, x->differences, x->settled, x->unsettled, x->parked,
                   x->complete ? "completely" : "<b>not</b>");
    }
    buf_addz(out, "</table></div>\n<p class=soft>Settled: looked different and was merely in"
                  " flight. Unsettled: never stood still long enough to say. Personal data is shown"
                  " by its length only.</p>\n");
}

static void add_samples(struct buf *out, const struct entity_report *x)
{
    if (x->nsamples == 0)
        return;
    buf_addz(out, "<details><summary>");
    add_text(out, str_of(x->entity->name));
    buf_printf(out,
               ": %lld rows differ</summary><div class=wide><table><tr><th>Key<th>What"
               "<th>Field<th>Legacy<th>New<th>Cause<th>Last events</tr>\n",
               x->differences);
    for (size_t i = 0; i < x->nsamples && i < SAMPLES_MAX; i++) {
        const struct difference *d = &x->samples[i];
        buf_addz(out, "<tr><td>");
        add_text(out, d->key);
        buf_printf(out, "</td><td>%s</td><td>",
                   strcmp(d->kind, "duplicate") == 0        ? "several rows of one key"
                   : strcmp(d->kind, "missing_new") == 0    ? "missing in new"
                   : strcmp(d->kind, "missing_legacy") == 0 ? "missing in legacy"
                                                            : "field");
        add_text(out, str_of(d->field));
        buf_addz(out, "</td>");
        add_value(out, d, d->legacy);
        add_value(out, d, d->new_);
        buf_printf(out, "<td>%s</td><td>", cause_name(d->cause));
        for (int side = 0; side < 2; side++)
            if (d->event[side][0])
                buf_printf(out, "%s: %s<br>", side_name(side), d->event[side]);
        buf_addz(out, "</td></tr>\n");
    }
    buf_addz(out, "</table></div>");
    if (x->nsamples > SAMPLES_MAX || x->samples_cut)
        buf_printf(out, "<p class=soft>The first %zu fields or rows, of %lld rows that differ.</p>",
                   x->nsamples < SAMPLES_MAX ? x->nsamples : (size_t)SAMPLES_MAX, x->differences);
    buf_addz(out, "</details>\n");
}

int reconcile_put(struct buf *text, const char *file, struct err *e)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.new", file);
    if (buf_check(text, e))
        return -1;
    if (n < 0 || (size_t)n >= sizeof temporary)
        return err_set(e, ERR_INVALID, "the name of the report is too long");
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < text->len) {
        ssize_t wrote = write(fd, text->data + done, text->len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    bool good = fd >= 0 && done == text->len && fsync(fd) == 0;
    int failed = good ? 0 : errno;
    if (fd >= 0)
        close(fd);
    if (good && rename(temporary, file) == 0)
        return 0;
    failed = failed ? failed : errno;
    unlink(temporary);
    return err_set(e, ERR_INTERNAL, "%s: %s", file, strerror(failed));
}

int reconcile_write_html(const struct reconcile_report *r, struct control *c, const char *who,
                         const char *file, struct err *e)
{
    struct buf page = BUF_INIT;
    add_head(&page, r);
    add_verdict(&page, r);
    add_facts(&page, r, who);
    add_entities(&page, r);
    chart_entities(&page, r);
    chart_fields(&page, r);
    chart_causes(&page, r);
    chart_history(&page, c);
    for (size_t i = 0; i < r->nentities; i++)
        add_samples(&page, &r->entities[i]);
    buf_addz(&page, "</body></html>\n");
    int result = reconcile_put(&page, file, e);
    buf_free(&page);
    return result;
}

// ---------------------------------------------------------------- JUnit

int reconcile_write_junit(const struct reconcile_report *r, const char *file, struct err *e)
{
    struct buf xml = BUF_INIT;
    unsigned failures = 0;
    for (size_t i = 0; i < r->nentities; i++)
        failures += r->entities[i].differences > 0 || !r->entities[i].complete;
    buf_printf(&xml,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"ficus reconcile\""
               " tests=\"%zu\" failures=\"%u\" time=\"%.3f\">\n",
               r->nentities, failures, (double)r->ms / 1000);
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        buf_addz(&xml, "  <testcase classname=\"reconcile\" name=\"");
        add_text(&xml, str_of(x->entity->name));
        if (x->differences == 0 && x->complete)
            buf_addz(&xml, "\"/>\n");
        else
            buf_printf(&xml,
                       "\"><failure message=\"%lld rows differ, %lld unsettled%s\"/></testcase>\n",
                       x->differences, x->unsettled, x->complete ? "" : ", incomplete");
    }
    buf_addz(&xml, "</testsuite>\n");
    int result = reconcile_put(&xml, file, e);
    buf_free(&xml);
    return result;
}
