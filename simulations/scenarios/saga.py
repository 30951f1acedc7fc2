"""Do sagas keep their promises under random faults?

Programs at some members take sagas as fast as `gap=` says, by code and declared: one to four steps at three services,
side by side or in order, with undo that needs a result, optional steps, steps without undo, and mails after the commit.
Programs raise, die, lose their connection, commit beside open steps, repeat their commit, use a name twice, and forget.
The services, two instances each with common books, keep their three rules; they are slow, refuse, answer after the
deadline, do something and lose the answer, crash between effect and answer; proxies answer for them. A person decides
about what is stuck, and another one looks at stories and lists. The faults are those of `events`; wall clocks are wrong
by years. All checkers run, those of journals too. Then everything is healed: each saga must end, what its decision says
must stand in the books, and all must come to rest.

`nodes` 0: the number of members is drawn, 3 to 7. `duration_s` is the length of the phase of faults. Keys of the label:
`programs=N` (3), `gap=` mean seconds between two sagas of one (1.0), `one_end=1` as for `journal`.

    sagas        sagas that a journal has
    committed    ... in percent
    repeats      attempts beyond the first of each step and undo, in percent
    unknown      steps whose outcome was unknown when their saga was decided
    refused      ... that were refused
    stuck        undo, and what comes after a commit, that a person should look at
    by_hand      decisions of that person
    disks_lost   disks lost, unlinked or restored
    ended        from the end of the faults until every saga has ended
    settled      ... until nothing sends anything or has a timer
"""

import random
from dataclasses import dataclass
from math import inf

from gossipreg.config import lan
from gossipreg.journal.tuning import JournalTuning
from gossipreg.sagas.saga_model import StepState
from gossipreg.sagas.saga_tuning import SagaTuning
from simulations.checkers.checker import Broken
from simulations.checkers.journals import JournalCheckers
from simulations.checkers.sagas import SagaCheckers
from simulations.failure import Recorder, described, from_exception
from simulations.faults import draw_faults
from simulations.host import Host
from simulations.journaling.doer import JournalDoer
from simulations.journaling.faults import broken_at_one_end
from simulations.orchestrating.orchestrating import Orchestrating
from simulations.plan import Part, Plan, numbered
from simulations.randomness import Randomness
from simulations.scenario import Case, Figure, Scenario
from simulations.scenarios.events import EVENT_FAULTS
from simulations.scenarios.journal import draw_tuning
from simulations.world import World

ENDED_S = 240.0
"""The longest time from the end of the faults until every saga has ended. A saga has up to 100 s, which begin anew with
each leader; undo is tried every 10 s where it is stuck."""
LED_S = 20.0
SETTLED_S = 2400.0
_STILL_S = 10.0
IDLE_S = 300.0
_FORMED_S = 120.0
_ZONES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class SagasDrawn:
    """Everything that a case's seed decides before the run."""

    members: int
    programs: int
    tuning: JournalTuning
    sagas: SagaTuning
    rates: tuple[float, ...]
    """The speed of each member's clock."""
    plan: Plan
    part: Part

    def options(self) -> list[str]:
        return [f"{self.members} members, {self.programs} programs, kept {self.sagas.kept_s:g} s"]


def draw(case: Case) -> SagasDrawn:
    """Draw everything from the seed. Raises ValueError if the label's `only=` names an unknown action or member."""
    randomness = Randomness(case.seed)
    rng = randomness.of("sagas", "topology")
    members = case.nodes or rng.randint(3, 7)
    faults = draw_faults(randomness.of("sagas", "faults"), lan, members, case.duration_s, EVENT_FAULTS)
    if case.value("one_end", 0):
        faults += broken_at_one_end(randomness.of("sagas", "one end"), members, case.duration_s)
    plan, part = numbered(faults), Part.parse(case.word("only", ""))
    part.check(plan, members)
    rates = tuple(1 + rng.choice([0.0, 0.0, rng.uniform(-0.02, 0.02)]) for _ in range(members))
    programs = min(members, int(case.value("programs", 3)))
    return SagasDrawn(members, programs, draw_tuning(rng), _saga_tuning(rng), rates, part.of(plan), part)


def _saga_tuning(rng: random.Random) -> SagaTuning:
    """Shorter waits than in the product, so that a run sees what follows them."""
    return SagaTuning(
        stuck_attempts=rng.choice([2, 4, 20]), stuck_again_s=10.0, undo_again_longest_s=8.0, lost_s=5.0,
        kept_s=rng.choice([5.0, 40.0, 400.0]), commands_at_once=rng.choice([2, 8, 256]),
    )  # fmt: skip


