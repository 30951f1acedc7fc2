"""Streams that broke at one end: when another one is opened."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.model import NodeId
from gossipreg.streams.broken import AGAIN, FORGET_S, BrokenStreams

ONE, TWO = NodeId(b"1" * 16), NodeId(b"2" * 16)
START = 1000.0


def test_a_broken_stream_is_opened_again_after_a_second() -> None:
    broken = BrokenStreams()
    due = broken.broke(ONE, START)
    assert due == START + AGAIN.first_s
    assert broken.is_due(ONE, due)
    assert not broken.is_due(TWO, due)
    assert len(broken) == 1


def test_attempts_go_on_for_as_long_as_they_fail() -> None:
    broken = BrokenStreams()
    due: float | None = broken.broke(ONE, START)
    waits = []
    for _ in range(100):
        assert due is not None
        assert broken.is_due(ONE, due)
        failed = due + 5.0
        due = broken.not_opened(ONE, failed)
        assert due is not None
        waits.append(due - failed)
    assert waits[:4] == [2.0, 4.0, 8.0, 10.0]
    assert set(waits[4:]) == {AGAIN.longest_s}


def test_an_open_stream_ends_the_attempts() -> None:
    broken = BrokenStreams()
    due = broken.broke(ONE, START)
    broken.opened(ONE)
    assert not broken.is_due(ONE, due)
    assert broken.not_opened(ONE, due) is None
    assert len(broken) == 0


def test_an_attempt_without_a_broken_stream_is_not_repeated() -> None:
    assert BrokenStreams().not_opened(ONE, START) is None


def test_a_stream_that_was_closed_here_is_not_opened_again() -> None:
    broken = BrokenStreams()
    broken.closed(ONE, START)
    assert len(broken) == 0


def test_a_message_that_fails_after_a_closed_stream_is_made_known() -> None:
    """The word that the stream was closed may have been lost, as the message was."""
    broken = BrokenStreams()
    broken.closed(ONE, START)
    due = broken.not_opened(ONE, START + 1000.0)
    assert due == START + 1000.0 + AGAIN.first_s
    assert broken.is_due(ONE, due)


def test_an_open_stream_makes_up_for_a_closed_one() -> None:
    broken = BrokenStreams()
    broken.closed(ONE, START)
    broken.opened(ONE)
    assert broken.not_opened(ONE, START + 1.0) is None


def test_messages_that_cannot_be_sent_set_one_attempt() -> None:
    """Each of them is an attempt to open a stream, and each attempt that is set is a task that waits."""
    broken = BrokenStreams()
    due = broken.broke(ONE, START)
    assert [broken.not_opened(ONE, START + 0.01 * number) for number in range(50)] == [None] * 50
    assert broken.is_due(ONE, due)
    assert broken.not_opened(ONE, due) == due + 2 * AGAIN.first_s


def test_a_process_that_is_gone_is_forgotten() -> None:
    broken = BrokenStreams()
    due = broken.broke(ONE, START)
    broken.forget(ONE)
    assert not broken.is_due(ONE, due)
    assert broken.not_opened(ONE, due) is None


def test_streams_that_break_again_and_again_wait_longer() -> None:
    broken = BrokenStreams()
    first = broken.broke(ONE, START)
    broken.opened(ONE)
    second = broken.broke(ONE, first + 1.0)
    assert second == first + 1.0 + 2 * AGAIN.first_s
    broken.opened(ONE)
    assert broken.broke(ONE, second + FORGET_S + 1.0) == second + FORGET_S + 1.0 + AGAIN.first_s


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["broke", "closed", "not_opened", "opened", "forget"]),
            st.integers(0, 5).map(lambda number: NodeId(bytes([number]) * 16)), st.sampled_from([0.0, 0.5, 5.0, 200.0]),
        )
    )
)  # fmt: skip
def test_a_member_is_due_exactly_until_a_stream_is_open(steps: list[tuple[str, NodeId, float]]) -> None:
    broken, now = BrokenStreams(), START
    due: dict[NodeId, float] = {}
    closed: set[NodeId] = set()
    for what, node, wait_s in steps:
        now += wait_s
        match what:
            case "broke":
                due[node] = broken.broke(node, now)
                closed.discard(node)
            case "not_opened":
                again = broken.not_opened(node, now)
                assert (again is None) == (node not in closed and due.get(node, inf) > now)
                closed.discard(node)
                due |= {} if again is None else {node: again}
            case "closed":
                broken.closed(node, now)
                due.pop(node, None)
                closed.add(node)
            case _:
                (broken.opened if what == "opened" else broken.forget)(node)
                due.pop(node, None)
                closed.discard(node)
        assert all(broken.is_due(*one) for one in due.items())
        assert len(broken) == len(due)
        assert not any(broken.is_due(node, inf) for node in due)
