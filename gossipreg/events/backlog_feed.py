"""What waits already when a leader begins, handed to the queues in steps, so that a sidecar that takes over many
journals goes on answering.

Owns: the order: what comes meanwhile stands behind what waits, so the events of a key stay in their order.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from gossipreg.events.attempts import LetterId

STEP = 5_000
"""About 20 ms."""
PAUSE_S = 0.001


class BacklogFeed:
    def __init__(self) -> None:
        self._waits: Iterator[LetterId] = iter(())
        self._meanwhile: deque[LetterId] = deque()
        self.ended = True

    def begin(self, waits: Iterable[LetterId]) -> None:
        """These wait, in the order of the journal."""
        self._waits, self.ended = iter(waits), False

    def put(self, letter: LetterId) -> None:
        """This came while the feed has not ended."""
        self._meanwhile.append(letter)

    def step(self) -> list[LetterId]:
        """The next ones."""
        letters = list(islice(chain(self._waits, _drain(self._meanwhile)), STEP))
        self.ended = len(letters) < STEP
        return letters


def _drain(letters: deque[LetterId]) -> Iterator[LetterId]:
    while letters:
        yield letters.popleft()
