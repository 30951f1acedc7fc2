"""The frames of HTTP/2 (RFC 9113, section 4 and 6) that the gateway reads and writes itself, and what is wrong with
others.

Knows bytes only: no connection, no stream.
"""

from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD = Struct(">HBBBL")
"""The length in three bytes, the kind, the flags, the stream."""
HEAD_BYTES = FRAME_HEAD.size
FRAME_MAX_BYTES = 16_384
"""The longest that a client may send: the length that every side must take, and we allow no more."""
WINDOW_MAX = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB

_U32 = Struct(">L")
_SETTING = Struct(">HL")
_SETTINGS_KNOWN = frozenset((0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8))
_DEBUG_MAX_BYTES = 256
"""Of the text in a GOAWAY."""


class Http2Fault(Exception):
    """What a client sent is no HTTP/2, or beyond what it may send: its connection ends. `reason` is counted as a
    drop."""

    def __init__(self, reason: str, error_code: int, text: str, answer: bytes = b"") -> None:
        """`answer`, if there is one, is sent instead of a GOAWAY with the error code and the text."""
        super().__init__(text)
        self.reason = reason
        self.error_code = error_code
        self.answer = answer


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return frame_head(kind, flags, stream_id, len(payload)) + payload


def frame_head(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    return FRAME_HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


def window_update(stream_id: int, bytes_more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, _U32.pack(bytes_more))


def increment_untrusted(payload: bytes) -> int:
    """The bytes that a WINDOW_UPDATE adds. Raises Http2Fault."""
    if len(payload) != _U32.size:
        raise Http2Fault("xds_bad_frame", FRAME_SIZE_ERROR, f"a WINDOW_UPDATE of {len(payload)} bytes: it has 4")
    more: int = _U32.unpack(payload)[0] & WINDOW_MAX
    if not more:
        raise Http2Fault("xds_bad_frame", PROTOCOL_ERROR, "a WINDOW_UPDATE that adds nothing")
    return more


def data_untrusted(payload: bytes, flags: int) -> bytes:
    """The data in a DATA frame, without its padding. Raises Http2Fault."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Fault("xds_bad_frame", PROTOCOL_ERROR, "the padding of a frame is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def known_settings(payload: bytes) -> bytes:
    """The settings of a SETTINGS frame without those that nobody knows, which must be ignored: a library may keep each
    that it ever saw. A payload that is not a list of settings is left as it is."""
    if len(payload) % _SETTING.size:
        return payload
    return b"".join(_SETTING.pack(*pair) for pair in _SETTING.iter_unpack(payload) if pair[0] in _SETTINGS_KNOWN)


def goaway(last_stream_id: int, error_code: int, text: str) -> bytes:
    payload = _U32.pack(last_stream_id) + _U32.pack(error_code) + text.encode()[:_DEBUG_MAX_BYTES]
    return frame(GOAWAY, 0, 0, payload)
