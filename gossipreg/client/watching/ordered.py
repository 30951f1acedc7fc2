"""Instances in the order of (node, id), so that a change costs little even if there are ten thousand."""

from bisect import bisect_left
from collections.abc import Iterable

from gossipreg.client.instance import Instance, InstanceKey


class OrderedInstances:
    __slots__ = ("_instances", "_keys")

    def __init__(self, instances: Iterable[Instance] = ()) -> None:
        by_key = {one.key: one for one in instances}
        self._keys: list[InstanceKey] = sorted(by_key)
        self._instances: list[Instance] = [by_key[key] for key in self._keys]

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: InstanceKey) -> Instance | None:
        at = bisect_left(self._keys, key)
        return self._instances[at] if at < len(self._keys) and self._keys[at] == key else None

    def put(self, instance: Instance) -> None:
        """Add it, or put it in the place of the one with its key."""
        key = instance.key
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            self._instances[at] = instance
        else:
            self._keys.insert(at, key)
            self._instances.insert(at, instance)

    def pop(self, key: InstanceKey) -> Instance | None:
        """Take it out; None: it is not here."""
        at = bisect_left(self._keys, key)
        if at == len(self._keys) or self._keys[at] != key:
            return None
        del self._keys[at]
        return self._instances.pop(at)

    def all(self) -> tuple[Instance, ...]:
        return tuple(self._instances)
