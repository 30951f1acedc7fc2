"""The doer carries a plan out.

Owns: what each action does to members and network, how it ends, and how all faults are healed. Never knows: how the
plan was made, or which invariants are checked. An impossible action (crash a member that is down, register a service at
one that does not run) does nothing. So actions can be left out of a plan, and the others can still be carried out.

Faults of one kind may overlap. The state of the network is computed from the faults that have not ended: of several
faults of one kind the worst applies, and the end of a fault removes only that fault.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from gossipreg.model import Health
from simulations.host import Host
from simulations.network import Hole, Link, Rule, between, bridged, hole_around, into, out_of
from simulations.plan import Action, Plan
from simulations.workload import service_of
from simulations.world import START, World

R = TypeVar("R", Rule, Hole)

AWAY = 99
"""A member at 10.0.x.y moves to 10.99.x.y."""
_QUEUE_BYTES = 32_768
"""The bytes that a line of limited bandwidth queues."""


class Doer:
    def __init__(
        self, world: World, hosts: Mapping[int, Host], base_loss: float, base_hole: Hole | None = None
    ) -> None:
        """`hosts`: the members that take part, by number. If none of the seeds of an action takes part, the member with
        the lowest number is the seed. `base_loss` and `base_hole` are there from the start, and `heal` keeps them."""
        self.world = world
        self.hosts = hosts
        self._base_loss = base_loss
        self._base_holes = {} if base_hole is None else {"base": base_hole}
        world.network.holes |= self._base_holes
        self._leaving: dict[int, None] = {}
        self._slowed: dict[int, dict[int, Action]] = {number: {} for number in hosts}
        """The actions that slow a member down now: by member, by the action's number."""
        self._thinned: dict[int, Action] = {}
        """The faults of the whole network now, by the action's number."""
        world.network.reorder_s = world.config.rtt_floor_s

    def begin(self, plan: Plan, start: float = START) -> None:
        """Carry this plan out; its times count from `start`."""
        for action in plan:
            self.world.at(start + action.at_s, lambda action=action: self.perform(action))  # type: ignore[misc]

    def heal(self) -> None:
        """End all faults. A member that is down stays down."""
        self.world.network.rules.clear()
        self.world.network.holes = dict(self._base_holes)
        self._thinned.clear()
        self._thin()
        for host in self.hosts.values():
            self._slowed[host.number].clear()
            host.processing_s = 0.0
            if host.stalled or host.blocked or host.inbox:
                self.world.resume(host)
        self._all_hurt("healed")

    def start(self, host: Host, seeds: tuple[int, ...]) -> None:
        self._leaving.pop(host.number, None)
        slowed = self._slowed[host.number]  # a new process is slow only if its machine is
        self._slowed[host.number] = {number: one for number, one in slowed.items() if one.what == "slow"}
        known = [self.hosts[number] for number in seeds if number in self.hosts] or [self.hosts[min(self.hosts)]]
        self.world.start(host, known)

    # -- one action --------------------------------------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        what = action.what
        if what in ("register", "health", "deregister", "lookup"):
            self._work(action, self.hosts[action.hosts[0]])
        elif what in ("crash", "leave"):
            self._go(action, self.hosts[action.hosts[0]])
        elif what in ("stall", "block", "slow"):
            self._slow(action)
        elif what == "move":
            self._move(action, self.hosts[action.hosts[0]])
        elif what in RULES:
            self._rule(action, self.world.network.rules, RULES[what](action))
        elif what == "hole":
            hole = hole_around(frozenset(action.hosts), int(action.value), action.flags[0])
            self._rule(action, self.world.network.holes, hole)
        else:
            self._network(action)

    def _end(self, action: Action, end: Callable[[], None]) -> None:
        self.world.after(action.for_s, end)

    def _all_hurt(self, what: str) -> None:
        self.world.fault(what, *self.hosts.values())

    # -- members that go ---------------------------------------------------------------------------------------------

    def _go(self, action: Action, host: Host) -> None:
        if not host.up or host.number in self._leaving or (host.stalled and action.what == "leave"):
            return
        if action.what == "crash":
            self.world.crash(host, refuses="refused" in action.flags)
        else:
            self._leaving[host.number] = None
            self.world.leave(host, action.value if host.durable else 0.0)
        if "for good" not in action.flags:
            starts = host.starts
            self._end(action, lambda: self._back(action, host, starts))

    def _back(self, action: Action, host: Host, starts: int) -> None:
        """Start the member again, unless another action has done so since it went: then it has more than `starts`
        starts."""
        if host.starts != starts:
            return
        if host.up:  # it is still leaving
            self.world.crash(host)
        if "state lost" in action.flags:
            host.durable = False
        host.wall_error_ms = int(action.value * 1000) if action.what == "crash" else 0
        self.start(host, action.seeds)

    # -- members that are slow ---------------------------------------------------------------------------------------

    def _slow(self, action: Action) -> None:
        hosts = [self.hosts[number] for number in action.hosts if self.hosts[number].up]
        self._pulse(action, hosts, self.world.now + action.for_s)

    def _pulse(self, action: Action, hosts: list[Host], end: float) -> None:
        """Slow, stall or block the members until `end`. A stall or block whose action has a value comes in pulses of
        that many seconds, with a pause of a quarter of that between two pulses."""
        world = self.world
        for host in hosts:
            self._hold(action, host)
        pulse_s = 0.0 if action.what == "slow" else action.value
        over = min(end, world.now + pulse_s) if pulse_s else end
        world.at(over, lambda: self._release(action, hosts))
        following = over + pulse_s / 4
        if pulse_s and following < end:
            world.at(following, lambda: self._pulse(action, hosts, end))

    def _hold(self, action: Action, host: Host) -> None:
        if not host.up:
            return
        self._slowed[host.number][action.number] = action
        if action.what == "slow":
            self._take_time(host)
        elif action.what == "stall":
            self.world.stall(host)
        else:
            self.world.block(host)

    def _release(self, action: Action, hosts: list[Host]) -> None:
        for host in hosts:
            slowed = self._slowed[host.number]
            if slowed.pop(action.number, None) is None:
                continue  # that process has ended, or everything was healed
            kinds = [one.what for one in slowed.values()]
            if action.what == "slow":
                self._take_time(host)
            elif action.what not in kinds:
                self.world.resume(host, stalled="stall" in kinds, blocked="block" in kinds)

    def _take_time(self, host: Host) -> None:
        slow = [one.value for one in self._slowed[host.number].values() if one.what == "slow"]
        host.processing_s = max(slow, default=0.0)
        self.world.fault("slow" if slow else "quick", host)

    # -- members that move -------------------------------------------------------------------------------------------

    def _move(self, action: Action, host: Host) -> None:
        """Move a member to another address; a member that has moved already stays where it is."""
        home, away = host.address, host.address._replace(host=f"10.{AWAY}{host.address.host[len('10.0') :]}")
        if home.host.startswith(f"10.{AWAY}."):
            return
        self.world.move(host, away)
        if "and back" in action.flags:
            self._end(action, lambda: self.world.move(host, home))

    # -- the network -------------------------------------------------------------------------------------------------

    def _rule(self, action: Action, rules: dict[str, R], rule: R) -> None:
        name = f"#{action.number}"
        rules[name] = rule
        self._all_hurt(str(action))

        def end() -> None:
            rules.pop(name, None)
            self._all_hurt(f"end of {name}")

        self._end(action, end)

    def _network(self, action: Action) -> None:
        if action.what not in ("loss", "duplication", "reorder", "mtu", "bandwidth"):
            raise ValueError(f"unknown action: {action}")
        self._thinned[action.number] = action
        self._thin()
        self._all_hurt(str(action))

        def end() -> None:
            self._thinned.pop(action.number, None)
            self._thin()
            self._all_hurt(f"end of #{action.number}")

        self._end(action, end)

    def _thin(self) -> None:
        network = self.world.network

        def of(what: str) -> list[float]:
            return [one.value for one in self._thinned.values() if one.what == what]

        network.loss = max([self._base_loss, *of("loss")])
        network.duplication = max(of("duplication"), default=0.0)
        network.reorder = max(of("reorder"), default=0.0)
        network.mtu = int(min(of("mtu"), default=65_535))
        bytes_s = min(of("bandwidth"), default=0.0)
        if not bytes_s:
            network.link = None
        elif network.link is None or network.link.bytes_s != bytes_s:
            network.link = Link(bytes_s, _QUEUE_BYTES)

    # -- services ----------------------------------------------------------------------------------------------------

    def _work(self, action: Action, host: Host) -> None:
        if not host.up or host.stalled or host.number in self._leaving:
            return
        world, id, name = self.world, f"s{action.flags[0]}", action.flags[1]
        if action.what == "lookup":
            host.node.catalog.lookup(name)
        elif action.what == "register":
            service = service_of(host, action)
            host.services[id] = service, Health.PASSING
            world.act(host, host.node.register(service, Health.PASSING, host.local(world.now))[1])
        elif id not in host.services:
            pass
        elif action.what == "health":
            world.set_health(host, id, Health(int(action.value)))
        else:
            world.deregister(host, id)


def _cut(action: Action) -> Rule:
    side, three = frozenset(action.hosts), action.value == 3
    return between(lambda end: 0 if end.number in side else 1 + (end.number % 2 if three else 0))


def _pair(action: Action) -> Rule:
    """Two members cannot reach each other (`one way`: the first cannot reach the second), while all others can."""
    if len(action.hosts) < 2:
        return lambda _sender, _receiver: 0.0
    one, other = action.hosts
    one_way = "one way" in action.flags
    barred = {(one, other): 1.0} if one_way else {(one, other): 1.0, (other, one): 1.0}
    return lambda sender, receiver: barred.get((sender.number, receiver.number), 0.0)


RULES: dict[str, Callable[[Action], Rule]] = {
    "cut": _cut,
    "into": lambda action: into(frozenset(action.hosts), action.value),
    "out_of": lambda action: out_of(frozenset(action.hosts), action.value),
    "pair": _pair,
    "bridge": lambda action: bridged(action.hosts[0], frozenset(action.hosts[1:])),
}
"""The faults that are a rule of the network while they last."""
