"""A new copy of a journal that was large before it is never taken for the rest of one that has ended."""

from dataclasses import replace

import pytest

from gossipreg.journal.hosting import NOBODY
from gossipreg.journal.messages import Append, ReplicaDismissed
from gossipreg.journal.model import NO_BALLOT, START, Ballot, EntryKind, LogEntry
from gossipreg.journal.replica_data import StoredReplica
from tests.journal import by_hand
from tests.journal.by_hand import BIG, JOURNAL, Bench
from tests.journal.cluster import Cluster


def test_a_copy_is_not_cut_before_the_entry_that_names_the_voters(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked like a journal that has ended, and told the owner so, which removed what it had acknowledged."""
    monkeypatch.setattr(by_hand, "TUNING", replace(by_hand.TUNING, cut_bytes=4096))
    bench = Bench(2)
    owner, copy = bench.voters
    copy.disk[JOURNAL] = StoredReplica(JOURNAL, copy.replica, owner.node, NO_BALLOT, NOBODY, (), {}, 0)
    copy.start()
    ballot = Ballot(1, owner.replica)
    entries = (
        LogEntry(1, ballot, 0, EntryKind.BALLOT, b""),
        LogEntry(2, ballot, 0, EntryKind.DATA, BIG),
        LogEntry(3, ballot, 0, EntryKind.DATA, BIG),
    )
    append = Append(
        journal=JOURNAL, sender=owner.replica, receiver=copy.replica, ballot=ballot, before=START, entries=entries,
        commit=3,
    )  # fmt: skip
    copy.act(copy.journals.receive(owner.node, append, bench.now))
    copy.write()
    assert copy.data.state.applied == 3
    assert not copy.data.ended
    copy.start()
    assert not copy.data.ended


def test_the_only_voter_of_a_journal_is_not_dismissed() -> None:
    """No majority can have ended its journal, or replaced it, without it."""
    cluster = Cluster(1, 1)
    cluster.run(1.0)
    (owner,) = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(1.0)
    replica = owner.journals.replicas[journal].data.replica
    dismissed = ReplicaDismissed(journal=journal, sender=replica, receiver=replica, ballot=NO_BALLOT)
    cluster.act(owner, owner.journals.receive(owner.node, dismissed, cluster.now))
    assert journal in owner.journals.replicas
