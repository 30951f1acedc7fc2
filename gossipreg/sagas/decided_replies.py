"""The answers of calls about sagas that are decided, or that nobody knows, and of calls that wait for that.

Owns: what each is told. Never knows: what a running saga does (`saga_replies.py`), or how an undo goes on.
"""

from collections.abc import Callable
from functools import partial

from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.saga_calls import AbortAsked, CommitAsked, HandAsked, RunAsked, WaitAsked
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_entries import DecideByHand
from gossipreg.sagas.saga_model import Decision
from gossipreg.sagas.saga_questions import SagaQuestions
from gossipreg.sagas.waiting_calls import WaitingCall


class DecidedReplies:
    def __init__(
        self, context: SagaContext, questions: SagaQuestions, run_began: Callable[[WaitingCall, int], bool]
    ) -> None:
        """`run_began(call, copies)` answers a run whose saga has begun."""
        self._context = context
        self._questions = questions
        self._run_began = run_began

    def look(self, call: WaitingCall, copies: int) -> bool:
        """Whether it is answered. `copies`: disks that have the last entry."""
        decision, reason, ended = self._decision(call.saga)
        if decision is None:
            return self._refuse_unknown(call)
        aborted = decision is Decision.ABORT
        match call.asked:
            case CommitAsked() if aborted:
                return self._refuse(call, "aborted", f"the saga was aborted: {reason}", reason=reason)
            case AbortAsked() if not aborted:
                return self._refuse(call, "committed", "the saga has committed: it cannot be aborted any more")
            case CommitAsked() | AbortAsked():
                over = {"ended": True} if ended and aborted else {}
                self._context.reply(call.caller, {"state": "aborted" if aborted else "committed", **over})
                return True
            case RunAsked():
                return self._run_began(call, copies)
            case HandAsked():
                return self._look_by_hand(call, call.asked, ended=ended)
        why = f"aborted: {reason}" if aborted else "committed"
        return self._refuse(
            call, "decided", f"the saga is {why}: it takes no more steps", decision=decision.name.lower(), reason=reason
        )

    def _decision(self, saga: str) -> tuple[Decision | None, str, bool]:
        """(decision, reason, whether it has ended)"""
        machine = self._context.machine
        open, ended = machine.open.get(saga), machine.ended(saga)
        if open is not None:
            return open.decision, open.reason, False
        return (None, "", False) if ended is None else (ended.decision, ended.reason, True)

    def _look_by_hand(self, call: WaitingCall, asked: HandAsked, *, ended: bool) -> bool:
        """`by_hand` answers it."""
        if call.joined:
            return False
        if ended:
            return self._refuse(call, "refused", "the saga has ended: nothing of it is open")
        call.joined = True
        wall_ms = self._context.now_wall_ms()
        self._context.put(DecideByHand(call.saga, asked.step, asked.decision, asked.who, asked.why, wall_ms))
        return False

    def by_hand(self, change: DecideByHand, steps: list[str], ignored: str) -> None:
        """A decision by hand is committed: about these steps, or for this reason about none."""
        for call in self._context.waiting.of(change.saga):
            asked = call.asked
            if not isinstance(asked, HandAsked) or not call.joined:
                continue
            if (asked.decision, asked.step, asked.who, asked.why) == (
                change.decision, change.step, change.who, change.why,
            ):  # fmt: skip
                if ignored:
                    self._refuse(call, "refused", f"nothing changed: {ignored}")
                else:
                    self._context.reply(call.caller, {"steps": steps})
                self._context.waiting.remove(call)

    def look_wait(self, call: WaitingCall, asked: WaitAsked, live: LiveSaga | None) -> bool:
        """As `look`, of a call that waits for the decision or the end; `live`: the saga, while it runs."""
        decision, _, ended = (None, "", False) if live is not None else self._decision(call.saga)
        if live is None and decision is None:
            return self._refuse_unknown(call)
        if not call.over and not (ended if asked.ended else decision is not None):
            return False
        show = partial(self._questions.show, call.saga, call.caller)
        if decision is None:
            self._context.once_proven(call.caller, show)  # another leader may have decided it
        else:
            show()
        return True

    def _refuse_unknown(self, call: WaitingCall) -> bool:
        """Nobody knows why it is not there: nothing of a saga by code is written before its first step."""
        first = "it was lost, or not decided in time, before its first step (then begin it again)"
        text = f"no saga {self._context.ref(call.saga)} here: {first}, or is forgotten"
        self._context.refuse_once_proven(call.caller, "not_found", text)
        return True

    def _refuse(self, call: WaitingCall, code: str, text: str, **more: object) -> bool:
        """Refuse for a reason that is final."""
        self._context.refuse(call.caller, code, text, **more)
        return True
