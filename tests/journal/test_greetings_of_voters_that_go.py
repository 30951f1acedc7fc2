"""A voter that is being replaced, while both the old voters and the new ones count, and that needs the whole state."""

from dataclasses import replace

from gossipreg.journal.effects import LogBase
from gossipreg.journal.greeting import DOUBT_S
from gossipreg.journal.messages import Append, InstallState, ReplicaHello
from gossipreg.journal.model import START, Ballot, Configuration, Position, ReplicaId, ReplicaPlace
from gossipreg.model import BootId, NodeId
from tests.journal.by_hand import JOURNAL, Bench, Voter

BALLOT_ROUND = 9


def goes() -> tuple[Bench, Voter, Voter, Configuration]:
    """The leader of three voters, and one of them in whose place another one is to vote."""
    bench = Bench(3)
    s1, _, s3 = bench.voters
    stored = s3.disk[JOURNAL]
    voters = stored.base.configuration.voters
    new = ReplicaPlace(ReplicaId(b"n" * 16), NodeId(b"n" * 16), b"n")
    joint = Configuration((*voters[:2], new), before=voters)
    s3.disk[JOURNAL] = replace(stored, base=replace(stored.base, configuration=joint))
    s3.start()
    s3.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: Ballot(BALLOT_ROUND, s1.replica)}
    s3.act(s3.journals.start(bench.now))
    bench.drop(s3, s1)
    return bench, s1, s3, joint


def piece(s1: Voter, s3: Voter, configuration: Configuration, number: int) -> InstallState:
    ballot = Ballot(BALLOT_ROUND, s1.replica)
    return InstallState(
        journal=JOURNAL, sender=s1.replica, receiver=s3.replica, ballot=ballot, base=Position(ballot, 1000), led_ms=1,
        configuration=configuration, number=number, records=((b"%d" % number, b"x"),), last=False,
    )  # fmt: skip


def greetings(bench: Bench) -> int:
    return sum(isinstance(message, ReplicaHello) for _, _, message in bench.sent)


def test_a_voter_that_gets_a_state_does_not_greet_in_between() -> None:
    """The leader began the state anew each time, so one that took longer was never there. The other voters of before
    may be dead, so that this one is needed."""
    bench, s1, s3, joint = goes()
    for number in range(200):
        s3.act(s3.journals.receive(s1.node, piece(s1, s3, joint, number), bench.now))
        bench.now += 0.25
        s3.act(s3.journals.advance(bench.now))
    assert greetings(bench) == 0


def test_a_voter_that_gets_no_more_of_a_state_greets() -> None:
    bench, s1, s3, joint = goes()
    for number in range(8):
        s3.act(s3.journals.receive(s1.node, piece(s1, s3, joint, number), bench.now))
        bench.now += 0.25
        s3.act(s3.journals.advance(bench.now))
    bench.now += 2.0
    s3.act(s3.journals.advance(bench.now))
    assert greetings(bench) == 1


def test_a_copy_that_was_reached_and_then_forgotten_greets_again() -> None:
    """An append does not follow on an empty log, so it leaves nothing there. If the leader lets the copy go after that,
    and the stream breaks, the copy has to ask."""
    bench = Bench(3)
    s1, s2, _ = bench.voters
    s2.disk[JOURNAL] = replace(s2.disk[JOURNAL], base=LogBase(START, 0, Configuration(())), entries=())
    s2.start()
    s2.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: Ballot(9, s1.replica)}
    s2.act(s2.journals.start(bench.now))
    append = Append(
        journal=JOURNAL, sender=s1.replica, receiver=s2.replica, ballot=Ballot(9, s1.replica),
        before=Position(Ballot(9, s1.replica), 7), entries=(), commit=7,
    )  # fmt: skip
    bench.sent.clear()
    s2.act(s2.journals.receive(s1.node, append, bench.now))
    bench.now += 3.0
    s2.act(s2.journals.advance(bench.now))
    assert greetings(bench) == 1


def test_a_voter_that_was_taken_for_dead_asks_after_a_close() -> None:
    """What the leader sent before it replaced this voter reaches it, and then the word that it is let go is lost."""
    bench = Bench(3)
    s1, s2, _ = bench.voters
    ballot = Ballot(9, s1.replica)
    s2.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: ballot}
    s2.act(s2.journals.start(bench.now))
    append = Append(
        journal=JOURNAL, sender=s1.replica, receiver=s2.replica, ballot=ballot, before=START, entries=(), commit=0,
    )  # fmt: skip

    def greets_after_a_close() -> bool:
        s2.act(s2.journals.receive(s1.node, append, bench.now))
        bench.sent.clear()
        s2.act(s2.journals.closed(s1.node, bench.now))
        bench.now += 3.0
        s2.act(s2.journals.advance(bench.now))
        return greetings(bench) == 1

    assert not greets_after_a_close()
    s2.view.incarnation = (0, 1)
    s2.act(s2.journals.members_changed(bench.now))
    assert greets_after_a_close()
    bench.now += DOUBT_S
    assert not greets_after_a_close()


def test_a_learner_asks_after_a_close_whether_it_is_let_go() -> None:
    """The voter in whose place it was to come is back, and the word for that is lost: it kept its copy for as long as
    that leader led."""
    bench = Bench(3)
    s1, _, s3 = bench.voters
    stored, ballot = s3.disk[JOURNAL], Ballot(BALLOT_ROUND, s1.replica)
    places = stored.base.configuration.voters
    learns = replace(stored.base, configuration=Configuration(places[:2], learners=places[2:]))
    s3.disk[JOURNAL] = replace(stored, base=learns)
    s3.start()
    s3.view.rows[s1.node] = BootId(b"\1" * 8), {JOURNAL: ballot}
    s3.act(s3.journals.start(bench.now))
    append = Append(
        journal=JOURNAL, sender=s1.replica, receiver=s3.replica, ballot=ballot, before=START, entries=(), commit=0,
    )  # fmt: skip
    s3.act(s3.journals.receive(s1.node, append, bench.now))
    bench.sent.clear()
    s3.act(s3.journals.closed(s1.node, bench.now))
    bench.now += 2.0
    s3.act(s3.journals.advance(bench.now))
    assert greetings(bench) == 1
