"""The trouble in `info` about members to which the path carries only small datagrams: one message for all of them.

Owns the list of narrow paths, as the core reports them. One narrow link usually makes the paths to many members narrow,
so they are counted and only a few are named.
"""

from collections.abc import Mapping

from gossipreg.core.effects import Event

NAMED_MAX = 3
ADVICE = "check the MTU of the path"

_Fields = Mapping[str, str | int | float]


class NarrowPaths:
    def __init__(self) -> None:
        self._by_address: dict[str, _Fields] = {}

    def on_event(self, event: Event) -> str:
        """Take a `path_mtu` or `path_mtu_over` event; returns the message about all narrow paths, empty if there are
        none."""
        fields = dict(event.fields)
        address = str(fields.get("address"))
        if event.kind == "path_mtu":
            self._by_address[address] = fields
        else:
            self._by_address.pop(address, None)
        return self._in_words()

    def _in_words(self) -> str:
        paths = list(self._by_address.values())
        if len(paths) < 2:
            return "".join(map(path_in_words, paths))
        lost, passes = (min(int(path[name]) for path in paths) for name in ("lost_bytes", "bytes"))
        names = ", ".join(map(whom, paths[-NAMED_MAX:]))
        more = f" and {len(paths) - NAMED_MAX} more" if len(paths) > NAMED_MAX else ""
        return (
            f"datagrams of {lost:,} bytes or more to {names}{more} do not arrive: sending at most {passes:,}; {ADVICE}"
        )


def whom(fields: _Fields) -> str:
    """A member in words: its name, where it is known, and its address."""
    name, address = fields.get("name"), fields.get("address")
    return f"{name} ({address})" if name else str(address)


def path_in_words(path: _Fields) -> str:
    """The message about one narrow path."""
    lost, passes = int(path["lost_bytes"]), int(path["bytes"])
    if lost <= passes:  # the smallest size that there is
        return f"even datagrams of {lost:,} bytes to {whom(path)} do not arrive, though smaller ones do; {ADVICE}"
    return f"datagrams of {lost:,} bytes or more to {whom(path)} do not arrive: sending at most {passes:,}; {ADVICE}"
