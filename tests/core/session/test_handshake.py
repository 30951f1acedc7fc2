"""Greeting, proving where one is, and what strangers get: little, and no memory."""

import random
from dataclasses import replace

import pytest

from gossipreg.config import Config, lan
from gossipreg.core.effects import Changed, Effect, Event, Send
from gossipreg.core.node import Node
from gossipreg.model import Address, Rank
from gossipreg.wire import seal
from gossipreg.wire.messages import Ack, Claim, Delta, Hello, List, Message, Mismatch, PingReq, Probe, Pull, Want
from gossipreg.wire.seal import Keyring, Opener
from simulations import inside
from tests.core.cluster import KEY, START, Cluster
from tests.core.speaker import HOME, Speaker, a_node, bytes_to, counted, sizes_of_parts

ELSEWHERE = Address("198.51.100.9", 9)
OTHER_KEY = Keyring((b"x" * 32,))


def kinds(effects: list[Effect]) -> list[str]:
    return [effect.kind for effect in effects if isinstance(effect, Event)]


def called_by(node: Node, seed: Address) -> tuple[Hello, bytes]:
    """The greeting that the node sends to its seed."""
    sends = [effect for effect in node.seek((seed,), START) if isinstance(effect, Send)]
    speaker = Speaker(address=seed)
    hello = speaker.received(sends)[0]
    assert isinstance(hello, Hello)
    return hello, sends[0].datagram


# -- greeting --------------------------------------------------------------------------------------------------------


def test_a_peer_that_echoes_our_nonce_is_bound_and_gets_our_row() -> None:
    node, speaker = a_node(), Speaker()
    answer = speaker.received(speaker.handshake(node, START))
    assert [message.id for message in answer if isinstance(message, Delta)] == [node.id]
    session = node.inspect().session(speaker.id)
    assert session is not None
    assert session.source == speaker.address
    assert node.member(speaker.id, START) is not None


def test_from_an_unknown_process_only_a_hello_is_read() -> None:
    node, speaker = a_node(), Speaker()
    before = node.statistics(START)["fingerprint"]
    for message in (speaker.row, Probe(1, 2), Claim(node.id, 2**40, 0, Rank.DEAD, speaker.id)):
        answers = speaker.received(speaker.send_to(node, START, message))
        assert [type(answer) for answer in answers] == [Hello]
    assert counted(node, "drop.unbound") == 3
    assert node.statistics(START)["fingerprint"] == before
    assert node.inspect().sessions == 0


def test_a_wrong_echo_binds_nobody() -> None:
    node, speaker = a_node(), Speaker()
    for echo in (1, 2**64 - 1):
        speaker.send_to(node, START, speaker.hello(echo=echo), speaker.row)
    assert node.inspect().sessions == 0
    assert len(node.members(START)) == 1


def test_a_nonce_sent_to_one_address_proves_no_other() -> None:
    node, speaker = a_node(), Speaker()
    asked = speaker.received(speaker.send_to(node, START, speaker.hello(nonce=5)))[0]
    assert isinstance(asked, Hello)
    speaker.send_to(node, START, speaker.hello(echo=asked.nonce), at=ELSEWHERE)
    assert node.inspect().sessions == 0


def test_a_hello_of_another_cluster_is_answered_with_ours() -> None:
    node, speaker = a_node(replace(lan, cluster="blue")), Speaker(cluster="green")
    answers = speaker.received(speaker.send_to(node, START, speaker.hello(nonce=5), speaker.row))
    assert answers[0] == Mismatch("blue", 5)
    assert counted(node, "drop.wrong_cluster") == 1
    assert len(node.members(START)) == 1


def test_a_seed_of_another_cluster_is_reported_once_if_called() -> None:
    node, seed = a_node(synced=False), Speaker()
    hello, _ = called_by(node, seed.address)
    assert kinds(seed.send_to(node, START, Mismatch("green", hello.nonce + 1))) == []
    effects = seed.send_to(node, START, Mismatch("green", hello.nonce))
    assert Event("wrong_cluster", (("cluster", "green"), ("address", str(seed.address)))) in effects
    assert kinds(seed.send_to(node, START, Mismatch("green", hello.nonce))) == []
    assert counted(node, "drop.mismatch_unasked") == 2


