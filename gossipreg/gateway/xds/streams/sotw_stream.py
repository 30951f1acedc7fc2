"""A stream in which each request has all names, and each response of listeners or clusters all resources: state of the
world. gRPC clients speak only this.

A request that was made before the last response came has names that may be old: its answer to that response will have
newer ones. For listeners and clusters they do not count, since a response without a name that the client has asked for
meanwhile would delete it. For endpoints and routes they do: nothing is deleted there, and while an instance changes
every few milliseconds, each request is older than the last response.
"""

from typing import Any

from gossipreg.gateway.xds.model import WILDCARD, Resource
from gossipreg.gateway.xds.streams.ads_stream import AdsStream
from gossipreg.gateway.xds.streams.discovery_requests import read_sotw_untrusted
from gossipreg.gateway.xds.streams.grouping import grouped
from gossipreg.gateway.xds.streams.subscription import IN_FULL, NONE, WITH_WILDCARD, TypeSubscription


class SotwStream(AdsStream):
    form = "sotw"
    in_full = IN_FULL

    def _receive_untrusted(self, message: bytes) -> None:
        request = read_sotw_untrusted(message)
        subscription = self._subscription(request)
        if subscription is None:
            return
        self._hear(subscription, request)
        if subscription.type in IN_FULL and subscription.unacked:
            return
        asked = tuple(request.resource_names)
        if asked != subscription.asked:
            self._ask(subscription, asked)
        elif self._is_asked_anew(subscription, request):
            subscription.send_again(subscription.covered())

    def _is_asked_anew(self, subscription: TypeSubscription, request: Any) -> bool:
        """The client asks with no nonce for names that it asked for before, and no response to them is under way: it
        has lost what it had."""
        return (
            not request.response_nonce
            and subscription.nonce != ""
            and not subscription.unacked
            and not request.HasField("error_detail")
        )

    def _ask(self, subscription: TypeSubscription, asked: tuple[str, ...]) -> None:
        """Be subscribed to these names alone. Raises BadRequest."""
        wanted = set(asked)
        wildcard = False
        if subscription.type in WITH_WILDCARD:
            wildcard = WILDCARD in wanted or (not wanted and not subscription.named)
            wanted.discard(WILDCARD)
        self._drop(subscription, [name for name in subscription.names if name not in wanted])
        self._take_in(subscription, [name for name in wanted if name not in subscription.names])
        if wildcard and not subscription.wildcard:
            subscription.wildcard = subscription.look = subscription.answer = True
        elif not wildcard and subscription.wildcard:
            self._drop_wildcard(subscription)
        subscription.named = subscription.named or bool(asked)
        subscription.asked = asked

    def _responses(self, subscription: TypeSubscription, changed: list[Resource]) -> list[bytes]:
        if subscription.type in self.in_full:
            return self._response_in_full(subscription, changed)
        subscription.looked_at(list(subscription.due))
        groups = list(grouped(changed, subscription.alone))
        subscription.alone = NONE
        return [self._response(subscription, group) for group in groups]

    def _response_in_full(self, subscription: TypeSubscription, changed: list[Resource]) -> list[bytes]:
        """With every resource that is subscribed to: the client drops the others. So there is none while one of them is
        not known."""
        if not changed and not subscription.answer:
            subscription.looked_at(list(subscription.due))
            return []
        resources = [self._resource(subscription, name) for name in sorted(subscription.covered())]
        known = [one for one in resources if one is not None]
        if len(known) < len(resources):
            return []
        subscription.looked_at(list(subscription.due))
        return [self._response(subscription, known)]

    def _response(self, subscription: TypeSubscription, resources: list[Resource]) -> bytes:
        shared = self._context.responses.sotw(subscription.type, tuple(resources))
        return self._send(subscription, shared, resources)
