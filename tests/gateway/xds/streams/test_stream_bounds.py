"""Bad and greedy clients: each is bounded, counted, told why its stream ends, and hurts nobody else."""

import pickle

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.xds.model import ResourceKey
from gossipreg.gateway.xds.resources import names_asked
from gossipreg.gateway.xds.streams import ads_stream, name_shares
from gossipreg.gateway.xds.streams import xds_streams as streams
from gossipreg.gateway.xds.streams.discovery_requests import NAME_CHARACTERS, TEXT_KEPT
from gossipreg.gateway.xds.streams.nack_log import AGAIN_S, LINES, WITHIN_S
from gossipreg.gateway.xds.streams.subscription import LEFT_KEPT, UNACKED_KEPT
from gossipreg.gateway.xds.streams.xds_streams import METHODS, BadRequest
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE
from tests.gateway.xds.talk import ENVOY, JS, PY, SotwTalk, StreamsUnderTest, names, shape


def other_gets(under_test: StreamsUnderTest) -> SotwTalk:
    """Another client, which must be unhurt."""
    other = under_test.sotw(JS)
    assert shape(other.ask(LISTENER, "other")) == [("LISTENER", ["other"])]
    return other


@pytest.mark.parametrize("path", METHODS)
def test_bytes_that_are_no_request_end_the_stream(path: str) -> None:
    under_test = StreamsUnderTest()
    stream = under_test.streams.open(path, "peer", lambda: None)
    assert stream is not None
    with pytest.raises(BadRequest, match=r"5 bytes are no D.*Request of xDS v3"):
        stream.receive_untrusted(b"\xff\xff\xff\xff\xff")
    assert under_test.counts["drop.xds_not_protobuf"] == 1
    other_gets(under_test)


@pytest.mark.parametrize("path", METHODS)
@given(message=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(path: str, message: bytes) -> None:
    under_test = StreamsUnderTest()
    stream = under_test.streams.open(path, "peer", lambda: None)
    assert stream is not None
    try:
        stream.receive_untrusted(message)
    except BadRequest:
        assert [name for name in under_test.counts if name.startswith("drop.")]
    stream.take()
    stream.close()
    assert len(under_test.streams.context.index) == 0


def test_a_method_that_is_not_served_has_no_stream() -> None:
    path = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
    assert StreamsUnderTest().streams.open(path, "peer", lambda: None) is None


def test_a_name_that_is_too_long_ends_the_stream() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ack(talk.ask(LISTENER, "x" * NAME_CHARACTERS)[0], "x" * NAME_CHARACTERS)
    with pytest.raises(BadRequest, match=f"has {NAME_CHARACTERS + 1} characters: ask for at most {NAME_CHARACTERS}"):
        talk.ask(LISTENER, "x" * (NAME_CHARACTERS + 1))
    assert under_test.counts["drop.xds_name_too_long"] == 1


def test_a_stream_has_a_bounded_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ads_stream, "NAMES", 10)
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(CLUSTER, *map(str, range(6)))
    with pytest.raises(BadRequest, match="10 names: use more streams"):
        talk.ask(ENDPOINTS, *map(str, range(5)))
    assert under_test.counts["drop.xds_too_many_names"] == 1
    talk.stream.close()
    assert len(under_test.streams.context.index) == 0
    other_gets(under_test)


def test_a_client_that_claims_to_have_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipreg.gateway.xds.streams.delta_stream.NAMES", 3)
    under_test = StreamsUnderTest()
    with pytest.raises(BadRequest, match="4 are too many"):
        under_test.delta().ask(CLUSTER, has=dict.fromkeys("abcd", "1"))


def test_all_streams_have_a_bounded_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_shares, "NAMES_OF_ALL", 10)
    under_test = StreamsUnderTest()
    first, second = under_test.sotw(PY), under_test.sotw(PY)
    first.ask(CLUSTER, *map(str, range(6)))
    second.ask(CLUSTER, *map(str, range(4)))  # the same names
    with pytest.raises(BadRequest, match="all clients together"):
        second.ask(ENDPOINTS, *map(str, range(5)))
    first.stream.close()
    second.stream.close()
    other_gets(under_test)


def test_the_names_of_all_streams_have_bounded_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_shares, "CHARACTERS_OF_ALL", 10)
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(CLUSTER, "x" * 4)
    talk.ask(ENDPOINTS, "x" * 6)
    with pytest.raises(BadRequest, match="more than 10 characters"):
        talk.ask(LISTENER, "x")
    talk.stream.close()
    assert under_test.streams.context.index.characters == 0


def test_every_name_that_can_be_answered_may_be_asked_for() -> None:
    assert NAME_CHARACTERS > names_asked.ASKED_MAX


def test_there_is_a_bounded_number_of_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS", 2)
    under_test = StreamsUnderTest()
    first = other_gets(under_test)
    other_gets(under_test)
    with pytest.raises(BadRequest, match="2 streams are open already"):
        under_test.sotw(PY)
    assert under_test.counts["drop.xds_too_many_streams"] == 1
    first.stream.close()
    other_gets(under_test)


