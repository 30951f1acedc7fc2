"""A stream from its first byte to its end: whatever way its bytes are cut, and whatever is done to them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.model import ProtocolRange
from gossipreg.streams import connection, handshake, stream_seal
from gossipreg.streams.connection import (
    HANDSHAKE_S,
    LIFETIME_S,
    StreamAsked,
    StreamConnection,
    StreamEnded,
    StreamEvent,
    StreamIsOpen,
    StreamMessage,
    StreamState,
)
from gossipreg.streams.handshake import MAX_HANDSHAKE_BYTES
from gossipreg.streams.stream_seal import FrameSealer, StreamDirection, key_for
from gossipreg.streams.values import BY_PEER, GONE, KEY_LEFT, WORN, StreamClass
from gossipreg.wire.seal import Keyring
from tests.examples import examples
from tests.streams.ends import (
    ALICE,
    BOB,
    CAROL,
    OTHER_RING,
    RING,
    START,
    Pair,
    accepting,
    all_to_send,
    an_end,
    entropy,
    open_pair,
    opening,
    received,
)

CONSENSUS, STATE = StreamClass.CONSENSUS, StreamClass.STATE
messages = st.lists(
    st.tuples(st.sampled_from(StreamClass), st.binary(min_size=1, max_size=300)), min_size=1, max_size=12
)


def cuts(data: bytes, at: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    for start, end in pairwise(places):
        yield data[start:end]


def texts(events: list[StreamEvent]) -> list[tuple[StreamClass, bytes]]:
    return [(event.klass, event.data) for event in events if isinstance(event, StreamMessage)]


def ends(events: list[StreamEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, StreamEnded)]


# -- the handshake -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", [RING, None])
def test_both_ends_know_each_other_after_the_handshake(ring: Keyring | None) -> None:
    pair = open_pair(ring)
    assert pair.opener_events == [StreamIsOpen(BOB.member)]
    assert pair.acceptor_events == [StreamAsked(ALICE.member), StreamIsOpen(ALICE.member)]
    assert pair.opener.confirmed
    assert pair.acceptor.confirmed
    assert (pair.opener.state, pair.acceptor.state) == (StreamState.OPEN, StreamState.OPEN)


def test_the_longest_hello_fits_the_limit() -> None:
    long = "c" * 255
    pair = Pair(opening(an_end(1, cluster=long)), accepting(an_end(2, cluster=long))).exchange()
    assert pair.opener.state is StreamState.OPEN
    assert max(map(len, pair.to_acceptor + pair.to_opener)) < MAX_HANDSHAKE_BYTES


@given(messages, messages, st.lists(st.integers(0, 5000)), st.lists(st.integers(0, 5000)))
def test_any_cut_of_the_bytes_gives_the_same_events(
    forth: list[tuple[StreamClass, bytes]], back: list[tuple[StreamClass, bytes]], at: list[int], other: list[int]
) -> None:  # fmt: skip
    pair = open_pair()
    for stream, out in ((pair.opener, forth), (pair.acceptor, back)):
        for klass, message in out:
            stream.send(klass, message)
    pair.exchange()
    for stream, sent, events, where in (
        (accepting(), pair.to_acceptor, pair.acceptor_events, at),
        (opening(), pair.to_opener, pair.opener_events, other),
    ):
        all_to_send(stream)
        assert [event for cut in cuts(b"".join(sent), where) for event in received(stream, cut)] == events
    assert sorted(texts(pair.acceptor_events)) == sorted(forth)
    assert sorted(texts(pair.opener_events)) == sorted(back)


@settings(max_examples=examples(200))
@given(st.data())
def test_any_flipped_bit_ends_the_stream_and_yields_no_message(data: st.DataObject) -> None:
    pair = open_pair()
    handshake_bytes = len(b"".join(pair.to_acceptor))
    pair.opener.send(CONSENSUS, b"vote" * 50)
    whole = b"".join(pair.exchange().to_acceptor)
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    acceptor = accepting()
    events = received(acceptor, whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    assert texts(events) == []
    if at < handshake_bytes:
        assert not any(isinstance(event, StreamIsOpen) for event in events)
    # A longer length waits for bytes that never come: the deadline, or the end of the connection, ends it.
    events += acceptor.handle_timer(START + HANDSHAKE_S) + acceptor.receive_eof()
    assert len(ends(events)) == 1


@given(st.integers(0, 2**16), st.integers(0, 7))
def test_a_flipped_bit_of_the_answer_opens_nothing(at: int, bit: int) -> None:
    answer = bytearray(open_pair().to_opener[0])
    answer[at % len(answer)] ^= 1 << bit
    opener = opening()
    events = opener.receive_bytes(bytes(answer), START) + opener.handle_timer(START + HANDSHAKE_S)
    assert [type(event) for event in events] == [StreamEnded]


def test_a_recorded_handshake_opens_nothing_and_tells_nothing_new() -> None:
    recorded = open_pair()
    recorded.opener.send(CONSENSUS, b"vote")
    recorded.exchange()
    acceptor = accepting(seed=77)
    events = received(acceptor, b"".join(recorded.to_acceptor))
    assert [type(event) for event in events] == [StreamAsked, StreamEnded]
    assert ends(events) == ["stream_bad_tag"]


def test_a_recorded_answer_does_not_fool_an_opener() -> None:
    recorded = open_pair()
    assert ends(received(opening(seed=78), recorded.to_opener[0])) == ["stream_bad_tag"]


def test_a_repeated_frame_ends_the_stream() -> None:
    pair = open_pair()
    pair.opener.send(CONSENSUS, b"once")
    frame = all_to_send(pair.opener)
    assert texts(received(pair.acceptor, frame)) == [(CONSENSUS, b"once")]
    assert received(pair.acceptor, frame) == [StreamEnded("stream_bad_tag", "frame 2")]


def test_a_frame_that_was_left_out_ends_the_stream() -> None:
    pair = open_pair()
    pair.opener.send(CONSENSUS, b"one")
    all_to_send(pair.opener)
    pair.opener.send(CONSENSUS, b"two")
    assert ends(received(pair.acceptor, all_to_send(pair.opener))) == ["stream_bad_tag"]


def test_a_reflected_frame_ends_the_stream() -> None:
    pair = open_pair()
    pair.opener.send(CONSENSUS, b"one")
    assert ends(received(pair.opener, all_to_send(pair.opener))) == ["stream_bad_tag"]


def test_a_reflected_hello_is_refused() -> None:
    hello = all_to_send(opening())
    assert ends(received(accepting(ALICE), hello)) == ["stream_own"]
    assert ends(received(opening(), hello)) == ["stream_bad_hello"]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\xb0\xff\xff", b"\xb1"])
def test_a_stranger_gets_no_answer(garbage: bytes) -> None:
    acceptor = accepting()
    assert ends(received(acceptor, garbage)) == ["stream_bad_hello"]
    assert acceptor.data_to_send() == b""


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (RING, OTHER_RING, "stream_unknown_key"),
        (None, RING, "stream_unknown_key"),
        (RING, None, "stream_unknown_key"),
    ],
)
def test_without_our_key_no_stream_opens(ours: Keyring | None, theirs: Keyring | None, reason: str) -> None:
    acceptor = accepting(ring=ours)
    assert ends(received(acceptor, all_to_send(opening(ring=theirs)))) == [reason]
    assert acceptor.data_to_send() == b""


@pytest.mark.parametrize(
    ("opener", "acceptor", "reason"),
    [
        (opening(an_end(1, cluster="other")), accepting(), "stream_wrong_cluster"),
        (opening(an_end(1, protocol=ProtocolRange(2, 3))), accepting(), "stream_incompatible_version"),
        (opening(to=CAROL.member.id), accepting(), "stream_wrong_member"),
    ],
)
def test_a_member_that_does_not_fit_is_told_why(
    opener: StreamConnection, acceptor: StreamConnection, reason: str
) -> None:  # fmt: skip
    pair = Pair(opener, acceptor).exchange()
    assert ends(pair.acceptor_events) == [reason]
    assert pair.opener_events == [StreamEnded("stream_refused", reason)]


def test_a_refusal_names_its_reason() -> None:
    opener, acceptor = opening(), accepting()
    acceptor.receive_bytes(all_to_send(opener), START)
    acceptor.refuse("stream_busy")
    assert received(opener, all_to_send(acceptor)) == [StreamEnded("stream_refused", "stream_busy")]


def test_somebody_with_the_key_cannot_open_in_the_name_of_another() -> None:
    """Mallory has the cluster's key, and all that Alice shows, but not her private key."""
    mallory = an_end(9)
    as_alice = type(mallory)(ALICE.member, mallory.private_key)
    pair = Pair(opening(as_alice), accepting()).exchange()
    assert ends(pair.acceptor_events) == ["stream_unproven"]
    as_bob = type(mallory)(BOB.member, mallory.private_key)
    pair = Pair(opening(), accepting(as_bob)).exchange()
    assert ends(pair.opener_events) == ["stream_unproven"]


