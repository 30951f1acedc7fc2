"""Invariant: a leader is told of each call that nobody waits for any more, and does not answer it after that."""

from gossipreg.model import NodeId
from gossipreg.sagas.saga_messages import CallAbandoned, SagaCall, SagaMessage, SagaReply
from gossipreg.sagas.saga_survey import ALL_JOURNALS
from simulations.checkers.sagas.checker import SagaChecker
from simulations.orchestrating.process import SagaProcess

_ENDED_BY_THE_WORD = ("run", "step", "after")
"""What decides is answered once it is decided, and the end of a `wait` may be read from a disk meanwhile."""

_Calls = dict[tuple[SagaProcess, NodeId], dict[int, str]]
"""By process and the member at the other end, until their stream is closed: methods by number."""


class AbandonedForgotten(SagaChecker):
    """A program that goes away leaves no call that waits at a leader with which its sidecar has a stream."""

    name = "abandoned_forgotten"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._sent: _Calls = {}
        """Calls that a leader may have, and has not answered."""
        self._to_tell: dict[SagaProcess, list[tuple[NodeId, int]]] = {}
        """Of each sidecar: what was abandoned, and the leader that has it."""
        self._heard: _Calls = {}
        """At each leader: what it was asked."""
        self._forgotten: _Calls = {}
        """... and what it was told that nobody waits for."""

    def on_closed(self, process: SagaProcess, node: NodeId) -> None:
        for calls in (self._sent, self._heard, self._forgotten):
            calls.pop((process, node), None)

    # -- at the sidecar of the program -------------------------------------------------------------------------------

    def on_abandon(self, process: SagaProcess, ticket: int) -> None:
        leaders = [node for (of, node), calls in self._sent.items() if of is process and ticket in calls]
        self._to_tell.setdefault(process, []).extend((node, ticket) for node in leaders)

    def after(self, process: SagaProcess) -> None:
        for node, ticket in self._to_tell.pop(process, ()):
            if ticket in self._sent.get((process, node), ()):
                what = f"{process.host.name} does not say to {node.hex()[:8]} that nobody waits for call {ticket}"
                self.fail(what, process.host)

    # -- messages ----------------------------------------------------------------------------------------------------

    def on_send(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        key = process, node
        match message:
            case SagaCall() if message.journal != ALL_JOURNALS:
                self._sent.setdefault(key, {})[message.number] = message.method
            case CallAbandoned():
                self._sent.get(key, {}).pop(message.number, None)
            case SagaReply():
                method = self._forgotten.get(key, {}).get(message.number)
                if method in _ENDED_BY_THE_WORD:
                    what = f"{process.host.name} answers call {message.number} ({method}), for which nobody waits"
                    self.fail(what, process.host)

    def on_message(self, process: SagaProcess, node: NodeId, message: SagaMessage) -> None:
        key = process, node
        match message:
            case SagaCall():
                self._heard.setdefault(key, {})[message.number] = message.method
            case CallAbandoned() if message.number in self._heard.get(key, ()):
                self._forgotten.setdefault(key, {})[message.number] = self._heard[key][message.number]
            case SagaReply():
                self._sent.get(key, {}).pop(message.number, None)
