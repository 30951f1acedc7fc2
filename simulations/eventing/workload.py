"""The programs of a run with events, drawn from the seed.

Owns: how many groups, instances and publishers there are, what they want, and when they begin. Never knows: what they
do (`publisher.py`, `subscriber.py`).
"""

import random
from dataclasses import dataclass, replace

from simulations.eventing.eventing import Eventing
from simulations.eventing.publisher import Publisher
from simulations.eventing.subscriber import Subscriber

TYPES = ("order.created", "order.paid", "order.item.added", "user.created", "user.gone", "audit")
PATTERNS = (("order.>",), ("order.*",), ("*.created",), ("user.*", "audit"), (">",), ("order.created", "user.gone"))
KEYS = ("a", "b", "c", "d", "e")
"""The same ones for all publishers."""


@dataclass(frozen=True, slots=True)
class DrawnSubscriber:
    group: str
    patterns: tuple[str, ...]
    host: int
    window: int
    max_attempts: int
    ack_timeout_s: float
    begins_s: float
    """From the beginning of the faults; 0: before the first event."""
    hold: bool = False
    past: bool = False

    def __str__(self) -> str:
        begins = f", from {self.begins_s:.1f} s" if self.begins_s else ""
        flags = f"{', holds keys' if self.hold else ''}{', with the past' if self.past else ''}"
        name = self.group or "broadcast"
        return f"{name} at n{self.host}: {' '.join(self.patterns)}, window {self.window}{begins}{flags}"


def draw_subscribers(rng: random.Random, members: int, phase_s: float) -> tuple[DrawnSubscriber, ...]:
    """Two to four groups, of two or three instances on different hosts as far as there are some. A group in four begins
    later; an instance in five knows one pattern only, as while a new release is rolled out. Of some groups a dead
    letter holds its key. Beside them one group begins late, with the events that are kept, and one program listens to
    what is broadcast."""
    drawn: list[DrawnSubscriber] = []
    for number, patterns in enumerate(rng.sample(PATTERNS, rng.randint(2, 4))):
        begins_s = rng.uniform(0.0, 0.8 * phase_s) if rng.random() < 0.25 else 0.0
        attempts, ack_s = rng.randint(2, 4), rng.choice([2.0, 5.0])
        hosts = rng.sample(range(members), min(members, rng.randint(2, 3)))
        if rng.random() < 0.5:
            hosts.append(hosts[0])
        for instance, host in enumerate(hosts):
            own = patterns if instance == 0 or rng.random() < 0.8 else patterns[:1]
            window = rng.choice([1, 2, 4, 8, 16])
            drawn.append(DrawnSubscriber(f"g{number}", own, host, window, attempts, ack_s, begins_s))
    holds = {group: rng.random() < 0.4 for group in dict.fromkeys(one.group for one in drawn)}
    drawn = [replace(one, hold=holds[one.group]) for one in drawn]
    host, begins_s = rng.randrange(members), rng.uniform(0.2, 0.9) * phase_s
    drawn.append(DrawnSubscriber("late", rng.choice(PATTERNS), host, 4, 3, 5.0, begins_s, past=True))
    drawn.append(DrawnSubscriber("", rng.choice(PATTERNS), rng.randrange(members), 4, 3, 5.0, 0.0))
    return tuple(drawn)


def add_programs(
    eventing: Eventing, subscribers: tuple[DrawnSubscriber, ...], publishers: tuple[int, ...], gap_s: float
) -> None:
    """`publishers`: the hosts that have one. Add them before the first process starts."""
    world = eventing.world
    for number, one in enumerate(subscribers):
        rng = world.randomness.of("subscriber", number)
        made = Subscriber(
            one.group, one.patterns, host=one.host, window=one.window, max_attempts=one.max_attempts,
            ack_timeout_s=one.ack_timeout_s, hold=one.hold, past=one.past, rng=rng,
        )  # fmt: skip
        eventing.subscribers.append(made)
    for host in publishers:
        rng = world.randomness.of("publisher", host)
        eventing.publishers.append(Publisher(world, host, TYPES, KEYS, gap_s, rng))
