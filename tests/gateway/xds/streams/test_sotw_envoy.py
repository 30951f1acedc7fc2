"""State of the world as Envoy 1.40.0 speaks it: the wildcard, and what it needs to put a cluster to use."""

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest

from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE, MadeSource
from tests.gateway.xds.talk import ENVOY, PY, SotwTalk, StreamsUnderTest, names, shape, versions


def started(*wild: str) -> tuple[StreamsUnderTest, SotwTalk]:
    """An Envoy after its start, with everything answered, in the order in which it was seen to ask."""
    under_test = StreamsUnderTest(MadeSource(wild=wild))
    talk = under_test.sotw(ENVOY)
    [clusters] = talk.ask(CLUSTER)
    [endpoints] = talk.ask(ENDPOINTS, *wild)
    assert talk.ack(clusters) == []
    [listeners] = talk.ask(LISTENER)
    assert talk.ack(endpoints, *wild) == []
    [routes] = talk.ask(ROUTE, "all")
    assert talk.ack(listeners) == []
    assert talk.ack(routes, "all") == []
    assert [names(one) for one in (clusters, endpoints, listeners, routes)] == [[*wild], [*wild], [*wild], ["all"]]
    return under_test, talk


def test_no_names_at_first_mean_all_clusters_and_listeners() -> None:
    started("a", "b")


def test_an_empty_wildcard_is_answered_at_once() -> None:
    """Envoy waits 15 s for its first clusters, and only then asks for listeners."""
    talk = StreamsUnderTest(MadeSource()).sotw(ENVOY)
    [clusters] = talk.ask(CLUSTER)
    assert names(clusters) == []
    assert clusters.version_info
    assert talk.ack(clusters) == []
    assert shape(talk.ask(LISTENER)) == [("LISTENER", [])]


def test_a_star_means_all_and_its_end_means_none() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a", "b")))
    talk = under_test.sotw(ENVOY)
    [clusters] = talk.ask(CLUSTER, "*")
    assert names(clusters) == ["a", "b"]
    assert talk.ack(clusters) == []
    under_test.source.set(CLUSTER, "a", 1)
    assert talk.take() == []


def test_no_names_are_no_wildcard_for_endpoints_and_routes() -> None:
    talk = StreamsUnderTest(MadeSource(wild=("a",))).sotw(ENVOY)
    assert talk.ask(ENDPOINTS) == []
    assert talk.ask(ROUTE) == []


def test_the_wildcard_waits_until_all_its_names_are_known() -> None:
    under_test = StreamsUnderTest()
    under_test.source.wild[CLUSTER] = None
    talk = under_test.sotw(ENVOY)
    assert talk.ask(CLUSTER) == []
    under_test.source.wild[CLUSTER] = ("a",)
    under_test.source.tell()
    assert shape(talk.take()) == [("CLUSTER", ["a"])]


def test_a_new_name_of_the_wildcard_is_pushed_with_all_others() -> None:
    under_test, talk = started("a")
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    assert shape(talk.take()) == [("CLUSTER", ["a", "b"])]


def test_a_name_that_left_the_wildcard_is_never_omitted() -> None:
    under_test, talk = started("a", "b")
    under_test.source.wild[CLUSTER] = ("b",)
    under_test.source.tell()
    under_test.source.set(CLUSTER, "b", 1)
    assert shape(talk.take()) == [("CLUSTER", ["a", "b"]), ("ENDPOINTS", ["b"])]


def test_endpoints_of_a_changed_cluster_come_again_unchanged() -> None:
    """Without them, the old cluster stays in use, and the response of clusters is not acknowledged for 15 s."""
    under_test, talk = started("a", "b")
    under_test.source.set(CLUSTER, "b", 1)
    clusters, endpoints = talk.take()
    assert (names(clusters), names(endpoints)) == (["a", "b"], ["b"])
    assert versions(endpoints) == ["b=0"]


def test_the_request_equal_to_the_last_ack_gets_nothing_twice() -> None:
    """Envoy sends one when a cluster changed; what it asks for is under way by then."""
    under_test, talk = started("a")
    [stream] = under_test.streams.context.streams
    last = stream.subscriptions[ENDPOINTS]
    nonce, version = last.nonce, last.version
    under_test.source.set(CLUSTER, "a", 1)
    clusters, endpoints = talk.take()
    assert talk.ask(ENDPOINTS, "a", nonce=nonce, version=version) == []
    assert talk.ack(endpoints, "a") == []
    assert talk.ack(clusters) == []


def test_grpc_clients_get_endpoints_of_a_changed_cluster_once() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(PY)
    talk.ask(CLUSTER, "a")
    talk.ask(ENDPOINTS, "a")
    under_test.source.set(CLUSTER, "a", 1)
    assert shape(talk.take()) == [("CLUSTER", ["a"])]


