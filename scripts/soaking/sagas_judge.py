"""The judge of the soak of sagas: what must hold of the books of all services, the journals' list of sagas, and what
programs were told. Never knows: sidecars, or which faults there were.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

STEPS = {"stock": "reserve", "payment": "pay"}
"""The step that each service takes before the commit."""
AFTER = {"mail": "mail"}
"""And after it."""
SHOWN = 10
"""Lines of one kind."""


@dataclass(frozen=True, slots=True)
class ToldSaga:
    """What a program was told of its saga."""

    id: str
    """Its whole name."""
    outcome: str
    """`committed`, `aborted` or `unknown`."""
    took_s: float


@dataclass(frozen=True, slots=True)
class Booking:
    """What the ledger of a service has of one key."""

    service: str
    key: str
    """`JOURNAL.SAGA/STEP`"""
    done: int
    undone: int


@dataclass(slots=True)
class SagaHistory:
    told: list[ToldSaga] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    bookings: list[Booking] = field(default_factory=list)
    decisions: dict[str, str] = field(default_factory=dict)
    """By whole name: `commit` or `abort`, of each saga that has ended, as the journals have it."""
    open: list[str] = field(default_factory=list)
    """Sagas that have not ended."""


def saga_faults(history: SagaHistory) -> list[str]:
    found: list[str] = []
    for faults in (_open(history), _told_otherwise(history), _books(history), _missing(history)):
        lines = [*faults]
        found += lines[:SHOWN]
        if len(lines) > SHOWN:
            found.append(f"... and {len(lines) - SHOWN} more of this kind")
    return found


def _open(history: SagaHistory) -> Iterator[str]:
    for saga in history.open:
        yield f"saga {saga} has not ended"


def _told_otherwise(history: SagaHistory) -> Iterator[str]:
    """A program was told an outcome that the journal does not have."""
    for told in history.told:
        decision = history.decisions.get(told.id)
        if told.outcome == "committed" and decision != "commit":
            yield f"the program of {told.id} was told that it is committed; the journal has {decision or 'none'}"
        if told.outcome == "aborted" and decision == "commit":
            yield f"the program of {told.id} was told that it is aborted; the journal has it committed"


def _books(history: SagaHistory) -> Iterator[str]:
    """What a service holds must be of a saga that committed, and once."""
    for one in history.bookings:
        saga = one.key.rpartition("/")[0]
        held, decision = one.done - one.undone, history.decisions.get(saga)
        if one.done > 1 or one.undone > one.done:
            yield f"{one.service} did {one.key} {one.done} times and undid it {one.undone} times"
        elif held and decision != "commit":
            yield f"{one.service} holds {one.key}; the journal has {decision or 'no such saga'}"
        elif one.undone and decision == "commit":
            yield f"{one.service} undid {one.key}, which is committed"
        elif one.done and one.service in AFTER and decision != "commit":
            yield f"{one.service} did {one.key} for a saga that is not committed"


def _missing(history: SagaHistory) -> Iterator[str]:
    """A committed saga has all its bookings."""
    held: dict[str, set[str]] = defaultdict(set)
    for one in history.bookings:
        if one.done > one.undone:
            held[one.key.rpartition("/")[0]].add(one.service)
    wanted = {*STEPS, *AFTER}
    for saga, decision in history.decisions.items():
        if decision == "commit" and (lacking := wanted - held[saga]):
            yield f"saga {saga} is committed, and {', '.join(sorted(lacking))} has nothing of it"
