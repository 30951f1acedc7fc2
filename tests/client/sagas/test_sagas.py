"""`registry.saga` of threads, against a sidecar whose answers a test sets."""

import json
import threading
from contextlib import nullcontext, suppress
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import gossipreg
from gossipreg import SagaAborted, SagaConflict, SagaExists, SagaStep, StepRefused, StepUnknown
from gossipreg.client.registry import Registry
from gossipreg.client.sagas import saga as saga_module
from gossipreg.errors import (
    BadParams,
    Conflict,
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unavailable,
    Unreachable,
)
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.sagas.command_rendering import render_command
from gossipreg.sagas.command_template import command_untrusted
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_templates import TemplateValues
from scripts.tools.wait import wait_for
from tests.client.sagas.saga_sidecar import CLOSE, JOURNAL, SagaSidecar, begun, failure, step_answer, story

UNDO = ("DELETE", "/reservations/{key}")


def reserve(saga: gossipreg.Saga, name: str = "reserve", **given: Any) -> gossipreg.StepAnswer:
    return saga.step(name, "stock", "PUT", "/reservations/{key}", json={"n": 1}, **{"undo": UNDO, **given})


def order(registry: Registry, *, raises: BaseException | None = None, **given: Any) -> None:
    """A saga of one step."""
    with registry.saga("create-order", id="s1") as saga:
        reserve(saga, **given)
        if raises is not None:
            raise raises


def ends(sagas: SagaSidecar) -> str:
    sagas.end()
    return CLOSE


def test_a_block_begins_takes_steps_and_commits(sagas: SagaSidecar, registry: Registry) -> None:
    with registry.saga("create-order", id="s1", input={"item": "tea"}, timeout=5, strict=True) as saga:
        answer = reserve(saga, timeout=2, attempt_timeout=0.5, headers={"Authorization": "secret:stock"})
        assert (answer.ok, answer.status, answer.json()) == (True, 200, {"n": 7})
        saga.after("mail", "mailer", "POST", "/mails", json={"to": "{input.to}"})
        assert (saga.saga, saga.copies, saga.takeover) == (f"{JOURNAL}.s1", 3, True)
    assert sagas.methods == ["begin", "step", "after", "commit"]
    begin, step, after, commit = (params for _, params in sagas.seen)
    assert begin == {
        "name": "create-order", "id": "s1", "input": b'{"item":"tea"}', "timeout_ms": 5000, "strict": True,
    }  # fmt: skip
    assert step == {"saga": saga.saga, "step": {
        "name": "reserve", "service": "stock", "method": "PUT", "path": "/reservations/{key}", "json": {"n": 1},
        "headers": {"Authorization": "secret:stock"}, "undo": {"method": "DELETE", "path": "/reservations/{key}"},
        "timeout_ms": 2000, "attempt_timeout_ms": 500,
    }}  # fmt: skip
    assert after["step"] == {
        "name": "mail", "service": "mailer", "method": "POST", "path": "/mails", "json": {"to": "{input.to}"},
    }  # fmt: skip
    assert commit == {"saga": saga.saga}
    assert sagas.accepted == 1


