"""An event as a handler gets it, and what a handler may raise.

Owns: what became of one delivery; the first word counts. Never knows: connections, threads.
"""

import json
from collections.abc import Callable, Mapping
from contextvars import Token
from types import MappingProxyType
from typing import Any, Self

from gossipreg.client.checks import check_number
from gossipreg.client.events.inheriting import HANDLED, CausingEvent
from gossipreg.client.events.settling import Settlement
from gossipreg.errors import BadParams, Unreachable
from gossipreg.events.cloud_event import CAUSATION, CORRELATION, PARTITION_KEY

Settle = Callable[["HandledEvent", Settlement], None]
MAX_REASON = 512
"""Characters of a reason; a sidecar keeps as many bytes."""
MAX_AFTER_S = 7 * 86400.0
"""As the sidecar bounds it."""
_NOT_DECODED = object()


class Reject(Exception):
    """Raised by a handler: this event is never to be tried again. It becomes a dead letter with this reason."""


class RetryLater(Exception):
    """Raised by a handler: try this event again, after `after` seconds; None: after the usual wait, which doubles.

    Programs import it as `gossipreg.Retry`. Every other exception of a handler means the same, and is logged."""

    def __init__(self, after: float | None = None, reason: str = "") -> None:
        """Raises BadParams for an `after` that is no number of seconds up to 7 days."""
        super().__init__(reason or "the handler asked for another attempt")
        self.after = checked_after(after)


