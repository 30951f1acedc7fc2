"""What several members saw, in one order, and where they contradict each other."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.history.clock_offset import ClockSample, best_sample
from gossipreg.history.disagreements import disagreements
from gossipreg.history.history_line import HistoryLine, NamedMember
from gossipreg.history.line_ages import line_ages
from gossipreg.history.merged_history import RUN_KINDS, MemberHistory, merged

API1, API2, WEB3 = NamedMember("a1", "api-1"), NamedMember("a2", "api-2"), NamedMember("b3", "web-3")


def shape(seq: int, kind: str, about: NamedMember = WEB3, **more: Any) -> dict[str, Any]:
    member = {"id": about.id, "name": about.name}
    return {"seq": seq, "kind": kind, "member": member, "message": f"{about.name} {kind}", **more}


def seen(
    member: NamedMember, *events: tuple[float, str], uncertain_s: float = 0.0, kept_from: float | None = -1000.0
) -> MemberHistory:  # fmt: skip
    lines = [shape(number, kind, by=API1.name) for number, (_, kind) in enumerate(events)]
    runs = [(at, kind) for at, kind in events if kind in RUN_KINDS]
    return MemberHistory(member, lines, [at for at, _ in events], uncertain_s, kept_from, runs)


def texts(*histories: MemberHistory) -> list[str]:
    return [one.text for one in disagreements(histories, merged(histories)).found]


# -- clocks ------------------------------------------------------------------------------------------------------------

SECONDS = st.floats(-1e5, 1e5)


@given(SECONDS, st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))
def test_the_offset_is_right_within_its_uncertainty(ahead_s: float, there: float, work: float, back: float) -> None:
    sample = ClockSample(
        1000.0, 1000.0 + there + ahead_s, 1000.0 + there + work + ahead_s, 1000.0 + there + work + back
    )
    assert abs(sample.ahead_s - ahead_s) <= sample.uncertain_s + 1e-6
    assert sample.uncertain_s <= (there + back) / 2 + 1e-6


def test_the_sample_with_the_shortest_way_counts() -> None:
    slow, fast = ClockSample(0.0, 9.0, 9.0, 9.0), ClockSample(0.0, 0.1, 0.1, 0.2)
    assert best_sample([slow, fast]) is fast


@given(st.lists(st.floats(0, 1000), max_size=20).map(sorted), st.floats(-1e6, 1e6))
def test_ages_within_a_boot_do_not_care_for_the_wall_clock(boots: list[float], jump_s: float) -> None:
    lines = [
        HistoryLine(seq, 5000.0 + boot_s + (jump_s if seq % 2 else 0.0), boot_s, "k", "info", "m")
        for seq, boot_s in enumerate(boots)
    ]
    ages = line_ages(lines, wall=7000.0, boot_s=2000.0, boot_id="now")
    assert all(abs(age - (2000.0 - boot_s)) < 1e-6 for age, boot_s in zip(ages, boots, strict=True))


def test_a_boot_before_has_the_wall_clock_of_its_last_line() -> None:
    wrong = HistoryLine(1, 0.0, 5.0, "start", "info", "m", boot_id="before")
    right = HistoryLine(2, 4100.0, 105.0, "clock_set", "warning", "m", boot_id="before")
    assert line_ages([wrong, right], wall=5000.0, boot_s=50.0, boot_id="now") == [1000.0, 900.0]


def numbered(count: int) -> list[dict[str, Any]]:
    return [shape(seq, "k") for seq in range(count)]


# -- order -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.floats(-100, 100), max_size=12), max_size=5), st.randoms())
def test_every_line_is_there_once_and_each_members_are_in_order(times: list[list[float]], rng: random.Random) -> None:
    histories = [
        MemberHistory(NamedMember(f"{number:02x}", f"m{number}"), numbered(len(happened)), happened, 0.0, None)
        for number, happened in enumerate(times)
    ]
    rng.shuffle(histories)
    lines = merged(histories)
    assert [one.at for one in lines] == sorted(one.at for one in lines)
    for history in histories:
        own = [one for one in lines if one.seen_by == history.member]
        assert [one.line["seq"] for one in own] == list(range(len(history.lines)))
        assert all(one.at <= at for one, at in zip(own, history.happened, strict=True))
        if sorted(history.happened) == list(history.happened):
            assert [one.at for one in own] == history.happened


# -- contradictions ----------------------------------------------------------------------------------------------------

DEAD = ((100.0, "member_dead"), (160.0, "member_alive"))


def test_members_that_saw_the_same_death_agree() -> None:
    later = ((101.5, "member_dead"), (160.5, "member_alive"))
    assert texts(seen(API1, *DEAD), seen(API2, *later)) == []


def test_a_death_that_another_one_did_not_see_is_a_disagreement() -> None:
    found = texts(seen(API1, *DEAD), seen(API2, (50.0, "synced")))
    assert found == ["api-1 says that web-3 was dead, and api-2 saw it alive all that time"]


def test_the_dead_member_itself_does_not_disagree() -> None:
    assert texts(seen(API1, *DEAD), seen(WEB3, (50.0, "synced"))) == []


def test_a_member_that_does_not_know_that_time_does_not_disagree() -> None:
    assert texts(seen(API1, *DEAD), seen(API2, (130.0, "synced"), kept_from=120.0)) == []
    assert texts(seen(API1, *DEAD), seen(API2, kept_from=None)) == []


def test_a_member_that_did_not_run_then_does_not_disagree() -> None:
    assert texts(seen(API1, *DEAD), seen(API2, (50.0, "stopped"), (200.0, "start"))) == []
    assert texts(seen(API1, *DEAD), seen(API2, (50.0, "synced"), (140.0, "start"))) == []  # it was killed before
    assert texts(seen(API1, *DEAD), seen(API2, (95.0, "alone"))) == []


def test_a_short_death_and_uncertain_clocks_are_no_disagreement() -> None:
    short = ((100.0, "member_dead"), (115.0, "member_alive"))
    assert texts(seen(API1, *short), seen(API2, (50.0, "synced"))) == []
    assert texts(seen(API1, *DEAD, uncertain_s=30.0), seen(API2, (50.0, "synced"))) == []


def test_a_death_known_before_it_was_declared_shows_a_wrong_clock() -> None:
    [text] = texts(seen(API1, *DEAD), seen(API2, (96.0, "member_dead"), (160.0, "member_alive")))
    assert text.startswith("api-2 has the death that api-1 declared 4.0 s before api-1 itself")
    early = seen(API2, (96.0, "member_dead"), (160.0, "member_alive"), uncertain_s=5.0)
    assert texts(seen(API1, *DEAD), early) == []


def test_all_that_contradict_each_other_are_named_in_one_text() -> None:
    many = [NamedMember(f"c{number}", f"m-{number}") for number in range(8)]
    speakers = [seen(one, *DEAD) for one in many[:2]]
    found = texts(*speakers, *(seen(one, (50.0, "synced")) for one in many[2:]))
    assert found == [
        "m-0 and m-1 say that web-3 was dead, and m-2, m-3, m-4, m-5, m-6 and 1 other saw it alive all that time"
    ]


def test_lines_that_are_not_shown_are_not_compared() -> None:
    histories = seen(API1, *DEAD), seen(API2, (50.0, "synced"))
    assert disagreements(histories, merged(histories), 1).found == []
    [found] = disagreements(histories, merged(histories), 2).found
    assert ([one.at for one in found.lines], found.with_) == ([100.0], (API2,))


def test_a_partition_of_many_members_costs_a_bounded_number_of_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipreg.history.disagreements.COMPARED_MAX", 100)
    members = [NamedMember(f"{number:02d}", f"m-{number}") for number in range(20)]
    halves = members[:10], members[10:]
    histories = [
        MemberHistory(
            observer, [shape(number, "member_dead", gone, by=observer.name) for number, gone in enumerate(others)],
            [100.0 + number for number in range(10)], 0.0, -1000.0,
        )
        for half, others in (halves, halves[::-1]) for observer in half
    ]  # fmt: skip
    lines = merged(histories)
    result = disagreements(histories, lines)
    assert result.not_compared == 200 - 100 // 20
    assert {line.at for one in result.found for line in one.lines} == {109.0}, "the newest are compared"
    assert sum(len(one.text) for one in result.found) < 2000
