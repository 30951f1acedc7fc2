"""From changes of the answers to notes of the history: which instance came into the answers or left them, and why.

Owns: which instances do not pass now, so that a change of tags is no line. Never knows: who asks for services.

An instance is in the answers if it passes, as `gossipreg lookup` gives them. What the first list of a cluster brings is
no news: until this sidecar is synced nothing is noted, and then how much there is. The services registered here come
and go by their registrations, which the log has.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossipreg.daemon.history.own_words import own_output
from gossipreg.history.history_line import NamedMember
from gossipreg.model import CatalogInstance, Change, ChangeKind, Health, NodeId
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

if TYPE_CHECKING:
    from gossipreg.core.view import View
    from gossipreg.daemon.history.history import History

TOPIC = "answers"


class AnswerNotes:
    def __init__(
        self, history: "History", view: "View", report: Callable[[str], Iterable[Shape]], now: Callable[[], float]
    ) -> None:  # fmt: skip
        """`report(id)` are the checks of a service that is registered here, in the shape of `lookup --all`."""
        self._history = history
        self._view = view
        self._report = report
        self._now = now
        self._out: dict[tuple[NodeId, str], Health] = {}
        """Instances that do not pass, and their health."""
        self._synced = False

    def look(self, changes: tuple[Change, ...]) -> None:
        """The changes of the answers, in order."""
        first = self._view.synced and not self._synced
        self._synced = self._view.synced
        for change in changes:
            self._on_change(change, quiet=first or not self._synced)
        if first:
            self._note_first()

    def _note_first(self) -> None:
        services = self._view.catalog.services()
        instances = sum(one.instances for one in services)
        members = len(self._view.ring)
        self._history.note(
            "answers_known",
            "the answers are known: " + ", ".join(
                f"{count} {what}{'s' * (count != 1)}"
                for count, what in ((members, "member"), (len(services), "service"), (instances, "instance"))
            ),
        )  # fmt: skip

    def _on_change(self, change: Change, *, quiet: bool) -> None:
        instance = change.instance
        key = instance.node, instance.service.id
        before, health = self._out.pop(key, None), instance.health
        if change.kind is not ChangeKind.REMOVED and health is not Health.PASSING:
            self._out[key] = health
        quiet = quiet or (instance.node == self._view.id and change.kind is not ChangeKind.UPDATED)
        if quiet or (change.kind is ChangeKind.REMOVED and before is not None):
            return
        match change.kind:
            case ChangeKind.REMOVED:
                self._left(instance, self._why_gone(instance))
            case ChangeKind.ADDED if health is Health.PASSING:
                self._came(instance, "registered")
            case ChangeKind.ADDED:
                self._note(instance, "answers_out", f"registered, {HEALTH_NAMES[health]}: not in the answers yet")
            case _ if (before or Health.PASSING) is health:
                pass  # its tags, its weight, ...
            case _ if before is None:
                self._left(instance, self._why_out(instance))
            case _ if health is Health.PASSING:
                self._came(instance, f"{HEALTH_NAMES[before or Health.PASSING]} before")
            case _:
                said = f"{HEALTH_NAMES[before or Health.PASSING]} -> {self._why_out(instance)}"
                self._note(instance, "answers_out", f"stays out of the answers: {said}")

    def _left(self, instance: CatalogInstance, why: str) -> None:
        self._note(instance, "answers_left", f"left the answers: {why}", level="warning")

    def _came(self, instance: CatalogInstance, why: str) -> None:
        self._note(instance, "answers_entered", f"is in the answers: {why}")

    def _note(self, instance: CatalogInstance, kind: str, what: str, *, level: str = "info") -> None:
        service = instance.service
        at = "" if instance.node == self._view.id else f" of {instance.node_name}"
        self._history.note(
            kind, f"{service.id}{at} {what}", level=level, service=service.name, instance=service.id,
            member=NamedMember(instance.node.hex(), instance.node_name), topic=TOPIC,
            more={"health": HEALTH_NAMES[instance.health]},
        )  # fmt: skip

    def _why_gone(self, instance: CatalogInstance) -> str:
        member = self._view.member(instance.node, self._now())
        if member is None or member.state in ("dead", "left"):
            state = "forgotten" if member is None else member.state
            return f"{instance.node_name} is {state}" if state != "left" else f"{instance.node_name} left"
        return "deregistered"

    def _why_out(self, instance: CatalogInstance) -> str:
        if instance.health is Health.MAINTENANCE:
            return f"in maintenance{f': {instance.reason}' if instance.reason else ''}"
        health = HEALTH_NAMES[instance.health]
        if instance.node != self._view.id:
            return f"{health}; {instance.node_name} knows why"
        failing = [one for one in self._report(instance.service.id) if one["health"] != "passing"]
        failing = failing or [one for one in self._report("") if one["health"] != "passing"]
        return "; ".join(map(_failed, failing)) or health


def _failed(check: Shape) -> str:
    """A failing check, without what a program said."""
    kind, output = str(check["type"]), str(check["output"])
    said = own_output(kind, output)
    name = f" {check['name']}" if check.get("name") else ""
    return f"{kind} check{name} {'warns' if check['health'] == 'warning' else 'failed'}{f': {said}' if said else ''}"
