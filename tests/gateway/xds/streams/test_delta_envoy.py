"""Delta as Envoy 1.40.0 speaks it."""

import pytest

from gossipreg.gateway.xds.model import ResourceKey
from gossipreg.gateway.xds.streams import subscription
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, ROUTE, MadeSource
from tests.gateway.xds.talk import DeltaTalk, StreamsUnderTest, names, shape


def started(*wild: str) -> tuple[StreamsUnderTest, DeltaTalk]:
    under_test = StreamsUnderTest(MadeSource(wild=wild))
    talk = under_test.delta()
    [clusters] = talk.ask(CLUSTER)
    [endpoints] = talk.ask(ENDPOINTS, *wild)
    assert talk.ack(clusters) == []
    assert talk.ack(endpoints) == []
    [listeners] = talk.ask(LISTENER)
    assert talk.ack(listeners) == []
    assert [names(one) for one in (clusters, endpoints, listeners)] == [[*wild]] * 3
    return under_test, talk


def test_a_first_request_without_names_asks_for_all() -> None:
    started("a", "b")


def test_resources_come_with_their_names_and_versions() -> None:
    talk = StreamsUnderTest().delta()
    [response] = talk.ask(ENDPOINTS, "a")
    [resource] = response.resources
    assert (resource.name, resource.version, resource.resource.type_url) == ("a", "a=0", ENDPOINTS.value)
    assert response.system_version_info
    assert response.nonce


def test_an_empty_wildcard_is_answered_at_once_in_delta() -> None:
    talk = StreamsUnderTest().delta()
    [clusters] = talk.ask(CLUSTER)
    assert shape([clusters]) == [("CLUSTER", [])]
    assert talk.ack(clusters) == []
    assert shape(talk.ask(LISTENER)) == [("LISTENER", [])]


def test_only_what_changed_is_pushed() -> None:
    under_test, talk = started("a", "b")
    under_test.source.set(ENDPOINTS, "b", 1)
    assert shape(talk.take()) == [("ENDPOINTS", ["b"])]


def test_endpoints_of_a_changed_cluster_are_pushed_unasked() -> None:
    """In delta Envoy sends nothing when a cluster changed, and waits for them."""
    under_test, talk = started("a", "b")
    under_test.source.set(CLUSTER, "b", 1)
    assert shape(talk.take()) == [("CLUSTER", ["b"]), ("ENDPOINTS", ["b"])]


def test_what_the_client_has_after_a_reconnect_is_not_sent_again() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a", "b")))
    under_test.source.set(CLUSTER, "b", 2)
    [response] = under_test.delta().ask(CLUSTER, has={"a": "a=0", "b": "b=1"})
    assert names(response) == ["b"]


def test_endpoints_are_sent_after_a_reconnect_in_any_case() -> None:
    """A cluster that changed just before may wait for them."""
    [response] = StreamsUnderTest().delta().ask(ENDPOINTS, "a", "b", has={"a": "a=0", "b": "b=0"})
    assert names(response) == ["a", "b"]


def test_a_cluster_of_another_time_is_removed_after_a_reconnect() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a",)))
    [response] = under_test.delta().ask(CLUSTER, has={"a": "a=0", "gone": "gone=7"})
    assert (names(response), [*response.removed_resources]) == ([], ["gone"])


def test_a_name_nobody_serves_has_a_resource_and_is_not_removed() -> None:
    """An assignment that is removed leaves the old hosts in use; only an empty one empties."""
    [response] = StreamsUnderTest().delta().ask(ENDPOINTS, "nobody")
    assert (names(response), [*response.removed_resources]) == (["nobody"], [])


def test_a_name_dropped_and_asked_in_one_request_is_sent_again() -> None:
    _, talk = started("a", "b")
    assert shape(talk.ask(ENDPOINTS, "a", unsubscribe=["a"])) == [("ENDPOINTS", ["a"])]


def test_a_dropped_name_is_not_pushed_any_more() -> None:
    under_test, talk = started("a", "b")
    assert talk.ask(ENDPOINTS, unsubscribe=["a"]) == []
    under_test.source.set(ENDPOINTS, "a", 1)
    assert talk.take() == []


