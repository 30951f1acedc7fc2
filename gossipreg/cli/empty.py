"""Why a lookup found nothing, in one line for a person: unknown name, excluded by a flag, or nothing passes."""

from typing import TYPE_CHECKING, Any

from gossipreg.cli.output import printable
from gossipreg.errors import RequestError

if TYPE_CHECKING:
    from gossipreg.client import Client

SHOWN = 5
"""The number of zones or tags that are named."""
NOT_SYNCED = "this sidecar is not synced yet, so there may be some (`gossipreg info` says why)"


def why_empty(client: "Client", name: str, tags: tuple[str, ...], zone: str | None, every: bool) -> str:
    """Make that line, with the reason that the sidecar gives. `every`: the lookup was `lookup --all`."""
    shown = f"no {'' if every else 'passing '}instance of {printable(name)}"
    params = {"name": name, "tags": list(tags) or None, "zone": zone}
    try:
        said = client.call("explain", **{key: value for key, value in params.items() if value is not None})
    except RequestError:  # a sidecar of an older release
        return shown
    reasons = _reasons(said, tags, zone, every)
    return f"{shown}: {'; '.join(reasons)}" if reasons else shown  # no reason: an instance has just come


def _reasons(said: dict[str, Any], tags: tuple[str, ...], zone: str | None, every: bool) -> list[str]:
    matching, reasons, dead = said["matching"], [], said["dead"]
    if dead and not every:
        reasons.append(f"{dead} on members that are dead (`lookup --all` lists them)")
    elif not said["instances"] and not dead:
        reasons.append("no service of this name is known (`gossipreg services` lists all)")
    if every:
        kind, excluded = "instance", said["instances"] - sum(matching.values())
    else:
        kind, excluded = "passing instance", said["health"]["passing"] - matching["passing"]
    if excluded:
        flags = [f"--zone {printable(zone)}"] * bool(zone is not None and said["not_in_zone"])
        flags += [f"--tag {printable(tag)}" for tag in tags] * bool(said["without_tags"])
        reasons.append(f"{' and '.join(flags)} {_verb(flags)} {excluded} {kind}{'s' * (excluded > 1)}")
        if zone is not None and said["not_in_zone"]:
            reasons.append(f"zones with passing instances: {_list(one or '(none)' for one in said['zones'])}")
        if tags and said["without_tags"]:
            reasons.append(f"their tags: {_list(said['tags'])}")
    unwell = {health: number for health, number in matching.items() if number and health != "passing"}
    if unwell and not every:
        counts = ", ".join(f"{number} {health}" for health, number in unwell.items())
        reasons.append(f"{counts} (`lookup --all` says why)")
    return reasons if said["synced"] else [*reasons, NOT_SYNCED]


def _verb(flags: list[str]) -> str:
    return "excludes" if len(flags) == 1 else "exclude"


def _list(words: Any) -> str:
    shown = [printable(word) for word in words]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "") if shown else "none"