def repeat(talk: SotwTalk, request: bytes, times: int) -> None:
    for _ in range(times):
        talk.stream.receive_untrusted(request)


def test_a_flood_of_subscriptions_ends_its_stream_alone() -> None:
    under_test = StreamsUnderTest()
    other = other_gets(under_test)
    talk = under_test.sotw(JS)
    request = [DiscoveryRequest(type_url=CLUSTER.value, resource_names=[name]).SerializeToString() for name in "ab"]
    for number in range(ads_stream.REQUESTS):
        talk.stream.receive_untrusted(request[number % 2])
    with pytest.raises(BadRequest, match="100 requests a second that answer no response"):
        repeat(talk, request[0], 10)
    assert under_test.counts["drop.xds_too_many_requests"] == 1
    assert shape(other.ask(CLUSTER, "other")) == [("CLUSTER", ["other"])]


def test_a_program_that_opens_thousands_of_channels_is_no_flood() -> None:
    """Each request lists all names so far, and only a few answer a response."""
    under_test = StreamsUnderTest()
    talk = under_test.sotw(JS)
    asked: list[str] = []
    for number in range(300):
        asked.append(f"s{number}")
        request = DiscoveryRequest(type_url=CLUSTER.value, resource_names=asked).SerializeToString()
        repeat(talk, request, ads_stream.REQUESTS // 300 + 3)
    assert under_test.counts["drop.xds_too_many_requests"] == 0


def test_acks_never_end_a_stream_however_many_changes_there_are() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    [response] = talk.ask(ENDPOINTS, "a")
    for content in range(1, ads_stream.REQUESTS + 100):
        talk.ack(response, "a")
        under_test.source.set(ENDPOINTS, "a", content)
        response = talk.take_one()
    assert int(response.nonce) == ads_stream.REQUESTS + 100


@pytest.mark.parametrize("nonce", ["2", "-1", "0", "x", "9" * 500, "\u0663"])
def test_an_ack_of_what_was_never_sent_ends_the_stream(nonce: str) -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    [response] = talk.ask(LISTENER, "web")
    assert response.nonce == "1"
    with pytest.raises(BadRequest, match="was never sent on this stream"):
        talk.ask(LISTENER, "web", nonce=nonce)
    assert under_test.counts["drop.xds_unknown_nonce"] == 1


def test_a_client_that_never_acks_costs_no_more_and_gets_the_newest() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY)
    [first] = talk.ask(ENDPOINTS, "a")
    for content in range(1, 200):
        under_test.source.set(ENDPOINTS, "a", content)
        last = talk.take_one()
    [stream] = under_test.streams.context.streams
    state = stream.subscriptions[ENDPOINTS]
    assert (len(state.unacked), state.version) == (UNACKED_KEPT, "a=199")
    assert talk.ack(first, "a") == []  # forgotten: it is passed over
    assert len(state.unacked) == UNACKED_KEPT
    assert talk.ack(last, "a") == []
    assert (state.unacked, state.acked) == ({}, "a=199")
    assert under_test.counts["xds.late_acks"] == 1


def test_a_response_that_is_not_answered_is_kept_without_its_bytes() -> None:
    under_test = StreamsUnderTest()
    for talk in (under_test.sotw(PY), under_test.delta()):
        talk.ask(ENDPOINTS, "a")
        for content in range(UNACKED_KEPT):
            under_test.source.set(ENDPOINTS, "a", content + 1)
            talk.take_one()
    for stream in under_test.streams.context.streams:
        unanswered = [*stream.subscriptions[ENDPOINTS].unacked.values()]
        assert len(unanswered) == UNACKED_KEPT
        assert ENDPOINTS.encode() not in pickle.dumps(unanswered)


@pytest.mark.parametrize("method", ["sotw", "delta"])
def test_names_that_left_the_wildcard_do_not_pile_up(method: str) -> None:
    """Where a machine makes the names of services, there is no end of them."""
    under_test = StreamsUnderTest()
    talk = getattr(under_test, method)(ENVOY)
    [clusters] = talk.ask(CLUSTER)
    for number in range(3 * LEFT_KEPT):
        talk.ack(clusters)
        under_test.source.wild[CLUSTER] = ("stays", f"job-{number}")
        under_test.source.tell()
        clusters = talk.take_one()
    assert len(under_test.streams.context.index) <= LEFT_KEPT + 3
    assert ResourceKey(CLUSTER, "job-0") in under_test.source.forgotten
    assert ResourceKey(CLUSTER, "stays") not in under_test.source.forgotten


