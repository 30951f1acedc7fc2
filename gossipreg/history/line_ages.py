"""How long ago lines were written, although the wall clock may have been set since.

Within one boot of the kernel the clock that only runs is believed, and the wall clock as it was at the last line of
that boot: a machine that boots with a wrong clock sets it soon after.
"""

from collections.abc import Sequence

from gossipreg.history.history_line import HistoryLine


def line_ages(lines: Sequence[HistoryLine], *, wall: float, boot_s: float, boot_id: str) -> list[float]:
    """Seconds before now, for each of these lines, which are in their order; `wall`, `boot_s` and `boot_id` are the
    clocks as they are now. A line of this boot has none, or this `boot_id`."""
    ahead_s = {line.boot_id or boot_id: line.at - line.boot_s for line in lines}
    ahead_s[boot_id] = wall - boot_s
    return [wall - (line.boot_s + ahead_s[line.boot_id or boot_id]) for line in lines]
