"""A journal that nobody leads is announced and then a trouble, and one that is led again after an election is not."""

import io
from collections.abc import Callable, Collection
from math import inf
from typing import cast

from gossipreg.core.node import Node
from gossipreg.daemon.journals.giving_up import GivingUp
from gossipreg.daemon.journals.journal_reports import JOURNALS_NAMED, JournalReports
from gossipreg.daemon.journals.journals_shown import role_of
from gossipreg.daemon.journals.leaderless_journals import (
    ANNOUNCED_AFTER_S,
    LEADERLESS_S,
    LOOK_AGAIN_S,
    LOST_S,
    Announced,
    LeaderlessJournals,
)
from gossipreg.daemon.journals.results import StoreOpened
from gossipreg.daemon.logs import Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import START, JournalId
from gossipreg.journal.tuning import JournalTuning
from tests.journal.cluster import Cluster, Sidecar

EVERY_S = 5.0
ADVICE = "start the voters that are not alive, or, if they are gone for good, `gossipreg journal recover ID`"


def opened(
    orphan_s: float = 600.0, holds: tuple[bytes, ...] = (b"x",)
) -> tuple[Cluster, JournalId, Sidecar, list[Sidecar]]:
    """Three members with a copy each; who leads it, and the others."""
    cluster = Cluster(1, 3, JournalTuning(orphan_s=orphan_s, replace_s=600.0))
    cluster.run(1.0)
    owner, *others = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    for data in holds:
        cluster.propose(owner, journal, data)
    cluster.run(2.0)
    return cluster, journal, owner, others


class Looks(LeaderlessJournals):
    def __init__(self, *, full: bool = False) -> None:
        """`full`: our row is."""
        super().__init__(self._say, self._carry_out, lambda _: self.led)
        self.led: bool | None = False
        """Whether another member leads the journals that were lost."""
        self.said: list[set[JournalId]] = []
        self.full = full

    def _carry_out(self, command: Callable[[float], Announced]) -> Collection[JournalId]:
        said, effects = command(0.0)
        assert effects == []
        return said

    def _say(self, journals: Collection[JournalId], now: float) -> Announced:
        del now
        if self.full:
            return (), []
        self.said.append(set(journals))
        return [*journals], []

    def look_at(self, at: Sidecar, now: float) -> set[JournalId]:
        """Which ones are a trouble by now."""
        self.next_look = now
        self.advance(at.journals.replicas, now)
        return set(self.long(now))


def looks(cluster: Cluster, at: Sidecar, seconds: float) -> list[set[JournalId]]:
    """What each look found, the first at once."""
    seen = Looks()
    found = [seen.look_at(at, cluster.now)]
    for _ in range(round(seconds / EVERY_S)):
        cluster.run(EVERY_S)
        found.append(seen.look_at(at, cluster.now))
        assert len(seen) == len(found[-1])
    return found


def first(journal: JournalId, found: list[set[JournalId]]) -> float:
    """After how many seconds it was found; it stays found."""
    index = next(index for index, ids in enumerate(found) if journal in ids)
    assert all(journal in ids for ids in found[index:])
    return index * EVERY_S


def test_the_last_of_three_voters_tells_after_a_minute() -> None:
    cluster, journal, owner, (left, gone) = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.crash(gone, ProcessStanding.SILENT)
    assert cluster.until(lambda: not left.view.member(owner.node).runs, 30.0)
    assert first(journal, looks(cluster, left, 2 * LEADERLESS_S)) == LEADERLESS_S


def test_an_idle_leader_without_its_voters_tells_too() -> None:
    cluster, journal, owner, others = opened()
    for gone in others:
        cluster.crash(gone, ProcessStanding.SILENT)
    assert cluster.until(lambda: not any(owner.view.member(gone.node).runs for gone in others), 30.0)
    assert owner.journals.replicas[journal].leading is not None
    assert first(journal, looks(cluster, owner, 2 * LEADERLESS_S)) == LEADERLESS_S


def test_a_takeover_is_no_trouble() -> None:
    cluster, journal, owner, others = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    for left in others:
        assert looks(cluster, left, 2 * LEADERLESS_S) == [set()] * (round(2 * LEADERLESS_S / EVERY_S) + 1)
    assert any(left.journals.replicas[journal].leading for left in others)


