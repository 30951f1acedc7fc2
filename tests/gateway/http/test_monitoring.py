"""Metrics, readiness, targets for Prometheus, events, and the description of it all."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gossipreg.gateway.http import connections, events
from gossipreg.gateway.http.metrics import metrics_text
from tests.daemon.conftest import ME
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Client, Served, request_bytes

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? (-?[0-9.e+-]+|NaN)')


async def test_metrics_are_prometheus_text_with_a_type_for_each_sample(served: Served) -> None:
    await served.register("web", 80)
    served.methods.lookups.lookup({"name": "web"})
    reply = await served.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    types: dict[str, str] = {}
    samples: dict[str, float] = {}
    for line in reply.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types, "each family stands once"
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            family = re.sub(r"_(sum|count)$", "", match[1]) if match[1] not in types else match[1]
            assert family in types, line
            assert (types[family] == "counter") == match[1].endswith("_total"), line
            samples[match[1] + (match[2] or "")] = float(match[5])
    assert samples['gossipreg_members{state="alive"}'] == 1
    assert samples['gossipreg_instances{health="passing"}'] == 1
    for name in (
        "services", "probes_total", "suspicions_total", "refutations_total", "comparisons_total", "sent_bytes_total",
        "sent_datagrams_total", "received_bytes_total", "received_datagrams_total", "out",
        "queue_unreceipted", "queue_checks", "loop_lag_seconds", "lookups_total",
        "rtt_seconds_count", "http_waiting", "http_connections",
    ):  # fmt: skip
        assert f"gossipreg_{name}" in samples, name


async def test_healthz_answers_at_once_and_readyz_once_synced(served: Served, tmp_path: Path) -> None:
    assert (await served.get("/healthz")).status == 200
    assert (await served.get("/readyz")).status == 200
    alone = Served(tmp_path, MemoryNetwork(), "two", 2)
    alone.seek(served.transport.local_addresses[0]._replace(port=9))  # nobody is there
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alone.http.run)
        assert (await alone.get("/readyz")).status == 503
        assert (await alone.get("/healthz")).status == 200
        nursery.cancel_scope.cancel()
    alone.close()


async def test_prometheus_gets_the_instances_it_asks_for_with_labels(served: Served) -> None:
    body = {"Name": "web", "ID": "w", "Port": 80, "Address": "fd00::1", "Tags": ["a", "b"], "Meta": {"path-x": "/m"}}
    await served.put("/v1/agent/service/register", body)
    await served.put("/v1/agent/service/register", {"Name": "ill", "Port": 81, "Check": {"TTL": "1h"}})
    reply = await served.get("/sd/prometheus")
    assert reply.headers["content-type"] == "application/json"  # Prometheus takes no other
    assert [one["targets"] for one in reply.json] == [["10.0.0.1:81"], ["[fd00::1]:80"]]
    (one,) = (await served.get("/sd/prometheus?service=web&tag=b&passing")).json
    assert one["labels"]["__meta_gossipreg_tags"] == ",a,b,"
    assert one["labels"]["__meta_gossipreg_service_meta_path_x"] == "/m"
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in one["labels"])
    assert all(isinstance(value, str) for value in one["labels"].values())
    assert (await served.get("/sd/prometheus?passing&service=ill")).json == []


# -- events ------------------------------------------------------------------------------------------------------------


async def read_events(client: Client) -> Any:
    """The events as they come: (kind, value)."""
    held = b""
    while data := await client.stream.receive_some(65536):
        held += bytes(data)
        *whole, held = held.split(b"\n\n")
        for piece in whole:
            fields = dict(line.split(": ", 1) for line in piece.decode().splitlines() if ": " in line)
            if "event" in fields:
                yield fields["event"], json.loads(fields["data"])


async def test_events_begin_with_what_is_and_go_on_with_what_changes(served: Served) -> None:
    await served.register("web", 80)
    client = await served.client()
    await client.send(request_bytes("GET", "/events?service=web"))
    told = read_events(client)
    kind, value = await anext(told)
    assert (kind, [one["id"] for one in value["instances"]]) == ("current", ["web-80"])
    await served.register("other", 1)
    await served.register("web", 81)
    assert (await anext(told))[1]["instance"]["id"] == "web-81"
    await served.services.deregister("web-80", by=ME)
    kind, value = await anext(told)
    assert (kind, value["instance"]["id"]) == ("removed", "web-80")
    await told.aclose()


async def test_a_quiet_stream_of_events_shows_that_it_lives(served: Served, mock_clock: MockClock) -> None:
    client = await served.client()
    await client.send(request_bytes("GET", "/events"))
    data = b""
    while b"current" not in data:
        data += bytes(await client.stream.receive_some(65536))
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(events.KEEP_ALIVE_S + 0.1)
    assert bytes(await client.stream.receive_some(65536)).startswith(b": ")


async def test_a_first_reading_above_the_bound_is_read_to_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STREAM_MAX_BYTES", 50_000)
    meta = {f"k{n}": "v" * 4000 for n in range(16)}
    client, slow = await served.client(), await served.client()
    for number in range(20):
        body = {"Name": "web", "ID": str(number), "Port": 80, "Meta": meta}
        assert (await client.put("/v1/agent/service/register", body)).status == 200
    for one in served.http.server.connections:  # so that the kernel does not take all of it at once
        one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await slow.send(request_bytes("GET", "/events"))
    await wait_all_tasks_blocked(0.05)
    assert any(len(one.out) > 50_000 for one in served.http.server.connections)
    await served.register("other", 1)
    told = read_events(slow)
    assert len((await anext(told))[1]["instances"]) == 20
    assert (await anext(told))[1]["instance"]["id"] == "other-1"
    await told.aclose()


async def test_a_slow_reader_of_events_is_cut_off_and_harms_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STREAM_MAX_BYTES", 50_000)
    slow, client = await served.client(), await served.client()
    await slow.send(request_bytes("GET", "/events"))
    await wait_all_tasks_blocked(0.05)
    meta = {f"k{n}": "v" * 3000 for n in range(16)}
    for number in range(400):
        body = {"Name": "web", "Port": 80, "Meta": {**meta, "n": str(number)}}
        assert (await client.put("/v1/agent/service/register", body)).status == 200
        if served.gateway.counts().get("http.cut.stream_too_slow"):
            break
    assert served.gateway.counts()["http.cut.stream_too_slow"] == 1


async def test_readers_of_events_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS_MAX", 1)
    first = await served.client()
    await first.send(request_bytes("GET", "/events"))
    await first.stream.receive_some(1)
    assert (await served.get("/events")).status == 503
    await first.stream.aclose()
    await wait_all_tasks_blocked(0.05)
    again = await served.client()
    await again.send(request_bytes("GET", "/events"))
    assert bytes(await again.stream.receive_some(12)) == b"HTTP/1.1 200"


# -- the description ---------------------------------------------------------------------------------------------------


def faults(schema: dict[str, Any], value: Any, schemas: dict[str, Any], at: str = "") -> Iterator[str]:
    """The faults of this value by its schema; the part of JSON Schema that is used here."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and all(list(faults(one, value, schemas)) for one in schema["anyOf"]):
        yield f"{at}: fits none of anyOf"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    if "type" in schema and type(value) is not types[schema["type"]]:
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name} is missing"
    if isinstance(value, dict):
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            yield from faults(inner, one, schemas, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, one in enumerate(value):
            yield from faults(schema["items"], one, schemas, f"{at}[{number}]")


BODIES = {
    "registration": {"Name": "new", "Port": 1, "Check": {"TTL": "10s"}},
    "check": {"Name": "more", "ServiceID": "web", "TTL": "10s"},
    "update": {"Status": "passing"},
}
NAMES = {"service": "web", "node": "one", "state": "any", "name": "web", "key": "k", "address": "127.0.0.1:1",
         "gateway": "g", "member": "two"}  # fmt: skip


async def test_every_path_of_the_description_answers_as_it_says(served: Served) -> None:
    await served.put("/v1/agent/service/register", {"Name": "web", "Port": 80, "Tags": ["t"], "Check": {"TTL": "10s"}})
    served.may_leave.set()
    description = (await served.get("/openapi.json")).json
    assert description["openapi"] == "3.1.0"
    schemas = description["components"]["schemas"]
    asked = 0
    for path, operations in description["paths"].items():
        if path == "/events":
            continue  # it has no end
        for method, operation in operations.items():
            real = path.replace("{id}", "service:web" if "/check/" in path else "web")
            real = re.sub(r"\{(\w+)\}", lambda match: NAMES[match[1]], real)
            real += "?enable=false" if "maintenance" in path else ""
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = BODIES[content["schema"]["$ref"].rpartition("/")[2]] if content else None
            reply = await (await served.client()).request(method.upper(), real, body)
            asked += 1
            said = operation["responses"].get(str(reply.status))
            assert said, (real, reply.status, reply.body)
            (media, shown) = next(iter(said.get("content", {"": {}}).items()))
            assert reply.headers.get("content-type", "").startswith(media if reply.body or method == "head" else ""), (
                real
            )
            if media == "application/json" and reply.body:
                assert list(faults(shown["schema"], reply.json, schemas)) == [], real
            for header in said.get("headers", {}):
                assert header.lower() in reply.headers
            if reply.status == 200 and "deregister" in path and "/service/" in path:
                await served.put("/v1/agent/service/register", {"Name": "web", "Port": 80, "Check": {"TTL": "10s"}})
    assert asked > 35


async def test_parameters_and_errors_are_as_the_description_says(served: Served) -> None:
    await served.register("web", 80)
    description = (await served.get("/openapi.json")).json
    good = {"filter": "", "tag": "t", "near": "_agent", "index": "0", "wait": "1s", "dc": "default",
            "node-meta": "a:b", "service": "web", "format": "json"}  # fmt: skip
    for path, operations in description["paths"].items():
        if "get" not in operations or path in ("/events",):
            continue
        real = re.sub(r"\{(\w+)\}", lambda match: NAMES.get(match[1], "web-80"), path)
        plain = (await served.get(real)).status
        for param in operations["get"]["parameters"]:
            if param["in"] == "query":
                value = good.get(param["name"], "true")
                assert (await served.get(f"{real}?{param['name']}={value}")).status == plain, (real, param)
        refused = await served.get(f"{real}?pretty=perhaps&index=x&filter=(")
        if refused.status != plain:
            assert refused.status == 400
            described = operations["get"]["responses"]["400"]["content"]
            assert refused.headers["content-type"].partition(";")[0] in described
            if "application/json" in described:
                assert list(faults({"$ref": "error"}, refused.json, description["components"]["schemas"])) == []


async def test_a_spelled_out_segment_goes_before_one_in_braces(served: Served) -> None:
    client = await served.client()
    assert (await client.get("/v1/agent/service/register")).headers["allow"] == "PUT"
    assert (await client.get("/v1/agent/service/deregister/web")).headers["allow"] == "PUT"
    assert (await client.request("POST", "/v1/status/leader")).headers["allow"] == "GET, HEAD"


def test_the_lag_of_each_group_is_a_gauge_with_its_name() -> None:
    lag = {"pending": 3, "bytes": 3072, "oldest_s": 1.5, "unanswered": 1, "dead": 2}
    info = {
        "version": "1", "id": "00", "name": "n", "cluster": "c", "members": {}, "synced": True, "alone": False,
        "health_score": 0, "uptime_s": 1.0, "services": 0, "out": False, "loop_lag_ms": 0.0, "troubles": [],
        "events": {"publishing": 0, "groups": {'ma"il': lag, "stock": {**lag, "pending": 0}}},
        "counters": {"events.published": 7, "events.acked": 4, "events_handlings": 1},
    }  # fmt: skip
    lines = metrics_text(info, [], [], {}).splitlines()
    for line in (
        'gossipreg_group_pending{group="ma\\"il"} 3', 'gossipreg_group_pending{group="stock"} 0',
        'gossipreg_group_oldest_seconds{group="stock"} 1.5', 'gossipreg_group_dead_letters{group="stock"} 2',
        'gossipreg_events_total{event="published"} 7', "gossipreg_handlings 1",
    ):  # fmt: skip
        assert line in lines
    without = metrics_text({**info, "events": {}}, [], [], {})
    assert "gossipreg_group_" not in without
