"""What the commands of scripts/ and the tests with real processes share."""

import os
import socket
from pathlib import Path

import pytest

from gossipreg.errors import Unreachable
from gossipreg.model import Address
from scripts.tools.figures import markdown, percentile
from scripts.tools.machine import cpu_s, private_dirty_kib
from scripts.tools.packets import forged
from scripts.tools.programs import free_port, running_program
from scripts.tools.wait import wait_for


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, part) for part in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([], 0.5) is None


def test_a_row_of_a_table_may_lack_cells() -> None:
    lines = ["| | a | b |", "|---|---|---|", "| x | 1 | 2 |", "| y | | |"]
    assert markdown(["", "a", "b"], [["x", "1", "2"], ["y"]]).splitlines() == lines


def test_waiting_ends_when_the_condition_holds() -> None:
    asked: list[int] = []

    def third_time() -> bool:
        asked.append(1)
        if len(asked) == 1:
            raise Unreachable("not yet")
        return len(asked) == 3

    assert wait_for(third_time, pause_s=0.001) < 30
    assert len(asked) == 3


def test_waiting_in_vain_names_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the moon rises"):
        wait_for(lambda: False, 0.01, 0.001, what="the moon rises")


def test_a_program_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_program(["sh", "-c", "sleep 1000 & echo $!; wait"], log) as process:
        wait_for(lambda: log.read_text().endswith("\n"))
        child = int(log.read_text())
        os.kill(child, 0)
    assert process.returncode is not None
    wait_for(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    """Whether there is such a process that is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_free_port_is_none_that_the_kernel_gives_out() -> None:
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    port = free_port()
    assert 10_000 <= port < first_given
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", port))
        udp.bind(("127.0.0.1", port))


def test_proc_says_what_this_process_takes() -> None:
    before_kib, before_s = private_dirty_kib(os.getpid()), cpu_s(os.getpid())
    kept = bytearray(os.urandom(32 << 20))
    assert private_dirty_kib(os.getpid()) - before_kib > 30 << 10
    assert cpu_s(os.getpid()) > before_s
    assert len(kept) == 32 << 20


def test_a_forged_packet_carries_the_datagram_from_its_source() -> None:
    packet = forged(Address("10.0.0.9", 7000), 7940, b"hello")
    assert (packet[0], packet[9]) == (0x45, socket.IPPROTO_UDP)
    assert (socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])) == ("10.0.0.9", "127.0.0.1")
    assert [int.from_bytes(packet[at : at + 2], "big") for at in (20, 22, 24)] == [7000, 7940, 8 + 5]
    assert packet[28:] == b"hello"
