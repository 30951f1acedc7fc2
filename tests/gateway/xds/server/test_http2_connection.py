"""HTTP/2 of one connection, as bytes: what h2 does not see here, and what a client may not do."""

import random
from contextlib import suppress
from struct import pack

import pytest
from h2.settings import SettingCodes

from gossipreg.gateway.xds.server import http2_connection
from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.http2_connection import (
    ClientEnded,
    ClientLeaves,
    DataCame,
    Http2Connection,
    Http2Event,
    Http2Stream,
    RequestCame,
    StreamGone,
)
from gossipreg.gateway.xds.server.http2_frames import Http2Fault, frame, window_update
from gossipreg.gateway.xds.server.http2_windows import CONNECTION_WINDOW_BYTES, FIRST_WINDOW_BYTES, STREAM_WINDOW_BYTES
from tests.gateway.xds.http2_client import Http2Client

RESPONSE = [(b":status", b"200"), (b"content-type", b"application/grpc")]


def fed(ours: Http2Connection, data: bytes) -> list[Http2Event]:
    return list(ours.events_untrusted(data))


def opened() -> tuple[Http2Connection, Http2Client, Http2Stream]:
    """A connection with one call, whose response has begun."""
    ours, client = Http2Connection(), Http2Client()
    id, data = client.call()
    [event] = fed(ours, data)
    assert isinstance(event, RequestCame)
    assert event.stream.id == id == 1
    ours.send_headers(event.stream, RESPONSE)
    client.receive(ours.take_out())
    assert fed(ours, client.out()) == []
    return ours, client, event.stream


def test_a_connection_may_come_byte_by_byte() -> None:
    ours, client = Http2Connection(), Http2Client()
    _, data = client.call()
    data += client.send(1, b"hello")
    events: list[Http2Event] = []
    for byte in data:
        events += fed(ours, bytes([byte]))
    assert [type(event) for event in events] == [RequestCame, DataCame]
    assert (b":path", b"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources") in (
        events[0].headers if isinstance(events[0], RequestCame) else []
    )
    assert ours.held_bytes == 0


def test_data_go_both_ways_between_it_and_h2() -> None:
    ours, client, stream = opened()
    assert fed(ours, client.send(1, b"ask")) == [DataCame(stream, b"\0\0\0\0\3ask")]
    data = b"\0\0\0\0\6answer"
    assert ours.send_data(stream, data, 0) == len(data)
    client.receive(ours.take_out())
    assert client.messages[1] == [b"answer"]


def test_padding_is_not_data() -> None:
    ours, client, stream = opened()
    client.h2.send_data(1, b"data", pad_length=10)
    assert fed(ours, client.out()) == [DataCame(stream, b"data")]
    with pytest.raises(Http2Fault, match="padding"):
        fed(ours, frame(frames.DATA, frames.PADDED, 1, b"\4abc"))


def test_windows_are_opened_again_while_much_is_received() -> None:
    ours, client, _ = opened()
    received = 0
    for _ in range(400):  # 6 times the window of the connection
        client.h2.send_data(1, bytes(16_000))
        received += sum(len(event.data) for event in fed(ours, client.out()) if isinstance(event, DataCame))
        client.receive(ours.take_out())
    assert received == 400 * 16_000


def test_windows_are_not_opened_with_each_frame() -> None:
    ours, client, _ = opened()
    fed(ours, client.send(1, b"an ACK"))
    assert ours.take_out() == b""


def test_no_more_is_sent_than_the_windows_allow() -> None:
    ours, client, stream = opened()
    client.acknowledges = False
    data = bytes(100_000)
    at = ours.send_data(stream, data, 0)
    assert at == FIRST_WINDOW_BYTES
    client.receive(ours.take_out())  # h2 would raise
    assert ours.send_data(stream, data, at) == at
    fed(ours, window_update(1, 100))
    assert ours.send_data(stream, data, at) == at, "the connection has no window"
    fed(ours, window_update(0, 50))
    assert ours.send_data(stream, data, at) == at + 50


def test_a_setting_changes_the_windows_of_open_streams() -> None:
    ours, client, stream = opened()
    client.acknowledges = False
    client.h2.increment_flow_control_window(1_000_000)
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
    fed(ours, client.out())
    assert ours.send_data(stream, bytes(200), 0) == 100
    client.receive(ours.take_out())
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 50})
    fed(ours, client.out())
    assert stream.send.left == -50
    assert ours.send_data(stream, bytes(200), 100) == 100
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 150})
    fed(ours, client.out())
    assert ours.send_data(stream, bytes(200), 100) == 150


