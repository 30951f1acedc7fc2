"""The members that a name, an id, or a part of one names for `force-leave`."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from gossipreg.callers import Caller
from gossipreg.core.effects import Effect
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.force_leave import ForceLeave, meant
from gossipreg.daemon.logs import Log
from gossipreg.daemon.pump import Pump
from gossipreg.errors import NotFound, Refused
from gossipreg.model import NOTHING, MemberInfo, NodeId
from tests.core.cluster import Cluster


def member(name: str, id: int, state: str) -> MemberInfo:
    return MemberInfo(NodeId(bytes([id]) * 16), name, None, state, "", (), None, 0, NOTHING, 0.0)


BY = Caller(0, 1, door="socket")

MEMBERS = [
    member("web", 0xA1, "alive"),
    member("web", 0xA2, "dead"),
    member("Web", 0xA3, "suspect"),
    member("db", 0xB1, "dead"),
    member("gone", 0xC1, "left"),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("web", [0xA2, 0xA3]),
        ("WEB", [0xA2, 0xA3]),
        ("db", [0xB1]),
        ("b1" * 16, [0xB1]),
        ("B1B1B1B1", [0xB1]),
        ("web.a2a2a2a2", [0xA2]),
        ("a1" * 16, [0xA1]),
        ("gone", [0xC1]),
    ],
)
def test_force_leave_takes_a_name_or_id_and_prefers_the_dead(text: str, ids: list[int]) -> None:
    assert [one.id[0] for one in meant(MEMBERS, text)] == ids


@pytest.mark.parametrize("text", ["nobody", "b1b1b1b", "db.a2a2a2a2", "b1b1b1b1b2", ""])
def test_nobody_is_meant_by_what_no_member_has(text: str) -> None:
    with pytest.raises(NotFound, match="there is no member"):
        meant(MEMBERS, text)


@pytest.mark.parametrize("by_id", [False, True])
def test_a_dead_member_is_found_though_its_namesake_replaced_it(by_id: bool) -> None:
    cluster = Cluster(seed=11)
    first, _, third, _ = cluster.grow(4)
    old = third.id
    cluster.crash(third)
    cluster.run(0.2)
    third.durable = False
    cluster.start(third, [first])
    assert cluster.until(lambda: first.node.names.replaced_by(old) == third.id, 10)

    def order(act: Callable[[float], list[Effect]]) -> None:
        cluster.act(first, act(cluster.now))

    pump = cast(Pump, SimpleNamespace(now=lambda: cluster.now, order=order))
    command = ForceLeave(first.node, pump, Log(stream=io.StringIO()), Audit(pump.now))
    left = command.declare(old.hex() if by_id else third.name, BY)
    assert [one.id for one in left] == [old]
    assert cluster.until(lambda: first.node.table.rows[old].declared_left, 1)
    assert cluster.all_say([first], third, "alive")
    with pytest.raises(Refused, match="is alive here"):
        command.declare(third.name, BY)
