"""The events of a whole world: the events of each process, and the programs of each host.

Owns: which process runs on each host, and which programs there are. Never knows: faults, or what must hold.
"""

from collections.abc import Iterator, Sequence
from math import inf

from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import Established, JournalEffect
from gossipreg.journal.tuning import JournalTuning
from simulations.eventing.observer import EventObservers
from simulations.eventing.process import EventProcess, KeptGroups
from simulations.eventing.publication import Publication
from simulations.eventing.publisher import Publisher
from simulations.eventing.subscriber import Subscriber
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.world import World


class _Opening(JournalObserver):
    """Notes the journals that have a leader: those that publishers have opened."""

    def __init__(self, journaling: Journaling) -> None:
        self._journaling = journaling

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:  # noqa: ARG002  whoever leads
        if isinstance(effect, Established) and effect.journal not in self._journaling.ids:
            self._journaling.ids.append(effect.journal)


class Eventing:
    def __init__(self, world: World, tuning: EventsTuning, journal_tuning: JournalTuning) -> None:
        self.world = world
        self.tuning = tuning
        self.observers = EventObservers()
        self.processes: dict[int, EventProcess] = {}
        """By the number of the host: its last process."""
        self._kept_groups: dict[int, KeptGroups] = {}
        """By the number of the host."""
        self.subscribers: list[Subscriber] = []
        self.publishers: list[Publisher] = []
        self.journaling = Journaling(world, journal_tuning, self._follow)
        self.journaling.observers.all.append(_Opening(self.journaling))

    def _follow(self, process: JournalProcess) -> EventProcess:
        if (before := self.processes.get(process.host.number)) is not None:
            self.observers.on_end(before)
        kept = self._kept_groups.setdefault(process.host.number, KeptGroups())
        made = EventProcess(process, self.tuning, self, self.observers, kept)
        self.processes[process.host.number] = made
        for subscriber in self.subscribers:
            if subscriber.host == process.host.number:
                subscriber.begin(None)
        return made

    def begin(self, process: EventProcess) -> None:
        """The events of this process are there: its programs connect."""
        for publisher in self.publishers:
            if publisher.host == process.host.number:
                publisher.begin(process)
        for subscriber in self.subscribers:
            if subscriber.host == process.host.number:
                subscriber.begin(process)

    def start(self, subscriber: Subscriber) -> None:
        """Start this program, if it does not run yet."""
        if not subscriber.begun:
            subscriber.begun = True
            process = self.processes.get(subscriber.host)
            subscriber.begin(process if process is not None and process.runs else None)

    # -- what is known -----------------------------------------------------------------------------------------------

    def running(self) -> Iterator[EventProcess]:
        """Yield the processes whose events have begun."""
        for process in self.processes.values():
            if process.runs:
                yield process

    @property
    def publications(self) -> Sequence[Publication]:
        return [publication for publisher in self.publishers for publication in publisher.publications]

    @property
    def published_again(self) -> int:
        """Publishes of events that were published before."""
        return sum(publication.times - 1 for publication in self.publications)

    @property
    def all_known(self) -> bool:
        """Whether each publisher knows what became of all its events."""
        return not any(publisher.open for publisher in self.publishers)

    @property
    def has_timers(self) -> bool:
        return any(process.events.next_deadline() != inf for process in self.running())