class Run:
    """The run of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.drawn = drawn = draw(case)
        self.world = world = World(case.seed, config=case.config)
        self.recorder = Recorder(world)
        world.watch(self.recorder)
        self.orchestrating = Orchestrating(world, drawn.sagas, drawn.tuning)
        self.journaling = self.orchestrating.journaling
        self.journal_checkers = JournalCheckers(self.journaling)
        self.checkers = SagaCheckers(self.orchestrating)
        every = [self._machine(number) for number in range(drawn.members)]
        self.hosts = {host.number: host for host in every if drawn.part.has(host.number)}
        programs = tuple(self.hosts)[: drawn.programs]
        self.orchestrating.add([*self.hosts.values()], programs, case.value("gap", 1.0))
        world.network.loss = case.loss
        self.doer = JournalDoer(self.journaling, self.hosts, case.loss)
        self._segments = -1
        self.ended_s = self.settled_s = 0.0

    def _machine(self, number: int) -> Host:
        host = self.world.add(zone=_ZONES[number % 3])
        host.rate = self.drawn.rates[number]
        return host

    def go(self) -> None:
        """Run the case. Raises Broken if an invariant does not hold."""
        world = self.world
        try:
            self._form()
            self.doer.begin(self.drawn.plan, world.now)
            self.orchestrating.person.look()
            self.orchestrating.onlooker.look()
            world.run(self.case.duration_s)
            self.doer.heal()
            self._come_to_rest()
        except Broken:
            raise
        except Exception as error:
            raise from_exception(error, world) from error

    def _form(self) -> None:
        world, first = self.world, min(self.hosts)
        for number, host in self.hosts.items():
            self.doer.start(host, () if number == first else (first,))
            world.run(0.01)
        world.until(lambda: world.converged(self.hosts.values()), 20.0)
        for program in self.orchestrating.programs:
            program.run()
        voters = 3 if len(self.hosts) >= 3 else 1
        world.until(lambda: self._formed(voters), _FORMED_S, 0.05)

    def _formed(self, voters: int) -> bool:
        ids = self.journaling.ids
        return len(ids) >= len(self.orchestrating.programs) and all(
            self.journaling.has_all_disks(journal, voters) for journal in ids
        )

    def _come_to_rest(self) -> None:
        world, orchestrating = self.world, self.orchestrating
        healed = world.now
        self.checkers.ends.begin()
        orchestrating.steady()
        led = lambda: all(len(self.journaling.leaders(one)) == 1 for one in self.journaling.ids)  # noqa: E731
        world.until(led, LED_S, 0.05)
        self.journal_checkers.at_rest()
        world.until(self._all_ended, healed + ENDED_S - world.now, 0.25)
        self.ended_s = world.now - healed
        orchestrating.person.stopped = orchestrating.onlooker.stopped = True
        self.checkers.ends.at_rest()
        world.until(self._quiet, SETTLED_S, _STILL_S)
        self.settled_s = world.now - healed
        self.journal_checkers.settled()
        self.checkers.at_rest()
        self.journal_checkers.silence.begin()
        self.checkers.silence.begin()
        world.run(IDLE_S)
        self.journal_checkers.silence.at_rest()
        self.checkers.silence.at_rest()

    def _all_ended(self) -> bool:
        return next(self.checkers.ends.open(), None) is None and not self.orchestrating.busy

    def _quiet(self) -> bool:
        """Return whether nothing has a timer, and nothing was sent since the last time."""
        before, self._segments = self._segments, self.world.connections.segments
        return before == self._segments and not self.journaling.has_timers and not self.orchestrating.has_timers

    def figures(self) -> list[Figure]:
        ledger = self.checkers.ledger
        sagas = [*ledger.sagas.values()]
        committed = sum(not saga.aborted for saga in sagas)
        tries = [len(found) for found in (*ledger.attempts.values(), *ledger.undos.values())]
        repeats = 100.0 * sum(count - 1 for count in tries) / max(1, len(tries))
        refused = sum(step.state is StepState.REFUSED for saga in sagas for step in saga.steps.values())
        return [
            Figure("sagas", "", (float(len(sagas)),)),
            Figure("committed", "%", (100.0 * committed / max(1, len(sagas)),)),
            Figure("repeats", "%", (repeats,)),
            Figure("unknown", "", (float(ledger.unknown),)),
            Figure("refused", "", (float(refused),)),
            Figure("stuck", "", (float(ledger.stuck),)),
            Figure("by_hand", "", (float(self.orchestrating.person.decided),)),
            Figure("disks_lost", "", (float(self.doer.lost),)),
            Figure("ended", "s", (self.ended_s,)),
            Figure("settled", "s", (self.settled_s,)),
        ]


def run(case: Case) -> list[Figure]:
    one = Run(case)
    try:
        one.go()
    except Broken as broken:
        raise described(broken, case, one.drawn.plan, one.drawn.options(), one.recorder, "saga") from broken
    return one.figures()


SCENARIO = Scenario(
    "saga",
    "do sagas keep their promises under random faults?",
    run,
    Case(nodes=0, duration_s=90.0),
    numbers={"programs": (1, inf), "gap": (0.001, inf), "one_end": (0, 1)},
    nodes_min=1,
    draw=draw,
)
