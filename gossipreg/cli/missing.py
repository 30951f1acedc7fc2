"""What an answer lacks since a member did not give its part, for commands that ask all members."""

from collections.abc import Iterable

from gossipreg.cli.exit_codes import REFUSED
from gossipreg.cli.output import say_error


def say_missing(what: str, unanswered: Iterable[str], *, json: bool) -> int:
    """The exit code: 4 where something is missing, which is said in one line that begins with `what`. `unanswered` has
    names of members that did not answer, and texts about journals and members; a name has no spaces."""
    found = sorted(set(unanswered))
    members = [one for one in found if " " not in one]
    silent = [f"no answer from {', '.join(members)} (ask again in a moment)"] if members else []
    parts = [*silent, *(one for one in found if " " in one)]
    if not parts:
        return 0
    say_error("unavailable", f"{what}: {'; '.join(parts)}", json=json)
    return REFUSED
