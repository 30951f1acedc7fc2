"""The catalog: the instances by name, as lookups give them out.

Owns: the instances made of the rows' entries, their changes, and an index for each name that grows exactly when an
answer for that name could have changed. Never knows: how rows come and go, or what the caller of a lookup does with it.

After a row has changed, `refresh` reads what changed in it: single slots, or all slots if its content was replaced, if
it began or ceased to answer, or if its member's own entry changed. The service and the health of a slot are two
entries, so a change of the health alone is a small delta. A service without health is critical. All services of a
member in maintenance are in maintenance.

Answers are tuples. They are kept until the index of their name grows, so the same lookup again costs two accesses to
dictionaries.

Names are compared in lower case (`model.fold_name`): `Web` and `web` are one service. It is shown in the spelling of
the instance with the smallest (node, id).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gossipreg.core.table.content import Content
from gossipreg.core.table.gone_services import GoneServices
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE, split_key
from gossipreg.core.table.row import Row, State
from gossipreg.errors import BadDatagram
from gossipreg.model import (
    CatalogInstance,
    Change,
    ChangeKind,
    Health,
    Member,
    NodeId,
    RegisteredService,
    ServiceSummary,
    Status,
    Version,
    fold_name,
)
from gossipreg.wire.values import decode_health_untrusted, decode_reason_untrusted, decode_service_untrusted

ANSWERS_MAX = 4096
"""Answers that are kept. If there are more, all are dropped."""
GONE_NAMES_MAX = 4096
"""Names without instances whose index is kept. If there are more, the oldest is forgotten. All unknown names share one
index above those that were forgotten: it may grow although no answer changed, but it never shrinks."""

_Query = tuple[str, tuple[str, ...], bool, str | None]


class _Shown:
    """What answers show of one row."""

    __slots__ = ("content", "instances", "name", "overrides", "reason", "zone")

    def __init__(self) -> None:
        self.content: Content | None = None
        self.instances: dict[int, CatalogInstance] = {}
        """By slot."""
        self.name = ""
        self.zone = ""
        self.overrides: Health | None = None
        """The health of all its services, in place of their own; None: each has its own."""
        self.reason = ""
        """The operator's reason if `overrides` is maintenance."""

    def describe(self, member: Member | None) -> bool:
        """Copy from the member's own entry what its instances repeat; return whether that changed."""
        before = self.name, self.zone, self.overrides, self.reason
        if member is not None:
            self.name, self.zone = member.name, member.zone
            self.overrides = Health.MAINTENANCE if member.status is Status.DRAINING else None
            self.reason = "" if self.overrides is None else member.reason
        return before != (self.name, self.zone, self.overrides, self.reason)


