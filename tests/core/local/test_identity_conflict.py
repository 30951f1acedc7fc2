"""Two with one identity: a copied data directory beside the original, and a backup that is restored."""

import pytest

from gossipreg.core.effects import Effect, Event
from gossipreg.model import Address, NodeId
from simulations.observer import Observer
from tests.core.cluster import Cluster, Host
from tests.seeds import seeds

ELSEWHERE = Address("10.9.9.9", 7940)
DAY_MS = 86_400_000


def copied(
    cluster: Cluster, original: Host, seed: Host, *, clock_ms: int = 0, generation: int | None = None, before: int = 0
) -> Host:
    """A process elsewhere with the data of this member, as they were when `generation` was its last. `before`: what it
    says of that."""
    copy = cluster.add(id=original.id, address=ELSEWHERE, durable=True, zone="z")
    copy.wall_error_ms = clock_ms
    copy.generation = original.generation if generation is None else generation
    copy.generation_before = before
    cluster.start(copy, (seed,), remembers={})
    return copy


def addresses_told(cluster: Cluster, host: Host) -> set[str]:
    events = cluster._recorder.events.get(host.number, [])
    return {str(dict(event.fields)["address"]) for event in events if event.kind == "duplicate_identity"}


def raises(cluster: Cluster, host: Host) -> int:
    return cluster.events(host).count("generation_raised")


@pytest.mark.parametrize("members", [2, 3, 8])
@pytest.mark.parametrize("age_s", [0.5, 120.0])
@pytest.mark.parametrize("seeded_by_the_original", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_copy_gives_way_to_the_original_whatever_its_seed(
    members: int, age_s: float, seeded_by_the_original: bool, loss: float
) -> None:
    cluster = Cluster(seed=members)
    hosts = cluster.grow(members)
    cluster.run(age_s)
    original = hosts[-1]
    cluster.register(original, "web", port=80)
    cluster.network.loss = loss
    copy = copied(cluster, original, seed=original if seeded_by_the_original else hosts[0])
    assert cluster.until(lambda: bool(copy.stopped), 120 if loss else 5)
    assert f"the sidecar at {original.address} runs with a copy of this data directory" in copy.stopped
    cluster.network.loss = 0.0
    cluster.run(5)
    assert not original.stopped
    assert addresses_told(cluster, original) <= {str(ELSEWHERE)}
    if not loss:
        assert addresses_told(cluster, original) == {str(ELSEWHERE)}
    assert cluster.until(lambda: cluster.converged(hosts), 10)
    assert all(cluster.found(host, "web") == {f"{original.address.host}:80"} for host in hosts)


def test_a_copy_removes_the_original_only_for_a_moment() -> None:
    cluster = Cluster(seed=3)
    hosts = cluster.grow(3)
    cluster.register(hosts[2], "web", port=80)
    cluster.run(60)
    copy = copied(cluster, hosts[2], seed=hosts[0])
    assert cluster.until(lambda: bool(copy.stopped), 3)
    assert cluster.until(lambda: bool(cluster.found(hosts[0], "web") and cluster.found(hosts[1], "web")), 0.5)
    assert raises(cluster, copy) == 0
    assert raises(cluster, hosts[2]) == 1


@pytest.mark.parametrize("clock_ms", [-DAY_MS, DAY_MS])
def test_a_copy_gives_way_whatever_its_clock_says(clock_ms: int) -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(3)
    cluster.run(10)
    copy = copied(cluster, hosts[2], seed=hosts[0], clock_ms=clock_ms, generation=0)
    assert cluster.until(lambda: bool(copy.stopped), 5)
    cluster.run(3)
    assert not hosts[2].stopped
    assert cluster.converged(hosts)


def test_several_copies_give_way_to_the_one_original() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(4)
    cluster.run(10)
    copies = []
    for number in range(3):
        copy = cluster.add(id=hosts[3].id, address=Address(f"10.9.9.{number}", 7940), durable=True, zone="z")
        copy.generation = hosts[3].generation
        copies.append(copy)
        cluster.start(copy, (hosts[number],), remembers={})
    assert cluster.until(lambda: all(copy.stopped for copy in copies), 30)
    cluster.run(5)
    assert not hosts[3].stopped
    assert cluster.converged(hosts)


@pytest.mark.parametrize("same_address", [False, True])
@pytest.mark.parametrize("noticed", [False, True])
def test_a_restored_backup_raises_its_generation(same_address: bool, noticed: bool) -> None:
    """The cluster knows a later start of it, which runs no longer, whether or not that was noticed."""
    cluster = Cluster(seed=6)
    hosts = cluster.grow(3)
    cluster.run(10)
    gone = hosts[2]
    cluster.crash(gone)
    if noticed:
        assert cluster.until(lambda: cluster.state_at(hosts[0], gone) == "dead", 5)
    if same_address:
        gone.durable, gone.wall_error_ms, gone.generation = True, -DAY_MS, 0
        cluster.start(gone, (hosts[0],), remembers={})
        restored = gone
    else:
        restored = copied(cluster, gone, seed=hosts[0], clock_ms=-DAY_MS, generation=0)
    assert cluster.until(lambda: cluster.converged([*hosts[:2], restored]), 10)
    assert raises(cluster, restored) == 1
    assert "duplicate_identity" not in cluster.events(restored)
    cluster.run(60)
    assert not restored.stopped
    assert raises(cluster, restored) == 1


def test_of_two_copies_out_of_reach_only_the_newer_ends() -> None:
    cluster = Cluster(seed=7)
    hosts = cluster.grow(3)
    cluster.run(120)
    original = hosts[2]
    cluster.cut = lambda one, other: one.id == other.id == original.id
    copy = copied(cluster, original, seed=hosts[0])
    assert cluster.until(lambda: bool(copy.stopped), 120)
    assert f"the sidecar at {original.address}" in copy.stopped
    assert raises(cluster, original) < 10
    cluster.run(30)
    assert not original.stopped
    assert cluster.converged(hosts)


def test_of_copies_in_two_halves_the_older_process_stays() -> None:
    cluster = Cluster(seed=8)
    hosts = cluster.grow(4)
    cluster.run(30)
    far = {hosts[2].number, hosts[3].number}
    cluster.cut = lambda one, other: (one.number in far) != (other.number in far)
    cluster.run(60)
    copy = copied(cluster, hosts[3], seed=hosts[0])
    cluster.run(200)
    assert not copy.stopped, "nobody there knows of the other"
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: bool(copy.stopped), 60)
    cluster.run(10)
    assert not hosts[3].stopped
    assert cluster.until(lambda: cluster.converged(hosts), 30)