def test_frames_are_no_longer_than_the_client_takes_them() -> None:
    ours, client, stream = opened()
    ours.send_data(stream, bytes(40_000), 0)
    client.receive(ours.take_out())  # h2 would raise: 16,384 at most
    assert len(client.data[1]) == 40_000


def test_a_ping_is_answered_and_an_answer_is_not() -> None:
    ours, client, _ = opened()
    client.h2.ping(b"12345678")
    fed(ours, client.out())
    ours.ping()
    client.receive(ours.take_out())
    assert client.pongs == [b"12345678"]
    fed(ours, client.out())
    assert ours.take_out() == b""


def test_the_end_of_a_request_is_known_with_its_last_data() -> None:
    ours, client, stream = opened()
    client.h2.send_data(1, b"last", end_stream=True)
    assert fed(ours, client.out()) == [DataCame(stream, b"last"), ClientEnded(stream)]
    ours.send_headers(stream, [(b"grpc-status", b"0")], last=True)
    client.receive(ours.take_out())
    assert (client.ended, client.reset, ours.streams) == ({1}, {}, {})


def test_a_call_that_ends_here_first_is_ended_for_the_client_too() -> None:
    ours, client, stream = opened()
    ours.send_headers(stream, [(b"grpc-status", b"14")], last=True)
    late = client.send(1, b"under way")
    client.receive(ours.take_out())
    assert client.trailers[1] == {"grpc-status": "14"}
    assert client.reset == {1: frames.NO_ERROR}
    assert fed(ours, late) == []
    id, data = client.call()
    [event] = fed(ours, data)
    assert isinstance(event, RequestCame), "the connection goes on"
    assert event.stream.id == id


def test_a_reset_and_a_goaway_are_events() -> None:
    ours, client, stream = opened()
    client.h2.reset_stream(1)
    assert fed(ours, client.out()) == [StreamGone(stream)]
    assert fed(ours, frame(frames.DATA, 0, 1, b"late")) == []
    client.h2.close_connection()
    assert fed(ours, client.out()) == [ClientLeaves()]


def test_a_stream_that_is_reset_at_once_is_answered_before() -> None:
    """Both frames come in one piece: the answer to the first one is sent while h2 knows only that."""
    ours, client, _ = opened()
    _, data = client.call()
    client.h2.reset_stream(3)
    events = ours.events_untrusted(data + client.out())
    event = next(events)
    assert isinstance(event, RequestCame)
    ours.send_headers(event.stream, RESPONSE)
    assert list(events) == [StreamGone(event.stream)]


@pytest.mark.parametrize("with_data", [True, False])
def test_a_call_without_more_to_ask_may_be_refused_at_once(with_data: bool) -> None:
    ours, client, _ = opened()
    client.h2.send_headers(3, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
                           end_stream=not with_data)  # fmt: skip
    if with_data:
        client.h2.send_data(3, b"a", end_stream=True)
    events = ours.events_untrusted(client.out())
    event = next(events)
    assert isinstance(event, RequestCame)
    ours.send_headers(event.stream, [(b":status", b"405"), (b"content-type", b"text/plain")], last=True)
    assert list(events) == []
    client.receive(ours.take_out())
    assert 3 in client.ended


def test_the_connection_has_its_own_bound_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_connection, "STREAMS_MAX", 128)
    ours, client, _ = opened()
    client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    client.h2.remote_settings.acknowledge()
    for _ in range(127):
        fed(ours, client.call()[1])
    with pytest.raises(Http2Fault) as caught:
        fed(ours, client.call()[1])
    assert caught.value.reason == "xds_too_many_calls"


def test_streams_that_come_and_go_leave_nothing_behind() -> None:
    ours, client, _ = opened()
    for _ in range(1000):
        id, data = client.call()
        fed(ours, data)
        client.h2.reset_stream(id)
        fed(ours, client.out())
    assert len(ours.streams) == 1


def test_settings_that_nobody_knows_are_not_kept() -> None:
    """h2 keeps each number that it ever saw: 65,536 of them would take 50 MB."""
    ours, _, stream = opened()
    unknown = b"".join(pack(">HL", number, 1) for number in range(0x100, 0x100 + 2000))
    window = pack(">HL", 4, 70_000)
    fed(ours, frame(frames.SETTINGS, 0, 0, unknown + window))
    assert stream.send.left == 70_000
    assert frames.known_settings(unknown + window) == window
    assert frames.known_settings(b"odd") == b"odd"


