"""The HTTP headers and methods that picking and retries know, for all adapters. All of it is untrusted text.

Gossipreg-Attempt      to the server: 2 or more if this request is a retry, or serves one
Gossipreg-Timeout-Ms   to the server: how long the caller still waits. A duration, so clocks need not agree
gossipreg-load         from the server: `in_flight=12`, its requests in flight, this one included
Idempotency-Key        of a request that may be sent again whatever its method is
Retry-After            from the server: do not come back earlier; `retry_after.py` reads it
Date                   of the response, on the clock of the server
"""

from collections.abc import Mapping

ATTEMPT = "Gossipreg-Attempt"
TIMEOUT_MS = "Gossipreg-Timeout-Ms"
LOAD = "gossipreg-load"
IDEMPOTENCY_KEY = "Idempotency-Key"
RETRY_AFTER = "Retry-After"
DATE = "Date"

IDEMPOTENT_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""RFC 9110, section 9.2.2, without TRACE, which nobody sends to a service."""
NUMBER_MAX = 1_000_000
"""A larger number in a header is taken for nonsense."""


def attempt_headers(timeout_s: float, number: int) -> dict[str, str]:
    """What a server has to know: how long its caller waits, and whether this is a retry (`number` is 2 or more)."""
    sent = {TIMEOUT_MS: str(max(1, int(timeout_s * 1000)))}
    return sent if number < 2 else {**sent, ATTEMPT: str(number)}


def is_idempotent(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a request may be sent again after it was sent. That its body can be is for the adapter to know."""
    return method.upper() in IDEMPOTENT_METHODS or any(name.lower() == IDEMPOTENCY_KEY.lower() for name in headers)


def attempt_untrusted(text: str | None) -> int:
    """The depth for CallOptions that the header Gossipreg-Attempt of an incoming request asks for; 1 if it has none."""
    return max(1, number_untrusted(text) or 1)


def load_untrusted(text: str | None) -> int | None:
    """The requests in flight that a server tells in gossipreg-load; None if it tells none."""
    for part in (text or "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() == "in_flight":
            return number_untrusted(value)
    return None


def number_untrusted(text: str | None) -> int | None:
    """A whole number of at most NUMBER_MAX; None: the text is none."""
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        return None
    number = int(text)
    return number if number <= NUMBER_MAX else None
