"""A journal that is led here, as events see it: what publishes to it, delivers from it, and adds groups to it.

Owns: which parts belong to one journal, and what the journal was told to be under way. Never knows: what the parts do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gossipreg.events.dispatch import JournalDispatch
from gossipreg.events.effects import ActsUnderWay, EventEffect
from gossipreg.events.group_lag import GroupLag
from gossipreg.events.machine import EventsMachine
from gossipreg.events.past_groups import PastGroups
from gossipreg.events.publish_queue import PublishQueue
from gossipreg.journal.model import JournalId


@dataclass(slots=True)
class LedJournal:
    journal: JournalId
    machine: EventsMachine
    queue: PublishQueue
    dispatch: JournalDispatch
    past: PastGroups
    led_ms: Callable[[float], int]
    paused: bool = False
    told: int = 0
    """How many acts the journal was told to be under way."""

    def lag(self, now: float) -> Sequence[GroupLag]:
        return self.dispatch.lag(now)

    def acts(self) -> list[EventEffect]:
        """Tell the journal how many acts are under way, so that it is not handed over meanwhile: at once when they
        begin or end, and each number while it is about to be handed over."""
        acting = self.dispatch.acting
        if acting == self.told or not (self.paused or bool(acting) != bool(self.told)):
            return []
        self.told = acting
        return [ActsUnderWay(self.journal, acting)]
