"""The local socket's messages: what goes in comes out however it is cut; hostile bytes raise two exceptions only."""

import tracemalloc
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, TooLarge
from gossipreg.wire import rpc

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
flat_params = st.dictionaries(st.text(), scalars | st.lists(scalars) | st.dictionaries(st.text(), scalars), max_size=5)
ids = st.integers(0, 2**32 - 1)

messages = st.one_of(
    st.tuples(st.just("request"), ids, st.text(), flat_params),
    st.tuples(st.just("reply"), ids, st.none(), values),
    st.tuples(st.just("reply"), ids | st.none(), st.tuples(st.text(), st.text()), st.none()),
    st.tuples(st.just("notification"), st.text(), flat_params),
)


def encode(message: tuple[Any, ...]) -> bytes:
    match message:
        case "request", id, method, params:
            return rpc.encode_request(id, method, params)
        case "reply", id, None, result:
            return rpc.encode_reply(id, result)
        case "reply", id, (code, text), None:
            return rpc.encode_error(id, code, text)
        case _:
            return rpc.encode_notification(message[1], message[2])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 2**16), max_size=8))
def test_messages_come_out_whole_however_the_stream_is_cut(sent: list[tuple[Any, ...]], places: list[int]) -> None:
    decoder = rpc.Decoder()
    received = [
        message
        for part in cut(b"".join(map(encode, sent)), places)
        for message in decoder.feed_untrusted(part)
    ]  # fmt: skip
    assert received == sent


@given(st.lists(st.integers(0, 3 * rpc.SMALL_BYTES), min_size=1, max_size=4), st.integers(1, rpc.SMALL_BYTES + 100))
def test_large_and_small_messages_come_out_of_small_parts(sizes: list[int], part_bytes: int) -> None:
    decoder = rpc.Decoder()
    received: list[rpc.Message] = []
    data = b"".join(rpc.encode_request(number, "m", {"a": "b" * size}) for number, size in enumerate(sizes))
    for at in range(0, len(data), part_bytes):
        received += decoder.feed_untrusted(data[at : at + part_bytes])
        assert decoder.held_bytes <= len(data)
    assert [len(message[3]["a"]) for message in received] == sizes
    assert decoder.empty


def test_a_decoder_at_rest_takes_hardly_any_memory() -> None:
    begun = rpc.encode_request(1, "lookup", {"name": "web"})[:-1]
    tracemalloc.start()
    try:
        decoders = [rpc.Decoder() for _ in range(100)]
        for decoder in decoders:
            assert list(decoder.feed_untrusted(begun)) == []
        size_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size_bytes / len(decoders) < 1000


def read_all(data: bytes, places: list[int], max_bytes: int = rpc.MAX_REQUEST_BYTES) -> list[rpc.Message]:
    """Messages until the end or the first refusal; any other exception is the caller's failure."""
    decoder = rpc.Decoder(max_bytes)
    received: list[rpc.Message] = []
    with suppress(BadParams, TooLarge):
        for part in cut(data, places):
            received.extend(decoder.feed_untrusted(part))
    return received


mutated = st.builds(
    lambda message, place, junk: (data := encode(message))[: (at := place % (len(data) + 1))] + junk + data[at + 1 :],
    messages,
    st.integers(0, 2**16),
    st.binary(max_size=6),
)


@given(st.binary(max_size=300) | mutated, st.lists(st.integers(0, 2**16), max_size=4))
@example(b"\xc1", [])
@example(b"\x91" * 3000, [])
@example(b"\x93\x02\xa1\xff\x80", [])
@example(b"\x93\x02\xa1a\x82\xc0\x01\xa1b\x02", [])
@example(b"\x93\x02\xa1a\x81\x90\x01", [])
@example(b"\x94\x00\xc3\xa1a\x80", [])
def test_hostile_bytes_raise_nothing_but_a_request_error(data: bytes, places: list[int]) -> None:
    for message in read_all(data, places):
        match message:
            case ("request", int(id), str(), dict(params)) if type(id) is int:
                assert all(isinstance(key, str) for key in params)
            case ("notification", str(), dict(params)):
                assert all(isinstance(key, str) for key in params)
            case ("reply", int() | None, None, _) | ("reply", int() | None, (str(), str()), None):
                pass
            case _:
                pytest.fail(f"not a message: {message!r}")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_how_hostile_bytes_are_cut_does_not_change_what_is_read(data: bytes, places: list[int]) -> None:
    assert read_all(data, places) == read_all(data, [])


@pytest.mark.parametrize(
    "head",
    [
        b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
        b"\xdd\x00\x0f\xff\xff" * 1000, b"\xdf\x00\x0f\xff\xff\xa0" * 500,
    ],
)  # fmt: skip
def test_a_promise_of_billions_of_elements_takes_no_memory(head: bytes) -> None:
    tracemalloc.start()
    try:
        assert list(rpc.Decoder().feed_untrusted(b"\x91" + head)) == []  # it waits for the rest
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200_000


