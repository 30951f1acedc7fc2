"""Changes of one service by several clients: the disk has them in the order in which they took effect."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import unpackb

from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.kept import Statement
from gossipreg.daemon.store import HANGS_S, LOOK_S, Store
from gossipreg.wire.rpc import encode_request
from tests.daemon.conftest import GENEROUS_S, ME, Client, Sidecar, running


class GatedDirectory(DataDirectory):
    """A real data directory that writes while its gate is open."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.gate = trio.Event()
        self.gate.set()
        self.reached = trio.Event()

    def write(self, statements: Iterable[Statement]) -> None:
        trio.from_thread.run(self._wait)
        super().write(statements)

    async def _wait(self) -> None:
        self.reached.set()
        await self.gate.wait()

    def shut(self) -> None:
        if self.gate.is_set():
            self.gate, self.reached = trio.Event(), trio.Event()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[GatedDirectory]:
    directory = GatedDirectory(str(tmp_path / "data"))
    yield directory
    directory.close()


def after_a_start(directory: DataDirectory) -> tuple[dict[str, int], dict[str, str]]:
    """The port of each service that a start would register, and what would be in maintenance."""
    return {one.id: unpackb(one.params)["port"] for one in directory.services()}, directory.maintenance()


def here(sidecar: Sidecar) -> tuple[dict[str, int], dict[str, str]]:
    entries = sidecar.services.entries.values()
    maintained = {str(one["service"]): str(one["reason"]) for one in sidecar.services.in_maintenance()}
    kept = {one.id: one.registration.service.port for one in entries if one.source == "socket"}
    return kept, maintained


