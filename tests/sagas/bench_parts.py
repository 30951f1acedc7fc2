"""What the test bench of sagas is made of: sidecars, what they know, attempts and answers, and what is wrong of one."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gossipreg.journal.model import JournalId
from gossipreg.journal.state import Records
from gossipreg.model import NodeId
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_effects import SagaEffect
from gossipreg.sagas.saga_model import SagaState, StepState, WhenUnknown
from gossipreg.sagas.sagas import Sagas

JOURNAL = JournalId(b"J" * 16)
START = 100.0
COMMIT_S = 0.002
NETWORK_S = 0.001
ROUNDING_S = 1e-6
ANSWER_S = 0.003


@dataclass(frozen=True, slots=True)
class Answer:
    """What a participant says to one attempt."""

    status: int = 200
    body: bytes = b'{"ok":true}'
    after_s: float = ANSWER_S
    sent: bool = True
    retry_after_s: float = 0.0
    lost: bool = False
    """It has its effect, and its answer is lost: over at the attempt's timeout."""


UNSENT = Answer(0, b"", sent=False)
LOST = Answer(lost=True)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A command as it arrives at a participant."""

    at: float
    node: NodeId
    boot: bytes
    number: int
    service: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    timeout_s: float
    avoid: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def undoes(self) -> str:
        return self.headers.get("gossipreg-undoes", "")

    @property
    def name(self) -> str:
        """`STEP`, or `STEP/undo`."""
        return self.key.partition("/")[2]


Ticket = tuple[bytes, int]
"""Of a call at a process of a sidecar."""

Participant = Callable[[Attempt], Answer | None]
"""None: it does not answer; the test does, or it is over at its timeout."""


@dataclass(slots=True, eq=False)
class SagaSidecar:
    node: NodeId
    boot: bytes
    sagas: Sagas
    machine: SagasMachine
    records: Records
    up: bool = True
    leads: bool = False
    """It believes so."""
    applied: int = 0
    wake_at: float = float("inf")
    effects: deque[SagaEffect] = field(default_factory=deque)
    acting: bool = False


class BenchFacts(Protocol):
    """What is known of the bench."""

    leader: SagaSidecar | None
    sidecars: list[SagaSidecar]
    by_node: dict[NodeId, SagaSidecar]
    claimed: set[JournalId]
    ended: dict[NodeId, set[JournalId]]
    closed: bool
    keepers: dict[JournalId, list[NodeId]]
    whereabouts: dict[JournalId, str]

    def led_ms(self, now: float) -> int: ...


class BenchView:
    """What a sidecar knows of the members."""

    synced = True

    def __init__(self, bench: BenchFacts) -> None:
        self._bench = bench

    def leader(self, journal: JournalId) -> NodeId | None:
        leader = self._bench.leader
        return leader.node if leader is not None and leader.up and journal == JOURNAL else None

    def leaders(self) -> list[NodeId]:
        leader = self._bench.leader
        return [leader.node] if leader is not None and leader.up else []

    def claimed(self) -> set[JournalId]:
        return self._bench.claimed

    def may_remember(self, journal: JournalId) -> list[NodeId]:
        return self._bench.keepers.get(journal, [])

    def process(self, node: NodeId) -> bytes:
        sidecar = self._bench.by_node.get(node)
        return sidecar.boot if sidecar is not None and sidecar.up else b""


class BenchJournals:
    def __init__(self, bench: BenchFacts, place: int) -> None:
        self._bench = bench
        self._place = place

    def machine(self, journal: JournalId) -> SagasMachine:
        assert journal == JOURNAL
        return self._bench.sidecars[self._place].machine

    def has_takeover(self, journal: JournalId) -> bool:
        return journal == JOURNAL

    def kept(self) -> set[JournalId]:
        return {JOURNAL} if self._bench.sidecars[self._place].applied else set()

    def closed(self) -> bool:
        return self._bench.closed

    def ended(self) -> set[JournalId]:
        return self._bench.ended.get(self._bench.sidecars[self._place].node, set())

    def led_ms(self, journal: JournalId, now: float) -> int:
        assert journal == JOURNAL
        return self._bench.led_ms(now)


def attempt_faults(
    attempt: Attempt, truth: SagasMachine, under_way: Iterable[Attempt], late_s: float
) -> list[str]:  # fmt: skip
    """What the contract forbids of this attempt. `late_s`: its sender was replaced so long ago."""
    saga, _, name = attempt.key.partition("/")
    step_name, _, undo = name.partition("/")
    open = truth.open.get(saga.partition(".")[2])
    step = None if open is None else open.steps.get(step_name)
    faults = [f"beside {other.name}, which is under way" for other in under_way if _is_beside(attempt, other)]
    if late_s > NETWORK_S + ROUNDING_S:
        faults.append(f"its sender was replaced {late_s:.3f} s ago")
    if open is None or step is None:
        faults.append("nothing of it is open in the journal")
    else:
        faults += _out_of_turn(open, step, bool(undo))
    return [f"{attempt.name} at {attempt.at:.3f}: {fault}" for fault in faults]


def _is_beside(attempt: Attempt, other: Attempt) -> bool:
    return other.boot == attempt.boot and other.key.removesuffix("/undo") == attempt.key.removesuffix("/undo")


def _out_of_turn(open: OpenSaga, step: OpenStep, undo: bool) -> list[str]:
    standing = f"of a step that is {step.state.name}, of a saga that is {open.state.name}"
    if undo:
        right = open.state is SagaState.ABORTED and step.state is StepState.UNDOING
    elif step.intent.options.after:
        right = open.state is SagaState.COMMITTED
    else:
        repeats = open.state is SagaState.ABORTED and step.intent.options.unknown is WhenUnknown.REPEAT
        right = open.state is SagaState.RUNNING or repeats
    return [] if right else [f"{'undo' if undo else 'attempt'} {standing}"]


def step(name: str, **fields: Any) -> dict[str, Any]:
    """A step of a service of its own name, with an undo."""
    undo = {"method": "DELETE", "path": f"/{name}/{{key}}"}
    return {"name": name, "service": name, "method": "PUT", "path": f"/{name}/{{key}}", "undo": undo, **fields}