@pytest.mark.parametrize("head", [b"\xdb\x00\x10\x00\x00", b"\xdf\x00\x00\x00\x02", b"\xc4\x40", b"\x82", b"\xcd"])
def test_what_begins_no_array_is_refused_before_its_end(head: bytes) -> None:
    with pytest.raises(BadParams, match="not a MessagePack-RPC message"):
        list(rpc.Decoder().feed_untrusted(head))


def test_a_message_beyond_the_limit_is_refused_before_its_end() -> None:
    decoder = rpc.Decoder(max_bytes=1000)
    start = b"\x91\xdb\x00\x10\x00\x00"  # a text of 1 MiB
    assert list(decoder.feed_untrusted(start + bytes(900))) == []
    with pytest.raises(TooLarge, match="1000"):
        list(decoder.feed_untrusted(bytes(200)))


def test_a_complete_message_beyond_the_bound_is_refused() -> None:
    with pytest.raises(TooLarge, match="100"):
        list(rpc.Decoder(max_bytes=100).feed_untrusted(rpc.encode_reply(1, "x" * 100)))


def test_the_limit_is_of_one_message_and_not_of_many_together() -> None:
    message = rpc.encode_reply(1, "x" * 100)
    decoder = rpc.Decoder(max_bytes=len(message))
    assert list(decoder.feed_untrusted(message * 50)) == [("reply", 1, None, "x" * 100)] * 50


def test_a_megabyte_of_empty_lists_is_refused_while_unpacking() -> None:
    data = b"\x93\x02\xa1m\x81\xa1k\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000
    with pytest.raises(BadParams, match="arrays and maps"):
        list(rpc.Decoder().feed_untrusted(data))


def test_a_large_honest_reply_is_not_refused_for_its_containers() -> None:
    instance = {"service": "a", "id": "a-1", "node": "0" * 32, "node_name": "n", "address": "10.0.0.1", "port": 80}
    instance |= {"tags": [], "meta": {}, "weight": 1, "health": "passing", "stale": False, "zone": ""}
    instance |= {"version": ["1", 1]}
    reply = rpc.encode_reply(7, [instance] * 20_000)
    decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
    assert list(decoder.feed_untrusted(reply)) == [("reply", 7, None, [instance] * 20_000)]


def nested(depth: int) -> dict[str, Any]:
    """Parameters of so many containers, one in the other."""
    value: Any = {}
    for _ in range(depth - 1):
        value = {"k": value}
    assert isinstance(value, dict)
    return value


def test_parameters_nest_to_the_limit_and_no_deeper() -> None:
    at_limit = rpc.encode_request(1, "m", nested(rpc.MAX_DEPTH))
    assert list(rpc.Decoder().feed_untrusted(at_limit)) == [("request", 1, "m", nested(rpc.MAX_DEPTH))]
    with pytest.raises(BadParams, match="nest deeper"):
        list(rpc.Decoder().feed_untrusted(rpc.encode_request(1, "m", nested(rpc.MAX_DEPTH + 1))))


def test_parameters_may_be_an_array_of_one_map() -> None:
    data = msgpack.packb([0, 1, "lookup", [{"name": "web"}]]) + msgpack.packb([0, 2, "info", []])
    assert list(rpc.Decoder().feed_untrusted(data)) == [
        ("request", 1, "lookup", {"name": "web"}),
        ("request", 2, "info", {}),
    ]


@pytest.mark.parametrize("params", [None, 1, "web", ["web"], [{}, {}], {b"name": "web"}])
def test_other_parameters_are_refused(params: object) -> None:
    with pytest.raises(BadParams, match="one map"):
        list(rpc.Decoder().feed_untrusted(msgpack.packb([0, 1, "lookup", params])))


def test_messages_before_a_bad_one_are_still_read() -> None:
    decoder = rpc.Decoder()
    stream = decoder.feed_untrusted(rpc.encode_request(1, "info", {}) + b"\xc1")
    assert next(stream) == ("request", 1, "info", {})
    with pytest.raises(BadParams, match="not MessagePack"):
        next(stream)


def test_each_message_is_built_only_when_it_is_asked_for() -> None:
    decoder = rpc.Decoder()
    one = rpc.encode_request(1, "info", {})
    assert next(decoder.feed_untrusted(one + one)) == ("request", 1, "info", {})
    assert list(decoder.feed_untrusted(b"")) == [("request", 1, "info", {})]


@pytest.mark.parametrize("value", ["\udce4", object(), 2**64])
def test_what_has_no_bytes_in_messagepack_is_the_callers_error(value: object) -> None:
    with pytest.raises(BadParams, match="cannot be sent"):
        rpc.encode_request(1, "register", {"name": value})


def test_a_request_that_would_not_be_read_is_not_sent() -> None:
    with pytest.raises(TooLarge, match="at most 1048576"):
        rpc.encode_request(1, "register", {"name": "x" * rpc.MAX_REQUEST_BYTES})
