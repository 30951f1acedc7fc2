"""The journals, as one of several that stand on them has them: what each asks of them, and the sum of their acts.

Owns: how many acts of all are under way for each journal. Never knows: what is proposed or read. Each draws its numbers
from a range of its own (`events_and_sagas.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipreg.journal.model import JournalId

if TYPE_CHECKING:
    from gossipreg.daemon.journals.runtime import JournalRuntime


class JournalActs:
    """How many acts are under way for each journal, of all that stand on it: it is not handed over before they are
    done."""

    def __init__(self, runtime: "JournalRuntime") -> None:
        self._runtime = runtime
        self._told: dict[JournalId, dict[str, int]] = {}

    def tell(self, owner: str, journal: JournalId, count: int) -> None:
        """This one of them has so many."""
        told = self._told.setdefault(journal, {})
        told[owner] = count
        in_all = sum(told.values())
        self._runtime.order(lambda journals, now: journals.acts(journal, in_all, now))

    def forget(self, journal: JournalId) -> None:
        """It is not led here any more."""
        self._told.pop(journal, None)


@dataclass(frozen=True, slots=True)
class JournalShare:
    runtime: "JournalRuntime"
    owner: str
    """Who has it: `events`, say."""
    joint_acts: JournalActs

    def propose(self, journal: JournalId, data: bytes, ticket: int, *, kind: int, ends: bool) -> None:
        """`Settled` with this ticket follows. Raises ProposalRefused."""
        self.runtime.order(lambda journals, now: journals.propose(journal, data, ticket, now, kind=kind, ends=ends))

    def confirm(self, journal: JournalId, number: int) -> None:
        """See `JournalRuntime.confirm`."""
        self.runtime.confirm(journal, number)

    def read_records(self, journal: JournalId, keys: Sequence[bytes], number: int) -> None:
        """`RecordsFound` with this number follows. Raises ProposalRefused."""
        self.runtime.order(lambda journals, now: journals.read_records(journal, keys, number, now))

    def acts(self, journal: JournalId, count: int) -> None:
        """So many acts of this one are under way."""
        self.joint_acts.tell(self.owner, journal, count)
