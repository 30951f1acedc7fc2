"""Something that happened, before it is a line: it may be left out of a storm, and has no number yet."""

from collections.abc import Mapping
from dataclasses import field

from gossipreg.history.history_line import LineField, NamedMember
from gossipreg.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class HistoryNote:
    at: float
    """Wall time."""
    boot_s: float
    kind: str
    level: str
    message: str
    member: NamedMember | None = None
    service: str = ""
    instance: str = ""
    more: Mapping[str, LineField] = field(default_factory=dict)
    topic: str = ""
    """Notes of one topic about one subject count together: a member that dies and comes back. Empty: the kind."""

    @property
    def subject(self) -> str:
        """What it is about, for people; empty: this sidecar."""
        return self.instance or self.service or ("" if self.member is None else self.member.name)

    @property
    def rate_key(self) -> tuple[str, str, str]:
        member = "" if self.member is None else self.member.id
        return self.topic or self.kind, member, self.instance or self.service
