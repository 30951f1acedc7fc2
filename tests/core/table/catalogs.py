"""A catalog over the tables of two members."""

from gossipreg.config import lan
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.core.table.row import Row
from gossipreg.core.table.table import Table
from gossipreg.model import (
    NOTHING,
    Address,
    BootId,
    Change,
    ChangeKind,
    Health,
    Member,
    NodeId,
    Rank,
    RegisteredService,
    Status,
)
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_health, encode_member, encode_service

HERE, THERE = (NodeId(bytes([first]) * 16) for first in (0x20, 0x10))


ADDED, UPDATED, REMOVED = ChangeKind.ADDED, ChangeKind.UPDATED, ChangeKind.REMOVED


class TwoTables:
    """Our table and catalog, and another member's table, whose row `pull` brings here."""

    def __init__(self) -> None:
        self.here = Table(lan, HERE, 5, 0.0, 0)
        self.there = Table(lan, THERE, 5, 0.0, 0)
        self.catalog = Catalog(HERE)
        self.say(self.here, "here")
        self.say(self.there, "there")
        self.refresh()

    def say(self, table: Table, name: str, zone: str = "", status: Status = Status.UP) -> None:
        member = Member(name, BootId(table.own.id[:8]), (Address("127.0.0.1", 1),), zone=zone, status=status)
        table.write(KIND_MEMBER, 0, encode_member(member), 0.0)

    def register(
        self, table: Table, slot: int, name: str, health: Health | None = Health.PASSING, tags: tuple[str, ...] = (),
        id: str = "",
    ) -> None:  # fmt: skip
        service = RegisteredService(id or f"{name}-{slot}", name, "10.0.0.1", 80 + slot, tags)
        table.write(KIND_SERVICE, slot, encode_service(service), 0.0)
        if health is not None:
            table.write(KIND_HEALTH, slot, encode_health(health), 0.0)

    def kill(self) -> None:
        row = self.row
        self.here.merge_claim(Claim(THERE, *row.liveness[:2], Rank.DEAD, HERE), 0.0)

    def revive(self) -> None:
        liveness = self.there.refute(*self.row.liveness[:2], 0.0)
        if liveness is not None:
            self.here.merge_claim(Claim(THERE, *liveness, THERE), 0.0)

    @property
    def row(self) -> Row:
        return self.here.rows[THERE]

    def pull(self, limit: int = 8900) -> None:
        row = self.here.rows.get(THERE)
        page = self.there.page(THERE, NOTHING if row is None else row.pull_from, limit)
        if page is not None:
            self.here.merge_delta(page, from_owner=True, synced=True, now=0.0)

    def refresh(self, *, pull: bool = True) -> list[Change]:
        if pull:
            self.pull()
        changed = self.here.changes.follow()
        return [one for id, change in changed for one in self.catalog.refresh(self.here.rows[id], tuple(change.slots))]

    def ids(self, name: str, **how: object) -> list[str]:
        return [instance.service.id for instance in self.catalog.lookup(name, **how)]  # type: ignore[arg-type]  # as given


def seen(changes: list[Change]) -> list[tuple[ChangeKind, str, Health]]:
    return [(change.kind, change.instance.service.id, change.instance.health) for change in changes]
