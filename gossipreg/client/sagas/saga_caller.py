"""Makes the calls of sagas, for threads: each again until it is answered, or its time is over.

Owns: the pool from which the sagas of a registry have their connections. Never knows: what a call means.
"""

from time import monotonic, sleep
from typing import Any, TypeVar

from gossipreg.client.events.publisher import RegistryClient
from gossipreg.client.pool import StreamPool
from gossipreg.client.sagas.program_saga import SagaFlow
from gossipreg.client.sagas.saga_call import ProgramCall
from gossipreg.client.sagas.saga_lines import SagaLines
from gossipreg.errors import Busy, GossipregError, Unreachable

T = TypeVar("T")
SAGAS_AT_ONCE = 48
"""Sagas of the threads of a registry at once, and as many of its loops; others wait for a place. A sidecar takes 128
connections of a process."""
FURTHER = 16
"""Connections for steps that sagas take at once, beside one a saga."""


class ProgramCaller:
    def __init__(self, client: RegistryClient) -> None:
        self._pool = StreamPool(client.open, open_max=SAGAS_AT_ONCE, idle_max=SAGAS_AT_ONCE)
        self._further = StreamPool(client.open, open_max=FURTHER, idle_max=FURTHER)

    def lines(self) -> SagaLines:
        return SagaLines(self._pool, self._further)

    def call(self, call: ProgramCall, lines: SagaLines | None = None) -> Any:
        """The result. Raises GossipregError. Without `lines`: over any connection."""
        if lines is not None:
            return call_over(lines, call)
        own = self.lines()
        try:
            return call_over(own, call)
        finally:
            own.end(decided=True)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()
        self._further.close()


def follow(lines: SagaLines, flow: SagaFlow[T]) -> T:
    """Make the calls of this flow, and return its result."""
    try:
        call = next(flow)
        while True:
            try:
                result = call_over(lines, call)
            except GossipregError as error:
                call = flow.throw(error)
            else:
                call = flow.send(result)
    except StopIteration as over:
        found: T = over.value
        return found


def call_over(lines: SagaLines, call: ProgramCall) -> Any:
    while True:
        try:
            loan = lines.take(call.deadline)
        except (Unreachable, Busy) as error:
            sleep(call.unsent(error, monotonic()))
            continue
        try:
            return loan.stream.call(call.method, call.params, call.deadline, call.timeout_s)
        except GossipregError as error:
            wait_s = call.failed(error, monotonic())
        finally:
            lines.give(loan)
        sleep(wait_s)
