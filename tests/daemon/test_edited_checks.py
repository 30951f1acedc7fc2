"""A registration whose checks were edited: the service keeps its health until a check says otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gossipreg.model import Change, Health
from tests.daemon.kept_services import CHECKED, ME, ROOT, WEB, Started

EDITS = [
    "tcp://127.0.0.1:80,interval=10s,check_notes=n", "tcp://127.0.0.1:80,interval=10s,check_name=n",
    "tcp://127.0.0.1:80,interval=10s,timeout=55s", "tcp://127.0.0.1:80,interval=20s",
    "tcp://127.0.0.1:80,interval=10s,passes=3", "tcp://127.0.0.1:80,interval=10s,fails=3",
    "tcp://127.0.0.1:80,interval=10s,deregister_after=1h", "tcp://localhost:80,interval=10s",
    "tcp://127.0.0.1:80,interval=10s,check_id=mine",
]  # fmt: skip


@pytest.mark.parametrize("edited", EDITS)
@pytest.mark.parametrize("way", ["register", "file", "put_check", "keeps_checks"])
async def test_no_edit_of_a_check_takes_a_passing_service_out(
    autojump_clock: MockClock, tmp_path: Path, edited: str, way: str
) -> None:
    started = Started(autojump_clock, tmp_path)
    lost: list[Any] = []

    def watch(changes: tuple[Change, ...]) -> None:
        lost.extend(one for one in changes if one.instance.health is not Health.PASSING)

    async def use(one: Started) -> None:
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        one.inside.pump.changes.follow("test", watch)
        changed = {**CHECKED, "checks": [edited]}
        match way:
            case "register":
                await one.register(changed)
            case "file":
                await one.services.follow_file([changed])
            case "put_check":
                await one.services.put_check("web-80", "service:web-80", edited, by=ROOT)
            case "keeps_checks":
                await one.services.register(changed, **ME, keeps_checks=True)
        assert one.found() == {"web-80": Health.PASSING}
        await trio.sleep(30)
        assert one.found() == {"web-80": Health.PASSING}

    await started.run(use, file=[CHECKED])
    assert lost == []


async def test_an_edited_question_takes_a_service_out_once_it_fails(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        await one.register(CHECKED)
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        one.tcp.hangs = trio.Event()
        await one.register({**WEB, "checks": ["tcp://127.0.0.1:81,interval=1h,fails=5"]})
        assert one.found() == {"web-80": Health.PASSING}
        one.tcp.hangs.set()  # the first failure counts: what was known is of another question
        await one.until(lambda: one.found() == {"web-80": Health.CRITICAL})

    await started.run(use)


@pytest.mark.parametrize("source", ["flags", "file"])
async def test_only_an_unchanged_flag_service_keeps_its_health(
    autojump_clock: MockClock, tmp_path: Path, source: str
) -> None:
    started = Started(autojump_clock, tmp_path)

    def given(params: dict[str, Any]) -> dict[str, Any]:
        return {"flags": params} if source == "flags" else {"file": [params]}

    async def passes(one: Started) -> None:
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        await one.inside.store.flushed()

    def is_at_first(health: Health) -> Callable[[Started], Any]:
        async def look(one: Started) -> None:
            assert one.found() == {"web-80": health}

        return look

    await started.run(passes, **given(CHECKED))
    await started.run(is_at_first(Health.PASSING), **given(CHECKED))
    other = {**CHECKED, "checks": ["tcp://127.0.0.1:81"]}
    await started.run(is_at_first(Health.CRITICAL), **given(other))


async def test_registering_again_with_equal_checks_keeps_their_state(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        await one.services.register(CHECKED, **ME)
        await one.until(lambda: one.found() == {"web-80": Health.PASSING})
        await one.services.register({**CHECKED, "tags": ["v2"]}, **ME)
        assert one.found() == {"web-80": Health.PASSING}
        await one.services.register({**CHECKED, "checks": [*CHECKED["checks"], "tcp://127.0.0.1:81"]}, **ME)
        await one.until(lambda: one.found() == {"web-80": Health.CRITICAL})
        await one.services.register(CHECKED, **ME)
        assert one.found() == {"web-80": Health.PASSING}
        await one.services.register(WEB, **ME)
        assert one.found() == {"web-80": Health.PASSING}

    await started.run(use)
