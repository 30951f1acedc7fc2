"""The digests of the laboratory: equal for equal runs, different where a decision is, and kept for this code."""

from dataclasses import replace

import pytest

from gossipreg.core.effects import Changed, Event, Send
from gossipreg.model import Address, CatalogInstance, Change, ChangeKind, Health, NodeId, RegisteredService
from simulations import digest
from simulations.digest import Digests, DigestTap, Named, digests_of
from simulations.host import Host
from simulations.scenarios import all_scenarios
from simulations.world import World

CASE = replace(all_scenarios()["churn"].defaults, nodes=8, duration_s=5.0)


def test_the_same_run_has_the_same_digests() -> None:
    assert digests_of("churn", CASE) == digests_of("churn", CASE)
    assert World.tap is None


def test_another_seed_and_another_setting_change_both_digests() -> None:
    before = digests_of("churn", CASE)
    for other in (replace(CASE, seed=2), replace(CASE, settings="fanout_random=0")):
        after = digests_of("churn", other)
        assert after.datagrams != before.datagrams
        assert after.changes != before.changes


def _instance(**fields: object) -> CatalogInstance:
    service = RegisteredService("web-80", "web", "10.0.0.1", 80)
    one = CatalogInstance(service, Health.PASSING, NodeId(bytes(16)), "n", "z", 1, 2)
    return replace(one, **fields)  # type: ignore[arg-type]


def _after(*effects: object) -> Digests:
    tap, host = DigestTap(), Host(1, "n1", Address("10.0.0.1", 1), "", NodeId(bytes(16)), durable=False)
    for effect in effects:
        if type(effect) is Send:
            tap.on_send(1.0, effect)
        else:
            tap.on_effect(1.0, host, effect)  # type: ignore[arg-type]
    return tap.digests()


def test_events_for_the_log_are_in_no_digest() -> None:
    assert _after(Event("member_alive", (("name", "x"),))) == _after()


@pytest.mark.parametrize(
    "changed",
    [{"health": Health.WARNING}, {"counter": 3}, {"node_name": "m"}, {"stale": True}],
    ids=["health", "counter", "node_name", "stale"],
)
def test_each_part_of_a_change_is_in_the_digest(changed: dict[str, object]) -> None:
    before = _after(Changed((Change(ChangeKind.ADDED, _instance()),)))
    after = _after(Changed((Change(ChangeKind.ADDED, _instance(**changed)),)))
    assert after.changes != before.changes
    assert after.datagrams == before.datagrams


def test_bytes_and_destination_of_a_datagram_are_in_the_digest() -> None:
    here, there = Address("10.0.0.1", 1), Address("10.0.0.2", 1)
    found = {_after(Send(b"a", here)), _after(Send(b"b", here)), _after(Send(b"a", there)), _after()}
    assert len(found) == 4
    assert len({one.changes for one in found}) == 1


def test_what_differs_from_the_file_is_named() -> None:
    run = Named("churn", CASE)
    kept = {run.name: Digests("1", "2")}
    assert digest.differences(run, Digests("1", "2"), kept) == ""
    assert digest.differences(run, Digests("0", "2"), kept) == "other datagrams"
    assert digest.differences(run, Digests("0", "0"), kept) == "other datagrams and changes"
    assert digest.differences(run, Digests("1", "2"), {}) == "is not in the file"


def test_the_file_has_every_run_of_the_table_once() -> None:
    names = [run.name for run in digest.table()]
    assert len(set(names)) == len(names)
    assert list(digest.kept()) == names


@pytest.mark.parametrize("run", [digest.table()[2], digest.table()[29], digest.table()[30]], ids=lambda run: run.name)
def test_this_code_decides_as_the_file_says(run: Named) -> None:
    """A share of `scripts/simulate digest`. Where a decision is meant to change, `--update` writes the file anew, and
    the commit says why."""
    assert digest.differences(run, digests_of(run.scenario, run.case), digest.kept()) == ""
