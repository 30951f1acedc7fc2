"""The row `sagas-takeover`: how soon a saga goes on, or is undone, after its sidecar was killed."""

import time
from collections.abc import Callable
from typing import Any

from gossipreg.client import Client
from gossipreg.errors import GossipregError
from scripts.benchmarks.run import Figures, Run, Value
from scripts.benchmarks.sagas.client_side import SERVICE
from scripts.benchmarks.sagas.peers import GossipregSagas
from scripts.tools.wait import wait_for

BOUND_S = 40.0
LATE = "late"
"""A service that is there only once the sidecar is dead."""


def sagas_takeover(run: Run) -> list[Figures]:
    """SIGKILL of the sidecar that leads, in the middle of a saga of two steps, with three copies: until a declared one
    is committed, whose second service comes up at that moment, and until one by code is aborted, whose program has no
    sidecar any more. Both as another sidecar tells it."""
    declared: list[Value] = []
    by_code: list[Value] = []
    for rep in range(run.reps):
        run.progress(f"sagas-takeover: {rep + 1} of {run.reps}")
        declared.append(_after_kill(run, _begin_declared, "commit"))
        by_code.append(_after_kill(run, _begin_by_code, "abort"))
    return [
        Figures("sagas-takeover", 3, declared, of="declared"), Figures("sagas-takeover", 3, by_code, of="by code"),
    ]  # fmt: skip


def _after_kill(run: Run, begin: Callable[[Client], str], decision: str) -> Value:
    """Milliseconds from the kill to the decision; None: it did not come."""
    with GossipregSagas(run.stop, "declared", 3) as peer:
        first, second, _ = peer.cluster.all
        with Client(str(first.socket), timeout_s=BOUND_S) as client:
            saga = begin(client)
            wait_for(lambda: len(second.call("saga-show", saga=saga)["steps"]) == 2, what="the second step is recorded")
            killed = time.perf_counter()
            first.kill()
            second.call("register", name=LATE, port=peer.port, address="127.0.0.1")
            while time.perf_counter() - killed < BOUND_S:
                if _decision(peer, saga) == decision:
                    return 1000 * (time.perf_counter() - killed)
                time.sleep(0.01)
    return None


def _decision(peer: GossipregSagas, saga: str) -> str | None:
    try:
        story = peer.cluster.all[1].call("saga-show", saga=saga)
    except GossipregError:
        return None
    found: str | None = story["decision"]
    return found


def _step(name: str, service: str) -> dict[str, Any]:
    return {
        "name": name, "service": service, "method": "PUT", "path": "/book/{key}", "json": {"item": "tea"},
        "undo": {"method": "DELETE", "path": "/book/{key}"},
    }  # fmt: skip


def _begin_declared(client: Client) -> str:
    definition = {"name": "order", "step": [_step("reserve", SERVICE), _step("pay", LATE)]}
    return str(client.call("saga-run", definition=definition, id="order-1", input=b"null")["saga"])


def _begin_by_code(client: Client) -> str:
    saga = str(client.call("saga-begin", name="order", id="order-1", input=b"null")["saga"])
    for step in (_step("reserve", SERVICE), _step("pay", SERVICE)):
        client.call("saga-step", saga=saga, step=step)
    return saga
