"""A saga as its program wants it, and what the program was told of it."""

from dataclasses import dataclass, field
from typing import Any

from gossipreg.sagas.saga_model import SagaKind, SagaRef


@dataclass(frozen=True, slots=True)
class WantedStep:
    name: str
    service: str
    template: dict[str, Any]
    """As programs and definitions say it: see `gossipreg/sagas/step_template.py`."""

    @property
    def optional(self) -> bool:
        return bool(self.template.get("optional"))


@dataclass(slots=True, eq=False)
class SagaRun:
    host: int
    """The number of the host of its program."""
    id: str
    name: str
    kind: SagaKind
    input: bytes
    timeout_ms: int
    strict: bool
    groups: tuple[tuple[WantedStep, ...], ...]
    """What is taken one after the other; the steps of a group at the same time."""
    after: tuple[WantedStep, ...]
    definition: bytes
    """Of a declared one; then there are no groups."""
    twist: str
    """What its program does beside it: see `program.py`."""
    twist_at: int
    """In which group."""
    saga: SagaRef | None = None
    """Once the program was told."""
    begins: int = 0
    """How often it was begun."""
    state: str = ""
    """What its program knows of the decision: `committed`, `aborted`, or nothing."""
    over: bool = False
    """Its program takes no more care of it."""
    told: list["Told"] = field(default_factory=list)

    @property
    def by_code(self) -> bool:
        return self.kind is SagaKind.BY_CODE


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that a program got."""

    run: SagaRun
    method: str
    step: str
    """Empty where the call is about no step."""
    code: str
    result: Any
    asked_at: float
    """World time."""
    changed: bool = False
    """It asked for something else under a name that was used before: it must be refused."""