def test_an_answer_of_another_member_or_to_another_is_refused() -> None:
    """Carol has the key and answers in her own name; Bob answers a hello of Carol."""
    for acceptor, named in ((CAROL, ALICE), (BOB, CAROL)):
        opener = opening()
        hello = handshake.read_hello_untrusted(RING, all_to_send(opener))
        answer, _ = handshake.make_answer(acceptor, replace(hello, member=named.member), bytes(32))
        assert ends(received(opener, answer)) == ["stream_wrong_member"]


def test_a_proof_may_grow() -> None:
    """What a later release sends behind the signature is ignored."""
    opener, acceptor = opening(), accepting()
    hello = all_to_send(opener)
    received(acceptor, hello)
    assert opener._sent_hello is not None
    answer = all_to_send(acceptor)
    _, agreed = handshake.read_answer_untrusted(ALICE, opener._sent_hello, BOB.member.id, answer)
    sealer = FrameSealer(agreed.key, agreed.transcript, StreamDirection.FROM_OPENER)
    longer = sealer.seal(handshake.make_proof(ALICE, agreed) + b"more")
    assert received(acceptor, longer) == [StreamIsOpen(ALICE.member)]


def test_a_public_key_that_is_not_of_the_id_is_no_hello() -> None:
    wrong = type(ALICE.member)(
        CAROL.member.id, ALICE.member.public_key, ALICE.member.boot_id, 1, "default", ProtocolRange(1, 1)
    )
    acceptor = accepting()
    assert ends(received(acceptor, all_to_send(opening(type(ALICE)(wrong, ALICE.private_key))))) == [
        "stream_bad_hello"
    ]  # fmt: skip