def test_a_seed_that_is_ourselves_makes_no_member() -> None:
    """Anyone who saw it can send our datagram back to us, from whatever address."""
    node = a_node(synced=False)
    _, datagram = called_by(node, ELSEWHERE)
    told = Event("own_seed", (("address", str(ELSEWHERE)),))
    effects = node.receive(datagram, ELSEWHERE, START)
    assert effects == [told, Event("synced"), Changed(())], "there is no other member whose table it could lack"
    assert counted(node, "drop.own") == 1
    assert len(node.members(START)) == 1
    sends = [effect for effect in node.advance(START + 1) if isinstance(effect, Send)]
    assert [send.destination for send in sends] == [ELSEWHERE], "it is called again"


def test_a_boot_id_bound_to_one_member_speaks_for_no_other() -> None:
    node, speaker, other = a_node(), Speaker(1), Speaker(2)
    speaker.handshake(node, START)
    asked = speaker.received(speaker.send_to(node, START, speaker.hello(nonce=9)))[0]
    assert isinstance(asked, Hello)
    speaker.send_to(node, START, replace(speaker.hello(nonce=3, echo=asked.nonce), id=other.id))
    assert counted(node, "drop.other_id") == 1
    assert node.inspect().session(other.id) is None


def test_a_hello_of_an_older_generation_gets_the_newer_claim() -> None:
    node, new = a_node(), Speaker(1)
    new.handshake(node, START)
    old = Speaker(2, id=new.id, generation=new.generation - 1)
    asked = old.received(old.send_to(node, START, old.hello(nonce=5)))[0]
    assert isinstance(asked, Hello)
    told = old.received(old.send_to(node, START, old.hello(echo=asked.nonce)))
    assert [(m.id, m.generation) for m in told if isinstance(m, Claim)] == [(new.id, new.generation)]
    assert node.inspect().member_of(old.boot_id) is None


# -- keys ------------------------------------------------------------------------------------------------------------


def test_a_notice_of_another_key_is_smaller_than_its_cause() -> None:
    node, stranger = a_node(), Speaker(keyring=OTHER_KEY)
    datagram = stranger.sealed(stranger.hello(nonce=5))
    [notice] = node.receive(datagram, stranger.address, START)
    assert isinstance(notice, Send)
    assert len(notice.datagram) < len(datagram)
    assert counted(node, "drop.unknown_key") == 1
    assert seal.read_notice_untrusted(notice.datagram)[1] == stranger.boot_id


def test_a_wrong_key_is_reported_at_most_once_a_second() -> None:
    node = a_node(synced=False)
    _, datagram = called_by(node, ELSEWHERE)
    notice = seal.notice_for(datagram)
    assert kinds(node.receive(notice, ELSEWHERE, START)) == ["not_our_key"]
    node.advance(START + 0.5)
    assert kinds([e for _ in range(100) for e in node.receive(notice, ELSEWHERE, START + 0.5)]) == []
    node.advance(START + 1.5)
    assert kinds(node.receive(notice, ELSEWHERE, START + 1.5)) == ["not_our_key"]


def test_a_notice_that_names_no_datagram_of_ours_is_dropped() -> None:
    node = a_node(synced=False)
    _, datagram = called_by(node, ELSEWHERE)
    notice = seal.notice_for(datagram)
    never_sent = notice[:-6] + (2**40).to_bytes(6, "big")
    other_boot = notice[:5] + b"notours." + notice[-6:]
    other_key = notice[:1] + b"nope" + notice[5:]
    for forged in (never_sent, other_boot, other_key, notice + b"x", notice[:-6] + bytes(6)):
        assert node.receive(forged, ELSEWHERE, START) == []
    assert counted(node, "drop.notice_unasked") == 4
    assert counted(node, "drop.notice") == 5


