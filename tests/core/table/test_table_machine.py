"""Several tables, one owner each, and a network that delays, doubles, reorders and loses: what must hold throughout,
and that all tables are equal once everybody has heard everybody.

Throughout: a row is only ever made of what its owner wrote, and is exactly that up to its version; versions and
liveness never go down; what is derived (fingerprint, buckets, sizes, digests) is what it would be if made anew.
"""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gossipreg.config import lan
from gossipreg.core.table.content import Content
from gossipreg.core.table.fingerprint import BUCKETS, row_hash
from gossipreg.core.table.layout import ENTRY_BYTES, KIND_HEALTH, KIND_MEMBER, KIND_SERVICE, hash64, split_key
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.row import Row
from gossipreg.core.table.table import ROW_BYTES, Table
from gossipreg.generation import generation_of
from gossipreg.model import NOTHING, Address, BootId, Liveness, Member, NodeId, Rank, Status, Version
from gossipreg.wire.messages import Claim, Delta
from gossipreg.wire.sizes import room_for
from gossipreg.wire.values import encode_member
from tests.examples import examples

CONFIG = replace(lan, tombstone_s=20.0, tombstones_max=3, dead_row_s=60.0, dead_row_brief_s=30.0)
IDS = [NodeId(bytes([first]) * 16) for first in (0x10, 0x80, 0x81, 0xF0)]
WALL_MS = 1_700_000_000_000
FOREIGN_KIND = 7

owners = st.integers(0, len(IDS) - 1)
slots = st.integers(0, 2)
sizes = st.sampled_from([0, 1, 5, 300, 390, 391, 900, 2000])
limits = st.sampled_from([0, 40 - room_for(Delta, 0), 500, 1000, 1400])
kinds = st.sampled_from([KIND_SERVICE, KIND_SERVICE, KIND_HEALTH, FOREIGN_KIND])

Key = tuple[NodeId, int]
"""A row in one generation."""


class History:
    """All that one owner has written in one generation, told apart by what its entries were before and after."""

    def __init__(self) -> None:
        self.counter = 0
        self.changes: dict[int, list[tuple[int, bytes | None]]] = {}
        """By key: (counter, value) at each change. A part that was dropped by a head is gone at the head's counter."""
        self.views: dict[tuple[int, int], list[bytes]] = {}

    def note(self, content: Content, before: dict[int, tuple[int, bytes | None]]) -> None:
        self.counter = content.counter
        for key, (counter, value) in content.entries.items():
            if before.get(key) != (counter, value):
                self.changes.setdefault(key, []).append((counter, value))
        for key, (_, value) in before.items():
            if key not in content.entries and value is not None:
                self.changes[key].append((content.counter, None))
        for key in content.entries:
            kind, slot, part = split_key(key)
            view = content.view(kind, slot)
            if part == 0 and view is not None and view not in self.views.setdefault((kind, slot), []):
                self.views[kind, slot].append(view)

    def check(self, content: Content) -> None:
        """Every key that last changed at or before its counter is as it was written; nothing is invented."""
        for key, changes in self.changes.items():
            counter, value = changes[-1]
            held = content.entries.get(key)
            if counter <= content.counter:
                assert held == (counter, value) if value is not None else held is None or held[1] is None
            elif held is not None:
                assert held in changes
        assert not content.entries.keys() - self.changes.keys()
        for key in content.entries:
            kind, slot, _ = split_key(key)
            view = content.view(kind, slot)
            assert view is None or view in self.views[kind, slot]


