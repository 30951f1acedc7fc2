"""For `lookup` and `explain`: choose some instances of an answer by weight, and count those that are left out.

Owns the rule for `one` and `limit`: the nearest instances with `near`, else a random choice by weight.
"""

import random
from collections import Counter
from typing import Any

from gossipreg.core.table.catalog import Catalog
from gossipreg.model import CatalogInstance, Health
from gossipreg.weights import Shares, order_by_weight
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

KEPT_SHARES_MAX = 1024
"""Questions whose shares are kept; when there are more, all are dropped."""
Instances = tuple[CatalogInstance, ...]


class Choices:
    """Random choices. The shares of each question are kept until its answer changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[int, Instances, Shares]] = {}

    def one(self, question: tuple[Any, ...], index: int, found: Instances) -> Instances:
        """One instance of `found`, the answer to `question` at this index of the catalog; none if that is empty."""
        kept = self._kept.get(question)
        if kept is None or kept[0] != index:
            if not found:
                return ()
            if len(self._kept) >= KEPT_SHARES_MAX:
                self._kept.clear()
            kept = self._kept[question] = index, found, Shares([one.service.weight for one in found])
        return (kept[1][kept[2].pick(random.random)],)


def some(found: Instances, limit: int) -> Instances:
    """At most `limit` of them, in random order by weight."""
    order = order_by_weight([one.service.weight for one in found], random.random)
    return tuple(found[at] for at in order[:limit])


def explain_shape(catalog: Catalog, name: str, tags: tuple[str, ...], zone: str | None) -> Shape:
    """The number of instances that a lookup of `name` leaves out, for each of its conditions. `dead` counts those of
    dead members, which no other condition counts."""
    every = catalog.lookup(name, all=True)
    in_zone = [one for one in every if zone is None or one.zone == zone]
    tagged = [one for one in every if set(tags) <= set(one.service.tags)]
    matching = [one for one in in_zone if set(tags) <= set(one.service.tags)]
    passing = [one for one in every if one.health is Health.PASSING]
    return {
        "name": every[0].service.name if every else None,
        "instances": len(every),
        "health": _healths(every),
        "matching": _healths(matching),
        "not_in_zone": len(every) - len(in_zone),
        "without_tags": len(every) - len(tagged),
        "zones": sorted({one.zone for one in passing}),
        "tags": sorted({tag for one in passing for tag in one.service.tags}),
        "dead": len(catalog.gone.of_name(name)),
    }


def _healths(instances: list[CatalogInstance] | Instances) -> dict[str, int]:
    counts = Counter(one.health for one in instances)
    return {name: counts[health] for health, name in zip(Health, HEALTH_NAMES, strict=True)}
