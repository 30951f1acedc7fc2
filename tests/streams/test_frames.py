"""Messages are cut into frames by their class, and put together again."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.streams import frames
from gossipreg.streams.frames import MAX_MESSAGE_BYTES, MAX_PARTLY_BYTES, Assembly, SendQueue, end_body
from gossipreg.streams.stream_seal import MAX_BODY_BYTES, MAX_FRAME_BYTES, FrameSealer, StreamDirection
from gossipreg.streams.values import StreamClass, StreamFault

CONSENSUS, ACKS, DELIVERIES, STATE = StreamClass
sizes = st.one_of(st.integers(1, 400), st.integers(60_000, 70_000), st.just(MAX_MESSAGE_BYTES))
messages = st.lists(st.tuples(st.sampled_from(StreamClass), sizes), max_size=12)


def bodies(queue: SendQueue) -> list[bytes]:
    found = []
    while queue:
        found.append(queue.next_body())
        assert 0 < len(found[-1]) <= MAX_BODY_BYTES
    assert queue.next_body() == b""
    return found


def record(kind: int, piece: bytes) -> bytes:
    return bytes((kind,)) + len(piece).to_bytes(2, "big") + piece


@given(messages)
def test_each_class_arrives_whole_and_in_order(sent: list[tuple[StreamClass, int]]) -> None:
    queue, assembly = SendQueue(), Assembly()
    put: list[tuple[StreamClass, bytes]] = []
    for number, (klass, size) in enumerate(sent):
        put.append((klass, bytes([number]) * size))
        queue.put(*put[-1])
    arrived = [message for body in bodies(queue) for message in assembly.take_untrusted(body).messages]
    for klass in StreamClass:
        assert [m for k, m in arrived if k is klass] == [m for k, m in put if k is klass]
    assert assembly.partly_bytes == 0


def test_an_urgent_message_waits_for_one_frame_at_most() -> None:
    queue, assembly = SendQueue(), Assembly()
    for klass in (STATE, DELIVERIES, ACKS):
        queue.put(klass, bytes(MAX_MESSAGE_BYTES))
    assembly.take_untrusted(queue.next_body())
    queue.put(CONSENSUS, b"vote")
    assert assembly.take_untrusted(queue.next_body()).messages == ((CONSENSUS, b"vote"),)


def test_classes_go_in_their_order_and_share_a_frame() -> None:
    queue = SendQueue()
    for klass in reversed(StreamClass):
        queue.put(klass, klass.name.encode())
    (body,) = bodies(queue)
    assert [klass for klass, _ in Assembly().take_untrusted(body).messages] == list(StreamClass)


def test_a_large_message_does_not_begin_in_little_room() -> None:
    queue = SendQueue()
    queue.put(CONSENSUS, bytes(MAX_BODY_BYTES - 103))
    queue.put(STATE, bytes(1000))
    first, second = bodies(queue)
    assert len(first) == MAX_BODY_BYTES - 100
    assert Assembly().take_untrusted(second).messages == ((STATE, bytes(1000)),)


def test_a_frame_has_at_most_64_kib() -> None:
    sealer = FrameSealer(b"k" * 32, b"", StreamDirection.FROM_OPENER)
    assert len(sealer.seal(bytes(MAX_BODY_BYTES))) == MAX_FRAME_BYTES == 64 * 1024


@pytest.mark.parametrize("size", [0, MAX_MESSAGE_BYTES + 1])
def test_a_message_out_of_bounds_is_refused_where_it_is_sent(size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes"):
        SendQueue().put(CONSENSUS, bytes(size))


def test_each_class_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_QUEUE_BYTES", 10)
    queue = SendQueue()
    for klass in StreamClass:
        queue.put(klass, bytes(10))
    for klass in StreamClass:
        with pytest.raises(StreamFault, match="stream_queue_full"):
            queue.put(klass, b"x")
    bodies(queue)
    queue.put(CONSENSUS, bytes(10))


def test_many_small_messages_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_QUEUE_MESSAGES", 3)
    queue = SendQueue()
    for _ in range(3):
        queue.put(CONSENSUS, b"x")
    with pytest.raises(StreamFault, match="stream_queue_full"):
        queue.put(CONSENSUS, b"x")


@pytest.mark.parametrize(
    "body",
    [
        b"\x81",
        b"\x81\x00",
        b"\x81\x00\x02x",
        record(0x81, b""),
        record(0x81, b"fine") + b"\x01",
    ],
)
def test_a_body_that_is_not_of_the_form_is_a_fault(body: bytes) -> None:
    with pytest.raises(StreamFault, match="stream_bad_frame"):
        Assembly().take_untrusted(body)


def test_a_message_that_never_ends_is_a_fault() -> None:
    assembly = Assembly()
    for _ in range(MAX_MESSAGE_BYTES // 60_000):
        assembly.take_untrusted(record(CONSENSUS, bytes(60_000)))
    with pytest.raises(StreamFault, match="stream_bad_frame"):
        assembly.take_untrusted(record(CONSENSUS, bytes(60_000)))


def test_begun_messages_of_all_classes_together_are_bounded() -> None:
    assembly = Assembly()
    for number in range(MAX_PARTLY_BYTES // 60_000):
        assembly.take_untrusted(record(1 + number % 4, bytes(60_000)))
    assert assembly.partly_bytes <= MAX_PARTLY_BYTES
    with pytest.raises(StreamFault, match="not whole"):
        assembly.take_untrusted(record(1, bytes(60_000)))


def test_records_of_classes_of_later_releases_are_skipped() -> None:
    content = Assembly().take_untrusted(record(0x85, b"new") + record(0x81, b"known"))
    assert (content.messages, content.skipped) == (((CONSENSUS, b"known"),), 1)


def test_an_end_is_read_with_its_reason() -> None:
    content = Assembly().take_untrusted(record(0x81, b"last") + end_body("worn"))
    assert (content.messages, content.end) == (((CONSENSUS, b"last"),), "worn")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assembly = Assembly()
    with suppress(StreamFault):
        content = assembly.take_untrusted(body)
        assert sum(len(data) for _, data in content.messages) + assembly.partly_bytes <= len(body)