def test_what_comes_before_the_handshake_is_bounded() -> None:
    drip = b"\xb0" + (MAX_HANDSHAKE_BYTES - 3).to_bytes(2, "big") + bytes(MAX_HANDSHAKE_BYTES - 3)
    acceptor = accepting()
    for at in range(len(drip) - 1):
        assert received(acceptor, drip[at : at + 1]) == []
        assert acceptor.held_bytes == at + 1
    assert ends(received(acceptor, drip[-1:])) == ["stream_unknown_key"]
    one_more = b"\xb0" + (MAX_HANDSHAKE_BYTES - 2).to_bytes(2, "big")
    assert ends(received(accepting(), one_more)) == ["stream_bad_hello"]
    hello = all_to_send(opening())
    asked = accepting()
    asked.receive_bytes(hello, START)
    assert ends(asked.receive_bytes(bytes(MAX_HANDSHAKE_BYTES + 1), START)) == ["stream_bad_hello"]
    unproven = accepting()
    received(unproven, hello)
    assert received(unproven, b"\xff\xff" + bytes(MAX_HANDSHAKE_BYTES - 2)) == []
    assert ends(received(unproven, b"x")) == ["stream_bad_hello"]


@pytest.mark.parametrize("cut_bytes", [0, 1, 2, 10])
def test_a_handshake_that_takes_too_long_ends(cut_bytes: int) -> None:
    acceptor = accepting()
    acceptor.receive_bytes(all_to_send(opening())[:cut_bytes], START)
    assert acceptor.next_deadline() == START + HANDSHAKE_S
    assert acceptor.handle_timer(START + HANDSHAKE_S - 0.1) == []
    assert ends(acceptor.handle_timer(START + HANDSHAKE_S)) == ["stream_late"]


def test_a_stream_that_is_never_confirmed_ends() -> None:
    opener, acceptor = opening(), accepting()
    received(acceptor, all_to_send(opener))
    received(opener, all_to_send(acceptor))
    assert (opener.state, opener.confirmed) == (StreamState.OPEN, False)
    assert ends(opener.handle_timer(START + HANDSHAKE_S)) == ["stream_late"]


# -- messages ----------------------------------------------------------------------------------------------------------


