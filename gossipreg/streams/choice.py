"""Which of two streams between the same two members stays. Pure, so that every case can be looked at.

Both ends decide by themselves and must come to the same answer, or both streams would go. They do:

    the process at the other end is a newer one     its stream stays: the older process is gone
    the same end opened both                        the newer one stays: an end opens another only if its last one is
                                                    gone, even if we have not seen that
    we opened the present one, it was confirmed     the newer one stays: the other end had the present one, and opens
                                                    another, so it has lost it
    else the two crossed                            the one opened by the lower node id stays

Before both are open there is nothing to choose: an end that is opening one gives that up as soon as another is open.
"""

from dataclasses import dataclass

from gossipreg.model import NodeId
from gossipreg.streams.values import StreamMember


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """A stream to a member, as its own end sees it."""

    other: StreamMember
    opened_here: bool
    confirmed: bool
    """The other end has shown that it counts this stream as open."""


def newer_stays(own: NodeId, present: StreamEnds, newer: StreamEnds) -> bool:
    """Whether `newer`, which has just been opened, takes the place of `present`."""
    if present.other.boot_id != newer.other.boot_id:
        return newer.other.generation >= present.other.generation
    if present.opened_here == newer.opened_here or present.confirmed:
        return True
    return newer.opened_here == (own < newer.other.id)
