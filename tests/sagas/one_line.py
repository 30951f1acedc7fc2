"""What every error about a saga is: one line, not too long to be read."""

MOST_CHARACTERS = 700


def assert_one_line(error: Exception) -> None:
    assert "\n" not in str(error)
    assert 0 < len(str(error)) < MOST_CHARACTERS
