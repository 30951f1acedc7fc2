"""What a member says of itself, to itself and to others."""

from typing import Any

import pytest
import trio
from msgpack import packb, unpackb
from trio.testing import wait_all_tasks_blocked

from gossipreg.daemon.asked_member import AskedMember
from gossipreg.daemon.events.member_answers import member_answer_untrusted
from gossipreg.daemon.events.own_answers import AT_ONCE_MAX, OwnAnswers
from gossipreg.daemon.member_figures import QUESTION, MemberFigures
from gossipreg.errors import BadParams, NotFound, Refused, Unavailable
from gossipreg.events.messages import MAX_REPLY_BYTES, EventsCall, EventsReply
from gossipreg.model import Health, NodeId
from tests.daemon.conftest import ME, Inside, Sidecar
from tests.daemon.memory_network import MemoryNetwork

THEM = NodeId(b"t" * 16)


class Cpu:
    used_s = 0.0

    def __call__(self) -> float:
        return self.used_s


def figures_of(inside: Inside, cpu: Cpu | None = None) -> MemberFigures:
    return MemberFigures(
        inside.node, inside.pump, inside.services, troubles=lambda: [{"message": "a trouble", "since_s": 1.0}],
        counts=lambda: {"journals_led": 2}, cpu_s=cpu or Cpu(),
    )  # fmt: skip


async def test_a_sidecar_says_how_it_is(sidecar: Sidecar) -> None:
    said = await figures_of(sidecar).answer({})
    assert set(said) == {"load", "troubles", "failing_checks", "maintenance"}
    assert (said["load"]["journals_led"], said["load"]["members"], said["troubles"][0]["message"]) == (
        2,
        1,
        "a trouble",
    )
    assert said["load"]["memory_bytes"] > 1_000_000


async def test_the_share_of_a_core_is_that_since_the_last_look(autojump_clock: object) -> None:
    assert autojump_clock
    cpu = Cpu()
    figures = figures_of(Inside(MemoryNetwork(), "one"), cpu)

    async def share() -> float:
        return float((await figures.answer({}))["load"]["cpu"])

    await trio.sleep(10)
    cpu.used_s = 1.0
    assert await share() == pytest.approx(0.1)
    cpu.used_s = 1.5
    assert await share() == pytest.approx(0.1), "no time has passed"
    await trio.sleep(5)
    assert await share() == pytest.approx(0.1)
    await trio.sleep(5)
    assert await share() == 0.0


async def test_it_says_what_the_checks_of_a_service_say(sidecar: Sidecar) -> None:
    await sidecar.services.register({"name": "Web", "port": 80, "checks": ["ttl:1h"]}, by=ME, holder=None)
    await sidecar.register("other", 81)
    sidecar.services.heartbeat("Web-80", Health.CRITICAL, "disk full", by=ME)
    said = await figures_of(sidecar).answer({"service": "WEB"})
    assert [(id, [check["output"] for check in checks]) for id, checks in said["checks"].items()] == [
        ("Web-80", ["disk full"])
    ]
    with pytest.raises(BadParams, match="nonsense"):
        await figures_of(sidecar).answer({"nonsense": 1})


class FakeEvents:
    """The events of a sidecar that answers so."""

    def __init__(self, code: str, result: Any) -> None:
        self.answer = member_answer_untrusted("two", QUESTION, code, packb(result))
        self.questions: list[Any] = []

    @property
    def asked(self) -> "FakeEvents":
        return self

    async def ask_these(self, members: list[NodeId], method: str, params: dict[str, Any]) -> list[Any]:
        self.questions.append((members, method, params))
        return [self.answer]


GOOD = {"load": {"uptime_s": 1}, "troubles": []}


