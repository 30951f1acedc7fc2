"""Groups that begin with the events that are kept: they join a journal when they subscribe, not with its next event.

Owns: which of them a journal that is led here lacks, and the entry that adds them. Never knows: which events are kept,
or who delivers them; the state machine and the dispatch follow from the entry.

    a subscription says `past`   its member's row says so, and every leader reads it
    a journal keeps events       its leader adds the group with an entry of groups alone, and the machine has the group
                                 wait for what is kept
    a journal keeps none         nothing: the group is added with the next event, as any other

A journal that knows the group already gives it nothing anew; one that has forgotten it, while it subscribes, adds it
once more. One entry at a time is under way. What was refused is tried again when something is applied or the members
change.
"""

from collections.abc import Callable, Iterator

from gossipreg.events.effects import EventEffect, ProposeEntry
from gossipreg.events.entries import EventEntryKind, NewGroup, encode_publish
from gossipreg.events.machine import EventsMachine
from gossipreg.events.membership import EventMembership
from gossipreg.journal.model import JournalId

ENTRY_BYTES = 128 * 1024
"""Of the groups of one entry, unless a single one is larger; one of 64 long patterns has 17 KiB."""


class PastGroups:
    def __init__(
        self, journal: JournalId, machine: EventsMachine, membership: EventMembership, next_ticket: Callable[[], int]
    ) -> None:
        self._journal = journal
        self._machine = machine
        self._membership = membership
        self._next_ticket = next_ticket
        self._ticket: int | None = None
        """Of the entry that is under way."""
        self._adding: frozenset[str] = frozenset()
        self._not_taken: set[str] = set()
        """Groups for which the journal had no room."""
        self._again = False
        """What is applied next is a reason to look: an entry was refused, or a group was forgotten."""
        self.paused = False

    def look(self) -> list[EventEffect]:
        """Add the groups that are lacking; called where the members or this journal's groups may have changed."""
        if self._ticket is not None or self.paused or not self._machine.has_kept:
            return []
        groups = self._first(self._lacking())
        if not groups:
            return []
        self._ticket, self._again = self._next_ticket(), False
        self._adding = frozenset(group.name for group in groups)
        data = encode_publish(groups, ())
        return [ProposeEntry(self._journal, EventEntryKind.PUBLISH, data, self._ticket, ends=False)]

    def _lacking(self) -> Iterator[NewGroup]:
        known = self._machine.groups
        for group in self._membership.past_groups():
            if group.name not in known and group.name not in self._not_taken:
                yield NewGroup(group.name, group.patterns, past=True)

    def _first(self, groups: Iterator[NewGroup]) -> tuple[NewGroup, ...]:
        """As many as one entry has."""
        found: list[NewGroup] = []
        size = 0
        for group in groups:
            size += len(group.name.encode()) + sum(len(pattern.encode()) + 4 for pattern in group.patterns)
            if found and size > ENTRY_BYTES:
                break
            found.append(group)
        return tuple(found)

    # -- what becomes of an entry ------------------------------------------------------------------------------------

    def owns(self, ticket: int) -> bool:
        return ticket == self._ticket

    def settled(self, ticket: int, committed: bool) -> list[EventEffect]:
        """What became of an entry; nothing if it is not ours. Where that is unknown another leader looks."""
        if not self.owns(ticket):
            return []
        self._ticket = None
        if not committed:
            return []
        self._not_taken |= self._adding - self._machine.groups.keys()
        return self.look()

    def refused(self) -> None:
        """Our entry was not accepted."""
        self._ticket, self._again = None, True

    def applied(self) -> list[EventEffect]:
        """An entry was applied: there may be room for what was refused, and groups that it forgot are added again."""
        again, self._again = self._again, False
        return self.look() if again else []

    def group_forgotten(self, name: str) -> None:
        """There is room for another group; and this one begins anew if it subscribes still."""
        del name
        self._not_taken.clear()
        self._again = True

    def resume(self) -> list[EventEffect]:
        self.paused = False
        return self.look()