def test_a_name_dropped_by_a_client_with_the_wildcard_is_told_about() -> None:
    """Whether the wildcard has it, the client cannot know."""
    under_test = StreamsUnderTest(MadeSource(wild=("a",)))
    talk = under_test.delta()
    talk.ask(CLUSTER, "*", "a", "other")
    [response] = talk.ask(CLUSTER, unsubscribe=["a", "other"])
    assert (names(response), [*response.removed_resources]) == (["a"], ["other"])


def test_the_wildcard_can_be_dropped() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a", "b")))
    talk = under_test.delta()
    talk.ask(CLUSTER, "*", "a")
    talk.ask(CLUSTER, unsubscribe=["*"])
    under_test.source.set(CLUSTER, "b", 1)
    assert talk.take() == []
    under_test.source.set(CLUSTER, "a", 1)
    assert shape(talk.take()) == [("CLUSTER", ["a"])]


def test_a_new_name_of_the_wildcard_is_pushed_alone() -> None:
    under_test, talk = started("a")
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    assert shape(talk.take()) == [("CLUSTER", ["b"])]


def test_a_name_that_left_the_wildcard_is_removed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "LEFT_KEPT", 0)
    under_test, talk = started("a", "b")
    under_test.source.wild[CLUSTER] = ("a",)
    under_test.source.tell()
    assert talk.take() == []  # its routes may name it still
    under_test.source.tell()
    assert [*talk.take_one().removed_resources] == ["b"]
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    again, _ = talk.take()
    assert (names(again), [*again.removed_resources]) == (["b"], [])


def test_a_name_dropped_as_it_joins_the_wildcard_is_not_removed() -> None:
    under_test, talk = started("a")
    talk.ack(talk.ask(CLUSTER, "b")[0])
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    [response] = talk.ask(CLUSTER, unsubscribe=["b"])
    assert (names(response), [*response.removed_resources]) == (["b"], [])


def test_an_ack_has_the_nonce_alone_and_is_noted() -> None:
    under_test, _ = started("a")
    [stream] = under_test.streams.context.streams
    assert {one.acked for one in stream.subscriptions.values()} == {"a=0"}
    assert all(not one.unacked for one in stream.subscriptions.values())


def test_refused_clusters_are_sent_one_by_one_in_delta() -> None:
    """Envoy takes none of a response with a bad cluster in it."""
    under_test = StreamsUnderTest(MadeSource(wild=("a", "b")))
    talk = under_test.delta()
    [clusters] = talk.ask(CLUSTER)
    alone = talk.nack(clusters, "negative duration")
    assert [names(one) for one in alone] == [["a"], ["b"]]
    assert talk.nack(alone[0], "negative duration") == []
    assert talk.ack(alone[1]) == []
    under_test.source.set(CLUSTER, "a", 1)
    assert shape(talk.take()) == [("CLUSTER", ["a"])]


def test_routes_wait_for_warm_clusters_in_delta_too() -> None:
    under_test, talk = started("a")
    talk.ack(talk.ask(ROUTE, "all")[0])
    under_test.source.wild[CLUSTER] = ("a", "b")
    under_test.source.tell()
    under_test.source.set(ROUTE, "all", 1)
    [clusters] = talk.take()
    assert shape(talk.ask(ENDPOINTS, "b")) == [("ENDPOINTS", ["b"])]
    assert shape(talk.ack(clusters)) == [("ROUTE", ["all"])]


def test_delta_is_silent_until_the_registry_is_known() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=("a",)))
    under_test.source.known = False
    talk = under_test.delta()
    assert talk.ask(CLUSTER, has={"old": "1"}) == []
    under_test.source.known = True
    under_test.source.tell()
    [response] = talk.take()
    assert (names(response), [*response.removed_resources]) == (["a"], ["old"])


def test_endpoints_not_known_yet_get_no_answer_in_delta() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.delta()
    under_test.source.hidden = {ResourceKey(ENDPOINTS, "a")}
    assert talk.ask(ENDPOINTS, "a") == []
    under_test.source.reveal(ResourceKey(ENDPOINTS, "a"))
    assert shape(talk.take()) == [("ENDPOINTS", ["a"])]
