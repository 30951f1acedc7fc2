"""`http` and `https` checks: one request on a connection of its own. Redirects are not followed: a healthy program does
not answer 3xx to its health check."""

from typing import Any
from urllib.parse import urlsplit

import trio

from gossipreg import __version__
from gossipreg.daemon.checks import tls
from gossipreg.daemon.checks.parse import HIDDEN
from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckOutcome, CheckSpec, Progress, shortened
from gossipreg.daemon.checks.tcp import CannotConnect, connect, reason_of
from gossipreg.model import Health

TOO_MANY_REQUESTS = 429
READ_BYTES = 4096
SECRET_LENGTH = 8
"""Shorter words of a header's value (`Bearer`, `no-cache`) are not treated as secrets."""
BODY_BYTES = 4 * OUTPUT_MAX
"""Bytes of the body that are read; the rest does not reach the output."""


async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
    import h11  # not for a sidecar without such checks

    try:
        stream = await _open(spec, progress)
    except CannotConnect as error:
        return CheckOutcome(Health.CRITICAL, str(error))
    try:
        status, said = await _ask(stream, spec)
    except h11.RemoteProtocolError as error:
        return CheckOutcome(Health.CRITICAL, shortened(f"no HTTP: {error}"))
    except (trio.BrokenResourceError, OSError) as error:
        return CheckOutcome(Health.CRITICAL, shortened(f"connection broken: {reason_of(error)}"))
    finally:
        await trio.aclose_forcefully(stream)
    return CheckOutcome(
        _health(status), shortened(f"HTTP {status} {_without_secrets(said.decode(errors='replace'), spec)}")
    )


def _without_secrets(said: str, spec: CheckSpec) -> str:
    """The server's text with the check's header values and body hidden, since a server may echo them."""
    words = [word for _, value in spec.headers for word in value.split() if len(word) >= SECRET_LENGTH]
    for secret in sorted({spec.body.strip(), *words} - {""}, key=len, reverse=True):
        said = said.replace(secret, HIDDEN)
    return said


def _health(status: int) -> Health:
    if 200 <= status < 300:
        return Health.PASSING
    return Health.WARNING if status == TOO_MANY_REQUESTS else Health.CRITICAL


async def _open(spec: CheckSpec, progress: Progress) -> "trio.SocketStream | trio.SSLStream[trio.SocketStream]":
    """Raises CannotConnect."""
    parts = urlsplit(spec.target)
    assert parts.hostname is not None, "the spec was parsed"
    stream = await connect(parts.hostname, parts.port or (443 if spec.kind == "https" else 80), progress)
    if spec.kind == "http":
        return stream
    return await tls.secured(stream, spec, parts.hostname)


def _host(spec: CheckSpec) -> str:
    """As the URL has it; a server that has several names wants the same one here as in the handshake."""
    parts = urlsplit(spec.target)
    if not spec.server_name:
        return parts.netloc
    return spec.server_name if parts.port is None else f"{spec.server_name}:{parts.port}"


def _headers(spec: CheckSpec, body: bytes) -> list[tuple[str, str]]:
    """Our defaults that the check does not override, then the check's headers, then those of the framing."""
    ours = [("Host", _host(spec)), ("User-Agent", f"gossipreg/{__version__}"), ("Accept", "*/*")]
    named = {name.lower() for name, _ in spec.headers}
    framing = [("Connection", "close"), *([("Content-Length", str(len(body)))] if body else [])]
    return [*((name, value) for name, value in ours if name.lower() not in named), *spec.headers, *framing]


async def _ask(stream: Any, spec: CheckSpec) -> tuple[int, bytes]:
    """The status; its words and the beginning of the body."""
    import h11

    parts, sent = urlsplit(spec.target), spec.body.encode()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    talk = h11.Connection(h11.CLIENT)
    asked = talk.send(h11.Request(method=spec.method, target=target, headers=_headers(spec, sent))) or b""
    asked += (talk.send(h11.Data(sent)) or b"") if sent else b""
    await stream.send_all(asked + (talk.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await stream.receive_some(READ_BYTES))
        elif isinstance(event, h11.Response):
            status, body = event.status_code, event.reason + b" "
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, body
        if len(body) >= BODY_BYTES:
            return status, body[:BODY_BYTES]