def test_messages_wait_until_the_stream_is_open() -> None:
    pair = Pair()
    pair.opener.send(CONSENSUS, b"early")
    assert pair.opener.waiting_messages == 1
    assert texts(pair.exchange().acceptor_events) == [(CONSENSUS, b"early")]


def test_an_idle_stream_sends_nothing_for_a_day() -> None:
    pair = open_pair()
    for stream in (pair.opener, pair.acceptor):
        assert stream.next_deadline() == START + LIFETIME_S
        assert stream.handle_timer(START + LIFETIME_S - 1) == []
        assert stream.data_to_send() == b""


def test_a_stream_ends_after_a_day_and_says_why() -> None:
    pair = open_pair()
    assert ends(pair.opener.handle_timer(START + LIFETIME_S)) == [WORN]
    assert received(pair.acceptor, all_to_send(pair.opener)) == [StreamEnded(BY_PEER, WORN)]


def test_a_stream_ends_after_its_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_FRAMES", 5)
    monkeypatch.setattr(stream_seal, "MAX_FRAMES", 5)
    pair = open_pair()
    for number in range(10):
        pair.opener.send(CONSENSUS, bytes([number]))
        pair.exchange()
    assert [text for _, text in texts(pair.acceptor_events)] == [b"\0", b"\1", b"\2"]
    assert pair.opener.next_deadline() < START
    assert ends(pair.opener.handle_timer(START)) == [WORN]
    assert received(pair.acceptor, all_to_send(pair.opener)) == [StreamEnded(BY_PEER, WORN)]


def test_a_queue_that_is_full_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipreg.streams.frames.MAX_QUEUE_BYTES", 100)
    pair = open_pair()
    assert pair.opener.send(CONSENSUS, bytes(90)) == []
    assert pair.opener.send(STATE, bytes(90)) == []
    assert ends(pair.opener.send(CONSENSUS, bytes(20))) == ["stream_queue_full"]
    assert pair.opener.waiting_messages == 0


def test_after_its_end_a_stream_takes_and_gives_nothing() -> None:
    pair = open_pair()
    pair.opener.send(CONSENSUS, b"too late")
    assert ends(pair.acceptor.end("leaving")) == ["leaving"]
    last = all_to_send(pair.acceptor)
    assert pair.acceptor.receive_bytes(all_to_send(pair.opener), START) == []
    assert pair.acceptor.send(CONSENSUS, b"x") == pair.acceptor.end("again") == pair.acceptor.receive_eof() == []
    assert all_to_send(pair.acceptor) == b""
    assert received(pair.opener, last) == [StreamEnded(BY_PEER, "leaving")]
    assert pair.opener.next_deadline() == float("inf")


def test_the_end_of_the_connection_is_told_once() -> None:
    pair = open_pair()
    assert pair.opener.receive_eof() == [StreamEnded(GONE)]
    assert pair.opener.receive_eof() == []


# -- keys --------------------------------------------------------------------------------------------------------------

OLD, NEW = b"1" * 32, b"2" * 32


@pytest.mark.parametrize(("here", "there"), [((OLD,), (OLD, NEW)), ((OLD, NEW), (NEW, OLD)), ((NEW, OLD), (NEW,))])
def test_streams_open_at_each_step_of_a_change_of_keys(here: tuple[bytes, ...], there: tuple[bytes, ...]) -> None:
    for one, other in ((here, there), (there, here)):
        ring = Keyring(other)
        key = key_for(Keyring(one), ring.ids())
        opener = StreamConnection.opening(ALICE, BOB.member.id, key, entropy(1).randbytes, START)
        assert Pair(opener, accepting(ring=ring)).exchange().opener.state is StreamState.OPEN


def test_a_stream_goes_on_while_its_key_is_in_the_ring() -> None:
    pair = open_pair()
    assert pair.opener.rekey(Keyring((NEW, *RING.keys))) == []
    assert ends(pair.opener.rekey(Keyring((NEW,)))) == [KEY_LEFT]
    assert received(pair.acceptor, all_to_send(pair.opener)) == [StreamEnded(BY_PEER, KEY_LEFT)]


def test_a_half_open_stream_takes_the_keys_of_now() -> None:
    acceptor = accepting()
    acceptor.rekey(OTHER_RING)
    assert ends(received(acceptor, all_to_send(opening()))) == ["stream_unknown_key"]
