"""Errors that prove that an instance got no byte of a request, so that it may be sent again whatever it does.

Only what is certain counts. This is the rule, for a function of the program and for all adapters:

    raised                                                        nothing was sent
    ConnectionRefusedError                                        certain
    socket.gaierror: the name has no address                      certain
    ssl.SSLCertVerificationError: we refused the certificate      certain: we check it before the request
    a library's own error of a connection that was not made       certain (NOT_CONNECTED), time-outs included
    a library's own error of a pool without a free connection     certain, and no instance is at fault
    TimeoutError                                                  no: of connecting, or of waiting for the answer
    EHOSTUNREACH, ENETUNREACH                                     no: Linux gives them for a connection that broke, too
    any other error of TLS                                        no: a server may refuse us after the request
    a reset, an end, a broken pipe                                no: the request may have been read

What a program knows better it says by `instance.never_sent()` or `instance.failed()`.

Libraries are known by the names of their classes: nothing of them is imported here.
"""

from collections.abc import Iterator

CHAIN_MAX = 8
"""An error is rarely wrapped more often, and a chain may be a circle."""

NOT_CONNECTED = frozenset((
    ("builtins", "ConnectionRefusedError"), ("socket", "gaierror"), ("ssl", "SSLCertVerificationError"),
    ("httpx", "ConnectError"), ("httpcore", "ConnectError"), ("urllib3", "NewConnectionError"),
    ("aiohttp", "ClientConnectorError"), ("aiohttp", "ServerFingerprintMismatch"),
))  # fmt: skip
NOT_CONNECTED_IN_TIME = frozenset((
    ("httpx", "ConnectTimeout"), ("httpcore", "ConnectTimeout"), ("requests", "ConnectTimeout"),
    ("urllib3", "ConnectTimeoutError"), ("aiohttp", "ConnectionTimeoutError"),
))  # fmt: skip
NO_FREE_CONNECTION = frozenset((("httpx", "PoolTimeout"), ("httpcore", "PoolTimeout"), ("urllib3", "EmptyPoolError")))
BROKEN = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""The connection was there: what may have caused them changes nothing."""


def names(error: BaseException) -> list[tuple[str, str]]:
    """The classes of an error, each as (package, name)."""
    return [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__]


def kind_of(error: BaseException) -> frozenset[tuple[str, str]] | None:
    """Which of the tables above has this error; None: none."""
    for name in names(error):
        for table in (NOT_CONNECTED, NOT_CONNECTED_IN_TIME, NO_FREE_CONNECTION):
            if name in table:
                return table
    return None


def causes(error: BaseException) -> Iterator[Exception]:
    """An error and what it wraps, the outermost first: by `raise ... from ...`, or as libraries keep it."""
    cause: object = error
    for _ in range(CHAIN_MAX):
        if not isinstance(cause, Exception):
            return
        yield cause
        if isinstance(cause, BROKEN):
            return
        inside = (cause.__cause__, getattr(cause, "reason", None), getattr(cause, "os_error", None), *cause.args[:1])
        cause = next((one for one in inside if isinstance(one, Exception) and one is not cause), None)
