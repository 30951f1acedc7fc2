"""What the sidecar answers about sagas, as programs get it. Everything read here comes from the socket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from gossipreg.errors import Unreachable

DONE, REFUSED = "done", "refused"

T = TypeVar("T", str, int, bool)


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What came of a step."""

    step: str
    state: str
    """`done`: 2xx. `refused`: it had no effect, for certain. `unknown`: it may have had its effect."""
    status: int
    """Of the last answer; 0: there was none."""
    content_type: str
    body: bytes
    cut: bool
    """The body was longer than 64 KiB: this is its beginning."""
    attempts: int
    reason: str
    """For people: why it is not done; empty if it is."""

    @property
    def ok(self) -> bool:
        """Whether it is done."""
        return self.state == DONE

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; None where it is empty. Raises ValueError for what is none, and for a body that is cut."""
        if self.cut:
            raise ValueError(
                f"the answer of step {self.step} is no JSON: it was longer than {len(self.body)} bytes and is kept "
                "cut; have its service answer less"
            )
        return json.loads(self.body) if self.body else None

    @classmethod
    def read_untrusted(cls, step: str, result: Any) -> Self:
        """From the answer of a sidecar. Raises Unreachable for what is none."""
        match result:
            case {"state": str(state)}:
                return cls(
                    step, state, _of(result, "status", 0), _of(result, "content_type", ""),
                    _bytes(result.get("body")), _of(result, "cut", False), _of(result, "attempts", 0),
                    _of(result, "text", ""),
                )  # fmt: skip
        raise no_sidecar("saga-step", result)


@dataclass(frozen=True, slots=True)
class SagaStory:
    """A saga as the journal knows it: how it stands, and what came of each step."""

    saga: str
    """Its full name, JOURNAL.ID."""
    name: str
    state: str
    """`running`, `committed`, `aborted` (undo is under way), `ended`."""
    decision: str | None
    """`commit`, `abort`, or None while it runs."""
    reason: str
    """Why it was aborted."""
    steps: tuple[Mapping[str, Any], ...] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)
    """All that the sidecar said; `gossipreg docs sagas` has the fields."""

    @property
    def is_decided(self) -> bool:
        return self.decision is not None

    @property
    def is_committed(self) -> bool:
        return self.decision == "commit"

    @property
    def is_ended(self) -> bool:
        """Whether nothing of it is open any more: after an abort all is undone, after a commit all that comes after
        it is done."""
        return self.state == "ended"

    @property
    def stuck(self) -> tuple[str, ...]:
        """The steps that a person should look at."""
        return tuple(str(step.get("name")) for step in self.steps if step.get("stuck"))

    @classmethod
    def read_untrusted(cls, result: Any) -> Self:
        """As `StepAnswer.read_untrusted`."""
        match result:
            case {"saga": str(saga), "state": str(state)}:
                steps = result.get("steps")
                return cls(
                    saga, _of(result, "name", ""), state, _decision(result), _of(result, "reason", ""),
                    tuple(step for step in steps if isinstance(step, dict)) if isinstance(steps, list) else (), result,
                )  # fmt: skip
        raise no_sidecar("saga-show", result)


@dataclass(frozen=True, slots=True)
class BegunAnswer:
    """What the sidecar says to a begin, or to a run."""

    saga: str
    id: str
    state: str
    copies: int
    """The disks that hold it now. 0: nothing was written of it yet."""
    takeover: bool
    """Whether it is finished even if the disk of this host is lost now."""
    exists: bool
    """Whether it was begun before."""
    decision: str | None

    @classmethod
    def read_untrusted(cls, method: str, result: Any) -> Self:
        match result:
            case {"saga": str(saga)}:
                return cls(
                    saga, _of(result, "id", saga.partition(".")[2]), _of(result, "state", "running"),
                    _of(result, "copies", 1), _of(result, "takeover", False), bool(result.get("exists")),
                    _decision(result),
                )  # fmt: skip
        raise no_sidecar(method, result)


def read_journal_untrusted(result: Any) -> str:
    """As `StepAnswer.read_untrusted`."""
    match result:
        case {"journal": str(journal)} if journal:
            return journal
    raise no_sidecar("saga-journal", result)


def no_sidecar(method: str, result: Any) -> Unreachable:
    return Unreachable(f"the program on the socket is not a sidecar: it answered {method} with {result!r:.200}")


def _of(result: Mapping[str, Any], name: str, default: T) -> T:
    value = result.get(name, default)
    return value if type(value) is type(default) else default


def _decision(result: Mapping[str, Any]) -> str | None:
    return _of(result, "decision", "") or None


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""
