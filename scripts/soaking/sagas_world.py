"""The world of the soak of sagas: services with ledgers and programs with sagas beside the sidecars of a
`MembersWorld`, and what can be done to each. Never knows: which faults come when, or what must hold at the end.
"""

import random
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipreg.errors import GossipregError, Unavailable
from scripts.soaking.members_world import MEMBERS, HostedMember, MembersWorld
from scripts.soaking.saga_notes import ENDING
from scripts.soaking.sagas_judge import AFTER, STEPS
from scripts.tools.programs import free_port
from scripts.tools.wait import wait_for

PROGRAMS, INSTANCES = 4, 2
A_MINUTE = 50.0
"""Sagas of each program."""
READY_S = 120.0
LIST_LIMIT = 200


@dataclass(slots=True)
class SagaProcess:
    """A service or a program. Killed ones are started again at the same sidecar."""

    what: str
    name: str
    member: HostedMember
    process: subprocess.Popen[bytes]
    port: int = 0


class SagasWorld(MembersWorld):
    def __init__(self, rng: random.Random) -> None:
        self.services: list[SagaProcess] = []
        self.takers: list[SagaProcess] = []
        self._ended: list[subprocess.Popen[bytes]] = []
        self._runs = 0
        super().__init__(rng)

    @property
    def books(self) -> list[Path]:
        return [self.folder / f"{name}.db" for name in (*STEPS, *AFTER)]

    def programs(self) -> list[subprocess.Popen[bytes]]:
        return [*(one.process for one in (*self.services, *self.takers)), *self._ended]

    def start_programs(self) -> None:
        """The services; the programs, once each sidecar knows all of them and its journal has its copies."""
        for number, name in enumerate((*STEPS, *AFTER)):
            for instance in range(INSTANCES):
                member, port = self.members[(number * INSTANCES + instance) % MEMBERS], free_port()
                self.services.append(SagaProcess("saga_service", name, member, self._service(name, member, port), port))
        for member in self.members:
            wait_for(lambda member=member: _knows_all(member), READY_S, 0.2)  # type: ignore[misc]
        for number, member in enumerate(self.members[:PROGRAMS]):
            wait_for(lambda member=member: _has_copies(member), READY_S, 0.2)  # type: ignore[misc]
            self.takers.append(SagaProcess("saga_program", f"p{number}", member, self._program(f"p{number}", member)))

    def _service(self, name: str, member: HostedMember, port: int) -> subprocess.Popen[bytes]:
        arguments = (name, self.host_of(member), str(port), str(self.folder / f"{name}.db"), self._seed())
        return self.program("saga_service", member, *arguments, ending=".log", inside=True)

    def _program(self, name: str, member: HostedMember) -> subprocess.Popen[bytes]:
        self._runs += 1  # ids of a program that was killed are not used again
        return self.program("saga_program", member, f"{name}-{self._runs}", str(A_MINUTE), self._seed(), ending=ENDING)

    def _seed(self) -> str:
        return str(self.rng.randrange(1 << 32))

    def kill_program(self, one: SagaProcess) -> None:
        one.process.kill()
        one.process.wait()

    def restart_program(self, one: SagaProcess) -> None:
        if one.what == "saga_service":
            one.process = self._service(one.name, one.member, one.port)
        else:
            one.process = self._program(one.name, one.member)

    def hang_program(self, one: SagaProcess) -> None:
        one.process.send_signal(signal.SIGSTOP)

    def resume_program(self, one: SagaProcess) -> None:
        one.process.send_signal(signal.SIGCONT)

    def end_takers(self, bound_s: float) -> int:
        """No new sagas; how many programs had sagas without an end after `bound_s`."""
        for one in self.takers:
            one.process.terminate()
        try:
            wait_for(lambda: all(one.process.poll() is not None for one in self.takers), bound_s, 0.1)
        except AssertionError:
            return sum(one.process.poll() is None for one in self.takers)
        return 0

    # -- what the sidecars say ---------------------------------------------------------------------------------------

    def sagas(self, state: str) -> list[dict[str, Any]]:
        """All sagas of the cluster in this state. Raises GossipregError where one cannot be known."""
        found: list[dict[str, Any]] = []
        while True:
            after = {"after": found[-1]["saga"]} if found else {}
            told = self.members[0].ask("saga-list", state=state, limit=LIST_LIMIT, **after)
            if told["unanswered"]:
                raise Unavailable(f"no answer from {', '.join(told['unanswered'])}")
            found += told["sagas"]
            if not told["sagas"]:
                return found


def _knows_all(member: HostedMember) -> bool:
    return all(len(member.sidecar.lookup(name)) >= INSTANCES for name in (*STEPS, *AFTER))


def _has_copies(member: HostedMember) -> bool:
    try:
        return bool(member.ask("publish", type="warm.up", data=b"")["takeover"])
    except GossipregError:
        return False