class HandledEvent:
    """An event, delivered to one group. Programs import it as `gossipreg.Event`.

    `with event:` does what a handler does: events that are published in it name this one as their cause; its end
    acknowledges, Reject rejects, any other exception asks for another attempt.
    """

    __slots__ = (
        *("id", "source", "type", "subject", "time", "datacontenttype", "raw", "extensions"),
        *("group", "attempt", "journal", "index", "delivery", "connection", "traceparent", "tracestate"),
        *("_settle", "_begun", "_settled", "_data", "_tokens"),
    )

    def __init__(self, params: Mapping[str, Any], connection: int, settle: Settle) -> None:
        """From a notification of the sidecar. `connection`: the number of the connection on which it came. Raises
        Unreachable where it is no event."""
        try:
            event = params["event"]
            self.delivery = int(params["delivery"])
            """Its number on that connection; 0: nobody waits for an answer."""
            self.connection = connection
            self.group = str(params["group"])
            """Empty: broadcast."""
            self.attempt = int(params["attempt"])
            """From 1 on."""
            self.journal = str(params["journal"])
            """With `index` a fencing token: of the events of one key and journal, later ones have a higher index."""
            self.index = int(params["index"])
            self.id = str(event["id"])
            self.source = str(event["source"])
            self.type = str(event["type"])
            self.subject = str(event["subject"])
            self.time = str(event["time"])
            """RFC 3339, as the publisher's clock said. Empty: it said nothing."""
            self.datacontenttype = str(event["datacontenttype"])
            self.raw = bytes(event["data"] or b"")
            self.extensions: Mapping[str, str] = MappingProxyType(dict(event["extensions"]))
            of_handling = params.get("traceparent") is not None
            traced: Mapping[str, Any] = params if of_handling else self.extensions
            self.traceparent = str(traced.get("traceparent") or "")
            """W3C Trace Context of the handling: the parent of a span of the handler. Empty: no trace is known."""
            self.tracestate = str(traced.get("tracestate") or "")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreachable(f"the program on the socket is not a sidecar: {error!r} in an event") from None
        self._data: Any = None if event["data"] is None else _NOT_DECODED
        self._settle = settle
        self._begun = [None]
        """Empty once somebody handles it, or gives it back: `pop` lets one thread have it."""
        self._settled = [None]
        """Empty once it is settled."""
        self._tokens: list[Token[CausingEvent | None]] = []

    # -- what happened -------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The data: a JSON value, text, or bytes, as `datacontenttype` says; None: it has none. Raises Reject where it
        is not what it says, so that a handler that does not catch it rejects the event."""
        if self._data is _NOT_DECODED:
            self._data = _decoded(self.raw, self.datacontenttype)
        return self._data

    @property
    def key(self) -> str:
        """Events of one key are handled in their order. Empty: none."""
        return self.extensions.get(PARTITION_KEY, "")

    @property
    def correlationid(self) -> str:
        """What began it all: the id of the first event, unless its publisher said otherwise. Empty: this may be it."""
        return self.extensions.get(CORRELATION, "")

    @property
    def causationid(self) -> str:
        """The id of the event whose handler published this one. Empty: none did."""
        return self.extensions.get(CAUSATION, "")

    # -- what becomes of it --------------------------------------------------------------------------------------------

    def ack(self) -> None:
        """It is handled. Only the first of `ack`, `reject` and `retry` counts, and none of them waits."""
        self.settle(Settlement("ack"))

    def reject(self, reason: str = "") -> None:
        """Never again: it becomes a dead letter."""
        self.settle(Settlement("reject", sendable(reason) or "rejected"))

    def retry(self, after: float | None = None, reason: str = "") -> None:
        """Once more, after so many seconds; None: after the usual wait. This was an attempt. Raises BadParams."""
        self.settle(Settlement("retry", sendable(reason), checked_after(after)))

    def settle(self, settlement: Settlement) -> None:
        """What `ack`, `reject` and `retry` do."""
        if _taken(self._settled):
            self._settle(self, settlement)

    @property
    def is_settled(self) -> bool:
        return not self._settled

    def begin(self) -> bool:
        """Whether the caller is to handle it: the first one is."""
        return _taken(self._begun)

    @property
    def is_begun(self) -> bool:
        return not self._begun

    def __enter__(self) -> Self:
        self._tokens.append(HANDLED.set(self))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        HANDLED.reset(self._tokens.pop())
        match error:
            case None:
                self.ack()
            case Reject():
                self.reject(_text(error))
            case RetryLater():
                self.retry(error.after, _text(error))
            case _:
                self.retry(None, f"{type(error).__name__}: {_text(error)}")
                return False
        return True

    def __repr__(self) -> str:
        return f"<Event {self.type} {self.id} of {self.source}, attempt {self.attempt}>"


def checked_after(after: float | None) -> float | None:
    """Raises BadParams for what is no number of seconds up to 7 days; less than none is none."""
    if after is None:
        return None
    check_number("after", after, "the seconds until the next attempt")
    if after > MAX_AFTER_S:
        raise BadParams(f"after {after!r} is too long: give seconds, up to {MAX_AFTER_S:g}")
    return max(0.0, float(after))


def sendable(reason: str) -> str:
    """A reason as it can be sent: not longer than a sidecar keeps it, and without halves of surrogate pairs."""
    if not isinstance(reason, str):
        raise BadParams(f"reason {reason!r} is no text: give the reason, for people")
    return reason[:MAX_REASON].encode(errors="replace").decode()


def _text(error: BaseException) -> str:
    """What an exception of the program says; some fail at it."""
    try:
        return str(error)
    except Exception:
        return "an error without a text"


def _taken(token: list[None]) -> bool:
    """Whether this caller is the first: `pop` is atomic."""
    try:
        token.pop()
    except IndexError:
        return False
    return True


def _decoded(raw: bytes, kind: str) -> Any:
    name, _, parameters = kind.partition(";")
    name = name.strip().lower()
    try:
        if name in ("", "application/json", "text/json") or name.endswith("+json"):
            return json.loads(raw)
        if name.startswith("text/"):
            return raw.decode(_charset(parameters))
    except (ValueError, RecursionError, LookupError) as error:
        raise Reject(f"the data is not {kind or 'JSON'}: {error}") from None
    return raw


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"')
    return "utf-8"


Event = HandledEvent
Retry = RetryLater
"""As programs call them; inside the package another class has each of these names."""
