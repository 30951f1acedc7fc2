"""The sagas of one registry.

Owns: the connections that they share. Never knows: services and instances.
"""

from typing import Any

from gossipreg.client.events.publisher import RegistryClient
from gossipreg.client.sagas.saga import Saga
from gossipreg.client.sagas.saga_caller import ProgramCaller
from gossipreg.client.sagas.saga_handle import SagaHandle, checked_saga


class RegistrySagas:
    def __init__(self, path: str | None) -> None:
        self.client = RegistryClient(path)
        self.caller = ProgramCaller(self.client)

    def saga(self, name: str, **options: Any) -> Saga:
        """See `Registry.saga`."""
        return Saga(self.caller, name, **options)

    def saga_of(self, saga: str) -> SagaHandle:
        """See `Registry.saga_of`."""
        return SagaHandle(self.caller, checked_saga(saga))

    def close(self) -> None:
        """Close idle connections. Sagas that run keep theirs."""
        self.caller.close()
