"""Lasting conditions of this sidecar: each is a line of the log, and a trouble in `info` for as long as it lasts."""

import errno
import time
from collections import Counter

from gossipreg.daemon.logs import Log
from gossipreg.daemon.own_addresses import UNKNOWN
from gossipreg.daemon.seeds import Seed
from gossipreg.daemon.troubles import Troubles
from gossipreg.net.descriptors import descriptors_limit

SET_ASIDE_S = 86_400.0
"""For how long `info` shows that a file of the history was set aside."""

ACCEPT_SAID_S = 10.0
"""While connections cannot be accepted, that is said once in this time: each listener tries ten times a second."""


class Reports:
    def __init__(self, log: Log, troubles: Troubles) -> None:
        self._log = log
        self._troubles = troubles
        self._accept_said_at = -ACCEPT_SAID_S

    def not_kept(self, why: str) -> None:
        """The data directory cannot be written."""
        message = f"{why}: registrations are refused until it can be written; deregistering works"
        self._troubles.saw("not_kept", message, lasting=True)
        self._log.line(
            "error", "not_kept", {"message": f"{why}; trying again: see `gossipreg info`"}, repeat_key="not_kept"
        )

    def kept_again(self) -> None:
        self._troubles.over("not_kept")
        self._log.info("kept_again", message="the data directory can be written again, and is up to date")

    def history_not_kept(self, why: str) -> None:
        """The disk does not take the lines of the history."""
        self._troubles.saw("history_not_kept", f"the history is not written: {why}", lasting=True)
        self._log.line("error", "history_not_kept", {"message": f"{why}; trying again"}, repeat_key="history_not_kept")

    def history_kept_again(self, lost: int) -> None:
        self._troubles.over("history_not_kept")
        message = f"{lost} lines of it are lost: they had no room in memory" if lost else "no line of it is lost"
        self._log.line(
            "warning" if lost else "info", "history_kept_again",
            {"message": f"the history is written again; {message}", "lost": lost},
        )  # fmt: skip

    def history_set_aside(self, message: str) -> None:
        self._troubles.saw("history_set_aside", f"the history began anew: {message}", for_s=SET_ASIDE_S)
        self._log.warning("history_set_aside", message=message)

    def clock_set(self, by_s: float) -> None:
        """The wall clock was set while this sidecar ran."""
        how = "forward" if by_s > 0 else "back"
        self._log.warning("clock_set", by_s=round(by_s, 3), message=f"the clock was set {how} by {abs(by_s):.3g} s")

    def seed_unresolved(self, seed: Seed, why: str) -> None:
        self._troubles.saw(f"seed_unresolved {seed}", f"the name of the seed {seed} does not resolve: {why}")
        fields = {"seed": str(seed), "reason": why, "message": "its name does not resolve; trying again"}
        self._log.line("warning", "seed_unresolved", {**fields}, repeat_key=f"seed {seed}")

    def seed_resolved(self, seed: Seed) -> None:
        self._troubles.over(f"seed_unresolved {seed}")

    def address_known(self, known: bool) -> None:
        """Whether this host has an address that others can reach."""
        if known:
            self._troubles.over("no_address")
        else:
            self._troubles.saw("no_address", UNKNOWN, lasting=True)
            self._log.warning("no_address", message=UNKNOWN)

    def crowded(self, message: str) -> None:
        """A client of the local socket got no free place."""
        self._troubles.saw("crowded", message)
        self._log.line("warning", "clients_crowded", {"message": message}, repeat_key="clients_crowded")

    def has_room(self) -> None:
        """Every next client of the local socket gets a free place."""
        self._troubles.over("crowded")

    def cannot_accept(self, error: OSError) -> None:
        """A connection waits at a listener of this sidecar, since the system has no room for it."""
        now = time.monotonic()
        if now - self._accept_said_at < ACCEPT_SAID_S:
            return
        self._accept_said_at = now
        message = _why_not_accepted(error)
        self._troubles.saw("cannot_accept", message)
        self._log.line("error", "cannot_accept", {"message": message}, repeat_key="cannot_accept")

    def look_at_unsent(self, dropped: Counter[str]) -> None:
        """`dropped` counts the datagrams that the network could not send, by reason."""
        if unsent := self._troubles.look_at_unsent(dropped):
            self._log.line("warning", "cannot_send", {"message": unsent}, repeat_key="cannot_send")


def _why_not_accepted(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        why = f"this sidecar has as many files and connections open as it may, {descriptors_limit()}"
    elif error.errno == errno.ENFILE:
        why = "this machine has as many files and connections open as it may"
    else:
        why = "this machine is short of memory"
    return f"{why}: clients and other sidecars wait until some are closed"
