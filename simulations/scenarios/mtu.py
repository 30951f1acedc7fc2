"""Does everything arrive if paths silently lose large datagrams, and which members find out?

A formed cluster, in which the paths between some members and the others lose datagrams above a size. Several times a
member registers a large service and at once a small one. At the end one more member joins behind the hole, and then all
paths become wide. `--duration` is the longest wait for each of these. Keys of the label:

    bytes=1264   the largest datagram that passes; 1,264 is what an IPv4 path of MTU 1,292 carries
    way=both     both ways, or only into those members, or only out_of them
    part=0.1     the part of the members that is behind the hole
    times=10     the number of registrations
    size=4000    bytes of the large service

    small        from a registration of the small service to the answers of one member behind the hole, s
    large        ... of the large one
    never        answers that one of them did not reach in time
    joined       from its start until the joiner is synced and holds all members, s
    equal        from then until all tables are equal, s; -1: not in time
    narrow       members that have found a narrow path when the registrations are over
    mended       from the end of the hole until no member takes a path for narrow, s; -1: not in time
    bytes_sent   by each member while the hole was there, with all headers, B/s
    size_probes  by each member in that time
"""

from dataclasses import replace
from math import inf

from gossipreg.model import Health, RegisteredService
from simulations.host import Host
from simulations.network import hole_around
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World

_PAUSE_S = 1.0


def run(case: Case) -> list[Figure]:
    world = World(case.seed, config=case.config)
    world.network.loss = case.loss
    hosts = world.form(case.nodes, services=case.nodes)
    rng = world.randomness.of("workload")
    behind = world.randomness.of("faults").sample(hosts, max(1, int(case.value("part", 0.1) * case.nodes)))
    joiner = world.add()
    around = frozenset(host.number for host in [*behind, joiner])
    world.network.holes["hole"] = hole_around(around, int(case.value("bytes", 1264)), case.word("way", "both"))
    world.run(1.0)
    start, before = world.now, {host.number: world.traffic([host])[1] for host in hosts}
    small: list[float] = []
    large: list[float] = []
    never = 0
    for number in range(int(case.value("times", 10))):
        owner = rng.choice(hosts)
        other_side = [host for host in hosts if (host.number in around) != (owner.number in around)]
        times = _registered(world, owner, other_side, number, case)
        small += times[0]
        large += times[1]
        never += 2 * len(other_side) - len(times[0]) - len(times[1])
        world.run(_PAUSE_S)
    narrow = sum(bool(host.node.narrow_paths) for host in hosts)
    sent = [(world.traffic([host])[1] - before[host.number]) / (world.now - start) for host in hosts]
    probes = [float(host.node.statistics(world.now).get("size_probes", 0)) for host in hosts]
    outside = next(host for host in hosts if host.number not in around)
    joined, equal = _join(world, joiner, outside, case)
    world.network.holes.clear()
    mended_from = world.now
    over = world.until(lambda: not any(host.node.narrow_paths for host in world.up), 20 * case.duration_s, 0.1)
    return [
        Figure("small", "s", tuple(small)),
        Figure("large", "s", tuple(large)),
        Figure("never", "1", (float(never),)),
        Figure("joined", "s", joined),
        Figure("equal", "s", (equal,)),
        Figure("narrow", "1", (float(narrow),)),
        Figure("mended", "s", (world.now - mended_from if over else -1.0,)),
        Figure("bytes_sent", "B/s", tuple(sent)),
        Figure("size_probes", "1", tuple(probes)),
    ]


def _registered(
    world: World, owner: Host, others: list[Host], number: int, case: Case
) -> tuple[list[float], list[float]]:
    """Register a large and a small service; return the times until each of the others has the small one and the large
    one, without those that took too long."""
    start = world.now
    names = f"small-{number}", f"large-{number}"
    text = "x" * int(case.value("size", 4000))
    service = RegisteredService(names[1], names[1], owner.address.host, 80, meta=(("text", text),))
    owner.services[service.id] = service, Health.PASSING
    world.act(owner, owner.node.register(service, Health.PASSING, owner.local(world.now))[1])
    world.register(owner, names[0])
    seen: tuple[dict[int, float], dict[int, float]] = {}, {}

    def look() -> bool:
        for name, found in zip(names, seen, strict=True):
            for host in others:
                if host.number not in found and host.node.catalog.lookup(name):
                    found[host.number] = world.now - start
        return len(seen[0]) == len(seen[1]) == len(others)

    world.until(look, case.duration_s)
    return list(seen[0].values()), list(seen[1].values())


def _join(world: World, joiner: Host, seed: Host, case: Case) -> tuple[tuple[float, ...], float]:
    """Start the joiner; return how long it took to hold everything (empty: not in time), and how long after that all
    tables were equal (-1: not in time)."""
    start, members = world.now, len(world.up) + 1
    world.start(joiner, [seed])
    full = world.until(lambda: joiner.node.synced and len(joiner.node.ring) == members, case.duration_s)
    since = world.now
    equal = world.until(world.converged, case.duration_s)
    return (since - start,) if full else (), world.now - since if equal else -1.0


def cases(case: Case) -> list[Case]:
    labels = ("bytes=1264", "bytes=1264 way=into", "bytes=1264 way=out_of", "bytes=700")
    return [
        replace(case, nodes=nodes, loss=loss, label=label)
        for nodes in (10, 100)
        for loss in (0.0, 0.01)
        for label in labels
    ]


SCENARIO = Scenario(
    "mtu",
    "does everything arrive if paths lose large datagrams, and which members find out?",
    run,
    Case(nodes=100, duration_s=30.0),
    cases,
    words={"way": ("both", "into", "out_of")},
    numbers={"bytes": (600, 65_535), "part": (0, 1), "times": (1, inf), "size": (0, 60_000)},
)
