"""The blocks of the README and of the page on the demonstration are what a newcomer pastes: they run here as they
stand, but for the ports."""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest

from scripts.tools.programs import free_port

ROOT = Path(__file__).parents[2]
BOUND_S = 120.0


README = ROOT / "README.md"
PAGE = ROOT / "gossipreg" / "docs" / "demo.md"


def block(number: int, page: Path = README) -> str:
    found: list[str] = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    return found[number]


def run(script: str) -> tuple[str, str]:
    """What it writes to stdout, and all that it says."""
    process = subprocess.Popen(
        ["bash", "-c", script], cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = process.communicate(timeout=BOUND_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what the block started and, on a failure, did not end
        process.wait()
    return out, f"{out}\n{errors}"


def free_ports(rng: Random) -> str:
    """What three free ports begin with, that end with 1, 2 and 3: below those that the kernel gives out."""
    while True:
        begin = str(rng.randrange(1100, 3200))
        with ExitStack() as stack, suppress(OSError):
            for number in "123":
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(type=kind)).bind(("127.0.0.1", int(begin + number)))
            return begin


@pytest.mark.wide
def test_the_demonstration_of_the_readme_ends_well_and_leaves_nothing() -> None:
    out, told = run(block(0))
    assert "The books balance" in out, told
    folder = re.search(r"write is in\s+(\S+)\.$", out, re.MULTILINE)
    assert folder is not None, told
    assert not Path(folder[1]).exists()


def test_what_the_readme_says_to_paste_works_word_for_word() -> None:
    out, told = run(block(1).replace("8000", str(free_port())).replace("7940", str(free_port())))
    said = out.splitlines()
    assert [line for line in said if line.startswith("200 by")] == ["200 by one", "200 by two", "200 by three"], told
    assert [line for line in said if line.startswith("gone at")] == ["gone at two", "gone at three"], told
    states = [line.split()[3] for line in said if line.startswith("one ")]
    assert states == ["alive", "dead"], told


def test_orders_of_the_manual_go_on_while_a_host_dies() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    script, rng = block(0, PAGE), Random()
    for begin in ("795", "810", "820"):
        assert f"{begin}$n" in script
        script = re.sub(rf"\b{begin}(?=\$n|\d\b)", free_ports(rng), script)
    assert " 10 & LOAD=$!\n" in script
    sent = "until grep -q 'orders are sent' $D/load || ! kill -0 $LOAD; do sleep 0.1; done"  # it may start late
    script = script.replace(" 10 & LOAD=$!\n", f" 10 >$D/load & LOAD=$!\n{sent}\n") + "cat $D/load\n"
    out, told = run(script)
    orders = re.search(r"^(\d+) orders, (\d+) failed;", out, re.MULTILINE)
    assert orders is not None, told
    assert (orders[1], orders[2]) == ("1000", "0"), told
    answered = re.search(r"^answered by (.*)", out, re.MULTILINE)
    assert answered is not None, told
    assert len(re.findall(r"(?:billing|stock)-\d+: \d+", answered[1])) == 6, told
    assert re.search(r"service_detached id=stock-\d+3 ", told), "the third instance was killed"
    assert re.search(r"member_dead .*name=host3 ", told), "and then its sidecar"
