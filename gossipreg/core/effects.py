"""What the core asks of the world. The core returns lists of these; tests compare them with `==`."""

from gossipreg.model import Address, Change, NodeId, Version
from gossipreg.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes to that address, now. May be lost; the core does not want to know."""

    datagram: bytes
    destination: Address


@dataclass(frozen=True, slots=True)
class Changed:
    """The answers to lookups changed, in this order; for watchers. Also sent, possibly without changes, when the
    knowledge of the cluster changed (`core/knowledge.py`)."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """What this member shows of these members changed: whether they live (`Standing`), their state in the table, their
    own entry (name, addresses, labels, ...) or the name that they are shown by. Or they are known no more. That a
    member is suspected here is no change before it is declared dead. One for each input, after its Changed."""

    ids: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class AnnouncementsChanged:
    """What these members announce beside their services (`core/table/announcements.py`) may have changed."""

    ids: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an operator may want to read: one log line. `kind` is fixed, `fields` are for JSON logs.

    Kinds: member_alive, member_suspect, member_dead, member_left, member_restarting, member_draining, member_hidden,
    member_shown, refuted, synced, alone, alone_over, not_alone, wrong_cluster, incompatible_version,
    incompatible_version_over, not_our_key, key_needed, seed_silent,
    seed_unusable, own_seed, generation_raised, duplicate_identity, moved, stalled, table_full, table_full_over, out,
    returned, path_mtu, path_mtu_over, pull_failed, pull_failed_over, understood, pair_lossy, pair_lossy_over,
    last_known, last_known_over.
    """

    kind: str
    fields: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class Departed:
    """`leave` is done: enough have acknowledged, or its bound has passed. The socket can be closed."""


@dataclass(frozen=True, slots=True)
class RowAcked:
    """Every living member holds our row at this version, or a later one; see `Node.await_acks`."""

    version: Version


@dataclass(frozen=True, slots=True)
class Stop:
    """The member cannot go on (duplicate identity). `message` is one line for the user."""

    message: str


Effect = Send | Changed | MembersChanged | AnnouncementsChanged | Event | Departed | RowAcked | Stop
