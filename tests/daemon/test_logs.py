"""The form of a log line, and that nobody can forge one or flood the log."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.effects import Event
from gossipreg.daemon import logs
from gossipreg.daemon.log_events import in_words, log_event
from gossipreg.daemon.logs import Field, Log, json_line, text_line, text_value
from gossipreg.errors import BadConfig

STAMP = "2026-11-22T08:00:00.123Z"


def test_a_text_line_has_time_level_event_and_fields() -> None:
    fields: dict[str, Field] = {
        "name": "web-1",
        "count": 3,
        "rtt_ms": 0.25,
        "ok": True,
        "reason": "no ack",
        "zone": None,
    }
    line = text_line(STAMP, "info", "member_dead", fields)
    assert line == f'{STAMP} info member_dead name=web-1 count=3 rtt_ms=0.25 ok=true reason="no ack" zone=null'


def test_a_json_line_is_one_object() -> None:
    line = json_line(STAMP, "info", "member_dead", {"name": "a\nb", "n": 1})
    assert json.loads(line) == {"time": STAMP, "level": "info", "event": "member_dead", "name": "a\nb", "n": 1}


@given(st.text())
def test_no_value_breaks_its_line_or_looks_like_another_field(value: str) -> None:
    for line in (text_line(STAMP, "info", "x", {"name": value}), json_line(STAMP, "info", "x", {"name": value})):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
    shown = text_value(value)
    assert re.fullmatch(r'[^\s="\\]+|"(?:[^"\\]|\\.)*"', shown)


def test_the_time_is_utc_to_the_millisecond() -> None:
    out = io.StringIO()
    Log(stream=out).info("x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info x\n", out.getvalue())


def test_below_the_level_nothing_is_written() -> None:
    out = io.StringIO()
    log = Log("text", "warning", out)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line.split()[2] for line in out.getvalue().splitlines()] == ["c", "d"]


@pytest.mark.parametrize("chosen", [("xml", "info"), ("text", "loud")])
def test_an_unknown_format_or_level_is_named(chosen: tuple[str, str]) -> None:
    with pytest.raises(BadConfig, match=r"xml|loud"):
        Log(*chosen)


def test_a_log_without_a_reader_is_no_reason_to_stop() -> None:
    out = io.StringIO()
    out.close()
    Log(stream=out).error("x")


def test_wrong_clusters_and_keys_are_told_in_plain_words() -> None:
    out = io.StringIO()
    log = Log(stream=out)
    log_event(log, Event("wrong_cluster", (("cluster", "x"), ("address", "10.0.0.1:7940"))), cluster="y")
    log_event(log, Event("not_our_key", (("address", "10.0.0.1:7940"),)), cluster="y")
    first, second = out.getvalue().splitlines()
    assert first.endswith("10.0.0.1:7940 belongs to cluster 'x', not 'y': check --cluster and the seeds\"")
    assert second.endswith(
        'message="10.0.0.1:7940 does not accept the key of this sidecar: check --key-file here and there"'
    )


@pytest.mark.parametrize(
    ("theirs", "ours", "older", "upgrade"),
    [("1", "2 to 3", "there", "web-3 (10.0.0.1:7940)"), ("2 to 3", "1", "here", "this sidecar")],
)
def test_the_older_of_two_protocol_versions_is_named(theirs: str, ours: str, older: str, upgrade: str) -> None:
    fields = {"name": "web-3", "address": "10.0.0.1:7940", "theirs": theirs, "ours": ours, "older": older}
    assert in_words(Event("incompatible_version", tuple(fields.items())), cluster="y") == (
        f"web-3 (10.0.0.1:7940) speaks version {theirs} of the protocol, this sidecar {ours}: upgrade {upgrade}"
    )


def test_repeated_troubles_are_logged_once_a_minute_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    out = io.StringIO()
    log = Log(stream=out)

    def trouble(address: str) -> int:
        log_event(log, Event("not_our_key", (("address", address),)), cluster="y")
        return len(out.getvalue().splitlines())

    assert [trouble("a"), trouble("a"), trouble("b"), trouble("a")] == [1, 1, 2, 2]
    now += logs.REPEAT_S
    assert trouble("a") == 3
    assert out.getvalue().splitlines()[-1].endswith("repeated=2")


def test_what_was_left_out_is_summed_up_by_the_last_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    out = io.StringIO()
    log = Log(stream=out)
    for number in range(10):
        log.line("info", "x", {"n": number}, repeat_key="x", burst=3)
    log.summarise()
    assert [line.split()[3] for line in out.getvalue().splitlines()] == ["n=0", "n=1", "n=2"]
    now += logs.REPEAT_S
    log.summarise()
    log.summarise()
    assert out.getvalue().splitlines()[3].split()[3:] == ["n=9", "repeated=7"]
    assert len(out.getvalue().splitlines()) == 4


def test_the_memory_of_repeated_lines_is_bounded() -> None:
    out = io.StringIO()
    log = Log(stream=out)
    for number in range(3 * logs.REPEAT_KEYS_MAX):
        log.line("info", "x", {}, repeat_key=str(number))
    assert len(log._repeats) == logs.REPEAT_KEYS_MAX


def test_many_lines_of_one_kind_are_counted_whatever_their_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    out = io.StringIO()
    log = Log(stream=out)
    for number in range(2 * logs.REPEAT_KEYS_MAX):
        log.line("warning", "x", {"n": number}, repeat_key=str(number), kind_burst=3)
    log.line("info", "y", {}, kind_burst=3)
    assert [line.split()[2:] for line in out.getvalue().splitlines()] == [
        ["x", "n=0"],
        ["x", "n=1"],
        ["x", "n=2"],
        ["y"],
    ]
    now += logs.REPEAT_S
    log.summarise()
    log.summarise()
    [summary] = out.getvalue().splitlines()[4:]
    assert f"warning x left_out={2 * logs.REPEAT_KEYS_MAX - 3}" in summary
    log.line("warning", "x", {"n": 7}, repeat_key="new", kind_burst=3)
    assert out.getvalue().splitlines()[-1].endswith("x n=7")


@pytest.mark.parametrize("kind", ["member_hidden", "member_dead", "alone"])
def test_a_leaving_sidecar_logs_nothing_of_the_others(kind: str) -> None:
    out = io.StringIO()
    log = Log(stream=out)
    log_event(log, Event(kind), cluster="y", leaving=True)
    assert out.getvalue() == ""
    log_event(log, Event(kind), cluster="y")
    assert kind in out.getvalue()
