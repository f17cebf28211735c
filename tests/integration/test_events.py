# SPDX-License-Identifier: Apache-2.0
"""What others read in our topics: the schema part, CloudEvents' headers, and that neither moves a key."""
import json
import uuid
from datetime import datetime

from confluent_kafka import Consumer, TopicPartition

from harness import wait_for
from loop import LEGACY, Loop
from test_sync import copied, parked

TYPES = {"string": str, "int16": int, "int32": int, "int64": int, "double": float, "boolean": bool, "struct": dict}


def raw(loop, topic):
    """Every message as it stands in the topic."""
    c = Consumer({"bootstrap.servers": loop.kafka_address(), "group.id": str(uuid.uuid4()),
                  "enable.auto.commit": False})
    found = []
    for p in c.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = c.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
        c.assign([TopicPartition(topic, p, low)])
        while low < high:
            m = c.poll(10)
            assert m is not None and m.error() is None
            low = m.offset() + 1
            found.append(m)
    c.close()
    return found


def converted(schema, value, path="value"):
    """What Kafka Connect's JsonConverter makes of a value, by its own rules; fails where it would."""
    if value is None:
        assert schema["optional"], f"{path} is null"
        return None
    assert isinstance(value, TYPES[schema["type"]]), f"{path} is no {schema['type']}: {value!r}"
    if schema["type"] != "struct":
        return value
    fields = {f["field"]: f for f in schema["fields"]}
    assert set(value) <= set(fields), path
    return {name: converted(f, value.get(name), f"{path}.{name}") for name, f in fields.items()}


def connect(text):
    document = json.loads(text)
    assert set(document) == {"schema", "payload"}
    return converted(document["schema"], document["payload"])


def changes(loop):
    """One of each kind, on both sides."""
    loop.legacy.execute("INSERT INTO things (id, name, n, price, ok, day, made) VALUES"
                        " ('o', 'Société', 1, 12.5, 1, '2024-02-29', '2024-02-29 23:59:59')")
    loop.legacy.execute("INSERT INTO pairs (left_id, right_id, note) VALUES ('l', 'r', 'x')")
    loop.write_new("INSERT INTO crm.thing (id, name, ok) VALUES ('n', NULL, false)")
    for i in range(20):
        loop.legacy.execute("INSERT INTO boxes (id, label) VALUES (?, 'x')", (f"b{i}",))
    loop.wait_equal()
    wait_for(lambda: loop.new("SELECT count(*) FROM crm.box")[0][0] == 20, "the boxes")


def turned(loop, **topics):
    loop.options["topics"].update(topics)
    loop.config = loop.work.file("ficus.json", json.dumps(loop._config()))


def test_events_with_schema_and_cloudevents_are_read_by_all(work, sqlite, postgres, kafka, unique):
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique,
                topics={"schema": "on", "cloudevents": "on", "partitions": 3})
    loop.migrate()
    with loop.sync(name="on"):
        copied(loop)
        changes(loop)
        loop.legacy.execute("INSERT INTO things (id, name, n) VALUES ('bad', 'x', -1)")
        wait_for(lambda: [p["reason"] for p in parked(loop)] == ["constraint"], "the parked one")
        one = parked(loop)[0]["id"]
        assert loop.ficus("parked", "edit", one, "n:=1", "--why", "sign").returncode == 0
        assert loop.ficus("parked", "retry", one).returncode == 0
        wait_for(lambda: parked(loop) == [], "the retry")
        loop.legacy.execute("UPDATE things SET n = 1 WHERE id = 'bad'")
        loop.legacy.execute("DELETE FROM things WHERE id = 'o'")
        loop.write_new("DELETE FROM crm.thing WHERE id = 'n'")
        loop.wait_equal()
        done = loop.ficus("reconcile", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["equal"], done.stderr
    seen = {}
    for topic in (f"{unique}.{side}.{entity}" for side in ("legacy", "new") for entity in ("thing", "box", "pair")):
        last = {}
        for m in raw(loop, topic):
            headers = dict(m.headers() or [])
            key = connect(m.key())
            if "ficus-marker" in headers:
                assert m.value() is None
                continue
            if m.value() is None:  # a tombstone: under the very key, in the very partition of its delete
                assert last[m.key()] == ("d", m.partition())
                continue
            value = connect(m.value())
            image = value["before"] if value["op"] == "d" else value["after"]
            assert {k: image[k] for k in key} == key
            last[m.key()] = (value["op"], m.partition())
            assert headers["ce_specversion"] == b"1.0" and headers["content-type"] == b"application/json"
            assert headers["ce_source"].decode() == f"/ficus/{unique}/{topic.split('.')[1]}"
            assert datetime.fromisoformat(headers["ce_time"].decode().replace("Z", "+00:00")).year >= 2024
            seen[headers["ce_id"]] = headers["ce_type"].decode()
    assert {"ficus.thing.created", "ficus.thing.deleted", "ficus.box.updated"} & set(seen.values())
    assert {"ficus.thing.deleted"} <= set(seen.values())


def test_neither_moves_a_key(work, sqlite, postgres, kafka, unique):
    """Switched off and on in a running world: a key stays in its partition, and nothing is parked."""
    sqlite.script(LEGACY)
    loop = Loop(work, "sqlite", sqlite, postgres, kafka, unique, topics={"schema": "off", "partitions": 5})
    loop.migrate()
    with loop.sync(name="off"):
        copied(loop)
        changes(loop)
    turned(loop, schema="on", cloudevents="on")
    with loop.sync(name="on"):
        sqlite.execute("UPDATE boxes SET label = 'y'")
        wait_for(lambda: loop.new("SELECT count(*) FROM crm.box WHERE label = 'y'")[0][0] == 20, "the boxes")
        assert parked(loop) == []
    places = {}
    for m in raw(loop, f"{unique}.legacy.box"):
        if m.value() is None:
            continue
        key = json.loads(m.key())
        wrapped = "schema" in key
        key = key["payload"]["id"] if wrapped else key["id"]
        places.setdefault(key, set()).add((wrapped, m.partition()))
    assert len(places) == 20
    for key, where in places.items():
        assert {w for w, _ in where} == {True, False}, key
        assert len({p for _, p in where}) == 1, key
    assert len({p for where in places.values() for _, p in where}) > 1
