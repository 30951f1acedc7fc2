"""Spans as the bytes of an ExportTraceServiceRequest.

Owns: the numbers of the fields. Never knows: where the bytes go.

A field of protobuf is its number and its wire type as a varint, then its value: a varint (0), eight bytes (1), or a
length and that number of bytes (2). Fields with the value 0 are left out.

Source: opentelemetry/proto/trace/v1/trace.proto, resource.proto and common.proto, version 1.
"""

import struct
from collections.abc import Sequence

from gossipreg.trace_context import TraceContext
from gossipreg.tracing import Attribute, Attributes, FinishedSpan

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_STATUS_ERROR = 2
_MAX_INT = (1 << 63) - 1


def request_message(resource: Attributes, scope: tuple[str, str], spans: Sequence[bytes]) -> bytes:
    """A request with these spans of one process; `scope` is the name and the version of what made them."""
    name, version = scope
    in_scope = _bytes(1, _text(1, name) + _text(2, version)) + b"".join(_bytes(2, span) for span in spans)
    return _bytes(1, _bytes(1, _key_values(1, resource)) + _bytes(2, in_scope))


def span_message(span: FinishedSpan) -> bytes:
    context = span.context
    return b"".join((
        _bytes(1, bytes.fromhex(context.trace_id)), _bytes(2, bytes.fromhex(context.span_id)),
        _text(3, context.state), _bytes(4, bytes.fromhex(span.parent_id)), _text(5, span.name),
        _number(6, span.kind), _fixed64(7, span.began_ns), _fixed64(8, span.ended_ns),
        _key_values(9, span.attributes), *(_bytes(13, _link(link)) for link in span.links),
        _bytes(15, _number(3, _STATUS_ERROR)) if span.failed else b"", _fixed32(16, context.flags),
    ))  # fmt: skip


def _link(context: TraceContext) -> bytes:
    return (
        _bytes(1, bytes.fromhex(context.trace_id)) + _bytes(2, bytes.fromhex(context.span_id))
        + _text(3, context.state) + _fixed32(6, context.flags)
    )  # fmt: skip


def _key_values(number: int, attributes: Attributes) -> bytes:
    return b"".join(_bytes(number, _text(1, key) + _bytes(2, _any(value))) for key, value in attributes.items())


def _any(value: Attribute) -> bytes:
    """An AnyValue. Its fields are a choice, so a value of 0 is written, too."""
    match value:
        case bool():
            return _key(2, _VARINT) + _varint(int(value))
        case int():
            within = max(-_MAX_INT, min(_MAX_INT, value))
            return _key(3, _VARINT) + _varint(within % (1 << 64))
        case float():
            return _key(4, _FIXED64) + struct.pack("<d", value)
    data = value.encode(errors="replace")
    return _key(1, _BYTES) + _varint(len(data)) + data


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode(errors="replace"))


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(value)) + value if value else b""


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value) if value else b""


def _fixed64(number: int, value: int) -> bytes:
    return _key(number, _FIXED64) + struct.pack("<Q", value) if value else b""


def _fixed32(number: int, value: int) -> bytes:
    return _key(number, _FIXED32) + struct.pack("<I", value) if value else b""


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
