"""Lists of the sagas of all journals: several members answer, and nothing is jumped over, said twice or left unsaid."""

import tracemalloc
from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.journal.effects import Confirmed
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_calls import ListAsked, ShowAsked
from gossipreg.sagas.saga_effects import ProveLeadership, SagaCallAnswered, SendSagaMessage
from gossipreg.sagas.saga_messages import SagaCall, SagaReply
from gossipreg.sagas.saga_survey import ALL_JOURNALS, CLOSED, MEMBER_ANSWER_BYTES, SagaSurveys, member_answer
from gossipreg.timers import Timers
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import JOURNAL, BenchView, SagaSidecar

ONE, OTHER = NodeId(b"1" * 16), NodeId(b"2" * 16)
SAGA = f"{JOURNAL.hex()}.s1"


def surveys() -> SagaSurveys:
    return SagaSurveys(Timers(), {JOURNAL: OTHER}.get, lambda: (), lambda: False, timeout_s=10.0)


def reply(result: object, code: str = "") -> SagaReply:
    return SagaReply(journal=ALL_JOURNALS, number=1, code=code, result=packb(result))


def listed(answers: dict[NodeId, list[object]], asked: ListAsked | None = None) -> Any:
    """What comes of a list to which members answer this."""
    asking = surveys()
    asking.ask(1, "list", b"", asked or ListAsked("", 1000), [*answers], 0.0)
    effects = [effect for node, answer in answers.items() for effect in asking.answered(node, reply(answer))]
    (answer,) = effects
    assert isinstance(answer, SagaCallAnswered)
    return unpackb(answer.result)


def stories(*names: str) -> list[dict[str, object]]:
    return [{"saga": name} for name in names]


def names(told: Any) -> list[str]:
    return [one["saga"] for one in told["sagas"]]


def test_a_page_ends_where_the_first_cut_list_ends() -> None:
    told = listed({
        ONE: member_answer(stories("a1", "a2"), [], cut=True),
        OTHER: member_answer(stories("a0", "b1", "c1"), [], cut=False),
    })  # fmt: skip
    assert names(told) == ["a0", "a1", "a2"]
    assert told["more"]


def test_a_list_says_whether_more_is_behind_it() -> None:
    for found, more in ((stories("a1"), False), (stories(*(f"a{n:04}" for n in range(1001))), True)):
        assert listed({ONE: member_answer(found, [], cut=False)})["more"] is more


def test_pages_of_cut_lists_jump_over_no_saga() -> None:
    all_of = {ONE: [f"a{n:04}" for n in range(1000)], OTHER: [f"{'ab'[n % 2]}{n:04}x" for n in range(1050)]}
    found: list[str] = []
    after = ""
    while True:
        rests = {node: [name for name in sorted(of) if name > after] for node, of in all_of.items()}
        page = names(
            listed({node: member_answer(stories(*of[:70]), [], cut=len(of) > 70) for node, of in rests.items()})
        )
        if not page:
            break
        found += page
        after = page[-1]
    assert found == sorted(all_of[ONE] + all_of[OTHER])


def test_a_member_says_that_its_list_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    for number in range(4):
        bench.step(bench.begin(f"s{number}"), "a")
    assert asked_of(bench, limit=5)[-1] == [False, [JOURNAL]]
    assert asked_of(bench, limit=2)[-1] == [True, [JOURNAL]]
    monkeypatch.setattr("gossipreg.sagas.saga_shapes._ROOM_BYTES", MEMBER_ANSWER_BYTES + 500)
    found = asked_of(bench, limit=5)
    assert found[-1] == [True, [JOURNAL]]
    assert 0 < len(found) - 1 < 4


def asked_of(bench: Bench, **params: object) -> Any:
    """What the member that leads answers."""
    (leader,) = bench.sidecars
    bench.run(0.1)
    call = SagaCall(journal=ALL_JOURNALS, number=1, method="list", params=packb(params))
    (asked,) = leader.sagas.received(OTHER, call, bench.now)
    assert isinstance(asked, ProveLeadership)
    (sent,) = leader.sagas.on_journal(Confirmed(JOURNAL, asked.number), bench.now)
    assert isinstance(sent, SendSagaMessage)
    assert isinstance(sent.message, SagaReply)
    return unpackb(sent.message.result)


def test_an_answer_of_an_older_release_is_not_cut() -> None:
    assert names(listed({ONE: [*stories("a")], OTHER: [*stories("b")]})) == ["a", "b"]


