"""The workload: services are registered, changed, looked up and deregistered, and their health flaps.

Owns: what happens when, drawn from the seed before a run begins, and the services' contents. Never knows: how an action
is carried out, or the faults.
"""

import random

from gossipreg.model import Health, RegisteredService
from simulations.host import Host
from simulations.plan import Action

NAMES = ("billing", "stock", "web", "mail")
_SLOTS = 5
"""Service ids of a member. They are used again, so that checkers tell a service that came back from a new one."""
_SIZES = (0, 0, 0, 200, 900, 6000)
"""Bytes of a service's metadata: small, one datagram, several, many."""
_KINDS = ("register", "register", "register", "health", "health", "health", "deregister", "deregister", "lookup")


def draw_workload(rng: random.Random, period_s: float, members: int, phase_s: float) -> list[Action]:
    """Draw from none to four actions a period, spread over the phase, and the services that are there before it."""
    first = [
        Action(
            at_s=0.0,
            what="register",
            hosts=(rng.randrange(members),),
            value=float(rng.choice(_SIZES[:4])),
            flags=(str(rng.randrange(_SLOTS)), rng.choice(NAMES)),
        )
        for _ in range(rng.randrange(2 * members))
    ]
    count = int(4 * phase_s / period_s * rng.random() ** 2)
    return first + [_one(rng, rng.uniform(0.0, phase_s), members) for _ in range(count)]


def _one(rng: random.Random, at_s: float, members: int) -> Action:
    what = rng.choice(_KINDS)
    size = float(rng.choice(_SIZES)) if what == "register" else float(rng.randrange(len(Health)))
    return Action(
        at_s=at_s,
        what=what,
        hosts=(rng.randrange(members),),
        value=size,
        flags=(str(rng.randrange(_SLOTS)), rng.choice(NAMES)),
    )


def service_of(host: Host, action: Action) -> RegisteredService:
    """Return the service that a register action registers. No two actions write the same value, so that every stored
    byte has one origin."""
    slot, name = action.flags
    text = f"{action.number}-".ljust(int(action.value), "x")
    return RegisteredService(
        f"s{slot}",
        name,
        host.address.host,
        1 + action.number % 65_535,
        tags=(f"v{action.number}",),
        meta=(("text", text),),
    )
