import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipreg.client.watching.watcher import WATCHER
from tests.client.fake_sidecar import FakeSidecar
from tests.client.talking_sidecar import TalkingSidecar


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[FakeSidecar]:
    with FakeSidecar(tmp_path / "gossipreg.sock") as sidecar:
        yield sidecar


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[TalkingSidecar]:
    with TalkingSidecar(tmp_path / "t.sock") as sidecar:
        yield sidecar


@pytest.fixture(autouse=True)
def no_registry_is_left() -> Iterator[None]:
    """A test closes its registries, and the thread ends with the last."""
    yield
    left = list(WATCHER.links)
    for link in left:
        WATCHER.drop(link)
    assert left == []
    assert "gossipreg" not in {thread.name for thread in threading.enumerate()}
