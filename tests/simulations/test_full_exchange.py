"""The full exchange that SWIM and Lifeguard have beside their datagrams."""

from gossipreg.model import Liveness, Rank
from gossipreg.wire.messages import Claim
from simulations import inside
from simulations.baselines.config import swim
from simulations.full_exchange import EVERY_S, TIMEOUT_S, FullExchange
from simulations.host import Host
from simulations.world import World


def _three() -> tuple[World, list[Host]]:
    world = World(1, config=swim())
    hosts = world.form(3)
    world.network.loss = 1.0
    return world, hosts


def _liveness(observer: Host, subject: Host) -> Liveness:
    return observer.node.table.rows[subject.id].liveness


def _think(observer: Host, subject: Host, rank: Rank) -> None:
    held = _liveness(observer, subject)
    what = Claim(subject.id, held.generation, held.incarnation, rank, by=observer.id)
    inside.claim(observer.node, what, observer.node.inspect().now)


def test_each_member_begins_one_exchange_an_interval() -> None:
    for members, every_s in ((3, EVERY_S), (128, 3 * EVERY_S)):
        world = World(1, config=swim())
        hosts = world.form(members)
        for host in hosts:
            world.stall(host)
        exchange = FullExchange(world, hosts)
        world.run(every_s / 2)
        assert 0 < len(exchange._waiting) < members
        world.run(every_s / 2)
        assert {one.number for _, one, _ in exchange._waiting} == set(range(members))
        assert len(exchange._waiting) == members


def test_suspicion_and_refutation_travel_by_full_exchange_alone() -> None:
    world, hosts = _three()
    exchange = FullExchange(world, hosts)
    _think(hosts[0], hosts[1], Rank.SUSPECT)
    exchange._exchange(world.now, hosts[0], hosts[1])
    assert _liveness(hosts[0], hosts[1]) == _liveness(hosts[1], hosts[1])
    assert _liveness(hosts[0], hosts[1])[1:] == (1, Rank.ALIVE)


def test_a_death_in_a_full_exchange_becomes_a_suspicion() -> None:
    world, hosts = _three()
    exchange = FullExchange(world, hosts)
    _think(hosts[0], hosts[1], Rank.DEAD)
    exchange._exchange(world.now, hosts[0], hosts[2])
    assert _liveness(hosts[2], hosts[1]).rank is Rank.SUSPECT
    assert hosts[2].node.inspect().suspects(hosts[1].id)


def test_an_exchange_waits_for_slow_members_and_times_out() -> None:
    world, hosts = _three()
    exchange = FullExchange(world, hosts)
    _think(hosts[0], hosts[1], Rank.SUSPECT)
    world.block(hosts[2])
    exchange._exchange(world.now, hosts[0], hosts[2])
    exchange.go_on()
    assert exchange._waiting == [(world.now, hosts[0], hosts[2])]
    world.resume(hosts[2])
    exchange._waiting = [(world.now - TIMEOUT_S - 1, hosts[0], hosts[2])]
    exchange.go_on()
    assert _liveness(hosts[2], hosts[1]).rank is Rank.ALIVE
    assert not exchange._waiting
    exchange._waiting = [(world.now - TIMEOUT_S + 1, hosts[0], hosts[2])]
    exchange.go_on()
    assert _liveness(hosts[2], hosts[1]).rank is Rank.SUSPECT
    assert not exchange._waiting
