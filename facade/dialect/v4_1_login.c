// SPDX-License-Identifier: Apache-2.0
// login, logout and what a session says about itself, in the v4_1 dialect. Users are found by a
// canonical list; password hashes are computed in workers, never on the loop. Passwords and
// hashes are wiped after use and never logged.
// Thread: the loop of the mount; check_run: a worker.
//
//   login   user -> alike -> check -> reply
//
// A user's name matches as the legacy's collation does, also where the store that is asked
// compares accents: names that may be the one are read too, whether the first read found it or
// not, so that the time taken tells nobody which names there are.
#include "base/clock.h"
#include "base/fold.h"
#include "facade/dialect/v4_1_int.h"
#include "facade/session/login_guard.h"
#include "facade/session/sessions.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define PASSWORD_MAX 4096
#define MD5_HEX      32
#define USERS_MAX    5    // rows that match a name: one, but for dirty data
#define ALIKE_MAX    1000 // names that may be his but for accents

// Costs what a real check costs, for names that nobody has.
static const char nobodys_hash[] = "$2y$10$......................";

struct v4_1_login {
    const struct field *fields[9];
    size_t nfields;
    struct str name, password;
    bool plain;
    const struct record *user;   // whom the first read found
    bool alike;                  // the second is under way
    struct login_who who, found; // found: by the user's id, since several names are his
    struct principal principal;  // who it is if the password is right
    bool right, busy;
};

static size_t field_at(const struct v4_1_login *l, const struct field *f)
{
    size_t i = 0;

    while (l->fields[i] != f)
        i++;
    return i;
}

// ---- the check, in a worker

struct check {
    struct worker_job job;
    struct v4_1_call *call; // touched by the loop only
    bool plain, known, right;
    char hash[512];
    size_t len;
    char password[]; // as sent
};

static bool md5_hex(const char *data, size_t len, char out[MD5_HEX + 1])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_Digest(data, len, md, &n, EVP_md5(), NULL) != 1 || n * 2 != MD5_HEX)
        return false;
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = hex[md[i] >> 4];
        out[2 * i + 1] = hex[md[i] & 15];
    }
    out[MD5_HEX] = '\0';
    return true;
}

// bcrypt and its like over the lower-case md5 of the password, or that md5 itself.
static bool is_right(const char *md5, const char *hash, struct crypt_data *data)
{
    size_t len = strlen(hash);

    if (hash[0] != '$')
        return len == MD5_HEX && CRYPTO_memcmp(md5, hash, len) == 0;
    const char *made = crypt_r(md5, hash, data);
    return made && made[0] == '$' && strlen(made) == len && CRYPTO_memcmp(made, hash, len) == 0;
}

