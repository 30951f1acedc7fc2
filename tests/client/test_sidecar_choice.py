"""Several sidecars on a host: the program has to choose, and is told so at once."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipreg
from gossipreg import aio
from gossipreg.errors import ChooseSocket, NotSynced, Unreachable
from scripts.tools.wait import wait_for
from tests.client.talking_sidecar import TalkingSidecar, at
from tests.client.test_aio import Run, loops

LONG_S = 100_000.0
"""A lookup that waits for its timeout would never end."""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TalkingSidecar, TalkingSidecar]]:
    monkeypatch.delenv("GOSSIPREG_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "gossipreg"
    folder.mkdir(mode=0o700)
    with TalkingSidecar(folder / "a.sock") as a, TalkingSidecar(folder / "b.sock") as b:
        yield a, b


@pytest.mark.usefixtures("two")
def test_two_sidecars_are_an_error_at_once() -> None:
    with gossipreg.connect(timeout=LONG_S) as registry:
        for _ in range(2):
            with pytest.raises(ChooseSocket, match=r"choose one with connect\(PATH\): .*a\.sock, .*b\.sock"):
                _ = registry.service("web").instances


def test_a_registry_recovers_when_one_sidecar_is_left(two: tuple[TalkingSidecar, TalkingSidecar]) -> None:
    two[0].services["web"] = [at(1)]
    with gossipreg.connect(timeout=LONG_S) as registry:
        with pytest.raises(ChooseSocket):
            _ = registry.service("web").instances
        two[1].end()
        two[1].path.unlink(missing_ok=True)
        wait_for(lambda: registry.stats()["connected"])
        assert [one.port for one in registry.service("web").wait(timeout=30)] == [1]


@pytest.mark.usefixtures("two")
@loops
def test_two_sidecars_are_an_error_at_once_in_aio(run: Run) -> None:
    async def test() -> None:
        async with aio.connect(timeout=LONG_S) as registry:
            with pytest.raises(ChooseSocket):
                await registry.service("web").lookup()

    run(test)


def test_an_absent_sidecar_is_chosen_with_connect(tmp_path: Path) -> None:
    with gossipreg.connect(str(tmp_path / "none"), timeout=0.01) as registry:
        web = registry.service("web")
        wait_for(lambda: web.use() and registry._link.fault != "")
        with pytest.raises(NotSynced, match=r"or choose another with connect\(PATH\)"):
            _ = web.instances


@pytest.mark.usefixtures("two")
def test_a_client_of_a_program_says_what_a_program_does(tmp_path: Path) -> None:
    with pytest.raises(ChooseSocket, match=r"choose one with Client\(PATH\): .*a\.sock"):
        gossipreg.Client().call("info")
    with pytest.raises(Unreachable, match=r"or choose another with Client\(PATH\)"):
        gossipreg.Client(str(tmp_path / "none")).call("info")


def test_a_wait_in_a_callback_says_that_it_cannot_wait(talking: TalkingSidecar) -> None:
    said: list[str] = []
    done = threading.Event()
    with gossipreg.connect(str(talking.path), timeout=30) as registry:

        def callback(_: object) -> None:
            if said:
                return  # the close of the registry calls back, too
            with pytest.raises(NotSynced) as caught:
                registry.service("web").wait(3)
            said.append(str(caught.value))
            done.set()

        registry.watch("web", callback)
        assert done.wait(30)
    assert said[0].startswith("0 of 3 instances of web pass now; a callback cannot wait")
