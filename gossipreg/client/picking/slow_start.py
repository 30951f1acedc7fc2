"""A new instance gets few requests at first: its caches and pools are cold (Envoy's slow start).

The share grows from 10 % in ten steps of a second. Only an instance that joins others ramps: after a restart of the
whole service, or of the sidecar, all are equally new.
"""

from gossipreg.client.picking.instance_state import NEVER

RAMP_S = 10.0
STEP_S = 1.0
"""Each step makes the table of weights anew, so there are few."""
INSTANCES_MIN = 3
"""With fewer, the share that the new one does not get would be too much for the rest."""


def ramp(joined_at: float, now: float) -> float:
    """The part of its weight that an instance gets which joined then: 0.1, 0.2, ... 1."""
    if joined_at == NEVER:
        return 1.0
    return min(1.0, (1.0 + (now - joined_at) // STEP_S) * STEP_S / RAMP_S)


def next_step_at(joined_at: float, now: float) -> float:
    """When its share grows next."""
    return joined_at + ((now - joined_at) // STEP_S + 1) * STEP_S
