"""TLS over a connection that a check has opened."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import trio

from gossipreg.daemon.checks.spec import CheckSpec, shortened
from gossipreg.daemon.checks.tcp import CannotConnect

if TYPE_CHECKING:
    import ssl


async def secured(
    stream: trio.SocketStream, spec: CheckSpec, host: str, protocols: Sequence[str] = ()
) -> "trio.SSLStream[trio.SocketStream]":
    """The stream after the handshake; `protocols` are offered by ALPN. It is closed where the handshake fails. Raises
    CannotConnect."""
    over = trio.SSLStream(
        stream, _context(spec.verify, tuple(protocols)), server_hostname=spec.server_name or host, https_compatible=True
    )
    try:
        await over.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            why = getattr(error.__cause__, "verify_message", "") or error.__cause__
            raise CannotConnect(shortened(f"TLS: {why}")) from None
        raise
    return over


@cache
def _context(verify: bool, protocols: tuple[str, ...]) -> "ssl.SSLContext":
    import ssl  # loaded by sidecars with such checks only

    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
