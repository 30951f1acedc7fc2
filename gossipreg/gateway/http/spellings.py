"""Names of services as they are registered, by what asks for them: Consul tells upper from lower case in a list of
names, and nowhere else.
"""

from collections.abc import Iterable

from gossipreg.core.catalog import Catalog
from gossipreg.model import Change, ChangeKind


class Spellings:
    def __init__(self, catalog: Catalog) -> None:
        self._names: dict[str, dict[str, int]] = {}
        """By the folded name, then as registered: how many instances."""
        for summary in catalog.services():
            self._count(summary.name, summary.instances)

    def of(self, name: str) -> tuple[str, ...]:
        return tuple(sorted(self._names.get(folded(name), ())))

    def changed(self, changes: Iterable[Change]) -> None:
        """Take in what the catalog says."""
        for change in changes:
            if change.kind is not ChangeKind.UPDATED:
                self._count(change.instance.service.name, 1 if change.kind is ChangeKind.ADDED else -1)

    def _count(self, name: str, more: int) -> None:
        names = self._names.setdefault(folded(name), {})
        names[name] = names.get(name, 0) + more
        if names[name] <= 0:
            del names[name]
            if not names:
                del self._names[folded(name)]


def folded(name: str) -> str:
    return name.lower()
