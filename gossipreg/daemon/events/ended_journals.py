"""Whether a journal that nobody leads has ended: the question to the members that may remember it, and the answer.

Owns: what the question and its answer say. Never knows: who is asked, or when. The row of a dead owner goes on to claim
its journal after the other voters have ended it, and only these know.
"""

from collections.abc import Collection, Iterable
from typing import Any

from gossipreg.errors import BadParams
from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId

ENDED = "ended"
"""The question. A member of an older release answers `unknown_method`."""
MAX_ASKED = 20
"""Journals of one question: no more are named."""


def ended_params(journals: Iterable[JournalId]) -> dict[str, Any]:
    """{journals: ids} -> {ended: those of them that have ended, as the member remembers}"""
    return {"journals": [*journals]}


def told_ended(params: dict[str, Any], ended: Collection[JournalId]) -> dict[str, Any]:
    """The answer; `ended`: what this sidecar remembers. Raises BadParams."""
    asked: Any = params.get("journals")
    if not _are_ids(asked):
        raise BadParams(f"journals: give a list of ids, of {JOURNAL_ID_BYTES} bytes each")
    return {"ended": [one for one in asked[:MAX_ASKED] if one in ended]}


def is_ended_answer(result: Any) -> bool:
    """Whether it has the fields that are read; a newer release may add others."""
    return type(result) is dict and _are_ids(result.get("ended"))


def _are_ids(found: object) -> bool:
    return type(found) is list and all(type(one) is bytes and len(one) == JOURNAL_ID_BYTES for one in found)
