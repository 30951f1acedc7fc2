"""What all members saw: asked, read with suspicion, joined, and bounded."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
import trio
import trio.testing
from msgpack import packb, unpackb

from gossipreg.daemon.events.local_events import LocalEvents
from gossipreg.daemon.events.member_answers import MemberAnswer, member_answer_untrusted
from gossipreg.daemon.history.asked_answers import is_history_answer
from gossipreg.daemon.history.history import History
from gossipreg.daemon.history.history_asked import EVERYWHERE_AT_ONCE, HistoryAsked
from gossipreg.daemon.history.history_everywhere import ANSWER_BYTES, HistoryAnswers, HistoryEverywhere
from gossipreg.errors import BadParams, Busy
from gossipreg.events.messages import MAX_REPLY_BYTES
from gossipreg.history.history_line import NamedMember
from gossipreg.model import NodeId
from tests.daemon.conftest import Inside
from tests.daemon.memory_network import MemoryNetwork


def fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


class FakeMembers:
    """Answers the questions of `HistoryEverywhere` as members would."""

    def __init__(self) -> None:
        self.histories: dict[NodeId, HistoryAnswers] = {}
        self.ahead_s: dict[NodeId, float] = {}
        self.faults: dict[NodeId, list[tuple[str, Any]]] = {}
        self.asked: list[str] = []

    async def ask_these(
        self, members: Sequence[NodeId], method: str, params: Mapping[str, Any]
    ) -> list[MemberAnswer]:  # fmt: skip
        [id] = members
        self.asked.append(method)
        await trio.lowlevel.checkpoint()
        if faults := self.faults.get(id):
            code, text = faults.pop(0)
            return [MemberAnswer("m", code, text)]
        answers = self.histories[id]
        result = await (answers.clock(dict(params)) if method == "clock" else answers.lines(dict(params)))
        for name in ("received", "answered"):
            result[name] += self.ahead_s.get(id, 0.0)
        return [member_answer_untrusted("m", method, "", packb(result))]


class EventsOfFake:
    def __init__(self, members: FakeMembers) -> None:
        self.asked = members


async def everywhere(members: FakeMembers, names: Sequence[str], **params: Any) -> dict[str, Any]:
    """The answer of a sidecar that knows members of these names; its own history says that it started."""
    network = MemoryNetwork()
    inside = Inside(network, "own", 1)
    own = History(NamedMember(inside.node.id.hex(), "own"), fail)
    own.note("start", "own started")
    view = cast(Any, ViewOf(inside, {NodeId(bytes([9 + number]) * 16): name for number, name in enumerate(names)}))

    async def events() -> LocalEvents:
        return cast(LocalEvents, EventsOfFake(members))

    found = HistoryEverywhere(view, own, lambda: 0.0, events)
    return cast(dict[str, Any], unpackb(await found.method(params)))


class ViewOf:
    """The members that a sidecar knows."""

    def __init__(self, inside: Inside, names: Mapping[NodeId, str]) -> None:
        self.id = inside.node.id
        self._names = names
        self.dead: set[NodeId] = set()
        self.synced = "not synced" not in names.values()

    def row_ids(self) -> list[NodeId]:
        return [self.id, *self._names]

    def name(self, id: NodeId) -> str:
        return self._names[id]

    def member(self, id: NodeId, now: float) -> Any:
        del now
        return _Shown(self._names[id], "dead" if self._names[id] == "dead-1" else "alive")


class _Shown:
    def __init__(self, name: str, state: str) -> None:
        self.name, self.state = name, state


FIRST, SECOND = NodeId(bytes([9]) * 16), NodeId(bytes([10]) * 16)


def member_history(name: str, id: NodeId, *messages: str) -> HistoryAnswers:
    history = History(NamedMember(id.hex(), name), fail)
    for message in messages:
        history.note("moved", message)
    return HistoryAnswers(history)


async def test_lines_of_all_members_come_in_one_order_by_our_clock() -> None:
    members = FakeMembers()
    members.histories = {
        FIRST: member_history("api-1", FIRST, "one"), SECOND: member_history("api-2", SECOND, "two"),
    }  # fmt: skip
    members.ahead_s = {SECOND: 3600.0}
    found = await everywhere(members, ["api-1", "api-2"])
    assert [line["message"] for line in found["lines"]] == ["one", "two", "own started"]
    assert [line["seen_by"]["name"] for line in found["lines"]] == ["api-1", "api-2", "own"]
    assert all(abs(line["at"] - time.time()) < 60 for line in found["lines"])
    [clock] = [one["clock_ahead_s"] for one in found["members"] if one["name"] == "api-2"]
    assert abs(clock - 3600) < 10
    [text] = found["disagreements"]
    assert text.startswith("the clock of api-2 is 3600")
    assert found["unanswered"] == []


async def test_members_that_do_not_answer_are_named_with_the_reason() -> None:
    members = FakeMembers()
    members.faults = {
        FIRST: [("unavailable", "no answer within 3 s")] * 3, SECOND: [("unknown_method", "a newer release asks")],
    }  # fmt: skip
    found = await everywhere(members, ["api-1", "old-1", "dead-1"])
    assert [(one["name"], one["why"]) for one in found["unanswered"]] == [
        ("api-1", "no answer within 3 s"), ("old-1", "its release keeps no history"), ("dead-1", "it is dead"),
    ]  # fmt: skip
    assert [one["name"] for one in found["members"]] == ["own"]


async def test_a_member_that_is_still_loading_is_asked_again() -> None:
    members = FakeMembers()
    members.histories = {FIRST: member_history("api-1", FIRST, "one")}
    members.faults = {FIRST: [("unavailable", "no answer within 3 s")] * 2}
    found = await everywhere(members, ["api-1"])
    assert [one["name"] for one in found["members"]] == ["own", "api-1"]
    assert members.asked == ["clock", "clock", "clock", "clock", "history"]


@pytest.mark.parametrize(
    "params", [{"after": 1}, {"limit": 0}, {"limit": 5001}, {"since": "x"}, {"nodes": []}, {"since": 20, "until": 10}]
)
async def test_bad_parameters_of_everywhere_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadParams):
        await everywhere(FakeMembers(), [], **params)


async def test_an_answer_fits_a_message_and_says_what_is_left_out() -> None:
    history = History(NamedMember("09", "api-1"), fail)
    for number in range(1500):
        history.note(f"kind_{number // 90}", "x" * 490, service=f"s{number}", more={"reason": "y" * 400})
    answer = await HistoryAnswers(history).lines({})
    assert answer["left_out"]
    assert len(packb(answer)) <= MAX_REPLY_BYTES
    assert len(packb(answer["lines"])) > ANSWER_BYTES // 2
    assert answer["lines"][-1]["service"] == "s1499"
    assert is_history_answer(unpackb(packb(answer)))


GOOD = {
    "received": 1.0, "answered": 2.0, "lines": [{"seq": 1, "at": 1.0, "kind": "k", "level": "info", "message": "m"}],
    "ages": [1.0], "runs": [[1.0, "start"]], "left_out": False, "kept_age_s": None, "fault": "",
}  # fmt: skip


@pytest.mark.parametrize(
    "spoilt",
    [
        [], None, {**GOOD, "received": "x"}, {**GOOD, "answered": float("nan")}, {**GOOD, "ages": []},
        {**GOOD, "ages": [float("inf")]}, {**GOOD, "lines": [{}]}, {**GOOD, "runs": [[1.0]]}, {**GOOD, "fault": 1},
        {**GOOD, "kept_age_s": "x"}, {**GOOD, "lines": [{**GOOD["lines"][0], "message": 3}]},  # type: ignore[index]
        {**GOOD, "lines": [{**GOOD["lines"][0], "member": {"id": 1}}]}, {**GOOD, "left_out": None},  # type: ignore[index]
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_counts_as_none(spoilt: Any) -> None:
    assert is_history_answer(GOOD)
    assert not is_history_answer(spoilt)


async def test_many_calls_at_the_same_time_are_refused_and_then_taken_again() -> None:
    inside = Inside(MemoryNetwork(), "own", 1)
    own = History(NamedMember(inside.node.id.hex(), "own"), fail)
    may_ask = trio.Event()

    async def events() -> LocalEvents:
        await may_ask.wait()
        return cast(LocalEvents, EventsOfFake(FakeMembers()))

    view = cast(Any, ViewOf(inside, {NodeId(b"9" * 16): "web-1"}))
    asked = HistoryAsked(view, own, lambda: 0.0, events)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for _ in range(EVERYWHERE_AT_ONCE):
                nursery.start_soon(asked.everywhere, {})
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(Busy, match="ask again"):
                await asked.everywhere({})
            nursery.cancel_scope.cancel()
        may_ask.set()
        with trio.move_on_after(0):
            await asked.everywhere({})


async def test_a_sidecar_that_is_not_synced_says_that_the_others_are_missing() -> None:
    members = FakeMembers()
    members.histories[FIRST] = member_history("not synced", FIRST, "moved away")
    found = await everywhere(members, ["not synced"])
    assert [one["name"] for one in found["members"]] == ["own", "not synced"]
    [missing] = found["unanswered"]
    assert (missing["id"], missing["name"], "not synced yet" in missing["why"]) == ("", "all other members", True)
