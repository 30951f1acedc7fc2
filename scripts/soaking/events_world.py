"""The world of the soak of events: publishers and handlers beside the sidecars of a `MembersWorld`, and what can be
done to each. Never knows: which faults come when, or what must hold at the end.
"""

import random
import signal
import subprocess
from dataclasses import dataclass

from gossipreg.errors import GossipregError
from scripts.soaking.event_notes import ENDING
from scripts.soaking.events_judge import GROUPS, WARM_UP
from scripts.soaking.members_world import CALL_S, MEMBERS, HostedMember, MembersWorld
from scripts.tools.wait import wait_for

PUBLISHERS, INSTANCES = 4, 2
RATE = 50.0
"""Events a second of each publisher."""
READY_S = 120.0


@dataclass(slots=True)
class HandlerProcess:
    group: str
    member: HostedMember
    process: subprocess.Popen[bytes]
    """Killed ones are started again at the same sidecar."""


class EventsWorld(MembersWorld):
    def __init__(self, rng: random.Random) -> None:
        self.publishers: list[subprocess.Popen[bytes]] = []
        self.handlers: list[HandlerProcess] = []
        super().__init__(rng)

    def programs(self) -> list[subprocess.Popen[bytes]]:
        return [*self.publishers, *(one.process for one in self.handlers)]

    # -- publishers and handlers -------------------------------------------------------------------------------------

    def start_programs(self) -> None:
        """The handlers, until every publisher's journal has its copies and knows their groups; then the publishers."""
        for number, group in enumerate(sorted(GROUPS)):
            for instance in range(INSTANCES):
                member = self.members[(number * INSTANCES + instance) % MEMBERS]
                self.handlers.append(HandlerProcess(group, member, self._handler(group, member)))
        for member in self.members[:PUBLISHERS]:
            wait_for(lambda member=member: _is_ready(member), READY_S, 0.2)  # type: ignore[misc]
        for member in self.members[:PUBLISHERS]:
            arguments = [f"p{member.number}", str(RATE), str(self.rng.randrange(1 << 32))]
            self.publishers.append(self.program("event_publisher", member, *arguments, ending=ENDING))

    def _handler(self, group: str, member: HostedMember) -> subprocess.Popen[bytes]:
        return self.program("event_handler", member, group, str(self.rng.randrange(1 << 32)), ending=ENDING)

    def kill_handler(self, handler: HandlerProcess) -> None:
        handler.process.kill()
        handler.process.wait()

    def restart_handler(self, handler: HandlerProcess) -> None:
        handler.process = self._handler(handler.group, handler.member)

    def hang_handler(self, handler: HandlerProcess) -> None:
        handler.process.send_signal(signal.SIGSTOP)

    def resume_handler(self, handler: HandlerProcess) -> None:
        handler.process.send_signal(signal.SIGCONT)

    def end_publishers(self, bound_s: float) -> int:
        """No new events; how many publishers still had events without an acknowledgement after `bound_s`."""
        for process in self.publishers:
            process.terminate()
        try:
            wait_for(lambda: all(process.poll() is not None for process in self.publishers), bound_s, 0.1)
        except AssertionError:
            return sum(process.poll() is None for process in self.publishers)
        return 0

    def end_handlers(self) -> None:
        for handler in self.handlers:
            handler.process.kill()
            handler.process.wait()

    # -- what the sidecars say ---------------------------------------------------------------------------------------

    def waiting(self) -> str:
        """What waits for handlers; empty: nothing."""
        told = self.members[0].ask("events-groups")
        if told["unanswered"]:
            return f"no answer from {', '.join(told['unanswered'])}"
        behind = [f"{one['group']} {one['pending']}" for one in told["groups"] if one["pending"]]
        return ", ".join(behind)


def _is_ready(member: HostedMember) -> bool:
    """Its journal has three copies, and it knows all groups."""
    try:
        told = member.ask("publish", type="order.created", data=b"", source=WARM_UP, timeout=CALL_S)
    except GossipregError:
        return False
    return bool(told["takeover"] and told["groups"] == len(GROUPS))
