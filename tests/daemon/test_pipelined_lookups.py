"""Questions that a client sends without waiting: their replies are written together, and in their order."""

from typing import Any

import pytest

from gossipreg.daemon.connection import REQUEST_COST_BYTES, TURN_BYTES
from gossipreg.daemon.outgoing import Outgoing
from gossipreg.daemon.socket_client import Params, SocketClient, pack
from gossipreg.wire.rpc import encode_request
from tests.daemon.conftest import Client, Sidecar

LOOKUPS = 3 * TURN_BYTES // REQUEST_COST_BYTES


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pieces of each write to a client."""
    found: list[int] = []
    push = Outgoing.push

    def noted(self: Outgoing, *pieces: bytes) -> None:
        found.append(len(pieces))
        push(self, *pieces)

    monkeypatch.setattr(Outgoing, "push", noted)
    return found


async def send(client: Client, *methods: str) -> None:
    requests = (encode_request(id, method, {"name": "web"}) for id, method in enumerate(methods))
    await client.stream.send_all(b"".join(requests))


async def told(client: Client, number: int) -> list[Any]:
    """The next messages, each by the id that a reply answers, or the method of a notification."""
    return [(await client.next())[1] for _ in range(number)]


async def test_replies_of_a_turn_are_written_together(sidecar: Sidecar, writes: list[int]) -> None:
    client = await sidecar.client()
    await send(client, *LOOKUPS * ["lookup"])
    assert await told(client, LOOKUPS) == [*range(LOOKUPS)]
    assert sum(writes) == LOOKUPS
    assert len(writes) <= 2 * 3 + 2, "for each turn, and for each read of 8 KiB"


async def test_one_question_is_answered_at_once(sidecar: Sidecar, writes: list[int]) -> None:
    client = await sidecar.client()
    for _ in range(3):
        assert await client.call("lookup", name="web") == []
    assert writes == [1, 1, 1]


async def test_notification_comes_behind_the_replies_before_it(sidecar: Sidecar) -> None:
    """As one that a call makes for a watch whose number the client has not read yet."""

    def tells(_params: Params, client: SocketClient) -> bytes:
        client.notify("told", {})
        return pack({})

    async def waits(_params: Params, client: SocketClient) -> bytes:
        return tells(_params, client)

    sidecar.methods.commands |= {"tells": tells, "waits": waits}
    client = await sidecar.client()
    await send(client, "lookup", "lookup", "tells", "lookup", "waits", "watch", "lookup", "nothing", "lookup")
    assert await told(client, 12) == [0, 1, "told", 2, 3, "told", 4, 5, "watch", 6, 7, 8]


async def test_replies_before_bytes_that_are_no_request_arrive(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    lookups = b"".join(encode_request(id, "lookup", {"name": "web"}) for id in range(2))
    await client.stream.send_all(lookups + b"\xc1")
    assert await told(client, 3) == [0, 1, None]


async def test_questions_around_a_change_are_answered_in_order(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    asked: list[tuple[str, Params]] = [
        ("lookup", {"name": "web"}),
        ("register", {"name": "web", "port": 80}),
        ("lookup", {"name": "web"}),
    ]
    await client.stream.send_all(b"".join(encode_request(id, *one) for id, one in enumerate(asked)))
    replies = [await client.next() for _ in asked]
    assert [reply[1] for reply in replies] == [0, 1, 2]
    assert (replies[0][3], len(replies[2][3])) == ([], 1)
