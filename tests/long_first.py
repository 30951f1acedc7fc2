"""The order of tests for several workers: those first that wait for real processes.

Run last, they would leave the cores idle and the run waiting for the slowest of them; first, they wait while mypy runs.
"""

from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import TypeVar

LONG = ("tests/system/", "tests/systemd/", "tests/client/test_node_client.py")

Test = TypeVar("Test")


def long_first(tests: Sequence[Test], workers: int, name_of: Callable[[Test], str]) -> list[Test]:
    """Begin the share of each worker with some of the long tests. A file stays whole, for its fixtures.

    A share is what `--dist worksteal` hands out at first: as many tests for each worker, in their order. What others
    take later comes from the ends. `name_of` is the id of a test, which begins with its file.
    """
    long = [one for one in tests if name_of(one).startswith(LONG)]
    others = iter([one for one in tests if not name_of(one).startswith(LONG)])
    parts: list[list[Test]] = [[] for _ in range(workers)]
    for _, file in groupby(long, key=lambda one: name_of(one).partition("::")[0]):
        min(parts, key=len).extend(file)
    ordered: list[Test] = []
    for number, part in enumerate(parts):
        share = (len(tests) - len(ordered)) // (workers - number)
        ordered += [*part, *islice(others, max(0, share - len(part)))]
    return [*ordered, *others]
