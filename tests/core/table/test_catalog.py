from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipreg.config import lan
from gossipreg.core.table import catalog as catalog_module
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.content import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.core.table.table import Row, Table
from gossipreg.model import (
    NOTHING,
    Address,
    BootId,
    Change,
    ChangeKind,
    Health,
    Instance,
    Member,
    NodeId,
    Rank,
    Service,
    ServiceSummary,
    Status,
    Version,
    fold_name,
)
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_health, encode_member, encode_service

HERE, THERE = (NodeId(bytes([first]) * 16) for first in (0x20, 0x10))
ADDED, UPDATED, REMOVED = ChangeKind.ADDED, ChangeKind.UPDATED, ChangeKind.REMOVED


class House:
    """Our table and catalog, and another member's table, whose row comes here by `pull`."""

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
        service = Service(id or f"{name}-{slot}", name, "10.0.0.1", 80 + slot, tags)
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
            self.here.merge_delta(page, from_owner=True, in_step=True, now=0.0)

    def refresh(self, *, pull: bool = True) -> list[Change]:
        if pull:
            self.pull()
        return [change for id in self.here.drain_touched() for change in self.catalog.refresh(self.here.rows[id])]

    def ids(self, name: str, **how: object) -> list[str]:
        return [instance.service.id for instance in self.catalog.lookup(name, **how)]  # type: ignore[arg-type]  # as given


def told(changes: list[Change]) -> list[tuple[ChangeKind, str, Health]]:
    return [(change.kind, change.instance.service.id, change.instance.health) for change in changes]


def test_a_registered_service_is_found_with_all_its_fields() -> None:
    house = House()
    house.say(house.there, "web-1", zone="east")
    house.register(house.there, 0, "web", tags=("a", "b"))
    assert told(house.refresh()) == [(ADDED, "web-0", Health.PASSING)]
    assert house.catalog.lookup("web") == (
        Instance(
            service=Service("web-0", "web", "10.0.0.1", 80, ("a", "b")),
            health=Health.PASSING,
            node=THERE,
            node_name="web-1",
            zone="east",
            version=Version(5, 4),
        ),
    )


def test_answers_are_in_order_of_node_and_id() -> None:
    house = House()
    for slot, id in enumerate(["c", "a", "b"]):
        house.register(house.here, slot, "web", id=id)
        house.register(house.there, slot, "web", id=id)
    house.refresh()
    assert house.ids("web") == ["a", "b", "c"] * 2
    assert [instance.node for instance in house.catalog.lookup("web")] == [THERE] * 3 + [HERE] * 3


def test_names_that_differ_in_case_are_one_service() -> None:
    house = House()
    house.register(house.here, 0, "WEB", id="a")
    house.register(house.there, 0, "Web", id="b")
    house.register(house.there, 1, "web", id="c")
    house.refresh()
    for name in ("web", "Web", "WEB", "wEb"):
        assert house.ids(name) == ["b", "c", "a"]
        assert house.catalog.index(name) == house.catalog.index("web")
    summaries = house.catalog.services()
    assert summaries == [ServiceSummary("Web", 3, 3, ())]  # as the smallest (node, id) writes it
    assert house.catalog.service_names() == 1
    house.register(house.there, 0, "other", id="b")
    house.refresh()
    assert [summary.name for summary in house.catalog.services()] == ["other", "web"]


def test_a_name_that_changes_its_case_alone_is_an_update() -> None:
    house = House()
    house.register(house.there, 0, "Web", id="b")
    house.refresh()
    house.register(house.there, 0, "web", id="b")
    changes = house.refresh()
    assert told(changes) == [(UPDATED, "b", Health.PASSING)]
    assert changes[0].instance.service.name == "web"
    assert house.catalog.services()[0].name == "web"


