"""State of the world as gRPC clients speak it: the order of requests, names, nonces, versions.

Each test with a client's name was seen with that client: grpcio 1.85.3 (py), @grpc/grpc-js-xds 1.14.1 (js).
"""

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from gossipreg.gateway.xds.model import ResourceKey, ResourceType
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE, MadeSource
from tests.gateway.xds.talk import JS, PY, StreamsUnderTest, names, shape, versions

BOTH = pytest.mark.parametrize("agent", [PY, JS])


@BOTH
def test_each_step_of_a_new_channel_is_answered_once(agent: str) -> None:
    talk = StreamsUnderTest().sotw(agent)
    [listener] = talk.ask(LISTENER, "web")
    assert talk.ack(listener, "web") == []
    [route] = talk.ask(ROUTE, "web")
    assert talk.ack(route, "web") == []
    [cluster] = talk.ask(CLUSTER, "web")
    assert talk.ack(cluster, "web") == []
    [endpoints] = talk.ask(ENDPOINTS, "web")
    assert talk.ack(endpoints, "web") == []
    assert [names(one) for one in (listener, route, cluster, endpoints)] == [["web"]] * 4
    assert len({one.nonce for one in (listener, route, cluster, endpoints)}) == 4


@BOTH
def test_types_that_were_not_asked_for_are_never_pushed(agent: str) -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(agent)
    talk.ask(LISTENER, "web")
    for type in (CLUSTER, ENDPOINTS, ROUTE):
        under_test.source.set(type, "web", 1)
    assert talk.take() == []
    assert talk.wakes == 1  # by the request


@BOTH
def test_more_clusters_are_answered_with_all_of_them(agent: str) -> None:
    talk = StreamsUnderTest().sotw(agent)
    [first] = talk.ask(CLUSTER, "a")
    [second] = talk.ack(first, "a", "b")
    assert names(second) == ["a", "b"]


@BOTH
def test_more_endpoints_are_answered_with_the_new_ones_alone(agent: str) -> None:
    talk = StreamsUnderTest().sotw(agent)
    [first] = talk.ask(ENDPOINTS, "a")
    [second] = talk.ack(first, "a", "b")
    assert names(second) == ["b"]


@BOTH
def test_a_late_ack_of_an_older_response_is_no_ack_of_the_newer(agent: str) -> None:
    talk = StreamsUnderTest().sotw(agent)
    [first] = talk.ask(ENDPOINTS, "a")
    [second] = talk.ask(ENDPOINTS, "a", "b")  # before the first one came
    assert talk.ack(first, "a", "b") == []
    [state] = talk.all.streams.context.streams
    assert [*state.subscriptions[ENDPOINTS].unacked] == [second.nonce]
    assert talk.ack(second, "a", "b") == []
    assert state.subscriptions[ENDPOINTS].unacked == {}


def test_names_of_endpoints_count_in_older_requests_too() -> None:
    """Under changes without end, no request would ever name the newest response."""
    under_test = StreamsUnderTest()
    talk = under_test.sotw(JS)
    [first] = talk.ask(ENDPOINTS, "a")
    under_test.source.set(ENDPOINTS, "a", 1)
    [second] = talk.take()
    [third] = talk.ack(first, "a", "b")
    assert (names(second), names(third)) == (["a"], ["b"])
    under_test.source.set(ENDPOINTS, "a", 2)
    assert [names(one) for one in talk.take()] == [["a"]]


@BOTH
def test_old_names_of_clusters_do_not_count(agent: str) -> None:
    """A response to them would lack, and so delete, what the client asked for since."""
    talk = StreamsUnderTest().sotw(agent)
    [first] = talk.ask(CLUSTER, "a", "b")
    assert talk.ask(CLUSTER, "a", "c") == []  # made before the first response came
    [second] = talk.ack(first, "b", "c")
    assert names(second) == ["b", "c"]


@BOTH
def test_no_names_mean_unsubscribed_for_a_type_that_had_some(agent: str) -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a", "z")))
    talk = under_test.sotw(agent)
    [response] = talk.ask(CLUSTER, "a")
    assert talk.ack(response) == []
    under_test.source.set(CLUSTER, "a", 1)
    assert talk.take() == []
    assert under_test.source.forgotten == [ResourceKey(CLUSTER, "a")]


@BOTH
def test_a_name_dropped_and_asked_again_is_sent_again_unchanged(agent: str) -> None:
    """py fails calls until then: 'CDS resource ... does not exist'."""
    talk = StreamsUnderTest().sotw(agent)
    [first] = talk.ask(CLUSTER, "a", "b")
    assert talk.ack(first, "b") == []
    [again] = talk.ack(first, "a", "b")
    assert names(again) == ["a", "b"]


RECONNECTS = [
    (PY, (CLUSTER, ENDPOINTS, LISTENER, ROUTE)),
    (PY, (ROUTE, ENDPOINTS, CLUSTER, LISTENER)),
    (JS, (LISTENER, ROUTE, CLUSTER, ENDPOINTS)),
]


@pytest.mark.parametrize(("agent", "order"), RECONNECTS)
def test_after_a_lost_connection_every_type_is_answered(agent: str, order: tuple[ResourceType, ...]) -> None:
    under_test = StreamsUnderTest()
    old = under_test.sotw(agent)
    version = {type: old.ask(type, "web")[0].version_info for type in (CLUSTER, ENDPOINTS, LISTENER, ROUTE)}
    old.stream.close()
    new = under_test.sotw(agent)
    for type in order:
        [response] = new.ask(type, "web", version=version[type])
        assert response.version_info == version[type]


