"""A restarted member answers with the table that it knew last, marked stale, until it is synced."""

import pytest

from gossipreg.core.effects import Changed, Effect
from gossipreg.core.knowledge import Knowledge
from gossipreg.model import Address, Change, ChangeKind, NodeId
from gossipreg.wire.messages import Delta
from simulations.host import Host
from simulations.observer import Observer
from tests.core.cluster import START, Cluster
from tests.core.speaker import Speaker, a_node


def kept_at(host: Host) -> list[Delta]:
    """What this member would keep: the rows of the others, in pages."""
    rows = [row for row in host.node.table.rows.values() if row.id != host.id and row.answers]
    pages: list[Delta] = []
    for row in rows:
        assert row.content is not None
        reached = 0
        while reached < row.content.counter:
            pages.append(row.content.cut(row.id, reached, 600))
            reached = pages[-1].reached
    return pages


def restart(
    cluster: Cluster, host: Host, *seeds: Host | Address, counts_s: float = 900.0, pages: list[Delta] | None = None
) -> list[Change]:
    """Crash it and start it again with what it kept (these pages, or what it knows now); its watchers' changes from
    then on."""
    pages, known = kept_at(host) if pages is None else pages, host.node.worth_remembering()
    cluster.crash(host)
    cluster.run(0.05)
    recorder = _Recorder(host)
    cluster.watch(recorder)
    cluster._boot(host)
    for service, health in host.services.values():
        cluster.act(host, host.node.register(service, health, host.local(cluster.now))[1])
    cluster.act(host, host.node.remember(known, host.local(cluster.now)))
    cluster.act(host, host.node.recall(pages, counts_s, host.local(cluster.now)))
    addresses = tuple(seed.address if isinstance(seed, Host) else seed for seed in seeds)
    cluster.act(host, host.node.seek(addresses, host.local(cluster.now)))
    return recorder.changes


class _Recorder(Observer):
    def __init__(self, host: Host) -> None:
        self.host = host
        self.changes: list[Change] = []

    def on_effect(self, host: Host, effect: Effect) -> None:
        if host is self.host and type(effect) is Changed:
            self.changes += effect.changes


def _grown(n: int) -> tuple[Cluster, list[Host]]:
    cluster = Cluster()
    hosts = cluster.form(n)
    for number, host in enumerate(hosts):
        cluster.register(host, "web", port=8000 + number)
        cluster.register(host, f"own-{number}")
    cluster.run(2)
    return cluster, hosts


def _ports(host: Host) -> list[int]:
    return sorted(one.service.port for one in host.node.catalog.lookup("web"))


def _knows(host: Host) -> Knowledge:
    return host.node.knowledge


def _counts_until_synced(cluster: Cluster, host: Host, name: str = "web") -> set[int]:
    """How many instances of the name there were at any moment before it was synced."""
    seen: set[int] = set()

    def look() -> bool:
        seen.add(len(host.node.catalog.lookup(name)))
        return host.node.synced

    assert cluster.until(look, 10, 0.0005)
    return seen


def test_a_restarted_member_answers_at_once_and_nothing_flaps() -> None:
    cluster, hosts = _grown(5)
    changes = restart(cluster, hosts[0], hosts[1])
    node = hosts[0].node
    assert _knows(hosts[0]) is Knowledge.LAST_KNOWN
    assert _ports(hosts[0]) == [8000, 8001, 8002, 8003, 8004]
    assert [one.stale for one in node.catalog.lookup("web")].count(True) == 4
    assert _counts_until_synced(cluster, hosts[0]) == {5}
    assert _knows(hosts[0]) is Knowledge.SYNCED
    assert not any(one.stale for one in node.catalog.lookup("web"))
    assert not [one for one in changes if one.kind is ChangeKind.REMOVED]
    added = [one.instance.service.id for one in changes if one.kind is ChangeKind.ADDED]
    assert len(added) == len(set(added)) == 10
    assert node.catalog.recalled == {}


