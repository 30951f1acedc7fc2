"""How long a sidecar that has announced its leave stays for the journals of others.

Owns: the rule, and its bound. The others elect another leader while this one still answers, and commit with it where
they are no majority alone.
"""

import trio

from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.replica import Replica

LINGER_S = 2.0
"""Longer than the others take to elect a leader."""
LOOK_S = 0.05


async def linger(runtime: JournalRuntime) -> None:
    """Return once no journal needs us, or after LINGER_S."""
    with trio.move_on_after(LINGER_S):
        while runtime.journals is not None and any(
            _is_needed(runtime, replica) for replica in runtime.journals.replicas.values()
        ):
            await trio.sleep(LOOK_S)


def _is_needed(runtime: JournalRuntime, replica: Replica) -> bool:
    data = replica.data
    others = {
        place.replica for place in data.other_voters()
        if runtime.membership.member(place.node).standing is ProcessStanding.LIVES
    }  # fmt: skip
    bare = not data.configuration.has_majority(others)
    return bool(others) and data.votes and (bare or replica.leading is not None)
