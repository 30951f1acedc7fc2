"""Local suspicions: from the first probe without an ack to a declaration of death, or to an ack.

Owns: the members that this member suspects, and the ping-reqs that it has sent for them. Never knows: which member is
probed in which period, or how a declaration of death is gossiped.

A suspicion is local: unlike SWIM's, it is not gossiped. Only the suspect is told of it, and the helpers that are asked
to ping it. Other members learn of it once the suspect is declared dead.

A suspicion begins when a probe of ours gets no ack in time or its port is refused. It goes on in rounds, two timeouts
apart, or a period apart once the floor is over. In each round this member pings the suspect again, tells it that it is
suspected, and sends ping-reqs to `helpers` members, which answer this member alone. A helper that does not answer is
replaced in the next round. Any ack of the suspect, to us or to a helper, ends the suspicion.

If a partition cuts us off from the suspect, some members may still reach both sides. So members that lately reached a
suspect of ours are among the helpers of each round. This delays no declaration of death.

The suspect is declared dead if all of these hold:

- the floor is over: `floor_refused_s` since the first probe without an ack if the port was refused, `floor_silent_s` if
  there was only silence, times the timeout multiplier; and so is the hold of a suspect that announced a restart;
- `reports_needed` members could not reach it (one may be this member; the others are helpers that sent a nack). If only
  two members live, one report is enough;
- a datagram came from any member since that first probe. A member that receives nothing must not declare others dead.
  If the port was refused, the suspect is then hidden: taken out of our own answers alone. If there was only silence,
  this member is probably isolated itself (`isolation.py`);
- lost probes are not our own fault (`local_health.py`).
"""

from dataclasses import field
from typing import NamedTuple

from gossipreg.core.context import Context
from gossipreg.core.failure.facts import CutOff, DeclaredDead, FailureFact, Hidden, ProbeFailed, Suspicion
from gossipreg.core.failure.local_health import LocalHealth
from gossipreg.core.failure.prober import Prober
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId, Status
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import PingReq

_PING_REQS_MAX = 1024
"""Ping-reqs without an answer that are kept. Beyond it the oldest is forgotten, and a later answer to it counts
as unasked."""
REFUSED = "its port is refused, and no other member could confirm it"


@dataclass(frozen=True, slots=True)
class NextRound:
    """Timer: the next round of this suspicion begins."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class FloorOver:
    """Timer: the floor of this suspicion is over."""

    id: NodeId


class _SentPingReq(NamedTuple):
    helper: NodeId
    suspect: NodeId


@dataclass(slots=True)
class _Suspicion:
    generation: int
    """Of the process that did not ack. The suspicion says nothing of a process that is started later."""
    since: float
    """When the first probe without an ack was sent."""
    refused: bool
    timeout_multiplier: int
    """From local health when the suspicion began. It is kept: if the floor shrank while rounds stay far apart, a member
    would be declared dead after a single round."""
    reports: dict[NodeId, None] = field(default_factory=dict)
    """The members that could not reach the suspect."""
    unanswered: dict[int, None] = field(default_factory=dict)
    """The numbers of this round's ping-reqs without an answer."""
    round_at: float = 0.0
    """When the last round began."""
    asked: dict[NodeId, None] = field(default_factory=dict)
    """The helpers of all rounds."""
    hidden: bool = False


