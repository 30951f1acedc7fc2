"""Messages of gRPC in a stream of bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.xds.server.grpc_messages import MESSAGE_MAX_BYTES, MessageReader, framed
from gossipreg.gateway.xds.server.grpc_status import GrpcFault, GrpcStatus, trailers


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 30), max_size=40))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    data, reader, found = framed(messages), MessageReader(), list[bytes]()
    for cut in [*cuts, len(data)]:
        piece, data = data[:cut], data[cut:]
        found += reader.feed_untrusted(piece)
    assert found == messages
    assert reader.held_bytes == 0


def test_the_bytes_of_a_message_that_is_not_whole_are_counted() -> None:
    reader = MessageReader()
    assert reader.feed_untrusted(framed([b"a" * 10, b"b" * 10])[:-4]) == [b"a" * 10]
    assert reader.held_bytes == 11


def test_a_message_that_is_too_long_is_refused_by_its_length_alone() -> None:
    reader = MessageReader()
    assert reader.feed_untrusted(b"\0" + MESSAGE_MAX_BYTES.to_bytes(4, "big")) == []
    with pytest.raises(GrpcFault, match="at most 4194304") as caught:
        MessageReader().feed_untrusted(b"\0" + (MESSAGE_MAX_BYTES + 1).to_bytes(4, "big"))
    assert caught.value.status is GrpcStatus.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"\1\0\0\0\1a", b"\1\0\0\0\5a", framed([b"good"]) + b"\2\0\0\0\0"])
def test_a_compressed_message_is_refused(data: bytes) -> None:
    with pytest.raises(GrpcFault, match="compressed") as caught:
        MessageReader().feed_untrusted(data)
    assert caught.value.reason == "xds_bad_message"


def test_a_status_text_is_written_as_grpc_escapes_it() -> None:
    assert trailers(GrpcStatus.OK) == [(b"grpc-status", b"0")]
    assert trailers(GrpcStatus.INTERNAL, "50 % of 'é'\n")[1] == (b"grpc-message", b"50 %25 of '%C3%A9'%0A")
    assert len(trailers(GrpcStatus.INTERNAL, "é" * 100_000)[1][1]) < 8_000
