"""Observers of events: checkers and measurements.

Owns: what can be seen of events from outside. Never knows: what an observer is for. An observer changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipreg.events.effects import HandleEvent, LogEvents, PublishSettled
from gossipreg.events.messages import Deliveries, DeliveryResult
from gossipreg.journal.effects import JournalEffect

if TYPE_CHECKING:
    from simulations.eventing.process import EventProcess
    from simulations.eventing.publication import Publication
    from simulations.eventing.subscriber import Subscriber


class EventObserver:
    """Base class: an observer overrides what it needs."""

    def on_journal(self, process: EventProcess, effect: JournalEffect) -> None:
        """The journals of this process told this; its events have not handled it yet."""

    def on_publish(self, process: EventProcess, publication: Publication) -> None:
        """A program publishes this next, for the first time or again."""

    def on_settled(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        """A program was told what became of it."""

    def on_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        """A leader at another member delivers to this process; it has not taken them yet."""

    def on_send_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        """This process, which leads, delivers to another member."""

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:
        """A program gets this event next."""

    def on_answer(
        self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent, result: DeliveryResult
    ) -> None:
        """A program says next what became of an event."""

    def on_over(self, process: EventProcess, subscriber: Subscriber, number: int) -> None:
        """Nobody waits for the outcome of this handling any more: it was answered, its time is over, or it is gone."""

    def on_log(self, process: EventProcess, effect: LogEvents) -> None:
        """The events of this process have something to say to people."""

    def on_end(self, process: EventProcess) -> None:
        """This process was followed by another one, or is about to be."""

    def after(self, process: EventProcess) -> None:
        """The events of this process have handled an input, and its effects are carried out."""


class EventObservers(EventObserver):
    """Several observers as one."""

    def __init__(self) -> None:
        self.all: list[EventObserver] = []

    def on_journal(self, process: EventProcess, effect: JournalEffect) -> None:
        for observer in self.all:
            observer.on_journal(process, effect)

    def on_publish(self, process: EventProcess, publication: Publication) -> None:
        for observer in self.all:
            observer.on_publish(process, publication)

    def on_settled(self, process: EventProcess, publication: Publication, settled: PublishSettled) -> None:
        for observer in self.all:
            observer.on_settled(process, publication, settled)

    def on_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        for observer in self.all:
            observer.on_deliveries(process, message)

    def on_send_deliveries(self, process: EventProcess, message: Deliveries) -> None:
        for observer in self.all:
            observer.on_send_deliveries(process, message)

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:
        for observer in self.all:
            observer.on_handle(process, subscriber, handed)

    def on_answer(
        self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent, result: DeliveryResult
    ) -> None:
        for observer in self.all:
            observer.on_answer(process, subscriber, handed, result)

    def on_over(self, process: EventProcess, subscriber: Subscriber, number: int) -> None:
        for observer in self.all:
            observer.on_over(process, subscriber, number)

    def on_log(self, process: EventProcess, effect: LogEvents) -> None:
        for observer in self.all:
            observer.on_log(process, effect)

    def on_end(self, process: EventProcess) -> None:
        for observer in self.all:
            observer.on_end(process)

    def after(self, process: EventProcess) -> None:
        for observer in self.all:
            observer.after(process)
