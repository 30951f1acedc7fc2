"""The members that a name, an id, or a part of one names for `force-leave`."""

import pytest

from gossipreg.daemon.force_leave import meant
from gossipreg.errors import NotFound
from gossipreg.model import NOTHING, MemberInfo, NodeId


def member(name: str, id: int, state: str) -> MemberInfo:
    return MemberInfo(NodeId(bytes([id]) * 16), name, None, state, "", (), None, 0, NOTHING, 0.0)


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
