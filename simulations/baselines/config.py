"""The settings of SWIM and Lifeguard, made of a profile of ours: `swim(lan)`, `lifeguard(wan)`.

SWIM: Das, Gupta, Motivala 2002, with suspicion (section 4). Lifeguard: Dadgar, Phillips, Currey 2018. Their times are
memberlist's: the timeout of a probe is 500 ms, and gossip goes out every 200 ms to 3 members, so an update waits for
100 ms on average.
"""

from dataclasses import dataclass, fields, replace

from gossipreg.config import Config, lan


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineConfig(Config):
    """The settings of a member that runs SWIM or Lifeguard. Fields that only our own detector reads mean nothing
    here."""

    lifeguard: bool = False
    """Helpers send nacks (Lifeguard 3.1), and a prober tells its target if that is suspected (3.3)."""
    suspicion_multiplier: float = 5.0
    """The least time to refute is this * max(1, log10(n)) * period (memberlist's default: 5)."""
    suspicion_max_multiplier: float = 1.0
    """The time to refute begins at this times the least one (Lifeguard 3.2). With 1 it is SWIM's constant."""
    suspicion_confirmations: int = 0
    """This number of independent confirmations shortens it to the least one (Lifeguard 3.2)."""


_PROBE_TIMEOUT_S = 0.5


def swim(base: Config = lan) -> BaselineConfig:
    """Plain SWIM: a fixed timeout (`rtt_initial_s`), random order, gossiped suspicion, no local health."""
    own = {field.name: getattr(base, field.name) for field in fields(Config)}
    config = BaselineConfig(**own)
    return replace(
        config, rtt_initial_s=min(_PROBE_TIMEOUT_S, base.rtt_ceiling_s), local_health_max=0, stall_s=60.0,
        random_compare_periods=1000, gather_s=0.1, receipt_gather_s=min(0.1, base.rtt_floor_s / 2),
        repeat_floor_s=base.rtt_floor_s, fanout_random=3,
    )  # fmt: skip


def lifeguard(base: Config = lan) -> BaselineConfig:
    """SWIM with all three parts of Lifeguard."""
    return replace(
        swim(base), lifeguard=True, local_health_max=base.local_health_max, suspicion_max_multiplier=6.0,
        suspicion_confirmations=3,
    )  # fmt: skip