@given(st.text())
def test_folding_a_name_touches_the_letters_of_ascii_alone(name: str) -> None:
    assert fold_name(name).encode(errors="surrogatepass") == name.encode(errors="surrogatepass").lower()
    assert fold_name(fold_name(name)) == fold_name(name)


def test_letters_beyond_ascii_keep_their_case() -> None:
    assert (fold_name("ÄPFEL"), fold_name("straßE"), fold_name("İ")) == ("Äpfel", "straße", "İ")


@pytest.mark.parametrize(
    ("how", "ids"),
    [
        ({}, ["passing"]),
        ({"all": True}, ["critical", "passing", "unknown", "warning"]),
        ({"tags": ("x",)}, ["passing"]),
        ({"tags": ("x", "y")}, []),
        ({"tags": ("y",), "all": True}, ["warning"]),
        ({"zone": "east"}, ["passing"]),
        ({"zone": "west", "all": True}, []),
    ],
)
def test_a_lookup_gives_what_is_asked_for(how: dict[str, object], ids: list[str]) -> None:
    house = House()
    house.say(house.there, "there", zone="east")
    house.register(house.there, 0, "web", Health.PASSING, ("x",), id="passing")
    house.register(house.there, 1, "web", Health.WARNING, ("x", "y"), id="warning")
    house.register(house.there, 2, "web", Health.CRITICAL, id="critical")
    house.register(house.there, 3, "web", None, id="unknown")
    house.register(house.there, 4, "other", id="other")
    house.refresh()
    assert house.ids("web", **how) == ids
    assert house.ids("web", **how) == ids, "the kept answer is the same"
    assert house.catalog.lookup("nobody") == ()
    assert house.catalog.services() == [
        ServiceSummary("other", 1, 1, ()),
        ServiceSummary("web", 4, 1, ("x", "y")),
    ]
    assert len(list(house.catalog.instances())) == 5
    assert (house.catalog.service_count(THERE), house.catalog.service_count(HERE)) == (5, 0)


def test_a_service_without_health_is_critical() -> None:
    house = House()
    house.register(house.there, 0, "web", None)
    assert told(house.refresh()) == [(ADDED, "web-0", Health.CRITICAL)]


def test_a_flap_of_health_is_one_change_of_one_name() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.register(house.there, 1, "db")
    house.refresh()
    db, web = house.catalog.index("db"), house.catalog.index("web")
    house.there.write(KIND_HEALTH, 0, encode_health(Health.CRITICAL), 0.0)
    assert told(house.refresh()) == [(UPDATED, "web-0", Health.CRITICAL)]
    assert house.catalog.index("db") == db
    assert house.catalog.index("web") > web
    assert house.catalog.index() == house.catalog.index("web")


def test_a_large_service_changes_once_all_of_it_is_here() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    house.register(house.there, 0, "web", tags=tuple(f"tag-{number:03}" for number in range(200)))
    while house.row.version < house.there.own.version:
        assert house.catalog.lookup("web")[0].service.tags == ()
        house.pull(0)
        changes = house.refresh(pull=False)
    assert told(changes) == [(UPDATED, "web-0", Health.PASSING)]
    assert len(house.catalog.lookup("web")[0].service.tags) == 200


@pytest.mark.parametrize("change", [{"name": "api"}, {"id": "other"}])
def test_another_service_in_the_same_slot_is_another_instance(change: dict[str, str]) -> None:
    house = House()
    house.register(house.there, 0, "web", id="one")
    house.refresh()
    house.register(house.there, 0, **{"name": "web", "id": "one"} | change)  # type: ignore[arg-type]  # strings only
    assert [(change.kind, change.instance.service.name) for change in house.refresh()] == [
        (REMOVED, "web"),
        (ADDED, change.get("name", "web")),
    ]
    assert house.ids("web") == ([] if "name" in change else ["other"])


