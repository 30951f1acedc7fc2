"""The changes of the answers in the last three minutes, for `apps/delta`.

Eureka's servers keep changes for three minutes too, and a client asks every 30 s. eureka-js-client takes a delta as it
is, so a delta has to name the instances that are gone; py-eureka-client and Java's compare the hash code and fetch
everything if it differs. A sidecar that has followed the changes for less than three minutes cannot know all instances
that are gone: its delta holds all present instances, and the changes that it knows.
"""

from collections.abc import Collection, Iterable

from gossipreg.gateway.http.eureka.applications import Action
from gossipreg.model import CatalogInstance, Change, ChangeKind, Health, NodeId

KEPT_S = 180.0
KEPT_MAX = 16_384
"""Changes that are kept. When there are more, all are dropped, and a delta holds all instances for three minutes."""

_Key = tuple[NodeId, str, str]


class Recent:
    def __init__(self, instances: Iterable[CatalogInstance], now: float, *, version: int) -> None:
        """`version` is the first number of the registry's states; it grows with each change."""
        self.version = version
        self._passing = {_key(one): one for one in instances if one.health is Health.PASSING}
        self._changes: dict[_Key, tuple[float, str, CatalogInstance]] = {}
        """The last change of each instance, oldest first."""
        self._complete_at = now + KEPT_S

    def changed(self, changes: Iterable[Change], now: float) -> None:
        for change in changes:
            self._take(change, now)
        self._expire(now)

    def _take(self, change: Change, now: float) -> None:
        key = _key(change.instance)
        answered = change.kind is not ChangeKind.REMOVED and change.instance.health is Health.PASSING
        before = self._passing.pop(key, None)
        if answered:
            self._passing[key] = change.instance
        elif before is None:
            return
        self.version += 1
        action = "DELETED" if not answered else "ADDED" if before is None else "MODIFIED"
        self._changes.pop(key, None)
        self._changes[key] = now, action, change.instance if answered or before is None else before
        if len(self._changes) > KEPT_MAX:
            self._changes.clear()
            self._complete_at = now + KEPT_S

    def delta(self, now: float) -> list[Action]:
        """The changes for a client that has an earlier state."""
        self._expire(now)
        actions = {key: (action, instance) for key, (_, action, instance) in self._changes.items()}
        if now < self._complete_at:
            actions = {key: ("ADDED", instance) for key, instance in self._passing.items()} | actions
        return list(actions.values())

    @property
    def passing(self) -> Collection[CatalogInstance]:
        return self._passing.values()

    def _expire(self, now: float) -> None:
        while self._changes:
            key = next(iter(self._changes))
            if self._changes[key][0] > now - KEPT_S:
                break
            del self._changes[key]


def _key(instance: CatalogInstance) -> _Key:
    return instance.node, instance.service.name, instance.service.id
