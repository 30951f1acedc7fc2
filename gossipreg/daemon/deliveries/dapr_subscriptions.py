"""What a Dapr app answers to GET /dapr/subscribe: the topics that it wants, and the path of each.

    [{"pubsubname": "pubsub", "topic": "orders", "route": "/orders", "metadata": {}, "deadLetterTopic": "poison"}]

`routes: {"default": "/orders"}` is another form of `route`. What cannot be served as it is asked for is refused as a
whole, with the reason: rules in CEL, events in bulk.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import PUBSUB, CloudEvent
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.patterns import check_pattern, check_type, matches

SUBSCRIPTIONS_MAX = MAX_GROUP_PATTERNS
PATH_MAX = 1024


@dataclass(frozen=True, slots=True)
class DaprSubscription:
    pubsub: str
    topic: str
    """A pattern."""
    path: str
    dead_letter_topic: str = ""
    """Empty: dead letters stay with the journal."""
    raw: bool = False
    """The app wants the data alone, as bytes."""

    def wants(self, event: CloudEvent) -> bool:
        """Whether the event is of this topic, and of this pubsub where it names one."""
        pubsub = event.extensions.get(PUBSUB, self.pubsub)
        return pubsub == self.pubsub and matches(check_pattern(self.topic), check_type(event.topic))

    def shape(self) -> dict[str, Any]:
        """As Dapr's metadata shows it."""
        return {
            "pubsubname": self.pubsub, "topic": self.topic, "rules": [{"path": self.path}],
            "deadLetterTopic": self.dead_letter_topic, "type": "PROGRAMMATIC",
            "metadata": {"rawPayload": "true"} if self.raw else {},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class AskedByApp:
    subscriptions: tuple[DaprSubscription, ...]
    refused: tuple[str, ...]
    """The reasons, each with its topic."""


def asked_untrusted(body: bytes) -> AskedByApp:
    """Raises BadParams if the answer as a whole is none."""
    try:
        found = json.loads(body or b"[]")
    except (ValueError, RecursionError) as error:
        raise BadParams(f"/dapr/subscribe answers no JSON: {error}") from None
    if found is None:
        found = []
    if not isinstance(found, list):
        raise BadParams("/dapr/subscribe answers no list of subscriptions")
    taken: list[DaprSubscription] = []
    refused: list[str] = []
    for one in found[: 4 * SUBSCRIPTIONS_MAX]:
        try:
            if len(taken) >= SUBSCRIPTIONS_MAX:
                raise BadParams(f"an app may have {SUBSCRIPTIONS_MAX} subscriptions")
            taken.append(_subscription(one))
        except BadParams as error:
            topic = one.get("topic") if isinstance(one, dict) else one
            refused.append(f"topic {str(topic)[:60]!r}: {error}")
    return AskedByApp(tuple(taken), tuple(refused))


def _subscription(given: object) -> DaprSubscription:
    """Raises BadParams."""
    if not isinstance(given, dict):
        raise BadParams("a subscription is an object with pubsubname, topic and route")
    pubsub, topic = _text(given, "pubsubname"), _text(given, "topic")
    check_pattern(topic)
    if _is_on(given.get("bulkSubscribe")):
        raise BadParams("bulkSubscribe is enabled: events come one by one here, so turn it off")
    dead = given.get("deadLetterTopic") or ""
    if dead:
        check_type(_text(given, "deadLetterTopic"))
    metadata = given.get("metadata")
    raw = isinstance(metadata, dict) and str(metadata.get("rawPayload", "")).lower() in ("true", "1")
    return DaprSubscription(pubsub, topic, _path(given), dead, raw)


def _is_on(bulk: object) -> bool:
    return isinstance(bulk, dict) and bool(bulk.get("enabled"))


def _path(given: dict[str, Any]) -> str:
    routes = given.get("routes")
    path = given.get("route")
    if routes is not None:
        if not isinstance(routes, dict):
            raise BadParams("routes is no object with a default")
        if any(_rules(routes)):
            raise BadParams("routes.rules choose by expressions in CEL, which are not read here: use routes.default, "
                            "and choose in the app")  # fmt: skip
        path = routes.get("default") or path
    if not isinstance(path, str) or not path:
        raise BadParams("it has no route")
    path = path if path.startswith("/") else f"/{path}"
    if not path.isascii() or not path.isprintable() or " " in path or len(path) > PATH_MAX:
        raise BadParams(f"route {path[:60]!r} is no path: write printable ASCII without spaces")
    return path


def _rules(routes: dict[str, Any]) -> Iterator[object]:
    rules = routes.get("rules")
    return iter(rules if isinstance(rules, list) else [rules] if rules else [])


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise BadParams(f"{name} is {str(value)[:40]!r}: give text")
    return value
