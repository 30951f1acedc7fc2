"""How much waits for a group, beside a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.events.backlog import GroupBacklog
from gossipreg.events.stored_events import StoredEvent


def stored(index: int) -> StoredEvent:
    return StoredEvent(index, "/shop", str(index), "order.created", "", 10, index, 0, frozenset())


@given(st.lists(st.integers(0, 30), max_size=300))
def test_figures_are_those_of_the_events_that_wait(changes: list[int]) -> None:
    events = {index: stored(index) for index in range(31)}
    backlog = GroupBacklog(1, events)
    for index in changes:
        event = events[index]
        event.waiting ^= {1}
        (backlog.add if event.waiting else backlog.remove)(event)
        waiting = [index for index, event in events.items() if event.waiting]
        assert backlog.waiting() == waiting
        assert (backlog.count, backlog.size_bytes) == (len(waiting), 10 * len(waiting))
        assert backlog.oldest() is (events[waiting[0]] if waiting else None)


def test_memory_follows_what_waits_and_not_what_came() -> None:
    events = {0: stored(0)}
    backlog = GroupBacklog(1, events)
    for index in range(5000):
        event = events[index] = stored(index)
        event.waiting = frozenset((1,))
        backlog.add(event)
        if index:
            event.waiting = frozenset()
            backlog.remove(events.pop(index))
        assert backlog.held <= 2 * backlog.count + 65
    assert backlog.waiting() == [0]
