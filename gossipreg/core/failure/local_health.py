"""Local health: how slow this member is, and whether lost probes are its own fault.

Owns: Lifeguard's score (section 3.1), by which timeouts are multiplied; the share of our pings that are acked in time,
the share of our suspects that helpers reach, and when another member last accused us. Never knows: which member is
suspected, or what follows if the fault is ours: we declare nobody dead (`suspicion.py`), and our return is delayed
(`flap_damping.py`).

The score rises with missing nacks and with each refutation of ours. It falls with each ack in time.

If our own link is bad, many other members look bad to us. Two signs together show it: helpers reach far more of our
suspects than we do, and some members accuse us. One sign alone may be the fault of others or of the network. A member
at fault still sends nacks to others, because they count successes against failures. (When such members sent no nacks,
three members that each lost 30 % of their datagrams received only successes from their helpers, took the fault for
their own, and left a dead member in the answers for a minute.)
"""

from gossipreg.core.context import Context


class LocalHealth:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tuning = context.config.failure
        self._score = 0
        self._acked_share = 1.0
        """The share of our first probes of living members that were acked in time, lately."""
        self._helpers_share = 1.0
        """The share of the helpers' answers about our suspects that say that the helper reached it, lately."""
        self._accused_at = float("-inf")

    # -- slow --------------------------------------------------------------------------------------------------------

    @property
    def score(self) -> int:
        """0 is healthy; timeouts are multiplied by 1 + score."""
        return self._score

    def worse(self, by: int) -> None:
        """Raise the score: this member may be slow."""
        self._set_score(self._score + by)

    def better(self, by: int) -> None:
        """Lower the score."""
        self._set_score(self._score - by)

    def _set_score(self, score: int) -> None:
        self._score = min(max(score, 0), self._context.config.local_health_max)
        self._context.timeout_multiplier = 1 + self._score

    # -- own fault ---------------------------------------------------------------------------------------------------

    def probe_of_living(self, *, in_time: bool) -> None:
        """Note whether a member that lives acked our probe in time. Call it with False only once the member has shown
        that it lives: a member that is dead or cut off does not answer others either."""
        self._acked_share += (in_time - self._acked_share) * self._tuning.health_weight

    def helper_answered(self, *, reached: bool) -> None:
        """Note whether a helper reached a member that did not answer us."""
        self._helpers_share += (reached - self._helpers_share) * self._tuning.health_weight

    def accused(self) -> None:
        """Note that another member suspects us, or has declared us dead."""
        self._accused_at = self._context.now

    @property
    def at_fault(self) -> bool:
        """Whether lost probes are our own fault. A damped member counts as at fault until it has returned."""
        context = self._context
        lately = context.now - self._accused_at <= self._tuning.health_accused_periods * context.config.period_s
        limit = min(self._tuning.health_low_share, self._helpers_share - self._tuning.health_share_gap)
        return context.damped or (lately and self._acked_share < limit)
