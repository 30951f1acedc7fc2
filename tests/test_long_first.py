"""The order of tests for several workers loses none, and begins each share with long ones."""

from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from tests.long_first import LONG, long_first

FILES = st.sampled_from(
    ["tests/system/a.py", "tests/system/b.py", "tests/systemd/c.py", "tests/core/d.py", "tests/e.py"]
)


def is_long(test: str) -> bool:
    return test.startswith(LONG)


@given(files=st.lists(st.tuples(FILES, st.integers(1, 9)), unique_by=lambda file: file[0]), workers=st.integers(1, 5))
def test_every_test_is_run_once_and_files_stay_whole(files: list[tuple[str, int]], workers: int) -> None:
    tests = [f"{file}::test_{number}" for file, count in files for number in range(count)]
    ordered = long_first(tests, workers, str)
    assert Counter(ordered) == Counter(tests)
    runs = [file for file, _ in groupby(filter(is_long, ordered), key=lambda one: one.partition("::")[0])]
    assert len(runs) == len({*runs})


def test_each_share_begins_with_long_tests() -> None:
    short = [f"tests/core/test_{file}.py::test_{number}" for file in range(10) for number in range(10)]
    long = [f"tests/system/test_{file}.py::test_{number}" for file in range(8) for number in range(3)]
    ordered = long_first([*short[:50], *long, *short[50:]], 4, str)
    shares = [ordered[begin : begin + 31] for begin in range(0, 124, 31)]
    assert [[*map(is_long, share)] for share in shares] == [[True] * 6 + [False] * 25] * 4
    assert [one for one in ordered if not is_long(one)] == short
