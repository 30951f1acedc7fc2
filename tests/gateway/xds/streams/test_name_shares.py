"""Of the names of all streams, a client that asks for many leaves others what they ask for."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gossipreg.gateway.xds.model import ResourceKey, ResourceType
from gossipreg.gateway.xds.streams import ads_stream, name_shares
from gossipreg.gateway.xds.streams.subscription_index import SubscriptionIndex, cost_of
from gossipreg.gateway.xds.streams.xds_streams import BadRequest
from tests.examples import examples
from tests.gateway.xds.made_source import CLUSTER, ENDPOINTS, LISTENER
from tests.gateway.xds.talk import ENVOY, PY, SotwTalk, StreamsUnderTest, names


def test_one_stream_alone_cannot_hold_the_names_of_all() -> None:
    assert name_shares.NAMES_OF_ALL > ads_stream.NAMES


@pytest.fixture
def under_test(monkeypatch: pytest.MonkeyPatch) -> StreamsUnderTest:
    """All may ask for ten names."""
    monkeypatch.setattr(name_shares, "NAMES_OF_ALL", 10)
    return StreamsUnderTest()


def greedy(under_test: StreamsUnderTest, *counts: int) -> list[SotwTalk]:
    """Streams of one client, each with this number of names of its own."""
    found = []
    for number, count in enumerate(counts):
        found.append(under_test.sotw(PY, peer="greedy"))
        found[-1].ask(CLUSTER, *(f"{number}-{one}" for one in range(count)))
    return found


def gave_way(talk: SotwTalk) -> bool:
    try:
        talk.take()
    except BadRequest as error:
        with pytest.raises(BadRequest):
            talk.ask(CLUSTER, "more")
        return str(error) == "this client asked for most names, and others needed some: ask for fewer"
    return False


def test_who_holds_most_gives_way_as_far_as_it_is_needed(under_test: StreamsUnderTest) -> None:
    many = greedy(under_test, 3, 5, 2)
    before = [one.wakes for one in many]
    modest = under_test.sotw(PY, peer="modest")
    [answer] = modest.ask(LISTENER, "web", "mail")
    assert names(answer) == ["mail", "web"]
    assert [one.wakes - was for one, was in zip(many, before, strict=True)] == [0, 1, 0]
    assert [gave_way(one) for one in many] == [False, True, False]
    assert under_test.counts["drop.xds_names_given_way"] == 1
    assert len(under_test.streams.context.index) == 7


def test_a_stream_that_gave_way_comes_again_for_what_is_left(under_test: StreamsUnderTest) -> None:
    [many] = greedy(under_test, 10)
    modest = under_test.sotw(PY, peer="modest")
    modest.ask(LISTENER, "web")
    assert gave_way(many)
    many.stream.close()
    with pytest.raises(BadRequest, match="all clients together ask for more than 10 names"):
        greedy(under_test, 10)
    assert len(greedy(under_test, 9)[0].stream.subscriptions[CLUSTER].names) == 9  # type: ignore[attr-defined]
    assert not gave_way(modest)


def test_who_would_hold_most_itself_is_refused(under_test: StreamsUnderTest) -> None:
    modest = under_test.sotw(PY, peer="modest")
    modest.ask(CLUSTER, *"abcd")
    greedy(under_test, 4)
    with pytest.raises(BadRequest, match="all clients together"):
        under_test.sotw(PY, peer="greedy").ask(CLUSTER, *"mnop")
    assert not gave_way(modest)
    assert under_test.counts["drop.xds_names_of_all"] == 1
    assert under_test.counts["drop.xds_names_given_way"] == 0


def test_names_that_others_have_already_need_no_room(under_test: StreamsUnderTest) -> None:
    first, second = under_test.sotw(PY, peer="first"), under_test.sotw(PY, peer="second")
    first.ask(CLUSTER, *map(str, range(10)))
    [answer] = second.ask(CLUSTER, *map(str, range(9)))
    assert len(names(answer)) == 9
    assert not gave_way(first)


def test_what_many_clients_share_is_not_taken_from_them(under_test: StreamsUnderTest) -> None:
    """The end of one of them would free nothing."""
    fleet = [under_test.sotw(ENVOY, peer=f"envoy-{number}") for number in range(3)]
    for one in fleet:
        one.ask(ENDPOINTS, *map(str, range(7)))
    [many] = greedy(under_test, 3)
    under_test.sotw(PY, peer="modest").ask(LISTENER, "web")
    assert gave_way(many)
    assert not any(map(gave_way, fleet))


class HeldNames(RuleBasedStateMachine):
    """The index counts what is held as a model does that looks at everything."""

    def __init__(self) -> None:
        super().__init__()
        self.index = SubscriptionIndex(lambda _key: None)
        self.model: dict[tuple[Any, str], bool] = {}

    subscribers = st.sampled_from("ABC")
    some_names = st.lists(st.sampled_from(["a", "bb", "ccc"]), unique=True)

    @rule(one=subscribers, names=some_names, by_name=st.booleans())
    def add(self, one: Any, names: list[str], by_name: bool) -> None:
        self.index.add(one, ResourceType.CLUSTER, names, by_name=by_name)
        self.model.update({(one, name): by_name for name in names})

    @rule(one=subscribers, names=some_names)
    @precondition(lambda self: bool(self.model))
    def remove(self, one: Any, names: list[str]) -> None:
        self.index.remove(one, ResourceType.CLUSTER, names)
        for name in names:
            self.model.pop((one, name), None)

    @invariant()
    def held(self) -> None:
        holders = Counter(name for _, name in self.model)
        for one in "ABC":
            alone = [name for (who, name), by_name in self.model.items()
                     if who == one and by_name and holders[name] == 1]  # fmt: skip
            assert self.index.held_by(one) == sum(map(cost_of, alone))  # type: ignore[arg-type]
        assert self.index.characters == sum(map(len, holders))
        assert all((ResourceKey(ResourceType.CLUSTER, name) in self.index) == (name in holders) for name in "ab")


HeldNames.TestCase.settings = settings(max_examples=examples(50), stateful_step_count=20)
TestHeldNames = HeldNames.TestCase
