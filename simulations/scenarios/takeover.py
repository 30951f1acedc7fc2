"""How soon does another member lead when the leaders of journals die, and what does that cost?

Each member has a journal. Members die one after the other (`times=`), each once all journals are led again; or with
`rack=1` all members of a zone at once, which are a fifth. The copies of a journal lie in different zones, if it has
some. With `silent=1` in the label their machines are silent, as if they had vanished; else they refuse the port.
`--duration` is the longest wait for each crash. The checkers of journals run, and before the first crash journals must
be silent for a minute.

    takeover    from the crash until another member is established as leader, for each journal that was led there and
                has a majority of its voters left
    never       of these, journals that nobody led in time
    stuck       journals that were led there and have no majority of their voters left: of those that died before, some
                were not replaced yet
    elections   ballots that were claimed, for each of these journals
    messages    segments on streams, for each of these journals, until all were led
    burst       the most ballots that one member claimed within a second
"""

from collections import Counter
from dataclasses import replace
from math import inf

from gossipreg.journal.effects import ClaimLeadership, Established, JournalEffect
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from simulations.checkers.journals import JournalCheckers
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.scenario import Case, CheckFailed, Figure, Scenario
from simulations.world import World

_ZONES = ("a", "b", "c", "d", "e")
_FORMED_S = 300.0
_IDLE_S = 60.0
_BETWEEN_S = 5.0
"""From one crash, once all journals are led again, to the next."""


class _Leaders(JournalObserver):
    """Notes since when each journal has its last leader, and who claimed when."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.since: dict[JournalId, float] = {}
        self.claims: Counter[tuple[int, int]] = Counter()
        """By host and second."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, Established):
            self.since[effect.journal] = self._world.now
        elif isinstance(effect, ClaimLeadership):
            self.claims[process.host.number, int(self._world.now)] += 1


class _Run:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.world = World(case.seed, config=case.config)
        self.world.network.loss = case.loss
        self.journaling = Journaling(self.world, JournalTuning())
        self.checkers = JournalCheckers(self.journaling)
        self.leaders = _Leaders(self.world)
        self.journaling.observers.all.append(self.leaders)
        self.took: list[float] = []
        self.never = self.stuck = 0
        self.segments = 0

    def form(self) -> None:
        world, journaling = self.world, self.journaling
        hosts = world.form(self.case.nodes, zones=_ZONES)
        for host in hosts:
            journaling.start(host)
        world.run(1.0)
        for host in hosts:  # at once: one after the other, 1,000 claims would go in ten times as many datagrams
            journaling.open(host)
        if not world.until(self._whole, _FORMED_S, 0.5):
            raise CheckFailed(f"journals of {self.case} do not have three voters after {_FORMED_S:g} s")
        world.until(lambda: not journaling.has_timers, _FORMED_S, 0.5)
        world.run(_BETWEEN_S)
        self.checkers.silence.begin()
        world.run(_IDLE_S)
        self.checkers.silence.at_rest()
        self.leaders.claims.clear()

    def _whole(self) -> bool:
        return all(self.journaling.is_whole(journal) for journal in self.journaling.ids)

    def kill(self, victims: list[Host]) -> None:
        """Let these members die, and wait until what they led is led by others."""
        world, leaders = self.world, self.leaders
        led = self._led_by(victims)
        waiting = [journal for journal in led if self._majority_left(journal, victims)]
        self.stuck += len(led) - len(waiting)
        leaders.since.clear()
        crashed, segments = world.now, world.connections.segments
        for host in victims:
            world.crash(host, refuses=not self.case.value("silent", 0))
        world.until(lambda: all(journal in leaders.since for journal in waiting), self.case.duration_s, 0.01)
        took = [leaders.since[journal] - crashed for journal in waiting if journal in leaders.since]
        self.took += took
        self.never += len(waiting) - len(took)
        self.segments += world.connections.segments - segments
        world.run(_BETWEEN_S)

    def _led_by(self, victims: list[Host]) -> list[JournalId]:
        numbers = {host.number for host in victims}
        leaders = {journal: self.journaling.leader(journal) for journal in self.journaling.ids}
        return [one for one, leader in leaders.items() if leader is not None and leader.host.number in numbers]

    def _majority_left(self, journal: JournalId, victims: list[Host]) -> bool:
        replica = self.journaling.replica(journal)
        dead = {host.id for host in victims} | {host.id for host in self.world.hosts if not host.up}
        if replica is None:
            return False
        configuration = replica.data.configuration
        return configuration.has_majority(
            {place.replica for place in configuration.all_voters if place.node not in dead}
        )


def run(case: Case) -> list[Figure]:
    one = _Run(case)
    one.form()
    hosts = one.world.hosts
    if case.value("rack", 0):
        one.kill([host for host in hosts if host.zone == _ZONES[0]])
    else:
        for victim in one.world.randomness.of("faults").sample(
            hosts, min(int(case.value("times", 10)), len(hosts) - 2)
        ):
            one.kill([victim])
    many = max(1, len(one.took))
    return [
        Figure("takeover", "s", tuple(one.took)),
        Figure("never", "", (float(one.never),)),
        Figure("stuck", "", (float(one.stuck),)),
        Figure("elections", "", (one.leaders.claims.total() / many,)),
        Figure("messages", "", (one.segments / many,)),
        Figure("burst", "", (float(max(one.leaders.claims.values(), default=0)),)),
    ]


def cases(case: Case) -> list[Case]:
    labels = ("", "silent=1", "rack=1", "rack=1 silent=1")
    return [replace(case, label=label) for label in labels]


SCENARIO = Scenario(
    "takeover",
    "how soon does another member lead a journal whose leader dies?",
    run,
    Case(nodes=30, duration_s=60.0),
    cases,
    numbers={"times": (1, inf), "silent": (0, 1), "rack": (0, 1)},
    nodes_min=5,
)
