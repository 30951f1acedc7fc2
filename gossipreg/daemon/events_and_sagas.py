"""Events and sagas on the same journals: a `JournalFollower` of both.

Owns: which of them hears what. Never knows: what either does with it. A failure of one does not keep the word from the
other. Tickets and numbers tell whose they are: sagas count from FIRST_OF_SAGAS on, events below.
"""

from collections.abc import Callable, Collection

from gossipreg.daemon.events.local_events import LocalEvents
from gossipreg.daemon.journals.journal_share import JournalActs, JournalShare
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.sagas.local_sagas import LocalSagas
from gossipreg.daemon.streams.inbox import StreamNews, StreamReceived
from gossipreg.events.entries import EventEntryKind
from gossipreg.events.messages import EventMessage
from gossipreg.journal.combined import CombinedMachine
from gossipreg.journal.effects import AppliedEntry, Confirmed, Deposed, JournalEffect, RecordsFound, Settled
from gossipreg.journal.model import JournalId
from gossipreg.journal.request_numbers import FIRST_OF_SAGAS
from gossipreg.model import NodeId
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_messages import SagaMessage

EVENTS, SAGAS = "events", "sagas"
_OF_EVENTS = frozenset(map(int, EventEntryKind))


class EventsAndSagas:
    def __init__(self, events: LocalEvents, sagas: LocalSagas) -> None:
        self._events = events
        self._sagas = sagas
        self._acts: JournalActs | None = None

    def begin(self, runtime: JournalRuntime) -> None:
        """The runtime that this follows is there; it has no journals yet."""
        acts = self._acts = JournalActs(runtime)
        self._events.begin(JournalShare(runtime, EVENTS, acts))
        self._sagas.begin(JournalShare(runtime, SAGAS, acts), self._events.registry, self._events.asked.whereabouts)

    def machine(self, journal: JournalId) -> CombinedMachine:
        return CombinedMachine((self._events.machine(journal), self._sagas.machine(journal)))

    def on_journal(self, effect: JournalEffect) -> None:
        if isinstance(effect, Deposed) and self._acts is not None:
            self._acts.forget(effect.journal)
        self._hand(owner_of(effect), lambda one: one.on_journal(effect))

    def on_stream(self, news: StreamNews) -> None:
        message = news.message if isinstance(news, StreamReceived) else None
        owner = EVENTS if isinstance(message, EventMessage) else SAGAS if isinstance(message, SagaMessage) else None
        self._hand(owner, lambda one: one.on_stream(news))

    def on_members(self, ids: Collection[NodeId]) -> None:
        self._hand(None, lambda one: one.on_members(ids))

    def _hand(self, owner: str | None, tell: Callable[[LocalEvents | LocalSagas], None]) -> None:
        """To the owner, or to both."""
        try:
            if owner != SAGAS:
                tell(self._events)
        finally:
            if owner != EVENTS:
                tell(self._sagas)


def owner_of(effect: JournalEffect) -> str | None:
    """Whom this is for; None: for both."""
    match effect:
        case Settled():
            return EVENTS if effect.ticket < FIRST_OF_SAGAS else SAGAS
        case Confirmed() | RecordsFound():
            return EVENTS if effect.number < FIRST_OF_SAGAS else SAGAS
        case AppliedEntry() if effect.entry.kind in _OF_EVENTS:
            return EVENTS
        case AppliedEntry() if effect.entry.kind == SAGA_ENTRY:
            return SAGAS
    return None
