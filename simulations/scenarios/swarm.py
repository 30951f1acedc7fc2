"""Do all invariants hold under random faults? Everything is drawn from the seed, and all checkers run.

First comes a phase of faults, in which the invariants of every moment are checked. Then everything is healed, and all
running members must hold equal tables within the bound of their profile, and send next to nothing.

With `nodes` 0 the number of members is drawn, 3 to 40. `duration_s` is the length of the phase of faults, in periods of
the profile (a period is a second in the LAN profile). The label's `only=` keeps a part of the plan: see `plan.Part`.
"""

import random
from dataclasses import dataclass, replace

from gossipreg.config import Config, lan, wan
from simulations.checkers import Broken, Checkers, bound_s
from simulations.doer import Doer
from simulations.failure import Recorder, described, from_exception
from simulations.faults import ANCHOR, HOLE_MIN_BYTES, draw_faults
from simulations.host import Host
from simulations.network import WAN, by_region, hole_around
from simulations.plan import Part, Plan, numbered
from simulations.randomness import Randomness
from simulations.scenario import Case, DetectorName, Figure, Scenario
from simulations.workload import draw_workload
from simulations.world import World

_ZONES = ("us", "eu", "ap")
_SETTLING_PERIODS = 8
"""From equal tables to the measurement of the quiet time."""
_QUIET_PERIODS = 16
"""The length of the quiet time: each member sends one random comparison in it."""
_STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class Drawn:
    """Everything that a case's seed decides before the run."""

    profile: str
    config: Config
    members: int
    durable: tuple[bool, ...]
    rates: tuple[float, ...]
    """The speed of each member's clock."""
    wall_errors_s: tuple[float, ...]
    loss: float
    """The loss of the healed network."""
    hole: tuple[str, int, tuple[int, ...]] | None
    """The hole of the healed network: its direction, the largest datagram that passes, and the members behind it."""
    phase_s: float
    plan: Plan
    """The actions that are carried out."""
    part: Part

    def options(self) -> list[str]:
        config = self.config
        tried = {
            name: getattr(config, name)
            for name in ("datagram_bytes", "tombstone_s", "tombstones_max", "dead_row_s", "dead_row_brief_s")
        }
        return [
            f"{self.profile}, {self.members} members, {sum(self.durable)} durable, loss {self.loss:g}",
            ", ".join(f"{name} {value:g}" for name, value in tried.items()),
            *(["lasting hole {} {} bytes around {}".format(*self.hole)] if self.hole else []),
        ]


def draw(case: Case) -> Drawn:
    """Draw everything from the seed. Raises ValueError if the label's `only=` names an unknown action or member."""
    randomness = Randomness(case.seed)
    rng = randomness.of("plan", "topology")
    profile, base = ("lan", lan) if rng.random() < 0.7 else ("wan", wan)
    members = 3 + int(38 * rng.random() ** 2)
    config = _config(rng, case.config_on(base))
    loss = rng.choice([0.0, 0.0, 0.001, 0.01])
    members, loss = case.nodes or members, case.loss or loss
    durable = rng.random()
    phase_s = case.duration_s * config.period_s
    each = [randomness.of("plan", "member", number) for number in range(members)]
    faults = draw_faults(randomness.of("plan", "faults"), config, members, phase_s)
    work = draw_workload(randomness.of("plan", "workload"), config.period_s, members, phase_s)
    plan, part = numbered(faults, work), Part.parse(case.word("only", ""))
    part.check(plan, members)
    return Drawn(
        profile,
        config,
        members,
        tuple(one.random() < durable for one in each),
        tuple(1 + one.choice([0.0, 0.0, one.uniform(-1e-4, 1e-4), one.uniform(-0.02, 0.02)]) for one in each),
        tuple(one.choice([0.0, 0.0, 0.0, one.uniform(-3, 3), one.uniform(-3600, 3600)]) for one in each),
        loss,
        _hole(randomness.of("plan", "hole"), members),
        phase_s,
        part.of(plan),
        part,
    )


