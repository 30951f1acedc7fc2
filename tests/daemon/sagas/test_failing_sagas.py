"""A failure inside the sagas is a line of the log, and the sidecar goes on."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from msgpack import packb, unpackb

from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.sagas import local_sagas
from gossipreg.daemon.sagas.local_sagas import LocalSagas
from gossipreg.daemon.streams.inbox import StreamClosed
from gossipreg.errors import NoDataDirectory, NotSynced, RequestError, Unavailable
from gossipreg.journal.effects import Resumed
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import CommandDone, SagaCallAnswered, SagaEffect, SendCommand
from gossipreg.sagas.saga_model import SagaCommand
from gossipreg.sagas.sagas import Sagas

ANY: Any = SimpleNamespace()
CLIENT: Any = SimpleNamespace(hung_up=trio.sleep_forever, closed=trio.sleep_forever)


class Sender:
    running = 0

    def close(self) -> None: ...

    async def send(self, sent: SendCommand) -> CommandDone:
        await trio.lowlevel.checkpoint()
        return CommandDone(sent.number, True, 200, b"", False, "", 0.0, "", "")


async def test_an_answer_that_fails_inside_ends_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    bugs: list[str] = []
    both = trio.Event()

    def fail(_: Sagas, answer: CommandDone, _now: float) -> list[SagaEffect]:
        done.append(answer.number)
        if len(done) == 2:
            both.set()
        raise KeyError("as the test wants")

    commands = [SendCommand(number, SagaCommand("a", "PUT", "/"), (), 1.0, ()) for number in (1, 2)]
    monkeypatch.setattr(local_sagas, "_load_sender", lambda: lambda *_, **__: Sender())
    monkeypatch.setattr(Sagas, "on_journal", lambda *_: commands)
    monkeypatch.setattr(Sagas, "command_done", fail)
    node = SimpleNamespace(id=NodeId(b"n" * 16), name=lambda _: "n")
    pump: Any = SimpleNamespace(now=lambda: 7.0, bug=lambda where, _: bugs.append(where))
    sagas = LocalSagas(node, pump, ANY, ANY, rights=ANY, audit=ANY, secrets=None, methods={})  # type: ignore[arg-type]
    share: Any = SimpleNamespace(runtime=SimpleNamespace(journals=None))
    sagas.begin(share, SimpleNamespace(leader=lambda _: None))
    async with trio.open_nursery() as nursery:
        await nursery.start(sagas.run)
        sagas.on_journal(Resumed(JournalId(b"j" * 16), NO_BALLOT))
        with trio.fail_after(60):
            await both.wait()
        nursery.cancel_scope.cancel()
    assert (sorted(done), bugs) == ([1, 2], ["saga_command_done"] * 2)


@pytest.mark.parametrize(("method", "named"), [("run", True), ("begin", True), ("show", False)])
async def test_a_saga_that_does_not_begin_names_the_disk_that_fails(
    monkeypatch: pytest.MonkeyPatch, method: str, named: bool
) -> None:
    answered = SagaCallAnswered(7, "unavailable", packb({"text": "nobody leads the journal"}))
    monkeypatch.setattr(Sagas, "call", lambda *_: (7, [answered]))
    sagas = sagas_over(SimpleNamespace(journals=None, disk=ANY, disk_hint=lambda: "; the disk of this sidecar fails"))
    with trio.fail_after(60):
        answer = await sagas.ask(method, {}, SimpleNamespace(hung_up=trio.sleep_forever))  # type: ignore[arg-type]
    told = "nobody leads the journal" + "; the disk of this sidecar fails" * named
    assert (answer.code, answer.fields["text"]) == ("unavailable", told)
    assert unpackb(answer.result) == answer.fields


def sagas_over(runtime: Any) -> LocalSagas:
    node = SimpleNamespace(id=NodeId(b"n" * 16), name=lambda _: "n")
    pump: Any = SimpleNamespace(now=lambda: 7.0, bug=lambda *_: None)
    sagas = LocalSagas(node, pump, ANY, ANY, rights=ANY, audit=ANY, secrets=None, methods={})  # type: ignore[arg-type]
    sagas.begin(SimpleNamespace(runtime=runtime), SimpleNamespace(leader=lambda _: None))  # type: ignore[arg-type]
    return sagas


async def test_a_sidecar_without_a_disk_names_no_journal() -> None:
    with pytest.raises(NoDataDirectory, match="start it with --data-dir"):
        await sagas_over(SimpleNamespace(journals=None, disk=None)).own_journal(CLIENT)


@pytest.mark.parametrize(("code", "error"), [("unavailable", Unavailable), ("not_synced", NotSynced)])
async def test_a_journal_that_cannot_be_opened_names_the_disk_that_fails(code: str, error: type[RequestError]) -> None:
    def refuse() -> None:
        raise ProposalRefused(code, "not yet")

    needed: list[bool] = []
    runtime = SimpleNamespace(
        journals=None, disk=ANY, need_disk=lambda: needed.append(True), own=SimpleNamespace(open=refuse),
        disk_hint=lambda: "; the disk of this sidecar fails",
    )  # fmt: skip
    with pytest.raises(error, match=r"^not yet; the disk of this sidecar fails$"):
        await sagas_over(runtime).own_journal(CLIENT)
    assert needed == [True]


@pytest.mark.parametrize("said", ["", "not_found"])
async def test_own_journal_is_named_once_a_leader_answers(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """It was named before it was on the disk. After a crash no journal of this name was there, and what names it waited
    for ever."""
    journal, asked, named = JournalId(b"j" * 16), list[Any](), list[JournalId]()

    def call(_: Sagas, *call: Any) -> tuple[int, list[SagaEffect]]:
        asked.append(call)
        return 7, []

    async def name() -> None:
        named.append(await sagas.own_journal(CLIENT))

    monkeypatch.setattr(Sagas, "call", call)
    sagas = sagas_over(opened(journal))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(name)
            await trio.testing.wait_all_tasks_blocked()
            assert not named
            monkeypatch.setattr(Sagas, "closed", lambda *_: [SagaCallAnswered(7, said, packb({}))])
            sagas.on_stream(StreamClosed(NodeId(b"m" * 16), "as the test wants"))
    assert named == [journal]
    assert asked == [("show", {"saga": f"{journal.hex()}.-"}, 7.0, None)]


async def test_own_journal_that_nobody_leads_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = SagaCallAnswered(7, "unavailable", packb({"text": "nobody leads the journal"}))
    monkeypatch.setattr(Sagas, "call", lambda *_: (7, [answered]))
    with pytest.raises(Unavailable, match=r"^nobody leads the journal; the disk of this sidecar fails$"):
        await sagas_over(opened(JournalId(b"j" * 16))).own_journal(CLIENT)


def opened(journal: JournalId) -> Any:
    return SimpleNamespace(
        journals=None, disk=ANY, need_disk=lambda: None, own=SimpleNamespace(open=lambda: journal),
        disk_hint=lambda: "; the disk of this sidecar fails",
    )  # fmt: skip


@pytest.mark.parametrize("fails", [True, False, None])
def test_a_disk_that_fails_is_named_and_no_other(fails: bool | None) -> None:
    runtime: Any = SimpleNamespace(disk=None if fails is None else SimpleNamespace(fails=fails))
    hint = JournalRuntime.disk_hint(runtime)
    assert bool(hint) == bool(fails)
    assert "gossipreg info" in hint or not fails
