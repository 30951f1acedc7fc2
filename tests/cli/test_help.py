"""Help, version and completion. Every example that the help gives is a line that parses."""

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import gossipreg
from gossipreg.cli.commands import COMMANDS, Commands
from gossipreg.cli.commands import gossipreg as group
from gossipreg.config import PROFILES
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

EVERY = [pytest.param((), id="gossipreg"), *(pytest.param((name,), id=name) for name in COMMANDS)]


@pytest.mark.parametrize("path", EVERY)
def test_help_is_given_with_an_example(path: tuple[str, ...], command: Command) -> None:
    ended = command(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: {' '.join(('gossipreg', *path))}")
    assert "Example" in ended.out
    assert "--json" in ended.out


def examples() -> list[str]:
    lines = []
    for name in (None, *COMMANDS):
        ctx = click.Context(group)
        shown = group if name is None else group.get_command(ctx, name)
        assert shown is not None
        lines += [line.strip() for line in (shown.epilog or "").splitlines()]
    return [line for line in lines if "gossipreg " in line and "Completion" not in line and "_COMPLETE" not in line]


def words_of(line: str) -> list[str]:
    """The arguments of `gossipreg` in a line of shell."""
    lexer = shlex.shlex(line[line.index("gossipreg ") :], posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        words.append(word)
    return words[1:]


@pytest.mark.parametrize("line", examples())
def test_the_examples_in_the_help_parse(line: str) -> None:
    ctx = group.make_context("gossipreg", words_of(line), resilient_parsing=False)
    rest = [*ctx._protected_args, *ctx.args]
    name, command, args = group.resolve_command(ctx, rest)
    assert command is not None
    command.make_context(name, args, parent=ctx)


def test_there_are_examples_of_every_command() -> None:
    named = {word for line in examples() for word in words_of(line)}
    assert named >= set(COMMANDS)


def test_the_group_lists_its_commands_and_no_other(command: Command) -> None:
    assert isinstance(group, Commands)
    out = command("--help").out
    assert [line.split()[0] for line in out.split("Commands:\n")[1].split("\n\n")[0].splitlines()] == list(COMMANDS)
    assert command("os").code == 2


@pytest.mark.parametrize("path", EVERY)
def test_help_is_a_command_too(path: tuple[str, ...], command: Command) -> None:
    assert command("help", *path) == command(*path, "--help")


def test_help_for_a_command_that_is_not_there_is_wrong_usage(command: Command) -> None:
    ended = command("help", "lokup")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'lokup'" in ended.err


def test_the_package_can_be_run(command: Command) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == command("--version").out


def test_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"gossipreg {gossipreg.__version__}\n", "")


def test_join_offers_every_profile() -> None:
    join = group.get_command(click.Context(group), "join")
    assert join is not None
    profile = next(param for param in join.params if param.name == "profile")
    assert isinstance(profile.type, click.Choice)
    assert list(profile.type.choices) == list(PROFILES)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg.cli"],
        env={"_GOSSIPREG_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert "_GOSSIPREG_COMPLETE" in ended.stdout


def test_completion_knows_the_commands() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg.cli"],
        env={"_GOSSIPREG_COMPLETE": "bash_complete", "COMP_WORDS": "gossipreg der", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.split() == ["plain,deregister"]


@pytest.mark.parametrize(
    ("words", "method", "answer", "found"),
    [
        ("lookup w", "services", [{"name": "Web"}, {"name": "worker"}, {"name": "db"}], ["Web", "worker"]),
        ("watch w", "services", [{"name": "web"}], ["web"]),
        ("wait w", "services", [{"name": "web"}], ["web"]),
        ("deregister web-", "registered", [{"id": "web-80"}, {"id": "db-1"}], ["web-80"]),
        ("heartbeat db", "registered", [{"id": "web-80"}, {"id": "db-1"}], ["db-1"]),
        ("maint --service web", "registered", [{"id": "web-80"}], ["web-80"]),
        ("lookup web --zone e", "members", [{"id": "1", "zone": "east"}, {"id": "2", "zone": ""}], ["east"]),
        ("members --zone e", "members", [{"id": "1", "zone": "east"}, {"id": "2", "zone": "east"}], ["east"]),
        ("saga show or", "saga-list", {"sagas": [{"saga": "7c.order-7"}, {"saga": "7c.b"}]}, ["order-7"]),
        ("force-leave db", "members", [{"id": "1", "name": "db-1"}, {"id": "2", "name": "web"}], ["db-1"]),
    ],
)
def test_completion_offers_what_the_sidecar_knows(
    words: str, method: str, answer: list[dict[str, str]], found: list[str], sidecar: FakeSidecar
) -> None:
    sidecar.answers[method] = lambda params: [] if "after" in params else answer
    line = f"gossipreg --socket {sidecar.path} {words}"
    environment = {"_GOSSIPREG_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg.cli"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout.split(), ended.stderr) == ([f"plain,{word}" for word in found], "")


def test_completion_is_silent_where_no_sidecar_answers(tmp_path: Path) -> None:
    line = f"gossipreg --socket {tmp_path}/none lookup w"
    environment = {"_GOSSIPREG_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "4"}
    ended = subprocess.run(
        [sys.executable, "-m", "gossipreg.cli"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout.strip(), ended.stderr) == ("", "")
