"""The sagas of a whole world: the sagas of each process, the programs of each host, the participants.

Owns: which process runs on each host, and which programs and participants there are. Never knows: faults, or what must
hold.
"""

from collections.abc import Iterator, Sequence
from math import inf

from gossipreg.journal.effects import Established, JournalEffect
from gossipreg.journal.tuning import JournalTuning
from gossipreg.sagas.saga_tuning import SagaTuning
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.orchestrating.command_wire import CommandWire
from simulations.orchestrating.key_ledger import KeyRecord
from simulations.orchestrating.observer import SagaObservers
from simulations.orchestrating.onlooker import Onlooker
from simulations.orchestrating.participant import Instance
from simulations.orchestrating.person import Person
from simulations.orchestrating.process import SagaProcess
from simulations.orchestrating.program import Program
from simulations.orchestrating.saga_run import SagaRun
from simulations.orchestrating.workload import draw_saga, place_services
from simulations.world import World


class _OpeningSagas(JournalObserver):
    """Notes the journals that have a leader: those that programs have opened."""

    def __init__(self, journaling: Journaling) -> None:
        self._journaling = journaling

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever leads
        if isinstance(effect, Established) and effect.journal not in self._journaling.ids:
            self._journaling.ids.append(effect.journal)


class Orchestrating:
    def __init__(self, world: World, tuning: SagaTuning, journal_tuning: JournalTuning) -> None:
        self.world = world
        self.tuning = tuning
        self.observers = SagaObservers()
        self.processes: dict[int, SagaProcess] = {}
        """By the number of the host: its last process."""
        self.programs: list[Program] = []
        self.instances: list[Instance] = []
        self.wire = CommandWire(world, self.instances)
        self.person = Person(self, world.randomness.of("person"))
        self.onlooker = Onlooker(self, world.randomness.of("onlooker"))
        self.journaling = Journaling(world, journal_tuning, self._follow)
        self.journaling.observers.all.append(_OpeningSagas(self.journaling))

    def add(self, hosts: list[Host], programs: Sequence[int], gap_s: float) -> None:
        """Place the services on these hosts, and programs on those of these numbers."""
        self.instances += place_services(self.world, hosts, self.observers)
        for number in programs:
            rng = self.world.randomness.of("program", number)
            self.programs.append(Program(self.world, number, draw_saga(rng), gap_s, self.tuning.kept_s, rng))

    def _follow(self, process: JournalProcess) -> SagaProcess:
        if (before := self.processes.get(process.host.number)) is not None:
            self.observers.on_end(before)
        made = SagaProcess(process, self.tuning, self, self.wire, self.observers)
        self.processes[process.host.number] = made
        return made

    def begin(self, process: SagaProcess) -> None:
        """The sagas of this process are there: its programs connect."""
        for program in self.programs:
            if program.host == process.host.number:
                program.begin(process)

    def steady(self) -> None:
        """Faults have ended: nobody does anything on purpose that it should not, and nothing new begins."""
        for program in self.programs:
            program.stopped = True
        for instance in self.instances:
            instance.steady = True
            instance.start()
        self.person.steady = True

    # -- what is known -----------------------------------------------------------------------------------------------

    def running(self) -> Iterator[SagaProcess]:
        """Yield the processes whose sagas have begun."""
        for process in self.processes.values():
            if process.runs:
                yield process

    @property
    def runs(self) -> list[SagaRun]:
        return [run for program in self.programs for run in program.runs]

    def records(self) -> Iterator[tuple[str, KeyRecord]]:
        """Yield what became of each key, with the service."""
        for ledger in dict.fromkeys(instance.ledger for instance in self.instances):
            for record in ledger.records.values():
                yield ledger.service, record

    @property
    def busy(self) -> bool:
        """Whether any program still takes a saga."""
        return any(program.busy for program in self.programs)

    @property
    def has_timers(self) -> bool:
        return any(process.sagas.next_deadline() != inf for process in self.running())
