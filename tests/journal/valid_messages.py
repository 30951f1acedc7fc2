"""Valid messages of replicas, for tests of what reads and writes them."""

from hypothesis import strategies as st

from gossipreg.journal import messages as m
from gossipreg.journal.codec import MAX_ENTRY_KIND, MAX_REASON_BYTES
from gossipreg.journal.message_forms import MAX_NUMBER
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import (
    NO_BALLOT,
    Ballot,
    Configuration,
    JournalId,
    LogEntry,
    Position,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.model import NodeId

ids = st.binary(min_size=16, max_size=16)
journals = ids.map(JournalId)
nodes = ids.map(NodeId)
replicas = ids.map(ReplicaId)
replicas_or_none = st.one_of(replicas, st.just(ReplicaId(b"")))
numbers = st.integers(0, MAX_NUMBER)
ballots = st.one_of(st.just(NO_BALLOT), st.builds(Ballot, st.integers(1, MAX_NUMBER), replicas))
positions = st.builds(Position, ballots, st.integers(0, 2**62))
places = st.lists(
    st.builds(ReplicaPlace, replicas, nodes, st.binary(max_size=32)), min_size=1, max_size=6, unique_by=lambda p: p[0]
)
reasons = st.text(max_size=MAX_REASON_BYTES // 4)
records = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=400)), max_size=5).map(tuple)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    chosen = draw(places)
    cut = sorted(draw(st.tuples(st.integers(1, len(chosen)), st.integers(1, len(chosen)))))
    return Configuration(tuple(chosen[: cut[0]]), tuple(chosen[cut[0] : cut[1]]), tuple(chosen[cut[1] :]))


@st.composite
def appends(draw: st.DrawFn) -> m.Append:
    before = draw(positions)
    told = draw(
        st.lists(st.tuples(ballots, numbers, st.integers(0, MAX_ENTRY_KIND), st.binary(max_size=400)), max_size=5)
    )
    entries = tuple(LogEntry(index, *fields) for index, fields in enumerate(told, before.index + 1))
    return m.Append(
        journal=draw(journals), sender=draw(replicas), receiver=draw(replicas), ballot=draw(ballots), before=before,
        entries=entries, commit=draw(numbers),
    )  # fmt: skip


def built(message: type[ReplicaMessage], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[ReplicaMessage]:
    every = {"journal": journals, "sender": replicas_or_none, "receiver": replicas_or_none}
    return st.builds(message, **every, **fields)


VALID: tuple[st.SearchStrategy[ReplicaMessage], ...] = (
    built(m.PreVote, attempt=numbers, position=positions, promised=ballots),
    built(m.PreVoteAnswer, attempt=numbers, granted=st.booleans(), promised=ballots),
    built(m.RequestVote, ballot=ballots, position=positions),
    built(m.Vote, ballot=ballots, granted=st.booleans(), promised=ballots),
    appends(),
    built(m.AppendAnswer, ballot=ballots, matches=st.booleans(), index=numbers, promised=ballots),
    built(
        m.InstallState, ballot=ballots, base=positions, led_ms=numbers, configuration=configurations(),
        number=numbers, records=records, last=st.booleans(),
    ),
    built(m.StateInstalled, ballot=ballots, base=positions, number=numbers, promised=ballots),
    built(m.AskLeader, number=numbers),
    built(m.LeaderAnswer, number=numbers, leads=st.booleans()),
    built(m.ConfirmLeader, ballot=ballots, number=numbers),
    built(m.LeaderConfirmed, ballot=ballots, number=numbers, promised=ballots),
    built(m.HandOver, ballot=ballots),
    built(m.ReplicaHello, promised=ballots, position=positions),
    built(m.ReplicaLost),
    built(m.ReplicaDismissed, ballot=ballots),
    built(m.TakeReplica, number=numbers, owner=nodes),
    built(m.ReplicaTaken, number=numbers),
    built(m.ReplicaRefused, number=numbers, reason=reasons),
    built(m.ReplicaLeaving),
)  # fmt: skip
messages = st.one_of(*VALID)