class Replicas(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.generation = generation_of(WALL_MS, 0)
        self.histories: dict[Key, History] = {}
        self.network: list[tuple[int, int, Delta | Claim]] = []
        self.highest: dict[tuple[int, NodeId], tuple[Version, Liveness]] = {}
        self.tables = [self._started(at) for at in range(len(IDS))]

    # -- owners ------------------------------------------------------------------------------------------------------

    def _started(self, at: int) -> Table:
        self.generation += generation_of(1, 0)
        table = Table(CONFIG, IDS[at], self.generation, self.now, WALL_MS)
        self._write(table, KIND_MEMBER, 0, self._member(at, Status.UP))
        return table

    def _member(self, at: int, status: Status) -> bytes:
        address = Address("127.0.0.1", 7000 + at)
        return encode_member(Member(f"m{at}", BootId(bytes([at]) * 8), (address,), durable=at % 2 == 0, status=status))

    def _write(self, table: Table, kind: int, slot: int, value: bytes | None) -> None:
        content = table.own.content
        assert isinstance(content, OwnContent)
        history = self.histories.setdefault((table.own.id, content.generation), History())
        before = dict(content.entries)
        if value is not None:
            table.write(kind, slot, value, self.now)
            history.note(content, before)
        else:
            # Taking out may also throw tombstones away, which is no change of what they say.
            content.remove(kind, slot, self.now)
            history.note(content, before)
            table.write(kind, slot, None, self.now)

    @rule(at=owners, kind=kinds, slot=slots, size=sizes, letter=st.sampled_from(b"ab"))
    def put(self, at: int, kind: int, slot: int, size: int, letter: int) -> None:
        self._write(self.tables[at], kind, slot, bytes([letter]) * size)

    @rule(at=owners, kind=kinds, slot=slots)
    def remove(self, at: int, kind: int, slot: int) -> None:
        self._write(self.tables[at], kind, slot, None)

    @rule(at=owners, slot=slots)
    def restart(self, at: int, slot: int) -> None:
        """With an empty table, a new generation, and one of its registrations; the others are gone."""
        table = self.tables[at] = self._started(at)
        self._write(table, KIND_SERVICE, slot, b"kept")
        for key in [key for key in self.highest if key[0] == at]:
            del self.highest[key]

    @rule(at=owners)
    def next_generation(self, at: int) -> None:
        self.generation += generation_of(1, 0)
        table = self.tables[at]
        table.next_generation(self.generation, self.now)
        assert table.own.content is not None
        history = self.histories[table.own.id, self.generation] = History()
        history.note(table.own.content, {})

    @rule(at=owners, status=st.sampled_from([Status.LEFT, Status.UP, Status.DRAINING]))
    def say(self, at: int, status: Status) -> None:
        if not self.tables[at].own.left:
            self._write(self.tables[at], KIND_MEMBER, 0, self._member(at, status))

    # -- telling -----------------------------------------------------------------------------------------------------

    @rule(source=owners, to=owners, about=owners, limit=limits, back=st.integers(-1, 12))
    def tell(self, source: int, to: int, about: int, limit: int, back: int) -> None:
        """A page on what the receiver has (-1), or on a base so far behind the sender's end."""
        sender, receiver, id = self.tables[source], self.tables[to], IDS[about]
        row, known = sender.rows.get(id), receiver.rows.get(id)
        if row is None:
            return
        since = NOTHING if known is None else known.pull_from
        if back >= 0:
            since = Version(row.pull_from.generation, max(0, row.pull_from.counter - back))
        page = sender.page(id, since, limit)
        if page is not None:
            self.network.append((source, to, page))

    @rule(source=owners, to=owners, about=owners, rank=st.sampled_from([None, Rank.SUSPECT, Rank.DEAD]))
    def claim(self, source: int, to: int, about: int, rank: Rank | None) -> None:
        """What is held of somebody's life, or a claim of one's own."""
        sender = self.tables[source]
        row = sender.rows.get(IDS[about])
        if row is None:
            return
        if rank is not None:
            sender.merge_claim(Claim(row.id, *row.liveness[:2], rank, IDS[source]), self.now)
        self.network.append((source, to, Claim(row.id, *row.liveness, IDS[source])))

    @precondition(lambda self: self.network)
    @rule(which=st.integers(0, 1000), again=st.booleans())
    def deliver(self, which: int, again: bool) -> None:
        which %= len(self.network)
        source, to, message = self.network[which] if again else self.network.pop(which)
        self._hear(source, to, message)

    @precondition(lambda self: self.network)
    @rule(which=st.integers(0, 1000))
    def lose(self, which: int) -> None:
        self.network.pop(which % len(self.network))

    def _hear(self, source: int, to: int, message: Delta | Claim) -> None:
        table = self.tables[to]
        if isinstance(message, Delta):
            table.merge_delta(message, from_owner=message.id == IDS[source], synced=False, now=self.now)
        elif message.id != IDS[to]:
            table.merge_claim(message, self.now)
        elif message.rank is not Rank.ALIVE:
            table.refute(message.generation, message.incarnation, self.now)

    @rule(seconds=st.sampled_from([0.1, 5.0, 20.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds
        for at, table in enumerate(self.tables):
            for id in table.expire(self.now):
                self.highest.pop((at, id), None)

    # -- what holds throughout ---------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[int, Table, Row]]:
        for at, table in enumerate(self.tables):
            for row in table.rows.values():
                yield at, table, row

    @invariant()
    def rows_are_what_their_owners_wrote(self) -> None:
        for _, table, row in self._rows():
            assert not table.counts["digest_mismatch"]
            for content in (row.content, row.shadow):
                if content is None:
                    continue
                history = self.histories.get((row.id, content.generation), History())
                history.check(content)
                if row.content is content and content.counter == history.counter:
                    assert content.whole

    @invariant()
    def versions_and_liveness_never_go_down(self) -> None:
        for at, _, row in self._rows():
            version, liveness = self.highest.get((at, row.id), (NOTHING, Liveness(0, 0, Rank.ALIVE)))
            assert row.content_version >= version
            assert row.liveness >= liveness
            self.highest[at, row.id] = row.content_version, row.liveness

    @invariant()
    def what_is_derived_is_right(self) -> None:
        for table in self.tables:
            buckets = [0] * BUCKETS
            size_bytes = 0
            for row in table.rows.values():
                size_bytes += ROW_BYTES + sum(check_content(content) for content in (row.content, row.shadow))
                if row.content is not None and row.active:
                    whole = row.content.whole and row.content.generation == row.liveness.generation
                    value = row_hash(CONFIG.cluster, row.id, row.content_version, row.content.digest if whole else 0)
                    buckets[row.id[0]] ^= value
                    assert (row.id, value) in table.hashes.rows_in(row.id[0])
            assert table.hashes.bucket_hash == buckets
            assert table.fingerprint == xor(buckets)
            in_buckets = [id for bucket in range(BUCKETS) for id, _ in table.hashes.rows_in(bucket)]
            assert in_buckets == sorted(row.id for row in table.rows.values() if row.hash)
            assert table.size_bytes == size_bytes

    @invariant()
    def nothing_of_the_dead_or_departed_is_given_out(self) -> None:
        for _, _, row in self._rows():
            if row.answers:
                assert row.content is not None
                assert not row.dead
                assert not row.left

    # -- in the end --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """All hear all until nothing changes."""
        for _ in range(12):
            before = self._state()
            for source in range(len(IDS)):
                for to in range(len(IDS)):
                    self._exchange(source, to)
            self.rows_are_what_their_owners_wrote()
            self.versions_and_liveness_never_go_down()
            if self._state() == before:
                break
        else:
            raise AssertionError("the tables do not come to rest")
        self.what_is_derived_is_right()
        assert len({table.fingerprint for table in self.tables}) == 1
        for _, _, row in self._rows():
            own = self.tables[IDS.index(row.id)].own
            assert row.active == own.active
            if row.active:
                assert row.liveness == own.liveness
                assert row.content is not None
                assert row.shadow is None
                assert live(row.content) == live(own.content)
                assert row.content.whole
                assert row.answers

    def _state(self) -> list[object]:
        return [(at, row.id, row.content_version, row.pull_from, row.liveness, row.left) for at, _, row in self._rows()]

    def _exchange(self, source: int, to: int) -> None:
        sender, receiver = self.tables[source], self.tables[to]
        for id, row in list(sender.rows.items()):
            self._hear(source, to, Claim(id, *row.liveness, IDS[source]))
            for _ in range(200):
                known = receiver.rows.get(id)
                page = sender.page(id, NOTHING if known is None else known.pull_from, 500)
                if page is None or id == IDS[to]:
                    break
                self._hear(source, to, page)
            else:
                raise AssertionError("pulling never ends")
            self._hear(source, to, Claim(id, *row.liveness, IDS[source]))


def xor(values: list[int]) -> int:
    result = 0
    for value in values:
        result ^= value
    return result


def live(content: Content | None) -> dict[int, tuple[int, bytes | None]]:
    assert content is not None
    return {key: entry for key, entry in content.entries.items() if entry[1] is not None}


def check_content(content: Content | None) -> int:
    """What a content keeps up as it goes is what it would be if made anew; its size."""
    if content is None:
        return 0
    counters = [counter for counter, _ in content.entries.values()]
    assert counters == sorted(set(counters))
    alive = [(key, counter, value) for key, (counter, value) in content.entries.items() if value is not None]
    assert content.digest == xor([hash64(*entry) for entry in alive])
    assert content.services == sum(split_key(key)[::2] == (KIND_SERVICE, 0) for key, _, _ in alive)
    size_bytes = sum(ENTRY_BYTES + len(value or b"") for _, value in content.entries.values())
    assert content.size_bytes == size_bytes
    return size_bytes


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=examples(60), stateful_step_count=50, deadline=None)
