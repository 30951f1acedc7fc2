from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from tests.client.events.event_sidecar import BOUND_S, EventSidecar


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventSidecar]:
    with EventSidecar(tmp_path / "e.sock") as sidecar:
        yield sidecar


@pytest.fixture
def registry(events: EventSidecar) -> Iterator[Registry]:
    with gossipreg.connect(str(events.path), timeout=BOUND_S, service="shop") as registry:
        yield registry
