"""Config: everything that can be chosen about a member, frozen and checked at construction.

Every field gives its unit, its bounds (in `BOUNDS`, checked) and how to choose it. Times are seconds. Start from a
profile (`lan`, `wan`, `local`) and change single fields with `dataclasses.replace`.
"""

from dataclasses import dataclass

from gossipreg.errors import BadConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    cluster: str = "default"
    """Members of another cluster are answered with a mismatch and never merged. 1 to 255 bytes of UTF-8."""

    datagram_bytes: int = 1400
    """The largest UDP payload sent, bytes. A datagram is never larger than what was measured to arrive
    (`core/session/path_mtu.py`), so choose the MTU that most paths have, less 48 (IPv6, UDP)."""

    # -- watching ----------------------------------------------------------------------------------------------------

    period_s: float = 1.0
    """Every member is probed once a period. Shorter notices a crash sooner and costs bytes in proportion."""
    rtt_floor_s: float = 0.2
    """The round-trip bound never goes below: a scheduler's hiccup on a healthy host must fit."""
    rtt_ceiling_s: float = 0.9
    """... nor above. Keep it under the period."""
    rtt_initial_s: float = 0.3
    """The bound for somebody never measured. Above the largest round trip that is expected."""
    helpers: int = 3
    """How many are asked to probe a suspect (SWIM's k)."""
    reports_needed: int = 2
    """Failed looks by different members before a verdict, where more than two members live."""
    floor_refused_s: float = 0.4
    """No verdict sooner than this after the first missed probe, where the port was refused."""
    floor_silent_s: float = 2.0
    """... where there was only silence. A process that is paused for less keeps its services."""
    alone_small_s: float = 30.0
    """How long a member that hears nobody goes on answering with what it knew, in a cluster of up to 3."""
    alone_s: float = 900.0
    """... in a larger one."""
    stall_s: float = 0.1
    """A timer that fires later than this says that we were asleep: probes under way are void."""
    voided_probes: int = 3
    """So many voided probes of one member in a row, and another is asked to watch it."""
    local_health_max: int = 8
    """The ceiling of the local health score (Lifeguard 3.1): timeouts are multiplied by 1 + the score."""

    # -- telling -----------------------------------------------------------------------------------------------------

    gather_s: float = 0.005
    """News is told at most once in this time; what comes meanwhile is gathered. Longer saves datagrams under load."""
    receipt_gather_s: float = 0.01
    """Receipts are gathered so long. Well below the repeat's floor, or senders repeat for nothing."""
    repeat_floor_s: float = 0.05
    """A ring neighbour is told again no sooner than this, however short its round trips were. Far below the probe's
    floor, since a repeat for nothing costs a datagram, and one that comes late costs all behind it the wait."""
    fanout_random: int = 1
    """So many random members are told, beside the neighbours."""
    fanout_ring: int = 1
    """So many neighbours on each side of the ring are told, and told again without a receipt."""
    send_bytes_s: int = 4_000_000
    """What a member sends in a second at most, acks and probes aside."""

    # -- comparing ---------------------------------------------------------------------------------------------------

    compare_s: float = 1.0
    """At most one comparison begun per member in this time. At most a period."""
    settle_s: float = 0.1
    """What changed within this time is not compared yet: it is probably still being told."""
    random_compare_periods: int = 16
    """Every so many periods one random member is probed as well, to compare with it."""
    pulls_at_once: int = 64
    """Rows being fetched at one time. More fills a joiner sooner and a slow receiver's socket buffer as well."""
    pull_bytes_at_once: int = 128 * 1024
    """What may be on its way to a member that fetches: below its socket's receive buffer (212,992 by default)."""

    # -- keeping and forgetting --------------------------------------------------------------------------------------

    dead_row_s: float = 24 * 3600.0
    """A dead or departed durable member's row is kept, out of the answers, for so long."""
    dead_row_brief_s: float = 600.0
    """... of one that is not durable."""
    tombstone_s: float = 600.0
    """How long an owner keeps the tombstones of what it took out."""
    tombstones_max: int = 4096
    """... and how many; beyond either it raises its floor."""
    lost_max: int = 64
    """So many addresses of members lost last are called on, also after their rows are forgotten."""
    lost_calls: float = 4.0
    """So many calls on lost members a period, in the whole cluster together."""
    future_s: float = 5.0
    """A row told by others whose generation is further ahead of our clock than this is unproven."""
    leave_s: float = 2.0
    """A leave that is not acknowledged by enough members is over after this."""

    def __post_init__(self) -> None:
        for field, (low, high) in BOUNDS.items():
            value = getattr(self, field)
            if not low <= value <= high:
                raise BadConfig(f"{field} is {value}: choose from {low} to {high}")
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


BOUNDS: dict[str, tuple[float, float]] = {
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
