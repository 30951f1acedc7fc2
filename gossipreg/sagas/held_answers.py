"""Answers that rest on what this leader knows, until it is proven that it led when they were due.

Owns: the answers that wait for a proof, and since when. Never knows: what is answered.

A leader that stood still while another one took over does not know what was committed meanwhile. What it puts into the
journal is refused, but an answer that needs no entry ("there is no such saga") would come from its old state. Such an
answer waits for a proof of leadership that is not older than itself (as a read does in Raft, 6.4): then its state had
all that was committed before. Without a proof it waits until this sidecar is deposed, or its caller gives up.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipreg.journal.leadership_proof import LeadershipProof
from gossipreg.model import NodeId
from gossipreg.sagas.live_sagas import SagaCaller

MAX_HELD = 32_768
"""Answers of one journal that wait for a proof; more calls are refused as `busy`."""


@dataclass(frozen=True, slots=True)
class _Held:
    since: float
    give: Callable[[], None]
    unwanted: Callable[[], None]
    done: bool


class HeldAnswers:
    def __init__(self, proof: LeadershipProof) -> None:
        self._proof = proof
        self._held: dict[SagaCaller, _Held] = {}
        """In the order of their times."""

    def __len__(self) -> int:
        return len(self._held)

    def proven(self, since: float) -> bool:
        """Whether we have led since this time."""
        return self._proof.covers(since)

    def hold(
        self, caller: SagaCaller, since: float, give: Callable[[], None], *,
        unwanted: Callable[[], None], done: bool,
    ) -> bool:  # fmt: skip
        """Call `give` once it is proven that we have led since then, in place of an earlier answer to this caller, or
        `unwanted` if the caller waits no longer. `done`: what it asked for may be done already. False: too many
        wait."""
        self.drop(caller)
        if len(self._held) >= MAX_HELD:
            return False
        self._held[caller] = _Held(since, give, unwanted, done)
        return True

    def drop(self, caller: SagaCaller) -> None:
        """This caller asks anew."""
        self._held.pop(caller, None)

    def abandoned(self, caller: SagaCaller) -> None:
        """This caller waits no longer."""
        held = self._held.pop(caller, None)
        if held is not None:
            held.unwanted()

    def closed(self, node: NodeId) -> None:
        """Answers do not reach this member any more: it asks again."""
        for caller in [caller for caller in self._held if caller.node == node]:
            del self._held[caller]

    def flush(self) -> None:
        """Give what is proven; want a proof for the rest."""
        while self._held:
            caller, held = next(iter(self._held.items()))
            if not self._proof.covers(held.since):
                self._proof.want(next(reversed(self._held.values())).since)
                return
            del self._held[caller]
            held.give()

    def take_all(self) -> list[tuple[SagaCaller, bool]]:
        """We do not lead any more: nothing is given. Returns the callers that waited, and whether what each asked for
        may be done."""
        waited = [(caller, held.done) for caller, held in self._held.items()]
        self._held.clear()
        return waited
