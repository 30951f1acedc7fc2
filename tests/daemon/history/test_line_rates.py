"""A storm becomes a few lines and a count, and no count is lost."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.history.history_note import HistoryNote
from gossipreg.daemon.history.line_rates import (
    KIND_A_S,
    KIND_BURST,
    SUBJECT_A_S,
    SUBJECT_BURST,
    SUBJECTS_MAX,
    LineRates,
)
from gossipreg.history.history_line import NamedMember


def dead(name: str, at: float = 0.0, kind: str = "member_dead") -> HistoryNote:
    return HistoryNote(at, at, kind, "warning", f"{name} {kind}", NamedMember(name, name), topic="member")


def written_of(rates: LineRates, notes: list[HistoryNote]) -> list[HistoryNote]:
    return [note for note in notes if rates.admit(note, note.boot_s)]


def counted(notes: list[HistoryNote]) -> int:
    """The notes that these lines stand for: a summary of a kind is no note itself."""
    total = 0
    for note in notes:
        left_out = note.more.get("left_out", 0)
        assert isinstance(left_out, int)
        total += left_out if "left out as a storm" in note.message else 1 + left_out
    return total


def test_a_thousand_deaths_at_once_are_a_hundred_lines_and_a_count() -> None:
    rates = LineRates()
    lines = written_of(rates, [dead(f"web-{number}") for number in range(1000)])
    assert len(lines) == KIND_BURST
    [summary] = rates.summaries(10.0)
    assert summary.message == (
        "900 more member_dead within 10 s, left out as a storm: web-100, web-101, web-102, web-103, web-104 and others"
    )
    assert summary.more == {"left_out": 900}
    assert rates.summaries(20.0) == []


def test_a_storm_keeps_nothing_of_each_subject_in_it() -> None:
    rates = LineRates()
    written_of(rates, [dead(f"web-{number}") for number in range(4000)])
    assert len(rates._subjects) == KIND_BURST


def test_a_member_that_flaps_does_not_hide_another_one() -> None:
    rates = LineRates()
    flaps = [dead("web-1", at / 10, kind) for at in range(600) for kind in ("member_dead", "member_alive")]
    assert len(written_of(rates, flaps)) == SUBJECT_BURST
    assert rates.admit(dead("web-2", 60.0), 60.0)


def test_the_last_line_of_a_subject_shows_how_it_is_now() -> None:
    rates = LineRates()
    notes = [dead("web-1", 0.0, kind) for _ in range(10) for kind in ("member_dead", "member_alive")]
    written_of(rates, notes)
    assert rates.summaries(1.0) == []
    [last] = rates.summaries(61.0)
    assert last.kind == "member_alive"
    assert last.more == {"left_out": 20 - SUBJECT_BURST - 1}


def test_a_line_that_was_left_out_alone_is_written_later_as_it_was() -> None:
    rates = LineRates()
    notes = [dead("web-1", float(number)) for number in range(SUBJECT_BURST + 1)]
    written_of(rates, notes)
    assert rates.summaries(70.0) == [notes[-1]]


NOTES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.floats(0, 30)), max_size=600)


@given(NOTES)
def test_every_note_is_a_line_or_counted_in_one(given_notes: list[tuple[int, int, float]]) -> None:
    rates, now = LineRates(), 0.0
    lines: list[HistoryNote] = []
    for number, kind, step in given_notes:
        now += step / 10
        lines += written_of(rates, [dead(f"web-{number}", now, f"kind_{kind}")])
        if number == 0:
            lines += rates.summaries(now)
    lines += rates.summaries(now, all=True)
    assert counted(lines) == len(given_notes)
    kinds = {kind for _, kind, _ in given_notes}
    assert len(lines) <= len(kinds) * (KIND_BURST + now * KIND_A_S + 1) + 41


def test_an_hour_of_storm_stays_within_the_rate_of_its_kind() -> None:
    rates, lines = LineRates(), 0
    for second in range(3600):
        lines += sum(rates.admit(dead(f"web-{number}", float(second)), float(second)) for number in range(30))
        if second % 10 == 0:
            lines += len(rates.summaries(float(second)))
    assert lines <= KIND_BURST + 3600 * KIND_A_S + 1


def test_subjects_that_are_forgotten_are_still_counted() -> None:
    rates = LineRates()
    written_of(rates, [dead("web-0") for _ in range(SUBJECT_BURST + 5)])
    written_of(rates, [dead(f"other-{number}", 1.0, f"of_{number // KIND_BURST}") for number in range(SUBJECTS_MAX)])
    of_kind = [one for one in rates.summaries(1.0, all=True) if one.kind == "member_dead"]
    assert [one.more["left_out"] for one in of_kind] == [5]
    assert SUBJECT_A_S < KIND_A_S
