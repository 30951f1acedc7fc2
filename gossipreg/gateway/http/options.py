"""The options of a read that choose among the objects it finds."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from gossipreg.gateway.http.filter import filtered_untrusted


class Options(NamedTuple):
    """Hashable: reads with equal options have the same answer."""

    filter: str = ""
    """A filter expression; empty: none."""
    kind: str = ""
    """What the expression chooses from: see `kinds.py`."""
    tags: tuple[str, ...] = ()
    """An instance must have all of them."""
    passing: bool = False
    """Only instances whose health is passing."""
    meta: tuple[tuple[str, str], ...] = ()
    """The labels that a node must have, by key."""

    def filtered(self, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The objects that the filter admits. Raises HttpError, 400."""
        return filtered_untrusted(found, self.filter, self.kind)


NO_OPTIONS = Options()
