"""What the sidecar answers to a publish."""

from dataclasses import dataclass
from typing import Any

from gossipreg.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Published:
    """An event that is durable."""

    id: str
    source: str
    copies: int
    """The disks that hold it now."""
    takeover: bool
    """Whether its groups get it even if the disk of this host is lost now."""
    duplicate: bool
    """Whether it was published before, with the same id and content. It counts once."""
    groups: int
    """How many groups get it. 0: no subscription is known that means it."""

    @classmethod
    def read(cls, result: Any) -> "Published":
        """From the answer of a sidecar. Raises Unreachable for what is none."""
        match result:
            case {
                "id": str(id), "source": str(source), "copies": int(copies), "takeover": bool(takeover),
                "duplicate": bool(duplicate), "groups": int(groups),
            }:  # fmt: skip
                return cls(id, source, copies, takeover, duplicate, groups)
        raise Unreachable(f"the program on the socket is not a sidecar: it answered a publish with {result!r:.200}")
