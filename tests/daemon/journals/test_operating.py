"""What an operator sees and does: recovery by hand, journals whose owner is gone, full ones."""

from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio

from gossipreg.callers import Caller
from gossipreg.core.event_membership import EventRegistry
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.journals import leaderless_journals, recovering
from gossipreg.daemon.journals.journals_shown import JournalsShown, in_one_line
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import BadParams, NotFound, Refused
from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.journals import Journals
from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.lost_copies import LostNotices
from gossipreg.journal.model import JournalId
from tests.daemon.journals.sidecars import BOUND_S, SOON_ALONE, LiveSidecar, a_sidecar, alone, cluster, until

OPERATOR = SocketClient(Caller(0, 5, frozenset({0}), "socket"))


async def recover(sidecar: LiveSidecar, audit: Audit, **params: Any) -> dict[str, Any]:
    answer = sidecar.orchestration.recover_method(audit)(params, OPERATOR)
    assert not isinstance(answer, bytes)
    packed = await answer
    result: dict[str, Any] = msgpack.unpackb(packed)
    return result


async def _may_recover(sidecar: LiveSidecar, journal: JournalId) -> bool:
    try:
        await recover(sidecar, Audit(trio.current_time), id=journal.hex())
    except Refused:
        return False
    return True


async def three_copies(sidecars: list[LiveSidecar]) -> JournalId:
    journal = await sidecars[0].open_journal()
    await until(lambda: all(each.voters(journal) == 3 for each in sidecars))
    await sidecars[0].commit(journal, b"x", 1)
    await sidecars[0].commit(journal, b"y", 2)
    await until(lambda: all(b"x" in each.state(journal) for each in sidecars))
    return journal


