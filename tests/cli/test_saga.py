"""`gossipreg saga`: what each command asks of the sidecar, what it prints, how it ends."""

import io
import json
from typing import Any

import pytest

from gossipreg.cli.saga_drawing import Style
from gossipreg.cli.saga_show import style_of_stdout
from gossipreg.errors import NotFound, NotSynced, RequestError, Unavailable
from tests.cli import saga_stories as s
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar


def refusal(code: str, text: str) -> RequestError:
    error = RequestError(text)
    error.code = code
    return error


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "order-8"), ("abort", "order-8"), ("retry", "order-8"), ("skip", "order-8", "pay", "--why", "paid"),
        ("give-up", "order-8", "--why", "closed"), ("skip", s.SAGA, "pay", "--why", "paid"),
    ],
)  # fmt: skip
def test_a_saga_that_is_not_there_is_a_plain_no(
    sidecar: FakeSidecar, command: Command, arguments: tuple[str, ...]
) -> None:
    """As for groups; with 4 a script could not tell it from a journal that nobody leads now."""

    def nothing(_: dict[str, Any]) -> None:
        raise NotFound("no saga order-8 in any journal")

    sidecar.answers |= {"saga-show": nothing, "saga-skip": nothing}
    assert command("saga", *arguments) == (1, "", "Error: no saga order-8 in any journal\n")
    ended = command("--json", "saga", *arguments)
    told = {"code": "not_found", "message": "no saga order-8 in any journal"}
    assert (ended.code, json.loads(ended.err)) == (1, {"error": told})


def test_a_saga_that_may_be_there_is_4(sidecar: FakeSidecar, command: Command) -> None:
    def unled(_: dict[str, Any]) -> None:
        raise Unavailable("no saga order-8 where a journal is led")

    sidecar.answers["saga-show"] = unled
    assert command("saga", "show", "order-8").code == 4


def pages(*rows: dict[str, Any], page: int = 1000, unanswered: tuple[str, ...] = ()) -> Any:
    """The answers of a sidecar that has these sagas, the newest first; `next` is a number here."""

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        begin = int(params.get("after", "0"))
        end = begin + min(page, params["limit"])
        more = end < len(rows)
        shown = [*rows[begin:end]]
        return {"sagas": shown, "unanswered": [*unanswered], "more": more, "next": str(end) if more else ""}

    return answer


def ended_sagas(count: int) -> list[dict[str, Any]]:
    return [s.short(saga=f"{s.JOURNAL}.{number:04}", state="ended") for number in range(count)]


def open_sagas(count: int) -> list[dict[str, Any]]:
    return [s.short(saga=f"{s.JOURNAL}.open{number:04}", state="running", decision=None) for number in range(count)]


OLDER = "older sagas are left out: choose them by --since, or a larger --limit\n"


def test_list_is_an_aligned_table_or_one_array(sidecar: FakeSidecar, command: Command) -> None:
    rows = [s.short(), s.short(saga=f"{s.JOURNAL}.b", state="aborted", stuck=["reserve"], began=None, reason="")]
    sidecar.answers["saga-list"] = pages(*rows)
    ended = command("saga", "list", "--state", "ended")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "DECISION", "STEPS", "AGE", "STUCK", "SAGA", "WHY"]
    assert lines[2].split()[:4] == ["create-order", "ended", "abort", "2"]
    assert lines[1].split() == ["create-order", "aborted", "abort", "2", "-", "reserve", f"{s.JOURNAL}.b", "-"]
    assert sidecar.seen[0] == ("saga-list", {"limit": 1000, "newest": True, "state": "ended"})
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(command("saga", "list", "--json").out) == rows[::-1]
    assert command("saga", "list", "--state", "lost").code == 2


@pytest.mark.parametrize(
    ("skipped", "reason", "why"),
    [(0, "no", "no"), (1, "", "1 step skipped by hand"), (2, "no", "no; 2 steps skipped by hand")],
)
def test_list_says_that_a_person_skipped_steps(
    sidecar: FakeSidecar, command: Command, skipped: int, reason: str, why: str
) -> None:
    sidecar.answers["saga-list"] = pages(s.short(skipped=skipped, reason=reason))
    assert command("saga", "list").out.splitlines()[1].endswith(f"{s.SAGA}  {why}")


@pytest.mark.parametrize("state", ["committed", "aborted"])
def test_empty_list_of_a_decision_leads_to_those_that_ended(sidecar: FakeSidecar, command: Command, state: str) -> None:
    sidecar.answers["saga-list"] = pages()
    listed = command("saga", "list", "--state", state)
    said = f"none is {state} and not finished yet: `--state ended` shows those that have ended, and their DECISION\n"
    assert (listed.code, listed.err) == (0, said)
    assert command("saga", "list", "--state", state, "--json").err == ""


def test_list_shows_all_that_are_open_and_the_newest_that_ended(sidecar: FakeSidecar, command: Command) -> None:
    open, over = open_sagas(1200), ended_sagas(501)
    sidecar.answers["saga-list"] = pages(*open, *over, page=700)
    ended = command("saga", "list", "--json")
    assert json.loads(ended.out) == [*open, *over[:500]][::-1]
    assert (ended.code, ended.err) == (0, OLDER)
    sidecar.answers["saga-list"] = pages(*open, *over[:500], page=700)
    assert command("saga", "list", "--json").err == "", "nothing is left out"


@pytest.mark.parametrize(("limit", "left_out"), [(1, True), (750, True), (1999, True), (2000, False), (3000, False)])
def test_list_shows_the_newest_alone_and_says_so(
    sidecar: FakeSidecar, command: Command, limit: int, left_out: bool
) -> None:
    rows = [*open_sagas(5), *ended_sagas(1995)]
    sidecar.answers["saga-list"] = pages(*rows, page=700)
    ended = command("saga", "list", "--json", "--limit", str(limit))
    assert json.loads(ended.out) == rows[:limit][::-1]
    assert ended.err == OLDER * left_out