@pytest.mark.parametrize(
    ("code", "result", "message"),
    [
        ("unavailable", "no answer within 3 s", "two was asked and has not answered: no answer within 3 s"),
        ("busy", "16 questions", "two was asked and has not answered: 16 questions"),
        ("unknown_method", "?", "two runs a release that cannot be asked"),
        ("", {"load": 1, "troubles": []}, "lacks what the question asks for"),
        ("", {"load": {}, "troubles": [{"message": 1}]}, "lacks what the question asks for"),
        ("", [], "lacks what the question asks for"),
    ],
)
async def test_a_member_that_does_not_answer_is_named_with_why(code: str, result: Any, message: str) -> None:
    network = MemoryNetwork()
    one, two = Inside(network, "one"), Inside(network, "two", 2)
    await joined(one, two)
    events = FakeEvents(code, result)
    asked = AskedMember(one.node, figures_of(one), one.pump.now, lambda: _given(events))
    with pytest.raises(Unavailable, match=message):
        await asked.method({"member": two.node.id.hex()})


async def test_another_member_is_asked_and_this_one_is_not() -> None:
    network = MemoryNetwork()
    one, two = Inside(network, "one"), Inside(network, "two", 2)
    await joined(one, two)
    events = FakeEvents("", GOOD)
    asked = AskedMember(one.node, figures_of(one), one.pump.now, lambda: _given(events))
    assert unpackb(await asked.method({"member": two.node.id.hex(), "service": "web"})) == GOOD
    assert events.questions == [([two.node.id], QUESTION, {"service": "web"})]
    assert unpackb(await asked.method({"member": one.node.id.hex()}))["load"]["members"] == 2
    assert len(events.questions) == 1
    with pytest.raises(NotFound):
        await asked.method({"member": "00" * 16})


async def _given(events: FakeEvents) -> Any:
    return events


async def joined(one: Inside, two: Inside) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.pump.run)
        nursery.start_soon(two.pump.run)
        one.seek()
        two.seek(*one.transport.local_addresses)
        with trio.fail_after(30):
            while one.node.member(two.node.id, 0) is None:
                await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()


# -- questions of other members ----------------------------------------------------------------------------------------


async def test_own_answers_are_bounded_and_say_why_there_is_none(nursery: Any) -> None:
    sent: list[EventsReply] = []
    bugs: list[str] = []
    go_on = trio.Event()

    async def slow(params: dict[str, Any]) -> Any:
        await go_on.wait()
        return params

    async def large(_params: dict[str, Any]) -> Any:
        return "x" * MAX_REPLY_BYTES

    async def refused(_params: dict[str, Any]) -> Any:
        raise Refused("not now")

    async def broken(_params: dict[str, Any]) -> Any:
        raise KeyError("a bug")

    own = OwnAnswers(
        {"slow": slow, "large": large, "refused": refused, "broken": broken},
        lambda _node, reply: sent.append(reply), lambda where, _error: bugs.append(where),
    )  # fmt: skip

    def ask(number: int, method: str, params: bytes = packb({})) -> bool:
        return own.takes(THEM, EventsCall(number=number, method=method, params=params))

    assert ask(1, "slow"), "it does not run yet"
    assert sent.pop().code == "busy"
    nursery.start_soon(own.run)
    await wait_all_tasks_blocked()
    assert not ask(2, "groups")
    for number in range(AT_ONCE_MAX):
        assert ask(number, "slow", packb({"n": number}))
    assert ask(99, "slow")
    assert (sent[0].number, sent.pop().code) == (99, "busy")
    go_on.set()
    await wait_all_tasks_blocked()
    assert sorted(unpackb(reply.result)["n"] for reply in sent) == list(range(AT_ONCE_MAX))
    sent.clear()
    for number, (method, params, code) in enumerate(
        [
            ("large", packb({}), "too_large"), ("refused", packb({}), "refused"), ("broken", packb({}), "refused"),
            ("slow", b"\xc1", "bad_params"), ("slow", packb([1]), "bad_params"),
        ]
    ):  # fmt: skip
        assert ask(number, method, params)
        await wait_all_tasks_blocked()
        assert (sent[-1].number, sent[-1].code) == (number, code)
    assert bugs == ["own_answer"]
