"""The methods of the local socket about sagas: who may do what, what goes to the leader, what comes back."""

import json
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from msgpack import packb, unpackb

from gossipreg.callers import Caller
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.orchestration import SAGA_METHODS
from gossipreg.daemon.sagas.saga_answer import SagaAnswer, saga_answer_untrusted
from gossipreg.daemon.sagas.saga_methods import METHODS
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import BadParams, Busy, NotAllowed, NotSynced, OutcomeUnknown, RequestError, Unavailable
from gossipreg.journal.model import JournalId
from gossipreg.rights import RIGHTS, Rights
from gossipreg.sagas.saga_definition import decode_definition
from gossipreg.sagas.saga_model import MAX_TEXT_BYTES, SagaRef
from tests.sagas.one_line import assert_one_line

NAME = "00" * 15 + "01.order-7"
SAGA = SagaRef(JournalId(b"\0" * 15 + b"\1"), "order-7")
STEP = {"name": "reserve", "service": "stock", "method": "PUT", "path": "/r/{key}", "undo": None}
DEFINITION = {"name": "create-order", "step": [{**STEP, "harmless": True}]}


class Stub:
    """The sagas of a sidecar whose leader answers as the test says."""

    def __init__(self, *answers: tuple[str, Any]) -> None:
        """Bytes are the answer as they are."""
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.lost: list[SagaRef] = []
        self.programs = SagaPrograms(lambda _sagas: None, self._note_lost)
        self.rights = Rights(700)
        self.audit = Audit(lambda: 0.0)
        self.by_hand: list[tuple[Any, ...]] = []
        self.reports = SimpleNamespace(by_hand=lambda *said: self.by_hand.append(said), counts=Counter())
        self.name = "web-1"
        self.synced = True
        self.begins_in: JournalId | None = None
        """Which journal the last call named."""
        self.why_not_synced = "no other member has answered yet"

    def _note_lost(self, sagas: Sequence[SagaRef]) -> None:
        self.lost += sagas

    async def own_journal(self, client: SocketClient) -> JournalId:
        del client
        await trio.lowlevel.checkpoint()
        return SAGA.journal

    async def ask(
        self, method: str, params: dict[str, Any], client: SocketClient, journal: JournalId | None = None
    ) -> SagaAnswer:
        del client
        self.asked.append((method, dict(params)))
        self.begins_in = journal
        code, result = self.answers.pop(0)
        return saga_answer_untrusted(method, code, result if type(result) is bytes else packb(result))

    async def call(self, method: str, client: SocketClient, **params: Any) -> Any:
        self.rights.check(method, client.caller, params)
        return unpackb(await METHODS[method](self, params, client))  # type: ignore[arg-type]


def client(uid: int = 1000, pid: int = 5) -> SocketClient:
    return SocketClient(Caller(uid, pid, door="socket"))


BEGUN = {"saga": NAME, "id": "order-7", "state": "running", "copies": 3, "takeover": True}


def test_every_method_is_there_with_a_right() -> None:
    assert sorted(METHODS) == sorted(SAGA_METHODS) == sorted(name for name in RIGHTS if name.startswith("saga-"))


async def test_connection_that_begins_a_saga_is_its_program() -> None:
    stub, one = Stub(("", BEGUN)), client()
    answer = await stub.call("saga-begin", one, name="create-order", input={"item": "b\u00fcch"})
    assert answer == {**BEGUN, "exists": False}
    assert stub.asked == [("begin", {"name": "create-order", "input": '{"item":"b\u00fcch"}'.encode()})]
    assert one.sagas == 1
    stub.programs.gone(one)
    assert stub.lost == [SAGA]


@pytest.mark.parametrize("given", [b'{"a":1}', '{"a":1}', {"a": 1}])
async def test_input_is_a_value_or_json(given: object) -> None:
    stub = Stub(("", BEGUN))
    await stub.call("saga-begin", client(), name="create-order", input=given)
    assert stub.asked[0][1]["input"] == b'{"a":1}'


