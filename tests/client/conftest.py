from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_sidecar import FakeSidecar


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[FakeSidecar]:
    with FakeSidecar(tmp_path / "gossipreg.sock") as sidecar:
        yield sidecar
