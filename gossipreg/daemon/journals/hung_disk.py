"""Notices a disk that hangs: it neither fails nor answers, so nobody else tells.

Owns: when the disk is looked at. While nothing was asked of it, nothing is looked at, so an idle sidecar does not wake
up for it. The thread that works with the disk is left alone: what it does may still be done.
"""

import trio

from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.store import JournalStore

HUNG_S = 5.0
"""The store's thread works on the same thing for so long. A sound disk takes milliseconds, a busy one a second."""
LOOK_S = 1.0
LOOK_COUNTS_S = 2 * LOOK_S
"""The most that counts of the time between two looks: where more has passed, this process did not run meanwhile, and
neither did the thread."""


class HungDisk:
    def __init__(self, reports: JournalReports) -> None:
        self._reports = reports
        self._asked = trio.Event()
        self.hangs = False
        self._busy_s = 0.0
        """How long the thread has worked on the same thing, of the time that counts."""

    def asked(self) -> None:
        """Something was asked of the store."""
        self._asked.set()

    async def watch(self, store: JournalStore) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            while True:
                await trio.sleep(LOOK_S)
                statistics = store.statistics()
                self._look(statistics.busy_s)
                if not (statistics.busy_s or statistics.waiting):
                    break

    def _look(self, busy_s: float) -> None:
        self._busy_s = min(busy_s, self._busy_s + LOOK_COUNTS_S)
        if self._busy_s >= HUNG_S:
            if not self.hangs:
                self._reports.disk_hangs(self._busy_s)
            self.hangs = True
        elif self.hangs:
            self.hangs = False
            self._reports.disk_answers()