async def test_saga_that_exists_is_an_answer_and_no_program() -> None:
    known = {
        "text": "it is there", "saga": NAME, "id": "order-7", "state": "ended", "decision": "commit", "copies": 2,
        "takeover": True,
    }  # fmt: skip
    for method, params in (("saga-begin", {"name": "a"}), ("saga-run", {"definition": DEFINITION})):
        stub, one = Stub(("exists", known)), client()
        answer = await stub.call(method, one, **params)
        assert answer == {
            "saga": NAME, "id": "order-7", "state": "ended", "decision": "commit", "copies": 2, "takeover": True,
            "exists": True,
        }  # fmt: skip
        assert one.sagas == 0


TOML = """
name = "create-order"
[[step]]
name = "reserve"
service = "stock"
method = "PUT"
path = "/r/{key}"
harmless = true
"""


@pytest.mark.parametrize("given", [DEFINITION, TOML, json.dumps(DEFINITION)])
async def test_definition_is_a_map_or_text(given: object) -> None:
    stub = Stub(("", BEGUN))
    await stub.call("saga-run", client(), definition=given)
    assert decode_definition(stub.asked[0][1]["definition"]).name == "create-order"


async def test_definition_that_is_wrong_is_refused_at_once() -> None:
    stub = Stub()
    for given, why in (({"name": "create-order", "step": []}, "at least one"), ("name", "no TOML"), (7, "give TOML")):
        with pytest.raises(BadParams, match=why):
            await stub.call("saga-run", client(), definition=given)


async def test_declared_saga_begins_in_the_journal_that_is_named() -> None:
    stub = Stub(("", BEGUN), ("", BEGUN))
    journal = await stub.call("saga-journal", client())
    assert journal == {"journal": SAGA.journal.hex()}
    await stub.call("saga-run", client(), definition=DEFINITION, **journal)
    assert stub.begins_in == SAGA.journal
    await stub.call("saga-run", client(), definition=DEFINITION)
    assert stub.begins_in is None
    assert [params.keys() for _, params in stub.asked] == [{"definition"}] * 2, "an older leader knows no more"


@pytest.mark.parametrize("wrong", ["", "5f", "5f" * 17, "xy" * 16, " " + "5f" * 15 + " ", b"5f" * 16, 7, True])
async def test_journal_that_is_no_id_is_refused_at_once(wrong: object) -> None:
    stub = Stub()
    with pytest.raises(BadParams, match="give its 32 hex digits, as saga-journal does"):
        await stub.call("saga-run", client(), definition=DEFINITION, journal=wrong)


async def test_declared_saga_has_no_program() -> None:
    stub, one = Stub(("", BEGUN)), client()
    await stub.call("saga-run", one, definition=DEFINITION)
    assert one.sagas == 0


@pytest.mark.parametrize(
    ("code", "error", "over"),
    [("decided", RequestError, True), ("not_found", RequestError, True), ("outcome_unknown", OutcomeUnknown, False)],
)
async def test_program_is_held_until_its_saga_is_over(code: str, error: type[RequestError], over: bool) -> None:
    stub, one = Stub(("", {"state": "done"}), (code, {"text": "why"})), client()
    await stub.call("saga-step", one, saga=NAME, step=STEP)
    assert one.sagas == 1
    with pytest.raises(error, match="why") as caught:
        await stub.call("saga-step", one, saga=NAME, step=STEP)
    assert caught.value.code == code
    assert one.sagas == (0 if over else 1)


@pytest.mark.parametrize("method", ["saga-commit", "saga-abort"])
async def test_decided_saga_lets_its_program_go(method: str) -> None:
    stub, one = Stub(("", {"state": "done"}), ("", {"state": "over"})), client()
    await stub.call("saga-step", one, saga=NAME, step=STEP)
    assert await stub.call(method, one, saga=NAME) == {"state": "over"}
    stub.programs.gone(one)
    assert stub.lost == []


async def test_saga_of_another_user_is_for_operators() -> None:
    stub, owner = Stub(*[("", {"state": "done"})] * 5), client()
    await stub.call("saga-step", owner, saga=NAME, step=STEP)
    other = client(uid=1001, pid=6)
    for method, params in (("saga-step", {"step": STEP}), ("saga-commit", {}), ("saga-abort", {})):
        with pytest.raises(NotAllowed, match="it belongs to user 1000"):
            await stub.call(method, other, saga=NAME, **params)
    assert len(stub.asked) == 1
    await stub.call("saga-abort", client(uid=0), saga=NAME)


