"""Our own row: write our entry, our services and their health, and queue each change to be gossiped.

Owns: our own entry, and the slot of each service of ours in the row. Never knows: which programs read them, or how our
address is found (`own_address.py` and the daemon do that).

Changes that come together are gossiped as one delta. Writing a value that is in the row already changes nothing: the
counter stays, nothing is gossiped, and no watcher gets a change.
"""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import replace

from gossipreg.core.context import Context
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.core.table.table import Table
from gossipreg.errors import GossipregError, NotFound, TooLarge
from gossipreg.generation import RANDOM_BITS, generation_above, has_room_above
from gossipreg.model import (
    MAX_SERVICES_A_ROW,
    NOTHING,
    Address,
    Health,
    Liveness,
    Member,
    RegisteredService,
    Status,
    Version,
)
from gossipreg.wire import values
from gossipreg.wire.messages import MAX_INCARNATION, Claim


class OwnRow:
    def __init__(self, context: Context, table: Table, dissemination: Dissemination, member: Member) -> None:
        self._context = context
        self._table = table
        self._dissemination = dissemination
        self._slots: dict[str, int] = {}
        """The slot of each service in the row, by the id of the service."""
        self._free: list[int] = []
        """A heap of the slots that are free again."""
        self.services: dict[str, RegisteredService] = {}
        """By id."""
        self.health: dict[str, tuple[Health, str]] = {}
        """The health of each service, and why it is in maintenance."""
        self.member = member
        self._table.write(KIND_MEMBER, 0, values.encode_member(member), context.now)

    @property
    def version(self) -> Version:
        return self._table.own.version

    def update(self, member: Member) -> None:
        """Announce this as our own entry from now on."""
        if member != self.member:
            before = self.version
            self._table.write(KIND_MEMBER, 0, values.encode_member(member), self._context.now)
            self.member = member
            self._dissemination.queue_row(self._context.id, before)

    def reachable_at(self, addresses: tuple[Address, ...]) -> None:
        """Announce these as our addresses, best first: the present one of each family, and no former ones. At a former
        address there may be no process, or that of another member."""
        if addresses != self.member.addresses:
            self._context.event("moved", address=" ".join(map(str, addresses)))
            self.update(replace(self.member, addresses=addresses))

    def announce(self, kind: int, slot: int, value: bytes | None) -> None:
        """Put an announcement (`core/table/announcements.py`) into our row; None takes it out. Raises TooLarge; then
        nothing changed."""
        before = self.version
        self._table.write(kind, slot, value, self._context.now)
        if self.version != before:
            self._dissemination.queue_row(self._context.id, before)

    def announce_all(self, kind: int, values: Mapping[int, bytes | None]) -> Collection[int]:
        """As `announce` for each of these slots. Returns those whose values our row has no room for."""
        no_room: list[int] = []
        for slot, value in values.items():
            try:
                self.announce(kind, slot, value)
            except TooLarge:
                no_room.append(slot)
        return no_room

    def drain(self, on: bool, reason: str = "") -> None:
        """Put all our services in maintenance, or end that. Does nothing while we are leaving."""
        if self.member.status in (Status.UP, Status.DRAINING):
            status = Status.DRAINING if on else Status.UP
            self.update(replace(self.member, status=status, reason=reason if on else ""))

    # -- our identity ------------------------------------------------------------------------------------------------

    def can_raise_above(self, generation: int) -> bool:
        """Whether a higher generation than this one exists. If not, this one is forged: other members do not believe it
        either (`Table.too_far_ahead`)."""
        return has_room_above(generation)

    def raise_above(self, generation: int) -> None:
        """Begin a new generation of our row above this one. Does nothing if there is none."""
        context = self._context
        if not self.can_raise_above(generation):
            context.count("drop.generation_exhausted")
            return
        raised = generation_above(generation, context.rng.getrandbits(RANDOM_BITS))
        if context.generation_before:
            context.generation_before = self._table.generation
        self._table.next_generation(raised, context.now)
        context.event("generation_raised", id=context.id.hex(), generation=str(raised))
        self._dissemination.queue_row(context.id, NOTHING)

    def refute(self, claim: Claim) -> Liveness | None:
        """Raise our incarnation above that of a claim about us, and gossip it. None if it is above that already, or if
        we have left."""
        refuted = self._table.refute(claim.generation, claim.incarnation, self._context.now)
        if refuted is not None:
            self._context.count("refutations")
            self._dissemination.queue_claim(self._context.id)
        return refuted

    def rise_above_exhausted(self, claim: Claim) -> None:
        """Start a new generation if a claim about this one has the highest incarnation, which cannot be raised."""
        exhausted = claim.incarnation == MAX_INCARNATION and claim.generation == self._table.generation
        if exhausted and not self._table.own.left:
            self.raise_above(self._table.generation)

    # -- services ----------------------------------------------------------------------------------------------------

    def register(self, service: RegisteredService, health: Health, reason: str = "") -> Version:
        """Add a service, or update the one with that id; return the version after it. `reason` says why it is in
        maintenance. Raises TooLarge; then nothing changed."""
        slot = self._slot_for(service.id)
        before, table, now = self.version, self._table, self._context.now
        if self.health.get(service.id) != (health, reason):
            table.write(KIND_HEALTH, slot, values.encode_health(health, reason), now)
        try:
            if self.services.get(service.id) != service:
                table.write(KIND_SERVICE, slot, values.encode_service(service), now)
        except GossipregError:  # too large, or a value that other members would refuse
            was = self.health.get(service.id)
            table.write(KIND_HEALTH, slot, None if was is None else values.encode_health(*was), now)
            raise
        if service.id not in self._slots:
            if self._free:
                heapq.heappop(self._free)
            self._slots[service.id] = slot
        self.services[service.id], self.health[service.id] = service, (health, reason)
        if self.version != before:
            self._dissemination.queue_row(self._context.id, before)
        return self.version

    def check_room(self, service: RegisteredService) -> None:
        """Raise TooLarge, as `register` would, if our row has no room for this service as it is now."""
        self._table.check_room(KIND_SERVICE, self._slot_for(service.id), values.encode_service(service))

    def _slot_for(self, service_id: str) -> int:
        """The slot of this service, or the one that it would get. Raises TooLarge if there is none."""
        slot = self._slots.get(service_id)
        if slot is None:
            slot = self._free[0] if self._free else len(self._slots)
            if slot >= MAX_SERVICES_A_ROW:
                raise TooLarge(
                    f"this sidecar has {MAX_SERVICES_A_ROW} services, the limit: deregister one, or use another sidecar"
                )
        return slot

    def deregister(self, service_id: str) -> None:
        """Remove this service from our row. Raises NotFound."""
        slot = self._slot(service_id)
        before = self.version
        self._table.write(KIND_HEALTH, slot, None, self._context.now)
        self._table.write(KIND_SERVICE, slot, None, self._context.now)
        del self._slots[service_id], self.services[service_id], self.health[service_id]
        heapq.heappush(self._free, slot)
        self._dissemination.queue_row(self._context.id, before)

    def set_health(self, service_id: str, health: Health, reason: str = "") -> Version:
        """Announce the health of this service; return the version after it. Raises NotFound."""
        slot = self._slot(service_id)
        before = self.version
        if self.health[service_id] != (health, reason):
            self._table.write(KIND_HEALTH, slot, values.encode_health(health, reason), self._context.now)
            self.health[service_id] = health, reason
            self._dissemination.queue_row(self._context.id, before)
        return self.version

    def _slot(self, service_id: str) -> int:
        slot = self._slots.get(service_id)
        if slot is None:
            raise NotFound(f"no service {service_id!r} is registered here: see `gossipreg services`")
        return slot
