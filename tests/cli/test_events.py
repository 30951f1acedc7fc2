"""`gossipreg events`: what is refused before the sidecar is asked, what is sent, and what is printed."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.cli import events_subscribe, quiet_sidecar
from gossipreg.cli.events_subscribe import event_line
from gossipreg.cli.options import Chosen
from gossipreg.client import Client
from gossipreg.errors import OutcomeUnknown
from gossipreg.wire import rpc
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

PUBLISHED = {"id": "a", "source": "s", "copies": 1, "takeover": False, "duplicate": False, "groups": 1, "index": 7}


def publishes(sidecar: FakeSidecar) -> list[dict[str, Any]]:
    return [params for method, params in sidecar.seen if method == "publish"]


@pytest.fixture
def taking(sidecar: FakeSidecar) -> FakeSidecar:
    """A sidecar that takes every event."""
    sidecar.answers |= {"registered": lambda _: [], "publish": lambda _: PUBLISHED}
    return sidecar


@pytest.mark.parametrize("flag", ["--id", "--key", "--source", "--subject", "--content-type"])
def test_empty_flag_of_publish_is_no_silent_default(flag: str, taking: FakeSidecar, command: Command) -> None:
    ended = command("events", "publish", "a.b", "x", flag, "")
    assert ended.code == 2
    assert f"{flag} is empty" in ended.err
    assert not publishes(taking)


def test_publish_that_could_never_be_answered_is_refused(taking: FakeSidecar, command: Command) -> None:
    ended = command("events", "publish", "a.b", "--timeout", "0s")
    assert (ended.code, "--timeout is 0" in ended.err, publishes(taking)) == (2, True, [])


def test_extension_that_is_given_twice_is_refused(taking: FakeSidecar, command: Command) -> None:
    ended = command("events", "publish", "a.b", "--extension", "x=1", "--extension", "x=2")
    assert (ended.code, "'x' is given twice" in ended.err, publishes(taking)) == (2, True, [])


def test_data_that_is_not_the_json_it_says_is_refused(taking: FakeSidecar, command: Command) -> None:
    ended = command("events", "publish", "a.b", "{bad", "--content-type", "application/json; charset=utf-8")
    assert ended.code == 2
    assert "the data is not JSON" in ended.err
    assert command("events", "publish", "a.b", "1e999", "--content-type", "application/json").code == 0
    assert [params["data"] for params in publishes(taking)] == [b"1e999"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"id": 7}', "application/json"), ("1e999", "application/json"), ("9" * 5000, "application/json"),
        ("NaN", "text/plain"), ("Infinity", "text/plain"), ("hello", "text/plain"), ("", "text/plain"),
    ],
)  # fmt: skip
def test_content_type_is_json_where_the_data_is(data: str, kind: str, taking: FakeSidecar, command: Command) -> None:
    assert command("events", "publish", "a.b", data).code == 0
    assert publishes(taking)[0]["datacontenttype"] == kind


def test_data_beyond_the_size_of_an_event_is_not_sent(
    taking: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size > 0, "stdin may never end"
            return b"x" * size

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Endless()))
    for data in ("-", "x" * 196_609):
        ended = command("events", "publish", "a.b", data)
        assert (ended.code, "196608" in ended.err, "publish where the data is" in ended.err) == (4, True, True)
    assert not publishes(taking)


def test_event_is_kept_for_seven_days_at_most(taking: FakeSidecar, command: Command) -> None:
    assert command("events", "publish", "a.b", "--keep", "7d").code == 0
    ended = command("events", "publish", "a.b", "--keep", "8d")
    assert (ended.code, "too long" in ended.err) == (2, True)
    assert publishes(taking)[0]["keep"] == 7 * 86400


def test_unknown_outcome_names_the_id_to_publish_again(taking: FakeSidecar, command: Command) -> None:
    def hang_up(params: dict[str, Any]) -> bytes:  # noqa: ARG001  # of every answer
        for connection in taking.open:
            connection.shutdown(2)
        return b""

    taking.answers["publish"] = hang_up
    ended = command("--json", "events", "publish", "a.b", "x")
    [sent] = publishes(taking)
    error = json.loads(ended.err)["error"]
    assert (ended.code, error["code"]) == (4, OutcomeUnknown.code)
    assert f"--id {sent['id']}" in error["message"]


def test_a_duplicate_is_told_on_stderr_alone(taking: FakeSidecar, command: Command) -> None:
    said = "duplicate: the event with this id is there already, and counts once\n"
    assert command("events", "publish", "a.b", "--id", "a") == (0, "a\n", "")
    taking.answers["publish"] = lambda _: PUBLISHED | {"duplicate": True, "groups": 0}
    assert command("events", "publish", "a.b", "--id", "a") == (0, "a\n", said)
    ended = command("--json", "events", "publish", "a.b", "--id", "a")
    assert (ended.code, json.loads(ended.out)["duplicate"], ended.err) == (0, True, "")


def test_an_event_whose_id_was_drawn_is_called_no_duplicate(taking: FakeSidecar, command: Command) -> None:
    """Its sidecar sent it again by itself, after another one took the lead."""
    taking.answers["publish"] = lambda _: PUBLISHED | {"duplicate": True}
    ended = command("events", "publish", "a.b")
    assert (ended.code, ended.err) == (0, "")


def test_help_of_publish_tells_how_data_is_read(command: Command) -> None:
    said = " ".join(command("events", "publish", "--help").out.split())
    assert "DATA that is - is read from stdin. Any other is the data as it stands: @FILE reads no file" in said
    assert "at most 7d (not kept)" in said


def test_data_that_begins_with_at_is_sent_as_it_stands(taking: FakeSidecar, command: Command) -> None:
    assert command("events", "publish", "a.b", "@/etc/hostname").code == 0
    assert publishes(taking)[0]["data"] == b"@/etc/hostname"


def test_publish_without_a_sidecar_is_no_unknown_outcome(command: Command, tmp_path: Path) -> None:
    ended = command("--socket", str(tmp_path / "none.sock"), "events", "publish", "a.b", "x")
    assert (ended.code, "--id" in ended.err, "is not published" in ended.err) == (3, False, True)


def test_empty_command_of_subscribe_is_refused(sidecar: FakeSidecar, command: Command) -> None:
    ended = command("events", "subscribe", "a.*", "--group", "g", "--exec", " ")
    assert (ended.code, "--exec is empty" in ended.err, sidecar.seen) == (2, True, [])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("./send-mail $EVENT_ID", "'./send-mail' is no command: name one that is on the PATH"),
        ("no-such-program | cat", "'no-such-program' is no command: "),
        ("cat '", '"cat \'" is no line of shell: '),
    ],
)
def test_a_command_that_cannot_run_is_refused_before_any_event(
    line: str, fault: str, sidecar: FakeSidecar, command: Command
) -> None:
    ended = command("events", "subscribe", "a.*", "--group", "g", "--exec", line)
    assert (ended.code, ended.out, ended.err.count("\n"), sidecar.seen) == (2, "", 1, [])
    assert ended.err.startswith(f"Error: --exec: {fault}")


@pytest.mark.parametrize("answers", [True, False])
def test_a_sidecar_that_hangs_is_told_from_one_without_events(
    answers: bool, sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_subscribe, "LEAVE_S", 5.0 if answers else 0.02)
    sidecar.answers["subscribe"] = lambda _: {"subscription": 1}
    sidecar.answers["unsubscribe"] = lambda _: {} if answers else b"\x94"  # an answer whose end never comes
    ended = command("events", "tail", "a.*", "--timeout", "10ms")
    if answers:
        assert ended == (1, "", "no event came within 0.01 s\n")
    else:
        hangs = f"Error: the sidecar on {sidecar.path} does not answer: no event came within 0.01 s\n"
        assert ended == (3, "", hangs)


def test_a_sidecar_that_hangs_is_told_while_events_are_waited_for(
    sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((quiet_sidecar, "QUIET_S"), (quiet_sidecar, "ANSWER_S"), (events_subscribe, "LEAVE_S")):
        monkeypatch.setattr(owner, name, 0.02)
    sidecar.answers["subscribe"] = lambda _: {"subscription": 1}
    sidecar.answers |= {method: lambda _: b"\x94" for method in ("registered", "unsubscribe")}
    for more in ([], ["--group", "g", "--exec", "cat"]):
        ended = command("events", "subscribe" if more else "tail", "a.*", "--timeout", "200ms", *more)
        hangs, none_came = ended.err.splitlines()
        assert hangs == f"the sidecar on {sidecar.path} does not answer; the subscription goes on once it does"
        assert none_came == f"Error: the sidecar on {sidecar.path} does not answer: no event came within 0.2 s"
        assert ended.code == 3


def test_a_subscribe_without_an_answer_names_its_time(
    sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chosen, "client", lambda _: Client(str(sidecar.path), timeout_s=0.05))
    sidecar.answers["subscribe"] = lambda _: b"\x94"
    ended = command("events", "tail", "a.*")
    assert ended == (3, "", f"Error: the sidecar on {sidecar.path} did not answer subscribe within 0.05 s\n")


def given(data: bytes | None, kind: str, **extensions: str) -> dict[str, Any]:
    event = {
        "id": "a", "source": "s", "type": "a.b", "subject": "", "time": "", "datacontenttype": kind, "data": data,
        "extensions": extensions,
    }  # fmt: skip
    return {"event": event, "delivery": 1, "group": "g", "attempt": 1, "journal": "00", "index": 4096}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "3 came before"),
        (("--exec", "exit 3"), "3 came before, the command handled none"),
        (("--exec", '[ "$EVENT_INDEX" = 2 ]'), "3 came before, the command handled 1"),
    ],
)
def test_the_end_of_the_wait_says_what_came_before(
    flags: tuple[str, ...], said: str, sidecar: FakeSidecar, command: Command
) -> None:
    def subscribed(_params: dict[str, Any]) -> Any:
        events = [given(b"1", "text/plain") | {"subscription": 1, "index": index} for index in (1, 2, 3)]
        return lambda number: (
            rpc.encode_reply(number, {"subscription": 1})
            + b"".join(rpc.encode_notification("event", one) for one in events)
        )

    sidecar.answers |= {"subscribe": subscribed}
    sidecar.answers |= {method: lambda _: {} for method in ("ack", "retry", "unsubscribe")}
    ended = command("events", "subscribe", "a.*", "--group", "g", "--timeout", "300ms", *flags)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == f"no other event came within 0.3 s: {said}"


@pytest.mark.parametrize(
    "text", ['{"n": 12345678901234567890123, "f": 1e999}', "0.1000000000000000055", '{"a":1,"a":2}']
)
def test_printed_event_has_the_json_that_was_published(text: str) -> None:
    line = event_line(given(text.encode(), "application/json", partitionkey="k"))
    assert f'"data": {text}' in line
    assert json.loads(line)["partitionkey"] == "k"


@pytest.mark.parametrize("data", [b"NaN", b"{bad", b"\xff", b""])
def test_data_that_is_not_json_is_printed_as_base64(data: bytes) -> None:
    line = event_line(given(data, "application/json"))
    assert set(json.loads(line, parse_constant=pytest.fail)) >= {"data_base64", "gossipreg"}


def test_event_without_data_is_printed_without() -> None:
    assert not {"data", "data_base64"} & set(json.loads(event_line(given(None, ""))))


KNOWN = {"groups": [{"group": "mail"}], "left_out": 0, "unanswered": []}


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        (("retry", "--group", "mail"), 0, ""),
        (("retry", "--group", "nope"), 1, "no journal that is led knows the group 'nope'"),
        (("drop", "--group", "nope"), 1, "knows the group 'nope'"),
        (("drop", "--group", "mail", "--journal", "00" * 16), 1, "no such dead letter is there"),
        (("groups", "--forget", "nope"), 1, "knows the group 'nope'"),
        (("dead", "--group", "nope"), 1, "knows the group 'nope'"),
        (("dead", "--group", "mail"), 0, ""),
        (("dead",), 0, ""),
        (("trace", "nope"), 1, "no sidecar remembers"),
    ],
)
def test_what_names_nothing_is_told_so(
    line: tuple[str, ...], code: int, text: str, sidecar: FakeSidecar, command: Command
) -> None:
    sidecar.answers |= {
        f"events-{method}": lambda _: {"count": 0, "unanswered": []} for method in ("retry", "drop", "forget")
    }
    sidecar.answers |= {
        "events-groups": lambda _: KNOWN, "events-dead": lambda _: {"letters": [], "unanswered": []},
        "events-trace": lambda _: {"handled": [], "left_out": 0, "unanswered": []},
    }  # fmt: skip
    ended = command("events", *line)
    assert (ended.code, text in ended.err, bool(ended.err)) == (code, True, bool(text))


def test_trace_does_not_speak_for_a_dead_member(sidecar: FakeSidecar, command: Command) -> None:
    missing = ["mail-1 (dead, and may have handled it)"]
    sidecar.answers["events-trace"] = lambda _: {"handled": [], "left_out": 0, "unanswered": missing}
    ended = command("events", "trace", "order-7")
    assert ended.code == 4
    assert "no sidecar that answered remembers that an event with the id or correlation 'order-7'" in ended.err
    assert "a part of the answer is missing: mail-1 (dead, and may have handled it)\n" in ended.err


def test_missing_journals_are_named_and_the_exit_code_says_so(sidecar: FakeSidecar, command: Command) -> None:
    missing = ["web", "journal 0102: nobody leads it"]
    sidecar.answers["events-groups"] = lambda _: {"groups": [], "left_out": 0, "unanswered": missing}
    sidecar.answers["events-dead"] = lambda _: {"letters": [], "unanswered": []}
    ended = command("events", "groups")
    assert ended.code == 4
    why = "no answer from web (ask again in a moment); journal 0102: nobody leads it"
    assert ended.err == f"Error: a part of the answer is missing: {why}\n"
    sidecar.answers["events-retry"] = lambda _: {"count": 2, "unanswered": missing}
    ended = command("events", "retry", "--group", "mail")
    assert ended == (4, "2 dead letters go out again\n", f"Error: not done everywhere: {why}\n")
    ended = command("--json", "events", "groups")
    assert (ended.code, json.loads(ended.err)["error"]["code"]) == (4, "unavailable")
    ended = command("--json", "events", "dead", "--group", "nope")
    assert (ended.code, json.loads(ended.err)["error"]["code"]) == (1, "not_found")
