"""Words about programs from members that the registry does not show as running, or not yet with their new process."""

import pytest

from gossipreg.model import NodeId
from gossipreg.sagas.saga_model import SagaRef
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import JOURNAL, BenchView, SagaSidecar


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[NodeId, bytes]:
    """What the registry shows as the process of a member, in place of the true one."""
    found: dict[NodeId, bytes] = {}
    true = BenchView.process
    monkeypatch.setattr(BenchView, "process", lambda self, node: found.get(node, true(self, node)))
    return found


def a_saga_at_another_member() -> tuple[Bench, SagaSidecar, str]:
    bench = Bench(members=3)
    other = bench.sidecars[1]
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    return bench, other, saga


@pytest.mark.parametrize("instead", [b"", b"old"])
def test_a_word_before_the_row_of_its_process_counts(instead: bytes, shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = instead
    bench.members_changed()
    bench.break_stream(bench.sidecars[0], other)
    bench.run(3.0)
    shown.clear()
    bench.members_changed()
    bench.run(20.0)
    assert bench.ok("commit", other, saga=saga) == {"state": "committed"}


def test_a_member_that_was_held_for_dead_has_its_programs(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    bench.run(3.0)
    shown.clear()
    bench.members_changed()
    bench.run(20.0)
    assert bench.ok("commit", other, saga=saga) == {"state": "committed"}


def test_a_member_that_stays_dead_has_lost_its_programs(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    bench.break_stream(bench.sidecars[0], other)
    bench.run(10.5)
    assert (is_over(bench), bench.story(saga)["reason"]) == (True, "its program was lost")


def test_a_word_counts_no_more_once_its_stream_is_closed(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    bench.cut.add(frozenset((bench.sidecars[0].node, other.node)))
    bench.break_stream(bench.sidecars[0], other)
    shown.clear()
    bench.members_changed()
    bench.run(10.5)
    assert (is_over(bench), bench.story(saga)["reason"]) == (True, "its program was lost")


def test_a_program_that_is_lost_at_a_dead_member_is_lost(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    bench.lose_program(saga, other)
    bench.run(1.0)
    shown.clear()
    bench.members_changed()
    bench.run(9.5)
    assert is_over(bench)


def test_a_program_that_went_on_elsewhere_is_not_claimed_back(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    third = bench.sidecars[2]
    bench.step(saga, "pay", third)
    shown.clear()
    bench.members_changed()
    bench.lose_program(saga, other)
    bench.run(20.0)
    assert bench.ok("commit", third, saga=saga) == {"state": "committed"}


def test_of_two_members_that_are_not_seen_the_last_word_counts(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    third = bench.sidecars[2]
    shown |= {other.node: b"", third.node: b""}
    bench.members_changed()
    bench.act(third, third.sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    bench.run(1.0)
    shown.clear()
    bench.members_changed()
    bench.lose_program(saga, other)
    bench.run(20.0)
    assert not is_over(bench)
    bench.lose_program(saga, third)
    bench.run(10.5)
    assert is_over(bench)


def test_a_word_about_a_dead_member_outlives_a_moment_without_the_lead(shown: dict[NodeId, bytes]) -> None:
    bench, other, saga = a_saga_at_another_member()
    shown[other.node] = b""
    bench.members_changed()
    one = bench.sidecars[0]
    bench.depose(one)
    bench.leader = None
    bench.run(1.0)
    bench.lead(one)
    shown.clear()
    bench.members_changed()
    bench.run(20.0)
    assert bench.ok("commit", other, saga=saga) == {"state": "committed"}


@pytest.mark.parametrize("instead", [b"", b"old"])
def test_a_begin_before_the_row_of_its_process_begins_once(instead: bytes, shown: dict[NodeId, bytes]) -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    shown[other.node] = instead
    bench.members_changed()
    ticket = bench.call("begin", other, name="create-order", id="s1")
    bench.run(0.0015)
    bench.cut.add(frozenset((one.node, other.node)))
    bench.run(0.001)
    bench.cut.clear()
    shown.clear()
    bench.members_changed()
    bench.break_stream(one, other)
    bench.until(lambda: ticket in bench.answers)
    assert not bench.answers[ticket][0], bench.answers[ticket]
