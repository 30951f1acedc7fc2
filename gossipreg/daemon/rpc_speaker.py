"""A client that speaks MessagePack-RPC: its requests, answered in their order, and its notifications."""

from typing import TYPE_CHECKING, Any

from gossipreg.daemon.all_clients import HELD_TOO_MUCH
from gossipreg.daemon.client_calls import ClientCalls
from gossipreg.daemon.socket_client import Params
from gossipreg.daemon.watches import RPC_FORM, RpcForm
from gossipreg.errors import Busy, GossipregError, Refused
from gossipreg.wire.rpc import Decoder, encode_error, encode_notification, packed_reply

if TYPE_CHECKING:
    from gossipreg.daemon.connection import LocalConnection


def rpc_last_words(code: str, message: str) -> bytes:
    """The error that answers no request, before the connection ends."""
    return encode_error(None, code, message)


class RpcSpeaker:
    __slots__ = ("_calls", "_connection", "_decoder", "form", "push")

    def __init__(self, connection: "LocalConnection") -> None:
        self.form: RpcForm = RPC_FORM
        self.push = connection.outgoing.push
        self._connection = connection
        self._calls = ClientCalls(connection.api, connection.client, self)
        self._decoder = Decoder()
        connection.client.notify = self._notify

    @property
    def stays(self) -> bool:
        return self._calls.stays

    def end(self) -> None:
        self._calls.end()

    async def run(self, data: bytes) -> None:
        connection, decoder = self._connection, self._decoder
        while data:
            try:
                for message in decoder.feed_untrusted(data):
                    await self._answer(message)
                    if connection.outgoing.ending:
                        return
                if not connection.hold(decoder.held_bytes):
                    raise Busy(HELD_TOO_MUCH)
            except GossipregError as error:
                connection.api.methods.dropped["client_broke_protocol"] += not isinstance(error, Busy)
                self.push(rpc_last_words(error.code, str(error)))
                return
            data = await connection.receive()

    async def _answer(self, message: tuple[Any, ...]) -> None:
        if message[0] != "request":
            raise Refused(f"a message of type {message[0]} is not a request: send requests (type 0) only")
        _, id, method, params = message
        reply = await self._reply(id, method, params)
        self.push(reply)
        if opening := self._calls.take_opening():
            self.push(*opening)
        self._connection.end_answer()
        await self._connection.let_others(len(reply))

    async def _reply(self, id: int, method: str, params: Params) -> bytes:
        """The reply to a request. Never raises."""
        try:
            result = self._calls.call(method, params)
            if not isinstance(result, bytes):
                self._connection.begin_answer()
                result = await result
            return packed_reply(id, result)
        except Exception as error:
            fault = self._calls.fault(method, error)
            return encode_error(id, fault.code, str(fault))

    def _notify(self, method: str, params: Params) -> None:
        self.push(encode_notification(method, params))
