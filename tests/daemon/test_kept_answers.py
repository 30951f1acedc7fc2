"""Encoded answers are kept within their bounds, and given out for the state they were made of only."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.kept_answers import KeptAnswers

STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 60), st.booleans()), max_size=60)


@given(steps=STEPS)
def test_a_kept_answer_is_right_and_the_bounds_hold(steps: list[tuple[int, int, int, bool]]) -> None:
    kept: KeptAnswers[int] = KeptAnswers(4, 100)
    last: dict[int, tuple[int, bytes]] = {}
    for asked, index, size, asks in steps:
        if asks:
            found = kept.get(asked, index)
            assert found is None or last[asked] == (index, found)
        else:
            last[asked] = index, bytes([asked]) * size
            kept.keep(asked, *last[asked])
            assert kept.get(asked, index) == last[asked][1]  # what was just kept is never what makes room
        assert len(kept) <= 4
        assert kept.held_bytes <= 100
    for asked, (index, answer) in last.items():
        if kept.get(asked, index) is not None:
            kept.keep(asked, index, bytes(101))
            assert kept.get(asked, index) is None, answer
    assert (len(kept), kept.held_bytes) == (0, 0)


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    kept: KeptAnswers[str] = KeptAnswers(4, 30)
    kept.keep("a", 1, bytes(10))
    kept.keep("b", 1, bytes(10))
    kept.get("a", 1)
    kept.keep("c", 1, bytes(15))
    assert [one for one in "abc" if kept.get(one, 1) is not None] == ["a", "c"]
