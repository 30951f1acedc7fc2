"""The services that are there, and those that Envoy gets.

Owns: how many instances each service has, at a cost that depends only on the change; and the names that were there and
are gone. Envoy keeps getting those, with no endpoints, so that a call to one of them fails as one to a service that has
no passing instance, and not as one to a service that never was.
"""

from collections import Counter
from collections.abc import Iterable

from gossipreg.model import CatalogInstance, Change, ChangeKind, fold_name

GONE_MAX = 1024
"""Names without instances that are still shown. If there are more, the one that went first is shown no more: in a
cluster whose names are made by a machine their number would have no bound."""


class ShownNames:
    def __init__(self, instances: Iterable[CatalogInstance]) -> None:
        self._instances = Counter(fold_name(one.service.name) for one in instances)
        self._gone: dict[str, None] = {}

    def there(self, service: str) -> bool:
        """Whether it has an instance, passing or not. `service` is folded."""
        return service in self._instances

    def shown(self) -> tuple[str, ...]:
        """The names that Envoy gets, sorted."""
        return tuple(sorted([*self._instances, *self._gone]))

    def follow(self, changes: Iterable[Change]) -> tuple[dict[str, None], bool]:
        """The names that these changes concern, and whether other names are shown than before."""
        concerned: dict[str, None] = {}
        shown_anew = False
        for change in changes:
            name = fold_name(change.instance.service.name)
            concerned[name] = None
            if change.kind is ChangeKind.ADDED:
                shown_anew |= self._add(name)
            elif change.kind is ChangeKind.REMOVED:
                shown_anew |= self._remove(name)
        return concerned, shown_anew

    def _add(self, name: str) -> bool:
        new = name not in self._instances and name not in self._gone
        self._gone.pop(name, None)
        self._instances[name] += 1
        return new

    def _remove(self, name: str) -> bool:
        self._instances[name] -= 1
        if self._instances[name] > 0:
            return False
        del self._instances[name]
        self._gone[name] = None
        if len(self._gone) <= GONE_MAX:
            return False
        del self._gone[next(iter(self._gone))]
        return True
