"""Do events keep their promises under random faults?

Each member has journals, and the events of some are published as fast as `gap=` says, with partition keys that all
publishers share. Two to four groups of two or three programs on different hosts handle them: quickly or for seconds,
with windows of 1 to 16; they fail, reject, hang until their time is over, acknowledge late, and crash. Publishers
publish again whatever has an unknown outcome, and now and then what is durable, or another event with its id. The
faults are those of `journal`, with more pauses, so that members are wrongly declared dead. All checkers run, those of
journals too. Then everything is healed and handlers are steady: each event that was acknowledged must have been handled
by each group that its journal had or its publisher knew, or be a dead letter, within 60 s. Dead letters are dropped,
and all must come to rest. Of some groups a dead letter holds its key; a person retries letters, and drops others, while
faults are on. One event in ten is kept, for a group that begins late with what is kept; one program listens to what is
broadcast.

`nodes` 0: the number of members is drawn, 3 to 7. `duration_s` is the length of the phase of faults. Keys of the label:
`publishers=N` (3), `gap=` mean seconds between two events of one (0.4), `one_end=1` as for `journal`.

    acked        events whose publishers were told that they are durable
    again        publishes of an event that was published before
    deliveries   events with each of their groups
    repeats      handlings beyond the first of each delivery, in percent
    dead         dead letters
    decided      dead letters that the person has dropped
    broadcast    broadcast events that came
    unseen       ... of deliveries that no program ever got
    disks_lost   disks lost, unlinked or restored
    done         from the end of the faults until everything was acknowledged and handled
    settled      ... until nothing sends anything or has a timer
"""

from dataclasses import dataclass
from math import inf

from msgpack import packb

from gossipreg.config import lan
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.tuning import JournalTuning
from simulations.checkers.checker import Broken
from simulations.checkers.events import EventCheckers
from simulations.checkers.journals import JournalCheckers
from simulations.eventing.eventing import Eventing
from simulations.eventing.person import LetterKeeper
from simulations.eventing.workload import DrawnSubscriber, add_programs, draw_subscribers
from simulations.failure import Recorder, described, from_exception
from simulations.faults import Draw, Faults, draw_faults
from simulations.host import Host
from simulations.journaling.doer import JournalDoer
from simulations.journaling.faults import JOURNAL_FAULTS, broken_at_one_end
from simulations.plan import Action, Part, Plan, numbered
from simulations.randomness import Randomness
from simulations.scenario import Case, Figure, Scenario
from simulations.scenarios.journal import draw_tuning
from simulations.world import World

HANDLED_S = 60.0
"""The longest time from the end of the faults until everything that was published is durable and handled."""
LOOK_S = 100.0
"""What is kept goes with a look, which is hourly elsewhere."""
LED_S = 20.0
SETTLED_S = 2400.0
_STILL_S = 10.0
IDLE_S = 300.0
_FORMED_S = 120.0
"""As for `journal`."""
_ZONES = ("a", "b", "c")


def _pause(draw: Draw) -> Action:
    """Stop a member for so long that others declare it dead."""
    return draw.action("stall", hosts=(draw.one(),), for_s=draw.lasts(2.5, 20))


EVENT_FAULTS: Faults = (*JOURNAL_FAULTS, (6, _pause))


@dataclass(frozen=True, slots=True)
class EventsDrawn:
    """Everything that a case's seed decides before the run."""

    members: int
    publishers: int
    tuning: JournalTuning
    subscribers: tuple[DrawnSubscriber, ...]
    rates: tuple[float, ...]
    """The speed of each member's clock."""
    plan: Plan
    part: Part

    def options(self) -> list[str]:
        return [f"{self.members} members, {self.publishers} publishers", *map(str, self.subscribers)]


def draw(case: Case) -> EventsDrawn:
    """Draw everything from the seed. Raises ValueError if the label's `only=` names an unknown action or member."""
    randomness = Randomness(case.seed)
    rng = randomness.of("events", "topology")
    members = case.nodes or rng.randint(3, 7)
    faults = draw_faults(randomness.of("events", "faults"), lan, members, case.duration_s, EVENT_FAULTS)
    if case.value("one_end", 0):
        faults += broken_at_one_end(randomness.of("events", "one end"), members, case.duration_s)
    plan, part = numbered(faults), Part.parse(case.word("only", ""))
    part.check(plan, members)
    rates = tuple(1 + rng.choice([0.0, 0.0, rng.uniform(-0.02, 0.02)]) for _ in range(members))
    publishers = min(members, int(case.value("publishers", 3)))
    subscribers = draw_subscribers(randomness.of("events", "programs"), members, case.duration_s)
    return EventsDrawn(members, publishers, draw_tuning(rng), subscribers, rates, part.of(plan), part)


