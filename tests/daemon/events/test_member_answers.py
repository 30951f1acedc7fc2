"""What members answer to questions about events: broken bytes of one member take nothing from the others."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.daemon.events.asked_members import AskedMembers
from gossipreg.daemon.events.ended_journals import is_ended_answer, told_ended
from gossipreg.daemon.events.event_methods import METHODS
from gossipreg.daemon.events.kept_groups import NOT_KEPT
from gossipreg.daemon.events.member_answers import (
    MAX_DEAD,
    MAX_UNLED,
    MemberAnswer,
    dead_texts,
    member_answer_untrusted,
    unproven_texts,
    unspoken,
)
from gossipreg.errors import BadParams, Unavailable
from gossipreg.events.effects import CallAnswered, EventEffect
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from tests.daemon.sagas.test_saga_methods import BROKEN

GROUP = {
    "group": "mail", "journal": "00" * 16, "patterns": ["order.*"], "pending": 3, "bytes": 300, "unanswered": 1,
    "oldest_s": 1.5, "dead": 0,
}  # fmt: skip
LETTER = {
    "group": "mail", "journal": "00" * 16, "index": 7, "id": "a", "source": "shop", "type": "order.created", "key": "",
    "reason": "it raised", "attempts": 10, "age_s": 60, "holds": False,
}  # fmt: skip
HANDLED = {
    "id": "a", "source": "shop", "type": "order.created", "causation": "", "group": "mail", "attempt": 1,
    "result": "done", "seconds": 0.1, "ago_s": 2.0,
}  # fmt: skip
JOURNALS = {"proven": [b"a" * 16], "unproven": [b"b" * 16]}
ASKED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "events-groups": ({}, {"groups": [GROUP], "left_out": 0, **JOURNALS}, "groups"),
    "events-dead": ({}, {"letters": [LETTER], **JOURNALS}, "letters"),
    "events-trace": ({"correlation": "a"}, {"handled": [HANDLED], "left_out": 0}, "handled"),
    "events-retry": ({"group": "mail", "journal": "aB" * 16, "index": 4096}, {"count": 2, **JOURNALS}, "count"),
    "events-drop": ({"group": "mail"}, {"count": 2, **JOURNALS}, "count"),
    "events-forget": ({"group": "mail"}, {"count": 2, **JOURNALS}, "count"),
}
"""By method: its parameters, what a member answers, and where that is shown."""


class Members:
    """The events of a sidecar whose members answer as the test says, each with (code, packed)."""

    def __init__(self, **answers: tuple[str, bytes]) -> None:
        self._answers = answers
        self.running: dict[str, tuple[str, ...]] = {}
        self.away: list[str] = []
        self.dead: list[str] = []
        self.registry = SimpleNamespace(knows_all=True)
        self.source = "web"
        self.disk_takes = True
        self.kept_groups = SimpleNamespace(on_disk=self._on_disk)

    async def _on_disk(self) -> bool:
        return self.disk_takes

    async def ask_all(
        self, method: str, params: Mapping[str, Any], *, handlers: bool = False, journals: bool = True
    ) -> list[MemberAnswer]:
        del params, handlers, journals
        return [member_answer_untrusted(name, method, *answer) for name, answer in self._answers.items()]

    def instances_of(self, group: str) -> int:
        del group
        return 1

    def away_with(self, group: str) -> list[str]:
        del group
        return self.away

    def dead_participants(self) -> list[str]:
        return self.dead

    def known_groups(self) -> dict[str, tuple[str, ...]]:
        return self.running

    async def call(self, method: str) -> dict[str, Any]:
        answer: dict[str, Any] = unpackb(await METHODS[method](self, dict(ASKED[method][0])))  # type: ignore[arg-type]
        return answer


def damaged(answer: Any) -> list[Any]:
    """This answer with each of its fields left out, and with another type; with each list as another type."""
    if type(answer) is list:
        return [[one] for one in damaged(answer[0])] + [[7], {}]
    if type(answer) is not dict:
        return [b"bytes"]
    less = [{name: value for name, value in answer.items() if name != left_out} for left_out in answer]
    return less + [{**answer, name: broken} for name, value in answer.items() for broken in damaged(value)] + [[], "no"]


@pytest.mark.parametrize("method", ASKED)
async def test_broken_answer_of_a_member_is_no_answer(method: str) -> None:
    _, answer, shown = ASKED[method]
    alone = await Members(web=("", packb(answer))).call(method)
    assert alone[shown]
    assert alone["unanswered"] == []
    for broken in [*BROKEN, *map(packb, damaged(answer))]:
        told = await Members(web=("", packb(answer)), bad=("", broken)).call(method)
        assert told == {**alone, "unanswered": ["bad"]}, broken


@pytest.mark.parametrize("method", [method for method in ASKED if method != "events-trace"])
async def test_refusal_of_a_member_is_an_error_though_its_text_is_broken(method: str) -> None:
    for text in [*BROKEN, packb(7), packb({"text": "no"})]:
        with pytest.raises(Unavailable, match=r"bad refused: .*cannot be read"):
            await Members(web=("", packb(ASKED[method][1])), bad=("refused", text)).call(method)


async def test_reason_of_a_member_is_one_line() -> None:
    with pytest.raises(Unavailable) as caught:
        await Members(bad=("refused", packb("a\nb" + "x" * 200_000))).call("events-groups")
    assert str(caught.value) == "bad refused: a b" + "x" * 1997


async def test_answer_of_a_newer_release_may_say_more() -> None:
    newer = {"groups": [{**GROUP, "since": "today"}], "left_out": 0, "more": [1], **JOURNALS}
    told = await Members(web=("", packb(newer))).call("events-groups")
    assert [group["group"] for group in told["groups"]] == ["mail"]


async def test_group_that_runs_is_shown_before_its_first_event() -> None:
    members = Members(web=("", packb(ASKED["events-groups"][1])))
    members.running = {"mail": ("order.*",), "new": ("b.*", "a.*")}
    found = (await members.call("events-groups"))["groups"]
    assert [(one["group"], one["patterns"], len(one["journals"])) for one in found] == [
        ("mail", ["order.*"], 1),
        ("new", ["a.*", "b.*"], 0),
    ]
    assert found[1].keys() == found[0].keys()


async def test_forget_says_that_the_disk_here_does_not_take_it() -> None:
    members = Members(web=("", packb({"count": 1, **JOURNALS})))
    members.disk_takes = False
    found = await members.call("events-forget")
    assert (found["count"], found["unanswered"]) == (1, [f"web: {NOT_KEPT}"])


async def test_forget_names_the_members_that_go_on_to_name_the_group() -> None:
    members = Members(web=("", packb({"count": 0, **JOURNALS})))
    members.away = ["mail-2"]
    found = await members.call("events-forget")
    assert found["count"] == 0
    assert [text.split("(")[0] for text in found["unanswered"]] == ["mail-2 does not run and still names the group "]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"group": "mail", "journal": "00"}, "journal is '00': give its 32 hex digits"),
        ({"group": "mail", "journal": "x" * 32}, "hex digits"),
        ({"group": "mail", "index": 4096}, "index needs journal"),
    ],
)
@pytest.mark.parametrize("method", ["events-retry", "events-drop"])
async def test_letter_that_cannot_be_meant_is_refused(method: str, params: dict[str, Any], text: str) -> None:
    with pytest.raises(BadParams, match=text):
        await METHODS[method](Members(), params)  # type: ignore[arg-type]


def test_unspoken_journals_are_named_up_to_a_number() -> None:
    unled = [(JournalId(bytes([number]) * 16), "mail-2 did last" if number else "") for number in range(MAX_UNLED + 2)]
    assert unspoken([], "", synced=True) == []
    assert unspoken(unled[:1], "web", synced=True) == [
        "the journals of web: see `gossipreg info` there", "journal 000000000000: nobody leads it",
    ]  # fmt: skip
    assert unspoken(unled, "", synced=True)[1] == "journal 010101010101: nobody leads it, mail-2 did last"
    assert (len(unspoken(unled, "", synced=True)), unspoken(unled, "", synced=True)[-1]) == (
        MAX_UNLED + 1,
        "2 more journals that nobody leads",
    )


def spoke(name: str, proven: bytes = b"", unproven: bytes = b"") -> MemberAnswer:
    """The answer of a member about journals, each a byte that stands for its id."""
    ids = {"proven": [bytes([one]) * 16 for one in proven], "unproven": [bytes([one]) * 16 for one in unproven]}
    return MemberAnswer(name, "", {"count": 0, **ids})


def test_journals_that_nobody_has_proven_to_lead_are_missing() -> None:
    silent = MemberAnswer("mail", "unavailable", "no answer within 3 s")
    assert unproven_texts([silent, spoke("web", b"\1\2")], {}) == []
    assert unproven_texts([spoke("web", b"\1", b"\2\3"), silent, spoke("stock", b"\2")], {}) == [
        "journal 030303030303: web did not prove that it leads it"
    ]
    assert len(unproven_texts([spoke("web", unproven=bytes(range(MAX_UNLED + 2)))], {})) == MAX_UNLED + 1


def test_journal_that_nobody_leads_by_now_is_named_once() -> None:
    """Its leader gave up while it was being asked."""
    answers = [spoke("web", b"\1", b"\2\3")]
    [named] = unproven_texts(answers, {}, without=[JournalId(b"\2" * 16)])
    assert named.startswith("journal 030303030303: web")


class Leaders:
    """The registry, and the events, of a sidecar that asks members, which answer at once with the journals that they
    have proven to lead. Members and journals are bytes that stand for their ids."""

    knows_all = True

    def __init__(self, claims: dict[int, int], proven: dict[int, bytes]) -> None:
        self._claims = {
            JournalId(bytes([journal]) * 16): NodeId(bytes([node]) * 16) for journal, node in claims.items()
        }
        self._proven = {NodeId(bytes([node]) * 16): journals for node, journals in proven.items()}
        self.no_leader: list[JournalId] = []
        self.ended: dict[NodeId, bytes | None] = {}
        """By member: the journals that it remembers to have ended; None: it does not answer."""
        self.holders: list[NodeId] = []
        self.dead: set[NodeId] = set()
        self.asked = AskedMembers(
            self, self, name=lambda node: f"web-{node[0]}", now=lambda: 0.0, carry_out=self._carry_out,  # type: ignore[arg-type]
            runtime=SimpleNamespace(disk=None, journals=None, leaderless=SimpleNamespace(lost=())),  # type: ignore[arg-type]
            source="web",
        )  # fmt: skip

    def _carry_out(self, effects: Iterable[EventEffect]) -> None:
        for effect in effects:
            assert isinstance(effect, CallAnswered)
            self.asked.answered(effect)

    def ask(self, node: NodeId, method: str, params: bytes, now: float) -> tuple[int, list[CallAnswered]]:
        del now
        if method == "ended":
            ended = self.ended[node]
            if ended is None:
                return node[0], [CallAnswered(node[0], "unavailable", packb("no stream"))]
            told = told_ended(unpackb(params), [JournalId(bytes([one]) * 16) for one in ended])
            return node[0], [CallAnswered(node[0], "", packb(told))]
        result = spoke("", self._proven[node]).result
        code = "" if self._proven[node] else "unavailable"
        return node[0], [CallAnswered(node[0], code, packb(result if self._proven[node] else "no stream"))]

    def ask_no_more(self, number: int) -> None:
        del number

    def last_leader(self, journal: JournalId) -> NodeId | None:
        return self._claims.get(journal)

    def leaderless_at(self, journal: JournalId) -> list[NodeId]:
        return self.holders if journal in self._claims else []

    def is_dead(self, node: NodeId) -> bool:
        return node in self.dead

    def may_remember(self, journal: JournalId) -> list[NodeId]:
        return [*self.ended] if journal in self.no_leader else []

    def leaders(self) -> list[NodeId]:
        return [*self._proven]

    def claimed(self) -> list[JournalId]:
        return [*self._claims]

    def leader(self, journal: JournalId) -> NodeId | None:
        return self._claims.get(journal)

    def unled(self, kept: Iterable[JournalId], now: float) -> list[JournalId]:
        del kept, now
        return self.no_leader


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({}, ["journal 020202020202: web-1", "journal 030303030303: web-9"]),
        ({"journal": "03" * 16}, ["journal 030303030303: web-9"]),
        ({"journal": "01" * 16}, []),
    ],
)
async def test_journals_whose_leader_changed_during_the_question_are_missing(
    params: dict[str, Any], missing: list[str]
) -> None:
    """Member 1 leads the second one now, and did not when it was asked; nobody asked member 9; member 2 does not
    answer, and is named itself."""
    leaders = Leaders({1: 1, 2: 1, 3: 9, 4: 2}, {1: b"\1", 2: b""})
    answers = await leaders.asked.ask("retry", params, handlers=False, journals=True)
    assert [answer.name for answer in answers] == [
        "web-1", "web-2", *(f"{one} did not prove that it leads it" for one in missing)
    ]  # fmt: skip


async def test_a_journal_that_has_ended_is_not_missing() -> None:
    """The row of its dead leader goes on to claim it."""
    leaders = Leaders({}, {1: b"\1"})
    leaders.no_leader = [JournalId(bytes([number]) * 16) for number in (2, 3)]
    leaders.ended = {NodeId(b"\5" * 16): None, NodeId(b"\6" * 16): b"\2\4"}
    answers = await leaders.asked.ask("groups", {}, handlers=False, journals=True)
    assert [answer.name for answer in answers] == ["web-1", "journal 030303030303: nobody leads it"]


def test_where_only_a_dead_leader_speaks_of_a_journal_it_says_what_to_do() -> None:
    leaders, journal, node = Leaders({2: 9}, {}), JournalId(b"\2" * 16), NodeId(b"\t" * 16)
    assert leaders.asked.whereabouts(journal) == "web-9 did last"
    leaders.dead = {node}
    told = "web-9 did last and is dead: start it, or `gossipreg force-leave web-9` if it will not return"
    assert leaders.asked.whereabouts(journal) == told
    leaders.holders = [NodeId(b"\1" * 16)]
    assert leaders.asked.whereabouts(journal) == "web-9 did last", "another member has a copy, and may lead it soon"


@pytest.mark.parametrize("journals", [None, "j", [b"short"], [7], [["j"]]])
def test_a_question_for_ends_without_ids_is_refused(journals: object) -> None:
    with pytest.raises(BadParams):
        told_ended({"journals": journals}, [])
    assert not is_ended_answer({"ended": journals})


@pytest.mark.parametrize("method", ["events-groups", "events-dead"])
async def test_a_journal_for_which_two_members_speak_counts_once(method: str) -> None:
    """The first one has handed it over to the second before the question came there."""
    _, answer, shown = ASKED[method]
    spoken = {**answer, "proven": [bytes(16)], "unproven": []}
    other = {**spoken, "proven": [b"c" * 16], shown: [{**answer[shown][0], "journal": "63" * 16}]}
    members = Members(web=("", packb(spoken)), mail=("", packb(spoken)), stock=("", packb(other)))
    told = (await members.call(method))[shown]
    if method == "events-groups":
        assert [(one["pending"], len(one["journals"])) for one in told] == [(6, 2)]
    else:
        assert [one["journal"] for one in told] == ["00" * 16, "63" * 16]


def test_what_a_sidecar_that_is_not_synced_cannot_know_is_missing() -> None:
    assert unspoken([], "", synced=False) == [
        "all that other members have: this sidecar is not synced, see `gossipreg info`"
    ]


async def test_trace_of_a_sidecar_that_is_not_synced_lacks_the_rest() -> None:
    members = Members(web=("", packb(ASKED["events-trace"][1])))
    members.registry.knows_all = False
    told = await members.call("events-trace")
    assert len(told["handled"]) == 1
    assert told["unanswered"] == ["all that other members have: this sidecar is not synced, see `gossipreg info`"]


async def test_trace_names_dead_members_that_may_have_handled_it() -> None:
    members = Members(web=("", packb({"handled": [], "left_out": 0})))
    members.dead = ["mail-1"]
    told = await members.call("events-trace")
    assert (told["handled"], told["unanswered"]) == ([], ["mail-1 (dead, and may have handled it)"])


def test_dead_members_beyond_a_bound_are_counted() -> None:
    names = [f"web-{number}" for number in range(MAX_DEAD + 2)]
    assert dead_texts(names[:MAX_DEAD])[-1] == f"{names[MAX_DEAD - 1]} (dead, and may have handled it)"
    assert dead_texts(names)[MAX_DEAD:] == ["2 more dead members that may have handled it"]
