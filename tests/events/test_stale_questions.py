"""A leader that stood still while another one took over says nothing about its groups and dead letters, and decides
nothing about them."""

from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.events.effects import ConfirmLead, EventEffect, ProposeEntry, SendEventMessage
from gossipreg.events.entries import OutcomeCode
from gossipreg.events.messages import EventsCall, EventsReply
from gossipreg.journal.effects import Confirmed, Deposed
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.journal.proven_questions import MAX_QUESTIONS, PROVE_S
from gossipreg.model import NodeId
from tests.daemon.events.test_event_reports import JOURNAL, SECOND, Operator

OTHER = NodeId(b"o" * 16)
QUESTIONS: dict[str, dict[str, Any]] = {
    "groups": {}, "dead": {}, "retry": {"group": "mail"}, "drop": {"group": "mail"}, "forget": {"group": "mail"},
}  # fmt: skip


def ask(operator: Operator, method: str, number: int = 1, **params: Any) -> list[EventEffect]:
    call = EventsCall(number=number, method=method, params=packb({**QUESTIONS.get(method, {}), **params}))
    return operator.events.received(OTHER, call, operator.now)


def confirm(operator: Operator, asked: list[EventEffect]) -> list[EventEffect]:
    """All these proofs come."""
    effects: list[EventEffect] = []
    for one in asked:
        assert isinstance(one, ConfirmLead)
        effects += operator.events.on_journal(Confirmed(one.journal, one.number), operator.now)
    return effects


def replies(effects: list[EventEffect]) -> list[Any]:
    sent = [one.message for one in effects if isinstance(one, SendEventMessage)]
    assert all(isinstance(one, EventsReply) and not one.code for one in sent)
    return [unpackb(one.result) for one in sent if isinstance(one, EventsReply)]


def two_journals() -> Operator:
    """Each with a group and a dead letter of it."""
    operator = Operator()
    for journal in (JOURNAL, SECOND):
        by_hand = operator.lead(journal, "mail", events=1)
        number = by_hand.machine.groups["mail"].number
        (index,) = by_hand.machine.events
        by_hand.outcome(number, index, OutcomeCode.DEAD, "no")
    return operator


def depose(operator: Operator, journal: JournalId) -> list[EventEffect]:
    return operator.events.on_journal(Deposed(journal, NO_BALLOT, "another one leads"), operator.now)


@pytest.mark.parametrize("method", QUESTIONS)
def test_a_question_is_answered_once_its_journals_are_proven(method: str) -> None:
    operator = two_journals()
    asked = ask(operator, method)
    assert [one.journal for one in asked if isinstance(one, ConfirmLead)] == [JOURNAL, SECOND]
    assert replies(confirm(operator, asked[:1])) == []
    effects = confirm(operator, asked[1:])
    if method in ("groups", "dead"):
        (answer,) = replies(effects)
        assert (answer["proven"], answer["unproven"]) == ([JOURNAL, SECOND], [])
        assert len(answer.get("groups", answer.get("letters"))) == 2
    else:
        assert {one.journal for one in effects if isinstance(one, ProposeEntry)} == {JOURNAL, SECOND}
    assert operator.events.next_deadline() > operator.now + PROVE_S


@pytest.mark.parametrize("method", QUESTIONS)
def test_a_leader_that_stood_still_says_nothing_and_decides_nothing(method: str) -> None:
    """It knows nothing of the group, or of the letter, that the next leader has."""
    operator = Operator()
    operator.lead(JOURNAL)
    assert replies(ask(operator, method)) == []
    (answer,) = replies(depose(operator, JOURNAL))
    assert (answer["proven"], answer["unproven"]) == ([], [JOURNAL])


@pytest.mark.parametrize("method", QUESTIONS)
def test_a_journal_without_a_proof_does_not_hold_up_the_other(method: str) -> None:
    operator = two_journals()
    confirm(operator, ask(operator, method)[:1])
    operator.now += PROVE_S
    effects = operator.events.advance(operator.now)
    if method in ("groups", "dead"):
        (answer,) = replies(effects)
        assert (answer["proven"], answer["unproven"]) == ([JOURNAL], [SECOND])
        assert [one["journal"] for one in answer.get("groups", answer.get("letters"))] == [JOURNAL.hex()]
    else:
        assert [one.journal for one in effects if isinstance(one, ProposeEntry)] == [JOURNAL]


def test_a_decision_about_one_journal_waits_for_that_alone() -> None:
    operator = two_journals()
    (asked,) = ask(operator, "retry", journal=SECOND.hex())
    assert isinstance(asked, ConfirmLead)
    assert asked.journal == SECOND
    assert [one.journal for one in confirm(operator, [asked]) if isinstance(one, ProposeEntry)] == [SECOND]


def test_what_was_handled_here_needs_no_proof() -> None:
    operator = two_journals()
    (answer,) = replies(ask(operator, "trace", correlation="a"))
    assert answer["handled"] == []


def test_a_question_of_a_member_whose_stream_broke_waits_no_longer() -> None:
    operator = two_journals()
    before = operator.events.next_deadline()
    ask(operator, "groups")
    assert operator.events.next_deadline() < before
    operator.events.closed(OTHER, operator.now)
    assert operator.events.next_deadline() == before


def test_more_questions_than_there_is_room_for_are_busy() -> None:
    operator = two_journals()
    for number in range(MAX_QUESTIONS):
        ask(operator, "groups", number)
    (sent,) = ask(operator, "groups", MAX_QUESTIONS)
    assert isinstance(sent, SendEventMessage)
    assert isinstance(sent.message, EventsReply)
    assert sent.message.code == "busy"
