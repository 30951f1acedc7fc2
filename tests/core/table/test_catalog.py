"""Lookups in the catalog: names, order, filters, the index of a name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.table import catalog as catalog_module
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.model import (
    CatalogInstance,
    Health,
    RegisteredService,
    ServiceSummary,
    fold_name,
)
from tests.core.table.catalogs import ADDED, HERE, THERE, TwoTables, seen


def test_a_registered_service_is_found_with_all_its_fields() -> None:
    two = TwoTables()
    two.say(two.there, "web-1", zone="east")
    two.register(two.there, 0, "web", tags=("a", "b"))
    assert seen(two.refresh()) == [(ADDED, "web-0", Health.PASSING)]
    assert two.catalog.lookup("web") == (
        CatalogInstance(
            service=RegisteredService("web-0", "web", "10.0.0.1", 80, ("a", "b")),
            health=Health.PASSING,
            node=THERE,
            node_name="web-1",
            zone="east",
            generation=5,
            counter=4,
        ),
    )


def test_answers_are_in_order_of_node_and_id() -> None:
    two = TwoTables()
    for slot, id in enumerate(["c", "a", "b"]):
        two.register(two.here, slot, "web", id=id)
        two.register(two.there, slot, "web", id=id)
    two.refresh()
    assert two.ids("web") == ["a", "b", "c"] * 2
    assert [instance.node for instance in two.catalog.lookup("web")] == [THERE] * 3 + [HERE] * 3


def test_names_that_differ_in_case_are_one_service() -> None:
    two = TwoTables()
    two.register(two.here, 0, "WEB", id="a")
    two.register(two.there, 0, "Web", id="b")
    two.register(two.there, 1, "web", id="c")
    two.refresh()
    for name in ("web", "Web", "WEB", "wEb"):
        assert two.ids(name) == ["b", "c", "a"]
        assert two.catalog.index(name) == two.catalog.index("web")
    summaries = two.catalog.services()
    assert summaries == [ServiceSummary("Web", 3, 3, ())]  # as the smallest (node, id) writes it
    assert two.catalog.service_names() == 1
    two.register(two.there, 0, "other", id="b")
    two.refresh()
    assert [summary.name for summary in two.catalog.services()] == ["other", "web"]


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
    two = TwoTables()
    two.say(two.there, "there", zone="east")
    two.register(two.there, 0, "web", Health.PASSING, ("x",), id="passing")
    two.register(two.there, 1, "web", Health.WARNING, ("x", "y"), id="warning")
    two.register(two.there, 2, "web", Health.CRITICAL, id="critical")
    two.register(two.there, 3, "web", None, id="unknown")
    two.register(two.there, 4, "other", id="other")
    two.refresh()
    assert two.ids("web", **how) == ids
    assert two.ids("web", **how) == ids, "the kept answer is the same"
    assert two.catalog.lookup("nobody") == ()
    assert two.catalog.services() == [
        ServiceSummary("other", 1, 1, ()),
        ServiceSummary("web", 4, 1, ("x", "y"), warning=1, critical=2),
    ]
    assert len(list(two.catalog.instances())) == 5
    assert (two.catalog.service_count(THERE), two.catalog.service_count(HERE)) == (5, 0)


def test_the_index_of_a_name_never_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "GONE_NAMES_MAX", 3)
    two = TwoTables()
    names = [f"name-{number}" for number in range(6)]
    seen = dict.fromkeys(names, 0)
    for name in [*names, *names]:
        for step in (0, 1):
            if step == 0:
                two.register(two.there, 0, name)
            else:
                two.there.write(KIND_SERVICE, 0, None, 0.0)
            two.refresh()
            assert two.catalog.index(name) > seen[name]
            for other in names:
                assert two.catalog.index(other) >= seen[other]
                seen[other] = two.catalog.index(other)


def test_kept_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "ANSWERS_MAX", 10)
    two = TwoTables()
    two.register(two.there, 0, "web", tags=("t-7",))
    two.refresh()
    found = [two.ids("web", tags=(f"t-{number}",)) for number in range(50)]
    assert found.count(["web-0"]) == 1
    assert len(two.catalog._answers) <= 10


def test_an_instance_does_not_depend_on_the_member_that_looks() -> None:
    """Two catalogs of equal tables give out equal instances, apart from staleness."""
    two = TwoTables()
    two.register(two.there, 0, "web")
    two.refresh()
    owns = Catalog(THERE)
    owns.refresh(two.there.own)
    two.catalog.set_stale(True)
    (own,), (other,) = owns.lookup("web"), two.catalog.lookup("web")
    assert own == replace(other, stale=False)
