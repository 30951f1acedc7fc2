"""One call of the aggregated discovery service, as far as state of the world and delta are the same.

Owns what the client is subscribed to, and the order of what it gets. Never knows a socket or a clock: messages come in,
`take` makes those that go out. Since they are made only then, a client that reads slowly gets the newest state, once,
and one that never answers costs no more memory than another.

A response is sent when something changed, whether or not the client has answered the one before: Envoy answers one of
clusters only when all of them are warm, which may take seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gossipreg.callers import Caller
from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.gateway.xds.model import ClientKind, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.streams.client_node import UNNAMED, ClientNode, read_node_untrusted
from gossipreg.gateway.xds.streams.discovery_requests import SERVED, TEXT_KEPT, BadRequest, check_names, printable
from gossipreg.gateway.xds.streams.discovery_responses import SentResponse, SharedResponse
from gossipreg.gateway.xds.streams.stream_context import StreamContext
from gossipreg.gateway.xds.streams.subscription import NONE, TypeSubscription

NAMES = 8192
"""Names of one stream that were asked for. Envoy asks by name for the endpoints of each cluster, and for routes."""
REQUESTS = 10_000
REQUESTS_A_SECOND = 100.0
"""Requests that answer no response."""
REQUESTS_A_NAME = 4.0
"""More of them for each name beyond the most that the stream ever had: a Node program that opened 60 channels at once
sent 338 of them, each with the names of all channels so far, three types of names for each."""
ROUTING = (ResourceType.LISTENER, ResourceType.ROUTE)


class AdsStream:
    """What is abstract stands in `sotw_stream.py` and `delta_stream.py`. See `xds_streams.XdsStream`."""

    form: str
    in_full: frozenset[ResourceType]
    """A response must hold all resources of these types."""

    def __init__(
        self, context: StreamContext, peer: str, wake: Callable[[], None], caller: Caller | None = None
    ) -> None:
        self.number = context.next_number()
        """Counted from 1: streams are shown in this order."""
        self.peer = peer
        self.since = context.now()
        self.node: ClientNode = UNNAMED
        self._caller = caller
        self.audience = UNNAMED.audience._replace(caller=caller)
        self.subscriptions: dict[ResourceType, TypeSubscription] = {}
        self.unserved: set[str] = set()
        """Types that were asked for and are not served, the first few."""
        self._context = context
        self._wake_up = wake
        self._woken = False
        self._gave_way = False
        self._begun = False
        self._nonces = 0
        self._most_names = 0
        self._budget = TokenBucket(REQUESTS, REQUESTS_A_SECOND, self.since)
        context.streams[self] = None

    # -- in ------------------------------------------------------------------------------------------------------------

    def receive_untrusted(self, message: bytes) -> None:
        """Raises BadRequest."""
        self._end_if_it_gave_way()
        try:
            self._receive_untrusted(message)
        except BadRequest as error:
            self._context.count(f"drop.{error.reason}")
            raise
        if self in self._context.refusing and not self.refuses:
            del self._context.refusing[self]
        self._wake_if_due()

    def _receive_untrusted(self, message: bytes) -> None:
        raise NotImplementedError

    def _subscription(self, request: Any) -> TypeSubscription | None:
        """The one that a request is about, new if there was none; None: its type is not served."""
        if not self._begun:
            self._begun = True
            if request.HasField("node"):
                self.node = read_node_untrusted(request.node)
                self.audience = self.node.audience._replace(caller=self._caller)
        type = SERVED.get(request.type_url)
        if type is None:
            self._spend()
            self._refuse_type(request.type_url)
            return None
        found = self.subscriptions.get(type)
        if found is None:
            found = self.subscriptions[type] = TypeSubscription(type)
        return found

    def _refuse_type(self, url: str) -> None:
        """Nothing is answered: a client goes on without, and loses nothing that is served."""
        self._context.count("xds.unserved_types")
        if len(self.unserved) < 8:
            self.unserved.add(printable(url, 128))

    def _hear(self, subscription: TypeSubscription, request: Any) -> None:
        """What a request says to the response with its nonce."""
        nonce = request.response_nonce
        if not nonce or not subscription.nonce:  # a new stream: it may name a nonce of the last one
            self._spend()
            return
        response = subscription.answered(nonce)
        if response is None:
            self._spend()
            self._check_was_sent(nonce)
        elif request.HasField("error_detail"):
            self._refused(subscription, response, printable(request.error_detail.message, TEXT_KEPT))
        else:
            subscription.accepted(response)

    def _check_was_sent(self, nonce: str) -> None:
        if len(nonce) < 20 and nonce.isascii() and nonce.isdecimal() and 0 < int(nonce) <= self._nonces:
            self._context.count("xds.late_acks")
            return
        raise BadRequest(
            "xds_unknown_nonce",
            f"nonce {nonce[:40]!r} was never sent on this stream: answer with the nonce of a response",
        )

    def _refused(self, subscription: TypeSubscription, response: SentResponse, text: str) -> None:
        subscription.refuse(response, text)
        names = response.names
        if self.node.kind is ClientKind.ENVOY:
            self._envoy_took_nothing(subscription, names)
        what = f"{subscription.type.name.lower()} {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        self._context.count("xds.nacks")
        self._context.refuses(self)
        self._context.nacks.nacked(self.title, what, response.version, text)

    def _envoy_took_nothing(self, subscription: TypeSubscription, names: Sequence[str]) -> None:
        """Of a response with a bad cluster or assignment in it; a gRPC client takes all but that."""
        if subscription.type not in self.in_full:
            if len(names) > 1:
                under_way = {name for later in subscription.unacked.values() for name in later.names}
                subscription.send_alone(name for name in names if name not in under_way)
        elif subscription.type is ResourceType.CLUSTER:
            subscription.untaken = subscription.untaken.union(names)
            if subscription.unacked:  # what it refused comes in there too
                self._warm(subscription)

    @property
    def title(self) -> str:
        """The client, for people."""
        return f"{self.node.id or 'without an id'} ({self.node.kind.value}, {self.peer})"

    def _spend(self) -> None:
        if not self._budget.take(self._context.now()):
            raise BadRequest(
                "xds_too_many_requests",
                f"more than {REQUESTS_A_SECOND:.0f} requests a second that answer no response: keep the subscriptions",
            )

    def _take_in(self, subscription: TypeSubscription, names: Iterable[str]) -> None:
        """Raises BadRequest if these are too many or too long."""
        added = list(names)
        check_names(added)
        total = sum(len(one.names) for one in self.subscriptions.values()) + len(added)
        if total > NAMES:
            raise BadRequest("xds_too_many_names", f"a stream may ask for {NAMES} names: use more streams")
        self._context.shares.make_room_untrusted(self, subscription.type, added)
        self._context.index.add(self, subscription.type, subscription.take_in(added))
        if total > self._most_names:
            self._budget.spend(-REQUESTS_A_NAME * (total - self._most_names), self._context.now())
            self._most_names = total

    def _drop(self, subscription: TypeSubscription, names: Iterable[str]) -> None:
        self._context.index.remove(self, subscription.type, subscription.drop(names))

    def _drop_wildcard(self, subscription: TypeSubscription) -> None:
        self._context.index.remove(self, subscription.type, subscription.drop_wildcard())

    # -- changes -------------------------------------------------------------------------------------------------------

    def changed(self, key: ResourceKey) -> None:
        """The resource may be otherwise now."""
        self.subscriptions[key.type].due.add(key.name)
        self._wake()

    def refresh(self) -> None:
        """Ask the source again for what it did not know, and for the names of the wildcard."""
        for one in self.subscriptions.values():
            one.due |= one.unknown
            one.unknown = NONE
            one.look = one.look or one.wildcard
        self._wake_if_due()

    def _wake_if_due(self) -> None:
        for one in self.subscriptions.values():
            if one.is_due:
                self._wake()
                return

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake_up()

    # -- out -----------------------------------------------------------------------------------------------------------

    def take(self) -> list[bytes]:
        """Clusters before their endpoints and before the routes to them. Raises BadRequest."""
        self._woken = False
        self._end_if_it_gave_way()
        if not self._context.source.known:
            self._context.waiting[self] = None
            return []
        messages: list[bytes] = []
        for type in SERVED.values():
            subscription = self.subscriptions.get(type)
            if subscription is not None and subscription.is_due:
                if type in ROUTING and self._clusters_warm_up():
                    break
                messages += self._answers(subscription)
        return messages

    def _clusters_warm_up(self) -> bool:
        """Envoy answers a response of clusters when all of them are warm. A route to one that is not fails calls, so
        routes wait; gRPC clients wait for the cluster by themselves."""
        clusters = self.subscriptions.get(ResourceType.CLUSTER)
        return self.node.kind is ClientKind.ENVOY and clusters is not None and bool(clusters.unacked)

    def _answers(self, subscription: TypeSubscription) -> list[bytes]:
        if subscription.wildcard and not self._look_at_wildcard(subscription):
            return []
        changed = self._changed(subscription)
        messages = self._responses(subscription, changed)
        if messages and subscription.type is ResourceType.CLUSTER and self.node.kind is ClientKind.ENVOY:
            subscription.untaken = subscription.untaken.union(one.name for one in changed)
            self._warm(subscription)
        return messages

    def _look_at_wildcard(self, subscription: TypeSubscription) -> bool:
        """Returns whether its names are known."""
        self._context.waiting[self] = None
        if subscription.look:
            names = self._context.source.wildcard(subscription.type, self.audience)
            if names is None:
                return False
            subscription.look = False
            self._context.index.add(self, subscription.type, subscription.take_in_wild(names), by_name=False)
            gone = subscription.let_go(names)
            self._context.index.remove(self, subscription.type, gone)
            self._looked_at_wildcard(subscription, gone)
        return True

    def _looked_at_wildcard(self, subscription: TypeSubscription, gone: Iterable[str]) -> None:
        """Its names have just been asked for; `gone` are those that the client is to drop."""

    def _changed(self, subscription: TypeSubscription) -> list[Resource]:
        """The due resources that the client does not have, by name."""
        changed = []
        for name in sorted(subscription.due):
            resource = self._resource(subscription, name)
            if resource is not None and subscription.lacks(resource):
                changed.append(resource)
        return changed

    def _resource(self, subscription: TypeSubscription, name: str) -> Resource | None:
        found = self._context.source.resource(ResourceKey(subscription.type, name), self.audience)
        if found is None:
            subscription.unknown |= {name}
            self._context.waiting[self] = None
        elif subscription.unknown:
            subscription.unknown -= {name}
        return found

    def _responses(self, subscription: TypeSubscription, changed: list[Resource]) -> list[bytes]:
        raise NotImplementedError

    def _warm(self, clusters: TypeSubscription) -> None:
        """Envoy puts a changed cluster to use when its endpoints come again, and does not ask for them in delta."""
        endpoints = self.subscriptions.get(ResourceType.ENDPOINTS)
        if endpoints is not None:
            endpoints.send_again(clusters.untaken)
        clusters.untaken = NONE

    def _send(self, subscription: TypeSubscription, shared: SharedResponse, resources: Sequence[Resource]) -> bytes:
        self._nonces += 1
        nonce = str(self._nonces)
        subscription.hand_out(nonce, shared.sent, resources)
        return shared.with_nonce(nonce)

    def close(self) -> None:
        """The call has ended."""
        self._context.streams.pop(self, None)
        self._context.waiting.pop(self, None)
        self._context.refusing.pop(self, None)
        self._let_go()

    def give_way(self) -> None:
        """End, since others need its names; they have them at once, and the client is told when it reads."""
        self._context.count("drop.xds_names_given_way")
        self._gave_way = True
        self._let_go()
        self._wake()

    def _let_go(self) -> None:
        for one in self.subscriptions.values():
            self._context.index.remove(self, one.type, one.covered())
        self.subscriptions = {}

    def _end_if_it_gave_way(self) -> None:
        """Raises BadRequest."""
        if self._gave_way:
            text = "this client asked for most names, and others needed some: ask for fewer"
            raise BadRequest("xds_names_given_way", text)

    def withheld(self) -> list[str]:
        """Why the client does not get what it asks for, each reason once."""
        source = self._context.source
        keys = [ResourceKey(one.type, name) for one in self.subscriptions.values() for name in sorted(one.unknown)]
        keys += [ResourceKey(one.type, "") for one in self.subscriptions.values() if one.wildcard and one.look]
        return list(dict.fromkeys(why for key in keys if (why := source.why_not(key, self.audience))))

    @property
    def refuses(self) -> bool:
        """Whether the client refuses something now."""
        return any(one.refused for one in self.subscriptions.values())
