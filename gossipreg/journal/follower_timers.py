"""The timers of a leader for one of its followers.

Owns: their names. Never knows: when they are set (`progress.py`).
"""

from dataclasses import dataclass

from gossipreg.journal.model import JournalId, ReplicaId


@dataclass(frozen=True, slots=True)
class FollowerTimer:
    """Try to reach this follower again; or it has a turn to be caught up, and was to answer by then."""

    journal: JournalId
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class TellTimer:
    """No append has told this follower what is committed."""

    journal: JournalId
    replica: ReplicaId
