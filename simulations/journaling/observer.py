"""Observers of journals: checkers and measurements.

Owns: what can be seen of the journals from outside. Never knows: what an observer is for. An observer changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipreg.journal.effects import JournalEffect, RemoveJournal, WriteJournal
from gossipreg.journal.model import JournalId

if TYPE_CHECKING:
    from simulations.journaling.process import JournalProcess


class JournalObserver:
    """Base class: an observer overrides what it needs."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        """The journals of this process returned this effect; it is carried out next."""

    def on_opened(self, process: JournalProcess) -> None:
        """This process has opened its database, and what `process.stored` has is durable."""

    def on_durable(self, process: JournalProcess, write: WriteJournal | RemoveJournal) -> None:
        """This process was told that its write is on the disk."""

    def after(self, process: JournalProcess) -> None:
        """The journals of this process have handled an input, and its effects are carried out."""

    def on_propose(self, process: JournalProcess, journal: JournalId, ticket: int) -> None:
        """This process is asked to append an entry next; it believes that it leads this journal."""

    def on_confirm(self, process: JournalProcess, journal: JournalId, number: int) -> None:
        """This process is asked next to prove that it leads this journal."""


class JournalObservers(JournalObserver):
    """Several observers as one."""

    def __init__(self) -> None:
        self.all: list[JournalObserver] = []

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        for observer in self.all:
            observer.on_effect(process, effect)

    def on_opened(self, process: JournalProcess) -> None:
        for observer in self.all:
            observer.on_opened(process)

    def on_durable(self, process: JournalProcess, write: WriteJournal | RemoveJournal) -> None:
        for observer in self.all:
            observer.on_durable(process, write)

    def after(self, process: JournalProcess) -> None:
        for observer in self.all:
            observer.after(process)

    def on_propose(self, process: JournalProcess, journal: JournalId, ticket: int) -> None:
        for observer in self.all:
            observer.on_propose(process, journal, ticket)

    def on_confirm(self, process: JournalProcess, journal: JournalId, number: int) -> None:
        for observer in self.all:
            observer.on_confirm(process, journal, number)
