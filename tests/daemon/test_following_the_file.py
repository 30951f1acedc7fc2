"""The services file is read again: what changed in it is done, and nothing else."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from gossipreg.errors import Refused, TooLarge
from tests.daemon.kept_services import ME, ROOT, WEB, Holder, Started


async def test_an_emptied_file_takes_nothing_out_unless_it_is_allowed(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        with pytest.raises(Refused, match=r"names no service, and 1 were registered from it.*--allow-empty"):
            await one.services.follow_file([])
        assert list(one.found()) == ["web-80"]
        assert await one.services.follow_file([], allow_empty=True) == (0, 1, 0)
        assert list(one.found()) == []
        assert await one.services.follow_file([]) == (0, 0, 0)  # there is nothing left to take out

    await started.run(use, file=[{"name": "web", "port": 80}])


async def test_reading_the_file_again_does_what_changed_in_it(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    a, b, c = ({"name": "web", "port": port} for port in (1, 2, 3))

    async def use(one: Started) -> None:
        before = one.inside.node.catalog.index("web")
        await one.services.follow_file([a, b])
        assert one.inside.node.catalog.index("web") == before  # nothing changed, nobody is woken
        await one.services.deregister("web-1", by=ROOT)
        await one.services.follow_file([a, {**b, "weight": 5}, c])
        assert sorted(one.found()) == ["web-1", "web-2", "web-3"]  # the first was taken out by hand, and is back
        assert one.inside.node.catalog.lookup("web")[1].service.weight == 5
        await one.services.register({**c, "weight": 9}, **ME)
        await one.services.follow_file([], allow_empty=True)
        assert sorted(one.found()) == ["web-3"]  # taken over through the socket

    await started.run(use, file=[a, b])


async def test_a_service_of_the_file_returns_after_a_takeover_ends(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    def weights(one: Started) -> list[int]:
        return [found.service.weight for found in one.inside.node.catalog.lookup("web", all=True)]

    async def use(one: Started) -> None:
        holder = Holder()
        await one.services.register({**WEB, "weight": 9}, by=ROOT, holder=holder)
        assert weights(one) == [9]
        assert await one.services.follow_file([WEB]) == (0, 0, 0)
        assert weights(one) == [9]
        one.services.detach(holder)
        assert weights(one) == [1]
        await one.services.register({**WEB, "weight": 8}, by=ROOT, holder=holder)
        assert await one.services.follow_file([], allow_empty=True) == (0, 0, 0)
        one.services.detach(holder)
        assert weights(one) == []  # the file has it no longer

    await started.run(use, file=[WEB])


def too_large(*_: object) -> None:
    raise TooLarge("this sidecar would announce more than 1 byte: deregister a service first")


async def test_a_failed_entry_of_the_file_is_done_at_the_next_reading(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(autojump_clock, tmp_path)
    a, b = ({"name": "web", "port": port} for port in (1, 2))

    async def use(one: Started) -> None:
        monkeypatch.setattr(type(one.inside.node), "register", too_large)
        await one.services.follow_file([a, {**b, "weight": 5}])
        assert sorted(one.found()) == ["web-1", "web-2"]
        assert one.inside.log.getvalue().count("service_not_followed") == 1
        monkeypatch.undo()
        await one.services.follow_file([{**b, "weight": 5}])
        assert [one.service.weight for one in one.inside.node.catalog.lookup("web")] == [5]

    await started.run(use, file=[a, b])
