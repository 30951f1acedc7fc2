"""`registry.publish` of threads, against a sidecar whose answers a test sets."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.errors import (
    BadParams,
    Busy,
    Conflict,
    JournalFull,
    Leaving,
    NotSynced,
    OutcomeUnknown,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from tests.client.events.event_sidecar import EventSidecar, published


def test_publish_returns_what_the_sidecar_says(events: EventSidecar, registry: Registry) -> None:
    answer = registry.publish("order.created", {"n": 7}, id="e1", key="a", subject="order 7", keep=60, timeout=5)
    assert answer == gossipreg.Published("e1", "shop", 3, takeover=True, duplicate=False, groups=1)
    [params] = events.params("publish")
    assert 4.0 < params.pop("timeout") < 5.0
    assert json.loads(params.pop("data")) == {"n": 7}
    assert params == {
        "type": "order.created", "id": "e1", "source": "shop", "key": "a", "subject": "order 7", "keep": 60,
        "datacontenttype": "application/json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (None, {}),
        (b"\x00\xff", {"data": b"\x00\xff"}),
        (bytearray(b"a"), {"data": b"a"}),
        ("ä", {"data": "ä"}),
        ([1, None], {"data": b"[1,null]", "datacontenttype": "application/json"}),
        (0, {"data": b"0", "datacontenttype": "application/json"}),
        (False, {"data": b"false", "datacontenttype": "application/json"}),
    ],
)
def test_data_is_bytes_text_or_json(events: EventSidecar, registry: Registry, data: Any, sent: dict[str, Any]) -> None:
    registry.publish("a", data)
    [params] = events.params("publish")
    assert {name: params[name] for name in ("data", "datacontenttype") if name in params} == sent


def test_given_content_type_wins(events: EventSidecar, registry: Registry) -> None:
    registry.publish("a", {"n": 1}, datacontenttype="application/vnd.order+json")
    assert events.params("publish")[0]["datacontenttype"] == "application/vnd.order+json"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"type": 7}, "type 7"),
        ({"data": object()}, "no form in JSON"),
        ({"data": float("nan")}, "no form in JSON"),
        ({"id": 7}, "id 7"),
        ({"id": ""}, "id is empty"),
        ({"key": 7}, "key 7"),
        ({"source": b"a"}, "source"),
        ({"extensions": {"a": 1}}, "extensions"),
        ({"extensions": 7}, "extensions"),
        ({"timeout": 0}, "timeout 0"),
        ({"timeout": 4000}, "timeout 4000"),
        ({"timeout": None}, "timeout None"),
        ({"keep": "1"}, "keep '1'"),
    ],
)
def test_wrong_types_are_refused_before_anything_is_sent(
    events: EventSidecar, registry: Registry, arguments: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadParams, match=fault):
        registry.publish(**{"type": "a", **arguments})
    assert events.seen == []


def test_a_lost_answer_is_asked_for_again_with_the_same_id(events: EventSidecar, registry: Registry) -> None:
    events.answers = ["close", "close", published(duplicate=True)]
    assert registry.publish("a", 1).duplicate
    sent = events.params("publish")
    assert len(sent) == 3
    assert len({params["id"] for params in sent}) == 1
    assert [params["timeout"] for params in sent] == sorted((params["timeout"] for params in sent), reverse=True)


def test_each_publish_draws_an_id_of_its_own(events: EventSidecar, registry: Registry) -> None:
    for _ in range(3):
        registry.publish("a", 1)
    assert len({params["id"] for params in events.params("publish")}) == 3
    assert events.accepted == 1, "one connection serves them"


@pytest.mark.parametrize("error", [Busy("b"), Leaving("l"), NotSynced("n"), Unavailable("u"), OutcomeUnknown("o")])
def test_what_may_pass_is_tried_again(events: EventSidecar, registry: Registry, error: Exception) -> None:
    events.answers = [error, error, published()]
    assert registry.publish("a").id == "e1"
    assert len(events.params("publish")) == 3


@pytest.mark.parametrize("data", [b"x" * 5_000_000, "x" * 196_609, ["x" * 196_608]])
def test_data_beyond_the_size_of_an_event_says_what_to_do(events: EventSidecar, registry: Registry, data: Any) -> None:
    with pytest.raises(TooLarge, match=r"at most 196608 fit .*publish where the data is"):
        registry.publish("a.b", data)
    assert events.params("publish") == []


@pytest.mark.parametrize("error", [BadParams("b"), Conflict("c"), JournalFull("group mail")])
def test_a_final_refusal_is_raised_at_once(events: EventSidecar, registry: Registry, error: Exception) -> None:
    events.answers = [error]
    with pytest.raises(type(error), match=str(error)):
        registry.publish("a")
    assert len(events.params("publish")) == 1


def test_no_answer_in_time_is_an_unknown_outcome_with_the_id(events: EventSidecar, registry: Registry) -> None:
    events.answers = ["close"]
    with pytest.raises(OutcomeUnknown, match="publish it again with id='my-id'"):
        registry.publish("a", id="my-id", timeout=1.0)


def test_a_silent_sidecar_is_an_unknown_outcome(events: EventSidecar, registry: Registry) -> None:
    over = threading.Event()
    events.answers = [lambda _: over.wait(30) and "close"]
    try:
        with pytest.raises(OutcomeUnknown):
            registry.publish("a", timeout=1.0)
    finally:
        over.set()


def test_refusal_after_a_lost_answer_is_an_unknown_outcome(events: EventSidecar, registry: Registry) -> None:
    """The first attempt may have been carried out; the second was not."""
    events.answers = ["close", JournalFull("group mail")]
    with pytest.raises(OutcomeUnknown, match="group mail"):
        registry.publish("a")
    events.answers = ["close", Unavailable("no leader")]
    with pytest.raises(OutcomeUnknown, match="no leader"):
        registry.publish("a", timeout=1.0)


def test_bad_params_after_a_lost_answer_were_always_bad(events: EventSidecar, registry: Registry) -> None:
    events.answers = ["close", BadParams("type")]
    with pytest.raises(BadParams):
        registry.publish("a")


def test_unavailable_to_the_end_is_not_published(events: EventSidecar, registry: Registry) -> None:
    events.answers = [Unavailable("no leader")]
    with pytest.raises(Unavailable):
        registry.publish("a", timeout=1.0)


def test_without_a_sidecar_nothing_was_sent(tmp_path: Path) -> None:
    with gossipreg.connect(str(tmp_path / "none.sock")) as registry, pytest.raises(Unreachable):
        registry.publish("a", timeout=0.1)


def test_publish_waits_for_a_sidecar_that_starts(events: EventSidecar, registry: Registry) -> None:
    events.end()
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(registry.publish("a", timeout=30)))
    thread.start()
    events.start()
    thread.join(30)
    assert [one.id for one in done] == ["e1"]


def test_an_answer_that_is_none_is_no_success(events: EventSidecar, registry: Registry) -> None:
    events.answers = [{"id": 7}]
    with pytest.raises(OutcomeUnknown, match="not a sidecar"):
        registry.publish("a", timeout=1.0)


def test_a_closed_registry_publishes_nothing(registry: Registry) -> None:
    registry.close()
    with pytest.raises(Refused, match="closed"):
        registry.publish("a")


def test_threads_publish_beside_each_other(events: EventSidecar, registry: Registry) -> None:
    events.answers = [lambda params: published(id=params["id"])]
    found: dict[str, str] = {}

    def work(name: str) -> None:
        for number in range(20):
            id = f"{name}-{number}"
            found[id] = registry.publish("a", id=id).id

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 320
    assert all(id == answered for id, answered in found.items())
    assert events.accepted <= 16
