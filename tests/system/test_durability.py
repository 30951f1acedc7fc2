"""What a client was told is registered is there after a SIGKILL at any moment, and what was taken out is not."""

import os
import random
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from gossipreg.client.connection import Client
from gossipreg.errors import CannotKeep, RequestError, Unreachable
from scripts.tools.sidecars import COMMAND, Sidecars
from scripts.tools.wait import wait_for

ROUNDS = 4
WRITERS = 4


class Writer(threading.Thread):
    """Registers, updates and deregisters services of its own until the sidecar is gone; keeps what it was told."""

    def __init__(self, path: Path, number: int, seed: int) -> None:
        super().__init__()
        self._path = str(path)
        self._rng = random.Random(seed)
        self._number = number
        self.told: dict[str, int | None] = {}
        """By id: the weight that was acknowledged last, or None: taken out."""
        self.in_doubt: tuple[str, int | None] | None = None
        """What was asked for and not answered."""
        self.acknowledged = 0

    def run(self) -> None:
        with suppress(Unreachable), Client(self._path) as client:
            while True:
                id = f"s{self._number}-{self._rng.randrange(20)}"
                if self.told.get(id) is not None and self._rng.random() < 0.3:
                    self.in_doubt = (id, None)
                    client.call("deregister", id=id)
                else:
                    weight = self._rng.randrange(1000)
                    self.in_doubt = (id, weight)
                    client.call("register", name="web", port=80, id=id, weight=weight)
                self.told[id] = self.in_doubt[1]
                self.in_doubt = None
                self.acknowledged += 1


def test_a_kill_at_any_moment_loses_nothing_acknowledged(cluster: Sidecars) -> None:
    rng = random.Random(7)
    data = ("--data-dir", str(cluster.folder / "data"))
    told: dict[str, int | None] = {}
    acknowledged = 0
    for round in range(ROUNDS):
        sidecar = cluster.start("n", *data).wait_ready()
        found = {one["id"]: one["weight"] for one in sidecar.call("lookup", name="web")}
        assert found == {id: weight for id, weight in told.items() if weight is not None}, f"round {round}"
        writers = [Writer(sidecar.socket, number, rng.random()) for number in range(WRITERS)]  # type: ignore[arg-type]
        for writer in writers:
            writer.start()
        wait_for(lambda writers=writers: all(writer.acknowledged > 3 for writer in writers))  # type: ignore[misc]
        threading.Event().wait(rng.random() / 3)
        sidecar.kill()
        for writer in writers:
            writer.join()
            told |= writer.told
            acknowledged += writer.acknowledged
        sidecar = cluster.start("n", *data).wait_ready()
        found = {one["id"]: one["weight"] for one in sidecar.call("lookup", name="web")}
        for writer in writers:
            if writer.in_doubt is not None:  # either is right, and from now on it stays
                id, wanted = writer.in_doubt
                assert found.get(id) in (wanted, told.get(id))
                told[id] = found.get(id)
        assert found == {id: weight for id, weight in told.items() if weight is not None}
        sidecar.kill()
    assert acknowledged > ROUNDS * WRITERS * 3


def test_a_restart_finds_the_others_without_a_seed(cluster: Sidecars) -> None:
    first = cluster.start("first", "--data-dir", str(cluster.folder / "1")).wait_ready()
    second = cluster.start("second", "--data-dir", str(cluster.folder / "2")).wait_ready()
    wait_for(lambda: first.states() == {"first": "alive", "second": "alive"} == second.states())
    for port in range(1, 51):
        second.call("register", name="web", port=port)
    wait_for(lambda: "peers" in kept(cluster.folder / "2"))
    wait_for(lambda: len(first.lookup("web")) == 50)
    second.kill()
    wait_for(lambda: first.lookup("web") == [])
    again = cluster.start("second", "--data-dir", str(cluster.folder / "2"), seed=False).wait_ready()
    assert again.id == second.id
    wait_for(lambda: len(first.lookup("web")) == 50)
    wait_for(lambda: first.states() == {"first": "alive", "second": "alive"} == again.states())
    assert len(first.call("members")) == 2


