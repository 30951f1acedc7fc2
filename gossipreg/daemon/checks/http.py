"""`http` and `https` checks: one GET on a connection of its own. Redirects are not followed: 3xx is no answer of a
program that is well."""

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from gossipreg import __version__
from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckSpec, Outcome, Progress, shortened
from gossipreg.daemon.checks.tcp import CannotConnect, connect, reason_of
from gossipreg.model import Health

if TYPE_CHECKING:
    import ssl

TOO_MANY_REQUESTS = 429
READ_BYTES = 4096
BODY_BYTES = 4 * OUTPUT_MAX
"""So much of the body is read; a service may have more to say, but not to a health check."""


async def run(spec: CheckSpec, progress: Progress) -> Outcome:
    import h11  # not for a sidecar without such checks

    try:
        stream = await _open(spec, progress)
    except CannotConnect as error:
        return Outcome(Health.CRITICAL, str(error))
    try:
        status, said = await _get(stream, spec)
    except h11.RemoteProtocolError as error:
        return Outcome(Health.CRITICAL, shortened(f"no HTTP: {error}"))
    except (trio.BrokenResourceError, OSError) as error:
        return Outcome(Health.CRITICAL, shortened(f"connection broken: {reason_of(error)}"))
    finally:
        await trio.aclose_forcefully(stream)
    return Outcome(_health(status), shortened(f"HTTP {status} {said.decode(errors='replace')}"))


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
    name = spec.server_name or parts.hostname
    secured = trio.SSLStream(stream, _context(spec.verify), server_hostname=name, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            why = getattr(error.__cause__, "verify_message", "") or error.__cause__
            raise CannotConnect(shortened(f"TLS: {why}")) from None
        raise
    return secured


@cache
def _context(verify: bool) -> "ssl.SSLContext":
    import ssl

    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _host(spec: CheckSpec) -> str:
    """As the URL has it; a server that has several names wants the same one here as in the handshake."""
    parts = urlsplit(spec.target)
    if not spec.server_name:
        return parts.netloc
    return spec.server_name if parts.port is None else f"{spec.server_name}:{parts.port}"


async def _get(stream: Any, spec: CheckSpec) -> tuple[int, bytes]:
    """The status; its words and the beginning of the body."""
    import h11

    parts = urlsplit(spec.target)
    headers = [
        ("Host", _host(spec)), ("User-Agent", f"gossipreg/{__version__}"), ("Accept", "*/*"), ("Connection", "close"),
    ]  # fmt: skip
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    talk = h11.Connection(h11.CLIENT)
    asked = talk.send(h11.Request(method="GET", target=target, headers=headers)) or b""
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
