"""Invariant: voters change by a joint configuration, so that majorities that follow each other meet (Raft 6)."""

from gossipreg.journal.effects import JournalEffect, WriteJournal
from gossipreg.journal.model import Configuration, EntryKind, ReplicaPlace
from gossipreg.journal.values import decode_configuration
from simulations.checkers.journals.checker import JournalChecker, data_of
from simulations.journaling.process import JournalProcess


class JointChanges(JournalChecker):
    """From one configuration in a log to the next the voters stay, or one of the two is joint and has the other's as
    well."""

    name = "joint_changes"

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        data = data_of(process, effect.journal) if isinstance(effect, WriteJournal) else None
        if not isinstance(effect, WriteJournal) or data is None:
            return
        for entry in effect.entries:
            if entry.kind == EntryKind.CONFIGURATION:
                before = data.log.configuration_at(entry.index - 1)
                self._check(process, entry.index, before, decode_configuration(entry.data))

    def _check(self, process: JournalProcess, index: int, before: Configuration, now: Configuration) -> None:
        if before.voters and not _electorates(before) & _electorates(now):
            what = f"{process.host.name} replaces the voters at entry {index} without a joint configuration"
            self.fail(what, process.host)


def _electorates(configuration: Configuration) -> set[frozenset[ReplicaPlace]]:
    """Return the groups of which a decision needs a majority each."""
    return {frozenset(voters) for voters in (configuration.voters, configuration.before) if voters}
