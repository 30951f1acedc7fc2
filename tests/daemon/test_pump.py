"""The pump around a node that only notes what it is told, in virtual time on the network in memory."""

import errno
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from math import inf

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.core.effects import Changed, Departed, Effect, Event, MembersChanged, Send, Stop
from gossipreg.daemon.logs import Log
from gossipreg.daemon.pump import TURN_S, Pump
from gossipreg.daemon.udp import BATCH
from gossipreg.errors import NotFound
from gossipreg.model import Address, CatalogInstance, Change, ChangeKind, Health, NodeId, RegisteredService
from tests.daemon.memory_network import MemoryNetwork, MemoryTransport

STALL_S = 0.1
ID = NodeId(bytes(16))
CHANGE = Change(
    ChangeKind.ADDED,
    CatalogInstance(RegisteredService("web", "web", "10.0.0.9", 80), Health.PASSING, ID, "n", "", 1, 1),
)


class NotingNode:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.deadline = inf
        self.period_s = inf
        self.answers: dict[bytes, list[Effect]] = {}
        self.bugs: set[str] = set()
        self.takes_s = 0.0
        """How long it takes for a datagram, on the pump's clock."""
        self.taken: list[list[Effect]] = []
        """The answers to the datagrams that it took, and whose effects were not asked for yet."""
        self.finished: list[tuple[int, float]] = []
        """When it was asked for them, and of how many datagrams; not counted where it advanced."""
        self.took_s = 0.0

    def take(self, datagram: bytes, source: Address, now: float) -> None:
        self.calls.append(("receive", datagram, source, now))
        self.took_s += self.takes_s
        if "receive" in self.bugs:
            raise ZeroDivisionError("a bug in receive")
        self.taken.append(self.answers.get(datagram, []))

    def finish(self, now: float) -> list[Effect]:
        self.finished.append((len(self.taken), now))
        return self._effects()

    def _effects(self) -> list[Effect]:
        effects = [effect for answer in self.taken for effect in answer]
        self.taken.clear()
        return effects

    def advance(self, now: float) -> list[Effect]:
        self.calls.append(("advance", now))
        if "advance" in self.bugs:
            raise ZeroDivisionError("a bug in advance")
        self.deadline = now + self.period_s
        return self._effects()

    def next_deadline(self) -> float:
        return self.deadline

    def refused(self, address: Address, now: float) -> list[Effect]:
        self.calls.append(("refused", address, now))
        return []

    def too_large(self, address: Address, now: float) -> list[Effect]:
        self.calls.append(("too_large", address, now))
        return []

    def lag(self, seconds: float) -> None:
        self.calls.append(("lag", seconds))

    def of(self, kind: str) -> list[tuple[object, ...]]:
        return [call for call in self.calls if call[0] == kind]


class Bench:
    """One pump, what it passed on, and a peer that speaks to it."""

    def __init__(self, clock: MockClock) -> None:
        self.network = MemoryNetwork()
        self.transport: MemoryTransport = self.network.bind()
        self.peer = self.network.bind()
        self.node = NotingNode()
        self.log = io.StringIO()
        self.changes: list[Change] = []
        self.members: list[NodeId] = []
        self.events: list[Event] = []
        self.pump = Pump(
            self.node, self.transport, Log(stream=self.log), now=lambda: clock.current_time() + self.node.took_s,
            stall_s=STALL_S,
        )  # fmt: skip
        self.pump.changes.follow("changes", self.changes.extend)
        self.pump.members.follow("members", self.members.extend)
        self.pump.events.follow("events", self.events.append)

    def tell(self, datagram: bytes) -> None:
        self.peer.send(datagram, self.transport.address)


@asynccontextmanager
async def running(clock: MockClock) -> AsyncIterator[Bench]:
    bench = Bench(clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.pump.run)
        await trio.testing.wait_all_tasks_blocked()
        yield bench
        nursery.cancel_scope.cancel()


