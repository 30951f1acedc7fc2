"""`gossipreg saga run`: what it asks of the sidecar, what it prints, how it ends."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli import saga_asking, saga_run
from gossipreg.client import Client
from gossipreg.errors import OutcomeUnknown, RequestError, Unavailable
from gossipreg.retry import Retry
from gossipreg.sagas.saga_definition import decode_definition
from scripts.tools.wait import BOUND_S
from tests.cli import saga_stories as s
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

ORDER = """
name = "create-order"
timeout = "2m"
[[step]]
name = "reserve"
service = "stock"
method = "PUT"
path = "/reservations/{key}"
json = { sku = "{input.sku}" }
undo = { method = "DELETE", path = "/reservations/{key}" }
"""
INPUT = '{"sku": "a-1"}'
BEGUN = f"begun {s.SAGA}\n"


@pytest.fixture
def order(tmp_path: Path) -> str:
    path = tmp_path / "order.toml"
    path.write_text(ORDER)
    return str(path)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_asking, "RETRY", Retry(0.001, 0.002))


def begun(**more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda _: {"saga": s.SAGA, "id": "order-7", "state": "running", "copies": 3, "takeover": True} | more


def refusal(code: str, text: str) -> RequestError:
    error = RequestError(text)
    error.code = code
    return error


def test_run_begins_what_the_file_declares_and_waits(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.COMMITTED}
    assert command("saga", "run", order, "--input", INPUT, "--id", "order-7") == (0, f"committed {s.SAGA}\n", BEGUN)
    (method, params), (waited, wait) = sidecar.seen
    assert (method, params["id"], params["input"]) == ("saga-run", "order-7", INPUT.encode())
    found = decode_definition(params["definition"])
    assert (found.name, found.timeout_ms, found.steps[0].name) == ("create-order", 120_000, "reserve")
    assert (waited, wait["saga"], wait["until"]) == ("saga-wait", s.SAGA, "decided")


def test_an_aborted_saga_is_1_with_its_reason(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.UNDONE}
    ended = command("saga", "run", order, "--input", INPUT)
    assert ended == (1, f"aborted {s.SAGA}: step pay was refused\n", BEGUN)
    ended = command("saga", "run", order, "--input", INPUT, "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["decision"], found["input"], found["steps"][0]["body"]) == (
        1, "abort", {"sku": "a"}, '{"id": 1}',
    )  # fmt: skip


def test_saga_of_which_a_person_skipped_steps_is_not_called_whole(
    sidecar: FakeSidecar, command: Command, order: str
) -> None:
    """`committed` and exit code 0 were all that it said."""
    mail = {**s.RESERVED, "name": "mail", "state": "skipped"}
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.story(s.RESERVED, mail)}
    ended = command("saga", "run", order, "--input", INPUT, "--until", "ended")
    said = f"mail was skipped by hand, so it is not whole: `gossipreg saga show {s.SAGA}`\n"
    assert ended == (0, f"committed {s.SAGA}\n", BEGUN + said)


def test_an_aborted_saga_names_the_step_that_is_not_undone(sidecar: FakeSidecar, command: Command, order: str) -> None:
    pay = {**s.REFUSED, "state": "not_undone", "undo": s.undo("", status=0, attempts=0)}
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.story(pay, decision="abort", reason="no answer")}
    ended = command("saga", "run", order, "--input", INPUT, "--until", "ended")
    assert ended == (
        1, f"aborted {s.SAGA}: no answer\n", f"{BEGUN}pay has no undo, and may have happened: look at its service\n",
    )  # fmt: skip


def test_a_saga_that_does_not_begin_is_4(sidecar: FakeSidecar, command: Command, order: str) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise refusal("conflict", "saga 7c.order-7 has another name or input: give this one an id of its own")

    sidecar.answers["saga-run"] = refuse
    ended = command("saga", "run", order, "--input", INPUT)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == "Error: saga 7c.order-7 has another name or input: give this one an id of its own\n"


def test_without_waiting_the_name_is_printed(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers["saga-run"] = begun()
    assert command("saga", "run", order, "--input", INPUT, "--no-wait") == (0, f"{s.SAGA}\n", "")
    assert json.loads(command("saga", "run", order, "--input", INPUT, "--no-wait", "--json").out)["takeover"]


def test_each_run_without_an_id_is_a_saga_of_its_own(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers["saga-run"] = begun()
    for _ in range(2):
        command("saga", "run", order, "--input", INPUT, "--no-wait")
    assert len({params["id"] for _, params in sidecar.seen}) == 2


def test_a_saga_that_was_begun_before_is_waited_for(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(exists=True, decision=None), "saga-wait": lambda _: s.COMMITTED}
    ended = command("saga", "run", order, "--input", INPUT, "--id", "order-7")
    assert (ended.code, ended.out) == (0, f"committed {s.SAGA}\n")
    assert ended.err == f"saga {s.SAGA} was begun before: it is not run again\n"


def test_ctrl_c_ends_the_wait_and_names_the_saga(
    sidecar: FakeSidecar, command: Command, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise KeyboardInterrupt

    sidecar.answers["saga-run"] = begun()
    monkeypatch.setattr(saga_run, "await_saga", wait)
    ended = command("saga", "run", order, "--input", INPUT)
    assert (ended.code, ended.out) == (130, "")
    assert f"interrupted: {s.SAGA} goes on: `gossipreg saga show {s.SAGA}` tells" in ended.err


def test_ctrl_c_before_the_answer_says_how_to_begin_it_once(
    sidecar: FakeSidecar, command: Command, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    sidecar.answers["saga-run"] = begun()
    monkeypatch.setattr(Client, "call", call)
    ended = command("saga", "run", order, "--input", INPUT, "--id", "order-7")
    assert (ended.code, ended.out) == (130, "")
    assert "may have begun: run it again at the same sidecar with --id order-7, which begins it once" in ended.err


def test_an_empty_id_is_refused(command: Command, order: str) -> None:
    """`--id "$ORDER"` with a variable that is not set would run the order again each time."""
    ended = command("saga", "run", order, "--input", INPUT, "--id", "")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("--id is empty: leave it out to have one drawn.\n")


def test_a_definition_may_come_from_stdin(
    sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.COMMITTED}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ORDER.encode())))
    assert command("saga", "run", "-", "--input", INPUT) == (0, f"committed {s.SAGA}\n", BEGUN)
    ended = command("saga", "run", "-", "--input", "-")
    assert (ended.code, ended.out) == (2, "")
    assert "FILE and --input cannot both be read from stdin" in ended.err


def test_an_unknown_outcome_says_how_to_learn_it(sidecar: FakeSidecar, command: Command, order: str) -> None:
    def lost(_: dict[str, Any]) -> None:
        raise OutcomeUnknown("no answer came within 10 s")

    sidecar.answers["saga-run"] = lost
    ended = command("saga", "run", order, "--input", INPUT)
    id = sidecar.seen[0][1]["id"]
    again = f"run it again at the same sidecar with --id {id}, which begins it once"
    assert (ended.code, ended.err) == (4, f"Error: no answer came within 10 s; {again}\n")


def test_a_sidecar_that_ends_meanwhile_says_how_to_go_on(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers["saga-run"] = lambda _: b""
    ended = command("saga", "run", order, "--input", INPUT)
    id = sidecar.seen[0][1]["id"]
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.endswith(
        f"may have begun: run it again at the same sidecar with --id {id}, which begins it once\n"
    )


def test_without_a_sidecar_nothing_may_have_begun(command: Command, order: str) -> None:
    ended = command("saga", "run", order, "--input", INPUT)
    assert ended.code == 3
    assert ended.err.endswith("start one with `gossipreg join`\n")


def test_the_wait_goes_on_through_a_change_of_leaders(sidecar: FakeSidecar, command: Command, order: str) -> None:
    answers: list[Any] = [Unavailable("nobody leads the journal now"), s.RUNNING, s.COMMITTED]

    def wait(_: dict[str, Any]) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sidecar.answers |= {"saga-run": begun(), "saga-wait": wait}
    assert command("saga", "run", order, "--input", INPUT).code == 0
    assert answers == []


@pytest.mark.parametrize("away", [True, False])
def test_a_saga_that_is_not_decided_in_time_goes_on(
    sidecar: FakeSidecar, command: Command, order: str, away: bool
) -> None:
    def wait(_: dict[str, Any]) -> Any:
        if away:
            raise Unavailable("nobody leads the journal now")
        return s.RUNNING

    sidecar.answers |= {"saga-run": begun(), "saga-wait": wait}
    ended = command("saga", "run", order, "--input", INPUT, "--timeout", "20ms")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith(f"{BEGUN}Error: ")
    assert f"goes on: `gossipreg saga show {s.SAGA}`" in ended.err


def tried(state: str, **answer: Any) -> dict[str, Any]:
    failing = {"attempts": 4, "text": "status 503", **answer}
    undo = s.undo("/r", settled=None, **failing) if state == "undoing" else None
    step = {**s.REFUSED, "state": state, "settled": None, "undo": undo, "after": state == "after", **failing}
    return s.story(step, state="running", decision=None, decided=None, ended=None)


@pytest.mark.parametrize("state", ["intended", "undoing", "after"])
def test_a_saga_that_takes_long_says_what_it_waits_for(
    sidecar: FakeSidecar, command: Command, order: str, state: str
) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: tried(state)}
    ended = command("saga", "run", order, "--input", INPUT, "--until", "ended", "--timeout", "1ms")
    assert (ended.code, ended.out) == (4, "")
    assert f"{s.SAGA} is not ended after 0.001s, and goes on (step pay, tried 4x: status 503): `goss" in ended.err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_person_at_a_terminal_is_told_what_the_command_waits_for(
    sidecar: FakeSidecar, command: Command, order: str, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    answers = [tried("intended"), s.COMMITTED] if terminal else [s.COMMITTED]
    waits: list[int] = []

    def wait(params: dict[str, Any]) -> Any:
        waits.append(params["timeout_ms"])
        return answers.pop(0)

    sidecar.answers |= {"saga-run": begun(), "saga-wait": wait}
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    ended = command("saga", "run", order, "--input", INPUT)
    note = f"{s.SAGA} goes on (step pay, tried 4x: status 503); Ctrl-C ends this wait alone\n"
    assert ended == (0, f"committed {s.SAGA}\n", BEGUN + (note if terminal else ""))
    assert (waits[0] <= 3000, answers) == (terminal, [])


def lost_from(sidecar: FakeSidecar, waits: int) -> Callable[[dict[str, Any]], Any]:
    """The first `waits` waits find the sidecar ended, later ones do not."""

    def wait(_: dict[str, Any]) -> Any:
        return b"" if sum(method == "saga-wait" for method, _ in sidecar.seen) <= waits else s.COMMITTED

    return wait


def test_a_sidecar_that_is_lost_during_the_wait_is_told_at_once(
    sidecar: FakeSidecar, command: Command, order: str
) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lost_from(sidecar, 2)}
    ended = command("saga", "run", order, "--input", INPUT)
    assert (ended.code, ended.out) == (0, f"committed {s.SAGA}\n")
    said = ended.err.splitlines()
    assert (len(said), f"{said[0]}\n") == (2, BEGUN)
    assert said[1].startswith("the sidecar on ")
    assert said[1].endswith(f"closed the connection; waiting up to 10 s for it to come back, {s.SAGA} goes on")


@pytest.mark.parametrize("json_", [True, False])
def test_a_sidecar_that_stays_lost_ends_the_wait_with_3(
    sidecar: FakeSidecar, command: Command, order: str, monkeypatch: pytest.MonkeyPatch, json_: bool
) -> None:
    monkeypatch.setattr(saga_asking, "LOST_S", 0.01)
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lost_from(sidecar, 1 << 30)}
    ended = command("saga", "run", order, "--input", INPUT, "--timeout", "10m", *(["--json"] if json_ else []))
    assert (ended.code, ended.out) == (3, "")
    last = ended.err.splitlines()[-1]
    if json_:
        assert ended.err.count("\n") == 1
        assert json.loads(last)["error"]["code"] == "unreachable"
    assert f"{s.SAGA} was begun, and goes on" in last
    assert f"`gossipreg --socket PATH saga show {s.SAGA}` at any other sidecar" in last


NO_ANSWER = b"\x94"
"""The first byte of an answer: its end never comes."""


@pytest.mark.parametrize("lives", [True, False])
def test_a_sidecar_that_hangs_is_told_from_a_leader_that_does(
    sidecar: FakeSidecar, command: Command, order: str, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    for name in ("LATE_S", "LOST_S"):
        monkeypatch.setattr(saga_asking, name, 0.05)
    monkeypatch.setattr(saga_asking, "LIVES_S", BOUND_S if lives else 0.05)
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: NO_ANSWER}
    sidecar.answers["registered"] = lambda _: [] if lives else NO_ANSWER
    ended = command("saga", "run", order, "--input", INPUT, "--timeout", "300ms")
    assert (ended.code, ended.out) == (4 if lives else 3, "")
    last = ended.err.splitlines()[-1]
    if lives:
        assert f"the leader of the saga's journal does not; {s.SAGA} was begun and goes on" in last
    else:
        assert "did not answer saga-wait within" in last
        assert f"{s.SAGA} was begun, and goes on" in last


def test_a_timeout_of_0_asks_once_and_does_not_wait(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.RUNNING}
    ended = command("saga", "run", order, "--input", INPUT, "--timeout", "0")
    assert (ended.code, ended.out) == (4, "")
    assert f"{s.SAGA} is not decided after 0s, and goes on" in ended.err
    assert [params["timeout_ms"] for method, params in sidecar.seen if method == "saga-wait"] == [0]


def test_with_json_the_name_is_in_the_result_alone(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.COMMITTED}
    ended = command("saga", "run", order, "--input", INPUT, "--json")
    assert (ended.code, ended.err, json.loads(ended.out)["saga"]) == (0, "", s.SAGA)


def test_until_ended_waits_for_the_undo(sidecar: FakeSidecar, command: Command, order: str) -> None:
    stories = [s.STUCK, s.UNDONE]
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: stories.pop(0)}
    assert command("saga", "run", order, "--input", INPUT, "--until", "ended").code == 1
    assert stories == []


def test_input_comes_from_a_file_or_stdin(
    sidecar: FakeSidecar, command: Command, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar.answers["saga-run"] = begun()
    (tmp_path / "input.json").write_text(INPUT + "\n")
    assert command("saga", "run", order, "--input", f"@{tmp_path}/input.json", "--no-wait").code == 0
    with (tmp_path / "input.json").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert command("saga", "run", order, "--input", "-", "--no-wait").code == 0
    assert [params["input"] for _, params in sidecar.seen] == [INPUT.encode()] * 2


@pytest.mark.parametrize(
    ("definition", "given", "fault"),
    [
        (ORDER + ORDER.partition('2m"')[2], INPUT, "order.toml: two steps have the name 'reserve'"),
        (ORDER.replace('"stock"', '"http://stock/"'), INPUT,
         "order.toml: step 'reserve': service 'http://stock/' is a URL"),
        (ORDER.replace("undo =", "undu ="), INPUT, "order.toml: step 'reserve' has the unknown field 'undu'"),
        (ORDER.replace("[[step]]", "[step"), INPUT, "order.toml: the definition is no TOML"),
        ("#" * 300_000, INPUT, "order.toml: the definition has"),
        (ORDER, "{", "in double quotes: line 1 column 2 (char 1)"),
        ("", INPUT, "order.toml: the definition has no name: give it one, such as create-order"),
        (ORDER, '{"sku": ', "--input: the input is no JSON"),
        (ORDER, '{"stock": 1}', "do not fit: step 'reserve': {input.sku} is not there: {input} has stock"),
        (ORDER, '"' + "x" * 70_000 + '"', "--input has more than 65536 bytes"),
        (ORDER, "@/nothing/there", "--input: @/nothing/there cannot be read: No such file"),
    ],
)  # fmt: skip
def test_each_wrong_input_is_one_error_and_nothing_is_asked(
    sidecar: FakeSidecar, command: Command, order: str, definition: str, given: str, fault: str
) -> None:
    Path(order).write_text(definition)
    ended = command("saga", "run", order, "--input", given)
    assert (ended.code, ended.out, sidecar.seen) == (2, "", [])
    assert fault in ended.err
    assert json.loads(command("saga", "run", order, "--input", given, "--json").err)["error"]["code"] == "usage"


def test_a_definition_may_be_json_whatever_the_file_is_called(
    sidecar: FakeSidecar, command: Command, tmp_path: Path
) -> None:
    sidecar.answers["saga-run"] = begun()
    table = {"name": "a", "service": "s", "method": "PUT", "path": "/", "undo": "none"}
    for name in ("order.json", "order"):
        (tmp_path / name).write_text(json.dumps({"name": "order", "step": [table]}))
        assert command("saga", "run", str(tmp_path / name), "--no-wait").code == 0