def test_members_of_the_last_run_have_their_names_until_synced() -> None:
    cluster, hosts = _grown(3)
    restart(cluster, hosts[0])
    names = [hosts[0].node.name(host.id) for host in hosts]
    assert hosts[1].id not in hosts[0].node.table.rows
    assert names == [host.node.name(host.id) for host in hosts]
    assert hosts[0].node.name(NodeId(b"?" * 16)) == "3f" * 16


def test_services_that_went_meanwhile_are_removed_once_synced() -> None:
    cluster, hosts = _grown(5)
    pages = kept_at(hosts[0])
    cluster.crash(hosts[4])
    cluster.run(10)
    cluster.deregister(hosts[3], "web-8003")
    cluster.run(1)
    changes = restart(cluster, hosts[0], hosts[1], pages=pages)
    assert _ports(hosts[0]) == [8000, 8001, 8002, 8003, 8004]
    assert cluster.until(lambda: hosts[0].node.synced, 10)
    assert _ports(hosts[0]) == [8000, 8001, 8002]
    removed = sorted(one.instance.service.id for one in changes if one.kind is ChangeKind.REMOVED)
    assert removed == ["own-4-80", "web-8003", "web-8004"]


def test_services_in_other_slots_after_a_restart_do_not_flap() -> None:
    cluster, hosts = _grown(4)
    pages = kept_at(hosts[0])
    cluster.crash(hosts[2])
    hosts[2].services = dict(reversed(hosts[2].services.items()))
    cluster.start(hosts[2], (hosts[1],))
    cluster.run(3)
    changes = restart(cluster, hosts[0], hosts[1], pages=pages)
    assert cluster.until(lambda: hosts[0].node.synced, 10)
    of_it = [(one.kind.name, one.instance.service.id) for one in changes if one.instance.node == hosts[2].id]
    assert sorted(of_it) == [
        ("ADDED", "own-2-80"), ("ADDED", "web-8002"), ("UPDATED", "own-2-80"), ("UPDATED", "web-8002"),
    ]  # fmt: skip


def test_a_kept_service_with_capitals_is_replaced_by_the_new_row() -> None:
    cluster, hosts = _grown(4)
    cluster.register(hosts[2], "Billing")
    cluster.run(3)
    pages = kept_at(hosts[0])
    cluster.crash(hosts[2])
    cluster.start(hosts[2], (hosts[1],))
    cluster.run(3)
    restart(cluster, hosts[0], hosts[1], pages=pages)
    assert cluster.until(lambda: hosts[0].node.synced, 10)
    assert [one.service.name for one in hosts[0].node.catalog.lookup("billing", all=True)] == ["Billing"]


def test_with_the_seed_down_it_counts_for_its_time_and_no_longer() -> None:
    cluster, hosts = _grown(5)
    cluster.cut = lambda sender, receiver: hosts[0] in (sender, receiver)
    changes = restart(cluster, hosts[0], hosts[1], counts_s=600)
    cluster.run(590)
    assert _knows(hosts[0]) is Knowledge.LAST_KNOWN
    assert len(_ports(hosts[0])) == 5
    cluster.run(20)
    assert _knows(hosts[0]) is Knowledge.NOT_SYNCED
    assert _ports(hosts[0]) == [8000], "what is registered here stays"
    assert "last_known_over" in cluster.events(hosts[0])
    assert sum(one.kind is ChangeKind.REMOVED for one in changes) == 8
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: _knows(hosts[0]) is Knowledge.SYNCED, 30)
    assert len(_ports(hosts[0])) == 5


