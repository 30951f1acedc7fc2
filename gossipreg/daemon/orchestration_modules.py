"""The modules of journals, events and sagas, loaded when they are needed.

Owns: what of them the orchestration uses, and what happens where no descriptor is free to read them with. Any client
that connects to the gossip port makes the sidecar load them, at a time when others may have taken all descriptors.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import trio

from gossipreg.net.accepting import NoRoom, no_room
from gossipreg.quick_dataclass import dataclass

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.events_and_sagas import EventsAndSagas
    from gossipreg.daemon.journals.journals_shown import JournalsShown
    from gossipreg.daemon.journals.runtime import JournalRuntime
    from gossipreg.daemon.sagas.local_sagas import LocalSagas

LOAD_AGAIN_S = 1.0
"""The pause until a descriptor may be free."""


@dataclass(frozen=True, slots=True)
class OrchestrationModules:
    """What makes the parts, once their modules are loaded."""

    compose: "Callable[..., JournalRuntime]"
    shown: "type[JournalsShown]"
    events: "Callable[..., LocalEvents]"
    sagas: "Callable[..., LocalSagas]"
    both: "type[EventsAndSagas]"


async def load_modules(full: NoRoom) -> OrchestrationModules:
    """Reading the modules from the disk takes some tens of ms, so that is in a thread. Where no descriptor is free it
    is tried again until one is; `full` hears of that each time."""
    while True:
        try:
            return await trio.to_thread.run_sync(_load)
        except OSError as error:
            if not no_room(error):
                raise
            full(error)
        await trio.sleep(LOAD_AGAIN_S)


def _load() -> OrchestrationModules:
    from gossipreg.daemon.events import event_methods  # what they need is loaded in this thread, too
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.events_and_sagas import EventsAndSagas
    from gossipreg.daemon.journals.composing import compose_journals
    from gossipreg.daemon.journals.journals_shown import JournalsShown
    from gossipreg.daemon.sagas import saga_methods
    from gossipreg.daemon.sagas.local_sagas import LocalSagas

    events = partial(LocalEvents, methods=event_methods.METHODS)
    sagas = partial(LocalSagas, methods=saga_methods.METHODS)
    return OrchestrationModules(compose_journals, JournalsShown, events, sagas, EventsAndSagas)
