"""The faults of a run with journals, drawn from the seed before it begins.

Owns: which faults strike processes, disks and streams, how often each is drawn, how long it lasts. Never knows: how a
fault is carried out, or whether a disk may be lost now (`doer.py`). Everything starts again: a member that goes
for good is one whose disk is lost.
"""

import random
from collections.abc import Callable

from simulations.faults import Draw, Faults, bridge, network, one_way, pair, partition, slow_member
from simulations.plan import Action

TRAPS = ("send", "write", "durable", "apply", "claim")
"""What a process is about to do when a trap ends it."""


def _crash(draw: Draw) -> Action:
    rng = draw.rng
    how = rng.choice(["refused", "refused", "silent", "power"])
    down_s = draw.left_s if rng.random() < 0.1 else draw.lasts(0.05, 60)
    return draw.action("crash", hosts=(draw.one(),), flags=(how,), for_s=down_s, seeds=draw.seeds())


def _crash_loop(draw: Draw) -> Action:
    """Crash a member again and again, each time some seconds after its start."""
    return draw.action("loop", hosts=(draw.one(),), for_s=draw.lasts(5, 40), value=draw.rng.uniform(0.5, 15.0))


def _trap(draw: Draw) -> Action:
    """Crash a process when it is about to do something for the n-th time."""
    rng = draw.rng
    flags = rng.choice(TRAPS), rng.choice(["refused", "silent", "power"])
    value = float(rng.randint(1, rng.choice([2, 20])))
    return draw.action("trap", hosts=(draw.one(),), flags=flags, value=value, for_s=draw.lasts(0.05, 20))


def _leave(draw: Draw) -> Action:
    return draw.action("leave", hosts=(draw.one(),), for_s=draw.lasts(0.5, 12), seeds=draw.seeds())


def _of_disk(what: str, longest: float) -> Callable[[Draw], Action]:
    return lambda draw: draw.action(what, hosts=draw.some(0.4), for_s=draw.lasts(0.2, longest))


def _fail_fsync(draw: Draw) -> Action:
    return draw.action("eio", hosts=draw.some(0.6))


def _slow_disk(draw: Draw) -> Action:
    return draw.action("slow disk", hosts=draw.some(0.5), for_s=draw.lasts(1, 20), value=draw.rng.uniform(0.02, 1.5))


def _lost_disk(draw: Draw) -> Action:
    """Lose the disk of a member, remove its file while it runs, or put it back in time (`value` seconds)."""
    how = draw.rng.choice(["lost", "lost", "unlinked", "back in time"])
    back_s = draw.rng.uniform(0.01, 10.0)
    return draw.action("lose", hosts=(draw.one(),), flags=(how,), for_s=draw.lasts(0.1, 20), value=back_s)


def _firewall(draw: Draw) -> Action:
    """Let datagrams pass and streams not, between some members and the others: in silence, or with a reset."""
    flags = (draw.rng.choice(["silent", "reset"]), draw.rng.choice(["both", "into", "out_of"]))
    return draw.action("firewall", hosts=draw.some(0.5), for_s=draw.lasts(0.5, 30), flags=flags)


def _broken_stream(draw: Draw) -> Action:
    return draw.action("break", hosts=tuple(draw.rng.sample(range(draw.members), 2)))


ONE_END_S = 5.0
"""How long after the other faults streams still break at one end: then little is sent, so little makes good for it."""


def broken_at_one_end(rng: random.Random, members: int, phase_s: float) -> list[Action]:
    """Streams that break at one end alone, when the other faults end. The first member's next message to the second one
    meets a reset, of which the second one learns nothing before it sends something: what it waits for is lost, and it
    has no timer for that."""
    if members < 2:
        return []
    ways = [(one, other) for one in range(members) for other in range(members) if one != other]
    chosen = rng.sample(ways, rng.randint(1, len(ways)))
    return [Action(at_s=phase_s + rng.uniform(-1.0, ONE_END_S), what="break one end", hosts=way) for way in chosen]


JOURNAL_FAULTS: Faults = (
    (6, _crash),
    (1, _crash_loop),
    (5, _trap),
    (2, _leave),
    (2, slow_member("stall")),
    (1, slow_member("block")),
    (3, partition),
    (2, one_way),
    (1, pair),
    (1, bridge),
    (1, network("loss", 0.01, 0.3)),
    (2, _of_disk("hang", 20)),
    (1, _of_disk("full", 20)),
    (2, _fail_fsync),
    (1, _slow_disk),
    (5, _lost_disk),
    (2, _firewall),
    (2, _broken_stream),
)
"""The weight and the function of each kind of fault."""
