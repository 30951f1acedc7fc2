"""The end of a sidecar whose disk does not take what waits: it comes in time, and nobody is told that all is kept."""

import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.finishing import FINISH_S, NOT_FINISHED, finish
from gossipreg.daemon.kept import Statement
from gossipreg.daemon.store import Store
from gossipreg.errors import CannotKeep
from gossipreg.wire.rpc import encode_request
from tests.daemon.test_main import SCRIPT, Process

HANG = "hang"
"""A file of this name in the data directory makes its disk hang."""


class HangingProcess(Process):
    script = f"""
import sys, threading
from gossipreg.daemon.data_directory import DataDirectory
write = DataDirectory.write
def hanging(self, statements):
    if (self.path / "{HANG}").exists():
        print("hangs", file=sys.stderr, flush=True)
        threading.Event().wait()
    write(self, statements)
DataDirectory.write = hanging
{SCRIPT}"""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[HangingProcess]]:
    """Two sidecars, each with a service that its disk does not keep any more."""
    started = [HangingProcess(tmp_path, name, data_dir=str(tmp_path / name)) for name in "ab"]
    clients = [socket.socket(socket.AF_UNIX) for _ in started]
    for one, client in zip(started, clients, strict=True):
        (Path(one.socket.parent, one.socket.stem) / HANG).touch()
        client.connect(str(one.socket))
        client.sendall(encode_request(1, "register", {"name": "web", "port": 80}))
        one.wait_log("hangs")
    yield started
    for one, client in zip(started, clients, strict=True):
        one.close()
        client.close()


class Part:
    def __init__(self, lacks: str = "", takes_s: float = 0.0) -> None:
        self._lacks, self._takes_s = lacks, takes_s

    async def finish(self) -> None:
        await trio.sleep(self._takes_s)

    def unwritten(self) -> str:
        return self._lacks


async def test_all_that_waits_for_the_disk_has_one_bound(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    began = trio.current_time()
    said = await finish([Part("a lacks 1", 1e9), Part(), Part("b lacks 2", 1e9)])
    assert said == "a lacks 1; b lacks 2"
    assert trio.current_time() - began == pytest.approx(FINISH_S)


async def test_a_disk_that_takes_all_is_not_waited_for(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    began = trio.current_time()
    assert await finish([Part(), Part(takes_s=0.5)]) == ""
    assert trio.current_time() - began == pytest.approx(0.5)


class Disk:
    """Refuses, or hangs until `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.full = False

    def write(self, statements: Iterable[Statement]) -> None:
        del statements
        if self.full:
            raise CannotKeep("full")
        self.entered.set()
        self.gate.wait(60)


async def test_what_a_hung_disk_does_not_take_is_named() -> None:
    disk = Disk()
    store = Store(disk, lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        store.commit_later("peers", list)
        store.begin([("under way", ())], lambda: None, name="service b")
        await trio.to_thread.run_sync(disk.entered.wait)
        store.begin([("behind it", ())], lambda: None)
        store.commit_later("service a", list)
        with trio.move_on_after(0.01):
            await store.flushed()
        assert store.unwritten() == ["peers", "service a", "service b", "changes that clients asked for: 1"]
        nursery.cancel_scope.cancel()  # which does not wait for the thread
    disk.gate.set()


async def test_what_a_full_disk_does_not_take_is_named() -> None:
    disk = Disk()
    disk.full = True
    store = Store(disk, lambda _: None, trial=[("nothing", ())])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        assert not await store.apply_first("service a", list, lambda: None).result()
        await store.flushed()
        assert store.unwritten() == ["service a"], "without the write that changes nothing"
        disk.full = False
        disk.gate.set()
        await store.flushed()
        assert store.unwritten() == []
        nursery.cancel_scope.cancel()


def test_a_directory_that_a_thread_still_writes_stays_locked(tmp_path: Path) -> None:
    data = DataDirectory(str(tmp_path))
    entered, gate = threading.Event(), threading.Event()

    def statements() -> Iterator[Statement]:
        entered.set()
        gate.wait(60)
        yield "UPDATE generation SET last = last", ()

    writer = threading.Thread(target=data.write, args=(statements(),))
    writer.start()
    assert entered.wait(60)
    data.close()
    with pytest.raises(Exception, match="is locked"):
        DataDirectory(str(tmp_path))
    gate.set()
    writer.join()
    data.close()
    with closing(DataDirectory(str(tmp_path))):
        pass


def test_a_hung_disk_holds_up_no_end_and_a_second_signal_ends_at_once(two: list[HangingProcess]) -> None:
    """The first one has a signal, the second one two."""
    patient, hurried = two
    patient.process.send_signal(signal.SIGTERM)
    hurried.process.send_signal(signal.SIGTERM)
    hurried.wait_log("leaving")
    assert hurried.end(signal.SIGTERM)[0] == 128 + signal.SIGTERM
    assert not hurried.socket.exists()
    line = patient.wait_log("not_finished")
    assert "gossipreg.db lacks" in line
    assert "service web-80" in line
    assert patient.end()[0] == NOT_FINISHED
    assert not patient.socket.exists()
