"""The calls of one connection: what a client asks, and how its calls end."""

from collections import Counter
from math import inf

import pytest

from gossipreg.gateway.xds.server import http2_frames as frames
from gossipreg.gateway.xds.server.grpc_calls import BUDGET, BUDGET_A_SECOND, TURN_CALLS, ConnectionEnds, GrpcConnection
from gossipreg.gateway.xds.server.grpc_messages import MESSAGE_MAX_BYTES, framed
from gossipreg.gateway.xds.server.grpc_status import GrpcStatus
from gossipreg.gateway.xds.server.http2_frames import Http2Fault
from tests.gateway.xds.fake_streams import ADS, FakeStreams
from tests.gateway.xds.http2_client import Http2Client


class Ends:
    """Both ends of a connection, in virtual time."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.now = 0.0
        self.counts: Counter[str] = Counter()
        self.bugs: list[str] = []
        self.wakes = 0
        self.streams = FakeStreams()
        self.client = Http2Client(acknowledges=acknowledges)
        self.ours = GrpcConnection(
            self.streams, "10.0.0.9:5", 0.0, wake=self._wake, counts=self.counts, bug=lambda where, _: self.bug(where)
        )

    def _wake(self) -> None:
        self.wakes += 1

    def bug(self, where: str) -> None:
        self.bugs.append(where)

    def carry(self, data: bytes = b"") -> None:
        """These bytes to the server, and then all that either end has to say."""
        data += self.client.out()
        while True:
            if data:
                self.ours.receive_untrusted(data, self.now)
            answer = self.ours.output(self.now)
            self.client.receive(answer)
            data = self.client.out()
            if not answer and not data and not self.ours.more:
                return

    def call(self, path: str = ADS, *messages: bytes, **headers: str) -> int:
        id, data = self.client.call(path, *messages, **headers)
        self.carry(data)
        return id

    def status(self, id: int) -> tuple[GrpcStatus, str]:
        trailers = self.client.trailers[id]
        return GrpcStatus(int(trailers["grpc-status"])), trailers.get("grpc-message", "")


def test_a_call_gets_what_it_is_sent_in_order() -> None:
    ends = Ends()
    id = ends.call(ADS, b"one", b"two")
    assert (ends.streams.last.path, ends.streams.last.peer) == (ADS, "10.0.0.9:5")
    assert ends.streams.last.received == [b"one", b"two"]
    ends.streams.last.send(b"three", b"four" * 100_000)
    assert ends.wakes == 1
    ends.carry()
    assert ends.client.messages[id] == [b"one", b"two", b"three", b"four" * 100_000]
    assert ends.client.headers[id] == {":status": "200", "content-type": "application/grpc"}
    assert ends.counts == {"xds.calls": 1, "xds.requests": 2, "xds.responses": 4}


def test_calls_of_one_connection_are_apart() -> None:
    ends = Ends()
    first, second = ends.call(ADS, b"a"), ends.call(ADS, b"b")
    ends.carry(ends.client.send(first, b"c"))
    assert (ends.client.messages[first], ends.client.messages[second]) == ([b"a", b"c"], [b"b"])
    ends.client.h2.reset_stream(first)
    ends.carry()
    assert [call.closed for call in ends.streams.calls] == [1, 0]
    assert ends.ours.calls == 1


def test_a_slow_reader_is_asked_for_messages_only_when_it_has_read() -> None:
    ends = Ends(acknowledges=False)
    id = ends.call()
    call = ends.streams.last
    call.send(b"x" * 100_000)
    ends.carry()
    assert (call.taken, ends.ours.blocked, ends.ours.waiting_bytes) == (1, True, 100_005 - 65_535)
    for number in range(10):
        call.send(b"%d" % number)
        ends.carry()
    assert (call.taken, len(call.waiting)) == (1, 10)
    for stream_id in (0, id):
        ends.client.h2.increment_flow_control_window(200_000, stream_id or None)
    ends.carry()
    assert (call.taken, ends.ours.blocked, ends.ours.waiting_bytes) == (2, False, 0)
    assert ends.client.messages[id] == [b"x" * 100_000, *(b"%d" % number for number in range(10))]


def test_many_calls_of_one_connection_are_served_in_turns() -> None:
    ends = Ends()
    ids = [ends.call() for _ in range(TURN_CALLS * 2 + 1)]
    for call in ends.streams.calls:
        call.send(b"change")
    taken = []
    while ends.ours.more:
        ends.client.receive(ends.ours.output(0.0))
        taken.append(sum(call.taken for call in ends.streams.calls))
    assert taken == [TURN_CALLS, TURN_CALLS * 2, TURN_CALLS * 2 + 1]
    assert all(ends.client.messages[id] == [b"change"] for id in ids)


def test_a_thousand_calls_may_begin_at_once_again_and_again() -> None:
    """A program in Python that calls 1,000 services, when its sidecar has been restarted."""
    ends = Ends()
    data = b""
    for _ in range(1000):
        data += ends.client.call(ADS, *[b"x"] * 4)[1]
    ends.ours.receive_untrusted(data, 0.0)
    ends.carry()
    assert ends.ours.calls == 1000
    assert all(len(call.received) == 4 for call in ends.streams.calls)


def test_a_wake_while_messages_are_made_is_not_lost() -> None:
    ends = Ends()
    id = ends.call()
    call = ends.streams.last
    take = call.take

    def take_and_change() -> list[bytes]:
        found = take()
        if found == [b"first"]:
            call.send(b"second")
        return found

    call.take = take_and_change  # type: ignore[method-assign]
    call.send(b"first")
    ends.carry()
    assert ends.client.messages[id] == [b"first", b"second"]


def test_a_wake_after_the_end_of_a_call_does_nothing() -> None:
    ends = Ends()
    id = ends.call()
    ends.client.h2.reset_stream(id)
    ends.carry()
    ends.streams.last.send(b"late")
    ends.carry()
    assert (ends.wakes, ends.streams.last.taken, ends.ours.blocked) == (0, 0, False)


def test_a_call_ends_when_its_client_has_no_more_to_ask() -> None:
    ends = Ends()
    id = ends.call(ADS, b"a")
    ends.client.h2.end_stream(id)
    ends.carry()
    assert ends.status(id) == (GrpcStatus.OK, "")
    assert (ends.streams.last.closed, ends.client.reset) == (1, {})


@pytest.mark.parametrize(
    "path", ["/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats", "/grpc.reflection.v1.X/Y", "/", "*"]
)
def test_another_method_is_not_implemented(path: str) -> None:
    ends = Ends()
    id = ends.call(path)
    status, text = ends.status(id)
    assert status is GrpcStatus.UNIMPLEMENTED
    assert path in text
    assert id in ends.client.ended
    assert ends.client.messages[ends.call(ADS, b"next")] == [b"next"]


@pytest.mark.parametrize("headers", [{"grpc_encoding": "gzip"}, {"content_type": "application/grpc+json"}])
def test_an_encoding_that_is_not_ours_is_refused(headers: dict[str, str]) -> None:
    ends = Ends()
    id = ends.call(**headers)
    assert ends.status(id)[0] is GrpcStatus.UNIMPLEMENTED
    assert ends.counts["drop.xds_encoding"] == 1
    if "grpc_encoding" in headers:
        assert ends.client.headers[id]["grpc-accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "headers",
    [{"content_type": "application/grpc+proto"}, {"content_type": "application/grpc; a=b"}, {"te": ""}],
)
def test_calls_may_be_written_as_grpc_allows(headers: dict[str, str]) -> None:
    ends = Ends()
    assert ends.client.messages[ends.call(ADS, b"a", **headers)] == [b"a"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "application/json"}, "415"),
        ({"content_type": ""}, "415"),
        ({"content_type": "application/grpc-web"}, "415"),
        ({"method": "PUT"}, "405"),
    ],
)
def test_a_request_that_is_no_call_gets_a_line_to_read(headers: dict[str, str], status: str) -> None:
    ends = Ends()
    id = ends.call(**headers)
    assert ends.client.headers[id][":status"] == status
    assert b"send calls of gRPC" in ends.client.data[id]
    assert id in ends.client.ended
    assert ends.counts["drop.xds_no_grpc"] == 1


def test_a_bad_request_ends_its_call_with_the_text() -> None:
    ends = Ends()
    other = ends.call(ADS, b"a")
    id = ends.call(ADS, b"bad", b"not looked at")
    assert ends.status(id) == (GrpcStatus.INVALID_ARGUMENT, "a request that cannot be used: 100 %25 bad")
    assert (ends.streams.last.received, ends.streams.last.closed) == ([b"bad"], 1)
    ends.carry(ends.client.send(other, b"b"))
    assert ends.client.messages[other] == [b"a", b"b"]


def test_too_many_calls_are_an_exhausted_resource() -> None:
    ends = Ends()
    assert ends.status(ends.call("/full")) == (GrpcStatus.RESOURCE_EXHAUSTED, "too many streams")


def test_a_call_that_gives_way_to_others_is_told_so() -> None:
    ends = Ends()
    good = ends.call()
    assert ends.status(ends.call(ADS, b"give way")) == (GrpcStatus.RESOURCE_EXHAUSTED, "others needed some")
    ends.carry(ends.client.send(good, b"a"))
    assert ends.client.messages[good] == [b"a"]
    assert (ends.ours.calls, ends.streams.calls[1].closed, ends.bugs) == (1, 1, [])


def test_a_bug_ends_one_call_and_is_reported() -> None:
    ends = Ends()
    good = ends.call()
    for id in (ends.call("/bug"), ends.call(ADS, b"bug"), ends.call(ADS, b"bug later")):
        status, text = ends.status(id)
        assert status is GrpcStatus.INTERNAL
        assert "please report it" in text
    assert ends.bugs == ["xds_open", "xds_request", "xds_response"]
    ends.carry(ends.client.send(good, b"a"))
    assert ends.client.messages[good] == [b"a"]
    assert ends.ours.calls == 1


def test_a_long_message_ends_its_call_before_it_is_there() -> None:
    """An Envoy or a client may send 10 MB of node metadata."""
    ends = Ends()
    id, other = ends.call(), ends.call()
    for call in ends.streams.calls:
        call.echoes = False
    longest = framed([b"a" * MESSAGE_MAX_BYTES])
    for begin in range(0, len(longest), 16_000):
        ends.client.h2.send_data(id, longest[begin : begin + 16_000])
        ends.carry()
    assert ends.streams.calls[0].received == [b"a" * MESSAGE_MAX_BYTES]
    ends.client.h2.send_data(other, b"\0" + (10_000_000).to_bytes(4, "big") + b"a" * 1000)
    ends.carry()
    assert ends.status(other)[0] is GrpcStatus.RESOURCE_EXHAUSTED
    assert ends.counts["drop.xds_long_message"] == 1
    assert ends.ours.held_bytes == 0
    assert id not in ends.client.trailers


def test_what_is_not_whole_is_counted_until_its_call_ends() -> None:
    ends = Ends()
    id, data = ends.client.call(ADS, b"a" * 1000)
    ends.ours.receive_untrusted(data[:-500], 0.0)
    assert ends.ours.part_since == 0.0
    assert not ends.ours.held_bytes, "it is a part of a frame"
    ends.carry(data[-500:])
    assert ends.ours.part_since == inf
    ends.client.h2.send_data(id, b"\0\0\0\1\0" + b"b" * 99)
    ends.carry()
    assert (ends.ours.part_since, ends.ours.held_bytes) == (0.0, 104)
    ends.client.h2.reset_stream(id)
    ends.carry()
    assert (ends.ours.part_since, ends.ours.held_bytes) == (inf, 0)


def test_a_message_in_part_is_as_old_as_its_beginning() -> None:
    """Whole messages of other calls, or bytes now and then, make it no younger; a whole message of its own does."""
    ends = Ends()
    id, other = ends.call(), ends.call()
    begin = b"\0\0\0\0\5he"
    for at, (stream, data, since) in enumerate(
        [(id, begin, 0.0), (other, framed([b"a"]), 0.0), (id, b"l", 0.0), (id, b"lo" + begin, 3.0), (id, b"llo", inf)]
    ):
        ends.now = float(at)
        ends.client.h2.send_data(stream, data)
        ends.carry()
        assert ends.ours.part_since == since


def test_a_frame_in_part_is_as_old_as_its_beginning() -> None:
    ends = Ends()
    ends.call()
    for at, (data, since) in enumerate([(b"\0\0", 0.0), (b"\x08\6\0\0\0\0\0" + b"1234", 0.0), (b"5678\0", 2.0)]):
        ends.ours.receive_untrusted(data, float(at))
        assert ends.ours.part_since == since


def test_a_client_that_leaves_ends_its_calls() -> None:
    ends = Ends()
    ends.call()
    ends.client.h2.close_connection()
    with pytest.raises(ConnectionEnds):
        ends.carry()
    ends.ours.close()
    assert ends.streams.last.closed == 1


def test_a_stop_ends_calls_with_a_status_and_says_goodbye() -> None:
    ends = Ends()
    ids = [ends.call() for _ in range(3)]
    ends.client.receive(ends.ours.stop(GrpcStatus.UNAVAILABLE, "this sidecar stops"))
    assert [ends.status(id) for id in ids] == [(GrpcStatus.UNAVAILABLE, "this sidecar stops")] * 3
    assert ends.client.goaway == (0, "this sidecar stops")
    assert [call.closed for call in ends.streams.calls] == [1, 1, 1]


FLOODS = {
    "pings": frames.frame(frames.PING, 0, 0, b"12345678"),
    "settings": frames.frame(frames.SETTINGS, 0, 0, b""),
    "windows": frames.window_update(1, 1),
    "empty data": frames.frame(frames.DATA, 0, 1, b""),
    "priorities": frames.frame(frames.PRIORITY, 0, 3, b"\0\0\0\0\1"),
    "unknown frames": frames.frame(0xF0, 0, 0, b""),
    "messages": frames.frame(frames.DATA, 0, 1, b"\0\0\0\0\0"),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_of_frames_ends_the_connection(flood: bytes) -> None:
    ends = Ends()
    ends.call()
    ends.streams.last.echoes = False
    with pytest.raises(Http2Fault) as caught:
        _receive_often(ends, flood * 50, int(BUDGET) // 50 + 2)
    assert (caught.value.reason, caught.value.error_code) == ("xds_flood", frames.ENHANCE_YOUR_CALM)
    ends.client.receive(ends.ours.fail(caught.value))
    assert ends.client.goaway is not None
    assert ends.streams.last.closed == 1


def _receive_often(ends: Ends, data: bytes, times: int) -> None:
    for _ in range(times):
        ends.ours.receive_untrusted(data, ends.now)


def _call_and_reset(ends: Ends, times: int) -> None:
    for _ in range(times):
        id, data = ends.client.call()
        ends.client.h2.reset_stream(id)
        ends.carry(data)


def test_calls_that_are_reset_at_once_end_the_connection() -> None:
    """Rapid reset, CVE-2023-44487: no bound of open streams is ever reached."""
    ends = Ends()
    with pytest.raises(Http2Fault, match="too many frames"):
        _call_and_reset(ends, int(BUDGET))
    assert len(ends.streams.calls) < BUDGET / 10
    ends.ours.close()
    assert all(call.closed for call in ends.streams.calls)


def test_a_client_at_the_rate_of_its_budget_goes_on() -> None:
    ends = Ends()
    ends.call()
    for _ in range(2 * int(BUDGET)):
        ends.now += 2 / BUDGET_A_SECOND
        ends.ours.receive_untrusted(FLOODS["pings"], ends.now)
        ends.ours.output(ends.now)
    assert ends.ours.calls == 1


def test_a_client_may_acknowledge_whatever_it_is_sent() -> None:
    """Its ACK, its windows and its ping for each response are no flood, however many there are at once."""
    ends = Ends()
    id = ends.call()
    call = ends.streams.last
    call.echoes = False
    for _ in range(5_000):
        call.send(b"update")
        ends.carry()
        ends.carry(ends.client.send(id, b"ACK") + FLOODS["pings"])
    assert len(call.received) == 5_000
