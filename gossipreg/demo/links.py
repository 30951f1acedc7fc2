"""Which sidecars are cut off from each other. Never knows how bytes are forwarded."""

from collections.abc import Iterable

import trio


class Links:
    """The link between each two sidecars, by their names: whole or cut, always in both directions."""

    def __init__(self) -> None:
        self._cut: set[frozenset[str]] = set()
        self._healed = trio.Event()

    @property
    def cut_pairs(self) -> list[tuple[str, str]]:
        """In the order of the names."""
        return sorted((min(pair), max(pair)) for pair in self._cut)

    def is_cut(self, one: str, other: str) -> bool:
        return frozenset((one, other)) in self._cut

    def side_of(self, name: str, names: Iterable[str]) -> set[str]:
        """Those of `names` that this sidecar reaches, by way of each other too, and itself."""
        side, unseen = {name}, {*names} - {name}
        while found := {other for other in unseen if any(not self.is_cut(one, other) for one in side)}:
            side |= found
            unseen -= found
        return side

    def cut(self, one: str, other: str) -> None:
        self._cut.add(frozenset((one, other)))

    def heal(self) -> None:
        """Mend all links."""
        self._cut.clear()
        self._healed.set()
        self._healed = trio.Event()

    async def wait_whole(self, one: str, other: str) -> None:
        """Wait until this link is not cut."""
        while self.is_cut(one, other):
            await self._healed.wait()