def test_the_reason_of_a_nack_is_kept_cut_and_in_one_line() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    [response] = talk.ask(CLUSTER, "a")
    talk.nack(response, "a", text="first\nsecond\x1b[31m" + "x" * 5000)
    [stream] = under_test.streams.context.streams
    refusal = stream.subscriptions[CLUSTER].refused["a"]
    assert len(refusal.text) == TEXT_KEPT
    assert refusal.text.startswith("first second [31mx")
    assert under_test.log[0].isprintable()


def test_nacks_of_many_clients_are_one_line_of_the_log() -> None:
    under_test = StreamsUnderTest()
    for number in range(100):
        talk = under_test.sotw(PY, id=f"shop-{number}")
        [response] = talk.ask(CLUSTER, "a")
        talk.nack(response, "a")
    assert len(under_test.log) == 1
    assert under_test.counts["xds.nacks"] == 100


def test_a_nack_that_still_comes_is_logged_again_each_hour() -> None:
    under_test = StreamsUnderTest()
    for under_test.time in (0.0, 1.0, AGAIN_S - 1, AGAIN_S + 1, AGAIN_S + 2):
        talk = under_test.sotw(PY)
        talk.nack(talk.ask(CLUSTER, "a")[0], "a")
    assert len(under_test.log) == 2


def test_a_stream_that_waits_for_nothing_is_left_alone() -> None:
    under_test = StreamsUnderTest()
    under_test.source.known = False
    talk = under_test.sotw(PY)
    talk.ask(CLUSTER, "a")
    assert len(under_test.streams.context.waiting) == 1
    under_test.source.known = True
    under_test.source.tell()
    assert shape(talk.take()) == [("CLUSTER", ["a"])]
    assert len(under_test.streams.context.waiting) == 0


def test_nacks_of_many_kinds_are_a_few_lines_a_minute() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    [response] = talk.ask(ENDPOINTS, "a")
    for content in range(1, 50):
        talk.nack(response, "a", text=f"reason {content}")
        under_test.source.set(ENDPOINTS, "a", content)
        response = talk.take_one()
    assert len(under_test.log) == LINES
    under_test.time = WITHIN_S
    talk.nack(response, "a", text="a reason later")
    assert under_test.log[-1].endswith("a reason later (39 such lines were left out before)")


def test_a_node_of_megabytes_is_read_and_not_kept() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY)
    request = DiscoveryRequest(type_url=LISTENER.value, resource_names=["web"])
    request.node.id = "i" * 1_000_000
    request.node.metadata["x"] = "y" * 1_000_000
    talk.send(request)
    [stream] = under_test.streams.context.streams
    assert sum(len(str(getattr(stream.node, one))) for one in stream.node.__slots__) < 1000


def test_a_client_without_a_node_is_served() -> None:
    under_test = StreamsUnderTest()
    stream = under_test.streams.open([*METHODS][1], "peer", lambda: None)
    assert stream is not None
    request = DeltaDiscoveryRequest(type_url=ROUTE.value, resource_names_subscribe=["a"])
    stream.receive_untrusted(request.SerializeToString())
    assert len(stream.take()) == 1


def test_a_closed_stream_leaves_nothing_behind() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    for type in (CLUSTER, ENDPOINTS, LISTENER, ROUTE):
        talk.ask(type, "a", "b")
    talk.stream.close()
    context = under_test.streams.context
    assert (len(context.index), len(context.streams), len(context.waiting)) == (0, 0, 0)
    assert {key.name for key in under_test.source.forgotten} == {"a", "b"}
    assert len(under_test.source.forgotten) == 8


def test_names_that_were_dropped_leave_nothing_behind() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(JS)
    response = None
    for number in range(50):
        names_now = (f"s{number}", f"s{number + 1}")
        [response] = talk.ask(ENDPOINTS, *names_now) if response is None else talk.ack(response, *names_now)
        talk.nack(response, *names_now)
    [stream] = under_test.streams.context.streams
    state = stream.subscriptions[ENDPOINTS]
    assert {*state.sent} == {*state.names} == {"s49", "s50"} >= {*state.refused}
    assert len(under_test.streams.context.index) == 2


def test_a_name_is_forgotten_when_its_last_subscriber_goes() -> None:
    under_test = StreamsUnderTest()
    first, second = under_test.sotw(PY), under_test.sotw(JS)
    first.ask(CLUSTER, "a")
    second.ask(CLUSTER, "a")
    first.stream.close()
    assert under_test.source.forgotten == []
    second.stream.close()
    assert len(under_test.source.forgotten) == 1


def test_a_change_wakes_its_subscribers_alone() -> None:
    under_test = StreamsUnderTest()
    first, second = under_test.sotw(PY), under_test.sotw(PY)
    first.ask(ENDPOINTS, "a")
    second.ask(ENDPOINTS, "b")
    before = first.wakes, second.wakes
    under_test.source.set(ENDPOINTS, "a", 1)
    assert (first.wakes, second.wakes) == (before[0] + 1, before[1])
    assert [names(one) for one in first.take()] == [["a"]]
