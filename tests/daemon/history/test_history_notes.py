"""Notes become lines: whatever text others chose, and whatever goes wrong in a listener."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.history.clock_watch import KEEP_AFTER_SET_S, ClockWatch
from gossipreg.daemon.history.history import MESSAGE_MAX, History
from gossipreg.history.history_line import HistoryLine, NamedMember

TEXTS = st.text(max_size=600)


def quiet(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_text_is_one_printable_line_of_bounded_length(message: str, name: str, service: str, fact: str) -> None:
    history = History(NamedMember("00", "own"), quiet)
    seen: list[HistoryLine] = []
    history.lines.follow("test", seen.append)
    history.note("k", message, member=NamedMember("ab", name), service=service, instance=service, more={"by": fact})
    [line] = seen
    assert line.member is not None
    for text in (line.message, line.member.name, line.service, line.instance, str(line.more["by"])):
        assert text.isprintable()
        assert len(text) <= MESSAGE_MAX


def test_a_note_about_nobody_is_about_this_member() -> None:
    own = NamedMember("00", "own")
    history, seen = History(own, quiet), list[HistoryLine]()
    history.lines.follow("test", seen.append)
    history.note("stopped", "sidecar stopped")
    assert seen[0].member == own


def test_a_listener_that_fails_is_a_bug_and_stops_nobody() -> None:
    bugs: list[str] = []
    history = History(NamedMember("00", "own"), lambda where, _error: bugs.append(where))

    def listen(kind: str) -> None:
        history.note(kind, "a line")
        raise ValueError(kind)

    safe = history.safely("history_log", listen)
    safe("one")
    safe("two")
    assert bugs == ["history_log", "history_log"]


class Clocks:
    def __init__(self) -> None:
        self.wall_s, self.boot_s = 1e9, 100.0

    def watch(self) -> ClockWatch:
        return ClockWatch(lambda: self.wall_s, lambda: self.boot_s)

    def run(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.boot_s += seconds
        self.wall_s += seconds + set_by


def test_a_clock_that_is_set_is_told_and_its_drift_is_not() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    found = []
    for set_by in (0.0, 0.01, 3600.0, 0.0, -7200.0):
        clocks.run(10, set_by=set_by)
        found.append(round(watch.set_by(), 3))
    assert found == [0.0, 0.0, 3600.0, 0.0, -7200.0]


def test_no_line_is_too_old_while_the_clock_may_be_wrong() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    assert watch.keep_from(60.0) is None  # it has just started: the clock may be set yet
    clocks.run(KEEP_AFTER_SET_S)
    watch.set_by()
    assert watch.keep_from(60.0) == clocks.wall_s - 60
    clocks.run(1, set_by=1e8)
    watch.set_by()
    assert watch.keep_from(60.0) is None
    clocks.run(KEEP_AFTER_SET_S)
    assert watch.keep_from(60.0) == clocks.wall_s - 60
