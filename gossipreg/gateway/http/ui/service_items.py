"""The names of services as items of a board, each with its instances by health."""

from gossipreg.core.table.catalog import Catalog
from gossipreg.gateway.http.ui.board import BoardItem
from gossipreg.gateway.http.ui.page_events import json_line

FIGURES = ("instances", "passing", "warning", "critical", "maintenance", "stale")


class ServiceItems:
    """Reads the items. A key is a folded name."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def keys(self) -> list[str]:
        return self._catalog.folded_names()

    def read(self, key: str, before: BoardItem | None) -> BoardItem | None:
        index = self._catalog.index(key)
        if before is not None and before.shown == index:
            return before
        summary = self._catalog.summary(key)
        if summary is None:
            return None
        figures = tuple(getattr(summary, name) for name in FIGURES)
        shape = {"key": key, "name": summary.name, **dict(zip(FIGURES, figures, strict=True)), "tags": summary.tags}
        return BoardItem(index, json_line(shape), figures)
