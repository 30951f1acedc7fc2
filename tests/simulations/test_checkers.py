"""The checkers see what they are for: each way of breaking the core is noticed, and the core as it is passes."""

import inspect
import pickle
from dataclasses import replace

import pytest

from gossipreg.config import Config, lan
from gossipreg.model import Health, RegisteredService
from simulations.baselines.config import swim
from simulations.breaks import Break
from simulations.checkers.bounded import BOUNDS, Bounded, containers
from simulations.checkers.checker import Broken
from simulations.checkers.forgotten import Forgotten
from simulations.checkers.rises import Rises
from simulations.checkers.taken_for_dead import TakenForDead
from simulations.checkers.traffic import Traffic
from simulations.eventing.breaks import EVENT_BREAKS
from simulations.host import Host
from simulations.journaling.breaks import JOURNAL_BREAKS
from simulations.network import hole_around
from simulations.orchestrating.breaks import SAGA_BREAKS
from simulations.selftest import ALL, BREAKS, HANDED_ON, fires
from simulations.world import World


def _in_turn(named: list[tuple[Break, ...]]) -> list[object]:
    """One of 24 of the core's, one each of journals and events, and one of sagas, in every run; the others with
    `scripts/check --wide`."""
    others = [one for number, one in enumerate(BREAKS) if number % 24 != 6] + [*JOURNAL_BREAKS[1:], *EVENT_BREAKS[1:]]
    others += [HANDED_ON[0], *(breaks[0] for number, breaks in enumerate(SAGA_BREAKS) if number)]
    long = {*map(id, others)}
    return [
        pytest.param(breaks, id=breaks[0].what.replace(" ", "_"),
                     marks=[pytest.mark.wide] if id(breaks[0]) in long else [])
        for breaks in named
    ]  # fmt: skip


@pytest.mark.parametrize("breaks", _in_turn([*ALL]))
def test_a_core_broken_on_purpose_is_seen(breaks: tuple[Break, ...]) -> None:
    seed, what = fires(*breaks)
    assert seed, what


def test_each_break_can_be_called_as_what_it_replaces() -> None:
    """Otherwise a run ends by its TypeError, and the checker is not tried at all."""
    assert [one.what for breaks in ALL for one in breaks if not _fits(one)] == []


def _fits(one: Break) -> bool:
    was = getattr(one.owner, one.attribute)
    instead = one.instead(was)
    if not inspect.isfunction(was) or not inspect.isfunction(instead):
        return True  # a number, or a property
    taken = inspect.signature(was).parameters.values()
    in_order = [name for name in taken if name.kind in (name.POSITIONAL_ONLY, name.POSITIONAL_OR_KEYWORD)]
    by_name = {name.name: None for name in taken if name.kind is name.KEYWORD_ONLY}
    try:
        inspect.signature(instead).bind(*in_order, **by_name)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("config", [lan, swim()], ids=["ours", "swim"])
@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
def test_every_container_of_a_node_has_a_bound_written_down(config: Config, sealed: bool) -> None:
    world = World(1, config=config, sealed=sealed)
    hosts = world.form(5, services=3)
    world.run(2)
    world.crash(hosts[0], refuses=False)
    world.run(1)
    found = {path for host in hosts[1:] for path, _ in containers(host.node)}
    assert not found - BOUNDS.keys()
    assert len(found) > 50, "the walk reaches all parts"


def test_a_container_without_a_bound_fails() -> None:
    world = World(1)
    hosts = world.form(3)
    hosts[1].node.forgotten = []  # type: ignore[attr-defined]
    with pytest.raises(Broken, match=r"Node\.forgotten has no bound"):
        Bounded(world).at_rest()


def test_a_member_may_be_taken_for_dead_only_while_cut_off() -> None:
    world = World(1)
    hosts = world.form(5)
    checker = TakenForDead(world)
    world.watch(checker)
    world.network.rules["cut"] = lambda sender, receiver: float(0 in (sender.number, receiver.number))
    for _ in range(40):
        world.run(0.5)
        checker.tick()
    assert checker.declared
    world.network.rules.clear()
    for _ in range(40):
        world.run(0.5)
        checker.tick()
    assert 0 < len(hosts[1].node.ring) == 5
    assert checker.longest_s <= 3


def test_a_paused_member_is_not_blamed_for_keeping_the_dead() -> None:
    """Found by swarm: a tick in the very moment of going on, before its timers fired."""
    world = World(1, config=replace(lan, dead_row_brief_s=10.0))
    hosts = world.form(4, durable=False)
    checker = Forgotten(world)
    world.watch(checker)
    world.crash(hosts[0])
    world.run(5)
    world.stall(hosts[1])
    world.run(15)
    checker.tick()
    world.resume(hosts[1])
    checker.tick()
    assert hosts[0].id in hosts[1].node.table.rows
    world.run(3)
    checker.tick()
    assert hosts[0].id not in hosts[1].node.table.rows


