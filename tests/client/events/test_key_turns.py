"""One event of a key after the other: random histories of deliveries, outcomes and lost connections."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.client.events.event import HandledEvent
from gossipreg.client.events.key_turns import KeyTurns
from tests.client.events.event_sidecar import event_shape

Delivered = tuple[str, int]
"""(key, index); the key may be empty."""


def made(number: int, key: str, index: int) -> HandledEvent:
    params = {
        "delivery": number, "group": "g", "attempt": 1, "journal": "aa", "index": index,
        "event": event_shape(f"e{index}", extensions={"partitionkey": key} if key else {}),
    }  # fmt: skip
    return HandledEvent(params, 1, lambda _event, _settlement: None)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(["", "a", "b"]), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("gone"), st.integers(0, 9), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_two_of_a_key_run_and_none_is_forgotten(steps: list[tuple[str, str | int, int | bool]]) -> None:
    turns = KeyTurns()
    running: list[HandledEvent] = []
    waiting: list[HandledEvent] = []
    acked: set[int] = set()

    def end(event: HandledEvent, *, ack: bool) -> None:
        following, same = turns.ended(event, acked=ack)
        running.remove(event)
        for one in same:
            assert ack
            assert (one.index, one in waiting) == (event.index, True)
            waiting.remove(one)
        if following is not None:
            waiting.remove(following)
            running.append(following)
        if ack:
            acked.add(event.index)

    for number, (what, first, second) in enumerate(steps, 1):
        if what == "deliver":
            event = made(number, str(first), int(second) + (10 if first == "a" else 20 if first == "b" else 0))
            (running if turns.begins(event) else waiting).append(event)
        elif what == "end" and running:
            end(running[int(first) % len(running)], ack=bool(second))
        elif what == "gone" and waiting:
            turns.gone(waiting.pop(int(first) % len(waiting)))
        keys = [event.key or event.index for event in running]
        assert len(keys) == len(set(keys)), "one of a key at a time"
        assert all((event.key or event.index) in keys for event in waiting), "whoever waits, waits for one that runs"
    while running:
        end(running[0], ack=False)
    assert waiting == []


def test_events_of_a_key_begin_in_the_order_of_their_delivery() -> None:
    turns = KeyTurns()
    first, *others = [made(number, "k", number) for number in range(1, 6)]
    assert turns.begins(first)
    assert not any(turns.begins(event) for event in others)
    begun = [first]
    while (following := turns.ended(begun[-1], acked=True)[0]) is not None:
        begun.append(following)
    assert begun == [first, *others]


def test_broadcasts_wait_for_nothing() -> None:
    turns = KeyTurns()
    assert all(turns.begins(made(0, "k", 1)) for _ in range(3))
