"""`grpc` and `grpcs` checks: one call of grpc.health.v1.Health/Check over HTTP/2.

SERVING passes; every other status, and every error, is critical. The two messages of that service have one field each
and are written and read here by hand, so that no gRPC library is needed; HTTP/2 is h2's, of the extra `grpc`.

A message is one byte (0: not compressed), its length in four bytes, and the protobuf: in the request field 1 is the
name of the service (text), in the response field 1 is its status (a varint).
"""

import struct
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

import trio

from gossipreg import __version__
from gossipreg.daemon.checks import tls
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress, shortened
from gossipreg.daemon.checks.tcp import CannotConnect, connect, reason_of
from gossipreg.model import Health

READ_BYTES = 16 * 1024
ANSWER_BYTES = 4096
"""A status takes two bytes: a longer answer is not from a health service."""
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
SERVING = 1
CODES = {5: "NOT_FOUND: this server does not know the service", 12: "UNIMPLEMENTED: this server has no health service"}
"""The status codes of gRPC with which a health check can fail."""


class NoAnswer(Exception):
    """The server did not answer as a health service. The message says what it did, for a person."""


def available() -> bool:
    """Whether the library that these checks need is installed."""
    return find_spec("h2") is not None


async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
    import h2.exceptions  # loaded by sidecars with such checks only

    where, _, service = spec.target.partition("/")
    parts = urlsplit(f"//{where}")
    assert parts.hostname is not None, "the spec was parsed"
    assert parts.port is not None, "the spec was parsed"
    try:
        stream: Any = await connect(parts.hostname, parts.port, progress)
        if spec.kind == "grpcs":
            stream = await tls.secured(stream, spec, parts.hostname, ["h2"])
    except CannotConnect as error:
        return CheckOutcome(Health.CRITICAL, str(error))
    try:
        status = await _call(stream, spec, where, service)
    except (h2.exceptions.ProtocolError, NoAnswer) as error:
        return CheckOutcome(
            Health.CRITICAL, shortened(f"no answer of a health service: {error or type(error).__name__}")
        )
    except (trio.BrokenResourceError, OSError) as error:
        return CheckOutcome(Health.CRITICAL, shortened(f"connection broken: {reason_of(error)}"))
    finally:
        await trio.aclose_forcefully(stream)
    name = STATUSES.get(status, f"status {status}")
    return CheckOutcome(Health.PASSING if status == SERVING else Health.CRITICAL, name)


async def _call(stream: Any, spec: CheckSpec, where: str, service: str) -> int:
    """The status in the answer. Raises NoAnswer, and what h2 and the stream raise."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import (
        ConnectionTerminated,
        DataReceived,
        ResponseReceived,
        StreamEnded,
        StreamReset,
        TrailersReceived,
    )

    talk = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    talk.initiate_connection()
    number = talk.get_next_available_stream_id()
    talk.send_headers(number, [
        (":method", "POST"), (":scheme", "https" if spec.kind == "grpcs" else "http"),
        (":path", "/grpc.health.v1.Health/Check"), (":authority", spec.server_name or where),
        ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", f"gossipreg/{__version__}"),
        *spec.headers,  # its trace: a user can give none
    ])  # fmt: skip
    talk.send_data(number, _request(service), end_stream=True)
    await stream.send_all(talk.data_to_send())
    said = b""
    while True:
        data = await stream.receive_some(READ_BYTES)
        if not data:
            raise NoAnswer("the connection was closed")
        for event in talk.receive_data(data):
            if isinstance(event, ResponseReceived | TrailersReceived):
                _check_headers(dict(event.headers or ()))
            elif isinstance(event, DataReceived):
                said += event.data or b""
                if len(said) > ANSWER_BYTES:
                    raise NoAnswer("it is too long")
                talk.acknowledge_received_data(event.flow_controlled_length or 0, number)
            elif isinstance(event, StreamEnded):
                return _status(said)
            elif isinstance(event, StreamReset | ConnectionTerminated):
                raise NoAnswer(f"HTTP/2 error {event.error_code}")
        await stream.send_all(talk.data_to_send())


def _check_headers(headers: dict[Any, Any]) -> None:
    """Raise NoAnswer if the headers say that the call failed."""
    if (http := headers.get(":status", "200")) != "200":
        raise NoAnswer(f"HTTP {http}")
    code = headers.get("grpc-status", "0")
    if code != "0":
        name = CODES.get(int(code), f"gRPC status {code}") if code.isdigit() else f"gRPC status {code}"
        message = unquote(headers.get("grpc-message", ""))
        raise NoAnswer(f"{name}: {message}" if message else name)


def _request(service: str) -> bytes:
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return struct.pack(">BI", 0, len(message)) + message


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _status(said: bytes) -> int:
    """Field 1 of the answer; 0 if it is absent. Raises NoAnswer."""
    if len(said) < 5 or said[0] != 0 or len(said) != 5 + struct.unpack_from(">I", said, 1)[0]:
        raise NoAnswer("its message cannot be read")
    message = said[5:]
    if not message:
        return 0
    if message[0] != 0x08 or len(message) < 2 or message[1] > 0x7F:
        raise NoAnswer("its message is of another type")
    return message[1]
