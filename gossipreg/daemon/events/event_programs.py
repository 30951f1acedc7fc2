"""Who handles events here, and who waits for a publish to be durable: programs, as the local events see them."""

from typing import Protocol

import trio

from gossipreg.errors import REQUEST_ERRORS, OutcomeUnknown, RequestError
from gossipreg.events.effects import HandleEvent, PublishSettled


class EventSubscriber(Protocol):
    """Who handles the events of a subscription. Neither call may block."""

    def handle(self, handed: HandleEvent) -> None: ...

    def drop(self, number: int) -> None:
        """Nobody waits for the outcome of this handling any more."""


class PublishWaiter:
    __slots__ = ("answer", "event")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.answer: PublishSettled | None = None

    def answered(self, answer: PublishSettled) -> None:
        self.answer = answer
        self.event.set()

    def result(self, id: str, hint: str) -> PublishSettled:
        """The answer, where the event is durable. Raises RequestError with `hint` at its end, and with the event's id
        where publishing it again must name that."""
        settled = self.answer
        assert settled is not None, "the event is set with it"
        if settled.code:
            named = f": id {id!r}" if settled.code == OutcomeUnknown.code else ""
            error = REQUEST_ERRORS.get(settled.code, RequestError)(settled.text + named + hint)
            error.code = settled.code
            raise error
        return settled
