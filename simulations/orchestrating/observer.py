"""Observers of sagas: checkers and measurements.

Owns: what can be seen of sagas from outside. Never knows: what an observer is for. An observer changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gossipreg.journal.effects import JournalEffect
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import CommandDone, LogSagas, ProposeSagas, ProveLeadership, SendCommand
from gossipreg.sagas.saga_messages import SagaMessage

if TYPE_CHECKING:
    from simulations.orchestrating.participant import Instance
    from simulations.orchestrating.process import SagaProcess
    from simulations.orchestrating.saga_run import Told


class SagaObserver:
    """Base class: an observer overrides what it needs."""

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        """The journals of this process told this; its sagas have not handled it yet."""

    def on_propose(self, process: SagaProcess, effect: ProposeSagas) -> None:
        """The sagas of this process propose an entry next."""

    def on_prove(self, process: SagaProcess, effect: ProveLeadership) -> None:
        """The sagas of this process ask next for a proof of leadership."""

    def on_command(self, process: SagaProcess, command: SendCommand) -> None:
        """A sidecar sends this request next."""

    def on_command_done(self, process: SagaProcess, command: SendCommand, done: CommandDone) -> None:
        """A sidecar learns next what came of a request."""

    def on_held(self, instance: Instance, key: str) -> None:
        """A participant does what this key asks for next."""

    def on_undone(self, instance: Instance, key: str) -> None:
        """A participant undoes this key next, or notes that it is never to be done."""

    def on_call(self, process: SagaProcess, method: str, params: Mapping[str, Any]) -> None:
        """A program calls a method next."""

    def on_abandon(self, process: SagaProcess, ticket: int) -> None:
        """The sidecar is told next that nobody waits for this call any more."""

    def on_send(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        """The sagas of this process send this over a stream next."""

    def on_message(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        """This came over a stream; the sagas of this process have not handled it yet."""

    def on_closed(self, process: SagaProcess, node: NodeId) -> None:
        """The stream of this process to this member is closed; its sagas have not handled it yet."""

    def on_told(self, process: SagaProcess, told: Told) -> None:
        """A program got an answer."""

    def on_program(self, process: SagaProcess, saga: str, *, here: bool) -> None:
        """The program of this saga (`JOURNAL.ID`) connects to this sidecar next, or its connection ends."""

    def on_log(self, process: SagaProcess, effect: LogSagas) -> None:
        """The sagas of this process have something to say to people."""

    def on_end(self, process: SagaProcess) -> None:
        """This process was followed by another one, or is about to be."""

    def after(self, process: SagaProcess) -> None:
        """The sagas of this process have handled an input, and its effects are carried out."""


class SagaObservers(SagaObserver):
    """Several observers as one."""

    def __init__(self) -> None:
        self.all: list[SagaObserver] = []

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        for observer in self.all:
            observer.on_journal(process, effect)

    def on_propose(self, process: SagaProcess, effect: ProposeSagas) -> None:
        for observer in self.all:
            observer.on_propose(process, effect)

    def on_prove(self, process: SagaProcess, effect: ProveLeadership) -> None:
        for observer in self.all:
            observer.on_prove(process, effect)

    def on_command(self, process: SagaProcess, command: SendCommand) -> None:
        for observer in self.all:
            observer.on_command(process, command)

    def on_command_done(self, process: SagaProcess, command: SendCommand, done: CommandDone) -> None:
        for observer in self.all:
            observer.on_command_done(process, command, done)

    def on_held(self, instance: Instance, key: str) -> None:
        for observer in self.all:
            observer.on_held(instance, key)

    def on_undone(self, instance: Instance, key: str) -> None:
        for observer in self.all:
            observer.on_undone(instance, key)

    def on_call(self, process: SagaProcess, method: str, params: Mapping[str, Any]) -> None:
        for observer in self.all:
            observer.on_call(process, method, params)

    def on_abandon(self, process: SagaProcess, ticket: int) -> None:
        for observer in self.all:
            observer.on_abandon(process, ticket)

    def on_send(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        for observer in self.all:
            observer.on_send(process, node, message)

    def on_message(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        for observer in self.all:
            observer.on_message(process, node, message)

    def on_closed(self, process: SagaProcess, node: NodeId) -> None:
        for observer in self.all:
            observer.on_closed(process, node)

    def on_told(self, process: SagaProcess, told: Told) -> None:
        for observer in self.all:
            observer.on_told(process, told)

    def on_program(self, process: SagaProcess, saga: str, *, here: bool) -> None:
        for observer in self.all:
            observer.on_program(process, saga, here=here)

    def on_log(self, process: SagaProcess, effect: LogSagas) -> None:
        for observer in self.all:
            observer.on_log(process, effect)

    def on_end(self, process: SagaProcess) -> None:
        for observer in self.all:
            observer.on_end(process)

    def after(self, process: SagaProcess) -> None:
        for observer in self.all:
            observer.after(process)