@pytest.mark.parametrize("seed", seeds(range(8)))
def test_two_copies_started_together_agree_which_one_stays(seed: int) -> None:
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(2)
    id = NodeId(hosts[0].id[::-1])
    twins = [cluster.add(id=id, address=Address(f"10.9.9.{number}", 7940), durable=True) for number in range(2)]
    for twin, host in zip(twins, hosts, strict=True):
        cluster.start(twin, (host,), remembers={})
    assert cluster.until(lambda: any(twin.stopped for twin in twins), 10)
    cluster.run(5)
    left = [twin for twin in twins if not twin.stopped]
    assert len(left) == 1
    assert cluster.until(lambda: cluster.converged([*hosts, *left]), 10)


def test_an_identity_conflict_is_one_event_with_its_address() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(3)
    cluster.run(10)
    copied(cluster, hosts[2], seed=hosts[0])
    cluster.run(10)
    told = [event for event in cluster._recorder.events[hosts[2].number] if event.kind == "duplicate_identity"]
    assert told == [Event("duplicate_identity", (("id", hosts[2].id.hex()), ("address", str(ELSEWHERE))))]


class _SeenAtSync(Observer):
    """The foreign generation that each process knew of when it came in sync."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}

    def on_effect(self, host: Host, effect: Effect) -> None:
        if isinstance(effect, Event) and effect.kind == "synced":
            self.seen[host.number] = host.node.foreign_generation


@pytest.mark.parametrize("seed", seeds(range(6)))
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_restored_backup_is_known_as_one_before_it_is_synced(seed: int, loss: float) -> None:
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(3)
    original, old = hosts[2], hosts[2].generation - (1 << 30)
    cluster.crash(original)
    cluster.run(2)
    watcher = _SeenAtSync()
    cluster.watch(watcher)
    cluster.network.loss = loss
    restored = copied(cluster, original, hosts[0], clock_ms=-30 * DAY_MS, generation=old)
    assert cluster.until(lambda: restored.number in watcher.seen, 60)
    assert watcher.seen[restored.number] >= original.generation


@pytest.mark.parametrize("seed", seeds(range(3)))
@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("down_s", [0.1, 120.0])
def test_a_restored_backup_is_known_though_the_clock_is_right(seed: int, loss: float, down_s: float) -> None:
    """Its generation is the highest, so nobody objects: but the members hold one of which it has forgotten."""
    cluster = Cluster(seed=seed)
    hosts = cluster.grow(3)
    original, old = hosts[2], hosts[2].generation - (1 << 30)
    cluster.crash(original)
    cluster.run(down_s)
    watcher = _SeenAtSync()
    cluster.watch(watcher)
    cluster.network.loss = loss
    restored = copied(cluster, original, hosts[0], generation=old, before=old)
    assert restored.generation > original.generation
    assert cluster.until(lambda: restored.number in watcher.seen, 60)
    assert watcher.seen[restored.number] == original.generation
    cluster.network.loss = 0.0
    cluster.run(5)
    assert cluster.converged([*hosts[:2], restored])
    assert not restored.stopped
    assert raises(cluster, restored) == 0


def test_a_restored_backup_is_known_by_its_second_start_too() -> None:
    """The first one met nobody: it was cut off, say, or ended too soon."""
    cluster = Cluster(seed=1)
    hosts = cluster.grow(3)
    original, old = hosts[2], hosts[2].generation - (1 << 30)
    cluster.crash(original)
    cluster.run(2)
    restored = cluster.add(id=original.id, address=ELSEWHERE, durable=True, zone="z")
    restored.generation = restored.generation_before = old
    cluster.start(restored, (), remembers={})
    cluster.run(2)
    assert not restored.node.has_met
    restored.own_generations = frozenset((restored.generation,))
    cluster.crash(restored)
    cluster.start(restored, (hosts[0],), remembers={})
    cluster.run(10)
    assert (restored.node.synced, restored.node.has_met) == (True, True)
    assert restored.node.foreign_generation == original.generation


def test_a_start_whose_members_were_not_noted_is_no_others() -> None:
    """It ended before its data directory had noted that it met somebody, so members hold its generation."""
    cluster = Cluster(seed=1)
    hosts = cluster.grow(3)
    first, before = hosts[2], hosts[2].generation - (1 << 30)
    cluster.crash(first)
    cluster.run(2)
    again = cluster.add(id=first.id, address=ELSEWHERE, durable=True, zone="z")
    again.generation, again.generation_before = first.generation, before
    again.own_generations = frozenset((first.generation,))
    cluster.start(again, (hosts[0],), remembers={})
    cluster.run(10)
    assert again.node.synced
    assert again.node.foreign_generation == 0


@pytest.mark.parametrize("says", [False, True])
def test_a_plain_restart_knows_of_no_other_generation(says: bool) -> None:
    cluster = Cluster(seed=1)
    hosts = cluster.grow(3)
    cluster.crash(hosts[2])
    cluster.run(2)
    again = copied(cluster, hosts[2], hosts[0], before=hosts[2].generation if says else 0)
    cluster.run(10)
    assert again.node.synced
    assert again.node.foreign_generation == 0


def test_a_generation_that_we_raised_ourselves_is_no_others() -> None:
    """A restored backup with a clock that is behind raises its generation, and the next start remembers that."""
    cluster = Cluster(seed=2)
    hosts = cluster.grow(3)
    cluster.crash(hosts[2])
    cluster.run(2)
    old = hosts[2].generation - (1 << 30)
    restored = copied(cluster, hosts[2], hosts[0], clock_ms=-30 * DAY_MS, generation=old, before=old)
    assert cluster.until(lambda: raises(cluster, restored) == 1, 30)
    raised = restored.node.version.generation
    cluster.run(5)
    cluster.crash(restored)
    restored.generation_before = restored.generation = raised
    cluster.start(restored, (hosts[0],), remembers={})
    cluster.run(10)
    assert restored.node.synced
    assert restored.node.foreign_generation == 0


def test_original_and_copy_both_know_of_the_other() -> None:
    cluster = Cluster(seed=2)
    hosts = cluster.grow(3)
    cluster.run(5)
    copy = copied(cluster, hosts[2], hosts[0])
    assert cluster.until(lambda: bool(copy.stopped), 10)
    assert hosts[2].node.foreign_generation == copy.generation
    assert copy.node.foreign_generation == hosts[2].generation
