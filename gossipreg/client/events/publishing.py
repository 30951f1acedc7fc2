"""One publish: the parameters that go to the sidecar, and what each failed attempt says of its outcome.

Owns: the event's id, so that an attempt whose answer is lost can be repeated as the same event; whether an attempt may
have been carried out. Never knows: connections, clocks, how to wait.

An attempt that fails for a reason that may pass is made again until the timeout. Once an attempt has no answer, the
outcome is unknown: a later attempt that is refused says nothing of the earlier one.
"""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from gossipreg.client.checks import check_number, check_text, id_or_drawn
from gossipreg.client.events.inheriting import with_inherited
from gossipreg.errors import (
    BadParams,
    Busy,
    Conflict,
    GossipregError,
    Leaving,
    NotSynced,
    OutcomeUnknown,
    RequestError,
    TooLarge,
    Unavailable,
    UnknownMethod,
    Unreachable,
)
from gossipreg.events.cloud_event import check_data_size
from gossipreg.retry import Retry

AGAIN = Retry(first_s=0.02, longest_s=1.0)
"""The waits between attempts, each drawn between its half and the whole. A sidecar restarts within a second or two."""
MAX_TIMEOUT_S = 3600.0
ATTEMPT_S = 0.05
"""No attempt begins with less time than this, or a tenth of the timeout: it would only make the outcome unknown."""
MAY_PASS = (Busy, Leaving, NotSynced, Unavailable)
"""The event was not published, and the same request may succeed soon."""
FINAL = (BadParams, Conflict, TooLarge, UnknownMethod)
"""The sidecar would have said the same to every attempt, so none was carried out."""
ANSWERS_EARLIER = 0.1
"""The sidecar gives up by this part of the time earlier than the caller, but at most ANSWERS_EARLIER_S: it knows better
than the caller what became of the event."""
ANSWERS_EARLIER_S = 0.25

_random = Random()


class EventToPublish:
    def __init__(
        self, type: str, data: object, *, id: str | None, source: str | None, key: str | None, subject: str | None,
        datacontenttype: str | None, time: str | None, extensions: Mapping[str, str] | None, timeout: float,
        keep: float | None, now: float,
    ) -> None:  # fmt: skip
        """See `Registry.publish`. `now` is of `monotonic`. Raises BadParams, TooLarge."""
        if not isinstance(type, str):
            raise BadParams(f"type {type!r} is no text: give words with dots between them, such as order.created")
        check_number("timeout", timeout, "the seconds that a publish may take")
        if not 0 < timeout <= MAX_TIMEOUT_S:
            raise BadParams(f"timeout {timeout!r} is out of range: give seconds, up to {MAX_TIMEOUT_S:g}")
        if keep is not None:
            check_number("keep", keep, "for how many seconds the event is kept for groups that come later")
        attributes = {"source": source, "key": key, "subject": subject, "datacontenttype": datacontenttype,
                      "time": time}  # fmt: skip
        for name, value in attributes.items():
            check_text(name, value, f"the {name} of the event")
        self.id = id_or_drawn(id, "what names the event")
        self.timeout_s = timeout
        self.deadline = now + timeout
        self._params: dict[str, Any] = {"type": type, "id": self.id, **content(data)}
        check_data_size(len(self._params.get("data", b"")))
        self._params |= {name: value for name, value in attributes.items() if value is not None}
        if found := with_inherited(extensions):
            self._params["extensions"] = found
        if keep is not None:
            self._params["keep"] = keep
        self._wait_s = 0.0
        self._lost = False
        """Whether an attempt may have been carried out, and was not answered."""

    def request(self, now: float) -> dict[str, Any]:
        """The parameters of the next attempt."""
        left_s = max(0.0, self.deadline - now)
        return {**self._params, "timeout": left_s - min(ANSWERS_EARLIER * left_s, ANSWERS_EARLIER_S)}

    def unsent(self, error: GossipregError, now: float) -> float:
        """An attempt failed before anything was sent. Returns the seconds to wait for the next one; raises if there
        can be none."""
        if isinstance(error, Unreachable | Busy):
            return self._again(error, now)
        raise error

    def unanswered(self, error: Unreachable, now: float) -> float:
        """As `unsent`, of an attempt that was sent and has no answer."""
        self._lost = True
        return self._again(error, now)

    def refused(self, error: RequestError, now: float) -> float:
        """As `unsent`, of an attempt that the sidecar refused."""
        self._lost = self._lost or isinstance(error, OutcomeUnknown)
        if isinstance(error, (*MAY_PASS, OutcomeUnknown)):
            return self._again(error, now)
        if self._lost and not isinstance(error, FINAL):
            raise self._unknown(error) from error
        raise error

    def _again(self, error: GossipregError, now: float) -> float:
        self._wait_s = AGAIN.after(self._wait_s) if self._wait_s else AGAIN.first_s
        wait_s = self._wait_s * _random.uniform(0.5, 1.0)
        if self.deadline - now - wait_s >= min(ATTEMPT_S, self.timeout_s / 10):
            return wait_s
        if self._lost:
            raise self._unknown(error) from error
        raise error

    def _unknown(self, error: GossipregError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"the event may be published or not: no answer within {self.timeout_s:g} s; publish it again with "
            f"id={self.id!r}, it counts once ({error})"
        )


def content(data: object) -> dict[str, Any]:
    """The parameters that carry this data: bytes as they are, text as text/plain, anything else as JSON. None: the
    event has no data. Raises BadParams."""
    if data is None:
        return {}
    if isinstance(data, bytes):
        return {"data": data}
    if isinstance(data, str):
        return {"data": data}
    if isinstance(data, bytearray | memoryview):
        return {"data": bytes(data)}
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"data has no form in JSON: {error}: give bytes, text, or what JSON has") from None
    return {"data": text, "datacontenttype": "application/json"}
