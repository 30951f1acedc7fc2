"""Who is behind a boot id: one binding a member, numbers without memory, and bounds on all that is kept."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.core.session.sessions import PeerSessions
from gossipreg.model import Address, BootId, NodeId
from tests.examples import examples

HERE, THERE = Address("10.0.0.1", 1), Address("10.0.0.1", 2)
ids = st.integers(0, 4).map(lambda n: NodeId(bytes([n]) * 16))
boots = st.integers(0, 4).map(lambda n: BootId(bytes([n]) * 8))
A, B = NodeId(b"a" * 16), NodeId(b"b" * 16)
FIRST, SECOND = BootId(b"first..."), BootId(b"second..")


def some_peers() -> PeerSessions:
    return PeerSessions(random.Random(1).randbytes)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(boots, ids, st.integers(0, 3), st.booleans()) | ids, max_size=40))
def test_a_member_has_one_binding_that_of_its_highest_generation(
    steps: list[tuple[BootId, NodeId, int, bool] | NodeId],
) -> None:
    peers = some_peers()
    model: dict[NodeId, tuple[int, BootId]] = {}
    for step in steps:
        if isinstance(step, bytes):
            peers.forget(step)
            model.pop(step, None)
        else:
            boot, id, generation, guest = step
            taken = any(held == boot and other != id for other, (_, held) in model.items())
            old = id in model and model[id][1] != boot and model[id][0] > generation
            bound = peers.bind(boot, id, generation, guest=guest)
            assert (bound is None) == (taken or old)
            if bound is not None:
                model[id] = (max(generation, model[id][0] if id in model else 0), boot)
        assert len(peers) == len(model)
        for id, (generation, boot) in model.items():
            peer = peers.of_id(id)
            assert peer is not None
            assert peer is peers.of_boot(boot)
            assert (peer.id, peer.boot_id, peer.generation) == (id, boot, generation)
        assert len(peers._by_boot) == len(model)


def test_binding_the_same_again_keeps_the_replay_window() -> None:
    peers = some_peers()
    peer = peers.bind(FIRST, A, 1)
    assert peer is not None
    assert peer.window.accept(7)
    again = peers.bind(FIRST, A, 2)
    assert again is peer
    assert not peer.window.accept(7)


def test_a_nonce_holds_for_one_stranger_and_source_for_a_while() -> None:
    peers = some_peers()
    nonce = peers.challenge(FIRST, HERE, 100.0)
    assert peers.proves(FIRST, HERE, nonce, 100.0)
    assert peers.proves(FIRST, HERE, nonce, 110.0)
    assert not peers.proves(FIRST, HERE, nonce, 121.0)
    assert not peers.proves(SECOND, HERE, nonce, 100.0)
    assert not peers.proves(FIRST, THERE, nonce, 100.0)
    assert not peers.proves(FIRST, HERE, nonce + 1, 100.0)
    assert not peers.proves(FIRST, HERE, 0, 100.0)
    assert not PeerSessions(random.Random(2).randbytes).proves(FIRST, HERE, nonce, 100.0), "of another process"


def test_the_nonce_of_a_call_proves_one_answer() -> None:
    peers = some_peers()
    nonce = peers.greet(HERE)
    assert peers.greeted(nonce) == HERE
    assert peers.proves(SECOND, THERE, nonce, 0.0), "the answer may come from another address"
    peers.answered(nonce)
    assert peers.greeted(nonce) is None
    assert not peers.proves(SECOND, THERE, nonce, 0.0)


def test_unanswered_calls_and_unknown_guests_are_bounded() -> None:
    peers = some_peers()
    first = peers.greet(HERE)
    for _ in range(5000):
        peers.greet(HERE)
    assert len(peers._greetings) == 1024
    assert peers.greeted(first) is None
    peers.bind(FIRST, A, 1)
    for nonce in range(5000):
        peers.bind(BootId(nonce.to_bytes(8, "big")), NodeId(nonce.to_bytes(16, "big")), 1, guest=True)
    assert len(peers) == 1 + 1024
    assert peers.of_id(A) is not None, "a member gives way to no guest"


def test_a_guest_whose_row_came_is_a_member() -> None:
    peers = some_peers()
    peers.bind(FIRST, A, 1, guest=True)
    peers.bind(FIRST, A, 1)
    for nonce in range(2000):
        peers.bind(BootId(nonce.to_bytes(8, "big")), NodeId(nonce.to_bytes(16, "big")), 1, guest=True)
    assert peers.of_id(A) is not None