class Catalog:
    def __init__(self, own_id: NodeId) -> None:
        self.own_id = own_id
        self.stale = False
        self.gone = GoneServices()
        self.undecodable = 0
        """Service and health values that could not be decoded, counted at each attempt."""
        self._shown: dict[NodeId, _Shown] = {}
        self._names: dict[str, dict[tuple[NodeId, int], CatalogInstance]] = {}
        """By folded name, then by node and slot."""
        self._clock = 0
        self._index: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._gone_index = 0
        self._answers: dict[_Query, tuple[int, tuple[CatalogInstance, ...]]] = {}
        self.recalled: dict[NodeId, Row] = {}
        """Rows kept from the last run. They answer, marked stale, until the table has a whole row of that member."""

    # -- following the table -----------------------------------------------------------------------------------------

    def refresh(self, row: Row, slots: Sequence[int] = ()) -> tuple[Change, ...]:
        """Bring the instances of one row up to date; return the changes of the answers, in order. `slots` are the keys
        (part 0) of the slots that may read differently since the last call."""
        recalled = self.recalled.get(row.id)
        if recalled is not None and recalled is not row:
            if not (row.answers or row.dead or row.left):
                return ()  # the new row is not whole yet, so the kept one goes on answering
            self._replace_recalled(row)
        if not row.answers:
            return self._withdraw(row)
        content = row.content
        assert content is not None, "only a row with content answers"
        shown = self._shown.get(row.id)
        if shown is None:
            self.gone.forget(row.id)
            if not content.services:
                return ()
            shown = self._shown[row.id] = _Shown()
        described_anew = shown.describe(row.member)
        changes: list[Change] = []
        if content is not shown.content or described_anew:
            shown.content = content
            for slot in dict.fromkeys([*shown.instances, *content.slots(KIND_SERVICE)]):
                self._show(row.id, shown, slot, self._read(content, slot), changes)
        else:
            self._refresh_slots(row.id, shown, content, slots, changes)
        return tuple(changes)

    def _refresh_slots(
        self, id: NodeId, shown: _Shown, content: Content, slots: Sequence[int], changes: list[Change]
    ) -> None:
        changed = [split_key(key)[:2] for key in slots]
        services = dict.fromkeys(slot for kind, slot in changed if kind == KIND_SERVICE)
        for slot in services:
            self._show(id, shown, slot, self._read(content, slot), changes)
        for kind, slot in changed:
            if kind == KIND_HEALTH and slot not in services and slot in shown.instances:
                self._show(id, shown, slot, shown.instances[slot].service, changes)

    def _read(self, content: Content, slot: int) -> RegisteredService | None:
        value = content.view(KIND_SERVICE, slot)
        if value is None:
            return None
        try:
            return decode_service_untrusted(value)
        except BadDatagram:
            self.undecodable += 1
            return None

    def _read_health(self, content: Content, slot: int) -> tuple[Health, str]:
        """The health in this slot, and the reason if that is maintenance."""
        value = content.view(KIND_HEALTH, slot)
        if value is None:
            return Health.CRITICAL, ""
        try:
            health = decode_health_untrusted(value)
        except BadDatagram:
            self.undecodable += 1
            return Health.CRITICAL, ""
        return health, decode_reason_untrusted(value) if health is Health.MAINTENANCE else ""

    def _show(
        self, id: NodeId, shown: _Shown, slot: int, service: RegisteredService | None, changes: list[Change]
    ) -> None:
        """Show this service in this slot from now on; None: show nothing there."""
        content = shown.content
        if service is None or content is None:
            self._put(id, shown, slot, None, changes)
            return
        counter = max(content.changed_at(KIND_SERVICE, slot), content.changed_at(KIND_HEALTH, slot))
        health, reason = self._read_health(content, slot)
        if shown.overrides is not None:
            health, reason = shown.overrides, shown.reason
        instance = CatalogInstance(
            service=service,
            health=health,
            node=id,
            node_name=shown.name,
            zone=shown.zone,
            version=Version(content.generation, counter),
            stale=(self.stale and id != self.own_id) or id in self.recalled,
            reason=reason,
        )
        self._put(id, shown, slot, instance, changes)

    def _put(
        self, id: NodeId, shown: _Shown, slot: int, instance: CatalogInstance | None, changes: list[Change]
    ) -> None:
        before = shown.instances.get(slot)
        if before == instance:
            return
        moved = before is not None and (instance is None or _identity(before) != _identity(instance))
        if before is not None and moved:
            del shown.instances[slot]
            name = fold_name(before.service.name)
            del self._names[name][id, slot]
            changes.append(Change(ChangeKind.REMOVED, before))
            self._touch(name)
        if instance is not None:
            shown.instances[slot] = instance
            name = fold_name(instance.service.name)
            self._names.setdefault(name, {})[id, slot] = instance
            kind = ChangeKind.ADDED if before is None or moved else ChangeKind.UPDATED
            changes.append(Change(kind, instance))
            self._touch(name)

    def _touch(self, name: str) -> None:
        self._clock += 1
        if self._names[name]:
            self._index[name] = self._clock
            self._gone.pop(name, None)
            return
        del self._names[name]
        self._index.pop(name, None)
        self._gone[name] = self._clock
        if len(self._gone) > GONE_NAMES_MAX:
            self._gone_index = self._gone.pop(next(iter(self._gone)))

    def _withdraw(self, row: Row) -> tuple[Change, ...]:
        """The row does not answer any more: take it out, and keep the services of a dead member in `gone`."""
        shown = self._shown.get(row.id)
        if (row.dead or row.hidden) and row.state is not State.LEFT and not row.quarantined:
            self.gone.keep(row.id, () if shown is None else shown.instances.values())
        else:
            self.gone.forget(row.id)
        return self._take_out(row.id)

    def forget(self, id: NodeId) -> tuple[Change, ...]:
        """Take everything of this row out of the answers, and do not keep it."""
        self.gone.forget(id)
        return self._take_out(id)

    def _take_out(self, id: NodeId) -> tuple[Change, ...]:
        self.recalled.pop(id, None)
        shown = self._shown.pop(id, None)
        changes: list[Change] = []
        if shown is not None:
            for slot in list(shown.instances):
                self._put(id, shown, slot, None, changes)
        return tuple(changes)

    def recall(self, rows: dict[NodeId, Row]) -> tuple[Change, ...]:
        """Answer with these rows too, marked stale, each until the table has a whole row of that member."""
        self.recalled = rows
        return tuple(change for row in rows.values() for change in self.refresh(row))

    def forget_recalled(self) -> tuple[Change, ...]:
        """Answer with the table alone."""
        return tuple(change for id in list(self.recalled) for change in self.forget(id))

    def _replace_recalled(self, row: Row) -> None:
        """Put the table's row in the place of the kept row. The owner may have written the same services in other slots
        since then. An instance with the same id is the same instance: it is updated, not removed and added."""
        kept = self.recalled.pop(row.id)
        shown, content = self._shown.get(row.id), row.content
        if shown is None or content is None or (kept.content and kept.content.generation == content.generation):
            return
        services = ((slot, self._read(content, slot)) for slot in content.slots(KIND_SERVICE))
        slots = {service.id: slot for slot, service in services if service is not None}
        before, shown.instances = shown.instances, {}
        for slot, instance in before.items():
            del self._names[fold_name(instance.service.name)][row.id, slot]
        for slot, instance in before.items():
            new = slots.get(instance.service.id, -1 - slot)  # a slot below 0 is empty: `refresh` removes it
            shown.instances[new] = self._names[fold_name(instance.service.name)][row.id, new] = instance

    def set_stale(self, stale: bool) -> tuple[Change, ...]:
        """Mark the instances of other members as stale, or as fresh again; return the changes of the answers."""
        changes: list[Change] = []
        if stale != self.stale:
            self.stale = stale
            for id, shown in self._shown.items():
                if id != self.own_id and id not in self.recalled:
                    for slot, instance in list(shown.instances.items()):
                        self._put(id, shown, slot, replace(instance, stale=stale), changes)
        return tuple(changes)

    # -- lookups -----------------------------------------------------------------------------------------------------

    def lookup(
        self, name: str, *, tags: tuple[str, ...] = (), all: bool = False, zone: str | None = None
    ) -> tuple[CatalogInstance, ...]:
        """The instances of a name that have all of `tags` and are in `zone`, in the order of (node, id). Without `all`
        only those whose health is passing."""
        name = fold_name(name)
        query = (name, tags, all, zone)
        index = self._index.get(name)
        if index is None:
            return ()
        kept = self._answers.get(query)
        if kept is not None and kept[0] == index:
            return kept[1]
        answer = tuple(
            instance
            for _, instance in sorted(self._names[name].items(), key=_order)
            if (all or instance.health is Health.PASSING)
            and (zone is None or instance.zone == zone)
            and (not tags or set(tags) <= set(instance.service.tags))
        )
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[query] = index, answer
        return answer

    def index(self, name: str | None = None) -> int:
        """A number that grows exactly when an answer for this name (None: for any name) could have changed."""
        if name is None:
            return self._clock
        name = fold_name(name)
        index = self._index.get(name)
        return self._gone.get(name, self._gone_index) if index is None else index

    def instances(self) -> Iterator[CatalogInstance]:
        """All instances, by folded name, then (node, id)."""
        for name in sorted(self._names):
            yield from self.lookup(name, all=True)

    def of_node(self, id: NodeId) -> tuple[CatalogInstance, ...]:
        """All instances of a member, in the order of the ids of their services."""
        shown = self._shown.get(id)
        return () if shown is None else tuple(sorted(shown.instances.values(), key=lambda one: one.service.id))

    def services(self) -> list[ServiceSummary]:
        """A summary of each name, in the order of the folded names."""
        return [_summary(self._names[name]) for name in sorted(self._names)]

    def folded_names(self) -> list[str]:
        """The folded names, in order."""
        return sorted(self._names)

    def summary(self, name: str) -> ServiceSummary | None:
        """The summary of one name, in any case; None: it has no instances."""
        instances = self._names.get(fold_name(name))
        return None if instances is None else _summary(instances)

    def service_names(self) -> int:
        """How many names are known."""
        return len(self._names)

    def service_count(self, id: NodeId) -> int:
        """How many services of this member answers show."""
        shown = self._shown.get(id)
        return 0 if shown is None else len(shown.instances)


def _order(item: tuple[tuple[NodeId, int], CatalogInstance]) -> tuple[NodeId, str, int]:
    (node, slot), instance = item
    return node, instance.service.id, slot


def _identity(instance: CatalogInstance) -> tuple[str, str]:
    return fold_name(instance.service.name), instance.service.id


def _summary(instances: dict[tuple[NodeId, int], CatalogInstance]) -> ServiceSummary:
    names = list(dict.fromkeys(instance.service.name for instance in instances.values()))
    name = names[0] if len(names) == 1 else min(instances.items(), key=_order)[1].service.name
    healths = Counter(instance.health for instance in instances.values())
    tags = {tag: None for instance in instances.values() for tag in instance.service.tags}
    return ServiceSummary(
        name, len(instances), healths[Health.PASSING], tuple(sorted(tags)), warning=healths[Health.WARNING],
        critical=healths[Health.CRITICAL], maintenance=healths[Health.MAINTENANCE],
        stale=sum(instance.stale for instance in instances.values()),
    )  # fmt: skip
