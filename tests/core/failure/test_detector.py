"""The failure detector alone: which facts it returns for an ack, a missed probe, a refused port, a nack, a silence."""

import random
from collections.abc import Callable

import pytest

from gossipreg.config import Config, lan
from gossipreg.core.context import Context
from gossipreg.core.failure.detector import CHECKS_MAX, FailureDetector
from gossipreg.core.failure.facts import Acked, CutOff, DeclaredDead, FailureFact, Hidden
from gossipreg.core.failure.interface import Detector
from gossipreg.core.failure.prober import Period, ProbeDue
from gossipreg.core.failure.suspicion import NextRound
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import DatagramOutbox
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Address, NodeId, Rank
from gossipreg.timers import Timers
from gossipreg.wire.messages import Ack, Claim, Message, Nack, PingReq, Probe
from gossipreg.wire.seal import Sealer
from simulations.baselines.config import lifeguard
from simulations.baselines.detector import BaselineDetector
from simulations.baselines.suspicion import IndirectOver
from tests.core.cluster import KEY, START, WALL_MS
from tests.core.speaker import GENERATION, Speaker

OWN = NodeId(b"\0" * 16)


class Bench:
    """A detector without a node, and peers that are in its table and on its ring."""

    def __init__(self, peers: int, config: Config = lan) -> None:
        rng = random.Random(1)
        self.peers = [Speaker(seed) for seed in range(1, peers + 1)]
        self.context = Context(config, OWN, Timers(), rng, START, heard_at=START)
        self.table = Table(config, OWN, GENERATION, START, WALL_MS)
        self.ring = Ring(OWN)
        for peer in self.peers:
            self.table.merge_delta(peer.row, from_owner=True, synced=True, now=START)
            self.ring.add(peer.id)
        self.outbox = DatagramOutbox(config, Sealer(KEY, self.peers[0].boot_id), START)
        round_trips = RoundTrips(config)
        self.channel = Channel(self.context, self.table, PeerSessions(rng.randbytes), self.outbox, round_trips)
        self.round_trips = round_trips

    def ours(self) -> FailureDetector:
        return FailureDetector(self.context, self.table, self.ring, self.round_trips, self.channel)

    def baseline(self) -> BaselineDetector:
        config = lifeguard()
        self.context.config = config
        return BaselineDetector(self.context, self.table, self.ring, self.channel, config)

    def sent(self) -> dict[NodeId, list[Message]]:
        """The messages that were sent since the last call, by their receivers."""
        sends = self.outbox.flush(self.context.now)
        return {peer.id: peer.received(sends) for peer in self.peers}

    def run(self, detector: Detector, until: float, *, heard: bool = True) -> list[FailureFact]:
        """Fire the timers until then. `heard`: a datagram of some member comes at each of them."""
        found: list[FailureFact] = []
        while (now := self.context.timers.next_due()) <= until:
            self.context.now = now
            self.context.heard_at = now if heard else self.context.heard_at
            for name, due in self.context.timers.pop_due(now):
                found += detector.on_timer(name, due)
        self.context.now = until
        return found


def number_of(messages: list[Message], kind: type[Probe | PingReq]) -> int:
    return next(message.number for message in messages if isinstance(message, kind))


BOTH = pytest.mark.parametrize("made", [Bench.ours, Bench.baseline], ids=["ours", "baseline"])


@BOTH
def test_an_ack_of_our_ping_is_a_fact_and_another_number_is_none(made: Callable[[Bench], Detector]) -> None:
    bench = Bench(2)
    detector, peer = made(bench), bench.peers[0]
    assert detector.probe(peer.id)
    ack = Ack(number_of(bench.sent()[peer.id], Probe), 7)
    assert detector.on_message(peer.id, Ack(ack.number ^ 1, 7), peer.address) == []
    assert bench.context.counts["acks_unasked"] == 1
    assert detector.on_message(peer.id, ack, peer.address) == [Acked(peer.id, ack, peer.address)]
    assert detector.on_message(peer.id, ack, peer.address) == [], "the probe is over"


@BOTH
def test_an_ack_of_another_member_at_the_address_replaces_the_target(made: Callable[[Bench], Detector]) -> None:
    bench = Bench(2)
    detector, (gone, other) = made(bench), bench.peers
    detector.probe(gone.id)
    ack = Ack(number_of(bench.sent()[gone.id], Probe), 7)
    assert detector.on_message(other.id, ack, other.address) == [], "from elsewhere it says nothing"
    [declared] = detector.on_message(other.id, ack, gone.address)
    assert declared == DeclaredDead(gone.id, f"member {other.id.hex()} answers at its address")


@BOTH
def test_a_forgotten_member_leaves_no_suspicion_and_no_probe_timer(made: Callable[[Bench], Detector]) -> None:
    bench = Bench(1)
    detector, peer = made(bench), bench.peers[0]
    detector.probe(peer.id)
    bench.run(detector, START + 2 * lan.period_s)
    detector.probe(peer.id)
    own = {timer for timer in bench.context.timers._due if isinstance(timer, ProbeDue | NextRound | IndirectOver)}
    assert {type(timer) for timer in own} >= {ProbeDue}
    assert len({type(timer) for timer in own}) == 2, "a probe, and a suspicion or an indirect ping"
    bench.ring.remove(peer.id)
    assert detector.forget(peer.id) == []
    assert detector.suspicion(peer.id) is None
    assert own.isdisjoint(bench.context.timers._due)


