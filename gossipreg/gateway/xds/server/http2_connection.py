"""One HTTP/2 connection as a server has it: bytes in, events and bytes out. Without I/O, without a clock.

The library h2 has the settings, the headers (HPACK) and the states of streams. DATA, WINDOW_UPDATE and PING are read
and written here, and h2 never sees them: an established stream of xDS has no other frames. A message, its ACK and the
frames around them cost 5 us here, and 40 us with h2; an update of 1,000 clients has to be cheap. h2 is told what it
must know of these frames: that a stream has ended, by an empty DATA frame.

Never knows what a request means. `cost` says how much work a client's frames were, for the budget of the layer above.
"""

from collections.abc import Iterator
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import DenialOfServiceError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings

from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.http2_frames import FRAME_HEAD, HEAD_BYTES, PREFACE, Http2Fault, frame_head
from gossipreg.gateway.xds.server.http2_preface import whole_preface_untrusted
from gossipreg.gateway.xds.server.http2_windows import (
    CONNECTION_WINDOW_BYTES,
    FIRST_WINDOW_BYTES,
    STREAM_WINDOW_BYTES,
    ReceiveWindow,
    SendWindow,
)

STREAMS_MAX = 4_096
"""Open streams of a connection. A program on C-core has one for each name that it calls, all on one connection, and
waits in silence where it would exceed this: so it is no less than the streams of all connections (`xds_streams.py`)."""
CLOSED_STREAMS_KEPT = 256
"""How many closed streams are remembered, so that late frames of them are no error."""
HEADER_LIST_MAX_BYTES = 16 * 1024
"""A request of a gRPC client has about 500."""
HEADER_BLOCK_MAX_BYTES = 2 * frames.FRAME_MAX_BYTES
"""Of a compressed header list, over all its frames."""
SEND_FRAME_MAX_BYTES = 64 * 1024
"""The longest frame that is sent, also to a client that takes longer ones: one stream holds up the others of its
connection no longer."""
COST_FRAME = 1
COST_LIBRARY = 5
"""Of a frame that h2 reads, and 1 for each 64 bytes beyond 512: headers and settings are read one by one."""

Headers = list[tuple[bytes, bytes]]


class Http2Core(H2Connection):
    """h2 with the bounds of this gateway."""

    DEFAULT_MAX_HEADER_LIST_SIZE = HEADER_LIST_MAX_BYTES
    MAX_CLOSED_STREAMS = CLOSED_STREAMS_KEPT


class Http2Stream:
    __slots__ = ("half_closed", "id", "receive", "send")

    def __init__(self, id: int, send_window_bytes: int) -> None:
        self.id = id
        self.send = SendWindow(send_window_bytes)
        self.receive = ReceiveWindow(STREAM_WINDOW_BYTES)
        self.half_closed = False
        """The client sends nothing more on it."""


class RequestCame(NamedTuple):
    stream: Http2Stream
    headers: Headers


class DataCame(NamedTuple):
    stream: Http2Stream
    data: bytes


class ClientEnded(NamedTuple):
    """The client sends no more on this stream, and still reads."""

    stream: Http2Stream


class StreamGone(NamedTuple):
    """The client has reset this stream: nothing more goes either way."""

    stream: Http2Stream


class ClientLeaves(NamedTuple):
    """The client has sent GOAWAY: it closes the connection."""


Http2Event = RequestCame | DataCame | ClientEnded | StreamGone | ClientLeaves


