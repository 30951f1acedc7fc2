"""The instances of one row, made of its content as answers show them.

Owns: how the service and the health of a slot become an instance, and what all instances of the row repeat. Never
knows: other rows, the index by name, or whether the row is in the answers.

Each instance has a handle: a number that no other instance of the catalog has, made of the row's and the slot's. It is
the key in the instances of the row and in the index by name, since a pair of id and slot for each takes more memory
than all else in the index.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE, split_key
from gossipreg.errors import BadDatagram
from gossipreg.model import CatalogInstance, Health, Member, NodeId, RegisteredService, Status
from gossipreg.wire.values import decode_health_untrusted, decode_reason_untrusted, decode_service_untrusted

_SLOT_BITS = 33
"""One bit more than a slot has, so that there are handles of slots that no row has."""
_SLOT = (1 << _SLOT_BITS) - 1
_NO_SLOT = 1 << (_SLOT_BITS - 1)

Read = tuple[int, CatalogInstance | None]
"""The handle of a slot, and the instance that it has now."""


def slot_of(handle: int) -> int:
    return handle & _SLOT


class ShownRow:
    __slots__ = (
        *("_counts", "content", "counter", "instances", "name", "node", "number", "overrides", "reason", "stale"),
        "zone",
    )

    def __init__(self, node: NodeId, number: int, counts: Counter[str]) -> None:
        """`number` is that of this row in its catalog. Values that cannot be decoded are counted in `counts` as
        undecodable, at each attempt."""
        self._counts = counts
        self.node = node
        self.number = number
        self.content: Content | None = None
        """What the instances are made of."""
        self.counter = 0
        """How far a row that is not in the answers yet is read."""
        self.instances: dict[int, CatalogInstance] = {}
        """By handle."""
        self.name = ""
        self.zone = ""
        self.overrides: Health | None = None
        """The health of all its services, in place of their own; None: each has its own."""
        self.reason = ""
        """The operator's reason if `overrides` is maintenance."""
        self.stale = False
        """Whether its instances are marked as last known."""

    def _handle(self, slot: int) -> int:
        return self.number << _SLOT_BITS | slot

    def describe(self, member: Member | None) -> bool:
        """Copy from the member's own entry what its instances repeat; return whether that changed."""
        before = self.repeated
        if member is not None:
            self.name, self.zone = member.name, member.zone
            self.overrides = Health.MAINTENANCE if member.status is Status.DRAINING else None
            self.reason = "" if self.overrides is None else member.reason
        return before != self.repeated

    @property
    def repeated(self) -> tuple[str, str, Health | None, str, bool]:
        """What all instances of the row repeat."""
        return self.name, self.zone, self.overrides, self.reason, self.stale

    # -- reading -----------------------------------------------------------------------------------------------------

    def all(self) -> Iterator[Read]:
        """Each slot that has an instance or had one, in this order: as it was shown, then as it was written."""
        content = self.content
        slots = () if content is None else content.slots(KIND_SERVICE)
        for handle in dict.fromkeys([*self.instances, *(self._handle(slot) for slot in slots)]):
            yield handle, self._instance(slot_of(handle), self._service(slot_of(handle)))

    def changed(self, keys: Sequence[int]) -> Iterator[Read]:
        """The slots of these keys (part 0) that may read differently."""
        split = [split_key(key)[:2] for key in keys]
        services = dict.fromkeys(slot for kind, slot in split if kind == KIND_SERVICE)
        for slot in services:
            yield self._handle(slot), self._instance(slot, self._service(slot))
        for kind, slot in split:
            if kind == KIND_HEALTH and slot not in services:
                before = self.instances.get(self._handle(slot))
                if before is not None:
                    yield self._handle(slot), self._instance(slot, before.service)

    def described_anew(self) -> Iterator[Read]:
        """All instances, with what all repeat as it is now."""
        for handle, instance in list(self.instances.items()):
            yield handle, self._instance(slot_of(handle), instance.service)

    def _service(self, slot: int) -> RegisteredService | None:
        value = None if self.content is None else self.content.view(KIND_SERVICE, slot)
        if value is None:
            return None
        try:
            return decode_service_untrusted(value)
        except BadDatagram:
            self._counts["undecodable"] += 1
            return None

    def _health(self, content: Content, slot: int) -> tuple[Health, str]:
        """The health in this slot, and the reason if that is maintenance."""
        if self.overrides is not None:
            return self.overrides, self.reason
        value = content.view(KIND_HEALTH, slot)
        if value is None:
            return Health.CRITICAL, ""
        try:
            health = decode_health_untrusted(value)
        except BadDatagram:
            self._counts["undecodable"] += 1
            return Health.CRITICAL, ""
        return health, decode_reason_untrusted(value) if health is Health.MAINTENANCE else ""

    def _instance(self, slot: int, service: RegisteredService | None) -> CatalogInstance | None:
        content = self.content
        if service is None or content is None:
            return None
        counter = max(content.changed_at(KIND_SERVICE, slot), content.changed_at(KIND_HEALTH, slot))
        health, reason = self._health(content, slot)
        return CatalogInstance(
            service, health, self.node, self.name, self.zone, content.generation, counter, self.stale, reason
        )

    # -- before the row is in the answers ----------------------------------------------------------------------------

    def read_on(self, member: Member | None) -> None:
        """Make the instances of what has arrived of the content since the last call. So whoever takes a row of
        thousands of services into the answers, once the last page of it is here, has made nearly all of them."""
        content = self.content
        if content is None:
            return
        if self.describe(member):
            self.instances.update((handle, made) for handle, made in self.described_anew() if made is not None)
        keys = [key for key in content.keys_after(self.counter) if split_key(key)[2] == 0]
        self.counter = content.counter
        for handle, instance in self.changed(keys):
            before = self.instances.get(handle)
            if before is not None and (instance is None or instance.service is not before.service):
                del self.instances[handle]  # so that the order is that in which the services were written
            if instance is not None:
                self.instances[handle] = instance

    def replacing(self, shown: "ShownRow") -> Iterator[Read]:
        """Each slot in which this row or the one that is shown has an instance, with that of this row."""
        for handle in dict.fromkeys([*shown.instances, *self.instances]):
            yield handle, self.instances.get(handle)

    def emptied(self) -> "ShownRow":
        """The same row without an instance."""
        return ShownRow(self.node, self.number, self._counts)

    def renumber(self, services: dict[str, int]) -> list[tuple[int, int]]:
        """Give each instance the slot that the service with its id has in `services`, or else one that no row has.
        Returns the handles before and after that."""
        moved: list[tuple[int, int]] = []
        before, self.instances = self.instances, {}
        for number, (handle, instance) in enumerate(before.items()):
            new = self._handle(services.get(instance.service.id, _NO_SLOT | number))
            self.instances[new] = instance
            moved.append((handle, new))
        return moved