def test_services_of_a_draining_member_are_in_maintenance() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    house.say(house.there, "there", status=Status.DRAINING)
    assert told(house.refresh()) == [(UPDATED, "web-0", Health.MAINTENANCE)]
    house.there.write(KIND_HEALTH, 0, encode_health(Health.WARNING), 0.0)
    house.refresh()
    assert house.catalog.lookup("web", all=True)[0].health is Health.MAINTENANCE
    house.say(house.there, "there", status=Status.RESTARTING)
    assert told(house.refresh()) == [(UPDATED, "web-0", Health.WARNING)]


def test_dead_members_services_come_back_with_a_refutation() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    house.kill()
    assert told(house.refresh()) == [(REMOVED, "web-0", Health.PASSING)]
    assert house.ids("web", all=True) == []
    house.revive()
    assert told(house.refresh()) == [(ADDED, "web-0", Health.PASSING)]


def test_a_restart_with_the_same_services_removes_nothing() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.register(house.there, 1, "db")
    house.refresh()
    house.there = Table(lan, THERE, 6, 0.0, 0)
    house.say(house.there, "there")
    house.register(house.there, 0, "web")
    house.pull(0)
    assert house.refresh(pull=False) == []
    assert sorted(told(house.refresh())) == [(UPDATED, "web-0", Health.PASSING), (REMOVED, "db-1", Health.PASSING)]


def test_a_hidden_row_does_not_answer() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    house.row.hidden = True
    assert told([*house.catalog.refresh(house.row)]) == [(REMOVED, "web-0", Health.PASSING)]
    house.row.hidden = False
    assert told([*house.catalog.refresh(house.row)]) == [(ADDED, "web-0", Health.PASSING)]


def test_stale_marks_what_others_registered() -> None:
    house = House()
    house.register(house.here, 0, "web")
    house.register(house.there, 0, "web")
    house.register(house.here, 1, "own")
    house.refresh()
    own = house.catalog.index("own")
    changes = house.catalog.set_stale(True)
    assert [(change.kind, change.instance.node) for change in changes] == [(UPDATED, THERE)]
    house.register(house.there, 1, "web")
    house.refresh()
    assert [instance.stale for instance in house.catalog.lookup("web")] == [True, True, False]
    assert house.catalog.set_stale(True) == ()
    house.catalog.set_stale(False)
    assert not any(instance.stale for instance in house.catalog.lookup("web"))
    assert house.catalog.index("own") == own


def test_an_unreadable_service_is_counted_and_not_given_out() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.register(house.there, 1, "web")
    house.refresh()
    house.there.write(KIND_SERVICE, 0, b"\xff", 0.0)
    house.there.write(KIND_HEALTH, 1, b"\xff", 0.0)
    assert told(house.refresh()) == [(REMOVED, "web-0", Health.PASSING), (UPDATED, "web-1", Health.CRITICAL)]
    assert house.catalog.undecodable == 2


def test_a_forgotten_row_is_out_of_the_answers() -> None:
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    assert told([*house.catalog.forget(THERE)]) == [(REMOVED, "web-0", Health.PASSING)]
    assert house.catalog.forget(THERE) == ()
    assert house.catalog.services() == []


def test_the_index_of_a_name_never_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "GONE_NAMES_MAX", 3)
    house = House()
    names = [f"name-{number}" for number in range(6)]
    seen = dict.fromkeys(names, 0)
    for name in [*names, *names]:
        for step in (0, 1):
            if step == 0:
                house.register(house.there, 0, name)
            else:
                house.there.write(KIND_SERVICE, 0, None, 0.0)
            house.refresh()
            assert house.catalog.index(name) > seen[name]
            for other in names:
                assert house.catalog.index(other) >= seen[other]
                seen[other] = house.catalog.index(other)


def test_kept_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "ANSWERS_MAX", 10)
    house = House()
    house.register(house.there, 0, "web", tags=("t-7",))
    house.refresh()
    found = [house.ids("web", tags=(f"t-{number}",)) for number in range(50)]
    assert found.count(["web-0"]) == 1
    assert len(house.catalog._answers) <= 10