class Http2Connection:
    __slots__ = ("_grew", "_h2", "_header_block", "_out", "_receive", "_rest", "_send", "cost", "opened", "streams")

    def __init__(self) -> None:
        self._h2 = Http2Core(H2Configuration(client_side=False, header_encoding=None))
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_MAX_BYTES,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            },
        )
        self._h2.initiate_connection()
        more = CONNECTION_WINDOW_BYTES - FIRST_WINDOW_BYTES
        self._out = [self._h2.data_to_send(), frames.window_update(0, more)]
        self._rest = b""
        """The beginning of a frame, or of the preface."""
        self._send = SendWindow(FIRST_WINDOW_BYTES)
        self._receive = ReceiveWindow(CONNECTION_WINDOW_BYTES)
        self._header_block = 0
        """Bytes of a header list that is not whole."""
        self._grew = False
        self.opened = False
        """Whether the preface has come."""
        self.streams: dict[int, Http2Stream] = {}
        """Those that are open, at least one way."""
        self.cost = 0
        """Of the frames since this was last set to 0: about 10 us each."""

    @property
    def held_bytes(self) -> int:
        """Bytes of frames and header lists that are not whole."""
        return len(self._rest) + self._header_block

    # -- what comes ----------------------------------------------------------------------------------------------------

    def events_untrusted(self, data: bytes) -> Iterator[Http2Event]:
        """Take in bytes of the client. Each event must be handled before the next one is asked for: a later frame may
        end the stream of an earlier one. Raises Http2Fault: then the connection is at its end, see `last_words`."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self.opened:
            if not whole_preface_untrusted(data) or len(data) < len(PREFACE) + HEAD_BYTES:
                self._rest = data
                return
            self._open_untrusted(data)
            at = len(PREFACE)
        while end - at >= HEAD_BYTES:
            high, low, kind, flags, stream_id = FRAME_HEAD.unpack_from(data, at)
            after = at + HEAD_BYTES + (high << 8 | low)
            if after - at - HEAD_BYTES > frames.FRAME_MAX_BYTES:
                raise Http2Fault("xds_bad_frame", frames.FRAME_SIZE_ERROR, "a frame of more than 16384 bytes")
            if after > end:
                break
            yield from self._frame_untrusted(kind, flags, stream_id & frames.WINDOW_MAX, data[at + HEAD_BYTES : after])
            at = after
        self._rest = data[at:]

    def _open_untrusted(self, data: bytes) -> None:
        if data[len(PREFACE) + 3] != frames.SETTINGS:
            raise Http2Fault("xds_bad_frame", frames.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self._h2.receive_data(PREFACE)
        self.opened = True

    def _frame_untrusted(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Iterator[Http2Event]:
        self.cost += COST_FRAME
        if self._header_block and kind != frames.CONTINUATION:
            raise Http2Fault("xds_bad_frame", frames.PROTOCOL_ERROR, "another frame within a list of headers")
        if kind == frames.DATA:
            yield from self._data_untrusted(flags, stream_id, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._grow_untrusted(stream_id, frames.increment_untrusted(payload))
        elif kind == frames.PING:
            self._ping_untrusted(flags, stream_id, payload)
        else:
            self.cost += max(0, len(payload) - 512) >> 6
            if kind == frames.SETTINGS and not stream_id:
                payload = frames.known_settings(payload)
            elif kind in (frames.HEADERS, frames.CONTINUATION):
                self._bound_headers_untrusted(flags, len(payload))
            yield from self._library_untrusted(frames.frame(kind, flags, stream_id, payload))

    def _data_untrusted(self, flags: int, stream_id: int, payload: bytes) -> Iterator[Http2Event]:
        if again := self._receive.use(len(payload)):
            self._out.append(frames.window_update(0, again))
        data = frames.data_untrusted(payload, flags)
        stream = self.streams.get(stream_id)
        if stream is None or stream.half_closed:
            if not stream_id % 2 or stream_id > self._h2.highest_inbound_stream_id:
                raise Http2Fault("xds_bad_frame", frames.PROTOCOL_ERROR, "data on a stream that was never opened")
            return  # under way while the stream ended
        if not flags & frames.END_STREAM and (again := stream.receive.use(len(payload))):
            self._out.append(frames.window_update(stream_id, again))
        if data:
            yield DataCame(stream, data)
        if flags & frames.END_STREAM and stream_id in self.streams:
            yield from self._library_untrusted(frames.frame(frames.DATA, frames.END_STREAM, stream_id, b""))

    def _grow_untrusted(self, stream_id: int, bytes_more: int) -> None:
        self._grew = True
        if not stream_id:
            self._send.grow(bytes_more)
        elif (stream := self.streams.get(stream_id)) is not None:
            stream.send.grow(bytes_more)
        elif stream_id > self._h2.highest_inbound_stream_id:
            raise Http2Fault("xds_bad_frame", frames.PROTOCOL_ERROR, "a window of a stream that was never opened")

    def _ping_untrusted(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id or len(payload) != 8:
            raise Http2Fault("xds_bad_frame", frames.FRAME_SIZE_ERROR, "a PING has 8 bytes, and no stream")
        if not flags & frames.ACK:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _bound_headers_untrusted(self, flags: int, length: int) -> None:
        self._header_block += length + 1  # an empty frame is one too
        if self._header_block > HEADER_BLOCK_MAX_BYTES:
            raise Http2Fault("xds_long_headers", frames.ENHANCE_YOUR_CALM, "a request with too long headers")
        if flags & frames.END_HEADERS:
            self._header_block = 0

    def _library_untrusted(self, data: bytes) -> Iterator[Http2Event]:
        """Have h2 read this frame."""
        self.cost += COST_LIBRARY
        try:
            found = self._h2.receive_data(data)
        except DenialOfServiceError as error:
            raise Http2Fault("xds_long_headers", error.error_code, str(error)) from None
        except TooManyStreamsError as error:
            raise Http2Fault("xds_too_many_calls", error.error_code, str(error)) from None
        except ProtocolError as error:
            raise Http2Fault("xds_bad_frame", error.error_code, str(error) or type(error).__name__) from None
        self._flush()
        for event in found:
            yield from self._found(event)

    def _found(self, event: Event) -> Iterator[Http2Event]:
        match event:
            case RequestReceived(stream_id=int(id), headers=headers):
                stream = self.streams[id] = Http2Stream(id, self._h2.remote_settings.initial_window_size)
                stream.half_closed = event.stream_ended is not None
                yield RequestCame(stream, [(bytes(name), bytes(value)) for name, value in headers or ()])
            case StreamEnded(stream_id=int(id)) if known := self.streams.get(id):
                known.half_closed = True
                yield ClientEnded(known)
            case StreamReset(stream_id=int(id)) if known := self.streams.pop(id, None):
                yield StreamGone(known)
            case RemoteSettingsChanged(changed_settings=changed) if SettingCodes.INITIAL_WINDOW_SIZE in changed:
                self._grew = True
                setting = changed[SettingCodes.INITIAL_WINDOW_SIZE]
                for stream in self.streams.values():
                    stream.send.grow(setting.new_value - (setting.original_value or 0))
            case ConnectionTerminated():
                yield ClientLeaves()

    # -- what goes -----------------------------------------------------------------------------------------------------

    def send_headers(self, stream: Http2Stream, headers: Headers, *, last: bool = False) -> None:
        """`last`: nothing follows on this stream, and what the client still sends on it is ignored."""
        self._h2.send_headers(stream.id, headers, end_stream=last)
        if last:
            self._ended(stream)
        self._flush()

    def send_last(self, stream: Http2Stream, data: bytes) -> None:
        """Send some data that fit any window, and nothing more on this stream."""
        self._out.append(frames.frame(frames.DATA, 0, stream.id, data))
        self._h2.end_stream(stream.id)
        self._ended(stream)
        self._flush()

    def _ended(self, stream: Http2Stream) -> None:
        if not stream.half_closed:
            self._h2.reset_stream(stream.id, frames.NO_ERROR)
        self.streams.pop(stream.id, None)

    def send_data(self, stream: Http2Stream, data: bytes, at: int) -> int:
        """Send what the windows allow of `data`, beginning at `at`; returns where the rest begins."""
        longest = min(self._h2.max_outbound_frame_size, SEND_FRAME_MAX_BYTES)
        while at < len(data):
            length = min(len(data) - at, longest, stream.send.left, self._send.left)
            if length <= 0:
                break
            self._out.append(frame_head(frames.DATA, 0, stream.id, length))
            self._out.append(data if length == len(data) else data[at : at + length])
            stream.send.left -= length
            self._send.left -= length
            at += length
        return at

    def windows_grew(self) -> bool:
        """Whether more may be sent since this was asked last."""
        grew = self._grew and self._send.left > 0
        self._grew = self._grew and not grew
        return grew

    def ping(self) -> None:
        self._out.append(frames.frame(frames.PING, 0, 0, b"gossipre"))

    def last_words(self, error_code: int, text: str) -> None:
        """Say that the connection ends, and why."""
        self._out.append(frames.goaway(self._h2.highest_inbound_stream_id, error_code, text))

    def _flush(self) -> None:
        """Whatever h2 wants to send comes before what is sent here next."""
        if data := self._h2.data_to_send():
            self._out.append(data)

    @property
    def has_out(self) -> bool:
        """Whether `take_out` has something."""
        return bool(self._out) and self.opened

    def take_out(self) -> bytes:
        """The bytes to send now: none before the client has shown that it speaks HTTP/2, so that an answer to others is
        all that they get."""
        if not self.has_out:
            return b""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return data
