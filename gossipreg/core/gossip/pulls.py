"""Fetching rows: pulls, paced by the one who pulls.

Owns: which rows are being fetched from whom, and which wait for their turn. Never knows: how it was found out that a
row is behind (an announcement, a gap, a comparison, a list), beyond whether it is to be told on.

At most `pulls_at_once` rows are on their way, so that what comes fits a socket's receive buffer. A row of several pages
is pulled page by page. A pull that is not answered within its bound is repeated, first with the same member, then with
others. After `_TRIES` it is given up and noted as missing: a member that is not synced lists and pulls again
(`join.py`), a synced one finds the row again by anti-entropy.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gossipreg.core.context import Context
from gossipreg.core.gossip.asked_again import AskedAgain
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, NodeId, Version
from gossipreg.wire.messages import Claim, Pull

_TRIES = 4
_WAITING_MAX = 200_000
"""Twice the rows of the largest table; beyond it the rest is left to anti-entropy."""
_GIVEN_UP_MAX = 1024
"""The number of rows that are noted as missing at most."""
_GIVEN_UP_S = 150.0
"""A note is dropped when no pull has failed for this long: anti-entropy pulls a missing row again within 64 s."""


@dataclass(frozen=True, slots=True)
class PullAgain:
    """Timer: this row's pull was not answered."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class _GivenUp:
    peer: NodeId
    """The member that has it."""
    goal: Version
    at: float


@dataclass(slots=True)
class _Pulling:
    peer: NodeId
    goal: Version
    rumour: bool
    source: NodeId
    """The member that said that it has the row at `goal`."""
    tries: int = 0
    have: Version = NOTHING
    """Where we were when it was last asked for."""


class Pulls:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel, paths: PathMtu) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._paths = paths
        self._pulling: dict[NodeId, _Pulling] = {}
        self._waiting: OrderedDict[NodeId, _Pulling] = OrderedDict()
        self._given_up: dict[NodeId, _GivenUp] = {}
        self._told: dict[NodeId, tuple[str, str]] = {}
        """Members reported as `pull_failed`, with the name and address that were reported."""
        self._answers = AskedAgain()

    @property
    def busy(self) -> bool:
        """Whether anything is being fetched, or waits for it."""
        return bool(self._pulling or self._waiting)

    def wants(self, id: NodeId) -> bool:
        """Whether this row is being fetched, or waits for its turn."""
        return id in self._pulling or id in self._waiting

    def pulling(self, id: NodeId) -> bool:
        return id in self._pulling

    def told_on(self, id: NodeId) -> bool:
        """Whether a page of this row is news: false where it was found by comparing."""
        pulling = self._pulling.get(id)
        return pulling is None or pulling.rumour

    def want(self, id: NodeId, peer: NodeId, goal: Version, have: Version, *, rumour: bool) -> None:
        """`peer` has the row at `goal`, and we are at `have`: fetch it, now or in its turn."""
        known = self._pulling.get(id) or self._waiting.get(id)
        if known is not None:
            known.rumour = known.rumour or rumour
            if goal > known.goal:
                known.goal, known.peer, known.source = goal, peer, peer
            return
        pulling = _Pulling(peer, goal, rumour, peer)
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
        """A page of this row came: go on with the next, or be done with it. One that moved nothing (an old one, or a
        rumour meanwhile) leaves it to the timer: else who answers with the same page again would keep us asking."""
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
        """Nothing more is wanted of this row (it is here, or it is gone)."""
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
        pulling = self._pulling.get(id)
        if pulling is None:
            return
        if pulling.tries >= _TRIES:
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
        """Give up a pull that nobody answers. If the row was given up before, and the member that has it was heard
        since then, report that its pages are lost on the way. At 20 % random loss one row in 60 is given up once, and
        one in 3,600 twice."""
        context, source, before = self._context, pulling.source, self._given_up.get(id)
        context.count("pulls_failed")
        self._table.doubt(id, context.now)
        if id in self._given_up or len(self.missing()) < _GIVEN_UP_MAX:
            self._given_up[id] = _GivenUp(source, pulling.goal, context.now)
        peer = self._channel.session(source)
        if before is not None and peer is not None and peer.heard_at > before.at:
            name, address = self._told[source] = self._channel.named_at(source)
            context.event("pull_failed", row=self._table.name(id), name=name, address=address)
        self.done(id)

    def look(self) -> None:
        """Once a period: report the members whose rows have all arrived after all."""
        if self._told:
            still = self.missing().values()
            for source in [source for source in self._told if source not in still]:
                name, address = self._told.pop(source)
                self._context.event("pull_failed_over", name=name, address=address)

    def missing(self) -> dict[NodeId, NodeId]:
        """The rows that were given up and are not here yet, each with the member that has it."""
        oldest = self._context.now - _GIVEN_UP_S
        for id, one in list(self._given_up.items()):
            row = self._table.rows.get(id)
            if one.at < oldest or (row is not None and (row.dead or row.left or row.told >= one.goal)):
                del self._given_up[id]
        return {id: one.peer for id, one in self._given_up.items()}

    def died(self, id: NodeId, generation: int) -> None:
        """Stop fetching this start of `id`: a member says that it is dead."""
        known = self._pulling.get(id) or self._waiting.get(id)
        if known is not None and known.goal.generation <= generation:
            self.done(id)
        given_up = self._given_up.get(id)
        if given_up is not None and given_up.goal.generation <= generation:
            del self._given_up[id]

    def forget(self, id: NodeId) -> None:
        """It left the ring. If its row is gone too, nothing of it is missing."""
        if id not in self._table.rows:
            self._given_up.pop(id, None)

    def on_not_understood(self, peer: NodeId) -> None:
        """It had to ask who we are, so it dropped our pulls: send them again at once."""
        for id, pulling in self._pulling.items():
            if pulling.peer == peer:
                self._channel.to(peer, Pull(id, *pulling.have))

    # -- the other side ----------------------------------------------------------------------------------------------

    def on_pull(self, peer: NodeId, message: Pull) -> None:
        """Answer with the next page of the row, where there is room for it; the puller asks again."""
        context = self._context
        if not self._channel.room(Class.PAGE):
            return
        since = Version(message.generation, message.counter)
        if self._answers.again(peer, (message.id, since)):
            self._paths.doubt(peer)
        page = self._table.page(message.id, since, self._channel.limit(peer))
        if page is not None:
            self._channel.to(peer, page)
            if peer in self._channel.large:
                self._answers.answered(peer, (message.id, since))
            return
        context.count("pulls_of_nothing")
        row = self._table.rows.get(message.id)
        if row is not None and row.dead and message.generation <= row.liveness.generation:
            self._channel.to(peer, Claim(row.id, *row.liveness, by=row.reporter or context.id))  # that is why
