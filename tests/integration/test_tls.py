# SPDX-License-Identifier: Apache-2.0
"""TLS both ways, by Python's ssl, curl and openssl s_client against the real binaries."""
import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest

from crm import Crm, TOKEN
from harness import Postgres, Sqlite, Workdir, free_port, wait_for
from harness.tls import Authority, install
from wire_probes import TAIL
from wire_run import WAIT, read_all, statuses

BIG = 3 << 20


class Site:
    """A facade with a TLS listener and the authority behind its certificates."""

    def __init__(self, work, crm, authority, settings):
        self.authority, self.crm, self.port = authority, crm, free_port()
        self.files = work.file("site.pem", ""), work.file("site.key", "")
        authority.sign("middle", ca=True)
        install(authority.sign("one", "one.test", "localhost", "127.0.0.1", signer="middle"), self.files)
        two = authority.sign("two", "two.test", "*.wild.test")
        crm.configure(facade={"tls_listen": f"127.0.0.1:{self.port}", "idle_ms": 20000},
                      tls={"certificates": [self.files[0], two[0]], "keys": [self.files[1], two[1]],
                           "handshake_ms": 1000, **settings})

    def context(self, certificate=None, **attributes):
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.set_alpn_protocols(["http/1.1"])
        if certificate:
            context.load_cert_chain(*certificate)
        for name, value in attributes.items():
            setattr(context, name, value)
        return context

    def connect(self, host="one.test", context=None, **more):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        try:
            return (context or self.context()).wrap_socket(raw, server_hostname=host, **more)
        except BaseException:
            raw.close()
            raise

    def ask(self, data=TAIL, **more):
        with self.connect(**more) as s:
            s.sendall(data)
            return statuses(read_all(s)[0])

    def serial(self):
        with self.connect() as s:
            return s.getpeercert()["serialNumber"]


