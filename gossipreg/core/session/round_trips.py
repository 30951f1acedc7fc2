"""How long to wait for an answer: round-trip bounds after RFC 6298.

Owns: one estimate a member and one a zone. Never knows: what was asked. A member never measured gets its zone's bound,
a zone never measured the initial one. All bounds are clamped, to the asker's floor and the profile's ceiling.
"""

from typing import TypeVar

from gossipreg.config import Config
from gossipreg.model import NodeId

_GAIN, _VARIANCE_GAIN, _DEVIATIONS = 1 / 8, 1 / 4, 4.0  # RFC 6298, section 2

_ZONES_MAX = 256
"""A zone's name comes from its members; beyond so many the further ones use the initial bound."""


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
        """An answer came after `rtt_s`; only from probes that nothing had stalled (Karn's rule in our terms)."""
        _add(self._members, id, rtt_s)
        if zone in self._zones or len(self._zones) < _ZONES_MAX:
            _add(self._zones, zone, rtt_s)

    def smoothed_s(self, id: NodeId) -> float | None:
        """The smoothed round trip, None where it was never measured."""
        estimate = self._members.get(id)
        return None if estimate is None else estimate.smoothed_s

    def bound_s(self, id: NodeId, zone: str, floor_s: float) -> float:
        """How long to wait for an answer of this member, at least `floor_s`, before it counts as missed."""
        estimate = self._members.get(id) or self._zones.get(zone)
        raw = self._config.rtt_initial_s if estimate is None else estimate.bound_s
        return min(max(raw, floor_s), self._config.rtt_ceiling_s)

    def forget(self, id: NodeId) -> None:
        self._members.pop(id, None)
