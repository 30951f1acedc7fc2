"""The detector: who is probed when, and what an answer or a silence means.

Owns: probes under way, those that we make for others, and the order of probing. Never knows: how a suspicion ends
(`suspicion.py`).

Each period the nearest unsuspected successor on the ring is probed, so everybody is probed once a period. No answer
within the round-trip bound, or a refused port, hands the target to the suspicions, and the next successor is probed at
once. Once in `random_compare_periods` a random member is probed too, for the sake of its fingerprint.

A timer that fires late by more than `stall_s` says that we were asleep: probes that ran meanwhile are void. They are
sent anew, give no round-trip sample, and after `voided_probes` in a row for one member another is asked to look at it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gossipreg.core.context import Context
from gossipreg.core.failure.local_health import LocalHealth
from gossipreg.core.failure.pairs import Pairs
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId, Rank
from gossipreg.wire.messages import Ack, Claim, Nack, PingReq, Versions

_PROBES_MAX = 4096
"""Probes kept waiting for an ack; beyond it the oldest is forgotten (its late ack then means nothing)."""
_PROBES_KEPT_PERIODS = 60
"""For so long."""

_SUSPICIONS_MAX = 32
"""So many members are suspected here at one time, of our own accord; whoever finds more silent is more likely cut off
itself. Without a bound one whose every probe was refused went through the whole ring at once, at quadratic cost."""


@dataclass(frozen=True, slots=True)
class Period:
    """Timer: the next period begins."""


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """Timer: the answer to this probe is overdue. Void once the probe is answered."""

    number: int


@dataclass(slots=True)
class _Probe:
    target: NodeId
    address: Address
    sent_at: float
    asked_by: tuple[NodeId, int] | None
    """For whom, and with which number, where it is an indirect probe."""
    voided: bool = False
    missed: bool = False


class Suspicions(Protocol):
    """What becomes of a member that did not answer."""

    def suspects(self, id: NodeId) -> bool: ...
    def held(self) -> int: ...
    def since(self, id: NodeId) -> float | None: ...
    def why(self, id: NodeId) -> str: ...
    def missed(self, id: NodeId, since: float, *, refused: bool, own_report: bool = True) -> None: ...
    def refused(self, id: NodeId) -> None: ...
    def reached(self, id: NodeId) -> None: ...
    def on_answer(self, helper: NodeId, number: int, *, reached: bool, refused: bool) -> bool: ...
    def on_timer(self, name: object) -> bool: ...
    def slept(self, late_s: float) -> None: ...
    def heard_again(self) -> None: ...
    def look_at(self, id: NodeId) -> None: ...
    def forget(self, id: NodeId) -> None: ...


class Prober:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self.health = LocalHealth(context)
        """Told by all who see something of it."""
        self.suspicions: Suspicions
        self.declare: Callable[[NodeId, str], None]
        """The verdict. This and `suspicions` are set by the node, once those who need the detector are made."""
        self.pairs = Pairs(context, table, ring, channel, self.probe)
        """Members that lose datagrams on the way from or to us. The parts that see a sign of that call it."""
        self._probes: dict[int, _Probe] = {}
        self._voided: dict[NodeId, int] = {}
        self._checked: dict[Address, None] = {}
        """Addresses looked at in this period because something was refused there."""
        self._periods = context.rng.randrange(context.config.random_compare_periods)

    def start(self) -> None:
        """The first period begins at a random moment, so that members started together are not in step."""
        context = self._context
        context.timers.set(Period(), context.now + context.rng.random() * context.config.period_s)

    # -- whom to probe -----------------------------------------------------------------------------------------------

    def on_period(self, due: float) -> None:
        context, config = self._context, self._context.config
        following = due + config.period_s
        context.timers.set(Period(), following if following > context.now else context.now + config.period_s)
        self._checked.clear()
        self._forget_old()
        target = self._probe_this_period()
        self.pairs.on_period()
        self._periods += 1
        if self._periods % config.random_compare_periods == 0:
            for other in self._ring.sample(context.rng, 1, [] if target is None else [target]):
                self.probe(other)

    def _probe_this_period(self) -> NodeId | None:
        """Probe the member whose turn it is."""
        target = self._next_target()
        if target is not None:
            self.probe(target, tell=self.suspicions.suspects(target))
        return target

    def _forget_old(self) -> None:
        sent_before = self._context.now - _PROBES_KEPT_PERIODS * self._context.config.period_s
        while self._probes and next(iter(self._probes.values())).sent_at < sent_before:  # the oldest is the first
            self._drop(next(iter(self._probes)))

    def _next_target(self) -> NodeId | None:
        context = self._context
        if self.suspicions.held() >= _SUSPICIONS_MAX:  # whoever answers now ends our doubts of ourselves
            return next(iter(self._ring.sample(context.rng, 1)), None)
        return next((id for id in self._ring.successors() if not self.suspicions.suspects(id)), None)

    # -- probing -----------------------------------------------------------------------------------------------------

    def probe(self, target: NodeId, asked_by: tuple[NodeId, int] | None = None, *, tell: bool = False) -> bool:
        """Probe `target`; with `tell`, say to it that it is suspected. False where it has no known address."""
        context = self._context
        address = self._channel.address(target)
        if address is None:
            return False
        number = context.rng.getrandbits(32)
        while number in self._probes:
            number = context.rng.getrandbits(32)
        self._probes[number] = _Probe(target, address, context.now, asked_by)
        if len(self._probes) > _PROBES_MAX:
            self._drop(next(iter(self._probes)))
        context.count("probes")
        self._channel.put(address, self._channel.probe_of(number))
        row = self._table.rows.get(target)
        if tell and row is not None:
            self._channel.put(
                address, Claim(target, row.liveness.generation, row.liveness.incarnation, Rank.SUSPECT, context.id)
            )
        context.timers.set(ProbeDue(number), context.now + self._channel.bound_s(target))
        return True

    def on_dropped(self, peer: NodeId) -> None:
        """It had to ask who we are, so it dropped our probe: send it again."""
        for number, probe in self._probes.items():
            if probe.target == peer and not probe.missed:
                self._channel.put(probe.address, self._channel.probe_of(number))

    def vouched_for(self, id: NodeId) -> None:
        """Another member reaches it, so a probe of ours that is still under way accuses it of nothing: we look again in
        the next period. (Where that member was the first one asked, doubt and word took turns five times a second.)"""
        for number, probe in self._probes.items():
            if probe.target == id and probe.asked_by is None and not probe.missed:
                probe.missed = True  # its late ack still counts
                self._context.timers.cancel(ProbeDue(number))

    def on_ack(self, peer: NodeId, ack: Ack, source: Address) -> bool:
        """An answer to a probe of ours (True), or a helper's word that it reached whom we suspect."""
        context = self._context
        probe = self._probes.get(ack.number)
        if probe is not None and probe.target != peer and probe.address == source:
            self._replaced(probe.target, peer)
            return False
        if probe is None or probe.target != peer:
            if not self.suspicions.on_answer(peer, ack.number, reached=True, refused=False):
                context.count("acks_unasked")
            return False
        self._drop(ack.number)
        self._voided.pop(peer, None)
        self.pairs.answered(peer)
        if not probe.voided:
            self._channel.measured(peer, context.now - probe.sent_at)
        if probe.asked_by is not None:
            asker, number = probe.asked_by
            self._channel.to(asker, self._channel.ack_of(number))
        elif not probe.missed:
            self.health.better(1)
            if not self.suspicions.suspects(peer):
                self.health.probe_of_living(in_time=True)
        self.suspicions.reached(peer)
        return True

    def _replaced(self, target: NodeId, by: NodeId) -> None:
        """Another member has answered, from there, the number that we sent to the target's address: the target is
        there no more. Where it lives elsewhere it will refute that."""
        self._context.count("replaced")
        self.declare(target, f"member {by.hex()} answers at its address")

    def on_probe_due(self, number: int) -> None:
        """No answer within the bound. The probe stays known: a late ack still clears the suspicion."""
        probe = self._probes.get(number)
        if probe is None or probe.missed:
            return
        probe.missed = True
        self._failed(probe, refused=False)

    def _failed(self, probe: _Probe, *, refused: bool) -> None:
        context = self._context
        context.count("probes_refused" if refused else "probes_missed")
        if probe.asked_by is not None:
            self._nack(*probe.asked_by, refused=refused)
            return
        if probe.target not in self._ring:
            return
        if not refused:
            self.pairs.missed(probe.target)
        self._missed(probe.target, probe.sent_at, refused=refused)

    def _nack(self, asker: NodeId, number: int, *, refused: bool) -> None:
        """Tell the member for which we probed that there was no ack."""
        self._channel.to(asker, Nack(number, refused))

    def _missed(self, target: NodeId, sent_at: float, *, refused: bool) -> None:
        """A probe of our own got no ack."""
        known = self.suspicions.suspects(target)
        if not known and self.suspicions.held() >= _SUSPICIONS_MAX:
            self._context.count("suspicions_put_off")
            return
        self.suspicions.missed(target, sent_at, refused=refused)
        if not known:
            following = self._next_target()
            if following is not None:
                self.probe(following)

    def refused(self, address: Address) -> None:
        """The kernel says that nobody listens there. It may be forged, so it only makes us look now."""
        context = self._context
        hit = [number for number, probe in self._probes.items() if probe.address == address]
        targets: dict[NodeId, None] = {}
        under_way = False
        for number in hit:
            probe = self._probes.get(number)
            if probe is None:  # a verdict on the way here dropped it
                continue
            targets[probe.target] = None
            if not probe.missed:
                under_way = probe.missed = True
                context.timers.cancel(ProbeDue(number))
                self._failed(probe, refused=True)
        for target in targets:
            self.suspicions.refused(target)
        if not under_way and not any(map(self.suspicions.suspects, targets)):
            self._check(address)

    def _check(self, address: Address) -> None:
        """Something else than a probe under way was refused: probe whoever has that address, once a period."""
        context = self._context
        if address in self._checked:
            return
        self._checked[address] = None
        for id in self._ring.neighbours(context.config.fanout_ring) + list(self._ring.successors()):
            if self._channel.address(id) == address:
                self.probe(id)
                return

    # -- for others --------------------------------------------------------------------------------------------------

    def on_ping_req(self, peer: NodeId, request: PingReq) -> None:
        """Probe the target for `peer`. Of one that left or restarts it is told that instead; of one that we do not know
        nothing, for that would be no report."""
        context = self._context
        row = self._table.rows.get(request.target)
        if request.target == context.id:
            self._channel.to(peer, self._channel.ack_of(request.number))
        elif row is not None and (row.left or row.hold_until > context.now):
            # It said so itself, and the asker has not heard it: what it lacks is that, and no report.
            context.count("asks_explained")
            self._channel.to(peer, Versions(((row.id, *row.version),), None))
        elif not self._channel.can_speak_with(request.target):
            self._channel.to(peer, Nack(request.number))
        elif row is None or not self.probe(request.target, (peer, request.number)):
            context.count("asks_unknown")

    def on_nack(self, peer: NodeId, nack: Nack) -> None:
        if not self.suspicions.on_answer(peer, nack.number, reached=False, refused=nack.refused):
            self._context.count("nacks_unasked")

    # -- being slow --------------------------------------------------------------------------------------------------

    def slept(self, late_s: float) -> None:
        """We were asleep: what ran meanwhile is void, and looked at again."""
        context = self._context
        context.count("stalls")
        context.event("stalled", late_s=round(late_s, 3))
        self.suspicions.slept(late_s)
        again: dict[NodeId, None] = {}
        for number, probe in list(self._probes.items()):
            probe.voided = True
            if probe.missed:
                continue
            if probe.asked_by is None:
                again[probe.target] = None
                probe.missed = True  # its late ack still counts
                context.timers.cancel(ProbeDue(number))
            else:
                context.timers.set(ProbeDue(number), context.now + self._channel.bound_s(probe.target))
        for target in again:
            if target not in self._ring:
                continue
            voided = self._voided[target] = self._voided.get(target, 0) + 1
            if voided >= context.config.voided_probes:
                del self._voided[target]
                self.suspicions.missed(target, context.now, refused=False, own_report=False)
            else:
                self.probe(target)

    # -- the end of things -------------------------------------------------------------------------------------------

    def forget(self, id: NodeId) -> None:
        """No longer on the ring: nothing about it is asked or answered."""
        for number in [number for number, probe in self._probes.items() if probe.target == id]:
            self._drop(number)
        self._voided.pop(id, None)
        self.pairs.forget(id)
        self.suspicions.forget(id)

    def _drop(self, number: int) -> None:
        del self._probes[number]
        self._context.timers.cancel(ProbeDue(number))
