"""A client that speaks HTTP/1.1 on the local socket: `POST /rpc/METHOD` with a JSON object of parameters.

The answer is the result as JSON, or {"error": {"code", "message"}} with a fitting status. A `watch`, and every request
that accepts application/x-ndjson, is answered with a stream of lines: {"result": ...} first, then each notification as
{"method", "params"}, until the client closes the connection. A service that is attached lives as long as the
connection, so it is refused without a stream: most clients would close the connection after the answer.

A `watch` whose body is application/x-ndjson is a call for each line, and further lines may come while the stream goes
on: so a client follows more services without opening another stream. So it is with `subscribe`, whose further lines
are {"method", "params"}: what the client says of the events that it gets. Each line is answered with {"result": ...} or
{"refused": {"code", "message"}}, in their order.

Browsers cannot reach a unix socket. For those who forward it to a TCP port, a request with an Origin header is refused:
browsers send one with every POST, other programs do not. The Host header says nothing on a unix socket.

`net/http_framing.py` has the bounds on requests.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from gossipreg.daemon.all_clients import HELD_TOO_MUCH
from gossipreg.daemon.client_calls import ClientCalls
from gossipreg.daemon.json_form import JSON_FORM, JsonForm, json_of
from gossipreg.daemon.request_trace import with_trace
from gossipreg.daemon.socket_client import Params
from gossipreg.errors import BadParams, Busy, Refused
from gossipreg.net.error_status import status_of
from gossipreg.net.http_framing import CONTINUE, Reader, response_bytes
from gossipreg.net.http_message import Head, HttpError, Response, error_response, json_bytes, shown
from gossipreg.wire.json_params import params_of_untrusted

if TYPE_CHECKING:
    from gossipreg.daemon.connection import LocalConnection

LINES = "application/x-ndjson"
STREAMED = ("watch", "subscribe")
"""Methods that are answered with a stream, whatever the client accepts."""
ON_EVENTS = frozenset(("subscribe", "unsubscribe", "ack", "reject", "retry", "renew", "give_back"))
"""Methods of the further lines of a `subscribe`."""
SUBSCRIBE_NEEDS_LINES = (
    "events of a group are acknowledged by further lines of the request, or become dead letters: send Content-Type: "
    "application/x-ndjson and leave the body open, or give broadcast=true instead of the group"
)
BODY_HAS_ENDED = "the body of the request has ended, so no more events can be acknowledged: leave it open"
_PATH = b"/rpc/"
_WITH_LINES = tuple(_PATH + method.encode() for method in STREAMED)


class HttpSpeaker:
    __slots__ = ("_calls", "_chunked", "_connection", "_reader", "_streams", "form")

    def __init__(self, connection: "LocalConnection") -> None:
        self.form: JsonForm = JSON_FORM
        self._connection = connection
        self._calls = ClientCalls(connection.api, connection.client, self)
        self._reader = Reader(connection.caller, _refuse_pages, _has_lines)
        self._streams = False
        self._chunked = True
        connection.outgoing.last_words = self._last_words
        connection.client.notify = self._notify

    @property
    def stays(self) -> bool:
        return self._streams or self._calls.stays

    def end(self) -> None:
        self._calls.end()

    async def run(self, data: bytes) -> None:
        while data:
            self._reader.feed(data)
            if not await self._answer_what_came():
                return
            if not self._connection.hold(self._reader.held_bytes):
                self._respond(error_response(HttpError(503, Busy.code, HELD_TOO_MUCH, close=True)), None)
                return
            data = await self._connection.receive()

    async def _answer_what_came(self) -> bool:
        """Answer the requests that are whole. Returns whether the connection goes on."""
        reader, outgoing = self._reader, self._connection.outgoing
        while not outgoing.ending:
            try:
                found = reader.next_untrusted()
            except HttpError as error:
                self._connection.api.methods.dropped["client_broke_protocol"] += 1
                self._respond(error_response(error), None)
                return False
            if found is not None:
                if not await self._answer(*found):
                    return False
                continue
            if reader.continue_wanted():
                outgoing.push(CONTINUE)
            if not reader.more:
                return True
            await trio.lowlevel.checkpoint()
        return False

    async def _answer(self, head: Head, body: bytes) -> bool:
        """Answer one request. Returns whether the connection goes on."""
        method = ""
        try:
            method = _method_of(head)
            streams = method in STREAMED or LINES in head.text(b"accept").lower()
            params = with_trace(method, params_of_untrusted(body), head)
            if method == "register" and params.get("attach") is True and not streams:
                raise BadParams(f"attach needs a stream, which keeps the connection: send Accept: {LINES}")
            if method == "subscribe" and params.get("broadcast") is not True and not self._reader.in_body:
                raise BadParams(SUBSCRIBE_NEEDS_LINES)
            result = json_of(await self._result(method, params))
        except HttpError as error:
            response = error_response(error)
        except Exception as error:
            fault = self._calls.fault(method, error)
            status = status_of(fault.code) if fault is error else 500
            response = error_response(HttpError(status, fault.code, str(fault)))
        else:
            if streams:
                await self._stream(head, method, result)
                return False
            response = Response(200, result + b"\n")
            self._calls.take_opening()
        if self._reader.in_body:
            response = replace(response, close=True)  # lines follow that nobody takes
        keep = self._respond(response, head)
        self._connection.end_answer()
        if self._connection.ends_turn(len(response.body)):
            await self._connection.let_others()
        return keep

    async def _result(self, method: str, params: Params) -> bytes:
        result = self._calls.call(method, params)
        if isinstance(result, bytes):
            return result
        self._connection.begin_answer()
        return await result

    def _respond(self, response: Response, head: Head | None) -> bool:
        data, keep = response_bytes(response, head)
        self._connection.outgoing.push(data)
        return keep

    # -- streams -------------------------------------------------------------------------------------------------------

    async def _stream(self, head: Head, method: str, result: bytes) -> None:
        """Answer with a stream, until the client is gone. What it sends behind its request is of no interest."""
        self._chunked = head.version == b"1.1"
        ends = "Transfer-Encoding: chunked" if self._chunked else "Connection: close"
        lines = f"HTTP/1.1 200 OK\r\nContent-Type: {LINES}\r\nCache-Control: no-store\r\n{ends}\r\n\r\n"
        self._connection.outgoing.push(lines.encode())
        self._streams = True
        await self._push_answer(b"result", result)
        while await self._answer_lines(method):
            if self._calls.settles and not self._reader.in_body:
                self._connection.outgoing.push(self._last_words(Refused.code, BODY_HAS_ENDED))
                return
            if not (data := await self._connection.receive()):
                return
            if self._reader.in_body:
                self._reader.feed(data)

    async def _answer_lines(self, method: str) -> bool:
        """Answer the further lines of the request that are whole. Returns whether the stream goes on."""
        reader, outgoing = self._reader, self._connection.outgoing
        while reader.in_body and not outgoing.ending:
            try:
                found = reader.next_untrusted()
            except HttpError as error:
                self._connection.api.methods.dropped["client_broke_protocol"] += 1
                outgoing.push(self._last_words(error.code, str(error)))
                return False
            if found is not None:
                if found[1].strip():
                    await self._answer_line(method, found[1])
            elif reader.more:
                await trio.lowlevel.checkpoint()
            elif self._connection.hold(reader.held_bytes):
                break
            else:
                outgoing.push(self._last_words(Busy.code, HELD_TOO_MUCH))
                return False
        return not outgoing.ending

    async def _answer_line(self, method: str, line: bytes) -> None:
        try:
            params = params_of_untrusted(line)
            if method == "subscribe":
                method, params = _line_on_events(params)
            result = json_of(await self._result(method, params))
        except Exception as error:
            fault = self._calls.fault(method, error)
            await self._push_answer(b"refused", json_bytes({"code": fault.code, "message": str(fault)}))
        else:
            await self._push_answer(b"result", result)

    async def _push_answer(self, kind: bytes, value: bytes) -> None:
        self.push(b'{"%s":' % kind, value, b"}\n", *self._calls.take_opening())
        self._connection.end_answer()
        if self._connection.ends_turn(len(value)):
            await self._connection.let_others()

    def push(self, *pieces: bytes) -> None:
        """Write whole lines to the stream. On a connection without a stream they are dropped."""
        if self._streams:
            self._connection.outgoing.push(*self._chunk(pieces))

    def _chunk(self, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return (b"%x\r\n" % sum(map(len, pieces)), *pieces, b"\r\n") if self._chunked else pieces

    def _notify(self, method: str, params: Params) -> None:
        self.push(*JSON_FORM.notification(method, JSON_FORM.body(params)))

    def _last_words(self, code: str, message: str) -> bytes:
        """The last line of a stream, which says why it ends. Between two requests nothing can be said."""
        if not self._streams:
            return b""
        line = json_bytes({"error": {"code": code, "message": message}}) + b"\n"
        return b"".join((*self._chunk((line,)), b"0\r\n\r\n" if self._chunked else b""))


def _refuse_pages(head: Head) -> None:
    if b"origin" in head.headers:
        raise HttpError(403, "refused", "a page in a browser must not ask the sidecar: send no Origin header")


def _has_lines(head: Head) -> bool:
    """Whether each line of the body is a call."""
    return head.target in _WITH_LINES and head.text(b"content-type").lower().startswith(LINES)


def _line_on_events(line: Params) -> tuple[str, Params]:
    """(method, parameters) of a further line of a `subscribe`. Raises BadParams."""
    method, params = line.get("method"), line.get("params", {})
    if method not in ON_EVENTS or type(params) is not dict:
        named = ", ".join(sorted(ON_EVENTS))
        raise BadParams(f'a line of subscribe is {{"method": ..., "params": {{...}}}} with one of {named}')
    return str(method), params


def _method_of(head: Head) -> str:
    """The method that a request calls. Raises HttpError."""
    if head.refused is not None:
        raise head.refused
    path = head.target.partition(b"?")[0]
    if not path.startswith(_PATH) or not path[len(_PATH) :]:
        raise HttpError(404, "unknown_path", f"no path {shown(path.decode('latin-1'))}: POST to /rpc/METHOD")
    if head.method != "POST":
        message = f"{head.method} cannot call a method: send POST, with the parameters as a JSON object"
        raise HttpError(405, "bad_params", message, ("Allow", "POST"))
    if b"?" in head.target:
        raise HttpError(400, "bad_params", "the path has a query: send the parameters as a JSON object in the body")
    return path[len(_PATH) :].decode("latin-1")
