"""A real disk that hangs, which root alone can make: a file system that is frozen holds up no sidecar."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipreg.daemon.finishing import NOT_FINISHED
from gossipreg.errors import RequestError
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for

IMAGE_BYTES = 24 << 20
GRACE_S = 15.0
"""The limit of the unit in the manual; the leave itself has bounds of 13 s."""


def ran(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(cluster: Sidecars) -> Iterator[Path]:
    image, folder = cluster.folder / "image", cluster.folder / "disk"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    made = (
        os.geteuid() == 0 and ran("mkfs.ext4", "-q", str(image)) and ran("mount", "-o", "loop", str(image), str(folder))
    )
    if not made:
        pytest.skip("a file system of its own can be mounted by root alone")
    try:
        yield folder
    finally:
        ran("fsfreeze", "--unfreeze", str(folder))
        for one in cluster.all:
            one.close()
        ran("umount", "--lazy", str(folder))


@pytest.mark.wide
def test_a_disk_that_hangs_holds_up_no_lookup_and_loses_no_line(cluster: Sidecars, disk: Path) -> None:
    one = cluster.start("one", "--data-dir", str(disk / "data")).wait_ready()
    other = cluster.start("other").wait_ready()
    wait_for(lambda: other.name in one.alive())
    assert ran("fsfreeze", "--freeze", str(disk))
    other.call("register", name="billing", port=8101)
    wait_for(lambda: one.lookup("billing") != [])
    other.kill()
    wait_for(lambda: one.lookup("billing") == [])  # the protocol goes on
    with pytest.raises(RequestError, match="hangs"):  # the first one waits, and its outcome is not known
        one.call("register", name="stock", port=8102)
    with pytest.raises(RequestError, match="nothing was changed"):
        one.call("register", name="mail", port=8103)
    wait_for(lambda: any("registrations are refused" in each["message"] for each in one.call("info")["troubles"]))
    wait_for(lambda: any("the history is not written" in each["message"] for each in one.call("info")["troubles"]))
    shown = one.call("history")
    assert shown["fault"]
    assert "answers_left" in [line["kind"] for line in shown["lines"]]
    assert ran("fsfreeze", "--unfreeze", str(disk))
    wait_for(lambda: "fault" not in one.call("history"))
    kinds = [line["kind"] for line in one.call("history", after=0)["lines"]]
    assert {"start", "answers_entered", "answers_left", "history_not_kept", "history_kept_again"} <= set(kinds)
    assert one.end() == 0


@pytest.mark.wide
def test_a_sidecar_on_a_disk_that_hangs_leaves_in_time(cluster: Sidecars, disk: Path) -> None:
    """The kernel keeps what is left of the process until the disk answers; nobody else has to wait for that."""
    one = cluster.start("one", "--data-dir", str(disk / "data")).wait_ready()
    other = cluster.start("other").wait_ready()
    wait_for(lambda: one.name in other.alive())
    assert ran("fsfreeze", "--freeze", str(disk))
    with pytest.raises(RequestError, match="hangs"):
        one.call("register", name="stock", port=8102)
    one.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    wait_for(lambda: other.states()[one.name] == "left")
    one.wait_logged("not_finished")
    assert time.monotonic() - began < GRACE_S
    host, _, port = one.gossip.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free, socket.socket() as stream:
        free.bind((host, int(port)))
        stream.bind((host, int(port)))
    assert one.process.poll() is None, "a thread waits for the disk without interruption"
    assert ran("fsfreeze", "--unfreeze", str(disk))
    assert one.process.wait(BOUND_S) == NOT_FINISHED