async def test_a_datagram_reaches_the_node_and_its_answer_the_peer(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.answers[b"ping"] = [Send(b"pong", bench.peer.address)]
        bench.tell(b"ping")
        await bench.peer.wait_readable()
        assert bench.peer.receive_nowait() == [(b"pong", bench.transport.address)]
        assert [call[:3] for call in bench.node.calls] == [("receive", b"ping", bench.peer.address)]


async def test_datagrams_of_one_turn_are_answered_together(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        for number in range(3):
            bench.node.answers[b"%d" % number] = [Send(b"pong", bench.peer.address)]
            bench.tell(b"%d" % number)
        await trio.sleep(1)
        assert [number for number, _ in bench.node.finished] == [3]
        assert bench.peer.receive_nowait() == [(b"pong", bench.transport.address)] * 3


async def test_datagrams_of_the_turn_that_advances_are_answered_by_it(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.deadline = trio.current_time()
        bench.node.answers[b"ping"] = [Send(b"pong", bench.peer.address)]
        bench.tell(b"ping")
        await trio.sleep(1)
        assert [call[0] for call in bench.node.calls] == ["lag", "receive", "advance"]
        assert bench.node.finished == []
        assert bench.peer.receive_nowait() == [(b"pong", bench.transport.address)]


async def test_a_turn_that_ends_early_answers_what_it_took(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.takes_s = TURN_S / 4
        for number in range(BATCH):
            bench.tell(number.to_bytes(2, "big"))
        await trio.sleep(1)
        assert [number for number, _ in bench.node.finished] == [4] * (BATCH // 4)


async def test_a_late_pump_answers_each_batch_at_once(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.deadline = trio.current_time() - 2 * STALL_S
        for number in range(3 * BATCH):
            bench.tell(number.to_bytes(2, "big"))
        await trio.sleep(1)
        assert [number for number, _ in bench.node.finished] == [BATCH] * 3


async def test_the_node_advances_at_its_deadline_and_not_before(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        start = trio.current_time()
        bench.node.period_s = 0.5
        bench.pump.order(lambda now: bench.node.advance(now))
        await trio.sleep(1.75)
        assert [call[1] for call in bench.node.of("advance")] == [start + due for due in (0, 0.5, 1, 1.5)]


async def test_an_earlier_deadline_wakes_the_sleeping_pump(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        start = trio.current_time()

        def command(now: float) -> tuple[str, list[Effect]]:
            bench.node.deadline = now + 0.25
            return "done", [Send(b"news", bench.peer.address)]

        assert bench.pump.command(command) == "done"
        await trio.sleep(1)
        assert bench.node.of("advance") == [("advance", start + 0.25)]
        assert bench.peer.receive_nowait() == [(b"news", bench.transport.address)]


async def test_an_error_of_a_request_reaches_its_caller_and_is_no_bug(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:

        def command(_: float) -> tuple[None, list[Effect]]:
            raise NotFound("no such service")

        with pytest.raises(NotFound):
            bench.pump.command(command)
        assert not bench.pump.counts
        assert bench.log.getvalue() == ""


async def test_a_refused_port_is_told_to_the_node(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        nobody = Address("10.0.0.1", 9)
        bench.pump.order(lambda _: [Send(b"anyone?", nobody)])
        await trio.sleep(1)
        assert [call[1] for call in bench.node.of("refused")] == [nobody]


async def test_a_datagram_that_was_too_large_is_told_to_the_node(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        somebody = Address("10.0.0.1", 9)
        bench.pump.order(lambda _: [Send(bytes(70_000), somebody)])
        bench.tell(b"the next turn")
        await trio.sleep(1)
        assert [call[1] for call in bench.node.of("too_large")] == [somebody]


async def test_a_flood_does_not_keep_the_node_from_advancing(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.deadline = trio.current_time() + 0.0001  # when the flood arrives as well
        for number in range(10 * BATCH):
            bench.tell(number.to_bytes(2, "big"))
        await trio.sleep(1)
        assert len(bench.node.of("receive")) == 10 * BATCH
        before_advance = [call[0] for call in bench.node.calls].index("advance")
        assert before_advance <= BATCH + 1  # and the lag


async def test_who_was_late_drains_the_socket_before_it_advances(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.deadline = trio.current_time() - 2 * STALL_S  # as after a stall
        for number in range(3 * BATCH):
            bench.tell(number.to_bytes(2, "big"))
        await trio.sleep(1)
        kinds = [call[0] for call in bench.node.calls]
        assert kinds == ["lag", *["receive"] * (3 * BATCH), "advance"]


async def test_other_tasks_run_while_many_datagrams_wait(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.takes_s = TURN_S / 4
        for number in range(BATCH):
            bench.tell(number.to_bytes(2, "big"))
        autojump_clock.jump(1)
        handed_over: list[int] = []
        for _ in range(BATCH):
            handed_over.append(len(bench.node.calls))
            await trio.lowlevel.checkpoint()
        steps = [after - before for before, after in pairwise(handed_over)]
        assert 0 < max(steps) <= 8  # two turns, since trio runs its tasks in any order
        assert [call[1] for call in bench.node.of("receive")] == [n.to_bytes(2, "big") for n in range(BATCH)]


async def test_the_node_advances_after_the_rest_of_a_batch(autojump_clock: MockClock) -> None:
    """An ack for a probe that is about to time out may be in it."""
    async with running(autojump_clock) as bench:
        bench.node.takes_s = TURN_S / 4
        bench.node.deadline = trio.current_time()
        for number in range(BATCH):
            bench.tell(number.to_bytes(2, "big"))
        await trio.sleep(1)
        kinds = [call[0] for call in bench.node.calls if call[0] != "lag"]
        assert kinds == [*["receive"] * BATCH, "advance"]


async def test_a_late_pump_drains_the_socket_behind_the_rest_of_a_batch(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.takes_s = TURN_S
        for number in range(2 * BATCH):
            bench.tell(number.to_bytes(2, "big"))
        autojump_clock.jump(1)
        for _ in range(BATCH // 2):
            await trio.lowlevel.checkpoint()
        assert 0 < len(bench.node.of("receive")) < BATCH
        bench.node.deadline = bench.pump.now() - 2 * STALL_S
        await trio.sleep(1)
        kinds = [call[0] for call in bench.node.calls if call[0] != "lag"]
        assert kinds == [*["receive"] * (2 * BATCH), "advance"]


async def test_the_measured_lag_is_given_to_the_node(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        start = trio.current_time()
        bench.node.deadline = start - 0.5
        bench.tell(b"wake up")
        await trio.sleep(1)
        [(_, lag_s)] = bench.node.of("lag")
        assert lag_s == pytest.approx(0.5, abs=0.001)
        assert bench.pump.lag_s == lag_s


async def test_a_bug_without_a_descriptor_to_read_with_is_logged(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module that words tracebacks is loaded when it is first used."""

    def none_is_free(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("traceback.format_exception", none_is_free)
    async with running(autojump_clock) as bench:
        bench.node.bugs.add("receive")
        bench.tell(b"x")
        await trio.sleep(0.2)
        [line] = bench.log.getvalue().splitlines()
        assert "error bug where=receive" in line
        assert "ZeroDivisionError at " in line
        bench.node.bugs.clear()


@pytest.mark.parametrize("where", ["receive", "advance"])
async def test_a_bug_is_logged_once_and_the_loop_goes_on(autojump_clock: MockClock, where: str) -> None:
    async with running(autojump_clock) as bench:
        bench.node.bugs.add(where)
        bench.node.deadline = trio.current_time() + 0.01
        for _ in range(5):
            bench.tell(b"x")
            await trio.sleep(0.2)
        assert bench.pump.counts[f"bug.{where}"] >= 4
        [line] = bench.log.getvalue().splitlines()
        assert f"error bug where={where}" in line
        assert "ZeroDivisionError: a bug" in line
        bench.node.bugs.clear()
        bench.node.answers[b"ping"] = [Send(b"pong", bench.peer.address)]
        bench.tell(b"ping")
        await trio.sleep(0.2)
        assert (b"pong", bench.transport.address) in bench.peer.receive_nowait()


async def test_a_node_that_fails_to_advance_is_not_called_in_a_loop(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.bugs.add("advance")
        bench.node.deadline = trio.current_time()
        bench.tell(b"x")
        await trio.sleep(1)
        assert 5 <= len(bench.node.of("advance")) <= 11


async def test_an_effect_that_fails_does_not_cost_the_others(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        bench.node.answers[b"x"] = [Event("broken"), Send(b"pong", bench.peer.address)]

        def event(_: Event) -> None:
            raise ZeroDivisionError

        bench.pump.events.follow("broken", event)
        bench.tell(b"x")
        await trio.sleep(1)
        assert bench.pump.counts == {"bug.broken": 1}
        assert bench.peer.receive_nowait() == [(b"pong", bench.transport.address)]


async def test_changes_events_and_departure_are_passed_on(autojump_clock: MockClock) -> None:
    async with running(autojump_clock) as bench:
        event = Event("member_dead", (("name", "a"),))
        bench.node.answers[b"x"] = [Changed((CHANGE,)), MembersChanged((ID,)), event, Departed()]
        bench.tell(b"x")
        with trio.fail_after(1):
            await bench.pump.departed.wait()
        assert bench.changes == [CHANGE]
        assert bench.members == [ID]
        assert bench.events == [event]


@pytest.mark.parametrize("from_command", [False, True])
async def test_stop_ends_the_run_with_its_message(autojump_clock: MockClock, from_command: bool) -> None:
    bench = Bench(autojump_clock)
    bench.node.answers[b"x"] = [Stop("a duplicate")]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.pump.run)
        await trio.testing.wait_all_tasks_blocked()
        if from_command:
            bench.pump.order(lambda _: [Stop("a duplicate")])
        else:
            bench.tell(b"x")
    assert bench.pump.stopped == "a duplicate"
