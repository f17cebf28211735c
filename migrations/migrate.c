// SPDX-License-Identifier: Apache-2.0
// The runner of numbered SQL: NNNN_name.up.sql and .down.sql, embedded (set "control") or from
// a folder. Each runs in one transaction together with its note in ficus_migrations.applied,
// which keeps the SHA-256 of the text: an applied file that changed or is gone stops everything
// before anything is done. Its schema is its own, since "control" may drop schema ficus.
// Blocking; two runners at once wait for each other.
#include "base/embed.h"
#include "migrations/ddl.h"
#include "migrations/map_int.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define MIGRATION_MAX ((size_t)16 << 20) // bytes of one file

struct migration {
    unsigned number;
    char name[128];
    struct str up, down; // down: data NULL when there is none
    char sum[65];        // of up, hex
    bool applied, changed;
    char applied_at[32];
};

struct runner {
    struct pg_conn *c;
    const char *set;
    struct arena *a;
    struct migration *list; // sorted by number
    size_t n, size;
};

static int sum_hex(struct str text, char out[65], struct err *e)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(text.data, text.len, md, &n, EVP_sha256(), NULL) != 1 || n != 32)
        return err_set(e, ERR_INTERNAL, "SHA-256 failed");
    for (unsigned i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
    return 0;
}

// "0001_name.up.sql" -> number, name, direction. False: another kind of file.
static bool take_name(const char *file, unsigned *number, char name[128], bool *up)
{
    size_t len = strlen(file);
    long long n;
    struct str s;
    if (len < 12 || file[4] != '_' || !str_to_int(str_n(file, 4), 0, 9999, &n))
        return false;
    if (len > 7 && strcmp(file + len - 7, ".up.sql") == 0) {
        *up = true;
        s = str_n(file + 5, len - 5 - 7);
    } else if (len > 9 && strcmp(file + len - 9, ".down.sql") == 0) {
        *up = false;
        s = str_n(file + 5, len - 5 - 9);
    } else {
        return false;
    }
    *number = (unsigned)n;
    return s.len > 0 && str_copy(name, 128, s) == 0;
}

static struct migration *at_number(struct runner *r, unsigned number, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->list[i].number == number)
            return &r->list[i];
    if (r->n == r->size) {
        size_t size = r->size > 0 ? r->size * 2 : 16;
        struct migration *more = arena_array(r->a, size, sizeof(*more));
        if (!more)
            return NULL;
        if (r->n > 0)
            memcpy(more, r->list, r->n * sizeof(*more));
        r->list = more;
        r->size = size;
    }
    struct migration *m = &r->list[r->n++];
    *m = (struct migration){.number = number};
    snprintf(m->name, sizeof(m->name), "%s", name);
    return m;
}

static int add_file(struct runner *r, const char *file, struct str text, struct err *e)
{
    unsigned number;
    char name[128];
    bool up;
    if (!take_name(file, &number, name, &up))
        return 0;
    struct migration *m = at_number(r, number, name);
    if (!m)
        return err_memory(e);
    if (strcmp(m->name, name) != 0)
        return err_set(e, ERR_CONFIG, "migration %04u of %s has two names: %s and %s", number,
                       r->set, m->name, name);
    if (!up) {
        m->down = text;
        return 0;
    }
    m->up = text;
    return sum_hex(text, m->sum, e);
}

static int add_embedded(struct runner *r, struct err *e)
{
    char prefix[128];
    size_t n;
    const struct embedded_file *f = embed_list(&n);
    int len = snprintf(prefix, sizeof(prefix), "migrations/sql/%s/", r->set);
    for (size_t i = 0; i < n; i++)
        if (strncmp(f[i].name, prefix, (size_t)len) == 0 &&
            add_file(r, f[i].name + len, str_n((const char *)f[i].data, f[i].size), e) < 0)
            return -1;
    return 0;
}

static int read_file(struct runner *r, const char *folder, const char *name, struct str *out,
                     struct err *e)
{
    struct str path = arena_printf(r->a, "%s/%s", folder, name);
    FILE *f = path.data ? fopen(path.data, "rb") : NULL;
    struct buf b = {.limit = MIGRATION_MAX};
    char piece[8192];
    size_t n;
    if (!path.data)
        return err_memory(e);
    if (!f)
        return err_set(e, ERR_CONFIG, "%s: %s", path.data, strerror(errno));
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_add(&b, piece, n);
    int rc = ferror(f) ? err_set(e, ERR_CONFIG, "%s: cannot be read", path.data) : buf_check(&b, e);
    fclose(f);
    if (rc == 0) {
        *out = arena_str(r->a, buf_str(&b));
        rc = out->data ? 0 : err_memory(e);
    }
    buf_free(&b);
    return rc;
}

