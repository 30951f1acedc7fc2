"""What is said in one input, packed: limits, order, budget classes, and what an unproven address may get."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.config import Config, lan
from gossipreg.core.effects import Send
from gossipreg.core.session.outbox import AMPLIFICATION, Class, DatagramOutbox
from gossipreg.model import Address, BootId, NodeId
from gossipreg.wire import codec
from gossipreg.wire.messages import Message, PingReq, Pull, Receipt, Want
from gossipreg.wire.seal import Opener, Sealer
from tests.core.cluster import KEY
from tests.examples import examples
from tests.seeds import seeds

ADDRESSES = [Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3)]
messages = st.one_of(
    st.integers(1, 200).map(lambda n: Receipt(tuple(range(1, n + 1)))),
    st.integers(0, 120).map(lambda n: Want(n, bytes(4 * n))),
    st.integers(0, 2**32).map(lambda n: Pull(b"i" * 16, n, n)),  # type: ignore[arg-type]
)
puts = st.lists(st.tuples(st.sampled_from(ADDRESSES), messages), max_size=25)


OVERHEAD_BYTES = Sealer(KEY, BootId(b"bootboot")).overhead


def an_outbox(config: Config = lan) -> DatagramOutbox:
    return DatagramOutbox(config, Sealer(KEY, BootId(b"bootboot")), 0.0)


def read(sends: list[Send]) -> dict[Address, list[list[Message]]]:
    """By address, each datagram's messages."""
    opener = Opener(KEY)
    found: dict[Address, list[list[Message]]] = {}
    for send in sends:
        opened = opener.open_untrusted(send.datagram)
        found.setdefault(send.destination, []).append(codec.decode_untrusted(opened.body)[0])
    return found


@settings(max_examples=examples(30), deadline=None)
@given(puts, st.sampled_from([576, 800, 1400]))
def test_messages_keep_their_order_within_the_datagram_limit(said: list[tuple[Address, Message]], limit: int) -> None:
    outbox = an_outbox(Config(datagram_bytes=limit))
    for to, message in said:
        outbox.put(to, message)
    sends = outbox.flush(0.0)
    assert all(len(send.datagram) <= limit for send in sends)
    found = read(sends)
    for address in ADDRESSES:
        told = [message for datagram in found.get(address, []) for message in datagram]
        assert told == [message for to, message in said if to == address]
    assert outbox.flush(0.0) == []
    assert sum(outbox.sent_kinds.values()) == len(said)
    assert sum(outbox.sent_kind_bytes.values()) == outbox.sent_bytes - len(sends) * OVERHEAD_BYTES


@settings(max_examples=examples(30), deadline=None)
@given(puts)
def test_datagrams_that_would_fit_one_are_packed_into_one(
    said: list[tuple[Address, Message]],
) -> None:
    outbox = an_outbox()
    for to, message in said:
        outbox.put(to, message)
    for datagrams in read(outbox.flush(0.0)).values():
        sizes = [[len(codec.encode(message)) for message in datagram] for datagram in datagrams]
        for before, after in pairwise(sizes):
            assert sum(before) + after[0] > outbox.limit(None)


@settings(max_examples=examples(30), deadline=None)
@given(puts)
def test_each_message_gets_the_counter_of_its_datagram(said: list[tuple[Address, Message]]) -> None:
    outbox = an_outbox()
    counters: dict[int, int] = {}

    def note(at: int) -> Callable[[int], None]:
        return lambda counter: counters.__setitem__(at, counter)

    for at, (to, message) in enumerate(said):
        outbox.put(to, message, note(at))
    opener = Opener(KEY)
    carried = {}
    for send in outbox.flush(0.0):
        opened = opener.open_untrusted(send.datagram)
        carried[opened.counter] = codec.decode_untrusted(opened.body)[0]
    assert len(counters) == len(said)
    assert all(said[at][1] in carried[counter] for at, counter in counters.items())


@settings(max_examples=examples(40), deadline=None)
@given(puts, st.dictionaries(st.sampled_from(ADDRESSES), st.integers(0, 1500)), st.sampled_from([None, *ADDRESSES]))
def test_an_unproven_address_gets_at_most_three_times_its_bytes(
    said: list[tuple[Address, Message]], received: dict[Address, int], proven: Address | None
) -> None:
    outbox = an_outbox()
    for source, size in received.items():
        outbox.allow(source, size)
    if proven is not None:
        outbox.proven(proven)
    for to, message in said:
        outbox.put(to, message)
    sent = dict.fromkeys(ADDRESSES, 0)
    for send in outbox.flush(0.0):
        sent[send.destination] += len(send.datagram)
    for address, size in received.items():
        assert address == proven or sent[address] <= AMPLIFICATION * size
    for to, message in said:  # the allowance was for that input alone
        outbox.put(to, message)
    assert len(read(outbox.flush(0.0))) == len({to for to, _ in said})


