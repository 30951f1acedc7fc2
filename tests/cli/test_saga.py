"""`gossipreg saga`: what each command asks of the sidecar, what it prints, how it ends."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli import saga_asking
from gossipreg.cli.saga_drawing import Style
from gossipreg.cli.saga_show import style_of_stdout
from gossipreg.errors import NotFound, OutcomeUnknown, RequestError, Unavailable
from gossipreg.retry import Retry
from gossipreg.sagas.saga_definition import decode_definition
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


# -- run ---------------------------------------------------------------------------------------------------------------


def test_run_begins_what_the_file_declares_and_waits(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.COMMITTED}
    assert command("saga", "run", order, "--input", INPUT, "--id", "order-7") == (0, f"committed {s.SAGA}\n", "")
    (method, params), (waited, wait) = sidecar.seen
    assert (method, params["id"], params["input"]) == ("saga-run", "order-7", INPUT.encode())
    found = decode_definition(params["definition"])
    assert (found.name, found.timeout_ms, found.steps[0].name) == ("create-order", 120_000, "reserve")
    assert (waited, wait["saga"], wait["until"]) == ("saga-wait", s.SAGA, "decided")


def test_an_aborted_saga_is_1_with_its_reason(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers |= {"saga-run": begun(), "saga-wait": lambda _: s.UNDONE}
    ended = command("saga", "run", order, "--input", INPUT)
    assert ended == (1, f"aborted {s.SAGA}: step pay was refused\n", "")
    ended = command("saga", "run", order, "--input", INPUT, "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["decision"], found["input"], found["steps"][0]["body"]) == (
        1, "abort", {"sku": "a"}, '{"id": 1}',
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


def test_an_unknown_outcome_says_how_to_learn_it(sidecar: FakeSidecar, command: Command, order: str) -> None:
    def lost(_: dict[str, Any]) -> None:
        raise OutcomeUnknown("no answer came within 10 s")

    sidecar.answers["saga-run"] = lost
    ended = command("saga", "run", order, "--input", INPUT)
    id = sidecar.seen[0][1]["id"]
    assert (ended.code, ended.err) == (
        4, f"Error: no answer came within 10 s; run it again with --id {id}: it begins once\n",
    )  # fmt: skip


def test_a_sidecar_that_ends_meanwhile_says_how_to_go_on(sidecar: FakeSidecar, command: Command, order: str) -> None:
    sidecar.answers["saga-run"] = lambda _: b""
    ended = command("saga", "run", order, "--input", INPUT)
    id = sidecar.seen[0][1]["id"]
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.endswith(f"it may have begun: run it again with --id {id}, which begins it once\n")


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
    assert ended.err.startswith("Error: ")
    assert f"goes on: `gossipreg saga show {s.SAGA}`" in ended.err


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
        (ORDER.replace("[[step]]", "[step"), INPUT, "order.toml: the file is no TOML"),
        ("#" * 300_000, INPUT, "order.toml: the file has"),
        (ORDER, '{"sku": ', "order.toml and --input do not fit: the input is no JSON"),
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


# -- show and list -----------------------------------------------------------------------------------------------------


def test_show_draws_the_saga_or_prints_its_story(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["saga-show"] = lambda _: s.UNDONE
    ended = command("saga", "show", "order-7")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == f"create-order  {s.SAGA}  (declared)"
    assert "\x1b" not in ended.out
    assert sidecar.seen == [("saga-show", {"saga": "order-7"})]
    assert json.loads(command("saga", "show", "order-7", "--json").out)["steps"][1]["status"] == 402


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "environment", "style"),
    [
        ("utf-8", {}, Style(utf8=True, colours=True)), ("ascii", {}, Style(utf8=False, colours=True)),
        ("UTF8", {"NO_COLOR": "1"}, Style(utf8=True, colours=False)),
        ("utf-8", {"TERM": "dumb"}, Style(utf8=True, colours=False)),
    ],
)  # fmt: skip
def test_a_terminal_gets_colours_and_the_marks_that_it_has(
    monkeypatch: pytest.MonkeyPatch, encoding: str, environment: dict[str, str], style: Style
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", Terminal(io.BytesIO(), encoding=encoding))
    assert style_of_stdout() == style
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert not style_of_stdout().colours


def test_a_body_that_is_no_text_is_base64_in_json(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["saga-show"] = lambda _: s.story({**s.RESERVED, "body": b"\xff\x00"}, input=b"")
    found = json.loads(command("saga", "show", "order-7", "--json").out)
    assert (found["input"], found["steps"][0]["body_base64"]) == (None, "/wA=")
    assert "body" not in found["steps"][0]


def test_a_saga_that_is_not_there_is_4(sidecar: FakeSidecar, command: Command) -> None:
    def nothing(_: dict[str, Any]) -> None:
        raise NotFound("no saga order-8 in any journal")

    sidecar.answers["saga-show"] = nothing
    assert command("saga", "show", "order-8") == (4, "", "Error: no saga order-8 in any journal\n")
    assert command("saga", "abort", "order-8") == (4, "", "Error: no saga order-8 in any journal\n")


def test_list_is_an_aligned_table_or_one_array(sidecar: FakeSidecar, command: Command) -> None:
    rows = [s.short(), s.short(saga=f"{s.JOURNAL}.b", state="aborted", stuck=["reserve"], began=None, reason="")]
    sidecar.answers["saga-list"] = lambda params: {"sagas": [] if "after" in params else rows, "unanswered": []}
    lines = command("saga", "list", "--state", "ended").out.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "DECISION", "STEPS", "AGE", "STUCK", "SAGA", "WHY"]
    assert lines[1].split()[:4] == ["create-order", "ended", "abort", "2"]
    assert lines[2].split() == ["create-order", "aborted", "abort", "2", "-", "reserve", f"{s.JOURNAL}.b", "-"]
    assert sidecar.seen[0] == ("saga-list", {"limit": 1000, "state": "ended"})
    assert json.loads(command("saga", "list", "--json").out) == rows
    assert command("saga", "list", "--state", "lost").code == 2


def test_list_asks_until_nothing_comes_or_the_limit_is_there(sidecar: FakeSidecar, command: Command) -> None:
    names = [f"{s.JOURNAL}.{number:04}" for number in range(2300)]

    def page(params: dict[str, Any]) -> dict[str, Any]:
        later = [name for name in names if name > params.get("after", "")]
        shown = later[: min(700, params["limit"])]  # as much as one answer takes
        return {"sagas": [s.short(saga=name) for name in shown], "unanswered": []}

    sidecar.answers["saga-list"] = page
    assert [one["saga"] for one in json.loads(command("saga", "list", "--json").out)] == names
    sidecar.seen.clear()
    assert len(json.loads(command("saga", "list", "--json", "--limit", "750").out)) == 750
    assert [params["limit"] for _, params in sidecar.seen] == [750, 50]


def test_list_names_the_members_that_did_not_answer(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["saga-list"] = lambda _: {"sagas": [], "unanswered": ["web-2"]}
    ended = command("saga", "list", "--json")
    assert (ended.code, json.loads(ended.out)) == (0, [])
    assert ended.err == "no answer from web-2: the sagas of the journals that they lead are missing\n"


def test_list_names_the_journals_that_nobody_leads(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["saga-list"] = lambda _: {"sagas": [], "unanswered": ["journal 5f5f5f5f: nobody leads it"]}
    ended = command("saga", "list", "--json")
    assert ended.err == "journal 5f5f5f5f: nobody leads it: its sagas are missing\n"


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_abort_names_the_saga_in_full(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers |= {"saga-show": lambda _: s.RUNNING, "saga-abort": lambda _: {"state": "aborted"}}
    ended = command("saga", "abort", "order-7", "--reason", "cancelled")
    assert ended == (0, f"aborted {s.SAGA}: what its steps did is being undone\n", "")
    assert sidecar.seen[-1] == ("saga-abort", {"saga": s.SAGA, "reason": "cancelled"})
    sidecar.seen.clear()
    assert command("saga", "abort", s.SAGA).code == 0
    assert sidecar.seen == [("saga-abort", {"saga": s.SAGA})]
    for id in ("order.7", "g" * 32 + ".7"):
        assert command("saga", "abort", id).code == 0
        assert sidecar.seen[-2:] == [("saga-show", {"saga": id}), ("saga-abort", {"saga": s.SAGA})]


def test_a_committed_saga_is_not_aborted(sidecar: FakeSidecar, command: Command) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise refusal("committed", "the saga has committed: it cannot be aborted any more")

    sidecar.answers["saga-abort"] = refuse
    ended = command("saga", "abort", s.SAGA)
    assert ended == (4, "", "Error: the saga has committed: it cannot be aborted any more\n")


@pytest.mark.parametrize(
    ("args", "method", "params", "out"),
    [
        (["retry", s.SAGA], "saga-retry", {"saga": s.SAGA}, "reserve tried again\n"),
        (["retry", s.SAGA, "reserve", "--why", "mended"], "saga-retry",
         {"saga": s.SAGA, "step": "reserve", "why": "mended"}, "reserve tried again\n"),
        (["skip", s.SAGA, "reserve", "--why", "by hand"], "saga-skip",
         {"saga": s.SAGA, "step": "reserve", "why": "by hand"}, "reserve skipped\n"),
        (["give-up", s.SAGA, "--why", "closed"], "saga-give-up",
         {"saga": s.SAGA, "why": "closed"}, "reserve given up\n"),
    ],
)  # fmt: skip
def test_decisions_by_hand_say_who_and_why(
    sidecar: FakeSidecar, command: Command, args: list[str], method: str, params: dict[str, Any], out: str
) -> None:
    sidecar.answers[method] = lambda _: {"steps": ["reserve"]}
    assert command("saga", *args) == (0, out, "")
    assert sidecar.seen == [(method, params)]
    assert json.loads(command("saga", *args, "--json").out) == {"steps": ["reserve"]}


@pytest.mark.parametrize(
    "args",
    [("skip", s.SAGA), ("skip", s.SAGA, "reserve"), ("skip", s.SAGA, "reserve", "--why", " "), ("give-up", s.SAGA)],
)
def test_who_skips_says_what_and_why(sidecar: FakeSidecar, command: Command, args: tuple[str, ...]) -> None:
    ended = command("saga", *args)
    assert (ended.code, ended.out, sidecar.seen) == (2, "", [])


@pytest.mark.parametrize("name", ["run", "show", "list", "abort", "retry", "skip", "give-up"])
def test_each_command_has_help_with_an_example(command: Command, name: str) -> None:
    ended = command("saga", name, "--help")
    assert ended.code == 0
    assert f"gossipreg saga {name} " in ended.out.split("Example")[1]
