// SPDX-License-Identifier: Apache-2.0
// Watches a row of ficus.transfer that the coordinator works on; it only reads. Owns nothing.
// Thread: main.
#include "cli/transfer_watch.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCH_EVERY_MS 50

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

struct watch {
    struct control *control;
    long long id;
    bool quiet;
    size_t shown;
    char outcome[16], step[32], group[128], kind[16];
    char waiting[400]; // shown last
    char *receipt;     // owned
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

// ---------------------------------------------------------------- the receipt

static void print_guards(const json_t *list)
{
    size_t i;
    const json_t *g;
    json_array_foreach(list, i, g)
    {
        bool passed = json_is_true(json_object_get(g, "passed"));
        printf("  %-10s %-10s %-7s %s\n", i ? "" : "guards", text_of(g, "name"),
               passed ? "ok" : "REFUSES", text_of(g, "figure"));
        if (!passed)
            printf("  %-10s %-10s mend:   %s\n", "", "", text_of(g, "mend"));
    }
}

static void print_steps(const json_t *list)
{
    size_t i;
    const json_t *s;
    json_array_foreach(list, i, s)
        printf("  %-10s %-10s %6lld ms %s\n", i ? "" : "steps", text_of(s, "step"),
               number_of(s, "ms"), text_of(s, "detail"));
}

static void print_line(const json_t *r, const char *label, const char *key)
{
    if (*text_of(r, key))
        printf("  %-10s %s\n", label, text_of(r, key));
}

void transfer_receipt_print(const json_t *r)
{
    size_t i;
    const json_t *name;
    printf("transfer %lld: %s; group %s, target %s, epoch %lld, pause %.1f ms%s%s\n",
           number_of(r, "transfer"), text_of(r, "outcome"), text_of(r, "group"),
           text_of(r, "target"), number_of(r, "epoch"),
           json_number_value(json_object_get(r, "pause_ms")), *text_of(r, "why") ? "; " : "",
           text_of(r, "why"));
    printf("  %-10s %s by %s%s\n", "kind", text_of(r, "kind"), text_of(r, "who"),
           json_is_true(json_object_get(r, "forced")) ? ", forced" : "");
    print_line(r, "approved", "approved_by");
    print_line(r, "why", "asked_why");
    print_line(r, "note", "note");
    printf("  %-10s %s to %s\n", "when", text_of(r, "requested_at"), text_of(r, "finished_at"));
    printf("  %-10s", "entities");
    json_array_foreach(json_object_get(r, "entities"), i, name)
        printf(" %s", json_string_value(name));
    putchar('\n');
    if (number_of(r, "ended_sessions"))
        printf("  %-10s %lld that held the fence were ended\n", "sessions",
               number_of(r, "ended_sessions"));
    print_guards(json_object_get(r, "guards"));
    print_steps(json_object_get(r, "steps"));
}

static void print_receipt(const struct watch *w, bool json)
{
    json_t *r = json_loads(w->receipt ? w->receipt : "{}", 0, NULL);
    if (json) {
        char *text = json_dumps(r, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
    } else {
        transfer_receipt_print(r);
    }
    json_decref(r);
}

// ---------------------------------------------------------------- while it runs

static void show_steps(struct watch *w, struct str steps)
{
    json_t *list = json_loadb(steps.data, steps.len, 0, NULL);
    long long begin = number_of(json_array_get(list, 0), "at_ms");
    for (; w->shown < json_array_size(list); w->shown++) {
        const json_t *s = json_array_get(list, w->shown);
        if (!w->quiet)
            fprintf(stderr, "%8lld ms  %-9s %s\n", number_of(s, "at_ms") - begin,
                    text_of(s, "step"), text_of(s, "detail"));
    }
    json_decref(list);
}

static void show_waiting(struct watch *w, struct str waiting)
{
    if (str_eqz(waiting, w->waiting))
        return;
    snprintf(w->waiting, sizeof w->waiting, "%.*s", (int)waiting.len, waiting.data);
    if (!w->quiet && w->waiting[0])
        fprintf(stderr, "             waits for %s\n", w->waiting);
}

// 1 when the transfer has ended.
static int watch_row(struct watch *w, const struct rows *rows, struct err *e)
{
    if (rows->nrows != 1)
        return err_set(e, ERR_NOT_FOUND, "transfer %lld is not in the control store", w->id);
    const struct value *v = rows->cells;
    show_steps(w, value_str(v[0]));
    show_waiting(w, value_str(v[3]));
    if (str_copy(w->outcome, sizeof w->outcome, value_str(v[1])) ||
        str_copy(w->step, sizeof w->step, value_str(v[4])) ||
        str_copy(w->group, sizeof w->group, value_str(v[5])) ||
        str_copy(w->kind, sizeof w->kind, value_str(v[6])))
        return err_set(e, ERR_INTERNAL, "transfer %lld cannot be read", w->id);
    if (w->outcome[0])
        w->receipt = strndup(v[2].data, v[2].len);
    return w->outcome[0] != '\0';
}

static int watch_once(struct watch *w, struct err *e)
{
    static const char sql[] =
        "SELECT t.steps, coalesce(t.outcome, ''), coalesce(t.receipt::text, '{}'), CASE"
        " WHEN t.outcome IS NOT NULL THEN '' WHEN t.needs_approval AND t.approved_by IS NULL"
        " THEN 'a second person: ficus ' || t.kind || ' ' || t.grp || ' --approve'"
        " WHEN t.step = 'requested' AND t.not_before > now()"
        " THEN 'its time, ' || t.not_before WHEN t.waiting <> '' THEN t.waiting"
        " WHEN o.phase = 'holding' AND h.held > 0 THEN 'the new owner: ' || h.held ||"
        " ' requests held' WHEN t.coordinator IS NULL AND t.requested_at < now() -"
        " interval '2 seconds' THEN 'a coordinator; is ficus sync running?' ELSE '' END,"
        " t.step, t.grp, t.kind FROM ficus.transfer t LEFT JOIN ficus.owner o ON o.grp = t.grp,"
        " (SELECT coalesce(sum((detail->>'held')::bigint), 0) AS held FROM ficus.instance"
        "  WHERE kind = 'serve' AND heartbeat > now() - interval '5 seconds') AS h"
        " WHERE t.id = $1::bigint";
    char id[24];
    struct rows rows;
    struct pg_conn *pg = control_pg(w->control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    snprintf(id, sizeof id, "%lld", w->id);
    struct value p = value_set(str_of(id));
    int result = -1;
    if (pg && !a)
        err_memory(e);
    else if (a && pg_query(pg, STR(sql), &p, 1, a, &rows, e) == 0)
        result = watch_row(w, &rows, e);
    arena_destroy(a);
    return result;
}

// Where things stand when nobody watches any more.
static void say_left(const struct watch *w)
{
    fprintf(stderr,
            "\nThe transfer goes on without this terminal: id %lld, step %s; the coordinator in"
            " ficus sync\nfinishes it or gives the group back to its owner.\n"
            "  where it is:  ficus transfers show %lld\n"
            "  give it up:   ficus %s %s --abort\n",
            w->id, w->step, w->id, w->kind, w->group);
}

int transfer_watch(const struct cli *c, struct control *control, long long id, const char *wanted)
{
    struct watch w = {.control = control, .id = id, .quiet = c->json};
    struct err e = {0};
    struct sigaction sa = {.sa_handler = on_interrupt}, before;
    int ended = 0;
    interrupted = 0;
    sigaction(SIGINT, &sa, &before);
    while ((ended = watch_once(&w, &e)) == 0 && !interrupted)
        clock_sleep_ms(WATCH_EVERY_MS);
    sigaction(SIGINT, &before, NULL);
    if (ended < 0)
        return cli_fail(&e);
    if (!ended) {
        say_left(&w);
        return EXIT_DIFFERENT;
    }
    print_receipt(&w, c->json);
    free(w.receipt);
    return strcmp(w.outcome, wanted) == 0 ? EXIT_OK : EXIT_DIFFERENT;
}
