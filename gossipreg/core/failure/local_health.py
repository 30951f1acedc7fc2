"""Local health: how slow this member is, and whether what it sees says more of itself than of others.

Owns: the score of Lifeguard (3.1), by which timeouts are multiplied; the share of our pings that is acked, the share
of our suspects that helpers reach, and when we were last accused. Never knows: which member is suspected, or what
follows if the fault is ours: no death is declared (`suspicion.py`), and our return waits (`flap_damping.py`).

The score rises with missing nacks and with each refutation of ours, and falls with each ack in time.

A bad link of our own looks to us like many bad members. Two signs together show it: far fewer members answer us than
answer the helpers that we ask, and some members find that we do not answer. Each sign alone may be the fault of others
or of the network. A member at fault gives its nacks all the same: they are a measure for others. (Without them three
members of which each lost 30 % heard of their helpers' successes alone, took the fault for theirs, and left a dead
member in the answers for a minute.)
"""

from gossipreg.core.context import Context

_WEIGHT = 1 / 16
"""Of one answer in the two parts: about the last sixteen count."""
_FEW = 0.5
"""Of ours that are answered, at most, where the fault is ours. Two of 16 that are cut off together for 2.5 s again and
again miss a third, and the helpers on the other side reach all: by the comparison alone they were out for a minute."""
_FEWER = 0.3
"""By so much fewer of ours must be answered than of the helpers' before the fault is ours. Behind a link that loses
80 % one way a fifth of ours is answered, and the helpers reach everybody; where all lose 40 %, both have a third. A
bound on ours alone (0.3) is no measure: 3 to 5 of 30 members that lost 40 % everywhere found themselves at fault within
ten minutes, now nobody."""
_ACCUSED_PERIODS = 60
"""So long what others think of us counts. With 3, and with 10, one of 15 among 300 that lost 80 % one way forgot it and
took a healthy member for dead. Whose fault is over is not held up by it: soon half of its own is answered."""


class LocalHealth:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._score = 0
        self._ours = 1.0
        """The part of our first probes of those who live that were answered in time, of late."""
        self._helpers = 1.0
        """The part of the helpers' words on our suspects that they reached them, of late."""
        self._accused_at = float("-inf")

    # -- slow --------------------------------------------------------------------------------------------------------

    @property
    def score(self) -> int:
        """0 is well."""
        return self._score

    def worse(self, by: int) -> None:
        """Raise the score: we may be the slow one."""
        self._set_score(self._score + by)

    def better(self, by: int) -> None:
        """Lower the score."""
        self._set_score(self._score - by)

    def _set_score(self, score: int) -> None:
        self._score = min(max(score, 0), self._context.config.local_health_max)
        self._context.timeout_multiplier = 1 + self._score

    # -- at fault ----------------------------------------------------------------------------------------------------

    def lives(self, *, in_time: bool) -> None:
        """Somebody whom we probed lives; whether it answered us in time. A miss says nothing of us before that: of a
        part that was cut off nobody else answers."""
        self._ours += (in_time - self._ours) * _WEIGHT

    def helper_says(self, *, reached: bool) -> None:
        """A helper's word on somebody who did not answer us."""
        self._helpers += (reached - self._helpers) * _WEIGHT

    def accused(self) -> None:
        """Somebody tells us that it suspects us, or takes us for dead."""
        self._accused_at = self._context.now

    @property
    def at_fault(self) -> bool:
        """Whether the fault is ours. Who is out stays at fault until it is back."""
        context = self._context
        lately = context.now - self._accused_at <= _ACCUSED_PERIODS * context.config.period_s
        return context.damped or (lately and self._ours < min(_FEW, self._helpers - _FEWER))