class Run:
    """The run of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.drawn = drawn = draw(case)
        self.world = world = World(case.seed, config=case.config)
        self.recorder = Recorder(world)
        world.watch(self.recorder)
        self.eventing = Eventing(world, EventsTuning(seen_every_s=LOOK_S), drawn.tuning)
        self.person = LetterKeeper(self.eventing, world.randomness.of("events", "person"))
        self.journaling = self.eventing.journaling
        self.journal_checkers = JournalCheckers(self.journaling)
        self.checkers = EventCheckers(self.eventing)
        every = [self._machine(number) for number in range(drawn.members)]
        self.hosts = {host.number: host for host in every if drawn.part.has(host.number)}
        add_programs(
            self.eventing, tuple(one for one in drawn.subscribers if one.host in self.hosts),
            tuple(self.hosts)[: drawn.publishers], case.value("gap", 0.4),
        )  # fmt: skip
        world.network.loss = case.loss
        self.doer = JournalDoer(self.journaling, self.hosts, case.loss)
        self._segments = -1
        self.done_s = self.settled_s = 0.0

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
            world.run(self.case.duration_s)
            self.doer.heal()
            self._come_to_rest()
        except Broken:
            raise
        except Exception as error:
            raise from_exception(error, world) from error

    def _form(self) -> None:
        world, eventing, first = self.world, self.eventing, min(self.hosts)
        for number, host in self.hosts.items():
            self.doer.start(host, () if number == first else (first,))
            world.run(0.01)
        world.until(lambda: world.converged(self.hosts.values()), 20.0)
        began = [one for one in self.drawn.subscribers if one.host in self.hosts]
        for drawn, subscriber in zip(began, eventing.subscribers, strict=True):
            if drawn.begins_s:
                world.after(drawn.begins_s, lambda subscriber=subscriber: eventing.start(subscriber))  # type: ignore[misc]
            else:
                eventing.start(subscriber)
        for publisher in eventing.publishers:
            publisher.run()
        self.person.run()
        voters = 3 if len(self.hosts) >= 3 else 1
        world.until(lambda: self._formed(voters), _FORMED_S, 0.05)

    def _formed(self, voters: int) -> bool:
        ids = self.journaling.ids
        return len(ids) >= len(self.eventing.publishers) and all(
            self.journaling.has_all_disks(journal, voters) for journal in ids
        )

    def _come_to_rest(self) -> None:
        world, eventing = self.world, self.eventing
        healed = world.now
        self.person.stopped = True
        for publisher in eventing.publishers:
            publisher.stopped = True
        for subscriber in eventing.subscribers:
            subscriber.steady = True
            eventing.start(subscriber)
        led = lambda: all(len(self.journaling.leaders(one)) == 1 for one in self.journaling.ids)  # noqa: E731
        world.until(led, LED_S, 0.05)
        self.journal_checkers.at_rest()
        self._drop_held()
        world.until(self._all_done, healed + HANDLED_S - world.now, 0.05)
        self.done_s = world.now - healed
        self.checkers.handled.at_rest()
        if not eventing.all_known:
            waits = next(one for publisher in eventing.publishers for one in publisher.open)
            self.checkers.handled.fail(f"the publisher of {waits.id} at n{waits.host} is told {waits.code!r} at rest")
        self._drop_all()
        world.until(self._quiet, SETTLED_S, _STILL_S)
        self.settled_s = world.now - healed
        self.journal_checkers.settled()
        self.checkers.at_rest()
        self.journal_checkers.silence.begin()
        self.checkers.silence.begin()
        world.run(IDLE_S)
        self.journal_checkers.silence.at_rest()
        self.checkers.silence.at_rest()

    def _all_done(self) -> bool:
        return self.eventing.all_known and next(self.checkers.handled.waiting(), None) is None

    def _drop_held(self) -> None:
        """Drop the dead letters that hold a key, or what waits behind them would wait for ever; until all is done."""
        if not self._all_done():
            self._drop_letters(held=True)
            self.world.after(1.0, self._drop_held)

    def _drop_all(self) -> None:
        """Again until there are none."""
        if self._drop_letters():
            self.world.after(5.0, self._drop_all)

    def _drop_letters(self, *, held: bool = False) -> bool:
        """As a person does with `gossipreg events drop`: all, or those that hold a key. Return whether there are
        some."""
        found = False
        for process in [*self.eventing.running()]:
            for journal, led in [*process.events.led.items()]:
                for (number, index), letter in [*led.machine.dead.items()]:
                    group = led.machine.group(number)
                    if group is not None and (letter.holds or not held):
                        found = True
                        letter_of = {"group": group.name, "journal": journal.hex(), "index": index}
                        process.ask(process.host.id, "drop", packb(letter_of))
        return found

    def _quiet(self) -> bool:
        """Return whether nothing has a timer, and nothing was sent since the last time."""
        before, self._segments = self._segments, self.world.connections.segments
        return before == self._segments and not self.journaling.has_timers and not self.eventing.has_timers

    def figures(self) -> list[Figure]:
        ledger = self.checkers.ledger
        handed = [count for count in ledger.handed.values() if count]
        repeats = 100.0 * sum(count - 1 for count in handed) / max(1, len(handed))
        unseen = sum(delivery not in ledger.handed for delivery in ledger.dead)
        found = {
            "acked": float(sum(one.acked is not None for one in self.eventing.publications)),
            "again": float(self.eventing.published_again),
            "deliveries": float(sum(len(event.groups) for event in ledger.events.values())),
        }
        return [
            *(Figure(name, "", (value,)) for name, value in found.items()),
            Figure("repeats", "%", (repeats,)),
            Figure("dead", "", (float(len(ledger.dead)),)),
            Figure("decided", "", (float(len(ledger.dropped)),)),
            Figure("broadcast", "", (float(self.checkers.broadcast.count),)),
            Figure("unseen", "", (float(unseen),)),
            Figure("disks_lost", "", (float(self.doer.lost),)),
            Figure("done", "s", (self.done_s,)),
            Figure("settled", "s", (self.settled_s,)),
        ]


def run(case: Case) -> list[Figure]:
    one = Run(case)
    try:
        one.go()
    except Broken as broken:
        raise described(broken, case, one.drawn.plan, one.drawn.options(), one.recorder, "events") from broken
    return one.figures()


SCENARIO = Scenario(
    "events",
    "do events keep their promises under random faults?",
    run,
    Case(nodes=0, duration_s=90.0),
    numbers={"publishers": (1, inf), "gap": (0.001, inf), "one_end": (0, 1)},
    nodes_min=1,
    draw=draw,
)
