"""Config: everything that can be chosen about a member, frozen and checked at construction.

Every field says what it means and how to choose it; its bounds are in `BOUNDS`. Times are in seconds. Start from a
profile (`lan`, `wan`, `local`) and change single fields with `dataclasses.replace`. A value out of bounds, or one that
does not go with another, raises BadConfig with what to choose instead. The settings that are the same in all
profiles are in the groups of `tuning.py`.
"""

from dataclasses import field

from gossipreg.errors import BadConfig
from gossipreg.quick_dataclass import dataclass
from gossipreg.tuning import Bounds, FailureTuning, GossipTuning, LocalTuning, SessionTuning, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    cluster: str = "default"
    """The name of the cluster, 1 to 255 bytes of UTF-8. Members of another cluster are answered with a mismatch and
    never merged."""

    datagram_bytes: int = 1400
    """The largest UDP payload sent, bytes. A datagram is never larger than what was measured to arrive
    (`core/session/path_mtu.py`), so choose the MTU that most paths have, less 48 (IPv6, UDP)."""

    # -- failure detection ---------------------------------------------------------------------------------------------

    period_s: float = 1.0
    """The period of probing: each member is probed once in this time. A shorter one detects a crash sooner, and costs
    bytes in proportion."""
    rtt_floor_s: float = 0.2
    """The least timeout of a probe. Choose it above a scheduler's hiccup on a healthy host."""
    rtt_ceiling_s: float = 0.9
    """The largest timeout of a probe. Choose at most the period."""
    rtt_initial_s: float = 0.3
    """The timeout of a probe to a member that was never measured. Choose it above the largest expected round trip."""
    helpers: int = 3
    """The number of members that are asked to ping a suspect (SWIM's k)."""
    reports_needed: int = 2
    """The number of members that must find a suspect unreachable before it is declared dead, if more than two members
    live. More than 1 needs helpers."""
    floor_refused_s: float = 0.4
    """The least time from the first missed probe to a declaration of death, if the suspect's port was refused."""
    floor_silent_s: float = 2.0
    """The same time if there was only silence. A process that is paused for less keeps its services in the answers."""
    alone_small_s: float = 30.0
    """How long an isolated member goes on answering with what it knew, in a cluster of up to 3 members."""
    alone_s: float = 900.0
    """The same time in a larger cluster."""
    stall_s: float = 0.1
    """A timer that fires later than this shows that this process was asleep, and voids its probes. Choose it above the
    usual delay of the loop on a busy host."""
    voided_probes: int = 3
    """After this number of voided probes of one member in a row, helpers are asked to ping it."""
    local_health_max: int = 8
    """The ceiling of the local health score (Lifeguard 3.1): timeouts are multiplied by 1 + the score."""

    # -- dissemination -------------------------------------------------------------------------------------------------

    gather_s: float = 0.005
    """Updates are gossiped at most once in this time; those in between are gathered. A longer one saves datagrams under
    load."""
    receipt_gather_s: float = 0.025
    """Receipts go in datagrams of their own at most once in this time; those in between wait for other messages to go
    with. A longer one saves datagrams under load. Choose it below `repeat_floor_s`, or senders of earlier releases
    retransmit for nothing."""
    repeat_floor_s: float = 0.035
    """The least retransmit timeout to a ring neighbour, to which `receipt_gather_s` is added. It may be far below
    `rtt_floor_s`: a retransmission for nothing costs one datagram, while a late one delays every member behind the
    neighbour."""
    fanout_random: int = 1
    """The number of random members that an update is gossiped to, beside the neighbours."""
    fanout_ring: int = 1
    """The number of neighbours on each side of the ring that an update is gossiped to, with retransmissions until they
    ack."""
    send_bytes_s: int = 4_000_000
    """The bytes that a member sends in a second at most, acks and probes not counted."""

    # -- anti-entropy --------------------------------------------------------------------------------------------------

    compare_s: float = 1.0
    """The least time between two comparisons that this member begins with the same member. Choose at most the
    period."""
    settle_s: float = 0.1
    """A bucket that changed within this time is not compared yet: the change is probably still being gossiped."""
    random_compare_periods: int = 16
    """Once in this number of periods a random member is probed too, to compare the tables."""
    pulls_at_once: int = 64
    """The number of rows that are pulled at the same time. More fill a joiner sooner, and a slow receiver's socket
    buffer too."""
    pull_bytes_at_once: int = 128 * 1024
    """The bytes that may be on their way to a member that pulls. Choose less than its socket's receive buffer (212,992
    by default)."""

    # -- keeping and forgetting ----------------------------------------------------------------------------------------

    dead_row_s: float = 24 * 3600.0
    """How long the row of a dead or departed member with a data directory is kept, out of the answers."""
    dead_row_brief_s: float = 600.0
    """The same time for a member without one."""
    tombstone_s: float = 600.0
    """How long an owner keeps the tombstones of its deregistered entries."""
    tombstones_max: int = 4096
    """The number of tombstones that an owner keeps; beyond it, or after `tombstone_s`, it raises its tombstone
    floor."""
    lost_max: int = 64
    """The number of addresses of members that died last which are still greeted, also after their rows are
    forgotten."""
    lost_calls: float = 4.0
    """The number of greetings to dead members in a period, sent by all members of the cluster together."""
    future_s: float = 5.0
    """A row that others send is quarantined if its generation is further ahead of our clock than this."""
    leave_s: float = 2.0
    """A leave that too few members have acked is over after this time."""

    # -- the finer settings of each room of the core -------------------------------------------------------------------

    session: SessionTuning = field(default_factory=SessionTuning)
    """Greetings, answers to strangers, the byte budget, and path MTU."""
    gossip: GossipTuning = field(default_factory=GossipTuning)
    """Retransmissions, pulls, comparisons, lists and row acks."""
    failure: FailureTuning = field(default_factory=FailureTuning)
    """Suspicions, local health, flap damping, quarantine and lossy pairs."""
    local: LocalTuning = field(default_factory=LocalTuning)
    """Our own address, identity conflicts and the kept table."""

    def __post_init__(self) -> None:
        check_bounds(self, BOUNDS)
        if not 1 <= len(self.cluster.encode()) <= 255:
            raise BadConfig(f"cluster name {self.cluster!r}: choose 1 to 255 bytes")
        if not self.rtt_floor_s <= self.rtt_initial_s <= self.rtt_ceiling_s <= self.period_s:
            raise BadConfig(
                "choose rtt_floor_s <= rtt_initial_s <= rtt_ceiling_s <= period_s, not "
                f"{self.rtt_floor_s}, {self.rtt_initial_s}, {self.rtt_ceiling_s}, {self.period_s}"
            )
        if self.compare_s > self.period_s:
            raise BadConfig(f"compare_s is {self.compare_s}: choose at most period_s, {self.period_s}")
        if self.reports_needed > 1 and not self.helpers:
            raise BadConfig(f"reports_needed is {self.reports_needed}, and helpers is 0: choose helpers from 1 on")
        if self.receipt_gather_s >= self.repeat_floor_s:
            raise BadConfig(f"receipt_gather_s is {self.receipt_gather_s}: choose less than {self.repeat_floor_s}")
        if self.repeat_floor_s > self.rtt_ceiling_s:
            raise BadConfig(
                f"repeat_floor_s is {self.repeat_floor_s}: choose at most rtt_ceiling_s, {self.rtt_ceiling_s}"
            )


