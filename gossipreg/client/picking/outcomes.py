"""What the end of a request says about the instance that served it.

    success      it answered
    failure      it did not: counts towards ejection, breaker and retries; its latency counts as at least twice the p95,
                 since an instance that fails fast must not look fast (sinkholing; Wydrowski et al., NSDI 2024)
    overloaded   it refused for load (429): counts for latency alone
    neutral      it says nothing about the instance: an error of the caller's own code, a cancellation, a local limit

In each case the request is in flight no longer.
"""

import errno
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from gossipreg.client.picking.headers import RETRY_AFTER, retry_after_untrusted

FAILURE_STATUSES = frozenset((500, 502, 503, 504))
OVERLOAD_STATUS = 429

LOCAL_ERRNOS = frozenset((
    errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT,
))  # fmt: skip
"""Limits of this host: no port, descriptor, memory or space left. No instance is at fault."""
OF_FILES_AND_PROCESSES = (
    FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, ChildProcessError, ProcessLookupError,
)  # fmt: skip
"""Kinds of OSError that no connection to an instance raises."""
TIMEOUT_NAMES = frozenset(("TimeoutException", "TooSlowError"))
"""Timeouts of httpx and trio, which are neither OSError nor TimeoutError. Known by name: nothing is imported here."""

CONNECTION_NAMES = frozenset((
    "NetworkError", "RemoteProtocolError", "ClientConnectionError", "ClientPayloadError",
    "IncompleteRead", "BadStatusLine", "IncompleteReadError", "urllib3.exceptions.ProtocolError",
))  # fmt: skip
"""Connections of httpx and aiohttp that failed, of which no OSError is left to see; and answers that broke off, in
http.client (and so urllib), asyncio and urllib3. With its module where other classes have the same name."""


class OutcomeKind(Enum):
    SUCCESS = "success"
    FAILURE = "failure"
    OVERLOADED = "overloaded"
    NEUTRAL = "neutral"


IS_SUCCESS: Final = OutcomeKind.SUCCESS
IS_FAILURE: Final = OutcomeKind.FAILURE
IS_NEUTRAL: Final = OutcomeKind.NEUTRAL
"""For the hot path: Python 3.11 takes 75 ns to find a member in its enumeration."""


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: OutcomeKind
    never_sent: bool = False
    """The instance got no byte of the request, so it can be sent again whatever it does."""
    timed_out: bool = False
    retry_after_s: float | None = None
    """The server asked to wait so long."""


SUCCESS = Outcome(OutcomeKind.SUCCESS)
FAILURE = Outcome(OutcomeKind.FAILURE)
TIMED_OUT = Outcome(OutcomeKind.FAILURE, timed_out=True)
NEVER_SENT = Outcome(OutcomeKind.FAILURE, never_sent=True)
CONNECT_TIMED_OUT = Outcome(OutcomeKind.FAILURE, never_sent=True, timed_out=True)
NEUTRAL = Outcome(OutcomeKind.NEUTRAL)


def status_outcome(status: int, retry_after_s: float | None = None) -> Outcome:
    """The outcome of a response with this HTTP status."""
    if status in FAILURE_STATUSES:
        return Outcome(OutcomeKind.FAILURE, retry_after_s=retry_after_s)
    if status == OVERLOAD_STATUS:
        return Outcome(OutcomeKind.OVERLOADED, retry_after_s=retry_after_s)
    return SUCCESS


def exception_outcome(error: BaseException) -> Outcome:
    """The outcome of a request that ended with this exception.

    An error that carries the response (raise_for_status) is what its status and Retry-After say. Otherwise the first
    OSError or timeout counts in the chain of `raise ... from ...`: httpx and others wrap theirs.
    """
    if isinstance(error, Exception) and (found := _status(error)) is not None:
        status, holder = found
        return status_outcome(status, _retry_after_s(holder))
    cause: BaseException | None = error
    broke_off = False
    for _ in range(8):
        if cause is None or not isinstance(cause, Exception):
            break
        if isinstance(cause, TimeoutError) or any(kind.__name__ in TIMEOUT_NAMES for kind in type(cause).__mro__):
            return TIMED_OUT
        if isinstance(cause, OSError):
            return _system_outcome(cause)
        broke_off = broke_off or any(_is_of_connection(kind) for kind in type(cause).__mro__)
        cause = cause.__cause__
    return FAILURE if broke_off else NEUTRAL


def _is_of_connection(kind: type) -> bool:
    return kind.__name__ in CONNECTION_NAMES or f"{kind.__module__}.{kind.__name__}" in CONNECTION_NAMES


def _system_outcome(error: OSError) -> Outcome:
    if isinstance(error, OF_FILES_AND_PROCESSES) or error.errno in LOCAL_ERRNOS:
        return NEUTRAL
    return NEVER_SENT if isinstance(error, ConnectionRefusedError) else FAILURE


def _status(error: BaseException) -> tuple[int, object] | None:
    """The HTTP status that an exception carries, as those of requests, httpx, urllib and aiohttp do, and the object
    that has it."""
    for holder in (getattr(error, "response", None), error):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if type(value) is int and 100 <= value <= 599:
                return value, holder
    return None


def _retry_after_s(holder: object) -> float | None:
    """What the headers beside a status say."""
    get: Any = getattr(getattr(holder, "headers", None), "get", None)
    text = get(RETRY_AFTER) if callable(get) else None
    return retry_after_untrusted(text) if isinstance(text, str) else None
