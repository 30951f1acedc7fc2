"""Processes of the laboratory that note what happens on their streams, for tests of connections."""

from collections.abc import Callable

from simulations.host import Host
from simulations.world import World

LATENCY_S = 0.05


class Noting:
    """A process that takes streams: notes (seconds since the world began, what, peer or message)."""

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.notes: list[tuple[str, object]] = []
        self.times: list[float] = []
        self.on_message: Callable[[Host, object], None] = lambda _peer, _message: None
        world.connections.listen(host, self)

    def _note(self, what: str, value: object) -> None:
        self.notes.append((what, value))
        self.times.append(self.world.now)

    def opened(self, peer: Host) -> None:
        self._note("opened", peer.name)

    def closed(self, peer: Host, *, refused: bool) -> None:
        self._note("refused" if refused else "closed", peer.name)

    def received(self, peer: Host, message: object) -> None:
        self._note("received", message)
        self.on_message(peer, message)

    @property
    def messages(self) -> list[object]:
        return [value for what, value in self.notes if what == "received"]

    def send(self, peer: Host, *messages: object) -> None:
        for message in messages:
            self.world.connections.send(self.host, peer, message)


def start(world: World, host: Host) -> Noting:
    """Start or restart the process of a host, alone in its cluster."""
    world.start(host)
    return Noting(world, host)


def processes(count: int, seed: int = 1) -> tuple[World, list[Host], list[Noting]]:
    """Some hosts, each with a process, a fixed latency apart."""
    world = World(seed)
    world.network.low_s = world.network.high_s = LATENCY_S
    hosts = [world.add() for _ in range(count)]
    return world, hosts, [start(world, host) for host in hosts]


Pair = tuple[World, Host, Host, Noting, Noting]


def pair(seed: int = 1) -> Pair:
    world, hosts, noting = processes(2, seed)
    return world, hosts[0], hosts[1], noting[0], noting[1]


def connected(seed: int = 1) -> Pair:
    """Two processes with a stream on which each has received one message."""
    world, one, other, here, there = pair(seed)
    here.send(other, "hello")
    there.on_message = lambda peer, _: there.send(peer, "welcome")
    world.run(1.0)
    assert here.notes == [("opened", "n1"), ("received", "welcome")]
    assert there.notes == [("opened", "n0"), ("received", "hello")]
    there.on_message = lambda _peer, _message: None
    for noting in here, there:
        noting.notes.clear()
        noting.times.clear()
    return world, one, other, here, there
