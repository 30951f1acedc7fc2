"""Faults, drawn from the seed before a run begins.

Owns: which faults there are, how often each is drawn, how long it lasts and how bad it is. Never knows: how a fault is
carried out. Member 0 is the anchor: any fault may strike it, but it never goes for good, so that a member that starts
again has a seed to join by. All faults end with the phase that they are drawn for.
"""

import random
from collections.abc import Callable

from gossipreg.config import Config
from gossipreg.wire.values import MAX_HOLD_S
from simulations.plan import Action

ANCHOR = 0
HOLE_MIN_BYTES = 600
"""Every path carries this much: the smallest size that members use is 576 bytes and the seal's tag."""
_TO_THE_END = 0.2
"""The share of faults that last until everything is healed at once: recovery from several faults is hardest."""


class Draw:
    """One fault: its time, and the random choices that all kinds of fault share."""

    def __init__(self, rng: random.Random, config: Config, members: int, phase_s: float) -> None:
        self.rng = rng
        self.config = config
        self.members = members
        self.phase_s = phase_s
        self.at_s = rng.uniform(0.0, 0.9 * phase_s)
        self.left_s = phase_s - self.at_s

    def lasts(self, shortest: float, longest: float) -> float:
        """Draw a duration between these numbers of periods, short ones more often; sometimes it is the rest of the
        phase."""
        if self.rng.random() < _TO_THE_END:
            return self.left_s
        periods: float = shortest * (longest / shortest) ** self.rng.random()
        return min(periods * self.config.period_s, self.left_s)

    def one(self) -> int:
        return self.rng.randrange(self.members)

    def some(self, part: float) -> tuple[int, ...]:
        """Draw one member or more, up to this share of them; at least one is left out."""
        most = max(1, min(int(self.members * part), self.members - 1))
        return tuple(sorted(self.rng.sample(range(self.members), self.rng.randint(1, most))))

    def seeds(self) -> tuple[int, ...]:
        others = self.rng.sample(range(self.members), min(2, self.members))
        return tuple(dict.fromkeys((ANCHOR, *others)))

    def action(self, what: str, **fields: object) -> Action:
        return Action(at_s=self.at_s, what=what, **fields)  # type: ignore[arg-type]  # the fields are Action's own


def _crash(draw: Draw) -> Action:
    rng, host = draw.rng, draw.one()
    flags = ["refused" if rng.random() < 0.6 else "silent"]
    if rng.random() < 0.3:
        flags.append("state lost")
    if host != ANCHOR and rng.random() < 0.3:
        return draw.action("crash", hosts=(host,), flags=(*flags[:1], "for good"))
    wall = rng.choice([0.0, 0.0, 0.0, rng.uniform(-8, 8), rng.uniform(-3600, 3600)])
    down_s = draw.left_s if rng.random() < 0.2 else draw.lasts(0.05, 20)
    return draw.action("crash", hosts=(host,), flags=tuple(flags), for_s=down_s, value=wall, seeds=draw.seeds())


def _leave(draw: Draw) -> Action:
    rng, host = draw.rng, draw.one()
    away_s = draw.lasts(0.2, 12)
    if host != ANCHOR and rng.random() < 0.4:
        return draw.action("leave", hosts=(host,), flags=("for good",))
    if rng.random() < 0.5:
        hold_s = min(away_s * rng.uniform(0.5, 2.0), MAX_HOLD_S, draw.left_s)
        return draw.action("leave", hosts=(host,), flags=("held",), for_s=away_s, value=hold_s, seeds=draw.seeds())
    return draw.action("leave", hosts=(host,), for_s=away_s, seeds=draw.seeds())


def slow_member(what: str) -> Callable[[Draw], Action]:
    def draw_it(draw: Draw) -> Action:
        for_s = draw.lasts(0.05, 15)
        gap_s = draw.rng.choice([0.0, 0.0, draw.lasts(0.05, 2)])
        return draw.action(what, hosts=draw.some(0.25), for_s=for_s, value=gap_s)

    return draw_it


