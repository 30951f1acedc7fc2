"""One exception tree. Each class says who is at fault and whether anything changed.

Whatever is raised on purpose derives from GossipregError and carries one line for a person (what is wrong, with which
value, what to do) and, where a program has to tell cases apart, a `code`.
"""

import errno
from typing import Any


class GossipregError(Exception):
    """The root. Never raised itself."""

    code: str = "error"


class BadDatagram(GossipregError):
    """A peer, or a stranger, sent bytes that cannot be used. The sender is at fault; nothing changed.

    `reason` is a short fixed name: every drop is counted under it.
    """

    code = "bad_datagram"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class RequestError(GossipregError):
    """A request through the local socket, or a command of the core, cannot be done. The caller is at fault, nothing
    changed, and the same request will fail again until what it names is mended. Subclasses carry the code that goes
    over the socket."""

    code = "refused"


class BadParams(RequestError):
    """A parameter is missing, unknown, of the wrong type or out of range."""

    code = "bad_params"


class CannotSend(BadParams):
    """A parameter that has no form on the socket (text that is not UTF-8): nothing was sent."""


class ChooseSocket(BadParams):
    """Several sidecars fit, or the socket cannot have this path: the user has to name a socket."""


class UnknownMethod(RequestError):
    """No such method."""

    code = "unknown_method"


class NotFound(RequestError):
    """What the request names is not there."""

    code = "not_found"


class Refused(RequestError):
    """Understood, and not allowed here."""

    code = "refused"


class NotAllowed(Refused):
    """This caller may not do it; another one may (see `rights.py`)."""


class Leaving(Refused):
    """This sidecar is leaving, so its successor has to do it. Nobody is at fault."""

    code = "leaving"


class CannotKeep(Refused):
    """The request must be written to the data directory, and it cannot be written. The disk is at fault, nothing
    changed, and the same request succeeds once the disk takes it."""

    code = "cannot_keep"


class TooLarge(RequestError):
    """Beyond a documented limit (a value, a row, a request)."""

    code = "too_large"


class Busy(RequestError):
    """A bound of this sidecar is reached: the same request may succeed later."""

    code = "busy"


class NotSynced(RequestError):
    """The sidecar is not synced yet, so it cannot say what there is. Nobody is at fault, and the same request succeeds
    once it is synced."""

    code = "not_synced"


class TooStale(NotSynced):
    """What this program knows of a service has been confirmed by nobody for longer than it allows (`max_stale`). The
    sidecar is away, or not synced; nobody else is at fault."""

    code = "too_stale"


class Unavailable(RequestError):
    """Nobody leads this sidecar's journal now, or no majority of its disks answers. Nobody is at fault, nothing
    changed, and the same request succeeds once there is a leader."""

    code = "unavailable"


class OutcomeUnknown(RequestError):
    """No answer came in time: the event may be published or not, the saga committed or not. The same event, with the
    same id, counts once; a saga is asked by its name."""

    code = "outcome_unknown"

    def __init__(self, text: str, *, saga: str = "") -> None:
        super().__init__(text)
        self.saga = saga
        """JOURNAL.ID; empty: it is about no saga."""


class Conflict(RequestError):
    """Another event has this id and source, another saga or step this name. The caller is at fault, nothing changed."""

    code = "conflict"


class SagaConflict(Conflict):
    """A saga of this id with another name or input exists. The caller is at fault, nothing changed."""


class SagaExists(RequestError):
    """A saga of this id, name and input exists already. Nobody is at fault, nothing changed: it is not run again."""

    code = "exists"

    def __init__(self, text: str, *, saga: str = "", state: str = "", decision: str | None = None) -> None:
        super().__init__(text)
        self.saga = saga
        """JOURNAL.ID."""
        self.state = state
        """`running`, `committed`, `aborted` or `ended`."""
        self.decision = decision
        """`commit`, `abort`; None: it runs."""


class SagaAborted(RequestError):
    """The saga is aborted: what its steps did is undone, or is being undone. The text says why."""

    code = "aborted"

    def __init__(self, reason: str, *, saga: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.saga = saga
        """JOURNAL.ID."""


class JournalFull(RequestError):
    """The journal has no room until a group acknowledges events, or is forgotten. The text names the group."""

    code = "journal_full"


class NoDataDirectory(RequestError):
    """This sidecar has no disk to publish to: start it with --data-dir."""

    code = "no_data_directory"


class TooFewCopies(RequestError):
    """Fewer disks hold the journal than --min-copies asks for. Nothing changed."""

    code = "too_few_copies"


class StepRefused(GossipregError):
    """A step of a saga was refused by its service, so it had no effect. The others are undone."""

    code = "step_refused"

    def __init__(self, text: str, answer: object = None) -> None:
        super().__init__(text)
        self.answer: Any = answer
        """The StepAnswer."""


class StepUnknown(GossipregError):
    """A step of a saga got no answer in its time: it may be done or not. The abort that follows undoes it."""

    code = "step_unknown"

    def __init__(self, text: str, answer: object = None) -> None:
        super().__init__(text)
        self.answer: Any = answer
        """The StepAnswer; None: not even the sidecar has answered."""


class Unreachable(GossipregError):
    """The local sidecar does not answer: not running, or another socket is meant. Nothing changed, as far as known."""

    code = "unreachable"


class Forked(GossipregError):
    """A forked child uses a watch or an attached registration of its parent. The program is at fault; in the parent it
    goes on."""

    code = "forked"


class NoInstance(GossipregError):
    """No instance of the service can be picked: none is registered, or none passes its health checks. Nothing was sent,
    and the same request succeeds once there is one."""

    code = "no_instance"


class BreakerOpen(GossipregError):
    """The circuit breaker of the service is open: most calls of the last seconds failed. Nothing was sent."""

    code = "breaker_open"


class DeadlineExceeded(GossipregError):
    """The deadline of a call passed. What was sent may or may not have been carried out."""

    code = "deadline_exceeded"


class UnusableFile(GossipregError):
    """A file that the sidecar wrote for itself is damaged, or of another version. It is ignored; nothing changed."""

    code = "unusable_file"


class CannotStart(GossipregError):
    """The sidecar could not start: the environment is at fault (address in use, key unreadable, ...). Nothing runs."""

    code = "cannot_start"


class CannotStartYet(CannotStart):
    """The sidecar could not start for a reason that may mend itself: the same start may succeed later."""

    code = "cannot_start_yet"


MAY_MEND = frozenset((
    errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAGAIN, errno.EBUSY, errno.EDQUOT, errno.EMFILE, errno.ENFILE,
    errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.ESTALE, errno.ETIMEDOUT,
))  # fmt: skip
"""Errors of the system that may pass: a port or an address, space, descriptors, memory, a file server."""


def cannot_start(message: str, number: int | None) -> CannotStart:
    """The exception for an error of the system with this errno; None: it had none."""
    return CannotStartYet(message) if number in MAY_MEND else CannotStart(message)


class BadConfig(GossipregError):
    """A configured value is out of its bounds, or two contradict each other. Nothing runs."""

    code = "bad_config"


REQUEST_ERRORS: dict[str, type[RequestError]] = {
    cls.code: cls
    for cls in (
        *(BadParams, UnknownMethod, NotFound, Refused, TooLarge, Busy, NotSynced, Leaving, CannotKeep, Unavailable),
        *(OutcomeUnknown, Conflict, JournalFull, NoDataDirectory, TooFewCopies, SagaExists, SagaAborted),
    )
}
"""From the code on the socket back to the class, for clients."""
