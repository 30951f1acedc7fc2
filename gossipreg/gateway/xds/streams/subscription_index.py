"""Which streams are subscribed to which names: a change wakes these alone."""

from collections.abc import Callable, Iterable
from typing import Protocol

from gossipreg.gateway.xds.model import ResourceKey, ResourceType


class Subscriber(Protocol):
    def changed(self, key: ResourceKey) -> None:
        """The resource may be otherwise now."""


class SubscriptionIndex:
    def __init__(self, forget: Callable[[ResourceKey], None]) -> None:
        """`forget` is called with a name that nobody is subscribed to any more."""
        self._forget = forget
        self._subscribers: dict[ResourceKey, dict[Subscriber, None]] = {}
        self.characters = 0
        """Of all these names."""

    def __len__(self) -> int:
        """How many names somebody is subscribed to."""
        return len(self._subscribers)

    def add(self, subscriber: Subscriber, type: ResourceType, names: Iterable[str]) -> None:
        for name in names:
            key = ResourceKey(type, name)
            if key not in self._subscribers:
                self._subscribers[key] = {}
                self.characters += len(name)
            self._subscribers[key][subscriber] = None

    def remove(self, subscriber: Subscriber, type: ResourceType, names: Iterable[str]) -> None:
        for name in names:
            key = ResourceKey(type, name)
            left = self._subscribers.get(key, {})
            left.pop(subscriber, None)
            if not left and self._subscribers.pop(key, None) is not None:
                self.characters -= len(name)
                self._forget(key)

    def changed(self, keys: Iterable[ResourceKey]) -> None:
        for key in keys:
            for subscriber in self._subscribers.get(key, ()):
                subscriber.changed(key)
