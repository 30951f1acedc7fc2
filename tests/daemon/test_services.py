"""Registering and deregistering: what is kept over a restart, announced, refused and logged."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import trio
from msgpack import packb, unpackb
from trio.testing import MockClock

from gossipreg.core.table import own_content
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.health_report import ALL_LINES_A_MINUTE
from gossipreg.daemon.kept import KeptService, Statement, keep_service
from gossipreg.errors import BadConfig, BadParams, NotFound, Refused, TooLarge
from gossipreg.model import MAX_SERVICES_A_ROW, Address, Health
from tests.daemon.kept_services import CHECKED, ME, ROOT, WEB, Started


async def test_registrations_and_deregistrations_survive_a_kill(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        assert (await one.services.register({**WEB, "tags": ["v2"]}, **ME)).id == "web-80"
        await one.services.register({"name": "web", "port": 81}, **ME)
        await one.services.deregister("web-81", by=ROOT)

    async def after(one: Started) -> None:
        assert one.found() == {"web-80": Health.PASSING}
        assert one.inside.node.catalog.lookup("web")[0].service.tags == ("v2",)

    await started.run(before)
    await started.run(after)


async def test_what_a_client_was_told_is_kept_goes_before_the_flags(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        await one.services.register({**WEB, "weight": 7}, **ME)

    async def after(one: Started) -> None:
        assert one.inside.node.catalog.lookup("web")[0].service.weight == 7
        assert "service_kept" in one.inside.log.getvalue()

    await started.run(before, flags=WEB)
    await started.run(after, flags=WEB)


async def test_flags_that_are_gone_leave_nothing_behind(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def nothing(one: Started) -> None:
        await one.inside.store.flushed()

    await started.run(nothing, flags=WEB)
    await started.run(nothing)
    data = DataDirectory(str(tmp_path))
    assert data.services() == []
    data.close()


@pytest.mark.parametrize(
    "params", [b"\x05", b"", b"\xc1", b"\x90", b"\xa1x", b"\x81\x01\x02", b"\x80", b"\x81\xc4\x01n\x01"]
)
async def test_a_kept_registration_that_is_bad_harms_no_other(
    autojump_clock: MockClock, tmp_path: Path, params: bytes
) -> None:
    started = Started(autojump_clock, tmp_path)
    data = DataDirectory(str(tmp_path))
    good = packb({**WEB, "id": "good"})
    data.write([keep_service(KeptService(id, "socket", True, kept))
                for id, kept in (("bad", params), ("good", good))])  # fmt: skip
    data.close()

    async def use(one: Started) -> None:
        assert list(one.found()) == ["good"]
        assert "service_not_restored id=bad" in one.inside.log.getvalue()

    await started.run(use)


async def test_what_is_refused_is_neither_told_nor_kept(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        async with trio.open_nursery() as nursery:
            for port in range(1, MAX_SERVICES_A_ROW + 1):
                nursery.start_soon(one.register, {"name": "web", "port": port})
        with pytest.raises(TooLarge, match="4096 services"):
            await one.services.register({"name": "web", "port": 9999}, **ME)
        await one.inside.store.flushed()

    async def after(one: Started) -> None:
        assert len(one.found()) == MAX_SERVICES_A_ROW
        assert "web-9999" not in one.found()

    await started.run(before)
    await started.run(after)


async def test_what_has_no_room_is_never_on_the_disk(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash may follow each commit, and what was registered before must come back."""
    started = Started(autojump_clock, tmp_path)
    kept: list[list[str]] = []
    write = DataDirectory.write

    def noted(data: DataDirectory, statements: Iterable[Statement]) -> None:
        write(data, statements)
        kept.append(sorted(unpackb(one.params).get("tags", [""])[0][:5] for one in data.services()))

    async def use(one: Started) -> None:
        await one.register({**WEB, "tags": ["first"]})
        monkeypatch.setattr(DataDirectory, "write", noted)
        content = one.inside.node.table.own.content
        assert content is not None
        monkeypatch.setattr(own_content, "MAX_ROW_BYTES", content.size_bytes + 100)
        for refused in ({**WEB, "tags": ["large" * 30]}, {"name": "other", "port": 1, "tags": ["large" * 30]}):
            with pytest.raises(TooLarge, match="deregister a service first"):
                await one.register(refused)
        await one.register({**WEB, "tags": ["again"]})
        await one.inside.store.flushed()

    await started.run(use)
    assert ["again"] in kept
    assert all(each in (["first"], ["again"]) for each in kept), kept


