"""Random changes of two tables: a catalog that follows them equals one that is made anew."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE
from gossipreg.model import (
    CatalogInstance,
    Change,
    Health,
    NodeId,
    Status,
)
from gossipreg.wire.values import encode_health
from tests.core.table.catalogs import ADDED, HERE, UPDATED, TwoTables
from tests.examples import examples


class Following(RuleBasedStateMachine):
    """Followed step by step or read anew, the catalog is the same; the feed tells all of it, the index no more."""

    names = ("web", "db")

    def __init__(self) -> None:
        super().__init__()
        self.two = TwoTables()
        self.watched: dict[tuple[NodeId, str, str], CatalogInstance] = {}
        self.answers = self._answers()
        self.indexes = self._indexes()

    slots = st.integers(0, 2)
    tables = st.sampled_from(["here", "there"])

    @rule(
        table=tables, slot=slots, name=st.sampled_from(names), size=st.sampled_from([0, 200]), id=st.sampled_from("ab")
    )
    def register(self, table: str, slot: int, name: str, size: int, id: str) -> None:
        tags = tuple(f"tag-{number:03}" for number in range(size))
        self.two.register(getattr(self.two, table), slot, name, None, tags, f"{id}-{slot}")

    @rule(table=tables, slot=slots, health=st.sampled_from(Health))
    def set_health(self, table: str, slot: int, health: Health) -> None:
        getattr(self.two, table).write(KIND_HEALTH, slot, encode_health(health), 0.0)

    @rule(table=tables, slot=slots, kind=st.sampled_from([KIND_SERVICE, KIND_HEALTH]))
    def take_out(self, table: str, slot: int, kind: int) -> None:
        getattr(self.two, table).write(kind, slot, None, 0.0)

    @rule(status=st.sampled_from([Status.UP, Status.DRAINING]), zone=st.sampled_from(["", "east"]))
    def say(self, status: Status, zone: str) -> None:
        self.two.say(self.two.there, "there", zone, status)

    @rule()
    def next_generation(self) -> None:
        own = self.two.there.own
        self.two.there.next_generation(own.version.generation + 1, 0.0)

    @rule()
    def kill(self) -> None:
        self.two.kill()

    @rule()
    def revive(self) -> None:
        self.two.revive()

    @rule(stale=st.booleans())
    def set_stale(self, stale: bool) -> None:
        self._watch(list(self.two.catalog.set_stale(stale)))

    @rule(limit=st.sampled_from([0, 700, 8900]))
    def pull(self, limit: int) -> None:
        self.two.pull(limit)

    def _watch(self, changes: list[Change]) -> None:
        for change in changes:
            instance = change.instance
            key = (instance.node, instance.service.name, instance.service.id)
            if change.kind is ADDED:
                assert key not in self.watched
                self.watched[key] = instance
            elif change.kind is UPDATED:
                assert self.watched[key] != instance
                self.watched[key] = instance
            else:
                assert self.watched.pop(key) == instance

    def _answers(self) -> dict[str, tuple[CatalogInstance, ...]]:
        return {name: self.two.catalog.lookup(name, all=True) for name in self.names}

    def _indexes(self) -> dict[str, int]:
        return {name: self.two.catalog.index(name) for name in self.names}

    @invariant()
    def followed_or_read_anew_it_is_the_same(self) -> None:
        two = self.two
        self._watch(two.refresh(pull=False))
        anew = Catalog(HERE)
        anew.stale = two.catalog.stale
        for row in two.here.rows.values():
            anew.refresh(row)
        assert list(two.catalog.instances()) == list(anew.instances())
        assert two.catalog.services() == anew.services()
        order = sorted(self.watched.items(), key=lambda item: (item[0][1], item[0][0], item[0][2]))
        assert [instance for _, instance in order] == list(anew.instances())

    @invariant()
    def the_index_grows_exactly_with_the_answer(self) -> None:
        answers, indexes = self._answers(), self._indexes()
        for name in self.names:
            assert (indexes[name] > self.indexes[name]) == (answers[name] != self.answers[name])
            passing = tuple(instance for instance in answers[name] if instance.health is Health.PASSING)
            assert self.two.catalog.lookup(name) == passing
        self.answers, self.indexes = answers, indexes


TestFollowing = Following.TestCase


TestFollowing.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
