"""Followers of the answers get the whole once it is known, and are never told of nothing where that is not known."""

from types import SimpleNamespace
from typing import Any, cast

from gossipreg.core.effects import Changed, Effect
from gossipreg.core.followers import Current, Followers
from gossipreg.core.knowledge import Knowledge
from gossipreg.model import Address, Change
from simulations.host import Host
from simulations.observer import Observer
from tests.core.cluster import Cluster

NOWHERE = Address("10.9.9.9", 7940)


class _Feed(Observer):
    """The followers of one member, by the name that they follow; what each was told, in words."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.followers: Followers[str] = Followers(host.node)
        self.told: dict[str, list[str]] = {}

    def follow(self, name: str | None) -> list[str]:
        follower = name or "*"
        told = self.told[follower] = []
        current = self.followers.add(follower, name)
        if current is not None:
            told.append(_in_words(current))
        return told

    def on_effect(self, host: Host, effect: Effect) -> None:
        if host is self.host and type(effect) is Changed:
            for what, followers in self.followers.changed(effect.changes):
                for follower in followers:
                    self.told[follower].append(_in_words(what))


def _in_words(what: Current | Change) -> str:
    if isinstance(what, Change):
        return f"{what.kind.name.lower()} {what.instance.service.id}"
    ids = sorted(one.service.id for one in what.instances)
    return " ".join(["partial" if what.partial else "current", *ids])


def _feed(cluster: Cluster, host: Host) -> _Feed:
    feed = _Feed(host)
    cluster.watch(feed)
    return feed


def test_a_follower_of_a_synced_member_gets_an_empty_current() -> None:
    cluster = Cluster()
    assert _feed(cluster, cluster.join()).follow("web") == ["current"]


def test_a_follower_gets_nothing_until_the_member_is_synced() -> None:
    cluster = Cluster()
    first = cluster.join()
    cluster.register(first, "web")
    joiner = cluster.join(first)
    feed = _feed(cluster, joiner)
    web, everything, other = feed.follow("web"), feed.follow(None), feed.follow("other")
    assert (web, everything, other) == ([], [], [])
    assert cluster.until(lambda: joiner.node.knowledge is Knowledge.SYNCED, 5)
    assert web == ["current web-80"]
    assert everything == ["current web-80"]
    assert other == ["current"]
    cluster.register(first, "web", port=81)
    cluster.run(1)
    assert web == ["current web-80", "added web-81"]


def test_an_own_name_is_given_in_part_then_as_a_whole() -> None:
    cluster = Cluster()
    first = cluster.join()
    cluster.register(first, "web", port=80)
    cluster.cut = lambda _from, _to: True
    joiner = cluster.join(first)
    feed = _feed(cluster, joiner)
    before = feed.follow("web")
    assert before == []
    cluster.register(joiner, "web", port=81)
    after = feed.follow("other")
    assert before == ["partial web-81"]
    assert after == []
    cluster.register(joiner, "web", port=82)
    assert before == ["partial web-81", "added web-82"]
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: joiner.node.knowledge is Knowledge.SYNCED, 10)
    assert before[-1] == "current web-80 web-81 web-82"


def test_services_hidden_by_isolation_are_not_given_as_removed() -> None:
    cluster = Cluster()
    hosts = cluster.grow(5)
    cluster.register(hosts[1], "web")
    cluster.run(1)
    told = _feed(cluster, hosts[0]).follow("web")
    cluster.cut = lambda sender, receiver: hosts[0] in (sender, receiver)
    assert cluster.until(lambda: hosts[0].node.knowledge is Knowledge.NOT_SYNCED, 1000)
    assert cluster.found(hosts[0], "web") == set()
    assert told == ["current web-80", "updated web-80"], "the update says that it is stale"
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: hosts[0].node.knowledge is Knowledge.SYNCED, 30)
    cluster.run(5)
    assert told[2] == "current web-80"


def test_a_change_before_the_sync_looks_at_its_own_name_alone() -> None:
    cluster = Cluster()
    joiner = cluster.join(NOWHERE)
    feed = _feed(cluster, joiner)
    for number in range(100):
        assert feed.follow(f"name-{number}") == []
    everything = feed.follow(None)
    looked: list[str | None] = []
    current = feed.followers._current

    def noted(name: str | None, knowledge: Knowledge) -> Current | None:
        looked.append(name)
        return current(name, knowledge)

    feed.followers._current = noted  # type: ignore[method-assign]
    cluster.register(joiner, "name-7", port=80)
    cluster.register(joiner, "name-7", port=81)
    assert looked == ["name-7", None]
    assert feed.told["name-7"] == ["partial name-7-80", "added name-7-81"]
    assert everything == ["partial name-7-80", "added name-7-81"]


def test_a_state_that_passed_without_followers_is_not_taken_for_the_last() -> None:
    cluster = Cluster()
    host = cluster.join()
    cluster.register(host, "web")
    view = SimpleNamespace(id=host.node.id, catalog=host.node.catalog, knowledge=Knowledge.NOT_SYNCED)
    followers: Followers[str] = Followers(cast(Any, view))
    view.knowledge = Knowledge.SYNCED
    followers.changed(())
    whole = followers.add("all", "web")
    assert whole is not None
    assert not whole.partial
    view.knowledge = Knowledge.NOT_SYNCED
    assert followers.changed(()) == []
    view.knowledge = Knowledge.SYNCED
    assert followers.changed(()) == [(whole, ["all"])], "removals may have been left out meanwhile"


def test_a_follower_that_ends_gets_nothing_more() -> None:
    cluster = Cluster()
    joiner = cluster.join(NOWHERE)
    feed = _feed(cluster, joiner)
    told = feed.follow("web")
    feed.followers.remove("web", "web")
    assert len(feed.followers) == 0
    cluster.register(joiner, "web")
    assert told == []