class Following(RuleBasedStateMachine):
    """Followed step by step or read anew, the catalog is the same; the feed tells all of it, the index no more."""

    names = ("web", "db")

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.watched: dict[tuple[NodeId, str, str], Instance] = {}
        self.answers = self._answers()
        self.indexes = self._indexes()

    slots = st.integers(0, 2)
    tables = st.sampled_from(["here", "there"])

    @rule(
        table=tables, slot=slots, name=st.sampled_from(names), size=st.sampled_from([0, 200]), id=st.sampled_from("ab")
    )
    def register(self, table: str, slot: int, name: str, size: int, id: str) -> None:
        tags = tuple(f"tag-{number:03}" for number in range(size))
        self.house.register(getattr(self.house, table), slot, name, None, tags, f"{id}-{slot}")

    @rule(table=tables, slot=slots, health=st.sampled_from(Health))
    def set_health(self, table: str, slot: int, health: Health) -> None:
        getattr(self.house, table).write(KIND_HEALTH, slot, encode_health(health), 0.0)

    @rule(table=tables, slot=slots, kind=st.sampled_from([KIND_SERVICE, KIND_HEALTH]))
    def take_out(self, table: str, slot: int, kind: int) -> None:
        getattr(self.house, table).write(kind, slot, None, 0.0)

    @rule(status=st.sampled_from([Status.UP, Status.DRAINING]), zone=st.sampled_from(["", "east"]))
    def say(self, status: Status, zone: str) -> None:
        self.house.say(self.house.there, "there", zone, status)

    @rule()
    def next_generation(self) -> None:
        own = self.house.there.own
        self.house.there.next_generation(own.version.generation + 1, 0.0)

    @rule()
    def kill(self) -> None:
        self.house.kill()

    @rule()
    def revive(self) -> None:
        self.house.revive()

    @rule(stale=st.booleans())
    def set_stale(self, stale: bool) -> None:
        self._watch(list(self.house.catalog.set_stale(stale)))

    @rule(limit=st.sampled_from([0, 700, 8900]))
    def pull(self, limit: int) -> None:
        self.house.pull(limit)

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

    def _answers(self) -> dict[str, tuple[Instance, ...]]:
        return {name: self.house.catalog.lookup(name, all=True) for name in self.names}

    def _indexes(self) -> dict[str, int]:
        return {name: self.house.catalog.index(name) for name in self.names}

    @invariant()
    def followed_or_read_anew_it_is_the_same(self) -> None:
        house = self.house
        self._watch(house.refresh(pull=False))
        anew = Catalog(HERE)
        anew.stale = house.catalog.stale
        for row in house.here.rows.values():
            anew.refresh(row)
        assert list(house.catalog.instances()) == list(anew.instances())
        assert house.catalog.services() == anew.services()
        order = sorted(self.watched.items(), key=lambda item: (item[0][1], item[0][0], item[0][2]))
        assert [instance for _, instance in order] == list(anew.instances())

    @invariant()
    def the_index_grows_exactly_with_the_answer(self) -> None:
        answers, indexes = self._answers(), self._indexes()
        for name in self.names:
            assert (indexes[name] > self.indexes[name]) == (answers[name] != self.answers[name])
            passing = tuple(instance for instance in answers[name] if instance.health is Health.PASSING)
            assert self.house.catalog.lookup(name) == passing
        self.answers, self.indexes = answers, indexes


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_instance_does_not_depend_on_the_member_that_looks() -> None:
    """Two catalogs of equal tables give out equal instances, apart from staleness."""
    house = House()
    house.register(house.there, 0, "web")
    house.refresh()
    owns = Catalog(THERE)
    owns.refresh(house.there.own)
    house.catalog.set_stale(True)
    (own,), (other,) = owns.lookup("web"), house.catalog.lookup("web")
    assert own == replace(other, stale=False)
