"""The changes that a catalog gives to watchers: one for each instance whose answer changes."""

import pytest

from gossipreg.config import lan
from gossipreg.core.table import shown_row
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE
from gossipreg.core.table.table import Table
from gossipreg.model import (
    Health,
    RegisteredService,
    Status,
)
from gossipreg.wire.values import decode_service_untrusted, encode_health
from tests.core.table.catalogs import ADDED, HERE, REMOVED, THERE, UPDATED, TwoTables, seen


def test_a_name_that_changes_its_case_alone_is_an_update() -> None:
    two = TwoTables()
    two.register(two.there, 0, "Web", id="b")
    two.refresh()
    two.register(two.there, 0, "web", id="b")
    changes = two.refresh()
    assert seen(changes) == [(UPDATED, "b", Health.PASSING)]
    assert changes[0].instance.service.name == "web"
    assert two.catalog.services()[0].name == "web"


def test_a_service_without_health_is_critical() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web", None)
    assert seen(two.refresh()) == [(ADDED, "web-0", Health.CRITICAL)]


def test_a_flap_of_health_is_one_change_of_one_name() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.register(two.there, 1, "db")
    two.refresh()
    db, web = two.catalog.index("db"), two.catalog.index("web")
    two.there.write(KIND_HEALTH, 0, encode_health(Health.CRITICAL), 0.0)
    assert seen(two.refresh()) == [(UPDATED, "web-0", Health.CRITICAL)]
    assert two.catalog.index("db") == db
    assert two.catalog.index("web") > web
    assert two.catalog.index() == two.catalog.index("web")


def test_a_large_service_changes_once_all_of_it_is_here() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    two.register(two.there, 0, "web", tags=tuple(f"tag-{number:03}" for number in range(200)))
    while two.row.version < two.there.own.version:
        assert two.catalog.lookup("web")[0].service.tags == ()
        two.pull(0)
        changes = two.refresh(pull=False)
    assert seen(changes) == [(UPDATED, "web-0", Health.PASSING)]
    assert len(two.catalog.lookup("web")[0].service.tags) == 200


@pytest.mark.parametrize("change", [{"name": "api"}, {"id": "other"}])
def test_another_service_in_the_same_slot_is_another_instance(change: dict[str, str]) -> None:
    two = TwoTables()
    two.register(two.there, 0, "web", id="one")
    two.refresh()
    two.register(two.there, 0, **{"name": "web", "id": "one"} | change)  # type: ignore[arg-type]  # strings only
    assert [(change.kind, change.instance.service.name) for change in two.refresh()] == [
        (REMOVED, "web"),
        (ADDED, change.get("name", "web")),
    ]
    assert two.ids("web") == ([] if "name" in change else ["other"])


def test_services_of_a_draining_member_are_in_maintenance() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    two.say(two.there, "there", status=Status.DRAINING)
    assert seen(two.refresh()) == [(UPDATED, "web-0", Health.MAINTENANCE)]
    two.there.write(KIND_HEALTH, 0, encode_health(Health.WARNING), 0.0)
    two.refresh()
    assert two.catalog.lookup("web", all=True)[0].health is Health.MAINTENANCE
    two.say(two.there, "there", status=Status.RESTARTING)
    assert seen(two.refresh()) == [(UPDATED, "web-0", Health.WARNING)]


def test_dead_members_services_come_back_with_a_refutation() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    two.kill()
    assert seen(two.refresh()) == [(REMOVED, "web-0", Health.PASSING)]
    assert two.ids("web", all=True) == []
    two.revive()
    assert seen(two.refresh()) == [(ADDED, "web-0", Health.PASSING)]


def test_a_restart_with_the_same_services_removes_nothing() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.register(two.there, 1, "db")
    two.refresh()
    two.there = Table(lan, THERE, 6, 0.0, 0)
    two.say(two.there, "there")
    two.register(two.there, 0, "web")
    two.pull(0)
    assert two.refresh(pull=False) == []
    assert sorted(seen(two.refresh())) == [(UPDATED, "web-0", Health.PASSING), (REMOVED, "db-1", Health.PASSING)]


