"""A few members in the virtual world of the laboratory, sealed, with the questions that tests of the core ask.

For tests of several members together: start them one by one, cut links by any rule, and read what each member holds.
`simulations/world.py` does the rest.
"""

from collections.abc import Callable

from gossipreg.config import Config, lan
from gossipreg.core.effects import Changed, Effect, Event
from gossipreg.model import Address, Change, NodeId
from gossipreg.wire.seal import Keyring
from simulations.host import Host
from simulations.network import End
from simulations.observer import Observer
from simulations.world import KEY, START, WALL_MS, World

__all__ = ["KEY", "START", "WALL_MS", "Cluster", "Host", "all_but"]


def all_but(hosts: list[Host], one: Host) -> list[Host]:
    return [host for host in hosts if host is not one]


class _Recorder(Observer):
    def __init__(self) -> None:
        self.events: dict[int, list[Event]] = {}
        self.changes: dict[int, list[Change]] = {}

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is Event:
            self.events.setdefault(host.number, []).append(effect)
        elif type(effect) is Changed:
            self.changes.setdefault(host.number, []).extend(effect.changes)


class Cluster(World):
    def __init__(self, seed: int = 1, config: Config = lan, keyring: Keyring | None = KEY) -> None:
        super().__init__(seed, config=config, sealed=keyring is not None)
        self.rng = self.randomness.of("test")
        self.cut: Callable[[Host, Host], bool] = lambda _from, _to: False
        self.network.rules["cut"] = self._cut
        self._recorder = _Recorder()
        self.watch(self._recorder)

    def _cut(self, sender: End, receiver: End) -> float:
        return 1.0 if self.cut(self.hosts[sender.number], self.hosts[receiver.number]) else 0.0

    def join(
        self, seed: Host | Address | None = None, *, id: NodeId | None = None, address: Address | None = None,
        remembers: dict[NodeId, Address] | None = None,
    ) -> Host:  # fmt: skip
        """Start a new member; with `seed` None it is the first of a cluster. With an `id` it is durable."""
        host = self.add(id=id, address=address, durable=id is not None, zone="z")
        self.start(host, () if seed is None else (seed,), remembers=remembers)
        return host

    def deregister_id(self, host: Host, id: str) -> None:
        """Deregister the service with this id, if there is one."""
        if id in host.node.own_services:
            self.act(host, host.node.deregister(id, self.now))

    # -- what a member holds
    # -----------------------------------------------------------------------------------------------

    def events(self, host: Host) -> list[str]:
        """Return the kinds of the log events of this member, in order."""
        return [event.kind for event in self._recorder.events.get(host.number, [])]

    def all_events(self, host: Host) -> list[Event]:
        """Return the log events of this member, in order."""
        return self._recorder.events.get(host.number, [])

    def changes(self, host: Host) -> list[Change]:
        """Return the changes of instances that this member has reported."""
        return self._recorder.changes.get(host.number, [])

    def alive_at(self, host: Host) -> set[NodeId]:
        return {info.id for info in host.node.members(self.now) if info.state in ("alive", "suspect")}

    def state_at(self, host: Host, of: Host) -> str | None:
        info = host.node.member(of.id, self.now)
        return None if info is None else info.state

    def all_say(self, hosts: list[Host], of: Host, state: str) -> bool:
        """Return whether each of these members, except `of` itself, holds `of` in this state."""
        return all(self.state_at(host, of) == state for host in hosts if host is not of)

    def found(self, host: Host, name: str) -> set[str]:
        return {f"{one.service.address}:{one.service.port}" for one in host.node.catalog.lookup(name)}
