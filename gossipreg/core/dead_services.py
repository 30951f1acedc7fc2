"""Services of dead members in the shape of `lookup --all`: gone, with why and since when."""

from collections.abc import Collection, Iterator

from gossipreg.core.view import View
from gossipreg.wire.shapes import Shape, instance_shape


def dead_shapes(view: View, name: str, tags: Collection[str], zone: str | None, now: float) -> Iterator[Shape]:
    """Those of the name with these tags, in this zone: critical, with `reason` and `since_s`."""
    for instance in view.catalog.gone.of_name(name):
        member = view.member(instance.node, now)
        if member is None or member.state != "dead":  # it came back as another member
            continue
        if (zone is None or instance.zone == zone) and set(tags) <= set(instance.service.tags):
            why = f": {member.reason}" if member.reason else ""
            yield {
                **instance_shape(instance),
                "health": "critical",
                "reason": f"{member.name} is dead{why}",
                "since_s": member.since_s,
            }
