"""Pulls: fetch rows from other members, page by page. The member that pulls sets the pace.

Owns: which rows are being pulled from which members, and which rows wait. Never knows: how it was found that a row is
behind (an announcement, a gap, anti-entropy, a list), except whether the row is to be gossiped on.

At most `pulls_at_once` rows are pulled at the same time, so that the answers fit the receive buffer of the socket. If
no answer comes within the timeout, the pull is sent again: first to the same member, later to other members. After
`pull_tries` the row is given up and noted as missing. A member that is not synced then lists and pulls it again
(`join.py`). A synced member finds the row again by anti-entropy.
"""

from collections import OrderedDict

from gossipreg.core.context import Context
from gossipreg.core.gossip.answered_requests import AnsweredRequests
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, NodeId, Version
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Claim, Pull

_WAITING_MAX = 200_000
"""Rows that wait: twice the rows of the largest table. Further rows are left to anti-entropy."""
_GIVEN_UP_MAX = 1024
"""Rows that are noted as missing. Further ones are left to anti-entropy."""


@dataclass(frozen=True, slots=True)
class PullAgain:
    """Timer: no answer to the pull of this row came within the timeout."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class _GivenUp:
    peer: NodeId
    """The member that has it."""
    goal: Version
    at: float
    """When its last pull failed."""


@dataclass(slots=True)
class _Pulling:
    peer: NodeId
    """The member that is sent the pull."""
    goal: Version
    gossip_on: bool
    """Whether the pages are gossiped on to other members."""
    source: NodeId
    """The member that said that it has the row at `goal`."""
    tries: int = 0
    """Pulls of the same page so far."""
    have: Version = NOTHING
    """The version that we had when the last pull was sent."""


class Pulls:
    def __init__(
        self, context: Context, table: Table, ring: Ring, channel: Channel, requests: AnsweredRequests
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._pulling: dict[NodeId, _Pulling] = {}
        """The rows that are being pulled."""
        self._waiting: OrderedDict[NodeId, _Pulling] = OrderedDict()
        """The rows that wait for their turn."""
        self._given_up: dict[NodeId, _GivenUp] = {}
        """The rows that are noted as missing."""
        self._reported: dict[NodeId, tuple[str, str]] = {}
        """Members reported as `pull_failed`, with the name and address that were reported."""
        self._requests = requests

    @property
    def busy(self) -> bool:
        """Whether any row is being pulled or waits."""
        return bool(self._pulling or self._waiting)

    def pending(self, id: NodeId) -> bool:
        """Whether this row is being pulled or waits."""
        return id in self._pulling or id in self._waiting

    def pulling(self, id: NodeId) -> bool:
        """Whether this row is being pulled now."""
        return id in self._pulling

    def gossips_on(self, id: NodeId) -> bool:
        """Whether a page of this row is to be gossiped on. False if many rows were found together by anti-entropy."""
        pulling = self._pulling.get(id)
        return pulling is None or pulling.gossip_on

    def pull(self, id: NodeId, peer: NodeId, goal: Version, have: Version, *, gossip_on: bool) -> None:
        """Pull this row, now or when its turn comes: `peer` has it at `goal`, and we have it at `have`. With
        `gossip_on` its pages are gossiped to other members."""
        known = self._pulling.get(id) or self._waiting.get(id)
        if known is not None:
            known.gossip_on = known.gossip_on or gossip_on
            if goal > known.goal:
                known.goal, known.peer, known.source = goal, peer, peer
            return
        pulling = _Pulling(peer, goal, gossip_on, peer)
        if len(self._pulling) < self._at_once():
            self._start(id, pulling, have)
        elif len(self._waiting) < _WAITING_MAX:
            self._waiting[id] = pulling
        else:
            self._context.count("pulls_dropped")

    def _at_once(self) -> int:
        config = self._context.config
        return min(config.pulls_at_once, config.pull_bytes_at_once // config.datagram_bytes)

    def _start(self, id: NodeId, pulling: _Pulling, have: Version) -> None:
        self._pulling[id] = pulling
        pulling.tries += 1
        pulling.have = have
        self._context.count("pulls")
        self._channel.to(pulling.peer, Pull(id, *have))
        self._context.timers.set(PullAgain(id), self._context.now + self._channel.bound_s(pulling.peer))

    def progressed(self, id: NodeId) -> None:
        """A page of this row came: pull the next page, or end the pull. After a page that changed nothing, only the
        timer pulls again; otherwise a member that answers with the same page again and again would keep us pulling."""
        pulling = self._pulling.get(id)
        if pulling is None:
            return
        row = self._table.rows.get(id)
        have = NOTHING if row is None else row.pull_from
        if have >= pulling.goal and (row is None or row.shadow is None):
            self.done(id)
        elif have != pulling.have:
            if have > pulling.have:
                pulling.tries = 0
            self._start(id, pulling, have)

    def done(self, id: NodeId) -> None:
        """End the pull of this row: the row is here, or its member is gone."""
        if self._pulling.pop(id, None) is not None:
            self._context.timers.cancel(PullAgain(id))
        self._waiting.pop(id, None)
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and len(self._pulling) < self._at_once():
            id, pulling = self._waiting.popitem(last=False)
            row = self._table.rows.get(id)
            have = NOTHING if row is None else row.pull_from
            if have < pulling.goal or (row is not None and row.shadow is not None):
                self._start(id, pulling, have)

    def on_pull_again(self, id: NodeId) -> None:
        """Send the pull of this row again, or give the row up: no answer came within the timeout."""
        pulling = self._pulling.get(id)
        if pulling is None:
            return
        if pulling.tries >= self._context.config.gossip.pull_tries:
            self._give_up(id, pulling)
            return
        context = self._context
        if pulling.tries >= 2:
            others = self._ring.sample(context.rng, 1, [pulling.peer])
            if others:
                pulling.peer = others[0]
        row = self._table.rows.get(id)
        self._start(id, pulling, NOTHING if row is None else row.pull_from)

    def _give_up(self, id: NodeId, pulling: _Pulling) -> None:
        """Give up a pull that no member answers. If the row was given up before, and a datagram of the member that has
        it came since then, report that its pages are lost on the way."""
        context, source, before = self._context, pulling.source, self._given_up.get(id)
        context.count("pulls_failed")
        self._table.quarantine(id, context.now)
        if id in self._given_up or len(self.missing()) < _GIVEN_UP_MAX:
            self._given_up[id] = _GivenUp(source, pulling.goal, context.now)
        peer = self._channel.session(source)
        if before is not None and peer is not None and peer.heard_at > before.at:
            name, address = self._reported[source] = self._channel.named_at(source)
            context.event("pull_failed", row=self._table.name(id), name=name, address=address)
        self.done(id)

    def on_period(self) -> None:
        """Once a period: report that all rows of a member that was reported as `pull_failed` have arrived now."""
        if self._reported:
            still = self.missing().values()
            for source in [source for source in self._reported if source not in still]:
                name, address = self._reported.pop(source)
                self._context.event("pull_failed_over", name=name, address=address)

    def missing(self) -> dict[NodeId, NodeId]:
        """The rows that were given up and are not here yet, each with the member that has it."""
        oldest = self._context.now - self._context.config.gossip.pull_missing_s
        for id, given_up in list(self._given_up.items()):
            row = self._table.rows.get(id)
            here_or_gone = row is not None and (row.dead or row.left or row.content_version >= given_up.goal)
            if given_up.at < oldest or here_or_gone:
                del self._given_up[id]
        return {id: given_up.peer for id, given_up in self._given_up.items()}

    def died(self, id: NodeId, generation: int) -> None:
        """Stop pulling this generation of `id`: a member says that it is dead."""
        known = self._pulling.get(id) or self._waiting.get(id)
        if known is not None and known.goal.generation <= generation:
            self.done(id)
        given_up = self._given_up.get(id)
        if given_up is not None and given_up.goal.generation <= generation:
            del self._given_up[id]

    def forget(self, id: NodeId) -> None:
        """This member is off the ring. If its row is gone too, it is not missing any more."""
        if id not in self._table.rows:
            self._given_up.pop(id, None)

    def on_dropped(self, peer: NodeId) -> None:
        """Send the pulls to this member again at once: it had no session with us, so it dropped them."""
        for id, pulling in self._pulling.items():
            if pulling.peer == peer:
                self._channel.to(peer, Pull(id, *pulling.have))

    # -- pulls of other members --------------------------------------------------------------------------------------

    def on_pull(self, peer: NodeId, message: Pull) -> None:
        """Answer with the next page of the row if the budget leaves room for it. If not, the peer pulls again."""
        context = self._context
        if not self._channel.room(Class.PAGE):
            return
        since = Version(message.generation, message.counter)
        self._requests.received(peer, (message.id, since))
        page = self._table.page(message.id, since, self._channel.limit(peer))
        if page is not None:
            self._channel.to(peer, page)
            self._requests.answered(peer, (message.id, since))
            return
        context.count("pulls_of_nothing")
        row = self._table.rows.get(message.id)
        if row is not None and row.dead and message.generation <= row.liveness.generation:
            # The peer cannot get the rest of a dead member's row, so it must know that this member is dead.
            self._channel.to(peer, Claim(row.id, *row.liveness, by=row.reporter or context.id))
