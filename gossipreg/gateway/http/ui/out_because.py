"""Why an instance is not in the answers here, in words with what to do."""

from collections.abc import Sequence

from gossipreg.model import CatalogInstance, Health
from gossipreg.sidecar_api import Shape

OUTPUT_MAX = 300
"""Characters of a check's output in the reason; the checks stand beside it whole."""


def out_because(instance: CatalogInstance, checks: Sequence[Shape] | None) -> str | None:
    """None: it is in the answers. `checks` are those of a service that is registered here, each with `check`, `health`
    and `output`; None: they run at another member, which alone knows what they say."""
    if instance.health is Health.PASSING:
        return None
    if instance.health is Health.MAINTENANCE:
        return f"in maintenance: {instance.reason}" if instance.reason else "in maintenance, no reason was given"
    health = instance.health.name.lower()
    if checks is None:
        return f"a check says {health}; what it says is known at {instance.node_name} only"
    failing = [f"{one['check']} is {one['health']}{_output(one)}" for one in checks if one["health"] != "passing"]
    if failing:
        return "; ".join(failing)
    return f"{health}, though none of its checks fails: its member has another health for it"


def _output(check: Shape) -> str:
    output = " ".join(str(check["output"]).split())
    if not output:
        return "" if check["checked_s"] is not None else ": it has not run yet"
    return f": {output[:OUTPUT_MAX]}"
