"""Services while the disk is full: nothing is promised that is not kept, and a service can be taken out."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.errors import CannotKeep, CannotStart
from gossipreg.model import Health
from tests.daemon.kept_services import ME, ROOT, WEB, Started


def full(*_: object) -> None:
    raise CannotKeep("cannot write gossipreg.db: database or disk is full; nothing was changed")


async def test_a_full_disk_refuses_what_must_not_be_lost(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        await one.services.register(WEB, **ME)
        monkeypatch.setattr(DataDirectory, "write", full)
        with pytest.raises(CannotKeep, match="full"):
            await one.services.register({**WEB, "weight": 9}, **ME)
        with pytest.raises(CannotKeep, match="full"):
            await one.services.put_check("web-80", "c", "ttl:5s", by=ROOT)
        assert one.inside.node.catalog.lookup("web")[0].service.weight == 1
        monkeypatch.undo()

    await started.run(use)


async def test_a_full_disk_keeps_nobody_from_taking_a_service_out(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        for port in (80, 81, 82):
            await one.services.register({**WEB, "port": port, "checks": ["ttl:1h", "ttl:2h"]}, **ME)
        monkeypatch.setattr(DataDirectory, "write", full)
        assert not await one.services.deregister("web-80", by=ROOT)
        assert not await one.services.maintain("web-81", "why", by=ROOT)
        assert not await one.services.drop_check("web-82", "service:web-82:1", by=ROOT)
        assert one.found() == {"web-81": Health.MAINTENANCE, "web-82": Health.CRITICAL}
        assert [check["id"] for check in one.services.report("web-82")] == ["service:web-82:2"]
        assert not await one.services.maintain(None, "all", by=ROOT)
        assert one.found()["web-82"] is Health.MAINTENANCE
        assert not await one.services.maintain(None, None, by=ROOT)
        assert one.found()["web-82"] is Health.CRITICAL
        monkeypatch.undo()
        await one.inside.store.flushed()  # it was tried again all the time, and now it can be written

    async def after(one: Started) -> None:
        assert one.found() == {"web-81": Health.MAINTENANCE, "web-82": Health.CRITICAL}
        assert [check["id"] for check in one.services.report("web-82")] == ["service:web-82:2"]

    await started.run(use)
    await started.run(after)


async def test_a_services_file_is_followed_on_a_full_disk(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(autojump_clock, tmp_path)
    a, b = ({"name": "web", "port": port} for port in (1, 2))

    async def use(one: Started) -> None:
        monkeypatch.setattr(DataDirectory, "write", full)
        await one.services.follow_file([{**b, "weight": 5}])
        assert [one.service.weight for one in one.inside.node.catalog.lookup("web")] == [5]
        monkeypatch.undo()

    await started.run(use, file=[a, b])


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()  # for root too; of another user's it says "Permission denied"
    with pytest.raises(CannotStart, match=r"cannot open .*/lock: Is a directory; correct that, or choose another"):
        DataDirectory(str(tmp_path))