async def test_the_last_copy_is_recovered_only_with_yes(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        *others, left = sidecars
        journal = await three_copies(sidecars)
        object.__setattr__(left.runtime.setup.tuning, "stuck_s", 1.0)
        audit = Audit(trio.current_time)
        with pytest.raises(Refused, match=r"^a leads this journal: there is nothing to recover"):
            await recover(left, audit, id=journal.hex(), yes=True)
        for one in others:
            one.pump.order(lambda now, one=one: one.node.leave(now, 0.0))  # type: ignore[misc]
        await until(lambda: all(left.runtime.membership.member(one.node.id).runs is False for one in others))
        for one in others:
            await one.stop()
        while not await _may_recover(left, journal):
            await trio.sleep(0.005)
        would = await recover(left, audit, id=journal.hex()[:6])
        assert (would["recovered"], would["id"]) == (False, journal.hex())
        assert {voter["name"] for voter in would["voters"]} == {"a", "b", "c"}
        assert journal not in left.follows.leads
        assert audit.shapes() == []
        done = await recover(left, audit, id=journal.hex(), yes=True)
        assert done == {**would, "recovered": True}
        await until(lambda: journal in left.follows.leads)
        assert {b"x", b"y"} >= left.state(journal).keys() >= {b"x"}
        await left.commit(journal, b"z", 3)
        [operation] = audit.shapes()
        assert (operation["verb"], operation["target"]) == ("journal-recover", journal.hex())
        assert left.log.getvalue().count("journal_recovered") == 1


async def test_an_idle_leader_whose_voters_are_gone_is_recovered(tmp_path: Path) -> None:
    """It has nothing to commit, so nothing but a question makes it find out that it leads no longer."""
    async with cluster(tmp_path, "a", "b", "c", config=SOON_ALONE) as (_, sidecars):
        left, *others = sidecars
        journal = await three_copies(sidecars)
        object.__setattr__(left.runtime.setup.tuning, "stuck_s", 1.0)
        for one in others:
            await one.stop()
        await until(lambda: all(left.runtime.membership.member(one.node.id).runs is False for one in others))
        assert journal in left.follows.leads
        audit = Audit(trio.current_time)
        assert not (await recover(left, audit, id=journal.hex()))["recovered"]
        assert (await recover(left, audit, id=journal.hex(), yes=True))["recovered"]
        await until(lambda: left.voters(journal) == 1 and journal in left.follows.leads)
        await left.commit(journal, b"z", 3)


def _journals(sidecar: LiveSidecar) -> Journals:
    assert sidecar.runtime.journals is not None
    return sidecar.runtime.journals


async def _led_by_nobody(sidecars: list[LiveSidecar], journal: JournalId) -> None:
    """Each voter has given up, so none stands for half a minute."""
    for one in sidecars:
        replica = _journals(one).replicas[journal]
        replica._candidacy.forbid(BOUND_S)
    sidecars[0].runtime.order(lambda journals, now: _gives_up(journals, journal, now))
    replicas = [_journals(one).replicas[journal] for one in sidecars]
    await until(lambda: all(leader_of(replica.data) is None for replica in replicas))


def _gives_up(journals: Journals, journal: JournalId, now: float) -> list[JournalEffect]:
    journals.replicas[journal].abdicate("the test wants it")
    return journals.members_changed(now)


async def test_voters_that_have_lost_their_disks_are_found_by_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their processes run, and nobody has asked them since."""
    monkeypatch.setattr(LostNotices, "tell", lambda *_: None)
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, left, other = sidecars
        journal = await three_copies(sidecars)
        await _led_by_nobody(sidecars, journal)
        for one in (owner, other):
            one.runtime.order(lambda journals, now: journals.retire(now))
        audit = Audit(trio.current_time)
        assert not (await recover(left, audit, id=journal.hex()))["recovered"]
        await recover(left, audit, id=journal.hex(), yes=True)
        await until(lambda: journal in left.follows.leads)


async def test_a_refused_recovery_says_who_will_lead_and_how_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "LOOK_S", 0.01)
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        journal = await three_copies(sidecars)
        await _led_by_nobody(sidecars, journal)
        left, audit = sidecars[1], Audit(trio.current_time)
        why = r"^a and [bc] and [bc] live and have not lost their disks, 3 of 3 voters: one of them leads within 41 s"
        with pytest.raises(Refused, match=why):
            await recover(left, audit, id=journal.hex(), yes=True)
        monkeypatch.setattr(type(left.node), "alone", property(lambda _: True))
        with pytest.raises(
            Refused, match=r"may live, a majority of the 3 voters, but this sidecar hears no member now"
        ):
            await recover(left, audit, id=journal.hex(), yes=True)


async def test_a_journal_that_is_not_here_is_not_recovered(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        audit = Audit(trio.current_time)
        with pytest.raises(NotFound):
            await recover(one, audit, id="3f9c", yes=True)
        journal = await one.open_journal()
        with pytest.raises(Refused, match="nothing to recover"):
            await recover(one, audit, id=journal.hex(), yes=True)
        for wrong in ({"id": journal.hex(), "yes": 1}, {"yes": True}, {"id": 7}):
            with pytest.raises(BadParams):
                await recover(one, audit, **wrong)
        await one.commit(journal, b"x", 1)


async def test_a_journal_whose_owner_is_gone_is_a_trouble(tmp_path: Path) -> None:
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        owner, *others = sidecars
        journal = await three_copies(sidecars)
        for one in others:
            object.__setattr__(one.runtime.setup.tuning, "orphan_s", 0.1)
        await owner.stop()
        await until(lambda: any(journal in one.follows.leads for one in others))
        leader = next(one for one in others if journal in one.follows.leads)
        shown = JournalsShown(leader.runtime, leader.node)
        await until(lambda: shown.all()[0]["orphaned"])
        leader.runtime.reports.orphans(shown.orphaned())
        assert leader.shown_troubles() == f"journals whose owner is gone: {journal.hex()[:12]} of a"
        assert "leads as far as this sidecar knows, orphaned, of a" in shown.section()[journal.hex()]
        assert shown.counts()["journals_orphaned"] == 1
        leader.runtime.reports.orphans([])
        assert leader.shown_troubles() == ""


async def test_a_journal_that_nobody_leads_is_a_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderless_journals, "LEADERLESS_S", 0.0)
    async with cluster(tmp_path, "a", "b", "c", config=SOON_ALONE) as (_, sidecars):
        owner, left, gone = sidecars
        journal = await three_copies(sidecars)
        left.orchestration.look()
        assert left.shown_troubles() == ""
        for one in (owner, gone):
            await one.stop()
        await until(lambda: not any(left.runtime.membership.member(one.node.id).runs for one in (owner, gone)))
        left.orchestration.look()
        named = f"{journal.hex()[:12]} of a (a dead, b here, c dead)"
        assert left.shown_troubles().startswith(f"journals that nobody leads: {named}: start the voters that are not")
        assert left.orchestration.counts()["journals_leaderless"] == 1
        assert left.log.getvalue().count("journals_leaderless") == 1


async def test_leader_that_gave_up_is_missed_though_all_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams pass, and no streams: no member changed, so nobody looked, neither the leader of before nor a voter
    that had heard it a moment ago."""
    monkeypatch.setattr(leaderless_journals, "LEADERLESS_S", 0.0)
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        journal = await three_copies(sidecars)
        for one in sidecars:
            monkeypatch.setattr(one.runtime.streams, "send", lambda _node, _message: None)

        def gives_up(journals: Journals, now: float) -> list[JournalEffect]:
            journals.replicas[journal].abdicate("nothing could be committed")
            return journals.members_changed(now)

        sidecars[0].runtime.order(gives_up)
        await until(lambda: all(journal in one.runtime.leaderless.long(one.pump.now()) for one in sidecars))


async def test_sidecar_that_starts_alone_misses_the_leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in sync before its database is open, and no member changes after that."""
    monkeypatch.setattr(leaderless_journals, "LEADERLESS_S", 0.0)
    async with cluster(tmp_path, "a", "b", "c") as (_, sidecars):
        journal = await three_copies(sidecars)
    async with alone(tmp_path, "a") as one:
        await one.orchestration.wanted()
        await until(lambda: journal in one.runtime.leaderless.long(one.pump.now()))


async def test_sidecar_without_a_copy_knows_a_journal_that_nobody_leads(tmp_path: Path) -> None:
    """Two of three disks are lost, and what replaces them has met neither the leader nor its claim."""
    async with cluster(tmp_path, "a", "b", "c", config=SOON_ALONE) as (nursery, sidecars):
        owner, left, gone = sidecars
        journal = await three_copies(sidecars)
        for one in (owner, gone):
            await one.stop()
        await until(lambda: not any(left.runtime.membership.member(one.node.id).runs for one in (owner, gone)))
        with a_sidecar(tmp_path, "new") as new:
            nursery.start_soon(new.run, (left.address,))
            await new.orchestration.wanted()
            events = EventRegistry(new.node, new.runtime.membership)
            new.pump.announcements.follow("test", events.follow)
            await until(lambda: left.node.id in events.leaderless_at(journal))
            assert events.unled([], new.pump.now()) == [journal]
            assert (journal in events.claimed(), events.leader(journal)) == (True, None)
            await recover(left, Audit(trio.current_time), id=journal.hex(), yes=True)
            await until(lambda: events.leader(journal) == left.node.id)
            await until(lambda: not events.leaderless_at(journal))
            assert events.unled([], new.pump.now()) == []
            await new.stop()


async def test_a_full_journal_says_how_full_it_is(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, bytes(100_000), 1)
        [shape] = JournalsShown(one.runtime, one.node).all()
        assert 0 < shape["fill"] < 0.01
        assert "full" not in in_one_line(shape)
        assert ", 83 % full, " in in_one_line({**shape, "fill": 0.83}).replace("83%", "83 %")
