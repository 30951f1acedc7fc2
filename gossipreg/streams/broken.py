"""Streams that broke at this end, and that the other end may hold for open: when one is opened again. Pure.

Owns: those members, and the waits between attempts. Never knows: what was sent, or who lives.

A leader has no timer for what it waits for. It sends that again when it learns that the stream broke. But a stream may
break at one end alone: a firewall resets it towards one end, or the bytes of one end stay unacked until its kernel
gives up, which tells the other end nothing (RFC 9293, 3.8.3). If an answer was lost with it, and nothing else is sent
that way, the other end would wait for ever. So the end that knows opens a stream again, though it may have nothing to
send, until one is open: that one takes the place of the one that the other end holds.

An end that closes a stream says so, and opens no other one. That word may be lost, too: where the next message cannot
be sent either, attempts go on until a stream is open. Where bytes were in flight when it closed the stream, an answer
among them may be lost as well, so it counts as broken.
"""

from dataclasses import dataclass
from math import inf

from gossipreg.model import NodeId
from gossipreg.retry import Retry

AGAIN = Retry(first_s=1.0, longest_s=10.0)
FORGET_S = 60.0
"""A stream that breaks so long after the one before begins with a short wait again."""


@dataclass(slots=True)
class _Broken:
    wait_s: float
    due: float
    """When a stream is opened again; infinity where one is open."""
    since: float
    """When the last stream, or the last attempt, ended."""
    closed: bool = False
    """We closed the last stream, and none has been open since."""


class BrokenStreams:
    def __init__(self) -> None:
        self._broken: dict[NodeId, _Broken] = {}

    def __len__(self) -> int:
        """Members that may hold a stream for open that broke here."""
        return sum(one.due != inf for one in self._broken.values())

    def broke(self, node: NodeId, now: float) -> float:
        """A stream to this member was open, and ended here without a word of the other end. Returns when to open one
        again."""
        self._broken = {
            id: one for id, one in self._broken.items() if one.due != inf or one.closed or now - one.since < FORGET_S
        }
        before = self._broken.get(node)
        wait_s = AGAIN.after(before.wait_s) if before is not None and before.wait_s else AGAIN.first_s
        self._broken[node] = _Broken(wait_s, now + wait_s, now)
        return now + wait_s

    def closed(self, node: NodeId, now: float) -> None:
        """A stream to this member was open, and was closed here."""
        before = self._broken.get(node)
        self._broken[node] = _Broken(0.0 if before is None else before.wait_s, inf, now, closed=True)

    def not_opened(self, node: NodeId, now: float) -> float | None:
        """An attempt to open a stream to this member failed. Returns when to try again; None: that is not needed, since
        the other end knows that the last stream is over, or the next attempt is set already: messages that cannot be
        sent set no more of them."""
        before = self._broken.get(node)
        return self.broke(node, now) if before is not None and (before.closed or before.due <= now) else None

    def is_due(self, node: NodeId, due: float) -> bool:
        """Whether a stream is still to be opened at this time, which `broke` or `not_opened` returned."""
        return node in self._broken and self._broken[node].due == due

    def opened(self, node: NodeId) -> None:
        """A stream to this member is open: the other end knows, or learns, that the one before is over."""
        if node in self._broken:
            self._broken[node].due, self._broken[node].closed = inf, False

    def forget(self, node: NodeId) -> None:
        """The process at the other end does not run any more: nobody waits there."""
        self._broken.pop(node, None)
