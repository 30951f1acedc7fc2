"""Groups and subscriptions that have no room in the row: nothing else is kept out, and each is named."""

import io
import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from gossipreg.config import local
from gossipreg.core.node import Node
from gossipreg.core.table import own_content
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.events.row_announcements import NAMED, RowAnnouncements
from gossipreg.daemon.identity import draw_identity
from gossipreg.daemon.kept import keep_event_groups
from gossipreg.daemon.logs import Log
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.troubles import Troubles
from gossipreg.events.announced import (
    GROUP_KIND,
    SUBSCRIPTION_KIND,
    AnnouncedSubscription,
    decode_group_untrusted,
    encode_group,
    encode_subscription,
)
from gossipreg.events.effects import AnnounceSubscription, RanGroup
from gossipreg.events.membership import KnownGroup
from gossipreg.model import BOOT_ID_BYTES, Address, BootId, Member
from tests.daemon.journals.sidecars import a_sidecar
from tests.daemon.memory_network import MemoryNetwork

LONG = "a" * 200
"""A pattern that takes most of the room."""


def group(slot: int, name: str, pattern: str = ">") -> AnnounceSubscription:
    return AnnounceSubscription(GROUP_KIND, slot, encode_group(KnownGroup(name, (pattern,))))


def named(node: Node) -> set[str]:
    """The groups that the row of this member names."""
    return {decode_group_untrusted(value).name for _, value in node.announcements.of(node.id, GROUP_KIND)}


class Sidecar:
    """The row of a member that has room for about `room_bytes` more than its own entry."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room_bytes: int) -> None:
        identity = draw_identity()
        member = Member("n", BootId(bytes(BOOT_ID_BYTES)), (Address("10.0.0.1", 1025),), identity.public_key)
        self.node = Node(
            local, member=member, id=identity.id, generation=1, keyring=None, rng=random.Random(1), entropy=os.urandom,
            now=0.0, wall_ms=0,
        )  # fmt: skip
        self.log = io.StringIO()
        log = Log(stream=self.log)
        pump = Pump(self.node, MemoryNetwork().bind(), log, now=lambda: 0.0, stall_s=local.stall_s)
        self.troubles = Troubles(lambda: 0.0)
        self.announcements = RowAnnouncements(self.node, pump, log, self.troubles)
        monkeypatch.setattr(own_content, "MAX_ROW_BYTES", self._row_bytes() + room_bytes)

    def _row_bytes(self) -> int:
        content = self.node.table.own.content
        assert content is not None
        return content.size_bytes

    def shown(self) -> list[str]:
        return [str(one["message"]) for one in self.troubles.shapes()]


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Sidecar:
    return Sidecar(monkeypatch, 150)


def test_a_group_that_does_not_fit_keeps_out_no_other(sidecar: Sidecar) -> None:
    for each in (group(0, "large", LONG), group(1, "mail"), group(2, "stock")):
        sidecar.announcements.announce(each)
    assert named(sidecar.node) == {"mail", "stock"}
    [trouble] = sidecar.shown()
    assert "cannot announce: 'large': this sidecar would announce more than" in trouble
    assert "'large'" in sidecar.log.getvalue()
    assert sidecar.announcements.counts() == {"events.not_announced": 1}


def test_what_had_no_room_is_announced_when_there_is_some(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    sidecar.announcements.announce(group(0, "large", LONG))
    sidecar.announcements.look()
    assert (named(sidecar.node), len(sidecar.shown())) == (set(), 1)
    monkeypatch.setattr(own_content, "MAX_ROW_BYTES", 1 << 20)
    sidecar.announcements.look()
    assert (named(sidecar.node), sidecar.shown()) == ({"large"}, [])


def test_a_group_that_ends_without_room_is_not_tried_again(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    sidecar.announcements.announce(group(0, "large", LONG))
    sidecar.announcements.announce(AnnounceSubscription(GROUP_KIND, 0, None))
    assert sidecar.shown() == []
    monkeypatch.setattr(own_content, "MAX_ROW_BYTES", 1 << 20)
    sidecar.announcements.look()
    assert named(sidecar.node) == set()


def test_a_subscription_that_has_no_room_is_named(sidecar: Sidecar) -> None:
    wanted = AnnouncedSubscription("mail", LONG), AnnouncedSubscription("", LONG)
    for slot, one in enumerate(wanted):
        sidecar.announcements.announce(AnnounceSubscription(SUBSCRIPTION_KIND, slot, encode_subscription(one)))
    [trouble] = sidecar.shown()
    assert f"cannot announce: 'mail', a broadcast of '{LONG}': " in trouble


def test_of_many_the_trouble_names_the_first_and_counts_the_rest(sidecar: Sidecar) -> None:
    for slot in range(NAMED + 7):
        sidecar.announcements.announce(group(slot, f"g{slot}", LONG))
    [trouble] = sidecar.shown()
    assert f"'g{NAMED - 1}' and 7 more: " in trouble
    assert f"'g{NAMED}'" not in trouble


def test_groups_without_a_slot_are_a_trouble_until_they_have_one(sidecar: Sidecar) -> None:
    sidecar.announcements.look(["g1024"])
    assert sidecar.shown() == [
        "groups and subscriptions that this sidecar cannot announce: 'g1024': a sidecar announces at most 1024 groups"
    ]
    sidecar.announcements.look(())
    assert sidecar.shown() == []


def test_a_start_names_all_groups_that_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that ran longest ago comes first, and does not fit."""
    with closing(DataDirectory(str(tmp_path / "a"))) as data:
        large = [RanGroup("large", f"{LONG}{number}", 9.0) for number in range(5)]
        ran = *large, RanGroup("mail", ">", 5.0), RanGroup("stock", ">", 1.0)
        data.write(keep_event_groups(ran))
    monkeypatch.setattr(own_content, "MAX_ROW_BYTES", 900)
    with a_sidecar(tmp_path, "a") as sidecar:
        assert named(sidecar.node) == {"mail", "stock"}
        assert "'large'" in sidecar.shown_troubles()
