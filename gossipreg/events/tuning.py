"""The settings of events: times in seconds, sizes in bytes. Each says what it means and how to choose it."""

from dataclasses import dataclass
from typing import ClassVar

from gossipreg.retry import Retry
from gossipreg.tuning import Bounds, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsTuning:
    # -- publishing --------------------------------------------------------------------------------------------------

    batch_bytes: int = 128 * 1024
    """Of the events of one entry, unless a single one is larger."""
    batches_at_once: int = 2
    """Entries of new events that wait to be committed; what comes meanwhile goes with the next one."""
    publish_s: float = 10.0
    """How long a publisher waits for its answer, unless it says."""
    again_first_s: float = 0.2
    again_longest_s: float = 2.0
    """Between attempts to reach whoever leads the journal."""

    # -- delivery ----------------------------------------------------------------------------------------------------

    redelivery_first_s: float = 1.0
    redelivery_longest_s: float = 300.0
    """After an attempt that failed; doubled with each."""
    max_attempts: int = 10
    max_deaths: int = 3
    """Attempts, and deaths of handlers, after which an event is a dead letter."""
    window: int = 64
    """Handlers that a subscription runs at once, unless it says."""
    first_window: int = 4
    """Deliveries that a leader sends to a group at a member before that has told its window."""
    deliveries_in_flight: int = 4_096
    """Of one journal, unanswered."""
    ack_timeout_s: float = 30.0
    max_handling_s: float = 3600.0
    """For how long a handler may be renewed."""
    outcome_delay_s: float = 0.005
    """Outcomes wait so long for others to go into the same entry, unless a batch is under way already."""

    # -- retention ---------------------------------------------------------------------------------------------------
    # All replicas of a journal forget by these, so they have to be the same on every member and in every release: no
    # flag sets them. Replicas that differ are no longer equal, and number their groups differently, so that an
    # acknowledgement of one group may settle an event of another one. To change one, let entries carry it (EXPIRE has
    # room for it, and so has each item of the others), and the constant stand for entries that carry none.

    dedup_s: float = 600.0
    dedup_ids: int = 100_000
    """For how long in led time, and how many, ids of events are remembered."""
    max_age_s: float = 7 * 86400.0
    """Of events and dead letters, in led time; older ones are dropped and counted."""
    group_ttl_s: float = 7 * 86400.0
    """A group without an instance for so long is forgotten."""
    pattern_ttl_s: float = 3600.0
    seen_every_s: float = 3600.0
    """How often a leader notes which groups have instances, while events come or wait."""

    BOUNDS: ClassVar[Bounds] = {
        "batch_bytes": (1024, 192 * 1024), "batches_at_once": (1, 64), "publish_s": (0.1, 3600.0),
        "again_first_s": (0.01, 60.0), "again_longest_s": (0.01, 600.0), "redelivery_first_s": (0.01, 3600.0),
        "redelivery_longest_s": (0.01, 86400.0), "max_attempts": (1, 10_000), "max_deaths": (1, 1000),
        "window": (1, 10_000), "first_window": (1, 1000), "deliveries_in_flight": (1, 1_000_000),
        "ack_timeout_s": (0.1, 86400.0), "max_handling_s": (0.1, 604800.0), "outcome_delay_s": (0.0, 10.0),
        "dedup_s": (1.0, 604800.0), "dedup_ids": (100, 10_000_000), "max_age_s": (1.0, 3e8),
        "group_ttl_s": (1.0, 3e8), "pattern_ttl_s": (1.0, 3e8), "seen_every_s": (1.0, 86400.0),
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_bounds(self, self.BOUNDS, "events.")

    @property
    def again(self) -> Retry:
        return Retry(self.again_first_s, self.again_longest_s)

    @property
    def redelivery(self) -> Retry:
        return Retry(self.redelivery_first_s, self.redelivery_longest_s)


default = EventsTuning()
