"""What the answer of a service means for the event that it was asked to handle."""

import json
import time
from dataclasses import dataclass

from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.events.messages import DeliveryResult
from gossipreg.net.http_client import HttpAnswer

REJECTS = frozenset((400, 413, 415, 422))
"""The event itself is at fault. Every other 4xx may come of a deployment, and ends with it."""
AFTER_MAX_S = 86400.0
"""The longest `Retry-After` that is obeyed."""
SHOWN_BYTES = 200
"""Of an answer's body, in the reason."""


@dataclass(frozen=True, slots=True)
class Verdict:
    result: DeliveryResult
    reason: str = ""
    after_s: float = 0.0
    """Not again before this; 0: as the backoff says."""


ACKED = Verdict(DeliveryResult.ACKED)


def route_verdict(answer: HttpAnswer) -> Verdict:
    """Of a service's own route: 2xx acknowledges, some 4xx reject, all else is tried again."""
    if 200 <= answer.status < 300:
        return ACKED
    if answer.status in REJECTS:
        return Verdict(DeliveryResult.REJECTED, _said(answer))
    return again(answer)


def dapr_verdict(answer: HttpAnswer) -> Verdict:
    """Of a Dapr app: 404 drops, every other status than 2xx is tried again, and 2xx may say what to do."""
    if answer.status == 404:
        return Verdict(DeliveryResult.REJECTED, _said(answer))
    if not 200 <= answer.status < 300:
        return again(answer)
    match _status_untrusted(answer.body):
        case "" | "SUCCESS":
            return ACKED
        case "DROP":
            return Verdict(DeliveryResult.REJECTED, "the app answered DROP")
        case "RETRY":
            return Verdict(DeliveryResult.FAILED, "the app answered RETRY", _after_s(answer))
        case other:
            return Verdict(DeliveryResult.FAILED, f"the app answered the status {other[:40]!r}: SUCCESS, RETRY or DROP")


def again(answer: HttpAnswer) -> Verdict:
    return Verdict(DeliveryResult.FAILED, _said(answer), _after_s(answer))


def _status_untrusted(body: bytes) -> str:
    """The status that the body of a 2xx says; empty where it says none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    status = found.get("status") if isinstance(found, dict) else None
    return status if isinstance(status, str) else ""


def _after_s(answer: HttpAnswer) -> float:
    asked_s = retry_after_untrusted(answer.header("retry-after"), answer.header("date"), time.time())
    return min(asked_s or 0.0, AFTER_MAX_S)


def _said(answer: HttpAnswer) -> str:
    text = answer.body[:SHOWN_BYTES].decode(errors="replace").strip()
    return f"HTTP {answer.status} {text}".strip()