BOUNDS: Bounds = {
    "datagram_bytes": (576, 8900),
    "period_s": (0.05, 60),
    "rtt_floor_s": (0.001, 10),
    "rtt_ceiling_s": (0.002, 30),
    "rtt_initial_s": (0.001, 30),
    "helpers": (0, 16),
    "reports_needed": (1, 8),
    "floor_refused_s": (0, 60),
    "floor_silent_s": (0, 600),
    "alone_small_s": (0, 86_400),
    "alone_s": (0, 86_400),
    "stall_s": (0.005, 60),
    "voided_probes": (1, 100),
    "local_health_max": (0, 32),
    "gather_s": (0, 1),
    "receipt_gather_s": (0, 1),
    "repeat_floor_s": (0.001, 10),
    "fanout_random": (0, 16),
    "fanout_ring": (0, 4),
    "send_bytes_s": (10_000, 10_000_000_000),
    "compare_s": (0.01, 60),
    "settle_s": (0, 10),
    "random_compare_periods": (1, 1000),
    "pulls_at_once": (1, 4096),
    "pull_bytes_at_once": (16_384, 16 * 1024 * 1024),
    "dead_row_s": (10, 30 * 86_400),
    "dead_row_brief_s": (10, 30 * 86_400),
    "tombstone_s": (1, 86_400),
    "tombstones_max": (1, 100_000),
    "lost_max": (0, 1024),
    "lost_calls": (0, 64),
    "future_s": (0, 3600),
    "leave_s": (0, 60),
}

lan = Config()
"""Machines in one or a few close data centres: round trips well under 100 ms."""

wan = Config(
    period_s=3.0, rtt_floor_s=0.4, rtt_initial_s=1.0, rtt_ceiling_s=2.5, floor_refused_s=1.0, floor_silent_s=5.0,
    compare_s=3.0, settle_s=0.5, receipt_gather_s=0.02, repeat_floor_s=0.1, stall_s=0.3,
)  # fmt: skip
"""Members on several continents."""

local = Config(
    rtt_floor_s=0.1, rtt_initial_s=0.2, rtt_ceiling_s=0.45, period_s=0.5, compare_s=0.5, floor_refused_s=0.25,
    floor_silent_s=1.2,
)  # fmt: skip
"""All on one machine, or on one switch: a shorter period, twice the idle bytes."""

PROFILES = {"local": local, "lan": lan, "wan": wan}
