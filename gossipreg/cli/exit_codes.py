"""The exit codes of commands, beside 0 (done) and 1 (a plain no)."""

from gossipreg.errors import BadConfig, CannotStartYet, GossipregError

USAGE = 2
UNREACHABLE = 3
REFUSED = 4
NOT_STARTED = 5
NOT_STARTED_YET = 6
NOT_WRITTEN = 7
"""8 is of a sidecar whose disk did not take all at the end: `daemon/finishing.py`."""
INTERRUPTED = 130
READER_GONE = 141


def of_start(error: GossipregError) -> int:
    """The exit code of `join` when it cannot start: after 2 and 5 an operator has to act, and the
    reason of 6 may go away by itself."""
    if isinstance(error, BadConfig):
        return USAGE
    return NOT_STARTED_YET if isinstance(error, CannotStartYet) else NOT_STARTED
