"""Cut and heal links between sidecars, and tell what each side sees of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from gossipreg.client import Client
from gossipreg.demo.cast import BOUND_S, Cast
from gossipreg.demo.layout import SERVICES
from gossipreg.demo.lookout import knows_itself_alone, sees_alive, sees_gone
from gossipreg.demo.teller import enumerated
from gossipreg.errors import BadParams

WATCH_S = 5.0
"""A dead member is declared dead within a second or two, so this is long enough to see that nobody is."""


class LinkFaults:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._cut_at = 0.0

    async def cut(self, names: tuple[str, ...]) -> None:
        """Cut two hosts off from each other, or one from all. Raises BadParams if they are."""
        others = [host.name for host in self._cast.hosts if host.name != names[0]]
        pairs = [(names[0], other) for other in (names[1:] or others)]
        if all(self._cast.links.is_cut(*pair) for pair in pairs):
            raise BadParams(f"cut {' '.join(names)}: that is cut already; `heal` mends all links")
        observers = self._cast.lookout.observers()
        before = self._sides(observers)
        dead = {name: await self._dead_at(name) for name in observers}
        self._cut_at = since = trio.current_time()
        for pair in pairs:
            self._cast.links.cut(*pair)
        whom = names[1] if len(names) > 1 else "all others"
        text = f"Nothing passes between the sidecars of {names[0]} and {whom} any more, neither UDP nor TCP."
        self._cast.teller.tell("cut", text, hosts=list(names))
        sides = self._sides(observers)
        if sides != before:
            large, *small = sides
            await self._divided(large, [side for side in small if side not in before], since, dead)
        elif {*names} <= {*observers}:
            await self._watch(names, observers)

    def _sides(self, observers: list[str]) -> list[list[str]]:
        """The groups of hosts that reach each other, the largest first."""
        left, sides = list(observers), []
        while left:
            side = self._cast.links.side_of(left[0], left)
            sides.append([name for name in left if name in side])
            left = [name for name in left if name not in side]
        return sorted(sides, key=len, reverse=True)

    async def _watch(self, names: tuple[str, ...], observers: list[str]) -> None:
        """The others reach both: nobody should be declared dead."""
        there = self._cast.links.side_of(names[0], observers)
        observers = [name for name in observers if name in there]

        def anybody_gone(client: Client) -> bool:
            return any(sees_gone(name)(client) for name in observers)

        found = await self._cast.lookout.wait(observers, anybody_gone, WATCH_S, trio.current_time())
        if found:
            text = f"{enumerated(sorted(found))} declared a member dead, though others reach it."
            self._cast.faults.append(text)
        else:
            text = f"In {WATCH_S:g} s nobody is declared dead: {names[0]} and {names[1]} have others ask for them."
        self._cast.teller.tell("nobody_dead", text, accusers=sorted(found), seconds=WATCH_S)

    async def _divided(self, large: list[str], small: list[list[str]], since: float, dead: dict[str, set[str]]) -> None:
        """The largest side declares the others dead; a member that is alone must not do that."""
        if len(large) == 1:
            await self._tell_of_isolated(large[0], since, dead[large[0]])
        for side in small:
            for name in side if len(large) > 1 else ():
                found = await self._cast.lookout.wait(large, sees_gone(name), BOUND_S, since)
                claim = f"that {name} cannot be reached, and count it as dead"
                self._cast.report("death_known", found, large, claim, host=name)
            if len(side) == 1:
                await self._tell_of_isolated(side[0], since, dead[side[0]])

    async def _tell_of_isolated(self, name: str, since: float, dead_before: set[str]) -> None:
        """What it answers itself, once it knows that it hears nobody."""
        found = await self._cast.lookout.wait([name], knows_itself_alone, BOUND_S, since)
        accused = sorted(await self._dead_at(name) - dead_before)
        lookups = {service: await self._cast.lookout.ask(name, "lookup", name=service) for service in SERVICES}
        if not found:
            self._cast.faults.append(f"{name} did not find out within {BOUND_S:g} s that it hears nobody")
        if accused:
            self._cast.faults.append(f"{name} hears nobody, and declared {enumerated(accused)} dead")
        text = (
            f"{name} knows after {found.get(name, BOUND_S):.1f} s that it hears nobody, and declares "
            f"{enumerated(accused)} dead. It goes on answering with what it knew last{known_last(lookups)}"
        )
        stale = {service: stale_of(instances) for service, instances in lookups.items()}
        self._cast.teller.tell("isolated", text, host=name, stale=stale, accused=accused)

    async def _dead_at(self, name: str) -> set[str]:
        members = await self._cast.lookout.ask(name, "members")
        return {member["name"] for member in members if member["state"] == "dead"}

    async def heal(self) -> None:
        """Raises BadParams if no link is cut."""
        if not self._cast.links.cut_pairs:
            raise BadParams("heal: no link is cut")
        since = trio.current_time()
        self._cast.links.heal()
        text = f"All links are whole again, after {since - self._cut_at:.1f} s."
        self._cast.teller.tell("healed", text)
        observers = self._cast.lookout.observers()
        found = await self._cast.lookout.wait(observers, sees_alive(observers), BOUND_S, since)
        claim = f"all {len(observers)} members again"
        self._cast.report("one_cluster", found, observers, claim, whom="sidecars")


def stale_of(instances: Sequence[Mapping[str, Any]]) -> int:
    """How many of them are marked as known last."""
    return sum(bool(one["stale"]) for one in instances)


def known_last(lookups: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The end of a sentence about what a sidecar that hears nobody answers: by the first service that is elsewhere."""
    for service, instances in lookups.items():
        if stale := stale_of(instances):
            verb = "is" if stale == 1 else "are"
            return f", such as where {service} is: {stale} of {len(instances)} {verb} elsewhere, and marked as stale."
    return "; nothing elsewhere was alive by then."
