#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the build and the tests need and do not find: Debian packages, the jars
# of one Kafka broker (build/kafka/jars), and two published CRM clients (build/venv,
# build/node). Says what it installs; a second run finds everything and does nothing.
# A database server's package leaves neither a running service nor a default cluster.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-/usr/bin/python3}
export DEBIAN_FRONTEND=noninteractive

PACKAGES="build-essential pkg-config libevent-dev libpq-dev unixodbc-dev unixodbc libsqliteodbc
odbc-mariadb odbc-postgresql libjansson-dev librdkafka-dev libssl-dev libcrypt-dev libexpat1-dev
uthash-dev libxxhash-dev libcmocka-dev clang clang-14 libclang-rt-14-dev clang-format
clang-tidy cppcheck mariadb-server postgresql-15 sqlite3 python3-pytest python3-venv
python3-requests python3-psycopg2 python3-pymysql python3-bcrypt python3-jsonschema
python3-confluent-kafka kcat libfaketime nginx-light chromium"
# `deps.sh bench` also installs the peers that are measured against, `deps.sh model` the checker.
if [ "${1:-}" = model ]; then PACKAGES="$PACKAGES spin"; fi
if [ "${1:-}" = bench ]; then PACKAGES="$PACKAGES pgloader haproxy"; fi
# command:package, for tools that people also install by other means
TOOLS="git:git java:default-jre-headless mvn:maven node:nodejs npm:npm"

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
    local p
    for p in $PACKAGES; do
        installed "$p" || printf '%s\n' "$p"
    done
    for p in $TOOLS; do
        command -v "${p%%:*}" >/dev/null || printf '%s\n' "${p##*:}"
    done
}

# ---- Debian packages. Everything that is changed for the time of the installation
# alone is put back by restore(), also when the installation fails.
UNDO=()
restore() {
    local i
    for ((i = ${#UNDO[@]} - 1; i >= 0; i--)); do eval "${UNDO[i]}"; done
    UNDO=()
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# No service may start while packages are configured. A policy that is there stays.
hold_services() {
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        UNDO+=("as_root rm -f /usr/sbin/policy-rc.d")
        as_root chmod 755 /usr/sbin/policy-rc.d
    fi
    if [ -d /run/systemd/system ] && ! installed mariadb-server &&
        [ ! -e /etc/systemd/system/mariadb.service ]; then
        UNDO+=("as_root rm -f /etc/systemd/system/mariadb.service; as_root systemctl daemon-reload")
        as_root ln -s /dev/null /etc/systemd/system/mariadb.service
        as_root systemctl daemon-reload
    fi
}

# postgresql-common comes first, so that its setting stands before the server's package
# would create a cluster.
hold_cluster() {
    local conf=/etc/postgresql-common/createcluster.conf
    installed postgresql-common || apt_install postgresql-common
    if [ -e "$conf" ]; then
        as_root cp -p "$conf" "$conf.before-ficus"
        UNDO+=("as_root mv -f $conf.before-ficus $conf")
    else
        UNDO+=("as_root rm -f $conf")
    fi
    { grep -v '^ *create_main_cluster' "$conf" 2>/dev/null || :; echo 'create_main_cluster = false'; } |
        as_root tee "$conf.new-ficus" >/dev/null
    as_root mv -f "$conf.new-ficus" "$conf"
}


# A MariaDB that we brought is not started at the next boot either.
quiet_mariadb() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet mariadb.service
    elif [ -x /etc/init.d/mariadb ]; then
        as_root update-rc.d mariadb disable
    fi
}

install_packages() {
    local want fresh_mariadb=0
    want=$(missing_packages | sort -u | tr '\n' ' ')
    if [ -z "${want// /}" ]; then
        say "Debian packages: all there"
        return
    fi
    command -v apt-get >/dev/null || die "no apt-get here; please install: $want"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "neither root nor sudo; please install: $want"
    say "installing Debian packages: $want"
    # shellcheck disable=SC2086
    apt-get install -s -qq --no-install-recommends $want >/dev/null 2>&1 || {
        say "apt-get update"
        as_root apt-get update -qq
    }
    trap restore EXIT
    case " $want " in *" mariadb-server "*) fresh_mariadb=1 ;; esac
    case " $want " in *" mariadb-server "* | *" postgresql-15 "*) hold_services ;; esac
    case " $want " in *" postgresql-15 "*) hold_cluster ;; esac
    # shellcheck disable=SC2086
    apt_install $want || {
        say "apt-get update, and once more"
        as_root apt-get update -qq
        apt_install $want
    }
    restore
    trap - EXIT
    if [ "$fresh_mariadb" = 1 ]; then
        quiet_mariadb
        say "mariadb-server: installed, not started, not enabled at boot"
    fi
}

# ---- downloads, each behind a stamp that holds the checksum of what asked for it
stamped() { # FOLDER INPUT...
    local dir=$1
    shift
    [ -f "$dir/.stamp" ] && [ "$(cat "$dir/.stamp")" = "$(cat "$@" | sha256sum)" ]
}

stamp() {
    local dir=$1
    shift
    cat "$@" | sha256sum >"$dir/.stamp"
}

kafka_jars() {
    local pom=tests/kafka/pom.xml dir=$PWD/build/kafka
    if stamped "$dir" "$pom"; then
        say "Kafka jars: all there"
        return
    fi
    say "resolving the jars of $pom by Maven into build/kafka/jars"
    rm -rf "$dir"
    mkdir -p "$dir"
    mvn -q -B -f "$pom" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DoutputDirectory="$dir/jars" -DincludeScope=runtime >"$dir/mvn.log" 2>&1 || {
        cat "$dir/mvn.log" >&2
        die "Maven could not resolve the jars of $pom"
    }
    ls "$dir"/jars/kafka_2.13-*.jar >/dev/null || die "Maven left no Kafka jar in build/kafka/jars"
    stamp "$dir" "$pom"
}

python_client() {
    local req=tests/clients/python/requirements.txt dir=build/venv
    if stamped "$dir" "$req"; then
        say "Python client: there"
        return
    fi
    say "installing $req into build/venv"
    rm -rf "$dir"
    "$PYTHON" -m venv --system-site-packages "$dir"
    "$dir/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
        --no-build-isolation --require-hashes -r "$req"
    "$dir/bin/python" -c 'import sugarcrm' || die "the Python client does not import"
    stamp "$dir" "$req"
}

node_client() {
    local src=tests/clients/node dir=build/node
    if stamped "$dir" $src/package.json $src/package-lock.json; then
        say "Node client: there"
        return
    fi
    say "installing $src/package.json into build/node"
    rm -rf "$dir"
    mkdir -p "$dir"
    cp $src/package.json $src/package-lock.json "$dir"
    (cd "$dir" && npm ci --silent --ignore-scripts --no-audit --no-fund)
    (cd "$dir" && node -e 'require("node-sugarcrm-client").login') || die "the Node client does not load"
    stamp "$dir" $src/package.json $src/package-lock.json
}

# What reconciliation is measured against.
bench_peers() {
    local req=tests/bench/requirements.txt dir=build/bench-venv
    stamped "$dir" "$req" && return
    say "installing $req into $dir"
    rm -rf "$dir"
    "$PYTHON" -m venv --system-site-packages "$dir"
    "$dir/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
        --require-hashes -r "$req"
    stamp "$dir" "$req"
}

install_packages
if [ "${1:-}" = bench ]; then bench_peers; fi
kafka_jars
python_client
node_client
