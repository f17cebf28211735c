# SPDX-License-Identifier: Apache-2.0
"""One Apache Kafka node in KRaft mode, from the jars that `make deps` resolved."""
import base64
import glob
import os
import shutil
import socket
import struct
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

from .ports import free_port
from .process import run, tool, unprivileged
from .server import Server
from .wait import seconds, wait_for

JARS = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../build/kafka/jars"))
JVM = ["-Xms256m", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]

LOG4J = """<Configuration status="error"><Appenders><Console name="out" target="SYSTEM_OUT">
<PatternLayout pattern="%d{ISO8601} %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


def _others_can_read(path):
    """Whether the unprivileged user passes every folder on the way."""
    path = os.path.realpath(path)
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


class Kafka(Server):
    host = "127.0.0.1"

    def __init__(self, work, name="kafka", settings=None, format_args=()):
        super().__init__(work, name)
        self._format_args = list(format_args)
        self.port, self._controller = free_port(), free_port()
        self.bootstrap = f"{self.host}:{self.port}"
        self.settings = {
            "process.roles": "broker,controller", "node.id": 1,
            "controller.quorum.voters": f"1@{self.host}:{self._controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.host}:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.dir + "/data", "num.partitions": 1, "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4, "min.insync.replicas": 1,
            "group.initial.rebalance.delay.ms": 0, "log.cleaner.dedupe.buffer.size": 8388608,
            "broker.session.timeout.ms": 1500, "broker.heartbeat.interval.ms": 300,
        }
        self.settings.update(settings or {})

    def prepare(self):
        jars = JARS
        if not glob.glob(jars + "/kafka_2.13-*.jar"):
            raise FileNotFoundError("no Kafka jars in build/kafka/jars; `make deps` brings them")
        if unprivileged() and not _others_can_read(jars):
            jars = shutil.copytree(JARS, self.dir + "/jars")
        self._classpath = jars + "/*"
        for name, text in (("log4j2.xml", LOG4J), ("server.properties", self._properties())):
            with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
                f.write(text)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        while cluster.startswith("-"):
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        run(self._java() + ["kafka.tools.StorageTool", "format", "-t", cluster, "-c",
                            self.dir + "/server.properties"] + self._format_args, drop=True, env=self.environment(), cwd=self.dir)

    def listen(self, name, protocol):
        """One more listener, before the first start; its port. Its settings begin listener.name.<name>."""
        port = free_port()
        self.settings["listeners"] += f",{name}://{self.host}:{port}"
        self.settings["advertised.listeners"] += f",{name}://{self.host}:{port}"
        self.settings["listener.security.protocol.map"] += f",{name}:{protocol}"
        return port

    def _properties(self):
        return "".join(f"{k}={v}\n" for k, v in self.settings.items())

    def _java(self):
        return [tool("java"), *JVM, f"-Djava.io.tmpdir={self.dir}",
                f"-Dlog4j2.configurationFile={self.dir}/log4j2.xml", "-cp", self._classpath]

    def command(self):
        return self._java() + ["kafka.Kafka", self.dir + "/server.properties"]

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "logger": _silent})

    def ready(self):
        admin = self.admin()
        wait_for(lambda: admin.list_topics(timeout=1).brokers, "Kafka to answer", 60,
                 alive=self.process.must_live)

    def create_topic(self, name, partitions=1, config=None):
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        admin = self.admin()
        admin.create_topics([topic])[name].result(seconds(30))
        wait_for(lambda: name in admin.list_topics(timeout=5).topics, f"topic {name}")

    def delete_records(self, topic, before, partition=0):
        """What stands below the offset `before` is gone, as when its retention has passed."""
        name = topic.encode()
        body = struct.pack(f">ih{len(name)}siiqi", 1, len(name), name, 1, partition, before, 10000)
        head = struct.pack(">hhih", 21, 1, 1, -1)  # DeleteRecords, version 1, no client id
        with socket.create_connection((self.host, self.port), timeout=seconds(10)) as s:
            s.sendall(struct.pack(">i", len(head + body)) + head + body)
            size, = struct.unpack(">i", s.recv(4, socket.MSG_WAITALL))
            answer = s.recv(size, socket.MSG_WAITALL)
        error, = struct.unpack(">h", answer[-2:])
        if error:
            raise RuntimeError(f"DeleteRecords {topic}: error {error}")

    def topics(self):
        """Name -> number of partitions, without Kafka's own."""
        found = self.admin().list_topics(timeout=seconds(10)).topics
        return {name: len(t.partitions) for name, t in found.items() if not name.startswith("__")}


class _Silent:
    """A broker that is away is expected in tests; the client would print each attempt."""

    def log(self, *args, **kwargs):
        pass

    debug = info = warning = error = log


_silent = _Silent()
