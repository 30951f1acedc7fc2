"""The health of one check, and what an edit of a service's checks leaves of it.

Owns the rules by which results change a health (`damped`), and those by which a check that is registered again takes
over the health of the one before it (`paired`). Never knows the time, or when a check runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from math import inf

import trio

from gossipreg.daemon.checks.spec import CheckSpec, check_ids
from gossipreg.model import Health
from gossipreg.quick_dataclass import dataclass

SOON_S = 0.2


@dataclass(frozen=True, slots=True)
class CheckStatus:
    spec: CheckSpec
    health: Health
    output: str
    since_s: float
    """The time since its health changed."""
    checked_s: float | None
    """The time since its last result or heartbeat; None if there was none."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The state of a check from an earlier process of this sidecar, recent enough to count."""

    health: Health
    age_s: float
    """The time since its last result or heartbeat."""
    left_s: float = 0.0
    """Of a ttl check: the time that is left for the next heartbeat."""


@dataclass(slots=True, eq=False)
class ScheduledCheck:
    service_id: str
    spec: CheckSpec
    health: Health
    since: float
    output: str = ""
    checked_at: float | None = None
    streak: int = 0
    """Results in a row on the same side of the health: below 0 better, above 0 worse."""
    unproven: bool = False
    """Its health was not found by asking this question in this process: the first result counts at once."""
    due: float = inf
    """When it runs next; for a ttl, when its time is up."""
    soon_s: float = SOON_S
    """The pause before its next run, as long as it has not passed."""
    settled: bool = False
    """It runs at its interval."""
    waiting: bool = False
    """It is due, and waits until fewer checks run."""
    runs: trio.CancelScope | None = None
    gone: bool = False

    def shown(self) -> str:
        """The last output, with the count of results towards another health."""
        if not self.output and (self.checked_at is None or self.unproven):
            return "no heartbeat yet" if self.spec.kind == "ttl" else "no result yet"
        if self.streak < 0:
            return f"{self.output}; {-self.streak} of {self.spec.passes} in a row"
        if self.streak > 0:
            return f"{self.output}; {self.streak} of {self.spec.fails} in a row"
        return self.output


@dataclass(frozen=True, slots=True)
class Beginning:
    """The initial health of checks that are new to a service."""

    fresh: Health = Health.CRITICAL
    said: dict[str, Health] = field(default_factory=dict)
    """Id of a check -> the initial health that the registration gave."""
    restored: Callable[[Sequence[CheckSpec]], list[Restored | None]] | None = None
    """At a start: the state of each check in the earlier process. A check without one begins critical. In both cases
    the first result counts at once."""


def paired(service_id: str, before: Sequence[CheckSpec], after: Sequence[CheckSpec]) -> list[int | None]:
    """For each check of `after` the index of the one in `before` whose place it takes: the equal one, else the one with
    the same id and question, else with the same question, else with the same id."""
    ids_before, ids_after = check_ids(service_id, before), check_ids(service_id, after)
    found: list[int | None] = [None] * len(after)
    free = dict.fromkeys(range(len(before)))
    same: list[Callable[[int, int], bool]] = [
        lambda old, new: before[old] == after[new],
        lambda old, new: ids_before[old] == ids_after[new] and before[old].asked == after[new].asked,
        lambda old, new: before[old].asked == after[new].asked,
        lambda old, new: ids_before[old] == ids_after[new],
    ]
    for rule in same:
        for new in range(len(after)):
            if found[new] is None:
                found[new] = next((old for old in free if rule(old, new)), None)
                if found[new] is not None:
                    del free[found[new]]  # type: ignore[arg-type]  # it is not None here
    return found


def damped(health: Health, said: Health, streak: int, spec: CheckSpec) -> tuple[int, Health]:
    """The streak and the health after a result."""
    if said is health:
        return 0, health
    streak = min(streak, 0) - 1 if said < health else max(streak, 0) + 1
    enough = streak <= -spec.passes or streak >= spec.fails
    return (0, said) if enough else (streak, health)
