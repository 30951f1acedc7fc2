"""Deliveries on their way to members: payloads are found, and many deliveries go in one message.

Owns: what was chosen in the current input, and which payloads are being read. Never knows: who is chosen, or what
follows from an answer. A delivery that was given up while its payload was read is not sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from gossipreg.events.effects import ReadPayloads, SendEventMessage
from gossipreg.events.entries import MAX_EVENTS
from gossipreg.events.messages import MAX_BATCH_BYTES, Deliveries, Delivery
from gossipreg.events.payload_cache import PayloadCache
from gossipreg.events.windows import MemberWindows, Unanswered
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import NodeId

READ_BYTES = 768 * 1024
"""Of the payloads of one read, unless a single one is larger: a journal reads at most 1 MiB at a time."""
_DELIVERY_BYTES = 32
"""What a delivery takes beside its group and its event."""


class DeliverySender:
    def __init__(
        self,
        journal: JournalId,
        ballot: Ballot,
        cache: PayloadCache,
        windows: MemberWindows,
        numbers: Iterator[int],
    ) -> None:
        self._journal = journal
        self._ballot = ballot
        self._cache = cache
        self._windows = windows
        self._numbers = numbers
        self._chosen: list[Unanswered] = []
        self._messages: dict[NodeId, list[Delivery]] = {}
        self._reads: dict[int, dict[int, list[Unanswered]]] = {}
        """By the number of the read, and the index of the event."""

    def send(self, delivery: Unanswered) -> None:
        self._chosen.append(delivery)

    def broadcast(self, node: NodeId, index: int, payload: bytes) -> None:
        self._messages.setdefault(node, []).append(Delivery("", index, 1, payload))

    def payloads(self, number: int, values: Sequence[bytes | None]) -> list[Unanswered]:
        """What was read, in the order in which it was asked for. Returns the deliveries whose payload is not there."""
        missing: list[Unanswered] = []
        found = iter(values)
        for wanted in self._reads.pop(number, {}).values():
            value = next(found, None)
            for delivery in wanted:
                if not self._windows.is_current(delivery):
                    continue
                if value is None:
                    missing.append(delivery)
                else:
                    self._put(delivery, value)
        return missing

    def _put(self, delivery: Unanswered, payload: bytes) -> None:
        delivery.sent = True
        self._messages.setdefault(delivery.node, []).append(
            Delivery(delivery.group_name, delivery.index, delivery.attempt, payload)
        )

    # -- the end of an input -----------------------------------------------------------------------------------------

    def flush(self) -> Iterator[SendEventMessage | ReadPayloads]:
        reads: dict[int, list[Unanswered]] = {}
        for delivery in self._chosen:
            if not self._windows.is_current(delivery):
                continue
            payload = self._cache.get(delivery.index)
            if payload is None:
                reads.setdefault(delivery.index, []).append(delivery)
            else:
                self._put(delivery, payload)
        self._chosen.clear()
        messages, self._messages = self._messages, {}
        return chain(self._sends(messages), self._ask(reads))

    def _sends(self, messages: Mapping[NodeId, list[Delivery]]) -> Iterator[SendEventMessage]:
        for node, deliveries in messages.items():
            for batch in _batches(deliveries):
                message = Deliveries(journal=self._journal, ballot=self._ballot, deliveries=tuple(batch))
                yield SendEventMessage(node, message)

    def _ask(self, wanted: dict[int, list[Unanswered]]) -> Iterator[ReadPayloads]:
        read: dict[int, list[Unanswered]] = {}
        size = 0
        for index, deliveries in wanted.items():
            size_bytes = deliveries[0].size_bytes
            if read and (size + size_bytes > READ_BYTES or len(read) >= MAX_EVENTS):
                yield self._begin_read(read)
                read, size = {}, 0
            read[index] = deliveries
            size += size_bytes
        if read:
            yield self._begin_read(read)

    def _begin_read(self, read: dict[int, list[Unanswered]]) -> ReadPayloads:
        number = next(self._numbers)
        self._reads[number] = read
        return ReadPayloads(self._journal, number, tuple(read))


def _batches(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    batch: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        size_bytes = len(delivery.event) + len(delivery.group) + _DELIVERY_BYTES
        if batch and (size + size_bytes > MAX_BATCH_BYTES or len(batch) >= MAX_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(delivery)
        size += size_bytes
    if batch:
        yield batch
