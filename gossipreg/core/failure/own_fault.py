"""Our own fault: whether what we see says more of us than of others.

Owns: how many answer us of late, how many answer our helpers, and when we were last accused. Never knows: who is
suspected, or what follows if the fault is ours: no verdict (`suspicion.py`), a return that waits
(`flap_damping.py`).

A bad link of our own looks to us like many bad members. Two things together tell it: far fewer answer us than answer
the helpers that we ask, and some find that we do not answer. Each alone may be the others' fault, or the network's.
Who is at fault gives its nacks all the same: they are a measure for others. Without them three members of which each
lost 30 % heard of their helpers' successes alone, took the fault for theirs, and left a dead one there for a minute.
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


class OwnFault:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._ours = 1.0
        """The part of our first probes of those who live that were answered in time, of late."""
        self._helpers = 1.0
        """The part of the helpers' words on our suspects that they reached them, of late."""
        self._accused_at = float("-inf")

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
        return context.out or (lately and self._ours < min(_FEW, self._helpers - _FEWER))
