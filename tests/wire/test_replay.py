"""A datagram that came is not taken a second time, and no counter makes the window expensive."""

import sys

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from gossipreg.model import BootId
from gossipreg.wire.seal import MAX_COUNTER, Keyring, Opener, ReplayWindow, Sealer

KEYS = Keyring((bytes(32),))


def test_a_replayed_datagram_is_not_accepted() -> None:
    sealer, opener, window = Sealer(KEYS, BootId(b"bootboot")), Opener(KEYS), ReplayWindow()
    datagrams = [sealer.seal(b"body") for _ in range(3)]
    counters = [opener.open_untrusted(datagram).counter for datagram in (*datagrams[::-1], *datagrams)]
    assert [window.accept(counter) for counter in counters] == [True] * 3 + [False] * 3


def test_the_counter_0_is_never_accepted() -> None:
    window = ReplayWindow()
    assert not window.accept(0)
    assert window.accept(1)
    assert not window.accept(0)


def test_the_window_is_4096_counters() -> None:
    window = ReplayWindow()
    window.accept(5000)
    assert window.accept(5000 - 4095)
    assert not window.accept(5000 - 4096)


@pytest.mark.parametrize("jump", [4095, 4096, 4097, 2**40, MAX_COUNTER])
def test_a_jump_ahead_is_accepted_once_and_takes_no_memory(jump: int) -> None:
    window = ReplayWindow()
    assert window.accept(1)
    assert window.accept(jump)
    assert not window.accept(jump)
    assert window.accept(jump - 1)
    assert sys.getsizeof(window._seen) < 1000


class WindowAgainstASet(RuleBasedStateMachine):
    """What a set of all counters and the rule say, the bitmap says."""

    def __init__(self) -> None:
        super().__init__()
        self.window = ReplayWindow()
        self.seen = {0}

    def came(self, counter: int) -> None:
        fresh = counter not in self.seen and counter > max(self.seen) - 4096
        assert self.window.accept(counter) is fresh
        if fresh:
            self.seen.add(counter)

    @rule(ahead=st.integers(1, 70) | st.integers(4000, 4200) | st.integers(1, 2**44))
    def ahead(self, ahead: int) -> None:
        self.came(min(max(self.seen) + ahead, MAX_COUNTER))

    @rule(behind=st.integers(0, 70) | st.integers(4000, 4200) | st.integers(0, 2**44))
    def behind(self, behind: int) -> None:
        self.came(max(max(self.seen) - behind, 0))

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        self.came(data.draw(st.sampled_from(sorted(self.seen))))


TestWindowAgainstASet = WindowAgainstASet.TestCase
