"""The prober: sends pings and matches them with acks.

Owns: the probes under way, our own and those that we make for others as their helper, and the timer of the period.
Never knows: who is suspected, whose turn it is, or what a missing ack means (`detector.py`).

A probe that was not acked within its timeout has failed, but it is kept for a while: a late ack still shows that the
member lives. A probe during which this process stood still is void: it gives no round-trip time and accuses nobody.
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.facts import PortRefused, ProbeFailed, ProbeVoided, Reached, Replaced
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId, Rank
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Ack, Claim, Nack, PingReq, Versions

_PROBES_MAX = 4096
"""Probes that are kept. Beyond it the oldest is forgotten, and its late ack means nothing."""


@dataclass(frozen=True, slots=True)
class Period:
    """Timer: the next period begins."""


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """Timer: the timeout of this probe is over. Void once the probe is acked."""

    number: int


@dataclass(slots=True)
class _Probe:
    target: NodeId
    address: Address
    sent_at: float
    asked_by: tuple[NodeId, int] | None
    """For an indirect ping: the member that asked us for it, and the number of its ping-req."""
    voided: bool = False
    missed: bool = False
    """We do not wait for its ack any more."""


class Prober:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel) -> None:
        """Begin the first period at a random moment, so that members that start together do not probe in step."""
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._probes: dict[int, _Probe] = {}
        """By number, the oldest first."""
        self._voided: dict[NodeId, int] = {}
        """How many probes of a member were voided in a row."""
        self._periods = context.rng.randrange(context.config.random_compare_periods)
        context.timers.set(Period(), context.now + context.rng.random() * context.config.period_s)

    # -- probing -----------------------------------------------------------------------------------------------------

    def probe(self, target: NodeId, asked_by: tuple[NodeId, int] | None = None, *, accuse: bool = False) -> bool:
        """Ping `target`. With `accuse`, tell it that we suspect it, so that it can refute that at once (Lifeguard 3.3).
        `asked_by`: the member that asked us for it, and the number of its ping-req. Returns False if no address of the
        target is known."""
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
        if accuse and row is not None:
            self._channel.put(
                address, Claim(target, row.liveness.generation, row.liveness.incarnation, Rank.SUSPECT, context.id)
            )
        context.timers.set(ProbeDue(number), context.now + self._channel.bound_s(target))
        return True

    def probe_at_random(self, probed: NodeId | None) -> None:
        """Once in `random_compare_periods` calls, ping a random member other than `probed`: its ack has the
        fingerprint of its table."""
        self._periods += 1
        if self._periods % self._context.config.random_compare_periods == 0:
            for other in self._ring.sample(self._context.rng, 1, [] if probed is None else [probed]):
                self.probe(other)

    def on_period(self, due: float) -> None:
        """Set the timer of the next period, and forget old probes."""
        context, period_s = self._context, self._context.config.period_s
        following = due + period_s
        context.timers.set(Period(), following if following > context.now else context.now + period_s)
        sent_before = context.now - context.config.failure.probes_kept_periods * period_s
        while self._probes and next(iter(self._probes.values())).sent_at < sent_before:
            self._drop(next(iter(self._probes)))

    def send_again(self, target: NodeId) -> None:
        """Send the pings to this member again that still wait for an ack."""
        for number, probe in self._probes.items():
            if probe.target == target and not probe.missed:
                self._channel.put(probe.address, self._channel.probe_of(number))

    def stop_waiting_for(self, target: NodeId) -> None:
        """Let the pings to this member that still wait for an ack accuse it of nothing: a helper has just reached it.
        It is probed again in the next period. A late ack still counts."""
        for number, probe in self._probes.items():
            if probe.target == target and probe.asked_by is None and not probe.missed:
                self._stop_waiting(number, probe)

    def _stop_waiting(self, number: int, probe: _Probe) -> None:
        probe.missed = True
        self._context.timers.cancel(ProbeDue(number))

    # -- acks --------------------------------------------------------------------------------------------------------

    def on_ack(self, peer: NodeId, ack: Ack, source: Address) -> Reached | Replaced | None:
        """Match an ack with its ping. None if there is no ping of this number to this member."""
        context = self._context
        probe = self._probes.get(ack.number)
        if probe is None:
            return None
        if probe.target != peer:
            if probe.address != source:
                return None
            context.count("replaced")
            return Replaced(probe.target, peer)
        self._drop(ack.number)
        self._voided.pop(peer, None)
        if not probe.voided:
            self._channel.measured(peer, context.now - probe.sent_at)
        if probe.asked_by is not None:
            asker, number = probe.asked_by
            self._channel.to(asker, self._channel.ack_of(number))
        return Reached(peer, in_time=probe.asked_by is None and not probe.missed)

    # -- probes without an ack ---------------------------------------------------------------------------------------

    def on_probe_due(self, number: int) -> ProbeFailed | None:
        """The timeout of this probe is over. None if that says nothing of its target to us."""
        probe = self._probes.get(number)
        if probe is None or probe.missed:
            return None
        probe.missed = True
        return self._failed(probe, refused=False)

    def sent_to(self, address: Address) -> list[int]:
        """The numbers of the probes that were sent to this address."""
        return [number for number, probe in self._probes.items() if probe.address == address]

    def refuse(self, number: int) -> PortRefused | None:
        """The port to which this probe was sent is refused. None if the probe was forgotten meanwhile."""
        probe = self._probes.get(number)
        if probe is None:
            return None
        if probe.missed:
            return PortRefused(probe.target, in_time=False, failed=None)
        self._stop_waiting(number, probe)
        return PortRefused(probe.target, in_time=True, failed=self._failed(probe, refused=True))

    def _failed(self, probe: _Probe, *, refused: bool) -> ProbeFailed | None:
        """Count a probe that got no ack. If we made it for another member, send that one a nack."""
        self._context.count("probes_refused" if refused else "probes_missed")
        if probe.asked_by is not None:
            self._nack(*probe.asked_by, refused=refused)
            return None
        return ProbeFailed(probe.target, probe.sent_at, refused) if probe.target in self._ring else None

    # -- as a helper -------------------------------------------------------------------------------------------------

    def on_ping_req(self, peer: NodeId, request: PingReq) -> None:
        """Ping the target for `peer`. If the target has left or is restarting, `peer` has missed that: send it the
        version of the target's row. If we do not know the target, do not answer: that would count as a report."""
        context = self._context
        row = self._table.rows.get(request.target)
        if request.target == context.id:
            self._channel.to(peer, self._channel.ack_of(request.number))
        elif row is not None and (row.left or row.hold_until > context.now):
            context.count("asks_explained")
            self._channel.to(peer, Versions(((row.id, *row.version),), None))
        elif not self._channel.can_speak_with(request.target):
            self._channel.to(peer, Nack(request.number))
        elif row is None or not self.probe(request.target, (peer, request.number)):
            context.count("asks_unknown")

    def _nack(self, asker: NodeId, number: int, *, refused: bool) -> None:
        """Tell the member that asked us for this indirect ping that it got no ack."""
        self._channel.to(asker, Nack(number, refused))

    # -- stalls ------------------------------------------------------------------------------------------------------

    def on_stall(self, late_s: float) -> list[ProbeVoided]:
        """Void the probes under way. Our own ones have to be sent again, so return their targets; those for others wait
        for another timeout."""
        context = self._context
        context.count("stalls")
        context.event("stalled", late_s=round(late_s, 3))
        targets: dict[NodeId, None] = {}
        for number, probe in self._probes.items():
            probe.voided = True
            if probe.missed:
                continue
            if probe.asked_by is None:
                targets[probe.target] = None
                self._stop_waiting(number, probe)
            else:
                context.timers.set(ProbeDue(number), context.now + self._channel.bound_s(probe.target))
        return [self._void(target) for target in targets if target in self._ring]

    def _void(self, target: NodeId) -> ProbeVoided:
        voided = self._voided.pop(target, 0) + 1
        if voided >= self._context.config.voided_probes:
            return ProbeVoided(target, ask_helpers=True)
        self._voided[target] = voided
        return ProbeVoided(target, ask_helpers=False)

    # -- forgetting --------------------------------------------------------------------------------------------------

    def forget(self, target: NodeId) -> None:
        """Forget the probes of this member."""
        for number in [number for number, probe in self._probes.items() if probe.target == target]:
            self._drop(number)
        self._voided.pop(target, None)

    def _drop(self, number: int) -> None:
        del self._probes[number]
        self._context.timers.cancel(ProbeDue(number))
