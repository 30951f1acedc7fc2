"""A service that is attached to a connection of the local socket, and leaves with it."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from gossipreg.errors import Refused
from gossipreg.model import Health
from tests.daemon.kept_services import ME, ROOT, WEB, Holder, Started


async def test_an_attached_service_ends_with_its_connection(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        await one.services.register(WEB, **ME)
        holder, other = Holder(), Holder()
        await one.services.register(WEB, by=ROOT, holder=holder)
        one.services.detach(other)
        assert one.found() == {"web-80": Health.PASSING}
        one.services.detach(holder)
        assert one.found() == {}
        holder.gone = True
        with pytest.raises(Refused, match="ended"):
            await one.services.register(WEB, by=ROOT, holder=holder)
        await one.services.register({**WEB, "port": 81}, by=ROOT, holder=other)

    async def after(one: Started) -> None:
        assert one.found() == {}

    await started.run(before)
    await started.run(after)


async def test_who_attached_a_service_is_told_when_another_takes_it(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        first, second, third = Holder(), Holder(), Holder()
        await one.services.register(WEB, by=ROOT, holder=first)
        await one.services.register({**WEB, "weight": 2}, by=ROOT, holder=first)
        await one.services.register(WEB, by=ROOT, holder=second)
        assert first.told == [("web-80", "was registered again by another program")]
        await one.services.deregister("web-80", by=ROOT)
        assert second.told == [("web-80", "was deregistered")]
        await one.services.register(WEB, by=ROOT, holder=third)
        third.gone = True
        one.services.detach(third)
        assert third.told == []

    await started.run(use)
