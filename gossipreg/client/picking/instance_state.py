"""What this process knows of one instance beside what the registry says: requests in flight, latency, failures.

A record without behaviour: `candidates`, `balancer`, `latency` and `ejection` own the groups of its fields that are
named after them.
"""

from gossipreg.client.instance import Instance
from gossipreg.client.picking.latency import LatencyEstimate

NEVER = float("-inf")

IN = 0
OUT = 1
PROBE_DUE = 2
PROBING = 3
"""The phases of an ejection: it gets requests; ejected; its next request is a probe; the probe is under way."""


class InstanceState:
    __slots__ = (
        "failed_in_row", "failures", "gone", "in_flight", "instance", "joined_at", "last_success_at", "latency",
        "others", "others_until", "out_until", "phase", "requests", "returned_at", "share", "times_ejected", "weight",
    )  # fmt: skip

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.weight = max(0, instance.weight)

        # candidates
        self.gone = False
        """It is in the snapshot no longer; requests to it may still be in flight."""
        self.share = 0.0
        """Its weight among those that can be picked now; 0 if it cannot be."""
        self.joined_at = NEVER
        """When slow start began; NEVER: it gets its full weight."""

        # balancer
        self.in_flight = 0
        self.others = 0.0
        """What the requests of other clients count that it has in flight, as its last `gossipreg-load` said."""
        self.others_until = NEVER

        self.latency = LatencyEstimate()

        # ejection
        self.phase = IN
        self.failed_in_row = 0
        self.requests = 0
        self.failures = 0
        """Of the current window of the success rate."""
        self.last_success_at = NEVER
        self.times_ejected = 0
        self.out_until = NEVER
        self.returned_at = NEVER

    def __repr__(self) -> str:
        return f"<{self.instance.id}: share {self.share:g}, {self.in_flight} in flight, phase {self.phase}>"
