"""Whether every member opens the key that this one seals with: the condition for the next step of a key change.

Each member announces the ids of the keys that it opens. A living member that lacks ours cannot read what we send; it
still learns of our changes through others, until they change keys too.
"""

from collections.abc import Iterable

from gossipreg.model import MemberInfo, NodeId
from gossipreg.wire.shapes import Shape

NAMED_MAX = 5
"""Members that the message names; `gossipreg members` shows the keys of all."""


class KeyAgreement:
    def __init__(self) -> None:
        self._since: float | None = None

    def troubles(self, own_id: NodeId, members: Iterable[MemberInfo], now: float) -> list[Shape]:
        """For `info`: one trouble where a living member lacks the key that we seal with."""
        living = [member for member in members if member.state in ("alive", "suspect")]
        own = next((member for member in living if member.id == own_id), None)
        lacking = (
            [] if own is None or not own.keys else [m.name for m in living if m.keys and own.keys[0] not in m.keys]
        )
        if not lacking or own is None or not own.keys:
            self._since = None
            return []
        self._since = now if self._since is None else self._since
        named = ", ".join(lacking[:NAMED_MAX]) + (f" and {len(lacking) - NAMED_MAX} more" * (len(lacking) > NAMED_MAX))
        message = (
            f"{named} cannot open key {own.keys[0].hex()}, with which this sidecar seals: add it to the key file "
            "there, and reload"
        )
        return [{"message": message, "since_s": round(now - self._since, 3)}]