def request(method, path, body=b"", close=False):
    head = (f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
    return (head + ("Connection: close\r\n\r\n" if close else "\r\n")).encode() + body


def receive(s):
    """One answer with a Content-Length."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        piece = s.recv(65536)
        assert piece
        body += piece
    return int(head[9:12]), body


@contextlib.contextmanager
def site(name, **settings):
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, name)
        authority = Authority(work, name)
        made = Site(work, crm, authority, {k: v(authority) if callable(v) else v for k, v in settings.items()})
        with crm.serve(allow=[r"changed files of TLS", r"reload refused"]) as daemon:
            made.daemon, made.work = daemon, work
            yield made


@pytest.fixture(scope="module")
def plain():
    with site("tls") as made:
        yield made


@pytest.fixture(scope="module")
def mutual():
    with site("mtls", clients="required", clients_ca=lambda a: a.ca) as made:
        yield made


def test_the_same_answers_as_without(plain):
    assert plain.ask() == [200]
    assert plain.ask(TAIL * 3) == [200, 200, 200]


def test_curl(plain):
    done = subprocess.run(["curl", "-sS", "--cacert", plain.authority.ca, "-o", "/dev/null", "-w", "%{http_code}",
                           "--resolve", f"one.test:{plain.port}:127.0.0.1", "-H", f"Authorization: Bearer {TOKEN}",
                           f"https://one.test:{plain.port}/api/accounts"],
                          check=False, capture_output=True, text=True)
    assert done.stdout == "200", done.stderr


@pytest.mark.parametrize("host,common_name", [("one.test", "one"), ("two.test", "two"), ("a.wild.test", "two"),
                                              ("other.test", "one"), (None, "one")])
def test_the_certificate_is_for_the_host_asked_for(plain, host, common_name):
    with plain.connect(host, plain.context(check_hostname=False)) as s:
        assert (("commonName", common_name),) in s.getpeercert()["subject"]


def test_the_chain_is_sent(plain):
    assert plain.context().cert_store_stats()["x509"] == 1  # the client knows the root only
    assert plain.ask(host="localhost") == [200]


@pytest.mark.parametrize("version,taken", [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                                           (ssl.TLSVersion.TLSv1_3, True)])
def test_versions(plain, version, taken):
    context = plain.context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if taken:
        assert plain.ask(context=context) == [200]
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            plain.connect(context=context)


def test_alpn(plain):
    with plain.connect() as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    context = plain.context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        plain.connect(context=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(plain, version):
    context = plain.context(maximum_version=version)
    with plain.connect(context=context) as s:
        s.sendall(TAIL)
        read_all(s)
        session = s.session
    with plain.connect(context=context, session=session) as s:
        assert s.session_reused
        s.sendall(TAIL)
        assert statuses(read_all(s)[0]) == [200]


def test_plain_http_is_told_so(plain):
    with socket.create_connection(("127.0.0.1", plain.port), timeout=WAIT) as s:
        s.sendall(TAIL)
        data, closed = read_all(s)
    assert statuses(data) == [400] and closed


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00\x01", b"\x16", b"", b"\x00" * 40, b"\xff" * 600])
def test_a_handshake_that_does_not_end_is_given_up(plain, start):
    with socket.create_connection(("127.0.0.1", plain.port), timeout=WAIT) as s:
        s.sendall(start)
        assert plain.ask() == [200]  # others go on
        data, closed = read_all(s)
    assert closed and b"HTTP" not in data


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00\x01", b""])
def test_a_client_that_leaves_in_the_handshake(plain, start):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", plain.port), timeout=WAIT) as s:
            s.sendall(start)
    assert plain.ask() == [200]


def test_renegotiation_is_refused(plain):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{plain.port}", "-tls1_2", "-CAfile",
                           plain.authority.ca], input="R\n", check=False, capture_output=True, text=True,
                          timeout=WAIT * 4)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stdout + done.stderr


def test_big_bodies_both_ways(plain):
    name = "x" * 40
    body = json.dumps({"name": name, "description": "d" * BIG}).encode()
    with plain.connect() as s:
        s.settimeout(30)
        s.sendall(request("POST", "/api/accounts", body))
        status, created = receive(s)
        assert status == 201, created[:300]
        key = json.loads(created)["id"]
        s.sendall(request("GET", f"/api/accounts/{key}") * 3)
        for _ in range(3):  # pipelined: the client reads late, so that writes are cut anywhere
            status, got = receive(s)
            assert status == 200 and json.loads(got)["description"] == "d" * BIG


def test_many_requests_in_one_record(plain):
    with plain.connect() as s:
        s.sendall(TAIL * 150)
        data, _ = read_all(s)
    assert statuses(data) == [200] * 150


class HalfClosed:
    """A client that says close_notify after its requests and goes on to read."""

    def __init__(self, context, address):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="one.test")
        self.socket = socket.create_connection(address, timeout=WAIT)
        self._until(self.tls.do_handshake)

    def _flush(self):
        self.socket.sendall(self.outgoing.read())

    def _until(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                piece = self.socket.recv(65536)
                if not piece:
                    self.incoming.write_eof()
                self.incoming.write(piece)
            finally:
                self._flush()

    def ask(self, data):
        self.tls.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()  # our close_notify
        self._flush()
        return self.socket.recv(65536)  # encrypted


def test_half_closed(plain):
    client = HalfClosed(plain.context(maximum_version=ssl.TLSVersion.TLSv1_2), ("127.0.0.1", plain.port))
    with client.socket:
        assert len(client.ask(TAIL)) > 100  # more than an alert: an answer
        client.socket.settimeout(WAIT)
        while client.socket.recv(65536):  # and then the end
            pass


def test_certificates_change_under_load(plain):
    """Connections that are open go on, new ones get the new certificate, none fails."""
    stop, failed, counts = threading.Event(), [], []

    def keep_asking(fresh):
        count = 0
        s = None if fresh else plain.connect()
        while not stop.is_set():
            try:
                one = plain.connect() if fresh else s
                one.sendall(TAIL)
                if receive(one)[0] != 200:
                    failed.append("status")
                if fresh:
                    one.close()
            except (OSError, AssertionError) as e:
                failed.append(repr(e))
                return
            count += 1
        if s:
            s.close()
        counts.append(count)

    threads = [threading.Thread(target=keep_asking, args=(fresh,)) for fresh in (False, False, True)]
    for t in threads:
        t.start()
    try:
        for i in range(3):
            before = plain.serial()
            install(plain.authority.sign(f"next{i}", "one.test", "localhost", signer="middle"), plain.files)
            if i == 1:
                plain.daemon.reload()
            wait_for(lambda b=before: plain.serial() != b, "the new certificate")
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failed, failed[:3]
    assert len(counts) == 3 and min(counts) > 0


@pytest.mark.parametrize("content", ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n", None])
def test_a_broken_file_changes_nothing(plain, content):
    before, good = plain.serial(), open(plain.files[0], encoding="utf-8").read()
    seen = plain.daemon.text().count("are not used, the old ones stay")
    if content is None:
        os.unlink(plain.files[0])
    else:
        with open(plain.files[0], "w", encoding="utf-8") as f:
            f.write(content)
    wait_for(lambda: plain.daemon.text().count("are not used, the old ones stay") > seen, "the refusal")
    assert plain.serial() == before
    plain.daemon.reload()
    plain.daemon.wait_log("reload refused")
    assert plain.ask() == [200]
    used = plain.daemon.text().count("are in use")
    with open(plain.files[0], "w", encoding="utf-8") as f:
        f.write(good)
    wait_for(lambda: plain.daemon.text().count("are in use") > used, "the good file")
    assert plain.serial() == before


def test_a_key_of_another_certificate_changes_nothing(plain):
    before = plain.serial()
    key = open(plain.files[1], encoding="utf-8").read()
    seen = plain.daemon.text().count("are not used, the old ones stay")
    install(plain.authority.sign("stranger", "one.test")[1:], plain.files[1:])
    wait_for(lambda: plain.daemon.text().count("are not used, the old ones stay") > seen, "the refusal")
    assert plain.serial() == before
    with open(plain.files[1], "w", encoding="utf-8") as f:
        f.write(key)


def test_clients_must_show_a_good_certificate(mutual):
    good = mutual.authority.sign("client")
    assert mutual.ask(context=mutual.context(good)) == [200]
    stranger = Authority(mutual.work, "strangers")
    for context in (mutual.context(), mutual.context(stranger.sign("client"))):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = version
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with mutual.connect(context=context) as s:  # by 1.3 the refusal comes with the first read
                    s.sendall(TAIL)
                    assert s.recv(1) != b"", "refused"
                    pytest.fail("was let in")


def test_a_resumed_session_stays_the_clients(mutual):
    context = mutual.context(mutual.authority.sign("client2"))
    with mutual.connect(context=context) as s:
        s.sendall(TAIL)
        read_all(s)
        session = s.session
    with mutual.connect(context=context, session=session) as s:
        s.sendall(TAIL)
        assert statuses(read_all(s)[0]) == [200]


def test_a_drain_ends_tls_connections(plain):
    """Last in this module: the facade of `plain` is stopped with idle and half-made connections."""
    with plain.connect() as idle, socket.create_connection(("127.0.0.1", plain.port)) as half:
        idle.sendall(TAIL)
        receive(idle)
        half.sendall(b"\x16\x03")
        plain.daemon.stop()
        assert idle.recv(1) == b""
    plain.daemon.start()


# ---- https services

@pytest.fixture(scope="module")
def upstream():
    with Workdir() as work, Postgres(work) as postgres, Sqlite(work) as legacy:
        crm = Crm(work, "sqlite", legacy, postgres, "up")
        authority = Authority(work, "services")
        port = free_port()
        certificate, key = authority.sign("service", "localhost")
        crm.configure(service={"tls_listen": f"127.0.0.1:{port}"},
                      tls={"certificates": [certificate], "keys": [key], "clients": "required",
                           "clients_ca": authority.ca})
        with crm.service():
            yield crm, authority, port


def read_by_service(crm, authority, url, ca, client=True):
    """Status of a read that the service must answer."""
    certificate, key = authority.sign("facade") if client else ("", "")
    crm.configure(upstream={"ca": ca, "certificate": certificate, "key": key})
    crm.env["FICUS_SERVICE_URL"] = url
    with crm.serve(allow=[".*"]):
        crm.stage("account", "new")
        return crm.api("GET", "/accounts").status


def test_a_service_by_https(upstream):
    crm, authority, port = upstream
    assert read_by_service(crm, authority, f"https://localhost:{port}", authority.ca) == 200


@pytest.mark.parametrize("case", ["another authority", "another host", "no client certificate", "plain service"])
def test_a_service_that_cannot_be_trusted_is_not_asked(upstream, case):
    crm, authority, port = upstream
    host = "127.0.0.1" if case == "another host" else "localhost"
    ca = Authority(crm.work, "others").ca if case == "another authority" else authority.ca
    port = crm.ports["service"] if case == "plain service" else port
    status = read_by_service(crm, authority, f"https://{host}:{port}", ca, case != "no client certificate")
    assert status in (502, 503)
