"""The places for clients at the local socket: how many there are, and which connection gets one.

Owns the bounds on connections: of all, of one user, of one process; the last places are kept for root and the sidecar's
own user. If a new client finds no place, the user with the most connections loses the one that has been idle for
longest. So no user can lock out another, and idle processes, however many, cannot lock out a new client. A connection
is not idle while it watches, holds a service, or waits for an answer. Nobody loses one to a user who has as many: if
neither this user nor one who has more has an idle one, the new client is refused.

Everything is counted as it changes, so that a connection costs the same whatever the number of others.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from gossipreg.callers import Caller
from gossipreg.net.descriptors import LOCAL_CLIENTS_MAX
from gossipreg.quick_dataclass import dataclass

MAX_CLIENTS_A_PROCESS = 128
"""One process that never closes a connection must not lock the others out."""
KEPT_MAX = 64


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    all: int
    of_user: int
    kept: int
    """Places that only root and the sidecar's own user may take."""
    of_process: int = MAX_CLIENTS_A_PROCESS


def limits_for(clients: int) -> PlaceLimits:
    """The limits if there is room for this number of clients in all."""
    return PlaceLimits(all=clients, of_user=clients * 3 // 4, kept=min(KEPT_MAX, clients // 8))


MOST = limits_for(LOCAL_CLIENTS_MAX)


class Placed(Protocol):
    """A connection that takes a place."""

    @property
    def caller(self) -> Caller: ...

    @property
    def idle(self) -> bool:
        """Whether the client loses nothing but time if this connection ends and it connects again."""

    def make_room(self) -> None:
        """End, for the sake of another client."""


P = TypeVar("P", bound=Placed)


class Places(Generic[P]):
    def __init__(self, limits: PlaceLimits = MOST) -> None:
        self.limits = limits
        self._taken: dict[P, None] = {}
        self._users: Counter[int] = Counter()
        self._processes: Counter[int] = Counter()
        self._may_rest: dict[int, dict[P, None]] = {}
        """By user, the connections that neither watch nor hold a service, the one that asked longest ago first."""

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[P]:
        return iter(list(self._taken))

    @property
    def has_room(self) -> bool:
        """Whether any user's next client gets a place without another losing it."""
        most = max(self._users.values(), default=0)
        return len(self._taken) < self.limits.all - self.limits.kept and most < self.limits.of_user

    def fault(self, caller: Caller, dropped: Counter[str], crowded: Callable[[str], None]) -> str:
        """Why one more connection of this caller is refused, counted in `dropped`; empty if it has a place, for which
        another connection may have been ended. `crowded` gets a message if there was no free one."""
        same = self._processes[caller.pid]
        if same >= self.limits.of_process:
            dropped["client_process_too_many"] += 1
            return f"process {caller.pid} has {same} connections: close some of them"
        kept_for_us = caller.uid in (0, os.geteuid())
        of_user, total = self._users[caller.uid], len(self._taken)
        if not kept_for_us and of_user >= self.limits.of_user:
            to_blame = [caller.uid]
            why = f"user {caller.uid} has {of_user} connections, as many as one user may, and none of them is idle"
        elif total >= self.limits.all - (0 if kept_for_us else self.limits.kept):
            users = self._users.most_common()
            to_blame = [uid for uid, number in users if uid == caller.uid or number > of_user + 1]
            why = f"the sidecar has {total} clients, and none is idle of user {caller.uid} or of one with more of them"
        else:
            return ""
        most = ", ".join(f"{number} of user {uid}" for uid, number in self._users.most_common(3))
        if any(self._make_room(uid) for uid in to_blame):
            dropped["client_idle"] += 1
            crowded(f"{total} clients at the local socket, {most}: those idle for longest are closed")
            return ""
        dropped["client_too_many"] += 1
        crowded(f"{total} clients at the local socket, {most}: one more of user {caller.uid} is refused, since {why}")
        return f"{why}: close some connections"

    def take(self, connection: P) -> None:
        self._taken[connection] = None
        self._users[connection.caller.uid] += 1
        self._processes[connection.caller.pid] += 1
        self.note(connection, may_rest=True)

    def leave(self, connection: P) -> None:
        """Give the place back. It may be called again."""
        if connection not in self._taken:
            return
        del self._taken[connection]
        caller = connection.caller
        for counter, key in ((self._users, caller.uid), (self._processes, caller.pid)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        self.note(connection, may_rest=False)

    def note(self, connection: P, *, may_rest: bool) -> None:
        """The connection has asked something; `may_rest`: it neither watches nor holds a service now."""
        uid = connection.caller.uid
        resting = self._may_rest.setdefault(uid, {})
        resting.pop(connection, None)
        if may_rest and connection in self._taken:
            resting[connection] = None
        elif not resting:
            del self._may_rest[uid]

    def _make_room(self, uid: int) -> bool:
        """End the connection of this user that has been idle for longest. Returns False if there is none."""
        longest = next((one for one in self._may_rest.get(uid, ()) if one.idle), None)
        if longest is None:
            return False
        self.leave(longest)
        longest.make_room()
        return True
