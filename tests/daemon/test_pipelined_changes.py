"""Changes of services that a client sends without waiting: one commit for many, each on the disk before its answer."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.daemon.kept import Statement
from gossipreg.errors import Refused
from gossipreg.model import Health
from gossipreg.wire.rpc import encode_request
from tests.daemon.conftest import GENEROUS_S, Client, Sidecar, running


class Disk:
    """Writes while its gate is open; notes each commit by the ids of its services."""

    def __init__(self, *, opened: bool = True) -> None:
        self.commits: list[list[Any]] = []
        self.fails = False
        self.gate = trio.Event()
        self.reached = trio.Event()
        if opened:
            self.gate.set()

    def write(self, statements: Iterable[Statement]) -> None:
        trio.from_thread.run_sync(self.reached.set)
        trio.from_thread.run(self.gate.wait)
        if self.fails:
            raise Refused("disk full")
        self.commits.append([values[0] for statement, values in statements if "INTO services" in statement])


Asked = tuple[str, dict[str, Any]]


async def send(client: Client, asked: list[Asked]) -> None:
    """All requests at once."""
    await client.stream.send_all(b"".join(encode_request(id, *one) for id, one in enumerate(asked)))


async def answers(client: Client, number: int) -> list[Any]:
    """The results or errors of so many requests, which have to come in the order of the requests."""
    found = []
    for id in range(number):
        kind, answered, error, result = await client.next()
        assert (kind, answered) == ("reply", id)
        found.append(result if error is None else error)
    return found


def registrations(number: int) -> list[Asked]:
    return [("register", {"name": "web", "port": 1 + one}) for one in range(number)]


async def test_many_registrations_share_a_few_commits(tmp_path: Path) -> None:
    disk = Disk()
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(200))
        found = await answers(client, 200)
    assert [one["id"] for one in found] == [f"web-{1 + one}" for one in range(200)]
    assert [id for commit in disk.commits for id in commit] == [one["id"] for one in found]
    assert len(disk.commits) <= 200 / 16


async def test_no_registration_is_answered_before_it_is_on_the_disk(tmp_path: Path) -> None:
    disk = Disk(opened=False)
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(20))
        await disk.reached.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sidecar.instances("web") == ()
        with trio.move_on_after(0) as waited:
            await client.next()
        assert waited.cancelled_caught
        disk.gate.set()
        assert len(await answers(client, 20)) == 20
        assert len(sidecar.instances("web")) == 20


@pytest.mark.parametrize("method", ["deregister", "maint"])
async def test_many_changes_share_a_few_commits_and_are_made_at_once(tmp_path: Path, method: str) -> None:
    disk = Disk()
    ids = [f"web-{1 + one}" for one in range(200)]
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(200))
        await answers(client, 200)
        before = len(disk.commits)
        disk.gate = trio.Event()
        await send(client, [(method, {"id" if method == "deregister" else "service": id}) for id in ids])
        with trio.fail_after(GENEROUS_S):
            while any(one.health is not Health.MAINTENANCE for one in sidecar.instances("web")):
                await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.move_on_after(0) as waited:
            await client.next()
        assert waited.cancelled_caught
        disk.gate.set()
        assert await answers(client, 200) == [{"durable": True}] * 200
    assert len(disk.commits) - before <= 200 / 16


@pytest.mark.parametrize("method", ["deregister", "maint"])
async def test_a_full_disk_makes_each_change_not_durable(tmp_path: Path, method: str) -> None:
    disk = Disk()
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(5))
        await answers(client, 5)
        disk.fails = True
        name = "id" if method == "deregister" else "service"
        await send(client, [(method, {name: f"web-{1 + one}"}) for one in range(5)])
        assert await answers(client, 5) == [{"durable": False}] * 5


async def test_a_deregistration_behind_a_registration_finds_it(tmp_path: Path) -> None:
    async with running(tmp_path, database=Disk()) as sidecar:
        client = await sidecar.client()
        again = [("deregister", {"id": "web-1"}), *registrations(1)]
        await send(client, [*registrations(1), *again, *again, ("deregister", {"id": "web-1"})])
        found = await answers(client, 6)
        assert all(isinstance(one, dict) for one in found), found
        assert sidecar.instances("web") == ()


async def test_a_request_behind_registrations_finds_them(tmp_path: Path) -> None:
    async with running(tmp_path, database=Disk()) as sidecar:
        client = await sidecar.client()
        look: Asked = ("lookup", {"name": "web"})
        await send(client, [*registrations(3), look, ("deregister", {"id": "web-2"}), look, *registrations(2), look])
        found = await answers(client, 9)
    assert [[one["port"] for one in found[number]] for number in (3, 5, 8)] == [[1, 2, 3], [1, 3], [1, 2, 3]]


async def test_a_faulty_registration_is_answered_in_its_place(tmp_path: Path) -> None:
    async with running(tmp_path, database=Disk()) as sidecar:
        client = await sidecar.client()
        await send(client, [*registrations(2), ("register", {"name": "web"}), *registrations(2), ("nothing", {})])
        found = await answers(client, 6)
    assert [isinstance(one, dict) for one in found] == [True, True, False, True, True, False]
    assert (found[2][0], found[5][0]) == ("bad_params", "unknown_method")


async def test_a_full_disk_refuses_each_of_them(tmp_path: Path) -> None:
    disk = Disk()
    disk.fails = True
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(5))
        assert [text for _, text in await answers(client, 5)] == ["disk full"] * 5
        assert sidecar.instances("web") == ()


async def test_registrations_are_answered_before_the_last_words(tmp_path: Path) -> None:
    async with running(tmp_path, database=Disk()) as sidecar:
        client = await sidecar.client()
        await client.stream.send_all(
            b"".join(encode_request(id, *one) for id, one in enumerate(registrations(3))) + b"\xc1"
        )
        assert len(await answers(client, 3)) == 3
        kind, answered, error, _ = await client.next()
        assert (kind, answered, error[0]) == ("reply", None, "bad_params")


async def test_a_client_that_goes_away_leaves_what_it_asked_for(tmp_path: Path) -> None:
    disk = Disk(opened=False)
    async with running(tmp_path, database=disk) as sidecar:
        client = await sidecar.client()
        await send(client, registrations(5))
        await disk.reached.wait()
        await client.stream.aclose()
        disk.gate.set()
        await sidecar.store.flushed()
        assert [id for commit in disk.commits for id in commit] == [f"web-{1 + one}" for one in range(5)]


IDS = st.sampled_from(["a", "b", "c"])
ASKED: st.SearchStrategy[Asked] = st.one_of(
    st.tuples(
        st.just("register"),
        st.fixed_dictionaries(
            {"name": st.just("web"), "id": IDS, "port": st.integers(0, 3)}, optional={"attach": st.booleans()}
        ),
    ),
    st.tuples(st.just("deregister"), st.fixed_dictionaries({"id": IDS})),
    st.tuples(st.just("maint"), st.fixed_dictionaries({"service": IDS, "off": st.booleans()})),
    st.tuples(st.just("lookup"), st.just({"name": "web"})),
    st.tuples(st.just("registered"), st.just({})),
)


@settings(max_examples=40, deadline=None)
@given(asked=st.lists(ASKED, max_size=25))
def test_pipelined_requests_do_what_they_do_one_by_one(asked: list[Asked]) -> None:
    async def together() -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder), database=Disk()) as sidecar:
                client = await sidecar.client()
                await send(client, asked)
                return [*parted(await answers_and_notes(client, len(asked))), shown(sidecar)]

    async def one_by_one() -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder), database=Disk()) as sidecar:
                client = await sidecar.client()
                found = []
                for id, one in enumerate(asked):
                    await client.stream.send_all(encode_request(id, *one))
                    found += await answers_and_notes(client, 1)
                return [*parted(found), shown(sidecar)]

    assert trio.run(together) == trio.run(one_by_one)


async def answers_and_notes(client: Client, number: int) -> list[Any]:
    """The messages up to the reply of so many requests, without their ids."""
    found: list[Any] = []
    replies = 0
    while replies < number:
        message = await client.next()
        replies += message[0] == "reply"
        found.append(message[2:] if message[0] == "reply" else message)
    return found


def parted(messages: list[Any]) -> tuple[list[Any], list[Any]]:
    """Answers and notifications, each in their order: a notification may come before the answer to a request that was
    sent before what it tells of."""
    notes = [one for one in messages if one[0] == "notification"]
    return [one for one in messages if one[0] != "notification"], notes


def shown(sidecar: Sidecar) -> list[Any]:
    return [repr(one) for one in sidecar.instances("web")]
