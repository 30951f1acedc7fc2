"""The health of a service with checks before its first check, after a restart of its sidecar."""

import sqlite3
from pathlib import Path

import pytest
import trio
from msgpack import packb
from trio.testing import MockClock

from gossipreg.daemon.database_file import _LAYOUTS
from gossipreg.daemon.kept import Moment
from gossipreg.model import Health
from tests.daemon.kept_services import CHECKED, ME, ROOT, Holder, Started, passing_once


async def test_a_service_with_a_check_is_critical_until_it_passes(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    started.tcp.health = Health.CRITICAL

    async def use(one: Started) -> None:
        await one.services.register(CHECKED, **ME)
        assert one.found() == {"web-80": Health.CRITICAL}
        await trio.sleep(60)
        assert one.found() == {"web-80": Health.CRITICAL}
        [failing] = one.services.health.failing()
        assert (failing["service"], failing["check"], failing["output"]) == ("web-80", CHECKED["checks"][0], "as told")
        one.tcp.health = Health.PASSING
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        assert one.services.health.failing() == []

    await started.run(use)


async def test_it_comes_back_with_the_health_known_last(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        await one.services.register(CHECKED, **ME)
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        await one.inside.store.flushed()

    async def after(one: Started) -> None:
        assert one.found() == {"web-80": Health.PASSING}  # before any check has run
        await one.until(lambda: one.found() == {"web-80": Health.CRITICAL})

    await started.run(before)
    started.tcp.health = Health.CRITICAL
    await started.run(after)


@pytest.mark.parametrize("check", ["tcp://127.0.0.1:80,interval=10s,fails=3", "ttl:10s"])
@pytest.mark.parametrize(
    ("later_s", "boot"), [(11, "this boot"), (1, "another boot"), (-1, "this boot")],
    ids=["too long ago", "after a power cut", "the clock went back"],
)  # fmt: skip
async def test_health_that_is_worth_nothing_keeps_a_dead_service_out(
    autojump_clock: MockClock, tmp_path: Path, check: str, later_s: int, boot: str
) -> None:
    started = Started(autojump_clock, tmp_path)

    async def after(one: Started) -> None:
        assert one.found() == {"web-80": Health.CRITICAL}
        await trio.sleep(60)
        assert one.found() == {"web-80": Health.CRITICAL}

    await started.run(lambda one: passing_once(one, check))
    wall_ms, boot_s, _ = started.moment
    started.moment = Moment(wall_ms + later_s * 1000, boot_s + later_s, boot)
    started.tcp.health = Health.CRITICAL
    await started.run(after)


async def test_old_health_is_out_of_the_answers_until_one_check_passed(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)

    async def after(one: Started) -> None:
        assert one.found() == {"web-80": Health.CRITICAL}
        await trio.sleep(1)  # at once, though it wants three in a row
        assert one.found() == {"web-80": Health.PASSING}

    await started.run(lambda one: passing_once(one, "tcp://127.0.0.1:80,interval=5m,passes=3"))
    started.moment = started.moment._replace(boot_id="another boot")
    await started.run(after)


async def test_the_first_failure_after_a_restart_counts_at_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def after(one: Started) -> None:
        assert one.found() == {"web-80": Health.PASSING}
        await trio.sleep(1)
        assert one.found() == {"web-80": Health.CRITICAL}

    await started.run(lambda one: passing_once(one, "tcp://127.0.0.1:80,interval=1h,fails=3"))
    started.tcp.health = Health.CRITICAL
    await started.run(after)


async def test_a_hold_keeps_health_until_it_is_over(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        await passing_once(one, "tcp://127.0.0.1:80,interval=1s")
        one.services.close(hold_s=30.0)
        await one.inside.store.flushed()

    async def held(one: Started) -> None:
        assert one.found() == {"web-80": Health.PASSING}
        await one.inside.store.flushed()

    async def over(one: Started) -> None:
        assert one.found() == {"web-80": Health.CRITICAL}

    await started.run(before)
    started.moment = Moment(started.moment.wall_ms + 29_000, started.moment.boot_s + 29, "this boot")
    await started.run(held)
    started.moment = Moment(started.moment.wall_ms + 2_000, started.moment.boot_s + 2, "this boot")
    await started.run(over)


async def test_health_kept_without_a_time_does_not_count(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    database = sqlite3.connect(tmp_path / "gossipreg.db")
    database.executescript(" ".join(_LAYOUTS[:3]) + "PRAGMA user_version = 3;")
    database.execute("INSERT INTO identity VALUES (1, ?)", (bytes(range(32)),))
    params = packb({**CHECKED, "checks": ["tcp://127.0.0.1:80,interval=1h"]})
    database.execute("INSERT INTO services VALUES ('web-80', 'socket', 1, ?, 0)", (params,))
    database.commit()
    database.close()

    async def use(one: Started) -> None:
        assert one.found() == {"web-80": Health.CRITICAL}
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})

    await started.run(use)


async def test_a_restart_keeps_the_health_of_an_attached_service(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def before(one: Started) -> None:
        await one.services.register(CHECKED, by=ROOT, holder=Holder())
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        await one.inside.store.flushed()

    async def after(one: Started) -> None:
        assert one.found() == {}
        holder = Holder()
        await one.services.register(CHECKED, by=ROOT, holder=holder)  # it has found the new sidecar
        assert one.found() == {"web-80": Health.PASSING}
        holder.gone = True
        one.services.detach(holder)
        assert not one.services.health.known.knows("web-80")  # a program that is started anew begins critical

    await started.run(before)
    await started.run(after)
