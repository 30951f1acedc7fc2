"""The publisher's side: each event goes to whoever leads this sidecar's journal, until that answers.

Owns: the events whose publisher waits, their deadlines, and when the leader is asked again. Never knows: how an entry
is made of them (`publish_queue.py`).

An attempt whose answer is lost may have been the one that counted. So the event is sent again with the same id, which
the journal knows for ten minutes, and where no answer comes in time the publisher is told that the outcome is unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipreg.errors import OutcomeUnknown
from gossipreg.events.effects import EventEffect, OpenOwnJournal, PublishSettled, SendEventMessage
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import ForwardPublish, PublishAnswers
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.timers import Timers

MAX_PUBLISHES = 16_384
MAX_PUBLISHES_BYTES = 32 * 1024 * 1024
"""Whose publishers wait, in all; more are refused as `busy`."""
_AGAIN = frozenset({"unavailable", "busy", "not_synced", OutcomeUnknown.code})
"""After these the same event is sent once more, as long as there is time."""


@dataclass(frozen=True, slots=True)
class PublishDeadline:
    ticket: int


@dataclass(frozen=True, slots=True)
class PublishAgain:
    """Send what has no answer again."""


@dataclass(slots=True)
class _Publish:
    event: bytes
    keep_ms: int
    timeout_s: float
    groups: tuple[KnownGroup, ...]
    sent_to: NodeId | None = None
    maybe: bool = False
    """An attempt may have been accepted."""
    code: str = "unavailable"
    text: str = "nobody leads this sidecar's journal"
    """Of the last refusal."""


class Publishing:
    def __init__(
        self,
        tuning: EventsTuning,
        timers: Timers,
        leader: Callable[[JournalId], NodeId | None],
    ) -> None:
        """`leader(journal)` is the member that leads it now, which may be ourselves; None: nobody is known."""
        self._tuning = tuning
        self._timers = timers
        self._leader = leader
        self._journal: JournalId | None = None
        self._waiting: dict[int, _Publish] = {}
        self._waiting_bytes = 0
        self._wait_s = 0.0

    def __len__(self) -> int:
        """Publishes that have no answer yet."""
        return len(self._waiting)

    def publish(
        self, ticket: int, event: bytes, keep_ms: int, timeout_s: float, now: float, *,
        groups: tuple[KnownGroup, ...] = (),
    ) -> list[EventEffect]:  # fmt: skip
        """Publish; PublishSettled with this ticket follows. `groups` are those that mean the event, as they are known
        now."""
        if len(self._waiting) >= MAX_PUBLISHES or self._waiting_bytes + len(event) > MAX_PUBLISHES_BYTES:
            text = f"{len(self._waiting)} events wait to be published: publish again in a moment"
            return [_refused(ticket, "busy", text)]
        one = self._waiting[ticket] = _Publish(event, keep_ms, timeout_s, groups)
        self._waiting_bytes += len(event)
        self._timers.set(PublishDeadline(ticket), now + timeout_s)
        if self._journal is None:
            return [OpenOwnJournal()]
        return self._send(ticket, one, now)

    def opened(self, journal: JournalId, now: float) -> list[EventEffect]:
        """Our journal is open."""
        self._journal = journal
        return self.try_all(now)

    def not_opened(self, code: str, text: str, now: float) -> list[EventEffect]:
        """Our journal cannot be opened now."""
        for one in self._waiting.values():
            one.code, one.text = code, text
        self._later(now)
        return []

    def try_all(self, now: float) -> list[EventEffect]:
        """Send what was not sent, or was refused; the leader may be another one now."""
        if self._journal is None:
            return [OpenOwnJournal()] if self._waiting else []
        effects: list[EventEffect] = []
        for ticket, one in [*self._waiting.items()]:
            if one.sent_to is None:
                effects += self._send(ticket, one, now)
        return effects

    def _send(self, ticket: int, one: _Publish, now: float) -> list[EventEffect]:
        assert self._journal is not None
        leader = self._leader(self._journal)
        if leader is None:
            self._later(now)
            return []
        one.sent_to = leader
        message = ForwardPublish(
            journal=self._journal, number=ticket, event=one.event, keep_ms=one.keep_ms, groups=one.groups
        )
        return [SendEventMessage(leader, message)]

    def _later(self, now: float) -> None:
        if PublishAgain() not in self._timers:
            again = self._tuning.again
            self._wait_s = again.after(self._wait_s) if self._wait_s else again.first_s
            self._timers.set(PublishAgain(), now + self._wait_s)

    # -- answers -----------------------------------------------------------------------------------------------------

    def answered(self, node: NodeId, answer: PublishAnswers, now: float) -> list[EventEffect]:
        one = self._waiting.get(answer.number)
        if one is None or answer.journal != self._journal:
            return []
        if answer.code in _AGAIN:
            if one.sent_to == node:
                one.sent_to = None
            one.maybe = one.maybe or answer.code == OutcomeUnknown.code
            one.code, one.text = answer.code, answer.text
            self._later(now)
            return []
        self._wait_s = 0.0
        self._forget(answer.number)
        return [
            PublishSettled(
                answer.number, answer.code, answer.text, answer.journal, answer.index, answer.copies, answer.takeover,
                answer.duplicate, answer.groups,
            )
        ]  # fmt: skip

    def closed(self, node: NodeId, now: float) -> list[EventEffect]:
        """What was sent to this member may be lost, or its answer."""
        for one in self._waiting.values():
            if one.sent_to == node:
                one.sent_to, one.maybe = None, True
                self._later(now)
        return []

    # -- timers ------------------------------------------------------------------------------------------------------

    def on_again(self, now: float) -> list[EventEffect]:
        """Try once more. Where nobody leads our journal it may be gone with its only disk: then another one is
        opened."""
        effects = self.try_all(now)
        if self._journal is not None and self._waiting and self._leader(self._journal) is None:
            effects.append(OpenOwnJournal())
        return effects

    def on_deadline(self, ticket: int) -> list[EventEffect]:
        """The publisher waits no longer."""
        one = self._waiting.get(ticket)
        if one is None:
            return []
        self._forget(ticket)
        if one.maybe or one.sent_to is not None:
            text = (
                f"no answer within {one.timeout_s:g} s: the event may be published or not; publish it again with the "
                "same id, which counts once"
            )
            return [_refused(ticket, OutcomeUnknown.code, text)]
        return [_refused(ticket, one.code, f"not published within {one.timeout_s:g} s: {one.text}")]

    def abandon(self, ticket: int) -> None:
        """Nobody waits for this one any more."""
        if ticket in self._waiting:
            self._forget(ticket)

    def _forget(self, ticket: int) -> None:
        one = self._waiting.pop(ticket)
        self._waiting_bytes -= len(one.event)
        self._timers.cancel(PublishDeadline(ticket))
        if not self._waiting:
            self._timers.cancel(PublishAgain())


def _refused(ticket: int, code: str, text: str) -> PublishSettled:
    return PublishSettled(ticket, code, text, JournalId(b""), 0, 0, False, False, 0)
