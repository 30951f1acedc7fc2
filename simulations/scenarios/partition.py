"""How long from the end of a partition to equal tables, and does anything come back that is gone?

Keys of the label: `shape=halves`, `thirds`, `oneway` (datagrams of one half do not reach the other) or `bridge` (only
one member reaches both halves), and `for=` seconds. During the partition one service is deregistered and another
registered, one member leaves, one crashes and one vanishes, some on either side. Afterwards exactly the other members
must be alive at all members, with their services, and stay so.

An idle cluster sends 2 datagrams a second a member, and while it is cut each side also greets the dead members. So long
partitions need small clusters: 64 members for a minute, 16 for half an hour, 4 for two days.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from simulations.host import Host
from simulations.network import End, Rule, between, bridged
from simulations.opinions import Opinions
from simulations.scenario import Case, CheckFailed, Figure, Scenario
from simulations.world import World

QUIET_S = 2.0
SETTLED_S = 5.0
"""Seconds from the beginning of the partition to the changes on one side."""
LIMIT_S = 120.0
"""The longest wait for equal tables after the partition."""
WATCHED_S = 10.0
"""Seconds after that in which nothing may come back."""


@dataclass(frozen=True, slots=True)
class _Gone:
    """What must not come back."""

    hosts: tuple[Host, ...]
    service: str
    new: str


def run(case: Case) -> list[Figure]:
    for_s = case.value("for", 60)
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes, services=case.nodes)
    opinions = Opinions(world)
    world.watch(opinions)
    world.run(QUIET_S)
    world.network.rules["partition"] = SHAPES[case.word("shape", "halves")](case.nodes)
    world.run(min(SETTLED_S, for_s / 2))
    gone = _change(world, hosts)
    world.run(for_s - min(SETTLED_S, for_s / 2))
    changes = len(opinions.changes)
    del world.network.rules["partition"]
    healed, before = world.now, world.traffic()
    equal = world.until(lambda: _converged(world, gone), LIMIT_S, 0.01)
    took_s, after = world.now - healed, world.traffic()
    if not equal:
        raise CheckFailed(f"tables are not equal {LIMIT_S:g} s after {case} was healed: {_wrong(world, gone)}")
    world.run(WATCHED_S)
    if not _converged(world, gone):
        raise CheckFailed(
            f"{WATCHED_S:g} s after the tables of {case} were equal they are wrong: {_wrong(world, gone)}"
        )
    up = len(world.up)
    return [
        Figure("heal_to_equal", "s", (took_s,)),
        Figure("messages_until_equal", "1", ((after[0] - before[0]) / up,)),
        Figure("bytes_until_equal", "B", ((after[1] - before[1]) / up,)),
        Figure("changes_while_cut", "1/min", (changes / case.nodes * 60 / for_s,)),
    ]


def _change(world: World, hosts: list[Host]) -> _Gone:
    """Make changes on one side only: on one a service is deregistered and a member leaves, on the other a service is
    registered and members crash."""
    n = len(hosts)
    withdrawn, registered, leaver, crashed, vanished = (
        hosts[0],
        hosts[n // 2],
        hosts[1],
        hosts[n - 1],
        hosts[n // 2 + 1] if n > 5 else None,
    )
    service = next(iter(withdrawn.services))
    world.deregister(withdrawn, service)
    world.register(registered, "new")
    world.leave(leaver)
    world.crash(crashed)
    if vanished is not None:
        world.crash(vanished, refuses=False)
    gone = tuple(host for host in (leaver, crashed, vanished) if host is not None)
    return _Gone(gone, "base-0", "new")


def _converged(world: World, gone: _Gone) -> bool:
    return world.converged() and not _wrong(world, gone)


def _wrong(world: World, gone: _Gone) -> list[str]:
    """List what a running member holds that is not true."""
    wrong = []
    for host in world.up:
        node = host.node
        wrong += [f"{host.name} holds {other.name} alive" for other in gone.hosts if other.id in node.ring]
        wrong += [f"{host.name} holds {other.name} dead" for other in world.up if other.id not in node.ring]
        if node.catalog.lookup(gone.service):
            wrong.append(f"{gone.service} is in the answers of {host.name}")
        if not node.catalog.lookup(gone.new):
            wrong.append(f"{gone.new} is not in the answers of {host.name}")
    return wrong


def _halves(n: int) -> Rule:
    return between(lambda end: end.number < n // 2)


def _thirds(n: int) -> Rule:
    return between(lambda end: end.number * 3 // n)


def _oneway(n: int) -> Rule:
    def rule(sender: End, receiver: End) -> float:
        return 1.0 if sender.number < n // 2 <= receiver.number else 0.0

    return rule


def _bridge(n: int) -> Rule:
    return bridged(n // 2, frozenset(range(n // 2)))


SHAPES: dict[str, Callable[[int], Rule]] = {"halves": _halves, "thirds": _thirds, "oneway": _oneway, "bridge": _bridge}


def cases(case: Case) -> list[Case]:
    return [
        replace(case, nodes=nodes, label=f"shape={shape} for={for_s}")
        for nodes, for_s in ((64, 60), (16, 1800))
        for shape in SHAPES
    ]


def long_cases(case: Case) -> list[Case]:
    """The standard sweep, a thousand members for two minutes, and four members for two days."""
    return [
        *cases(case),
        replace(case, nodes=1000, label="shape=halves for=120"),
        *(replace(case, nodes=4, label=f"shape={shape} for={2 * 86_400}") for shape in ("halves", "oneway")),
    ]


SCENARIO = Scenario(
    "partition",
    "how long from the end of a partition to equal tables?",
    run,
    Case(nodes=64, duration_s=0.0, label="shape=halves for=60"),
    cases,
    long_cases,
    {"shape": tuple(SHAPES)},
    {"for": (1, inf)},
    nodes_min=4,
)
