import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.client.watching.watcher import WATCHER
from tests.client.fake_sidecar import FakeSidecar
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[FakeSidecar]:
    with FakeSidecar(tmp_path / "gossipreg.sock") as sidecar:
        yield sidecar


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[TalkingSidecar]:
    with TalkingSidecar(tmp_path / "t.sock") as sidecar:
        yield sidecar


@pytest.fixture
def registry(talking: TalkingSidecar) -> Iterator[Registry]:
    """A registry whose sidecar lists three instances of `web`."""
    talking.services["web"] = [at(1), at(2), at(3)]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        yield registry


@pytest.fixture
def web(registry: Registry) -> Service:
    return registry.service("web")


@pytest.fixture(autouse=True)
def no_registry_is_left() -> Iterator[None]:
    """A test closes its registries, and the thread ends with the last."""
    yield
    left = list(WATCHER.links)
    for link in left:
        WATCHER.drop(link)
    assert left == []
    assert "gossipreg" not in {thread.name for thread in threading.enumerate()}
