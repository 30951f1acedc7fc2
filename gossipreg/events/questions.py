"""What people ask of the journals that are led here, and what they decide: groups and their lag, dead letters.

Owns: the answer of each question, and decisions whose entry waits to be committed. Never knows: who asks, or the
journals that others lead; whoever asks sends the same question to all that lead one.

    groups   {}                                    -> {"groups": [group ...], "left_out": how many had no room}
    dead     {group, limit, after}                 -> {"letters": [dead letter ...]}, by journal, group and index
    trace    {correlation}                         -> what was handled here of it (`handled.py`)
    retry    {group, journal, index}               -> {"count"}: dead letters that are delivered once more
    drop     {group, journal, index}               -> {"count"}: dead letters that are thrown away
    forget   {group}                               -> {"count"}: journals in which the group was forgotten; or 1: this
                                                      sidecar remembered it, and leads no journal that has it

`journal` and `index` may be left out: then all dead letters of the group are meant.

All questions but `trace` are about journals. They are answered for those that are proven to have been led here when the
question came (`journal/proven_questions.py`): `proven` has their ids. `unproven` has the ids of the others that seemed
to be led here; nothing is said or decided about them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack

from gossipreg.errors import BadParams, OutcomeUnknown
from gossipreg.events.effects import EventEffect, ProposeEntry, SendEventMessage
from gossipreg.events.entries import EventEntryKind, encode_forget, encode_letters
from gossipreg.events.group_lag import GroupLag
from gossipreg.events.handled import HandledEvents
from gossipreg.events.machine import EventsMachine
from gossipreg.events.messages import MAX_REPLY_BYTES, EventsCall, EventsReply
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.model import NodeId

MAX_LETTERS = 2_000
"""Of one answer, and of one decision; more are for the next one."""
LIMIT_DEFAULT = 100
_REPLY_ROOM = MAX_REPLY_BYTES - 4096
_ID_BYTES = JOURNAL_ID_BYTES + 2
_OF_JOURNALS = frozenset(("groups", "dead", "retry", "drop", "forget"))
_FORGOTTEN = "an operator said so"

_pack: Callable[[object], bytes] = msgpack.Packer().pack


class AskedJournal(Protocol):
    """A journal that is led here."""

    @property
    def journal(self) -> JournalId: ...

    @property
    def machine(self) -> EventsMachine: ...

    def lag(self, now: float) -> Sequence[GroupLag]: ...

    def led_ms(self, now: float) -> int: ...


@dataclass(frozen=True, slots=True)
class SpokenFor:
    """The journals that an answer is about."""

    led: Sequence[AskedJournal] = ()
    """It is proven that they were led here when the question came."""
    unproven: Sequence[JournalId] = ()
    """They may have another leader."""

    @property
    def room_bytes(self) -> int:
        """For the rest of the answer."""
        return _REPLY_ROOM - (len(self.led) + len(self.unproven)) * _ID_BYTES

    @property
    def named(self) -> dict[str, Any]:
        """What an answer says of them."""
        return {"proven": [one.journal for one in self.led], "unproven": [*self.unproven]}


NO_JOURNALS = SpokenFor()


@dataclass(slots=True)
class _Deciding:
    node: NodeId
    call: EventsCall
    journals: SpokenFor
    waits: int
    """Entries that are not committed yet."""
    count: int = 0
    code: str = ""
    text: str = ""


class Questions:
    def __init__(
        self,
        next_ticket: Callable[[], int],
        handled: HandledEvents,
        forget: Callable[[str, float], Sequence[EventEffect]],
    ) -> None:
        """`forget(group, now)` has this sidecar remember it no more, and returns nothing if it did not remember it."""
        self._forget_here = forget
        self._handled = handled
        self._next_ticket = next_ticket
        self._deciding: dict[int, tuple[_Deciding, int]] = {}
        """By ticket: who waits for the entry, and what it counts for."""

    def ask(
        self, node: NodeId, call: EventsCall, now: float, journals: SpokenFor = NO_JOURNALS
    ) -> list[EventEffect]:  # fmt: skip
        """Answer a question of this member; a decision is answered once it is committed."""
        try:
            params = _params(call)
            match call.method:
                case "groups":
                    return [_reply(node, call, self._groups(journals, now))]
                case "dead":
                    return [_reply(node, call, self._dead(journals, params, now))]
                case "trace":
                    return [_reply(node, call, self._handled.of(params.get("correlation", ""), now))]
                case "retry":
                    return self._decide(node, call, EventEntryKind.DEAD_AGAIN, journals, params)
                case "drop":
                    return self._decide(node, call, EventEntryKind.DEAD_DROPPED, journals, params)
                case "forget":
                    return self._forget(node, call, journals, params, now)
        except BadParams as error:
            return [refusal(node, call, error.code, str(error))]
        return [refusal(node, call, "unknown_method", f"no question {call.method[:80]!r} here: a newer release asks")]

    # -- questions ---------------------------------------------------------------------------------------------------

    def _groups(self, journals: SpokenFor, now: float) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        size = left_out = 0
        for shape in _all_groups(journals.led, now):
            size += len(_pack(shape))
            if size > journals.room_bytes:
                left_out += 1
            else:
                found.append(shape)
        return {"groups": found, "left_out": left_out, **journals.named}

    def _dead(self, journals: SpokenFor, params: Mapping[str, Any], now: float) -> dict[str, Any]:
        limit = min(params.get("limit", LIMIT_DEFAULT), MAX_LETTERS)
        after = tuple(params.get("after", ()))
        letters = sorted(
            _letters(journals.led, params, now),
            key=lambda letter: (letter["journal"], letter["group"], letter["index"]),
        )
        found: list[dict[str, Any]] = []
        size = 0
        for letter in letters:
            if (letter["journal"], letter["group"], letter["index"]) <= after:
                continue
            size += len(_pack(letter))
            if len(found) == limit or size > journals.room_bytes:
                break
            found.append(letter)
        return {"letters": found, **journals.named}

    # -- decisions ---------------------------------------------------------------------------------------------------

    def _decide(
        self, node: NodeId, call: EventsCall, kind: EventEntryKind, journals: SpokenFor, params: Mapping[str, Any]
    ) -> list[EventEffect]:
        if params.get("group") is None:
            raise BadParams("name the group whose dead letters are meant")
        letters: dict[JournalId, list[tuple[int, int]]] = {}
        for one, number, index in _meant(journals.led, params):
            of_journal = letters.setdefault(one.journal, [])
            if len(of_journal) < MAX_LETTERS:
                of_journal.append((number, index))
        entries = {journal: (encode_letters(tuple(found)), len(found)) for journal, found in letters.items()}
        return self._propose(node, call, kind, journals, entries)

    def _forget(
        self, node: NodeId, call: EventsCall, journals: SpokenFor, params: Mapping[str, Any], now: float
    ) -> list[EventEffect]:
        name = params.get("group")
        if name is None:
            raise BadParams("name the group that is to be forgotten")
        data = encode_forget(((name, _FORGOTTEN),))
        here = self._forget_here(name, now)
        entries = {one.journal: (data, 1) for one in journals.led if name in one.machine.groups}
        if here and not entries:
            return [*here, _reply(node, call, {"count": 1, **journals.named})]
        return [*here, *self._propose(node, call, EventEntryKind.FORGET_GROUP, journals, entries)]

    def _propose(
        self, node: NodeId, call: EventsCall, kind: EventEntryKind, journals: SpokenFor,
        entries: Mapping[JournalId, tuple[bytes, int]],
    ) -> list[EventEffect]:  # fmt: skip
        if not entries:
            return [_reply(node, call, {"count": 0, **journals.named})]
        deciding = _Deciding(node, call, journals, len(entries))
        effects: list[EventEffect] = []
        for journal, (data, counts) in entries.items():
            ticket = self._next_ticket()
            self._deciding[ticket] = deciding, counts
            effects.append(ProposeEntry(journal, kind, data, ticket, ends=True))
        return effects

    def settled(self, ticket: int, *, committed: bool) -> list[EventEffect]:
        """What became of an entry; nothing if it is not ours."""
        return self._over(ticket, "" if committed else OutcomeUnknown.code, "the leader changed meanwhile: ask again")

    def refused(self, ticket: int, code: str, text: str) -> list[EventEffect]:
        """An entry was not accepted; nothing if it is not ours."""
        return self._over(ticket, code, text)

    def owns(self, ticket: int) -> bool:
        return ticket in self._deciding

    def _over(self, ticket: int, code: str, text: str) -> list[EventEffect]:
        found = self._deciding.pop(ticket, None)
        if found is None:
            return []
        deciding, counts = found
        deciding.waits -= 1
        if code:
            deciding.code, deciding.text = code, text
        else:
            deciding.count += counts
        if deciding.waits:
            return []
        if deciding.code:
            return [refusal(deciding.node, deciding.call, deciding.code, deciding.text)]
        return [_reply(deciding.node, deciding.call, {"count": deciding.count, **deciding.journals.named})]


def _all_groups(led: Iterable[AskedJournal], now: float) -> Iterator[dict[str, Any]]:
    for one in led:
        dead = Counter(number for number, _ in one.machine.dead)
        for lag in one.lag(now):
            group = one.machine.groups[lag.group]
            yield {
                "group": lag.group, "journal": one.journal.hex(), "patterns": sorted(group.patterns),
                "pending": lag.pending, "bytes": lag.pending_bytes, "unanswered": lag.unanswered,
                "oldest_s": lag.oldest_ms / 1000 if lag.pending else None, "dead": dead[group.number],
            }  # fmt: skip


def _letters(led: Iterable[AskedJournal], params: Mapping[str, Any], now: float) -> Iterator[dict[str, Any]]:
    for one, number, index in _meant(led, params):
        letter, event = one.machine.dead[number, index], one.machine.events[index]
        group = one.machine.group(number)
        assert group is not None, "a dead letter is of a group"
        yield {
            "group": group.name, "journal": one.journal.hex(), "index": index, "id": event.id,
            "source": event.source, "type": event.type, "key": event.key, "reason": letter.reason,
            "attempts": letter.attempts, "age_s": max(0, one.led_ms(now) - letter.led_ms) / 1000,
            "holds": letter.holds,
        }  # fmt: skip


def _meant(led: Iterable[AskedJournal], params: Mapping[str, Any]) -> Iterator[tuple[AskedJournal, int, int]]:
    """The dead letters that are meant: (journal, number of the group, index)"""
    wanted, journal, index = params.get("group"), params.get("journal"), params.get("index")
    for one in led:
        if journal is not None and one.journal.hex() != journal:
            continue
        for number, found in [*one.machine.dead]:
            group = one.machine.group(number)
            if group is None or wanted not in (None, group.name) or index not in (None, found):
                continue
            yield one, number, found


def journals_asked(call: EventsCall, led: Iterable[JournalId]) -> list[JournalId]:
    """The journals of these that the question is about."""
    if call.method not in _OF_JOURNALS:
        return []
    with suppress(BadParams):
        one = _params(call).get("journal")
        return [journal for journal in led if one in (None, journal.hex())]
    return []  # it will be refused


_TYPES: dict[str, type] = {"group": str, "journal": str, "index": int, "limit": int, "after": tuple, "correlation": str}


def _params(call: EventsCall) -> dict[str, Any]:
    """The parameters that are known here, checked for their type. Raises BadParams."""
    try:
        given = msgpack.unpackb(call.params, use_list=False)
    except (ValueError, msgpack.UnpackException):
        raise BadParams("the parameters are no map") from None
    if type(given) is not dict:
        raise BadParams("the parameters are no map")
    for name, kind in _TYPES.items():
        if given.get(name) is not None and type(given[name]) is not kind:
            raise BadParams(f"{name} is {given[name]!r}: it has another type")
    after = given.get("after", ())
    if [type(one) for one in after] not in ([], [str, str, int]):
        raise BadParams("after is not the journal, the group and the index of a dead letter")
    return {name: given[name] for name in _TYPES if given.get(name) is not None}


def _reply(node: NodeId, call: EventsCall, result: object) -> EventEffect:
    return SendEventMessage(node, EventsReply(number=call.number, code="", result=_pack(result)))


def refusal(node: NodeId, call: EventsCall, code: str, text: str) -> EventEffect:
    return SendEventMessage(node, EventsReply(number=call.number, code=code, result=_pack(text)))