def test_a_version_of_another_control_plane_is_answered_too() -> None:
    [response] = StreamsUnderTest().sotw(PY).ask(CLUSTER, "web", version="of-another", nonce="77")
    assert names(response) == ["web"]


@BOTH
def test_silent_until_the_registry_is_known(agent: str) -> None:
    """An empty answer would make clients throw away what they have: py until filled, js for good."""
    under_test = StreamsUnderTest()
    under_test.source.known = False
    talk = under_test.sotw(agent)
    assert talk.ask(LISTENER, "web") == []
    under_test.source.tell()
    assert talk.take() == []
    under_test.source.known = True
    wakes = talk.wakes
    under_test.source.tell()
    assert talk.wakes == wakes + 1
    assert shape(talk.take()) == [("LISTENER", ["web"])]


def test_all_clusters_wait_for_one_that_is_not_known_yet() -> None:
    """A response without it would say that it does not exist."""
    under_test = StreamsUnderTest()
    hidden = ResourceKey(CLUSTER, "b")
    under_test.source.hidden = {hidden}
    talk = under_test.sotw(JS)
    assert talk.ask(CLUSTER, "a", "b") == []
    under_test.source.reveal(hidden)
    assert shape(talk.take()) == [("CLUSTER", ["a", "b"])]


def test_other_endpoints_do_not_wait_for_those_not_known_yet() -> None:
    under_test = StreamsUnderTest()
    under_test.source.hidden = {ResourceKey(ENDPOINTS, "b")}
    talk = under_test.sotw(JS)
    assert shape(talk.ask(ENDPOINTS, "a", "b")) == [("ENDPOINTS", ["a"])]
    under_test.source.hidden.clear()
    under_test.source.tell()
    assert shape(talk.take()) == [("ENDPOINTS", ["b"])]


@BOTH
def test_what_is_refused_is_not_sent_again_until_it_changes(agent: str) -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(agent)
    [response] = talk.ask(ENDPOINTS, "a", "b")
    assert talk.nack(response, "a", "b", text="port 70000 is none") == []
    under_test.source.tell(ResourceKey(ENDPOINTS, "a"))
    assert talk.take() == []
    under_test.source.set(ENDPOINTS, "a", 1)
    [changed] = talk.take()
    assert versions(changed) == ["a=1"]
    assert talk.ack(changed, "a", "b") == []
    [stream] = under_test.streams.context.streams
    assert {*stream.subscriptions[ENDPOINTS].refused} == {"b"}  # which did not change


def test_a_nack_that_repeats_the_last_good_version_is_kept_with_its_text() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY, id="shop-1")
    [good] = talk.ask(CLUSTER, "a")
    talk.ack(good, "a")
    under_test.source.set(CLUSTER, "a", 1)
    [bad] = talk.take()
    assert talk.nack(bad, "a", text="LB policy is not supported", version=good.version_info) == []
    [stream] = under_test.streams.context.streams
    state = stream.subscriptions[CLUSTER]
    assert (state.acked, state.version) == ("a=0", "a=1")
    assert (state.refused["a"].version, state.refused["a"].text) == ("a=1", "LB policy is not supported")
    [line] = under_test.log
    assert "shop-1 (grpc-core, 127.0.0.1:40000) refuses cluster a in version a=1" in line
    assert "LB policy is not supported" in line


@BOTH
def test_an_empty_nonce_again_is_answered_once_nothing_is_under_way(agent: str) -> None:
    talk = StreamsUnderTest().sotw(agent)
    [response] = talk.ask(LISTENER, "web")
    assert talk.ask(LISTENER, "web") == []  # it crossed the response
    talk.ack(response, "web")
    assert shape(talk.ask(LISTENER, "web")) == [("LISTENER", ["web"])]


def test_changes_that_come_to_nothing_send_nothing() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(ENDPOINTS, "a")
    for content in (1, 2, 0):
        under_test.source.set(ENDPOINTS, "a", content)
    assert talk.take() == []


def test_a_slow_reader_gets_the_newest_state_once() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(ENDPOINTS, "a")
    wakes = talk.wakes
    for content in range(1, 50):
        under_test.source.set(ENDPOINTS, "a", content)
    assert talk.wakes == wakes + 1
    assert [versions(one) for one in talk.take()] == [["a=49"]]


def test_a_change_is_sent_before_the_last_response_is_answered() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(ENDPOINTS, "a")
    under_test.source.set(ENDPOINTS, "a", 1)
    assert [versions(one) for one in talk.take()] == [["a=1"]]


def test_one_round_has_clusters_endpoints_listeners_routes() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    under_test.source.known = False
    for type in (ROUTE, LISTENER, ENDPOINTS, CLUSTER):
        talk.ask(type, "web")
    under_test.source.known = True
    assert [name for name, _ in shape(talk.take())] == ["CLUSTER", "ENDPOINTS", "LISTENER", "ROUTE"]


def test_a_type_that_is_not_served_is_counted_and_hurts_nothing() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(LISTENER, "web")
    talk.send(DiscoveryRequest(type_url="type.googleapis.com/envoy.service.runtime.v3.Runtime", resource_names=["x"]))
    assert talk.take() == []
    assert under_test.counts["xds.unserved_types"] == 1
    assert shape(talk.ask(CLUSTER, "web")) == [("CLUSTER", ["web"])]


def test_py_and_js_in_two_zones_get_other_bytes_and_others_share_them() -> None:
    under_test = StreamsUnderTest()
    talks = [under_test.sotw(PY, zone=zone) for zone in ("east", "east", "west")]
    bodies = [talk.ask(ENDPOINTS, "web")[0].resources[0].value for talk in talks]
    assert bodies[0] == bodies[1] != bodies[2]
