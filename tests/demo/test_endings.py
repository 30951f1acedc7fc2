"""Nothing is left however the demonstration ends: a child dies with it, and a cleaner deletes the folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gossipreg.demo import child, cleaner
from scripts.tools.wait import wait_for

PARENT = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, "-P", *sys.argv[1:2], str(os.getpid()), *sys.argv[2:]])
print(process.pid, flush=True)
sys.stdin.read()
"""


def runs(pid: int) -> bool:
    """Whether this process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening(pid: int) -> list[str]:
    """The sockets of this process."""
    links = (os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir())
    return [link for link in links if link.startswith("socket:")]


@pytest.mark.parametrize("command", [["sleep", "1000"], ["-m", "http.server", "0", "--bind", "127.0.0.1"]])
def test_a_child_dies_with_its_killed_parent(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, child.__file__, str(tmp_path), *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for(
            lambda: command[-1] in Path(f"/proc/{pid}/cmdline").read_text().split("\0"), what="it runs its program"
        )
        assert runs(pid)
        parent.kill()
        wait_for(lambda: not runs(pid), what="the kernel has killed it")


def test_a_child_whose_parent_is_gone_already_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, "-P", child.__file__, "1", str(tmp_path), "touch", str(tmp_path / "begun")]
    assert subprocess.run(command, check=False).returncode == 1
    assert not (tmp_path / "begun").exists()


def start_cleaner(where: Path) -> tuple["subprocess.Popen[bytes]", Path]:
    process = subprocess.Popen(
        [sys.executable, "-P", cleaner.__file__, str(where)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    return process, Path(os.fsdecode(process.stdout.readline().strip()))


def test_the_folder_goes_when_its_holder_is_gone_and_not_before(tmp_path: Path) -> None:
    process, folder = start_cleaner(tmp_path)
    with process:
        (folder / "data").mkdir()
        (folder / "data" / "file").write_text("x")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.poll() is None
        assert (folder / "data" / "file").exists()
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    assert [*tmp_path.iterdir()] == []


def test_files_that_appear_while_it_deletes_go_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    writer = subprocess.Popen(
        ["sh", "-c", f"for n in $(seq 100); do mkdir -p {folder}/$n; echo > {folder}/$n/f; done 2>/dev/null"]
    )
    wait_for(lambda: any(folder.iterdir()) if folder.exists() else True)
    cleaner.delete(str(folder))
    writer.wait()
    assert cleaner.delete(str(folder))
    assert not folder.exists()
