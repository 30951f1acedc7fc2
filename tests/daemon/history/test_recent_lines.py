"""The lines in memory: bounded, filtered, and paged without a gap or a double."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.history.recent_lines import RecentLines
from gossipreg.history.history_line import HistoryLine
from gossipreg.history.history_query import HistoryQuery, fits
from tests.history.line_strategies import QUERIES, lines_of


def held(lines: list[HistoryLine], most: int = 1000) -> RecentLines:
    recent = RecentLines(most)
    for line in lines:
        recent.append(line)
    return recent


@given(lines_of(30), st.integers(1, 10))
def test_memory_holds_the_newest_lines_up_to_its_bound(lines: list[HistoryLine], most: int) -> None:
    recent = held(lines, most)
    found, more = recent.read(HistoryQuery(limit=1000))
    assert found == lines[-most:]
    assert (len(recent), recent.dropped, more) == (min(most, len(lines)), max(0, len(lines) - most), False)


@given(lines_of(30), QUERIES)
def test_a_page_has_the_lines_that_fit_at_the_wanted_end(lines: list[HistoryLine], query: HistoryQuery) -> None:
    found, more = held(lines).read(query)
    wanted = [line for line in lines if fits(line, query)]
    assert found == (wanted[-query.limit :] if query.newest else wanted[: query.limit])
    assert more == (len(wanted) > query.limit)


@given(lines_of(30), QUERIES)
def test_pages_forward_give_each_line_once_in_order(lines: list[HistoryLine], query: HistoryQuery) -> None:
    recent, after, more = held(lines), 0, True
    found: list[HistoryLine] = []
    while more:
        page, more = recent.read(replace(query, after=after, before=None))
        found += page
        after = page[-1].seq if page else after
    assert found == [line for line in lines if fits(line, replace(query, after=None, before=None))]


@given(lines_of(30), QUERIES)
def test_pages_backward_give_each_line_once_in_order(lines: list[HistoryLine], query: HistoryQuery) -> None:
    recent, before, more = held(lines), 1 << 53, True
    found: list[HistoryLine] = []
    while more:
        page, more = recent.read(replace(query, before=before, after=None))
        found = page + found
        before = page[0].seq if page else before
    assert found == [line for line in lines if fits(line, replace(query, after=None, before=None))]
