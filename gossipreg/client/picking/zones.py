"""How the requests of one zone spread over the zones of the instances (Envoy's zone-aware routing).

Requests stay in their own zone as far as its instances carry their part. Where a zone has more of the callers than of
the instances, the rest goes to zones that have instances to spare. Without that rule a zone with few instances would be
overloaded by its own callers alone.
"""

from collections.abc import Mapping

INSTANCES_MIN = 6
"""With fewer instances a zone is too small to keep its requests to itself."""


def zone_shares(own: str, callers: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """The part of this zone's requests that each zone gets; the parts sum to 1, and zones with nothing are left out.

    `callers`: by zone, how many members have the service that calls. This process is one of them. If no other one is
    known, the requests spread over the zones by weight. `weights`: by zone, the weights of the instances that can be
    picked; the sum is above 0.
    """
    counted = {**callers, own: max(1.0, callers.get(own, 0.0))}
    calling = sum(counted.values())
    offered = sum(weights.values())
    parts = {zone: weight / offered for zone, weight in weights.items()}
    caller_part = counted[own] / calling
    own_part = parts.get(own, 0.0)
    if own_part >= caller_part:
        return {own: 1.0}
    kept = own_part / caller_part
    spare = {
        zone: part - counted.get(zone, 0.0) / calling
        for zone, part in parts.items()
        if zone != own and part > counted.get(zone, 0.0) / calling
    }
    total = sum(spare.values())
    if not total:  # rounding: the parts are equal
        return {own: 1.0}
    shares = {zone: (1.0 - kept) * part / total for zone, part in spare.items()}
    return {own: kept, **shares} if kept else shares
