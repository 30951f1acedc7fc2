"""What `gossipreg xds show` says of each client."""

import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from gossipreg.callers import Caller
from gossipreg.gateway.xds.model import Audience, ClientKind, ResourceKey, ResourceType
from gossipreg.gateway.xds.streams.client_node import read_node_untrusted
from gossipreg.gateway.xds.streams.xds_streams import XdsStream
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER, MadeSource
from tests.gateway.xds.talk import ENVOY, JS, PY, SOTW, StreamsUnderTest


def test_a_client_is_shown_with_all_that_it_said_and_has() -> None:
    under_test = StreamsUnderTest()
    under_test.time = 100.0
    talk = under_test.sotw(PY, zone="east", id="shop-1")
    [cluster] = talk.ask(CLUSTER, "web", "api")
    talk.ack(cluster, "web", "api")
    talk.ask(ENDPOINTS, "web")
    under_test.time = 107.5
    [shown] = under_test.streams.shown({})
    assert shown == {
        "number": 1, "id": "shop-1", "kind": "grpc-core", "agent": PY, "version": "", "cluster": "", "region": "",
        "zone": "east", "peer": "127.0.0.1:40000", "form": "sotw", "since_s": 7.5, "unserved": [],
            "service": "", "withheld": [],
        "types": [
            {
                "type": "cluster", "names": ["api", "web"], "total": 2, "sent": cluster.version_info,
                "acked": cluster.version_info, "unanswered": 0, "unknown": 0, "refused": [],
            },
            {
                "type": "endpoints", "names": ["web"], "total": 1, "sent": "web=0",
                "acked": "", "unanswered": 1, "unknown": 0, "refused": [],
            },
        ],
    }  # fmt: skip


def test_a_refusal_is_shown_until_its_names_are_accepted() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(JS)
    [response] = talk.ask(ENDPOINTS, "a", "b")
    talk.nack(response, "a", "b", text="port 70000")
    assert under_test.streams.refusing == 1
    [shown] = under_test.streams.shown({})
    assert shown["types"][0]["refused"] == [
        {"version": response.version_info, "why": "port 70000", "names": ["a", "b"]}
    ]
    for name in ("a", "b"):
        under_test.source.set(ENDPOINTS, name, 1)
        talk.ack(talk.take_one(), "a", "b")
    [shown] = under_test.streams.shown({})
    assert shown["types"][0]["refused"] == []
    assert under_test.streams.refusing == 0


def test_a_refusal_ends_with_the_stream_and_with_the_names() -> None:
    under_test = StreamsUnderTest()
    first, second = under_test.sotw(PY), under_test.sotw(PY)
    responses = [talk.ask(ENDPOINTS, "a")[0] for talk in (first, second)]
    first.nack(responses[0], "a")
    second.nack(responses[1], "a")
    assert under_test.streams.refusing == 2
    first.stream.close()
    second.ack(responses[1])
    assert under_test.streams.refusing == 0


def test_a_name_finds_its_clients_and_types_in_any_case() -> None:
    under_test = StreamsUnderTest()
    web, both = under_test.sotw(PY, id="web-only"), under_test.sotw(JS, id="both")
    web.ask(LISTENER, "Web")
    both.ask(LISTENER, "api", "web")
    both.ask(CLUSTER, "api")
    shown = under_test.streams.shown({"name": "WEB"})
    assert [(one["id"], [kind["names"] for kind in one["types"]]) for one in shown] == [
        ("web-only", [["Web"]]),
        ("both", [["web"]]),
    ]
    assert [one["id"] for one in under_test.streams.shown({"name": "api"})] == ["both"]
    assert under_test.streams.shown({"name": "nobody"}) == []


def test_a_client_is_found_by_its_id_or_address() -> None:
    under_test = StreamsUnderTest()
    under_test.sotw(PY, id="shop-1").ask(LISTENER, "a")
    under_test.sotw(PY, id="mail-1").ask(LISTENER, "a")
    assert [one["id"] for one in under_test.streams.shown({"client": "shop"})] == ["shop-1"]
    assert len(under_test.streams.shown({"client": "127.0.0.1:40000"})) == 2