def test_a_hidden_row_does_not_answer() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    two.row.hidden = True
    assert seen([*two.catalog.refresh(two.row)]) == [(REMOVED, "web-0", Health.PASSING)]
    two.row.hidden = False
    assert seen([*two.catalog.refresh(two.row)]) == [(ADDED, "web-0", Health.PASSING)]


def test_stale_marks_what_others_registered() -> None:
    two = TwoTables()
    two.register(two.here, 0, "web")
    two.register(two.there, 0, "web")
    two.register(two.here, 1, "own")
    two.refresh()
    own = two.catalog.index("own")
    changes = two.catalog.set_stale(True)
    assert [(change.kind, change.instance.node) for change in changes] == [(UPDATED, THERE)]
    two.register(two.there, 1, "web")
    two.refresh()
    assert [instance.stale for instance in two.catalog.lookup("web")] == [True, True, False]
    assert two.catalog.set_stale(True) == ()
    two.catalog.set_stale(False)
    assert not any(instance.stale for instance in two.catalog.lookup("web"))
    assert two.catalog.index("own") == own


def test_an_unreadable_service_is_counted_and_not_given_out() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.register(two.there, 1, "web")
    two.refresh()
    two.there.write(KIND_SERVICE, 0, b"\xff", 0.0)
    two.there.write(KIND_HEALTH, 1, b"\xff", 0.0)
    assert seen(two.refresh()) == [(REMOVED, "web-0", Health.PASSING), (UPDATED, "web-1", Health.CRITICAL)]
    assert two.catalog.counts["undecodable"] == 2


def test_a_forgotten_row_is_out_of_the_answers() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    assert seen([*two.catalog.forget(THERE)]) == [(REMOVED, "web-0", Health.PASSING)]
    assert two.catalog.forget(THERE) == ()
    assert two.catalog.services() == []


def test_a_row_that_comes_in_pages_is_read_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the answers as a whole, and the page that completes it costs no more than another one."""
    read: list[bytes] = []

    def decoded(value: bytes) -> RegisteredService:
        read.append(value)
        return decode_service_untrusted(value)

    monkeypatch.setattr(shown_row, "decode_service_untrusted", decoded)
    two = TwoTables()
    for slot in range(100):
        two.register(two.there, slot, "web")
    two.there.next_generation(6, 0.0)
    of_page: list[int] = []
    while two.row.version < two.there.own.version:
        assert two.catalog.lookup("web") == ()
        read.clear()
        two.pull(700)
        changes = two.refresh(pull=False)
        of_page.append(len(read))
    assert seen(changes) == [(ADDED, f"web-{slot}", Health.PASSING) for slot in range(100)]
    assert len(of_page) > 5
    assert sum(of_page) == 100
    assert max(of_page) <= 20


@pytest.mark.parametrize("stale", [False, True])
def test_a_row_read_in_pages_shows_how_its_member_is_in_the_end(stale: bool) -> None:
    two = TwoTables()
    for slot in range(30):
        two.register(two.there, slot, "web")
    two.there.next_generation(6, 0.0)
    for _ in range(2):
        two.pull(700)
        two.refresh(pull=False)
    two.catalog.set_stale(stale)
    two.register(two.there, 3, "api")
    two.say(two.there, "other", zone="east", status=Status.DRAINING)
    while two.row.version < two.there.own.version:
        two.pull(700)
        two.refresh(pull=False)
    anew = Catalog(HERE)
    anew.stale = stale
    anew.refresh(two.row)
    assert list(two.catalog.instances()) == list(anew.instances())
    assert {one.zone for one in two.catalog.instances()} == {"east"}
    assert [one.stale for one in two.catalog.instances()] == [stale] * 30
    assert two.ids("web", all=True)[:1] == ["web-0"]
    assert two.ids("api", all=True) == ["api-3"]
