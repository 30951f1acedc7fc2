"""`alias` checks follow another service, here or elsewhere, and never their own."""

import pytest
import trio
from trio.testing import MockClock

from gossipreg.core.table.layout import KIND_HEALTH
from gossipreg.daemon.aliases import Aliases
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import CheckOutcome, Progress
from gossipreg.errors import BadParams
from gossipreg.model import Health, RegisteredService
from gossipreg.wire import values
from tests.core.cluster import START
from tests.core.speaker import a_node
from tests.daemon.conftest import Inside
from tests.daemon.kept_services import ME, ROOT
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.dns.registry import Registry


class Running:
    """A sidecar's inside whose checks run."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.inside = Inside(MemoryNetwork(), "one")
        self.services = self.inside.services
        self.inside.pump.changes.follow("aliases", self.services.health.look_at_aliases)
        nursery.start_soon(self.services.health.checks.run)
        self.inside.seek()

    async def register(self, id: str, *checks: str) -> None:
        await self.services.register({"name": id, "id": id, "port": 80, "checks": list(checks)}, **ME)

    def health(self, id: str) -> Health:
        [found] = self.inside.node.catalog.lookup(id, all=True)
        return found.health

    def output(self, id: str) -> str:
        return str(self.services.report(id)[0]["output"])


async def test_an_alias_is_as_well_as_its_service(autojump_clock: MockClock) -> None:  # noqa: ARG001
    async with trio.open_nursery() as nursery:
        one = Running(nursery)
        await one.register("app", "alias:db")
        await trio.sleep(1)
        assert one.health("app") is Health.CRITICAL
        assert one.output("app") == "the service db is not registered on this node"
        await one.register("db", "ttl:1h")
        for health in (Health.PASSING, Health.WARNING, Health.CRITICAL, Health.PASSING):
            one.services.heartbeat("db", health, "", by=ROOT)
            await trio.sleep(0.01)  # it follows at once, not at the next interval
            assert one.health("app") is health
        await one.services.maintain("db", "why", by=ROOT)
        await trio.sleep(0.01)
        assert one.health("app") is Health.CRITICAL
        assert one.output("app") == "db on this node is maintenance"
        await one.services.maintain("db", None, by=ROOT)
        await one.services.deregister("db", by=ROOT)
        await trio.sleep(0.01)
        assert one.health("app") is Health.CRITICAL
        nursery.cancel_scope.cancel()


async def test_an_alias_of_this_node_is_as_well_as_the_nodes_checks(autojump_clock: MockClock) -> None:  # noqa: ARG001
    async with trio.open_nursery() as nursery:
        one = Running(nursery)
        await one.register("app", "alias:,node=one")
        await trio.sleep(1)
        assert one.health("app") is Health.PASSING
        await one.services.put_check(None, "disk", "ttl:1h", by=ROOT)
        assert one.health("app") is Health.CRITICAL
        one.services.heartbeat("", Health.PASSING, "", "disk", by=ROOT)
        await trio.sleep(2)
        assert one.health("app") is Health.PASSING
        await one.register("lost", "alias:,node=nowhere")
        await trio.sleep(2)
        assert (one.health("lost"), one.output("lost")) == (
            Health.CRITICAL, "no living node has the name 'nowhere'",
        )  # fmt: skip
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("others", "id"),
    [([], "a"), ([("b", "alias:a")], "a"), ([("b", "alias:c"), ("c", "alias:a")], "a")],
)
async def test_no_service_waits_for_itself(others: list[tuple[str, str]], id: str) -> None:
    async with trio.open_nursery() as nursery:
        one = Running(nursery)
        for other, check in others:
            await one.register(other, check)
        with pytest.raises(BadParams, match=f"leads back to '{id}' itself"):
            await one.register(id, f"alias:{others[0][0] if others else id}")
        await one.register("d", "alias:e", "alias:f")  # two ways to one end are no circle
        await one.register("e", "alias:f")
        nursery.cancel_scope.cancel()


async def test_an_alias_follows_a_remote_service_until_its_node_leaves() -> None:
    registry = Registry()
    aliases = Aliases(registry.node, lambda: Health.PASSING)

    async def found(text: str) -> CheckOutcome:
        return await aliases.run(parse_check_untrusted("check", text), Progress())

    speaker = registry.member(7, RegisteredService("db-1", "db", "10.0.0.7", 80))
    assert await found("alias:db-1,node=speaker-7") == CheckOutcome(Health.PASSING, "db-1 on speaker-7 is passing")
    assert (await found("alias:db-2,node=speaker-7")).output == "the service db-2 is not registered on speaker-7"
    assert await found("alias:,node=speaker-7") == CheckOutcome(Health.PASSING, "the node is alive")
    assert (await found("alias:db-1")).output == "the service db-1 is not registered on this node"
    speaker.content.put(KIND_HEALTH, 0, values.encode_health(Health.WARNING))
    registry.tell(speaker.send_to(registry.node, START, speaker.row))
    assert (await found("alias:db-1,node=speaker-7")).health is Health.WARNING
    registry.leave(speaker)
    for text in ("alias:db-1,node=speaker-7", "alias:,node=speaker-7"):
        assert await found(text) == CheckOutcome(Health.CRITICAL, "no living node has the name 'speaker-7'")


async def test_an_alias_of_a_remote_service_waits_until_synced(autojump_clock: MockClock) -> None:
    node = a_node(synced=False)
    aliases = Aliases(node, lambda: Health.PASSING)
    with trio.move_on_after(100) as waited:
        await aliases.run(parse_check_untrusted("check", "alias:db-1,node=other"), Progress())
    assert waited.cancelled_caught
    assert autojump_clock.current_time() >= 100
