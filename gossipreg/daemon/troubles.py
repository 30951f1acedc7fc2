"""The present troubles of this sidecar, for `info`. The log reports each once; a person who looks later finds it here.

Owns for how long a trouble goes on. A trouble that is seen again and again (a seed that does not answer) is over when
it was not seen for a while; one with an end of its own (a disk that cannot be written) is over when that end is
reported.
"""

import os
from collections import Counter
from collections.abc import Callable
from errno import errorcode
from math import inf

from gossipreg.core.effects import Event
from gossipreg.daemon.narrow_paths import NarrowPaths
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.shapes import Shape

RECENT_S = 60.0
"""A trouble that goes on is seen several times in this time, however long the waits between attempts are."""
KINDS_MAX = 32
"""Different troubles at once; with more, the one that began first is dropped."""
OF_EVENTS = (
    "wrong_cluster", "incompatible_version", "not_our_key", "key_needed", "seed_silent", "seed_unusable",
    "duplicate_identity",
)  # fmt: skip
LASTING = ("out", "table_full")
"""Those of this sidecar itself, with an event for their end."""
ENDS = {"returned": "out", "table_full_over": "table_full"}
"""That event, and what it ends."""
UNTIL_IN_STEP = ("wrong_cluster", "incompatible_version", "not_our_key", "key_needed", "seed_silent", "pull_failed")
"""Those that may keep this sidecar from getting synced: they are over when it is."""
UNTIL_UNDERSTOOD = ("wrong_cluster", "incompatible_version", "not_our_key", "key_needed", "seed_silent")
"""Those that are over when their address answers."""
_NUMBERS = {name: number for number, name in errorcode.items()}


@dataclass(slots=True)
class _Trouble:
    message: str
    since: float
    seen_at: float
    for_s: float
    """It is over this long after it was seen last."""


class Troubles:
    def __init__(self, now: Callable[[], float], *, conflict_round_s: float = RECENT_S) -> None:
        """In an identity conflict that goes on, both processes are heard from once in `conflict_round_s`."""
        self._now = now
        self._for_s = {"duplicate_identity": max(RECENT_S, conflict_round_s)}
        self._held: dict[str, _Trouble] = {}
        self._narrow_paths = NarrowPaths()
        self._unsent: Counter[str] = Counter()

    def saw(
        self, key: str, message: str, *, lasting: bool = False, since_s: float = 0.0, for_s: float = RECENT_S
    ) -> None:
        """Report a trouble that goes on; a new one began `since_s` ago. It is over `for_s` after it was seen last, or
        with `lasting` when `over` is called."""
        now = self._now()
        held = self._held.get(key)
        since = held.since if held is not None and self._goes_on(held, now) else now - since_s
        self._held[key] = _Trouble(message, since, now, inf if lasting else for_s)
        if len(self._held) > KINDS_MAX:
            del self._held[min(self._held, key=lambda key: self._held[key].since)]

    def over(self, key: str) -> None:
        self._held.pop(key, None)

    def on_event(self, event: Event, message: str) -> None:
        """The events of the core, with their words."""
        address = dict(event.fields).get("address", "")
        if event.kind == "incompatible_version" and "id" in dict(event.fields):
            self.saw(f"incompatible_member {dict(event.fields)['id']}", message, lasting=True)
        elif event.kind == "incompatible_version_over":
            self.over(f"incompatible_member {dict(event.fields)['id']}")
        elif event.kind in OF_EVENTS:
            if event.kind in UNTIL_UNDERSTOOD and event.kind != "seed_silent":
                self.over(f"seed_silent {address}")  # it did answer
            self.saw(f"{event.kind} {address}", message, for_s=self._for_s.get(event.kind, RECENT_S))
        elif event.kind == "understood":
            for kind in UNTIL_UNDERSTOOD:
                self.over(f"{kind} {address}")
        elif event.kind in LASTING:
            self.saw(event.kind, message, lasting=True)
        elif event.kind in ENDS:
            self.over(ENDS[event.kind])
        elif event.kind == "pair_lossy":
            since_s = float(dict(event.fields)["since_s"])
            self.saw(f"pair_lossy {dict(event.fields)['id']}", message, lasting=True, since_s=since_s)
        elif event.kind == "pair_lossy_over":
            self.over(f"pair_lossy {dict(event.fields)['id']}")
        elif event.kind == "pull_failed":
            self.saw(f"pull_failed {address}", message, lasting=True)
        elif event.kind == "pull_failed_over":
            self.over(f"pull_failed {address}")
        elif event.kind in ("path_mtu", "path_mtu_over"):
            if narrow := self._narrow_paths.on_event(event):
                self.saw("path_mtu", narrow, lasting=True)
            else:
                self.over("path_mtu")
        elif event.kind == "synced":
            for key in [key for key in self._held if key.split(" ")[0] in UNTIL_IN_STEP]:
                del self._held[key]

    def look_at_unsent(self, dropped: Counter[str]) -> str:
        """The datagrams that could not be sent since the last look, in words, empty if there are none. `dropped` counts
        all that the network has dropped so far."""
        failed = Counter({name[5:]: count for name, count in dropped.items() if name.startswith("send_E")})
        new, self._unsent = failed - self._unsent, failed
        if not new:
            self.over("unsent")
            return ""
        [(name, _)] = new.most_common(1)
        message = f"{new.total()} datagrams could not be sent: {os.strerror(_NUMBERS.get(name, 0)).lower()}"
        self.saw("unsent", message)
        return message

    def shapes(self) -> list[Shape]:
        """For `info`, the one that began last first."""
        now = self._now()
        held = sorted(self._held.values(), key=lambda one: -one.since)
        return [
            {"message": one.message, "since_s": round(now - one.since, 3)} for one in held if self._goes_on(one, now)
        ]

    def _goes_on(self, trouble: _Trouble, now: float) -> bool:
        return now - trouble.seen_at <= trouble.for_s
