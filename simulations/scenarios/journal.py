"""Do journals keep their promises under random faults?

Some members have a journal, and publish to it as fast as `gap=` says. Everything is drawn from the seed: crashes at any
step, power losses, disks that hang, fail, are full, lost, unlinked or put back in time (of a minority: the next one
only when every journal has again three voters that hold all of it), partitions, one-way loss, firewalls that let
datagrams pass and streams not, members that leave or crash again and again. All checkers run. Then everything is
healed: each journal must be led within the bound, have everything that was acknowledged, and come to rest, with all of
its voters up to date.

`nodes` 0: the number of members is drawn, 3 to 7. `duration_s` is the length of the phase of faults. Keys of the label:
`journals=N` (3), `gap=` mean seconds between two entries of a journal (0.25), `one_end=1`: when the other faults end,
streams break at one end alone (0).

    acked, unknown      entries that were acknowledged; those whose outcome their proposer was not told
    lost                acknowledged entries that are gone (the run fails if there are any)
    disks_lost          disks lost, unlinked or restored
    led                 from the end of the faults until every journal is led
    elections           ballots that were claimed
    messages            segments on streams for one acknowledged entry, elections and copies included
    settled             from the end of the faults until no journal sends anything or has a timer
    idle                segments and timers in the 300 s after that (the run fails if there are any)
"""

import random
from dataclasses import dataclass, replace
from math import inf

from gossipreg.config import lan
from gossipreg.journal.effects import ClaimLeadership, JournalEffect
from gossipreg.journal.tuning import JournalTuning
from simulations.checkers.checker import Broken
from simulations.checkers.journals import JournalCheckers
from simulations.failure import Recorder, described, from_exception
from simulations.faults import draw_faults
from simulations.host import Host
from simulations.journaling.doer import JournalDoer
from simulations.journaling.faults import JOURNAL_FAULTS, broken_at_one_end
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.plan import Part, Plan, numbered
from simulations.randomness import Randomness
from simulations.scenario import Case, Figure, Scenario
from simulations.world import World

LED_S = 20.0
"""The longest time from the end of the faults until each journal is led. 10 s are promised where the registry tells
voters of the change; where only streams had been cut, the wait after failed attempts comes on top."""
SETTLED_S = 2400.0
"""... until all is quiet: an owner that crashed often gets its journal back after ten minutes."""
_STILL_S = 10.0
"""Longer than TCP waits before it retransmits what a cut link lost."""
IDLE_S = 300.0
_FORMED_S = 120.0
"""The longest time from the first start until each journal has all its voters."""
_ZONES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class JournalDrawn:
    """Everything that a case's seed decides before the run."""

    members: int
    journals: int
    tuning: JournalTuning
    rates: tuple[float, ...]
    """The speed of each member's clock."""
    plan: Plan
    part: Part

    def options(self) -> list[str]:
        tuning = self.tuning
        tried = {name: getattr(tuning, name) for name in ("cut_bytes", "append_bytes", "piece_bytes", "replace_s")}
        return [
            f"{self.members} members, {self.journals} journals",
            ", ".join(f"{name} {value:g}" for name, value in tried.items()),
        ]


def draw(case: Case) -> JournalDrawn:
    """Draw everything from the seed. Raises ValueError if the label's `only=` names an unknown action or member."""
    randomness = Randomness(case.seed)
    rng = randomness.of("journal", "topology")
    members = case.nodes or rng.randint(3, 7)
    faults = draw_faults(randomness.of("journal", "faults"), lan, members, case.duration_s, JOURNAL_FAULTS)
    if case.value("one_end", 0):
        faults += broken_at_one_end(randomness.of("journal", "one end"), members, case.duration_s)
    plan, part = numbered(faults), Part.parse(case.word("only", ""))
    part.check(plan, members)
    rates = tuple(1 + rng.choice([0.0, 0.0, rng.uniform(-0.02, 0.02)]) for _ in range(members))
    journals = min(members, int(case.value("journals", 3)))
    # in half of the runs leaders look soon whether a journal without its owner holds nothing: it always holds something
    tuning = replace(draw_tuning(rng), orphan_s=rng.choice([900.0, 10.0]))
    return JournalDrawn(members, journals, tuning, rates, part.of(plan), part)


def draw_tuning(rng: random.Random) -> JournalTuning:
    """Make logs short in half of the runs, so that replicas which were away get the whole state, in pieces."""
    tuning = JournalTuning(replace_s=rng.choice([60.0, 10.0]))
    if rng.random() < 0.5:
        tuning = replace(tuning, cut_bytes=4096, append_bytes=4096, piece_bytes=1024)
    return tuning


