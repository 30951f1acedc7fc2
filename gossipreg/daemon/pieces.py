"""Looking at every member takes long in a large cluster: it is done in pieces, and other tasks run in between."""

from collections.abc import Callable
from typing import TypeVar

import trio

from gossipreg.model import NodeId

Made = TypeVar("Made")

PIECE = 256
"""Members that are handled in one step of about two milliseconds, before other tasks run."""


async def in_pieces(ids: list[NodeId], look: Callable[[NodeId], Made | None], most: int | None = None) -> list[Made]:
    """Call `look` for each member and return its results other than None, at most `most`. Other tasks run in between,
    so each member is seen as it is at its own turn."""
    made: list[Made] = []
    for first in range(0, len(ids), PIECE):
        if first:
            await trio.lowlevel.checkpoint()
        made += [one for one in map(look, ids[first : first + PIECE]) if one is not None]
        if most is not None and len(made) >= most:
            return made[:most]
    return made
