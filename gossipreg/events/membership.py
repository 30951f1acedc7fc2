"""What events need to know of the cluster: who subscribes, who lives, who leads a journal.

Owns: the question. Never knows: how members are found out; the registry answers, from its own table alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId


class KnownGroup(NamedTuple):
    """A group, with all patterns that are known of it."""

    name: str
    patterns: tuple[str, ...]
    declared: bool = False
    """Whether a member was told of it by its operator: `join --group`."""
    past: bool = False
    """A subscription of it begins with the events that are kept."""


class EventMembership(Protocol):
    @property
    def synced(self) -> bool: ...

    def runs(self, node: NodeId) -> bool:
        """Whether it is alive or suspected: not dead, left, restarting or unknown."""

    def process(self, node: NodeId) -> bytes:
        """The boot id of its process; empty where it does not run. What was delivered to an earlier process is lost."""

    def subscribers(self, group: str, type: tuple[str, ...]) -> Sequence[NodeId]:
        """The members that run and have a subscription of this group whose pattern means this type."""

    def has_subscriber(self, group: str) -> bool:
        """Whether any member that runs has a subscription of this group, whatever its pattern."""

    def running_patterns(self, group: str) -> tuple[str, ...]:
        """The patterns of this group that a member that runs subscribes to; empty where `has_subscriber` is false."""

    def listeners(self, type: tuple[str, ...]) -> Sequence[NodeId]:
        """The members that run and have a broadcast subscription whose pattern means this type."""

    def groups_for(self, type: tuple[str, ...]) -> Iterable[KnownGroup]:
        """The groups that mean this type: subscriptions of members that live, restart or are dead, groups that were
        declared, and those that other members remember."""

    def past_groups(self) -> Iterable[KnownGroup]:
        """The groups with a subscription, of a member that runs, which begins with the events that are kept."""

    def leader(self, journal: JournalId) -> NodeId | None:
        """The member that claims to lead this journal with the highest ballot, and runs."""
