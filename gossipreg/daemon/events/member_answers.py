"""What members that lead journals say to a question about events: read before it is joined and shown.

Owns: that an answer has the fields which are joined and shown, each of its type. Never knows: who asked, or how answers
are joined. A member whose answer cannot be read counts as one that did not answer: what it leads is missing.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from gossipreg.daemon.events.ended_journals import ENDED, is_ended_answer
from gossipreg.daemon.history.asked_answers import is_clock_answer, is_history_answer
from gossipreg.errors import BadParams, Unavailable
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId
from gossipreg.wire.packed import one_line_untrusted, unpacked_untrusted

MAX_UNLED = 20
"""Journals without a leader that an answer names."""
MAX_DEAD = 20
"""Dead members that an answer names."""
_Types = tuple[type, ...]
_NUMBER: _Types = (int, float)

_GROUP: dict[str, _Types] = {
    "group": (str,), "journal": (str,), "patterns": (list,), "pending": (int,), "bytes": (int,), "unanswered": (int,),
    "oldest_s": (*_NUMBER, NoneType), "dead": (int,),
}  # fmt: skip
_LETTER: dict[str, _Types] = {
    "group": (str,), "journal": (str,), "index": (int,), "id": (str,), "source": (str,), "type": (str,), "key": (str,),
    "reason": (str,), "attempts": (int,), "age_s": _NUMBER, "holds": (bool,),
}  # fmt: skip
_HANDLED: dict[str, _Types] = {
    "id": (str,), "source": (str,), "type": (str,), "causation": (str,), "group": (str,), "attempt": (int,),
    "result": (str,), "seconds": _NUMBER, "ago_s": _NUMBER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MemberAnswer:
    """What a member says to a question."""

    name: str
    """Of the member."""
    code: str
    """Empty: `result` is the answer. Otherwise the code of the error, and `result` its text."""
    result: Any


def member_answer_untrusted(name: str, method: str, code: str, packed: bytes) -> MemberAnswer:
    """The answer of this member; `unavailable` where it is not what the question asks for."""
    try:
        result = unpacked_untrusted(packed, "the answer")
    except BadParams as error:
        return MemberAnswer(name, code or Unavailable.code, str(error))
    if code:
        return MemberAnswer(name, code, one_line_untrusted(result, "its reason cannot be read"))
    if not _FITS[method](result):
        return MemberAnswer(name, Unavailable.code, f"its answer to {method} lacks what the question asks for")
    return MemberAnswer(name, code, result)


def unspoken(unled: Sequence[tuple[JournalId, str]], closed: str, *, synced: bool) -> list[str]:
    """What is missing though all members answered, each in a few words: journals that nobody leads, each with what is
    known of its whereabouts, and those of the sidecar with the name `closed`, whose database cannot be used now; empty:
    it can. A sidecar that is not synced does not know whom to ask."""
    named = [
        f"journal {journal.hex()[:12]}: nobody leads it" + (f", {where}" if where else "")
        for journal, where in unled[:MAX_UNLED]
    ]  # fmt: skip
    more = [f"{len(unled) - MAX_UNLED} more journals that nobody leads"] if len(unled) > MAX_UNLED else []
    unknown = [] if synced else ["all that other members have: this sidecar is not synced, see `gossipreg info`"]
    return [*unknown, *([f"the journals of {closed}: see `gossipreg info` there"] if closed else []), *named, *more]


def dead_texts(names: Sequence[str]) -> list[str]:
    """The dead members that may have handled an event, each in a few words: nobody can ask them."""
    named = [f"{name} (dead, and may have handled it)" for name in names[:MAX_DEAD]]
    more = len(names) - MAX_DEAD
    return named + ([f"{more} more dead members that may have handled it"] if more > 0 else [])


def unproven_texts(
    answers: Sequence[MemberAnswer], leaders: Mapping[JournalId, str], *, without: Collection[JournalId] = ()
) -> list[str]:
    """The journals that no member has proven to lead, each in a few words: what they have is missing from the answers.
    Either a member that answered has no proof for one that it seems to lead, or it says nothing about one that it leads
    by now, since the leader has just changed. `leaders`: who leads each journal, without those that did not answer;
    `without`: journals that are named already."""
    spoke = [answer for answer in answers if not answer.code]
    proven = {journal for answer in spoke for journal in answer.result["proven"]}
    unproven = {journal: answer.name for answer in spoke for journal in answer.result["unproven"]}
    named_elsewhere = proven.union(without)
    missing = sorted(one for one in {**leaders, **unproven}.items() if one[0] not in named_elsewhere)
    named = [f"journal {journal.hex()[:12]}: {name} did not prove that it leads it" for journal, name in missing]
    more = len(missing) - MAX_UNLED
    return named[:MAX_UNLED] + ([f"{more} more journals whose leaders did not prove that"] if more > 0 else [])


def each_journal_once(results: Iterable[Any], shown: str) -> Iterator[dict[str, Any]]:
    """What these answers show, of each journal what one of them does. Two members speak for the same one, both proven,
    where the first has handed it over before the question came to the second."""
    spoken: set[str] = set()
    for result in results:
        yield from (one for one in result[shown] if one["journal"] not in spoken)
        spoken.update(journal.hex() for journal in result["proven"])


def _has(found: object, fields: Mapping[str, _Types]) -> bool:
    """Whether it is a map with these fields; a newer release may add others."""
    return type(found) is dict and all(name in found and type(found[name]) in types for name, types in fields.items())


def _all_have(found: object, fields: Mapping[str, _Types]) -> bool:
    return type(found) is list and all(_has(one, fields) for one in found)


def _speaks(result: Any, fields: Mapping[str, _Types]) -> bool:
    """Whether it has these fields, and says about which journals."""
    return _has(result, {**fields, "proven": (list,), "unproven": (list,)}) and all(
        type(one) is bytes and len(one) == JOURNAL_ID_BYTES for one in (*result["proven"], *result["unproven"])
    )


def _are_groups(result: Any) -> bool:
    return (
        _speaks(result, {"groups": (list,), "left_out": (int,)})
        and _all_have(result["groups"], _GROUP)
        and all(type(pattern) is str for group in result["groups"] for pattern in group["patterns"])
    )


_FITS: dict[str, Callable[[Any], bool]] = {
    "groups": _are_groups,
    "dead": lambda result: _speaks(result, {"letters": (list,)}) and _all_have(result["letters"], _LETTER),
    "trace": lambda result: (
        _has(result, {"handled": (list,), "left_out": (int,)}) and _all_have(result["handled"], _HANDLED)
    ),
    "figures": lambda result: (
        _has(result, {"load": (dict,), "troubles": (list,)}) and _all_have(result["troubles"], {"message": (str,)})
    ),
    ENDED: is_ended_answer,
    "clock": is_clock_answer,
    "history": is_history_answer,
    **dict.fromkeys(("retry", "drop", "forget"), lambda result: _speaks(result, {"count": (int,)})),
}
ASKED_OF_MEMBERS = frozenset(_FITS)
"""The questions (`events/questions.py`), and those that the sidecar itself answers (`own_answers.py`)."""