BAD = {
    "a frame that is too long": frame(frames.DATA, 0, 1, bytes(frames.FRAME_MAX_BYTES + 1)),
    "data without a stream": frame(frames.DATA, 0, 0, b"a"),
    "data on a stream that was never opened": frame(frames.DATA, 0, 7, b"a"),
    "data on a stream of the server": frame(frames.DATA, 0, 2, b"a"),
    "a window of a stream that was never opened": window_update(9, 1),
    "a window that does not grow": window_update(1, 0),
    "a window that is too large": window_update(1, frames.WINDOW_MAX),
    "a window of the connection that is too large": window_update(0, frames.WINDOW_MAX),
    "a window update that is too short": frame(frames.WINDOW_UPDATE, 0, 1, b"\0\0\1"),
    "a ping that is too short": frame(frames.PING, 0, 0, b"1234567"),
    "a ping on a stream": frame(frames.PING, 0, 1, b"12345678"),
    "settings that are cut": frame(frames.SETTINGS, 0, 0, b"12345"),
    "settings on a stream": frame(frames.SETTINGS, 0, 1, b""),
    "a setting out of its bounds": frame(frames.SETTINGS, 0, 0, pack(">HL", 4, 2**31)),
    "a push": frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, pack(">L", 2)),
    "headers that cannot be read": frame(frames.HEADERS, frames.END_HEADERS, 3, b"\xff\xff\xff\xff"),
    "headers without a path": frame(frames.HEADERS, frames.END_HEADERS, 3, b"\x83"),
    "another frame within headers": frame(frames.HEADERS, 0, 3, b"\x83") + frame(frames.PING, 0, 0, b"12345678"),
    "a continuation of nothing": frame(frames.CONTINUATION, 0, 3, b"\x83"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_connection_ends_for_what_breaks_the_rules(data: bytes) -> None:
    ours, client, _ = opened()
    with pytest.raises(Http2Fault) as caught:
        fed(ours, data)
    assert caught.value.reason == "xds_bad_frame"
    ours.last_words(caught.value.error_code, str(caught.value))
    client.receive(ours.take_out())
    assert client.goaway is not None
    assert client.goaway[0] == caught.value.error_code != 0
    assert client.goaway[1]


@pytest.mark.parametrize("empty", [True, False])
def test_headers_without_an_end_have_a_bound(empty: bool) -> None:
    ours, _, _ = opened()
    fed(ours, frame(frames.HEADERS, 0, 3, b"\x83"))
    piece = b"" if empty else bytes(1000)
    count = 0
    with suppress(Http2Fault):
        while count := count + 1:
            fed(ours, frame(frames.CONTINUATION, 0, 3, piece))
            assert ours.held_bytes < 40_000
    assert count < 100


def test_headers_that_are_long_when_unpacked_have_a_bound() -> None:
    """One long header in HPACK's table, named again and again by a byte each."""
    ours, client, _ = opened()
    bomb = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
        *[("x-bomb", "a" * 3000)] * 500,
    ]
    client.h2.send_headers(3, bomb)
    with pytest.raises(Http2Fault) as caught:
        fed(ours, client.out())
    assert caught.value.reason == "xds_long_headers"


def test_each_frame_has_its_cost() -> None:
    ours, client, _ = opened()
    unknown = frame(frames.SETTINGS, 0, 0, pack(">HL", 999, 1) * 2000)
    calls = [(client.send(1, b"a"), 1), (frame(frames.SETTINGS, 0, 0, b""), 6), (client.call()[1], 6), (unknown, 185)]
    for data, cost in calls:
        ours.cost = 0
        fed(ours, data)
        assert ours.cost == cost


def test_any_cut_of_the_bytes_gives_the_same_events() -> None:
    client = Http2Client()
    data = client.call()[1] + b"".join(client.send(1, bytes(size)) for size in (0, 1, 20_000, 300))
    data += client.call()[1]
    client.h2.end_stream(3)
    data += client.out()
    rng = random.Random(5)

    def shown(cuts: list[int]) -> list[tuple[str, int, bytes]]:
        ours, events = Http2Connection(), list[Http2Event]()
        for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            events += fed(ours, data[begin:end])
        return [
            (type(one).__name__, one.stream.id, getattr(one, "data", b""))
            for one in events
            if not isinstance(one, ClientLeaves)
        ]

    whole = shown([])
    assert len(whole) >= 7
    for _ in range(50):
        assert shown(sorted(rng.randrange(len(data)) for _ in range(rng.randrange(20)))) == whole


def test_the_window_of_a_stream_is_what_the_settings_promise() -> None:
    _, client, _ = opened()
    assert client.h2.local_flow_control_window(1) == min(STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES)
