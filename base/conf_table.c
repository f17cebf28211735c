// SPDX-License-Identifier: Apache-2.0
// Every option of ficus.json, one row each. docs/configuration.md is written from here.
#include "base/conf.h"

static const char *const dbms_words[] = {"sqlite",    "mariadb", "postgres",
                                         "sqlserver", "oracle",  NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_words[] = {"text", "json", NULL};
static const char *const security_words[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl",
                                             NULL};

static const char *const off_on_words[] = {"off", "on", NULL};
static const char *const forwarded_words[] = {"off", "x-forwarded", "forwarded", NULL};
static const char *const clients_words[] = {"off", "optional", "required", NULL};
static const char *const tls_words[] = {"1.2", "1.3", NULL};
static const char *const snapshot_words[] = {"auto", "off", NULL};
static const char *const principal_words[] = {"hash", "id", "none", NULL};
static const char *const explain_words[] = {"off", "token", "always", NULL};
static const char *const rollback_words[] = {"auto", "off", NULL};

#define MIB (1024LL * 1024)

#define STRING(name, fallback, doc)                      \
    {                                                    \
        name, CONF_STRING, fallback, 0, 0, NULL, "", doc \
    }
#define SECRET(name, fallback, doc)                      \
    {                                                    \
        name, CONF_SECRET, fallback, 0, 0, NULL, "", doc \
    }
#define LIST(name, fallback, doc)                      \
    {                                                  \
        name, CONF_LIST, fallback, 0, 0, NULL, "", doc \
    }
#define ENUM(name, fallback, words, doc)                \
    {                                                   \
        name, CONF_ENUM, fallback, 0, 0, words, "", doc \
    }
#define INT(name, fallback, min, max, unit, doc)            \
    {                                                       \
        name, CONF_INT, fallback, min, max, NULL, unit, doc \
    }

const struct conf_option conf_options[] = {
    SECRET("control.conninfo", NULL,
           "PostgreSQL connection string of the control store and the new store."),

    SECRET("legacy.odbc", NULL, "ODBC connection string of the legacy database."),
    ENUM("legacy.dbms", NULL, dbms_words,
         "What the legacy database is; the last two are untested (docs/compatibility.md)."),
    INT("legacy.workers", "4", 1, 64, "threads",
        "Worker threads for ODBC calls, one connection each."),
    INT("legacy.queue_max", "256", 1, 100000, "jobs",
        "Calls that may wait for a worker; beyond that a request is answered as busy."),
    INT("legacy.spare_workers", "4", 0, 64, "threads",
        "Workers that may be started in place of ones that hang in the driver."),
    INT("legacy.deadline_ms", "5000", 10, 600000, "ms",
        "Longest that a legacy call may take, waiting included."),

    STRING("maps.path", "migrations/maps",
           "Folder of the entity maps; empty: none, everything passes through."),
    STRING("routes.path", "routes/table.json", "The route table's file."),
    STRING("policy.path", "",
           "The file of access control; empty: access/policy.json in the folder of the maps, if it"
           " is there; none: no access control."),
    STRING("migrations.path", "migrations/sql/store", "Folder of the new store's numbered SQL."),

    STRING("facade.listen", "127.0.0.1:8080", "Numeric address and port for clients."),
    INT("facade.loops", "0", 0, 256, "threads", "Event loops; 0 means one a core."),
    STRING("facade.admin_listen", "127.0.0.1:8081",
           "Numeric address and port for /admin, /healthz, /readyz and /metrics, never public; or"
           " a socket: unix:/run/ficus/admin.sock."),
    STRING("facade.admin_mode", "0600", "Mode of that socket's file."),
    ENUM("facade.explain", "token", explain_words,
         "When replies carry the field Ficus-Route: never, for requests whose field Ficus-Explain"
         " has a token of admin.tokens, or always."),
    INT("facade.hold_max", "1000", 0, 1000000, "requests",
        "Requests that one facade holds while a group changes owner; reads take at most half."),
    INT("facade.hold_bytes", "67108864", 0, 1024LL * MIB, "bytes",
        "Memory of all requests that one facade holds; reads take at most half."),
    INT("facade.hold_ms", "5000", 0, 600000, "ms",
        "Longest that a write is held (a read at most a second)."),
    INT("facade.body_max", "8388608", 1024, 1024 * MIB, "bytes", "Largest request body."),
    INT("facade.header_max", "16384", 1024, MIB, "bytes",
        "Largest request line and header fields together."),
    INT("facade.idle_ms", "60000", 100, 3600000, "ms",
        "How long a kept-alive connection may be silent."),
    INT("facade.head_ms", "10000", 100, 3600000, "ms",
        "Longest from a request's first byte to the end of its header fields."),
    INT("facade.request_ms", "30000", 100, 3600000, "ms",
        "Longest from the end of a request's header fields to its last byte."),
    INT("facade.write_ms", "30000", 100, 3600000, "ms",
        "Longest that a client may take nothing of a reply."),
    INT("facade.rate_min", "100", 0, 1000000000, "bytes/s",
        "Slowest that a body may come and a reply be taken, after 2 s; 0 allows anything."),
    INT("facade.requests_max", "0", 0, 1000000000, "requests",
        "Requests on one connection, which is closed after the last; 0 sets no limit."),
    INT("facade.connections_max", "10000", 1, 1000000, "connections",
        "Open client connections on one loop; more are closed at once."),
    INT("facade.address_connections_max", "0", 0, 1000000, "connections",
        "Open connections of one client address (IPv6: of one /64) over all loops; more are "
        "closed at once; 0 sets no limit."),
    LIST("facade.trusted_peers", "",
         "Networks (10.0.0.0/8, fd00::/8, 192.0.2.1) whose connections may speak for others, by "
         "PROXY header or forwarded fields. Nobody else is believed."),
    ENUM("facade.proxy_protocol", "off", off_on_words,
         "on: connections of trusted peers begin with a PROXY header, version 1 or 2."),
    ENUM("facade.forwarded", "off", forwarded_words,
         "The field in which trusted peers name their client; the only one that is believed: "
         "x-forwarded (X-Forwarded-For and -Proto) or forwarded (RFC 7239)."),
    STRING("facade.tls_listen", "",
           "Numeric address and port for clients that speak TLS; empty: none."),
    STRING("facade.state_path", "ficus-state.json",
           "Where the last good route table is kept for a start without control store."),
    INT("facade.pool_size", "8", 1, 256, "connections",
        "PostgreSQL connections of one event loop."),
    INT("facade.session_ms", "86400000", 1000, 31536000000, "ms",
        "How long a session lives after its login, on every instance."),
    INT("facade.login_failures", "20", 0, 1000000, "failures",
        "Failed logins of one user name within the window; then it is locked out until the window"
        " ends. 0: no bound."),
    INT("facade.login_failures_address", "200", 0, 1000000, "failures",
        "The same of one client address, whatever the names."),
    INT("facade.login_window_ms", "60000", 100, 86400000, "ms",
        "From the first failed login on; see above. Each process counts for itself."),
    INT("facade.access_fresh_ms", "500", 0, 60000, "ms",
        "How long a user's standing (disabled, administrator) may be remembered before it is read"
        " again."),
    INT("facade.breaker_percent", "50", 0, 100, "%",
        "So many failures (no answer, or none in time) of all calls to a backend within 5 to 10 s "
        "open its circuit breaker: it is left alone, its requests are refused at once; 0: never."),
    INT("facade.breaker_calls", "20", 1, 1000000, "calls",
        "Fewer calls within that time open nothing."),
    INT("facade.breaker_open_ms", "1000", 10, 600000, "ms",
        "How long a backend is left alone before 3 calls try it; all must succeed."),
    INT("facade.drain_ms", "10000", 0, 600000, "ms", "How long requests may finish after SIGTERM."),

    INT("ladder.match_bp", "9900", 0, 10000, "1/100 %",
        "A promotion needs the lower end of the 95 % interval of the match rate to reach this."),
    INT("ladder.evidence_min", "200", 0, 1000000000, "comparisons",
        "A promotion needs so many comparisons; 0 asks for no evidence at all."),
    INT("ladder.each_min", "5", 0, 1000000000, "comparisons",
        "And so many of each kind of read and answer that clients used."),
    ENUM("ladder.rollback", "auto", rollback_words,
         "auto: a facade takes a route one rung back when its new arm is worse than the limits."),
    INT("ladder.rollback_min", "100", 1, 1000000000, "answers",
        "Answers of an arm, or comparisons, before it is judged."),
    INT("ladder.window_s", "60", 10, 3000, "s", "Over which time arms are judged."),
    INT("ladder.hold_s", "5", 0, 3000, "s", "How long an arm must be worse before a rollback."),
    INT("ladder.error_bp", "100", 0, 10000, "1/100 %",
        "A rollback when the new arm's errors are surely more than this, and than the baseline's."),
    INT("ladder.mismatch_bp", "100", 0, 10000, "1/100 %",
        "A rollback when surely more than this of the comparisons at the stage differ."),
    INT("ladder.latency_percent", "400", 0, 100000, "%",
        "A rollback when the new arm's 95th percentile is beyond this share of the baseline's"
        " (counted in powers of two); 0 never."),
    INT("ladder.samples_max", "10000", 100, 10000000, "rows",
        "Mismatches kept in the control store, and for at most ladder.samples_days."),
    INT("ladder.samples_days", "30", 1, 3650, "days",
        "How long mismatches, noise, and the counts of stages long past are kept."),
    INT("ladder.noise_every", "64", 0, 1000000, "comparisons",
        "Each so many comparisons the legacy is read twice to find fields that differ by"
        " themselves; 0 never."),

    SECRET("admin.tokens", "",
           "Who may change what: NAME:ROLE:TOKEN or NAME:ROLE:sha256:HEX, separated by commas;"
           " roles are viewer, operator, approver. Commands take the token from FICUS_TOKEN."),

    STRING("service.listen", "127.0.0.1:8090", "Numeric address and port of ficus service."),
    LIST("service.entities", "", "Entities that this service owns; empty means all."),

    STRING("service.tls_listen", "", "The same for clients that speak TLS; empty: none."),

    LIST("tls.certificates", "",
         "PEM files, each a certificate with its chain. A client gets the first that is for the "
         "host it names, else the first of all. Files that change are loaded within a second, "
         "or on SIGHUP; a mistake in one leaves the old ones in force."),
    LIST("tls.keys", "", "PEM files of their keys, in the same order."),
    ENUM("tls.clients", "off", clients_words,
         "Whether clients show a certificate: off, optional (one that is shown must be good) or "
         "required."),
    STRING("tls.clients_ca", "", "PEM file of those who sign the clients' certificates."),
    ENUM("tls.min_version", "1.2", tls_words, "Oldest TLS version that clients may speak."),
    INT("tls.handshake_ms", "5000", 50, 600000, "ms",
        "Longest from the accept to the end of PROXY header and handshake."),
    INT("tls.handshakes_max", "256", 1, 100000, "handshakes",
        "Handshakes under way on one loop; more connections are closed at once."),
    STRING("upstream.ca", "",
           "PEM file of those who sign the certificates of https services; empty: the system's."),
    STRING("upstream.certificate", "",
           "PEM file of the certificate that https services are shown if they ask."),
    STRING("upstream.key", "", "PEM file of its key."),

    STRING("kafka.brokers", NULL, "Bootstrap servers, host:port,host:port."),
    STRING("kafka.prefix", "ficus", "First part of every topic's name."),
    INT("kafka.partitions", "1", 1, 1000, "partitions", "Partitions of a new topic."),
    INT("kafka.replication", "1", 1, 10, "replicas", "Replication factor of a new topic."),
    ENUM("kafka.security_protocol", "plaintext", security_words, "How brokers are spoken to."),
    ENUM("kafka.schema", "off", off_on_words,
         "on: keys and values of our events carry their schema, as Kafka Connect's JsonConverter"
         " wants it; partitions stay as they are."),
    ENUM("kafka.cloudevents", "off", off_on_words,
         "on: our events carry the headers of CloudEvents 1.0 in binary content mode."),
    STRING("kafka.sasl_mechanism", "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."),
    STRING("kafka.sasl_username", "", "User name for SASL."),
    SECRET("kafka.sasl_password", "", "Password for SASL."),
    STRING("kafka.ssl_ca", "", "File with the certificates that brokers are checked against."),
    STRING("kafka.ssl_certificate", "", "PEM file of the certificate that brokers are shown."),
    STRING("kafka.ssl_key", "", "PEM file of its key."),
    SECRET("kafka.ssl_key_password", "", "Password of that key."),

    STRING("sync.listen", "127.0.0.1:8082", "Numeric address and port for health and metrics."),
    INT("sync.poll_ms", "0", 0, 60000, "ms", "Changelog poll; 0 adapts between 1 and 50 ms."),
    INT("sync.batch_max", "1000", 1, 100000, "rows", "Rows of one capture or apply batch."),
    INT("sync.lag_max", "1000", 0, 1000000000, "events",
        "A cutover is refused while more than this many events are in flight."),
    ENUM(
        "sync.snapshot", "auto", snapshot_words,
        "auto: copy all existing rows of the legacy at the very first start; off: only when asked."),
    INT("sync.snapshot_rows", "0", 0, 100000000, "rows/s",
        "Rows a second that a snapshot reads, on all connections of a direct copy; 0: no bound."),
    INT("sync.snapshot_share", "100", 1, 100, "%",
        "Share of the time that the source may be busy for a snapshot; below 100 a source that"
        " answers slower than it did is left alone for longer."),
    INT("sync.snapshot_lag", "200000", 0, 1000000000, "events",
        "A snapshot waits while more events of its stream are not applied; 0: never."),
    INT("sync.column_poll_ms", "1000", 10, 3600000, "ms",
        "How often the column of an entity that is captured by column is read."),
    INT("sync.sweep_rows", "500", 0, 1000000, "rows/s",
        "Rows a second that the sweep compares, of all entities and both stores; 0: no sweep."),
    INT("sync.sweep_share", "10", 1, 100, "%", "Share of the time that a store is busy for it."),
    INT("sync.copy_connections", "2", 1, 16, "connections",
        "Ranges of keys that ficus sync snapshot --direct copies at once."),
    INT("sync.parked_max", "10000", 1, 10000000, "events",
        "Parked events of one direction; beyond that apply pauses instead of parking more."),
    STRING("sync.instance", "", "Name of this process; empty means host and process id."),

    SECRET("reconcile.receipt_key", "",
           "Key of the receipts' signatures (HMAC-SHA256); with one, a cutover takes no proof that"
           " is not signed under it."),
    LIST("reconcile.reveal", "",
         "Users (as $FICUS_USER or the login name) who may see personal values with --reveal."),

    INT("cutover.hold_ms", "5000", 100, 600000, "ms",
        "Longest that a transfer may keep writes waiting before it gives up."),
    INT("cutover.drain_ms", "4000", 100, 600000, "ms",
        "Longest wait for the marker to be committed on the other side."),
    INT("cutover.reconcile_max_age_s", "3600", 1, 31536000, "s",
        "A cutover needs a reconciliation without drift that is no older."),
    INT("cutover.disk_min_mib", "512", 0, 1073741824, "MiB",
        "A cutover needs so much free disk under each store whose files are on this machine."),
    INT("cutover.evidence_min", "0", 0, 1000000000, "answers",
        "A cutover needs so many answers of each reading route that matched in shadow."),

    INT("dual.wait_ms", "100", 1, 60000, "ms",
        "Longest that a write of a dual group waits for the other side; then the owner's answer goes"
        " out."),

    STRING("trace.endpoint", "",
           "OTLP/HTTP collector for traces, http://host:port/v1/traces; empty: none."),
    INT("trace.sample", "0", 0, 1000, "per mille",
        "Of requests whose trace is not sampled already, how many are exported."),

    ENUM("log.level", "info", level_words, "Least severe level that is written."),
    ENUM("log.principal", "hash", principal_words,
         "How the access log names who asked: first 16 hex digits of SHA-256, the id, or not."),
    ENUM("log.format", "text", format_words, "Form of the lines on stderr."),
    {0},
};
