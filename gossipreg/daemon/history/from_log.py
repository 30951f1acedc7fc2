"""From lines of the log to notes of the history: most of what happens here is a line of the log already.

Owns: whom a line is about, who accuses a dead member, and what is remembered for that (names of services by id, the
key that seals). Never knows: the words of a kind (`log_words.py`).

It hears every line, also those below the log's level: the history is the same whatever --log-level says.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossipreg.daemon.history.log_words import MEMBER_TOPIC, WORDS, Fields, Words
from gossipreg.daemon.logs import Field
from gossipreg.history.history_line import LineField, NamedMember
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.core.view import View
    from gossipreg.daemon.history.history import History

FACTS = ("by", "version", "pid", "via", "uid", "reason", "health", "group", "index", "attempts", "saga", "step",
         "decision", "journal", "hold_s", "signal", "after", "lost", "by_s")  # fmt: skip
"""The fields of a line of the log that the line of the history has too. `reason` only where a rule below allows it."""
REASON_OF = frozenset(("member_dead", "member_left", "member_hidden", "member_suspect", "maintenance"))
OF_MEMBERS = ("member_", "force_leave")
THIS_SIDECAR = "this sidecar"


class LogNotes:
    def __init__(self, history: "History", view: "View", seals_with: Sequence[str]) -> None:
        """`seals_with` are the fingerprints of the keys at the start, first of that which seals."""
        self._history = history
        self._view = view
        self._keys = list(seals_with)
        self._services: dict[str, str] = {}
        """The names of the services that are registered here, by id."""

    def started(self, version: str) -> None:
        """This process begins: the first line, before those about what it restores."""
        how = {"first": "for the first time", "clean": "after a clean stop", "unclean": "after an unclean stop"}
        after = f", {how[self._history.began]}" if self._history.began else ""
        key = f"sealing key {self._keys[0]}" if self._keys else "without a key"
        message = f"sidecar started, version {version}, {key}{after}"
        self._history.note("start", message, more=_facts("start", {"version": version}, after=self._history.began))

    def line(self, level: str, kind: str, fields: dict[str, Field]) -> None:
        """A line of the log."""
        if kind == "keys_read":
            self._history.note(kind, self._keys_read(fields))
        elif kind.endswith("_not_read"):
            part = kind.removesuffix("_not_read")
            message = f"the {part.replace('_', ' ')} could not be read again: what was read before stays in use"
            self._history.note(kind, message, level=level)
        elif kind == "service_health" and fields.get("id"):
            pass  # a change of the answers, which `from_answers.py` tells with the reason
        elif (words := WORDS.get(kind)) is not None:
            if kind.startswith(OF_MEMBERS):
                self._of_member(level, kind, fields, words)
            else:
                self._of_here(level, kind, fields, words(fields))

    def _of_here(self, level: str, kind: str, fields: Fields, message: str) -> None:
        instance = _text(fields, "id") if kind.startswith(("service", "maintenance", "subscription")) else ""
        self._history.note(
            kind, message, level=level, service=self._service_of(kind, instance, fields), instance=instance,
            more=_facts(kind, fields),
        )  # fmt: skip

    def _service_of(self, kind: str, id: str, fields: Fields) -> str:
        if not id:
            return _text(fields, "service")
        if kind == "service_registered":
            self._services[id] = _text(fields, "name")
        name = self._services.get(id, "")
        if kind in ("service_deregistered", "service_expired", "service_detached"):
            self._services.pop(id, None)
        return name

    def _of_member(self, level: str, kind: str, fields: Fields, words: Words) -> None:
        id = _text(fields, "id")
        name = _text(fields, "name") or (self._view.name(NodeId(bytes.fromhex(id))) if id else "?")
        message, facts = words({**fields, "name": name}), _facts(kind, fields)
        if kind == "member_dead":
            message, facts["by"] = self._death(id, name, _text(fields, "reason"))
        topic = "suspicion" if kind == "member_suspect" else MEMBER_TOPIC
        self._history.note(kind, message, level=level, member=NamedMember(id, name), more=facts, topic=topic)

    def _death(self, id: str, name: str, reason: str) -> tuple[str, str]:
        """In words, and the name of the accuser."""
        row, own = self._view.table.rows.get(NodeId(bytes.fromhex(id))), self._history.own.name
        reporter = None if row is None else row.reporter
        by = own if reporter == self._view.id else "another member" if reporter is None else self._view.name(reporter)
        if row is not None and row.declared_left:
            return f"{name} declared left by an operator", by
        why = reason.removeprefix(f"reported by {by}").removeprefix("; ").replace(THIS_SIDECAR, own)
        if why == f"declared dead by {own}":
            why = ""
        return f"{name} declared dead by {by}{f': {why}' if why else ''}", by

    def _keys_read(self, fields: Fields) -> str:
        before, self._keys = self._keys, _text(fields, "fingerprints").split()
        if before == self._keys:
            return "key ring read again: nothing changed"
        seals = [keys[0] if keys else "none" for keys in (before, self._keys)]
        sealing = f"sealing key {seals[0]} -> {seals[1]}" if seals[0] != seals[1] else f"sealing key still {seals[0]}"
        others = [f"{one} came" for one in self._keys if one not in before]
        others += [f"{one} went" for one in before if one not in self._keys]
        return f"key ring changed: {', '.join([sealing, *others])}"


def _facts(kind: str, fields: Fields, **more: LineField) -> dict[str, LineField]:
    found: dict[str, LineField] = {name: fields[name] for name in FACTS if fields.get(name) not in (None, "")}
    if kind not in REASON_OF:
        found.pop("reason", None)
    return {**found, **{name: value for name, value in more.items() if value not in (None, "")}}


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
