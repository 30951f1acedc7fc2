"""The sagas of one registry.

Owns: the connections that they share. Never knows: services and instances.
"""

from collections.abc import Mapping
from typing import Any

from gossipreg.client.events.publisher import RegistryClient
from gossipreg.client.sagas.running import journal_call, run_call, run_failed
from gossipreg.client.sagas.saga import Saga
from gossipreg.client.sagas.saga_answers import BegunAnswer, read_journal_untrusted
from gossipreg.client.sagas.saga_caller import ProgramCaller
from gossipreg.client.sagas.saga_handle import SagaHandle, checked_saga
from gossipreg.errors import GossipregError


class RegistrySagas:
    def __init__(self, path: str | None) -> None:
        self.client = RegistryClient(path)
        self.caller = ProgramCaller(self.client)

    def saga(self, name: str, **options: Any) -> Saga:
        """See `Registry.saga`."""
        return Saga(self.caller, name, **options)

    def run(
        self, definition: Mapping[str, Any] | str, input: object, id: str | None, traceparent: str | None,
        timeout_s: float, tracestate: str | None = None, journal: str | None = None,
    ) -> BegunAnswer:  # fmt: skip
        """See `Registry.run_saga`."""
        call = run_call(definition, input, id, traceparent, timeout_s, tracestate, journal)
        try:
            return BegunAnswer.read_untrusted("saga-run", self.caller.call(call))
        except GossipregError as error:
            raise run_failed(call, error) from error.__cause__

    def journal(self, timeout_s: float) -> str:
        """See `Registry.saga_journal`."""
        return read_journal_untrusted(self.caller.call(journal_call(timeout_s)))

    def saga_of(self, saga: str) -> SagaHandle:
        """See `Registry.saga_of`."""
        return SagaHandle(self.caller, checked_saga(saga))

    def close(self) -> None:
        """Close idle connections. Sagas that run keep theirs."""
        self.caller.close()