def suspected(bench: Bench, detector: FailureDetector, *, refused: bool) -> Speaker:
    """The first peer, after the one ping of it that is under way was refused, or got no ack in time."""
    suspect = bench.peers[0]
    detector.probe(suspect.id)
    if refused:
        assert detector.on_refused(suspect.address) == []
    else:
        bench.run(detector, START + bench.channel.bound_s(suspect.id), heard=False)
    assert detector.suspicion(suspect.id) is not None
    return suspect


def test_refused_addresses_of_no_member_are_checked_within_a_bound() -> None:
    bench = Bench(2)
    detector, (first, second) = bench.ours(), bench.peers
    detector.on_refused(first.address)
    [probe] = bench.sent()[first.id]
    assert isinstance(probe, Probe), "something else than a probe was refused at a member's address"
    for port in range(1, 2 * CHECKS_MAX):
        detector.on_refused(Address("192.0.2.1", port))
    assert len(detector._checked) == CHECKS_MAX
    detector.on_refused(second.address)
    assert not any(bench.sent().values())
    detector.on_timer(Period(), START + lan.period_s)
    bench.sent()
    assert len(detector._checked) == 0, "in each period anew"


def test_a_suspect_is_declared_dead_after_a_nack_and_the_floor() -> None:
    bench = Bench(5)
    detector = bench.ours()
    suspect = suspected(bench, detector, refused=True)
    sent = bench.sent()
    assert any(isinstance(one, Claim) and one.rank is Rank.SUSPECT for one in sent[suspect.id])
    asked = [peer for peer in bench.peers if any(isinstance(one, PingReq) for one in sent[peer.id])]
    assert len(asked) == lan.helpers
    assert bench.run(detector, START + lan.floor_refused_s / 2) == []
    nack = Nack(number_of(sent[asked[0].id], PingReq), refused=True)
    assert detector.on_message(asked[0].id, nack, asked[0].address) == [], "the floor is not over"
    [declared, *again] = bench.run(detector, START + lan.floor_refused_s + 0.01)
    assert isinstance(declared, DeclaredDead)
    assert (declared.id, again) == (suspect.id, [])
    assert "this sidecar, speaker-" in declared.why


def test_a_refused_port_hides_a_member_while_nobody_is_heard() -> None:
    bench = Bench(1)
    detector = bench.ours()
    suspect = suspected(bench, detector, refused=True)
    found = bench.run(detector, START + 5, heard=False)
    why = "its port is refused, and no other member could confirm it"
    assert found == [Hidden(suspect.id, why, True)]
    ack = Ack(number_of(bench.sent()[suspect.id], Probe), 7)
    assert detector.on_message(suspect.id, ack, suspect.address) == [
        Hidden(suspect.id, why, False),
        Acked(suspect.id, ack, suspect.address),
    ]


def test_silence_of_all_members_is_reported_as_cut_off() -> None:
    bench = Bench(3)
    detector = bench.ours()
    suspected(bench, detector, refused=False)
    found = bench.run(detector, START + 10, heard=False)
    assert found
    assert {type(fact) for fact in found} == {CutOff}
    assert found[0] == CutOff(START)


def test_an_ack_of_a_helper_ends_the_suspicion() -> None:
    bench = Bench(3)
    detector = bench.ours()
    suspect = suspected(bench, detector, refused=False)
    sent = bench.sent()
    helper = next(peer for peer in bench.peers if any(isinstance(one, PingReq) for one in sent[peer.id]))
    ack = Ack(number_of(sent[helper.id], PingReq), 7)
    assert detector.on_message(helper.id, ack, helper.address) == []
    assert detector.suspicion(suspect.id) is None
    assert bench.context.counts["suspicions_cleared"] == 1


def test_a_stall_sends_the_pings_under_way_again_and_suspects_nobody() -> None:
    bench = Bench(3)
    detector, peer = bench.ours(), bench.peers[0]
    detector.probe(peer.id)
    first = number_of(bench.sent()[peer.id], Probe)
    bench.context.now += 5
    assert detector.on_stall(5.0) == []
    assert detector.suspicion(peer.id) is None
    assert number_of(bench.sent()[peer.id], Probe) != first


@pytest.mark.parametrize("stalled", [False, True])
def test_an_ack_gives_a_round_trip_unless_a_stall_voided_the_ping(stalled: bool) -> None:
    bench = Bench(3)
    detector, peer = bench.ours(), bench.peers[0]
    detector.probe(peer.id)
    number = number_of(bench.sent()[peer.id], Probe)
    bench.context.now += 0.1
    if stalled:
        detector.on_stall(0.1)
    [acked] = detector.on_message(peer.id, Ack(number, 7), peer.address)
    assert isinstance(acked, Acked), "a late ack counts all the same"
    assert bench.round_trips.smoothed_s(peer.id) == (None if stalled else pytest.approx(0.1))
