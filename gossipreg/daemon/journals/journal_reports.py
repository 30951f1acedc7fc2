"""What the operator hears of the journals here: lines of the log, and troubles in `info` for as long as they last."""

from collections.abc import Collection, Mapping, Sequence

from gossipreg.daemon.journals.results import StoreFault, StoreOpened
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.journal.effects import JournalEvent
from gossipreg.journal.model import ReplicaId

RETIRED_S = 3600.0
"""For how long `info` shows that replicas were given up."""
JOURNALS_NAMED = 5
"""In one line."""
LINES_A_MINUTE = 16
"""Of one kind: each may come for every journal here at once."""


class JournalReports:
    def __init__(self, log: Log, troubles: Troubles) -> None:
        self._log = log
        self._troubles = troubles
        self._leaderless = 0

    def not_kept(self, fault: StoreFault | None, why: str) -> None:
        """The database cannot be used; None: it could not be opened."""
        match fault:
            case StoreFault.FULL:
                message = f"the disk is full: {why}"
            case StoreFault.UNLINKED:
                message = f"a file of the journals is gone: {why}"
            case StoreFault.LOCKED:
                message = f"another process uses the journals: {why}"
            case StoreFault.DAMAGED:
                message = f"damaged journals: {why}"
            case StoreFault.OVERLOADED:
                message = f"a slow disk: {why}"
            case StoreFault.DISK | StoreFault.INTERNAL:
                message = f"a disk error: {why}"
            case None:
                message = f"journals that cannot be opened: {why}"
        self._troubles.saw("journals_not_kept", message, lasting=True)
        self._log.line("error", "journals_not_kept", {"message": message}, repeat_key="journals_not_kept")

    def kept_again(self) -> None:
        self._troubles.over("journals_not_kept")
        self._log.info("journals_kept_again", message="the journals can be written again")

    def disk_hangs(self, busy_s: float) -> None:
        """It neither answers nor fails."""
        message = f"a disk that hangs: nothing of the journals was written or read for {busy_s:.0f} s"
        self._troubles.saw("journal_disk_hangs", message, lasting=True, since_s=busy_s)
        self._log.line("error", "journal_disk_hangs", {"message": message}, repeat_key="journal_disk_hangs")

    def disk_answers(self) -> None:
        self._troubles.over("journal_disk_hangs")
        self._log.info("journal_disk_answers", message="the disk of the journals answers again")

    def opened(self, opened: StoreOpened) -> None:
        """What the examination of the database found."""
        for one in opened.lost:
            self._log.warning(
                "journal_replica_lost", journal=one.journal.hex(), replica=one.replica.hex(), reason=one.reason,
                message="this copy takes no part any more: other voters of its journal, if it has any, make a new one",
            )  # fmt: skip
        if opened.set_aside:
            self._log.warning(
                "journals_set_aside", file=opened.set_aside, reason=opened.fault or "some of its copies are not sound",
                message="the database of the journals was renamed, and what is sound in it goes on in a new one",
            )  # fmt: skip
        if opened.lost:
            place = f"or in {opened.set_aside} alone" if opened.set_aside else "or gone"
            message = f"lost {len(opened.lost)} copies of journals, as {opened.lost[0].reason}: what they held is on "
            self._troubles.saw("journals_lost", f"{message}the disks of their other voters, {place}", for_s=RETIRED_S)

    def missed(self, replicas: Sequence[ReplicaId]) -> None:
        """A database that was opened again does not have these."""
        if replicas:
            message = (
                f"lost {len(replicas)} copies of journals, as the data directory was replaced while it was in use: "
                "what they held is on the disks of their other voters, or gone"
            )
            self._troubles.saw("journals_lost", message, for_s=RETIRED_S)
            self._log.warning("journals_lost", message=message)

    def orphans(self, journals: Sequence[str]) -> None:
        """These journals, which are led here, have contents, and their owner is away for long."""
        if not journals:
            self._troubles.over("journals_orphaned")
            return
        self._troubles.saw("journals_orphaned", f"journals whose owner is gone: {_named(journals)}", lasting=True)

    def leaderless(self, since: Mapping[str, float], now: float) -> None:
        """Nobody has led these journals for long, and since when: a line of the log when their number grows, and when
        all are led again."""
        before, self._leaderless = self._leaderless, len(since)
        if not since:
            self._troubles.over("journals_leaderless")
            if before:
                self._log.info("journals_leaderless_over", message="each journal with a copy here has a leader again")
            return
        message = (
            f"journals that nobody leads: {_named(since)}: start the voters that are not alive, or, if they are gone "
            "for good, `gossipreg journal recover ID`"
        )
        self._troubles.saw("journals_leaderless", message, lasting=True, since_s=now - min(since.values()))
        if len(since) > before:
            fields: dict[str, Field] = {"journals": len(since), "message": message}
            self._log.line("warning", "journals_leaderless", fields, repeat_key="journals_leaderless")

    def retired(self, replicas: int, alone: int, why: str) -> None:
        """All replicas were given up; of so many journals no other copy is known, so what they held is gone."""
        lost = f"; {alone} of them had no other copy that is known here: what they held is gone" if alone else ""
        message = f"gave up {replicas} copies of journals: {why}{lost}"
        self._troubles.saw("journals_retired", message, for_s=RETIRED_S)
        self._log.warning("journals_retired", message=message)

    def event(self, event: JournalEvent) -> None:
        """What the journals say themselves."""
        fields: dict[str, Field] = dict(event.fields)
        match event.kind:
            case "journal_unknown_kind":
                fields["message"] = "an entry is of a newer release: upgrade; until then this copy takes no part"
                self._log.line("error", "journal_unknown_kind", fields, kind_burst=LINES_A_MINUTE)
            case "journal_replica_went_back":
                fields["message"] = "a copy lacks entries that it had acknowledged: it is removed, and a new one made"
                self._log.line("warning", "journal_replica_went_back", fields, kind_burst=LINES_A_MINUTE)
            case "journal_record_missing":
                fields["message"] = "the disk has lost a record that was written: see `gossipreg docs operations`"
                self._log.line("error", "journal_record_missing", fields, kind_burst=LINES_A_MINUTE)
            case "journal_not_dismissed":
                fields["message"] = (
                    "kept a journal that another member calls ended: the copy here is its only voter, or leads it"
                )
                self._log.line("warning", "journal_not_dismissed", fields, kind_burst=LINES_A_MINUTE)
            case "journal_recovered":
                pass  # its line names who asked for it: `recovering.py`
            case _:
                self._log.line("info", event.kind, fields, kind_burst=LINES_A_MINUTE)

    def leads(self, journal: str, ballot: str) -> None:
        self._log.line("info", "journal_led", {"journal": journal, "ballot": ballot}, kind_burst=LINES_A_MINUTE)

    def leads_no_more(self, journal: str, ballot: str, reason: str) -> None:
        fields: dict[str, Field] = {"journal": journal, "ballot": ballot, "reason": reason}
        self._log.line("info", "journal_not_led", fields, kind_burst=LINES_A_MINUTE)


def _named(journals: Collection[str]) -> str:
    more = f" and {len(journals) - JOURNALS_NAMED} more" if len(journals) > JOURNALS_NAMED else ""
    return ", ".join([*journals][:JOURNALS_NAMED]) + more
