"""Tuning: the finer settings of the core, in one frozen group for each room. A `Config` holds one of each.

Every field says what it means and how to choose it; its bounds are in `BOUNDS`. Times are in seconds. The defaults fit
all three profiles. Change a field with `replace(config, session=replace(config.session, seeds_at_once=4))`. A value out
of bounds, or one that does not go with another, raises BadConfig with what to choose instead.

These are no settings, but constants beside the code that uses them: bounds of messages, which all members must share;
bounds of memory, which hold whatever other members send; rules by which two processes must decide alike.
"""

from typing import Any, ClassVar

from gossipreg.errors import BadConfig
from gossipreg.quick_dataclass import dataclass

Bounds = dict[str, tuple[float, float]]
TUPLE_MAX = 16
"""The most values of a field that takes several."""


def check_bounds(values: object, bounds: Bounds, group: str = "") -> None:
    """Raise BadConfig if a field of `values` is out of its bounds. `group` comes before the name of the field."""
    for field, (low, high) in bounds.items():
        value = getattr(values, field)
        several = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(several) <= TUPLE_MAX:
            raise BadConfig(f"{group}{field} has {len(several)} values: choose 1 to {TUPLE_MAX}")
        if not all(low <= one <= high for one in several):
            raise BadConfig(f"{group}{field} is {value}: choose from {low} to {high}")


