"""What events ask of the registry (`events/membership.py`), answered from a node's table.

Owns: whose announcements about events count. Never knows: what an event is delivered for. Call `follow` with every
AnnouncementsChanged and MembersChanged, after the RegistryMembership that it stands on; the answers are then those of
the table.

    a member                       gets events        its groups are known
    lives, or is suspected         yes                yes
    restarting, dead               no                 yes: it may come back, and events must wait for it
    left, quarantined, forgotten   no                 no
    this one, while it leaves      no                 yes: it may still publish, and knows what ran beside it

While only the entry of a member's new process is here, and not yet what that announces, it gets no events.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from gossipreg.core.announced_events import NOTHING_ANNOUNCED, AnnouncedEvents, EventIndex, EventType
from gossipreg.core.commands import NodeCommands
from gossipreg.core.effects import Effect
from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.core.table.layout import KIND_GROUP, KIND_SUBSCRIPTION
from gossipreg.errors import BadDatagram
from gossipreg.events.announced import (
    GROUP_KIND,
    MAX_ANNOUNCED_GROUPS,
    MAX_SUBSCRIPTIONS,
    SUBSCRIPTION_KIND,
    decode_group_untrusted,
    decode_subscription_untrusted,
)
from gossipreg.events.membership import KnownGroup
from gossipreg.journal.copies import candidates
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import Configuration, JournalId
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId

assert (SUBSCRIPTION_KIND, GROUP_KIND) == (KIND_SUBSCRIPTION, KIND_GROUP)

_ABSENT = (ProcessStanding.LEFT, ProcessStanding.ABSENT)
CLAIM_COUNTS_S = JournalTuning().orphan_s
"""For so long a journal that a dead member led counts as there. Later the other voters may have ended it, since it was
empty, and nobody but they would know: its row goes on to claim it for a week."""
MAX_KEEPERS = 8
"""Members that are asked whether a journal has ended. It had three voters, the first of these unless they were away."""
T = TypeVar("T")

_subscription = lru_cache(maxsize=4096)(decode_subscription_untrusted)
_group = lru_cache(maxsize=4096)(decode_group_untrusted)
"""All announcements of a member are read when one changes; most of them were read before."""


class EventRegistry:
    def __init__(self, node: NodeCommands, journals: RegistryMembership) -> None:
        self._node = node
        self._journals = journals
        self._index = EventIndex()
        self.undecodable = 0
        """Announcements that could not be decoded."""
        self.ignored = 0
        """Announcements beyond what one member may have."""
        self.follow((*node.row_ids(), *node.announcements.members()))

    # -- following the table -----------------------------------------------------------------------------------------

    def follow(self, ids: Iterable[NodeId]) -> None:
        """These members changed: their standing, their process, or what they announce."""
        for id in ids:
            self._index.put(id, self._read(id))

    def _read(self, id: NodeId) -> AnnouncedEvents:
        if id != self._node.id and self._journals.member(id).standing in _ABSENT:
            return NOTHING_ANNOUNCED
        subscriptions = self._all(id, KIND_SUBSCRIPTION, MAX_SUBSCRIPTIONS, _subscription)
        groups = self._all(id, KIND_GROUP, MAX_ANNOUNCED_GROUPS, _group)
        return AnnouncedEvents(
            self.runs(id) and self._is_of_its_process(id), tuple(dict.fromkeys(subscriptions)), tuple(groups)
        )

    def _all(self, id: NodeId, kind: int, most: int, decode: Callable[[bytes], T]) -> list[T]:
        found: list[T] = []
        for read, (_, value) in enumerate(self._node.announcements.of(id, kind)):
            if read >= most:
                self.ignored += 1
                continue
            try:
                found.append(decode(value))
            except BadDatagram:
                self.undecodable += 1
        return found

    def _is_of_its_process(self, id: NodeId) -> bool:
        row = self._node.table.rows.get(id)
        return row is not None and row.member_generation == row.content_version.generation

    # -- the answers -------------------------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        return self._node.synced

    @property
    def knows_all(self) -> bool:
        """Whether the table is known, so that what no member says is not there. False also after a long isolation, and
        where the member that we are synced with had just started itself."""
        return not self._node.knowledge.partial

    def runs(self, node: NodeId) -> bool:
        return self._journals.member(node).standing is ProcessStanding.LIVES

    def process(self, node: NodeId) -> bytes:
        return self._journals.member(node).boot_id if self.runs(node) else b""

    def subscribers(self, group: str, type: EventType) -> Sequence[NodeId]:
        return self._index.members(group, type) if group else ()

    def has_subscriber(self, group: str) -> bool:
        return bool(group) and self._index.has_member(group)

    def running_patterns(self, group: str) -> tuple[str, ...]:
        return self._index.running_patterns(group) if group else ()

    def listeners(self, type: EventType) -> Sequence[NodeId]:
        return self._index.members("", type)

    def groups_for(self, type: EventType) -> Iterable[KnownGroup]:
        return self._index.groups(type)

    def past_groups(self) -> Iterable[KnownGroup]:
        return self._index.past_groups()

    def leader(self, journal: JournalId) -> NodeId | None:
        """Only a claim of the member's present process counts."""
        claims = [
            (claim.ballot, claim.node) for claim in self._journals.claims(journal)
            if self.process(claim.node) == claim.boot_id
        ]  # fmt: skip
        return max(claims)[1] if claims else None

    def leaders(self) -> list[NodeId]:
        """The members that run and lead any journal."""
        return [id for id in self._journals.leaders() if self.runs(id)]

    def claimed(self) -> Collection[JournalId]:
        """The journals that any member claims, whether it runs or not, and those that have a leaderless copy."""
        return {*self._journals.claimed(), *self._journals.leaderless()}

    def unled(self, kept: Iterable[JournalId], now: float) -> list[JournalId]:
        """The journals that nobody leads who runs: of those that a member which was there a moment ago (CLAIM_COUNTS_S)
        claims or has a leaderless copy of, and of those of which a copy is here (`kept`)."""
        witnessed = [
            journal for journal in self.claimed()
            if any(self._was_there(node, now) for node in self._witnesses(journal))
        ]  # fmt: skip
        return sorted(journal for journal in {*witnessed, *kept} if self.leader(journal) is None)

    def leaderless_at(self, journal: JournalId) -> Collection[NodeId]:
        """The members that have a leaderless copy of it."""
        return self._journals.leaderless_at(journal)

    def last_leader(self, journal: JournalId) -> NodeId | None:
        """Whoever claims it with the highest ballot, whether it runs or not."""
        return max(((claim.ballot, claim.node) for claim in self._journals.claims(journal)), default=(None, None))[1]

    def is_dead(self, node: NodeId) -> bool:
        return self._journals.is_dead(node)

    def may_remember(self, journal: JournalId) -> Sequence[NodeId]:
        """The other members that run and may have had a copy of it: in the order in which they are asked for one."""
        hosts = candidates(journal, Configuration(()), (), self._journals.hosts())
        return [host.node for host in hosts if host.node != self._node.id][:MAX_KEEPERS]

    def _witnesses(self, journal: JournalId) -> list[NodeId]:
        """The members that say in their rows that this journal is there."""
        return [*(claim.node for claim in self._journals.claims(journal)), *self._journals.leaderless_at(journal)]

    def _was_there(self, node: NodeId, now: float) -> bool:
        member = self._journals.member(node)
        return member.runs or (member.standing not in _ABSENT and now - member.since < CLAIM_COUNTS_S)

    def all_groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that a member subscribes to, was told of, or remembers, whether it runs, restarts or is dead, with
        their patterns: those that an event may be for."""
        return self._index.all_groups()

    def away_with(self, group: str) -> Sequence[NodeId]:
        """The members that have this group so, and do not run: nobody can tell them to forget it."""
        return self._index.away_with(group)

    def participants(self) -> list[NodeId]:
        """The members that run and subscribe, remember a group, or lead a journal; and ourselves."""
        return sorted({self._node.id, *self.leaders(), *filter(self.runs, self._index.ids())})

    def dead_participants(self) -> list[NodeId]:
        """The members that subscribed or remembered a group, and are dead. Nobody can ask them what they handled."""
        return sorted(id for id in self._index.ids() if self._journals.is_dead(id))

    def instances_of(self, group: str) -> int:
        """How many members that run have a subscription of this group."""
        return self._index.member_count(group) if group else 0

    # -- our own row -------------------------------------------------------------------------------------------------

    def announce(self, kind: int, slot: int, value: bytes | None, now: float) -> list[Effect]:
        """Carry out an AnnounceSubscription. Raises TooLarge; then nothing changed."""
        return self._node.announce(kind, slot, value, now)
