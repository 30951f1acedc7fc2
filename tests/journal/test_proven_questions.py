"""Questions to all journals that are led here wait for proofs that are not older than they are, and for no more."""

from itertools import count
from math import inf

from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import AGAIN_S, MAX_QUESTIONS, PROVE_S, ProofAsked, ProvenQuestions

ONE, OTHER = JournalId(b"1" * 16), JournalId(b"2" * 16)


def questions() -> ProvenQuestions[str]:
    return ProvenQuestions(count(1))


def test_a_question_waits_for_a_proof_of_each_journal() -> None:
    asking = questions()
    assert asking.ask("a", [ONE, OTHER], 0.0) == [ProofAsked(ONE, 1), ProofAsked(OTHER, 2)]
    assert asking.ready(0.0) == []
    assert asking.confirmed(ONE, 1, 0.1) == []
    assert asking.ready(0.1) == []
    asking.confirmed(OTHER, 2, 0.2)
    (ready,) = asking.ready(0.2)
    assert (ready.question, ready.proven, ready.unproven) == ("a", (ONE, OTHER), ())
    assert asking.next_due() == inf


def test_a_question_without_journals_waits_for_nothing() -> None:
    asking = questions()
    assert asking.ask("a", [], 0.0) == []
    assert [ready.question for ready in asking.ready(0.0)] == ["a"]


def test_a_proof_asked_for_before_a_question_does_not_count_for_it() -> None:
    asking = questions()
    asking.ask("a", [ONE], 0.0)
    assert asking.ask("b", [ONE], 0.1) == []
    assert asking.confirmed(ONE, 1, 0.2) == [ProofAsked(ONE, 2)]
    assert [ready.question for ready in asking.ready(0.2)] == ["a"]
    assert asking.confirmed(ONE, 1, 0.3) == []
    assert asking.ready(0.3) == []
    asking.confirmed(ONE, 2, 0.4)
    assert [ready.question for ready in asking.ready(0.4)] == ["b"]


def test_questions_that_came_before_a_proof_was_asked_for_share_it() -> None:
    asking = questions()
    asked = [proof for number in range(100) for proof in asking.ask(f"q{number}", [ONE], number / 1000)]
    asked += asking.confirmed(ONE, 1, 0.2)
    asked += asking.confirmed(ONE, 2, 0.3)
    assert (len(asked), len(asking.ready(0.3))) == (2, 100)


def test_a_journal_without_a_proof_does_not_hold_up_the_others() -> None:
    asking = questions()
    asking.ask("a", [ONE, OTHER], 0.0)
    asking.confirmed(ONE, 1, 0.1)
    assert asking.ready(PROVE_S - 0.001) == []
    (ready,) = asking.ready(PROVE_S)
    assert (ready.proven, ready.unproven) == ((ONE,), (OTHER,))
    assert (asking.next_due(), asking.advance(10.0)) == (inf, [])


def test_a_proof_that_is_lost_is_asked_for_again() -> None:
    asking = questions()
    asking.ask("a", [ONE, OTHER], 0.0)
    asking.confirmed(ONE, 1, 0.1)
    assert asking.next_due() == AGAIN_S
    assert asking.advance(AGAIN_S) == [ProofAsked(OTHER, 3)]
    assert asking.next_due() == 2 * AGAIN_S
    asking.confirmed(OTHER, 3, 2 * AGAIN_S)
    assert len(asking.ready(2 * AGAIN_S)) == 1


def test_a_journal_that_is_not_led_any_more_is_unproven() -> None:
    """Also where its proof was there, and where it is led here again: what was asked may have changed."""
    asking = questions()
    asking.ask("a", [ONE, OTHER], 0.0)
    asking.confirmed(ONE, 1, 0.1)
    asking.lost(ONE)
    asking.lost(OTHER)
    (ready,) = asking.ready(0.2)
    assert (ready.proven, ready.unproven) == ((), (ONE, OTHER))


def test_a_question_that_nobody_waits_for_leaves_nothing_behind() -> None:
    asking = questions()
    asking.ask("a", [ONE], 0.0)
    asking.drop(lambda question: question == "a")
    assert (asking.next_due(), asking.advance(10.0), asking.ready(10.0)) == (inf, [], [])
    assert asking.confirmed(ONE, 1, 10.0) == []


def test_no_more_questions_wait_than_there_is_room_for() -> None:
    asking = questions()
    for number in range(MAX_QUESTIONS):
        assert not asking.is_full()
        asking.ask(str(number), [ONE], 0.0)
    assert asking.is_full()
