"""What members say of the programs of a journal that is not led here yet, or not any more.

Owns: the last word of each member about each saga, until the journal is led here. Never knows: what a program is for.

A member tells a leader once where programs are, as soon as it sees the claim. A claim comes before the journal is
established, and a leader that is replaced by nobody keeps its claim: a word that is not kept is not said again. It is
that of the process at the other end of the stream, whether the registry has seen that process or not.
"""

from collections.abc import Callable, Iterable

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_messages import ProgramHere, ProgramLost

MAX_EARLY_WORDS = 65_536
"""Of all journals; the oldest go first."""

_Word = tuple[NodeId, str]
"""(member, saga)"""


class EarlyWords:
    def __init__(self) -> None:
        self._words: dict[JournalId, dict[_Word, bool]] = {}
        """True: its program is there."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def said(self, node: NodeId, message: ProgramHere | ProgramLost) -> None:
        """The newest word of a member about a saga counts."""
        for saga in message.sagas:
            of_journal = self._words.setdefault(message.journal, {})
            self._count -= of_journal.pop((node, saga), None) is not None
            of_journal[node, saga] = isinstance(message, ProgramHere)
            self._count += 1
            if self._count > MAX_EARLY_WORDS:
                oldest = next(iter(self._words))
                self._drop(oldest, [next(iter(self._words[oldest]))])

    def take(self, journal: JournalId) -> list[tuple[NodeId, ProgramHere | ProgramLost]]:
        """All that was said of this journal, which is led here now."""
        said: dict[tuple[NodeId, bool], list[str]] = {}
        for (node, saga), here in self._words.get(journal, {}).items():
            said.setdefault((node, here), []).append(saga)
        self._drop(journal, self._words.get(journal, ()))
        return [
            (node, ProgramHere(journal=journal, sagas=tuple(sagas)))
            if here else (node, ProgramLost(journal=journal, sagas=tuple(sagas)))
            for (node, here), sagas in said.items()
        ]  # fmt: skip

    def closed(self, node: NodeId) -> None:
        """The stream to this member broke: it says everything again."""
        for journal in [*self._words]:
            self._drop(journal, [word for word in self._words[journal] if word[0] == node])

    def members_changed(self, leads_elsewhere: Callable[[JournalId], bool]) -> None:
        """Forget what was said of journals that another member leads: whoever spoke tells that one, and the next."""
        for journal in [*self._words]:
            if leads_elsewhere(journal):
                self._drop(journal, self._words[journal])

    def _drop(self, journal: JournalId, words: Iterable[_Word]) -> None:
        for word in [*words]:
            del self._words[journal][word]
            self._count -= 1
        if not self._words.get(journal, True):
            del self._words[journal]