async def test_the_last_of_two_updates_at_once_is_the_one_that_is_kept(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)
    told: list[int] = []

    async def before(one: Started) -> None:
        async with trio.open_nursery() as nursery:
            for weight in range(1, 30):
                nursery.start_soon(one.register, {**WEB, "weight": weight})
        told.append(one.inside.node.catalog.lookup("web")[0].service.weight)

    async def after(one: Started) -> None:
        assert one.inside.node.catalog.lookup("web")[0].service.weight == told[0]

    await started.run(before)
    await started.run(after)


async def test_registrations_and_failing_checks_are_logged(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    started.tcp.health = Health.CRITICAL

    def lines(one: Started) -> list[str]:
        return [line.split(" ", 1)[1] for line in one.inside.log.getvalue().splitlines()]

    async def use(one: Started) -> None:
        for _ in range(3):
            await one.services.register(CHECKED, **ME)
            await trio.sleep(20)
        await one.services.register({**CHECKED, "weight": 2}, **ME)
        await one.services.deregister("web-80", by=ROOT)
        address = f"{one.inside.node.addresses[0].host}:80"
        kept_out = f'warning service_health id=web-80 health=critical message="{CHECKED["checks"][0]}: as told"'
        told = f"id=web-80 name=web address={address} source=socket checks=1 health=critical via=socket uid=0 pid=1"
        assert lines(one) == [
            f"info service_registered {told}", kept_out, f"info service_updated {told}",
            "info service_deregistered id=web-80 via=socket uid=0 pid=1",
        ]  # fmt: skip

    await started.run(use)


@pytest.mark.wide
async def test_one_dead_dependency_of_many_services_is_summed_up(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    started.tcp.health = Health.CRITICAL

    async def use(one: Started) -> None:
        for number in range(300):
            await one.services.register({**CHECKED, "id": f"s{number}", "weight": number + 1}, **ME)
        await trio.sleep(60)
        assert set(one.found().values()) == {Health.CRITICAL}
        for kind in ("service_registered", "service_health"):
            assert one.inside.log.getvalue().count(kind) == ALL_LINES_A_MINUTE

    await started.run(use)


async def test_services_whose_address_was_not_named_move_with_us(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        await one.services.register(WEB, **ME)
        await one.services.register({"name": "web", "port": 81, "address": "db.example"}, **ME)
        one.inside.pump.order(lambda now: one.inside.node.reachable_at((Address("10.7.7.7", 7940),), now))
        one.services.follow_address()
        addresses = {one.service.id: one.service.address for one in one.inside.node.catalog.lookup("web")}
        assert addresses == {"web-80": "10.7.7.7", "web-81": "db.example"}

    await started.run(use)


async def test_who_is_leaving_takes_nothing_more(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        one.services.close()
        with pytest.raises(Refused, match="leaving"):
            await one.services.register(WEB, **ME)

    await started.run(use)


async def test_what_the_flags_cannot_have_stops_the_start(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def never(_: Started) -> None:
        raise AssertionError

    with pytest.raises(BadConfig, match="port is -1"):
        await started.run(never, flags={"name": "web", "port": -1})


async def test_an_unknown_id_is_not_found(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        with pytest.raises(NotFound, match="nobody"):
            await one.services.deregister("nobody", by=ROOT)
        await one.services.register(WEB, **ME)
        with pytest.raises(NotFound, match="ttl"):
            one.services.heartbeat("web-80", Health.PASSING, "", by=ROOT)

    await started.run(use)


async def test_a_name_in_place_of_an_id_is_answered_with_its_ids(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        await one.services.register(WEB, **ME)
        await one.services.register({**WEB, "port": 81}, **ME)
        words = r"'WEB'; that is a name, its ids here are 'web-80', 'web-81'$"
        with pytest.raises(NotFound, match=words):
            await one.services.deregister("WEB", by=ROOT)
        with pytest.raises(NotFound, match=words):
            await one.services.maintain("WEB", "", by=ROOT)
        with pytest.raises(NotFound, match="lookup NAME --all --json"):
            await one.services.maintain("nobody", "", by=ROOT)
        for id in (None, "web-80"):
            with pytest.raises(BadParams, match=r"such as U\+202E RIGHT-TO-LEFT OVERRIDE"):
                await one.services.maintain(id, "disk \u202e paws", by=ROOT)
        assert one.services.in_maintenance() == []

    await started.run(use)