def hang(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the write under way take so long that the next look finds out that the disk hangs."""
    for looks in range(int(HANGS_S / LOOK_S) + 1):
        if looks:
            store.look()
        monkeypatch.setattr(store, "_clock", partial(_later, looks * LOOK_S))


def _later(by_s: float) -> float:
    return time.monotonic() + by_s


def web(port: int) -> dict[str, Any]:
    return {"name": "web", "id": "web", "port": port}


@pytest.mark.parametrize("under_way", [True, False], ids=["under way", "queued"])
async def test_a_registration_that_outlives_its_end_is_on_the_disk(
    tmp_path: Path, directory: GatedDirectory, under_way: bool
) -> None:
    """The deregistration takes effect at once, and the registration before it with its commit: so it comes later."""
    async with running(tmp_path, database=directory) as sidecar:
        one, other = await sidecar.client(), await sidecar.client()
        assert "version" in await one.call("register", **web(1))
        await sidecar.store.flushed()
        directory.shut()
        if not under_way:
            await (await sidecar.client()).send("register", name="another", port=1)
            await directory.reached.wait()
        await one.send("register", **web(2))
        await directory.reached.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
        await other.send("deregister", id="web")
        with trio.fail_after(GENEROUS_S):
            while "web" in sidecar.services.entries:
                await trio.testing.wait_all_tasks_blocked(0.01)
        directory.gate.set()
        _, _, error, result = await one.next()
        assert error is None, result
        assert after_a_start(directory)[0]["web"] == here(sidecar)[0]["web"] == 2
        await sidecar.store.flushed()
        assert after_a_start(directory) == here(sidecar)


async def test_maintenance_of_a_deregistered_service_is_not_on_the_disk(
    tmp_path: Path, directory: GatedDirectory
) -> None:
    async with running(tmp_path, database=directory) as sidecar:
        client = await sidecar.client()
        assert "version" in await client.call("register", **web(1))
        asked = [("maint", {"service": "web", "reason": "upgrade"}), ("deregister", {"id": "web"})]
        await client.stream.send_all(b"".join(encode_request(id, *one) for id, one in enumerate(asked)))
        assert [(await client.next())[3] for _ in asked] == [{"durable": True}] * 2
        await sidecar.store.flushed()
        assert after_a_start(directory) == here(sidecar) == ({}, {})


async def test_a_node_check_that_is_set_while_it_is_dropped_is_on_the_disk(
    tmp_path: Path, directory: GatedDirectory
) -> None:
    async with running(tmp_path, database=directory) as sidecar, trio.open_nursery() as nursery:
        put = partial(sidecar.services.put_check, None, "mail", "ttl:10s", by=ME)
        await put()
        await sidecar.store.flushed()
        directory.shut()
        nursery.start_soon(put)
        await directory.reached.wait()
        nursery.start_soon(partial(sidecar.services.drop_check, None, "mail", by=ME))
        await trio.testing.wait_all_tasks_blocked(0.01)
        directory.gate.set()
    assert "mail" in sidecar.services.health.node_checks
    assert [one.id for one in directory.node_checks()] == ["mail"]


async def until_it_goes_on(directory: GatedDirectory, client: Client) -> None:
    """The disk hangs no more, and another service is registered."""
    directory.gate.set()
    with trio.fail_after(GENEROUS_S):
        while not isinstance(await client.call("register", name="mail", id="mail", port=1), dict):
            await trio.sleep(0)


async def test_what_is_deregistered_while_the_disk_hangs_stays_out(
    tmp_path: Path, directory: GatedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registration was told that its outcome is not known, and must not come back with the disk."""
    async with running(tmp_path, database=directory) as sidecar:
        client = await sidecar.client()
        for port in (1, 2):
            assert "version" in await client.call("register", name="web", id=f"web-{port}", port=port)
        await sidecar.store.flushed()
        directory.shut()
        for port in (1, 2):
            await (await sidecar.client()).send("register", name="web", id=f"web-{port}", port=10 + port)
            await directory.reached.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
        hang(sidecar.store, monkeypatch)
        assert await client.call("deregister", id="web-1") == {"durable": False}
        assert await client.call("deregister", id="web-2") == {"durable": False}
        await until_it_goes_on(directory, client)
        await sidecar.store.flushed()
        assert after_a_start(directory) == here(sidecar) == ({"mail": 1}, {})


async def test_a_registration_goes_on_with_the_disk_if_nothing_overtook_it(
    tmp_path: Path, directory: GatedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, database=directory) as sidecar:
        client = await sidecar.client()
        directory.shut()
        await client.send("register", **web(1))
        await directory.reached.wait()
        hang(sidecar.store, monkeypatch)
        sidecar.store.look()
        assert (await client.next())[2][0] == "outcome_unknown"
        await until_it_goes_on(directory, client)
        await sidecar.store.flushed()
        assert after_a_start(directory) == here(sidecar) == ({"web": 1, "mail": 1}, {})


IDS = st.sampled_from(["a", "b"])
ASKED = st.one_of(
    st.tuples(
        st.just("register"),
        st.fixed_dictionaries(
            {"name": st.just("web"), "id": IDS, "port": st.integers(1, 9)}, optional={"attach": st.booleans()}
        ),
    ),
    st.tuples(st.just("deregister"), st.fixed_dictionaries({"id": IDS})),
    st.tuples(st.just("maint"), st.fixed_dictionaries({"service": IDS, "off": st.booleans()})),
)


@settings(max_examples=20, deadline=None)
@given(asked=st.lists(st.tuples(st.integers(0, 1), st.lists(ASKED, max_size=5)), max_size=6))
def test_the_disk_has_in_the_end_what_the_sidecar_has(
    asked: list[tuple[int, list[tuple[str, dict[str, Any]]]]],
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            directory = GatedDirectory(folder + "/data")
            async with running(Path(folder), database=directory) as sidecar:
                clients, sent = [await sidecar.client(), await sidecar.client()], [0, 0]
                for number, requests in asked:
                    directory.shut()
                    data = b"".join(encode_request(id, *one) for id, one in enumerate(requests))
                    await clients[number].stream.send_all(data)
                    sent[number] += len(requests)
                    await trio.testing.wait_all_tasks_blocked(0.001)
                    if len(requests) % 2:
                        directory.gate.set()
                directory.gate.set()
                for client, replies in zip(clients, sent, strict=True):
                    while replies:
                        replies -= (await client.next())[0] == "reply"
                await sidecar.store.flushed()
                assert after_a_start(directory) == here(sidecar)
            directory.close()

    trio.run(run)