static void check_run(struct worker_job *job, unsigned slot, void *state)
{
    struct check *k = (struct check *)job;
    char md5[MD5_HEX + 1] = "";
    struct crypt_data *data = calloc(1, sizeof(*data));

    (void)slot;
    (void)state;
    if (k->plain) {
        if (!md5_hex(k->password, k->len, md5))
            md5[0] = '\0';
    } else if (k->len == MD5_HEX) {
        for (size_t i = 0; i < MD5_HEX; i++) {
            char c = k->password[i];
            md5[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
        }
    }
    if (data && md5[0])
        k->right = is_right(md5, k->hash, data) && k->known;
    if (data)
        OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    OPENSSL_cleanse(md5, sizeof(md5));
}

static void check_done(struct worker_job *job)
{
    struct check *k = (struct check *)job;
    struct v4_1_call *c = k->call;

    c->login->right = k->right;
    c->login->busy = job->cancelled;
    OPENSSL_cleanse(k->password, k->len);
    OPENSSL_cleanse(k->hash, sizeof(k->hash));
    free(k);
    v4_1_drive(c);
}

// ---- the reply

static void add_known(struct buf *out, const char *name, const char *json)
{
    buf_addc(out, ',');
    v4_1_add_pair(out, str_of(name));
    buf_addz(out, json);
    buf_addc(out, '}');
}

static void add_user(struct v4_1_call *c)
{
    const struct principal *p = &c->login->principal;
    struct buf *out = &c->body;

    v4_1_add_pair(out, STR("user_id"));
    buf_addjson_php(out, p->user_id);
    buf_addz(out, "},");
    v4_1_add_pair(out, STR("user_name"));
    buf_addjson_php(out, p->user_name);
    buf_addc(out, '}');
    add_known(out, "user_language", "\"en_us\"");
    add_known(out, "user_currency_id", "null");
    if (v4_1_has(c, V4_1_HAS_USER_FORMATS)) {
        add_known(out, "user_is_admin", p->is_admin ? "true" : "false");
        add_known(out, "user_default_team_id", "null");
        add_known(out, "user_default_dateformat", "\"m\\/d\\/Y\"");
        add_known(out, "user_default_timeformat", "\"H:i\"");
    }
    if (v4_1_has(c, V4_1_HAS_USER_NUMBERS)) {
        add_known(out, "user_number_separator", "\",\"");
        add_known(out, "user_decimal_separator", "\".\"");
        add_known(out, "mobile_max_list_entries", "null");
        add_known(out, "mobile_max_subpanel_entries", "null");
    }
    add_known(out, "user_currency_name", "\"US Dollar\"");
}

static int refuse(struct v4_1_call *c)
{
    if (c->mount->refused)
        metric_add(c->mount->refused, 1);
    if (c->mount->env.logins && c->login->who.name)
        login_guard_failed(c->mount->env.logins, c->login->who, clock_mono_ms());
    if (c->mount->env.logins && c->login->found.name)
        login_guard_failed(c->mount->env.logins, c->login->found, clock_mono_ms());
    return v4_1_reply_fault(c, V4_1_INVALID_LOGIN);
}

// Before any look at the password, and whether the name exists or not.
static enum login_answer guard(struct v4_1_call *c, struct login_who who)
{
    if (!c->mount->env.logins)
        return LOGIN_MAY_TRY;
    enum login_answer answer = login_guard_ask(c->mount->env.logins, who, clock_mono_ms());
    if (answer != LOGIN_MAY_TRY && c->mount->locked)
        metric_add(c->mount->locked, 1);
    return answer;
}

static int welcome(struct v4_1_call *c)
{
    if (c->mount->logins)
        metric_add(c->mount->logins, 1);
    v4_1_through_login(c, c->args[0]);
    buf_addz(&c->body, "{\"id\":");
    buf_addjson_php(&c->body, c->session);
    buf_addz(&c->body, ",\"module_name\":\"Users\",\"name_value_list\":{");
    add_user(c);
    buf_addz(&c->body, "}}");
    return v4_1_reply(c);
}

static void on_settled(void *ctx)
{
    v4_1_drive(ctx);
}

static int begin_session(struct v4_1_call *c)
{
    struct v4_1_login *l = c->login;
    char *id = arena_alloc(c->arena, 33);
    struct err e;

    if (!id)
        return v4_1_reply_memory(c);
    c->step = welcome;
    if (sessions_create(c->mount->env.sessions, &l->principal, id, on_settled, c, &e) < 0)
        return v4_1_reply_broken(c, 503, "");
    c->session = str_n(id, 32);
    return V4_1_WAIT;
}

static int no_levels(struct v4_1_call *c)
{
    return v4_1_reply_result(c, c->ask.trouble);
}

static void on_levels(struct rights_ask *q)
{
    struct v4_1_call *c = q->owner;

    c->login->principal.levels = q->levels;
    c->step = q->trouble ? no_levels : begin_session;
    v4_1_drive(c);
}

// A session keeps the levels of its beginning, an administrator's too: he may cease to be one.
static int checked(struct v4_1_call *c)
{
    struct v4_1_login *l = c->login;
    struct access *access = dispatcher_access(c->mount->env.dispatcher);

    if (l->busy)
        return v4_1_reply_broken(c, 503, "");
    if (!l->right)
        return refuse(c);
    if (c->mount->env.logins) {
        login_guard_passed(c->mount->env.logins, l->who);
        login_guard_passed(c->mount->env.logins, l->found);
    }
    if (!access)
        return begin_session(c);
    access_ask(access, l->principal.user_id, c->arena, clock_mono_ns() + 10000000000u, &c->ask);
    c->ask.owner = c;
    c->ask.done = on_levels;
    rights_levels(&c->ask);
    return V4_1_WAIT;
}

// ---- who it is

static bool is_on(const struct v4_1_login *l, const struct field *f, const struct record *r)
{
    if (!f)
        return false;
    struct value v = r->values[field_at(l, f)];
    // What is neither yes nor no keeps people out.
    return v.state == VALUE_FOREIGN || (v.state == VALUE_SET && !str_eqz(value_str(v), "false"));
}

static bool may_log_in(const struct v4_1_call *c, const struct record *r)
{
    const struct v4_1_users *u = &c->mount->users;
    const struct v4_1_login *l = c->login;

    if (u->status) {
        struct value v = r->values[field_at(l, u->status)];
        if (v.state != VALUE_SET || str_eq_nocase(value_str(v), STR("Inactive")))
            return false;
    }
    if (u->deleted && r->values[field_at(l, u->deleted)].state != VALUE_SET)
        return false;
    return !is_on(l, u->deleted, r) && !is_on(l, u->group, r) && !is_on(l, u->portal, r) &&
           !is_on(l, u->external, r);
}

static const struct record *find_user(const struct v4_1_call *c, const struct result *res)
{
    const struct v4_1_login *l = c->login;
    size_t name = field_at(l, c->mount->users.name);

    for (size_t i = 0; i < res->records.n; i++) {
        const struct record *r = &res->records.rows[i];
        if (may_log_in(c, r) && (!l->alike || fold_eq(value_str(r->values[name]), l->name)))
            return r;
    }
    return NULL;
}

static void take_user(struct v4_1_call *c, const struct record *r, struct check *k)
{
    struct v4_1_login *l = c->login;
    const struct v4_1_users *u = &c->mount->users;
    struct value hash = r->values[field_at(l, u->hash)];

    l->principal.user_id = value_str(r->values[0]);
    l->principal.user_name = value_str(r->values[field_at(l, u->name)]);
    l->principal.is_admin = u->admin && r->values[field_at(l, u->admin)].state == VALUE_SET &&
                            is_on(l, u->admin, r);
    if (hash.state == VALUE_SET && hash.len > 0 &&
        str_copy(k->hash, sizeof(k->hash), value_str(hash)) == 0)
        k->known = true;
}

static int check(struct v4_1_call *c, const struct record *user)
{
    struct v4_1_login *l = c->login;
    struct err e;

    struct check *k = calloc(1, sizeof(*k) + l->password.len + 1);
    if (!k)
        return v4_1_reply_memory(c);
    if (user)
        take_user(c, user, k);
    if (user) {
        l->found = login_who(arena_printf(c->arena, "id %.*s", (int)l->principal.user_id.len,
                                          l->principal.user_id.data),
                             NULL);
        if (guard(c, l->found) == LOGIN_LOCKED) {
            OPENSSL_cleanse(k->hash, sizeof(k->hash));
            free(k);
            return v4_1_reply_fault(c, V4_1_LOCKED_OUT);
        }
    }
    if (!k->known)
        memcpy(k->hash, nobodys_hash, sizeof(nobodys_hash));
    k->call = c;
    k->plain = l->plain;
    k->len = l->password.len;
    memcpy(k->password, l->password.data, k->len);
    k->job.run = check_run;
    k->job.done = check_done;
    k->job.reply_to = loop_mailbox(dispatcher_loop(c->mount->env.dispatcher));
    k->job.deadline_ns = clock_mono_ns() + 10000000000u;
    c->step = checked;
    if (worker_pool_submit(c->mount->env.workers, &k->job, &e) == 0)
        return V4_1_WAIT;
    OPENSSL_cleanse(k->password, k->len);
    OPENSSL_cleanse(k->hash, sizeof(k->hash));
    free(k);
    return v4_1_reply_broken(c, 503, "");
}

// The columns that decide about a login; the key comes first.
static void list_fields(struct v4_1_login *l, const struct v4_1_users *u)
{
    const struct field *all[] = {u->module->entity->keys[0],
                                 u->name,
                                 u->hash,
                                 u->admin,
                                 u->status,
                                 u->deleted,
                                 u->group,
                                 u->portal,
                                 u->external};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i])
            l->fields[l->nfields++] = all[i];
}

