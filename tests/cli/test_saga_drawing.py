"""`gossipreg saga show`: what happened, at a glance."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.cli.saga_drawing import Style, draw
from tests.cli import saga_stories as s


def drawn(story: dict[str, Any], style: Style | None = None, **options: Any) -> list[str]:
    lines = [*draw(story, style or Style(), **options)]
    return [line for line in lines if not line.startswith("  began ")]  # in the zone of this host


def test_a_committed_saga_shows_its_steps_and_what_came_after() -> None:
    assert drawn(s.COMMITTED) == [
        f"create-order  {s.SAGA}  (declared)",
        "  state    committed",
        "  ended    +0.090s",
        '  input    {"sku":"a"}',
        "",
        "   STEP          AT  TOOK  STATE  ANSWER  TRIED  COMMAND                        WHY",
        "✓  reserve  +0.003s  12ms  done      201      1  stock PUT /reservations/{key}",
        "─── committed +0.051s ───",
        "✓  mail     +0.051s  29ms  done      202      1  mail POST /mail",
    ]


def test_an_aborted_saga_shows_what_was_undone_and_why() -> None:
    assert drawn(s.UNDONE)[3:] == [
        "  why      step pay was refused",
        '  input    {"sku":"a"}',
        "",
        "   STEP          AT  TOOK  STATE    ANSWER  TRIED  COMMAND                        WHY",
        "✓  reserve  +0.003s  12ms  done        201      1  stock PUT /reservations/{key}",
        "✗  pay      +0.016s  34ms  refused     402      1  payments POST /payments        "
        'it answered 402: {"error": "no money"}',
        "─── aborted +0.051s ───",
        "↩  reserve  +0.051s  19ms  undone      204      1  DELETE /reservations/{key}",
    ]


def test_what_is_stuck_stands_last_with_what_to_do() -> None:
    lines = drawn(s.STUCK)
    assert lines[1] == "  state    aborted, and being undone (stuck)"
    assert [line[:10] for line in lines if line[:1] in "✓?↩!" and line[:1]] == [
        "✓  reserve", "?  points ", "↩  points ", "!  reserve",
    ]  # fmt: skip
    assert "undoing (stuck)     503     20" in next(line for line in lines if line.startswith("!"))
    assert lines[-6:] == [
        "by hand:",
        "  +5.000s  retry of reserve, by uid 0 at web-1: mended",
        "",
        "reserve cannot be finished, and is retried every few minutes. Mend its service, then:",
        f"  gossipreg saga retry {s.SAGA} reserve",
        f"  gossipreg saga skip {s.SAGA} reserve --why TEXT    leaves it as it is",
    ]


def test_a_step_without_an_undo_makes_an_aborted_saga_not_whole() -> None:
    stays = s.undo("", method="", status=0, attempts=0, text="it has no undo: what it did, or may have done, stays")
    step = {**s.REFUSED, "state": "not_undone", "status": 500, "undo": stays}
    lines = drawn(s.story(step, decision="abort"))
    assert lines[1] == "  state    aborted, but not whole: pay has no undo, and may have happened"
    assert [line.split()[:2] for line in lines[-3:]] == [["?", "pay"], ["───", "aborted"], ["!", "pay"]]
    assert "not undone" in lines[-1]
    assert lines[-1].endswith("it has no undo: what it did, or may have done, stays")


def test_an_undo_that_cannot_be_sent_is_for_a_person() -> None:
    """Nothing is retried of it, so to mend its service is no help."""
    undo = s.undo("", method="", status=0, attempts=0, settled=None, text="its undo cannot be written: no id")
    step = {**s.RESERVED, "state": "undoing", "stuck": True, "undo": undo}
    lines = drawn(s.story(step, state="aborted", decision="abort", ended=None))
    assert lines[-2:] == [
        "reserve has an undo that cannot be sent, so it is not retried. Undo it by hand, then:",
        f"  gossipreg saga skip {s.SAGA} reserve --why TEXT",
    ]
    assert not any("retry" in line for line in lines)


@pytest.mark.parametrize("state", ["ended", "aborted"])
def test_what_should_come_after_an_aborted_saga_is_not_done(state: str) -> None:
    mail = s.step("mail", "mail", "POST", "/mail", state="after", after=True, status=0, attempts=0, settled=None)
    lines = drawn({**s.STUCK, "state": state, "steps": [mail, *s.STUCK["steps"]]})
    rows = [line for line in lines if line[:1] in "✓?↩!-…" and line[:1]]
    assert [row[:10] for row in rows] == ["✓  reserve", "?  points ", "↩  points ", "-  mail   ", "!  reserve"]
    assert rows[-2].split() == ["-", "mail", "-", "-", "not", "done", "-", "-", "mail", "POST", "/mail"]


def test_a_running_saga_shows_what_it_waits_for() -> None:
    lines = drawn(s.RUNNING)
    assert lines[1] == "  state    running"
    assert "  timeout  60s" in lines
    assert lines[-1].split() == ["…", "pay", "+0.016s", "-", "running", "-", "1", "payments", "POST", "/payments"]
    assert any(line.startswith("  copies   one: if its host is lost") for line in lines)


def test_a_running_step_shows_the_last_answer_and_why() -> None:
    tried = {**s.REFUSED, "state": "intended", "status": 503, "attempts": 4, "settled": None, "text": "status 503",
             "body": b"busy", "content_type": ""}  # fmt: skip
    row = drawn(s.story(tried, state="running", decision=None, decided=None, ended=None))[-1]
    assert row.split()[:7] == ["…", "pay", "+0.016s", "-", "running", "503", "4"]
    assert row.endswith("  status 503: busy")


def test_a_saga_that_a_person_gave_up_is_not_whole() -> None:
    lines = drawn(s.story({**s.RESERVED, "state": "skipped"}, decision="abort"))
    assert lines[1] == "  state    aborted, but not whole: a person has skipped steps"
    assert lines[-1].split()[:2] == ["-", "reserve"]


def test_answers_are_shown_below_their_steps() -> None:
    lines = drawn(s.UNDONE, answers=True)
    assert lines[lines.index('   {"error": "no money"}') - 1].startswith("✗  pay")
    cut = drawn(s.story({**s.RESERVED, "body": b"caf\xc3\xa9 \xff\n", "content_type": "", "cut": True}), answers=True)
    assert "   café \ufffd\\n (cut)" in cut


def test_marks_are_ascii_where_there_is_no_utf8() -> None:
    for story in (s.COMMITTED, s.UNDONE, s.STUCK, s.RUNNING):
        assert "".join(drawn(story, Style(utf8=False))).isascii()
    assert [line[0] for line in drawn(s.UNDONE, Style(utf8=False))[7:]] == ["+", "x", "-", "<"]


@pytest.mark.parametrize("story", [s.COMMITTED, s.UNDONE, s.STUCK, s.RUNNING])
def test_colours_change_nothing_but_colours(story: dict[str, Any]) -> None:
    painted = drawn(story, Style(colours=True))
    assert "\x1b[" in "".join(painted)
    for code in ("0", "2", "31", "32", "33"):
        painted = [line.replace(f"\x1b[{code}m", "") for line in painted]
    assert painted == drawn(story)


def test_texts_of_others_cannot_forge_lines_or_colours() -> None:
    evil = "x\n✓  pay\x1b[2J"
    forged = s.step("a", evil, evil, evil, text=evil, state="refused", content_type="json", body=evil.encode(),
                    by_hand=[{"decision": "skip", "who": evil, "why": evil, "at": s.BEGAN}], stuck=True)  # fmt: skip
    lines = drawn(s.story(forged, name=evil, reason=evil, input=evil.encode()), answers=True)
    assert not any("\n" in line or "\x1b" in line for line in lines)


STATES = [
    "intended",
    "done",
    "refused",
    "unknown",
    "undoing",
    "undone",
    "not_undone",
    "skipped",
    "after",
    "after_done",
    "newer",
]
TIMES = st.none() | st.just(0) | st.integers(s.BEGAN - 10, s.BEGAN + 10**7)
STEPS = st.builds(
    lambda state, times, stuck, undo, body, status: s.step(
        "a", "s", "PUT", "/", state=state, intended=times[0], settled=times[1], stuck=stuck, undo=undo, body=body,
        status=status, after=state.startswith("after"),
    ),
    st.sampled_from(STATES), st.tuples(TIMES, TIMES), st.booleans(),
    st.none() | st.builds(s.undo, st.just(""), settled=TIMES), st.binary(max_size=4), st.integers(0, 599),
)  # fmt: skip


@given(
    st.lists(STEPS, max_size=4), st.sampled_from(["running", "committed", "aborted", "ended"]),
    st.sampled_from([None, "commit", "abort"]), TIMES, TIMES, st.booleans(),
)  # fmt: skip
def test_any_story_is_drawn_in_columns(
    steps: list[dict[str, Any]], state: str, decision: str | None, began: int | None, decided: int | None, utf8: bool
) -> None:  # fmt: skip
    lines = drawn(s.story(*steps, state=state, decision=decision, began=began, decided=decided), Style(utf8))
    assert sum("PUT" in line for line in lines) == len(steps)
    assert all(line.isprintable() for line in lines)
