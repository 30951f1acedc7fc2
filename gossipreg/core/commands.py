"""The commands that the sidecar gives its own node: services, health, addresses, leaving.

Owns: the commands, and an operator's claim that a member has left. Each command is one whole input, like a datagram. It
returns effects, or it raises a RequestError and changes nothing. Never knows: what a node does before and after each
input (`node.py`).
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping

from gossipreg.core.context import Context
from gossipreg.core.effects import Effect
from gossipreg.core.local.leaving import Departure
from gossipreg.core.view import View, check_gone
from gossipreg.model import Address, Health, NodeId, Rank, RegisteredService, Version
from gossipreg.wire.messages import MAX_INCARNATION, Claim


class NodeCommands(View):
    _departure: Departure

    @abstractmethod
    def _begin(self, now: float) -> Context:
        """Begin an input at this time."""

    @abstractmethod
    def _end(self) -> list[Effect]:
        """End the input; return its effects, in order."""

    @abstractmethod
    def _claim(self, claim: Claim) -> None:
        """Put a claim of our own into the table, and gossip it."""

    def register(
        self, service: RegisteredService, health: Health, now: float, reason: str = ""
    ) -> tuple[Version, list[Effect]]:
        """Add a service of our own, or update the one with that id. `reason` says why it is in maintenance. Raises
        TooLarge; then nothing changed."""
        self._begin(now)
        version = self._own_row.register(service, health, reason)
        return version, self._end()

    def deregister(self, service_id: str, now: float) -> list[Effect]:
        """Take a service of our own out. Raises NotFound."""
        self._begin(now)
        self._own_row.deregister(service_id)
        return self._end()

    def set_health(self, service_id: str, health: Health, now: float, reason: str = "") -> tuple[Version, list[Effect]]:
        """Set the health of a service of our own; `reason` says why it is in maintenance. Raises NotFound."""
        self._begin(now)
        version = self._own_row.set_health(service_id, health, reason)
        return version, self._end()

    def announce(self, kind: int, slot: int, value: bytes | None, now: float) -> list[Effect]:
        """Put an announcement into our row (`core/table/announcements.py`); None takes it out. Raises TooLarge."""
        self._begin(now)
        self._own_row.announce(kind, slot, value)
        return self._end()

    def announce_all(
        self, kind: int, values: Mapping[int, bytes | None], now: float
    ) -> tuple[Collection[int], list[Effect]]:
        """As `announce` for several slots, in one input: whoever follows our row hears of it once. Returns also the
        slots of the values that our row has no room for."""
        self._begin(now)
        return self._own_row.announce_all(kind, values), self._end()

    def reachable_at(self, addresses: tuple[Address, ...], now: float) -> list[Effect]:
        """Announce these addresses as ours from now on, best first."""
        self._begin(now)
        self._own_row.reachable_at(addresses)
        return self._end()

    def drain(self, on: bool, now: float, reason: str = "") -> list[Effect]:
        """Put all our services in maintenance for this reason, or end that."""
        self._begin(now)
        self._own_row.drain(on, reason)
        return self._end()

    def await_acks(self, version: Version, now: float) -> list[Effect]:
        """Ask every living member whether it holds our row at this version. The effect RowAcked says that all do.
        `acks_missing` lists the members that have not acked. `stop_awaiting_acks` ends the wait."""
        self._begin(now)
        self._row_acks.begin(version)
        return self._end()

    def stop_awaiting_acks(self) -> None:
        """Stop asking for acks: nobody waits for them any more."""
        self._row_acks.end()

    def force_leave(self, id: NodeId, now: float) -> list[Effect]:
        """Declare a dead or suspected member left, for the whole cluster, also one that was replaced. Raises Refused if
        it is alive or has left, NotFound if it is not known."""
        self._begin(now)
        check_gone(self.member_or_replaced(id, now), own=id == self.id)
        self._declare_left(id)
        return self._end()

    def leave(self, now: float, hold_s: float = 0.0) -> list[Effect]:
        """Announce that this member leaves, or with `hold_s` that it will be back within that time (seconds). The
        effect Departed comes once neighbours have acked that, or when `leave_s` is over."""
        self._begin(now)
        self._departure.begin(hold_s)
        return self._end()

    def _declare_left(self, id: NodeId) -> None:
        """Claim that this member, dead or suspected here, has left for good, as an operator says. For a dead member the
        claim has a higher incarnation, so that members that know of the death gossip it too."""
        generation, incarnation, rank = self.table.rows[id].liveness
        higher = incarnation + (rank is Rank.DEAD)
        self._claim(Claim(id, generation, min(higher, MAX_INCARNATION), Rank.DEAD, by=id))
