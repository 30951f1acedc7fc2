"""`secret:NAME` in the value of a header: whoever sends the command puts the secret of that name there.

It stands for the whole value, or for one of its words: `secret:stock-token`, `Bearer secret:stock-token`. So a secret
is never in a journal.

Owns: the form of such a value. Never knows: where secrets are read from.
"""

import re
from collections.abc import Callable

from gossipreg.errors import BadParams

_MARK = "secret:"
_SECRET = re.compile(r"(?<![^ ])secret:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})(?![^ ])")
"""A name is that of a file in one folder: it has no slash, and does not begin with a dot."""


def secret_names(value: str) -> list[str]:
    """The names of the secrets in a header's value, in their order."""
    return _SECRET.findall(value)


def check_secrets(value: str, what: str) -> None:
    """Raises BadParams where something looks like a secret and is none, and so would be sent as it stands."""
    if value.count(_MARK) != len(secret_names(value)):
        raise BadParams(
            f"{what} has `secret:` without a name, or within a word: write secret:NAME or Bearer secret:NAME, where "
            "NAME has letters, digits, `_`, `.` and `-`"
        )


def fill_secrets(value: str, read: Callable[[str], str]) -> str:
    """The value as it is sent. `read` gives the secret of a name, and raises what it likes where there is none."""
    return _SECRET.sub(lambda found: read(found[1]), value)