def test_routes_wait_until_new_clusters_are_warm() -> None:
    """Envoy acknowledges clusters once they are warm; a route to one that is not fails calls with 503."""
    under_test, talk = started("a")
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    under_test.source.set(ROUTE, "all", 1)
    [clusters] = talk.take()
    assert names(clusters) == ["a", "b"]
    [endpoints] = talk.ask(ENDPOINTS, "a", "b")
    assert names(endpoints) == ["b"]
    wakes = talk.wakes
    assert talk.ack(endpoints, "a", "b") == []
    assert shape(talk.ack(clusters)) == [("ROUTE", ["all"])]
    assert talk.wakes > wakes


def test_routes_go_on_when_clusters_are_refused() -> None:
    under_test, talk = started("a")
    under_test.source.set(CLUSTER, "a", 1)
    under_test.source.set(ROUTE, "all", 1)
    clusters, _endpoints = talk.take()
    assert shape(talk.nack(clusters)) == [("ROUTE", ["all"])]


def test_a_refused_response_of_clusters_is_not_repeated() -> None:
    """Envoy took none of it; in the state of the world there is no way to leave the bad one out."""
    under_test, talk = started("a", "b")
    under_test.source.set(CLUSTER, "a", 99)
    clusters, endpoints = talk.take()
    assert talk.nack(clusters) == []
    assert talk.ack(endpoints, "a", "b") == []
    assert talk.take() == []


def test_clusters_of_a_refused_response_get_their_endpoints_when_taken() -> None:
    under_test, talk = started("a", "b")
    under_test.source.set(CLUSTER, "a", 1)
    under_test.source.set(CLUSTER, "b", 99)
    clusters, endpoints = talk.take()
    assert talk.nack(clusters) == []  # so Envoy did not take `a` either
    assert talk.ack(endpoints, "a", "b") == []
    under_test.source.set(CLUSTER, "b", 2)
    assert shape(talk.take()) == [("CLUSTER", ["a", "b"]), ("ENDPOINTS", ["a", "b"])]


def test_clusters_taken_before_the_refusal_is_heard_get_their_endpoints() -> None:
    under_test, talk = started("a", "b")
    under_test.source.set(CLUSTER, "a", 1)
    under_test.source.set(CLUSTER, "b", 99)
    refused, _ = talk.take()
    under_test.source.set(CLUSTER, "b", 2)
    assert shape(talk.take()) == [("CLUSTER", ["a", "b"]), ("ENDPOINTS", ["b"])]
    assert shape(talk.nack(refused)) == [("ENDPOINTS", ["a", "b"])]


def test_refused_endpoints_are_sent_one_by_one_so_that_good_ones_arrive() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a", "b", "c")))
    talk = under_test.sotw(ENVOY)
    [endpoints] = talk.ask(ENDPOINTS, "a", "b", "c")
    alone = talk.nack(endpoints, "a", "b", "c", text="malformed IP address")
    assert [names(one) for one in alone] == [["a"], ["b"], ["c"]]
    assert talk.nack(alone[1], "a", "b", "c") == []
    assert talk.ack(alone[2], "a", "b", "c") == []


def test_what_comes_in_a_later_response_anyway_is_not_sent_alone() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY)
    [refused] = talk.ask(ENDPOINTS, "a", "b")
    under_test.source.set(ENDPOINTS, "a", 1)
    [later] = talk.take()
    assert [names(one) for one in talk.nack(refused, "a", "b")] == [["b"]]
    assert talk.ack(later, "a", "b") == []


def test_the_node_may_come_with_every_request() -> None:
    """Envoy sends 30 kB each time; what counts is that of the first request."""
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY, zone="east")
    [first] = talk.ask(ENDPOINTS, "a")
    request = DiscoveryRequest(type_url=ENDPOINTS.value, resource_names=["a"], response_nonce=first.nonce)
    request.node.id, request.node.locality.zone = "other", "west"
    for number in range(300):
        request.node.extensions.add(name="e" * 100, type_urls=[f"type.{number}"])
    talk.stream.receive_untrusted(request.SerializeToString())
    [stream] = under_test.streams.context.streams
    assert (stream.node.id, stream.node.zone) == ("client-1", "east")


def test_envoys_version_is_that_of_its_build() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY)
    request = DiscoveryRequest(type_url=CLUSTER.value)
    version = request.node.user_agent_build_version.version
    version.major_number, version.minor_number = 1, 40
    talk.send(request)
    [stream] = under_test.streams.context.streams
    assert (stream.node.version, stream.node.kind.value) == ("1.40.0", "envoy")
