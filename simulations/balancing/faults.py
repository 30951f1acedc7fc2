"""What happens to the servers of a case, and when.

antagonists   other programs come to each server's machine and go: it has a quarter of its speed meanwhile, a fifth
              of the time
fails_fast    one server answers each request with an error at once
hangs         one server answers no request any more; its health checks pass
restarts      one server stops, is gone from the registry a second later, starts again, and is cold at first
"""

from collections.abc import Sequence
from random import Random

from gossipreg.client.instance import Instance
from simulations.balancing.servers import Server, ServerState
from simulations.balancing.traffic import Traffic

FAULTS = ("none", "antagonists", "fails_fast", "hangs", "restarts")

AT_S = 5.0
VICTIM = 0
ALONE_S, TOGETHER_S = 6.0, 1.5
"""The mean time between two antagonists, and that of their stay: both exponential."""
SLOWED = 0.25
KNOWN_S = 1.0
"""From a crash until programs know: see `crash`."""
BACK_S = 3.0
"""From the stop until the registry has it again."""
COLD_S = 5.0
COLD = 0.5


def prepare(fault: str, traffic: Traffic, instances: Sequence[Instance], rng: Random) -> None:
    """Make it happen in this run."""
    if fault == "antagonists":
        for server in traffic.servers:
            _Antagonist(server, traffic, rng)
    elif fault == "fails_fast":
        traffic.later(AT_S, _fail_fast, traffic.servers[VICTIM])
    elif fault == "hangs":
        traffic.later(AT_S, Server.hang, traffic.servers[VICTIM])
    elif fault == "restarts":
        _Restart(traffic, instances)


class _Antagonist:
    """Comes and goes at one server."""

    def __init__(self, server: Server, traffic: Traffic, rng: Random) -> None:
        self._server, self._traffic, self._rng = server, traffic, rng
        self._speeds = server.speed, server.speed * SLOWED
        self._wait(rng.random() < TOGETHER_S / (ALONE_S + TOGETHER_S))

    def _wait(self, there: bool) -> None:
        self._server.speed = self._speeds[there]
        stays_s = self._rng.expovariate(1.0 / (TOGETHER_S if there else ALONE_S))
        self._traffic.later(stays_s, self._wait, not there)


class _Restart:
    def __init__(self, traffic: Traffic, instances: Sequence[Instance]) -> None:
        self._traffic, self._server = traffic, traffic.servers[VICTIM]
        self._all = instances
        self._others = [instance for instance in instances if instance is not instances[VICTIM]]
        traffic.later(AT_S, Server.stop, self._server)
        traffic.later(AT_S + KNOWN_S, traffic.registry_says, self._others)
        traffic.later(AT_S + BACK_S, self._start, instances)
        traffic.later(AT_S + BACK_S + COLD_S, self._warm, self._server.speed)

    def _start(self, instances: Sequence[Instance]) -> None:
        self._server.state = ServerState.WORKS
        self._server.speed *= COLD
        self._traffic.registry_says(instances)

    def _warm(self, speed: float) -> None:
        self._server.speed = speed


def _fail_fast(server: Server) -> None:
    server.state = ServerState.FAILS_FAST
