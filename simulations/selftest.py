"""A test of the checkers: each invariant is broken on purpose, and its checker must fire.

Owns: the ways to break the core (those of journals, events and sagas are in `journaling/breaks.py`,
`eventing/breaks.py` and `orchestrating/breaks.py`). For each, a small swarm runs seed
after seed until the checker fires; the same seed must then pass with the unbroken core.
"""

from dataclasses import replace
from typing import Any

import click

from gossipreg.core.failure.detector import FailureDetector
from gossipreg.core.failure.facts import DeclaredDead
from gossipreg.core.failure.suspicion import LocalSuspicions
from gossipreg.core.gossip import reconcile
from gossipreg.core.gossip.join import Joining
from gossipreg.core.gossip.reconcile import AntiEntropy
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.table import table
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.content import Content
from gossipreg.core.table.fingerprint import TableFingerprint
from gossipreg.core.table.forgetting import Forgetting
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.row import State
from gossipreg.core.table.shown_row import ShownRow
from gossipreg.core.table.table import Table
from gossipreg.model import Liveness, NodeId, Rank, RegisteredService, Version
from gossipreg.wire.messages import Delta, Versions
from simulations.breaks import Break, broken
from simulations.checkers.checker import Broken
from simulations.eventing.breaks import EVENT_BREAKS
from simulations.journaling.breaks import JOURNAL_BREAKS
from simulations.orchestrating.breaks import SAGA_BREAKS
from simulations.scenario import Case, CheckFailed, at_seed

_SEEDS = 24
# CASE begins at the first seed, the others shortly before the seed that shows the break:
LATER = Case(nodes=6, seed=56, duration_s=40.0)
MUCH_LATER = Case(nodes=6, seed=68, duration_s=40.0)
HOLED = Case(nodes=6, seed=8, duration_s=40.0, loss=0.2)
LOSSY = Case(nodes=6, duration_s=60.0, loss=0.03)


def counter_falls(merge: Any) -> Any:
    def merge_delta(self: Table, delta: Delta, **how: Any) -> Any:
        merged = merge(self, delta, **how)
        row = self.rows.get(delta.id)
        content = None if row is None or row is self.own else row.content
        if content is not None and content.generation == delta.generation and delta.reached < content.counter:
            row = self._to_change(self.rows[delta.id])
            assert row.content is not None
            row.content.counter = delta.reached
            self._changed(row, answered=row.answers, now=how["now"])
        return merged

    return merge_delta


def last_claim_wins(_: Any) -> Any:
    return lambda held, left, claim: claim != held and not left


def alive_forgotten(expire: Any) -> Any:
    def broken(self: Table, now: float) -> list[NodeId]:
        gone: list[NodeId] = expire(self, now)
        others = [row for row in self.rows.values() if row is not self.own and row.state is State.ALIVE]
        if len(others) > 3 and int(now) % 11 == 0:
            self._remove(others[0], now)
        return gone

    return broken


def tombstone_lost(apply: Any) -> Any:
    def broken(self: Content, key: int, counter: int, value: bytes | None) -> None:
        if value is not None or isinstance(self, OwnContent):
            apply(self, key, counter, value)

    return broken


def re_encoded(cut: Any) -> Any:
    def broken(self: Content, id: NodeId, base: int, limit_bytes: int) -> Delta:
        page: Delta = cut(self, id, base, limit_bytes - 64)
        if isinstance(self, OwnContent):
            return page
        entries = tuple(
            (key, at, value + b"\x00" if value and len(value) < 300 else value) for key, at, value in page.entries
        )
        return replace(page, entries=entries)

    return broken


def others_refute(merge: Any) -> Any:
    def broken(self: Table, claim: Any, now: float) -> Any:
        merged = merge(self, claim, now)
        if merged.claim is not None and merged.claim.rank is Rank.DEAD:
            row = self._to_change(self.rows[claim.id])
            row.liveness = Liveness(claim.generation, claim.incarnation + 1, Rank.ALIVE)
        return merged

    return broken


def no_floor(_: Any) -> Any:
    def broken(self: LocalSuspicions, id: NodeId, suspicion: Any) -> None:  # noqa: ARG001 (whatever it rests on)
        self._found.append(DeclaredDead(id, "hasty"))

    return broken


def floor_of_a_fifth(floor_s: Any) -> Any:
    return lambda self, suspicion: floor_s(self, suspicion) / 5


def tombstone_unseen(read: Any) -> Any:
    known: dict[tuple[int, int], RegisteredService] = {}

    def broken(self: ShownRow, slot: int) -> RegisteredService | None:
        service: RegisteredService | None = read(self, slot)
        generation = -1 if self.content is None else self.content.generation
        if service is None:
            return known.get((generation, slot))
        known[generation, slot] = service
        return service

    return broken


def answers_kept(lookup: Any) -> Any:
    kept: dict[tuple[Catalog, str], Any] = {}

    def broken(self: Catalog, name: str, **how: Any) -> Any:
        answer = lookup(self, name, **how)
        return answer if how else kept.setdefault((self, name), answer)

    return broken


def dead_listed(_: Any) -> Any:
    def on_list(self: Joining, peer: NodeId, message: Any) -> None:  # noqa: ARG001 (all at once)
        rows = self._table.rows
        self._channel.to(peer, Versions(tuple((id, *rows[id].version) for id in sorted(rows)), b""))

    return on_list