def test_all_datagrams_to_an_unproven_address_share_its_allowance() -> None:
    outbox = an_outbox()
    outbox.allow(ADDRESSES[0], 400)
    for _ in range(3):  # each nearly fills a datagram, and one of them fits
        outbox.put(ADDRESSES[0], Want(1, bytes(1000)))
    assert len(outbox.flush(0.0)) == 1
    assert outbox.withheld == 2


def test_a_datagram_withheld_from_an_unproven_address_is_counted() -> None:
    outbox = an_outbox()
    told: list[int] = []
    outbox.allow(ADDRESSES[0], 10)
    outbox.put(ADDRESSES[0], Want(1, bytes(600)), told.append)
    assert outbox.flush(0.0) == []
    assert outbox.withheld == 1
    assert told == []
    outbox.put(ADDRESSES[0], Want(1, b""), told.append)
    outbox.flush(0.0)
    assert told == [1]


def spend(outbox: DatagramOutbox, size: int, now: float) -> None:
    while size > 0:
        outbox.put(ADDRESSES[0], Want(1, bytes(1200)))
        size -= sum(len(send.datagram) for send in outbox.flush(now))


def test_the_budget_throttles_the_lowest_priority_first() -> None:
    outbox = an_outbox(Config(send_bytes_s=100_000))
    allowed = [[klass for klass in Class if outbox.room(klass, 0.0)]]
    for _ in range(3):
        spend(outbox, 30_000, 0.0)
        allowed.append([klass for klass in Class if outbox.room(klass, 0.0)])
    spend(outbox, 20_000, 0.0)
    allowed.append([klass for klass in Class if outbox.room(klass, 0.0)])
    assert allowed == [
        [Class.PROBE, Class.CLAIM, Class.DELTA, Class.PAGE],
        [Class.PROBE, Class.CLAIM, Class.DELTA, Class.PAGE],
        [Class.PROBE, Class.CLAIM, Class.DELTA],
        [Class.PROBE, Class.CLAIM],
        [Class.PROBE],
    ]
    assert outbox.throttled == 1 + 2 + 3


def test_messages_that_wait_draw_on_the_budget_already() -> None:
    outbox = an_outbox(Config(send_bytes_s=100_000))
    answered = 0
    while outbox.room(Class.PAGE, 0.0):
        outbox.put(ADDRESSES[0], Want(1, bytes(1200)))
        answered += 1
    assert 50_000 <= sum(len(send.datagram) for send in outbox.flush(0.0)) < 55_000
    assert answered < 45


def test_an_overspent_budget_is_full_again_within_two_seconds() -> None:
    outbox = an_outbox(Config(send_bytes_s=100_000))
    spend(outbox, 5_000_000, 0.0)
    assert not outbox.room(Class.CLAIM, 0.5)
    assert outbox.room(Class.PAGE, 2.0)


@pytest.mark.parametrize("seed", seeds(range(3)))
def test_over_time_pages_stay_within_the_budget(seed: int) -> None:
    rng = random.Random(seed)
    outbox = an_outbox(Config(send_bytes_s=50_000))
    now, sent = 0.0, 0
    while now < 10:
        now += rng.random() * 0.02
        for _ in range(rng.randrange(5)):
            if outbox.room(Class.PAGE, now):
                outbox.put(rng.choice(ADDRESSES), Want(1, bytes(1200)))
        sent += sum(len(send.datagram) for send in outbox.flush(now))
    assert 0.9 * 50_000 * now <= sent <= 50_000 * now + 25_000 + 1400


def test_the_counters_keep_the_name_that_dashboards_read() -> None:
    outbox = an_outbox()
    outbox.put(ADDRESSES[0], PingReq(1, NodeId(bytes(16))))
    outbox.put(ADDRESSES[0], Receipt((1,)))
    assert outbox.sent_kinds == {"Ask": 1, "Receipt": 1}
    assert set(outbox.sent_kind_bytes) == {"Ask", "Receipt"}
