"""The options in force at this sidecar, and where each is from; the method `config` shows them.

Owns which options a reload changes: the log level, for somebody who looks for a fault. All others stay as they were at
the start.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gossipreg.daemon.checks.parse import redacted
from gossipreg.daemon.logs import Log
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.settings import OptionInForce, Settings
from gossipreg.daemon.socket_client import Handler, Params, pack
from gossipreg.daemon.start import OpenedSidecar
from gossipreg.model import Address
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node


LOG_LEVEL = "log-level"


class OptionsInForce:
    def __init__(self, options: Iterable[OptionInForce], log: Log) -> None:
        self._log = log
        self._by_name = {one.name: one for one in options}

    def __iter__(self) -> Iterator[OptionInForce]:
        return iter(self._by_name.values())

    def read_again(self, options: Iterable[OptionInForce]) -> tuple[list[str], list[str]]:
        """Take what a restart would put in force. Returns the names of the options that are changed now, and of those
        that only a restart changes."""
        changed = {one.name: one for one in options if one.value != self._value(one.name)}
        level = changed.pop(LOG_LEVEL, None)
        if level is not None:
            self._log.set_level(level.value)
            self._by_name[LOG_LEVEL] = level
        return [] if level is None else [LOG_LEVEL], list(changed)

    def _value(self, name: str) -> Any:
        return self._by_name[name].value if name in self._by_name else None


def config_method(opened: OpenedSidecar, node: "Node", in_force: OptionsInForce) -> Handler:
    """The method `config` {} -> {file, options, ignored}. The answer holds no secret."""
    settings = opened.settings

    def config(params: Params) -> bytes:
        take_untrusted("config", params, {})
        came_to = _came_to(opened, node)
        options: list[Shape] = [
            {
                "name": one.name,
                "value": _shown(one.name, came_to.get(one.name, one.value) if one.source == "default" else one.value),
                "source": one.source,
                "where": one.where,
            }
            for one in in_force
        ]
        keys = [] if node.keyring is None else node.keyring.fingerprints()
        options.append({"name": "key", "value": keys, **_from(settings)})
        ignored = [{"variable": name, "why": why} for name, why in settings.ignored_variables]
        return pack({"file": settings.config, "options": options, "ignored": ignored})

    return config


def _came_to(opened: OpenedSidecar, node: "Node") -> dict[str, Any]:
    """The values to which options that were left at their default resolved."""
    port = opened.transport.local_addresses[0].port
    return {
        "name": opened.member.name,
        "bind": [str(Address(host, port)) for host in opened.bind.hosts],
        "advertise": next(map(str, node.addresses), None),
        "socket": str(opened.local_socket.path),
    }


def _shown(name: str, value: Any) -> Any:
    """Headers and bodies of checks may be secrets."""
    return [redacted(text) for text in value] if name == "check" and value else value


def _from(settings: Settings) -> dict[str, str]:
    if settings.key_file is not None:
        return {"source": "file", "where": settings.key_file}
    if settings.key is not None:
        return {"source": "variable", "where": "GOSSIPREG_KEY"}
    return {"source": "default", "where": ""}
