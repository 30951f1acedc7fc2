"""The local socket's messages: MessagePack-RPC between a client and its sidecar. Bytes to tuples and back.

    request       [0, id, method, params]     params: one map of named parameters (an array of that one map will do)
    response      [1, id, error, result]      error: nil, or [code, message]
    notification  [2, method, params]

Never knows: sockets, what the methods do, which parameters they take. It is on the start path of every client
command, so it imports msgpack and the errors alone.

How what a stranger writes stays bounded: a message is first only measured (`Unpacker.skip` builds no objects, so a
header that promises four billion elements costs nothing), and built when all its bytes are here. Then every promised
element is a byte that was really sent. Containers, the one thing that is much larger in memory than in bytes, are
counted while a large message is built; a request may nest no deeper than any method needs.
"""

from collections.abc import Iterator
from typing import Any

from msgpack import OutOfData, Unpacker, UnpackException, packb, unpackb

from gossipreg.errors import BadParams, CannotSend, TooLarge

MAX_REQUEST_BYTES = 1 << 20
MAX_REPLY_BYTES = 64 << 20
"""What a client takes from its own sidecar: more than a lookup of the largest table gives."""
MAX_WATCHES = 4096
"""The watches of one connection: a program that follows a thousand names is one client."""
MAX_QUEUE_BYTES = 4 << 20
MAX_DEPTH = 8
"""Containers within containers in a request's parameters."""
COUNTED_FROM_BYTES = 64 * 1024
"""Smaller messages are built without counting: at worst 64 thousand empty lists, 4 MiB for a moment."""
BYTES_A_CONTAINER = 32
"""A larger message has at most one container for each 32 of its bytes. An instance takes over 200 bytes
and has four."""

COPIED_BYTES = 4096
"""A packed result up to this size is copied to be one piece with its head."""
SMALL_BYTES = 4096
"""No more than this is measured twice."""

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
_ARRAYS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
"""The first byte of an array in MessagePack."""
_NO_MESSAGE = "not a MessagePack-RPC message: [0, id, method, {..}], [1, id, error, result] or [2, method, {..}]"

Message = tuple[Any, ...]
"""("request", id, method, params) | ("reply", id, (code, message) | None, result) | ("notification", method, params)"""

Params = dict[str, Any]


def encode_request(id: int, method: str, params: Params) -> bytes:
    """Raises CannotSend for what MessagePack has no bytes for, TooLarge for what the sidecar would not read."""
    try:
        data: bytes = packb([REQUEST, id, method, params])
    except UnicodeEncodeError as error:
        raise CannotSend(f"the parameters of {method} cannot be sent: {error.object[:80]!r} is not UTF-8") from None
    except (ValueError, TypeError, OverflowError) as error:  # an object, an integer over 64 bits
        raise CannotSend(f"the parameters of {method} cannot be sent: {error}") from None
    if len(data) > MAX_REQUEST_BYTES:
        raise TooLarge(f"the request takes {len(data)} bytes: at most {MAX_REQUEST_BYTES}")
    return data


def encode_reply(id: int, result: Any) -> bytes:
    data: bytes = packb([RESPONSE, id, None, result])
    return data


def packed_reply(id: int, packed_result: bytes) -> tuple[bytes, ...]:
    """The same bytes as `encode_reply`, from a result that is packed already, in pieces: a large one is not copied."""
    head = b"".join((b"\x94\x01", packb(id), b"\xc0"))
    return (head, packed_result) if len(packed_result) > COPIED_BYTES else (head + packed_result,)


def encode_error(id: int | None, code: str, message: str) -> bytes:
    """`id` is None where the bytes at fault could not be read as a request; the connection ends after that."""
    data: bytes = packb([RESPONSE, id, [code, message], None])
    return data


def encode_notification(method: str, params: Params) -> bytes:
    data: bytes = packb([NOTIFICATION, method, params])
    return data


