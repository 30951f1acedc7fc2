"""Questions to all members that lead a journal: the list of sagas, and the saga of a bare id.

Owns: who was asked and has not answered, and what the others said. Never knows: sagas; it joins lists.

A list names the members that did not answer in time: what they lead is missing from it. A saga that nobody knows is
`not_found` only where all have answered, and else `unavailable`.

A member speaks for a journal once it has proven that it leads it (`member_surveys.py`). One that is replaced after that
may have answered, too: of two that have a saga, the one that the membership says leads its journal is believed.

A member sends as many sagas as fit a message, and says that its list was cut. A page then ends where the first such
list ends, so that whoever asks for what comes `after` it jumps over none. `saga_order.py` has the orders of lists.

    a member -> [short story ..., [cut, [id of a journal that it leads, or that has ended ...]]]

A journal that is known to be there, and that nobody who answered leads, is named as well: its sagas are missing. Where
it has ended nothing is: the row of a member that is gone claims it as long as that is remembered. While the disk of the
member that asks cannot be read, it does not know which journals are there.

    list    -> {"sagas": [short story ...], "unanswered": [id of a member | text about a journal ...], "more": bool,
                "next": `after` of the next page, or empty}
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from msgpack import packb

from gossipreg.errors import BadParams
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_calls import ListAsked, ShowAsked
from gossipreg.sagas.saga_effects import SagaCallAnswered, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_forwarding import failed
from gossipreg.sagas.saga_messages import SagaCall, SagaReply
from gossipreg.sagas.saga_model import read_saga
from gossipreg.sagas.saga_order import Place, place_text
from gossipreg.sagas.saga_shapes import Shape, shape_place
from gossipreg.timers import Timers
from gossipreg.wire.packed import unpacked_untrusted

ALL_JOURNALS = JournalId(bytes(JOURNAL_ID_BYTES))
"""Stands for all journals that the asked member leads."""
CLOSED = "this sidecar's own journals, since its disk cannot be read now (see `gossipreg info`)"
"""What is missing then."""
MAX_SURVEYS = 256
MAX_UNLED = 20
"""Journals without a leader that an answer names."""
MAX_TOLD_JOURNALS = 2048
"""That a member says it leads, or that have ended."""
MEMBER_ANSWER_BYTES = MAX_TOLD_JOURNALS * (JOURNAL_ID_BYTES + 2)
"""What stands beside the sagas in its answer, at most."""


@dataclass(frozen=True, slots=True)
class SurveyDeadline:
    ticket: int


@dataclass(slots=True)
class _Survey:
    asked: ListAsked | ShowAsked
    waits: set[NodeId]
    leading: frozenset[NodeId]
    """Of those that are asked, the ones whose answer is missed where it does not come."""
    found: dict[str, Shape] = field(default_factory=dict)
    """By name."""
    ends: list[Place] = field(default_factory=list)
    """The last places of the lists that were cut."""
    trimmed: bool = False
    """More was found than is asked for."""
    led: set[JournalId] = field(default_factory=set)
    """By those that have answered; or they have ended, as one of these says."""
    silent: set[NodeId] = field(default_factory=set)
    """They did not answer, or could not."""

    def silence(self, nodes: Iterable[NodeId]) -> None:
        """These do not answer. One that leads nothing has no saga that could be missing."""
        self.silent |= self.leading.intersection(nodes)

    def trim(self) -> None:
        """A list shows its first ones alone: what comes behind them is not kept."""
        if isinstance(self.asked, ListAsked) and len(self.found) > self.asked.limit:
            first = sorted(self.found.values(), key=self.place)[: self.asked.limit]
            self.found = {_name(story): story for story in first}
            self.trimmed = True

    def place(self, story: Shape) -> Place:
        return shape_place(story, newest=isinstance(self.asked, ListAsked) and self.asked.newest)


class SagaSurveys:
    def __init__(
        self, timers: Timers, leader: Callable[[JournalId], NodeId | None], known: Callable[[], Iterable[JournalId]],
        closed: Callable[[], bool], *, timeout_s: float, whereabouts: Callable[[JournalId], str] = lambda _: "",
    ) -> None:  # fmt: skip
        """`leader(journal)` is the member that leads it now; `known()` are the journals that are there, led or not;
        `closed()` says whether our own disk cannot be read; `whereabouts(journal)` says in a few words where a journal
        was last, and what to do."""
        self._leader = leader
        self._known = known
        self._closed = closed
        self._whereabouts = whereabouts
        self._timers = timers
        self._timeout_s = timeout_s
        self._surveys: dict[int, _Survey] = {}

    def ask(
        self, ticket: int, method: str, params: bytes, asked: ListAsked | ShowAsked, leaders: Collection[NodeId],
        now: float, keepers: Collection[NodeId] = (),
    ) -> list[SagaEffect]:  # fmt: skip
        """Ask these members, which lead journals, and `keepers`, which may remember that one has ended;
        SagaCallAnswered with this ticket follows."""
        if len(self._surveys) >= MAX_SURVEYS:
            return [failed(ticket, "busy", f"{len(self._surveys)} questions wait for answers: ask again in a moment")]
        nodes = sorted({*leaders, *keepers})
        survey = self._surveys[ticket] = _Survey(asked, set(nodes), frozenset(leaders))
        if not nodes:
            return self._over(ticket, survey)
        self._timers.set(SurveyDeadline(ticket), now + self._timeout_s)
        call = SagaCall(journal=ALL_JOURNALS, number=ticket, method=method, params=params)
        return [SendSagaMessage(node, call) for node in nodes]

    def answered(self, node: NodeId, reply: SagaReply) -> list[SagaEffect]:
        """Nothing where it is no answer to a question of ours."""
        survey = self._surveys.get(reply.number)
        if survey is None or node not in survey.waits:
            return []
        survey.waits.discard(node)
        if not reply.code:
            stories, cut, led = _read(reply.result)
            survey.led |= led if led is not None else self._led_by(node)
            for story in stories:
                name = _name(story)
                if name not in survey.found or self._leads(node, name):
                    survey.found[name] = story
            survey.trim()
            survey.ends += [survey.place(stories[-1])] if cut and stories else []
        elif reply.code != "not_found":
            survey.silence([node])
        return [] if survey.waits else self._over(reply.number, survey)

    def _led_by(self, node: NodeId) -> set[JournalId]:
        """The journals of a member that does not name them, as an older release."""
        return {journal for journal in self._known() if self._leader(journal) == node}

    def _unled(self, survey: _Survey) -> list[str]:
        """What is wrong with the journals that nobody spoke for, each in a few words."""
        unled = [
            journal for journal in {*self._known()} - survey.led if self._leader(journal) not in survey.silent
        ]  # fmt: skip
        named = [f"journal {journal.hex()[:8]}: {self._why(journal)}" for journal in sorted(unled)[:MAX_UNLED]]
        more = [f"{len(unled) - MAX_UNLED} more journals for which nobody spoke"] if len(unled) > MAX_UNLED else []
        return [*([CLOSED] if self._closed() else []), *named, *more]

    def _why(self, journal: JournalId) -> str:
        """Why nobody spoke for it."""
        if self._leader(journal) is not None:
            return "its leader did not prove that it leads it"
        where = self._whereabouts(journal)
        return f"nobody leads it, {where}" if where else "nobody leads it"

    def _leads(self, node: NodeId, name: str) -> bool:
        saga = read_saga(name)
        return saga is not None and self._leader(saga.journal) == node

    def closed(self, node: NodeId) -> list[SagaEffect]:
        """The stream to this member broke: its answer is lost."""
        effects: list[SagaEffect] = []
        for ticket, survey in [*self._surveys.items()]:
            if node in survey.waits:
                survey.waits.discard(node)
                survey.silence([node])
                effects += [] if survey.waits else self._over(ticket, survey)
        return effects

    def on_deadline(self, ticket: int) -> list[SagaEffect]:
        survey = self._surveys.get(ticket)
        if survey is None:
            return []
        survey.silence(survey.waits)
        return self._over(ticket, survey)

    def abandon(self, ticket: int) -> None:
        """Nobody waits for this answer any more."""
        self._surveys.pop(ticket, None)
        self._timers.cancel(SurveyDeadline(ticket))

    def _over(self, ticket: int, survey: _Survey) -> list[SagaEffect]:
        self.abandon(ticket)
        unled = self._unled(survey)
        if isinstance(survey.asked, ListAsked):
            return [SagaCallAnswered(ticket, "", packb(_page(survey, survey.asked, unled)))]
        id = survey.asked.id
        if len(survey.found) > 1:
            text = f"{len(survey.found)} journals have a saga {id!r}: name one of {', '.join(sorted(survey.found))}"
            return [failed(ticket, "bad_params", text)]
        if survey.found:
            return [SagaCallAnswered(ticket, "", packb(*survey.found.values()))]
        if survey.silent:
            silent = len(survey.silent)
            who = "1 member that leads journals" if silent == 1 else f"{silent} members that lead journals"
            text = f"no saga {id!r} at those that answered, and {who} did not: ask again later"
            return [failed(ticket, "unavailable", text)]
        if unled:
            text = f"no saga {id!r} where a journal is led, but {', '.join(unled[:3])}: ask again later"
            return [failed(ticket, "unavailable", text)]
        return [failed(ticket, "not_found", f"no journal that is led now has a saga {id!r}: it may be forgotten")]


def _page(survey: _Survey, asked: ListAsked, unled: Sequence[str]) -> Shape:
    end = min(survey.ends, default=None)
    sagas = [one for one in sorted(survey.found.values(), key=survey.place) if end is None or survey.place(one) <= end]
    shown, more = sagas[: asked.limit], survey.trimmed or end is not None
    last = place_text(survey.place(shown[-1]), newest=asked.newest) if shown and more else ""
    return {"sagas": shown, "unanswered": [*sorted(survey.silent), *unled], "more": more, "next": last}


def member_answer(stories: Sequence[Shape], journals: Iterable[JournalId], *, cut: bool) -> list[object]:
    """What a member says of these journals; `cut`: there may be more behind the last one."""
    return [*stories, [cut, [*journals][:MAX_TOLD_JOURNALS]]]


def _read(result: bytes) -> tuple[list[Shape], bool, set[JournalId] | None]:
    """(stories, cut, journals that it leads; None: it does not say)"""
    try:
        found = unpacked_untrusted(result, "the answer")
    except BadParams:
        return [], False, set()
    if not isinstance(found, list):
        return [], False, set()
    stories = [one for one in found if isinstance(one, dict)]
    match found[-1:]:
        case [[cut, [*led], *_]]:
            return stories, cut is True, {JournalId(one) for one in led if isinstance(one, bytes)}
    return stories, False, None


def _name(story: Shape) -> str:
    return str(story.get("saga", ""))
