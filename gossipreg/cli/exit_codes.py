"""The exit codes of commands, beside 0 (done) and 1 (a plain no)."""

from gossipreg.errors import BadConfig, CannotStartYet, GossipregError

USAGE, UNREACHABLE, REFUSED, NOT_STARTED, NOT_STARTED_YET, NOT_WRITTEN, INTERRUPTED, READER_GONE = (
    2,
    3,
    4,
    5,
    6,
    7,
    130,
    141,
)


def of_start(error: GossipregError) -> int:
    """The exit code of `join` when it cannot start: after 2 and 5 an operator has to act, and the
    reason of 6 may go away by itself."""
    if isinstance(error, BadConfig):
        return USAGE
    return NOT_STARTED_YET if isinstance(error, CannotStartYet) else NOT_STARTED