// A name that no user can have (invalid) is nobody's.
static bool is_answered(const struct result *res)
{
    return res->status == RESULT_OK || res->status == RESULT_NOT_FOUND ||
           res->status == RESULT_INVALID;
}

static int alike_read(struct v4_1_call *c)
{
    struct v4_1_login *l = c->login;
    const struct result *res = &c->dispatch->result;

    if (!is_answered(res))
        return v4_1_reply_result(c, res);
    if (!l->user && res->status == RESULT_OK)
        l->user = find_user(c, res);
    return check(c, l->user);
}

static int list_users(struct v4_1_call *c, enum text_match how, struct str what, unsigned limit,
                      v4_1_step_fn *next)
{
    const struct v4_1_users *u = &c->mount->users;
    struct operation *op = v4_1_operation(c, OPERATION_LIST, u->module->entity);
    struct filter *filter = arena_alloc(c->arena, sizeof(*filter));
    struct value *name = arena_alloc(c->arena, sizeof(*name));

    if (!op || !filter || !name || !what.data)
        return v4_1_reply_memory(c);
    *name = value_set(what);
    *filter = (struct filter){
        .kind = FILTER_COMPARE, .field = u->name, .op = how, .values = name, .nvalues = 1};
    op->query.fields = c->login->fields;
    op->query.nfields = c->login->nfields;
    op->query.filter = filter;
    op->query.limit = limit;
    op->access = ACCESS_FACADE;
    return v4_1_run(c, op, next);
}

