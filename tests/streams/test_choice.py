"""Of two streams between two members, both ends keep the same one."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.streams.choice import StreamEnds, newer_stays
from gossipreg.streams.values import StreamSelf
from tests.streams.ends import ALICE, BOB, an_end

LOW, HIGH = sorted((ALICE, BOB), key=lambda end: end.member.id)


def ends_of(other: StreamSelf, *, opened_here: bool, confirmed: bool = False) -> StreamEnds:
    return StreamEnds(other.member, opened_here, confirmed)


def test_of_two_that_crossed_both_ends_keep_that_of_the_lower_id() -> None:
    for own, other in ((LOW, HIGH), (HIGH, LOW)):
        lows = ends_of(other, opened_here=own is LOW)
        highs = ends_of(other, opened_here=own is HIGH)
        assert newer_stays(own.member.id, present=highs, newer=lows)
        assert not newer_stays(own.member.id, present=lows, newer=highs)


@given(st.booleans(), st.booleans(), st.booleans())
def test_a_newer_process_takes_the_place_of_the_older(mine: bool, theirs: bool, confirmed: bool) -> None:
    old, new = an_end(2, boot=1, generation=7), an_end(2, boot=2, generation=8)
    present, newer = ends_of(old, opened_here=mine, confirmed=confirmed), ends_of(new, opened_here=theirs)
    assert newer_stays(ALICE.member.id, present, newer)
    assert not newer_stays(ALICE.member.id, newer, present)


@given(st.booleans(), st.booleans())
def test_another_one_of_the_same_opener_takes_the_place(opened_here: bool, confirmed: bool) -> None:
    one = ends_of(BOB, opened_here=opened_here, confirmed=confirmed)
    assert newer_stays(ALICE.member.id, one, ends_of(BOB, opened_here=opened_here))


def test_a_confirmed_stream_gives_way_since_the_other_end_lost_it() -> None:
    present = ends_of(HIGH, opened_here=True, confirmed=True)
    assert newer_stays(LOW.member.id, present, ends_of(HIGH, opened_here=False))
