"""Publishing by Dapr's API: the event that a request becomes, and the errors."""

from collections.abc import Mapping
from typing import Any

import pytest

from gossipreg.errors import BadParams, JournalFull, NoDataDirectory, NotAllowed
from gossipreg.events.cloud_event import CloudEvent
from tests.gateway.http.conftest import Reply, Served

STRUCTURED = "application/cloudevents+json"


async def publish(served: Served, path: str, body: Any = None, **headers: str) -> Reply:
    return await (await served.client()).request("POST", f"/v1.0/publish/{path}", body, **headers)


def published(served: Served) -> CloudEvent:
    (event,) = served.outgoing.published
    return event


async def test_a_body_is_wrapped_as_dapr_wraps_it(served: Served) -> None:
    reply = await publish(served, "pubsub/orders", {"a": 1}, content_type="application/json", traceparent="00-ab-cd-01")
    event = published(served)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["x-gossipreg-event-id"] == event.id
    assert reply.headers["x-gossipreg-copies"] == "3"
    assert "content-length" not in reply.headers
    assert (event.type, event.source, event.topic) == ("com.dapr.event.sent", "one", "orders")
    assert (event.data, event.datacontenttype) == (b'{"a": 1}', "application/json")
    assert dict(event.extensions) == {
        "topic": "orders", "pubsubname": "pubsub", "traceparent": "00-ab-cd-01", "traceid": "00-ab-cd-01",
    }  # fmt: skip
    assert event.time.endswith("Z")


async def test_put_publishes_and_text_is_the_default(served: Served) -> None:
    reply = await (await served.client()).request("PUT", "/v1.0/publish/pubsub/orders", b"hello")
    assert reply.status == 204
    assert (published(served).data, published(served).datacontenttype) == (b"hello", "text/plain")


async def test_a_cloud_event_is_taken_as_it_is(served: Served) -> None:
    given = {"specversion": "1.0", "id": "7", "source": "s", "type": "t.u", "data": [1], "colour": "red"}
    assert (await publish(served, "p/orders", given, content_type=STRUCTURED)).status == 204
    event = published(served)
    assert (event.id, event.source, event.type, event.data) == ("7", "s", "t.u", b"[1]")
    assert (event.topic, event.extensions["colour"], event.extensions["pubsubname"]) == ("orders", "red", "p")


async def test_a_cloud_event_that_has_a_name_twice_is_a_400(served: Served) -> None:
    body = b'{"specversion": "1.0", "id": "7", "id": "8", "source": "s", "type": "t"}'
    reply = await publish(served, "p/orders", body, content_type=STRUCTURED)
    assert (reply.status, b"the body has the name 'id' twice in one object" in reply.body) == (400, True)
    assert not served.outgoing.published


async def test_a_raw_payload_is_bytes_whatever_it_is(served: Served) -> None:
    path = "p/orders?metadata.rawPayload=true"
    assert (await publish(served, path, b'{"a":1}', content_type=STRUCTURED)).status == 204
    event = published(served)
    assert (event.data, event.datacontenttype, event.type) == (
        b'{"a":1}', "application/octet-stream", "com.dapr.event.sent",
    )  # fmt: skip


async def test_metadata_sets_attributes_and_the_partition_key(served: Served) -> None:
    path = "p/orders?metadata.partitionKey=k&metadata.cloudevent.id=i&metadata.cloudevent.type=a.b"
    assert (await publish(served, f"{path}&metadata.cloudevent.colour=red", b"x")).status == 204
    event = published(served)
    assert (event.key, event.id, event.type, event.extensions["colour"]) == ("k", "i", "a.b", "red")


async def test_metadata_without_effect_is_logged_once(served: Served) -> None:
    for _ in range(2):
        assert (await publish(served, "p/orders?metadata.fancy=1", b"x")).status == 204
    assert served.notes == ["'metadata.fancy' of an event has no effect here; this is logged once"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "code", "words"),
    [
        ("p/orders?metadata.ttlInSeconds=5", {}, b"x", 400, "ERR_PUBSUB_REQUEST_METADATA", "ttlInSeconds"),
        ("p/orders?metadata.ttlinseconds=5", {}, b"x", 400, "ERR_PUBSUB_REQUEST_METADATA", "ttlInSeconds"),
        ("p/orders.*", {}, b"x", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "topic 'orders.*' has '*'"),
        ("p/a b", {}, b"x", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "space"),
        ("p/o", {"content_type": STRUCTURED}, b"{", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "no JSON"),
        ("p/o", {"content_type": STRUCTURED}, b"[]", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "JSON object"),
        ("p/o?metadata.a=1&metadata.a=2", {}, b"x", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "given 2 times"),
        ("p/o", {}, b"x" * 200_000, 413, "ERR_PUBSUB_PUBLISH_MESSAGE", "at most 196608"),
    ],
)
async def test_a_request_that_is_no_event_is_refused_in_daprs_form(
    served: Served, path: str, headers: Mapping[str, str], body: bytes, status: int, code: str, words: str
) -> None:
    reply = await publish(served, path.replace(" ", "%20"), body, **headers)
    assert (reply.status, reply.json["errorCode"]) == (status, code)
    assert words in reply.json["message"]
    assert served.outgoing.published == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (NotAllowed("not you"), 403), (BadParams("wrong"), 400), (JournalFull("group a is behind"), 500),
        (NoDataDirectory("no disk"), 500),
    ],
)  # fmt: skip
async def test_what_the_sidecar_refuses_has_its_status_and_reason(served: Served, fault: Any, status: int) -> None:
    served.outgoing.fault = fault
    reply = await publish(served, "p/orders", b"x")
    assert (reply.status, reply.json["errorCode"]) == (status, "ERR_PUBSUB_PUBLISH_MESSAGE")
    assert reply.json["message"] == f"error when publish to topic orders in pubsub p: {fault.code}: {fault}"