def test_list_since_a_moment_has_no_other_bound(sidecar: FakeSidecar, command: Command) -> None:
    rows = ended_sagas(1700)
    sidecar.answers["saga-list"] = pages(*rows, page=700)
    ended = command("saga", "list", "--json", "--since", "2026-11-30T02:00+00:00")
    assert (ended.code, ended.err, json.loads(ended.out)) == (0, "", rows[::-1])
    assert {params["since_ms"] for _, params in sidecar.seen} == {1_796_004_000_000}
    assert len(json.loads(command("saga", "list", "--json", "--since", "8h", "--limit", "3").out)) == 3
    assert command("saga", "list", "--since", "soon").code == 2


def test_a_saga_that_ends_between_two_pages_is_listed_once(sidecar: FakeSidecar, command: Command) -> None:
    open, over = open_sagas(2), ended_sagas(2)
    sidecar.answers["saga-list"] = pages(*open, {**open[0], "state": "ended"}, *over, page=2)
    assert json.loads(command("saga", "list", "--json").out) == [*open, *over][::-1]


MISSING = "sagas may be missing: "


@pytest.mark.parametrize(
    ("unanswered", "text"),
    [
        (["web-2"], "no answer from web-2 (ask again in a moment)"),
        (["journal 5f5f5f5f: nobody leads it"], "journal 5f5f5f5f: nobody leads it"),
        (["web-3", "journal 5f5f5f5f: nobody leads it", "web-2"],
         "no answer from web-2, web-3 (ask again in a moment); journal 5f5f5f5f: nobody leads it"),
    ],
)  # fmt: skip
def test_a_list_from_which_sagas_are_missing_is_4(
    sidecar: FakeSidecar, command: Command, unanswered: list[str], text: str
) -> None:
    sidecar.answers["saga-list"] = pages(s.short(), unanswered=(*unanswered,))
    ended = command("saga", "list")
    assert (ended.code, len(ended.out.splitlines()), ended.err) == (4, 2, f"Error: {MISSING}{text}\n")
    ended = command("saga", "list", "--json")
    assert (ended.code, json.loads(ended.out)) == (4, [s.short()])
    assert json.loads(ended.err) == {"error": {"code": "unavailable", "message": f"{MISSING}{text}"}}


def test_what_one_page_lacks_is_missing_from_the_list(sidecar: FakeSidecar, command: Command) -> None:
    answer = pages(*ended_sagas(3), page=2)
    sidecar.answers["saga-list"] = lambda params: {
        **answer(params), "unanswered": [] if "after" in params else ["web-2"],
    }  # fmt: skip
    assert command("saga", "list").code == 4


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


def test_abort_of_a_saga_that_is_undone_says_so(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["saga-abort"] = lambda _: {"state": "aborted", "ended": True}
    ended = command("saga", "abort", s.SAGA)
    assert ended == (0, f"{s.SAGA} is aborted and has ended: nothing more of it is undone\n", "")


@pytest.mark.parametrize("line", [("show",), ("abort",), ("retry",), ("skip", "pay", "--why", "w")])
def test_saga_commands_wait_until_the_sidecar_is_synced(
    line: tuple[str, ...], sidecar: FakeSidecar, command: Command
) -> None:
    refused: list[str] = []

    def late(method: str, answer: Any) -> Any:
        def answered(_: dict[str, Any]) -> Any:
            if refused.count(method) < 2:
                refused.append(method)
                raise NotSynced("this sidecar is not synced yet")
            return answer

        return answered

    decided = {"state": "aborted", "steps": ["pay"]}
    sidecar.answers["saga-show"] = late("show", s.story())
    sidecar.answers |= {f"saga-{verb}": late(verb, decided) for verb in ("abort", "retry", "skip")}
    assert command("saga", line[0], "order-7", *line[1:]).code == 0
    assert refused == ["show", "show", *([line[0]] * 2 if line[0] != "show" else [])]


def test_saga_command_says_that_its_sidecar_is_not_synced(
    sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise NotSynced("this sidecar is not synced, so it does not know who leads journal 5f5f yet: why")

    monkeypatch.setattr("gossipreg.cli.saga_show.SYNC_S", 0.0)
    sidecar.answers["saga-show"] = refuse
    code, out, err = command("saga", "show", s.SAGA)
    assert (code, out) == (4, "")
    assert err == "Error: this sidecar is not synced, so it does not know who leads journal 5f5f yet: why\n"


def test_a_committed_saga_is_not_aborted(sidecar: FakeSidecar, command: Command) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise refusal("committed", "the saga has committed: it cannot be aborted any more")

    sidecar.answers["saga-abort"] = refuse
    ended = command("saga", "abort", s.SAGA)
    assert ended == (4, "", "Error: the saga has committed: it cannot be aborted any more\n")


@pytest.mark.parametrize(
    ("args", "method", "params", "out"),
    [
        (["retry", s.SAGA], "saga-retry", {"saga": s.SAGA}, "reserve is tried again now\n"),
        (["retry", s.SAGA, "reserve", "--why", "mended"], "saga-retry",
         {"saga": s.SAGA, "step": "reserve", "why": "mended"}, "reserve is tried again now\n"),
        (["skip", s.SAGA, "reserve", "--why", "by hand"], "saga-skip",
         {"saga": s.SAGA, "step": "reserve", "why": "by hand"}, "reserve is skipped\n"),
        (["give-up", s.SAGA, "--why", "closed"], "saga-give-up",
         {"saga": s.SAGA, "why": "closed"}, "reserve is given up\n"),
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
