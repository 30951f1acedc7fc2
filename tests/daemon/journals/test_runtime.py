"""Journals in sidecars: disks, streams and nodes on loopback, in one process."""

import errno
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import msgpack
import pytest
import trio

from gossipreg.core.effects import Event
from gossipreg.core.node import Node
from gossipreg.daemon import orchestration, orchestration_modules
from gossipreg.daemon.journals import journal_disk
from gossipreg.daemon.journals.journals_shown import JournalsShown
from gossipreg.daemon.journals.leaving import LEAVE_JOURNALS_S, leave_journals
from gossipreg.daemon.streams.inbox import StreamClosed
from gossipreg.errors import NoDataDirectory, Unavailable
from gossipreg.journal.confirmations import Confirmations
from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.model import Ballot, ReplicaId
from gossipreg.model import MemberInfo, NodeId
from gossipreg.retry import Retry
from tests.daemon.journals.sidecars import a_sidecar, alone, cluster, until
from tests.daemon.journals.test_journal_store import broken


async def test_an_entry_reaches_the_disks_of_three_sidecars(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one = sidecars[0]
        journal = await one.open_journal()
        await one.commit(journal, b"alone", 1)
        await until(lambda: all(two.voters(journal) == 3 for two in sidecars))
        await one.commit(journal, b"together", 2)
        await one.commit(journal, b"after", 3)  # the append says that the one before is committed
        await until(lambda: all(b"together" in two.state(journal) for two in sidecars))


async def test_another_voter_leads_when_the_owner_is_killed(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, *others = sidecars
        journal = await owner.open_journal()
        await until(lambda: owner.voters(journal) == 3)
        await owner.commit(journal, b"kept", 1)
        await owner.stop()
        await until(lambda: any(journal in two.follows.leads for two in others))
        leader = next(two for two in others if journal in two.follows.leads)
        await until(lambda: b"kept" in leader.state(journal))
        await leader.commit(journal, b"more", 2)


async def test_sidecars_of_one_machine_hold_one_copy(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c", host_id="one machine") as (_, sidecars):
        journal = await sidecars[0].open_journal()
        await sidecars[0].commit(journal, b"x", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert sidecars[0].voters(journal) == 1
        assert [two.orchestration.runtime for two in sidecars[1:]] == [None, None]


async def test_a_failed_disk_is_a_trouble_until_it_works(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"before", 1)
        with broken(OSError(28, "No space left on device")):
            one.propose(journal, b"meanwhile", 2)
            await until(lambda: 2 in one.follows.settled)
            assert one.follows.settled[2] is ProposalOutcome.UNKNOWN
            assert one.shown_troubles().startswith("the disk is full: cannot keep journals in ")
            with pytest.raises(ProposalRefused):
                one.propose(journal, b"refused", 3)
        await until(lambda: journal in one.follows.leads)
        assert one.shown_troubles() == ""
        await one.commit(journal, b"after", 4)
        assert {b"before", b"after"} <= one.state(journal).keys()
        assert "journals_kept_again" in one.log.getvalue()


async def test_a_sidecar_takes_no_copies_while_its_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_disk, "REOPEN", Retry(0.05, 0.2))
    async with cluster(tmp_path, "a", "b") as (_, (one, two)):
        journal = await one.open_journal()
        with broken(OSError("the disk is gone")):
            one.propose(journal, b"x", 1)
            await until(lambda: 1 in one.follows.settled)
            two_sees = (await two.orchestration.wanted()).membership
            await until(lambda: one.node.id not in {host.node for host in two_sees.hosts()})
        await until(lambda: one.node.id in {host.node for host in two_sees.hosts()})


async def test_a_follower_that_fails_is_a_bug_and_no_more(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        one.follows.fails = True
        await one.commit(journal, b"x", 1)
        await one.commit(journal, b"y", 2)
        assert one.pump.counts["bug.journal_effect"] > 0
        assert one.state(journal).keys() == {b"x", b"y"}


async def test_journals_hear_that_their_member_refuted_its_death(tmp_path: Path) -> None:
    """Their copies may have been replaced, and no other member has changed."""
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
        assert one.runtime.journals is not None
        with patch.object(one.runtime.journals, "members_changed", return_value=[]) as looks:
            one.pump.events.publish(Event("refuted"))
        looks.assert_called_once()


async def test_own_claim_is_no_change_of_the_members_for_the_copies(tmp_path: Path) -> None:
    """A sidecar with 1,000 copies looked at all of them for each one that it claimed or gave up: 20 s for as many."""
    async with alone(tmp_path, "a") as one:
        journal, membership = await one.open_journal(), one.runtime.membership
        assert one.runtime.journals is not None
        ballot = Ballot(9, ReplicaId(b"r" * 16))
        with (
            patch.object(one.runtime.journals, "members_changed", return_value=[]) as looks,
            patch.object(one.follows, "on_members") as told,
        ):
            one.pump.order(lambda now: membership.claim(journal, ballot, now))
            one.pump.order(lambda now: membership.withdraw(journal, now))
            looks.assert_not_called()
            assert told.call_count == 2
            with patch.object(membership, "follow", return_value=True):
                one.pump.announcements.publish((NodeId(b"o" * 16),))
            looks.assert_called_once()


async def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"x", 1)
    async with alone(tmp_path, "a") as again:
        await until(lambda: journal in again.follows.leads)
        assert again.state(journal).keys() == {b"x"}
        assert await again.runtime.own.open_waiting() == journal


async def test_a_sidecar_without_a_data_directory_has_no_journal(tmp_path: Path) -> None:
    async with alone(tmp_path, "a", durable=False) as one:
        runtime = await one.orchestration.wanted()
        await runtime.begun.wait()
        with pytest.raises(NoDataDirectory, match="--data-dir"):
            await runtime.own.open_waiting()


async def test_the_stream_to_a_member_that_left_is_closed(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one, two, _ = sidecars
        journal = await one.open_journal()
        await until(lambda: one.voters(journal) == 3)
        assert two.node.id in one.runtime.streams.open_to()
        two.pump.order(lambda now: two.node.leave(now, 0.0))
        await until(lambda: StreamClosed(two.node.id, "member_gone") in one.follows.news)
        await one.commit(journal, b"with two of three", 1)


async def test_what_is_shown_of_a_journal(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one, two, _ = sidecars
        journal = await one.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        await one.commit(journal, b"x", 1)
        shown = [JournalsShown(each.runtime, each.node) for each in (one, two)]
        await until(lambda: shown[0].all()[0]["copies"] == 3)
        [leads], [follows] = (each.all() for each in shown)
        assert (leads["role"], leads["takeover"], leads["behind"]) == ("leads", True, False)
        assert (follows["role"], follows["leader_name"], follows["copies"]) == ("follows", "a", None)
        assert {voter["name"]: voter["state"] for voter in leads["voters"]} == {
            "a": "here", "b": "current", "c": "current"
        }  # fmt: skip
        assert leads["bytes"] > 0
        assert shown[0].section()["own"] == journal.hex()
        assert shown[0].counts()["journals_led"] == 1
        assert await shown[0].proven(journal.hex()[:4]) == [leads]
        assert await shown[1].proven() == [follows]


async def test_leader_that_no_voter_confirms_is_shown_as_unproven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause in which another member took over, before this one hears of it."""
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one = sidecars[0]
        journal = await one.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        monkeypatch.setattr(Confirmations, "on_confirmed", lambda *_: None)
        shown = JournalsShown(one.runtime, one.node)
        [unproven] = await shown.proven()
        assert unproven["role"] == "unproven"
        assert [unproven[name] for name in ("leader", "leader_name", "copies", "takeover", "behind")] == [None] * 5
        assert {voter["name"]: voter["state"] for voter in unproven["voters"]} == {
            "a": "here", "b": "alive", "c": "alive"
        }  # fmt: skip
        assert "leads as far as this sidecar knows" in shown.section()[journal.hex()]


async def test_journals_that_are_not_open_are_not_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestration, "OPEN_S", 0.2)
    (tmp_path / "a" / "journals.db").mkdir(parents=True)
    (tmp_path / "a").chmod(0o700)
    async with alone(tmp_path, "a") as one:
        for method, params in ((one.orchestration.journals, {}), (one.orchestration.journal, {"id": "3f9c"})):
            with pytest.raises(Unavailable, match="are not open, so it does not know which copies are here"):
                await method(params)
        (tmp_path / "a" / "journals.db").rmdir()
        await one.runtime.begun.wait()
        assert await one.orchestration.journals({}) == msgpack.packb([])


async def test_question_just_after_the_start_waits_for_the_disk(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        assert await one.orchestration.journals({}) == msgpack.packb([]), "nothing needs a disk here"
        journal = await one.open_journal()
    with a_sidecar(tmp_path, "a") as again, trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run)
            await trio.sleep(0)
            [shown] = msgpack.unpackb(await again.orchestration.journals({}))
            assert shown["id"] == journal.hex()
            nursery.cancel_scope.cancel()


async def test_suspected_voter_is_not_shown_as_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        one, two, _ = sidecars
        journal = await one.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        member = Node.member

        def suspected(node: Node, id: NodeId, now: float) -> MemberInfo | None:
            seen = member(node, id, now)
            return replace(seen, state="suspect") if seen is not None and id == two.node.id else seen

        monkeypatch.setattr(Node, "member", suspected)
        for each in (one, sidecars[2]):
            [shown] = JournalsShown(each.runtime, each.node).all()
            assert {voter["name"]: voter["state"] for voter in shown["voters"]}["b"] == "suspect"


async def test_a_leader_hands_its_journal_over_before_it_leaves(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, *others = sidecars
        journal = await owner.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        await owner.commit(journal, b"x", 1)
        assert await leave_journals(owner.runtime)
        assert journal not in owner.follows.leads
        await until(lambda: any(journal in two.follows.leads for two in others))
        assert owner.node.id in others[0].node.ring, "nobody was told of a leave"


async def test_a_leave_waits_for_what_is_handled_but_not_for_long(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, *others = sidecars
        journal = await owner.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        await owner.commit(journal, b"x", 1)
        owner.runtime.order(lambda journals, now: journals.acts(journal, 1, now))
        began = trio.current_time()
        assert await leave_journals(owner.runtime)
        assert trio.current_time() - began >= 0.99
        await until(lambda: any(journal in two.follows.leads for two in others))


async def test_nobody_waits_for_a_sidecar_that_holds_the_only_copy(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        began = trio.current_time()
        assert await leave_journals(one.runtime)
        assert journal not in one.follows.leads
        assert trio.current_time() == pytest.approx(began, abs=0.04)


async def test_a_leave_does_not_wait_for_ever_for_a_journal(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner = sidecars[0]
        journal = await owner.open_journal()
        await until(lambda: owner.voters(journal) == 3)
        with patch.object(type(owner.runtime.journals), "may_leave", False):
            began = trio.current_time()
            assert not await leave_journals(owner.runtime)
            assert trio.current_time() - began == pytest.approx(LEAVE_JOURNALS_S, abs=0.5)


async def test_a_leave_that_takes_the_majority_away_is_no_quiet_one(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, leaving, other = sidecars
        journal = await owner.open_journal()
        await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
        seen = leaving.runtime.membership.member

        def without_other(node: NodeId) -> SeenMember:
            found = seen(node)
            return found._replace(standing=ProcessStanding.LEFT) if node == other.node.id else found

        with patch.object(leaving.runtime.membership, "member", without_other):
            assert not await leave_journals(leaving.runtime)


async def test_journals_are_loaded_once_a_descriptor_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestration_modules, "LOAD_AGAIN_S", 0.01)
    load, failures = orchestration_modules._load, [errno.EMFILE, errno.ENFILE]

    def loads() -> orchestration_modules.OrchestrationModules:
        if failures:
            raise OSError(failures.pop(0), "Too many open files")
        return load()

    monkeypatch.setattr(orchestration_modules, "_load", loads)
    async with alone(tmp_path, "a") as one:
        await one.orchestration.wanted()
        assert not failures
        assert not one.pump.counts
        assert one.shown_troubles() == ""


async def test_sidecar_goes_on_where_journals_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release was installed under a running sidecar: its modules do not fit those that are loaded."""

    def fails() -> None:
        raise ImportError("cannot import name 'compose_journals'")

    monkeypatch.setattr(orchestration_modules, "_load", fails)
    async with alone(tmp_path, "a") as one:
        with pytest.raises(Unavailable, match="restart it"):
            await one.orchestration.wanted()
        assert "could not be loaded" in one.shown_troubles()
