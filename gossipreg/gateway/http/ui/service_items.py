"""The names of services as items of a board, each with its instances by health, and those of dead members.

A service whose instances are all on dead members stays on the board with none: else it would vanish from the page in
the moment in which people look for it.
"""

from collections.abc import Callable

from gossipreg.core.dead_services import dead_shapes
from gossipreg.core.view import View
from gossipreg.gateway.http.ui.board import BoardItem
from gossipreg.gateway.http.ui.page_events import json_line
from gossipreg.sidecar_api import Shape

FIGURES = ("instances", "passing", "warning", "critical", "maintenance", "stale", "dead")
"""Instances in the registry, those of each health, those known last; and beside them those of dead members."""
DOWN = "down"
"""The group of the services that no lookup finds, though nobody took all instances out on purpose."""
_AT = {name: at for at, name in enumerate(FIGURES)}


class ServiceItems:
    """Reads the items. A key is a folded name."""

    def __init__(self, view: View, now: Callable[[], float]) -> None:
        self._view = view
        self._now = now

    def keys(self) -> list[str]:
        catalog = self._view.catalog
        return sorted({*catalog.folded_names(), *catalog.gone.names()})

    def may_be_forgotten(self, items: dict[str, BoardItem]) -> list[str]:
        """The keys of those that nobody tells of: that a dead member is forgotten changes no answer."""
        return [key for key, item in items.items() if item.figures[_AT["dead"]]]

    def read(self, key: str, before: BoardItem | None) -> BoardItem | None:
        catalog = self._view.catalog
        dead = list(dead_shapes(self._view, key, (), None, self._now())) if key in catalog.gone.names() else []
        shown = catalog.index(key), len(dead)
        if before is not None and before.shown == shown:
            return before
        summary = catalog.summary(key)
        if summary is None and not dead:
            return None
        if summary is None:
            counts: Shape = {**dict.fromkeys(FIGURES, 0), "dead": len(dead)}
            about = {"name": dead[0]["service"], "tags": sorted({tag for one in dead for tag in one["tags"]})}
        else:
            counts = {name: getattr(summary, name) for name in FIGURES if name != "dead"} | {"dead": len(dead)}
            about = {"name": summary.name, "tags": summary.tags}
        text = json_line({"key": key, **about, **counts})
        return BoardItem(shown, text, tuple(counts[name] for name in FIGURES), group=_group(counts))


def _group(counts: Shape) -> str:
    broken = counts["warning"] or counts["critical"] or counts["dead"]
    return DOWN if broken and not counts["passing"] else ""
