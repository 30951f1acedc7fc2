"""The ends of subscriptions and of their connections: restarts of the sidecar, close, forks, the end of a program."""

import gc
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from gossipreg import Event, Refused
from gossipreg.client.registry import Registry
from tests.client.events.event_sidecar import BOUND_S, EventSidecar
from tests.client.programs import run_program


def take(queue: "SimpleQueue[Any]") -> Any:
    return queue.get(timeout=BOUND_S)


class Gate:
    """A handler that stands still until a test lets it go; one event after the other."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[Event] = SimpleQueue()
        self._go: SimpleQueue[None] = SimpleQueue()

    def __call__(self, event: Event) -> None:
        self.begun.put(event)
        self._go.get(timeout=BOUND_S)

    def let_go(self) -> None:
        self._go.put(None)


# -- the sidecar comes back --------------------------------------------------------------------------------------------


def test_a_restarted_sidecar_is_subscribed_to_again(events: EventSidecar, registry: Registry) -> None:
    handled: SimpleQueue[Event] = SimpleQueue()
    with registry.subscribe("order.*", "stock", handled.put) as subscription:
        events.deliver("e1")
        assert take(handled).id == "e1"
        events.end()
        events.start()
        events.deliver("e2", index=2)
        assert take(handled).id == "e2"
        assert subscription.stats()["losses"] == 1
    assert len(events.params("subscribe")) == 2


def test_what_ends_after_its_connection_is_not_acknowledged(events: EventSidecar, registry: Registry) -> None:
    gate = Gate()
    with registry.subscribe("order.*", "stock", gate, threads=2):
        events.deliver("e1", delivery=7)
        take(gate.begun)
        events.drop()
        events.wait_for("subscribe", 2)
        events.deliver("e2", index=2, delivery=8)
        take(gate.begun)
        gate.let_go()
        gate.let_go()
        assert events.settled(1) == [("ack", 8)]
    assert events.settled(1) == [("ack", 8)]


def test_the_same_event_joins_the_handler_that_runs(events: EventSidecar, registry: Registry) -> None:
    """Delivered again over another connection: it is not handled twice, and acknowledged once its handler ends."""
    gate = Gate()
    with registry.subscribe("order.*", "stock", gate, threads=2):
        events.deliver("e1", delivery=7)
        take(gate.begun)
        events.drop()
        events.wait_for("subscribe", 2)
        events.deliver("e1", attempt=2, delivery=8)
        events.deliver("e2", index=2, delivery=9)
        assert take(gate.begun).id == "e2", "the other one of the two threads is free"
        gate.let_go()
        gate.let_go()
        assert sorted(events.settled(2)) == [("ack", 8), ("ack", 9)]
        assert gate.begun.empty()


def test_the_same_event_runs_again_if_its_handler_failed(events: EventSidecar, registry: Registry) -> None:
    gate, fails = Gate(), [True]

    def handler(event: Event) -> None:
        gate(event)
        if fails.pop():
            raise ValueError("oops")

    with registry.subscribe("order.*", "stock", handler, threads=2):
        events.deliver("e1", delivery=7)
        take(gate.begun)
        events.drop()
        events.wait_for("subscribe", 2)
        events.deliver("e1", attempt=2, delivery=8)
        fails.insert(0, False)
        gate.let_go()
        assert take(gate.begun).attempt == 2
        gate.let_go()
        assert events.settled(1) == [("ack", 8)]


def test_the_next_of_a_key_waits_across_connections(events: EventSidecar, registry: Registry) -> None:
    gate = Gate()
    key = {"partitionkey": "k"}
    with registry.subscribe("order.*", "stock", gate, threads=4):
        events.deliver("e1", delivery=7, extensions=key)
        take(gate.begun)
        events.drop()
        events.wait_for("subscribe", 2)
        events.deliver("e2", index=2, delivery=8, extensions=key)
        events.deliver("other", index=3, delivery=9, extensions={"partitionkey": "another"})
        assert take(gate.begun).id == "other"
        gate.let_go()
        gate.let_go()
        assert take(gate.begun).id == "e2", "once e1 has ended"
        gate.let_go()
        assert sorted(events.settled(2)) == [("ack", 8), ("ack", 9)]


def test_queued_events_of_a_lost_connection_are_forgotten(events: EventSidecar, registry: Registry) -> None:
    """The sidecar delivers them again; those that nobody began must not be handled twice."""
    gate = Gate()
    with registry.subscribe("order.*", "stock", gate, threads=1):
        events.deliver("e1", delivery=7)
        take(gate.begun)
        events.deliver("e2", index=2, delivery=8)
        events.drop()
        events.wait_for("subscribe", 2)
        events.deliver("e2", index=2, attempt=2, delivery=9)
        gate.let_go()
        assert (take(gate.begun).attempt, events.settled(0)) == (2, [])
        gate.let_go()
        assert events.settled(1) == [("ack", 9)]


# -- close -------------------------------------------------------------------------------------------------------------


def test_close_waits_for_handlers_and_gives_the_rest_back(events: EventSidecar, registry: Registry) -> None:
    gate = Gate()
    subscription = registry.subscribe("order.*", "stock", gate, threads=1)
    first, second = events.deliver("e1"), events.deliver("e2", index=2)
    take(gate.begun)
    late: list[int] = []
    events.on_unsubscribe = lambda: late.append(events.deliver("e3", index=3))  # none comes after the answer
    closing = threading.Thread(target=subscription.close, args=(BOUND_S,))
    closing.start()
    assert events.wait_for("give_back")[0] == {"delivery": [second]}
    assert events.params("unsubscribe") == [{"subscription": 1}]
    assert events.wait_for("give_back", 2)[1] == {"delivery": late}
    assert closing.is_alive()
    gate.let_go()
    closing.join(BOUND_S)
    assert events.settled(3)[2] == ("ack", first)
    assert gate.begun.empty()


def test_close_takes_in_what_came_before_the_sidecar_knew(events: EventSidecar, registry: Registry) -> None:
    """The event is on its way when the subscription ends: no handler has begun it, so it is no attempt of anybody."""
    subscription = registry.subscribe("order.*", "stock", print)
    events.on_unsubscribe = lambda: events.deliver("e1")
    subscription.close(BOUND_S)
    [(method, number)] = events.settled(1)
    assert (method, number) == ("give_back", 1)


def test_a_sidecar_that_is_silent_holds_up_close_for_a_second(events: EventSidecar, registry: Registry) -> None:
    subscription = registry.subscribe("order.*", "stock", print)
    events.silent = True
    subscription.close(0.0)
    assert subscription.wait(BOUND_S)


def test_a_handler_that_outlives_close_is_given_back(events: EventSidecar, registry: Registry) -> None:
    gate = Gate()
    subscription = registry.subscribe("order.*", "stock", gate)
    number = events.deliver("e1")
    event = take(gate.begun)
    subscription.close(0.05)
    [params] = events.wait_for("retry")
    assert params == {"delivery": number, "reason": "the program ended while it was handled"}
    gate.let_go()
    event.ack()


def test_a_handler_may_close_its_subscription_and_registry(events: EventSidecar, registry: Registry) -> None:
    closed: SimpleQueue[Event] = SimpleQueue()

    def handler(event: Event) -> None:
        subscription.close()
        registry.close()
        closed.put(event)

    subscription = registry.subscribe("order.*", "stock", handler)
    number = events.deliver("e1")
    take(closed)
    assert subscription.wait(BOUND_S)
    assert events.settled(1) == [("ack", number)]


def test_a_registry_that_closes_ends_its_subscriptions(events: EventSidecar, registry: Registry) -> None:
    subscription = registry.subscribe("order.*", "stock", print)
    found = registry.events("order.*", "mail")
    events.deliver("e1")
    event = next(found)
    registry.close()
    assert subscription.wait(0)
    assert list(found) == []
    assert [method for method, _ in events.settled(1)] == ["retry"], "it was given out, and not settled"
    event.ack()
    with pytest.raises(Refused, match="closed"):
        registry.subscribe("order.*", "stock", print)
    assert not [thread for thread in threading.enumerate() if thread.name == "gossipreg events"]


def test_closing_without_a_sidecar_does_not_wait(events: EventSidecar, registry: Registry) -> None:
    subscription = registry.subscribe("order.*", "stock", print)
    events.end()
    subscription.close(BOUND_S)
    assert subscription.wait(0)


# -- iterators ---------------------------------------------------------------------------------------------------------


def test_an_iterator_gives_events_until_it_is_closed(events: EventSidecar, registry: Registry) -> None:
    found = registry.events("order.*", "stock")
    numbers = [events.deliver(f"e{index}", index=index) for index in range(3)]
    for event in found:
        if event.index < 2:
            event.ack()
            continue
        with pytest.raises(ValueError, match="oops"), event:
            raise ValueError("oops")
        break
    assert set(events.settled(3)) == {("ack", numbers[0]), ("ack", numbers[1]), ("retry", numbers[2])}
    assert found.next_within(0.01) is None
    found.close()
    assert list(found) == []


def test_a_forgotten_iterator_gives_its_events_back(events: EventSidecar, registry: Registry) -> None:
    deliver = threading.Thread(target=lambda: [events.deliver("e1"), events.deliver("e2", index=2)])
    deliver.start()
    for event in registry.events("order.*", "stock"):
        event.ack()
        break
    deliver.join(BOUND_S)
    gc.collect()
    assert sorted(method for method, _ in events.settled(2)) == ["ack", "give_back"]


def test_a_closed_iterator_wakes_those_that_wait(events: EventSidecar, registry: Registry) -> None:
    found = registry.events("order.*", "stock")
    ended: SimpleQueue[list[Event]] = SimpleQueue()
    threads = [threading.Thread(target=lambda: ended.put(list(found))) for _ in range(3)]
    for thread in threads:
        thread.start()
    found.close()
    assert [take(ended) for _ in threads] == [[], [], []]
    for thread in threads:
        thread.join(BOUND_S)
    assert events.settled(0) == []


# -- forks, and the end of a program -----------------------------------------------------------------------------------


def test_a_subscription_is_not_inherited_and_publish_works(events: EventSidecar) -> None:
    run_program(
        "from gossipreg import Forked\n"
        "handled = threading.Event()\n"
        "subscription = registry.subscribe('order.*', 'stock', lambda event: handled.set())\n"
        "found = registry.events('order.*', 'mail')\n"
        "registry.publish('a.b', id='parent')\n"
        "def work():\n"
        "    for use in (subscription.close, subscription.wait, lambda: next(found), found.close):\n"
        "        try: use()\n"
        "        except Forked as error: assert str(os.getpid()) in str(error)\n"
        "        else: raise AssertionError('no error')\n"
        "    assert 'another process' in repr(subscription)\n"
        "    assert not any('socket' in name or 'pipe' in name for name in descriptors() - before), descriptors()\n"
        "    registry.publish('a.b', id='child')\n"
        "    registry.close()\n"
        "before = {os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)}\n"
        "assert ended_well(child(work))\n"
        "registry.publish('order.created', id='last')\n"
        "subscription.close(); found.close()\n"
        "assert subscription.stats()['losses'] == 0\n",
        events.path,
    )
    assert [params["id"] for params in events.params("publish")] == ["parent", "child", "last"]
    assert len(events.params("subscribe")) == 2


def test_handlers_end_before_the_program_does(events: EventSidecar) -> None:
    deliver = threading.Thread(target=lambda: [events.deliver("e1"), events.deliver("e2", index=2)])
    deliver.start()
    run_program(
        "begun = threading.Event()\n"
        "def handler(event):\n"
        "    begun.set(); time.sleep(0.3); print(event.id)\n"
        "registry.subscribe('order.*', 'stock', handler, threads=1)\n"
        "assert begun.wait(30)\n",
        events.path,
    )
    deliver.join(BOUND_S)
    assert sorted(method for method, _ in events.settled(2)) == ["ack", "give_back"]


def test_a_handler_that_hangs_does_not_keep_the_program(events: EventSidecar) -> None:
    deliver = threading.Thread(target=events.deliver, args=("e1",))
    deliver.start()
    out = run_program(
        "import gossipreg.client.events.running as running, logging\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "running.EXIT_S = 0.2\n"
        "begun = threading.Event()\n"
        "def handler(event):\n"
        "    begun.set(); threading.Event().wait()\n"
        "registry.subscribe('order.*', 'stock', handler)\n"
        "assert begun.wait(30)\n",
        events.path,
    )
    deliver.join(BOUND_S)
    assert "1 handlers of order.* (group stock) did not end within 0.2 s" in out
    assert [method for method, _ in events.settled(1)] == ["retry"]


def test_a_program_that_closed_all_descriptors_subscribes_again(events: EventSidecar) -> None:
    handled = threading.Thread(target=lambda: events.wait_for("subscribe", 2) and events.deliver("e1"))
    handled.start()
    run_program(
        "handled = threading.Event()\n"
        "registry.subscribe('order.*', 'stock', lambda event: handled.set())\n"
        "logging = __import__('logging'); logging.disable()\n"
        "os.closerange(3, 256)\n"
        "assert handled.wait(30)\n"
        "os._exit(0)\n",
        events.path,
    )
    handled.join(BOUND_S)