@pytest.mark.parametrize(("members", "alone"), [(3, Knowledge.SYNCED), (5, Knowledge.NOT_SYNCED)])
def test_without_a_seed_only_a_small_cluster_is_given_up(members: int, alone: Knowledge) -> None:
    cluster, hosts = _grown(members)
    cluster.cut = lambda sender, receiver: hosts[0] in (sender, receiver)
    restart(cluster, hosts[0], counts_s=600)
    cluster.run(590)
    assert _knows(hosts[0]) is Knowledge.LAST_KNOWN
    waits = "the first of its cluster" if alone is Knowledge.SYNCED else "without a limit: give --seed"
    assert waits in hosts[0].node.why_not_synced(hosts[0].local(cluster.now))
    cluster.run(20)
    assert _knows(hosts[0]) is alone


def test_a_member_that_seeds_itself_waits_for_remembered_ones() -> None:
    cluster, hosts = _grown(4)
    restart(cluster, hosts[0], hosts[0])
    assert _counts_until_synced(cluster, hosts[0]) == {4}


def test_rows_that_are_not_whole_do_not_replace_kept_ones() -> None:
    cluster, hosts = _grown(3)
    for number in range(300):
        cluster.register(hosts[1], "many", port=1 + number)
    cluster.run(3)
    restart(cluster, hosts[0], hosts[1])
    assert _counts_until_synced(cluster, hosts[0], "many") == {300}


def test_kept_rows_are_not_gossiped_nor_in_the_fingerprint() -> None:
    node, bare, speaker = a_node(synced=False), a_node(synced=False), Speaker(1)
    node.recall([speaker.row], 900, START)
    assert node.fingerprint == bare.fingerprint
    assert speaker.id not in node.table.rows
    assert speaker.id not in node.ring
    row = node.row(speaker.id)
    assert row is not None
    assert row.member is not None
    assert row.member.name == "speaker-1"


def test_our_own_row_is_never_recalled() -> None:
    node = a_node(synced=False)
    own = Speaker(1, id=node.id)
    node.recall([own.row], 900, START)
    assert node.knowledge is Knowledge.NOT_SYNCED


@pytest.mark.parametrize("counts_s", [0.0, -5.0])
def test_rows_that_are_too_old_are_not_recalled(counts_s: float) -> None:
    node = a_node(synced=False)
    node.recall([Speaker(1).row], counts_s, START)
    assert node.knowledge is Knowledge.NOT_SYNCED


def test_pages_without_their_member_are_left_out() -> None:
    node, speaker = a_node(synced=False), Speaker(1)
    page = speaker.row
    node.recall([Delta(NodeId(bytes(16)), page.generation, 5, 9, 9, 0, 0, ())], 900, START)
    assert node.knowledge is Knowledge.NOT_SYNCED


def test_a_cluster_that_starts_at_once_has_no_empty_moment() -> None:
    """The first that two of them list is each other: what the others had is not gone for that."""
    cluster, hosts = _grown(5)
    pages = [kept_at(host) for host in hosts]
    for host in hosts[1:]:
        cluster.crash(host)
    seen: set[int] = set()
    for host, kept in zip(hosts, pages, strict=True):
        restart(cluster, host, *() if host is hosts[0] else (hosts[0],), pages=kept)
        for _ in range(100):
            cluster.run(0.005)
            seen |= {len(_ports(one)) for one in hosts if one.up}
    assert seen == {5}
    cluster.run(12)
    assert all(_knows(host) is Knowledge.SYNCED for host in hosts)
    assert all(_ports(host) == [8000, 8001, 8002, 8003, 8004] for host in hosts)


def test_after_a_start_at_once_what_does_not_come_back_goes_soon() -> None:
    cluster, hosts = _grown(5)
    pages = [kept_at(host) for host in hosts]
    for host in hosts[1:]:
        cluster.crash(host)
    for host, kept in zip(hosts[:4], pages, strict=False):
        restart(cluster, host, *() if host is hosts[0] else (hosts[0],), pages=kept)
    cluster.run(9)
    assert len(_ports(hosts[1])) == 5
    cluster.run(5)
    assert all(_ports(host) == [8000, 8001, 8002, 8003] for host in hosts[:4])
    assert all(_knows(host) is Knowledge.SYNCED for host in hosts[:4])