@pytest.mark.parametrize(("ours", "theirs", "reason"), [(KEY, None, "clear_refused"), (None, KEY, "sealed_refused")])
def test_clear_and_sealed_do_not_mix(ours: Keyring | None, theirs: Keyring | None, reason: str) -> None:
    node, stranger = a_node(keyring=ours), Speaker(keyring=theirs)
    [notice] = stranger.send_to(node, START, stranger.hello(nonce=5))
    assert isinstance(notice, Send)
    assert seal.read_notice_untrusted(notice.datagram)[1] == stranger.boot_id
    assert counted(node, f"drop.{reason}") == 1


# -- floods and forged sources ---------------------------------------------------------------------------------------


def test_a_flood_of_strangers_leaves_no_memory() -> None:
    node = a_node()
    sizes = sizes_of_parts(node)
    rng = random.Random(1)
    answers = 0
    for number in range(4500):
        stranger = Speaker(number, address=Address(f"10.{number % 250}.3.4", 1 + rng.randrange(60_000)))
        message: Message = stranger.hello(nonce=5) if number % 2 else stranger.row
        answers += len(stranger.send_to(node, START + number / 9000, message))
    assert answers <= 2000 + 250 + 1, "a bucket of 2,000, and 500 a second"
    assert counted(node, "drop.strangers_throttled") >= 2200
    assert sizes_of_parts(node) == sizes


def test_a_flood_without_the_key_locks_out_no_member() -> None:
    node, crowd = a_node(keyring=KEY), Speaker(keyring=OTHER_KEY)
    for number in range(6000):
        now = START + number / 1000
        crowd.send_to(node, now, at=ELSEWHERE)
        if number % 100 == 0:
            stranger = Speaker(number)
            assert stranger.received(stranger.send_to(node, now, stranger.hello(nonce=5)))
    assert counted(node, "drop.strangers_throttled") >= 4500


def asks_for_much(node: Node, other: Speaker) -> list[Message]:
    return [
        Probe(1, 2), Pull(node.id, 0, 0), List(b""), PingReq(1, other.id), Want(1, bytes(60)),
        Claim(other.id, other.generation, 0, Rank.ALIVE, other.id),
    ]  # fmt: skip


def test_a_forged_source_gets_at_most_three_times_its_bytes() -> None:
    node, speaker, other = a_node(), Speaker(1), Speaker(2)
    for one in (speaker, other):
        one.handshake(node, START)
    for at, message in enumerate(asks_for_much(node, other)):
        datagram = speaker.sealed(message)
        effects = node.receive(datagram, ELSEWHERE, START + 1 + at)
        assert bytes_to(effects, ELSEWHERE) <= 3 * len(datagram)
        later = node.advance(START + 1.5 + at)
        assert bytes_to(later, ELSEWHERE) == 0
    session = node.inspect().session(speaker.id)
    assert session is not None
    assert session.source == speaker.address, "a source that has proven nothing moves nobody"


def test_a_stranger_gets_at_most_three_times_its_bytes() -> None:
    node = a_node(Config(cluster="c" * 255))
    for seed, cluster in enumerate(("c" * 255, "d", "c" * 254)):
        stranger = Speaker(seed, cluster=cluster, address=Address("10.7.7.7", 70 + seed))
        datagram = stranger.sealed(stranger.hello(nonce=5))
        assert bytes_to(node.receive(datagram, stranger.address, START), stranger.address) <= 3 * len(datagram)


def test_a_replayed_datagram_is_dropped_whatever_its_source() -> None:
    node, speaker = a_node(), Speaker()
    speaker.handshake(node, START)
    datagram = speaker.sealed(Probe(1, 2))
    assert [type(m) for m in speaker.received(node.receive(datagram, speaker.address, START))] == [Ack]
    node.advance(START + 1)
    for source in (speaker.address, ELSEWHERE):
        assert node.receive(datagram, source, START + 1) == []
    assert counted(node, "drop.replay") == 2


def test_a_recorded_greeting_binds_nobody_later() -> None:
    """Its number was good for a while: then the window, or the number's age, keeps it out."""
    node, speaker = a_node(), Speaker()
    asked = speaker.received(speaker.send_to(node, START, speaker.hello(nonce=5)))[0]
    assert isinstance(asked, Hello)
    proof = speaker.sealed(speaker.hello(echo=asked.nonce))
    node.receive(proof, speaker.address, START)
    inside.end_session(node, speaker.id)
    node.receive(proof, speaker.address, START + 25)
    assert node.inspect().session(speaker.id) is None


