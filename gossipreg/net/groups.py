"""Groups of the system, as options name them."""

import grp

from gossipreg.errors import BadConfig, CannotStartYet

GID_MAX = 2**32 - 2
"""The system takes the next number, -1, for "leave the group as it is"."""


def group_id(text: str, flag: str) -> int:
    """The number of the group with this name or number, given with this option. Raises BadConfig, or CannotStartYet if
    there is no such group."""
    if not text.strip():
        raise BadConfig(f"{flag} is empty: name a group, or leave it out")
    if text.isascii() and text.isdigit():
        if len(text) > len(str(GID_MAX)) or int(text) > GID_MAX:
            raise BadConfig(f"{flag} {text!r}: the number of a group is at most {GID_MAX}")
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        message = f"{flag} {text!r}: there is no such group (see `getent group`), or its directory is not up yet"
        raise CannotStartYet(message) from None