async def test_lost_program_may_be_aborted_by_its_user_alone() -> None:
    stub, owner = Stub(*[("", {"state": "aborted"})] * 3), client()
    await stub.call("saga-step", owner, saga=NAME, step=STEP)
    stub.programs.gone(owner)
    with pytest.raises(NotAllowed):
        await stub.call("saga-abort", client(uid=1001), saga=NAME)
    await stub.call("saga-abort", client(pid=9), saga=NAME)
    with pytest.raises(NotAllowed, match="saga-abort of a saga that has no program here is not allowed for user 1000"):
        await stub.call("saga-abort", client(), saga="00" * 16 + ".unheard")


async def test_to_show_a_saga_makes_no_program_unless_it_says_so() -> None:
    stub = Stub(("", {"state": "running"}), ("", {"state": "running"}), ("", {"state": "ended"}))
    one, other = client(), client(pid=7)
    await stub.call("saga-show", one, saga=NAME)
    assert one.sagas == 0
    await stub.call("saga-show", one, saga=NAME, program=True)
    assert one.sagas == 1
    await stub.call("saga-show", other, saga=NAME, program=True)
    assert (one.sagas, other.sagas) == (1, 0), "it has ended, so it needs none"


async def test_decision_by_hand_says_who_and_is_for_operators() -> None:
    stub = Stub(("", {"steps": ["reserve"]}), ("refused", {"text": "nothing changed"}))
    with pytest.raises(NotAllowed):
        await stub.call("saga-skip", client(), saga=NAME, step="reserve", why="no")
    answer = await stub.call("saga-skip", client(uid=700), saga=NAME, step="reserve", why="it was never there")
    assert answer == {"steps": ["reserve"]}
    assert stub.asked == [
        ("skip", {"saga": NAME, "step": "reserve", "why": "it was never there", "who": "user 700 at web-1"})
    ]
    assert [shape["verb"] for shape in stub.audit.shapes()] == ["saga-skip"]
    with pytest.raises(RequestError, match="nothing changed"):
        await stub.call("saga-give-up", client(uid=0), saga=NAME, why="closed")
    assert len(stub.by_hand) == 1
    with pytest.raises(BadParams, match="no parameter 'who'"):
        await stub.call("saga-retry", client(uid=0), saga=NAME, who="somebody else")


async def test_what_is_left_undone_by_hand_needs_a_reason() -> None:
    stub, one = Stub(), client(uid=0)
    for method, params in (("saga-skip", {"step": "a"}), ("saga-skip", {"why": "w"}), ("saga-give-up", {})):
        with pytest.raises(BadParams, match=f"{method} needs the parameter (why|step)"):
            await stub.call(method, one, saga=NAME, **params)
    with pytest.raises(BadParams, match="not blank"):
        await stub.call("saga-give-up", one, saga=NAME, why="  ")
    assert stub.asked == []


async def test_an_abort_by_hand_says_who_it_was() -> None:
    stub, owner, person = Stub(*[("", {"state": "aborted"})] * 6), client(), client(uid=700, pid=9)
    await stub.call("saga-step", owner, saga=NAME, step=STEP)
    await stub.call("saga-abort", owner, saga=NAME, reason="out of tea")
    await stub.call("saga-abort", person, saga=NAME)
    await stub.call("saga-abort", person, saga=NAME, reason="the customer has cancelled")
    await stub.call("saga-abort", person, saga=NAME, reason="é" * 256)
    with pytest.raises(BadParams, match="give 0 to 512 bytes"):
        await stub.call("saga-abort", person, saga=NAME, reason="x" * 513)
    with pytest.raises(BadParams, match=r"such as U\+202E RIGHT-TO-LEFT OVERRIDE"):
        await stub.call("saga-abort", person, saga=NAME, reason="paid \u202e7 EUR")
    reasons = [params["reason"] for method, params in stub.asked if method == "abort"]
    assert reasons[:3] == [
        "out of tea", "aborted by user 700 at web-1", "the customer has cancelled (by user 700 at web-1)",
    ]  # fmt: skip
    assert reasons[3].endswith("é (by user 700 at web-1)")
    assert len(reasons[3].encode()) <= MAX_TEXT_BYTES
    assert [shape["verb"] for shape in stub.audit.shapes()] == ["saga-abort"] * 3
    assert len(reasons) == 4