def test_a_leader_that_comes_back_ends_the_trouble() -> None:
    cluster, journal, owner, (left, gone) = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.crash(gone, ProcessStanding.SILENT)
    cluster.run(30.0)
    seen = Looks()
    seen.look_at(left, cluster.now)
    cluster.run(LEADERLESS_S)
    assert seen.look_at(left, cluster.now) == {journal}
    cluster.start(gone)
    cluster.run(60.0)
    assert seen.look_at(left, cluster.now) == set()
    cluster.crash(gone, ProcessStanding.SILENT)
    cluster.run(30.0)
    assert seen.look_at(left, cluster.now) == set(), "the minute begins anew"


def test_a_journal_that_has_ended_needs_no_leader() -> None:
    cluster, journal, owner, others = opened(orphan_s=30.0, holds=())
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(60.0)
    for one in others:
        ended = one.journals.replicas[journal]
        assert ended.data.ended
        assert role_of(ended) == "ended"
        assert looks(cluster, one, 2 * LEADERLESS_S)[-1] == set()


def test_removed_file_loses_no_journal_that_has_ended() -> None:
    """The note that it has ended was taken for a copy, so the journal was named as missing for an hour."""
    cluster, journal, owner, (left, _) = opened(orphan_s=30.0, holds=())
    lost = GivingUp(cast(Node, None), None, reports()[0])
    lost.unlinked(left.journals)
    assert lost.lost_in(StoreOpened(())) == [journal]
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(60.0)
    assert left.journals.replicas[journal].data.ended
    lost.unlinked(left.journals)
    assert lost.lost_in(StoreOpened(())) == []


def test_an_empty_copy_needs_no_leader() -> None:
    cluster, journal, owner, (left, gone) = opened()
    for one in (owner, gone):
        cluster.crash(one, ProcessStanding.SILENT)
    cluster.run(30.0)
    seen = Looks()
    seen.look_at(left, 0.0)
    assert seen.look_at(left, LEADERLESS_S) == {journal}
    left.journals.replicas[journal].data.log.last = START
    assert seen.look_at(left, LEADERLESS_S) == set()
    assert seen.said == [{journal}, set()], "nor is it announced any more"


def test_announced_from_two_seconds_on_until_it_is_led() -> None:
    cluster, journal, owner, (left, gone) = opened()
    seen = Looks()
    seen.look_at(left, cluster.now)
    for one in (owner, gone):
        cluster.crash(one, ProcessStanding.SILENT)
    assert cluster.until(lambda: not left.view.member(owner.node).runs, 30.0)
    began = cluster.now
    seen.look_at(left, began)
    while not seen.said:
        cluster.run(0.25)
        seen.advance(left.journals.replicas, cluster.now)
    assert ANNOUNCED_AFTER_S <= cluster.now - began <= ANNOUNCED_AFTER_S + LOOK_AGAIN_S + 0.25
    cluster.start(gone)
    cluster.run(30.0)
    seen.look_at(left, cluster.now)
    assert seen.said == [{journal}, set()]
    seen.look_at(left, cluster.now)
    assert seen.next_look == inf


def test_row_changes_once_for_all_that_happens_within_a_second() -> None:
    """Each change is an input to all copies here. A sidecar with 1,000 of them did nothing else for 20 s."""
    cluster, journal, owner, (left, gone) = opened()
    for one in (owner, gone):
        cluster.crash(one, ProcessStanding.SILENT)
    cluster.run(30.0)
    replicas = left.journals.replicas
    seen = Looks()
    for began in (0.0, ANNOUNCED_AFTER_S):
        for tenth in range(10):
            seen.look(replicas, began + tenth / 10)
            assert seen.said == []
    seen.advance(replicas, ANNOUNCED_AFTER_S + 1.0)
    seen.look({}, ANNOUNCED_AFTER_S + 1.1)
    assert seen.said == [{journal}]
    seen.advance({}, ANNOUNCED_AFTER_S + 1.0 + LOOK_AGAIN_S)
    assert seen.said == [{journal}, set()]


def test_sidecar_that_is_not_synced_calls_nothing_leaderless() -> None:
    """It does not know who leads. One that started away from the others announced all its copies."""
    cluster, journal, _, (one, _) = opened()
    cluster.crash(one)
    cluster.start(one)
    assert journal in one.journals.replicas
    assert one.view.synced_at is None
    seen = Looks()
    seen.look_at(one, 0.0)
    assert seen.look_at(one, LEADERLESS_S) == set()
    assert seen.said == []


