"""The manual says what the commands have: the table of options, exit codes, and every trouble that `info` can show."""

import re
import tomllib

import click
import pytest

from gossipreg.cli.docs import topics
from gossipreg.cli.join import join
from gossipreg.cli.sources import flag_name, options_of
from scripts.options_table import MANUAL, renewed


def page(name: str) -> str:
    return topics()[name].read_text(encoding="utf-8")


def test_the_table_of_options_is_the_one_of_join() -> None:
    assert MANUAL.read_text() == renewed(MANUAL.read_text()), "run `python -m scripts.options_table`"


def test_every_option_says_what_it_is_for() -> None:
    assert [flag_name(option) for option in options_of(join) if not option.help] == []


def test_the_example_of_a_file_is_one_that_join_takes(tmp_path_factory: pytest.TempPathFactory) -> None:
    example = re.search(r"```toml\n(.*?)```", page("configuration"), re.DOTALL)
    assert example is not None
    tomllib.loads(example[1])
    path = tmp_path_factory.mktemp("manual") / "join.toml"
    path.write_text(example[1])
    ctx = join.make_context("join", ["--config", str(path)], parent=click.Context(click.Group("gossipreg")))
    assert ctx.params["seeds"] == ("10.0.0.5", "10.0.0.6:7941", "srv:_gossip._udp.example.org")
    assert ctx.params["labels"] == {"rack": "7"}
