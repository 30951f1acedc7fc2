"""The gateway's own reading and writing of DNS messages, held against dnspython's."""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.gateway.dns import wire

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=6).filter(lambda parts: sum(map(len, parts)) < 240)
TYPES = st.integers(0, 65535)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_query_or_raise_the_one_exception(data: bytes) -> None:
    try:
        query = wire.parse_query_untrusted(data)
    except BadDatagram:
        return
    assert query.id == int.from_bytes(data[:2], "big")


@given(st.binary(max_size=80), st.sampled_from([(1, 0, 0, 0), (1, 0, 0, 1), (1, 1, 0, 1), (2, 0, 0, 0), (1, 0, 9, 9)]))
def test_bytes_behind_a_good_header_are_a_query_or_one_error(data: bytes, counts: tuple[int, int, int, int]) -> None:
    header = wire.HEADER.pack(7, wire.RD, *counts)
    try:
        query = wire.parse_query_untrusted(header + data)
    except BadDatagram:
        return
    assert query.question in (data[: len(query.question)], b"")


@given(LABELS, TYPES, TYPES, st.booleans(), st.none() | st.tuples(st.integers(0, 65535), st.booleans()))
def test_a_query_of_dnspython_is_read_as_it_was_meant(
    labels: list[bytes], type: int, class_: int, desired: bool, edns: tuple[int, bool] | None
) -> None:
    name = dns.name.Name([*labels, b""])
    asked = dns.message.make_query(name, dns.rdatatype.RdataType.make(type), dns.rdataclass.RdataClass.make(class_))
    asked.flags = dns.flags.RD if desired else dns.flags.Flag(0)
    if edns is not None:
        options = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")]
        asked.use_edns(0, dns.flags.DO if edns[1] else 0, edns[0], options=options)  # type: ignore[arg-type]
    query = wire.parse_query_untrusted(asked.to_wire())
    assert (query.id, query.opcode, query.rcode) == (asked.id, 0, 0)
    assert (query.type, query.class_, query.recursion_desired) == (type, class_, desired)
    assert query.labels == tuple(label.lower() for label in labels)
    assert query.question == name.to_wire() + struct.pack(">HH", type, class_)  # type: ignore[operator]
    assert query.edns == (None if edns is None else wire.Edns(*edns))


@given(st.integers(0, 65535), st.integers(1, 15))
def test_other_opcodes_are_not_implemented_whatever_follows(id: int, opcode: int) -> None:
    data = wire.HEADER.pack(id, opcode << 11, 1, 2, 3, 4) + b"whatever"
    told = wire.parse_query_untrusted(data).rcode
    assert told == (dns.rcode.REFUSED if opcode == dns.opcode.UPDATE else dns.rcode.NOTIMP)


QUESTION = b"\3web\7service\6consul\0\0\1\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def message(body: bytes, *counts: int, flags: int = 0) -> bytes:
    return wire.HEADER.pack(1, flags, *counts) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "short"),
        (b"\0" * 11, "short"),
        (message(QUESTION, 1, 0, 0, 0, flags=wire.QR), "response"),
        (message(QUESTION[:-1], 1, 0, 0, 0), "cut_question"),
        (message(QUESTION[:9], 1, 0, 0, 0), "cut_name"),
        (message(b"\x3fabc", 1, 0, 0, 0), "cut_name"),
        (message(b"\xc0\x0c\0\1\0\1", 1, 0, 0, 0), "bad_label"),
        (message(b"\x40" + b"a" * 64 + b"\0\0\1\0\1", 1, 0, 0, 0), "bad_label"),
        (message((b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", 1, 0, 0, 0), "long_name"),
        (message(QUESTION + b"x", 1, 0, 0, 0), "trailing"),
        (message(QUESTION, 1, 0, 0, 1), "cut_record"),
        (message(QUESTION + OPT[:-1], 1, 0, 0, 1), "cut_record"),
        (message(QUESTION + OPT[:-1] + b"\1", 1, 0, 0, 1), "cut_record"),
        (message(QUESTION + b"\x80" + OPT, 1, 0, 0, 1), "bad_label"),
    ],
)
def test_an_unreadable_message_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadDatagram) as raised:
        wire.parse_query_untrusted(data)
    assert raised.value.reason == f"dns_{reason}"


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (message(b"", 0, 0, 0, 0), wire.FORMERR),
        (message(QUESTION * 2, 2, 0, 0, 0), wire.FORMERR),
        (message(QUESTION + OPT * 2, 1, 0, 0, 2), wire.FORMERR),
        (message(QUESTION + b"\1a" + OPT, 1, 0, 0, 1), wire.FORMERR),
        (message(QUESTION + OPT[:-2] + b"\0\5\0\1\0\2x", 1, 0, 0, 1), wire.FORMERR),
        (message(QUESTION + OPT[:6] + b"\1" + OPT[7:], 1, 0, 0, 1), wire.BADVERS),
        (message(QUESTION + b"\xc0\x0c" + OPT[1:], 1, 1, 0, 0), wire.NOERROR),  # not among the additional ones
        (message(QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0" + OPT, 1, 0, 1, 1), wire.NOERROR),
    ],
)
def test_a_message_that_breaks_a_rule_gets_its_code(data: bytes, rcode: int) -> None:
    assert wire.parse_query_untrusted(data).rcode == rcode


def parsed(record: bytes, question: bytes = QUESTION) -> str:
    """An answer with this one record, as dnspython reads it."""
    reply = dns.message.from_wire(wire.header(1, wire.AA, 0, 1, 1, 0, 0) + question + record)
    assert [len(rrset) for rrset in reply.answer] == [1]
    return f"{reply.answer[0].ttl} {reply.answer[0][0]}"


@given(st.integers(0, 2**31 - 1), st.integers(0, 65535), st.integers(0, 65535))
def test_records_are_read_as_they_were_meant(ttl_s: int, weight: int, port: int) -> None:
    assert parsed(wire.srv(ttl_s, weight, port, b"\1a\1b\0")) == f"{ttl_s} 1 {weight} {port} a.b."
    soa = wire.header(1, wire.AA, 0, 1, 0, 1, 0) + QUESTION + wire.soa(ttl_s, 9, 5, 12 + 12)
    (rrset,) = dns.message.from_wire(soa).authority
    assert f"{rrset.name} {rrset.ttl} {rrset[0]}" == (
        f"consul. {ttl_s} ns.consul. hostmaster.consul. 5 3600 600 86400 9"
    )


@given(st.binary(max_size=2000))
@example(b"")
@example(b"a" * 255)
@example(b"a" * 256)
def test_a_text_of_any_length_comes_out_whole(text: bytes) -> None:
    reply = wire.header(1, wire.AA, 0, 1, 1, 0, 0) + QUESTION + wire.txt(0, text)
    assert b"".join(dns.message.from_wire(reply).answer[0][0].strings) == text


@given(st.lists(st.binary(max_size=70), max_size=8))
def test_a_name_is_written_as_dnspython_does_or_is_none(labels: list[bytes]) -> None:
    try:
        expected = dns.name.Name([*labels, b""]).to_wire()
    except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
        expected = None
    assert wire.encode_name(tuple(labels)) == expected
