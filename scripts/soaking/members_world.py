"""Sidecars that are hosts of their own, each with a small disk, and what can be done to each.

Owns the sidecars, disks and hosts, and whether all journals are whole. Never knows: which programs are beside them,
which faults come when, or what must hold at the end.
"""

import random
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError, Unavailable
from scripts.tools.network import LinkedHosts
from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.small_disk import SmallDisk

MEMBERS = 6
DISK_BYTES = 256 * 1024 * 1024
"""More than all journals take while they drain; memory is used only for what is written."""
CALL_S = 5.0
PORT = 7940
SOUND = ("here", "current", "behind (following)")
"""The states of a voter that has its disk and gets the entries of its journal, which come all the time."""


@dataclass(slots=True)
class HostedMember:
    number: int
    disk: SmallDisk
    sidecar: Sidecar
    state: str = "up"
    """Or `down`, `paused`."""

    @property
    def name(self) -> str:
        return self.sidecar.name

    @property
    def data(self) -> Path:
        return self.disk.path / "data"

    def ask(self, method: str, **params: Any) -> Any:
        with Client(str(self.sidecar.socket), timeout_s=CALL_S) as client:
            return client.call(method, **params)


class MembersWorld:
    def __init__(self, rng: random.Random, *flags: str) -> None:
        """`flags`: of `join`, for all of them."""
        self.rng = rng
        self._flags = flags
        self._stack = ExitStack()
        self._lacks = LinkedHosts.missing()
        self._started = 0
        self.members: list[HostedMember] = []
        try:
            self._hosts = None if self._lacks else self._stack.enter_context(LinkedHosts(MEMBERS))
            self._ports = [PORT if self._hosts else free_port() for _ in range(MEMBERS)]
            self._sidecars = self._stack.enter_context(Sidecars())
            self.notes = self._sidecars.folder / "notes"
            self.notes.mkdir()
            for number in range(MEMBERS):
                self._add_member(number)
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        return self._sidecars.folder

    @property
    def why_no_cuts(self) -> str:
        return self._lacks

    @property
    def can_fill(self) -> bool:
        return all(one.disk.works for one in self.members)

    def programs(self) -> list[subprocess.Popen[bytes]]:
        """All that runs beside the sidecars."""
        return []

    def close(self) -> None:
        for process in self.programs():
            process.kill()
            process.wait()
        self._stack.close()

    # -- sidecars ----------------------------------------------------------------------------------------------------

    def _add_member(self, number: int) -> None:
        disk = SmallDisk(self.folder / f"disk{number}", DISK_BYTES)
        self._stack.callback(disk.close)
        self.members.append(HostedMember(number, disk, self._start(number, disk.path / "data")))

    def _start(self, number: int, data: Path) -> Sidecar:
        seeds = [f"--seed={self._address(other)}" for other in range(2) if other != number]
        prefix = self._hosts.command(number) if self._hosts else []
        return self._sidecars.start(
            f"n{number}", *("--bind", self._address(number)), *("--data-dir", str(data)),
            *("--host-id", f"host{number}"), *("--log-format", "json"), *self._flags, *seeds,
            seed=False, command=[*prefix, *COMMAND],
        )  # fmt: skip

    def _address(self, number: int) -> str:
        host = self._hosts.address(number) if self._hosts else "127.0.0.1"
        return f"{host}:{self._ports[number]}"

    def kill(self, member: HostedMember) -> None:
        member.sidecar.kill()
        member.state = "down"

    def restart(self, member: HostedMember) -> None:
        """Wait until its socket answers."""
        member.sidecar.close()
        self._sidecars.all.remove(member.sidecar)
        member.sidecar = self._start(member.number, member.data).wait_ready()
        member.state = "up"

    def pause(self, member: HostedMember) -> None:
        member.sidecar.stop()
        member.state = "paused"

    def resume(self, member: HostedMember) -> None:
        member.sidecar.resume()
        member.state = "up"

    def cut(self, side: list[HostedMember]) -> None:
        """Nothing passes between these members and the others."""
        assert self._hosts is not None
        numbers = {one.number for one in side}
        self._hosts.cut(numbers, {one.number for one in self.members} - numbers)

    def heal(self) -> None:
        if self._hosts is not None:
            self._hosts.heal()

    def delete_data(self, member: HostedMember) -> None:
        """Under the running sidecar."""
        shutil.rmtree(member.data)

    # -- programs ----------------------------------------------------------------------------------------------------

    def program(
        self, module: str, member: HostedMember, *arguments: str, ending: str, inside: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program that is called with a socket, these arguments and a new file for its notes. `inside`: on the
        member's host, so that it is cut off with it."""
        self._started += 1
        notes = self.notes / f"{module}-{self._started}{ending}"
        prefix = self._hosts.command(member.number) if inside and self._hosts else []
        with (self.folder / "programs.log").open("ab") as out:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", f"scripts.soaking.{module}", str(member.sidecar.socket), *arguments,
                 str(notes)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip

    def host_of(self, member: HostedMember) -> str:
        """Its address for others."""
        return self._address(member.number).rpartition(":")[0]

    # -- what the sidecars say ---------------------------------------------------------------------------------------

    def why_not_whole(self) -> str:
        """Which journal lacks a leader, or a copy that is current; empty: none."""
        journals: dict[str, list[dict[str, Any]]] = {}
        for member in self.members:
            if member.state != "up":
                return f"{member.name} is {member.state}"
            try:
                found = member.ask("journals")
            except GossipregError as error:
                return f"{member.name}: {error}"
            for one in found:
                journals.setdefault(one["id"], []).append(one)
        if not journals:
            return "there are no journals"
        return next((f"journal {id[:8]}: {why}" for id, seen in journals.items() if (why := _why_not(seen))), "")

    def voters(self) -> set[str]:
        """The names of members that vote in some journal."""
        found: set[str] = set()
        for member in self.members:
            found |= {voter["name"] for one in member.ask("journals") for voter in one["voters"]}
        return found

    def unled(self) -> str:
        """A journal that nobody leads; empty: none."""
        led: dict[str, bool] = {}
        for member in self.members:
            try:
                found = member.ask("journals")
            except Unavailable as error:
                return f"{member.name}: {error}"
            for one in found:
                led[one["id"]] = led.get(one["id"], False) or one["role"] == "leads"
        return next((f"nobody leads journal {id[:8]}" for id, leads in led.items() if not leads), "")

    def bugs(self) -> list[str]:
        """Where sidecars failed inside, by their logs."""
        return [line for one in self.members for line in one.sidecar.log.read_text().splitlines() if '"bug"' in line]


def _why_not(seen: list[dict[str, Any]]) -> str:
    leaders = [one for one in seen if one["role"] == "leads"]
    if len(leaders) != 1:
        return f"{len(leaders)} leaders among {', '.join(one['role'] for one in seen)}"
    [leader] = leaders
    if len(leader["voters"]) != 3 or leader["learners"]:
        return f"{len(leader['voters'])} voters and {len(leader['learners'])} learners"
    return ", ".join(f"{one['name']} is {one['state']}" for one in leader["voters"] if one["state"] not in SOUND)
