"""The rules of a saga that a program takes the steps of, for threads and loops: which call, and what its end means.

Owns: the saga's name, whether it is decided, and the errors that a program gets. Never knows: how a call is made: each
method that makes some is a generator of calls, which threads and loops follow in their own ways.
"""

import os
import re
from collections.abc import Generator
from time import monotonic
from typing import Any, NoReturn, TypeVar

from gossipreg.client.checks import check_bool, id_or_drawn
from gossipreg.client.events.inheriting import given_trace
from gossipreg.client.log import log_warning
from gossipreg.client.sagas.saga_answers import DONE, REFUSED, BegunAnswer, StepAnswer
from gossipreg.client.sagas.saga_call import CALL_S, LATER_S, LOST_S, ProgramCall
from gossipreg.client.sagas.saga_step import SagaStep, json_text, milliseconds
from gossipreg.errors import (
    BadParams,
    Conflict,
    Forked,
    GossipregError,
    NotFound,
    OutcomeUnknown,
    Refused,
    RequestError,
    SagaAborted,
    SagaConflict,
    SagaExists,
    StepRefused,
    StepUnknown,
    Unreachable,
)

SAGA_S = 60.0
"""Of a saga, from its beginning until its decision."""
ABORT_S = 5.0
"""How long the end of a block waits for the answer that its saga is aborted. A sidecar that is not reached aborts it by
itself, once it has missed the program for 10 s."""
_DECIDED = {"commit": "committed", "abort": "aborted"}
_ABORTED = re.compile(r"the saga (?:is|was) aborted: (.+?)(?:: it takes no more steps)?")
MAX_REASON_BYTES = 512
MAX_BEGINS = 4
"""A sidecar that loses its memory more often than that is mended first."""

T = TypeVar("T")
SagaFlow = Generator[ProgramCall, Any, T]
"""Yields calls, and gets their results, or their errors thrown."""