def dead_handed_on(page: Any) -> Any:
    def broken(self: Table, id: NodeId, since: Version, limit_bytes: int) -> Delta | None:
        row = self.rows.get(id)
        if row is None or not row.dead or row.content is None or since >= row.content_version:
            given: Delta | None = page(self, id, since, limit_bytes)
            return given
        base = since.counter if since.generation == row.content.generation else 0
        return row.content.cut(id, base, limit_bytes)

    return broken


def buckets_forgotten(put: Any) -> Any:
    def broken(self: TableFingerprint, row: Any, value: int, now: float) -> None:
        before, bucket = self.value, self.bucket_hash[row.id[0]]
        put(self, row, value, now)
        if row.id[0] & 1:
            self.value, self.bucket_hash[row.id[0]] = before, bucket

    return broken


def chatter(on_period: Any) -> Any:
    def broken(self: FailureDetector, due: float) -> None:
        on_period(self, due)
        for other in self._ring.sample(self._context.rng, 3):
            self.probe(other)

    return broken


def forgotten_early(expire: Any) -> Any:
    return lambda self, now: expire(self, now + 5)


def given_up_is_there(_: Any) -> Any:
    return lambda self, row_id, _goal: not self._pulls.pending(row_id)


def _nothing(_: Any) -> Any:
    return lambda _self, *_given, **_named: None


BREAKS: tuple[Break, ...] = (
    Break("a merge that lets a counter fall", ("rises",), Table, "merge_delta", counter_falls),
    Break("the last claim wins, not the largest", ("rises",), table, "rises", last_claim_wins),
    Break("the row of a living member is forgotten", ("rises",), Table, "expire", alive_forgotten),
    Break("a relay that re-encodes a value", ("owners_bytes",), Content, "cut", re_encoded),
    Break("others raise an incarnation", ("owners_bytes",), Table, "merge_claim", others_refute),
    Break("a tombstone is lost", ("as_written",), Content, "_apply", tombstone_lost),
    Break("a deregistered service is given out", ("comes_back",), ShownRow, "_service", tombstone_unseen),
    Break("an answer kept for good", ("equal_tables",), Catalog, "lookup", answers_kept),
    Break("a fingerprint that forgets buckets", ("equal_tables",), TableFingerprint, "_put", buckets_forgotten),
    Break("tables are never compared", ("equal_tables",), AntiEntropy, "on_fingerprint", _nothing, LATER),
    Break(
        "dead members are not greeted", ("equal_tables", "taken_for_dead"), Reconnect, "on_period", _nothing, MUCH_LATER
    ),
    Break("a claim believed too early", ("taken_for_dead",), LocalSuspicions, "_judge", no_floor, LOSSY),
    Break("a floor cut to a fifth", ("paused",), LocalSuspicions, "_floor_s", floor_of_a_fifth),
    Break("no member refutes", ("taken_for_dead",), Table, "refute", _nothing),
    Break("rows of dead members are kept for good", ("forgotten",), Forgetting, "update", _nothing),
    Break("rows of dead members are forgotten too soon", ("forgotten",), Table, "expire", forgotten_early),
    Break("a queue without a bound", ("bounded",), reconcile, "_KEPT_MAX", lambda _: 1_000_000),
    Break("a pull that was given up counts as done", ("synced",), Joining, "_is_here", given_up_is_there, HOLED),
    Break("a member that dies is not reported", ("shown_members",), table, "_see", _nothing),
    Break("chatter at rest", ("traffic",), FailureDetector, "_on_period", chatter),
)

HANDED_ON = (
    Break("the row of a dead member is sent on", ("comes_back",), Table, "page", dead_handed_on),
    Break("... to a member that fetches the list", ("comes_back",), Joining, "on_list", dead_listed),
)
ALL: tuple[tuple[Break, ...], ...] = (
    *((one,) for one in BREAKS),
    HANDED_ON,
    *((one,) for one in (*JOURNAL_BREAKS, *EVENT_BREAKS)),
    *SAGA_BREAKS,
)
"""Breaks of one tuple are applied together; the first one names the checkers."""


def fires(*breaks: Break) -> tuple[int, str]:
    """Return the first seed at which the checker fires, and its message; (0, why) if it does not fire, or if the same
    run fails without the break too."""
    wanted = breaks[0].fires
    others: dict[str, None] = {}
    for number in range(_SEEDS):
        this = at_seed(breaks[0].case, number)
        try:
            with broken(*breaks):
                breaks[0].run(this)
        except Broken as found:
            if found.checker in wanted:
                good = _passes(breaks[0], this)
                return (this.seed, found.what) if good else (0, f"seed {this.seed} fails without the break too")
            others[found.checker] = None
    return 0, f"not detected in {_SEEDS} seeds" + (f", except by {', '.join(others)}" if others else "")


def _passes(what: Break, case: Case) -> bool:
    try:
        what.run(case)
    except CheckFailed:
        return False
    return True


def main() -> int:
    """Print a table; return 1 if a checker does not fire."""
    blind = 0
    click.echo(f"{'broken on purpose':40} {'detected by':28} seed  message")
    for breaks in ALL:
        seed, what = fires(*breaks)
        blind += not seed
        by = " or ".join(breaks[0].fires) if seed else "NONE"
        click.echo(f"{breaks[0].what:40} {by:28} {seed or '-':>4}  {what[:110]}")
    return 1 if blind else 0
