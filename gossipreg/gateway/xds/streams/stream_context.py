"""What all streams share: the source, the index of subscriptions, shared responses, counters, the log."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipreg.gateway.xds.model import ResourceKey, ResourceSource
from gossipreg.gateway.xds.streams.discovery_responses import SharedResponses
from gossipreg.gateway.xds.streams.nack_log import NackLog
from gossipreg.gateway.xds.streams.name_shares import NameShares
from gossipreg.gateway.xds.streams.subscription_index import SubscriptionIndex

if TYPE_CHECKING:
    from gossipreg.gateway.xds.streams.ads_stream import AdsStream


class StreamContext:
    def __init__(
        self,
        source: ResourceSource,
        counts: Counter[str],
        note: Callable[[str], None],
        now: Callable[[], float],
        refused: Callable[[], None],
    ) -> None:
        self.source = source
        self.now = now
        self.index = SubscriptionIndex(source.forget)
        self.responses = SharedResponses()
        self.streams: dict[AdsStream, None] = {}
        """All that are open."""
        self.shares = NameShares(self.index, self.streams)
        self.waiting: dict[AdsStream, None] = {}
        """Those with a wildcard, or for which something was not known."""
        self.refusing: dict[AdsStream, None] = {}
        """Those whose client refuses something now."""
        self.nacks = NackLog(note, now)
        self._refused = refused
        self._counts = counts
        self._numbers = 0
        source.follow(self._changed)

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def refuses(self, stream: "AdsStream") -> None:
        """Its client refuses something."""
        self.refusing[stream] = None
        self._refused()

    def _changed(self, keys: frozenset[ResourceKey]) -> None:
        self.responses.clear()
        if keys:
            self.index.changed(keys)
            return
        waiting, self.waiting = self.waiting, {}
        for stream in waiting:  # each is in it again if it still has a wildcard, or lacks something
            stream.refresh()
