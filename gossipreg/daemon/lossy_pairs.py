"""Loss between this sidecar and one member that is alive as others see it, in words."""

from collections.abc import Mapping

from gossipreg.daemon.narrow_paths import whom

_WAYS = {
    "to": "what this sidecar sends does not arrive there, while what it sends arrives here; check the path and the "
    "firewalls from here to there",
    "from": "what it sends does not arrive here; check the path and the firewalls from there to here",
    "unknown": "nothing of it was heard since, so datagrams are lost on the way there, on the way here, or both; check "
    "the path and the firewalls",
}


def lossy_pair_in_words(fields: Mapping[str, str | int | float]) -> str:
    """Which member, what was seen, through whom it is reached, which way datagrams are lost, and what to check."""
    member, through = whom(fields), fields.get("through")
    seen = {
        "unanswered": f"{member} does not answer pings from here, and is alive: {through} could reach it",
        "accused": f"{member} pings this sidecar and does not get the answers",
        "unheard": f"pings of {member}, which is alive, do not arrive here",
    }
    return f"{seen[str(fields['sign'])]}; {_WAYS[str(fields['way'])]}"
