"""Private suspicion: from the first missed probe to a verdict, or to an ack.

Owns: the suspicions held by this member, notes outside the table, and the questions to helpers. Never knows: whom the
detector probes next, or how a verdict is told.

A suspicion begins with a probe of ours that was missed or refused. In rounds, two bounds apart (once a verdict was due,
a period), the suspect is probed again and told that it is suspected, and `helpers` members are asked to probe it and
answer us alone; one that stays silent is replaced in the next round. Any ack ends it.

A network may be parted, but not for all. So among those who are asked, in each round, are some who lately reached a
suspect of ours. That takes no time: who is really gone is declared dead as soon as ever.

The verdict needs all of

- time: `floor_refused_s` since the first missed probe where the port was refused, `floor_silent_s` where there was only
  silence, stretched by local health; and the suspect's own `restarting` hold must be over;
- reports: `reports_needed` members found it unreachable (our own probe, or a helper's nack); one where only two live;
- a voice: a datagram opened from anybody since that probe. Who hears nobody claims nothing. Where the port was refused
  the suspect is then only taken out of our own answers; where there was silence we are probably the ones cut off.
  Who is at fault himself claims nothing either (`local_health.py`).

Only the verdict is told to all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gossipreg.core.context import Context
from gossipreg.core.failure.prober import Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId, Status
from gossipreg.wire.messages import PingReq

_STALE_BOUNDS = 3
"""No verdict on looks that are older than so many bounds. Rounds are two apart by the health that there was when the
suspicion began; who has become well since looks once more first. Without it a watcher that had been cut off took a
member for dead 11 s after the cable was back, by the one look that it had made before."""
_REACHING_MAX = 2
"""Of those who reached a suspect for us the last so many are asked about the next ones, in each round anew: asked once
for each suspect, at 10 % loss a third of their answers never came. One place is always left for somebody new: one of
them that is silent now is asked again and again."""
_REACHING_PERIODS = 60
"""Who reached a suspect longer ago is asked no sooner than others. Any lost packet makes such a one. Where they were
kept for good, and 24 of 32 members vanished, the rest took 20 s to know it (p90 of 24), else 15. With 10 periods those
who are parted, but not from all, forgot who helps: 10 changes of opinion a minute instead of none."""
_QUESTIONS_MAX = 1024
"""So many unanswered questions are remembered; an answer to an earlier one counts as unasked."""
REFUSED = "its port is refused, and no other member could confirm it"


@dataclass(frozen=True, slots=True)
class Round:
    """Timer: this suspicion's next round."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class Verdict:
    """Timer: this suspicion may be ripe."""

    id: NodeId


class _Question(NamedTuple):
    helper: NodeId
    suspect: NodeId


@dataclass(slots=True)
class _Suspicion:
    generation: int
    """Of the process that was looked for. What is known of it says nothing of the one that is started after it."""
    since: float
    """When the first missed probe was sent."""
    refused: bool
    timeout_multiplier: int
    """What local health made of bounds and floors when it began. Kept, so that a floor never shrinks under rounds that
    were spaced for a longer one: at 30 % loss that gave verdicts on a single round of looks."""
    reports: dict[NodeId, None] = field(default_factory=dict)
    """Who found it unreachable."""
    unanswered: dict[int, None] = field(default_factory=dict)
    """The numbers of this round's questions that wait for an answer."""
    asked_at: float = 0.0
    """When the last round began."""
    used: dict[NodeId, None] = field(default_factory=dict)
    """Helpers asked already."""
    hidden: bool = False


