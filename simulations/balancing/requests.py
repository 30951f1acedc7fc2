"""One request, from its client to its end. A record without behaviour."""

from gossipreg.client.picking.balancer import Pick


class Request:
    __slots__ = ("arrives_at", "client", "done", "in_flight_before", "pick", "sent_at", "server", "work_s")

    def __init__(self, client: int, sent_at: float, work_s: float) -> None:
        self.client = client
        self.sent_at = sent_at
        self.arrives_at = sent_at
        """At its server."""
        self.work_s = work_s
        """How long a worker of speed 1 takes for it."""
        self.server = -1
        self.done = False
        """Its client has its outcome; a server may still work on it."""
        self.pick: Pick | None = None
        """Of the shipped Balancer."""
        self.in_flight_before = 0
        """At its server when it arrived there."""
