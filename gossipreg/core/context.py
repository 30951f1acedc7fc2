"""What all parts of one node share: settings, our id, the time of the current input, timers, randomness, counters, and
the effects of the current input.

Owns: nothing that the protocol is about. The table, the sessions and the outbox are handed to the parts that use them.
It decides nothing: each fact about this member (`heard_at`, `timeout_multiplier`, `damped`, `synced`) is set by one
part and read by many. The node sets `now` before anything else runs.
"""

import random
from collections.abc import Callable
from dataclasses import field

from gossipreg.config import Config
from gossipreg.core.effects import Effect, Event
from gossipreg.model import PROTOCOL, Address, NodeId, ProtocolRange
from gossipreg.quick_dataclass import dataclass
from gossipreg.timers import Timers


@dataclass(slots=True)
class Context:
    config: Config
    id: NodeId
    timers: Timers
    rng: random.Random
    now: float
    """Monotonic seconds (CLOCK_BOOTTIME) of the current input."""
    heard_at: float
    """When a datagram was last opened from any member: see `isolation.py`."""
    effects: list[Effect] = field(default_factory=list)
    """What the current input has led to so far."""
    counts: dict[str, int] = field(default_factory=dict)
    """Named counters: drops by reason, probes, suspicions, refutations, comparisons, ..."""
    received_datagrams: int = 0
    """Whatever was in them."""
    received_bytes: int = 0
    timeout_multiplier: int = 1
    """Timeouts are multiplied by this: 1 plus the score of `local_health.py`."""
    protocol: ProtocolRange = PROTOCOL
    """The versions of the protocol that this member speaks."""
    speaks: Callable[[Address], bool] = lambda _: True
    """Whether we have a socket of this address's family."""
    generation_before: int = 0
    """The last generation before that of our row whose process is known to have met a member; 0: none is. A member may
    hold our row at it, or below."""
    own_generations: frozenset[int] = frozenset()
    """Those after it that our data directory knows of: a member may hold our row at one of these, too."""
    has_met: bool = False
    """Another member has proven its address to this process."""
    damped: bool = False
    """Declared dead for a fault of our own, and not back yet: see `flap_damping.py`."""
    synced: bool = False
    """This member holds every version that other members listed, or there was no member to list: see `join.py`."""
    sync_provisional: bool = False
    """This member is synced with one that was not synced itself, and waits for others: see `last_known.py`."""
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.now

    @property
    def fully_synced(self) -> bool:
        """Whether this member announces that it is synced: not while that is provisional."""
        return self.synced and not self.sync_provisional

    @property
    def up_ms(self) -> int:
        """For how long this process has run."""
        return int((self.now - self.started_at) * 1000)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def event(self, kind: str, **fields: str | int | float) -> None:
        self.effects.append(Event(kind, tuple(fields.items())))

    def incompatible(self, theirs: ProtocolRange, **whom: str) -> None:
        """The event that a member speaks no version of the protocol that we speak. `older` says which of the two has
        to be upgraded."""
        older = "there" if theirs.newest < self.protocol.oldest else "here"
        self.event("incompatible_version", **whom, theirs=str(theirs), ours=str(self.protocol), older=older)
