// SPDX-License-Identifier: Apache-2.0
// Repairs as people ask for them: toward an owner only with a second person's consent, and each
// with a receipt on record.
#include "cli/cli_reconcile.h"
#include "cli/identity.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTITIES_TEXT 4000

static int entities_text(const struct reconcile_options *o, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < o->nentities; i++) {
        int n = snprintf(out + at, size - at, "%s%s", i > 0 ? "," : "", o->entities[i]->name);
        if (n < 0 || (size_t)n >= size - at)
            return -1;
        at += (size_t)n;
    }
    return 0;
}

static bool ask(const struct cli_env *env, const char *entities, int *status)
{
    struct err e = {0};
    long long id;
    struct cli_actor actor;
    if ((*status = cli_identify(env, ROLE_OPERATOR, &actor)) != EXIT_OK)
        return false;
    struct value v[] = {value_set(str_of(entities)), value_set(str_of(actor.name))};
    if (control_number(env->control,
                       "INSERT INTO ficus.repair (entities, toward, state, asked_by)"
                       " VALUES ($1, 'owner', 'requested', $2) RETURNING id",
                       v, 2, &id, &e)) {
        *status = cli_fail(&e);
        return false;
    }
    fprintf(stderr,
            "ficus reconcile: a repair toward the owner needs someone else's consent: request %lld."
            " They run: ficus reconcile approve %lld. Then add --approval %lld\n",
            id, id, id);
    *status = EXIT_DIFFERENT;
    return false;
}

// Uses the approval up: one run an approval.
static bool use(const struct cli_env *env, const char *entities, long long id, int *status)
{
    struct err e = {0};
    char text[24];
    long long changed = 0;
    struct pg_conn *pg = control_pg(env->control, &e);
    snprintf(text, sizeof text, "%lld", id);
    const char *p[] = {text, entities};
    if (!pg || pg_execz(pg,
                        "UPDATE ficus.repair SET state = 'done' WHERE id = $1::bigint"
                        " AND entities = $2 AND state = 'approved'"
                        " AND approved_at > now() - interval '24 hours'",
                        p, 2, &changed, &e)) {
        *status = cli_fail(&e);
        return false;
    }
    if (changed == 1)
        return true;
    fprintf(stderr,
            "ficus reconcile: request %lld is not an approved repair of just these entities, or"
            " older than a day, or was used\n",
            id);
    *status = EXIT_DIFFERENT;
    return false;
}

bool repair_may(const struct cli *c, const struct cli_env *env, const struct reconcile_options *o,
                long long *approval, int *status)
{
    char entities[ENTITIES_TEXT];
    if (cli_option_int(c, "approval", 1, INT64_MAX, 0, approval)) {
        *status = EXIT_USAGE;
        return false;
    }
    if (o->explain) {
        fputs("ficus reconcile: --explain only says what would be done; no --repair with it\n",
              stderr);
        *status = EXIT_USAGE;
        return false;
    }
    if (!cli_flag(c, "toward-owner") || cli_flag(c, "dry-run"))
        return true;
    if (entities_text(o, entities, sizeof entities)) {
        fputs("ficus reconcile: too many entities for one approval; name some\n", stderr);
        *status = EXIT_USAGE;
        return false;
    }
    return *approval ? use(env, entities, *approval, status) : ask(env, entities, status);
}

int reconcile_approve(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    long long id, changed = 0;
    if (!str_to_int(str_of(c->args[0]), 1, INT64_MAX, &id)) {
        fprintf(stderr, "ficus reconcile approve: '%s' is no request\n", c->args[0]);
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct cli_actor actor;
    if ((status = cli_identify_approver(&env, &actor)) != EXIT_OK) {
        cli_env_close(&env);
        return status;
    }
    const char *p[] = {c->args[0], actor.name};
    struct pg_conn *pg = control_pg(env.control, &e);
    if (!pg ||
        pg_execz(pg,
                 "UPDATE ficus.repair SET state = 'approved', approved_by = $2,"
                 " approved_at = now() WHERE id = $1::bigint AND state = 'requested'"
                 " AND asked_by <> $2",
                 p, 2, &changed, &e) ||
        (changed == 1 &&
         control_audit(env.control, actor.name, "repair.approve", c->args[0], NULL, &e)))
        status = cli_fail(&e);
    else if (changed == 1)
        printf("request %lld is approved\n", id);
    else
        fprintf(
            stderr,
            "ficus reconcile approve: request %lld is not waiting, or you asked for it yourself\n",
            id);
    if (status == EXIT_OK && changed != 1)
        status = EXIT_DIFFERENT;
    cli_env_close(&env);
    return status;
}

json_t *repair_json(const struct repair_report *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "found", (json_int_t)r->found,
                     "written", (json_int_t)r->written, "moved", (json_int_t)r->moved, "refused",
                     (json_int_t)r->refused, "skipped", (json_int_t)r->skipped, "mended",
                     (json_int_t)r->mended, "left", (json_int_t)r->left, "refusal", r->refusal);
}

int repair_record(struct control *c, const struct reconcile_report *run,
                  const struct repair_report *r, long long approval, bool toward_owner,
                  struct err *e)
{
    json_t *j = repair_json(r);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    char id[24], approved[24];
    struct pg_conn *pg = control_pg(c, e);
    snprintf(id, sizeof id, "%lld", run->run);
    snprintf(approved, sizeof approved, "%lld", approval);
    const char *made[] = {id, toward_owner ? "owner" : "other", cli_who(), text};
    const char *used[] = {id, approved, text};
    int result = text && pg ? 0 : -1;
    if (!text)
        err_memory(e);
    if (result == 0)
        result = approval ? pg_execz(pg,
                                     "UPDATE ficus.repair SET run = $1::bigint, receipt = $3::jsonb"
                                     " WHERE id = $2::bigint",
                                     used, 3, NULL, e)
                          : pg_execz(pg,
                                     "INSERT INTO ficus.repair (run, entities, toward, state,"
                                     " asked_by, receipt) SELECT $1::bigint,"
                                     " coalesce(string_agg(entity, ',' ORDER BY entity), ''), $2,"
                                     " 'done', $3, $4::jsonb FROM ficus.reconcile_entity"
                                     " WHERE run = $1::bigint",
                                     made, 4, NULL, e);
    if (result == 0)
        result = control_audit(c, cli_who(), "repair", id, j, e);
    free(text);
    json_decref(j);
    return result;
}

void repair_print(const struct repair_report *r, bool dry_run)
{
    if (dry_run) {
        printf("repair (dry run): %lld rows would be mended%s\n", r->found - r->skipped,
               r->skipped ? ", the rest is beyond --limit" : "");
        return;
    }
    printf(
        "repair: %lld rows differed; %lld written, %lld moved meanwhile, %lld refused, %lld beyond"
        " the limit; %lld equal now, %lld not\n",
        r->found, r->written, r->moved, r->refused, r->skipped, r->mended, r->left);
    if (r->refused)
        printf("  the first refusal: %s\n", r->refusal);
}
