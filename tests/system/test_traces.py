"""Spans of real sidecars, at a collector that reads them with OpenTelemetry's own modules."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.client import Client
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.otlp.collector import Collector
from tests.system.participants import Participant
from tests.system.test_sagas import ORDER, PAY, RESERVE, client, has_ended

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"
UNWANTED = f"00-{'7' * 32}-{PARENT_ID}-00"
INPUT = {"item": "secret-of-input"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().serving() as one:
        yield one


@pytest.fixture
def traced(collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sidecar]:
    """One sidecar with a data directory that exports its spans."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with Sidecars() as cluster:
        one = cluster.start("m0", "--data-dir", str(tmp_path / "d"), "--otlp", collector.url).wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        yield one


def publish_and_handle(sidecar: Sidecar, handle: Callable[[gossipreg.Event], object], **attributes: Any) -> str:
    """Publish an event whose handler is this; returns its id, once it was handled once."""
    over = threading.Event()

    def handler(event: gossipreg.Event) -> None:
        over.set()
        handle(event)

    with gossipreg.connect(str(sidecar.socket)) as registry, registry.subscribe("order.*", "billing", handler):
        id = registry.publish("order.created", {"card": "secret-of-data"}, **attributes).id
        assert over.wait(BOUND_S)
    return id


def test_a_handling_is_a_child_of_what_published_the_event(traced: Sidecar, collector: Collector) -> None:
    seen: list[gossipreg.Event] = []
    id = publish_and_handle(traced, seen.append, extensions={"traceparent": PARENT, "tracestate": "a=1"})
    sent, handled = collector.wait_for("send order.created", "process order.created")
    assert (sent.trace, sent.parent, sent.state, sent.kind) == (TRACE, PARENT_ID, "a=1", 4)
    assert (handled.trace, handled.parent, handled.links, handled.kind) == (TRACE, PARENT_ID, [PARENT_ID], 5)
    [event] = seen
    assert event.extensions["traceparent"] == PARENT, "where it began, as CloudEvents has it"
    assert event.traceparent == f"00-{TRACE}-{handled.id}-01"
    assert sent.attributes["messaging.message.id"] == handled.attributes["messaging.message.id"] == id
    assert sent.attributes["messaging.operation.type"] == "send"
    assert handled.attributes["messaging.consumer.group.name"] == "billing"
    assert {one.attributes["messaging.destination.name"] for one in (sent, handled)} == {"order.created"}
    assert sent.resource["service.name"] == "gossipreg"
    assert sent.resource["service.instance.id"] == traced.id
    assert sent.resource["deployment.environment.name"] == "test"
    assert collector.headers[0]["authorization"] == "Bearer abc"


def test_an_event_without_a_trace_begins_one_that_goes_on(traced: Sidecar, collector: Collector) -> None:
    def publish_another(event: gossipreg.Event) -> None:
        if event.type == "order.created":
            with gossipreg.connect(str(traced.socket)) as registry:
                registry.publish("mail.sent")

    publish_and_handle(traced, publish_another)
    sent, handled, followed = collector.wait_for("send order.created", "process order.created", "send mail.sent")
    assert (sent.parent, handled.parent, followed.parent) == ("", sent.id, handled.id)
    assert len({sent.trace, handled.trace, followed.trace}) == 1


def test_a_handler_that_fails_fails_its_span(traced: Sidecar, collector: Collector) -> None:
    def refuse(_event: gossipreg.Event) -> None:
        raise gossipreg.Reject("secret-of-reason")

    publish_and_handle(traced, refuse)
    [handled] = collector.wait_for("process order.created")
    assert (handled.failed, handled.attributes["error.type"]) == (True, "rejected")
    assert not any(b"secret-of" in body for body in collector.bodies)


def test_a_trace_that_nobody_wants_is_not_recorded(traced: Sidecar, collector: Collector) -> None:
    seen: list[gossipreg.Event] = []
    publish_and_handle(traced, seen.append, extensions={"traceparent": UNWANTED})
    publish_and_handle(traced, seen.append)
    collector.wait_for("send order.created")
    assert [event.traceparent == UNWANTED for event in seen] == [True, False]
    assert {span.trace for span in collector.spans} & {"7" * 32} == set()


