"""Invariant: an acknowledged entry survives while a majority of the disks of the configuration in force does."""

from simulations.checkers.journals.checker import JournalChecker


class AckedSurvives(JournalChecker):
    """At rest, the leader's state has every entry whose proposer was told that it is committed, at its index. (A run
    loses at most a minority of the disks of a journal at a time.)"""

    name = "acked_survives"

    def at_rest(self) -> None:
        for journal in self.journaling.ids:
            leader, replica = self.journaling.leader(journal), self.journaling.replica(journal)
            if leader is None or replica is None:
                continue  # `JournalLiveness` has failed, if somebody should lead
            records = replica.data.state.records.all()
            for acked in self.journaling.acked:
                if acked.journal == journal and records.get(acked.data) != str(acked.index).encode():
                    what = f"{acked.data[:12]!r}, acknowledged at index {acked.index}, is at"
                    self.fail(f"{what} {records.get(acked.data, b'no index').decode()} now", leader.host)
