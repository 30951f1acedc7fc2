"""The calls of one connection: HTTP/2 events to messages of xDS, and messages to HTTP/2 frames. Without I/O.

A call is asked for its messages when its last ones have left the flow-control window, and not before: a client that
reads slowly has one round of messages waiting for it, and gets the newest state after it. What a bug of ours raises
ends the call with INTERNAL, and no other one.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf

from gossipreg.callers import Caller
from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.grpc_messages import MessageReader, framed
from gossipreg.gateway.xds.server.grpc_request import NoGrpc, call_path_untrusted
from gossipreg.gateway.xds.server.grpc_status import GrpcFault, GrpcStatus, trailers
from gossipreg.gateway.xds.server.http2_connection import (
    STREAMS_MAX,
    ClientEnded,
    ClientLeaves,
    DataCame,
    Headers,
    Http2Connection,
    Http2Stream,
    RequestCame,
    StreamGone,
)
from gossipreg.gateway.xds.server.http2_frames import Http2Fault
from gossipreg.gateway.xds.streams.xds_streams import STREAMS, BadRequest, XdsStream, XdsStreams

BUDGET = 20_000.0
"""What a client may have done at once, in the costs of `http2_connection.py`. A program in Python that calls 1,000
services opens 1,000 calls on one connection, and after a restart of the sidecar asks four things in each."""
BUDGET_A_SECOND = 1_000.0
"""About 1 % of a processor. A client that floods the sidecar is cut off."""
EARNED = 4.0
"""With each message that it is sent: it may ACK it, open its window and ask for more names."""
TURN_MAX_BYTES = 256 * 1024
TURN_CALLS = 32
"""Calls that are asked for messages, and bytes that are sent, before other connections have their turn: 2 ms."""

assert STREAMS_MAX >= STREAMS, (
    "clients wait in silence for a stream beyond STREAMS_MAX; beyond STREAMS they get an error"
)

RESPONSE: Headers = [(b":status", b"200"), (b"content-type", b"application/grpc")]


class ConnectionEnds(Exception):
    """The client has said that it leaves: close the connection."""


class GrpcCall:
    __slots__ = ("at", "live", "out", "part_since", "reader", "stream", "woken", "xds")

    def __init__(self, stream: Http2Stream) -> None:
        self.stream = stream
        self.reader = MessageReader()
        self.part_since = inf
        """Since when its next message has come in part; inf: it has not."""
        self.xds: XdsStream
        self.out = b""
        """The last messages that it was asked for."""
        self.at = 0
        """How much of them has left the flow-control window."""
        self.woken = False
        self.live = True


class GrpcConnection:
    __slots__ = (
        *("_budget", "_bug", "_caller", "_calls", "_counts", "_frame_since", "_http2", "_peer", "_reading", "_ready"),
        *("_blocked", "_streams", "_wake"),
        "held_bytes",
    )

    def __init__(
        self, streams: XdsStreams, peer: str, now: float, *, wake: Callable[[], None], counts: Counter[str],
        bug: Callable[[str, Exception], None], caller: Caller | None = None,
    ) -> None:  # fmt: skip
        """`caller` is the user at the other end of a unix socket. `wake` is called when `output` has something, unless
        it is called from `receive_untrusted`."""
        self._http2 = Http2Connection()
        self._streams = streams
        self._peer = peer
        self._caller = caller
        self._wake = wake
        self._counts = counts
        self._bug = bug
        self._budget = TokenBucket(BUDGET, BUDGET_A_SECOND, now)
        self._calls: dict[int, GrpcCall] = {}
        self._ready: dict[GrpcCall, None] = {}
        """Calls that have something to send, or may have, the next one first."""
        self._blocked: dict[GrpcCall, None] = {}
        """Calls with messages that wait for the client to open a window."""
        self._reading = False
        self._frame_since = inf
        self.held_bytes = 0
        """Bytes of messages that are not whole; those of frames are few."""

    @property
    def opened(self) -> bool:
        """Whether the client has shown that it speaks HTTP/2."""
        return self._http2.opened

    @property
    def calls(self) -> int:
        """The number of open calls."""
        return len(self._calls)

    @property
    def part_since(self) -> float:
        """Since when a frame or a message has come in part only, the oldest; inf: none has."""
        if not self.held_bytes:
            return self._frame_since
        return min(self._frame_since, min(call.part_since for call in self._calls.values()))

    @property
    def more(self) -> bool:
        """Whether `output` has more for another turn."""
        return bool(self._ready) or self._http2.has_out

    @property
    def blocked(self) -> bool:
        """Whether messages wait for the client to open a window."""
        return bool(self._blocked)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of messages that wait for that."""
        return sum(len(call.out) - call.at for calls in (self._blocked, self._ready) for call in calls)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def receive_untrusted(self, data: bytes, now: float) -> None:
        """Raises Http2Fault or ConnectionEnds: then the connection is to be closed."""
        self._reading = True
        try:
            for event in self._http2.events_untrusted(data):
                match event:
                    case DataCame(stream, payload):
                        self._guarded_untrusted(self._calls.get(stream.id), payload, now)
                    case RequestCame(stream, headers):
                        self._begin_untrusted(stream, headers)
                    case ClientEnded(stream):
                        self._finish(self._calls.get(stream.id), GrpcStatus.OK)
                    case StreamGone(stream):
                        self._forget(self._calls.get(stream.id))
                    case ClientLeaves():
                        raise ConnectionEnds
        finally:
            self._reading = False
        if self._blocked and self._http2.windows_grew():
            self._ready |= self._blocked
            self._blocked.clear()
        whole = self._http2.cost > 0
        self._frame_since = inf if not self._http2.held_bytes else now if whole else min(self._frame_since, now)
        self._budget.spend(self._http2.cost, now)
        self._http2.cost = 0
        if self._budget.left(now) < 0:
            raise Http2Fault("xds_flood", frames.ENHANCE_YOUR_CALM, "too many frames in a short time")

    def _begin_untrusted(self, stream: Http2Stream, headers: Headers) -> None:
        self._counts["xds.calls"] += 1
        call = GrpcCall(stream)
        try:
            path = call_path_untrusted(headers)
            call.xds = self._open(path, partial(self._wake_call, call))
        except NoGrpc as error:
            self._drop(call)
            self.count("drop.xds_no_grpc")
            status = b"%d" % error.http_status
            self._http2.send_headers(stream, [(b":status", status), (b"content-type", b"text/plain")])
            self._http2.send_last(stream, str(error).encode())
        except GrpcFault as error:
            self._drop(call)
            if error.reason:
                self.count(f"drop.{error.reason}")
            head = [*RESPONSE, *error.headers, *trailers(error.status, str(error))]
            self._http2.send_headers(stream, head, last=True)
        else:
            self._calls[stream.id] = call
            self._http2.send_headers(stream, RESPONSE)

    def _open(self, path: str, wake: Callable[[], None]) -> XdsStream:
        """Raises GrpcFault."""
        try:
            xds = self._streams.open(path, self._peer, wake, self._caller)
        except BadRequest as error:
            raise GrpcFault(GrpcStatus.RESOURCE_EXHAUSTED, str(error)) from None
        except Exception as error:
            self._bug("xds_open", error)
            raise _of_a_bug() from None
        if xds is None:
            raise GrpcFault(GrpcStatus.UNIMPLEMENTED, f"no method {path}: this is the aggregated discovery service, v3")
        return xds

    def _guarded_untrusted(self, call: GrpcCall | None, payload: bytes, now: float) -> None:
        """The messages in this payload. What is wrong with one ends its call."""
        if call is None:
            return  # of a call that was refused
        held = call.reader.held_bytes
        try:
            messages = call.reader.feed_untrusted(payload)
            call.part_since = inf if not call.reader.held_bytes else now if messages else min(call.part_since, now)
            for message in messages:
                self._counts["xds.requests"] += 1
                call.xds.receive_untrusted(message)
        except BadRequest as error:
            self._refuse(call, GrpcFault(GrpcStatus.INVALID_ARGUMENT, str(error)))
        except GrpcFault as error:
            self._refuse(call, error)
        except Exception as error:
            self._bug("xds_request", error)
            self._refuse(call, _of_a_bug())
        else:
            self.held_bytes += call.reader.held_bytes - held
            return
        self.held_bytes -= held

    def _refuse(self, call: GrpcCall, fault: GrpcFault) -> None:
        if fault.reason:
            self.count(f"drop.{fault.reason}")
        call.reader = MessageReader()
        self._finish(call, fault.status, str(fault))

    # -- what goes -----------------------------------------------------------------------------------------------------

    def output(self, now: float) -> bytes:
        """The bytes to send now, of one turn; see `more`."""
        if self._ready:
            room, served = TURN_MAX_BYTES, 0
            while self._ready and room > 0 and served < TURN_CALLS:
                call = next(iter(self._ready))
                del self._ready[call]
                room -= self._send(call, now)
                served += 1
        return self._http2.take_out()

    def _send(self, call: GrpcCall, now: float) -> int:
        """Returns the number of bytes that left the window."""
        if call.at == len(call.out):
            call.woken = False
            try:
                messages = call.xds.take()
            except BadRequest as error:  # it gave way to others, and may come again
                self._finish(call, GrpcStatus.RESOURCE_EXHAUSTED, str(error))
                return 0
            except Exception as error:
                self._bug("xds_response", error)
                self._finish(call, GrpcStatus.INTERNAL, str(_of_a_bug()))
                return 0
            self._counts["xds.responses"] += len(messages)
            self._budget.spend(-EARNED * len(messages), now)
            call.out, call.at = framed(messages), 0
        before = call.at
        call.at = self._http2.send_data(call.stream, call.out, before)
        sent = call.at - before
        if call.at < len(call.out):
            self._blocked[call] = None
        else:
            call.out, call.at = b"", 0
            if call.woken:
                self._ready[call] = None
        return sent

    def ping(self) -> None:
        self._http2.ping()

    def stop(self, status: GrpcStatus, text: str) -> bytes:
        """End all calls with this status, and the connection; returns the last bytes to send."""
        for call in list(self._calls.values()):
            self._finish(call, status, text)
        self._http2.last_words(frames.NO_ERROR, text)
        return self._http2.take_out()

    def fail(self, fault: Http2Fault) -> bytes:
        """End the connection for this fault; returns the last bytes to send."""
        self.close()
        if fault.answer:
            return fault.answer
        self._http2.last_words(fault.error_code, str(fault))
        return self._http2.take_out()

    def close(self) -> None:
        """The connection is closed: so are its calls."""
        for call in list(self._calls.values()):
            self._forget(call)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _wake_call(self, call: GrpcCall) -> None:
        if not call.live:
            return
        call.woken = True
        if call not in self._blocked and call not in self._ready:
            self._ready[call] = None
            if not self._reading:
                self._wake()

    def _finish(self, call: GrpcCall | None, status: GrpcStatus, text: str = "") -> None:
        if call is not None:
            self._forget(call)
            self._http2.send_headers(call.stream, trailers(status, text), last=True)

    def _forget(self, call: GrpcCall | None) -> None:
        if call is None:
            return
        del self._calls[call.stream.id]
        self._drop(call)
        self.held_bytes -= call.reader.held_bytes
        try:
            call.xds.close()
        except Exception as error:
            self._bug("xds_close", error)

    def _drop(self, call: GrpcCall) -> None:
        call.live = False
        self._ready.pop(call, None)
        self._blocked.pop(call, None)

    def count(self, name: str) -> None:
        self._counts[name] += 1


def _of_a_bug() -> GrpcFault:
    return GrpcFault(GrpcStatus.INTERNAL, "this failed inside the sidecar, and its log says how: please report it")