@pytest.mark.parametrize("saga", ["order-7", "", 7, None, "zz.order-7"])
async def test_calls_of_programs_need_the_whole_name(saga: object) -> None:
    with pytest.raises(BadParams, match="saga"):
        await Stub().call("saga-commit", client(), saga=saga)


BROKEN = (b"", b"\xc1", b"\x93\x01", b"\x81\x01\x02", b"\x81\xc4\x01a\x02", b"\x80\x80", b"\x07", b"\x81\xa1a\xd4\x01a",
          b"\x81\xa1a\xa1\xff", b"\x81\xa1a" * 90 + b"\xc0")  # fmt: skip
"""No value, more than one, keys that are no text, a type of its own, text that is no UTF-8, too deep."""
CALLS: dict[str, dict[str, Any]] = {
    "saga-begin": {"name": "create-order"}, "saga-run": {"definition": DEFINITION},
    "saga-step": {"saga": NAME, "step": STEP}, "saga-after": {"saga": NAME, "step": STEP},
    "saga-commit": {"saga": NAME}, "saga-abort": {"saga": NAME}, "saga-show": {"saga": NAME}, "saga-list": {},
    "saga-wait": {"saga": NAME}, "saga-retry": {"saga": NAME},
    "saga-skip": {"saga": NAME, "step": "reserve", "why": "by hand"}, "saga-give-up": {"saga": NAME, "why": "by hand"},
}  # fmt: skip
assert {*CALLS, "saga-journal"} == {*METHODS}, "the last asks no leader"
READS = ("saga-show", "saga-list", "saga-wait")


@pytest.mark.parametrize("method", CALLS)
async def test_broken_bytes_of_a_member_are_one_error(method: str) -> None:
    for broken in BROKEN:
        stub = Stub(("", broken))
        with pytest.raises(Unavailable if method in READS else OutcomeUnknown, match="cannot be read") as caught:
            await stub.call(method, client(uid=0), **CALLS[method])
        assert_one_line(caught.value)


@pytest.mark.parametrize("method", CALLS)
async def test_an_error_keeps_its_code_where_its_text_is_broken(method: str) -> None:
    for broken in BROKEN:
        with pytest.raises(Busy, match="reason cannot be read"):
            await Stub(("busy", broken)).call(method, client(uid=0), **CALLS[method])


@pytest.mark.parametrize("method", ["saga-begin", "saga-run"])
@pytest.mark.parametrize("code", ["", "exists"])
async def test_an_answer_that_names_no_saga_is_one_error(method: str, code: str) -> None:
    for answer in ({}, {**BEGUN, "saga": 7}, {**BEGUN, "id": None}, {**BEGUN, "state": b"running"}):
        stub, one = Stub((code, answer)), client()
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            await stub.call(method, one, **CALLS[method])
        assert one.sagas == 0


async def test_a_begun_saga_whose_name_is_none_is_one_error() -> None:
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await Stub(("", {**BEGUN, "saga": "order-7"})).call("saga-begin", client(), name="create-order")


@pytest.mark.parametrize(
    ("text", "told"), [("a\nb\x1b[31m  c", "a b [31m c"), ("x" * 200_000, "x" * 2000), (7, "busy"), ("", "busy")]
)
async def test_the_reason_of_a_member_is_one_line(text: object, told: str) -> None:
    with pytest.raises(Busy) as caught:
        await Stub(("busy", {"text": text})).call("saga-show", client(), saga=NAME)
    assert str(caught.value) == told


async def test_a_sidecar_that_is_not_synced_does_not_say_that_there_is_no_saga() -> None:
    stub = Stub(("", {"sagas": [], "unanswered": [], "more": False}), ("not_found", {"text": "no journal has it"}))
    stub.synced = False
    [text] = (await stub.call("saga-list", client()))["unanswered"]
    assert "not synced" in text
    with pytest.raises(NotSynced, match=f"there is a saga '{NAME}' yet: no other member has answered yet"):
        await stub.call("saga-show", client(), saga=NAME)
