"""Responses are joined from bytes: the protobufs of xDS read them back as they were meant."""

from functools import partial

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.xds.model import Resource
from gossipreg.gateway.xds.streams import discovery_responses
from gossipreg.gateway.xds.streams.discovery_responses import KEPT_RESPONSES, SharedResponses, version_of
from gossipreg.gateway.xds.streams.grouping import GROUP_BYTES, grouped
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, any_of
from tests.gateway.xds.talk import PY, StreamsUnderTest

texts = st.text(st.characters(codec="utf-8"), max_size=300)


values = st.binary(max_size=300) | st.integers(0, 40_000).map(bytes)
some = st.lists(st.builds(Resource, texts, texts, values.map(partial(any_of, ENDPOINTS))), max_size=4)


@given(resources=some, nonce=st.integers(0, 1 << 40).map(str))
def test_a_response_reads_back_as_it_was_meant(resources: list[Resource], nonce: str) -> None:
    shared = SharedResponses().sotw(ENDPOINTS, tuple(resources))
    read = DiscoveryResponse.FromString(shared.with_nonce(nonce))
    assert (read.version_info, read.type_url, read.nonce) == (version_of(resources), ENDPOINTS.value, nonce)
    assert [one.SerializeToString() for one in read.resources] == [one.any for one in resources]


@given(resources=some, removed=st.lists(texts, max_size=3))
def test_a_delta_response_reads_back_as_it_was_meant(resources: list[Resource], removed: list[str]) -> None:
    shared = SharedResponses().delta(ENDPOINTS, tuple(resources), removed)
    read = DeltaDiscoveryResponse.FromString(shared.with_nonce("7"))
    assert (read.system_version_info, read.type_url, read.nonce) == (version_of(resources), ENDPOINTS.value, "7")
    assert [(one.name, one.version, one.resource.SerializeToString()) for one in read.resources] == [
        (one.name, one.version, one.any) for one in resources
    ]
    assert [*read.removed_resources] == removed


def test_streams_that_ask_for_the_same_share_the_bytes() -> None:
    under_test = StreamsUnderTest()
    talks = [under_test.sotw(PY) for _ in range(3)]
    for talk in talks:
        talk.ask(ENDPOINTS, "a")
    under_test.source.set(ENDPOINTS, "a", 1)
    bodies = [talk.take_one() for talk in talks]
    states = [stream.subscriptions[ENDPOINTS] for stream in under_test.streams.context.streams]
    sent = {id(one) for state in states for one in state.unacked.values()}
    assert len(sent) == 2  # one before and one after the change
    assert len({one.version_info for one in bodies}) == 1


def test_equal_contents_have_equal_versions_in_another_sidecar() -> None:
    first, second = StreamsUnderTest(), StreamsUnderTest()
    versions = [one.sotw(PY).ask(CLUSTER, "a", "b")[0].version_info for one in (first, second)]
    assert versions[0] == versions[1]
    first.source.set(CLUSTER, "a", 1)
    assert first.sotw(PY).ask(CLUSTER, "a", "b")[0].version_info != versions[0]


def test_shared_responses_are_bounded() -> None:
    responses = SharedResponses()
    for number in range(KEPT_RESPONSES + 10):
        responses.sotw(ENDPOINTS, (Resource(str(number), "1", b"a"),))
    assert len(responses) <= KEPT_RESPONSES
    big = Resource("big", "1", bytes(discovery_responses.KEPT_BYTES // 2))
    for number in range(5):
        responses.sotw(ENDPOINTS, (big, Resource(str(number), "1", b"a")))
        assert responses.kept_bytes <= discovery_responses.KEPT_BYTES


def test_large_responses_are_cut_where_they_may_be() -> None:
    half = [Resource(str(number), "1", bytes(GROUP_BYTES // 2)) for number in range(5)]
    assert [len(group) for group in grouped(half, ())] == [2, 2, 1]
    assert [[one.name for one in group] for group in grouped(half[:3], {"1"})] == [["1"], ["0", "2"]]
