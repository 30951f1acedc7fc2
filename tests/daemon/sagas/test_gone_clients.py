"""A client of sagas that goes away while its call waits: what is not waited for any more, and what is."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from msgpack import packb

from gossipreg.callers import Caller
from gossipreg.daemon.sagas import saga_methods
from gossipreg.daemon.sagas.local_sagas import LocalSagas
from gossipreg.daemon.sagas.saga_answer import SENT_ANYWAY, SagaAnswer
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_calls import METHODS
from gossipreg.sagas.saga_effects import SagaCallAnswered, SagaEffect
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.sagas import Sagas

ANY: Any = SimpleNamespace()
TICKET = 7


class LeavingClient(SocketClient):
    """It hangs up, and closes, when the test says so."""

    def __init__(self) -> None:
        super().__init__(Caller(1000, 5, door="socket"))
        self.half, self.whole = trio.Event(), trio.Event()
        self.hung_up = self.half.wait
        self.closed = self.whole.wait


class Case:
    """A call whose answer comes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.abandoned: list[int] = []
        self.answer = SagaCallAnswered(TICKET, "", packb({"state": "done"}))
        monkeypatch.setattr(Sagas, "call", lambda *_: (TICKET, []))
        monkeypatch.setattr(Sagas, "abandon", self._abandon)
        monkeypatch.setattr(Sagas, "on_journal", lambda *_: [self.answer])
        node: Any = SimpleNamespace(id=NodeId(b"n" * 16), name=lambda _: "n")
        pump: Any = SimpleNamespace(now=lambda: 7.0, bug=lambda where, _: pytest.fail(where))
        self.sagas = LocalSagas(node, pump, ANY, ANY, rights=ANY, audit=ANY, secrets=None, methods={})
        runtime = SimpleNamespace(journals=None, disk=ANY, disk_hint=lambda: "")
        self.sagas.begin(SimpleNamespace(runtime=runtime), SimpleNamespace(leader=lambda _: None))  # type: ignore[arg-type]
        self.client = LeavingClient()

    def _abandon(self, ticket: int, _now: float) -> list[SagaEffect]:
        self.abandoned.append(ticket)
        return []

    async def ask(self, method: str, meanwhile: Callable[[], None]) -> SagaAnswer:
        found: list[SagaAnswer] = []

        async def call() -> None:
            found.append(await self.sagas.ask(method, {}, self.client))

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                meanwhile()
        return found[0]

    def reply(self) -> None:
        self.sagas.on_journal(ANY)


@pytest.mark.parametrize("method", sorted(set(METHODS) - SENT_ANYWAY))
async def test_nothing_is_waited_for_on_behalf_of_a_closed_client(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    case = Case(monkeypatch)

    def close() -> None:
        case.client.half.set()
        case.client.whole.set()

    answer = await case.ask(method, close)
    assert (case.abandoned, answer.code) == ([TICKET], "abandoned")


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_a_client_that_closed_its_side_alone_gets_its_answer(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    case = Case(monkeypatch)
    case.client.half.set()
    answer = await case.ask(method, case.reply)
    assert (case.abandoned, answer.code, answer.fields) == ([], "", {"state": "done"})


@pytest.mark.parametrize("method", sorted(SENT_ANYWAY))
async def test_what_begins_or_decides_needs_no_client(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    case = Case(monkeypatch)
    case.client.half.set()
    case.client.whole.set()
    answer = await case.ask(method, case.reply)
    assert (case.abandoned, answer.code) == ([], "")


async def test_a_call_that_is_cancelled_here_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    with trio.CancelScope() as scope:
        scope.cancel()
        await case.sagas.ask("commit", {}, case.client)
    assert case.abandoned == [TICKET]


async def test_a_saga_that_is_begun_for_a_closed_client_has_lost_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    lost: list[SagaRef] = []

    def note_lost(_: Sagas, sagas: Sequence[SagaRef], _now: float) -> list[SagaEffect]:
        lost.extend(sagas)
        return []

    monkeypatch.setattr(Sagas, "program_here", lambda *_: [])
    monkeypatch.setattr(Sagas, "program_lost", note_lost)
    saga = SagaRef(JournalId(b"j" * 16), "s1")
    begun = {"saga": str(saga), "id": "s1", "state": "running", "copies": 0, "takeover": False}
    case.answer = SagaCallAnswered(TICKET, "", packb(begun))
    case.client.half.set()
    case.client.whole.set()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(saga_methods.begin, case.sagas, {"name": "order"}, case.client)
            await trio.testing.wait_all_tasks_blocked()
            case.reply()
    case.sagas.client_gone(case.client)
    assert lost == [saga]
