"""Sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.sizes import MAX_SIZE_BYTES, parse_size, shown_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("17B", 17), ("4KiB", 4096), (" 1.5 MiB ", 3 << 19), ("1GiB", 1 << 30), ("2TiB", 2 << 40)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1GB", "-1", "1 gib", "\u0663", "1e9", "2000TiB"])
def test_what_is_no_size_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=text.strip() or "''"):
        parse_size(text)


@given(st.integers(0, MAX_SIZE_BYTES))
def test_a_shown_size_is_read_as_the_same(size: int) -> None:
    assert parse_size(shown_size(size)) == size
