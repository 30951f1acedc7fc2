"""The specification in `wire/messages.py` is right: each number, field, name and reference in its docstrings."""

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import gossipreg
from gossipreg import config, model
from gossipreg.core.gossip import reconcile
from gossipreg.core.session import outbox
from gossipreg.core.table import layout
from gossipreg.model import NodeId
from gossipreg.wire import codec, payload_fields, seal, values
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Message
from tests.wire.test_codec import FIELDS
from tests.wire.valid_messages import VALID, frame

PACKAGE = Path(gossipreg.__file__).parent
SOURCE = inspect.getsource(m)
TREE = ast.parse(SOURCE)
TEXT = " ".join(
    " ".join(node.value.value.split())
    for node in ast.walk(TREE)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
)
KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in codec._ENCODERS}
HEADERS_BYTES = 8 + 20 + 14
"""Of UDP, IPv4 and Ethernet."""
IDLE_BYTES = seal.HEADER_BYTES + seal.TAG_BYTES + len(codec.encode(m.Probe(1, 2)))
PORTS = "1 to 65,535"
ID_BYTES = model.NODE_ID_BYTES


def bits(most: int) -> int:
    return most.bit_length()


FACTS = (
    # a datagram
    f"format {seal.HEADER_BYTES - seal.KEY_ID_BYTES - model.BOOT_ID_BYTES - seal.COUNTER_BYTES} | "
    f"key id {seal.KEY_ID_BYTES} | boot id {model.BOOT_ID_BYTES} | counter {seal.COUNTER_BYTES} "
    f"({seal.HEADER_BYTES} bytes, associated data of the seal)",
    f"plus a tag of {seal.TAG_BYTES} bytes",
    "The counter starts at 1 in each process",
    "kind 1 | length 1 or 2 | payload",
    "A length below 128 takes one byte; else two, big-endian, with the top bit set "
    f"(so at most {m.MAX_PAYLOAD_BYTES:,})",
    f"A body is at most {m.MAX_BODY_BYTES:,} bytes",
    # sizes
    f"{outbox.BASE_BYTES:,} bytes of UDP payload until more is confirmed, {outbox.FLOOR_BYTES} if not even that",
    f"An entry of a row takes at most {layout.PART_BYTES} bytes",
    "takes at most 512 bytes and fits the smallest datagram",
    # payloads
    f"`{codec._PROBE.format}`: a byte that is written as 0 and not read",
    f"an idle probe at {IDLE_BYTES} bytes of UDP payload, {IDLE_BYTES + HEADERS_BYTES} with all headers on IPv4",
    f"an array never has more than {payload_fields.MAX_ARRAY} elements",
    f"hashes of {m.ROW_HASH_BYTES} bytes, as in Hashes",
    f"[packed IP, 4 or 16 bytes; port, {PORTS}]; an IPv4-mapped IPv6 address is IPv4",
    f"1 to {model.MAX_NAME_BYTES} bytes of UTF-8",
    f"id, target, by {ID_BYTES} bytes",
    f"number of Probe to PingReq {bits(m.MAX_NUMBER)} bits; nonces, echoes, salts, digests, fingerprints "
    f"{bits(m.MAX_HASH)}",
    f"generation, counters {bits(m.MAX_VERSION)} bits",
    f"of a datagram (Receipt) {bits(m.MAX_DATAGRAM_COUNTER)}, from 1",
    f"incarnation {bits(m.MAX_INCARNATION)} bits",
    f"oldest, newest 1 to {values.MAX_PROTOCOL:,}, oldest <= newest",
    "Hello leaves out a `held` of 0, then a `before` of 0, and then a range of "
    f"{model.FIRST_PROTOCOL.oldest} alone. Mismatch leaves out a nonce of 0, and then a range of "
    f"{model.FIRST_PROTOCOL.oldest} alone",
    f"key {bits(m.MAX_KEY)} bits (slot 32, part 8, kind 5); value at most {m.MAX_ENTRY_VALUE_BYTES} bytes "
    f"(with the key, {layout.PART_BYTES})",
    f"bits 0 to {m.MAX_BITS}; digests are 4 << bits bytes; bucket is below 1 << bits",
    f"Buckets with fewer than {reconcile._BITS_MIN} or more than {reconcile._BITS_MAX} bits are read, and not answered",
    f"low, high {8 * m.ROW_HASH_BYTES} bits, low <= high; hashes are sorted, {m.ROW_HASH_BYTES} bytes each, big-endian",
    f"next, after 0 or {ID_BYTES} bytes",
    f"Peers at most {m.MAX_PEERS}",
    f"(up to the {payload_fields.MAX_ARRAY}; no maps, no extension types)",
    "Kinds 32 to 63 are reserved: coordinates 32, signatures 33, events 34, queries 35, replies 36",
    # who may speak
    f"at most {('no', 'one', 'two', 'three')[outbox.AMPLIFICATION]} times the bytes that they sent",
    # the constants
    f"A key counts as {layout.PART_BYTES - m.MAX_ENTRY_VALUE_BYTES} bytes; with its value, {layout.PART_BYTES}.",
    f"The digests of {1 << m.MAX_BITS:,} buckets fit the largest body",
    # the messages
    f"{bits(m.MAX_HASH)} bits, unpredictable; 0: nothing is asked.",
    "A Hello with a nonce that is not 0 is answered",
    "The nonce being answered; 0: none.",
    "by the sender's data directory; 0: none is.",
    "if it is between those two; else 0.",
    f"{bits(m.MAX_NUMBER)} bits, unpredictable.",
    "0: the first page of a full row",
    f"over its live entries at `head`, {bits(m.MAX_HASH)} bits",
    "newer than (generation, counter); (0, 0) asks for all of it",
    "the table in 2**bits buckets by the leading bits of the id, 4 salted bytes each",
    "4 bytes * 2**bits",
    f"a salted hash of {m.ROW_HASH_BYTES} bytes of each row in them",
    f"{m.ROW_HASH_BYTES} bytes each",
)
MEASURED = (
    "a list of 2,048 nested in itself cost 100 ms a datagram",
    "Of 10,000 rows some pair in one bucket collides in one comparison of 50,000",
)
"""Results of a measurement and of a calculation: reasons, not rules."""
NAMES = ("Lifeguard 3.2", "UTF-8", "IPv4", "IPv6")