class LocalSuspicions:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        round_trips: RoundTrips,
        channel: Channel,
        prober: Prober,
        health: LocalHealth,
    ) -> None:
        self._context = context
        self._tuning = context.config.failure
        self._table = table
        self._ring = ring
        self._round_trips = round_trips
        self._channel = channel
        self._prober = prober
        self._health = health
        self._suspicions: dict[NodeId, _Suspicion] = {}
        self._ping_reqs: dict[int, _SentPingReq] = {}
        """The ping-reqs without an answer, by number; also those of earlier rounds and of suspicions that are over. A
        late answer is no report, but it shows whether helpers reach our suspects."""
        self._reaching: dict[NodeId, float] = {}
        """The helpers that last reached a suspect, and when; the latest last."""
        self._found: list[FailureFact] = []

    def __contains__(self, id: NodeId) -> bool:
        return id in self._suspicions

    def __len__(self) -> int:
        return len(self._suspicions)

    def take_found(self) -> list[FailureFact]:
        """Return what the node has to act on since the last call, in order."""
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def suspicion(self, id: NodeId) -> Suspicion | None:
        """The suspicion of this member, for people."""
        suspicion = self._suspicions.get(id)
        return None if suspicion is None else Suspicion(suspicion.since, self._reason(suspicion))

    def _reason(self, suspicion: _Suspicion) -> str:
        how = "its port is refused" if suspicion.refused else "no ack from it"
        asked = len(suspicion.asked)
        failed = len(suspicion.reports) - (self._context.id in suspicion.reports)
        if not asked:
            return f"{how}; there is no other member to ask"
        if not failed:
            return f"{how}; {asked} helper{'s' * (asked > 1)} asked, no answer yet"
        return f"{how}; {failed} of {asked} helpers could not reach it either"

    # -- what begins a suspicion, and what continues it --------------------------------------------------------------

    def on_failed(self, failed: ProbeFailed) -> None:
        """A probe of ours got no ack: that is a report of our own."""
        suspicion, is_new = self._suspicion_of(failed.id, failed.sent_at, refused=failed.refused)
        suspicion.refused = suspicion.refused or failed.refused
        suspicion.reports[self._context.id] = None
        self._continue(failed.id, suspicion, is_new=is_new)

    def ask_helpers(self, id: NodeId) -> None:
        """Suspect a member without a report of our own: this process was stalled too often to find out by itself."""
        suspicion, is_new = self._suspicion_of(id, self._context.now, refused=False)
        self._continue(id, suspicion, is_new=is_new)

    def _suspicion_of(self, id: NodeId, since: float, *, refused: bool) -> tuple[_Suspicion, bool]:
        """The suspicion of this member, and whether it is new."""
        suspicion = self._suspicions.get(id)
        if suspicion is not None and not self._started_again(id, suspicion):
            return suspicion, False
        generation = self._table.rows[id].liveness.generation
        suspicion = self._suspicions[id] = _Suspicion(generation, since, refused, self._context.timeout_multiplier)
        self._context.count("suspicions")
        self._context.event("member_suspect", id=id.hex(), reason="refused" if refused else "silent")
        return suspicion, True

    def _continue(self, id: NodeId, suspicion: _Suspicion, *, is_new: bool) -> None:
        if is_new:
            self._round(id, suspicion)
        self._judge(id, suspicion)

    def on_refused(self, id: NodeId) -> None:
        """The port of this member is refused."""
        suspicion = self._suspicions.get(id)
        if suspicion is not None and not suspicion.refused:
            suspicion.refused = True
            self._judge(id, suspicion)

    def on_helper_answer(self, helper: NodeId, number: int, *, reached: bool, refused: bool) -> NodeId | None:
        """A helper answers a ping-req by an ack (`reached`) or a nack. Return the suspect if the helper reached it and
        it is still suspected; the caller then ends the suspicion. A nack is a report."""
        sent = self._ping_reqs.get(number)
        if sent is None or sent.helper != helper:
            self._context.count("acks_unasked" if reached else "nacks_unasked")
            return None
        del self._ping_reqs[number]
        if self._is_a_measure(helper):
            self._health.helper_answered(reached=reached)
        suspicion = self._suspicions.get(sent.suspect)
        if suspicion is None or number not in suspicion.unanswered:
            self._context.count("answers_late")
            return None
        del suspicion.unanswered[number]
        if reached:
            self._note_reaching(helper)
            return sent.suspect
        suspicion.reports[helper] = None
        suspicion.refused = suspicion.refused or refused
        self._judge(sent.suspect, suspicion)
        return None

    def _is_a_measure(self, helper: NodeId) -> bool:
        """Whether the answer of this helper says how well helpers reach our suspects. A helper that is asked because it
        lately reached a suspect does not count, unless the cluster is so small that all members are asked anyway."""
        others = len(self._ring) - 1 - len(self._suspicions)
        return others <= self._context.config.helpers or helper not in self._reaching

    def _note_reaching(self, helper: NodeId) -> None:
        self._reaching.pop(helper, None)
        self._reaching[helper] = self._context.now
        if len(self._reaching) > self._tuning.reaching_max:
            del self._reaching[next(iter(self._reaching))]

    def on_timer(self, name: object) -> None:
        """Act if this is a timer of a suspicion that is not over."""
        match name:
            case NextRound(id) if id in self._suspicions:
                self._round(id, self._suspicions[id])
            case FloorOver(id) if id in self._suspicions:
                self._judge(id, self._suspicions[id])

    def on_stall(self, late_s: float) -> None:
        """This process stood still: that time counts against no suspect, nor do our own reports. Begin the next round
        now."""
        for id, suspicion in self._suspicions.items():
            suspicion.since += late_s
            suspicion.reports.pop(self._context.id, None)
            self._context.timers.set(NextRound(id), self._context.now)

    def on_silence_over(self) -> None:
        """Ping all suspects now: the silence may be all that there was against them. It has also lowered our local
        health so much that their next round may be far off (50 s in a WAN)."""
        for id in self._suspicions:
            self._prober.probe(id, accuse=True)

    # -- what ends a suspicion ---------------------------------------------------------------------------------------

    def reached(self, id: NodeId) -> None:
        """The member lives: it acked a ping of ours, or of a helper."""
        suspicion = self._suspicions.get(id)
        if suspicion is not None:
            self._context.count("suspicions_cleared")
            if self._context.id in suspicion.reports and not suspicion.refused:
                self._health.probe_of_living(in_time=False)
            self._end(id)

    def on_row_changed(self, id: NodeId) -> None:
        """The row of a hidden member has changed: end the suspicion if the member has started again."""
        suspicion = self._suspicions.get(id)
        if suspicion is not None:
            self._started_again(id, suspicion)

    def forget(self, id: NodeId) -> None:
        """The member is not on the ring any more."""
        if id in self._suspicions:
            self._end(id)

    def _started_again(self, id: NodeId, suspicion: _Suspicion) -> bool:
        """Whether another process of this member is known than the one that is suspected; then end the suspicion."""
        if self._table.rows[id].liveness.generation == suspicion.generation:
            return False
        self._context.count("suspicions_cleared")
        self._end(id)
        return True

    def _end(self, id: NodeId) -> None:
        suspicion = self._suspicions.pop(id)
        self._context.timers.cancel(NextRound(id))
        self._context.timers.cancel(FloorOver(id))
        if suspicion.hidden:
            self._found.append(Hidden(id, REFUSED, False))

    # -- rounds ------------------------------------------------------------------------------------------------------

    def _round(self, id: NodeId, suspicion: _Suspicion) -> None:
        """Ping the suspect again, and have helpers ping it."""
        context = self._context
        if self._started_again(id, suspicion):
            return
        if context.now >= self._earliest_death(id, suspicion) and self._receives_nothing(suspicion):
            self._on_nothing_received(id, suspicion)
        # Lifeguard 3.1: missing nacks mean that we are slow. If other members are heard, the helpers are gone instead.
        if suspicion.unanswered and context.heard_at <= min(suspicion.round_at, context.now - context.config.period_s):
            self._health.worse(len(suspicion.unanswered))
        suspicion.unanswered.clear()
        suspicion.round_at = context.now
        self._prober.probe(id, accuse=True)
        for helper in self._helpers(id, suspicion):
            self._send_ping_req(helper, id, suspicion)
        context.timers.set(NextRound(id), context.now + self._round_s(id, suspicion))

    def _send_ping_req(self, helper: NodeId, id: NodeId, suspicion: _Suspicion) -> None:
        number = self._context.rng.getrandbits(32)
        if self._channel.to(helper, PingReq(number, id)):
            suspicion.unanswered[number] = None
            suspicion.asked[helper] = None
            self._ping_reqs[number] = _SentPingReq(helper, id)
            if len(self._ping_reqs) > _PING_REQS_MAX:
                del self._ping_reqs[next(iter(self._ping_reqs))]

    def _round_s(self, id: NodeId, suspicion: _Suspicion) -> float:
        """The length of a round: the ping-req, the helper's own timeout, and its answer. Once the floor is over, at
        least a period."""
        config = self._context.config
        timeout_s = self._round_trips.bound_s(id, self._table.zone(id), config.rtt_floor_s)
        round_s = 2 * suspicion.timeout_multiplier * timeout_s
        floor_over = self._context.now > suspicion.since + self._floor_s(suspicion)
        return max(round_s, config.period_s) if floor_over else round_s

    def _helpers(self, id: NodeId, suspicion: _Suspicion) -> list[NodeId]:
        """Choose the helpers of a round among the members that we do not suspect: the suspect's ring successor once,
        since the suspect probes it; the helpers that lately reached a suspect; and in at least one place a random
        member, first one that was not asked yet."""
        context = self._context
        wanted = context.config.helpers
        barred = [id, *self._suspicions]
        unused = [*barred, *suspicion.asked]
        successor = self._ring.successor_of(id)
        chosen = [] if successor in unused or successor == context.id or wanted == 0 else [successor]
        lately = context.now - self._tuning.reaching_periods * context.config.period_s
        reaching = [one for one, at in reversed(self._reaching.items()) if at >= lately and one in self._ring]
        reaching = [one for one in reaching if one not in (*barred, *chosen)]
        chosen += reaching[: max(wanted - 1 - len(chosen), 0)]
        chosen += self._ring.sample(context.rng, wanted - len(chosen), [*unused, *chosen])
        if len(chosen) < wanted:
            chosen += self._ring.sample(context.rng, wanted - len(chosen), [*barred, *chosen])
        return chosen

    # -- declaring dead ----------------------------------------------------------------------------------------------

    def _floor_s(self, suspicion: _Suspicion) -> float:
        config = self._context.config
        return (config.floor_refused_s if suspicion.refused else config.floor_silent_s) * suspicion.timeout_multiplier

    def _earliest_death(self, id: NodeId, suspicion: _Suspicion) -> float:
        """The time before which the suspect must not be declared dead."""
        return max(suspicion.since + self._floor_s(suspicion), self._table.rows[id].hold_until)

    def _judge(self, id: NodeId, suspicion: _Suspicion) -> None:
        """Declare the suspect dead if all conditions at the head of this file hold."""
        context = self._context
        if self._started_again(id, suspicion):
            return
        earliest = self._earliest_death(id, suspicion)
        if context.now < earliest:
            context.timers.set(FloorOver(id), earliest)
            return
        context.timers.cancel(FloorOver(id))
        if self._receives_nothing(suspicion) or self._health.at_fault:
            return  # the rounds go on
        needed = context.config.reports_needed if len(self._ring) > 2 else 1
        if len(suspicion.reports) >= needed:
            if context.now - suspicion.round_at > self._tuning.stale_timeouts * self._channel.bound_s(id):
                self._round(id, suspicion)
                context.timers.set(FloorOver(id), context.now + self._channel.bound_s(id))
                return
            self._found.append(DeclaredDead(id, self._grounds(id, suspicion)))

    def _receives_nothing(self, suspicion: _Suspicion) -> bool:
        """Whether no datagram came from any member since the first probe without an ack."""
        return self._context.heard_at <= suspicion.since

    def _on_nothing_received(self, id: NodeId, suspicion: _Suspicion) -> None:
        """The floor is over, and this member receives nothing: it cannot declare the suspect dead."""
        if not suspicion.refused:
            self._found.append(CutOff(suspicion.since))
        elif not suspicion.hidden:
            suspicion.hidden = True
            self._found.append(Hidden(id, REFUSED, True))

    def _grounds(self, id: NodeId, suspicion: _Suspicion) -> str:
        """Why the suspect is declared dead, for people."""
        context, member = self._context, self._table.rows[id].member
        how = "its port is refused" if suspicion.refused else "silent"
        by = ", ".join("this sidecar" if one == context.id else self._table.name(one) for one in suspicion.reports)
        seen = f"{how} for {context.now - suspicion.since:.1f} s, as seen by {by}"
        if member is None or member.status is not Status.RESTARTING:
            return seen
        return f"it did not come back within the {member.hold_s:g} s that it had announced; {seen}"
