"""What the end of a request says about the instance that served it.

    success      it answered
    failure      it did not: counts towards ejection, breaker and retries; its latency counts as at least twice the p95,
                 since an instance that fails fast must not look fast (sinkholing; Wydrowski et al., NSDI 2024)
    overloaded   it refused for load (429): counts for latency alone
    neutral      it says nothing about the instance: an error of the caller's own code, a cancellation, a local limit

In each case the request is in flight no longer.
"""

import errno
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from gossipreg.client.picking.headers import DATE, RETRY_AFTER
from gossipreg.client.picking.not_sent import (
    BROKEN,
    CHAIN_MAX,
    NO_FREE_CONNECTION,
    NOT_CONNECTED,
    NOT_CONNECTED_IN_TIME,
    causes,
    kind_of,
    names,
)
from gossipreg.client.picking.retry_after import retry_after_untrusted

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
FINAL_OF_THE_SYSTEM = (*OF_FILES_AND_PROCESSES, *BROKEN)
"""These say what happened even without an errno. Other OSErrors without one wrap the error that does."""
TIMEOUT_NAMES = frozenset(("TimeoutException", "TooSlowError", "Timeout", "TimeoutError"))
"""Timeouts of httpx, trio, requests and others, which are not that of Python. Nothing is imported here."""

BROKEN_NAMES = frozenset((
    ("httpx", "NetworkError"), ("httpx", "RemoteProtocolError"), ("httpcore", "NetworkError"),
    ("httpcore", "RemoteProtocolError"), ("aiohttp", "ClientConnectionError"), ("aiohttp", "ClientPayloadError"),
    ("urllib3", "ProtocolError"), ("http", "IncompleteRead"), ("http", "BadStatusLine"),
    ("asyncio", "IncompleteReadError"), ("aiohttp", "HttpProcessingError"),
))  # fmt: skip
"""Connections that broke and answers that broke off, of which no OSError is left to see: (package, class)."""


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
NO_CONNECTION_LEFT = Outcome(OutcomeKind.OVERLOADED, never_sent=True)
"""Of this client's pool: another instance may have one, and none is at fault."""
NEUTRAL = Outcome(OutcomeKind.NEUTRAL)
NOT_SENT_OUTCOMES = {
    NOT_CONNECTED: NEVER_SENT, NOT_CONNECTED_IN_TIME: CONNECT_TIMED_OUT, NO_FREE_CONNECTION: NO_CONNECTION_LEFT,
}  # fmt: skip


def status_outcome(status: int, retry_after_s: float | None = None) -> Outcome:
    """The outcome of a response with this HTTP status."""
    if status in FAILURE_STATUSES:
        return Outcome(OutcomeKind.FAILURE, retry_after_s=retry_after_s)
    if status == OVERLOAD_STATUS:
        return Outcome(OutcomeKind.OVERLOADED, retry_after_s=retry_after_s)
    return SUCCESS


def exception_outcome(error: BaseException, wall_s: float | None = None) -> Outcome:
    """The outcome of a request that ended with this exception. `wall_s`: see retry_after_untrusted.

    An error that carries the response (raise_for_status) is what its status and Retry-After say. Otherwise the first
    error that says something counts, of those that it wraps: libraries wrap those of the system.
    """
    if isinstance(error, Exception) and not _is_no_http(error) and (found := _status(error)) is not None:
        status, holder = found
        return status_outcome(status, _retry_after_s(holder, wall_s))
    return _chain_outcome(error, CHAIN_MAX)


def _chain_outcome(error: BaseException, deepest: int) -> Outcome:
    """`deepest`: so many groups are looked at, one inside the other."""
    if isinstance(error, BaseExceptionGroup):
        return _group_outcome(error, deepest)
    failed = False
    for cause in causes(error):
        if isinstance(cause, BaseExceptionGroup):
            return _group_outcome(cause, deepest)
        if (kind := kind_of(cause)) is not None:
            return NEUTRAL if _is_local(cause) else NOT_SENT_OUTCOMES[kind]
        classes = names(cause)
        if any(name in TIMEOUT_NAMES for _, name in classes):
            return TIMED_OUT
        if isinstance(cause, OSError) and (cause.errno is not None or isinstance(cause, FINAL_OF_THE_SYSTEM)):
            return _system_outcome(cause)
        failed = failed or isinstance(cause, OSError) or not BROKEN_NAMES.isdisjoint(classes)
    return FAILURE if failed else NEUTRAL


def _group_outcome(group: "BaseExceptionGroup[BaseException]", deepest: int) -> Outcome:
    """Of all addresses of a name that were tried, say, or of tasks of the program: the request was never sent if none
    of them sent it. An error of the program proves nothing: its task may have sent the request."""
    if not deepest:
        return NEUTRAL
    found = [(_chain_outcome(error, deepest - 1), error) for error in group.exceptions]
    failures = [one for one, _ in found if one.kind is not OutcomeKind.NEUTRAL]
    worst = min(failures, key=lambda one: one.never_sent, default=NEUTRAL)
    unproven = any(one.kind is OutcomeKind.NEUTRAL and not _is_local(error) for one, error in found)
    return replace(worst, never_sent=False) if unproven else worst


def _is_local(error: BaseException | None) -> bool:
    """Whether a limit of this host is at fault. httpcore hides the error of the system, but keeps it as the context."""
    for _ in range(CHAIN_MAX):
        if error is None or (isinstance(error, OSError) and error.errno is not None):
            break
        wrapped = [*causes(error)][1:2]
        error = wrapped[0] if wrapped else error.__context__
    return isinstance(error, OSError) and error.errno in LOCAL_ERRNOS


def _system_outcome(error: OSError) -> Outcome:
    if isinstance(error, OF_FILES_AND_PROCESSES) or error.errno in LOCAL_ERRNOS:
        return NEUTRAL
    return FAILURE


def _status(error: BaseException) -> tuple[int, object] | None:
    """The HTTP status that an exception carries, as those of requests, httpx, urllib and aiohttp do, and the object
    that has it."""
    for holder in (getattr(error, "response", None), error):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if type(value) is int and 100 <= value <= 599:
                return value, holder
    return None


def _is_no_http(error: Exception) -> bool:
    """Whether the response was not HTTP. aiohttp gives such an error a status of its own, 400."""
    cause = error.__cause__
    return cause is not None and ("aiohttp", "HttpProcessingError") in names(cause)


def _retry_after_s(holder: object, wall_s: float | None) -> float | None:
    """What the headers beside a status say."""
    get: Any = getattr(getattr(holder, "headers", None), "get", None)
    text, date = (get(RETRY_AFTER), get(DATE)) if callable(get) else (None, None)
    return (
        retry_after_untrusted(text, date if isinstance(date, str) else None, wall_s) if isinstance(text, str) else None
    )
