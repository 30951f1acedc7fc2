"""The orders of lists of sagas: by name, and the newest first; page behind page, over all that lead journals."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb

from gossipreg.errors import BadParams
from gossipreg.model import NodeId
from gossipreg.sagas.saga_calls import MAX_LISTED, ListAsked, read_call
from gossipreg.sagas.saga_model import MAX_SAGA_BYTES
from gossipreg.sagas.saga_order import MOMENT_END_MS, START, place_of, place_text, read_place
from gossipreg.sagas.saga_survey import MEMBER_ANSWER_BYTES, member_answer
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import JOURNAL
from tests.sagas.test_saga_survey import listed

ONE, OTHER = NodeId(b"1" * 16), NodeId(b"2" * 16)
moments = st.none() | st.integers(1, MOMENT_END_MS - 1)
names = st.text("ab.:@", min_size=1, max_size=5)


@given(names, moments, moments, st.booleans())
def test_the_text_of_a_place_is_read_as_the_place(
    name: str, began: int | None, ended: int | None, newest: bool
) -> None:
    place = place_of(name, began, ended, newest=newest)
    assert read_place(place_text(place, newest=newest), newest=newest) == place
    assert place > START == read_place("", newest=newest)


def test_the_longest_text_of_a_place_is_taken() -> None:
    name = f"{JOURNAL.hex()}.{'i' * MAX_SAGA_BYTES}"
    text = place_text(place_of(name, None, MOMENT_END_MS - 1, newest=True), newest=True)
    asked = read_call("list", packb({"newest": True, "after": text}), SagaTuning())
    assert isinstance(asked, ListAsked)
    assert asked.after[2] == name


@pytest.mark.parametrize("text", ["s1", "ended s1", "ended 7", "closed 7 s1", "ended -7 s1", "open x s1"])
def test_a_page_by_time_begins_only_where_one_has_ended(text: str) -> None:
    with pytest.raises(BadParams, match="give what `next` of the page before said"):
        read_place(text, newest=True)
    bench = Bench()
    assert bench.ask("list", newest=True, after=text)[0] == "bad_params"


def aged(bench: Bench) -> list[str]:
    """Sagas that began in the order of their numbers, a minute apart. Of four that ended the first one did so last.
    Returns their ids, the newest first."""
    for number in range(7):
        bench.step(bench.begin(f"s{number}"), "a")
        bench.run(60.0)
    for number in (3, 6, 2, 0):
        bench.ok("commit", saga=f"{JOURNAL.hex()}.s{number}")
        bench.run(60.0)
    return ["s5", "s4", "s1", "s0", "s2", "s6", "s3"]


def ids(told: Any) -> list[str]:
    return [one["saga"].partition(".")[2] for one in told["sagas"]]


def patient() -> Bench:
    """Nothing of it times out meanwhile."""
    return Bench(tuning=SagaTuning(timeout_s=7200.0))


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_by_time_have_the_newest_first_and_all_once(limit: int) -> None:
    bench = patient()
    newest = aged(bench)
    found: list[str] = []
    after = ""
    while True:
        page = bench.ok("list", newest=True, limit=limit, after=after)
        found += ids(page)
        after = page["next"]
        assert bool(after) == page["more"] == (len(found) < len(newest))
        if not after:
            break
    assert found == newest


def test_the_newest_of_a_state_are_those_that_ended_last() -> None:
    bench = patient()
    aged(bench)
    page = bench.ok("list", newest=True, limit=2, state="ended")
    assert (ids(page), page["more"]) == (["s0", "s2"], True)
    by_name = bench.ok("list", limit=2, state="ended")
    assert (ids(by_name), by_name["more"], by_name["next"]) == (["s0", "s2"], True, f"{JOURNAL.hex()}.s2")


@pytest.mark.parametrize("newest", [True, False])
def test_a_list_since_a_moment_leaves_out_what_ended_before(newest: bool) -> None:
    bench = patient()
    aged(bench)
    ended = {one["saga"]: one["ended"] for one in bench.ok("list", state="ended")["sagas"]}
    since_ms = ended[f"{JOURNAL.hex()}.s2"]
    assert sorted(ids(bench.ok("list", newest=newest, since_ms=since_ms))) == ["s0", "s1", "s2", "s4", "s5"]
    assert sorted(ids(bench.ok("list", newest=newest, since_ms=since_ms + 1))) == ["s0", "s1", "s4", "s5"]
    for wrong in (-1, "8h", 1 << 54):
        assert bench.ask("list", since_ms=wrong)[0] == "bad_params"


def test_a_full_page_does_not_say_that_more_is_behind_it() -> None:
    bench = patient()
    aged(bench)
    for newest in (True, False):
        told = bench.ok("list", newest=newest, limit=7)
        assert (len(told["sagas"]), told["more"], told["next"]) == (7, False, "")


def test_a_page_by_time_that_is_cut_jumps_over_none(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = patient()
    newest = aged(bench)
    monkeypatch.setattr("gossipreg.sagas.saga_shapes._ROOM_BYTES", MEMBER_ANSWER_BYTES + 500)
    first = bench.ok("list", newest=True, limit=7)
    assert 0 < len(first["sagas"]) < 4
    second = bench.ok("list", newest=True, limit=7, after=first["next"])
    assert ids(first) + ids(second) == newest[: len(first["sagas"]) + len(second["sagas"])]


def story(name: str, ended: object) -> dict[str, object]:
    return {"saga": name, "began": 1, "ended": ended}


def test_members_are_merged_by_time_up_to_where_the_first_was_cut() -> None:
    asked = ListAsked("", MAX_LISTED, newest=True)
    told = listed({
        ONE: member_answer([story("a", 90), story("b", 50)], [], cut=True),
        OTHER: member_answer([story("c", 70), story("d", 40)], [], cut=False),
    }, asked)  # fmt: skip
    assert [one["saga"] for one in told["sagas"]] == ["a", "c", "b"]
    assert (told["more"], told["next"]) == (True, "ended 50 b")


def test_a_list_keeps_the_newest_of_all_members() -> None:
    stories = [story(f"s{number:04}", number + 1) for number in range(1500)]
    asked = ListAsked("", 500, newest=True)
    told = listed({
        ONE: member_answer(stories[::-2][:500], [], cut=True),
        OTHER: member_answer(stories[-2::-2][:500], [], cut=True),
    }, asked)  # fmt: skip
    assert told["sagas"] == stories[::-1][:500]
    assert told["next"] == "ended 1001 s1000"


@pytest.mark.parametrize("ended", ["soon", -1, 0, MOMENT_END_MS, True, [1], None])
def test_a_time_of_a_member_that_is_none_makes_no_error(ended: object) -> None:
    asked = ListAsked("", 1, newest=True)
    told = listed({ONE: member_answer([story("a", ended), story("b", 7)], [], cut=False)}, asked)
    assert [one["saga"] for one in told["sagas"]] == ["a"], "it counts as open"
    assert told["next"] == "open 1 a"
