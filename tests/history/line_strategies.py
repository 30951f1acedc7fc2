"""Lines of the history for property tests: few names, so that filters meet, and hostile ones."""

from hypothesis import strategies as st

from gossipreg.history.history_line import HistoryLine, NamedMember
from gossipreg.history.history_query import HistoryQuery

NAMES = st.sampled_from(["web-1", "WEB-1", "api", "ÄPI", "a%b_c", "o'brien", '"; DROP TABLE lines;--', "<script>", "*"])
IDS = st.sampled_from(["ab12" * 8, "ab13" * 8, "00ff" * 8])
KINDS = st.sampled_from(["member_dead", "member_alive", "members", "keys_read", "start"])
TIMES = st.integers(0, 40).map(float)
MEMBERS = st.none() | st.builds(NamedMember, IDS, NAMES)


def lines_of(most: int) -> st.SearchStrategy[list[HistoryLine]]:
    """Lines with growing numbers, with times in any order: the clock may be set back."""
    bodies = st.tuples(TIMES, KINDS, MEMBERS, st.just("") | NAMES, st.just("") | NAMES, st.integers(1, 3))
    return st.lists(bodies, max_size=most).map(_numbered)


def _numbered(bodies: list[tuple[float, str, NamedMember | None, str, str, int]]) -> list[HistoryLine]:
    lines: list[HistoryLine] = []
    seq = 0
    for at, kind, member, service, instance, step in bodies:
        seq += step
        lines.append(HistoryLine(seq, at, float(seq), kind, "info", f"{kind} {seq}", member, service, instance))
    return lines


QUERIES = st.builds(
    HistoryQuery,
    since=st.none() | TIMES, until=st.none() | TIMES,
    member=st.none() | NAMES | st.sampled_from(["ab12", "AB1", "ab1", "ab", "%", "_"]),
    service=st.none() | NAMES,
    kind=st.none() | KINDS | st.sampled_from(["member_*", "*", "%", "m_mber*", "start,keys_read", "m*,start", ","]),
    after=st.none() | st.integers(0, 60), before=st.none() | st.integers(0, 60), limit=st.integers(1, 8),
)  # fmt: skip