class TracedShop:
    """Three sidecars that export their spans, and two services."""

    def __init__(self, stack: ExitStack, folder: Path, collector: Collector) -> None:
        cluster = stack.enter_context(Sidecars())
        self.stock, self.payment = Participant(), Participant()
        for service in (self.stock, self.payment):
            stack.enter_context(service.serving())
        self.members: list[Sidecar] = []
        for number in range(3):
            data, host = str(folder / f"data{number}"), f"host{number}"
            started = cluster.start(f"m{number}", "--data-dir", data, "--host-id", host, "--otlp", collector.url)
            self.members.append(started.wait_ready())
        self.stock.register(self.members[1], "stock")
        self.payment.register(self.members[2], "payment")
        for one in self.members:
            wait_for(lambda one=one: one.lookup("stock") and one.lookup("payment"))  # type: ignore[misc]


def run(member: Sidecar, **params: Any) -> str:
    """Begin a saga that outlives its sidecar."""

    def begun() -> bool:
        with Client(str(member.socket), timeout_s=BOUND_S) as program:
            saga = program.call("saga-run", definition=ORDER, input=INPUT, **params)
        found.append(saga["saga"])
        return bool(saga["takeover"])

    found: list[str] = []
    wait_for(begun)
    return found[-1]


def test_a_saga_is_one_trace_also_when_another_leads_it(collector: Collector, tmp_path: Path) -> None:
    with ExitStack() as stack:
        shop = TracedShop(stack, tmp_path, collector)
        wait_for(lambda: bool(run(shop.members[0])))
        shop.payment.asked.clear()
        shop.payment.slow.clear()
        saga = run(shop.members[0], traceparent=PARENT)
        assert shop.payment.asked.wait(BOUND_S)
        wait_for(lambda: any(one.trace == TRACE for one in collector.named("step reserve")))
        shop.members[0].kill()
        shutil.rmtree(tmp_path / "data0")
        shop.payment.slow.set()
        wait_for(lambda: has_ended(shop.members[1], saga))
        wait_for(lambda: any(one.trace == TRACE for one in collector.named("saga create-order")))
        wait_for(lambda: any(one.trace == TRACE for one in collector.named("after mail")))
    mine = {name: [one for one in collector.named(name) if one.trace == TRACE] for name in
            ("run saga", "saga create-order", "step reserve", "step pay", "after mail")}  # fmt: skip
    [whole] = mine["saga create-order"]
    assert {one.parent for name in ("step reserve", "step pay", "after mail") for one in mine[name]} == {whole.id}
    assert whole.attributes["gossipreg.saga.outcome"] == "committed"
    assert (whole.failed, whole.attributes["gossipreg.saga.id"]) == (False, saga)
    assert (mine["run saga"][0].parent, whole.parent) == (PARENT_ID, mine["run saga"][0].id)
    by_instance = {one.resource["gossipreg.member"] for one in mine["step reserve"] + mine["step pay"]}
    assert "m0" in by_instance
    assert len(by_instance) == 2, "the first leader, and the one after it"
    assert not any(b"secret-of" in body for body in collector.bodies)


def test_an_aborted_saga_shows_its_undo(collector: Collector, tmp_path: Path) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Sidecars())
        stock, payment = Participant(), Participant()
        for one in (stock, payment):
            stack.enter_context(one.serving())
        member = cluster.start("m0", "--data-dir", str(tmp_path / "d"), "--otlp", collector.url).wait_ready()
        stock.register(member, "stock")
        payment.register(member, "payment")
        payment.refuses = True
        reserve = {**RESERVE, "headers": {"authorization": "Bearer secret-of-token"}}
        with client(member) as program:
            saga = program.call("saga-begin", name="create-order", input=INPUT)["saga"]
            program.call("saga-step", saga=saga, step=reserve)
            assert program.call("saga-step", saga=saga, step=PAY)["state"] == "refused"
            program.call("saga-abort", saga=saga, reason="secret-of-reason")
        begun, whole, paid, undone = collector.wait_for("begin saga", "saga create-order", "step pay", "undo reserve")
    assert (begun.parent, whole.parent, paid.parent, undone.parent) == ("", begun.id, whole.id, whole.id)
    assert (paid.failed, paid.attributes["http.response.status_code"]) == (True, 422)
    assert paid.attributes["http.request.method"] == "PUT"
    assert (paid.attributes["service.peer.name"], paid.kind) == ("payment", 3)
    assert (undone.failed, undone.attributes["gossipreg.saga.undo"]) == (False, True)
    assert (whole.failed, whole.attributes["error.type"]) == (True, "aborted")
    assert whole.ended_ns >= whole.began_ns
    assert not any(b"secret-of" in body for body in collector.bodies)
