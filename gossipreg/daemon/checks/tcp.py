"""Checks that connect: `tcp` itself, and the connection that `http` begins with."""

import os
import socket
from urllib.parse import urlsplit

import trio

from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress
from gossipreg.daemon.names import asking
from gossipreg.model import Health


class CannotConnect(Exception):
    """The message says why, for a person."""


async def connect(host: str, port: int, progress: Progress) -> trio.SocketStream:
    """A literal address and `localhost` are not asked of any name server (see `daemon/names.py`). Raises
    CannotConnect."""
    asking.set(lambda text: setattr(progress, "text", text))
    try:
        return await trio.open_tcp_stream(host, port)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be written as one
        raise CannotConnect(reason_of(error)) from None


def reason_of(error: BaseException) -> str:
    """Why a connection failed: what the system says of the first attempt, under what trio says of all."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, socket.gaierror):
        return f"name not resolved: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return reason_of(error.__cause__) if error.__cause__ is not None else str(error) or type(error).__name__


async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
    parts = urlsplit(f"//{spec.target}")
    assert parts.hostname is not None, "the spec was parsed"
    assert parts.port is not None, "the spec was parsed"
    try:
        stream = await connect(parts.hostname, parts.port, progress)
    except CannotConnect as error:
        return CheckOutcome(Health.CRITICAL, str(error))
    await trio.aclose_forcefully(stream)
    return CheckOutcome(Health.PASSING, "connected")
