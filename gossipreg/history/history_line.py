"""One line of the history: something that this sidecar saw or did, at a time, in words for people.

Owns: the fields of a line and its shape. Never knows: what is worth a line (`daemon/history/`), or where lines are
kept.

`seq` orders the lines of one sidecar for ever: it grows over restarts, also where the wall clock is set back. `at` is
what the wall clock said, for people and for filters by time. `boot_s` is the time since the kernel's boot, by which a
reader finds out how long ago a line was written although the wall clock was set meanwhile.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from gossipreg.quick_dataclass import dataclass

LineField = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class NamedMember:
    """A member that a line is about, or the one that said so."""

    id: str
    """In hexadecimal; empty where only the name is known."""
    name: str


@dataclass(frozen=True, slots=True)
class HistoryLine:
    seq: int
    at: float
    """Wall time: seconds since 1970."""
    boot_s: float
    """Seconds since the kernel's boot, time asleep included."""
    kind: str
    """As in the log: `member_dead`, `answers_left`, `keys_read`, ..."""
    level: str
    message: str
    """The whole of it, in words: it names whom it is about."""
    member: NamedMember | None = None
    service: str = ""
    """The name of the service that it is about; empty: none."""
    instance: str = ""
    """The id of the instance."""
    more: Mapping[str, LineField] = field(default_factory=dict)
    """Further facts, as a program may want them: `reason`, `by`, `left_out`, ..."""
    boot_id: str = ""
    """Of the kernel's boot that `boot_s` counts from; empty: the present one."""


def line_shape(line: HistoryLine) -> dict[str, Any]:
    """{seq, at, kind, level, message}, with `member` {id, name}, `service` and `instance` where it is about one, and
    the further facts. A fact never takes the place of these."""
    about: dict[str, Any] = {}
    if line.member is not None:
        about["member"] = {"id": line.member.id, "name": line.member.name}
    if line.service:
        about["service"] = line.service
    if line.instance:
        about["instance"] = line.instance
    return {
        **line.more, "seq": line.seq, "at": round(line.at, 3), "kind": line.kind, "level": line.level,
        "message": line.message, **about,
    }  # fmt: skip
