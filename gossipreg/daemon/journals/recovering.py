"""The method `journal-recover`: an operator makes the copy here the only voter of a journal.

Owns: what the operator is told, and the line of the log. Never knows: when it is refused (`journal/recovery.py`). It is
unsafe by design, so without `yes` nothing is done but to say what may be missing afterwards.
"""

from contextlib import suppress
from math import ceil

import trio

from gossipreg.callers import Caller
from gossipreg.core.node import Node
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.logs import Log
from gossipreg.errors import Refused
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import PROVE_S
from gossipreg.journal.recovery import LedByMember, RecoveredJournal, VotersLive
from gossipreg.journal.tuning import JournalTuning
from gossipreg.wire.shapes import Shape

ASKED_MOST = ceil(JournalTuning().stuck_s / PROVE_S) + 1
"""How often it is asked for a proof before it is refused: by then it has given up, if nobody answers."""

LOOKS = 6
"""How often the voters that live are asked whether they still have their copies, before they are a reason to refuse."""
LOOK_S = 0.25
"""The pause after each time: an answer takes a round trip, and perhaps a new stream."""


class JournalRecovery:
    def __init__(self, runtime: JournalRuntime, node: Node, log: Log, audit: Audit) -> None:
        self._runtime = runtime
        self._node = node
        self._log = log
        self._audit = audit

    async def recover(self, journal: JournalId, by: Caller, *, sure: bool) -> Shape:
        """Recover it if `sure`, else say what that would do. Raises Refused, Busy."""
        await self._let_go_unproven(journal)
        try:
            done = await self._recovered(journal, sure=sure)
        except LedByMember as refusal:
            name = self._node.name(refusal.leader)
            raise Refused(f"{name} leads this journal: there is nothing to recover") from None
        except VotersLive as refusal:
            raise Refused(self._why_wait(refusal)) from None
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

    async def _let_go_unproven(self, journal: JournalId) -> None:
        """If this sidecar believes that it leads the journal, have that proven. A leader whose voters are gone is told
        so by nobody: it gives up once it was asked in vain for a while (`journal/confirmations.py`)."""
        for _ in range(ASKED_MOST):
            journals = self._runtime.journals
            replica = None if journals is None else journals.replicas.get(journal)
            if replica is None or replica.leading is None or not replica.leading.established:
                return
            if journal in await self._runtime.proofs.proven([journal]):
                return

    async def _recovered(self, journal: JournalId, *, sure: bool) -> RecoveredJournal:
        """A voter that lives may have lost its disk, and nothing may have asked it since: ask all that live."""
        for _ in range(LOOKS):
            with suppress(VotersLive):
                return self._runtime.command(lambda journals, now: journals.recover(journal, now, sure=sure))
            self._runtime.order(lambda journals, now: journals.ask_voters(journal, now))
            await trio.sleep(LOOK_S)
        return self._runtime.command(lambda journals, now: journals.recover(journal, now, sure=sure))

    def _why_wait(self, refusal: VotersLive) -> str:
        names = " and ".join(self._node.name(node) for node in refusal.nodes)
        if self._node.alone:
            return (
                f"{names} may live, a majority of the {refusal.voters} voters, but this sidecar hears no member now:"
                " wait until it hears one, or takes all for gone (`gossipreg info`)"
            )
        return (
            f"{names} live and have not lost their disks, {len(refusal.nodes)} of {refusal.voters} voters: one of them"
            f" leads within {refusal.within_s:.0f} s, if they reach each other; wait until then"
        )

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
