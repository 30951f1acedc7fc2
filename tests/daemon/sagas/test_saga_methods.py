"""The methods of the local socket about sagas: who may do what, what goes to the leader, what comes back."""

import json
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.callers import Caller
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.orchestration import SAGA_METHODS
from gossipreg.daemon.sagas.local_sagas import SagaAnswer
from gossipreg.daemon.sagas.saga_methods import METHODS
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import BadParams, NotAllowed, OutcomeUnknown, RequestError
from gossipreg.rights import RIGHTS, Rights
from gossipreg.sagas.saga_definition import decode_definition
from gossipreg.sagas.saga_model import SagaRef, read_saga

NAME = "00" * 15 + "01.order-7"
SAGA = read_saga(NAME)
STEP = {"name": "reserve", "service": "stock", "method": "PUT", "path": "/r/{key}", "undo": None}
DEFINITION = {"name": "create-order", "step": [{**STEP, "harmless": True}]}


class Stub:
    """The sagas of a sidecar whose leader answers as the test says."""

    def __init__(self, *answers: tuple[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.lost: list[SagaRef] = []
        self.programs = SagaPrograms(lambda _sagas: None, self._note_lost)
        self.rights = Rights(700)
        self.audit = Audit(lambda: 0.0)
        self.by_hand: list[tuple[Any, ...]] = []
        self.reports = SimpleNamespace(by_hand=lambda *said: self.by_hand.append(said), counts=Counter())
        self.name = "web-1"

    def _note_lost(self, sagas: Sequence[SagaRef]) -> None:
        self.lost += sagas

    async def ask(self, method: str, params: dict[str, Any], client: SocketClient) -> SagaAnswer:
        del client
        self.asked.append((method, dict(params)))
        code, result = self.answers.pop(0)
        return SagaAnswer(code, packb(result))

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
    known = {"text": "it is there", "saga": NAME, "id": "order-7", "state": "ended", "decision": "commit"}
    for method, params in (("saga-begin", {"name": "a"}), ("saga-run", {"definition": DEFINITION})):
        stub, one = Stub(("exists", known)), client()
        answer = await stub.call(method, one, **params)
        assert answer == {
            "saga": NAME, "id": "order-7", "state": "ended", "decision": "commit", "exists": True,
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


async def test_declared_saga_has_no_program() -> None:
    stub, one = Stub(("", BEGUN)), client()
    await stub.call("saga-run", one, definition=DEFINITION)
    assert one.sagas == 0


@pytest.mark.parametrize(
    ("code", "error", "over"),
    [("decided", RequestError, True), ("not_found", RequestError, True), ("unknown_outcome", OutcomeUnknown, False)],
)
async def test_program_is_held_until_its_saga_is_over(code: str, error: type[RequestError], over: bool) -> None:
    stub, one = Stub(("", {"state": "done"}), (code, {"text": "why"})), client()
    await stub.call("saga-step", one, saga=NAME, step=STEP)
    assert one.sagas == 1
    with pytest.raises(error, match="why") as caught:
        await stub.call("saga-step", one, saga=NAME, step=STEP)
    assert caught.value.code == ("outcome_unknown" if code == "unknown_outcome" else code)
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
    with pytest.raises(NotAllowed, match="saga-abort of another's saga is not allowed for user 1000"):
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
        await stub.call("saga-skip", client(), saga=NAME)
    answer = await stub.call("saga-skip", client(uid=700), saga=NAME, step="reserve", why="it was never there")
    assert answer == {"steps": ["reserve"]}
    assert stub.asked == [
        ("skip", {"saga": NAME, "step": "reserve", "why": "it was never there", "who": "user 700 at web-1"})
    ]
    assert [shape["verb"] for shape in stub.audit.shapes()] == ["saga-skip"]
    with pytest.raises(RequestError, match="nothing changed"):
        await stub.call("saga-give-up", client(uid=0), saga=NAME)
    assert len(stub.by_hand) == 1
    with pytest.raises(BadParams, match="no parameter 'who'"):
        await stub.call("saga-retry", client(uid=0), saga=NAME, who="somebody else")


@pytest.mark.parametrize("saga", ["order-7", "", 7, None, "zz.order-7"])
async def test_calls_of_programs_need_the_whole_name(saga: object) -> None:
    with pytest.raises(BadParams, match="saga"):
        await Stub().call("saga-commit", client(), saga=saga)
