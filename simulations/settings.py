"""Settings: a Config with some fields changed, as `field=value field=value` says.

The protocol was tuned this way: each alternative is a value of a Config field, so everybody can measure it again.
"""

from dataclasses import fields, replace
from typing import Any, get_type_hints

from gossipreg.config import Config, lan
from gossipreg.errors import BadConfig

_KINDS = get_type_hints(Config)
_BUT = ("cluster",)
"""Fields that cannot be set: they change no decision."""


def applied(base: Config, text: str) -> Config:
    """Return the Config with these settings. Raises BadConfig if a field is unknown, or a value is no number or out of
    bounds."""
    return replace(base, **dict(map(_read, text.split()))) if text else base


def _read(part: str) -> tuple[str, Any]:
    field, _equals, said = part.partition("=")
    if field not in _KINDS or field in _BUT:
        known = ", ".join(one.name for one in fields(Config) if one.name not in _BUT)
        raise BadConfig(f"there is no setting {field!r}: choose from {known}")
    try:
        return field, type(getattr(lan, field))(said)
    except ValueError:
        raise BadConfig(f"{part!r}: {field} is a {'whole ' if _KINDS[field] is int else ''}number") from None
