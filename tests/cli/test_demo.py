"""What the command `demo` refuses, and what it says where it cannot start. `tests/system/test_demo.py` runs it."""

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--play", "5s"), "at least 10s"),
        (("--play", "2h"), "at most 3600s"),
        (("--play", "soon"), "not a duration"),
        (("--play", "--commands"), "exclude each other"),
        (("now",), "unexpected"),
    ],
)
def test_wrong_options_of_the_demo_are_named(arguments: tuple[str, ...], why: str, command: Command) -> None:
    ended = command("demo", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


def test_a_demo_without_room_says_where_it_looked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/self")
    ended = command("demo", "--commands")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.startswith("Error: cannot make a folder in /proc/self: ")
    assert len(ended.err.splitlines()) == 1
