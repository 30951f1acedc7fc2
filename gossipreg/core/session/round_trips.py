"""Round-trip times, and the timeouts that follow from them (RFC 6298).

Owns: one estimate for each member and each zone. Never knows: what was sent. A member that was never measured gets the
timeout of its zone, and a zone that was never measured the initial one. A timeout is never below the floor that the
caller names, nor above `rtt_ceiling_s`.
"""

from typing import TypeVar

from gossipreg.config import Config
from gossipreg.model import NodeId

_GAIN, _VARIANCE_GAIN, _DEVIATIONS = 1 / 8, 1 / 4, 4.0  # RFC 6298, section 2

_ZONES_MAX = 256
"""Zones that are measured. Members choose the names of their zones, so there must be a limit; members of further zones
get the initial timeout."""


class _Estimate:
    __slots__ = ("smoothed_s", "variation_s")

    def __init__(self, sample_s: float) -> None:
        self.smoothed_s = sample_s
        self.variation_s = sample_s / 2

    def add(self, sample_s: float) -> None:
        self.variation_s += _VARIANCE_GAIN * (abs(self.smoothed_s - sample_s) - self.variation_s)
        self.smoothed_s += _GAIN * (sample_s - self.smoothed_s)

    @property
    def bound_s(self) -> float:
        return self.smoothed_s + _DEVIATIONS * self.variation_s


_Name = TypeVar("_Name", NodeId, str)


def _add(table: dict[_Name, _Estimate], name: _Name, sample_s: float) -> None:
    estimate = table.get(name)
    if estimate is None:
        table[name] = _Estimate(sample_s)
    else:
        estimate.add(sample_s)


class RoundTrips:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._members: dict[NodeId, _Estimate] = {}
        self._zones: dict[str, _Estimate] = {}

    def sample(self, id: NodeId, zone: str, rtt_s: float) -> None:
        """Note the round-trip time of a probe. Pass only probes that no stall delayed (Karn's rule)."""
        _add(self._members, id, rtt_s)
        if zone in self._zones or len(self._zones) < _ZONES_MAX:
            _add(self._zones, zone, rtt_s)

    def smoothed_s(self, id: NodeId) -> float | None:
        """The smoothed round-trip time; None if this member was never measured."""
        estimate = self._members.get(id)
        return None if estimate is None else estimate.smoothed_s

    def bound_s(self, id: NodeId, zone: str, floor_s: float) -> float:
        """The timeout of an answer of this member, at least `floor_s`."""
        estimate = self._members.get(id) or self._zones.get(zone)
        raw = self._config.rtt_initial_s if estimate is None else estimate.bound_s
        return min(max(raw, floor_s), self._config.rtt_ceiling_s)

    def forget(self, id: NodeId) -> None:
        self._members.pop(id, None)
