"""Tables of a few members, which pull rows from each other page by page."""

from dataclasses import replace

from gossipreg.config import lan
from gossipreg.core.table.facts import Merged
from gossipreg.core.table.layout import KIND_MEMBER, KIND_SERVICE
from gossipreg.core.table.table import Table
from gossipreg.generation import generation_of
from gossipreg.model import NOTHING, Address, BootId, Member, NodeId, Rank
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_member

WALL_MS = 1_700_000_000_000


HOUR_MS = 3600_000


CONFIG = replace(lan, dead_row_s=24 * 3600.0, dead_row_brief_s=600.0, tombstone_s=100.0)


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(2, "big") * 8)


def generation_at(ms: int) -> int:
    return generation_of(ms, 0)


GENERATION = generation_at(WALL_MS)


def table(number: int = 0, generation: int = GENERATION) -> Table:
    return Table(CONFIG, node(number), generation, 0.0, WALL_MS)


def owner(number: int, *values: bytes, generation: int = GENERATION, durable: bool = False) -> Table:
    """Return another member's own table, with one service for each value."""
    own = table(number, generation)
    member = Member(f"m{number}", BootId(bytes([number]) * 8), (Address("127.0.0.1", 1),), durable=durable)
    own.write(KIND_MEMBER, 0, encode_member(member), 0.0)
    for slot, value in enumerate(values):
        own.write(KIND_SERVICE, slot, value, 0.0)
    return own


def pull(
    to: Table, source: Table, id: NodeId, *, now: float = 0.0, limit: int = 1400, synced: bool = True,
    from_owner: bool = True,
) -> list[Merged]:  # fmt: skip
    """Pull a row page by page, until it is complete."""
    steps: list[Merged] = []
    for _ in range(1000):
        row = to.rows.get(id)
        page = source.page(id, NOTHING if row is None else row.pull_from, limit)
        if page is None:
            return steps
        steps.append(to.merge_delta(page, from_owner=from_owner, synced=synced, now=now))
    raise AssertionError("pulling never ends")


def kill(table: Table, id: NodeId, now: float = 0.0) -> None:
    row = table.rows[id]
    table.merge_claim(Claim(id, *row.liveness[:2], Rank.DEAD, table.own.id), now)
