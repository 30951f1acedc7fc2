"""The answer of a call about sagas, which the leader of the saga's journal has packed: read before a client gets it.

Owns: that it is a map which every client can read, and what is said where it is not. Never knows: what a call does.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from msgpack import packb

from gossipreg.errors import REQUEST_ERRORS, BadParams, OutcomeUnknown, RequestError, Unavailable
from gossipreg.wire.packed import one_line_untrusted, unpacked_untrusted

NOT_ANSWERED = frozenset({Unavailable.code, OutcomeUnknown.code})
READS = frozenset({"show", "list", "wait"})
"""These change nothing: there is nothing that may have been carried out."""
SENT_ANYWAY = frozenset({"begin", "commit", "abort", "retry", "skip", "give_up"})
"""These are sent until they are answered, whether their client waits for that or not: decisions, and a beginning. Its
answer says which saga has lost its program."""


@dataclass(frozen=True, slots=True)
class SagaAnswer:
    """What came of a call."""

    method: str
    code: str
    """Empty: it is the answer. Otherwise that of the error."""
    result: bytes
    """As the answer is packed."""
    fields: dict[str, Any]
    """As it is unpacked: of an error, its text and what else it says."""

    def with_hint(self, hint: str, codes: Collection[str] = NOT_ANSWERED) -> "SagaAnswer":
        """The error with more at its end, if it has one of these codes: that nobody answered."""
        if not hint or self.code not in codes:
            return self
        fields = {**self.fields, "text": f"{self.fields.get('text', self.code)}{hint}"}
        return replace(self, result=packb(fields), fields=fields)

    def texts(self, names: Iterable[str]) -> dict[str, str]:
        """The fields of these names. Raises RequestError where one is missing, or no text."""
        found = {name: self.fields.get(name) for name in names}
        if not all(type(value) is str for value in found.values()):
            raise unreadable(self.method)
        return found  # type: ignore[return-value]  # they are texts


def saga_answer_untrusted(method: str, code: str, result: bytes) -> SagaAnswer:
    """The answer of this call. Raises RequestError where it cannot be read and is no error: whatever was asked for may
    have been carried out."""
    try:
        fields = unpacked_untrusted(result, "the answer")
    except BadParams:
        fields = None
    if type(fields) is dict:
        return SagaAnswer(method, code, result, fields)
    if not code:
        raise unreadable(method)
    fields = {"text": f"the leader of its journal refused {method}, and its reason cannot be read"}
    return SagaAnswer(method, code, packb(fields), fields)


def unwanted_answer(method: str) -> SagaAnswer:
    """Of a call whose client has gone: for the trace, since nobody reads it."""
    fields = {"text": f"the client of {method} has closed its connection: nobody waits for the answer"}
    return SagaAnswer(method, "abandoned", packb(fields), fields)


def unreadable(method: str) -> RequestError:
    """The error for an answer that is not what it should be."""
    what = f"the leader of the journal answered {method} with bytes that cannot be read"
    if method in READS:
        return Unavailable(f"{what}: ask again, and see that all members run the same release")
    return OutcomeUnknown(
        f"{what}: it may have been carried out or not; `gossipreg saga show` says what became of the saga"
    )


def raise_error(answer: SagaAnswer) -> None:
    """Raises RequestError, where it is one."""
    if answer.code:
        error = REQUEST_ERRORS.get(answer.code, RequestError)(
            one_line_untrusted(answer.fields.get("text"), answer.code)
        )
        error.code = answer.code
        raise error
