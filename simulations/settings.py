"""Settings: a Config with some fields changed, as `field=value group.field=value` says.

The protocol was tuned this way: each alternative is a value of a Config field, so everybody can measure it again. A
field with several values takes them with commas between: `gossip.ack_timeouts=1,1,4`.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from gossipreg.config import Config, lan
from gossipreg.errors import BadConfig
from gossipreg.tuning import RoomTuning

_BUT = ("cluster",)
"""Fields that cannot be set: they change no decision."""


def applied(base: Config, text: str) -> Config:
    """Return the Config with these settings. Raises BadConfig if a field is unknown, or a value is no number or out of
    bounds."""
    changes: dict[str, Any] = {}
    in_groups: dict[str, dict[str, Any]] = {}
    for part in text.split():
        name, value = _read(part)
        group, _dot, field = name.rpartition(".")
        (in_groups.setdefault(group, {}) if group else changes)[field] = value
    groups = {group: replace(getattr(base, group), **changed) for group, changed in in_groups.items()}
    return replace(base, **changes, **groups) if text else base


def names() -> list[str]:
    """The names of all settings."""
    return [name for name, _ in _defaults()]


def _defaults() -> Iterator[tuple[str, Any]]:
    for field in fields(Config):
        value = getattr(lan, field.name)
        if isinstance(value, RoomTuning):
            yield from ((f"{field.name}.{one.name}", getattr(value, one.name)) for one in fields(value))
        elif field.name not in _BUT:
            yield field.name, value


def _read(part: str) -> tuple[str, Any]:
    name, _equals, said = part.partition("=")
    default = dict(_defaults()).get(name)
    if default is None:
        raise BadConfig(f"there is no setting {name!r}: choose from {', '.join(names())}")
    try:
        if isinstance(default, tuple):
            return name, tuple(map(float, said.split(",")))
        return name, type(default)(said)
    except ValueError:
        wanted = "a list of numbers with commas between" if isinstance(default, tuple) else "a number"
        wanted = "a whole number" if isinstance(default, int) else wanted
        raise BadConfig(f"{part!r}: {name} is {wanted}") from None
