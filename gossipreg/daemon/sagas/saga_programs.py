"""Which connections of the local socket are the program of which saga.

Owns: the connections that spoke of a saga, and when none of them is left. Never knows: what a lost program leads to.

A program may have several connections; it is lost when the last of them ends. When another process speaks of a saga,
that one is its program from then on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import Busy
from gossipreg.sagas.saga_model import SagaRef

MAX_SAGAS_A_CONNECTION = 4096
MAX_PROGRAMS = 65_536
"""Of all connections."""
MAX_REMEMBERED = 10_000
"""Sagas whose program is lost, and that its user may still abort."""


@dataclass(slots=True)
class _Program:
    process: object
    """Its pid; a connection of which the kernel says none stands for itself."""
    uid: int
    clients: set[SocketClient] = field(default_factory=set)


class SagaPrograms:
    def __init__(
        self, here: Callable[[Sequence[SagaRef]], None], lost: Callable[[Sequence[SagaRef]], None]
    ) -> None:  # fmt: skip
        """Told of sagas whose program is here, or here again, and of those whose program is gone."""
        self._here = here
        self._lost = lost
        self._programs: dict[SagaRef, _Program] = {}
        self._sagas: dict[SocketClient, set[SagaRef]] = {}
        self._remembered: dict[SagaRef, None] = {}
        """Those without a connection; the one that was lost first is first."""

    def __len__(self) -> int:
        """Sagas whose program is connected."""
        return len(self._programs) - len(self._remembered)

    def uid(self, saga: SagaRef) -> int | None:
        """The user whose program takes the steps of this saga; None: it never spoke here."""
        program = self._programs.get(saga)
        return None if program is None else program.uid

    def is_of(self, client: SocketClient, saga: SagaRef) -> bool:
        """Whether this connection is of the process that takes the steps of this saga."""
        program = self._programs.get(saga)
        return program is not None and program.process == (client.pid or client)

    def check_room(self, client: SocketClient, saga: SagaRef | None = None) -> None:
        """Raises Busy where this connection can have no more sagas, and has not this one."""
        if saga in self._sagas.get(client, ()):
            return
        if len(self._sagas.get(client, ())) >= MAX_SAGAS_A_CONNECTION:
            raise Busy(f"this connection has {MAX_SAGAS_A_CONNECTION} sagas: end some, or open another connection")
        if len(self) >= MAX_PROGRAMS:
            raise Busy(f"{MAX_PROGRAMS} sagas have their programs at this sidecar: try again when some have ended")

    def spoke(self, client: SocketClient, saga: SagaRef) -> None:
        """The program of this saga is at this connection."""
        if client.gone:
            self._here([saga])
            self._lost([saga])
            return
        process = client.pid or client
        program = self._programs.get(saga)
        if program is None or program.process != process:
            self.forget(saga)
            program = self._programs[saga] = _Program(process, client.uid)
        elif client in program.clients:
            return
        is_back = not program.clients
        self._remembered.pop(saga, None)
        program.clients.add(client)
        self._sagas.setdefault(client, set()).add(saga)
        client.sagas += 1
        if is_back:
            self._here([saga])

    def gone(self, client: SocketClient) -> None:
        """This connection has ended. It may be called again."""
        lost: list[SagaRef] = []
        for saga in self._sagas.pop(client, ()):
            program = self._programs[saga]
            program.clients.discard(client)
            if not program.clients:
                lost.append(saga)
                self._remember(saga)
        client.sagas = 0
        if lost:
            self._lost(lost)

    def _remember(self, saga: SagaRef) -> None:
        self._remembered[saga] = None
        if len(self._remembered) > MAX_REMEMBERED:
            self.forget(next(iter(self._remembered)))

    def forget(self, saga: SagaRef) -> None:
        """It needs no program any more."""
        program = self._programs.pop(saga, None)
        self._remembered.pop(saga, None)
        for client in () if program is None else program.clients:
            self._sagas[client].discard(saga)
            client.sagas -= 1
            if not self._sagas[client]:
                del self._sagas[client]
