"""What holds of streams whatever faults strike them, in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from simulations.host import Host
from simulations.network import between, into, out_of
from simulations.tcp import GIVE_UP_S
from tests.examples import examples
from tests.simulations.streams import Noting, processes, start

HOSTS = st.integers(0, 2)
BOUND_S = 3 * GIVE_UP_S
"""After this long without faults nothing waits for a retransmission or a timeout any more."""


def check(noting: Noting, peer: Host) -> None:
    """Check what a process was told about one peer: streams follow each other, and each carries consecutive
    messages."""
    is_open, before, last = False, (-1, -1), (-1, -1)
    for what, value in noting.notes:
        if isinstance(value, tuple) and value[0] == peer.name:
            _, starts, number = value
            assert is_open, "a message belongs to an open stream"
            assert (starts, number) > before, "in order, and once"
            assert last in ((-1, -1), (starts, number - 1)), "nothing is lost inside a stream"
            before = last = starts, number
        elif value == peer.name:
            assert what in ("closed", "refused") or not is_open, "at most one stream a pair"
            is_open, last = what == "opened", (-1, -1)


class StreamsMachine(RuleBasedStateMachine):
    """Three hosts send numbered messages to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.hosts, self.noting = processes(3)
        self.world.network.low_s = 0.01  # to 0.05: segments would overtake each other
        self.past: list[Noting] = []
        self.numbers: dict[tuple[int, int], int] = {}

    @rule(sender=HOSTS, receiver=HOSTS, many=st.integers(1, 3))
    def send(self, sender: int, receiver: int, many: int) -> None:
        host = self.hosts[sender]
        if sender == receiver or not host.up or host.stalled:
            return
        for _ in range(many):
            number = self.numbers.get((sender, receiver), 0)
            self.numbers[sender, receiver] = number + 1
            self.noting[sender].send(self.hosts[receiver], (host.name, host.starts, number))

    @rule(seconds=st.floats(0.0, 0.3))
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(seconds=st.floats(0.0, 2 * GIVE_UP_S))
    def pass_long_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(which=HOSTS, how=st.sampled_from(["crash", "vanish", "power"]))
    def end(self, which: int, how: str) -> None:
        host = self.hosts[which]
        if how == "power":
            self.world.lose_power(host)
        elif host.up:
            self.world.crash(host, refuses=how == "crash")

    @rule(which=HOSTS)
    def start_again(self, which: int) -> None:
        if not self.hosts[which].up:
            self.past.append(self.noting[which])
            self.noting[which] = start(self.world, self.hosts[which])

    @rule(which=HOSTS, how=st.sampled_from(["stall", "block", "resume"]))
    def slow_down(self, which: int, how: str) -> None:
        getattr(self.world, how)(self.hosts[which])

    @rule(which=HOSTS, of=st.sampled_from(["network", "streams", "rejecting"]), shape=st.sampled_from("cio"))
    def cut(self, which: int, of: str, shape: str) -> None:
        streams = self.world.connections
        rules = {"network": self.world.network.rules, "streams": streams.rules, "rejecting": streams.rejecting}[of]
        numbers = frozenset({which})
        rules["cut"] = {"c": between(lambda end: end.number in numbers), "i": into(numbers), "o": out_of(numbers)}[
            shape
        ]

    @rule(loss=st.sampled_from([0.0, 0.3]))
    def lose(self, loss: float) -> None:
        self.world.network.loss = loss

    @rule(one=HOSTS, other=HOSTS)
    def break_(self, one: int, other: int) -> None:
        self.world.connections.break_(self.hosts[one], self.hosts[other])

    @rule(one=HOSTS, other=HOSTS)
    def close(self, one: int, other: int) -> None:
        """A process that closes a stream itself is not told, so it notes that here."""
        if one != other and self.hosts[one].up and not self.hosts[one].stalled and not self.hosts[one].waiting:
            self.world.connections.close(self.hosts[one], self.hosts[other])
            self.noting[one].closed(self.hosts[other], refused=False)

    @rule()
    def heal(self) -> None:
        """End all faults. Then each process reaches each other: with its first message, or with its second if the
        first one went to a stream whose other end is over."""
        self.world.network.rules.clear()
        self.world.connections.rules.clear()
        self.world.connections.rejecting.clear()
        self.world.network.loss = 0.0
        for which, host in enumerate(self.hosts):
            self.start_again(which)
            if host.stalled or host.blocked:
                self.world.resume(host)
        self.world.run(BOUND_S)
        for _ in range(2):
            for sender in range(3):
                for receiver in range(3):
                    self.send(sender, receiver, 1)
            self.world.run(BOUND_S)
        for sender, host in enumerate(self.hosts):
            for receiver in range(3):
                if sender != receiver:
                    last = host.name, host.starts, self.numbers[sender, receiver] - 1
                    assert last in self.noting[receiver].messages
                    assert self.world.connections.open_between(host, self.hosts[receiver])

    @invariant()
    def what_each_process_was_told_is_in_order(self) -> None:
        for noting in [*self.noting, *self.past]:
            for peer in self.hosts:
                if peer is not noting.host:
                    check(noting, peer)


StreamsMachine.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
TestStreamsKeepOrder = StreamsMachine.TestCase
