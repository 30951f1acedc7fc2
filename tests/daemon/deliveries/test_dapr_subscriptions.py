"""What a Dapr app asks for, and which of its paths an event gets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.deliveries.dapr_routes import DaprRoutes, body_of, dead_letter, document_of
from gossipreg.daemon.deliveries.dapr_subscriptions import DaprSubscription, asked_untrusted
from gossipreg.daemon.deliveries.service_routes import ServiceRoutes
from gossipreg.errors import BadParams, Unavailable
from gossipreg.events.cloud_event import CloudEvent, make_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult
from gossipreg.journal.model import JournalId
from gossipreg.net.http_client import HttpAnswer

ORDERS = {"pubsubname": "p", "topic": "orders", "route": "/orders"}

NAMES = [*ORDERS, "routes", "default", "rules", "metadata", "bulkSubscribe"]


def asked(*subscriptions: Any) -> tuple[list[DaprSubscription], list[str]]:
    found = asked_untrusted(json.dumps(subscriptions).encode())
    return list(found.subscriptions), list(found.refused)


def event(type: str = "t", data: bytes | None = b"{}", **extensions: str) -> CloudEvent:
    return make_event("1", "s", type, data, datacontenttype="application/json", extensions=extensions)


def handed(attempt: int = 1) -> HandleEvent:
    return HandleEvent(1, 2, "shop", JournalId(b"\x01" * 16), 77, attempt, b"")


class Published:
    def __init__(self) -> None:
        self.events: list[CloudEvent] = []
        self.fault: Exception | None = None

    async def __call__(self, event: CloudEvent) -> None:
        if self.fault is not None:
            raise self.fault
        self.events.append(event)


def routes(*subscriptions: DaprSubscription, published: Published | None = None) -> DaprRoutes:
    return DaprRoutes(subscriptions, publish=published or Published(), lost=lambda: None, max_attempts=10)


@pytest.mark.parametrize(
    "form",
    [
        ORDERS, {**ORDERS, "route": "orders"}, {"pubsubname": "p", "topic": "orders", "routes": {"default": "/orders"}},
        {**ORDERS, "routes": {"rules": [], "default": "/orders"}}, {**ORDERS, "bulkSubscribe": {"enabled": False}},
        {**ORDERS, "metadata": {}, "deadLetterTopic": ""}, {**ORDERS, "routes": None},
    ],
)  # fmt: skip
def test_each_form_of_a_subscription_is_read(form: dict[str, Any]) -> None:
    assert asked(form) == ([DaprSubscription("p", "orders", "/orders")], [])


def test_dead_letter_topic_and_raw_payload_are_read() -> None:
    given = {**ORDERS, "deadLetterTopic": "poison", "metadata": {"rawPayload": "true"}}
    assert asked(given) == ([DaprSubscription("p", "orders", "/orders", "poison", raw=True)], [])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"routes": {"rules": [{"match": "event.type == 'a'", "path": "/a"}], "default": "/b"}}, "CEL"),
        ({"bulkSubscribe": {"enabled": True}}, "bulkSubscribe"), ({"route": ""}, "no route"),
        ({"route": "/a b"}, "no path"), ({"route": "/a\r\nX: 1"}, "no path"), ({"route": 7}, "no route"),
        ({"topic": "a..b"}, "empty token"), ({"topic": 7}, "topic is '7'"), ({"pubsubname": None}, "pubsubname"),
        ({"deadLetterTopic": "a.*"}, "stands for others"), ({"routes": []}, "routes is no object"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_served_is_refused_and_the_others_stay(change: dict[str, Any], why: str) -> None:
    taken, (refused,) = asked({**ORDERS, **change}, ORDERS)
    assert taken == [DaprSubscription("p", "orders", "/orders")]
    assert why in refused


def test_more_subscriptions_than_the_bound_are_refused() -> None:
    taken, refused = asked(*({**ORDERS, "topic": f"t{number}"} for number in range(66)))
    assert (len(taken), len(refused)) == (64, 2)
    assert "64 subscriptions" in refused[0]


@pytest.mark.parametrize("body", [b"", b"[]", b"null"])
def test_an_app_may_want_nothing(body: bytes) -> None:
    assert asked_untrusted(body).subscriptions == ()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
                    max_leaves=20))  # fmt: skip
def test_no_answer_of_an_app_breaks_the_reading(value: Any) -> None:
    try:
        found = asked_untrusted(json.dumps(value).encode())
    except BadParams:
        assert not isinstance(value, list)
    else:
        assert all(one.path.startswith("/") for one in found.subscriptions)


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_pubsub_and_topic_choose_the_path() -> None:
    both = routes(DaprSubscription("p", "orders", "/p"), DaprSubscription("q", "orders", "/q"))
    targets = {}
    for pubsub in ("p", "q", "r"):
        call = both.call(handed(), event(topic="orders", pubsubname=pubsub))
        targets[pubsub] = None if call is None else call.target
    assert targets == {"p": "/p", "q": "/q", "r": None}
    own = both.call(handed(), event("orders"))
    assert own is not None
    assert own.target == "/p"


def test_the_document_has_what_daprs_sdks_read() -> None:
    one = DaprSubscription("p", "orders", "/orders")
    document = document_of(event("orders", b'{"a":1}', traceparent="00-a-b-01"), one)
    assert document == {
        "specversion": "1.0", "id": "1", "source": "s", "type": "orders", "datacontenttype": "application/json",
        "data": {"a": 1}, "topic": "orders", "pubsubname": "p", "traceparent": "00-a-b-01", "traceid": "00-a-b-01",
    }  # fmt: skip
    call = routes(one).call(handed(3), event("orders"))
    assert call is not None
    headers = dict(call.headers)
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert (headers["Gossipreg-Event-Attempt"], headers["Gossipreg-Event-Index"]) == ("3", "77")


@pytest.mark.parametrize(
    "data", [b'{"id":12345678901234567890,"f":0.10000000000000000555}', b'{"a":1,"a":2}', b"null", b'"\xc3\xa9"']
)
def test_json_reaches_an_app_as_it_was_published(data: bytes) -> None:
    body = body_of(event("orders", data), DaprSubscription("p", "orders", "/o"))
    assert json.loads(body) == document_of(event("orders", data), DaprSubscription("p", "orders", "/o"))
    assert b'"data":' + data.replace(b"\xc3\xa9", rb"\u00e9") in body


@pytest.mark.parametrize("data", [b"NaN", b"{bad", b"1e999", b"", None])
def test_data_that_an_app_could_not_parse_comes_as_base64(data: bytes | None) -> None:
    document = json.loads(
        body_of(event("orders", data), DaprSubscription("p", "orders", "/o")), parse_constant=pytest.fail
    )
    assert ("data" in document, "data_base64" in document) == (False, data is not None)


def test_a_raw_subscription_gets_bytes() -> None:
    document = document_of(event("orders", b'{"a":1}'), DaprSubscription("p", "orders", "/o", raw=True))
    assert (document["data_base64"], document["datacontenttype"]) == ("eyJhIjoxfQ==", "application/octet-stream")
    assert "data" not in document


async def test_a_dropped_event_goes_to_its_topic_of_dead_letters() -> None:
    published = Published()
    dropping = HttpAnswer(200, (), b'{"status":"DROP"}')
    without = routes(DaprSubscription("p", "orders", "/o"), published=published)
    assert (await without.judge(handed(), event("orders"), dropping)).result is DeliveryResult.REJECTED
    with_topic = routes(DaprSubscription("p", "orders", "/o", "poison"), published=published)
    assert (await with_topic.judge(handed(), event("orders"), dropping)).result is DeliveryResult.ACKED
    (letter,) = published.events
    assert (letter.id, letter.topic, letter.type, letter.data) == ("1/dead/shop", "poison", "orders", b"{}")


async def test_the_last_attempt_that_fails_goes_there_too() -> None:
    published = Published()
    one = routes(DaprSubscription("p", "orders", "/o", "poison"), published=published)
    failing = HttpAnswer(500, (), b"")
    assert (await one.judge(handed(9), event("orders"), failing)).result is DeliveryResult.FAILED
    assert (await one.judge(handed(10), event("orders"), failing)).result is DeliveryResult.ACKED
    assert [letter.topic for letter in published.events] == ["poison"]


async def test_a_dead_letter_that_cannot_be_published_is_not_lost() -> None:
    published = Published()
    published.fault = Unavailable("no leader")
    one = routes(DaprSubscription("p", "orders", "/o", "poison"), published=published)
    verdict = await one.judge(handed(), event("orders"), HttpAnswer(404, (), b""))
    assert verdict.result is DeliveryResult.FAILED
    assert "not published to poison: no leader" in verdict.reason


def test_the_id_of_a_dead_letter_fits_however_long_it_was() -> None:
    long = make_event("é" * 128, "s", "t")
    assert len(dead_letter(long, "poison", "group").id.encode()) <= 256


def test_a_service_gets_an_event_at_its_first_pattern_in_binary_mode() -> None:
    service = ServiceRoutes((("order.created", "/created"), ("order.*", "/rest")))
    created, paid = service.call(handed(2), event("order.created")), service.call(handed(), event("order.paid"))
    assert created is not None
    assert paid is not None
    assert (created.method, created.target, paid.target, created.body) == ("POST", "/created", "/rest", b"{}")
    headers = dict(created.headers)
    assert (headers["ce-type"], headers["content-type"]) == ("order.created", "application/json")
    assert headers["Gossipreg-Event-Attempt"] == "2"
    assert service.call(handed(), event("other")) is None