class LocalSuspicions:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        round_trips: RoundTrips,
        channel: Channel,
        detector: Prober,
        declare: Callable[[NodeId, str], None],
        hide: Callable[[NodeId, str, bool], None],
        cut_off: Callable[[float], None],
    ) -> None:
        """`declare(id, why)`: the verdict; `hide(id, why, hidden)`: out of or back into our own answers;
        `cut_off(since)`: silence all around since then."""
        self._context = context
        self._table = table
        self._ring = ring
        self._round_trips = round_trips
        self._channel = channel
        self._prober = detector
        self._declare = declare
        self._hide = hide
        self._cut_off = cut_off
        self._held: dict[NodeId, _Suspicion] = {}
        self._questions: dict[int, _Question] = {}
        """By number, those without an answer: of earlier rounds too, and of suspicions that are over. A late word is no
        report, but it says whom the helpers reach."""
        self._reaching: dict[NodeId, float] = {}
        """Who reached a suspect for us, and when; the last one last."""

    def suspects(self, id: NodeId) -> bool:
        return id in self._held

    def held(self) -> int:
        """How many are suspected here."""
        return len(self._held)

    def since(self, id: NodeId) -> float | None:
        """Since when the member is suspected here; None where it is not."""
        suspicion = self._held.get(id)
        return None if suspicion is None else suspicion.since

    def why(self, id: NodeId) -> str:
        """What a suspicion rests on, in words; empty where there is none."""
        suspicion = self._held.get(id)
        if suspicion is None:
            return ""
        how = "its port is refused" if suspicion.refused else "no ack from it"
        asked = len(suspicion.used)
        failed = len(suspicion.reports) - (self._context.id in suspicion.reports)
        if not asked:
            return f"{how}; there is no other member to ask"
        if not failed:
            return f"{how}; {asked} helper{'s' * (asked > 1)} asked, no answer yet"
        return f"{how}; {failed} of {asked} helpers could not reach it either"

    def missed(self, id: NodeId, since: float, *, refused: bool, own_report: bool = True) -> None:
        """A probe sent at `since` was missed or refused. Without `own_report` that is only a reason to ask others."""
        suspicion = self._held.get(id)
        if suspicion is not None and self._outlived(id, suspicion):
            suspicion = None
        begins = suspicion is None
        if suspicion is None:
            generation = self._table.rows[id].liveness.generation
            suspicion = self._held[id] = _Suspicion(generation, since, refused, self._context.timeout_multiplier)
            self._context.count("suspicions")
            self._context.event("member_suspect", id=id.hex(), reason="refused" if refused else "silent")
        suspicion.refused = suspicion.refused or refused
        if own_report:
            suspicion.reports[self._context.id] = None
        if begins:
            self._round(id, suspicion)
        self._judge(id, suspicion)

    def refused(self, id: NodeId) -> None:
        suspicion = self._held.get(id)
        if suspicion is not None and not suspicion.refused:
            suspicion.refused = True
            self._judge(id, suspicion)

    def reached(self, id: NodeId) -> None:
        suspicion = self._held.get(id)
        if suspicion is not None:
            self._context.count("suspicions_cleared")
            if self._context.id in suspicion.reports and not suspicion.refused:
                self._prober.health.probe_of_living(in_time=False)
            self._end(id)

    def on_answer(self, helper: NodeId, number: int, *, reached: bool, refused: bool) -> bool:
        """A helper's ack or nack. False where we did not ask it."""
        question = self._questions.get(number)
        if question is None or question.helper != helper:
            return False
        del self._questions[number]
        if self._is_a_measure(helper):
            self._prober.health.helper_answered(reached=reached)
        suspicion = self._held.get(question.suspect)
        if suspicion is None or number not in suspicion.unanswered:
            self._context.count("answers_late")
            return True
        del suspicion.unanswered[number]
        if reached:
            self._reaching.pop(helper, None)
            self._reaching[helper] = self._context.now
            if len(self._reaching) > _REACHING_MAX:
                del self._reaching[next(iter(self._reaching))]
            self._prober.pairs.helper_reached(question.suspect, helper)
            self._prober.vouched_for(question.suspect)
            self.reached(question.suspect)
        else:
            suspicion.reports[helper] = None
            suspicion.refused = suspicion.refused or refused
            self._judge(question.suspect, suspicion)
        return True

    def _is_a_measure(self, helper: NodeId) -> bool:
        """Who is asked because it reaches whom we do not is none, unless there are so few that all are asked."""
        others = len(self._ring) - 1 - len(self._held)
        return others <= self._context.config.helpers or helper not in self._reaching

    def on_timer(self, name: object) -> bool:
        match name:
            case Round(id=id) if id in self._held:
                self._round(id, self._held[id])
            case Verdict(id=id) if id in self._held:
                self._judge(id, self._held[id])
            case Round() | Verdict():
                pass
            case _:
                return False
        return True

    def slept(self, late_s: float) -> None:
        """That time is held against nobody, nor is what we missed ourselves; the next round is now."""
        for id, suspicion in self._held.items():
            suspicion.since += late_s
            suspicion.reports.pop(self._context.id, None)
            self._context.timers.set(Round(id), self._context.now)

    def forget(self, id: NodeId) -> None:
        if id in self._held:
            self._end(id)

    def heard_again(self) -> None:
        """A silence is over. It may be all that there was against the suspects; and it cost us so much health that
        their next round is far off. (On a WAN one that had been deaf asked others about them 50 s later.)"""
        for id in self._held:
            self._prober.probe(id, tell=True)

    def look_at(self, id: NodeId) -> None:
        """The row of somebody who is out of our answers has changed: it may have started again."""
        suspicion = self._held.get(id)
        if suspicion is not None:
            self._outlived(id, suspicion)

    def _outlived(self, id: NodeId, suspicion: _Suspicion) -> bool:
        """Whether it has started again since; then the suspicion is over."""
        if self._table.rows[id].liveness.generation == suspicion.generation:
            return False
        self._context.count("suspicions_cleared")
        self._end(id)
        return True

    def _end(self, id: NodeId) -> None:
        suspicion = self._held.pop(id)
        self._context.timers.cancel(Round(id))
        self._context.timers.cancel(Verdict(id))
        if suspicion.hidden:
            self._hide(id, REFUSED, False)

    # -- rounds ------------------------------------------------------------------------------------------------------

    def _round(self, id: NodeId, suspicion: _Suspicion) -> None:
        """Look again, and ask others to."""
        context = self._context
        if self._outlived(id, suspicion):
            return
        if context.now >= self._ripe_at(id, suspicion) and self._hears_nobody(suspicion):
            self._unheard(id, suspicion)
        # Lifeguard 3.1: missed nacks say that we are slow. Where others are heard, those whom we asked are gone too.
        if suspicion.unanswered and context.heard_at <= min(suspicion.asked_at, context.now - context.config.period_s):
            self._prober.health.worse(len(suspicion.unanswered))
        suspicion.unanswered.clear()
        suspicion.asked_at = context.now
        self._prober.probe(id, tell=True)
        for helper in self._helpers(id, suspicion):
            number = context.rng.getrandbits(32)
            if self._channel.to(helper, PingReq(number, id)):
                suspicion.unanswered[number] = None
                self._questions[number] = _Question(helper, id)
                if len(self._questions) > _QUESTIONS_MAX:
                    del self._questions[next(iter(self._questions))]
                suspicion.used[helper] = None
        # The question, the helper's own bound, and its answer. Once a verdict was due, nothing is in a hurry.
        wait_s = (
            2
            * suspicion.timeout_multiplier
            * self._round_trips.bound_s(id, self._table.zone(id), context.config.rtt_floor_s)
        )
        if context.now > suspicion.since + self._floor_s(suspicion):
            wait_s = max(wait_s, context.config.period_s)
        context.timers.set(Round(id), context.now + wait_s)

    def _helpers(self, id: NodeId, suspicion: _Suspicion) -> list[NodeId]:
        """Living members as far as we know: once the suspect's own successor, whom it probes; in each round those who
        lately reached one for us; and for the last place, at least, one at random, of those not asked yet first."""
        context = self._context
        wanted = context.config.helpers
        barred = [id, *self._held]
        unused = [*barred, *suspicion.used]
        successor = self._ring.successor_of(id)
        chosen = [] if successor in unused or successor == context.id or wanted == 0 else [successor]
        lately = context.now - _REACHING_PERIODS * context.config.period_s
        reaching = [one for one, at in reversed(self._reaching.items()) if at >= lately and one in self._ring]
        reaching = [one for one in reaching if one not in (*barred, *chosen)]
        chosen += reaching[: max(wanted - 1 - len(chosen), 0)]
        chosen += self._ring.sample(context.rng, wanted - len(chosen), [*unused, *chosen])
        if len(chosen) < wanted:
            chosen += self._ring.sample(context.rng, wanted - len(chosen), [*barred, *chosen])
        return chosen

    # -- hearing nobody ----------------------------------------------------------------------------------------------

    def _hears_nobody(self, suspicion: _Suspicion) -> bool:
        return self._context.heard_at <= suspicion.since

    def _unheard(self, id: NodeId, suspicion: _Suspicion) -> None:
        """The floor is over, and since the first missed probe there was no word from anybody."""
        if not suspicion.refused:
            self._cut_off(suspicion.since)
        elif not suspicion.hidden:
            suspicion.hidden = True
            self._hide(id, REFUSED, True)

    # -- the verdict -------------------------------------------------------------------------------------------------

    def _floor_s(self, suspicion: _Suspicion) -> float:
        config = self._context.config
        return (config.floor_refused_s if suspicion.refused else config.floor_silent_s) * suspicion.timeout_multiplier

    def _ripe_at(self, id: NodeId, suspicion: _Suspicion) -> float:
        return max(suspicion.since + self._floor_s(suspicion), self._table.rows[id].hold_until)

    def _judge(self, id: NodeId, suspicion: _Suspicion) -> None:
        context = self._context
        if self._outlived(id, suspicion):
            return
        ripe_at = self._ripe_at(id, suspicion)
        if context.now < ripe_at:
            context.timers.set(Verdict(id), ripe_at)
            return
        context.timers.cancel(Verdict(id))
        if self._hears_nobody(suspicion) or self._prober.health.at_fault:
            return  # the rounds go on
        needed = context.config.reports_needed if len(self._ring) > 2 else 1
        if len(suspicion.reports) >= needed:
            if context.now - suspicion.asked_at > _STALE_BOUNDS * self._channel.bound_s(id):
                self._round(id, suspicion)
                context.timers.set(Verdict(id), context.now + self._channel.bound_s(id))
                return
            self._declare(id, self._grounds(id, suspicion))

    def _grounds(self, id: NodeId, suspicion: _Suspicion) -> str:
        context, member = self._context, self._table.rows[id].member
        how = "its port is refused" if suspicion.refused else "silent"
        by = ", ".join("this sidecar" if one == context.id else self._table.name(one) for one in suspicion.reports)
        seen = f"{how} for {context.now - suspicion.since:.1f} s, as seen by {by}"
        if member is None or member.status is not Status.RESTARTING:
            return seen
        return f"it did not come back within the {member.hold_s:g} s that it had announced; {seen}"
