"""Who handles events here, and who waits for a publish to be durable: programs, as the local events see them."""

from typing import Protocol

import trio

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