def _hole(rng: random.Random, members: int) -> tuple[str, int, tuple[int, ...]] | None:
    """Draw a lasting hole for every fourth run: large datagrams to or from some members never arrive."""
    if rng.random() >= 0.25:
        return None
    most_bytes = rng.choice([1264, 1264, rng.randint(HOLE_MIN_BYTES, 1400)])
    around = tuple(sorted(rng.sample(range(members), rng.randint(1, max(1, members // 2)))))
    return rng.choice(["both", "both", "into", "out_of"]), most_bytes, around


def _config(rng: random.Random, base: Config) -> Config:
    """Shorten the memory in a third of the runs, so that tombstone floors rise and rows are forgotten during the
    run."""
    datagram_bytes = rng.choice([base.datagram_bytes, base.datagram_bytes, rng.randint(600, 1400)])
    config = replace(base, datagram_bytes=datagram_bytes)
    if rng.random() < 0.33:
        config = replace(config, tombstone_s=rng.uniform(3, 15), tombstones_max=rng.choice([1, 4, 16, 4096]))
    if rng.random() < 0.33:
        brief_s = rng.uniform(10, 20) * base.period_s
        config = replace(config, dead_row_brief_s=brief_s, dead_row_s=brief_s * rng.uniform(1, 3))
    return config


class Run:
    """The run of one case: its world, its members, its observers, and its measurements."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.drawn = drawn = draw(case)
        self.world = world = World(case.seed, config=drawn.config)
        self.recorder = Recorder(world)
        world.watch(self.recorder)
        self.checkers = Checkers(world, ours=case.detector == "ours")
        if drawn.profile == "wan":
            world.network.latency = by_region(WAN)
        world.network.loss = drawn.loss
        every = [self._machine(number) for number in range(drawn.members)]
        self.hosts = {host.number: host for host in every if drawn.part.has(host.number)}
        hole = None
        if drawn.hole is not None:
            way, most_bytes, around = drawn.hole
            hole = hole_around(frozenset(around), most_bytes, way)
        self.doer = Doer(world, self.hosts, drawn.loss, hole)
        self.converged_s = 0.0
        self.quiet_bytes = 0.0

    def _machine(self, number: int) -> Host:
        drawn = self.drawn
        zone = _ZONES[number % 3] if drawn.profile == "wan" else ""
        host = self.world.add(zone=zone, durable=drawn.durable[number])
        host.rate, host.wall_error_ms = drawn.rates[number], int(drawn.wall_errors_s[number] * 1000)
        return host

    def go(self) -> None:
        """Run the case. Raises Broken if an invariant does not hold."""
        world = self.world
        try:
            for number, host in self.hosts.items():
                if number == min(self.hosts):
                    world.start(host)
                else:
                    world.after(0.002 * number, lambda host=host: self.doer.start(host, (ANCHOR,)))  # type: ignore[misc]
            self.doer.begin(self.drawn.plan)
            world.run(self.drawn.phase_s)
            self.doer.heal()
            if self.case.detector == "ours":
                self._come_to_rest()
            self.checkers.at_rest()
        except Broken:
            raise
        except Exception as error:
            raise from_exception(error, world) from error

    def _come_to_rest(self) -> None:
        world, config = self.world, self.drawn.config
        up = [host for host in self.hosts.values() if host.up]
        healed = self._all_return(up)
        if len(up) > 1:
            world.until(self._equal, bound_s(config, len(self.hosts)), _STEP_S)
            while self._out(
                up
            ):  # a damped member may hold an equal table: its own row, dead and forgotten elsewhere, came from itself
                healed = self._all_return(up)
                world.until(self._equal, bound_s(config, len(self.hosts)), _STEP_S)
            self.checkers.at_rest()  # within the bound, not after all that follows
        self.converged_s = world.now - healed
        world.run(_SETTLING_PERIODS * config.period_s)
        traffic, before = self.checkers.traffic, world.traffic(up)
        greeted, paths = traffic.greeted(up), traffic.paths(up)
        world.run(_QUIET_PERIODS * config.period_s)
        self.quiet_bytes = traffic.quiet(before, world.traffic(up), _QUIET_PERIODS, up, greeted, paths)

    def _equal(self) -> bool:
        """Whether all tables are equal and no member is isolated: a long isolated member hides the services of
        others."""
        return self.world.converged() and not any(host.node.alone for host in self.world.up)

    def _out(self, up: list[Host]) -> bool:
        """Return whether a member is damped, and so waits before its table can be equal to the others'."""
        return any(host.node.out for host in up)

    def _all_return(self, up: list[Host]) -> float:
        self.world.until(
            lambda: not self._out(up), self.drawn.config.failure.flap_waits_s[-1], self.drawn.config.period_s
        )
        return self.world.now

    def figures(self) -> list[Figure]:
        config, checkers = self.drawn.config, self.checkers
        return [
            Figure("members", "", (float(len(self.hosts)),)),
            Figure("actions", "", (float(len(self.drawn.plan)),)),
            Figure("datagrams", "", (float(self.world.delivered),)),
            Figure("converged", "periods", (self.converged_s / config.period_s,)),
            Figure("held_dead", "periods", (checkers.taken_for_dead.longest_s / config.period_s,)),
            Figure("verdicts", "", (float(checkers.taken_for_dead.declared),)),
            Figure("peak_sent", "B/s", (checkers.traffic.peak_bytes_s,)),
            Figure("peak_packets", "1/s", (checkers.traffic.peak_packets_s,)),
            Figure("at_rest_sent", "B/period", (self.quiet_bytes,)),
        ]


def run(case: Case) -> list[Figure]:
    one = Run(case)
    try:
        one.go()
    except Broken as broken:
        drawn = one.drawn
        raise described(broken, case, drawn.plan, drawn.options(), one.recorder) from broken
    return one.figures()


def cases(case: Case) -> list[Case]:
    """Our detector, and for half as long SWIM and Lifeguard: the invariants of the table must hold with them too."""
    others: tuple[DetectorName, ...] = ("swim", "lifeguard")
    return [case, *(replace(case, detector=other, duration_s=case.duration_s / 2) for other in others)]


SCENARIO = Scenario(
    "swarm",
    "do all invariants hold under random faults?",
    run,
    Case(nodes=0, duration_s=40.0),
    cases,
    draw=draw,
)
