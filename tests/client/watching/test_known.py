"""What is known of one service: a snapshot follows the sidecar, and is never emptied by one that knows less."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from gossipreg.client.instance import Instance, instance_untrusted
from gossipreg.client.snapshot import Snapshot
from gossipreg.client.watching.known import UNMET_S, KnownService
from tests.client.talking_sidecar import at

A, B, C = "0a" * 16, "0b" * 16, "0c" * 16


def one(port: int, node: str = A, **changed: Any) -> Instance:
    return instance_untrusted(at(port, node, address=f"10.0.0.{node[1]}", **changed))


def settled(*instances: Instance) -> KnownService:
    known = KnownService("web")
    known.current(instances)
    known.settle((), 0.0)
    known.fresh()
    return known


def shot(known: KnownService) -> Snapshot:
    snapshot = known.snapshot()
    assert snapshot is not None
    return snapshot


def listed(known: KnownService) -> list[tuple[str, bool]]:
    return [(instance.id, instance.stale) for instance in shot(known).all]


def test_nothing_is_known_before_the_first_word() -> None:
    known = KnownService("web")
    assert known.snapshot() is None
    known.current([])
    assert known.snapshot() is None, "a partial list of nothing says nothing"
    known.settle((), 0.0)
    assert shot(known).all == ()


def test_a_partial_list_is_known_as_partial() -> None:
    known = KnownService("web")
    known.current([one(1)])
    known.stale(5.0)
    assert (len(shot(known).all), shot(known).complete, shot(known).stale_since) == (1, False, 5.0)


def test_changes_follow_the_sidecar() -> None:
    known = settled(one(1))
    known.put(one(2))
    known.put(one(1, weight=7))
    assert [(i.id, i.weight) for i in shot(known).all] == [("web-1", 7), ("web-2", 1)]
    known.remove(one(1, weight=7), believed=True)
    assert listed(known) == [("web-2", False)]


def test_a_lookup_gives_only_what_passes() -> None:
    known = settled(one(1), one(2, health="critical"), one(3, health="maintenance"), one(4, health="warning"))
    assert [i.id for i in shot(known).instances] == ["web-1"]
    known.put(one(1, health="critical"))
    known.put(one(2))
    assert [i.id for i in shot(known).instances] == ["web-2"]
    assert len(shot(known).all) == 4


def test_the_order_is_that_of_node_and_id() -> None:
    known = settled(one(2, B), one(1, C), one(3, A))
    known.put(one(1, B))
    assert [(i.node, i.id) for i in shot(known).all] == [(A, "web-3"), (B, "web-1"), (B, "web-2"), (C, "web-1")]


def test_what_an_unbelieved_sidecar_removes_stays_stale() -> None:
    known = settled(one(1), one(2, B))
    known.remove(one(2, B), believed=False)
    assert listed(known) == [("web-1", False), ("web-2", True)]
    assert not known.settled


def test_what_an_unbelieved_list_leaves_out_stays_stale() -> None:
    known = settled(one(1), one(2, B))
    known.current([one(1)])
    assert listed(known) == [("web-1", False), ("web-2", True)]
    known.current([])
    assert listed(known) == [("web-1", True), ("web-2", True)]
    known.current([one(1), one(2, B)])
    assert listed(known) == [("web-1", False), ("web-2", False)]


def test_a_believed_list_drops_what_it_leaves_out() -> None:
    known = settled(one(1), one(2, B))
    known.current([one(1)])
    known.settle((), 5.0)
    assert listed(known) == [("web-1", False)]


def test_instances_of_unmet_members_stay_for_a_while() -> None:
    known = settled(one(1), one(2, B), one(3, C))
    known.current([one(1)])
    known.settle({B}, 5.0)
    assert listed(known) == [("web-1", False), ("web-2", True)]
    assert known.due() == 5.0 + UNMET_S
    assert not known.pass_time(5.0 + UNMET_S - 0.1)
    assert known.pass_time(5.0 + UNMET_S)
    assert listed(known) == [("web-1", False)]
    assert known.due() == inf


def test_an_unmet_member_that_comes_is_no_longer_stale() -> None:
    known = settled(one(2, B))
    known.current([])
    known.settle({B}, 5.0)
    known.put(one(2, B, weight=3))
    assert listed(known) == [("web-2", False)]
    assert not known.pass_time(99.0)


def test_a_second_list_does_not_prolong_what_is_kept() -> None:
    known = settled(one(2, B))
    known.current([])
    known.settle({B}, 5.0)
    known.current([])
    known.settle({B}, 9.0)
    assert known.due() == 5.0 + UNMET_S


def test_what_is_kept_stays_while_the_sidecar_is_away() -> None:
    known = settled(one(2, B))
    known.current([])
    known.settle({B}, 5.0)
    known.disconnected(6.0)
    assert not known.pass_time(99.0)
    known.current([])
    known.settle({B}, 100.0)
    assert known.due() == 100.0 + UNMET_S


def test_a_kept_instance_ends_when_its_address_is_registered_anew() -> None:
    """A sidecar without a data directory comes back as another member, and its programs register again."""
    known = settled(one(1, A))
    known.current([replace(one(1, A), node=B)])
    assert [(i.node, i.stale) for i in shot(known).all] == [(B, False)]
    known.settle({A}, 5.0)
    assert known.due() == inf


def test_a_kept_instance_without_a_port_is_not_taken_for_another() -> None:
    known = settled(one(0, A, id="a"))
    known.current([replace(one(0, A, id="b"), node=B)])
    assert [i.id for i in shot(known).all] == ["a", "b"]


def test_a_late_removal_of_an_older_one_is_void() -> None:
    known = settled(one(1, version=["5", 9]))
    known.remove(one(1, version=["5", 8]), believed=True)
    assert listed(known) == [("web-1", False)]
    known.remove(one(1, version=["5", 9]), believed=True)
    assert listed(known) == []


def test_a_believed_removal_ends_what_is_kept() -> None:
    known = settled(one(2, B))
    known.remove(one(2, B), believed=False)
    known.remove(one(2, B), believed=True)
    assert listed(known) == []


def test_a_snapshot_is_stale_since_the_first_doubt() -> None:
    known = settled(one(1))
    known.stale(5.0)
    known.disconnected(7.0)
    assert shot(known).stale_since == 5.0
    known.fresh()
    assert shot(known).stale_since is None


@pytest.mark.parametrize("unmet", [(), (B,)])
def test_what_was_complete_stays_complete(unmet: tuple[str, ...]) -> None:
    known = settled(one(1), one(2, B))
    known.disconnected(1.0)
    known.current([one(1)])
    assert shot(known).complete
    known.settle(unmet, 2.0)
    assert shot(known).complete
