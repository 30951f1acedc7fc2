"""Registrations: kept before they are told, taken up again, and taken out with what they came from."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from msgpack import packb
from trio.testing import MockClock

from gossipreg.callers import Caller
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress
from gossipreg.daemon.data_directory import _LAYOUTS, DataDirectory
from gossipreg.daemon.health_report import ALL_LINES_A_MINUTE
from gossipreg.daemon.kept import KeptService, Moment, keep_service
from gossipreg.errors import BadConfig, CannotKeep, NotAllowed, NotFound, Refused, TooLarge
from gossipreg.model import MAX_SERVICES_A_ROW, Address, Change, Health
from tests.daemon.conftest import Inside
from tests.daemon.memory_network import MemoryNetwork

WEB: dict[str, Any] = {"name": "web", "port": 80}
CHECKED: dict[str, Any] = {**WEB, "checks": ["tcp://127.0.0.1:80,interval=10s"]}
ROOT = Caller(0, 1, door="socket", trusted=True)
ME: dict[str, Any] = {"by": ROOT, "holder": None}


@dataclass(eq=False)
class Holder:
    gone: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)

    def lost(self, id: str, why: str) -> None:
        self.told.append((id, why))


@dataclass
class Tcp:
    """What the check of port 80 says; nobody answers at the others. Virtual time passes while the disk is written, so
    no test may count on a check not having run yet."""

    health: Health = Health.PASSING
    hangs: trio.Event | None = None
    """No check of another port than 80 answers before it is set."""

    async def __call__(self, spec: CheckSpec, _: Progress) -> CheckOutcome:
        if self.hangs is not None and not spec.target.endswith(":80"):
            await self.hangs.wait()
        return CheckOutcome(self.health if spec.target.endswith(":80") else Health.CRITICAL, "as told")


START = Moment(1_000_000_000, 1000.0, "this boot")


@dataclass
class Started:
    """A sidecar's inside with a data directory, its store and its checks running."""

    clock: MockClock
    folder: Path
    tcp: Tcp = field(default_factory=Tcp)
    moment: Moment = START
    """The clock of kept health."""

    async def run(self, use: Callable[["Started"], Any], *, flags: Any = None, file: Any = ()) -> None:
        """`use` it from a start to a kill, in virtual time."""
        assert self.clock.autojump_threshold == 0
        data = DataDirectory(str(self.folder))
        self.inside = Inside(MemoryNetwork(), "tested", database=data, runners={"tcp": self.tcp})
        self.inside.moment = self.moment
        self.services = self.inside.services
        try:
            self.services.start(data.kept(), flags, file)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.inside.store.run)
                nursery.start_soon(self.services.health.checks.run)
                nursery.start_soon(self.services.health.known.run)
                await use(self)
                nursery.cancel_scope.cancel()
        finally:
            data.close()
        assert not self.inside.pump.counts, self.inside.log.getvalue()

    async def register(self, params: dict[str, Any]) -> None:
        await self.services.register(params, **ME)

    def found(self, name: str = "web") -> dict[str, Health]:
        """id -> health, of whatever health."""
        return {one.service.id: one.health for one in self.inside.node.catalog.lookup(name, all=True)}

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(3600):
            while not condition():
                await trio.sleep(0.1)