# -- moving ----------------------------------------------------------------------------------------------------------


def test_a_member_proves_its_new_source_port() -> None:
    node, speaker = a_node(), Speaker()
    speaker.handshake(node, START)
    moved = Address(speaker.address.host, 12345)
    told = speaker.received(speaker.send_to(node, START + 5, Probe(1, 2), at=moved), at=moved)
    hello = next(message for message in told if isinstance(message, Hello))
    ack = next(message for message in told if isinstance(message, Ack))
    assert ack.observed == moved, "so that it learns of it"
    speaker.send_to(node, START + 5, speaker.hello(echo=hello.nonce), at=moved)
    assert node.inspect().address(speaker.id) == moved
    answered = speaker.received(speaker.send_to(node, START + 6, Pull(node.id, 0, 0), at=moved), at=moved)
    assert [type(message) for message in answered] == [Delta]
    speaker.send_to(node, START + 7, Probe(2, 2))
    assert node.inspect().address(speaker.id) == speaker.address, "back at an address of its row it needs no proof"


def seen_by(node: Node, witness: Speaker, at: Address, now: float) -> None:
    """The witness answers our next probe of it, and says from where it saw it come."""
    while True:
        now = max(now, node.next_deadline())
        for message in witness.received(node.advance(now)):
            if isinstance(message, Probe):
                witness.send_to(node, now, Ack(message.number, 0, at))
                return


def test_two_witnesses_move_our_address_and_one_alone_does_not() -> None:
    node = a_node(address_fixed=False)
    witnesses = [Speaker(1), Speaker(2)]
    for witness in witnesses:
        witness.handshake(node, START)
    seen_by(node, witnesses[0], ELSEWHERE, START)
    seen_by(node, witnesses[0], ELSEWHERE, START)
    assert node.addresses == (HOME,)
    seen_by(node, witnesses[1], ELSEWHERE, START)
    assert node.addresses == (ELSEWHERE,)


def test_unsolicited_acks_and_fixed_addresses_move_nothing() -> None:
    for node in (a_node(), a_node(address_fixed=False)):
        for seed in (1, 2):
            witness = Speaker(seed)
            witness.handshake(node, START)
            witness.send_to(node, START, Ack(77, 0, ELSEWHERE))
        assert node.addresses == (HOME,)


def test_a_member_behind_a_new_port_stays_a_member() -> None:
    """A whole cluster: the source port of one changes, as behind a NAT that forgot it."""
    cluster = Cluster(seed=3)
    hosts = cluster.grow(4)
    mover = hosts[2]
    moved = Address(mover.address.host, 23456)
    cluster.move(mover, moved)
    cluster.run(8)
    assert all(cluster.state_at(host, mover) in ("alive", "suspect") for host in hosts)
    cluster.register(mover, "billing", port=1)
    assert cluster.until(lambda: all(cluster.found(host, "billing") for host in hosts), 3)


def test_everything_that_we_send_is_sealed() -> None:
    node, speaker = a_node(), Speaker()
    effects = speaker.handshake(node, START) + node.advance(START + 1)
    opener = Opener(KEY)
    for effect in effects:
        if isinstance(effect, Send):
            assert opener.open_untrusted(effect.datagram).boot_id == node.inspect().boot_id


@pytest.mark.parametrize("n", [2, 6])
def test_a_member_that_moved_announces_its_new_address(n: int) -> None:
    """Its successor alone would be one witness: a second one is asked at once. Of two members the one other will do."""
    cluster = Cluster(seed=4)
    hosts = cluster.grow(n)
    mover = hosts[1]
    moved = Address("10.9.9.9", 7940)
    cluster.move(mover, moved)
    assert cluster.until(lambda: mover.node.addresses[0] == moved, 4)
    cluster.run(1)
    for host in hosts:
        member = host.node.member(mover.id, cluster.now)
        assert member is not None
        assert member.address == moved
