"""What is known of a command, whatever its participant does: sent or not, answered or not."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from gossipreg.daemon.sagas import command_sender
from gossipreg.daemon.sagas.command_sender import CommandSender
from gossipreg.daemon.sagas.secrets_folder import SecretsFolder
from gossipreg.model import CatalogInstance, Health, NodeId, RegisteredService
from gossipreg.sagas.saga_effects import CommandDone, SendCommand
from gossipreg.sagas.saga_model import MAX_RESULT_BYTES, SagaCommand
from scripts.tools.programs import free_port
from scripts.tools.wait import BOUND_S

Serve = Callable[[trio.SocketStream], Awaitable[None]]
Place = tuple[str, int]


class Catalog:
    """Instances of one service."""

    def __init__(self, *places: Place, weights: tuple[int, ...] = ()) -> None:
        self.found = [
            CatalogInstance(
                RegisteredService(f"stock-{number}", "stock", *place, weight=dict(enumerate(weights)).get(number, 1)),
                Health.PASSING, NodeId(bytes(16)), "n", "", 0, 0,
            )
            for number, place in enumerate(places)
        ]  # fmt: skip

    def lookup(self, name: str, *, all: bool = False) -> list[CatalogInstance]:
        found = self.found if name == "stock" else []
        return [one for one in found if all or one.health is Health.PASSING]


OPEN: list[CommandSender] = []


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


class Sending:
    def __init__(self, *places: Place, secrets: str | None = None, weights: tuple[int, ...] = ()) -> None:
        self.told: list[tuple[str, ...]] = []
        view: Any = SimpleNamespace(catalog=Catalog(*places, weights=weights), synced=True)
        self.sender = CommandSender(
            view, SecretsFolder(secrets), Random(7), missing=lambda *said: self.told.append(said),
            found=lambda name: self.told.append((name,)),
        )  # fmt: skip
        OPEN.append(self.sender)

    async def send(
        self, *, timeout_s: float = BOUND_S, avoid: tuple[str, ...] = (), service: str = "stock", **command: Any
    ) -> CommandDone:  # fmt: skip
        one = SagaCommand(service, command.pop("method", "PUT"), command.pop("path", "/a"), **command)
        sent = SendCommand(9, one, (("idempotency-key", "j.s/reserve"),), timeout_s, avoid)
        with trio.fail_after(BOUND_S):
            done = await self.sender.send(sent)
        assert done.number == 9
        assert self.sender.running == 0
        return done


@pytest.fixture
async def participant(nursery: trio.Nursery) -> Callable[[Serve], Awaitable[Place]]:
    async def begin(serve: Serve) -> Place:
        async def one(stream: trio.SocketStream) -> None:
            async with stream:
                await serve(stream)

        listeners = await nursery.start(
            lambda task_status: trio.serve_tcp(one, 0, host="127.0.0.1", task_status=task_status)
        )
        return "127.0.0.1", listeners[0].socket.getsockname()[1]

    return begin


def answering(data: bytes, seen: list[bytes] | None = None) -> Serve:
    async def serve(stream: trio.SocketStream) -> None:
        while request := await stream.receive_some(65536):
            if seen is not None:
                seen.append(request)
            with suppress(trio.BrokenResourceError):  # the client has read enough
                await stream.send_all(data)

    return serve


Participant = Callable[[Serve], Awaitable[Place]]


async def test_answer_is_reported_with_all_that_decides(participant: Participant) -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 503 Busy\r\nContent-Type: text/plain\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nhi"
    place = await participant(answering(answer, seen))
    done = await Sending(place).send(headers=(("content-type", "application/json"),), body=b"{}")
    assert done == CommandDone(9, True, 503, b"hi", False, "text/plain", 7.0, f"127.0.0.1:{place[1]}", "status 503")
    assert seen[0].startswith(b"PUT /a HTTP/1.1\r\n")
    assert b"\r\nidempotency-key: j.s/reserve\r\n" in seen[0].lower()
    assert seen[0].endswith(b"\r\n\r\n{}")


async def test_redirect_is_not_followed(participant: Participant) -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    done = await Sending(await participant(answering(answer, seen))).send()
    assert (done.sent, done.status, len(seen)) == (True, 307, 1)
    assert done.text == "status 307, and no redirect is followed"


async def test_long_answer_is_cut_and_is_an_answer(participant: Participant) -> None:
    size = 10 * MAX_RESULT_BYTES
    place = await participant(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size))
    sending = Sending(place)
    for _ in range(2):  # the connection of the first is not used again
        done = await sending.send()
        assert (done.status, len(done.body), done.cut, done.text) == (200, MAX_RESULT_BYTES, True, "")


async def test_refused_connection_is_not_sent(participant: Participant) -> None:
    del participant
    place = ("127.0.0.1", free_port())
    done = await Sending(place).send()
    assert (done.sent, done.status, done.instance) == (False, 0, f"127.0.0.1:{place[1]}")
    assert "takes no connection: Connection refused" in done.text


async def test_connection_that_is_never_taken_is_not_sent(
    participant: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    del participant

    async def never(host: str, port: int) -> None:
        del host, port
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", never)
    done = await Sending(("10.255.255.1", 80)).send(timeout_s=1.0)
    assert (done.sent, done.status) == (False, 0)
    assert re.search(r"takes no connection within (0\.\d+|1) s", done.text), done.text


async def test_request_without_an_answer_was_maybe_carried_out(participant: Participant) -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await trio.sleep_forever()

    done = await Sending(await participant(silent)).send(timeout_s=0.2)
    assert (done.sent, done.status, done.text) == (True, 0, "no answer within 0.2 s")


async def test_connection_that_breaks_was_maybe_carried_out(participant: Participant) -> None:
    async def breaks(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)

    done = await Sending(await participant(breaks)).send()
    assert (done.sent, done.status) == (True, 0)


async def test_kept_connection_that_ends_is_not_tried_anew(participant: Participant) -> None:
    requests: list[bytes] = []

    async def once(stream: trio.SocketStream) -> None:
        requests.append(await stream.receive_some(65536))
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        requests.append(await stream.receive_some(65536))

    sending = Sending(await participant(once))
    assert (await sending.send()).status == 200
    done = await sending.send()
    assert (done.sent, done.status, len(requests)) == (True, 0, 2)


async def test_service_without_a_passing_instance_is_not_sent() -> None:
    assert (await Sending().send()).text == "no instance of stock is registered: register one, or check its name"
    sending = Sending(("127.0.0.1", 1))
    sending.sender._view.catalog.found[0] = CatalogInstance(  # type: ignore[attr-defined]
        RegisteredService("a", "stock", "127.0.0.1", 1), Health.CRITICAL, NodeId(bytes(16)), "n", "", 0, 0
    )
    done = await sending.send()
    assert (done.sent, done.text) == (False, "none of the 1 instances of stock passes its checks")


async def test_instances_that_failed_are_asked_last(participant: Participant) -> None:
    good = await participant(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    sending = Sending(good, ("127.0.0.1", 1), weights=(1, 65535))
    assert (await sending.send(avoid=("127.0.0.1:1",))).instance == f"127.0.0.1:{good[1]}"
    done = await sending.send(avoid=("127.0.0.1:1", f"127.0.0.1:{good[1]}"))
    assert done.instance == "127.0.0.1:1", "all were tried: the weights decide"


async def test_instance_of_weight_zero_is_asked_where_all_are(participant: Participant) -> None:
    good = await participant(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    assert (await Sending(good, weights=(0,)).send()).status == 200
    assert (await Sending(good, ("127.0.0.1", 1), weights=(1, 0)).send()).status == 200


async def test_secret_is_sent_and_found(participant: Participant, tmp_path: Path) -> None:
    seen: list[bytes] = []
    place = await participant(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seen))
    (tmp_path / "token").write_text("s\u00e9cret\n")
    (tmp_path / "token").chmod(0o600)
    sending = Sending(place, secrets=str(tmp_path))
    headers = (("authorization", "Bearer secret:token"),)
    assert (await sending.send(headers=headers)).status == 200
    assert "authorization: Bearer s\u00e9cret\r\n".encode() in seen[0]
    assert sending.told == [("token",)]


async def test_missing_secret_is_reported_and_nothing_is_sent(participant: Participant, tmp_path: Path) -> None:
    seen: list[bytes] = []
    place = await participant(answering(b"", seen))
    sending = Sending(place, secrets=str(tmp_path))
    done = await sending.send(headers=(("authorization", "secret:token"),))
    assert (done.sent, seen) == (False, [])
    [(name, message)] = sending.told
    assert (name, message) == ("token", done.text)


async def test_secrets_on_a_hung_disk_end_with_the_time_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(self: SecretsFolder, headers: object) -> None:
        del self, headers
        trio.from_thread.run(trio.sleep_forever)

    monkeypatch.setattr(SecretsFolder, "filled_in", hangs)
    done = await Sending(("127.0.0.1", 1)).send(headers=(("a", "secret:token"),), timeout_s=0.1)
    assert (done.sent, done.text) == (False, "its secrets were not read within 0.1 s")


async def test_request_that_http_cannot_carry_is_not_sent(participant: Participant) -> None:
    seen: list[bytes] = []
    place = await participant(answering(b"", seen))
    done = await Sending(place).send(headers=(("a b", "c"),))
    assert (done.sent, seen) == (False, [])
    assert "no form in HTTP/1.1" in done.text


async def test_more_commands_than_may_run_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_sender, "COMMANDS_MAX", 0)
    done = await Sending(("127.0.0.1", 1)).send()
    assert (done.sent, done.text) == (False, "0 commands of sagas run at this sidecar already")
