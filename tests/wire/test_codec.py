"""Messages: every one comes back as it was written, its bytes are the specification's, each field has its bounds."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.model import Address, ProtocolRange, Rank
from gossipreg.wire import messages as m
from gossipreg.wire.codec import decode_untrusted, encode
from gossipreg.wire.messages import Message
from tests.wire.valid_messages import ARRAYS, ID, OTHER, VALID, frame, framed, messages, refused


def test_every_kind_and_every_type_of_message_is_tried_here() -> None:
    constants = {
        value
        for name, value in vars(m).items()
        if type(value) is int and not name.startswith("MAX_") and not name.endswith("_BYTES")
    }
    assert set(VALID) == constants


@given(messages)
def test_a_message_comes_back_as_it_was_written(message: Message) -> None:
    assert decode_untrusted(encode(message)) == ([message], 0)


@given(st.sampled_from(sorted(VALID)).flatmap(lambda kind: st.tuples(st.just(kind), VALID[kind])))
def test_a_message_goes_under_its_own_kind(kind_and_message: tuple[int, Message]) -> None:
    kind, message = kind_and_message
    assert encode(message)[0] == kind


@given(st.lists(messages, min_size=1, max_size=5))
def test_messages_of_one_body_come_back_in_order(several: list[Message]) -> None:
    assert decode_untrusted(b"".join(map(encode, several))) == (several, 0)


# -- the bytes are the specification ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (m.Probe(1, 2), "030d" "00" "00000001" "0000000000000002"),
        (m.Ack(1, 2), "040d" "00" "00000001" "0000000000000002"),
        (
            m.Ack(1, 2, Address("10.0.0.1", 7940)),
            "0417" "00" "00000001" "0000000000000002" "92" "c4040a000001" "cd1f04",
        ),
        (m.Nack(1, True), "0503" "92" "01" "c3"),
        (m.Claim(ID, 5, 1, Rank.DEAD, OTHER), f"0828 95 c410{ID.hex()} 05 01 02 c410{OTHER.hex()}"),
        (
            m.Delta(ID, 5, 6, 8, 9, 1, 0, ((3, 7, b"v"), (4, 8, None))),
            f"0923 97 c410{ID.hex()} 05 06 08 09 01 00 93 03 07 c40176 93 04 08 c0",
        ),
        (m.Receipt((1, 300)), "0c05 90 01 cd012c"),
        (m.Versions(((ID, 5, 6),), None), f"1317 91 c0 93 c410{ID.hex()} 05 06"),
        (m.Versions(((ID, 5, 6),), b""), f"1318 91 c400 93 c410{ID.hex()} 05 06"),
        (m.Versions(((ID, 5, 6),), b"", synced=False), f"1319 92 c400 c2 93 c410{ID.hex()} 05 06"),
        (m.Padding(0), "0700"),
        (m.Padding(200), f"0780c8 {'00' * 200}"),
        (m.Peers(((ID, Address("::1", 1)),)), f"1528 90 92 c410{ID.hex()} 92 c410{'00' * 15}01 01"),
        (m.List(b""), "1403 91 c400"),
    ],
)  # fmt: skip
def test_the_bytes_are_these(message: Message, written: str) -> None:
    assert encode(message).hex(" ") == bytes.fromhex(written).hex(" ")


@given(st.binary(max_size=2000))
def test_padding_is_any_bytes(payload: bytes) -> None:
    assert decode_untrusted(frame(m.PADDING, payload)) == ([m.Padding(len(payload))], 0)


def test_the_first_byte_of_a_probe_and_an_ack_is_not_read() -> None:
    for kind, message in ((m.PROBE, m.Probe(1, 2)), (m.ACK, m.Ack(1, 2))):
        payload = encode(message)[2:]
        assert payload[0] == 0
        assert decode_untrusted(frame(kind, b"\xff" + payload[1:])) == ([message], 0)


def test_a_probe_takes_15_bytes() -> None:
    assert len(encode(m.Probe(m.MAX_NUMBER, m.MAX_HASH))) == 15


@pytest.mark.parametrize(("hashes_bytes", "length_bytes"), [(112, 1), (116, 2), (8000, 2)])
def test_a_length_takes_one_byte_below_128_and_else_two(hashes_bytes: int, length_bytes: int) -> None:
    message = m.Want(m.MAX_HASH, bytes(hashes_bytes))
    body = encode(message)
    payload = len(msgpack.packb((m.MAX_HASH, bytes(hashes_bytes))))
    assert len(body) == 1 + length_bytes + payload
    assert decode_untrusted(body) == ([message], 0)


def test_a_payload_larger_than_a_length_can_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="Want takes 36013 bytes: send at most 32767"):
        encode(m.Want(2**40, bytes(36_000)))


def test_an_ipv4_address_mapped_into_ipv6_is_told_as_ipv4() -> None:
    message = m.Ack(1, 2, Address("::ffff:10.0.0.1", 7940))
    assert decode_untrusted(encode(message))[0] == [m.Ack(1, 2, Address("10.0.0.1", 7940))]
    mapped = bytes(10) + b"\xff\xff\x0a\0\0\1"
    assert decode_untrusted(framed(m.PEERS, [], [ID, [mapped, 1]]))[0] == [m.Peers(((ID, Address("10.0.0.1", 1)),))]


# -- a later version speaks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ARRAYS)
def test_fields_added_behind_the_known_ones_are_ignored(kind: int) -> None:
    plain = decode_untrusted(framed(kind, *ARRAYS[kind]))
    added = [[*array, "added", [1, [2]], None] for array in ARRAYS[kind]]
    assert plain[1] == 0
    assert decode_untrusted(framed(kind, *added)) == plain


def test_elements_added_to_an_address_are_ignored() -> None:
    body = framed(m.PEERS, [], [ID, [b"\x0a\0\0\1", 7940, "quic"]])
    assert decode_untrusted(body) == ([m.Peers(((ID, Address("10.0.0.1", 7940)),))], 0)


@given(st.binary(max_size=60))
def test_bytes_behind_a_probe_are_ignored(added: bytes) -> None:
    payload = encode(m.Probe(1, 2))[2:]
    assert decode_untrusted(frame(m.PROBE, payload + added)) == ([m.Probe(1, 2)], 0)


@given(st.none() | st.just(Address("10.0.0.1", 7940)), st.binary(max_size=60))
def test_bytes_behind_an_acks_address_are_ignored(observed: Address | None, added: bytes) -> None:
    payload = encode(m.Ack(1, 2, observed))[2:] + (b"\xc0" if observed is None else b"")
    assert decode_untrusted(frame(m.ACK, payload + added)) == ([m.Ack(1, 2, observed)], 0)


@given(st.sampled_from(sorted(set(range(256)) - set(VALID))), st.binary(max_size=200), messages)
def test_an_unknown_kind_is_skipped_and_counted(kind: int, payload: bytes, message: Message) -> None:
    known = encode(message)
    unknown = frame(kind, payload)
    assert decode_untrusted(unknown + known + unknown) == ([message], 2)


# -- each field has its bounds ---------------------------------------------------------------------------------------

NO_INTS = (True, 1.0, -1, None, "1", b"1", [1])
NO_BYTES = (None, True, 1, "0123456789abcdef", [1] * 16)
WRONG: dict[str, tuple[object, ...]] = {
    "cluster": ("", "é" * 128, b"default", None, 1),
    "id": (*NO_BYTES, b"", bytes(15), bytes(17)),
    "number": (*NO_INTS, 2**32),
    "hash": NO_INTS,
    "version": (*NO_INTS, 2**63),
    "incarnation": (*NO_INTS, 2**32),
    "oldest": (*NO_INTS, 0, 4),
    "newest": (*NO_INTS, 1, 2**16),
    "rank": (*NO_INTS, 3),
    "flag": (0, 1, None, "yes"),
    "bits": (*NO_INTS, 12),
    "digests": (*NO_BYTES, b"abc", bytes(8)),
    "hashes": (*NO_BYTES, bytes(5)),
    "place": (True, 1, "", bytes(15), []),
    "key": (*NO_INTS, 2**45),
    "value": (True, 1, "v", [b"v"], bytes(395)),
    "bucket": (*NO_INTS, 256),
    "low, high": (*NO_INTS, 2**32),
    "address": (None, [], [b"abcd"], [b"abc", 1], ["10.0.0.1", 1], [b"abcd", 0], [b"abcd", 2**16], [b"abcd", True]),
}
FIELDS: dict[int, tuple[list[str], ...]] = {
    m.HELLO: (
        ["cluster", "id", "version", "hash", "hash", "flag", "version", "oldest", "newest", "version", "version"],
    ),
    m.MISMATCH: (["cluster", "hash", "oldest", "newest", "hash"],),
    m.NACK: (["number", "flag"],),
    m.PING_REQ: (["number", "id"],),
    m.CLAIM: (["id", "version", "incarnation", "rank", "id"],),
    m.DELTA: (["id", *["version"] * 4, "hash", "version"], ["key", "version", "value"], ["key", "version", "value"]),
    m.ANNOUNCE: (["id", "version", "version"],),
    m.PULL: (["id", "version", "version"],),
    m.RECEIPT: ([],),
    m.BUCKETS: (["hash", "bits", "digests"],),
    m.HASHES: (["hash", "bits"], ["bucket", "low, high", "low, high", "hashes"]),
    m.WANT: (["hash", "hashes"],),
    m.VERSIONS: (["place", "flag"], ["id", "version", "version"]),
    m.LIST: (["place"],),
    m.PEERS: ([], ["id", "address"]),
}

ADDED_LATER = {m.HELLO: 6, m.MISMATCH: 3, m.VERSIONS: 1}


@pytest.mark.parametrize("kind", FIELDS)
def test_each_field_of_each_array_is_checked(kind: int) -> None:
    for at, names in enumerate(FIELDS[kind]):
        assert len(names) == len(ARRAYS[kind][at])
        for place, name in enumerate(names):
            for wrong in WRONG[name]:
                arrays = [list(array) for array in ARRAYS[kind]]
                arrays[at][place] = wrong
                assert refused(framed(kind, *arrays)) == "bad_message", (name, wrong)


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_missing_field_is_refused(kind: int) -> None:
    for at, array in enumerate(ARRAYS[kind]):
        if array:
            needed = array[: len(array) - (ADDED_LATER.get(kind, 0) if at == 0 else 0)]
            arrays = [*ARRAYS[kind][:at], needed[:-1], *ARRAYS[kind][at + 1 :]]
            assert refused(framed(kind, *arrays)) == "bad_message"


def test_a_hello_of_an_older_version_is_of_a_fresh_process() -> None:
    for sent in (5, 6):
        fields = ARRAYS[m.HELLO][0][:sent]
        [hello], _ = decode_untrusted(framed(m.HELLO, fields))
        assert hello == m.Hello("default", ID, 5, 6, 7, synced=sent == 6, up_ms=0)


def test_a_message_without_a_range_is_of_protocol_1() -> None:
    for kind, sent in ((m.HELLO, 7), (m.MISMATCH, 2)):
        [message], _ = decode_untrusted(framed(kind, ARRAYS[kind][0][:sent]))
        assert isinstance(message, m.Hello | m.Mismatch)
        assert message.protocol == (1, 1)


@pytest.mark.parametrize(
    ("message", "elements"),
    [
        (m.Hello("default", ID, 5, 6, 7), 7),
        (m.Hello("default", ID, 5, 6, 7, protocol=ProtocolRange(1, 2)), 9),
        (m.Hello("default", ID, 5, 6, 7, before=4), 10),
        (m.Hello("default", ID, 5, 6, 7, held=4), 11),
        (m.Mismatch("default", 7), 2),
        (m.Mismatch("default", 7, ProtocolRange(1, 2)), 4),
        (m.Mismatch("default", 7, nonce=8), 5),
    ],
)
def test_a_range_of_1_alone_takes_no_bytes(message: Message, elements: int) -> None:
    assert len(msgpack.unpackb(encode(message)[2:])) == elements


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("instead", [None, 1, b"0123456789abcdef", "0123456789abcdef", {}, []])
def test_something_else_than_the_array_is_refused(kind: int, instead: object) -> None:
    if instead != [] or ARRAYS[kind][0]:
        assert refused(framed(kind, instead)) == "bad_message"
    if len(ARRAYS[kind]) > 1:
        assert refused(framed(kind, ARRAYS[kind][0], instead)) == "bad_message"
    assert refused(frame(kind, b"")) == "bad_message"


@pytest.mark.parametrize("kind", ARRAYS)
def test_bytes_that_are_no_item_are_refused_behind_the_array(kind: int) -> None:
    for added in (
        b"\xc1",
        b"\xc4\x05abc",
        b"\x93\x01",
        b"\xc0\x93",
        b"\xc4\x01",
        b"\xcd\x01",
        b"\xdc\x00\x11" + bytes(17),
    ):
        assert refused(frame(kind, b"".join(map(msgpack.packb, ARRAYS[kind])) + added)) == "bad_message"


@pytest.mark.parametrize(
    "values",
    [
        ([ID, 5, 9, 8, 9, 1, 0],),  # base above reached
        ([ID, 5, 6, 10, 9, 1, 0],),  # reached above head
        ([ID, 5, 6, 8, 9, 1, 10],),  # floor above head
        ([ID, 5, 6, 8, 9, 1, 0], [3, 6, b"v"]),  # an entry at the base
        ([ID, 5, 6, 8, 9, 1, 0], [3, 9, b"v"]),  # an entry above what is reached
        ([ID, 5, 6, 8, 9, 1, 0], [3, 8, b"v"], [4, 7, b"v"]),  # falling
        ([ID, 5, 6, 8, 9, 1, 0], [3, 7, b"v"], [4, 7, b"v"]),  # twice the same change
    ],
)
def test_a_delta_that_contradicts_itself_is_refused(values: tuple[object, ...]) -> None:
    assert refused(framed(m.DELTA, *values)) == "bad_message"


@pytest.mark.parametrize("item", [[0, 5, 4, b""], [0, 1, 4, bytes(4)], [0, 0, 0, bytes(3) + b"\1"],
                                  [0, 0, 9, bytes(3) + b"\2" + bytes(3) + b"\1"]])  # fmt: skip
def test_row_hashes_out_of_order_or_range_are_refused(item: list[object]) -> None:
    assert refused(framed(m.HASHES, [1, 8], item)) == "bad_message"


@pytest.mark.parametrize("counter", [0, 2**48, -1, True, 1.0, None, [1]])
def test_a_receipt_of_no_datagram_is_refused(counter: object) -> None:
    assert refused(framed(m.RECEIPT, [], 1, counter)) == "bad_message"


def test_more_peers_than_anybody_names_are_refused() -> None:
    peer = [ID, [b"\x0a\0\0\1", 7940]]
    assert len(decode_untrusted(framed(m.PEERS, [], *[peer] * m.MAX_PEERS))[0]) == 1
    assert refused(framed(m.PEERS, [], *[peer] * (m.MAX_PEERS + 1))) == "bad_message"


@pytest.mark.parametrize("kind", [m.PROBE, m.ACK])
def test_a_short_probe_or_ack_is_refused(kind: int) -> None:
    for size in range(13):
        assert refused(frame(kind, bytes(size))) == "bad_message"


@pytest.mark.parametrize("behind", [b"\x92", b"\xc4", b"\xc1", b"\x01", b"\x92\xc4\x04abcd\x00", b"\x80", b"\xff"])
def test_an_ack_with_something_else_than_an_address_is_refused(behind: bytes) -> None:
    assert refused(frame(m.ACK, bytes(13) + behind)) == "bad_message"


def test_a_message_that_cannot_be_encoded_leaves_nothing_behind() -> None:
    with pytest.raises(OverflowError):
        encode(m.Announce(ID, 1, 2**64))
    assert encode(m.Nack(1, True)) == bytes.fromhex("0503 92 01 c3")