def _slow(draw: Draw) -> Action:
    return draw.action("slow", hosts=draw.some(0.2), for_s=draw.lasts(1, 10), value=10 ** draw.rng.uniform(-4, -1.7))


def partition(draw: Draw) -> Action:
    """Cut the cluster in two or three sides, or cut off one member; `hosts` is one side, `value` the number of
    sides."""
    rng = draw.rng
    shape = rng.choice(["halves", "thirds", "alone", "some"])
    if shape == "alone":
        return draw.action("cut", hosts=(draw.one(),), for_s=draw.lasts(0.5, 25), flags=(shape,))
    if shape == "some":
        return draw.action("cut", hosts=draw.some(0.5), for_s=draw.lasts(0.5, 25), flags=(shape,))
    parts = 2 if shape == "halves" else 3
    order = rng.sample(range(draw.members), draw.members)
    side = tuple(sorted(order[: max(1, draw.members // parts)]))
    return draw.action("cut", hosts=side, for_s=draw.lasts(0.5, 25), value=float(parts), flags=(shape,))


def one_way(draw: Draw) -> Action:
    chance = draw.rng.choice([1.0, 1.0, 0.8, draw.rng.uniform(0.2, 0.9)])
    way = draw.rng.choice(["into", "out_of"])
    return draw.action(way, hosts=draw.some(0.25), for_s=draw.lasts(0.5, 15), value=chance)


def pair(draw: Draw) -> Action:
    two = tuple(draw.rng.sample(range(draw.members), 2))
    return draw.action("pair", hosts=two, for_s=draw.lasts(1, 20), flags=draw.rng.choice([(), ("one way",)]))


def bridge(draw: Draw) -> Action:
    order = draw.rng.sample(range(draw.members), draw.members)
    return draw.action("bridge", hosts=tuple(order[: 1 + draw.members // 2]), for_s=draw.lasts(1, 15))


def network(what: str, low: float, high: float) -> Callable[[Draw], Action]:
    return lambda draw: draw.action(what, for_s=draw.lasts(0.5, 15), value=draw.rng.uniform(low, high))


def _hole(draw: Draw) -> Action:
    """Lose large datagrams to or from some members; every message that a member must send can be made smaller."""
    way = draw.rng.choice(["both", "both", "into", "out_of"])
    value = float(draw.rng.randint(HOLE_MIN_BYTES, 1400))
    return draw.action("hole", hosts=draw.some(0.5), for_s=draw.lasts(1, 25), value=value, flags=(way,))


def _move(draw: Draw) -> Action:
    """Move a member to an address that its process does not know, and back later, or never. The anchor does not move: a
    seed is found by its address alone."""
    host = draw.rng.randrange(1, draw.members)
    for_s = draw.left_s if draw.rng.random() < 0.3 else draw.lasts(1, 15)
    return draw.action("move", hosts=(host,), for_s=for_s, flags=draw.rng.choice([("and back",), ("for good",)]))


Faults = tuple[tuple[int, Callable[[Draw], Action]], ...]
FAULTS: Faults = (
    (6, _crash),
    (3, _leave),
    (4, slow_member("stall")),
    (3, slow_member("block")),
    (1, _slow),
    (4, partition),
    (2, one_way),
    (1, pair),
    (1, bridge),
    (2, _hole),
    (2, _move),
    (2, network("loss", 0.01, 0.4)),
    (1, network("duplication", 0.05, 0.6)),
    (1, network("reorder", 0.05, 0.9)),
    (1, network("mtu", 576, 1400)),
    (1, network("bandwidth", 20_000, 400_000)),
)
"""The weight and the function of each kind of fault."""


def draw_faults(
    rng: random.Random, config: Config, members: int, phase_s: float, faults: Faults = FAULTS
) -> list[Action]:
    """Draw the faults of one phase: from none to one every two periods."""
    weights, kinds = zip(*faults, strict=True)
    most = phase_s / config.period_s / 2
    count = int(most * rng.random() ** 2)
    return [rng.choices(kinds, weights)[0](Draw(rng, config, members, phase_s)) for _ in range(count)]
