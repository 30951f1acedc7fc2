"""The catalog: the instances by name, as lookups give them out.

Owns: the index of the rows' instances by name, their changes, and a number for each name that grows exactly when an
answer for that name could have changed. Never knows: how rows come and go, how an instance is made (`shown_row.py`), or
what the caller of a lookup does with it.

After a row has changed, `refresh` reads what changed in it: single slots, or all slots if its content was replaced, if
it began or ceased to answer, or if its member's own entry changed. The service and the health of a slot are two
entries, so a change of the health alone is a small delta. A service without health is critical. All services of a
member in maintenance are in maintenance.

A full row comes in many pages, and is in the answers as a whole once the last one is here. Its instances are made as
the pages come, so that this last step does not keep lookups waiting.

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
from gossipreg.core.table.row import Row, State
from gossipreg.core.table.shown_row import ShownRow, slot_of
from gossipreg.model import (
    CatalogInstance,
    Change,
    ChangeKind,
    Health,
    NodeId,
    ServiceSummary,
    fold_name,
)

ANSWERS_MAX = 4096
"""Answers that are kept. If there are more, all are dropped."""
GONE_NAMES_MAX = 4096
"""Names without instances whose index is kept. If there are more, the oldest is forgotten. All unknown names share one
index above those that were forgotten: it may grow although no answer changed, but it never shrinks."""

_Query = tuple[str, tuple[str, ...], bool, str | None]


class Catalog:
    def __init__(self, own_id: NodeId) -> None:
        self.own_id = own_id
        self.stale = False
        self.gone = GoneServices()
        self.counts: Counter[str] = Counter()
        """undecodable: service and health values that could not be decoded, at each attempt."""
        self._shown: dict[NodeId, ShownRow] = {}
        self._coming: dict[NodeId, ShownRow] = {}
        """Rows of which a full row is being pulled: their instances are made page by page."""
        self._numbered = 0
        """The rows that got a number so far."""
        self._names: dict[str, dict[int, CatalogInstance]] = {}
        """By folded name, then by handle."""
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
        coming = self._read_coming(row) if row.shadow is not None or row.id in self._coming else None
        recalled = self.recalled.get(row.id)
        if recalled is not None and recalled is not row:
            if not (row.answers or row.dead or row.left):
                return ()  # the new row is not whole yet, so the kept one goes on answering
            coming = self._replace_recalled(row, coming)
        if not row.answers:
            return self._withdraw(row)
        content = row.content
        assert content is not None, "only a row with content answers"
        shown = self._shown.get(row.id)
        if shown is None:
            self.gone.forget(row.id)
            if not content.services:
                return ()
            shown = self._shown[row.id] = self._new_row(row.id) if coming is None else coming.emptied()
        shown.stale = (self.stale and row.id != self.own_id) or row.id in self.recalled
        described_anew = shown.describe(row.member)
        changes: list[Change] = []
        if content is not shown.content or described_anew:
            shown.content = content
            usable = coming is not None and coming.content is content and coming.repeated == shown.repeated
            for handle, instance in coming.replacing(shown) if coming is not None and usable else shown.all():
                self._put(shown, handle, instance, changes)
        else:
            for handle, instance in shown.changed(slots):
                self._put(shown, handle, instance, changes)
        return tuple(changes)

    def _new_row(self, id: NodeId) -> ShownRow:
        """A row without instances, of the number that this row has already, if it has one."""
        known = self._shown.get(id) or self._coming.get(id)
        if known is None:
            self._numbered += 1
        return ShownRow(id, self._numbered if known is None else known.number, self.counts)

    def _read_coming(self, row: Row) -> ShownRow | None:
        """Make the instances of the pages that have come of a full row. Returns them if the last page is here, and the
        row has them as its content now."""
        content = row.content if row.shadow is None else row.shadow
        coming = self._coming.get(row.id)
        if coming is None or coming.content is not content:
            self._coming.pop(row.id, None)
            if row.shadow is None or not row.active:
                return None
            coming = self._coming[row.id] = self._begin(row, row.shadow)
        coming.read_on(row.member)
        return None if row.shadow is not None else self._coming.pop(row.id)

    def _begin(self, row: Row, content: Content) -> ShownRow:
        coming = self._new_row(row.id)
        coming.content, coming.stale = content, self.stale
        return coming

    def _put(self, shown: ShownRow, handle: int, instance: CatalogInstance | None, changes: list[Change]) -> None:
        """Show this instance in this slot from now on; None: show nothing there."""
        before = shown.instances.get(handle)
        if before == instance:
            return
        moved = before is not None and (instance is None or _identity(before) != _identity(instance))
        if before is not None and moved:
            del shown.instances[handle]
            name = fold_name(before.service.name)
            del self._names[name][handle]
            changes.append(Change(ChangeKind.REMOVED, before))
            self._touch(name)
        if instance is not None:
            shown.instances[handle] = instance
            name = fold_name(instance.service.name)
            self._names.setdefault(name, {})[handle] = instance
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
        self._coming.pop(id, None)
        return self._take_out(id)

    def _take_out(self, id: NodeId) -> tuple[Change, ...]:
        self.recalled.pop(id, None)
        shown = self._shown.pop(id, None)
        changes: list[Change] = []
        if shown is not None:
            for handle in list(shown.instances):
                self._put(shown, handle, None, changes)
        return tuple(changes)

    def recall(self, rows: dict[NodeId, Row]) -> tuple[Change, ...]:
        """Answer with these rows too, marked stale, each until the table has a whole row of that member."""
        self.recalled = rows
        return tuple(change for row in rows.values() for change in self.refresh(row))

    def forget_recalled(self) -> tuple[Change, ...]:
        """Answer with the table alone."""
        return tuple(change for id in list(self.recalled) for change in self.forget(id))

    def _replace_recalled(self, row: Row, coming: ShownRow | None) -> ShownRow | None:
        """Put the table's row in the place of the kept row. The owner may have written the same services in other slots
        since then. An instance with the same id is the same instance: it is updated, not removed and added. Returns the
        instances of the row's content, if they are made."""
        kept = self.recalled.pop(row.id)
        shown, content = self._shown.get(row.id), row.content
        if shown is None or content is None or (kept.content and kept.content.generation == content.generation):
            return coming
        if coming is None:
            coming = self._begin(row, content)
            coming.read_on(row.member)
        names = {handle: fold_name(one.service.name) for handle, one in shown.instances.items()}
        slots = {one.service.id: slot_of(handle) for handle, one in coming.instances.items()}
        moved = shown.renumber(slots)
        for handle, _ in moved:
            del self._names[names[handle]][handle]
        for handle, new in moved:
            self._names[names[handle]][new] = shown.instances[new]
        return coming

    def set_stale(self, stale: bool) -> tuple[Change, ...]:
        """Mark the instances of other members as stale, or as fresh again; return the changes of the answers."""
        changes: list[Change] = []
        if stale != self.stale:
            self.stale = stale
            for id, shown in self._shown.items():
                if id != self.own_id and id not in self.recalled:
                    for handle, instance in list(shown.instances.items()):
                        self._put(shown, handle, replace(instance, stale=stale), changes)
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


def _order(item: tuple[int, CatalogInstance]) -> tuple[NodeId, str, int]:
    handle, instance = item
    return instance.node, instance.service.id, slot_of(handle)


def _identity(instance: CatalogInstance) -> tuple[str, str]:
    return fold_name(instance.service.name), instance.service.id


def _summary(instances: dict[int, CatalogInstance]) -> ServiceSummary:
    names = list(dict.fromkeys(instance.service.name for instance in instances.values()))
    name = names[0] if len(names) == 1 else min(instances.items(), key=_order)[1].service.name
    healths = Counter(instance.health for instance in instances.values())
    tags = {tag: None for instance in instances.values() for tag in instance.service.tags}
    return ServiceSummary(
        name, len(instances), healths[Health.PASSING], tuple(sorted(tags)), warning=healths[Health.WARNING],
        critical=healths[Health.CRITICAL], maintenance=healths[Health.MAINTENANCE],
        stale=sum(instance.stale for instance in instances.values()),
    )  # fmt: skip