@pytest.mark.parametrize("fact", FACTS)
def test_the_specification_gives_the_numbers_of_the_code(fact: str) -> None:
    assert fact in TEXT


def test_every_number_of_the_specification_is_held_here() -> None:
    rest = TEXT
    for fact in sorted((*FACTS, *MEASURED), key=len, reverse=True):
        rest = rest.replace(fact, "...")
    for name in NAMES:
        rest = rest.replace(name, "...")
    assert [rest[max(0, at.start() - 40) : at.end() + 20] for at in re.finditer(r"\d", rest)] == []


# -- what the facts leave open ---------------------------------------------------------------------------------------


def test_a_delta_with_one_entry_takes_at_most_512_bytes() -> None:
    entry = (m.MAX_KEY, m.MAX_VERSION, bytes(m.MAX_ENTRY_VALUE_BYTES))
    most = m.MAX_VERSION
    largest = m.Delta(NodeId(bytes(16)), most, most - 1, most, most, m.MAX_HASH, most, (entry,))
    size = len(codec.encode(largest))
    assert size <= 512
    assert size + seal.HEADER_BYTES + seal.TAG_BYTES <= outbox.FLOOR_BYTES


def test_a_length_of_127_takes_one_byte_and_128_takes_two() -> None:
    assert [len(codec.encode(m.Padding(size))) - size for size in (127, 128, m.MAX_PAYLOAD_BYTES)] == [2, 3, 3]


def test_the_parts_of_a_key_are_those_of_the_table() -> None:
    slots, parts, kinds = 32, layout.PART_BITS, layout.KIND_BITS
    assert (parts, kinds) == (8, 5)
    assert slots + parts + kinds == bits(m.MAX_KEY)


