"""The play, the lines that are told, and the plan of the hosts."""

import json

import trio

from gossipreg.demo.layout import EVENT_GROUPS, NODE_PROGRAM, plan
from gossipreg.demo.story import SCENES
from gossipreg.demo.teller import WIDTH, Teller, enumerated
from gossipreg.demo.typed_commands import parse

PLANS = plan(with_node=True)
HOSTS = [host.name for host in PLANS]
PROGRAMS = [program for host in PLANS for program in host.programs]


def test_every_scene_has_commands_that_parse_and_comes_after_the_last() -> None:
    names = [program.name for program in PROGRAMS]
    assert all(parse(line, HOSTS, names) is not None for scene in SCENES for line in scene.commands)
    shares = [scene.share for scene in SCENES]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] < 1.0


def test_the_play_ends_with_the_books_and_leaves_no_fault_behind() -> None:
    """What a scene does to a host or a link, it or a later one mends."""
    verbs = [line.split()[0] for scene in SCENES for line in scene.commands]
    assert verbs[-1] == "books"
    for fault, cure in (("kill", "restart"), ("pause", "resume"), ("cut", "heal")):
        assert verbs.count(fault) == verbs.count(cure) > 0


def test_every_service_outlives_any_one_host() -> None:
    for service in ("api", *EVENT_GROUPS, "billing"):
        assert len({program.host for program in PROGRAMS if program.service == service}) >= 2


def test_only_one_program_runs_in_node_and_none_where_there_is_no_node() -> None:
    assert [program.name for program in PROGRAMS if program.in_node] == [NODE_PROGRAM]
    assert not any(program.in_node for host in plan(with_node=False) for program in host.programs)


async def test_lines_for_people_are_short_and_complete(autojump_clock: trio.abc.Clock) -> None:  # noqa: ARG001
    lines: list[str] = []
    teller = Teller(lines.append, as_json=False)
    await trio.sleep(12.34)
    text = " ".join(f"word{number}" for number in range(60))
    teller.tell("said", text, fact=1)
    assert lines[0].startswith("t+12.3 s:")
    assert all(len(line) <= WIDTH for line in lines)
    assert " ".join(" ".join(lines).split()[2:]) == text


async def test_a_program_gets_a_json_object_a_line_with_the_facts(autojump_clock: trio.abc.Clock) -> None:  # noqa: ARG001
    lines: list[str] = []
    teller = Teller(lines.append, as_json=True)
    await trio.sleep(1.5)
    teller.tell("said", "two\nlines", fact=[1])
    teller.show("shown", ["a", "b"], other=2)
    assert [json.loads(line) for line in lines] == [
        {"at_s": 1.5, "event": "said", "text": "two\nlines", "fact": [1]},
        {"at_s": 1.5, "event": "shown", "text": "a\nb", "other": 2},
    ]


def test_names_are_enumerated_as_people_do() -> None:
    assert [enumerated(list(names)) for names in ("", "a", "ab", "abc")] == ["nobody", "a", "a and b", "a, b and c"]
