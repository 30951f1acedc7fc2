"""The judge: what must hold after a soak. Each function returns what did not hold, one line each, for people.

Owns: what may differ, grow or go wrong, and by how much. Never knows: which faults there were beyond the notes of the
world.
"""

import json
from collections.abc import Iterator
from datetime import datetime

from scripts.soaking.world import World

GRACE_S = 8.0
"""Deaths are excused this long after a trouble: to declare a member dead takes time, and so does the refutation."""
MEMORY_MAY_GROW_KIB = 6 * 1024
"""The difference between a sidecar that has just settled and one that has seen everything: counters, fragmentation."""
MAY_GROW = {"memory_kib": MEMORY_MAY_GROW_KIB, "descriptors": 4, "threads": 2, "tasks": 4}


def table_faults(world: World) -> Iterator[str]:
    """Every table is equal, and holds what was confirmed to clients."""
    tables = {host.name: world.table(host) for host in world.hosts}
    first = world.hosts[0].name
    table = tables[first]
    for host in world.hosts:
        if tables[host.name] != table:
            yield f"the table at {host.name} is another one than at {first}"
    for host in world.hosts:
        for id in {*host.confirmed, *host.unanswered}:
            found, confirmed = table.get((host.name, id)), host.confirmed.get(id)
            if found != confirmed and found not in host.unanswered.get(id, []):
                what = "was lost" if found is None else "came back" if confirmed is None else "is an old one"
                yield f"{host.name}/{id} {what}: {found} is there, {confirmed} was acknowledged"
    known = {(host.name, id) for host in world.hosts for id in {*host.confirmed, *host.unanswered}}
    for node, id in table:
        if (node, id) not in known:
            yield f"nobody registered {node}/{id}"


def false_deaths(world: World, freezes: list[tuple[float, float]]) -> tuple[list[str], int]:
    """The members that were declared dead when neither they nor the accuser were in trouble; and how many more were
    when the machine stood still: `freezes` are (when, how long)."""
    found: dict[tuple[str, int], str] = {}
    excused = 0
    for host in world.hosts:
        for line, name, at in _deaths(host.sidecar.log.read_text()):
            if _in_trouble(world, name, at) or _in_trouble(world, host.name, at):
                continue
            if any(began - 1 <= at <= began + late_s + GRACE_S for began, late_s in freezes):
                excused += 1
            else:
                found.setdefault((name, int(at) // 10), f"{name} by {host.name}: {line}")
    return list(found.values()), excused


def _deaths(log: str) -> Iterator[tuple[str, str, float]]:
    """(line, name of the dead, when) of each death in a log."""
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == "member_dead":
            yield line, event["name"], datetime.fromisoformat(event["time"]).timestamp()


def _in_trouble(world: World, name: str, at: float) -> bool:
    return any(
        trouble.began - 1 <= at <= trouble.ended + GRACE_S and (name in trouble.names or trouble.kind == "cut")
        for trouble in world.troubles
    )


def growth_faults(before: list[dict[str, int]], after: list[dict[str, int]]) -> Iterator[str]:
    """Nothing that a member takes has grown by more than it may; `machine.usage` of the same members in both."""
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        for what, most in MAY_GROW.items():
            if now[what] - was[what] > most:
                yield f"n{number}: {what} grew from {was[what]} to {now[what]}"