class ProgramSaga:
    """What `Saga` and `AsyncSaga` have in common."""

    def __init__(
        self, name: str, *, id: str | None, input: object, timeout: float, strict: bool, traceparent: str | None,
        tracestate: str | None = None,
    ) -> None:  # fmt: skip
        """See `Registry.saga`. Raises BadParams."""
        if not isinstance(name, str):
            raise BadParams(f"name is {name!r}: give a text that says what kind of saga it is, such as create-order")
        check_bool("strict", strict, "whether steps are undone one after the other")
        self.name = name
        self.id = id_or_drawn(id, "what names the saga")
        self.saga = ""
        """Its full name, JOURNAL.ID: any sidecar knows it by that, and so do participants. Empty until it is begun."""
        self.copies = 0
        """The disks that hold it when it begins. 0: nothing is written before its first step."""
        self.takeover = False
        """Whether it is finished even if the disk of this host is lost."""
        self.is_open = False
        """Whether it takes steps."""
        self.is_decided = False
        """Whether its decision is known, or it was never begun."""
        self._drawn = id is None
        self._pid = os.getpid()
        self._begins = 0
        self._has_answers = False
        params: dict[str, Any] = {"name": name, "id": self.id, "timeout_ms": milliseconds("timeout", timeout)}
        if input is not None:
            params["input"] = json_text("input", input).encode()
        if strict:
            params["strict"] = True
        self._params = params | given_trace(traceparent, tracestate)

    def __repr__(self) -> str:
        how = "not begun" if not self.saga else "open" if self.is_open else "over"
        return f"<{type(self).__name__} {self.name} {self.saga or self.id}: {how}>"

    # -- begin ---------------------------------------------------------------------------------------------------------

    def beginning(self) -> SagaFlow[None]:
        """Raises SagaExists, SagaConflict, Refused if it was begun before, Forked in a child."""
        self.refuse_in_child()
        if self.saga:
            raise Refused(f"saga {self.saga} was begun already: make another one with registry.saga(...)")
        yield from self._beginning()

    def _beginning(self) -> SagaFlow[None]:
        self._begins += 1
        call = ProgramCall("saga-begin", self._params, monotonic())
        try:
            answer = BegunAnswer.read_untrusted("saga-begin", (yield call))
        except Conflict as error:
            raise SagaConflict(f"another saga has the id {self.id}: {error}") from None
        if answer.exists and not self._is_own(call, answer.state):
            raise self._exists(call, answer)
        is_first = not self.saga
        self.saga, self.copies, self.takeover = answer.saga, answer.copies, answer.takeover
        if is_first or self.is_open:
            self.is_open, self.is_decided = True, False

    def _is_own(self, call: ProgramCall, state: str) -> bool:
        """Whether the saga that exists is the one that this program has begun: nobody else draws its id."""
        return state == "running" and (bool(self.saga) or (call.is_lost and self._drawn))

    def _exists(self, call: ProgramCall, found: BegunAnswer) -> SagaExists:
        how = _DECIDED.get(found.decision or "", found.state)
        text = f"saga {found.saga} exists, and its block is not run again: it is {how}"
        if call.is_lost and found.state == "running":
            text += f"; it may be the one that this program began just now, which is aborted within {LOST_S:g} s"
        return SagaExists(text, saga=found.saga, state=found.state, decision=found.decision)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def taking(self, step: SagaStep) -> SagaFlow[StepAnswer]:
        """Raises StepRefused, StepUnknown, SagaAborted, and what `refuse_over` does."""
        result = yield from self._saying("saga-step", step, step.template(), step.timeout_s + CALL_S + LATER_S)
        return self._settled(step, result)

    def adding(self, step: SagaStep) -> SagaFlow[None]:
        """As `taking`, of what comes after the commit."""
        yield from self._saying("saga-after", step, step.template(after=True), CALL_S)

    def _saying(self, method: str, step: SagaStep, template: dict[str, Any], timeout_s: float) -> SagaFlow[Any]:
        """The result of a call about this step. A saga whose leader was lost before it had written anything of it
        begins again: that is so until the first answer to a step."""
        while True:
            self.refuse_over()
            call = ProgramCall(method, {"saga": self.saga, "step": template}, monotonic(), timeout_s)
            try:
                result = yield call
            except NotFound:
                if self._has_answers or self._begins >= MAX_BEGINS:
                    raise
            except RequestError as error:
                raise self._not_answered(step, call, error) from None
            except Unreachable as error:
                raise self._not_answered(step, call, error) from None
            else:
                self._has_answers = True
                return result
            self.refuse_over()
            yield from self._beginning()

    def _settled(self, step: SagaStep, result: Any) -> StepAnswer:
        answer = StepAnswer.read_untrusted(step.name, result)
        if answer.state == DONE or (answer.state == REFUSED and step.optional):
            return answer
        why = answer.reason or (f"status {answer.status}" if answer.status else "no answer")
        if answer.state == REFUSED:
            refused = f"was refused by {step.service}" if answer.status else f"was not sent to {step.service}"
            raise StepRefused(f"step {step.name} of {self.saga} {refused}: {why}", answer)
        raise StepUnknown(f"step {step.name} of {self.saga} may be done or not: {why}", answer)

    def _not_answered(self, step: SagaStep, call: ProgramCall, error: GossipregError) -> GossipregError:
        """The program's error for a call about a step that has no result."""
        if error.code == "decided":
            self._decided()
            return self._aborted(error)
        if call.is_unclear(error):
            return StepUnknown(f"step {step.name} of {self.saga} may be done or not: {error}", None)
        return error

    # -- the end -------------------------------------------------------------------------------------------------------

    def committing(self) -> SagaFlow[None]:
        """Raises SagaAborted where that is certain, and OutcomeUnknown for everything else."""
        try:
            yield ProgramCall("saga-commit", {"saga": self.saga}, monotonic())
        except GossipregError as error:
            if error.code == "not_done":
                yield from self.aborting(shown_reason(str(error)))
                raise self._aborted(error) from None
            self.is_open = False
            if error.code != SagaAborted.code:
                raise self._unclear(error) from error
            self._decided()
            raise self._aborted(error) from None
        self._decided()

    def _unclear(self, error: GossipregError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"saga {self.saga} may be committed or not ({error}): ask registry.saga_of({self.saga!r}).wait()",
            saga=self.saga,
        )

    def aborting(self, reason: str) -> SagaFlow[None]:
        """Say that it is aborted. If nobody hears it, the sidecar misses the program, and aborts it then."""
        self.is_open = False
        try:
            yield ProgramCall("saga-abort", {"saga": self.saga, "reason": reason}, monotonic(), ABORT_S)
        except GossipregError as error:
            log_warning(
                f"saga {self.saga} is not known to be aborted yet ({error}): its sidecar aborts it once it has missed "
                f"this program for {LOST_S:g} s"
            )
        else:
            self._decided()

    def aborting_for(self, reason: object) -> SagaFlow[NoReturn]:
        """Of `abort`: raises SagaAborted."""
        self.refuse_over()
        if not isinstance(reason, str):
            raise BadParams(f"reason is {reason!r}: give a text that says why")
        yield from self.aborting(shown_reason(reason))
        raise SagaAborted(shown_reason(reason), saga=self.saga)

    def leaving(self, error: BaseException | None) -> SagaFlow[None]:
        """The end of the block, which raised this. In a forked child it decides nothing."""
        if self.is_inherited:
            if error is None:
                self.refuse_in_child()
        elif not self.is_open:
            if error is None:
                raise SagaAborted(f"saga {self.saga} was aborted before the end of its block", saga=self.saga)
        elif error is None:
            yield from self.committing()
        else:
            yield from self.aborting(reason_of(error))

    def _decided(self) -> None:
        self.is_open, self.is_decided = False, True

    def _aborted(self, error: GossipregError) -> SagaAborted:
        found = _ABORTED.fullmatch(str(error))
        return SagaAborted(found[1] if found else str(error), saga=self.saga)

    def refuse_over(self) -> None:
        """Raises Refused where no step can be taken any more, Forked in a child."""
        self.refuse_in_child()
        if not self.saga:
            raise Refused(f"saga {self.name} is not begun: take its steps inside `with registry.saga(...) as saga:`")
        if not self.is_open:
            raise Refused(f"saga {self.saga} is over: take its steps before the end of its block")

    def refuse_in_child(self) -> None:
        if self.is_inherited:
            raise Forked(f"saga {self.saga or self.name} belongs to process {self._pid}, which decides it")

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child of the process that began it."""
        return self._pid != os.getpid()


def reason_of(error: BaseException) -> str:
    """Why a saga is aborted whose block has raised this."""
    if isinstance(error, StepRefused | StepUnknown):
        return shown_reason(str(error))
    return shown_reason(f"its program raised {type(error).__name__}: {error}".removesuffix(": "))


def shown_reason(text: str) -> str:
    """On one line, and short enough for a journal."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
