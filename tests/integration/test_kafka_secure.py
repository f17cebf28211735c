# SPDX-License-Identifier: Apache-2.0
"""Kafka by TLS, with SASL or a client's certificate; what is wrong is said, secrets never are."""
import os

import pytest

from harness import Kafka, wait_for
from harness.tls import Authority
from loop import LEGACY, Loop
from test_sync import copied, parked

SECRET = "pass,word with 'quotes' and \\ slash"
JAAS = "org.apache.kafka.common.security"


def keystore(work, authority, name):
    """One PEM file with key and certificate, as a broker reads it."""
    certificate, key = authority.sign(name, "127.0.0.1", "localhost")
    text = "".join(open(path, encoding="utf-8").read() for path in (key, certificate))
    path = work.file(name + ".keystore.pem", text)
    for p in (path, authority.ca):
        os.chmod(p, 0o644)
    os.chmod(authority.dir, 0o755)
    return path


@pytest.fixture(scope="module")
def secure(session_work):
    authority = Authority(session_work, "kafka")
    broker = Kafka(session_work, "securekafka")
    broker.ports = {"sasl": broker.listen("SASL", "SASL_SSL"), "mutual": broker.listen("MUTUAL", "SSL")}
    broker.authority = authority
    for name in ("sasl", "mutual"):
        at = f"listener.name.{name}."
        broker.settings.update({at + "ssl.keystore.type": "PEM", at + "ssl.truststore.type": "PEM",
                                at + "ssl.keystore.location": keystore(session_work, authority, name),
                                at + "ssl.truststore.location": authority.ca})
    quoted = SECRET.replace("\\", "\\\\\\\\")  # JAAS and the properties file both take one
    broker.settings.update({
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required'
                                                     f' user_ficus="{quoted}";'})
    with broker:
        yield broker


WAYS = {
    "plain": ("sasl", {"security_protocol": "sasl_ssl", "sasl_mechanism": "PLAIN"}, SECRET),
    "certificate": ("mutual", {"security_protocol": "ssl"}, ""),
}


def world(work, sqlite, postgres, secure, unique, way, **more):
    """A loop by this way, and the environment that its commands need."""
    sqlite.script(LEGACY)
    port, settings, secret = WAYS[way]
    settings = {**settings, "ssl_ca": secure.authority.ca}
    if secret:
        settings.update({"sasl_username": "ficus", "sasl_password": "${env:KAFKA_SECRET}"})
    else:
        certificate, key = secure.authority.sign(f"client-{unique}")
        settings.update({"ssl_certificate": certificate, "ssl_key": key})
    settings.update(more)
    loop = Loop(work, "sqlite", sqlite, postgres, secure, unique, topics=settings,
                brokers=f"127.0.0.1:{secure.ports[port]}")
    env = {"KAFKA_SECRET": secret or "unused"}
    done = loop.ficus("migrate", "up", env=env)
    assert done.returncode == 0, done.stderr
    return loop, env


@pytest.mark.parametrize("way", list(WAYS))
def test_both_directions_by_a_secure_broker(work, sqlite, postgres, secure, unique, way):
    loop, env = world(work, sqlite, postgres, secure, unique, way)
    with loop.sync(env=env) as daemon:
        copied(loop)
        sqlite.execute("INSERT INTO things (id, name) VALUES ('o', 'old')")
        loop.write_new("INSERT INTO crm.thing (id, name) VALUES ('n', 'new')")
        loop.wait_equal()
        assert parked(with_env(loop, env)) == []
        said = daemon.text() + "".join(
            done.stdout + done.stderr for done in (loop.ficus(*words, env=env) for words in (
                ("status",), ("status", "--json"), ("check",), ("check", "--print", "config"))))
    assert SECRET not in said
    assert "PRIVATE KEY" not in said


def with_env(loop, env):
    class Commands:
        @staticmethod
        def ficus(*words):
            return loop.ficus(*words, env=env)
    return Commands


@pytest.mark.parametrize("way, more, secret, words", [
    ("plain", {}, "wrong one", "uthentication"),
    ("plain", {"ssl_ca": "own"}, SECRET, "certificate"),
])
def test_what_is_wrong_is_said(work, sqlite, postgres, secure, unique, way, more, secret, words):
    more = {"ssl_ca": Authority(work, "another").ca} if more else {}
    loop, env = world(work, sqlite, postgres, secure, unique, way, **more)
    with loop.sync(env={"KAFKA_SECRET": secret}, allow=["trying again"]) as daemon:
        wait_for(lambda: [line for line in daemon.text().splitlines() if " warn " in line and words in line],
                 "the reason", 60)
        assert secret not in daemon.text()
