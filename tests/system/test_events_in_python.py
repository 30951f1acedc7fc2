"""`registry.publish` and `subscribe` between real sidecars."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import gossipreg
from gossipreg import Event, NoDataDirectory, Reject, Retry, aio
from gossipreg.client.registry import Registry
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.client.events.test_aio_events import until
from tests.client.test_aio import Run, loops
from tests.system.test_events import durable


def connected(sidecar: Sidecar, service: str = "shop") -> Registry:
    return gossipreg.connect(str(sidecar.socket), timeout=BOUND_S, service=service)


def is_heard(registry: Registry, type: str = "order.created") -> bool:
    """Whether an event of this type has a group; it is published."""
    return registry.publish(type, "hello", timeout=BOUND_S).groups > 0


def test_events_are_handled_by_another_program(cluster: Sidecars, tmp_path: Path) -> None:
    one, *_, three = durable(cluster, tmp_path)
    handled: SimpleQueue[Event] = SimpleQueue()
    with connected(one) as shop, connected(three, "stock") as stock:

        @stock.on("order.*", group="stock")
        def reserve(event: Event) -> None:
            if event.data != "hello":
                shop.publish("stock.reserved", event.data)
                handled.put(event)

        confirmed = shop.events("stock.>", "shop")
        wait_for(lambda: is_heard(shop) and is_heard(stock, "stock.hello"))
        published = shop.publish("order.created", {"id": 7}, key="k")
        assert (published.source, published.groups) == ("shop", 1)
        event = handled.get(timeout=BOUND_S)
        assert (event.id, event.data, event.key, event.attempt) == (published.id, {"id": 7}, "k", 1)
        answer = next_of(confirmed, "stock.reserved")
        assert (answer.data, answer.causationid, answer.correlationid) == ({"id": 7}, event.id, event.id)
        assert shop.publish("order.created", {"id": 7}, key="k", id=published.id).duplicate


def next_of(found: Any, type: str) -> Event:
    while True:
        event: Event = found.next_within(BOUND_S)
        event.ack()
        if event.type == type:
            return event


@pytest.mark.wide
def test_what_handlers_raise_reaches_the_sidecar(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    attempts: SimpleQueue[tuple[str, int]] = SimpleQueue()

    def handler(event: Event) -> None:
        attempts.put((event.data, event.attempt))
        if event.data == "no":
            raise Reject("no such customer")
        if event.data == "later" and event.attempt == 1:
            raise Retry(0.05)

    with connected(one) as registry, registry.subscribe("order.*", "stock", handler):
        wait_for(lambda: is_heard(registry))
        registry.publish("order.created", "no")
        registry.publish("order.created", "later")
        seen: list[tuple[str, int]] = []
        while ("later", 2) not in seen:
            seen.append(attempts.get(timeout=BOUND_S))
        [letter] = one.call("events-dead")["letters"]
        assert (letter["reason"], letter["group"], seen.count(("no", 1))) == ("no such customer", "stock", 1)
        wait_for(lambda: all(group["pending"] == 0 for group in one.call("events-groups")["groups"]))


@pytest.mark.wide
def test_a_handler_outlives_its_ack_timeout(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    attempts: list[int] = []

    def handler(event: Event) -> None:
        if event.data == "slow":
            attempts.append(event.attempt)
            threading.Event().wait(1.5)

    with connected(one) as registry, registry.subscribe("order.*", "stock", handler, ack_timeout=0.3):
        wait_for(lambda: is_heard(registry))
        registry.publish("order.created", "slow")
        wait_for(lambda: all(group["pending"] == 0 for group in one.call("events-groups")["groups"]) and bool(attempts))
    assert attempts == [1]


def test_publish_and_subscription_survive_a_restart(cluster: Sidecars, tmp_path: Path) -> None:
    """The sidecar is killed and comes back; no event that was acknowledged is lost, and publish waits for it."""
    [one] = durable(cluster, tmp_path, 1)
    handled: set[str] = set()
    ids: list[str] = []
    with (
        connected(one) as registry,
        registry.subscribe("order.*", "stock", lambda event: handled.add(event.id)) as found,
    ):
        wait_for(lambda: is_heard(registry))
        go_on = threading.Event()

        def publish() -> None:
            while not go_on.is_set():
                ids.append(registry.publish("order.created", "x", timeout=BOUND_S).id)

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(ids) > 20)
        one.kill()
        arguments = ("--data-dir", str(tmp_path / "data0"), "--host-id", "host0")
        one = cluster.start("m0", *arguments).wait_ready()
        before = len(ids)
        wait_for(lambda: len(ids) > before + 20)
        go_on.set()
        for thread in threads:
            thread.join(BOUND_S)
        wait_for(lambda: handled >= set(ids))
        assert found.stats()["connects"] == 2


def test_outbox_and_inbox_carry_an_event_once(cluster: Sidecars, tmp_path: Path) -> None:
    """The event of a committed row is handled once, and names the event whose handler wrote it; a rolled back one is
    none."""
    [one] = durable(cluster, tmp_path, 1)
    path = str(tmp_path / "shop.db")
    seen: SimpleQueue[Event] = SimpleQueue()

    def write(_event: Event) -> None:
        with closing(sqlite3.connect(path)) as database:
            for id in ("rolled-back", "committed"):
                gossipreg.Outbox(database).publish("mail.sent", {"n": 1}, id=id)
                database.rollback() if id == "rolled-back" else database.commit()

    def note(event: Event) -> None:
        with closing(sqlite3.connect(path)) as database, gossipreg.Inbox(database).once(event, "note") as first:
            if first and event.data != "hello":
                seen.put(event)

    with closing(sqlite3.connect(path)) as database:
        gossipreg.Outbox(database).create_table()
        gossipreg.Inbox(database).create_table()
        database.commit()
    with connected(one) as registry, gossipreg.Relay(lambda: sqlite3.connect(path), registry, poll=0.02):
        registry.subscribe("mail.*", "notes", note)
        registry.subscribe("order.*", "mail", write)
        wait_for(lambda: is_heard(registry, "mail.hello"))
        wait_for(lambda: is_heard(registry))
        event = seen.get(timeout=BOUND_S)
    assert (event.id, event.source, event.data) == ("committed", "shop", {"n": 1})
    assert event.causationid == event.correlationid != ""


def test_without_a_data_directory_publish_says_so(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    with connected(one) as registry, pytest.raises(NoDataDirectory, match="--data-dir"):
        registry.publish("order.created")


@pytest.mark.wide
def test_the_group_goes_on_when_an_instance_closes(cluster: Sidecars, tmp_path: Path) -> None:
    """What one program has not begun is handled by the other."""
    [one] = durable(cluster, tmp_path, 1)
    over, handled = threading.Event(), SimpleQueue[str]()

    def slow(event: Event) -> None:
        over.wait(BOUND_S)
        handled.put(event.id)

    with connected(one) as first, connected(one) as second:
        subscription = first.subscribe("order.*", "stock", slow, threads=1)
        wait_for(lambda: is_heard(first))
        ids = {first.publish("order.created", str(number)).id for number in range(5)}
        wait_for(lambda: subscription.stats()["events"] >= 2)
        second.subscribe("order.*", "stock", lambda event: handled.put(event.id))
        threading.Timer(0.2, over.set).start()
        subscription.close()
        found: set[str] = set()
        while not found >= ids:
            found.add(handled.get(timeout=BOUND_S))


@loops
def test_events_in_a_loop(run: Run, cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)

    async def program() -> None:
        handled: list[Any] = []

        async def handler(event: Event) -> None:
            handled.append(event.data)

        async with aio.connect(str(one.socket), timeout=BOUND_S) as registry:
            await registry.subscribe("order.*", "stock", handler)
            while not (await registry.publish("order.created", "hello", timeout=BOUND_S)).groups:
                pass
            for number in range(20):
                await registry.publish("order.created", number)
            await until(covers(handled, range(20)))

    run(program)


def covers(found: list[Any], wanted: range) -> Callable[[], bool]:
    return lambda: all(one in found for one in wanted)


def test_a_program_that_closes_gives_back_what_it_has_not_begun(cluster: Sidecars, tmp_path: Path) -> None:
    """Nothing of it is an attempt: the next instance gets each as the first."""
    [one] = durable(cluster, tmp_path, 1)
    begun, end, handled = threading.Event(), threading.Event(), SimpleQueue[Event]()

    def slow(_event: Event) -> None:
        begun.set()
        end.wait(BOUND_S)

    with connected(one) as registry, connected(one) as other:
        first = registry.subscribe("order.*", "stock", slow, threads=1, max_attempts=1)
        wait_for(lambda: is_heard(registry))
        for number in range(20):
            registry.publish("order.paid", number)
        assert begun.wait(BOUND_S)
        wait_for(lambda: first.stats()["events"] > 20)
        other.subscribe("order.*", "stock", handled.put, max_attempts=1)
        closing = threading.Thread(target=first.close, args=(BOUND_S,))
        closing.start()
        found = [handled.get(timeout=BOUND_S) for _ in range(20)]
        end.set()
        closing.join(BOUND_S)
        assert sorted(event.data for event in found if event.type == "order.paid") == list(range(20))
        assert {event.attempt for event in found} == {1}
        assert one.call("events-dead")["letters"] == []


def test_a_new_group_begins_with_kept_events_if_it_says_so(cluster: Sidecars, tmp_path: Path) -> None:
    """Nothing is published after it has subscribed."""
    one, two, *_ = durable(cluster, tmp_path)
    with connected(one) as shop, connected(two, "audit") as audit:
        kept = [shop.publish("order.created", number, keep=3600, timeout=BOUND_S).id for number in range(3)]
        assert not shop.publish("order.created", "not kept", timeout=BOUND_S).groups
        late = audit.events("order.*", "late", past=True)
        found = [next_of(late, "order.created").id for _ in kept]
        assert sorted(found) == sorted(kept)
        later = audit.events("order.*", "later")
        wait_for(lambda: shop.publish("order.created", "new", timeout=BOUND_S).groups == 2)
        assert next_of(later, "order.created").data == "new"
        assert next_of(late, "order.created").data == "new"
