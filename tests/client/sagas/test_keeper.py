"""A saga outlives a restart of its sidecar while its program is busy; a fork leaves it to the parent."""

import threading

import pytest

from gossipreg.client.registry import Registry
from gossipreg.client.sagas import keeper
from gossipreg.client.sagas.keeper import KEEPER, SagaKeeper
from scripts.tools.wait import wait_for
from tests.client.sagas.saga_sidecar import SagaSidecar
from tests.client.sagas.test_sagas import reserve
from tests.client.test_forks import run


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOOK_S", 0.02)


@pytest.fixture
def fresh() -> None:
    """A thread that waits as long as it did before this test would look late."""
    KEEPER.before_fork()


@pytest.mark.usefixtures("fresh")
def test_a_busy_program_is_heard_again_after_a_restart(sagas: SagaSidecar, registry: Registry) -> None:
    with registry.saga("create-order") as saga:
        reserve(saga)
        sagas.end()
        sagas.start()
        assert sagas.wait_for("saga-show") == [{"saga": saga.saga, "program": True}]
        reserve(saga, "second")
    assert sagas.methods == ["begin", "step", "step", "commit"]


@pytest.mark.usefixtures("fresh")
def test_a_connection_that_lives_is_left_alone(sagas: SagaSidecar, registry: Registry) -> None:
    with registry.saga("create-order") as saga:
        reserve(saga)
        for _ in range(5):
            KEEPER.look()
    assert sagas.methods == ["begin", "step", "commit"]


def test_the_thread_ends_when_no_saga_is_left() -> None:
    keeper = SagaKeeper()
    lines = object()
    keeper.keep(lines, "saga")  # type: ignore[arg-type]
    thread = next(one for one in threading.enumerate() if one.name == "gossipreg sagas" and one is keeper._thread)
    keeper.forget(lines)  # type: ignore[arg-type]
    wait_for(lambda: not thread.is_alive(), what="the thread has ended")


def test_a_forked_child_leaves_the_saga_to_its_parent(sagas: SagaSidecar) -> None:
    run(
        "import gossipreg\n"
        "registry = gossipreg.connect(path)\n"
        "def step(saga, name): return saga.step(name, 'stock', 'PUT', '/x', harmless=True)\n"
        "def of_child():\n"
        "    try: step(saga, 'of-child')\n"
        "    except Forked: pass\n"
        "    else: raise AssertionError\n"
        "    with registry.saga('own') as own: step(own, 'one')\n"
        "with registry.saga('create-order') as saga:\n"
        "    step(saga, 'first')\n"
        "    assert ended_well(child(of_child))\n"
        "    pid = os.fork()\n"
        "    if pid == 0: raise SystemExit(7)\n"  # leaves the block: nothing is aborted
        "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
        "    step(saga, 'second')\n"
        "registry.close()\n",
        sagas.path,
    )
    assert sagas.methods == ["begin", "step", "begin", "step", "commit", "step", "commit"]