def kept(data: Path) -> set[str]:
    """The tables with something in them."""
    import sqlite3

    database = sqlite3.connect(f"file:{data / 'gossipreg.db'}?mode=ro", uri=True)
    try:
        return {
            table for table in ("services", "peers") if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        }
    finally:
        database.close()


@pytest.mark.wide
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_refuses_registering_but_not_deregistering(cluster: Sidecars) -> None:
    disk = cluster.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode()}")
    try:
        sidecar = cluster.start("n", "--data-dir", str(disk)).wait_ready()
        meta = {f"k{number}": "x" * 1000 for number in range(8)}
        taken, refused = 0, ""
        while not refused:
            try:
                sidecar.call("register", name="web", port=taken + 1, meta=meta)
                taken += 1
            except RequestError as error:
                refused = str(error)
        assert "disk is full" in refused or "disk I/O error" in refused
        assert taken > 1
        assert len(sidecar.lookup("web")) == taken
        assert "registrations are refused until it can be written" in sidecar.call("info")["troubles"][0]["message"]
        subprocess.run(["mount", "-o", "remount,size=400k", disk], check=True)
        wait_for(lambda: sidecar.call("info")["troubles"] == [])
        sidecar.wait_logged("info kept_again")
        subprocess.run(["mount", "-o", "remount,size=160k", disk], check=True)
        sidecar.kill()
        again = cluster.start("n", "--data-dir", str(disk)).wait_ready()
        assert len(again.lookup("web")) == taken
        again.kill()
        (disk / "filler").write_bytes(b"")
        with suppress(OSError), (disk / "filler").open("ab") as filler:
            while True:
                filler.write(bytes(4096))
        again = cluster.start("n", "--data-dir", str(disk)).wait_ready()
        assert len(again.lookup("web")) == taken
        troubles = [one["message"] for one in again.call("info")["troubles"]]
        assert any("deregistering works" in one for one in troubles), troubles
        assert again.call("deregister", id="web-1") == {"durable": False}
        assert again.call("maint", service="web-2") == {"durable": False}
        assert len(again.lookup("web")) == taken - 2
        with pytest.raises(CannotKeep, match=r"full|disk I/O error|unable to open"):
            again.call("register", name="more", port=1, meta=meta)
        new = [*COMMAND, "join", "--data-dir", str(disk / "new"), "--socket", str(cluster.folder / "x")]
        ended = subprocess.run([*new, "--bind", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (6, 1), ended.stderr
        subprocess.run(["mount", "-o", "remount,size=400k", disk], check=True)
        wait_for(lambda: again.call("info")["troubles"] == [])
        again.kill()
        again = cluster.start("n", "--data-dir", str(disk)).wait_ready()
        assert len(again.lookup("web")) == taken - 2
        assert not list(disk.glob("*damaged*"))
    finally:
        for one in cluster.all:
            one.close()
        subprocess.run(["umount", disk], check=False)


AS_NOBODY = """if True:
    import os, sys, encodings.idna, sqlite3, gossipreg.daemon.main, gossipreg.cli.join, gossipreg.cli.join_light
    from cryptography.hazmat.primitives.asymmetric import ed25519
    if os.geteuid() == 0:
        os.setuid(65534)
    sys.exit(gossipreg.cli.main())
"""


@pytest.mark.parametrize(("mode", "inner"), [(0o555, "new"), (0o500, "")])
def test_a_directory_that_cannot_be_written_is_named_in_one_line(mode: int, inner: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        data = Path(folder) / "data"
        data.mkdir()
        (data / "gossipreg.db").write_bytes(b"")
        data.chmod(mode)
        ended = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, "join", "--data-dir", data / inner, "--socket", f"{folder}/s"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        data.chmod(0o700)
    assert ended.returncode == 5, ended.stderr
    assert "Permission denied" in ended.stderr
    assert "--data-dir" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
