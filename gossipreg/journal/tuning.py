"""The settings of journals: times in seconds, sizes in bytes. Each says what it means and how to choose it."""

from dataclasses import dataclass
from typing import ClassVar

from gossipreg.errors import BadConfig
from gossipreg.retry import Retry
from gossipreg.tuning import Bounds, check_bounds

FOREIGN_SPACE_BYTES = 1024 * 1024 * 1024
"""What the copies of other members' journals may take at one sidecar, unless it was told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTuning:
    # -- who stands, and when --------------------------------------------------------------------------------------

    refused_grace_s: float = 2.0
    """After the leader's port was refused: a restart is likely, and it should find its journal unled."""
    silent_grace_s: float = 0.5
    """After the leader was declared dead for silence."""
    absent_grace_s: float = 5.0
    """After this sidecar came in sync and found no leader. Longer than it takes to hear of one."""
    rank_step_s: float = 1.0
    """The n-th voter in order stands n times this later. Longer than an election."""
    heard_s: float = 2.0
    """For how long an append, or a promise that was given, counts as the leader's claim. Longer than a row takes to
    arrive."""
    question_s: float = 1.0
    """How long the asked waits for its own leader before it grants a pre-vote."""
    attempt_s: float = 3.0
    """How long an election may take. Longer than the question and two round trips with their fsync."""
    elections_at_once: int = 32
    """Journals for which this sidecar stands at a time: a host that dies leaves many."""
    again_first_s: float = 1.0
    again_longest_s: float = 30.0
    again_living_s: float = 5.0
    """The longest wait between attempts while a majority of the voters is alive: only their streams fail, and no change
    of the members will say that they work again."""

    # -- a leader ----------------------------------------------------------------------------------------------------

    stuck_s: float = 5.0
    """A leader that cannot commit an entry, or prove that it leads, for so long gives up its claim."""
    abdicated_s: float = 30.0
    """For how long it does not stand then. Longer than it takes another voter to be elected."""
    waiting_bytes: int = 8 * 1024 * 1024
    waiting_entries: int = 4_096
    """What may wait to be committed; more is refused at once."""
    append_bytes: int = 256 * 1024
    """Of the entries of one append. Less than a message of a stream may have."""
    appends_in_flight: int = 2
    """To one replica. What comes meanwhile goes with the next one."""
    tell_s: float = 0.05
    """A follower is told what is committed by the next append, or after this time (0: at once): telling it at once
    would double the messages of a journal that is in use."""
    follower_again_first_s: float = 0.5
    follower_again_longest_s: float = 30.0
    """Between attempts to reach a replica that is behind."""
    piece_bytes: int = 64 * 1024
    """Of the state, in one message."""

    replays_at_once: int = 8
    """Replicas, of all journals led here, that are caught up from far behind at a time; the others wait."""
    replay_bytes_a_second: int = 8 * 1024 * 1024
    """Of what these get, together. A tenth of a Gbit/s, so that what somebody waits for is not held up."""

    # -- the log -----------------------------------------------------------------------------------------------------

    journal_bytes: int = 256 * 1024 * 1024
    """Of log and state of a journal. The last eighth is for entries that end something."""
    cut_bytes: int = 8 * 1024 * 1024
    """A log longer than this is cut, as far as its entries are in the state on the disk."""

    # -- the owner's return, and new copies ---------------------------------------------------------------------------

    return_first_s: float = 10.0
    return_longest_s: float = 600.0
    """An owner gets its journal back when it has lived for so long; twice as long after each takeover."""
    takeover_memory_s: float = 3600.0
    """Takeovers longer ago (in led time) are forgotten."""
    return_pause_s: float = 2.0
    """For how long a leader that hands over accepts nothing."""
    return_acts_s: float = 5.0
    """For how long it waits then until what it does for the journal is done."""
    leave_acts_s: float = 1.0
    """The same for a leader whose member leaves: nothing may be handled there for long any more."""
    leave_s: float = 2.0
    """A voter of a bare majority waits for so long before its member leaves: it is replaced if the journal is small."""
    orphan_s: float = 900.0
    """A journal that holds nothing is ended when its owner was away for this long, seen by one leader: so its led time
    grew by as much. Longer than the repair of a host that will be back, and longer than `EventsTuning.dedup_s`: ids of
    events alone do not keep a journal."""
    replace_s: float = 60.0
    """A voter that was dead, or had left, for so long is replaced."""
    replace_spread_s: float = 30.0
    """At random within this time more."""
    replace_lost_s: float = 1.0
    """A copy that is lost is replaced at random within this time: waiting does not bring it back."""
    copies: int = 3
    """How many voters a journal has where there are so many hosts: 1 or 3. Two would be lost with either of them."""
    min_copies: int = 1
    """A journal with fewer voters takes only entries that end something. At most `copies`."""
    replacing_at_once: int = 2
    """Journals for which this sidecar makes new copies at a time."""
    take_again_s: float = 10.0
    """Before a member that refused a copy, or did not answer, is asked again."""
    take_after_close_s: float = 0.25
    """Before a member whose stream closed on the question is asked again; twice as long each time, up to the above."""

    BOUNDS: ClassVar[Bounds] = {
        "refused_grace_s": (0.0, 60.0), "silent_grace_s": (0.0, 60.0), "absent_grace_s": (0.0, 600.0),
        "rank_step_s": (0.05, 60.0), "heard_s": (0.1, 60.0), "question_s": (0.05, 60.0), "attempt_s": (0.1, 120.0),
        "elections_at_once": (1, 100_000),
        "again_first_s": (0.05, 60.0), "again_longest_s": (0.05, 600.0), "again_living_s": (0.05, 600.0),
        "stuck_s": (0.1, 600.0), "abdicated_s": (0.0, 3600.0), "waiting_bytes": (1024 * 1024, 1024 * 1024 * 1024),
        "waiting_entries": (1, 1_000_000), "append_bytes": (4096, 1024 * 1024), "appends_in_flight": (1, 64),
        "tell_s": (0.0, 60.0), "follower_again_first_s": (0.05, 60.0), "follower_again_longest_s": (0.05, 600.0),
        "piece_bytes": (1024, 1024 * 1024), "replays_at_once": (1, 1024),
        "replay_bytes_a_second": (1024, 1024 * 1024 * 1024), "journal_bytes": (4096, 16 * 1024 * 1024 * 1024),
        "cut_bytes": (4096, 1024 * 1024 * 1024),
        "return_first_s": (0.1, 3600.0), "return_longest_s": (0.1, 86400.0), "takeover_memory_s": (0.0, 86400.0),
        "return_pause_s": (0.1, 60.0), "return_acts_s": (0.0, 60.0),
        "leave_acts_s": (0.0, 60.0), "leave_s": (0.0, 60.0), "orphan_s": (1.0, 2592000.0), "replace_s": (0.1, 86400.0),
        "replace_spread_s": (0.0, 3600.0), "replace_lost_s": (0.0, 3600.0), "copies": (1, 3), "min_copies": (1, 3),
        "replacing_at_once": (1, 64), "take_again_s": (0.1, 600.0), "take_after_close_s": (0.01, 60.0),
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_bounds(self, self.BOUNDS, "journal.")
        if self.copies == 2:
            raise BadConfig("journal.copies is 2: choose 1 or 3, since two are lost with either of them")
        if self.min_copies > self.copies:
            raise BadConfig(
                f"journal.min_copies is {self.min_copies} and journal.copies is {self.copies}: ask for no more copies"
                " than are made"
            )

    @property
    def again(self) -> Retry:
        return Retry(self.again_first_s, self.again_longest_s)

    @property
    def again_living(self) -> Retry:
        return Retry(self.again_first_s, min(self.again_living_s, self.again_longest_s))

    @property
    def follower_again(self) -> Retry:
        return Retry(self.follower_again_first_s, self.follower_again_longest_s)

    @property
    def take_after_close(self) -> Retry:
        return Retry(self.take_after_close_s, self.take_again_s)


default = JournalTuning()
