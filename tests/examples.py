"""How many examples a property draws that needs more, or fewer, than the profile of `conftest.py` says."""

from hypothesis import settings

LEAST = 10


def examples(whole: int) -> int:
    """Of `whole` examples a fifth, and at least ten, in every run; twice as many with `--hypothesis-profile wide`."""
    return max(min(whole, LEAST), whole * settings().max_examples // 100)
