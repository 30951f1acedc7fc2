"""The settings of a member: each has its bounds, its meaning, and one clear error."""

import ast
import inspect
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from gossipreg import config, tuning
from gossipreg.config import BOUNDS, PROFILES, Config, lan
from gossipreg.core.local import own_address
from gossipreg.errors import BadConfig
from gossipreg.wire import messages

CORE = Path(config.__file__).parent / "core"
GROUPS = {field.name: getattr(lan, field.name) for field in fields(Config)}
ROOMS = {room: type(group) for room, group in GROUPS.items() if isinstance(group, tuning.RoomTuning)}
KINDS: list[type[Config | tuning.RoomTuning]] = [Config, *ROOMS.values()]
GROUPED = [(room, field) for room, bounds in tuning.BOUNDS.items() for field in bounds]


def changed(room: str, field: str, value: object) -> Config:
    changes: dict[str, Any] = {field: value}
    group: dict[str, Any] = {room: replace(getattr(lan, room), **changes)}
    return replace(lan, **group)


def test_every_number_has_bounds() -> None:
    assert {field.name for field in fields(Config)} - BOUNDS.keys() == {"cluster", *ROOMS}
    assert BOUNDS.keys() <= {field.name for field in fields(Config)}
    for room, kind in ROOMS.items():
        assert list(tuning.BOUNDS[room]) == [field.name for field in fields(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_means(kind: type[Config | tuning.RoomTuning]) -> None:
    described = re.findall(r'^    (\w+): [\w\[\], .]+ = .*\n    """[A-Z]', inspect.getsource(kind), re.MULTILINE)
    assert described == [field.name for field in fields(kind)]


def test_every_setting_is_read_by_the_core() -> None:
    trees = (ast.parse(path.read_text()) for path in CORE.rglob("*.py"))
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {field.name for kind in KINDS for field in fields(kind)} <= read


def test_a_config_holds_the_group_of_each_room() -> None:
    assert {room: kind.room for room, kind in ROOMS.items()} == {room: room for room in tuning.BOUNDS}


@pytest.mark.parametrize("field", BOUNDS)
def test_a_value_out_of_bounds_is_refused_with_the_bounds(field: str) -> None:
    low, high = BOUNDS[field]
    changes: list[dict[str, Any]] = [{field: low - 1}, {field: high + 1}]
    for change in changes:
        with pytest.raises(BadConfig, match=f"^{field} is .*: choose from {low} to {high}$"):
            replace(lan, **change)


@pytest.mark.parametrize(("room", "field"), GROUPED)
def test_a_value_of_a_group_is_refused_with_its_bounds(room: str, field: str) -> None:
    low, high = tuning.BOUNDS[room][field]
    for wrong in (low - 1, high + 1):
        value = (low, wrong) if isinstance(getattr(getattr(lan, room), field), tuple) else wrong
        with pytest.raises(BadConfig, match=rf"^{room}\.{field} is .*: choose from {low} to {high}$"):
            changed(room, field, value)


def test_no_setting_may_pass_the_bound_of_a_message_or_of_memory() -> None:
    most = {f"{room}.{field}": bounds[field][1] for room, bounds in tuning.BOUNDS.items() for field in bounds}
    assert most["gossip.offered_members"] <= messages.MAX_PEERS
    assert most["local.witnesses"] <= own_address._OBSERVED_MAX


@pytest.mark.parametrize("count", [0, tuning.TUPLE_MAX + 1])
def test_the_count_of_several_values_is_bounded(count: int) -> None:
    with pytest.raises(BadConfig, match=rf"^gossip\.ack_timeouts has {count} values: choose 1 to 16$"):
        changed("gossip", "ack_timeouts", (1.0,) * count)


@pytest.mark.parametrize(
    ("room", "small", "large"),
    [(room, small, large) for room, kind in ROOMS.items() for small, large in kind.rising],
)
def test_values_of_a_group_that_must_rise_do(room: str, small: str, large: str) -> None:
    most = getattr(getattr(lan, room), large)
    assert changed(room, small, most) is not None
    with pytest.raises(BadConfig, match=rf"^{room}\.{small} is .*: choose at most {room}\.{large}, {most}$"):
        changed(room, small, most + 0.01)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cluster": ""}, "cluster name '': choose 1 to 255 bytes"),
        ({"cluster": "é" * 128}, "choose 1 to 255 bytes"),
        (
            {"rtt_floor_s": 0.5},
            "choose rtt_floor_s <= .* <= period_s, not 0.5, 0.3, 0.9, 1.0",
        ),
        ({"rtt_ceiling_s": 1.5}, "choose rtt_floor_s <= .* not 0.2, 0.3, 1.5, 1.0"),
        ({"compare_s": 1.5}, "compare_s is 1.5: choose at most period_s, 1.0"),
        ({"helpers": 0}, "reports_needed is 2, and helpers is 0: choose helpers from 1 on"),
        ({"receipt_gather_s": 0.035}, "receipt_gather_s is 0.035: choose less than 0.035"),
        ({"repeat_floor_s": 1.0}, "repeat_floor_s is 1.0: choose at most rtt_ceiling_s, 0.9"),
    ],
)
def test_values_that_do_not_go_together_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        replace(lan, **changes)


def test_the_profiles_probe_ever_more_slowly() -> None:
    assert [PROFILES[name] for name in ("local", "lan", "wan")] == [config.local, config.lan, config.wan]
    assert config.local.period_s < config.lan.period_s < config.wan.period_s