def test_pages_follow_each_other_and_miss_nobody() -> None:
    under_test = StreamsUnderTest()
    talks = [under_test.sotw(PY, id=str(number)) for number in range(25)]
    for talk in talks:
        talk.ask(LISTENER, "a")
    talks[3].stream.close()
    ids, after = [], 0
    while page := under_test.streams.shown({"after": after, "limit": 10}):
        ids += [one["id"] for one in page]
        after = page[-1]["number"]
    assert ids == [str(number) for number in range(25) if number != 3]


def test_the_wildcard_and_the_number_of_names_are_shown() -> None:
    under_test = StreamsUnderTest(MadeSource(wild=tuple(f"s{number:03}" for number in range(300))))
    under_test.sotw(ENVOY).ask(CLUSTER)
    [shown] = under_test.streams.shown({})
    [type] = shown["types"]
    assert (type["names"][:2], len(type["names"]), type["total"]) == (["*", "s000"], 101, 300)


def test_a_type_that_is_not_served_is_shown_with_its_client() -> None:
    under_test = StreamsUnderTest()
    talk = under_test.sotw(ENVOY)
    talk.send(DiscoveryRequest(type_url="type.googleapis.com/envoy.service.runtime.v3.Runtime"))
    assert under_test.streams.shown({})[0]["unserved"] == ["type.googleapis.com/envoy.service.runtime.v3.Runtime"]


def envoy_of_web(name: str, caller: Caller | None) -> tuple[StreamsUnderTest, XdsStream]:
    """A stream of the Envoy of `web`, which asks for clusters and for the secret of this name."""
    under_test = StreamsUnderTest(MadeSource(wild=("api",)))
    stream = under_test.streams.open(SOTW, "process 7 of user 1001", lambda: None, caller)
    assert stream is not None
    for type, names in ((CLUSTER, ()), (ResourceType.SECRET, (name,))):
        request = DiscoveryRequest(type_url=type.value, resource_names=names)
        request.node.user_agent_name = "envoy"
        request.node.metadata.update({"gossipreg": {"service": "Web"}})
        stream.receive_untrusted(request.SerializeToString())
    return under_test, stream


def test_the_source_is_told_whose_envoy_asks_and_which_user() -> None:
    caller = Caller(1001, 7, door="socket")
    under_test, stream = envoy_of_web("cert", caller)
    stream.take()
    assert {audience for _, audience in under_test.source._made} == {Audience(ClientKind.ENVOY, "", "web", caller)}
    [shown] = under_test.streams.shown({})
    assert (shown["service"], shown["withheld"]) == ("web", [])


def test_what_a_client_may_not_have_is_shown_with_the_reason() -> None:
    under_test, stream = envoy_of_web("cert", None)
    under_test.source.hidden.add(ResourceKey(ResourceType.SECRET, "cert"))
    stream.take()
    [shown] = under_test.streams.shown({})
    assert shown["withheld"] == ["cert is not for web"]


def test_secrets_do_not_wait_for_the_clusters_that_wait_for_them() -> None:
    """Envoy acknowledges clusters when they are warm, for which it needs their secrets."""
    under_test, stream = envoy_of_web("cert", None)
    types = [DiscoveryResponse.FromString(message).type_url for message in stream.take()]
    assert types == [CLUSTER.value, ResourceType.SECRET.value]
    request = DiscoveryRequest(type_url=ResourceType.SECRET.value, resource_names=["cert", "other"])
    stream.receive_untrusted(request.SerializeToString())
    [response] = stream.take()
    assert DiscoveryResponse.FromString(response).type_url == ResourceType.SECRET.value
    assert under_test.counts["xds.nacks"] == 0


@pytest.mark.parametrize(
    "metadata",
    [{}, {"gossipreg": "web"}, {"gossipreg": {}}, {"gossipreg": {"service": 7}}, {"gossipreg": {"x": "web"}}],
)
def test_metadata_that_names_no_service_is_none(metadata: dict[str, object]) -> None:
    node = Node(user_agent_name="envoy")
    node.metadata.update(metadata)
    assert read_node_untrusted(node).service == ""


def test_only_an_envoy_is_the_envoy_of_a_service() -> None:
    node = Node(user_agent_name=PY)
    node.metadata.update({"gossipreg": {"service": "web"}})
    assert read_node_untrusted(node).service == ""