class RoomTuning:
    """The base of all groups. It checks the bounds of the fields, and the order of those that depend on each other. It
    is no dataclass: one that extends another is made by the standard library, which takes 0.5 ms."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]
    """Of each group."""

    room: ClassVar[str]
    rising: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of fields: the first must not be larger than the second."""

    def __post_init__(self) -> None:
        check_bounds(self, BOUNDS[self.room], f"{self.room}.")
        for small, large in self.rising:
            if getattr(self, small) > getattr(self, large):
                raise BadConfig(
                    f"{self.room}.{small} is {getattr(self, small)}: choose at most {self.room}.{large}, "
                    f"{getattr(self, large)}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTuning(RoomTuning):
    """Greetings, answers to strangers, the byte budget, and path MTU: `core/session/`."""

    room: ClassVar[str] = "session"
    rising: ClassVar[tuple[tuple[str, str], ...]] = (
        ("reconnect_first_s", "reconnect_max_s"),
        ("delta_reserve", "page_reserve"),
        ("size_valid_s", "size_confirm_s"),
    )

    reconnect_first_s: float = 0.2
    """The wait after the first greeting of the seeds. Choose it above the round trip to a seed."""
    reconnect_growth: float = 1.6
    """Each further wait is longer by this factor."""
    reconnect_max_s: float = 5.0
    """The longest of these waits: a member joins at most this time after its seed has started."""
    reconnect_report_s: float = 1.0
    """Once the wait is longer than this, the operator is told that the seeds do not answer."""
    seeds_at_once: int = 16
    """The seeds and remembered members that are greeted at one time. One answer is enough, so a few are enough unless
    most of them are gone."""
    remembered_s: float = 5.0
    """How long a member without a seed waits for the members of its last run before it is the first of a cluster.
    Choose it longer than a host takes to start its network."""

    strangers_per_s: float = 500
    """The answers in a second to senders that have proven nothing; their other datagrams are dropped and counted. An
    answer takes some 50 us of a core, so 500 are 2.5 % of it."""
    strangers_at_once: float = 2000
    """The burst above that rate. Choose at least the number of members that start at the same moment with one seed."""
    notices_per_s: float = 200
    """The notices about keys in a second. A sender without the key causes them, so members do not depend on them."""
    notice_report_s: float = 1.0
    """At most one received notice is reported to the operator in this time, because anybody can forge one."""

    delta_reserve: float = 0.25
    """Deltas are sent while more than this share of the byte budget (`send_bytes_s`) is left. The rest is for claims,
    which must arrive when there is too much to send."""
    page_reserve: float = 0.5
    """Pages and lists are sent while more than this share is left. Choose it above `delta_reserve`: a joiner can wait,
    a change cannot."""

    size_losses: int = 3
    """The losses after which a size of datagrams counts as lost (RFC 8899: MAX_PROBES). With 10 % random loss and 3,
    an error remains in 1 of 60,000 searches."""
    size_silent_rounds: int = 8
    """Measuring stops after this number of rounds without any ack, since the member is not there."""
    size_step_bytes: int = 32
    """The search for the largest size ends once it is known to within this. A smaller one costs more probes."""
    size_uses: int = 4
    """The search begins after this number of inputs that sent a member something large: a few large datagrams save
    less than the probes cost."""
    size_confirm_s: float = 10.0
    """How often the size in use is confirmed while large datagrams are sent. A path that becomes narrow without a sign
    loses datagrams for at most this time."""
    size_valid_s: float = 1.0
    """A size that was acked within this time is not validated again when a datagram seems to be lost."""
    size_raise_s: float = 30.0
    """The pause between two attempts to use a larger size on narrow paths. They cost 50 bytes a second at 30 s."""
    size_raise_next_s: float = 0.5
    """The pause after a path that is not narrow any more: most often all paths were narrow for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipTuning(RoomTuning):
    """Retransmissions, pulls, comparisons, lists and row acks: `core/gossip/`."""

    room: ClassVar[str] = "gossip"
    rising: ClassVar[tuple[tuple[str, str], ...]] = (
        ("list_missing_first_s", "list_missing_max_s"),
        ("list_unsynced_first_s", "list_unsynced_max_s"),
    )

    ack_timeouts: tuple[float, ...] = (1, 1, 4, 4)
    """How long to wait for a neighbour's ack of an update, in multiples of its retransmit timeout: after the first
    transmission, and after each retransmission. So four values are three retransmissions. Make the last ones larger, or
    a neighbour that is slow to ack gets many copies."""
    throttled_s: float = 0.02
    """If the byte budget leaves no room for queued updates, it is checked again after this time."""

    pull_tries: int = 4
    """The pulls of one page before the row is given up. The first two go to the same member. With fewer, random loss is
    reported as `pull_failed`."""
    pull_missing_s: float = 150.0
    """A row that was given up is shown as missing for this time after its last failed pull. Choose it above the longest
    interval of comparisons, `compare_s` doubled `compare_doublings` times: they pull it again."""

    many_rows: int = 8
    """A member that lacked this number of rows in one comparison compares with two others soon. If it lacked fewer,
    it gossips them on."""
    compare_doublings: int = 6
    """The interval of comparisons with one member that change nothing is doubled this number of times at most. More
    save bytes while two tables cannot become equal, and find a later difference later."""
    buckets_answer_s: float = 0.02
    """The Buckets of one member are answered once in this time, because an answer may read many rows."""

    lists_at_once: int = 8
    """The members that may begin to list our table in one period; others are named other members to list. More let a
    cluster that starts with one seed load that seed."""
    offered_members: int = 8
    """The members that are named to those others."""
    list_again_s: float = 1.0
    """A page of a list that has not come after this time is requested again, from another member if there is one.
    Choose it above the largest round trip."""
    list_missing_first_s: float = 1.0
    """A joiner that could not pull all listed rows lists the table again after this time, which is doubled each time.
    A list of 10,000 rows takes 380 KB."""
    list_missing_max_s: float = 16.0
    """The longest of these waits."""
    list_unsynced_first_s: float = 0.01
    """If a member that is not synced itself has listed its table, the joiner lists another one after this time. The
    time is doubled for each list."""
    list_unsynced_max_s: float = 0.64
    """The longest of these waits. After it such a list counts: a cluster that starts as a whole is synced that way, so
    all these waits together delay it."""
    first_silent_s: float = 5.0
    """If the member that a joiner listed first is silent for this time, the list of another one takes the place of its
    list. Choose it above the time in which a member is declared dead."""

    ack_requests_at_once: int = 32
    """The requests for row acks that are sent at once. Choose it so that the acks fit the receive buffer of the
    socket."""
    ack_request_pause_s: float = 0.02
    """The pause after these requests: 1,000 members take 0.6 s with 32 and 20 ms."""
    ack_request_max_s: float = 1.0
    """The longest interval of requests to one member. The first is its round-trip timeout, and then it is doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureTuning(RoomTuning):
    """Suspicions, local health, flap damping, quarantine and lossy pairs: `core/failure/`."""

    room: ClassVar[str] = "failure"

    suspicions_max: int = 32
    """The members that are suspected at one time. If more do not answer, this member is more likely isolated itself.
    More find the end of many members sooner; without a limit, a member whose every probe is refused goes through the
    whole ring at once, at quadratic cost."""
    stale_timeouts: float = 3
    """No member is declared dead on reports that are older than this number of timeouts: another round of helpers comes
    first. Rounds are spaced by the local health at the beginning of a suspicion, so a member that has recovered may
    have old reports only."""
    reaching_max: int = 2
    """The helpers that lately reached a suspect are asked about each suspect, in each round: the last ones, at most
    this number. Choose less than `helpers`, which leaves a place for another helper that may reach this suspect
    better."""
    reaching_periods: float = 60
    """A helper is preferred in this way for this number of periods. Any lost datagram makes such a helper. With much
    more, deaths are known later; with much less, members behind a partial partition declare each other dead again."""
    probes_kept_periods: float = 60
    """An ack that comes within this number of periods still shows that the member lives."""
    small_members: int = 3
    """A cluster of at most this number of members is small: there, silence more likely means that the others are gone
    (`alone_small_s`)."""

    health_weight: float = 1 / 16
    """The weight of one result in the shares of pings that are acked, our own and the helpers': about the last 1 /
    weight results count."""
    health_low_share: float = 0.5
    """Lost probes are our own fault only if less than this share of our pings is acked. A member that shares a cut-off
    part of the network with few others misses a third of its pings, and that is no fault of its own."""
    health_share_gap: float = 0.3
    """They are our own fault only if our share is lower than the helpers' by more than this. If all members lose 40 %,
    both shares are about a third, so the other limit alone would call healthy members faulty."""
    health_accused_periods: float = 60
    """They are our own fault only if another member has suspected us within this number of periods. With much less, a
    member behind a lossy link forgets that between two accusations."""

    flap_waits_s: tuple[float, ...] = (0, 0, 60, 300)
    """The delay of the first return after a fault of our own, of the second, ...; the last one is for all later
    returns. Begin with 0, so that a cable that is pulled once costs nothing more. With a larger last one, a member
    whose link keeps failing changes the answers of others less often."""
    flap_remembered_s: float = 1800
    """A return is forgotten after this time. Choose several times the last delay."""
    flap_silence_periods: float = 10
    """A silence that ended at most this number of periods ago may be why this member was declared dead."""
    flap_shows_periods: float = 60
    """A fault of our own may take this number of periods to show: a return before that counts with the first one after
    it."""
    flap_network_share: int = 8
    """If one in this number of members was lost at the same time, the network was at fault, and the return is not
    delayed. With more, a switch that fails again and again damps the members that it cuts off."""

    quarantine_tries: int = 3
    """The owner of a quarantined row is held dead after this number of probes without an ack. Choose it so that this
    number of losses in a row is rare."""
    quarantine_at_once: int = 16
    """The owners that are probed in one round; the others wait for the next round."""

    pair_signs: int = 8
    """A sign of a lossy pair counts once it was seen this number of times in a row. With 10 % loss each way, one ping
    in five gets no ack, and eight in a row get none once in six days. With 80 % loss one way that takes a minute."""
    pair_acks: int = 4
    """This number of acks in a row ends a lossy pair. With 80 % loss one way, four in a row come once in ten
    minutes."""
    pair_over_periods: float = 4
    """A sign that was not seen for this number of periods is over. A member that suspects us says so once a period."""
    pair_row_periods: float = 2.5
    """Two accusations are in a row if at most this number of periods is between them. Above 2, one may be lost."""
    pair_recheck_periods: float = 10
    """A member of a lossy pair is probed again after this number of periods without a ping of ours."""
    pair_unheard_periods: float = 10
    """The ring predecessor is unheard if no ping of it arrived for this number of periods and for `pair_unheard_s`. It
    pings us once a period."""
    pair_unheard_s: float = 10.0
    """Choose at least the same number of periods of the slowest profile in the cluster: the predecessor may have
    another profile than this member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTuning(RoomTuning):
    """Our own address, identity conflicts and the kept table: `core/local/`."""

    room: ClassVar[str] = "local"
    rising: ClassVar[tuple[tuple[str, str], ...]] = (
        ("conflict_answer_s", "conflict_answer_max_s"),
        ("conflict_answer_max_s", "conflict_over_s"),
    )

    witnesses: int = 2
    """The members that must observe the same new address of this member before it is announced. One may be wrong, or
    lie; more delay the announcement."""
    address_quiet_periods: float = 1.5
    """An announced address that another member has confirmed within this number of periods stays. Choose more than 1:
    the ring successor confirms it once a period."""

    conflict_answer_s: float = 1.0
    """How long to wait for an answer of another process with our id, at first. Choose it above the largest round trip
    and a retransmission. It is doubled after each time that our generation was raised."""
    conflict_answer_max_s: float = 60.0
    """The longest of these waits."""
    conflict_over_s: float = 600.0
    """A higher generation that comes later than this after ours was raised belongs to a new conflict."""

    provisional_s: float = 10.0
    """If the first member that was listed was not synced either, the kept table answers for this time longer. Choose it
    above the time in which members that all start at once find each other."""


BOUNDS: dict[str, Bounds] = {
    "session": {
        "reconnect_first_s": (0.01, 60),
        "reconnect_growth": (1, 10),
        "reconnect_max_s": (0.01, 3600),
        "reconnect_report_s": (0, 3600),
        "seeds_at_once": (1, 1024),
        "remembered_s": (0, 3600),
        "strangers_per_s": (1, 1_000_000),
        "strangers_at_once": (1, 1_000_000),
        "notices_per_s": (1, 1_000_000),
        "notice_report_s": (0.1, 3600),
        "delta_reserve": (0, 0.9),
        "page_reserve": (0, 0.9),
        "size_losses": (1, 16),
        "size_silent_rounds": (1, 100),
        "size_step_bytes": (1, 1024),
        "size_uses": (1, 10_000),
        "size_confirm_s": (0.1, 3600),
        "size_valid_s": (0, 3600),
        "size_raise_s": (0.1, 86_400),
        "size_raise_next_s": (0.01, 3600),
    },
    "gossip": {
        "ack_timeouts": (0.5, 100),
        "throttled_s": (0.001, 1),
        "pull_tries": (2, 100),
        "pull_missing_s": (1, 86_400),
        "many_rows": (1, 1000),
        "compare_doublings": (0, 16),
        "buckets_answer_s": (0, 1),
        "lists_at_once": (1, 1000),
        "offered_members": (1, 32),
        "list_again_s": (0.01, 60),
        "list_missing_first_s": (0.1, 3600),
        "list_missing_max_s": (0.1, 3600),
        "list_unsynced_first_s": (0.001, 60),
        "list_unsynced_max_s": (0.001, 60),
        "first_silent_s": (0.1, 3600),
        "ack_requests_at_once": (1, 10_000),
        "ack_request_pause_s": (0.001, 10),
        "ack_request_max_s": (0.01, 60),
    },
    "failure": {
        "suspicions_max": (1, 1000),
        "stale_timeouts": (1, 1000),
        "reaching_max": (0, 16),
        "reaching_periods": (0, 10_000),
        "probes_kept_periods": (1, 10_000),
        "small_members": (1, 1000),
        "health_weight": (0.001, 1),
        "health_low_share": (0, 1),
        "health_share_gap": (0, 1),
        "health_accused_periods": (0, 10_000),
        "flap_waits_s": (0, 86_400),
        "flap_remembered_s": (0, 604_800),
        "flap_silence_periods": (0, 10_000),
        "flap_shows_periods": (0, 10_000),
        "flap_network_share": (1, 1000),
        "quarantine_tries": (1, 100),
        "quarantine_at_once": (1, 1000),
        "pair_signs": (1, 1000),
        "pair_acks": (1, 1000),
        "pair_over_periods": (1, 1000),
        "pair_row_periods": (1, 1000),
        "pair_recheck_periods": (1, 1000),
        "pair_unheard_periods": (1, 1000),
        "pair_unheard_s": (0.1, 3600),
    },
    "local": {
        "witnesses": (1, 16),
        "address_quiet_periods": (1, 100),
        "conflict_answer_s": (0.1, 600),
        "conflict_answer_max_s": (0.1, 3600),
        "conflict_over_s": (1, 86_400),
        "provisional_s": (0, 3600),
    },
}