class Decoder:
    """Cuts one direction of one connection into messages. After an exception the stream is lost: close it.

    It holds an Unpacker only while a larger part of a message is in hand: one takes 45 KiB, and most connections wait.
    """

    __slots__ = ("_max_bytes", "_measure", "_pending", "_pending_offset")

    def __init__(self, max_bytes: int = MAX_REQUEST_BYTES) -> None:
        self._max_bytes = max_bytes
        self._measure: Unpacker | None = None
        self._pending = bytearray()
        self._pending_offset = 0  # of its first byte in the stream

    @property
    def empty(self) -> bool:
        """Whether no part of another message has come."""
        return not self._pending

    @property
    def held_bytes(self) -> int:
        """The bytes that wait for the rest of a message."""
        return len(self._pending)

    def feed_untrusted(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that `data` completes, each built only when it is asked for.

        Raises BadParams for bytes that are not MessagePack-RPC and TooLarge beyond `max_bytes`, after the messages
        before them. The other side is at fault.
        """
        self._pending += data
        if self._measure is None:
            # Its own bound is off, since ours is checked below; its buffer starts small (by default 1 MiB).
            self._measure = Unpacker(max_buffer_size=0, read_size=4096)
            self._pending_offset = 0
            data = bytes(self._pending)
        self._measure.feed(data)
        while (size_bytes := self._next_size_untrusted(self._measure)) is not None:
            if size_bytes > self._max_bytes:
                break
            with memoryview(self._pending) as view:
                message = _message_untrusted(view[:size_bytes], self._max_bytes)
            del self._pending[:size_bytes]  # moves no bytes: CPython only advances the start
            self._pending_offset += size_bytes
            yield message
        if len(self._pending) > self._max_bytes:
            raise TooLarge(f"a message is larger than {self._max_bytes} bytes")
        if len(self._pending) <= SMALL_BYTES:
            self._measure = None  # the little that waits is measured again with what comes

    def _next_size_untrusted(self, measure: Unpacker) -> int | None:
        if not self._pending:
            return None
        try:
            measure.skip()
        except OutOfData:
            if self._pending[0] not in _ARRAYS:  # however it ends, it is none of ours: do not wait for it
                raise BadParams(_NO_MESSAGE) from None
            return None
        except (ValueError, UnpackException) as error:
            raise BadParams(f"not MessagePack: {_reason(error)}") from None
        end: int = measure.tell()
        return end - self._pending_offset


def _message_untrusted(data: memoryview, max_bytes: int) -> Message:
    try:
        if len(data) <= COUNTED_FROM_BYTES:
            value = unpackb(data)
        else:
            count = _count_containers(max_bytes // BYTES_A_CONTAINER)
            value = unpackb(data, list_hook=count, object_hook=count)
    except (ValueError, TypeError, OverflowError, UnpackException) as error:
        raise BadParams(f"not MessagePack with text in UTF-8 and text for keys: {_reason(error)}") from None
    match value:
        case [0, int(id), str(method), params] if type(id) is int:
            return "request", id, method, params_untrusted(params)
        case [1, int() | None as id, None, result] if type(id) is not bool:
            return "reply", id, None, result
        case [1, int() | None as id, [str(code), str(message)], _] if type(id) is not bool:
            return "reply", id, (code, message), None
        case [2, str(method), params]:
            return "notification", method, params_untrusted(params)
    raise BadParams(_NO_MESSAGE)


def params_untrusted(params: object) -> Params:
    """The parameters of a method. Raises BadParams if they are no map with names for keys, or nest too deep."""
    if isinstance(params, list) and len(params) <= 1:  # libraries of MessagePack-RPC send an array of arguments
        params = params[0] if params else {}
    if not isinstance(params, dict) or not all(isinstance(key, str) for key in params):
        raise BadParams("the parameters of a method are one map with names for keys")
    level: list[Any] = [params]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, list | dict)
        ]
        if not level:
            return params
    raise BadParams(f"the parameters of a method nest deeper than {MAX_DEPTH} levels")


def _count_containers(limit: int) -> Any:
    seen = 0

    def count(container: object) -> object:
        nonlocal seen
        seen += 1
        if seen > limit:
            raise ValueError(f"more than {limit} arrays and maps")
        return container

    return count


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
