# SPDX-License-Identifier: Apache-2.0
"""A legacy whose log Debezium reads: its topics are applied as they are, without triggers."""
import json

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import wait_for
from loop import BOX, LEGACY, Loop

TOPIC_PARTITIONS = 3  # the connector's choice, not that of kafka.partitions


@pytest.fixture
def loop(work, postgres, kafka, sqlite, unique):
    sqlite.script(LEGACY)
    made = Loop(work, "sqlite", sqlite, postgres, kafka, unique)
    made.topic = f"{unique}.src.boxes"
    box = dict(BOX, legacy={"root": "boxes", "capture": {"by": "debezium", "topic": made.topic}},
               fields=dict(BOX["fields"], label={"type": "text", "length": 12}))
    work.file("maps/box.json", json.dumps(box))
    work.file("routes.json", json.dumps({"groups": {"g": {"entities": ["box", "thing"]}}, "routes": {}, "mounts": []}))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for done in admin.create_topics([NewTopic(made.topic, TOPIC_PARTITIONS, 1)]).values():
        done.result(10)
    made.migrate()
    made.producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    yield made


def row(key, label):
    return {"id": key, "label": label, "unmapped": 1}


def send(loop, key, op, after=None, before=None, schema=False):
    """One event as the connector writes it; a tombstone behind a delete."""
    value = {"before": before, "after": after, "op": op, "ts_ms": 1795426481147,
             "source": {"connector": "postgresql", "version": "3.5.0.Final", "name": "smp", "snapshot": "false",
                        "ts_ms": 1795426481000, "ts_us": 1795426481000000, "lsn": 4711, "table": "boxes"},
             "transaction": None}
    k = {"id": key}
    if schema:
        value = {"schema": {"type": "struct", "fields": []}, "payload": value}
        k = {"schema": {"type": "struct", "fields": []}, "payload": k}
    headers = [("__debezium.context.connectorName", b"postgresql")]
    loop.producer.produce(loop.topic, json.dumps(value), json.dumps(k), headers=headers)
    if op == "d":
        loop.producer.produce(loop.topic, None, json.dumps(k), headers=headers)
    loop.producer.flush(10)


def boxes(loop):
    return loop.new("SELECT id, label FROM crm.box ORDER BY id")


def parked(loop):
    return json.loads(loop.ficus("parked", "list", "--json").stdout)


def test_a_connectors_topic_is_applied(loop):
    with loop.sync():
        send(loop, "a", "r", row("a", "first"))
        send(loop, "b", "c", row("b", "Nord 日本"), schema=True)
        send(loop, "a", "u", row("a", "second"), row("a", "first"))
        wait_for(lambda: boxes(loop) == [("a", "second"), ("b", "Nord 日本")], "both rows")
        # a change of key: delete, tombstone, create
        send(loop, "b", "d", before=row("b", "Nord 日本"))
        send(loop, "c", "c", row("c", "Nord 日本"))
        wait_for(lambda: boxes(loop) == [("a", "second"), ("c", "Nord 日本")], "the new key")
    with loop.sync():  # from the sink's own position: nothing is done twice, nothing is lost
        send(loop, "d", "c", row("d", "third"))
        wait_for(lambda: [r[0] for r in boxes(loop)] == ["a", "c", "d"], "the fourth row")
        assert not parked(loop)
    assert not loop.old("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'boxes'")


def test_what_the_connector_could_not_read_is_parked_not_nulled(loop):
    with loop.sync():
        send(loop, "a", "c", row("a", "kept"))
        wait_for(lambda: boxes(loop) == [("a", "kept")], "the row")
        send(loop, "a", "u", row("a", "__debezium_unavailable_value"))
        send(loop, "t", "c", row("t", "thirteen chars"))
        wait_for(lambda: len(parked(loop)) == 2, "two parked events")
        assert {(p["key"], p["reason"]) for p in parked(loop)} == {("a", "type"), ("t", "type")}
        assert "label:unavailable" in str(parked(loop)) and "label:too_long" in str(parked(loop))
        send(loop, "b", "c", row("b", "flows"))
        wait_for(lambda: boxes(loop) == [("a", "kept"), ("b", "flows")], "other keys to flow")
        # the whole row, as REPLICA IDENTITY FULL has it, takes its turn behind the one that was dropped
        send(loop, "a", "u", row("a", "__debezium_unavailable_value"), row("a", "from before"))
        wait_for(lambda: len(parked(loop)) == 3, "the later event of the key to wait")
        first = min(p["id"] for p in parked(loop) if p["key"] == "a")
        done = loop.ficus("parked", "drop", str(first), "--why", "replaced by a later event")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: ("a", "from before") in boxes(loop), "the whole row")


def test_truncate_is_shown_and_writes_do_not_move(loop):
    with loop.sync():
        send(loop, "a", "t")
        wait_for(lambda: [p["reason"] for p in parked(loop)] == ["malformed"], "the truncate to be parked")
        assert "truncated" in str(parked(loop))
        loop.ficus("sync", "snapshot", "box", "--from", "legacy")
        wait_for(lambda: loop.new("SELECT state FROM ficus.snapshot WHERE entity = 'box' AND state = 'failed'"
                                  " AND error LIKE '%%connector%%'"), "the copy to be refused")
        guards = json.loads(loop.ficus("cutover", "g", "--dry-run", "--json").stdout)["guards"]
        fence = [g for g in guards if g["name"] == "fence"]
        assert fence and not fence[0]["passed"] and "box" in fence[0]["figure"] and fence[0]["mend"], guards


def test_check_names_what_the_modes_lose(loop):
    assert "Debezium" not in loop.ficus("check").stderr
    lossy = {"root": "boxes", "capture": {"by": "debezium", "topic": loop.topic, "time": "connect"}}
    box = dict(BOX, legacy=lossy, fields=dict(BOX["fields"], made={"type": "timestamp", "precision": 6}))
    loop.work.file("maps/box.json", json.dumps(box))
    done = loop.ficus("check")
    assert done.returncode == 0 and "box.made: Debezium" in done.stderr and "milliseconds" in done.stderr
