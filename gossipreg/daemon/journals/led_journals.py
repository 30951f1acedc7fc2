"""What events and sagas ask of the journals here; there are none before the database is open."""

from collections.abc import Collection
from dataclasses import dataclass

from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.journal.combined import part_of
from gossipreg.journal.model import JournalId


@dataclass(frozen=True, slots=True)
class JournalsOfRuntime:
    """See `events.LedJournals` and `saga_membership.SagaJournals`."""

    runtime: JournalRuntime
    part: type
    """The class of the state machine of whoever asks."""

    def machine(self, journal: JournalId) -> object:
        """None where there is no replica here."""
        journals = self.runtime.journals
        return None if journals is None else part_of(journals.machine(journal), self.part)

    def has_takeover(self, journal: JournalId) -> bool:
        journals = self.runtime.journals
        return journals is not None and journals.has_takeover(journal)

    def kept(self) -> Collection[JournalId]:
        """Those of which a copy is here, or was until the disk lost it."""
        journals = self.runtime.journals
        copies = [] if journals is None else [id for id, one in journals.replicas.items() if not one.data.ended]
        return [*copies, *self.runtime.leaderless.lost]

    def ended(self) -> Collection[JournalId]:
        """One that another member leads, or has a copy of, was recovered by hand after its end. So was one that a
        member claims with a ballot of a later era, even a dead one: its other voters are about to say so."""
        journals = self.runtime.journals
        if journals is None:
            return []
        membership = self.runtime.membership
        ended = ((id, replica.data.log.last.ballot) for id, replica in journals.replicas.items() if replica.data.ended)
        return [id for id, end in ended if not (membership.is_there(id) or membership.was_recovered(id, end))]

    def closed(self) -> bool:
        """Whether the disk of this sidecar fails, or its journals were not read from it yet: what it holds is not
        known."""
        disk = self.runtime.disk
        return disk is not None and (disk.fails or (disk.needed and self.runtime.journals is None))

    def led_ms(self, journal: JournalId, now: float) -> int:
        journals = self.runtime.journals
        return 0 if journals is None else journals.led_ms(journal, now)

    def fill(self, journal: JournalId) -> float:
        """Which part of what it may hold at most this journal takes."""
        journals = self.runtime.journals
        return 0.0 if journals is None else journals.fill(journal) or 0.0
