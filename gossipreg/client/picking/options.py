"""The settings of picking and resilience, with the default of each and the reason for it.

Times are in seconds. Every program may leave all of them as they are.
"""

from dataclasses import dataclass, replace

POLICIES = ("adaptive", "least_request", "round_robin", "random", "ring_hash")
PANICS = ("passing", "all")
SHORTEST_S = 0.001
"""The least time that a call is given."""


@dataclass(frozen=True, slots=True)
class PickOptions:
    """How the instances of one service are picked. Raises ValueError for a value that does not exist."""

    policy: str = "adaptive"
    """One of POLICIES. A pick with a key always uses `ring_hash`."""
    panic: str = "passing"
    """`all`: if no instance passes its health checks, pick those that are `warning` or `critical`, and mark the pick.
    `passing`: such a pick raises NoInstance."""
    zone: str = ""
    """The zone of this process. Empty: zones are not looked at."""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"policy {self.policy!r} does not exist: use one of {', '.join(POLICIES)}")
        if self.panic not in PANICS:
            raise ValueError(f"panic {self.panic!r} does not exist: use one of {', '.join(PANICS)}")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What one logical call may do. An attempt is one request of it to one instance."""

    deadline_s: float = 10.0
    """For all attempts together."""
    idempotent: bool = False
    """A request that was sent may be sent again. Without it only what was never sent is tried again."""
    attempts_max: int = 3
    """gRPC allows up to 5; the third seldom helps where the second, at another instance, failed."""
    hedge: bool = False
    """Send a second attempt while a slow first one still runs. Only for callers that can cancel the loser."""
    depth: int = 1
    """The `Gossipreg-Attempt` of the request that this process serves itself. From 2 on that request is a retry, so
    nothing is retried or hedged for it here: retries at each level of a chain would multiply."""
    attempts_before: int = 0
    """Attempts that the call has made at another service, whose fallback this one is. So its requests are retries, and
    say so to the server."""

    def __post_init__(self) -> None:
        if not self.deadline_s > 0:
            raise ValueError(f"deadline {self.deadline_s} s is over before the call begins: give it more than 0 s")
        if self.attempts_max < 1:
            raise ValueError(f"attempts {self.attempts_max}: a call makes at least 1 attempt")
        if self.depth < 0:
            raise ValueError(f"depth {self.depth}: give the Gossipreg-Attempt of the request that is served, from 1 on")

    def ending_at(self, until: float, now: float) -> "CallOptions":
        """The same for a call that begins now and has to end at `until`."""
        return replace(self, deadline_s=max(SHORTEST_S, until - now))
