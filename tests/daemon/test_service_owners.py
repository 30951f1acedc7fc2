"""The owner of a service: the user that registered it, over restarts, and what others may do."""

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import packb, unpackb
from trio.testing import MockClock

from gossipreg.callers import Caller
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.kept import KeptService, Statement, keep_service
from gossipreg.daemon.services import Services
from gossipreg.errors import NotAllowed, NotFound, Refused
from gossipreg.model import Health
from tests.daemon.conftest import running
from tests.daemon.kept_services import ME, ROOT, WEB, Started


async def test_a_command_is_taken_from_the_same_user_only(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    wanted = {**WEB, "checks": ["cmd:true"]}

    async def use(one: Started) -> None:
        with pytest.raises(Refused, match=r"^a command that user 1000 sets .*--allow-cmd-checks.*cmd:true"):
            await one.services.register(wanted, by=Caller(1000, 1, door="socket"), holder=None)
        assert one.found() == {}

    await started.run(use)


async def test_a_restart_without_the_flag_runs_no_others_command(autojump_clock: MockClock, tmp_path: Path) -> None:
    started = Started(autojump_clock, tmp_path)
    data = DataDirectory(str(tmp_path))
    kept = KeptService("x", "socket", False, packb({**WEB, "id": "x", "checks": ["cmd:true"]}))
    data.write([keep_service(kept)])
    data.close()

    async def use(one: Started) -> None:
        assert one.found() == {}
        assert "service_not_restored" in one.inside.log.getvalue()

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


async def test_of_two_users_registering_one_id_at_once_one_gets_it(autojump_clock: MockClock, tmp_path: Path) -> None:
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


async def test_no_commit_gives_an_id_to_a_user_who_does_not_get_it(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash may follow each commit. An operator who registers what a user has just registered makes it not his."""
    started = Started(autojump_clock, tmp_path)
    owners: list[list[int | None]] = []
    write = DataDirectory.write

    def noted(data: DataDirectory, statements: Iterable[Statement]) -> None:
        write(data, statements)
        owners.append([one.owner for one in data.services()])

    monkeypatch.setattr(DataDirectory, "write", noted)

    async def use(one: Started) -> None:
        callers = [Caller(1000, 1, door="socket"), Caller(1001, 1, door="socket"), ROOT]
        asked = [one.services.begin_register({**WEB, "weight": caller.uid}, by=caller) for caller in callers]
        await asked[0].result()
        with pytest.raises(NotAllowed, match="belongs to user 1000"):
            await asked[1].result()
        await asked[2].result()
        await one.inside.store.flushed()

    await started.run(use)
    assert [1000] in owners
    assert all(each in ([], [1000]) for each in owners), owners


OF_USERS = st.tuples(
    st.sampled_from(["register", "deregister", "pause"]), st.sampled_from("ab"), st.sampled_from([1000, 1001, 0])
)


@settings(max_examples=30, deadline=None)
@given(asked=st.lists(OF_USERS, max_size=10))
def test_no_commit_has_a_registration_that_is_refused(asked: list[tuple[str, str, int]]) -> None:
    """Each has a port of its own. A crash may follow each commit."""
    commits: list[list[tuple[str, int]]] = []
    answers: dict[tuple[str, int], bool] = {}
    """Whether each registration was taken, by id and port."""

    class Noted(DataDirectory):
        def write(self, statements: Iterable[Statement]) -> None:
            super().write(statements)
            commits.append([(one.id, unpackb(one.params)["port"]) for one in self.services()])

    async def ask() -> None:
        with tempfile.TemporaryDirectory() as folder:
            data = Noted(f"{folder}/data")
            async with running(Path(folder), database=data) as sidecar, trio.open_nursery() as nursery:
                for port, (what, id, uid) in enumerate(asked, 1):
                    caller = Caller(uid, 1, door="socket", trusted=True)
                    if what == "pause":
                        await sidecar.store.flushed()
                    elif what == "register":
                        nursery.start_soon(register, sidecar.services, id, port, caller)
                        await trio.testing.wait_all_tasks_blocked()
                    else:
                        with suppress(NotAllowed, NotFound):
                            sidecar.services.begin_deregister(id, by=caller)
            data.close()

    async def register(services: Services, id: str, port: int, caller: Caller) -> None:
        answers[id, port] = False
        with suppress(NotAllowed):
            await services.register({"name": "web", "id": id, "port": port}, by=caller, holder=None)
            answers[id, port] = True

    trio.run(ask)
    assert all(answers[one] for commit in commits for one in commit), (commits, answers)


async def test_every_user_may_beat_for_a_service_of_flags_or_file(autojump_clock: MockClock, tmp_path: Path) -> None:
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
