"""What the gateways may ask of the events (`sidecar_api.EventsApi`). They are loaded when they are first asked for."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.events.cloud_event import CloudEvent
    from gossipreg.events.effects import PublishSettled


class GatewayEvents:
    def __init__(
        self, wanted: "Callable[[], Awaitable[LocalEvents]]", dapr_subscriptions: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self._wanted = wanted
        self.dapr_subscriptions = dapr_subscriptions

    async def publish(self, event: "CloudEvent") -> "PublishSettled":
        events = await self._wanted()
        from gossipreg.daemon.events.event_params import AskedPublish

        return await events.publish(AskedPublish(event, events.tuning.publish_s, 0))