class _Elections(JournalObserver):
    def __init__(self) -> None:
        self.count = 0

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever claims
        self.count += isinstance(effect, ClaimLeadership)


class Run:
    """The run of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.drawn = drawn = draw(case)
        self.world = world = World(case.seed, config=case.config)
        self.recorder = Recorder(world)
        world.watch(self.recorder)
        self.journaling = Journaling(world, drawn.tuning)
        self.checkers = JournalCheckers(self.journaling)
        self.elections = _Elections()
        self.journaling.observers.all.append(self.elections)
        every = [self._machine(number) for number in range(drawn.members)]
        self.hosts = {host.number: host for host in every if drawn.part.has(host.number)}
        world.network.loss = case.loss
        self.doer = JournalDoer(self.journaling, self.hosts, case.loss)
        self._rng = world.randomness.of("journal", "workload")
        self._publishes = True
        self._segments = -1
        self.led_s = self.settled_s = 0.0

    def _machine(self, number: int) -> Host:
        host = self.world.add(zone=_ZONES[number % 3])
        host.rate = self.drawn.rates[number]
        return host

    def go(self) -> None:
        """Run the case. Raises Broken if an invariant does not hold."""
        world = self.world
        try:
            self._form()
            self._publish()
            self.doer.begin(self.drawn.plan, world.now)
            world.run(self.case.duration_s)
            self.doer.heal()
            self._come_to_rest()
        except Broken:
            raise
        except Exception as error:
            raise from_exception(error, world) from error

    def _form(self) -> None:
        world, journaling, first = self.world, self.journaling, min(self.hosts)
        for number, host in self.hosts.items():
            self.doer.start(host, () if number == first else (first,))
            world.run(0.01)
        world.until(lambda: world.converged(self.hosts.values()), 20.0)
        for host in [*self.hosts.values()][: self.drawn.journals]:
            world.until(lambda host=host: journaling.open(host) is not None, 20.0)  # type: ignore[misc]
        voters = 3 if len(self.hosts) >= 3 else 1
        world.until(lambda: all(journaling.is_whole(journal, voters) for journal in journaling.ids), _FORMED_S, 0.05)

    def _publish(self) -> None:
        """Propose to all that believe to lead, also to those that are wrong."""
        if not self._publishes:
            return
        journaling, rng = self.journaling, self._rng
        for journal in journaling.ids:
            for process in journaling.leaders(journal):
                journaling.propose(process, journal, rng.choice([0, 0, 0, 300, 2000]))
                if rng.random() < 0.2:
                    journaling.confirm(process, journal)
        self.world.after(rng.expovariate(1 / self.case.value("gap", 0.25)), self._publish)

    def _come_to_rest(self) -> None:
        world, journaling = self.world, self.journaling
        healed = world.now
        world.until(lambda: all(len(journaling.leaders(one)) == 1 for one in journaling.ids), LED_S, 0.05)
        self.led_s = world.now - healed
        self._publishes = False
        self.checkers.at_rest()
        world.until(self._quiet, SETTLED_S, _STILL_S)
        self.settled_s = world.now - healed
        self.checkers.settled()
        self.checkers.silence.begin()
        world.run(IDLE_S)
        self.checkers.silence.at_rest()

    def _quiet(self) -> bool:
        """Return whether no journal has a timer, and none has sent anything since the last time."""
        before, self._segments = self._segments, self.world.connections.segments
        return before == self._segments and not self.journaling.has_timers

    def figures(self) -> list[Figure]:
        journaling = self.journaling
        acked = len(journaling.acked)
        return [
            Figure("acked", "", (float(acked),)),
            Figure("unknown", "", (float(journaling.unknown),)),
            Figure("disks_lost", "", (float(self.doer.lost),)),
            Figure("led", "s", (self.led_s,)),
            Figure("elections", "", (float(self.elections.count),)),
            Figure("messages", "", (self.world.connections.segments / max(1, acked),)),
            Figure("settled", "s", (self.settled_s,)),
        ]


def run(case: Case) -> list[Figure]:
    one = Run(case)
    try:
        one.go()
    except Broken as broken:
        raise described(broken, case, one.drawn.plan, one.drawn.options(), one.recorder, "journal") from broken
    return one.figures()


SCENARIO = Scenario(
    "journal",
    "do journals keep their promises under random faults?",
    run,
    Case(nodes=0, duration_s=90.0),
    numbers={"journals": (1, inf), "gap": (0.001, inf), "one_end": (0, 1)},
    nodes_min=1,
    draw=draw,
)
