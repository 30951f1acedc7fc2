"""A stream in which requests and responses hold only what is otherwise than before: delta. Envoy speaks it if its
bootstrap says so.
"""

from collections.abc import Iterable
from typing import Any

from gossipreg.gateway.xds.model import WILDCARD, Resource, ResourceType
from gossipreg.gateway.xds.streams.ads_stream import NAMES, AdsStream
from gossipreg.gateway.xds.streams.discovery_requests import BadRequest, check_names, read_delta_untrusted
from gossipreg.gateway.xds.streams.grouping import grouped
from gossipreg.gateway.xds.streams.subscription import NONE, WITH_WILDCARD, TypeSubscription


class DeltaStream(AdsStream):
    form = "delta"
    in_full: frozenset[ResourceType] = frozenset()

    def _receive_untrusted(self, message: bytes) -> None:
        request = read_delta_untrusted(message)
        first = request.type_url not in self.subscriptions
        subscription = self._subscription(request)
        if subscription is None:
            return
        self._hear(subscription, request)
        dropped = list(request.resource_names_unsubscribe)
        added = list(request.resource_names_subscribe)
        has_wildcard = subscription.type in WITH_WILDCARD
        if has_wildcard and (WILDCARD in added or (first and not added)):
            subscription.wildcard = subscription.look = True
        self._unsubscribe(subscription, [name for name in dropped if not (has_wildcard and name == WILDCARD)])
        if has_wildcard and WILDCARD in dropped and WILDCARD not in added:
            self._drop_wildcard(subscription)
        self._take_in(subscription, [name for name in added if not (has_wildcard and name == WILDCARD)])
        if first:
            subscription.answer = True
            self._believe(subscription, request)

    def _unsubscribe(self, subscription: TypeSubscription, names: list[str]) -> None:
        """A client with the wildcard is told whether that has the name."""
        if subscription.wildcard:
            subscription.send_again(name for name in names if name in subscription.wild)
            known = subscription.removed.union(name for name in names if name in subscription.sent)
            subscription.removed = known - subscription.wild
        self._drop(subscription, names)

    def _believe(self, subscription: TypeSubscription, request: Any) -> None:
        """What the client says that it has need not be sent, but for endpoints: a cluster that was changed just before
        the connection was lost waits for them. Raises BadRequest."""
        had = dict(request.initial_resource_versions)
        if len(had) > NAMES:
            raise BadRequest("xds_too_many_names", f"a stream may have {NAMES} names: {len(had)} are too many")
        check_names([*had, *had.values()])
        if subscription.type is ResourceType.ENDPOINTS:
            return
        believed = {name: had[name] for name in had if subscription.wildcard or name in subscription.names}
        subscription.sent.update(believed)
        subscription.again -= believed.keys()

    def _looked_at_wildcard(self, subscription: TypeSubscription, gone: Iterable[str]) -> None:
        """The client is to drop them, and what it has of another time and is not in the wildcard now."""
        of_another_time = (name for name in subscription.sent if not subscription.covers(name))
        subscription.removed = subscription.removed.union(gone, of_another_time)

    def _responses(self, subscription: TypeSubscription, changed: list[Resource]) -> list[bytes]:
        subscription.looked_at(list(subscription.due))
        removed = sorted(subscription.removed)
        subscription.removed = NONE
        for name in removed:
            subscription.sent.pop(name, None)
        groups = list(grouped(changed, subscription.alone))
        subscription.alone = NONE
        if not groups and (removed or (subscription.answer and not subscription.unknown)):
            groups = [[]]
        messages = []
        for group in groups:
            shared = self._context.responses.delta(subscription.type, tuple(group), removed)
            messages.append(self._send(subscription, shared, group))
            removed = []
        return messages
