// SPDX-License-Identifier: Apache-2.0
// What the loops of a facade share on the wire, made from the configuration: certificates both
// ways, trusted peers, connections by client. Certificates are loaded anew on SIGHUP and when
// their files change. Threads: the one that starts, reloads and watches; loops use what it made.
#include "facade/server/server_int.h"

#include "base/log.h"

static const struct log_ctx ctx = {"tls", NULL, NULL};

static bool is_word(const struct conf *conf, const char *option, const char *word)
{
    return strcmp(conf_str(conf, option), word) == 0;
}

const char *server_tls_listen(const struct server *s)
{
    return conf_str(s->o.conf, s->o.service ? "service.tls_listen" : "facade.tls_listen");
}

static int open_tls(struct server *s, struct err *e)
{
    const struct conf *conf = s->o.conf;
    const char *const *certificates, *const *keys;
    size_t n = conf_paths(conf, "tls.certificates", &certificates);
    struct tls_options o = {
        .server = true,
        .ca = conf_path(conf, "tls.clients_ca"),
        .clients = is_word(conf, "tls.clients", "required")   ? TLS_CLIENTS_REQUIRED
                   : is_word(conf, "tls.clients", "optional") ? TLS_CLIENTS_OPTIONAL
                                                              : TLS_CLIENTS_OFF,
        .only_13 = is_word(conf, "tls.min_version", "1.3")};

    if (conf_paths(conf, "tls.keys", &keys) != n || n == 0 || n > TLS_CERTIFICATES_MAX)
        return err_set(e, ERR_CONFIG,
                       "tls.certificates and tls.keys must name 1 to %d files each, in pairs",
                       TLS_CERTIFICATES_MAX);
    o.ncertificates = n;
    for (size_t i = 0; i < n; i++) {
        o.certificates[i] = certificates[i];
        o.keys[i] = keys[i];
    }
    s->wire.tls = tls_create(&o, e);
    return s->wire.tls ? 0 : err_prefix(e, "TLS for clients");
}

static int open_upstream(struct server *s, struct err *e)
{
    const struct conf *conf = s->o.conf;
    struct tls_options o = {.ca = *conf_str(conf, "upstream.ca") ? conf_path(conf, "upstream.ca")
                                                                 : "",
                            .certificates = {conf_path(conf, "upstream.certificate")},
                            .keys = {conf_path(conf, "upstream.key")},
                            .ncertificates = *conf_str(conf, "upstream.certificate") ? 1 : 0};

    s->wire.upstream = tls_create(&o, e);
    return s->wire.upstream ? 0 : err_prefix(e, "TLS for services");
}

int server_wire_open(struct server *s, struct err *e)
{
    const struct conf *conf = s->o.conf;
    unsigned most = (unsigned)conf_int(conf, "facade.address_connections_max");
    const char *const *networks;
    size_t n = conf_list(conf, "facade.trusted_peers", &networks);

    s->wire.trusted = peers_create(networks, n, e);
    if (!s->wire.trusted)
        return err_prefix(e, "facade.trusted_peers");
    if (most > 0 && !(s->wire.addresses = address_count_create(most, e)))
        return -1;
    if (*server_tls_listen(s) && open_tls(s, e))
        return -1;
    return open_upstream(s, e);
}

void server_wire_close(struct server *s)
{
    tls_destroy(s->wire.tls);
    tls_destroy(s->wire.upstream);
    peers_destroy(s->wire.trusted);
    address_count_destroy(s->wire.addresses);
}

int server_wire_reload(struct server *s, struct err *e)
{
    int result = 0;

    if (s->wire.tls && tls_reload(s->wire.tls, e))
        result = err_prefix(e, "TLS for clients");
    if (tls_reload(s->wire.upstream, e))
        result = err_prefix(e, "TLS for services");
    return result;
}

static void reload_changed(struct tls *t, const char *what)
{
    struct err e;

    if (!t || !tls_changed(t))
        return;
    if (tls_reload(t, &e))
        log_error(&ctx, "the changed files of TLS for %s are not used, the old ones stay: %s", what,
                  e.msg);
    else
        log_info(&ctx, "the changed files of TLS for %s are in use", what);
}

void server_watch(struct server *s)
{
    reload_changed(s->wire.tls, "clients");
    reload_changed(s->wire.upstream, "services");
}

void server_wire_options(const struct server *s, struct http_listener_options *o)
{
    const struct conf *conf = s->o.conf;

    o->trusted = s->wire.trusted;
    o->addresses = s->wire.addresses;
    o->proxy = is_word(conf, "facade.proxy_protocol", "on");
    o->forwarded = is_word(conf, "facade.forwarded", "x-forwarded") ? FORWARDED_X
                   : is_word(conf, "facade.forwarded", "forwarded") ? FORWARDED_RFC
                                                                    : FORWARDED_NONE;
    o->limits = (struct http_limits){
        .header_max = (size_t)conf_int(conf, "facade.header_max"),
        .body_max = (size_t)conf_int(conf, "facade.body_max"),
        .idle_ms = (unsigned)conf_int(conf, "facade.idle_ms"),
        .head_ms = (unsigned)conf_int(conf, "facade.head_ms"),
        .request_ms = (unsigned)conf_int(conf, "facade.request_ms"),
        .write_ms = (unsigned)conf_int(conf, "facade.write_ms"),
        .rate_min = (unsigned)conf_int(conf, "facade.rate_min"),
        .requests_max = (unsigned)conf_int(conf, "facade.requests_max"),
        .connections_max = (unsigned)conf_int(conf, "facade.connections_max"),
        .handshake_ms = (unsigned)conf_int(conf, "tls.handshake_ms"),
        .handshakes_max = (unsigned)conf_int(conf, "tls.handshakes_max")};
}
