"""`PickedInstance`: the instance that a request goes to, and how the request's end is reported."""

from collections.abc import Mapping
from time import time
from typing import Any, Self

from gossipreg.client.checks import check_number
from gossipreg.client.instance import Instance
from gossipreg.client.picker import Picker
from gossipreg.client.picking.attempts import Attempt
from gossipreg.client.picking.balancer import Pick
from gossipreg.client.picking.headers import attempt_headers
from gossipreg.client.picking.outcomes import (
    FAILURE,
    NEUTRAL,
    NEVER_SENT,
    SUCCESS,
    Outcome,
    exception_outcome,
    status_outcome,
)
from gossipreg.errors import BadParams, Refused


class PickedInstance:
    """An instance for one request. It has the attributes of `Instance`, and says how long the request may take.

    The end of the request is its outcome: OSError and timeouts are failures, and so is what `failed` or `status` says.
    Other exceptions say nothing about the instance.
    """

    __slots__ = ("_load", "_outcome", "attempt", "body_follows", "connect_timeout_s", "instance", "timeout_s")

    def __init__(self, instance: Instance, timeout_s: float, connect_timeout_s: float, attempt: Attempt | None) -> None:
        self.instance = instance
        self.timeout_s = timeout_s
        """How long this request may take."""
        self.connect_timeout_s = connect_timeout_s
        """How much of it may pass until the connection is made."""
        self.attempt = attempt
        """The attempt of a call; None for a single pick."""
        self.body_follows = False
        """For adapters: a good answer has begun, and its body ends the request."""
        self._outcome: Outcome | None = None
        self._load: int | None = None

    # -- the instance --------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.instance.id

    @property
    def service(self) -> str:
        return self.instance.service

    @property
    def node(self) -> str:
        return self.instance.node

    @property
    def node_name(self) -> str:
        return self.instance.node_name

    @property
    def address(self) -> str:
        return self.instance.address

    @property
    def port(self) -> int:
        return self.instance.port

    @property
    def hostport(self) -> str:
        return self.instance.hostport

    @property
    def tags(self) -> tuple[str, ...]:
        return self.instance.tags

    @property
    def meta(self) -> Mapping[str, str]:
        return self.instance.meta

    @property
    def weight(self) -> int:
        return self.instance.weight

    @property
    def zone(self) -> str:
        return self.instance.zone

    @property
    def stale(self) -> bool:
        return self.instance.stale

    @property
    def health(self) -> str:
        return self.instance.health

    @property
    def version(self) -> tuple[int, int]:
        return self.instance.version

    @property
    def reason(self) -> str:
        return self.instance.reason

    def headers(self) -> Mapping[str, str]:
        """The HTTP headers that tell the server how long this caller waits, and whether this is a retry."""
        if self.attempt is not None:
            return self.attempt.headers()
        return attempt_headers(self.timeout_s, 1)

    # -- how the request went ------------------------------------------------------------------------------------------

    def failed(self) -> None:
        """The request failed, although no OSError or timeout will say so."""
        self._outcome = FAILURE

    def never_sent(self) -> None:
        """The request failed, and the instance got no byte of it, whatever the exception says: so it may be sent to
        another one even if it is not idempotent."""
        self._outcome = NEVER_SENT

    def status(self, status: int, retry_after_s: float | None = None) -> None:
        """The response has this HTTP status: 500, 502, 503 and 504 are failures, 429 counts as load. `retry_after_s`:
        the seconds that the server asks to wait. Raises BadParams."""
        if not isinstance(status, int):
            raise BadParams(f"status {status!r} is no whole number: give the status of the response, such as 503")
        if retry_after_s is not None:
            check_number("retry_after_s", retry_after_s, "seconds, or None: the header may be a date, too")
        self._outcome = status_outcome(status, retry_after_s)

    def ended_as(self, outcome: Outcome) -> None:
        """For adapters: the request has this outcome, whatever exception comes."""
        self._outcome = outcome

    def server_load(self, in_flight: int) -> None:
        """The server says that it has so many requests in flight, this one included."""
        if not isinstance(in_flight, int) or in_flight < 0:
            raise BadParams(f"in_flight {in_flight!r} is no whole number from 0: give what the server says")
        self._load = in_flight

    def outcome(self, error: BaseException | None) -> Outcome:
        """The outcome of the request, which ended with this exception or with none."""
        if self._outcome is not None:
            return self._outcome
        return SUCCESS if error is None else exception_outcome(error, time())

    @property
    def load(self) -> int | None:
        """What `server_load` was told."""
        return self._load

    def __repr__(self) -> str:
        return f"<PickedInstance {self.instance}, {self.timeout_s:g} s>"


class SinglePick(PickedInstance):
    """`with service.pick() as instance:`. It picks when the block is entered, and reports when it is left."""

    __slots__ = ("_deadline_s", "_key", "_pick", "_picker")

    def __init__(self, picker: Picker, key: str | None, deadline_s: float) -> None:
        self._picker = picker
        self._key = key
        self._deadline_s = deadline_s
        self._pick: Pick | None = None

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there: of an instance, that is all before the block is entered."""
        if name.startswith("_") or self._pick is not None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise AttributeError(f"{name}: this pick has no instance yet: enter it, `with service.pick() as instance:`")

    def __enter__(self) -> Self:
        if self._pick is not None:
            raise Refused(f"this pick of {self.instance.service} is used already: call pick() for each request")
        self._pick = pick = self._picker.pick(self._key, self._deadline_s)
        # PickedInstance.__init__, written out: this is the hot path
        self.instance = pick.instance
        self.timeout_s = self.connect_timeout_s = self._deadline_s
        self.attempt = None
        self._outcome = None
        self._load = None
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.close(error)

    def answered(self) -> None:
        """The headers came. What follows, such as a body that is streamed, does not count as latency."""
        if self._pick is not None:
            self._picker.answered(self._pick)

    def close(self, error: BaseException | None = None) -> None:
        """The request has ended, with this exception or with none. A second end changes nothing."""
        if (pick := self._pick) is not None and not pick.ended:
            outcome = self._outcome or (SUCCESS if error is None else exception_outcome(error, time()))
            self._picker.ended(pick, outcome, self._load)

    def cancel(self) -> None:
        """The request has ended in a way that says nothing about the instance."""
        self._outcome = NEUTRAL
        self.close()

    def __repr__(self) -> str:
        return "<SinglePick, not entered>" if self._pick is None else super().__repr__()

    def __del__(self) -> None:
        """A block that was never left, such as one in a generator that nobody reads to its end."""
        pick = getattr(self, "_pick", None)
        if pick is not None and not pick.ended:
            self._picker.abandon(pick)