def test_row_that_is_full_is_tried_again() -> None:
    cluster, journal, owner, (left, gone) = opened()
    for one in (owner, gone):
        cluster.crash(one, ProcessStanding.SILENT)
    cluster.run(30.0)
    seen = Looks(full=True)
    seen.look_at(left, 0.0)
    seen.look_at(left, ANNOUNCED_AFTER_S)
    seen.full = False
    seen.look_at(left, ANNOUNCED_AFTER_S + LOOK_AGAIN_S)
    assert seen.said == [{journal}]


LOST = JournalId(bytes(16))


def test_lost_copy_is_announced_for_an_hour_and_no_leaderless_copy() -> None:
    """A sidecar whose disk had lost the only copy answered, and had others answer, that there was nothing."""
    seen = Looks()
    seen.lose([LOST], 0.0)
    assert (list(seen.lost), seen.next_look) == ([LOST], 0.0)
    for now in (0.0, ANNOUNCED_AFTER_S, LEADERLESS_S, LOST_S - 1):
        seen.advance({}, now)
        assert seen.long(now) == {}
    assert seen.said == [{LOST}]
    seen.advance({}, LOST_S)
    assert (seen.said, list(seen.lost), seen.next_look) == ([{LOST}, set()], [], LOST_S + LOOK_AGAIN_S)
    seen.advance({}, LOST_S + LOOK_AGAIN_S)
    assert seen.next_look == inf


def test_lost_copy_of_a_journal_that_is_led_is_not_announced() -> None:
    seen = Looks()
    seen.led = True
    seen.lose([LOST], 0.0)
    seen.advance({}, 0.0)
    assert (list(seen.lost), seen.said) == ([], [])


def test_lost_copy_is_announced_only_once_the_leaders_are_known() -> None:
    seen = Looks()
    seen.led = None
    seen.lose([LOST], 0.0)
    for now in (0.0, 10.0, 20.0):
        seen.advance({}, now)
    assert (list(seen.lost), seen.said) == ([LOST], [])
    seen.led = False
    seen.advance({}, 30.0)
    seen.advance({}, 30.0 + ANNOUNCED_AFTER_S)
    assert seen.said == [{LOST}]


def test_lost_copy_that_is_here_again_is_as_any_other() -> None:
    _, journal, _, (left, _) = opened()
    seen = Looks()
    seen.lose([journal], 0.0)
    seen.advance(left.journals.replicas, 0.0)
    assert (list(seen.lost), seen.said) == ([], [])


def reports() -> tuple[JournalReports, Troubles, io.StringIO]:
    stream, troubles = io.StringIO(), Troubles(lambda: 200.0)
    return JournalReports(Log(stream=stream), troubles), troubles, stream


def test_the_trouble_names_the_voters_and_what_to_do() -> None:
    said, troubles, _ = reports()
    said.leaderless({"405913e4abcd of m1 (m1 dead, m2 here, m3 dead)": 100.0}, 200.0)
    [shown] = troubles.shapes()
    assert shown["message"] == f"journals that nobody leads: 405913e4abcd of m1 (m1 dead, m2 here, m3 dead): {ADVICE}"
    assert shown["since_s"] == 100.0


def test_of_many_leaderless_journals_a_few_are_named() -> None:
    said, troubles, _ = reports()
    said.leaderless({f"{number} of m1": 100.0 for number in range(JOURNALS_NAMED + 3)}, 200.0)
    [shown] = troubles.shapes()
    assert (
        shown["message"]
        == f"journals that nobody leads: 0 of m1, 1 of m1, 2 of m1, 3 of m1, 4 of m1 and 3 more: {ADVICE}"
    )


def test_the_log_tells_begin_and_end_once() -> None:
    said, troubles, stream = reports()
    for _ in range(3):
        said.leaderless({"405913e4abcd of m1": 100.0}, 200.0)
    for _ in range(3):
        said.leaderless({}, 200.0)
    first, last = stream.getvalue().splitlines()
    assert "journals_leaderless" in first
    assert "405913e4abcd of m1" in first
    assert "journals_leaderless_over" in last
    assert troubles.shapes() == []