@pytest.mark.parametrize("error", [ValueError("no\nway"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_an_exception_aborts_and_is_raised_on(sagas: SagaSidecar, registry: Registry, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        order(registry, raises=error)
    assert raised.value is error
    assert sagas.methods == ["begin", "step", "abort"]
    assert type(error).__name__ in sagas.params("saga-abort")[0]["reason"]
    assert "\n" not in sagas.params("saga-abort")[0]["reason"]


def test_abort_leaves_the_block(sagas: SagaSidecar, registry: Registry) -> None:
    with pytest.raises(SagaAborted, match="out of tea") as raised, registry.saga("create-order", id="s1") as saga:
        saga.abort("out of tea")
    assert (raised.value.reason, raised.value.saga) == ("out of tea", f"{JOURNAL}.s1")
    assert sagas.methods == ["begin", "abort"]


def test_a_refused_step_raises_and_aborts(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [step_answer(state="refused", status=422, body=b"no", text="422 on the first attempt")]
    with pytest.raises(StepRefused, match=r"reserve .* refused by stock: 422 on the first attempt") as raised:
        order(registry)
    assert (raised.value.answer.status, raised.value.answer.text) == (422, "no")
    assert sagas.methods == ["begin", "step", "abort"]


def test_step_that_was_never_sent_was_not_refused_by_its_service(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [step_answer(state="refused", status=0, text="no instance of stock is registered")]
    with pytest.raises(StepRefused, match=r"reserve .* was not sent to stock: no instance of stock is registered"):
        order(registry)


def test_an_optional_step_that_is_refused_goes_on(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [step_answer(state="refused", status=422)]
    with registry.saga("create-order") as saga:
        assert not reserve(saga, optional=True).ok
    assert sagas.methods == ["begin", "step", "commit"]


def test_an_unknown_step_raises_and_aborts(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [step_answer(state="unknown", status=0, text="no answer in 30 s")]
    with pytest.raises(StepUnknown, match="may be done or not"), registry.saga("create-order") as saga:
        reserve(saga)
    assert sagas.methods[-1] == "abort"


def test_a_swallowed_failure_does_not_commit(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [step_answer(state="refused", status=422)]
    sagas.script["saga-commit"] = [failure("not_done", "saga cannot commit: reserve is refused")]
    with (
        pytest.raises(SagaAborted, match="reserve is refused"),
        registry.saga("create-order") as saga,
        suppress(StepRefused),
    ):
        reserve(saga)
    assert sagas.methods == ["begin", "step", "commit", "abort"]


@pytest.mark.parametrize("swallows", [False, True])
def test_a_saga_that_was_decided_meanwhile_is_aborted(sagas: SagaSidecar, registry: Registry, swallows: bool) -> None:
    sagas.script["saga-step"] = [failure("decided", "the saga is aborted: too late: it takes no more steps")]
    swallowed = suppress(SagaAborted) if swallows else nullcontext()
    with pytest.raises(SagaAborted) as raised, registry.saga("create-order") as saga, swallowed:
        reserve(saga)
    assert swallows or raised.value.reason == "too late"
    assert sagas.methods == ["begin", "step"]


def test_a_commit_of_an_aborted_saga_says_so(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-commit"] = [failure("aborted", "its program was lost")]
    with pytest.raises(SagaAborted, match="its program was lost"), registry.saga("create-order") as saga:
        reserve(saga)
    assert sagas.methods[-1] == "commit"


def test_no_step_is_taken_outside_the_block(sagas: SagaSidecar, registry: Registry) -> None:
    saga = registry.saga("create-order")
    with pytest.raises(Refused, match="is not begun"):
        reserve(saga)
    with saga:
        pass
    with pytest.raises(Refused, match="is over"):
        reserve(saga)
    with pytest.raises(Refused, match="begun already"), saga:
        pass
    assert sagas.methods == ["begin", "commit"]


# -- begin -------------------------------------------------------------------------------------------------------------


def test_a_known_id_does_not_run_the_block(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-begin"] = [begun({"id": "s1"}) | {"exists": True, "state": "ended", "decision": "commit"}]
    with pytest.raises(SagaExists) as raised, registry.saga("create-order", id="s1"):
        raise AssertionError("the block runs")
    assert (raised.value.state, raised.value.decision, raised.value.saga) == ("ended", "commit", f"{JOURNAL}.s1")
    assert sagas.methods == ["begin"]


def test_an_id_of_another_saga_is_a_conflict(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-begin"] = [failure("conflict", "another name")]
    with pytest.raises(SagaConflict, match="s1"), registry.saga("create-order", id="s1"):
        raise AssertionError("the block runs")


def test_a_begin_whose_answer_is_lost_is_found_again(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-begin"] = [CLOSE, lambda params: begun(params) | {"exists": True}]
    with registry.saga("create-order") as saga:
        assert saga.is_open
    assert sagas.methods == ["begin", "begin", "commit"]
    sagas.script["saga-begin"] = [CLOSE, lambda params: begun(params) | {"exists": True}]
    with pytest.raises(SagaExists, match="may be the one that this program began"):
        registry.saga("create-order", id="given").__enter__()


def test_a_saga_that_was_lost_before_its_first_step_begins_again(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [NotFound("lost before its first step"), step_answer(), NotFound("forgotten")]

    def two_steps() -> None:
        with registry.saga("create-order") as saga:
            reserve(saga)
            reserve(saga, "second")

    with pytest.raises(NotFound, match="forgotten"):
        two_steps()
    assert sagas.methods == ["begin", "step", "begin", "step", "step", "abort"]
    assert len({params["id"] for params in sagas.params("saga-begin")}) == 1


# -- connections -------------------------------------------------------------------------------------------------------


def test_a_step_whose_connection_breaks_is_asked_again(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [CLOSE, Unavailable("no leader"), failure("outcome_unknown"), step_answer()]
    with registry.saga("create-order") as saga:
        assert reserve(saga).ok
    steps = sagas.params("saga-step")
    assert len(steps) == 4
    assert all(step == steps[0] for step in steps)


def test_a_restarted_sidecar_gets_the_same_saga(sagas: SagaSidecar, registry: Registry) -> None:
    with registry.saga("create-order") as saga:
        reserve(saga)
        sagas.end()
        threading.Timer(0.1, sagas.start).start()
        reserve(saga, "second")
    assert sagas.methods[-2:] == ["step", "commit"]
    assert {params["saga"] for method, params in sagas.seen if method == "saga-step"} == {saga.saga}


@pytest.mark.usefixtures("hasty")
def test_a_sidecar_that_stays_away_leaves_the_step_unknown(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-begin"] = [lambda params: ends(sagas) and begun(params)]
    with pytest.raises(Unreachable):
        order(registry)
    sagas.start()
    sagas.script["saga-step"] = [lambda _: ends(sagas)]
    with pytest.raises(StepUnknown, match="may be done or not"):
        order(registry)


@pytest.mark.usefixtures("hasty")
def test_a_commit_without_answer_is_unknown_and_never_aborts(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-commit"] = [lambda _: ends(sagas)]
    with pytest.raises(OutcomeUnknown, match="saga_of") as raised, registry.saga("create-order", id="s1") as saga:
        reserve(saga)
    assert raised.value.saga == f"{JOURNAL}.s1"
    sagas.start()
    assert registry.saga_of(raised.value.saga).wait().is_committed
    assert sagas.methods == ["begin", "step", "commit", "wait"]


def test_a_lost_commit_is_repeated(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-commit"] = [CLOSE, Unavailable("no leader yet")]
    with registry.saga("create-order"):
        pass
    assert sagas.methods == ["begin", "commit", "commit", "commit"]


@pytest.mark.usefixtures("hasty")
def test_an_abort_that_nobody_hears_closes_the_connection(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-abort"] = [Unavailable("no leader")] * 1000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gossipreg.client.sagas.program_saga.ABORT_S", 0.2)
        with pytest.raises(ValueError, match="no"):
            order(registry, raises=ValueError("no"))
    wait_for(lambda: sagas.ended, what="the sidecar sees that the program is gone")


def test_the_next_saga_has_the_connection_of_the_last(sagas: SagaSidecar, registry: Registry) -> None:
    for _ in range(5):
        with registry.saga("create-order") as saga:
            reserve(saga)
    assert sagas.accepted == 1


# -- several steps at once ---------------------------------------------------------------------------------------------


def test_steps_at_once_wait_for_each_other(sagas: SagaSidecar, registry: Registry) -> None:
    together = threading.Barrier(4)

    def answer(params: dict[str, Any]) -> Any:
        together.wait(30)
        return step_answer(body=f'"{params["step"]["name"]}"'.encode())

    sagas.usual["saga-step"] = answer
    with registry.saga("create-order") as saga:
        answers = saga.steps([SagaStep(f"s{n}", "stock", "PUT", "/{key}", undo=UNDO) for n in range(4)])
        assert [one.json() for one in answers] == ["s0", "s1", "s2", "s3"]
        together.reset()
        saga.steps([SagaStep(f"t{n}", "stock", "PUT", "/{key}", undo=UNDO) for n in range(4)])
        assert saga.steps([]) == []
    assert sagas.accepted == 4


def test_the_first_failure_of_several_is_raised_once_all_ended(sagas: SagaSidecar, registry: Registry) -> None:
    answers = {"s0": step_answer(), "s1": step_answer(state="refused", status=422), "s2": step_answer(state="unknown")}
    sagas.usual["saga-step"] = lambda params: answers[params["step"]["name"]]
    with pytest.raises(StepRefused, match="s1"), registry.saga("create-order") as saga:
        saga.steps([SagaStep(name, "stock", "PUT", "/{key}", undo=UNDO) for name in answers])
    assert sorted(sagas.methods) == ["abort", "begin", "step", "step", "step"]


def test_more_steps_than_places_go_one_after_the_other(sagas: SagaSidecar, registry: Registry) -> None:
    with registry.saga("create-order") as saga:
        count = 3 * saga_module.STEPS_AT_ONCE
        assert len(saga.steps([SagaStep(f"s{n}", "stock", "PUT", "/{key}", undo=UNDO) for n in range(count)])) == count
    assert sagas.accepted <= saga_module.STEPS_AT_ONCE


# -- asking ------------------------------------------------------------------------------------------------------------


def test_wait_asks_until_it_is_there(sagas: SagaSidecar, registry: Registry) -> None:
    aborted = {"state": "aborted", "decision": "abort", "reason": "no tea"}
    sagas.script["saga-show"] = [story()]
    sagas.script["saga-wait"] = [story(), CLOSE, story(**aborted), story(**aborted | {"state": "ended"})]
    found = registry.saga_of("s1").wait(until="ended")
    assert (found.is_decided, found.is_committed, found.is_ended, found.reason) == (True, False, True, "no tea")
    assert {params["saga"] for params in sagas.params("saga-wait")} == {f"{JOURNAL}.s1"}
    sagas.usual["saga-wait"] = lambda _: story()
    with pytest.raises(DeadlineExceeded, match=r"not decided after 0.05 s: running"):
        registry.saga_of(f"{JOURNAL}.s1").wait(0.05)


@pytest.mark.parametrize("id", ["order.7", "g" * 32 + ".7"])
def test_an_id_with_a_dot_is_not_taken_for_a_full_name(sagas: SagaSidecar, registry: Registry, id: str) -> None:
    sagas.script["saga-show"] = [story(f"{JOURNAL}.{id}")]
    assert registry.saga_of(id).wait().is_committed
    assert [params["saga"] for params in sagas.params("saga-show")] == [id]
    assert [params["saga"] for params in sagas.params("saga-wait")] == [f"{JOURNAL}.{id}"]


def test_show_gives_the_story(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-show"] = [story(steps=[{"name": "reserve", "stuck": True}, {"name": "pay", "stuck": False}])]
    found = registry.saga_of("s1").show()
    assert (found.name, found.state, found.decision, found.stuck) == ("create-order", "running", None, ("reserve",))
    assert found.raw["kind"] == "by_code"


# -- wrong values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"undo": gossipreg.client.sagas.saga_step.NOT_WRITTEN}, "does not say how it is undone"),
        ({"undo": "DELETE /x"}, "METHOD, PATH"),
        ({"undo": {"method": "DELETE", "path": "/x", "url": "/"}}, "has url"),
        ({"undo": {"method": "DELETE"}}, "a path as text"),
        ({"body": b"x"}, "json and body"),
        ({"json": {1, 2}}, "no form in JSON"),
        ({"json": float("nan")}, "no form in JSON"),
        ({"headers": {"a": 1}}, "texts by name"),
        ({"unknown": "ignore"}, "'repeat'"),
        ({"timeout": 0}, "more than 0"),
        ({"timeout": "5"}, "seconds"),
        ({"needs": "reserve"}, "list of names"),
        ({"optional": "no"}, "neither True nor False"),
    ],
)
def test_wrong_steps_are_refused_before_anything_is_sent(
    sagas: SagaSidecar, registry: Registry, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadParams, match=says), registry.saga("create-order") as saga:
        saga.step("reserve", "stock", "PUT", "/x", **{"json": 1, "undo": None, **given})
    assert sagas.methods == ["begin", "abort"]


def test_two_steps_of_one_name_are_refused(registry: Registry) -> None:
    step = SagaStep("reserve", "stock", "PUT", "/x", harmless=True)
    with pytest.raises(BadParams, match="two steps are called reserve"), registry.saga("create-order") as saga:
        saga.steps([step, step])


def test_steps_at_the_same_time_need_no_other(registry: Registry) -> None:
    steps = [SagaStep(name, "stock", "PUT", "/x", harmless=True, needs=["a"]) for name in "ab"]
    with pytest.raises(BadParams, match="needs a, which is taken at the same time"), registry.saga("order") as saga:
        saga.steps(steps)


def test_a_conflict_of_steps_is_raised(sagas: SagaSidecar, registry: Registry) -> None:
    sagas.script["saga-step"] = [Conflict("another command has this name")]
    with pytest.raises(Conflict), registry.saga("create-order") as saga:
        reserve(saga)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.sampled_from("{}ab.")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from("{ab.")), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.given(JSON)
def test_literal_keeps_braces_of_what_comes_from_outside(value: Any) -> None:
    """As the sidecar renders it."""
    saga = SagaRef(JournalId(bytes(JOURNAL_ID_BYTES)), "s1")
    step = {"name": "a", "service": "stock", "method": "PUT", "path": "/x", "json": gossipreg.literal(value)}
    values = TemplateValues(saga, "a", b"null", {})
    command = render_command(command_untrusted(step, "step a"), values, "step a")
    assert json.loads(command.body) == value