def test_what_one_process_held_is_not_held_against_the_next_one() -> None:
    world = World(1)
    world.watch(Rises(world))
    hosts = world.grow(4)
    world.register(hosts[0], "web")
    world.run(2)
    world.crash(hosts[1])
    world.run(3)
    world.start(hosts[1], [hosts[0]])
    assert world.until(world.converged, 10)


def test_chatter_at_rest_is_told_from_calls_on_the_lost() -> None:
    world = World(1)
    hosts = world.form(4)
    checker = Traffic(world)
    world.run(2)
    before = world.traffic(hosts)
    world.run(16)
    after = world.traffic(hosts)
    assert 150 < checker.quiet(before, after, 16, hosts, {}) <= 200
    with pytest.raises(Broken, match="at rest a member sends"):
        checker.quiet(before, (after[0], after[1] + 16 * 4 * 60), 16, hosts, {})


def test_calls_to_lost_members_are_not_counted_as_chatter() -> None:
    """Found by swarm, seed 1092: the old self of a member that had lost its state."""
    world = World(1)
    hosts = world.form(4)
    checker = Traffic(world)
    calls = 16 * 4 * 60
    assert 200 < checker.quiet((0, 0), (0, 16 * 4 * 200 + calls), 16, hosts, {hosts[0].address: None}) <= 260


def _behind_a_hole() -> tuple[World, list[Host], Traffic]:
    """Two members, of which the first is measuring the path to the other: a hole is there."""
    world = World(1)
    hosts = world.form(2)
    world.network.holes["hole"] = hole_around(frozenset({1}), 1220)
    for number in range(5):
        large = RegisteredService(f"s{number}", "web", hosts[0].address.host, 80, meta=(("text", "x" * 6000),))
        world.act(hosts[0], hosts[0].node.register(large, Health.PASSING, world.now)[1])
        world.run(0.1)
    return world, hosts, Traffic(world)


def _found(host: Host) -> bool:
    return bool(host.node.narrow_paths)


@pytest.mark.parametrize("until", ["its end", "its middle"])
def test_a_search_on_a_path_grown_wider_is_no_chatter(until: str) -> None:
    """Found by swarm, seed 130000: one hole around a member ended, and a wider one stayed."""
    world, hosts, checker = _behind_a_hole()
    assert world.until(lambda: _found(hosts[0]), 10, 0.1)
    world.run(world.config.session.size_raise_s - 5)
    world.network.holes["hole"] = hole_around(frozenset({1}), 1264)
    before, paths, [found] = world.traffic(hosts), checker.paths(hosts), hosts[0].node.narrow_paths
    if until == "its end":
        assert world.until(lambda: hosts[0].node.narrow_paths != [found], 10, 0.01)
    else:
        at = hosts[0].node.inspect()
        assert world.until(lambda: at.datagram_bytes(hosts[1].id) > found.passes_bytes, 10, 0.01)
        world.run(1)
        assert hosts[0].node.narrow_paths == [found]
    after = world.traffic(hosts)
    checker.quiet(before, after, 6, hosts, {}, paths)
    with pytest.raises(Broken, match="at rest a member sends"):
        checker.quiet(before, after, 6, hosts, {})


def test_a_search_under_way_when_rest_begins_is_no_chatter() -> None:
    world, hosts, checker = _behind_a_hole()
    before, paths = world.traffic(hosts), checker.paths(hosts)
    assert paths
    assert not _found(hosts[0])
    assert world.until(lambda: _found(hosts[0]), 10, 0.1)
    after = world.traffic(hosts)
    checker.quiet(before, after, 6, hosts, {}, paths)
    with pytest.raises(Broken, match="at rest a member sends"):
        checker.quiet(before, after, 6, hosts, {})


def test_a_search_on_a_path_that_stays_narrow_is_chatter() -> None:
    world, hosts, checker = _behind_a_hole()
    assert world.until(lambda: _found(hosts[0]), 10, 0.1)
    world.run(world.config.session.size_raise_s - 5)
    before, paths = world.traffic(hosts), checker.paths(hosts)
    world.run(10)
    datagrams, sent = world.traffic(hosts)
    checker.quiet(before, (datagrams, sent), 10, hosts, {}, paths)
    with pytest.raises(Broken, match="at rest a member sends"):
        checker.quiet(before, (datagrams, sent + 10 * 1700), 10, hosts, {}, paths)


def test_a_failure_comes_whole_from_another_process() -> None:
    broken = Broken("rises", ("n1", "n2"), 12.5, "it fell")
    broken.args = ("with all the events",)
    again = pickle.loads(pickle.dumps(broken))
    assert (again.checker, again.members, again.at_s, again.what) == ("rises", ("n1", "n2"), 12.5, "it fell")
    assert str(again) == "with all the events"
