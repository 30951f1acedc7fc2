"""Which options are in force at this sidecar, and where each is from: what `gossipreg config` shows."""

from collections.abc import Callable
from typing import Any

from gossipreg.daemon.checks.parse import redacted
from gossipreg.daemon.methods import Handler, Params, pack
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.settings import Settings
from gossipreg.wire.shapes import Shape


def config_method(settings: Settings, actual: Callable[[], dict[str, Any]], keys: Callable[[], list[str]]) -> Handler:
    """The method `config` {} -> {file, options, ignored}. `actual()` gives the values to which defaults resolved, by
    the option's name; `keys()` the fingerprints of the keys in use. The answer holds no secret."""

    def config(params: Params) -> bytes:
        take_untrusted("config", params, {})
        came_to = actual()
        options: list[Shape] = [
            {
                "name": one.name,
                "value": _shown(one.name, came_to.get(one.name, one.value) if one.source == "default" else one.value),
                "source": one.source,
                "where": one.where,
            }
            for one in settings.options
        ]
        options.append({"name": "key", "value": keys(), **_from(settings)})
        ignored = [{"variable": name, "why": why} for name, why in settings.ignored_variables]
        return pack({"file": settings.config, "options": options, "ignored": ignored})

    return config


def _shown(name: str, value: Any) -> Any:
    """Headers and bodies of checks may be secrets."""
    return [redacted(text) for text in value] if name == "check" and value else value


def _from(settings: Settings) -> dict[str, str]:
    if settings.key_file is not None:
        return {"source": "file", "where": settings.key_file}
    if settings.key is not None:
        return {"source": "variable", "where": "GOSSIPREG_KEY"}
    return {"source": "default", "where": ""}
