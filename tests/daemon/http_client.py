"""A client that speaks HTTP on the local socket, for tests; h11 reads the answers."""

import json
from typing import Any

import h11
import trio
import trio.testing

from tests.daemon.conftest import GENEROUS_S, Sidecar


class SocketHttp:
    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._answers = h11.Connection(h11.CLIENT)
        self._lines = b""

    async def send(
        self, method: str, params: Any = None, *, verb: str = "POST", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        body = b"" if params is None else json.dumps(params).encode()
        given = [("Host", "sidecar"), ("Content-Length", str(len(body))), *headers]
        await self.stream.send_all(self.begun(verb, f"/rpc/{method}", given) + body)

    def begun(self, verb: str, target: str, headers: list[tuple[str, str]]) -> bytes:
        self.expect_answer()
        return "\r\n".join(
            [f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        ).encode()

    def expect_answer(self) -> None:
        """The next event is the head of an answer; the request itself is written by hand."""
        if self._answers.our_state is h11.DONE:
            self._answers.start_next_cycle()
        self._answers.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
        self._answers.send(h11.EndOfMessage())

    async def event(self) -> Any:
        with trio.fail_after(GENEROUS_S):
            while (event := self._answers.next_event()) is h11.NEED_DATA:
                self._answers.receive_data(bytes(await self.stream.receive_some(65536)))
        return event

    async def head(self) -> int:
        """The status of the next answer."""
        event = await self.event()
        assert isinstance(event, h11.Response), event
        return event.status_code

    async def answer(self) -> tuple[int, Any]:
        """The status and the JSON of the next answer."""
        status, body = await self.head(), b""
        while not isinstance(event := await self.event(), h11.EndOfMessage):
            body += event.data
        return status, json.loads(body)

    async def call(self, method: str, params: Any = None, **more: Any) -> tuple[int, Any]:
        await self.send(method, params, **more)
        return await self.answer()

    async def line(self) -> Any:
        """The next line of a stream. Raises EOFError at its end."""
        while b"\n" not in self._lines:
            event = await self.event()
            if not isinstance(event, h11.Data):
                raise EOFError
            self._lines += bytes(event.data)
        line, _, self._lines = self._lines.partition(b"\n")
        return json.loads(line)


async def http_client(sidecar: Sidecar) -> SocketHttp:
    return SocketHttp((await sidecar.client()).stream)


async def gone(sidecar: Sidecar, connections: int) -> None:
    """Wait until no more than this number of connections is left."""
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.socket.places) > connections:
            await trio.testing.wait_all_tasks_blocked(0.01)
