"""How a sidecar leaves its journals: it hands over what it leads before it announces the leave.

Owns: the bound. Never knows: who gets a journal, or which journal needs this sidecar (`journal/departure.py`). While it
hands over, this sidecar is a member as before, so its votes and its answers count.
"""

import trio

from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.journal.departure import is_needed

LEAVE_JOURNALS_S = 3.0
"""The wait for what is done for a journal (1 s), and for an heir that does not stand (2 s)."""
LOOK_S = 0.02


async def leave_journals(runtime: JournalRuntime) -> bool:
    """Return once no journal needs this sidecar, or each that does has had its time, after LEAVE_JOURNALS_S at the
    latest: False if one still needs it, or if that failed."""
    if runtime.journals is None:
        return True
    if not runtime.leave():
        return False
    with trio.move_on_after(LEAVE_JOURNALS_S):
        while not runtime.journals.may_leave:
            await trio.sleep(LOOK_S)
    copies = (replica.data for replica in runtime.journals.replicas.values())
    return runtime.journals.may_leave and not any(data.out is None and is_needed(data) for data in copies)
