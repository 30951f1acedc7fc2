"""How a page of a row is taken into the row's content, into its shadow, or into both.

Owns: when a shadow is begun, dropped, or replaces the content. Must never know: other rows, limits, what time it is.

The shadow is a full row that is being pulled, beside the content that is given out in answers until then. It is begun
if the content is of an older generation, is below the owner's tombstone floor, or is complete and has another digest
than the owner's: then it is damaged.
"""

from collections import Counter
from collections.abc import Sequence

from gossipreg.core.table.content import Content
from gossipreg.core.table.facts import MergeOutcome
from gossipreg.core.table.row import Row
from gossipreg.model import Version
from gossipreg.wire.messages import Delta

Taken = tuple[MergeOutcome, Sequence[int]]
"""The outcome of a page, and part 0 of each slot of the row's content whose view may have changed."""
_NOTHING: Taken = MergeOutcome.NOTHING, ()
_GAP: Taken = MergeOutcome.GAP, ()


def take_delta(row: Row, delta: Delta, counts: Counter[str]) -> Taken:
    """Apply a page of the row's newest generation. `counts` counts pages with a wrong digest."""
    content = None if row.lags else row.content
    outcome, slots = _NOTHING
    if content is not None:
        outcome, slots = _extend(row, content, delta, counts)
        if outcome is MergeOutcome.GAP and delta.base <= content.counter and row.shadow is None:
            row.shadow = Content(delta.generation)  # we are below the owner's tombstone floor: pull a full row
    elif row.shadow is None:
        row.shadow = Content(delta.generation)
    shadow = row.shadow
    if shadow is None:
        return outcome, slots
    if delta.base <= shadow.counter < delta.reached and not shadow.floor_fits(delta):
        shadow = row.shadow = Content(delta.generation)  # the floor rose between two pages: begin again
    took, _ = _extend(row, shadow, delta, counts)
    if shadow.whole and (content is None or shadow.counter >= content.counter):
        row.content, row.shadow = shadow, None
    if row.shadow is not None and row.shadow.head < 0:
        return MergeOutcome.GAP, slots  # a full row is needed, and no page of it has come yet
    return took if content is None or took is MergeOutcome.APPLIED else outcome, slots


def _extend(row: Row, content: Content, delta: Delta, counts: Counter[str]) -> Taken:
    """Apply a page if it continues this content or shadow. If that is complete then and has another digest than the
    owner's, it is damaged: pull a full row, once for each version."""
    if delta.reached <= content.counter and content.head >= 0:
        return _NOTHING
    if not content.accepts(delta):
        return _GAP
    slots = content.apply(delta)
    if content.whole and content is row.content and row.shadow is not None and content.head >= row.shadow.head:
        row.shadow = None  # the content is complete at that version: the shadow is not needed
    if not content.mismatched:
        return MergeOutcome.APPLIED, slots
    head = Version(content.generation, content.head)
    if row.refetched == head:
        counts["digest_mismatch_again"] += 1
        if content is row.shadow and not row.lags:
            row.shadow = None  # it is damaged too: keep the content that we have
        return MergeOutcome.APPLIED, slots
    counts["digest_mismatch"] += 1
    row.refetched = head
    if row.shadow is None or content is row.shadow:
        row.shadow = Content(content.generation)
    return MergeOutcome.GAP, slots
