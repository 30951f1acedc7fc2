"""Which replicas of this sidecar must not take part any more, for reasons that lie outside of the journals.

Owns: whether another process has used this sidecar's id, whether the note on the disk says that all are to be
forgotten, and which ones are missing in a database that was put in the place of ours. Never knows: how a replica is
given up (`Journals.retire`), or how the disk is asked.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gossipreg.daemon.journals.journal_disk import JournalDisk
from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.results import StoreOpened
from gossipreg.journal.journals import Journals
from gossipreg.journal.model import JournalId, ReplicaId

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class GivingUp:
    def __init__(self, node: "Node", disk: JournalDisk | None, reports: JournalReports) -> None:
        self._node = node
        self._disk = disk
        self._reports = reports
        self._seen_generation = 0
        """The foreign generation for which all replicas were given up."""
        self._unlinked: Mapping[ReplicaId, JournalId] = {}
        """The replicas whose file was taken away under them, and their journals."""

    def another_was_here(self, journals: Journals | None) -> bool:
        """Whether it is new that our id was used by a process that was not started here: the data directory is a
        restored backup, or was copied, and may have forgotten what its replicas promised. Notes that they are to be
        forgotten, for the next start, should this one end before they are gone."""
        generation = self._node.foreign_generation
        if generation <= self._seen_generation:
            return False
        self._seen_generation = generation
        if self._disk is not None and (journals is None or journals.replicas or self._disk.removing):
            self._disk.begin_forgetting()
        return True

    @property
    def noted(self) -> bool:
        """Whether the replicas that are in the database are to be forgotten."""
        return self._disk is not None and self._disk.forgetting

    def give_up(self, journals: Journals, why: str) -> list[JournalId]:
        """Tell that all replicas are given up. Returns the journals of which no other copy is known: what they hold is
        gone with the replicas."""
        replicas = journals.replicas
        alone = [
            id for id, one in replicas.items()
            if one.data.votes and not one.data.ended and not journals.has_takeover(id)
        ]  # fmt: skip
        self._reports.retired(len(replicas), len(alone), why)
        return alone

    def unlinked(self, journals: Journals) -> None:
        """The file of the database is gone: note what has to be in the next one."""
        copies = [(id, one.data) for id, one in journals.replicas.items() if not one.data.ended]
        self._unlinked = {data.replica: id for id, data in copies if data.committed}

    def lost_in(self, opened: StoreOpened) -> list[JournalId]:
        """The journals whose replica here was lost, as the database shows that was just opened. Tells which replicas
        are not in one that was put in the place of ours, though this process has them: the file that notes what has to
        be there may be gone, too."""
        had, self._unlinked = self._unlinked, {}
        found = {one.replica for one in opened.replicas} | {one.replica for one in opened.lost}
        missed = {replica: journal for replica, journal in had.items() if replica not in found}
        self._reports.missed([*missed])
        return [*missed.values(), *(one.journal for one in opened.lost)]
