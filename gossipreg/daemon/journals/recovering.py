"""The method `journal-recover`: an operator makes the copy here the only voter of a journal.

Owns: what the operator is told, and the line of the log. Never knows: when it is refused (`journal/recovery.py`). It is
unsafe by design, so without `yes` nothing is done but to say what may be missing afterwards.
"""

from gossipreg.callers import Caller
from gossipreg.core.node import Node
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.logs import Log
from gossipreg.errors import Refused
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.journal.recovery import RecoveredJournal
from gossipreg.wire.shapes import Shape


class JournalRecovery:
    def __init__(self, runtime: JournalRuntime, node: Node, log: Log, audit: Audit) -> None:
        self._runtime = runtime
        self._node = node
        self._log = log
        self._audit = audit

    def recover(self, journal: JournalId, by: Caller, *, sure: bool) -> Shape:
        """Recover it if `sure`, else say what that would do. Raises Refused."""
        try:
            done = self._runtime.command(lambda journals, now: journals.recover(journal, now, sure=sure))
        except ProposalRefused as refusal:
            raise Refused(str(refusal)) from None
        shape = self._shape(done, sure=sure)
        if sure:
            others = ", ".join(voter["name"] for voter in shape["voters"] if voter["node"] != self._node.id.hex())
            message = f"recovered by hand: this copy is the only voter in place of {others or 'nobody'} beside it"
            asked = self._audit.record("journal-recover", journal.hex(), by)
            self._log.warning(
                "journal_recovered", journal=journal.hex(), index=done.end.index, uncertain=done.uncertain,
                message=message, **asked,
            )  # fmt: skip
        return shape

    def _shape(self, done: RecoveredJournal, *, sure: bool) -> Shape:
        return {
            "id": done.journal.hex(),
            "recovered": sure,
            "voters": [
                {"node": place.node.hex(), "name": self._node.name(place.node)}
                for place in done.replaced.all_voters
            ],
            "index": done.end.index,
            "uncertain": done.uncertain,
        }  # fmt: skip
