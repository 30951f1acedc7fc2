"""The judge of requests: wrong answers, failures, and workers that hang.

Owns: what a right answer is. Never knows: how the requests were made.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from time import monotonic

from scripts.checks.client.records import FAILED, Record
from scripts.tools.figures import markdown, percentile

HANGS_S = 30.0
"""A worker that reports nothing for so long hangs: a request ends within 10 s, and a worker makes several a second."""
TOLD_MAX = 5
"""So many failures of a kind are told with their texts; the others are counted."""


class Judge:
    def __init__(self, registered: Mapping[str, Collection[str]], may_fail: Collection[str] = ()) -> None:
        """`registered`: the ids by service that were registered at some time. `may_fail`: the kinds of requests that
        are not tried again."""
        self.last: dict[str, float] = {}
        """When each worker reported last."""
        self.records: list[Record] = []
        self._registered = registered
        self._may_fail = may_fail
        self._wrong: list[str] = []
        self._failed: dict[str, list[str]] = defaultdict(list)

    def take(self, records: Iterable[Record]) -> None:
        for record in records:
            self.last[record.worker] = record.at
            self.records.append(record)
            if record.failed:
                self._failed[record.kind].append(f"{record.worker} asked {record.service}: {record.answer[1:]}")
            elif wrong := self._wrongness(record):
                self._wrong.append(f"{record.worker} asked {record.service} ({record.kind}): {wrong}")

    def forget(self, worker: str) -> None:
        """This worker has ended as it should: nothing more comes from it."""
        self.last.pop(worker, None)

    def hanging(self) -> list[str]:
        """The workers that have reported nothing for too long."""
        return [worker for worker, at in self.last.items() if monotonic() - at > HANGS_S]

    @property
    def failures(self) -> int:
        """Requests that failed and must not."""
        return sum(len(texts) for kind, texts in self._failed.items() if kind not in self._may_fail)

    def faults(self) -> Iterator[str]:
        yield from self._wrong[:TOLD_MAX]
        if len(self._wrong) > TOLD_MAX:
            yield f"and {len(self._wrong) - TOLD_MAX} more wrong answers"
        for kind, texts in self._failed.items():
            if kind not in self._may_fail:
                yield from (f"{kind} failed: {text}" for text in texts[:TOLD_MAX])
                if len(texts) > TOLD_MAX:
                    yield f"and {len(texts) - TOLD_MAX} more of {kind} failed"

    def _wrongness(self, record: Record) -> str:
        """What is wrong with the answer; empty if it is right."""
        answers = record.answer.split(",") if record.answer else []
        if not answers:
            return "no instance, although some were there at any time"
        asked = record.service.split(",")
        if len(asked) > 1 and len(asked) != len(answers):
            return f"{record.answer!r}, of {len(asked)} services"
        for answer, wanted in zip(answers, asked if len(asked) > 1 else asked * len(answers), strict=True):
            service, _, id = answer.partition(" ")
            if service != wanted:
                return f"{answer!r} answered, which is of another service"
            if id not in self._registered[service]:
                return f"{answer!r} answered, which was never registered"
        return ""


def table(records: Iterable[Record], group: Callable[[Record], str] = lambda record: record.kind) -> str:
    """How many requests there were of each kind, how many failed, and how long they took."""
    kinds: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        kinds[group(record)].append(record)
    rows = []
    for kind, found in sorted(kinds.items()):
        seconds = [record.seconds for record in found]
        again = sum(record.attempts > 1 for record in found)
        failed = sum(record.failed for record in found)
        rows.append([kind, str(len(found)), str(failed), str(again), *(_ms(seconds, part) for part in (0.5, 0.99, 1))])
    return markdown(["requests", "number", "failed", "sent again", "p50 ms", "p99 ms", "longest ms"], rows)


def reasons(records: Iterable[Record]) -> str:
    """The errors of those that failed, by kind and class, for people."""
    found = Counter(
        f"{record.kind} {record.answer.partition(':')[0].removeprefix(FAILED)}" for record in records if record.failed
    )
    return ", ".join(f"{number} {what}" for what, number in found.most_common()) or "none"


def _ms(seconds: list[float], part: float) -> str:
    return f"{1000 * (percentile(seconds, part) or 0):#.3g}".rstrip(".")
