"""The changes that a catalog gives to watchers: one for each instance whose answer changes."""

import pytest

from gossipreg.config import lan
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE
from gossipreg.core.table.table import Table
from gossipreg.model import (
    Health,
    Status,
)
from gossipreg.wire.values import encode_health
from tests.core.table.catalogs import ADDED, REMOVED, THERE, UPDATED, TwoTables, seen


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
    assert two.catalog.undecodable == 2


def test_a_forgotten_row_is_out_of_the_answers() -> None:
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    assert seen([*two.catalog.forget(THERE)]) == [(REMOVED, "web-0", Health.PASSING)]
    assert two.catalog.forget(THERE) == ()
    assert two.catalog.services() == []