static int user_read(struct v4_1_call *c)
{
    struct v4_1_login *l = c->login;
    const struct result *res = &c->dispatch->result;
    struct buf pattern = BUF_INIT;

    if (!is_answered(res))
        return v4_1_reply_result(c, res);
    if (res->status == RESULT_OK)
        l->user = find_user(c, res);
    l->alike = true;
    fold_pattern(&pattern, l->name);
    struct str like = pattern.failed ? str_n(NULL, 0) : arena_str(c->arena, buf_str(&pattern));
    buf_free(&pattern);
    return list_users(c, MATCH_LIKE, like, ALIKE_MAX, alike_read);
}

int v4_1_login(struct v4_1_call *c)
{
    const json_t *auth = c->args[0];
    const json_t *encryption = json_object_get(auth, "encryption");
    struct v4_1_login *l = c->login = arena_alloc(c->arena, sizeof(*l));

    if (!l)
        return v4_1_reply_memory(c);
    if (!c->mount->users.name ||
        !v4_1_text(json_object_get(auth, "user_name"), c->arena, &l->name) ||
        !v4_1_text(json_object_get(auth, "password"), c->arena, &l->password))
        return refuse(c);
    l->plain = json_is_string(encryption) && strcmp(json_string_value(encryption), "PLAIN") == 0;
    while (l->name.len > 0 && l->name.data[l->name.len - 1] == ' ')
        l->name.len--;
    if (l->name.len == 0 || memchr(l->name.data, 0, l->name.len) ||
        l->password.len > PASSWORD_MAX || (!l->plain && l->password.len != MD5_HEX))
        return refuse(c);
    unsigned max = c->mount->users.name->length;
    if (max > 0 && l->name.len > 4u * max)
        return refuse(c);
    l->who = login_who(l->name, &c->peer);
    switch (guard(c, l->who)) {
    case LOGIN_LOCKED: return v4_1_reply_fault(c, V4_1_LOCKED_OUT);
    case LOGIN_TOO_MANY: return v4_1_reply_broken(c, 429, "");
    case LOGIN_MAY_TRY: break;
    }
    list_fields(l, &c->mount->users);
    return list_users(c, MATCH_EQ, l->name, USERS_MAX, user_read);
}

// ---- sessions

static int logged_out(struct v4_1_call *c)
{
    return v4_1_reply_text(c, "null");
}

int v4_1_logout(struct v4_1_call *c)
{
    c->step = logged_out;
    sessions_end(c->mount->env.sessions, c->session, on_settled, c);
    return V4_1_WAIT;
}

int v4_1_get_user_id(struct v4_1_call *c)
{
    buf_addjson_php(&c->body, c->principal.user_id);
    return v4_1_reply(c);
}

int v4_1_seamless_login(struct v4_1_call *c)
{
    return v4_1_reply_text(c, "1");
}

int v4_1_get_server_info(struct v4_1_call *c)
{
    const struct dialect_mount *m = c->mount;
    char now[20];

    clock_utc_seconds(clock_wall_ms(), now);
    buf_addz(&c->body, "{\"flavor\":");
    buf_addjson_php(&c->body, str_of(m->flavor));
    buf_addz(&c->body, ",\"version\":");
    buf_addjson_php(&c->body, str_of(m->version));
    if (v4_1_has(c, V4_1_HAS_SUITE_VERSION)) {
        buf_addz(&c->body, ",\"suitecrm_version\":");
        buf_addjson_php(&c->body, str_of(m->suitecrm_version));
    }
    buf_printf(&c->body, ",\"gmt_time\":\"%s\"}", now);
    return v4_1_reply(c);
}
