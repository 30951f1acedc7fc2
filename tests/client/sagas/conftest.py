from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.client.sagas import saga_call
from tests.client.events.event_sidecar import BOUND_S
from tests.client.sagas.saga_sidecar import SagaSidecar


@pytest.fixture
def sagas(tmp_path: Path) -> Iterator[SagaSidecar]:
    with SagaSidecar(tmp_path / "s.sock") as sidecar:
        yield sidecar


@pytest.fixture
def registry(sagas: SagaSidecar) -> Iterator[Registry]:
    with gossipreg.connect(str(sagas.path), timeout=BOUND_S) as registry:
        yield registry


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar that is away is given up soon."""
    monkeypatch.setattr(saga_call, "LOST_S", 0.15)