def test_the_largest_buckets_and_the_configured_datagrams_fit_a_body() -> None:
    assert len(codec.encode(m.Buckets(m.MAX_HASH, m.MAX_BITS, bytes(4 << m.MAX_BITS)))) <= m.MAX_BODY_BYTES
    for profile in config.PROFILES.values():
        assert profile.datagram_bytes - seal.HEADER_BYTES - seal.TAG_BYTES <= m.MAX_BODY_BYTES


def test_reserved_kinds_are_not_in_use() -> None:
    for kind in range(32, 64):
        assert kind not in VALID
        assert codec.decode_untrusted(frame(kind, b"")) == ([], 1)


def test_a_generation_one_above_the_largest_still_fits_its_field() -> None:
    codec.encode(m.Announce(NodeId(bytes(16)), m.MAX_VERSION + 1, 0))


# -- fields ----------------------------------------------------------------------------------------------------------

ROWS = dict(re.findall(r"^    ([A-Z]\w+) +(\[.*)$", m.__doc__ or "", re.MULTILINE))
ITEMS = {"Delta": "entries", "Receipt": "counters", "Hashes": "buckets", "Versions": "rows", "Peers": "peers"}


def written(row: str) -> list[str]:
    """The names between the first brackets."""
    names = row[1 : row.index("]")]
    return [name.removesuffix(" or nil") for name in names.split(", ") if name]


def of_class(kind: type[Message]) -> list[str]:
    """The fields of the array of this message, in order: a range is two, and a list is left out."""
    found: list[str] = []
    for field in fields(kind):
        if field.name == "protocol":
            found += model.ProtocolRange._fields
        elif field.name != ITEMS.get(kind.__name__):
            found.append(field.name)
    return found


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_array_of_a_message_has_the_fields_of_its_class(name: str) -> None:
    array = written(ROWS[name])
    assert sorted(array) == sorted(of_class(KINDS[name]))
    assert len(array) == len(FIELDS[getattr(m, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper())][0])
    if name not in ("Versions", "Mismatch"):
        assert array == of_class(KINDS[name])


def test_every_message_with_an_array_has_a_line_in_the_specification() -> None:
    assert set(ROWS) == set(KINDS) - {"Probe", "Ack", "Padding"}
    for name in ("Probe", "Ack", "Padding"):
        assert name in TEXT


def test_the_lists_named_are_the_items_behind_the_arrays() -> None:
    listed = "entries of a Delta, counters of a Receipt, buckets of Hashes, rows of Versions, peers of Peers"
    assert listed in TEXT
    assert {name for name, row in ROWS.items() if row.endswith("...")} == set(ITEMS)
    for name, items in ITEMS.items():
        assert items in {field.name for field in fields(KINDS[name])}


# -- references ------------------------------------------------------------------------------------------------------


def test_the_specification_refers_to_existing_sections_and_files() -> None:
    headings = set(re.findall(r"^(\w[\w ]*)\n-+$", SOURCE, re.MULTILINE))
    assert headings >= {"A datagram", "Sizes", "Payloads", "Who may speak"}
    referred = re.findall(r"\(see ([A-Z]\w*)\)|see \"(\w[\w ]*)\"", SOURCE)
    assert [name for pair in referred for name in pair if name and name not in headings] == []
    files = re.findall(r"`((?:\w+/)*\w+\.py)`", SOURCE)
    assert "core/local/own_address.py" in files
    assert [name for name in files if not any((folder / name).exists() for folder in (PACKAGE, PACKAGE / "wire"))] == []


def test_the_names_in_backquotes_exist() -> None:
    known = {field.name for kind in KINDS.values() for field in fields(kind)}
    known |= set(model.ProtocolRange._fields) | {"settle_s", "Config.datagram_bytes", codec._PROBE.format}
    quoted = {name for name in re.findall(r"`([^`]+)`", TEXT) if not name.endswith(".py")}
    assert quoted - known == set()
    assert hasattr(config.lan, "settle_s")
    assert hasattr(config.lan, "datagram_bytes")