static int add_folder(struct runner *r, const char *folder, struct err *e)
{
    struct dirent **files = NULL;
    int n = scandir(folder, &files, NULL, alphasort), rc = 0;
    if (n < 0)
        return err_set(e, ERR_CONFIG, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        unsigned number;
        char name[128];
        bool up;
        struct str text;
        if (rc == 0 && take_name(files[i]->d_name, &number, name, &up)) {
            rc = read_file(r, folder, files[i]->d_name, &text, e);
            if (rc == 0)
                rc = add_file(r, files[i]->d_name, text, e);
        }
        free(files[i]);
    }
    free(files);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    const struct migration *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static const char note_table[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('ficus.migrate', 0));\n"
    "CREATE SCHEMA IF NOT EXISTS ficus_migrations;\n"
    "CREATE TABLE IF NOT EXISTS ficus_migrations.applied (\n"
    "    set_name   text NOT NULL,\n"
    "    number     integer NOT NULL,\n"
    "    name       text NOT NULL,\n"
    "    sha256     text NOT NULL,\n"
    "    applied_at timestamptz NOT NULL DEFAULT now(),\n"
    "    PRIMARY KEY (set_name, number)\n"
    ");\n";

// Marks what the store says is applied; refuses a history that the files do not tell.
static int add_history(struct runner *r, bool strict, struct err *e)
{
    struct rows rows;
    struct value p = value_set(str_of(r->set));
    if (pg_query(r->c,
                 STR("SELECT number, name, sha256, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS')"
                     " FROM ficus_migrations.applied WHERE set_name = $1 ORDER BY number"),
                 &p, 1, r->a, &rows, e) < 0)
        return -1;
    for (size_t i = 0; i < rows.nrows; i++) {
        long long number = 0;
        struct str name = value_str(*rows_at(&rows, i, 1));
        (void)str_to_int(value_str(*rows_at(&rows, i, 0)), 0, 9999, &number);
        struct migration *m = NULL;
        for (size_t k = 0; k < r->n; k++)
            if (r->list[k].number == (unsigned)number && r->list[k].up.data)
                m = &r->list[k];
        if (!m) {
            if (strict)
                return err_set(e, ERR_CONFIG,
                               "migration %04lld_%.*s of %s is applied, but its "
                               "file is missing; bring it back",
                               number, (int)name.len, name.data, r->set);
            char z[128];
            if (str_copy(z, sizeof(z), name) < 0 || !(m = at_number(r, (unsigned)number, z)))
                return err_memory(e);
        }
        m->applied = true;
        m->changed = !str_eqz(value_str(*rows_at(&rows, i, 2)), m->sum) || !str_eqz(name, m->name);
        if (m->changed && strict)
            return err_set(e, ERR_CONFIG,
                           "migration %04lld_%.*s of %s was changed after it was "
                           "applied; restore the file and add a new migration",
                           number, (int)name.len, name.data, r->set);
        snprintf(m->applied_at, sizeof(m->applied_at), "%.19s", rows_at(&rows, i, 3)->data);
    }
    return 0;
}

// Files and history. The store's own table is made first, in a transaction of its own.
static int runner_load(struct runner *r, struct pg_conn *c, const char *set, const char *folder,
                       struct arena *a, bool strict, struct err *e)
{
    *r = (struct runner){.c = c, .set = set, .a = a};
    if ((folder ? add_folder(r, folder, e) : add_embedded(r, e)) < 0)
        return -1;
    if (r->n == 0)
        return err_set(e, ERR_CONFIG, "no migrations of %s%s%s", set, folder ? " in " : "",
                       folder ? folder : "");
    for (size_t i = 0; i < r->n; i++)
        if (!r->list[i].up.data)
            return err_set(e, ERR_CONFIG, "migration %04u_%s of %s has no .up.sql",
                           r->list[i].number, r->list[i].name, set);
    if (pg_begin(c, e) < 0)
        return -1;
    if (pg_script(c, STR(note_table), e) < 0) {
        pg_rollback(c);
        return -1;
    }
    if (pg_commit(c, e) < 0 || add_history(r, strict, e) < 0)
        return -1;
    qsort(r->list, r->n, sizeof(*r->list), by_number);
    return 0;
}

// Lock, then whether the store's mind is still ours: another runner may have been first.
static int begin_one(struct runner *r, const struct migration *m, bool want_applied, bool *skip,
                     struct err *e)
{
    struct rows rows;
    char number[16];
    snprintf(number, sizeof(number), "%u", m->number);
    struct value p[2] = {value_set(str_of(r->set)), value_set(str_of(number))};
    if (pg_begin(r->c, e) < 0)
        return -1;
    if (pg_exec(r->c, STR("SELECT pg_advisory_xact_lock(hashtextextended('ficus.migrate', 0))"),
                NULL, 0, NULL, e) < 0 ||
        pg_query(r->c,
                 STR("SELECT 1 FROM ficus_migrations.applied WHERE set_name = $1"
                     " AND number = $2::integer"),
                 p, 2, r->a, &rows, e) < 0) {
        pg_rollback(r->c);
        return -1;
    }
    *skip = (rows.nrows > 0) != want_applied;
    return 0;
}

static int finish_one(struct runner *r, const struct migration *m, int rc, struct err *e)
{
    if (rc == 0 && pg_commit(r->c, e) == 0)
        return 0;
    pg_rollback(r->c);
    return err_prefix(e, "migration %04u_%s of %s", m->number, m->name, r->set);
}

static int apply_one(struct runner *r, const struct migration *m, unsigned *applied, struct err *e)
{
    char number[16];
    bool skip;
    snprintf(number, sizeof(number), "%u", m->number);
    const char *p[] = {r->set, number, m->name, m->sum};
    if (begin_one(r, m, false, &skip, e) < 0)
        return err_prefix(e, "migration %04u_%s of %s", m->number, m->name, r->set);
    int rc = skip ? 0 : pg_script(r->c, m->up, e);
    if (rc == 0 && !skip) {
        rc = pg_execz(r->c,
                      "INSERT INTO ficus_migrations.applied (set_name, number, name, sha256)"
                      " VALUES ($1, $2::integer, $3, $4)",
                      p, 4, NULL, e);
        *applied += 1;
    }
    return finish_one(r, m, rc, e);
}

int migrate_up(struct pg_conn *c, const char *set, const char *folder, unsigned *applied,
               struct err *e)
{
    struct arena *a = arena_create(MAP_MEMORY_MAX);
    struct runner r;
    unsigned newest = 0;
    *applied = 0;
    if (!a)
        return err_memory(e);
    int rc = runner_load(&r, c, set, folder, a, true, e);
    for (size_t i = 0; i < r.n && rc == 0; i++)
        if (r.list[i].applied)
            newest = r.list[i].number;
    for (size_t i = 0; i < r.n && rc == 0; i++) {
        const struct migration *m = &r.list[i];
        if (m->applied)
            continue;
        if (m->number < newest)
            rc = err_set(e, ERR_CONFIG,
                         "migration %04u_%s of %s is older than %04u, which is "
                         "applied; give it a newer number",
                         m->number, m->name, set, newest);
        else
            rc = apply_one(&r, m, applied, e);
    }
    arena_destroy(a);
    return rc;
}

static int revert_one(struct runner *r, const struct migration *m, unsigned *reverted,
                      struct err *e)
{
    char number[16];
    bool skip;
    snprintf(number, sizeof(number), "%u", m->number);
    const char *p[] = {r->set, number};
    if (!m->down.data)
        return err_set(e, ERR_UNSUPPORTED, "migration %04u_%s of %s has no way back (no .down.sql)",
                       m->number, m->name, r->set);
    if (begin_one(r, m, true, &skip, e) < 0)
        return err_prefix(e, "migration %04u_%s of %s", m->number, m->name, r->set);
    int rc = skip ? 0 : pg_script(r->c, m->down, e);
    if (rc == 0 && !skip) {
        rc = pg_execz(r->c,
                      "DELETE FROM ficus_migrations.applied WHERE set_name = $1"
                      " AND number = $2::integer",
                      p, 2, NULL, e);
        *reverted += 1;
    }
    return finish_one(r, m, rc, e);
}

int migrate_down(struct pg_conn *c, const char *set, const char *folder, unsigned *reverted,
                 struct err *e)
{
    struct arena *a = arena_create(MAP_MEMORY_MAX);
    struct runner r;
    const struct migration *newest = NULL;
    *reverted = 0;
    if (!a)
        return err_memory(e);
    int rc = runner_load(&r, c, set, folder, a, true, e);
    for (size_t i = 0; i < r.n && rc == 0; i++)
        if (r.list[i].applied)
            newest = &r.list[i];
    if (newest)
        rc = revert_one(&r, newest, reverted, e);
    arena_destroy(a);
    return rc;
}

int migrate_status(struct pg_conn *c, const char *set, const char *folder, struct arena *a,
                   struct migration_state **out, size_t *n, struct err *e)
{
    struct runner r;
    if (runner_load(&r, c, set, folder, a, false, e) < 0)
        return -1;
    *out = arena_array(a, r.n, sizeof(**out));
    if (!*out)
        return err_memory(e);
    for (size_t i = 0; i < r.n; i++) {
        struct migration_state *s = &(*out)[i];
        s->number = r.list[i].number;
        s->applied = r.list[i].applied;
        s->changed = r.list[i].changed;
        memcpy(s->name, r.list[i].name, sizeof(s->name));
        memcpy(s->applied_at, r.list[i].applied_at, sizeof(s->applied_at));
    }
    *n = r.n;
    return 0;
}