@pytest.mark.parametrize("order", [(ONE, OTHER), (OTHER, ONE)])
def test_a_saga_that_two_members_say_is_the_leaders(order: tuple[NodeId, NodeId]) -> None:
    """The other one was replaced, and does not know it yet."""
    said: dict[NodeId, list[object]] = {node: [{"saga": SAGA, "state": node.decode()[:1]}] for node in order}
    assert listed(said)["sagas"] == [{"saga": SAGA, "state": "2"}]
    asking = surveys()
    asking.ask(1, "show", b"", ShowAsked(None, "s1"), order, 0.0)
    (answer,) = [effect for node in order for effect in asking.answered(node, reply(said[node]))]
    assert isinstance(answer, SagaCallAnswered)
    assert (answer.code, unpackb(answer.result)) == ("", {"saga": SAGA, "state": "2"})


def test_a_fenced_leader_makes_no_second_saga(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(members=3)
    saga = bench.begin()
    bench.step(saga, "a")
    fenced, new, other = bench.sidecars
    bench.lead(new, fenced=True)
    monkeypatch.setattr(BenchView, "leaders", lambda _: [fenced.node, new.node])
    assert bench.ok("show", other, saga="s1")["saga"] == saga
    assert [one["saga"] for one in bench.ok("list", other)["sagas"]] == [saga]
    assert fenced.leads


def told(bench: Bench, at: SagaSidecar) -> tuple[str, str, Any]:
    """(code and text of a show by a bare id, what a list has not)"""
    code, shown = bench.ask("show", at, saga="s1")
    return code, shown.get("text", ""), bench.ok("list", at)["unanswered"]


UNLED = "journal 4a4a4a4a: nobody leads it"
UNPROVEN = "journal 4a4a4a4a: its leader did not prove that it leads it"


def test_a_journal_with_a_copy_here_and_no_leader_is_named() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.step(bench.begin(), "a")
    bench.lead(other)
    bench.crash(other)
    assert told(bench, one) == (
        "unavailable", f"no saga 's1' where a journal is led, but {UNLED}: ask again later", [UNLED],
    )  # fmt: skip


def test_a_journal_that_was_claimed_and_has_no_leader_is_named() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.crash(one)
    assert told(bench, other)[::2] == ("not_found", [])
    bench.claimed.add(JOURNAL)
    assert told(bench, other)[::2] == ("unavailable", [UNLED])


def test_the_journal_of_a_program_here_and_no_leader_is_named() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.begin(at=other)
    bench.crash(one)
    assert told(bench, other)[::2] == ("unavailable", [UNLED])


def test_a_leader_that_is_not_established_leads_nothing_yet() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.depose(one)
    bench.claimed.add(JOURNAL)
    assert bench.leader is one
    assert told(bench, other)[::2] == ("unavailable", [UNPROVEN])


def test_a_journal_that_is_led_is_not_named() -> None:
    bench = Bench(members=2)
    bench.claimed.add(JOURNAL)
    bench.step(bench.begin("s2", at=bench.sidecars[1]), "a", bench.sidecars[1])
    for sidecar in bench.sidecars:
        assert told(bench, sidecar)[::2] == ("not_found", [])


@pytest.mark.parametrize("who", [0, 1])
def test_a_journal_that_has_ended_is_not_named(who: int) -> None:
    """The row of its owner, which is gone, claims it for as long as that is remembered: a day."""
    bench = Bench(members=2)
    _, other = bench.sidecars
    gone = JournalId(b"e" * 16)
    bench.claimed |= {JOURNAL, gone}
    assert told(bench, other)[::2] == ("unavailable", ["journal 65656565: nobody leads it"])
    bench.ended[bench.sidecars[who].node] = {gone}
    assert told(bench, other)[::2] == ("not_found", [])


def test_journals_on_a_disk_that_cannot_be_read_are_missing() -> None:
    """The sidecar had been restarted and its database could not be opened: it listed no saga, and missed none."""
    bench = Bench()
    bench.closed = True
    assert told(bench, bench.sidecars[0]) == (
        "unavailable", f"no saga 's1' where a journal is led, but {CLOSED}: ask again later", [CLOSED],
    )  # fmt: skip


def test_a_member_that_leads_nothing_is_asked_whether_a_journal_has_ended() -> None:
    """Whoever ended it may lead no other journal. Nobody asked it, so that a list named this journal for a day."""
    bench = Bench(members=3)
    _, keeper, asker = bench.sidecars
    gone = JournalId(b"e" * 16)
    bench.claimed |= {JOURNAL, gone}
    bench.keepers[gone] = [keeper.node]
    assert told(bench, asker)[::2] == ("unavailable", ["journal 65656565: nobody leads it"]), "it has not heard of it"
    bench.ended[keeper.node] = {gone}
    assert told(bench, asker)[::2] == ("not_found", [])


@pytest.mark.parametrize("cut", [False, True])
def test_a_silent_member_that_leads_nothing_is_not_missed(cut: bool) -> None:
    """What it may know of an end is missing, and the journal is named for that."""
    bench = Bench(members=3)
    _, keeper, asker = bench.sidecars
    gone = JournalId(b"e" * 16)
    bench.claimed |= {JOURNAL, gone}
    bench.keepers[gone] = [keeper.node]
    bench.ended[keeper.node] = {gone}
    if cut:
        bench.cut.add(frozenset((keeper.node, asker.node)))
    else:
        keeper.up = False
    assert told(bench, asker)[::2] == ("unavailable", ["journal 65656565: nobody leads it"])


def test_nobody_is_asked_for_the_end_of_journals_that_are_led() -> None:
    bench = Bench(members=3)
    _, keeper, asker = bench.sidecars
    bench.claimed.add(JOURNAL)
    bench.keepers[JOURNAL] = [keeper.node]
    effects = asker.sagas.call("list", {}, bench.now)[1]
    assert [one.node for one in effects if isinstance(one, SendSagaMessage)] == [bench.sidecars[0].node]


def test_a_journal_that_nobody_leads_is_named_with_its_whereabouts() -> None:
    bench = Bench(members=2)
    gone = JournalId(b"e" * 16)
    bench.claimed |= {JOURNAL, gone}
    bench.whereabouts[gone] = "web-1 did last"
    text = "journal 65656565: nobody leads it, web-1 did last"
    assert told(bench, bench.sidecars[1]) == (
        "unavailable", f"no saga 's1' where a journal is led, but {text}: ask again later", [text],
    )  # fmt: skip


def test_the_journals_of_a_silent_member_are_not_named_twice() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    bench.claimed.add(JOURNAL)
    ticket = bench.call("list", other)
    bench.break_stream(other, one)
    assert bench.answers[ticket] == ("", {"sagas": [], "unanswered": [one.node], "more": False, "next": ""})


def test_an_answer_that_is_no_list_is_none() -> None:
    asking = surveys()
    asking.ask(1, "list", b"", ListAsked("", 9), [ONE], 0.0)
    deep = SagaReply(journal=ALL_JOURNALS, number=1, code="", result=b"\x91" * 1000 + b"\x00")
    (answer,) = asking.answered(ONE, deep)
    assert isinstance(answer, SagaCallAnswered)
    assert names(unpackb(answer.result)) == []


def test_a_list_keeps_no_more_than_it_shows() -> None:
    """Answers of many members, each as large as a message: what comes behind the page takes no memory."""
    nodes = [NodeId(bytes([number]) * 16) for number in range(1, 33)]
    asking = surveys()
    asking.ask(1, "list", b"", ListAsked("", 5), nodes, 0.0)
    tracemalloc.start()
    try:
        for place, node in enumerate(nodes[:-1]):
            told = [{"saga": f"{n:02}{place:02}", "reason": chr(65 + n) * 2_000} for n in range(100)]
            assert asking.answered(node, reply(member_answer(told, [], cut=False))) == []
            del told
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
    (answer,) = asking.answered(nodes[-1], reply(member_answer([], [], cut=False)))
    assert isinstance(answer, SagaCallAnswered)
    assert names(unpackb(answer.result)) == ["0000", "0001", "0002", "0003", "0004"]


def test_saga_is_found_by_the_beginning_of_its_journal() -> None:
    bench = Bench(members=2)
    saga = bench.begin()
    at = bench.sidecars[1]
    for name in (f"{JOURNAL.hex()[:4]}.s1", f"{JOURNAL.hex()[:31].upper()}.s1"):
        assert bench.ok("show", at, saga=name)["saga"] == saga
    for name in (f"{JOURNAL.hex()[:3]}.s1", "0a0b.s1", f"{JOURNAL.hex()[:4]}.s2", f"{JOURNAL.hex()[:4]}."):
        assert bench.ask("show", at, saga=name)[0] in ("not_found", "bad_params")


def test_short_name_that_is_the_bare_id_of_another_saga_is_told_apart() -> None:
    bench = Bench()
    short = f"{JOURNAL.hex()[:4]}.s1"
    assert bench.ok("show", saga=bench.begin(short))["id"] == short
    assert bench.ok("show", saga=short)["id"] == short
    bench.begin("s1")
    code, answer = bench.ask("show", saga=short)
    assert code == "bad_params"
    assert f"name one of {JOURNAL.hex()}.{short}, {JOURNAL.hex()}.s1" in answer["text"]
