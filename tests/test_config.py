"""The settings of a member: each has its bounds, its meaning, and one clear error."""

import inspect
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from gossipreg import config
from gossipreg.config import BOUNDS, PROFILES, Config, lan
from gossipreg.errors import BadConfig


def test_every_number_has_bounds() -> None:
    assert {field.name for field in fields(Config)} - BOUNDS.keys() == {"cluster"}
    assert BOUNDS.keys() <= {field.name for field in fields(Config)}


def test_every_field_says_what_it_means() -> None:
    described = re.findall(r'^    (\w+): \w+ = .*\n    """[A-Z]', inspect.getsource(Config), re.MULTILINE)
    assert described == [field.name for field in fields(Config)]


@pytest.mark.parametrize("field", BOUNDS)
def test_a_value_out_of_bounds_is_refused_with_the_bounds(field: str) -> None:
    low, high = BOUNDS[field]
    changes: list[dict[str, Any]] = [{field: low - 1}, {field: high + 1}]
    for change in changes:
        with pytest.raises(BadConfig, match=f"^{field} is .*: choose from {low} to {high}$"):
            replace(lan, **change)


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
        ({"receipt_gather_s": 0.05}, "receipt_gather_s is 0.05: choose less than 0.05"),
        ({"repeat_floor_s": 1.0}, "repeat_floor_s is 1.0: choose at most rtt_ceiling_s, 0.9"),
    ],
)
def test_values_that_do_not_go_together_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        replace(lan, **changes)


def test_the_profiles_probe_ever_more_slowly() -> None:
    assert [PROFILES[name] for name in ("local", "lan", "wan")] == [config.local, config.lan, config.wan]
    assert config.local.period_s < config.lan.period_s < config.wan.period_s