async def test_what_was_registered_is_there_after_a_kill_and_what_was_taken_out_is_not(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def test_a_service_with_a_check_is_out_of_the_answers_until_it_passes(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def passing_once(one: Started, check: str, params: dict[str, Any] = WEB) -> None:
    """A service that is registered and passing, with both on the disk."""
    await one.register({**params, "checks": [check]})
    if check.startswith("ttl"):
        one.services.heartbeat("web-80", Health.PASSING, "", by=ROOT)
    await one.until(lambda: one.found() == {"web-80": Health.PASSING})
    await one.inside.store.flushed()


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


async def test_a_restart_of_the_sidecar_keeps_an_attached_service_in_the_answers(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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
        one.inside.pump._changed = watch
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
async def test_a_service_beside_it_comes_back_as_it_was_only_where_nothing_of_it_changed(
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


async def test_registered_again_with_the_checks_it_had_it_goes_on_as_it_was(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def test_an_attached_service_goes_with_its_connection_and_is_not_kept(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def test_a_command_is_taken_from_the_same_user_only(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    wanted = {**WEB, "checks": ["cmd:true"]}

    async def use(one: Started) -> None:
        with pytest.raises(Refused, match=r"^a command that user 1000 sets .*--allow-cmd-checks.*cmd:true"):
            await one.services.register(wanted, by=Caller(1000, 1, door="socket"), holder=None)
        assert one.found() == {}

    await started.run(use)


async def test_a_command_of_another_user_is_not_run_after_a_restart_without_the_flag(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)
    data = DataDirectory(str(tmp_path))
    kept = KeptService("x", "socket", False, packb({**WEB, "id": "x", "checks": ["cmd:true"]}))
    data.write([keep_service(kept)])
    data.close()

    async def use(one: Started) -> None:
        assert one.found() == {}
        assert "service_not_restored" in one.inside.log.getvalue()

    await started.run(use)


@pytest.mark.parametrize(
    "params", [b"\x05", b"", b"\xc1", b"\x90", b"\xa1x", b"\x81\x01\x02", b"\x80", b"\x81\xc4\x01n\x01"]
)
async def test_a_kept_registration_that_is_none_is_said_and_hurts_no_other(
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


async def test_the_file_read_again_changes_what_changed_and_takes_out_what_is_gone(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def test_who_attached_a_service_is_told_when_another_takes_it(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)

    async def use(one: Started) -> None:
        first, second, third = Holder(), Holder(), Holder()
        await one.services.register(WEB, by=ROOT, holder=first)
        await one.services.register({**WEB, "weight": 2}, by=ROOT, holder=first)
        await one.services.register(WEB, by=ROOT, holder=second)
        assert first.told == [("web-80", "was registered anew by another")]
        await one.services.deregister("web-80", by=ROOT)
        assert second.told == [("web-80", "was deregistered")]
        await one.services.register(WEB, by=ROOT, holder=third)
        third.gone = True
        one.services.detach(third)
        assert third.told == []

    await started.run(use)


async def test_a_service_of_the_file_comes_back_when_who_took_it_over_is_gone(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


async def test_registrations_and_what_keeps_a_service_out_stand_in_the_log(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
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


def too_large(*_: object) -> None:
    raise TooLarge("a row of more than 1 byte: take something out first")


async def test_what_of_the_file_cannot_be_done_is_said_and_done_at_the_next_reading(
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

    await started.run(use)


async def test_the_owner_of_a_service_is_kept_over_a_restart(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    app, other = Caller(1000, 1, door="socket"), Caller(1001, 1, door="socket")

    async def before(one: Started) -> None:
        await one.services.register(WEB, by=app, holder=None)
        await one.services.register({"name": "tcp", "port": 81}, by=Caller(), holder=None)
        await one.services.register({**WEB, "weight": 2}, **ME)  # root changes it, and it stays the app's

    async def after(one: Started) -> None:
        for id in ("web-80", "tcp-81", "flag-82"):
            with pytest.raises(NotAllowed):
                await one.services.deregister(id, by=other)
        with pytest.raises(NotAllowed):
            await one.services.deregister("tcp-81", by=app)
        await one.services.deregister("web-80", by=app)
        await one.services.deregister("tcp-81", by=Caller())

    await started.run(before)
    await started.run(after, flags={"name": "flag", "port": 82})


async def test_a_service_without_an_owner_goes_to_its_first_changer(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    app, other = Caller(1000, 1, door="socket"), Caller(1001, 1, door="socket")
    kept = KeptService("web-80", "socket", False, packb(WEB))
    data = DataDirectory(str(tmp_path))
    data.write([keep_service(kept)])
    data.close()

    async def use(one: Started) -> None:
        await one.services.register({**WEB, "weight": 2}, **ME)  # an operator does not make it his
        await one.services.register({**WEB, "weight": 3}, by=app, holder=None)
        with pytest.raises(NotAllowed, match="belongs to user 1000"):
            await one.services.register(WEB, by=other, holder=None)

    await started.run(use)


async def test_two_users_who_register_one_id_at_once_do_not_both_get_it(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)
    refused: list[int] = []

    async def use(one: Started) -> None:
        async def register(uid: int) -> None:
            try:
                await one.services.register({**WEB, "weight": uid}, by=Caller(uid, 1, door="socket"), holder=None)
            except NotAllowed:
                refused.append(uid)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(register, 1000)
            nursery.start_soon(register, 1001)
        await one.inside.store.flushed()

    async def after(one: Started) -> None:
        (loser,) = refused
        [instance] = one.inside.node.catalog.lookup("web")
        assert instance.service.weight == 2001 - loser
        with pytest.raises(NotAllowed):
            await one.services.deregister("web-80", by=Caller(loser, 1, door="socket"))

    await started.run(use)
    await started.run(after)


async def test_everyone_may_answer_the_ttl_of_a_service_from_flags_or_file(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    started = Started(autojump_clock, tmp_path)
    flags = {"name": "flag", "port": 81, "checks": ["ttl:30s"]}
    in_file = {"name": "file", "port": 82, "checks": ["ttl:30s"]}
    app = Caller(1000, 1, door="socket")

    async def use(one: Started) -> None:
        for id in ("flag-81", "file-82"):
            one.services.heartbeat(id, Health.PASSING, "", by=app)
            assert one.found(id.partition("-")[0]) == {id: Health.PASSING}
            with pytest.raises(NotAllowed):
                await one.services.deregister(id, by=app)

    await started.run(use, flags=flags, file=(in_file,))
