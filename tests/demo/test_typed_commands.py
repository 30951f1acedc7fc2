"""A typed line becomes a command, or an error that says what would be right."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.demo.layout import plan
from gossipreg.demo.typed_commands import HELP, TypedCommand, parse
from gossipreg.errors import BadParams

PLANS = plan(with_node=True)
HOSTS = [host.name for host in PLANS]
PROGRAMS = [program.name for host in PLANS for program in host.programs]


def parsed(line: str) -> TypedCommand | None:
    return parse(line, HOSTS, PROGRAMS)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("kill host-3\n", TypedCommand("kill", ("host-3",))),
        ("kill stock-3", TypedCommand("kill", ("stock-3",))),
        ("  RESTART host-3  # again", TypedCommand("restart", ("host-3",))),
        ("cut host-1 host-2", TypedCommand("cut", ("host-1", "host-2"))),
        ("cut host-5", TypedCommand("cut", ("host-5",))),
        ("load 2.5", TypedCommand("load", number=2.5)),
        ("wait 250ms", TypedCommand("wait", number=0.25)),
        ("exit", TypedCommand("quit")),
        ("fail-payment", TypedCommand("fail-payment")),
    ],
)
def test_a_line_becomes_its_command(line: str, command: TypedCommand) -> None:
    assert parsed(line) == command


@pytest.mark.parametrize("line", ["", "  \n", "# a comment"])
def test_an_empty_line_is_no_command(line: str) -> None:
    assert parsed(line) is None


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("kil host-3", "kill"),
        ("kill host-9", "host-1"),
        ("kill", "kill NAME"),
        ("pause stock-3", "host-3"),
        ("cut host-1 host-1", "two hosts"),
        ("cut host-1 host-2 host-3", "cut A B"),
        ("load many", "orders a second"),
        ("load -1", "orders a second"),
        ("load nan", "orders a second"),
        ("load 1e9", "orders a second"),
        ("wait soon", "5s"),
        ("wait 2h", "at most"),
        ("status now", "status"),
        ("kill 'host-3", "quotation"),
    ],
)
def test_a_wrong_line_is_told_what_is_right(line: str, names: str) -> None:
    with pytest.raises(BadParams, match=names):
        parsed(line)


def test_every_command_of_the_help_parses() -> None:
    given_for = {"NAME": "host-1", "HOST": "host-1", "A": "host-1", "B": "host-2", "N": "5", "TIME": "5s"}
    for form, _ in HELP:
        verb, *words = form.split()
        command = parsed(" ".join([verb, *(given_for[word] for word in words)]))
        assert command is not None
        assert command.verb == verb


@given(st.text(max_size=60))
def test_no_line_does_more_than_raise_bad_params(line: str) -> None:
    with suppress(BadParams):
        parsed(line)
